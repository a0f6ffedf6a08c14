"""An audit against the last accepted one: what got worse fails, what was bad is accepted, and nothing creeps."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit import baseline, from_predictions, gate, rules, side_by_side
from prune_audit.core import (
    CLASSIFICATION,
    Array,
    Assumption,
    Audit,
    Check,
    Comparison,
    Layer,
    Outputs,
    Pair,
    Policy,
    Predictions,
    Preprocess,
    Provenance,
    RuleSetting,
    Settings,
    View,
)
from prune_audit.document import from_document, to_document
from prune_audit.errors import AlignmentError
from prune_audit.tasks import classification, detection
from tests.rules.comparisons import CARD

N, CLASSES = 1000, 4
LABELS = np.repeat(np.arange(CLASSES), N)
POLICY = rules.default_policy()
RECALL = Policy(name="recall", rules={"recall-drop": RuleSetting()})


def wrong(**lost: tuple[int, int]) -> Array:
    """Predictions that are right but for the samples from one number to another of the classes c0, c1 ..."""
    predicted = LABELS.copy()
    for name, (start, end) in lost.items():
        predicted[int(name[1]) * N + start : int(name[1]) * N + end] = (int(name[1]) + 1) % CLASSES
    return predicted


def audit(*, settings: Settings | None = None, dense: Array | None = None, **variants: Array) -> Audit:
    predictions = Predictions(
        classes=("a", "b", "c", "d"),
        ids=tuple(map(str, range(len(LABELS)))),
        labels=LABELS,
        models=tuple(
            Outputs(name=name, predicted=predicted)
            for name, predicted in {"dense": LABELS if dense is None else dense, **variants}.items()
        ),
        groups={"site": np.arange(len(LABELS)) % 2, "film": np.arange(len(LABELS)) // 10},
    )
    return from_predictions(predictions, "dense", list(variants), settings or Settings())


def judge(new: Audit, old: Audit, policy: Policy = POLICY) -> dict[tuple[str, str], Check]:
    judged = baseline.judge(new, old, policy, "old.json", date(2027, 1, 1))
    assert judged.baseline == "old.json"
    return {(check.rule, check.subject): check for check in judged.comparisons[0].checks}


def code(new: Audit, old: Audit, policy: Policy = POLICY) -> int:
    return baseline.judge(new, old, policy, "old.json", date(2027, 1, 1)).exit_code


def test_other_files_of_a_folder_are_named_as_the_difference() -> None:
    old = audit(pruned=LABELS)
    told = "files of kinds that earlier versions left out of a folder: 15 .gif"
    new = replace(
        old, provenance=replace(old.provenance, data_digest="0" * 64, notes=(told, "files left out: same", "another"))
    )
    old = replace(old, provenance=replace(old.provenance, notes=("files left out: same",)))
    with pytest.raises(AlignmentError, match=r"(?m)differs in its data .*; files of kinds .* 15 \.gif$"):
        judge(new, old)


def test_images_that_were_turned_are_not_compared_with_others() -> None:
    old = audit(pruned=LABELS)
    ways = [Assumption(subject="", what="EXIF orientation", value=value, why="", option="") for value in ("a", "b")]
    each = [replace(old, provenance=replace(old.provenance, assumptions=(way,))) for way in ways]
    with pytest.raises(AlignmentError, match="differs in its orientation of images: expected a, found b"):
        judge(each[1], each[0])
    assert code(each[0], each[0]) == code(each[0], old) == code(old, each[1]) == 0


def test_what_failed_before_and_is_no_worse_is_accepted() -> None:
    old, new = audit(pruned=wrong(c0=(0, 150))), audit(pruned=wrong(c0=(3, 153)))
    found = judge(new, old, RECALL)
    assert found["recall-drop", "a"].outcome == "waived"
    assert found["recall-drop", "a"].message.endswith(
        "; failed in the baseline too, and is not shown to have got worse since"
    )
    assert found["recall-drop", "a, since the baseline"].outcome == "passed"
    assert code(new, old, RECALL) == 0


def test_what_failed_before_and_got_worse_fails_twice() -> None:
    old, new = audit(pruned=wrong(c0=(0, 150))), audit(pruned=wrong(c0=(0, 250)))
    found = judge(new, old, RECALL)
    assert found["recall-drop", "a"].outcome == found["recall-drop", "a, since the baseline"].outcome == "failed"


def test_what_is_new_fails() -> None:
    found = judge(audit(pruned=wrong(c0=(0, 150), c1=(0, 150))), audit(pruned=wrong(c0=(0, 150))), RECALL)
    assert found["recall-drop", "a"].outcome == "waived"
    assert found["recall-drop", "b"].outcome == "failed"


def test_small_steps_add_up() -> None:
    """1.9 points a release: no step is beyond the margin, and the second one fails against the dense model."""
    releases = [audit(pruned=wrong(c0=(0, lost))) for lost in (19, 38)]
    found = judge(releases[1], releases[0], RECALL)
    assert found["recall-drop", "a, since the baseline"].outcome != "failed"
    assert found["recall-drop", "a"].outcome == "failed"


def test_what_got_worse_fails_though_the_dense_model_is_as_bad() -> None:
    """The old variant had learnt to do better than the dense model, and the new one forgot it again."""
    dense = wrong(c0=(0, 100))
    old, new = audit(dense=dense, pruned=LABELS), audit(dense=dense, pruned=wrong(c0=(0, 100)))
    found = judge(new, old, RECALL)
    assert found["recall-drop", "a"].outcome == "passed"
    assert found["recall-drop", "a, since the baseline"].outcome == "failed"


def test_the_same_audit_again_never_fails() -> None:
    old = audit(pruned=wrong(c0=(0, 150), c1=(0, 300)))
    assert old.comparisons[0].pruned.digest
    assert code(old, old) == 0
    assert code(old, old, rules.preset("strict")) == 0


def test_the_step_is_paired() -> None:
    """The counts from the old pruned model to the new one are those of their predictions side by side."""
    a, b = wrong(c0=(0, 150), c2=(5, 40)), wrong(c0=(100, 220), c3=(0, 9))
    settings = Settings(by=("site", "class,site"), cluster="film")
    new, old = audit(settings=settings, pruned=b), audit(settings=settings, pruned=a)
    assert new.samples is not None
    assert old.samples is not None
    step = side_by_side.step(new.comparisons[0], old.comparisons[0], new.samples, old.samples, Settings())
    expected = audit(settings=settings, dense=a, pruned=b).comparisons[0]
    for found, direct in zip(step.views, expected.views, strict=True):
        for column in ("both", "lost", "gained", "neither", "labelled"):
            np.testing.assert_array_equal(getattr(found.pair, column), getattr(direct.pair, column))
        assert found.pair.clusters == direct.pair.clusters
        assert found.measure("verdict") == direct.measure("verdict")
        assert found.measure("retention") == direct.measure("retention")


def test_it_reads_back_and_judges_alike() -> None:
    old, new = audit(pruned=wrong(c0=(0, 150))), audit(pruned=wrong(c0=(0, 250)))
    again = from_document(json.loads(json.dumps(to_document(old))))
    assert judge(new, again) == judge(new, old)


def test_both_are_judged_by_one_policy() -> None:
    """The old audit was measured with a wide margin; by today's it fails as well, and so is accepted."""
    old = audit(settings=Settings(margin=0.3, assure=0.4), pruned=wrong(c0=(0, 150)))
    assert code(audit(pruned=wrong(c0=(0, 150))), old, RECALL) == 0


def test_variants_are_matched_by_name() -> None:
    bad, good = wrong(c0=(0, 150)), LABELS
    old, new = audit(p50=good, p90=bad), audit(p50=bad, p90=bad, p95=good)
    judged = baseline.judge(new, old, RECALL, "old.json")
    outcomes = [
        {check.subject: check.outcome for check in comparison.checks if check.subject[0] in "am"}
        for comparison in judged.comparisons
    ]
    assert outcomes == [
        {"a": "failed", "a, since the baseline": "failed"},
        {"a": "waived", "a, since the baseline": "passed"},
        {"a": "passed", "model, since the baseline": "skipped"},
    ]
    with pytest.raises(AlignmentError, match=r"none of the variants is in old\.json: expected one of p50, p90"):
        baseline.judge(audit(x=good, y=good), old, RECALL, "old.json")


def test_what_is_exact_may_not_be_worse_at_all() -> None:
    def sparse(share: float) -> Audit:
        made = audit(pruned=LABELS)
        layer = Layer(name="w", kind="linear", shape=(1000,), nonzero=round(1000 * share), total=1000)
        pruned = replace(made.comparisons[0].pruned, layers=(layer,))
        return replace(made, comparisons=(replace(made.comparisons[0], pruned=pruned),))

    claim = Policy(name="claim", rules={"density": RuleSetting(limit=0.1)})
    assert code(sparse(0.2), sparse(0.2), claim) == 0
    assert code(sparse(0.21), sparse(0.2), claim) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_digest": "other"}, r"it differs in its data \(ids, labels or contents\)"),
        (
            {"preprocess": Preprocess(size=(8, 8))},
            "it differs in its preprocessing: expected size 8x8, /255, found none",
        ),
        ({"samples": 17}, "it differs in its samples: expected 17, found 4000"),
        ({"settings": Settings(cluster="film")}, "it differs in its clusters: expected film, found None"),
        ({"settings": Settings(weights={"a": 1.0})}, "it differs in its weights"),
        ({"limited": True}, "the baseline saw a sample of the data"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, object], message: str) -> None:
    new = audit(pruned=LABELS)
    old = replace(new, provenance=replace(new.provenance, **change))  # type: ignore[arg-type]  # fields as they are
    with pytest.raises(AlignmentError, match=message) as caught:
        baseline.judge(new, old, POLICY, "old.json")
    assert caught.value.hint


def test_other_classes_models_views_and_old_documents_are_refused() -> None:
    new = audit(pruned=LABELS)
    with pytest.raises(AlignmentError, match="does not say which samples"):
        baseline.judge(new, replace(new, samples=None), POLICY, "old.json")
    with pytest.raises(AlignmentError, match="it differs in its dense model"):
        baseline.judge(new, audit(dense=wrong(c0=(0, 1)), pruned=LABELS), POLICY, "old.json")
    with pytest.raises(AlignmentError, match=r"differs in its groups \(--by\): expected class; site, found class\n"):
        baseline.judge(new, audit(settings=Settings(by=("site",)), pruned=LABELS), POLICY, "old.json")
    view = new.comparisons[0].views[0]
    renamed = replace(view, pair=replace(Pair.of([(1, 0, 0, 0)], strata=["z"])))
    other = replace(new, comparisons=(replace(new.comparisons[0], views=(renamed,)),))
    by_site = audit(settings=Settings(by=("site",)), pruned=LABELS)
    classes, sites = by_site.comparisons[0].views
    moved = replace(sites, pair=replace(sites.pair, strata=("elsewhere", *sites.strata[1:])))
    there = replace(by_site, comparisons=(replace(by_site.comparisons[0], views=(classes, moved)),))
    with pytest.raises(AlignmentError, match=f"names of groups: expected elsewhere, found {sites.strata[0]}\n"):
        baseline.judge(by_site, there, POLICY, "old.json")
    with pytest.raises(AlignmentError, match="it differs in its classes: expected z, found a, b, c, d"):
        baseline.judge(new, other, POLICY, "old.json")


def test_the_golden_sample_models(sample_models: Path) -> None:
    from prune_audit import audit as story
    from prune_audit.core import DataSource, ModelSource

    def run(name: str) -> Audit:
        dense, pruned = (ModelSource(name=n, path=sample_models / f"{n}.onnx") for n in ("dense", name))
        return story.run(dense, [pruned], DataSource(path=sample_models / "val"), Settings())

    half, most = run("pruned-50"), run("pruned-90")
    assert baseline.judge(most, half, POLICY, "half").exit_code == 1
    assert baseline.judge(most, most, POLICY, "most").exit_code == 0
    assert baseline.judge(half, most, POLICY, "most").exit_code == 0


def test_a_baseline_that_failed_lets_nothing_creep() -> None:
    """Whoever accepts a failure accepts it at what it is: the next 1.9 points are within the margin, and fail."""
    releases = [audit(pruned=wrong(c0=(0, lost))) for lost in (38, 57, 76, 95)]
    for old, new in itertools.pairwise(releases):
        assert judge(new, old, RECALL)["recall-drop", "a, since the baseline"].outcome != "failed"
        assert judge(new, old, RECALL)["recall-drop", "a"].outcome == "failed"


def test_a_floor_that_no_step_judges_does_not_creep_either() -> None:
    floor = Policy(name="floor", rules={"worst-class-recall": RuleSetting(limit=0.9)})
    assert code(audit(pruned=wrong(c0=(0, 300))), audit(pruned=wrong(c0=(0, 300))), floor) == 0
    assert code(audit(pruned=wrong(c0=(0, 600))), audit(pruned=wrong(c0=(0, 300))), floor) == 1


def test_alpha_may_not_lie_beyond_what_it_was() -> None:
    """One model's accuracy stays what it is, and its classes part further: the better ones win what the others lose."""
    dense = wrong(c0=(0, 400), c1=(0, 350), c2=(0, 200), c3=(0, 150))
    little = wrong(c0=(0, 500), c1=(0, 450), c2=(0, 100), c3=(0, 50))
    much = wrong(c0=(0, 550), c1=(0, 500), c2=(0, 50))
    alpha = Policy(name="alpha", rules={"alpha": RuleSetting(limit=1.1)})
    old, new = audit(dense=dense, pruned=little), audit(dense=dense, pruned=much)
    assert gate.judge(old, alpha).exit_code == 1
    assert code(old, old, alpha) == 0
    assert code(new, old, alpha) == 1


def test_the_step_knows_what_each_model_predicts() -> None:
    """What is named, right or wrong, decides whether a model collapsed."""
    a, b = wrong(c0=(0, 150)), wrong(c0=(100, 220), c3=(0, 9))
    new, old = audit(pruned=b), audit(pruned=a)
    assert new.samples is not None
    assert old.samples is not None
    step = side_by_side.step(new.comparisons[0], old.comparisons[0], new.samples, old.samples, Settings()).views[0].pair
    direct = audit(dense=a, pruned=b).comparisons[0].views[0].pair
    np.testing.assert_array_equal(step.dense_predicted, direct.dense_predicted)
    np.testing.assert_array_equal(step.pruned_predicted, direct.pruned_predicted)


def test_other_groups_and_a_dense_model_fed_otherwise_are_refused() -> None:
    made = audit(settings=Settings(by=("site",), cluster="film"), pruned=LABELS)
    samples = made.samples
    assert samples is not None
    assert samples.cluster is not None
    swapped = {**samples.strata, "site": 1 - samples.strata["site"]}
    right = {**samples.right, "dense": np.arange(len(LABELS)) >= 5}
    for changed, message in [
        (replace(samples, strata=swapped), "its groups by site hold other samples"),
        (replace(samples, cluster=samples.cluster[::-1].copy()), "its clusters hold other samples"),
        (replace(samples, right=right), r"found 0\.12 % that differ"),
    ]:
        with pytest.raises(AlignmentError, match=message):
            baseline.judge(made, replace(made, samples=changed), POLICY, "old.json")
    rounded = replace(samples, right={**samples.right, "dense": np.arange(len(LABELS)) >= 4})
    assert baseline.judge(made, replace(made, samples=rounded), POLICY, "old.json").exit_code == 0


@given(st.data())
def test_every_step_counts_as_predictions_side_by_side_do(data: st.DataObject) -> None:
    """Through the document and back, by class and group, crossed or not, with clusters that cut across them."""
    number = data.draw(st.integers(1, 30))

    def some(most: int) -> Array:
        return np.array(data.draw(st.lists(st.integers(0, most), min_size=number, max_size=number)))

    labels, dense, old, new = some(2), some(2), some(2), some(2)
    groups = {"site": some(1), "film": some(5)}
    settings = Settings(by=("site", "class,site"), cluster="film")

    def pairs(before: Array, after: Array) -> Audit:
        outputs = (Outputs(name="dense", predicted=before), Outputs(name="pruned", predicted=after))
        made = Predictions(
            classes=("a", "b", "c"), ids=tuple(map(str, range(number))), labels=labels, models=outputs, groups=groups
        )
        comparisons = [
            View(pair=classification.pair(made, "dense", "pruned", by, "film"), measures=())
            for by in ("class", *settings.by)
        ]
        comparison = Comparison(
            dense=replace(CARD, name="dense"), pruned=replace(CARD, name="pruned"), views=tuple(comparisons)
        )
        kept = classification.samples(made, ("class", *settings.by), "film")
        return Audit(
            comparisons=(comparison,),
            provenance=Provenance(data="d", data_digest="0", samples=number, available=number),
            samples=kept,
        )

    last = from_document(json.loads(json.dumps(to_document(pairs(dense, old)))))
    now, expected = pairs(dense, new), pairs(old, new).comparisons[0]
    assert now.samples is not None
    assert last.samples is not None
    was, right = last.samples.right["pruned"], now.samples.right["pruned"]
    for view, before, direct in zip(now.comparisons[0].views, last.comparisons[0].views, expected.views, strict=True):
        found = side_by_side._pair(view.pair, before.pair, now.samples, was, right, same=False)
        assert replace(found, moves=direct.pair.moves) == direct.pair


def test_a_step_is_of_the_task_of_the_audit_and_collapses_by_no_guess_where_nobody_guesses() -> None:
    """A model that is never right any more: it collapsed where classes are to be chosen, not where boxes are found."""
    gone = (LABELS + 1) % CLASSES
    for task, told in ((CLASSIFICATION, "yes"), (detection.TASK, None)):
        new, old = (
            replace(comparison, views=tuple(replace(v, pair=replace(v.pair, task=task)) for v in comparison.views))
            for comparison in (audit(pruned=gone).comparisons[0], audit(pruned=LABELS).comparisons[0])
        )
        samples = [made.samples for made in (audit(pruned=gone), audit(pruned=LABELS))]
        assert samples[0] is not None
        assert samples[1] is not None
        view = side_by_side.step(new, old, samples[0], samples[1], Settings()).views[0]
        assert view.pair.task == task
        assert view.measure("collapsed").overall == told

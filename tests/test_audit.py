"""The story of an audit, on the sample models and on predictions by hand."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from prune_audit import audit, models, plugins, rules, runners
from prune_audit.core import (
    Audit,
    DataSource,
    Expects,
    Floats,
    Input,
    Measure,
    ModelCard,
    ModelSource,
    Outputs,
    Policy,
    Predictions,
    RuleSetting,
    Settings,
)
from prune_audit.data import arrays
from prune_audit.document import from_document, to_document
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.evaluate import pin
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.loop import Progress
from prune_audit.evaluate.pin import Pins
from prune_audit.gate import judge
from prune_audit.tasks import classification

SEEN = Settings(plausibility=False)
RNG = np.random.default_rng(11)
LABELS = RNG.integers(0, 4, 500)
DENSE = np.where(RNG.random(500) < 0.9, LABELS, (LABELS + 1) % 4)
# Class 3 loses a third of its recall, the others next to nothing.
PRUNED = np.where((LABELS == 3) & (RNG.random(500) < 0.35), 0, DENSE)
PREDICTIONS = Predictions(
    classes=("cat", "dog", "hen", "owl"),
    ids=tuple(f"s{i}" for i in range(500)),
    labels=LABELS,
    models=(Outputs(name="dense", predicted=DENSE), Outputs(name="pruned", predicted=PRUNED)),
)


def sources(folder: Path, *names: str) -> list[ModelSource]:
    return [models.parse(str(folder / name)) for name in names]


def compare(folder: Path, dense: str, *pruned: str, settings: Settings | None = None) -> Audit:
    first, *rest = sources(folder, dense, *pruned)
    return audit.run(first, rest, DataSource(path=folder / "val"), settings or Settings())


def floats(measure: Measure) -> Floats:
    return np.array(measure.by_stratum, float)


class Far:
    """A runner that gives parts to another place: what it is given is pickled, and a part may be done twice."""

    ELSEWHERE = True

    @staticmethod
    def run(parts: Any, read: Any, tasks: Any, take: Any, workers: int) -> None:
        there = pickle.loads(pickle.dumps(read))
        for part in parts:
            there(part)  # whose result is lost
            for task, give in zip(tasks(pickle.loads(pickle.dumps(there(part)))), take, strict=True):
                give(task())


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    load = plugins.load
    monkeypatch.setattr(
        plugins, "load", lambda room, name: Far if (room, name) == ("runners", "far") else load(room, name)
    )
    monkeypatch.setattr(audit, "_AT_WORK", [])


@pytest.mark.usefixtures("far")
def test_a_pass_that_is_done_elsewhere_is_that_of_one_machine_under_the_same_pin(
    sample_models: Path, tmp_path: Path
) -> None:
    dense, *pruned = sources(sample_models, "dense.onnx", "pruned-90.onnx")
    data, pins = DataSource(path=sample_models / "val"), Pins(file=tmp_path / "pin.json")
    store, told = Store(tmp_path / "kept"), list[tuple[int, int]]()

    def progress(_: str) -> Progress:
        return lambda done, of: told.append((done, of))

    settings = Settings(threads=1, batch_size=16, plausibility=False)
    far = replace(settings, runner="far")
    there = audit.run(dense, pruned, data, far, pins=pins, store=store, progress=progress)
    assert told[-1] == (1078, 1078)
    assert len(told) > 4
    here = audit.run(dense, pruned, data, settings, pins=pins)
    one, two = (replace(done, provenance=replace(done.provenance, run={})) for done in (here, there))
    assert to_document(one) == to_document(two)
    again = audit.run(dense, pruned, data, settings, pins=pins, store=store)  # what came back was kept
    assert again.provenance.run["known before, dense"] == 1078


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("strict", [True, False])
def test_a_machine_that_is_another_is_refused_by_what_differs(
    sample_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    """Its processor counts where the run was pinned by somebody."""
    kinds = iter([("One CPU", "avx"), ("Other CPU", "avx")])
    monkeypatch.setattr(pin, "processor", lambda: next(kinds))
    dense, *pruned = sources(sample_models, "dense.onnx", "pruned-90.onnx")
    settings = Settings(threads=1, batch_size=16, plausibility=False, limit=330, runner="far")
    pins = Pins(file=tmp_path / "pin.json") if strict else None

    def run() -> Audit:
        return audit.run(dense, pruned, DataSource(path=sample_models / "val"), settings, pins=pins)

    if strict:
        with pytest.raises(
            UsageError, match="is not as the run that it works for: processor is One CPU, and there Oth"
        ):
            run()
    else:
        assert run().provenance.samples == 330


def test_what_is_known_leaves_its_cores_to_the_others(
    few_arrays: Path, sample_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, given = models.load, dict[str, int | None]()

    def noted(source: ModelSource, settings: Settings, store: Store | None) -> Any:
        given[source.name] = settings.threads
        return load(source, settings, store)

    monkeypatch.setattr(models, "load", noted)
    monkeypatch.setattr(runners, "cores", lambda: 6)
    dense, pruned, variant = sources(sample_models, "dense.onnx", "pruned-90.onnx", "pruned-50.onnx")
    store = Store(tmp_path / "kept")

    def run(*variants: ModelSource, settings: Settings = SEEN, **more: Any) -> list[int | None]:
        given.clear()
        audit.run(dense, variants, DataSource(path=few_arrays), settings, store=store, **more)
        return [given.pop(each.name) for each in (dense, *variants)]

    assert run(pruned) == [3, 3]
    assert run(pruned, variant) == [2, 2, 6]
    assert run(pruned, variant) == [2, 2, 2]  # any of them may lack samples
    other = onnx.load(dense.path)
    other.producer_name = "another file of the same network"
    onnx.save(other, tmp_path / "other.onnx")
    [fresh] = sources(tmp_path, "other.onnx")
    assert run(fresh, settings=replace(SEEN, threads=4)) == [4, 4]
    other.producer_name = "and another"
    onnx.save(other, fresh.path)
    assert run(fresh, pins=Pins(file=tmp_path / "pin.json")) == [3, 3]


@pytest.mark.usefixtures("far")
def test_what_is_in_memory_is_nowhere_else(sample_models: Path) -> None:
    data = arrays(np.zeros((4, 3)), np.array([0, 1, 0, 1]))
    dense, pruned = sources(sample_models, "dense.onnx", "pruned-90.onnx")
    with pytest.raises(UsageError, match="in memory are on no other machine"):
        audit.run(dense, [pruned], data, Settings(runner="far"))


def test_counts_are_scikit_learns(sample_models: Path) -> None:
    done = audit.from_predictions(PREDICTIONS, "dense", ["pruned"], Settings())
    view = done.comparisons[0].view()
    for model, name in ((DENSE, "dense_recall"), (PRUNED, "pruned_recall")):
        np.testing.assert_allclose(floats(view.measure(name)), recall_score(LABELS, model, average=None))
        assert view.measure(name).overall == (model == LABELS).mean()
    joint = confusion_matrix(DENSE == LABELS, PRUNED == LABELS)
    assert [view.pair.neither.sum(), view.pair.gained.sum(), view.pair.lost.sum(), view.pair.both.sum()] == [
        *joint.ravel().tolist()
    ]


def test_a_class_that_lost_much_is_convicted_and_the_gate_fails() -> None:
    done = audit.from_predictions(PREDICTIONS, "dense", ["pruned"], Settings(), policy=rules.default_policy())
    verdicts = done.comparisons[0].view().measure("verdict").by_stratum
    assert verdicts[3] == "regressed"
    assert "regressed" not in verdicts[:3]
    assert (done.outcome, done.exit_code) == ("failed", 1)
    assert {c.subject for c in done.comparisons[0].checks if c.outcome == "failed"} >= {"owl"}


def test_no_policy_is_no_gate() -> None:
    done = audit.from_predictions(PREDICTIONS, "dense", ["pruned"], Settings())
    assert (done.outcome, done.exit_code) == ("skipped", 0)


def test_judging_at_another_margin_measures_again_from_the_counts() -> None:
    wide = Policy(name="wide", rules={"recall-drop": RuleSetting(limit=0.5)})
    fresh = audit.from_predictions(PREDICTIONS, "dense", ["pruned"], Settings(margin=0.5, assure=0.6))
    base = audit.from_predictions(PREDICTIONS, "dense", ["pruned"], Settings(assure=0.6))
    judged = judge(from_document(json.loads(json.dumps(to_document(base)))), wide)
    assert judged.comparisons[0].views == fresh.comparisons[0].views
    assert judged.provenance.settings.margin == 0.5
    assert judged.outcome == "passed"


def test_flips_are_listed_lost_ones_first() -> None:
    comparison = audit.from_predictions(PREDICTIONS, "dense", ["pruned"], Settings()).comparisons[0]
    lost = (DENSE == LABELS) & (PRUNED != LABELS)
    assert comparison.flipped == ((DENSE == LABELS) != (PRUNED == LABELS)).sum()
    assert [flip.id for flip in comparison.flips[: lost.sum()]] == [f"s{i}" for i in np.flatnonzero(lost)]


def test_every_format_of_one_network_predicts_alike(sample_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample_models.parent)
    factory = "@sample_models.make:network"
    variants = ["dense.onnx", "dense.pt2", f"dense.pth{factory}", f"dense.safetensors{factory}"]
    done = compare(sample_models, "dense.pt", *variants)
    assert [c.pruned.format for c in done.comparisons] == ["ONNX", "torch.export", "torch.save", "safetensors"]
    for comparison in done.comparisons:
        pair = comparison.view().pair
        assert len(pair.moves) == 0
        assert pair.identical
        assert comparison.pruned.density == comparison.dense.density == 1


def test_the_sample_models_agree_with_numpy_and_scikit_learn(sample_models: Path) -> None:
    import onnxruntime
    from PIL import Image

    files = sorted((sample_models / "val").glob("*/*.png"), key=lambda p: (int(p.parent.name), p.name))
    x = np.stack([np.asarray(Image.open(f), np.float32) for f in files])[:, None] / np.float32(255)
    y = np.array([int(f.parent.name) for f in files])
    right = {}
    for name in ("dense", "pruned-90"):
        session = onnxruntime.InferenceSession(sample_models / f"{name}.onnx")
        predicted = session.run(None, {session.get_inputs()[0].name: x})[0].argmax(1)
        right[name] = predicted == y
    pair = compare(sample_models, "dense.pt", "pruned-90.pt").comparisons[0].view().pair
    a, b = right["dense"], right["pruned-90"]
    for found, wanted in ((pair.both, a & b), (pair.lost, a & ~b), (pair.gained, ~a & b), (pair.neither, ~a & ~b)):
        np.testing.assert_array_equal(found, np.bincount(y[wanted], minlength=10))


def test_the_sample_shows_the_effect(sample_models: Path) -> None:
    done = compare(sample_models, "dense.onnx", "pruned-50.onnx", "pruned-90.onnx")
    half, tenth = (c.view() for c in done.comparisons)
    assert "regressed" not in half.measure("verdict").by_stratum
    change = tenth.measure("change")
    assert isinstance(change.overall, float)
    assert -0.05 < change.overall < 0
    assert min(v for v in change.by_stratum if isinstance(v, float)) < -0.25
    assert {"regressed", "cannot tell"} <= set(tenth.measure("verdict").by_stratum)
    assert tenth.measure("distortion").by_stratum[8] == "intensified"


def test_a_model_against_itself_has_changed_nothing(sample_models: Path) -> None:
    done = judge(compare(sample_models, "dense.onnx", "dense.onnx"), rules.default_policy())
    comparison = done.comparisons[0]
    view = comparison.view()
    assert comparison.pruned.name != comparison.dense.name
    assert set(view.measure("change").by_stratum) == {0.0}
    assert set(view.measure("p_value").by_stratum) == {1.0}
    assert view.measure("intensification").overall == pytest.approx(1)
    assert set(view.measure("verdict").by_stratum) == {"fine"}
    assert done.outcome == "passed"
    assert any("same file" in note for note in done.provenance.notes)


def test_equal_predictions_are_not_one_model() -> None:
    """That nothing flipped here does not prove that nothing can: 3 samples rule out no drop of 5 points."""
    few = Predictions(
        classes=("a", "b"),
        ids=tuple("012345"),
        labels=np.array([0, 0, 0, 1, 1, 1]),
        models=tuple(Outputs(name=name, predicted=np.array([0, 0, 0, 1, 1, 1])) for name in ("dense", "pruned")),
    )
    view = audit.from_predictions(few, "dense", ["pruned"], Settings()).comparisons[0].view()
    assert set(view.measure("verdict").by_stratum) == {"cannot tell"}


def recorded_twice(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two files of the same 9 right predictions, and their labels."""
    rows = [f"s{i},{'abc'[i % 3]}" for i in range(9)]
    for name, head in (("labels", "id,label"), ("dense", "id,predicted"), ("phone", "id,predicted")):
        (tmp_path / f"{name}.csv").write_text("\n".join([head, *rows, ""]))
    return tmp_path / "dense.csv", tmp_path / "phone.csv", tmp_path / "labels.csv"


def test_equal_files_of_predictions_are_not_one_model(tmp_path: Path) -> None:
    dense, phone, labels = recorded_twice(tmp_path)
    sources = [ModelSource(name=path.stem, path=path) for path in (dense, phone)]
    done = audit.run(sources[0], sources[1:], DataSource(path=labels), Settings())
    change = done.comparisons[0].view().measure("change")
    assert not done.comparisons[0].view().pair.same_model
    assert all(low is not None and low < -0.2 for low in change.low)
    assert any("byte for byte" in note for note in done.provenance.notes)
    phone.write_text("\n".join(["id,predicted", *reversed(phone.read_text().split()[1:]), ""]))
    other = audit.run(sources[0], sources[1:], DataSource(path=labels), Settings())
    assert other.comparisons[0].view() == done.comparisons[0].view()
    assert not any("byte for byte" in note for note in other.provenance.notes)


def test_one_file_under_two_factories_is_two_models() -> None:
    card = ModelCard(name="m", path="m", format="f", digest="d", size=0, factory="nets:full")
    assert card.same_as(replace(card, name="n"))
    assert not card.same_as(replace(card, factory="nets:cut"))


def test_every_check_says_its_limit() -> None:
    done = audit.from_predictions(PREDICTIONS, "dense", ["pruned"], Settings(), policy=rules.default_policy())
    limits = {check.rule: check.limit for check in done.comparisons[0].checks}
    assert (limits["recall-drop"], limits["harmed"], limits["accuracy-drop"]) == (0.02, 0.95, 0.02)
    assert done.policy == rules.default_policy()


def test_two_runs_are_equal_but_for_their_timings(sample_models: Path) -> None:
    first, second = (compare(sample_models, "dense.onnx", "pruned-90.onnx") for _ in range(2))
    assert replace(first, provenance=replace(first.provenance, run={})) == replace(
        second, provenance=replace(second.provenance, run={})
    )


def test_a_limited_sample_is_stratified_seeded_and_never_gates(sample_models: Path) -> None:
    settings = Settings(limit=100)
    done = judge(compare(sample_models, "dense.onnx", "pruned-90.onnx", settings=settings), rules.default_policy())
    support = done.comparisons[0].view().pair.support
    assert support.sum() == 100
    assert set(support.tolist()) <= {9, 10, 11}
    assert done.provenance.limited
    assert (done.outcome, done.exit_code) == ("skipped", 0)
    again = compare(sample_models, "dense.onnx", "pruned-90.onnx", settings=settings)
    other = compare(sample_models, "dense.onnx", "pruned-90.onnx", settings=replace(settings, seed=1))
    assert again.provenance.data_digest == done.provenance.data_digest != other.provenance.data_digest


def test_models_of_one_stem_get_names_that_differ(sample_models: Path) -> None:
    done = compare(sample_models, "dense.onnx", "dense.pt", "dense.pt")
    names = [done.comparisons[0].dense.name, *(c.pruned.name for c in done.comparisons)]
    assert names == ["dense", "dense.pt", "dense-2"]


@pytest.mark.parametrize("variants", [["a=pruned-50.onnx", "a=pruned-90.onnx"], ["dense=pruned-50.onnx"]])
def test_a_name_that_somebody_chose_is_never_changed(variants: list[str], sample_models: Path) -> None:
    named = [replace(models.parse(v), path=sample_models / v.partition("=")[2]) for v in variants]
    with pytest.raises(UsageError, match="two models are called"):
        audit.run(models.parse(str(sample_models / "dense.onnx")), named, DataSource(path=Path("val")), Settings())


def test_no_variant_is_a_usage_error(sample_models: Path) -> None:
    with pytest.raises(UsageError, match="at least one pruned model"):
        compare(sample_models, "dense.onnx")


def test_models_that_declare_different_things_do_not_fit() -> None:
    with pytest.raises(AlignmentError, match="size of a 32x32, of b 64x64"):
        audit.merge([("a", Expects(size=(32, 32))), ("c", Expects()), ("b", Expects(size=(64, 64)))])
    with pytest.raises(AlignmentError, match=r"classes of a 2 names \(x, y\), of b 2 names \(y, x\)"):
        audit.merge([("a", Expects(classes=("x", "y"))), ("b", Expects(classes=("y", "x")))])


def test_what_one_model_leaves_open_another_declares() -> None:
    named = (Input(name="ids"), Input(name="mask"))
    merged = audit.merge([("a", Expects(channels=3)), ("b", Expects(outputs=10, inputs=named))])
    assert (merged.channels, merged.outputs, merged.inputs) == (3, 10, named)


def test_data_feed_models_where_at_least_one_runs() -> None:
    recorded = Expects(runs=False)
    assert audit.merge([("a", recorded), ("b", Expects())]).runs
    assert not audit.merge([("a", recorded), ("b", recorded)]).runs


def test_published_predictions_agree_with_scikit_learn(shared: Path) -> None:
    folder = shared / "cifar10.1-v4-predictions"
    labels = np.load(folder / "labels.npy").astype(np.int64)
    files = sorted(folder.glob("*.json"))
    outputs = tuple(Outputs(name=f.stem, predicted=np.array(json.loads(f.read_text()), np.int64)) for f in files)
    assert len(outputs) == 30
    predictions = Predictions(
        classes=tuple("0123456789"), ids=tuple(map(str, range(len(labels)))), labels=labels, models=outputs
    )
    first, *rest = outputs
    done = audit.from_predictions(predictions, first.name, [o.name for o in rest], Settings())
    for comparison, other in zip(done.comparisons, rest, strict=True):
        view = comparison.view()
        a, b = first.predicted == labels, other.predicted == labels
        for found, wanted in ((view.pair.both, a & b), (view.pair.lost, a & ~b), (view.pair.gained, ~a & b)):
            np.testing.assert_array_equal(found, np.bincount(labels[wanted], minlength=10))
        np.testing.assert_allclose(
            floats(view.measure("pruned_recall")), recall_score(labels, other.predicted, average=None), rtol=1e-15
        )


def test_where_flips_are_too_many_every_class_has_its_share() -> None:
    labels = np.array([0] * 50 + [1] * 3 + [2] * 1)
    predictions = Predictions(
        classes=("a", "b", "c"),
        ids=tuple(map(str, range(54))),
        labels=labels,
        models=(Outputs(name="d", predicted=labels), Outputs(name="p", predicted=(labels + 1) % 3)),
    )
    flips, flipped = classification.flips(predictions, "d", "p", 6)
    assert [flip.id for flip in flips] == ["0", "1", "2", "50", "51", "53"]
    assert flipped == 54


def test_thumbnails_are_kept_for_reports_without_data(sample_models: Path) -> None:
    sources = [ModelSource(name=name, path=sample_models / f"{name}.onnx") for name in ("dense", "pruned-90")]
    done = audit.run(sources[0], sources[1:], DataSource(path=sample_models / "val"), Settings(), thumbnails=1)
    flips = done.comparisons[0].flips
    flows = {(flip.label, flip.dense, flip.pruned) for flip in flips}
    assert sum(flip.thumbnail is not None for flip in flips) == len(flows) > 3

"""The document of an audit: reads back equal, fits its schema, and says where it is broken."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from prune_audit.core import Audit, Counted, FalseCounts, Flip, Measure, Pair, Policy, Preprocess, Settings, Task, View
from prune_audit.document import SCHEMA_FILE, __main__, from_document, read_audit, schema, to_document
from prune_audit.errors import InputError
from tests.reports import audits

ALL = {
    "ten": audits.ten,
    "two": lambda: audits.audit(audits.TWO),
    "judged": audits.judged,
    "identical": audits.identical,
    "thousand": audits.thousand,
    "several": audits.several,
    "limited": audits.limited,
    "settled": audits.settled,
    "everything": audits.everything,
}


def closed(schema: Any) -> Any:
    """``schema`` with every object closed to keys that it does not describe."""
    if isinstance(schema, dict):
        inner = {key: closed(value) for key, value in schema.items()}
        return {"additionalProperties": False, **inner} if "properties" in inner and "type" in inner else inner
    return [closed(entry) for entry in schema] if isinstance(schema, list) else schema


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(closed(schema))


def test_the_schema_is_what_the_codec_says() -> None:
    """`python -m prune_audit.document` writes it anew."""
    assert SCHEMA_FILE.read_text(encoding="utf-8") == __main__.whole()


def test_the_schema_is_written_as_it_reads() -> None:
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    assert json.loads(text) == schema()
    assert max(map(len, text.splitlines())) < 300  # a sentence that says what a key is may be longer than a line


def test_what_came_later_is_not_required() -> None:
    """An audit that was written before there were such keys is read, so it fits the schema, too."""
    document = json.loads(json.dumps(to_document(ALL["ten"]())))
    for key in ("baseline", "samples"):
        del document[key]
    for key in ("scores", "plausibility"):
        del document["provenance"]["settings"][key]
    assert from_document(document)
    assert Draft202012Validator(schema()).is_valid(document)
    del document["provenance"]["settings"]["margin"]
    assert not Draft202012Validator(schema()).is_valid(document)


@pytest.mark.parametrize("name", ALL)
def test_reads_back_equal(name: str) -> None:
    audit = ALL[name]()
    assert from_document(json.loads(json.dumps(to_document(audit), allow_nan=False))) == audit


@pytest.mark.parametrize("name", ALL)
def test_fits_its_schema_without_undescribed_keys(name: str, validator: Draft202012Validator) -> None:
    document = json.loads(json.dumps(to_document(ALL[name]())))
    assert [error.message for error in validator.iter_errors(document)] == []


# Where models ran, which changes no number, so that an audit is the same wherever they did.
# What most audits say nothing of.
OF_TASKS: dict[str, Any] = {
    "task": "boxes", "metric": "acc", "class_by": "subject",
    "operating_point": "precision", "score": 0.25, "iou": 0.75, "overlap": "masks",
    "max_detections": 10, "scheme": "bioes",
}  # fmt: skip
NOT_WRITTEN = ("named", "isolate", "memory", "sample_timeout", "runner", "of_runner")


def test_every_field_reaches_the_document() -> None:
    """A field that the document forgot would come back as its default, so none may be at it here."""
    audit = audits.everything()
    plain = Audit(comparisons=audit.comparisons, provenance=audits.provenance(1))
    pairs: tuple[tuple[Any, Any], ...] = (
        (audit.provenance.settings, plain.provenance.settings),
        (audit.provenance.preprocess, Preprocess()),
        (audit.provenance, plain.provenance),
        (audit.policy, Policy(name="", rules={})),
        (audit, plain),
    )
    for now, default in pairs:
        same = {name for name in now.__dataclass_fields__ if getattr(now, name) == getattr(default, name)}
        # What cannot be had together with the rest: `test_a_sequential_audit_reaches_the_document`, and
        # `test_an_audit_of_another_task_reaches_the_document`.
        assert same <= {
            "data",
            "data_digest",
            "versions",
            "comparisons",
            "until_settled",
            *OF_TASKS,
            *NOT_WRITTEN,
        }
    assert from_document(to_document(audit)) == audit


def test_an_audit_of_another_task_reaches_the_document() -> None:
    audit = audits.ten()
    assert "task" not in to_document(audit)["comparisons"][0]["views"][0]  # so that what was written stays as it is
    task = Task(name="boxes", thing=("box", "boxes"), lacks={"scores": "none are kept"}, missed="missed")
    view = audit.comparisons[0].views[0]
    others = Counted(**{name: getattr(view.pair, name) for name in ("both", "lost", "gained", "neither")})
    strata = np.arange(len(view.strata))
    false = FalseCounts.of(len(strata), 5 * [(strata, strata % 3)], np.full((len(strata), 2), 0.5))
    pair = replace(view.pair, task=task, negatives=others, false=false, chosen=np.full(len(strata) + 1, 1e-4))
    flip = Flip(id="q1", label="4", dense="4", pruned="5", asked="2 + 2", right="dense")
    comparison = replace(audit.comparisons[0], views=(replace(view, pair=pair),), flips=(flip,))
    settings = replace(audit.provenance.settings, **OF_TASKS)
    changed = replace(audit, comparisons=(comparison,), provenance=replace(audit.provenance, settings=settings))
    document = json.loads(json.dumps(to_document(changed)))
    assert from_document(document) == changed
    assert Draft202012Validator(schema()).is_valid(document)
    document["comparisons"][0]["views"][0]["negatives"]["lost"].append(1)
    with pytest.raises(InputError, match=r"negatives\.lost: expected a list"):
        from_document(document)
    document = to_document(changed)
    document["comparisons"][0]["views"][0]["false"]["sums"].append([1, 1, 1, 1, 1])
    with pytest.raises(InputError, match=r"false\.sums: expected a list of 11"):
        from_document(document)


def test_a_sequential_audit_reaches_the_document() -> None:
    audit = audits.settled()
    again = from_document(json.loads(json.dumps(to_document(audit))))
    assert again == audit
    assert again.provenance.settings.until_settled
    assert again.samples is not None
    assert again.samples.seen is not None
    assert again.comparisons[0].view().pair.drawn_from is not None
    unseen = replace(audit, samples=replace(again.samples, seen=again.samples.seen[::-1]))
    assert again != unseen


@pytest.mark.parametrize(
    ("value", "said"), [([1], "drawn_from: expected a list of 5"), ([1] * 5, "expected no fewer samples than were run")]
)
def test_there_were_as_many_samples_as_were_run(value: list[int], said: str) -> None:
    with pytest.raises(InputError) as caught:
        from_document(broken("comparisons", 0, "views", 0, "drawn_from", value=value, of=audits.settled()))
    assert said in caught.value.message


def test_an_audit_that_differs_in_one_count_is_not_equal() -> None:
    document = to_document(audits.ten())
    document["comparisons"][0]["views"][0]["lost"][3] += 1
    assert from_document(document) != audits.ten()


finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63) + 1, 2**63 - 1)
values = {  # by unit
    "label": st.none() | st.text(max_size=5),
    "count": st.none() | whole,
    **dict.fromkeys(("share", "points", "p", "ratio"), st.none() | whole | finite),
}
counts = st.tuples(*[st.integers(0, 10**12)] * 4)


@st.composite
def some_audits(draw: st.DrawFn) -> Audit:
    table = draw(st.lists(counts, min_size=1, max_size=4))
    size = len(table)
    measures = []
    for unit in draw(st.lists(st.sampled_from(list(values)), max_size=3)):
        columns = st.lists(values[unit], min_size=size, max_size=size).map(tuple)
        measure = st.builds(
            Measure,
            name=st.text(max_size=5),
            title=st.text(max_size=5),
            unit=st.just(unit),
            by_stratum=st.one_of(st.just(()), columns),
            low=st.one_of(st.just(()), st.lists(st.none() | finite, min_size=size, max_size=size).map(tuple)),
            absent=st.dictionaries(st.integers(0, size - 1), st.text(max_size=5)),
            overall=values[unit],
            overall_high=st.none() | finite,
            overall_absent=st.none() | st.text(max_size=5),
        )
        measures.append(draw(measure))
    names = [str(i) for i in range(size)]
    rows = [(name, row, None, None) for name, row in zip(names, table, strict=True)]
    audit = audits.audit(audits.TEN)
    pair = replace(
        Pair.of([row[1] for row in rows], strata=names),
        moves=np.array(
            draw(st.lists(st.tuples(*[st.integers(0, size - 1)] * 3, st.integers(1, 9)), max_size=3))
        ).reshape(-1, 4),
    )
    comparison = replace(audit.comparisons[0], views=(View(pair=pair, measures=tuple(measures)),))
    return replace(audit, comparisons=(comparison,))


@given(some_audits())
def test_any_audit_reads_back_equal(audit: Audit) -> None:
    assert from_document(json.loads(json.dumps(to_document(audit), allow_nan=False))) == audit


def broken(*path: str | int, value: Any, of: Audit | None = None) -> Any:
    """The document ``of`` an audit, or of ten classes, with ``value`` at ``path``; Ellipsis removes the key."""
    document = copy.deepcopy(to_document(of or audits.judged()))
    inner = document
    for step in path[:-1]:
        inner = inner[step]  # type: ignore[index]  # the path is right by construction
    if value is ...:
        del inner[path[-1]]  # type: ignore[arg-type]  # likewise
    else:
        inner[path[-1]] = value  # type: ignore[index]  # likewise
    return document


VIEW = ("comparisons", 0, "views", 0)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (broken("provenance", value=...), "'provenance' is missing"),
        (broken("provenance", "samples", value="many"), "provenance.samples: expected a count, found 'many'"),
        (broken("provenance", "samples", value=-1), "provenance.samples: expected a count, found -1"),
        (broken("provenance", "limited", value=1), "provenance.limited: expected true or false, found 1"),
        (broken("provenance", "settings", "seed", value=True), "provenance.settings.seed: expected a whole number"),
        (broken("provenance", "settings", "confidence", value=7), "provenance.settings: confidence must be"),
        (
            broken("provenance", "preprocess", "size", value=[8]),
            "preprocess.size: expected a list of 2, found a list of 1",
        ),
        (broken("policy", "rules", "harmed", "level", value="loud"), "policy.rules.harmed.level: expected one of off"),
        (broken("comparisons", value={}), "comparisons: expected a list, found an object"),
        (broken(*VIEW, "lost", value=[1]), "comparisons[0].views[0].lost: expected a list of 10, found a list of 1"),
        (
            broken(*VIEW, "lost", 4, value=2**62),
            "views[0].lost: expected counts of 9,007,199,254,740,992 samples at most",
        ),
        (broken(*VIEW, "lost", 4, value=1.5), "comparisons[0].views[0].lost[4]: expected a count, found 1.5"),
        (broken(*VIEW, "labelled", value=[]), "views[0].labelled: expected a list of 10"),
        (broken(*VIEW, "moves", "label", value=[1]), "views[0].moves: expected lists label, dense, pruned, count"),
        (broken(*VIEW, "moves", value={key: [10] for key in ("label", "dense", "pruned", "count")}), "classes 0 to 9"),
        (broken(*VIEW, "measures", value=...), "views[0].measures: expected a list, found None"),
        (broken(*VIEW, "measures", 1, "by_stratum", value=[1, 2]), "measures[1].by_stratum: expected a list of 10"),
        (broken(*VIEW, "measures", 1, "by_stratum", 0, value=1e999), "by_stratum[0]: expected a finite number"),
        (broken(*VIEW, "measures", 1, "by_stratum", 0, value=2**63), "by_stratum[0]: expected a finite number"),
        (broken(*VIEW, "measures", 1, "by_stratum", 0, value="lost"), "measures[1].by_stratum: expected numbers, as"),
        (broken(*VIEW, "measures", 1, "overall", value="lost"), "measures[1].overall: expected numbers, as"),
        (
            broken(*VIEW, "measures", 1, "absent", value={"why": [10]}),
            "measures[1].absent: expected positions below 10",
        ),
        (broken("comparisons", 0, "checks", 0, "outcome", value=None), "checks[0].outcome: expected one of passed"),
        (broken("comparisons", value=[]), "comparisons: expected one at least, found a list of 0"),
        (
            broken("comparisons", 0, "views", value=[]),
            "comparisons[0].views: expected the view by class first, found a",
        ),
        (broken(*VIEW, "by", value="camera"), "comparisons[0].views: expected the view by class first, found a list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_broken_is_named_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        from_document(document)
    assert said in caught.value.message
    assert caught.value.hint


def test_all_comparisons_have_the_same_strata() -> None:
    document = to_document(audits.everything())
    (one,) = document["comparisons"]
    document["comparisons"] = [one, one | {"views": one["views"][:-1]}]
    with pytest.raises(InputError, match=r"comparisons\[1\]\.views: expected the strata of the first comparison"):
        from_document(document)
    for comparison in document["comparisons"]:
        comparison["views"] = [comparison["views"][0]] * 2
    with pytest.raises(InputError, match=r"comparisons\[0\]\.views: expected one view of each kind"):
        from_document(document)


KEPT = ("comparisons", 0, "views", 1)  # the view with clusters, bins and top-k counts


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("clusters", "number"), [1], "views[1].clusters.number: expected a list of 2, found a list of 1"),
        (("clusters", "flipped"), [1], "views[1].clusters.flipped: expected a list of 2, found a list of 1"),
        (("top", "gained"), [1], "views[1].top.gained: expected a list of 2, found a list of 1"),
        (("top", "clusters", "within"), [], "views[1].top.clusters.within: expected a list of 2"),
        (("calibration", "covariance"), [0.1], "calibration.covariance: expected a list of 3, found a list of 1"),
        (("calibration", "covariance"), [0.1, None, 0], "calibration.covariance[1]: expected a finite number"),
        (("calibration", "dense", "number"), [24], "calibration.dense.number: expected a list of 3"),
        (("calibration", "pruned", "brier"), [1, 2], "calibration.pruned.brier: expected a list of 24"),
        (("calibration", "dense", "samples"), [0] * 24, "calibration.dense.samples: expected counts above 0"),
        (("calibration", "dense"), ..., "views[1].calibration: 'dense' is missing"),
    ],
)
def test_what_is_kept_of_scores_and_clusters_fits_the_strata(path: tuple[str, ...], value: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        from_document(broken(*KEPT, *path, value=value, of=audits.everything()))
    assert said in caught.value.message


@pytest.mark.parametrize("key", [key for key in Settings.__dataclass_fields__ if key not in NOT_WRITTEN])
def test_a_setting_that_an_older_version_did_not_know_takes_its_default(key: str) -> None:
    audit = audits.settled() if key == "until_settled" else audits.everything()
    told = replace(audit.provenance.settings, **OF_TASKS)
    audit = replace(audit, provenance=replace(audit.provenance, settings=told))
    older = from_document(broken("provenance", "settings", key, value=..., of=audit))
    default = getattr(Settings(), key)
    assert getattr(older.provenance.settings, key) == default != getattr(audit.provenance.settings, key)
    assert replace(older.provenance, settings=audit.provenance.settings) == audit.provenance


@pytest.mark.parametrize("key", ["clusters", "calibration", "top", "same_model"])
def test_counts_that_an_older_version_did_not_keep_are_absent(key: str) -> None:
    older = from_document(broken(*KEPT, key, value=..., of=audits.everything()))
    assert not getattr(older.comparisons[0].views[1].pair, key)


def test_an_audit_from_before_rounding_and_what_is_not_counted_reads() -> None:
    audit = audits.everything()
    card = audit.comparisons[0].pruned
    layers = (replace(card.layers[0], rounded=7), *card.layers[1:])
    told = replace(audit.comparisons[0], pruned=replace(card, layers=layers, uncounted=("table (3 x 4)",)))
    document = to_document(replace(audit, comparisons=(told,)))
    assert from_document(document).comparisons[0].pruned == told.pruned
    pruned = document["comparisons"][0]["pruned"]
    assert pruned["density"] == (sum(layer.nonzero for layer in layers) + 7) / 1000
    del pruned["uncounted"], pruned["layers"][0]["rounded"]
    assert from_document(document).comparisons[0].pruned == card


@pytest.mark.parametrize("path", [("provenance", "limited"), ("comparisons", 0, "checks"), (*KEPT, "lost")])
def test_what_a_verdict_rests_on_is_never_filled_in(path: tuple[str | int, ...]) -> None:
    with pytest.raises(InputError, match="is missing") as caught:
        from_document(broken(*path, value=..., of=audits.everything()))
    assert "written by another version of prune-audit" in caught.value.hint


def test_unknown_keys_are_skipped() -> None:
    assert from_document(broken("provenance", "weather", value="fair")) == audits.judged()


@pytest.mark.parametrize("document", [{}, {"schema": "prune-audit/2"}, [], None, 3])
def test_another_version_is_refused(document: object) -> None:
    with pytest.raises(InputError, match="schema: expected 'prune-audit/1'"):
        from_document(document)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    file.write_text(json.dumps(to_document(audits.everything())), encoding="utf-8")
    assert read_audit(file) == audits.everything()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema": ', "expected a JSON document"),
        (b"\x89PNG\r\n", "expected a JSON document"),
        (b"", "expected a JSON document"),
        (b"[" * 100_000, "expected a JSON document"),
        (b'{"schema": NaN}', "NaN, which is no number"),
        (b'{"schema": 9}', "schema: expected 'prune-audit/1', found 9"),
    ],
)
def test_a_file_that_is_no_audit_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_audit(file)
    assert str(file) in caught.value.message
    assert said in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: No such file"):
        read_audit(tmp_path / "gone.json")


def test_flags_of_every_model_are_needed() -> None:
    """Else a gate against this audit as a baseline would find out, much later and without a name."""
    written = to_document(audits.everything())
    del written["samples"]["right"]["dense"]
    with pytest.raises(InputError, match=r"samples\.right\.dense: expected the flags of a model that was compared"):
        from_document(written)


def test_a_model_is_no_audit(sample_models: Path) -> None:
    with pytest.raises(InputError, match="found no text") as caught:
        read_audit(sample_models / "dense.pt")
    assert "`compare`" in caught.value.hint

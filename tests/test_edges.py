"""Where a number is undefined: audits at the corners, whole, in every report, by class and by group."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from prune_audit import audit, plugins, rules
from prune_audit.core import Array, Audit, Outputs, Predictions, Settings
from prune_audit.document import from_document

SETTINGS = {
    "plain": Settings(by=("site", "class,site")),
    "clustered": Settings(by=("site", "class,site"), cluster="film"),
    "by cluster": Settings(by=("film",), cluster="film"),
    "balanced": Settings(by=("site",), reference="balanced"),
    "weighted": Settings(by=("site",), weights={name: i + 1.0 for i, name in enumerate("abcd")}),
}


def predictions(labels: Array, dense: Array, pruned: Array, classes: int = 4) -> Predictions:
    """Samples of two sites, the second with a single one, and of films of three."""
    n = len(labels)
    return Predictions(
        classes=tuple("abcd"[:classes]),
        ids=tuple(f"s{i}" for i in range(n)),
        labels=np.asarray(labels, np.int64),
        models=(
            Outputs(name="dense", predicted=np.asarray(dense, np.int64)),
            Outputs(name="pruned", predicted=np.asarray(pruned, np.int64)),
        ),
        groups={"site": np.where(np.arange(n) == 0, "alone", "many"), "film": np.arange(n) // 3},
    )


def usual(classes: int = 4, each: int = 40) -> tuple[Array, Array, Array]:
    """Labels, and two models of which the second loses a few samples of every class and most of the last."""
    rng = np.random.default_rng(classes)
    labels = np.repeat(np.arange(classes), each)
    dense = np.where(rng.random(len(labels)) < 0.9, labels, (labels + 1) % classes)
    lost = rng.random(len(labels)) < np.where(labels == classes - 1, 0.5, 0.05)
    return labels, dense, np.where(lost, (labels + 1) % classes, dense)


def dense_recall_0() -> Predictions:
    labels, dense, pruned = usual()
    return predictions(labels, np.where(labels == 2, 0, dense), np.where(labels == 2, 0, pruned))


def empty_class() -> Predictions:
    labels, dense, pruned = (column[usual()[0] != 2] for column in usual())
    return predictions(labels, dense, pruned)


def one_class() -> Predictions:
    return predictions(np.zeros(50), np.zeros(50), np.arange(50) > 44, classes=1 + 1)


def one_class_alone() -> Predictions:
    return predictions(np.zeros(50), np.zeros(50), np.zeros(50), classes=1)


def two_classes() -> Predictions:
    return predictions(*usual(2, 200), classes=2)


def collapsed() -> Predictions:
    labels, dense, _ = usual()
    return predictions(labels, dense, np.zeros_like(labels))


def unchanged() -> Predictions:
    labels, dense, _ = usual()
    return predictions(labels, dense, dense)


def support_1() -> Predictions:
    return predictions(np.arange(4), np.array([0, 1, 2, 0]), np.array([0, 1, 0, 3]))


def never_right() -> Predictions:
    labels = np.repeat(np.arange(4), 5)
    return predictions(labels, (labels + 1) % 4, (labels + 2) % 4)


def all_right_then_none() -> Predictions:
    labels = np.repeat(np.arange(4), 5)
    return predictions(labels, labels, (labels + 2) % 4)


def one_sample() -> Predictions:
    return predictions(np.array([1]), np.array([1]), np.array([0]))


EDGES: dict[str, Callable[[], Predictions]] = {
    made.__name__: made
    for made in (
        *(dense_recall_0, empty_class, one_class, one_class_alone, two_classes, collapsed, unchanged, support_1),
        *(never_right, all_right_then_none, one_sample),
    )
}


@cache
def audited(edge: str, settings: str = "plain") -> Audit:
    made = EDGES[edge]()
    asked = SETTINGS[settings]
    if asked.weights is not None:
        asked = replace(asked, weights={name: asked.weights[name] for name in made.classes})
    return audit.from_predictions(made, "dense", ["pruned"], asked, policy=rules.default_policy())


DRAWN = ("html", "png", "svg")  # which take a second each


def reports(done: Audit, *, drawn: bool) -> dict[str, str]:
    """Every report, as text; what is none only has to be made."""
    names = [name for name in plugins.names("reports") if drawn or name not in DRAWN]
    made = {name: plugins.load("reports", name).render(done) for name in names}
    return {name: text for name, text in made.items() if isinstance(text, str)}


def table(done: Audit) -> str:
    text: str = plugins.load("reports", "table").render(done)
    return text


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("edge", EDGES)
def test_no_report_holds_nan_or_infinity_and_every_gap_has_its_reason(edge: str, settings: str) -> None:
    done = audited(edge, settings)
    written = reports(done, drawn=settings == "plain")
    for name, text in written.items():
        assert not re.search(r"(?<![\w])[+-]?(nan|inf|infinity)(?![\w])", text, re.IGNORECASE), name
    assert from_document(json.loads(written["json"])) == done
    for view in done.comparisons[0].views:
        for measure in view.measures:
            for i, value in enumerate(measure.by_stratum):
                assert (value is None) == (i in measure.absent), (view.by, measure.name, i)
                if value is None:
                    assert measure.absent[i]
            if not measure.by_stratum:
                assert (measure.overall is None) == bool(measure.overall_absent), (view.by, measure.name)
    rows = list(csv.DictReader(io.StringIO(written["csv"])))
    assert len(rows) == sum(len(view.strata) for view in done.comparisons[0].views)


def cells(done: Audit, name: str, by: str = "class") -> tuple[object, ...]:
    return done.comparisons[0].view(by).measure(name).by_stratum


def test_dense_recall_0_has_nothing_to_lose_and_is_no_member_of_the_family() -> None:
    done = audited("dense_recall_0")
    assert cells(done, "distortion")[2] is None
    assert done.comparisons[0].view().measure("distortion").absent[2].startswith("dense recall is 0")
    assert cells(done, "q_harmed")[2] is None
    assert "dense recall is 0 (c)" in table(done)


def test_an_empty_class_is_absent_and_out_of_every_sum() -> None:
    done = audited("empty_class")
    assert cells(done, "verdict")[2] is None
    assert cells(done, "dense_recall")[2] is None
    labels, dense, _ = usual()
    kept = labels != 2
    assert done.comparisons[0].view().measure("dense_recall").overall == (dense == labels)[kept].mean()
    assert "no samples (c" in table(done)
    crossed = done.comparisons[0].view("class,site")
    none = [name for name, n in zip(crossed.strata, crossed.pair.support, strict=True) if not n]
    assert none == ["b, alone", "c, alone", "c, many", "d, alone"]
    assert all(cells(done, "verdict", "class,site")[crossed.strata.index(name)] is None for name in none)


def test_one_class_has_no_rest_to_compare_with() -> None:
    for edge in ("one_class", "one_class_alone"):
        done = audited(edge)
        assert cells(done, "distortion")[0] is None
        assert cells(done, "verdict")[0] is not None
        assert done.comparisons[0].view().measure("collapsed").overall == "no"


def test_two_classes_are_one_hypothesis_and_that_is_said() -> None:
    done = audited("two_classes")
    assert "created" in cells(done, "distortion") or "harmed" in cells(done, "distortion")
    assert all("one finding" in str(reason) for reason in cells(done, "distortion_reason"))
    said = " ".join(table(done).split())
    assert "With two classes, both rows are one finding." in said
    assert "where it is 1 by construction" in said


def test_a_collapsed_model_fails_by_itself_and_has_no_distortion() -> None:
    done = audited("collapsed")
    assert set(cells(done, "distortion")) == {None}
    assert set(cells(done, "distortion", "site")) == {None}
    assert {c.outcome for c in done.comparisons[0].checks if c.rule in ("collapsed", "accuracy-drop")} == {"failed"}
    assert table(done).count("COLLAPSED") == 1
    assert done.exit_code == 1


def test_equal_predictions_fail_nothing_in_any_view() -> None:
    for settings in SETTINGS:
        done = audited("unchanged", settings)
        assert "failed" not in {check.outcome for check in done.comparisons[0].checks}


def test_one_file_is_fine_in_every_view_however_few_its_samples() -> None:
    made = EDGES["unchanged"]()
    for settings in SETTINGS.values():
        done = audit.from_predictions(made, "dense", ["dense"], settings, policy=rules.default_policy())
        for view in done.comparisons[0].views:
            assert set(view.measure("verdict").by_stratum) <= {"fine", None}
            assert set(view.measure("change").by_stratum) <= {0.0, None}
            assert set(view.measure("change").low) <= {0.0, None}
        assert done.outcome == "passed"


def test_classes_of_one_sample_cannot_be_told() -> None:
    for settings in SETTINGS:
        done = audited("support_1", settings)
        assert set(cells(done, "verdict")) <= {"cannot tell", None}
        assert cells(done, "spread_p") == ()

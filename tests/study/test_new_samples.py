"""What is said of new samples, from whole frames: the numbers are those of `two_way` and of `pigeonhole`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prune_audit.files import packed
from prune_audit.study import _shown, figures, page, pigeonhole, student, two_way, writing
from prune_audit.study.analysis import analyse
from prune_audit.study.samples import Right
from prune_audit.study.tables import Analysis
from tests.study.test_pigeonhole import slope

SIZES = np.array([60, 1, 90, 50])
CELL = ("network", "method", "density")
NAMES = ("cat", "single", "dog", "owl")
LEVELS = np.repeat([0.95, 0.6, 0.8, 0.5], SIZES)
KEYS = [("net", "tuned", 1.0), ("net", "cut", 0.5), ("net", "cut", 0.1), ("wide", "cut", 0.1)]


@cache
def bits(seeds: int, draw: int = 0) -> dict[tuple[str, str, float, int], Right]:
    """What every run got right: more is lost where more is cut, from samples that are hard for all seeds."""
    rng = np.random.default_rng(draw)
    hard = rng.random(SIZES.sum())
    made = {}
    for network in ("net", "wide"):
        for seed in range(seeds):
            own = 0.7 * hard + 0.3 * rng.random(len(hard))
            for key in KEYS:
                if key[0] == network:
                    lost = {1.0: 0.02, 0.5: 0.1, 0.1: 0.3}[key[2]] * (1.2 - LEVELS)
                    run = Right(dense=own < LEVELS, pruned=own + rng.normal(0, 0.03, len(own)) < LEVELS - lost)
                    for side in (run.dense, run.pruned):
                        side.setflags(write=False)  # tests share them
                    made[(*key, seed)] = run
    return made


def frames(right: dict[tuple[str, str, float, int], Right]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    runs: list[dict[str, Any]] = []
    classes: list[dict[str, Any]] = []
    samples: list[dict[str, Any]] = []
    for (network, method, density, seed), own in right.items():
        key = {"study": "s", "network": network, "method": method, "density": density, "seed": seed}
        both = [[part.mean() for part in np.split(side, np.cumsum(SIZES)[:-1])] for side in (own.dense, own.pruned)]
        accuracy, after = own.dense.mean(), own.pruned.mean()
        fit = np.corrcoef(both[0], both[1])[0, 1] ** 2
        runs.append(
            key | {"failed": None, "parameters": 1e5 if network == "net" else 2e5, "dense_accuracy": accuracy,
                   "accuracy": after, "intensification": slope(own.dense, own.pruned, SIZES), "r_squared": fit}
        )  # fmt: skip
        classes += [
            key | {"class": name, "support": n, "dense_recall": p, "pruned_recall": q,
                   "dense_balance": p / accuracy - 1, "pruned_balance": q / after - 1}
            for name, n, p, q in zip(NAMES, SIZES, *both, strict=True)
        ]  # fmt: skip
        samples.append(key | {"dense": packed.flags(own.dense), "pruned": packed.flags(own.pruned)})
    return pd.DataFrame(runs), pd.DataFrame(classes), pd.DataFrame(samples)


@cache
def analysed(seeds: int, confidence: float = 0.99) -> Analysis:
    runs, classes, samples = frames(bits(seeds))
    return analyse("s", runs, classes, confidence, samples=samples)


def rows(name: str, of: Analysis) -> list[dict[str, Any]]:
    return [dict(row) for row in _shown.rows(of.table(name))]


def cell(name: str, of: Analysis, *key: object) -> dict[str, Any]:
    (found,) = (row for row in rows(name, of) if (row["network"], row["method"], row["density"]) == key)
    return found


def changes(key: Sequence[object], seeds: int) -> np.ndarray:
    right = bits(seeds)
    own = [right[(*key, seed)] for seed in range(seeds)]  # type: ignore[index]
    return np.array([run.pruned.astype(float) - run.dense for run in own])


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_accuracy_has_both_intervals(confidence: float) -> None:
    of = analysed(6, confidence)
    assert len(rows("accuracy", of)) == len(KEYS)
    for key in KEYS:
        row, values = cell("accuracy", of, *key), changes(key, 6)
        both = two_way.intervals(values, np.array([SIZES.sum()]), confidence)
        assert (row["both_low"], row["both_high"]) == pytest.approx((both.low[0], both.high[0]))
        over = stats.ttest_1samp(values.mean(axis=1), 0).confidence_interval(confidence)
        assert (row["low"], row["high"]) == pytest.approx(tuple(over))
        assert row["change"] == pytest.approx(values.mean())
        assert (row["seeds"], row["samples"]) == (6, SIZES.sum())
        assert row["finding_both"] == ("fell" if both.high[0] < 0 else "undetermined")
    assert cell("accuracy", of, "net", "cut", 0.1)["finding_both"] == "fell"


def test_classes_have_both_intervals_and_a_corrected_test() -> None:
    of = analysed(6)
    for key in KEYS:
        values = changes(key, 6)
        here = {row["class"]: row for row in rows("changes", of) if [row[n] for n in CELL] == [*key]}
        assert list(here) == [*NAMES]
        tested = 0
        for name, own in zip(NAMES, np.split(values, np.cumsum(SIZES)[:-1], axis=1), strict=True):
            row = here[name]
            if own.shape[1] < 2 or not own.any():
                assert row["p"] is row["both_low"] is row["finding"] is None
                assert row["absent"].startswith("no interval for new samples: ")
                continue
            tested += 1
            both = two_way.intervals(own, np.array([own.shape[1]]), 0.99)
            assert (row["both_low"], row["both_high"]) == pytest.approx((both.low[0], both.high[0]))
            p = 2 * stats.t.sf(abs(both.mean[0]) / both.error[0], both.freedom[0])
            assert row["p"] == pytest.approx(p)
            over = student.interval(own.mean(axis=1), 0.99)
            assert (row["low"], row["high"]) == pytest.approx(over)
        for row in here.values():
            if row["p"] is not None:
                assert row["p_adjusted"] == pytest.approx(min(1.0, tested * row["p"]))
                assert row["finding"] == ("fell" if row["p_adjusted"] < 0.05 else "not shown")
    fell = [at for at, row in enumerate(rows("changes", of)) if row["finding"] in ("fell", "rose")]
    assert fell
    assert of.table("changes").telling == tuple(fell)


def test_alpha_and_its_differences_have_the_pigeonhole_interval() -> None:
    of, right = analysed(6), bits(6)
    drawn = {
        network: pigeonhole.alphas([run for key, run in right.items() if key[0] == network], SIZES)
        for network in ("net", "wide")
    }
    at = {key: n for network in drawn for n, key in enumerate(key for key in right if key[0] == network)}

    def draws(key: Sequence[object]) -> np.ndarray:
        return np.stack([drawn[str(key[0])][:, at[(*key, seed)]] for seed in range(6)], axis=1)  # type: ignore[index]

    def own(key: Sequence[object]) -> np.ndarray:
        return np.array([slope(right[(*key, s)].dense, right[(*key, s)].pruned, SIZES) for s in range(6)])  # type: ignore[index]

    for key in KEYS:
        row = cell("cells", of, *key)
        over = student.interval(own(key), 0.99)
        expected = pigeonhole.interval(pigeonhole.means(draws(key)), own(key).mean(), over, 0.99)  # type: ignore[arg-type]
        assert (row["alpha_both_low"], row["alpha_both_high"]) == pytest.approx(expected)
        assert row["alpha_both_low"] <= row["alpha_low"] <= row["alpha"] <= row["alpha_high"] <= row["alpha_both_high"]
    (step,) = rows("densities", of)
    control, *_ = [row for row in rows("controls", of) if row["density"] == 0.1]
    for row, less in ((step, KEYS[1]), (control, KEYS[0])):
        moved = own(KEYS[2]) - own(less)
        over = student.interval(moved, 0.99)
        means = pigeonhole.means(draws(KEYS[2]) - draws(less))
        expected = pigeonhole.interval(means, moved.mean(), over, 0.99)  # type: ignore[arg-type]
        assert (row["both_low"], row["both_high"]) == pytest.approx(expected)
    both = two_way.intervals(changes(KEYS[2], 6) + 0.0 - changes(KEYS[0], 6), np.array([SIZES.sum()]), 0.99)
    assert (control["accuracy_both_low"], control["accuracy_both_high"]) == pytest.approx((both.low[0], both.high[0]))
    (size,) = rows("networks", of)
    assert size["both_low"] <= size["low"] <= size["difference"] <= size["high"] <= size["both_high"]


@pytest.mark.parametrize(("seeds", "accuracy", "alpha"), [(2, False, False), (3, True, False), (5, True, True)])
def test_too_few_seeds_have_no_interval_and_a_reason(seeds: int, accuracy: bool, alpha: bool) -> None:
    of = analysed(seeds)
    for row in rows("accuracy", of):
        assert (row["both_low"] is not None) == accuracy
        assert row["absent"] == (None if accuracy else "no interval for new samples: it needs 3 seeds")
    for name, low in (("cells", "alpha_both_low"), ("densities", "both_low"), ("networks", "both_low")):
        for row in rows(name, of):
            assert (row[low] is not None) == alpha
            assert ("no interval of alpha for new samples: it needs 5 seeds" in str(row["absent"])) != alpha
    assert any("5 are advised; a network has" in note for note in of.notes) == (seeds < 5)
    assert any("answer for new seeds and new samples" in note for note in of.notes) == (seeds >= 5)


def test_runs_of_which_nothing_is_known_leave_a_reason() -> None:
    runs, classes, samples = frames(bits(5))
    without = samples[(samples["density"] != 0.1) | (samples["seed"] != 3)]
    of = analyse("s", runs, classes, samples=without)
    for key in KEYS:
        row = cell("accuracy", of, *key)
        assert (row["both_low"] is None) == (key[2] == 0.1)
        assert (
            row["absent"] == "no interval for new samples: which samples were right was not kept with every run"
        ) == (key[2] == 0.1)
        assert (cell("cells", of, *key)["alpha_both_low"] is None) == (key[2] == 0.1)
    # Where no run has any, one note says so, and not every row.
    old = analyse("s", runs, classes)
    assert any("was not kept with these runs" in note for note in old.notes)
    assert all(row["absent"] is None for row in rows("accuracy", old))
    assert "changes" not in [table.name for table in old.tables]
    for one, other in zip(rows("accuracy", old), rows("accuracy", analysed(5)), strict=True):
        assert (one["low"], one["high"], one["finding"]) == (other["low"], other["high"], other["finding"])
        assert one["both_low"] is None


def test_findings_are_said_for_both_questions_and_drawn() -> None:
    of = analysed(6)
    known = [row for row in rows("cells", of) if row["finding_both"] is not None]
    assert known
    for row in known:
        low, high = row["alpha_both_low"], row["alpha_both_high"]
        assert row["finding_both"] == ("intensified" if low > 1 else "de-intensified" if high < 1 else "undetermined")
    said = " ".join(sentence for _, sentences in _shown.sentences(of) for sentence in sentences)
    assert ("For new seeds and new samples it lies above 1" in said) == any(
        r["finding"] == "intensified" for r in known
    )
    for chart in figures.alphas(of):
        assert "broad ones: for new seeds and new samples" in chart.reading
        for value in chart.spec["data"]["values"]:
            assert value["both_low"] <= value["low"] <= value["alpha"] <= value["high"] <= value["both_high"]
            assert "on new samples" in value["said"]
        assert any(layer["encoding"].get("y2") == {"field": "both_high"} for layer in chart.spec["layer"])
    runs, classes, _ = frames(bits(6))
    for chart in figures.alphas(analyse("s", runs, classes)):
        assert "new samples" not in chart.reading
        assert all("both_low" not in value for value in chart.spec["data"]["values"])
    titles = [column.title for column in _shown.columns(of.table("cells"), range(4))]
    assert titles.index("interval, new samples") == titles.index("interval") + 2


def test_nothing_explains_a_column_that_no_table_has() -> None:
    runs, classes, samples = frames(bits(5))
    explained = "new samples"
    for given in (samples, None):
        of = analyse("s", runs, classes, samples=given)
        assert all((explained in each.about) == (given is not None) for each in of.tables if each.name != "classes")
        told = f"{page.render(of, runs, classes.assign(distortion=None))} {writing.markdown(of)}"
        assert (f"<dt>{explained}</dt>" in told) == (given is not None)
        if given is None:  # but for the note that says why
            assert told.count(explained) == told.count("so that nothing is said of new samples") == 2


def test_an_uncut_network_of_the_same_answers_has_no_interval_and_says_why() -> None:
    right = {key: Right(dense=own.dense, pruned=own.dense) for key, own in bits(5).items()}
    of = analyse("s", *frames(right)[:2], samples=frames(right)[2])
    for row in rows("accuracy", of):
        assert row["both_low"] is row["low"] is None
        assert row["absent"] == "no interval for new samples: no sample changed in any run"
    for row in rows("cells", of):
        assert row["alpha"] == pytest.approx(1)
        assert row["alpha_both_low"] is None
        assert "every draw of the samples is the same" in row["absent"]
    assert not any(
        math.isnan(value) for row in rows("changes", of) for value in row.values() if isinstance(value, float)
    )

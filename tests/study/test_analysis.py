"""Every test and interval of a study against scipy, statsmodels, numpy or a count by hand, and frames with gaps."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats
from statsmodels.stats.api import DescrStatsW
from statsmodels.stats.multitest import multipletests

from prune_audit import audit as story
from prune_audit.core import HARMED, DataSource, ModelSource, Settings, Value
from prune_audit.study import _shown, analysis, page, writing
from prune_audit.study.analysis import analyse
from prune_audit.study.comparisons import CELL
from prune_audit.study.tables import Analysis
from tests.study import analyses
from tests.study.frames import drawn, failing

TESTS = ("densities", "methods", "networks", "classes")
Row = dict[str, Value]


def steeper(network: str, method: str, density: float) -> float:
    """A slope that grows with sparsity, less so with surgery and in the large network."""
    return 0.9 - 0.12 * math.log(density) - 0.15 * (method == "surgery") - 0.1 * (network == "large")


@cache
def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    return drawn(slope=steeper, draw=3)


@cache
def found() -> Analysis:
    return analyse("Drawn", *frames())


def rows(name: str, of: Analysis | None = None) -> list[Row]:
    return _shown.rows((of or found()).table(name))


def number(row: Row, name: str) -> float:
    value = row[name]
    assert type(value) in (int, float)
    assert isinstance(value, (int, float))
    return value


def alphas(runs: pd.DataFrame, row: Row, **other: Value) -> Any:
    """The alphas (N,) of the cell of ``row`` by seed; ``other`` names are laid over those of the row."""
    own = runs
    for name in ("network", "method", "density"):
        own = own[own[name] == (other.get(name) or row[name])]
    return own.set_index("seed")["intensification"].astype(float).dropna().sort_index()


def paired(runs: pd.DataFrame, row: Row, **other: Value) -> tuple[Any, Any]:
    """The alphas of the other cell and of the row's own, of the seeds that have both."""
    one, two = alphas(runs, row, **other), alphas(runs, row)
    both = one.index.intersection(two.index)
    return one[both].to_numpy(), two[both].to_numpy()


def adjusted(of: list[Row], *family: str) -> None:
    """Each family's adjusted p are those of statsmodels."""
    for names in {tuple(row[name] for name in family) for row in of}:
        own = [row for row in of if tuple(row[name] for name in family) == names and row["p"] is not None]
        p = [number(row, "p") for row in own]
        if p:
            expected = multipletests(p, method="bonferroni")[1]
            assert [row["p_adjusted"] for row in own] == pytest.approx(list(expected))


# ---------------------------------------------------------------------------------------------------- the oracles


@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_means_and_intervals_are_those_of_scipy_and_statsmodels(confidence: float) -> None:
    runs, _ = frames()
    for row in rows("cells", analyse("", *frames(), confidence)):
        values = alphas(runs, row)
        expected = DescrStatsW(values).tconfint_mean(alpha=1 - confidence)
        assert (row["alpha_low"], row["alpha_high"]) == pytest.approx(expected)
        assert row["alpha"] == pytest.approx(values.mean())
        assert row["seeds"] == 5
        corrected = 1.05 * values
        interval = stats.t.interval(confidence, 4, loc=corrected.mean(), scale=stats.sem(corrected))
        assert (row["corrected_low"], row["corrected_high"]) == pytest.approx(interval)
        low, high = interval if row["alpha_low"] is None else (number(row, "alpha_low"), number(row, "alpha_high"))
        assert row["finding"] == ("intensified" if low > 1 else "de-intensified" if high < 1 else "undetermined")


def test_all_three_findings_of_cells() -> None:
    of = analyse("", *drawn(slope=lambda n, m, d: {0.5: 0.7, 0.1: 1.0, 0.02: 1.6}[d], draw=1))
    assert {row["finding"] for row in rows("cells", of)} == {"intensified", "de-intensified", "undetermined"}


def spread_ratio(own: pd.DataFrame) -> float:
    """Of one run, with the matrix of derivatives of balances by recalls."""
    n = own["support"].to_numpy(float)
    w, squares = n / n.sum(), []
    for name in ("dense_recall", "pruned_recall"):
        recall = own[name].to_numpy()
        level = w @ recall
        gradient = (np.eye(len(n)) - np.outer(recall / level, w)) / level
        noise = float((gradient**2 @ (recall * (1 - recall) / (n - 1))).sum())
        squares.append(float(((recall / level - 1) ** 2).sum()) - noise)
    return math.sqrt(max(squares[1], 0) / squares[0])


def test_gaps_are_told_by_the_ratio_of_spreads_and_not_by_alpha() -> None:
    """Slopes below 1 beside classes that lie farther apart, because they changed places."""
    runs, classes = drawn(
        networks=("net",), methods=("apart", "together"), densities=(0.5,), seeds=7, classes=9, noise=0.02, draw=21
    )
    shaken = classes["method"] == "apart"
    far = 1 + np.random.default_rng(22).normal(0, 0.2, len(classes))
    classes["support"] *= 20
    classes["pruned_recall"] = np.where(
        shaken, (0.6 * far).clip(0.05, 0.95), 0.6 + 0.3 * (classes["dense_recall"] - 0.85)
    )
    of = {row["method"]: row for row in rows("cells", analyse("", runs.assign(intensification=0.9), classes))}
    assert (of["apart"]["gaps"], of["together"]["gaps"]) == ("grew", "shrank")
    for method, row in of.items():
        values = [spread_ratio(own) for _, own in classes[classes["method"] == method].groupby("seed")]
        assert row["spread_ratio"] == pytest.approx(np.mean(values), rel=1e-9)
        interval = stats.t.interval(0.99, 6, loc=np.mean(values), scale=stats.sem(values))
        assert (row["spread_ratio_low"], row["spread_ratio_high"]) == pytest.approx(interval, rel=1e-9)
    none = analyse("", runs.assign(intensification=math.nan), classes).table("cells")
    assert {*none.column("spread_ratio"), *none.column("gaps")} == {None}


def test_the_rest_of_a_cell_by_hand() -> None:
    runs, classes = frames()
    for row in rows("cells"):
        here = (runs["network"] == row["network"]) & (runs["method"] == row["method"])
        own = runs[here & (runs["density"] == row["density"])]
        names = ("r_squared", "accuracy", "dense_accuracy", "worst_recall", "harmed", "regressed")
        assert [row[name] for name in names] == pytest.approx([own[name].mean() for name in names])
        assert row["reliability"] == pytest.approx(0.9)
        assert row["estimable"] == 5
        of = classes.merge(own[["network", "method", "density"]].drop_duplicates())
        moved = [seed["pruned_recall"].min() - seed["dense_recall"].min() for _, seed in of.groupby("seed")]
        assert row["worst_change"] == pytest.approx(np.mean(moved))


def test_the_pooled_slope_is_that_of_least_squares() -> None:
    _, classes = frames()
    for row in rows("cells"):
        of = classes.merge(pd.DataFrame([{name: row[name] for name in CELL}]))
        x, y = of["dense_balance"].to_numpy(), of["pruned_balance"].to_numpy()
        (slope,), (left,), _, _ = np.linalg.lstsq(x[:, None], y, rcond=None)
        assert row["pooled_alpha"] == pytest.approx(slope)
        assert row["pooled_r_squared"] == pytest.approx(1 - left / (y @ y))


def test_pareto_by_brute_force() -> None:
    runs, classes = drawn(methods=[f"m{n}" for n in range(6)], classes=12, noise=0.2, draw=5)
    found = rows("cells", analyse("", runs, classes))
    for row in found:
        beaten = False
        for other in (other for other in found if other["network"] == row["network"]):
            better = [
                number(other, "accuracy") - number(row, "accuracy"),
                number(row, "density") - number(other, "density"),
                number(row, "harmed") - number(other, "harmed"),
            ]
            beaten |= min(better) >= 0 and max(better) > 0
        assert row["pareto"] == ("no" if beaten else "yes")
    assert {row["pareto"] for row in found} == {"yes", "no"}


def test_densities_are_tested_one_sided_and_in_pairs() -> None:
    runs, _ = frames()
    for row in rows("densities"):
        sparse, dense = paired(runs, row, density=row["sparser"])
        expected = stats.ttest_rel(sparse, dense, alternative="greater")
        assert (row["t"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        assert row["difference"] == pytest.approx((sparse - dense).mean())
        interval = stats.ttest_1samp(sparse - dense, 0).confidence_interval(0.99)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        shown = number(row, "p_adjusted") < 0.05
        assert row["finding"] == ("more intensification" if shown else "not shown")
    adjusted(rows("densities"), "network", "method")
    assert [(row["density"], row["sparser"]) for row in rows("densities")[:2]] == [(0.5, 0.1), (0.1, 0.02)]
    assert "more intensification" in found().table("densities").column("finding")


def test_less_intensification_is_no_finding() -> None:
    of = analyse("", *drawn(slope=lambda n, m, d: {0.5: 2.0, 0.1: 1.5, 0.02: 1.0}[d]))
    assert set(of.table("densities").column("finding")) == {"not shown"}
    assert all(number(row, "p") > 0.99 for row in rows("densities", of))


def test_methods_are_tested_two_sided_and_all_in_pairs() -> None:
    methods = ("a", "b", "c", "d")
    runs, classes = drawn(methods=methods, slope=lambda n, m, d: 1 + 0.2 * "bcad".index(m), draw=2)
    of = rows("methods", analyse("", runs, classes))
    assert [(row["method"], row["other"]) for row in of[:6]] == list(combinations(methods, 2))
    for row in of:
        other, one = paired(runs, row, method=row["other"])
        moved = other - one
        t = moved.mean() / (moved.std(ddof=1) / math.sqrt(5))
        assert row["t"] == pytest.approx(t)
        assert row["p"] == pytest.approx(2 * stats.t.sf(abs(t), 4))
        assert row["p"] == pytest.approx(stats.ttest_rel(other, one).pvalue)
        if row["finding"] != "not shown":
            assert row["finding"] == ("lower" if moved.mean() < 0 else "higher")
    adjusted(of, "network", "density")
    assert {row["finding"] for row in of} >= {"lower", "higher"}


def test_the_method_that_is_lowest_is_said_to_be() -> None:
    # Were lower and higher turned round, the worst method would be recommended.
    of = analyse("", *drawn(methods=("a", "b", "c"), slope=lambda n, m, d: {"a": 2.0, "b": 1.0, "c": 3.0}[m]))
    assert all(any("b at 50, 10 and 2 %" in sentence for sentence in said) for _, said in _shown.sentences(of))


def test_networks_are_tested_by_size_after_welch() -> None:
    runs, classes = drawn(networks=("b", "c", "a"), slope=lambda n, m, d: {"b": 1.4, "c": 1.2, "a": 1.0}[n], draw=4)
    runs = runs[~((runs["network"] == "c") & (runs["seed"] == 0))]  # groups of 5 and 4
    runs["parameters"] = runs["network"].map({"a": 3e4, "b": 1e3, "c": 2e4})
    of = rows("networks", analyse("", runs.iloc[::-1], classes))  # the order of the rows says nothing
    assert {(row["network"], row["larger"]) for row in of} == {("b", "c"), ("c", "a")}
    for row in of:
        small, large = alphas(runs, row), alphas(runs, row, network=row["larger"])
        expected = stats.ttest_ind(small, large, equal_var=False, alternative="greater")
        assert (row["t"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        interval = stats.ttest_ind(small, large, equal_var=False).confidence_interval(0.99)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert (row["seeds"], row["seeds_larger"]) == (len(small), len(large))
    adjusted(of, "network", "larger", "method")
    assert "more intensification" in {row["finding"] for row in of}


def test_networks_are_compared_where_both_were_run() -> None:
    runs, classes = (f[~((f["network"] == "large") & (f["method"] == "surgery"))] for f in frames())
    assert {row["method"] for row in rows("networks", analyse("", runs, classes))} == {"magnitude"}


def test_classes_are_tested_after_welch() -> None:
    runs, classes = drawn(networks=("n",), methods=("m",), densities=(0.5, 0.1), seeds=6, draw=6)
    level = np.select([classes["class"] == "class 0", classes["class"] == "class 1"], [-0.7, 0.7], 0)
    classes["pruned_balance"] += level
    of = analyse("", runs, classes)
    for row in rows("classes", of):
        own = classes[(classes["class"] == row["class"]) & (classes["density"] == row["density"])]
        expected = stats.ttest_ind(own["pruned_balance"], own["dense_balance"], equal_var=False)
        assert (row["t"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        assert row["balance_change"] == pytest.approx((own["pruned_balance"] - own["dense_balance"]).mean())
        assert row["change"] == pytest.approx((own["pruned_recall"] - own["dense_recall"]).mean())
        assert row["dense_recall"] == pytest.approx(own["dense_recall"].mean())
        assert row["harmed_in"] == own["distortion"].isin(HARMED).sum()
        assert row["regressed_in"] == (own["verdict"] == "regressed").sum()
        lost = {"class 0": "lost ground", "class 1": "gained ground"}.get(str(row["class"]), "not shown")
        assert row["finding"] == lost
    adjusted(rows("classes", of), "network", "method", "density")
    telling = [rows("classes", of)[at]["class"] for at in of.table("classes").telling]
    assert telling == ["class 0", "class 0"]  # not those that gained


@pytest.mark.parametrize("table", ["densities", "methods", "networks", "classes"])
def test_rows_without_a_test_are_none_to_correct_for(table: str) -> None:
    runs, classes = drawn(methods=("a", "b", "c"), slope=steeper)
    lame = (runs["method"] == "c") & (runs["density"] == 0.02)
    runs["intensification"] = runs["intensification"].where(~lame)
    classes["pruned_balance"] = classes["pruned_balance"].where(classes["class"] != "class 3")
    families = {
        "densities": ("network", "method"), "methods": ("network", "density"),
        "networks": ("network", "larger", "method"), "classes": ("network", "method", "density"),
    }  # fmt: skip
    of = rows(table, analyse("", runs, classes))
    adjusted(of, *families[table])
    without = [row for row in of if row["p"] is None]
    assert without
    assert all(row["absent"] and row["finding"] is None and row["p_adjusted"] is None for row in without)


def test_the_order_of_rows_decides_nothing_but_that_of_names() -> None:
    runs, classes = (
        # names first appear as before
        frame.sample(frac=1, random_state=1).sort_values(
            ["network", "method"], ascending=[False, True], kind="stable", ignore_index=True
        )
        for frame in frames()
    )
    again = analyse("Drawn", runs, classes)
    assert again.notes == found().notes
    for table in found().tables:
        names = [column.name for column in table.columns if column.name in _shown.KEYS]
        expected = {tuple(row[name] for name in names): row for row in rows(table.name)}
        shuffled = {tuple(row[name] for name in names): row for row in rows(table.name, again)}
        assert len(expected) == len(table.rows)
        if table.name != "classes":  # whose own order is that of the frame
            assert list(shuffled) == list(expected)
        for key, row in expected.items():
            assert shuffled[key] == pytest.approx(row)


def test_names_stand_in_the_order_of_the_runs_and_densities_descend() -> None:
    runs, classes = drawn(networks=("z", "a"), methods=("y", "b"), densities=(0.1, 0.5, 0.02))
    keys = [(row["network"], row["method"], row["density"]) for row in rows("cells", analyse("", runs, classes))]
    assert keys == [(n, m, d) for n in ("z", "a") for m in ("y", "b") for d in (0.5, 0.1, 0.02)]


# ------------------------------------------------------------------------------------------- under the null, and not


def rate(table: str, families: tuple[str, ...], of: Analysis) -> float:
    """The share of families in which something was found."""
    hits: dict[tuple[Value, ...], bool] = {}
    for row in rows(table, of):
        family = tuple(row[name] for name in families)
        hits[family] = hits.get(family, False) or row["finding"] not in (None, "not shown")
    return sum(hits.values()) / len(hits)


def test_families_find_something_in_5_of_100_where_nothing_is() -> None:
    networks = [f"n{n}" for n in range(250)]
    runs, classes = drawn(networks, ("a", "b", "c"), (0.5, 0.1), seeds=5, classes=2, draw=11)
    rng = np.random.default_rng(12)
    # What the seeds of a network have in common moves all methods and densities alike.
    shared = pd.Series(rng.normal(1.2, 0.1, 5)).reindex(runs["seed"]).to_numpy()
    runs = runs.assign(intensification=shared + rng.normal(0, 0.05, len(runs)), r_squared=0.9)
    of = analyse("", runs, classes.iloc[:0])
    # The standard error of 500 families at 5 % is 1 point.
    assert 0.02 <= rate("methods", ("network", "density"), of) <= 0.075
    assert 0.02 <= rate("densities", ("network", "method"), of) <= 0.07


def test_welch_finds_something_in_5_of_100_where_nothing_is() -> None:
    runs, classes = drawn([f"n{n}" for n in range(400)], ("m",), (0.5,), seeds=5, classes=3)
    rng = np.random.default_rng(13)
    runs = runs.assign(intensification=rng.normal(1.2, 0.1, len(runs)), r_squared=0.9)
    classes = classes.assign(**{
        name: rng.normal(0, spread, len(classes)) for name, spread in (("dense_balance", 0.1), ("pruned_balance", 0.2))
    })  # fmt: skip
    of = analyse("", runs, classes)
    assert 0.02 <= rate("networks", ("network",), of) <= 0.08
    assert 0.015 <= rate("classes", ("network",), of) <= 0.075


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    runs, classes = drawn([f"n{n}" for n in range(1000)], ("m",), (0.5,), seeds=3, classes=2)
    rng = np.random.default_rng(14)
    runs = runs.assign(intensification=rng.normal(1.0, 0.1, len(runs)))
    of = rows("cells", analyse("", runs, classes.iloc[:0], 0.9))
    held = np.mean([number(row, "alpha_low") <= 1 <= number(row, "alpha_high") for row in of])
    assert 0.87 <= held <= 0.93


# ------------------------------------------------------------------------------------------------ what is not there


def test_one_seed_has_no_interval_and_no_test() -> None:
    of = analyse("", *drawn(seeds=1))
    for row in rows("cells", of):
        assert row["absent"] == "1 seed has an alpha; an interval needs 2"
        assert row["alpha"] is not None
        assert row["alpha_low"] is row["alpha_high"] is row["finding"] is row["corrected_low"] is None
    for name, reason in {
        "densities": "a paired test needs 2 seeds", "methods": "a paired test needs 2 seeds",
        "networks": "a test needs 2 seeds of each network", "classes": "a test needs 2 seeds",
    }.items():  # fmt: skip
        assert set(of.table(name).column("absent")) == {reason}
        assert set(of.table(name).column("p")) == {None}
        assert of.table(name).telling == ()
    for row in rows("accuracy", of):
        assert row["low"] is row["both_low"] is row["finding"] is None
    assert of.notes == ()  # nothing is missing, nothing is at a level, and one seed shares its test set with none


def test_two_seeds_are_enough() -> None:
    of = analyse("", *drawn(seeds=2))
    assert set(of.table("cells").column("absent")) == {None}
    assert all(None not in of.table(name).column("p") for name in TESTS)


def test_failed_runs_are_rows_and_in_no_number() -> None:
    runs, classes = frames()

    def fell(row: Any) -> bool:
        cell = (row["method"], row["density"])
        return bool(
            cell == ("surgery", 0.02) or (cell == ("magnitude", 0.1) and row["network"] == "small" and row["seed"] > 2)
        )

    broken = failing(runs, classes, fell)
    of = analyse("", *broken)
    by = {(row["network"], row["method"], row["density"]): row for row in rows("cells", of)}
    assert list(by) == [tuple(row[name] for name in CELL) for row in rows("cells")]
    gone = by["large", "surgery", 0.02]
    assert gone["absent"] == "every run failed: out of memory"
    assert gone["seeds"] == gone["finished"] == gone["estimable"] == 0
    said = {*CELL, "seeds", "finished", "estimable", "absent"}
    assert all(value is None for name, value in gone.items() if name not in said)
    part = by["small", "magnitude", 0.1]
    left = runs.query("network == 'small' and method == 'magnitude' and density == 0.1 and seed < 3")
    assert part["seeds"] == 3
    assert part["alpha"] == pytest.approx(left["intensification"].mean())
    assert part["accuracy"] == pytest.approx(left["accuracy"].mean())
    assert part["absent"] is None
    step = next(row for row in rows("densities", of) if row["network"] == "small")
    assert step["seeds"] == 3
    one, two = paired(broken[0], step, density=0.1)
    assert len(one) == 3
    assert step["p"] == pytest.approx(stats.ttest_rel(one, two, alternative="greater").pvalue)
    assert of.notes[0] == "12 of 60 runs failed; no number here is of them."
    assert of.notes[1] == (
        "Not every seed has an alpha: magnitude at 10 % of small has 3 of 5 seeds, surgery at 2 % of small has 0 of 5 "
        "seeds, surgery at 2 % of large has 0 of 5 seeds. Alpha, its intervals and its tests are of those that have "
        "one."
    )


def test_a_study_in_which_everything_failed() -> None:
    runs, classes = failing(*frames(), lambda row: True)
    of = analyse("", runs, classes)
    assert {row["absent"] for row in rows("cells", of)} == {"every run failed: out of memory"}
    assert "networks" not in [table.name for table in of.tables]  # no size is known
    assert "classes" not in [table.name for table in of.tables]
    assert rendered(of, runs, classes)


def test_a_method_may_have_densities_of_its_own() -> None:
    runs, classes = (f[~((f["method"] == "surgery") & (f["density"] == 0.1))] for f in frames())
    of = analyse("", runs, classes)
    assert len(of.table("cells").rows) == 10
    assert not any("0 of 5 seeds" in note for note in of.notes)


def test_runs_without_alpha_are_told_apart_from_failed_ones() -> None:
    runs, classes = frames()
    runs = runs.assign(intensification=runs["intensification"].where(runs["density"] > 0.02))
    of = analyse("", runs, classes)
    sparse = [row for row in rows("cells", of) if row["density"] == 0.02]
    assert {row["absent"] for row in sparse} == {"no run has an alpha"}
    assert all(row["alpha"] is None and row["accuracy"] is not None for row in sparse)
    assert not any("failed" in note for note in of.notes)


@pytest.mark.parametrize("left", [2, 3])
def test_of_a_cell_that_collapsed_nothing_is_concluded(left: int) -> None:
    runs, classes = frames()  # of five seeds
    gone = (runs["method"] == "surgery") & (runs["density"] == 0.02) & (runs["seed"] >= left)
    runs = runs.assign(intensification=runs["intensification"].where(~gone))
    of = analyse("", runs, classes)
    [cell] = [row for row in rows("cells", of) if (*(row[name] for name in CELL),) == ("large", "surgery", 0.02)]
    assert (cell["seeds"], cell["finished"]) == (left, 5)
    assert cell["alpha"] is not None
    steps = [row for row in rows("densities", of) if (row["network"], row["method"]) == ("large", "surgery")]
    if left == 2:
        assert cell["finding"] is None
        assert cell["gaps"] is None
        assert str(cell["absent"]).startswith("2 of 5 runs are left that have an alpha: no conclusion")
        assert steps[-1]["finding"] is None
        assert steps[-1]["absent"] == _shown.UNFIT
    else:
        assert cell["finding"] is not None
        assert cell["gaps"] is not None
        assert cell["absent"] is None


def test_alphas_that_are_equal_have_no_interval_and_no_test() -> None:
    runs, classes = frames()
    level = runs["density"].map({0.5: 1.0, 0.1: 1.3, 0.02: 1.3})
    of = analyse("", runs.assign(intensification=level), classes)
    assert set(of.table("cells").column("absent")) == {"every seed has the same alpha"}
    assert set(of.table("methods").column("absent")) == {"equal in every run"}
    assert set(of.table("methods").column("difference")) == {0.0}
    steps = ["the same difference in every run: 0.30", "equal in every run"]
    assert list(of.table("densities").column("absent")) == steps * 4
    assert set(of.table("networks").column("absent")) == {"equal in every run"}


def test_differences_that_differ_by_rounding_are_equal() -> None:
    # 1.1 + .12 less 1.1 is no .12 to the last digit, and a t of 1e15 would be a finding.
    runs, classes = frames()
    moved = 1 + 0.1 * runs["seed"] + 0.12 * (runs["method"] == "surgery")
    of = analyse("", runs.assign(intensification=moved), classes)
    assert set(of.table("methods").column("absent")) == {"the same difference in every run: 0.12"}
    assert of.table("methods").telling == ()


def test_classes_that_never_move_have_no_test() -> None:
    runs, classes = frames()
    classes = classes.assign(dense_balance=0.1, pruned_balance=classes["density"].map({0.5: 0.1, 0.1: 0.3, 0.02: 0.1}))
    of = rows("classes", analyse("", runs, classes))
    assert {(row["density"], row["absent"]) for row in of} == {
        (0.5, "equal in every run"), (0.1, "the same difference in every run: 0.20"), (0.02, "equal in every run"),
    }  # fmt: skip


def test_where_no_line_fits_a_difference_is_no_word_on_gaps() -> None:
    runs, classes = drawn(methods=("magnitude", "random"), slope=lambda n, m, d: 1 - math.log(d) / 4, draw=8)
    runs["r_squared"] = runs["r_squared"].where(runs["method"] != "random", 0.03)
    of = analyse("", runs, classes)
    lines = {row["method"]: row["absent"] for row in rows("cells", of)}
    assert lines == {"magnitude": None, "random": "alpha is no slope of anything: r^2 0.03"}
    for name in ("densities", "networks"):
        for row in rows(name, of):
            unfit = row["method"] == "random"
            assert row["p_adjusted"] is not None
            assert (row["finding"] is None) == unfit
            assert row["absent"] == (_shown.UNFIT if unfit else None)
    assert set(of.table("methods").column("finding")) == {None}
    steps = rows("densities", of)
    assert {steps[at]["method"] for at in of.table("densities").telling} == {"magnitude"}


def test_a_line_that_falls_is_said_to() -> None:
    of = analyse("", *drawn(slope=lambda n, m, d: -1.5, noise=0))
    reason = "the line falls, classes changed sides: alpha -1.50; every seed has the same alpha"
    assert set(of.table("cells").column("absent")) == {reason}


def test_a_model_that_only_guesses_harms_nobody_and_is_no_bargain() -> None:
    # Its classes are not judged, so its audit counts none as harmed.
    runs, classes = frames()
    collapsed = (runs["method"] == "surgery") & (runs["density"] == 0.02)
    runs = runs.assign(harmed=runs["harmed"].where(~collapsed, 0), accuracy=runs["accuracy"].where(~collapsed, 0.1))
    blind = (classes["method"] == "surgery") & (classes["density"] == 0.02)
    classes = classes.assign(distortion=classes["distortion"].astype(object).where(~blind, None))
    of = analyse("", runs, classes)
    cells = [row for row in rows("cells", of) if (row["method"], row["density"]) == ("surgery", 0.02)]
    assert [(row["harmed"], row["pareto"]) for row in cells] == [(None, None)] * 2
    assert any(note.startswith("In 10 runs no class was judged") for note in of.notes)
    assert all(row["harmed"] is not None for row in rows("cells", of) if row not in cells)


def test_corrected_alphas_are_of_the_runs_that_have_one() -> None:
    runs, classes = frames()
    kept = runs["seed"] < 3
    of = rows("cells", analyse("", runs.assign(alpha_corrected=runs["alpha_corrected"].where(kept)), classes))
    for row in of:
        values = 1.05 * alphas(runs, row)[:3]
        assert row["estimable"] == 3
        assert row["corrected"] == pytest.approx(values.mean())
        assert (row["corrected_low"], row["corrected_high"]) == pytest.approx(DescrStatsW(values).tconfint_mean(0.01))


MEASURED = (*analysis.OF_RUNS, "failed")
OF_CLASS = (*analysis.OF_CLASSES, "verdict", "distortion", "balance_change")


@pytest.mark.parametrize("name", [*MEASURED, *OF_CLASS])
@pytest.mark.parametrize("how", ["dropped", "NaN", "None"])
def test_any_column_may_be_without_values(name: str, how: str) -> None:
    runs, classes = (frame.copy() for frame in frames())
    for frame in (runs, classes):
        if name in frame:
            if how == "dropped":
                del frame[name]
            else:
                nothing = math.nan if how == "NaN" else None
                frame[name] = pd.Series([nothing] * len(frame), dtype=object, index=frame.index)
    plain(analyse("", runs, classes))


@pytest.mark.parametrize("frames", [lambda: drawn(seeds=0), lambda: (drawn()[0], drawn()[1].iloc[:0])])
def test_frames_without_rows(frames: Callable[[], tuple[pd.DataFrame, pd.DataFrame]]) -> None:
    runs, classes = frames()
    of = analyse("", runs.reindex(columns=["network", "seed", "method", "density", *MEASURED]), classes)
    plain(of)
    assert len(of.table("cells").rows) == (12 if len(runs) else 0)


def test_one_of_everything_has_no_tests_of_pairs() -> None:
    of = analyse("", *drawn(networks=("n",), methods=("m",), densities=(0.5,)))
    assert [table.name for table in of.tables] == ["cells", "accuracy", "classes"]


def test_networks_of_one_size_have_no_smaller_one() -> None:
    runs, classes = frames()
    assert "networks" not in [table.name for table in analyse("", runs.assign(parameters=1e5), classes).tables]


# --------------------------------------------------------------------------------------------- what readers are told


def plain(of: Analysis) -> None:
    """Values are Python's own, finite, and rows are as wide as their table."""
    for table in of.tables:
        assert table.about.count(". ") >= 1
        for row in table.rows:
            assert len(row) == len(table.columns)
            for value in row:
                assert value is None or type(value) in (int, float, str)
                assert not isinstance(value, float) or math.isfinite(value)


def test_tables_are_those_that_reports_were_made_for() -> None:
    made = analyses.study().analysis
    plain(found())
    assert [table.name for table in found().tables] == [table.name for table in made.tables]
    for table in found().tables:
        assert table.columns == made.table(table.name).columns
        assert table.title == made.table(table.name).title


def test_numpy_integers_and_missing_counts_of_pandas() -> None:
    runs, classes = frames()
    of = analyse("", runs.astype({"harmed": "Int64", "regressed": "Int64"}).convert_dtypes(), classes.convert_dtypes())
    plain(of)
    for table in found().tables:
        for row, same in zip(of.table(table.name).rows, table.rows, strict=True):
            assert row == pytest.approx(same)


def rendered(of: Analysis, runs: pd.DataFrame, classes: pd.DataFrame) -> list[str]:
    console = Console(file=io.StringIO(), width=100, height=25, color_system=None)
    texts = [writing.text(of, console), writing.markdown(of), page.render(of, runs, classes)]
    return texts + [writing.csv(table) for table in of.tables]


@pytest.mark.parametrize("seeds", [1, 3])
def test_all_of_it_can_be_rendered(seeds: int) -> None:
    runs, classes = drawn(seeds=seeds, slope=steeper)
    broken = failing(runs, classes, lambda row: row["seed"] == 0 and row["density"] == 0.02)
    of = analyse("A study", *broken)
    texts = rendered(of, *broken)
    for said in texts[:2]:
        assert "A study" in said
        assert "4 of" in said
        assert "nan" not in said.replace("-", " ").split()
    assert len(texts) == 3 + len(of.tables)


def test_each_table_says_what_was_corrected_for() -> None:
    family = {
        "densities": "same network and method", "methods": "same network and density",
        "networks": "same two networks and method", "classes": "same network, method and density",
    }  # fmt: skip
    for name, of in family.items():
        about = found().table(name).about
        assert of in about
        assert "Bonferroni" in about
    assert "at 90 %, corrected for nothing" in analyse("", *frames(), 0.9).table("cells").about
    assert "at 90 %, corrected for nothing" in analyse("", *frames(), 0.9).table("methods").about


def test_notes_say_only_what_is_true() -> None:
    runs, classes = frames()
    shared, kept, level = found().notes
    assert shared.startswith("All seeds share one test set")
    assert "The noise-corrected alpha takes that pull out on average" in shared
    assert shared.endswith("every t interval, answers for new seeds on these samples.")
    assert kept.startswith("Which samples were right was not kept with these runs")
    assert level == (
        "Intervals are at 99 % (the level of Good et al. 2022), so that those of 3 densities hold together at 97 % "
        "(Bonferroni)."
    )
    assert "takes that pull out" not in analyse("", runs.drop(columns="alpha_corrected"), classes).notes[0]
    other = analyse("", runs, classes.assign(support=100 + classes["seed"]), 0.9).notes
    assert other == ("Intervals are at 90 %, so that those of 3 densities hold together at 70 % (Bonferroni).",)
    five = analyse("", *drawn(densities=(0.5, 0.25, 0.1, 0.05, 0.02)))
    assert "those of 5 densities hold together at 95 %" in five.notes[-1]
    assert analyse("", *drawn(densities=(0.5,))).notes[-1] == "Intervals are at 99 % (the level of Good et al. 2022)."


def test_what_is_read_is_what_an_audit_holds(sample_models: Path) -> None:
    dense, pruned = (ModelSource(name=name, path=sample_models / f"{name}.onnx") for name in ("dense", "pruned-90"))
    audit = story.run(dense, [pruned], DataSource(path=sample_models / "val"), Settings())
    key: dict[str, Any] = {"network": "lenet", "seed": 0, "method": "magnitude", "density": 0.1, "failed": None}
    runs = audit.to_frame(overall=True).reset_index().assign(**key)
    classes = audit.to_frame().reset_index().rename(columns={"stratum": "class"}).assign(**key)
    assert {*analysis.OF_RUNS} <= {*runs.columns}
    assert {*analysis.OF_CLASSES, "verdict", "distortion"} <= {*classes.columns}
    (cell,) = rows("cells", analyse("", runs, classes))
    # One seed: the slope over all of its classes is its own alpha, and its worst class is that of its audit.
    assert cell["pooled_alpha"] == pytest.approx(cell["alpha"])
    assert cell["pooled_r_squared"] == pytest.approx(cell["r_squared"])
    assert cell["worst_recall"] == pytest.approx(classes["pruned_recall"].min())
    assert cell["worst_change"] == pytest.approx(classes["pruned_recall"].min() - classes["dense_recall"].min())
    assert cell["harmed"] == classes["distortion"].isin(HARMED).sum()
    assert isinstance(cell["corrected"], float)

"""Exemplars against counts by hand, scipy and statsmodels; exchanges against all of them, one by one."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, fisher_exact
from statsmodels.stats.multitest import multipletests

from prune_audit.core import Counts, Value
from prune_audit.errors import StudyError
from prune_audit.files import packed
from prune_audit.study import exemplars, results
from prune_audit.study.exemplars import Cell

CLASSES = {"net": ("cat", "dog", "owl")}


def mode(named: list[int]) -> tuple[int, bool]:
    """The most frequent class, the first of equals, and whether there are equals."""
    counts = Counter(named)
    best = [c for c, n in counts.items() if n == max(counts.values())]
    return min(best), len(best) > 1


def cell(dense: Counts, pruned: Counts, labels: Counts) -> Cell:
    enough = len(dense) >= exemplars.FEWEST
    return Cell(
        key=("net", "m", 0.1),
        seeds=len(dense),
        labels=labels,
        found=exemplars.find(dense, pruned, labels),
        exchanged=exemplars.exchanged(dense, pruned) if enough else None,
    )


def rows(table: Any) -> list[dict[str, Value]]:
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


populations = st.tuples(st.integers(1, 5), st.integers(0, 8)).flatmap(
    lambda shape: st.tuples(*(arrays(np.int64, shape, elements=st.integers(0, 3)) for _ in range(2)))
)


@given(populations)
def test_modes_and_distances_are_those_counted_one_by_one(both: tuple[Counts, Counts]) -> None:
    dense, pruned = both
    labels = np.arange(dense.shape[1]) % 3
    found = exemplars.find(dense, pruned, labels)
    for at, label in enumerate(labels):
        sides = [named[:, at].tolist() for named in both]
        modes = [mode(side) for side in sides]
        assert (found.dense[at], found.pruned[at]) == (modes[0][0], modes[1][0])
        assert found.tied[at] == (modes[0][1] or modes[1][1])
        apart = sum(abs(sides[0].count(c) - sides[1].count(c)) for c in range(4)) / len(dense)
        assert found.distance[at] == pytest.approx(apart)  # a sum of fractions
        assert (found.dense_right[at], found.pruned_right[at]) == tuple(side.count(label) for side in sides)


@given(populations)
def test_exchanges_are_all_of_them(both: tuple[Counts, Counts]) -> None:
    dense, pruned = both
    labels = np.zeros(dense.shape[1], np.int64)
    every = []
    for swap in itertools.product((False, True), repeat=len(dense)):
        at = np.array(swap)[:, None]
        one, other = np.where(at, pruned, dense), np.where(at, dense, pruned)
        every.append(int(exemplars.find(one, other, labels).differ.sum()))
    found = exemplars.exchanged(dense, pruned)
    assert found[0] == exemplars.find(dense, pruned, labels).differ.sum()
    assert sorted([*found.tolist(), *found.tolist()]) == sorted(every)  # with its complement each counts twice


def test_one_population_twice_has_no_exemplars() -> None:
    named = np.random.default_rng(0).integers(0, 5, (6, 50))
    found = exemplars.find(named, named[::-1], np.zeros(50, np.int64))
    assert not found.differ.any()
    assert not found.distance.any()
    assert exemplars.exchanged(named, named).tolist() == [0] * 32


def test_planted_exemplars_are_found_and_no_others() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 40)
    dense = np.tile(labels, (7, 1))
    planted = rng.permutation(120)[:9]
    pruned = dense.copy()
    pruned[:5, planted] = (labels[planted] + 1) % 3  # most of the seven
    one = cell(dense, pruned, labels)
    assert np.flatnonzero(one.found.differ).tolist() == sorted(planted.tolist())
    assert one.found.distance[planted] == pytest.approx(10 / 7)  # 5 of 7 moved, counted on both sides
    assert one.exchanged is not None
    (row,) = rows(exemplars.tables([one], CLASSES)[0])
    assert row["exemplars"] == 9
    # An exchange of i of the five leaves 5 - i votes against 7 - 5 + i, or the reverse: a majority moves unless equal.
    assert row["p"] == float((one.exchanged >= 9).mean())
    assert row["dense_on"] == 1.0
    assert row["pruned_on"] == pytest.approx(2 / 7)
    assert row["dense_off"] == row["pruned_off"] == 1.0


def test_where_pruning_changes_nothing_p_is_uniform_at_least() -> None:
    """Under exchange P(p <= a) <= a for every a; 200 draws leave .05 with a standard error of .015."""
    rng = np.random.default_rng(2)
    p = []
    for _ in range(200):
        dense, pruned = np.where(rng.random((2, 6, 40)) < 0.3, rng.integers(0, 4, (2, 6, 40)), 0)
        counts = exemplars.exchanged(dense, pruned)
        p.append(float((counts >= counts[0]).mean()))
    for level in (0.05, 0.1, 0.25, 0.5):
        assert np.mean(np.array(p) <= level) <= level + 3 * (level * (1 - level) / 200) ** 0.5


def test_expected_distance_of_two_populations_of_one_kind() -> None:
    """With K networks that name one of two classes at random, the distance is 2 |B - B'| / K, both Bin(K, e)."""
    k, e, n = 8, 0.3, 20_000
    rng = np.random.default_rng(3)
    dense, pruned = (rng.random((2, k, n)) < e).astype(np.int64)
    found = exemplars.find(dense, pruned, np.zeros(n, np.int64))
    law = binom.pmf(np.arange(k + 1), k, e)
    apart = np.abs(np.arange(k + 1)[:, None] - np.arange(k + 1))
    expected = 2 * float((law[:, None] * law * apart).sum()) / k
    assert found.distance.mean() == pytest.approx(expected, abs=5 * found.distance.std() / n**0.5)


def test_more_seeds_than_are_exchanged_in_all_ways_are_drawn_and_drawn_alike() -> None:
    rng = np.random.default_rng(4)
    dense, pruned = rng.integers(0, 3, (2, 12, 30))
    found = exemplars.exchanged(dense, pruned)
    assert len(found) == exemplars.DRAWN + 1
    np.testing.assert_array_equal(found, exemplars.exchanged(dense, pruned))
    every = exemplars.exchanged(dense[:, :], pruned[:, :], seed=1)
    # Two draws of a thousand agree on the mean within their errors.
    assert found.mean() == pytest.approx(every.mean(), abs=5 * found.std() / 1000**0.5)


def test_classes_are_tested_as_scipy_and_statsmodels_do() -> None:
    labels = np.repeat(np.arange(3), (30, 50, 20))
    dense = np.tile(labels, (3, 1))
    pruned = dense.copy()
    moved = [0, 1, 2, 3, 4, 40, 95]
    pruned[:, moved] = (labels[moved] + 1) % 3
    cells, classes = (rows(made) for made in exemplars.tables([cell(dense, pruned, labels)], CLASSES))
    expected = [
        fisher_exact(np.array([[k, n - k], [7 - k, 100 - n - 7 + k]]), "greater").pvalue
        for k, n in zip((5, 1, 1), (30, 50, 20), strict=True)
    ]
    assert [row["p"] for row in classes] == pytest.approx(expected, rel=1e-9)
    assert [row["q"] for row in classes] == pytest.approx(multipletests(expected, method="fdr_bh")[1], rel=1e-9)
    assert [row["exemplars"] for row in classes] == [5, 1, 1]
    assert [row["expected"] for row in classes] == pytest.approx([2.1, 3.5, 1.4])
    assert [row["finding"] for row in classes] == ["not shown"] * 3  # the first has q .09
    assert cells[0]["absent"] == "3 seeds can be exchanged in so few ways that p is never below 0.25"


def test_few_seeds_have_no_exchange() -> None:
    labels = np.array([0, 1, 2])
    for seeds, said in ((1, "where two networks disagree"), (2, "one of very few networks")):
        one = cell(np.tile(labels, (seeds, 1)), np.tile(labels[::-1], (seeds, 1)), labels)
        (row,) = rows(exemplars.tables([one], CLASSES)[0])
        assert row["exemplars"] == 2
        assert row["p"] is row["q"] is row["expected"] is None
        assert said in str(row["absent"])


def test_the_list_has_exemplars_first_and_farthest_first() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    dense = np.tile(labels, (3, 1))
    pruned = dense.copy()
    pruned[:2, 1] = 2  # an exemplar
    pruned[:, 3] = 0  # a farther one
    pruned[0, 4] = 0  # not one
    one = cell(dense, pruned, labels)
    found = exemplars.listed([one], "abcde", CLASSES)
    names = [dict(zip(exemplars.COLUMNS, row, strict=True)) for row in found]
    assert [row["id"] for row in names] == ["d", "b", "e"]
    assert names[0] == {
        "network": "net", "method": "m", "density": 0.1, "id": "d", "label": "dog", "dense_mode": "dog",
        "pruned_mode": "cat", "tie": "no", "is_pie": "yes", "taxicab": 2.0, "seeds": 3, "dense_correct": 3,
        "pruned_correct": 0, "shift": -1.0,
    }  # fmt: skip
    assert names[2]["is_pie"] == "no"
    assert exemplars.listed([one], "abcde", CLASSES, 1) == found[:1]


# ------------------------------------------------------------------------------------------------ of files


def written(
    folder: Path, named: list[tuple[Counts, Counts]], labels: Counts, change: dict[str, Any] | None = None
) -> Path:
    """Runs of one cell, a seed for each of ``named``."""
    results.begin(folder, "S")
    names = CLASSES["net"]
    results.put_audited(folder, [(f"{at}.png", names[label]) for at, label in enumerate(labels)])
    for seed, sides in enumerate(named):
        rights = [of == labels for of in sides]
        record: dict[str, Any] = {
            "key": f"{seed}", "plan": 20 * "0", "data": 20 * "d", "network": "net", "seed": seed, "method": "m",
            "density": 0.1, "at": [0, seed, 0], "failed": None, "achieved": 0.1, "run": {"accuracy": 0.5},
            "classes": [{"stratum": name, "support": int((labels == c).sum()),
                         **{f"{side}_recall": float(right[labels == c].mean())
                            for side, right in zip(("dense", "pruned"), rights, strict=True)}}
                        for c, name in enumerate(names)],
            "right": dict(zip(("dense", "pruned"), map(packed.flags, rights), strict=True)),
            "predicted": dict(zip(("dense", "pruned"), map(packed.positions, sides), strict=True)),
        }  # fmt: skip
        results.put(folder, results.place(folder, "net", seed, "m", 0.1), record | (change or {}))
    return folder


def test_what_runs_keep_comes_back_from_files_and_from_tables(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(3), (3, 4, 5))
    named = [(rng.integers(0, 3, 12), rng.integers(0, 3, 12)) for _ in range(4)]
    source = written(tmp_path / "files", named, labels)
    kept = tmp_path / "tables"
    kept.mkdir()
    for name, content in results.tables(*results.read([source])[1:]).items():
        (kept / name).write_bytes(content)
    results.put_audited(kept, results.audited([source]))
    dense, pruned = (np.stack([sides[side] for sides in named]) for side in (0, 1))
    expected = exemplars.find(dense, pruned, labels)
    for folder in (source, kept):
        _, _, classes, right = results.read([folder])
        (found,) = exemplars.of_study(right, classes)
        assert found.key == ("net", "m", 0.1)
        assert found.seeds == 4
        for field in ("dense", "pruned", "distance", "dense_right", "pruned_right"):
            np.testing.assert_array_equal(getattr(found.found, field), getattr(expected, field))
        exemplars.check([found], [of for _, of in results.audited([folder])], CLASSES)
    with pytest.raises(StudyError, match="lists other samples"):
        exemplars.check([found], ["cat"] * 12, CLASSES)


def test_classes_that_are_none_are_refused(tmp_path: Path) -> None:
    labels = np.arange(3)
    four = packed.positions(np.array([0, 1, 3]))
    folder = written(tmp_path / "1", [(labels, labels)], labels, {"predicted": {"dense": four, "pruned": four}})
    _, _, classes, right = results.read([folder])
    with pytest.raises(ValueError, match="seed 0: expected positions of 3 classes, found 3"):
        exemplars.of_study(right, classes)
    folder = written(tmp_path / "2", [(labels, labels)], labels, {"predicted": {"dense": four}})
    with pytest.raises(StudyError, match="predicted is not of the dense and the pruned model"):
        results.read([folder])


def test_lists_that_are_none_or_differ_are_refused(tmp_path: Path) -> None:
    one, other = (tmp_path / name for name in "12")
    one.mkdir()
    with pytest.raises(StudyError, match="does not say which samples were audited"):
        results.audited([one])
    for folder, of in ((one, "cat"), (other, "dog")):
        results.put_audited(folder, [("a", of)])
    with pytest.raises(StudyError, match="list different samples"):
        results.audited([one, other])
    assert results.audited([one, one]) == (("a", "cat"),)
    (one / results.AUDITED).write_text("name,class\na,cat\n")
    with pytest.raises(StudyError, match="expected the columns id and class"):
        results.audited([one])
    (one / results.AUDITED).write_text("id,class\n")
    with pytest.raises(StudyError, match="and samples"):
        results.audited([one])
    (one / results.AUDITED).unlink()
    (one / results.AUDITED).symlink_to("/dev/zero")  # which is read without an end
    with pytest.raises(StudyError, match="there is no such file"):
        results.audited([one])

"""The lens of linear pieces: what is dead bends no more, what did not change has as many, long lines are left out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from prune_audit.core import Table
from prune_audit.errors import UsageError
from prune_audit.lenses import CannotLook, Seen, regions
from prune_audit.nets import regions_bound
from tests.lenses import subjects
from tests.lenses.explained import explain, saved, section, state

FEW = regions.Options(segments=3)


def small() -> Any:
    """Two layers of twelve units that bend, which learnt ten classes of ten numbers."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 10))
    x, y = (torch.from_numpy(each) for each in subjects.one_hot(2, 20))
    steps = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(60):
        steps.zero_grad()
        nn.functional.cross_entropy(made(x), y).backward()
        steps.step()
    return made


def without(module: Any, kept: int) -> Any:
    """``module`` with ``kept`` units left in each layer that bends; the others are zero everywhere."""
    made = copy.deepcopy(module)
    with torch.no_grad():
        for layer in (made[0], made[2]):
            layer.weight[kept:] = 0
            layer.bias[kept:] = 0
    return made


def looked(dense: Any, pruned: Any, options: regions.Options = FEW) -> Seen:
    subject = subjects.subject(dense, pruned, subjects.one_hot(0, 3), subjects.one_hot(1, 3))
    return regions.look(subject, options)


def rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip([field.name for field in table.fields], row, strict=True)) for row in table.rows]


def test_a_network_without_most_of_its_units_has_fewer_pieces() -> None:
    dense = small()
    seen = looked(dense, without(dense, 2))
    found = rows(seen.tables[0])
    assert [(row["class"], row["series"]) for row in found[:3]] == [
        ("0", "within the class"), ("0", "to other classes"), ("1", "within the class"),
    ]  # fmt: skip
    assert len(found) == 20
    for row in found:
        assert (row["n"], row["left_out"]) == (3, 0)
        assert row["pruned"] < row["dense"]
        assert row["pruned"] <= 3 * 3  # two units cut a line in three at most, and two more each of these again
        assert 0 < row["ratio"] < 1
    (measure,) = seen.measures
    assert list(measure.by_stratum) == [row["ratio"] for row in found[1::2]]
    dense_mean, pruned_mean = (sum(row[side] for row in found[::2]) / 10 for side in ("dense", "pruned"))
    assert seen.sentences[0].startswith(
        f"Lines within the class go through {dense_mean:,.1f} pieces of the dense network and {pruned_mean:,.1f} of"
    )
    assert "Shown to be fewer" in seen.sentences[2]


def test_a_network_that_bends_nowhere_is_one_piece() -> None:
    dense = small()
    for row in rows(looked(dense, without(dense, 0)).tables[0]):
        assert row["pruned"] == 1


def test_the_same_network_has_the_same_pieces() -> None:
    seen = looked(small(), small())
    for row in rows(seen.tables[0]):
        assert row["dense"] == row["pruned"] > 1
        assert row["ratio"] == pytest.approx(1)
        assert row["low"] is row["high"] is None
    assert "In no class" in seen.sentences[2]


def test_long_lines_are_left_out_and_none_is_counted_where_the_first_are_too_long() -> None:
    dense = small()
    counts = [row["dense"] for row in rows(looked(dense, dense).tables[0])]
    most = int(sorted(counts)[len(counts) // 2])
    seen = looked(dense, dense, regions.Options(segments=3, most_pieces=most))
    found = rows(seen.tables[0])
    left = sum(row["left_out"] for row in found)
    assert any(
        said.startswith(f"{left} of 60 lines, those with the most pieces, are left out") for said in seen.sentences
    )
    assert {row["n"] + row["left_out"] for row in found} == {3}
    assert sum(row["left_out"] for row in found) > 0
    assert all(row["dense"] <= most for row in found if row["n"])
    with pytest.raises(CannotLook, match="goes through more than 2 pieces, which are not counted to their end"):
        looked(dense, dense, regions.Options(segments=3, most_pieces=2))


def test_the_section_says_that_lines_are_too_long(tmp_path: Path, few_arrays: Path) -> None:
    more = ("--segments", "2", "--most-pieces", "3", "--samples", "2", "--same-data")
    document = explain(tmp_path, "regions", saved(tmp_path, state()), few_arrays, *more, audit=few_arrays)
    assert section(document, "regions")["absent"] == (
        "a line between two samples goes through more than 3 pieces, which are not counted to their end"
    )


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="--segments: expected 2 or more, found 1"):
        regions.Options(segments=1)
    with pytest.raises(UsageError, match="--most-pieces: expected 2 or more, found 0"):
        regions.Options(most_pieces=0)


def test_the_bound_of_fully_connected_layers_stands_beside_and_says_where_it_tells_nothing() -> None:
    dense = small()
    sparse = copy.deepcopy(dense)
    with torch.no_grad():
        for layer, kept in ((sparse[0], 6), (sparse[2], 12)):
            layer.weight.view(-1)[kept:] = 0
    seen = looked(dense, sparse)
    found = rows(seen.tables[1])
    assert [(row["network"], row["layer"]) for row in found] == [
        ("dense", "0"), ("dense", "2"), ("pruned", "0"), ("pruned", "2"),
        ("pruned, cut evenly", "0"), ("pruned, cut evenly", "2"),
    ]  # fmt: skip
    whole = [{10: 1.0}, {12: 1.0}]
    assert found[0]["log2_bound"] == pytest.approx(regions_bound.log2_bound([12, 12], whole, 10))
    assert [row["density"] for row in found[2:]] == pytest.approx([6 / 120, 12 / 144, *[18 / 264] * 2])
    assert found[1]["rank"] == 12
    assert 0 < found[2]["rank"] < 12
    bits = [row["log2_bound"] for row in found[::2]]
    assert bits[1] < bits[0] - 0.5
    assert f"falls from 2^{bits[0]:.1f} pieces to 2^{bits[1]:.1f}" in seen.sentences[-2]
    assert ("cannot tell this one either" in seen.sentences[-1]) == (abs(bits[1] - bits[2]) < 0.5)
    # Two units of twelve are left in each layer, which counting sees and the bound, of densities alone, does not.
    few = looked(dense, without(dense, 2))
    assert "it cannot tell these apart" in few.sentences[-2]
    assert "cannot tell this one either" in few.sentences[-1]


def test_there_is_no_bound_where_more_than_relu_lies_between_layers() -> None:
    torch.manual_seed(0)
    bent = nn.Sequential(nn.Linear(10, 6), nn.LeakyReLU(0.1), nn.Linear(6, 10))
    seen = looked(bent, bent)
    assert [table.name for table in seen.tables] == ["pieces"]
    assert not any("bound" in said for said in seen.sentences)


def test_a_network_that_bends_smoothly_cannot_be_looked_at() -> None:
    smooth = nn.Sequential(nn.Linear(10, 6), nn.GELU(), nn.Linear(6, 10))
    with pytest.raises(CannotLook, match="computes gelu, which is not piecewise linear"):
        looked(smooth, smooth)

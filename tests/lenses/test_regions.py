"""The lens of linear pieces: what is dead bends no more, what did not change has as many, long lines are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit.errors import UsageError
from prune_audit.lenses import regions
from tests.lenses.explained import explain, measures, rows, saved, section, state

FEW = ("--segments", "2", "--samples", "2", "--same-data")


def test_a_network_without_most_of_its_units_has_fewer_pieces(tmp_path: Path, few_digits: Path) -> None:
    weights = state()
    for name, kept in (("0", 2), ("2", 2), ("6", 4)):
        weights[f"{name}.weight"][kept:] = 0
        weights[f"{name}.bias"][kept:] = 0
    document = explain(tmp_path, "regions", saved(tmp_path, weights), few_digits, *FEW, audit=few_digits)
    look = section(document, "regions")
    found = rows(look, "pieces")
    assert [(row["class"], row["series"]) for row in found[:3]] == [
        ("0", "within the class"), ("0", "to other classes"), ("1", "within the class"),
    ]  # fmt: skip
    for row in found:
        assert (row["n"], row["left_out"]) == (2, 0)
        assert row["pruned"] < row["dense"]
        assert 0 < row["ratio"] < 0.5
    assert measures(document)["pieces_ratio"]["by_stratum"] == [row["ratio"] for row in found[1::2]]
    assert "pieces of the dense network and" in look["sentences"][0]


def test_the_same_network_has_the_same_pieces_and_long_lines_are_left_out(tmp_path: Path, few_digits: Path) -> None:
    same = saved(tmp_path, state())
    document = explain(tmp_path, "regions", same, few_digits, *FEW, audit=few_digits)
    for row in rows(section(document, "regions"), "pieces"):
        assert row["ratio"] == pytest.approx(1)
        assert row["low"] is row["high"] is None
    short = explain(tmp_path, "regions", same, few_digits, *FEW, "--most-pieces", "5", audit=few_digits)
    assert section(short, "regions")["absent"] == (
        "a line between two samples goes through more than 5 pieces, which are not counted to their end"
    )


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="--segments: expected 2 or more, found 1"):
        regions.Options(segments=1)
    with pytest.raises(UsageError, match="--most-pieces: expected 2 or more, found 0"):
        regions.Options(most_pieces=0)

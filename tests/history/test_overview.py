"""The table of a history against its releases, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prune_audit.history import overview
from prune_audit.history.releases import Strata
from tests.history.audits import stream

ROWS = overview.rows(stream())


def test_a_row_for_each_release_and_variant_with_the_uses_of_its_data() -> None:
    told = [(row.place, row.variant.name, row.uses) for row in ROWS]
    assert told == [(1, "v0a", 1), (2, "v1a", 2), (3, "v2a", 3), (4, "v3a", 1), (5, "v4a", 2), (5, "v4b", 2)]


def test_what_the_budget_says_of_each() -> None:
    """e of the third is half of 1.4e8, and what it takes 148; the fourth takes half of 263."""
    assert [row.budget_says for row in ROWS[:4]] == ["not regressed", "not regressed", "regressed", "not regressed"]
    assert [overview.evidence(row).split(" of ")[1] for row in ROWS] == [
        "16.4",
        "65.8",
        "148.0",
        "131.6",
        "205.6",
        "205.6",
    ]
    bare = overview.rows([replace(each, budget=None) for each in stream()])
    assert {row.budget_says for row in bare} == {None}
    assert {overview.evidence(row) for row in bare} == {"-"}


def test_counts_and_the_worst_class() -> None:
    cells = overview.cells(ROWS[2])
    assert tuple(cells) == overview.NAMES
    assert (cells["regressed"], cells["cannot_tell"], cells["fine"]) == (1, 0, 1)
    assert cells["worst"] == "1"
    assert cells["worst_change"] == pytest.approx(-0.37)
    view = ROWS[2].variant.classes
    assert (cells["worst_low"], cells["worst_high"]) == (view.low[1], view.high[1])
    assert cells["change"] == pytest.approx(-37 / 200)


def strata(change: tuple[float | None, ...], high: tuple[float | None, ...]) -> overview.Row:
    view = Strata(
        by="class", strata=("a", "b", "c"), verdicts=(None,) * 3, change=change, low=(None,) * 3, high=high, log_e=()
    )
    return replace(ROWS[0], variant=replace(ROWS[0].variant, views=(view,)))


def test_the_worst_class_where_changes_are_not_told_or_absent() -> None:
    assert strata((None, None, None), (-0.1, -0.3, None)).worst == 1
    assert strata((0.1, None, -0.2), (0.2, None, 0.1)).worst == 2
    assert strata((None,) * 3, (None,) * 3).worst is None
    assert overview.cells(strata((None,) * 3, (None,) * 3))["worst_change"] is None


def test_what_is_said_of_all() -> None:
    told = list(overview.sentences(stream()))
    assert told[0] == "5 releases, 2026-03-01 to 2026-06-29, of which 3 failed the gate."
    assert told[1].startswith("The data of the last one have judged 2 releases: where releases are tuned")
    assert told[2] == (
        "Under a budget of 0.1, 2 of 5 releases regressed; the next takes an e of 197.4, and 0.0093 of the budget are "
        "left after it."
    )
    [one, data] = overview.sentences([replace(stream()[0], budget=None)])
    assert one == "1 release, 2026-03-01, of which 0 failed the gate."
    assert data == "The data of the last one have judged 1 release."


def test_classes_that_regressed_most_often_come_first() -> None:
    assert overview.classes(ROWS, 1) == (("1",), 1)
    assert overview.classes(ROWS, 9) == (("1", "0"), 0)
    assert overview.at(ROWS[0].variant.classes, "1") == 1
    assert overview.at(ROWS[0].variant.classes, "none") is None

"""A study as text, Markdown and CSV: whole texts, and what must never be missing from them.

``PRUNE_AUDIT_UPDATE=1 pytest tests/study`` writes the golden files anew; read their diff before committing it.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from prune_audit.reports.markdown import MOST
from prune_audit.study import _shown, writing
from prune_audit.study.analysis import CELLS
from prune_audit.study.tables import Analysis, Column, Kind, Table
from tests.reports.golden import same_as_golden
from tests.study import analyses
from tests.study.analyses import BITES, METHODS

GOLDEN = Path(__file__).parent / "golden"


def text(analysis: Analysis, width: int = 120) -> str:
    return writing.text(analysis, Console(file=io.StringIO(), width=width, height=25, color_system=None))


def said(analysis: Analysis, width: int = 120) -> str:
    """The whole text as one line, so that a sentence is found however it wraps."""
    return " ".join(text(analysis, width).split())


def only(table: Table) -> Analysis:
    """An analysis of cells and ``table``."""
    whole = analyses.small().analysis
    return replace(whole, tables=(whole.table("cells"), table))


@pytest.mark.parametrize("width", [80, 200])
def test_whole_text(width: int) -> None:
    same_as_golden(f"study-{width}.txt", text(analyses.small().analysis, width).encode(), GOLDEN)


def test_whole_markdown() -> None:
    same_as_golden("study.md", writing.markdown(analyses.small().analysis).encode(), GOLDEN)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200, 300])
@pytest.mark.parametrize("study", [analyses.study(), analyses.small(), analyses.bitten(), analyses.study(seeds=1)])
def test_no_line_is_too_long_and_nothing_wraps_but_names(study: analyses.Study, width: int) -> None:
    shown = text(study.analysis, width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert shown.count("what was found") == 1


def test_columns_that_are_least_needed_go_first() -> None:
    whole = analyses.small().analysis
    narrow, wide = text(whole, 80), text(whole, 200)
    for title in ("alpha", "interval", "finding", "r^2"):
        assert title in narrow.partition("random")[0]
    assert "noise-corrected" not in narrow
    assert "noise-corrected" in wide
    assert "pooled" not in wide  # a wide column


def test_all_cells_and_of_tests_what_they_show() -> None:
    whole = analyses.study().analysis
    cells = text(whole, 100).partition("From density to density")[0]
    assert all(cells.count(method) >= 2 for method in METHODS)
    assert sum(line.strip()[:2] in ("50", "25", "10", "5 ", "2 ") for line in cells.splitlines()) >= 2 * 6 * 4
    classes = whole.table("classes")
    more = len(classes.rows) - len(classes.telling)
    assert f"{more:,} more rows that show no such thing; the CSV file has all." in said(whole)
    assert "gained ground" not in text(whole)


def test_a_table_that_shows_nothing_says_so_and_why() -> None:
    alone = analyses.study(seeds=1).analysis
    assert "Nothing is shown in any of 56 rows; the CSV file has all." in said(alone, 200)
    assert "why a paired test needs 2 seeds (resnet-20, random, 50 %, 25 %; " in said(alone, 200)
    assert "and 52 more)" in said(alone, 200)
    assert "interval" not in text(alone, 200).partition("From density")[0].partition("resnet-20")[2].partition("-  ")[0]


def test_a_reason_is_told_once_for_all_of_its_rows() -> None:
    # what follows the colon, r^2, belongs to one row each
    assert said(analyses.small().analysis).count("alpha is no slope of anything (resnet-20, random, 50 %; ") == 1


def test_reasons_that_are_too_many_are_counted() -> None:
    columns = (
        column("network", "network", "label"),
        column("absent", "absent", "label"),
    )
    rows = tuple(("a", f"reason {n}") for n in range(9))
    table = Table(name="many", title="Many", about="Of them.", columns=columns, rows=rows, telling=())
    assert "reason 5 (a)" in said(only(table))
    assert "reason 6" not in said(only(table))
    assert "3 more reasons; the CSV file has them" in said(only(table))
    assert "3 more reasons; the CSV file has them" in writing.markdown(only(table))


def test_numbers_are_rounded_as_their_kind_asks() -> None:
    kinds = (
        column("network", "network", "label"), column("density", "density", "share"), column("n", "n", "count"),
        column("recall", "recall", "share"), column("moved", "moved", "points"), column("a", "a", "ratio"),
        column("a_low", "low", "ratio"), column("a_high", "y", "ratio"), column("p", "p", "p"),
        column("t", "t", "number"), column("nothing", "nothing", "ratio"),
    )  # fmt: skip
    row = ("net", 0.005, 1234, 0.98765, -0.0123, 1.23456, 0.999, 1.501, 0.00001, 12.345, None)
    part = (None, 0.5, None, None, None, None, None, 1.0, None, None, None)
    table = Table(name="kinds", title="Kinds", about="Of numbers.", columns=kinds, rows=(row, part), telling=(0, 1))
    shown = {column.title: column.cells for column in _shown.columns(table, (0, 1))}
    assert shown == {
        "network": ("net", "-"), "density, %": ("0.5", "50"), "n": ("1,234", "-"), "recall, %": ("98.8", "-"),
        "moved, points": ("-1.2", "-"), "a": ("1.23", "-"), "interval": ("1.00 to 1.50", "-"),
        "p": ("<0.0001", "-"), "t": ("12.3", "-"),
    }  # fmt: skip


def column(name: str, title: str, kind: Kind) -> Column:
    return Column(name=name, title=title, kind=kind)


def cells(*rows: tuple[str, float, float | None, float | None, str | None, str | None]) -> Table:
    """Cells by method, density, alpha, r^2, finding and gaps; without r^2 every run failed."""
    names = ("method", "density", "alpha", "r_squared", "finding", "gaps")
    runs = {"seeds": 8, "finished": 8}
    made = [
        {"network": "net", "accuracy": None if row[3] is None else 0.9, **runs, **dict(zip(names, row, strict=True))}
        for row in rows
    ]
    return analyses.table("cells", "Cells", CELLS, made)


def pairs(*rows: tuple[float, str, str, str]) -> Table:
    """Methods by density, method, other and finding."""
    columns = tuple(column(name, name, "label") for name in ("network", "density", "method", "other", "finding"))
    made = tuple(("net", *row) for row in rows)
    return Table(name="methods", title="Methods", about="", columns=columns, rows=made, telling=())


def sentences(*tables: Table) -> tuple[str, ...]:
    ((network, found),) = _shown.sentences(Analysis(title="", tables=tables, notes=()))
    assert network == "net"
    return found


def test_what_intensified_and_what_did_not() -> None:
    """Gaps by themselves, whatever alpha is; alpha of what one line describes."""
    found = sentences(
        cells(
            ("a", 0.5, 0.9, 0.9, "de-intensified", "undetermined"), ("a", 0.1, 1.4, 0.9, "intensified", "grew"),
            ("a", 0.02, 1.9, 0.9, "intensified", "grew"), ("b", 0.5, 1.0, 0.9, "undetermined", "shrank"),
            ("b", 0.1, -3.0, 0.9, "de-intensified", "grew"), ("b", 0.02, 1.9, 0.4, "intensified", None),
            ("c", 0.02, None, 0.0, None, None), ("d", 0.02, None, None, None, None),
            ("d", 0.1, None, None, None, None),
        )
    )  # fmt: skip
    assert found == (
        "Gaps between classes grew in 3 of 5 cells: a at 10 and 2 %; b at 10 %.",
        "They shrank in 1: b at 50 %.",
        "Alpha lies above 1 in 2 of 4 cells: a at 10 and 2 %.",
        "Alpha lies below 1 in 1 of 4 cells: a at 50 %.",
        "Every run failed of d at 2 and 10 %.",
        "Nothing is said here of alpha of b at 10 and 2 %; c at 2 %: no rising line describes the classes (mean r^2 "
        "below 0.5, or alpha below 0), or at most half of the runs have an alpha.",
    )
    (none,) = sentences(cells(("a", 0.5, 1.1, 0.9, "undetermined", "undetermined")))
    assert none == "In no cell gaps between classes are shown to have grown, of 1 cell."


def test_the_lowest_are_those_that_each_lie_below_all_others() -> None:
    of = cells(
        ("a", 0.1, 1.1, 0.9, "intensified", None), ("b", 0.1, 1.2, 0.9, "intensified", None),
        ("c", 0.1, 1.5, 0.9, "intensified", None), ("d", 0.1, -1.0, 0.02, "de-intensified", None),
    )  # fmt: skip
    # a and b are not told apart, but both lie below c; d lies below all and is no line
    tied = pairs(
        (0.1, "a", "b", "not shown"), (0.1, "a", "c", "higher"), (0.1, "c", "b", "lower"), (0.1, "a", "d", "lower")
    )
    assert "Lowest alpha, shown to lie below that of all other methods: a and b at 10 %." in sentences(of, tied)
    alone = pairs((0.1, "a", "b", "higher"), (0.1, "a", "c", "higher"))
    assert "Lowest alpha, shown to lie below that of all other methods: a at 10 %." in sentences(of, alone)
    unsure = pairs((0.1, "a", "c", "higher"), (0.1, "b", "c", "not shown"))
    assert not any(sentence.startswith("Lowest") for sentence in sentences(of, unsure))
    # that three of four lie below the fourth says no more than that the fourth is bad
    of = cells(
        *((name, 0.1, 1.1, 0.9, "intensified", None) for name in "abc"), ("d", 0.1, 2.0, 0.9, "intensified", None)
    )
    worst = pairs(*((0.1, name, "d", "higher") for name in "abc"))
    assert not any(sentence.startswith("Lowest") for sentence in sentences(of, worst))


def test_names_that_bite_stay_text() -> None:
    bitten = analyses.bitten().analysis
    shown = text(bitten, 200)
    assert BITES[0] in shown
    assert "\u2028" not in shown
    marked = writing.markdown(bitten)
    assert "<script" not in marked.replace("\\<", "")
    assert "<img" not in marked.replace("\\<", "")
    assert "\u2028" not in marked
    lines = [line.replace("\\|", "") for line in marked.splitlines() if line.startswith("| ")]
    heads = {line.count("|") for line in lines if line.startswith("| network")}
    assert {line.count("|") for line in lines} == heads


def test_markdown_fits_into_a_comment() -> None:
    methods = tuple(f"method-{n}" for n in range(12))
    many = analyses.study(methods=methods, seeds=2, classes=4).analysis
    assert len(writing.markdown(many).encode()) <= MOST


def test_csv_is_whole_and_reads_back() -> None:
    table = analyses.study(seeds=1).analysis.table("cells")
    lines = list(csv.reader(io.StringIO(writing.csv(table), newline="")))
    assert lines[0] == [column.name for column in table.columns]
    assert len(lines) == len(table.rows) + 1
    for line, row in zip(lines[1:], table.rows, strict=True):
        assert line == ["" if value is None else value if isinstance(value, str) else repr(value) for value in row]
    assert "\r\n" in writing.csv(table)

"""What lenses saw: every value in CSV, sentences first in whatever people read, names never obeyed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from prune_audit import reports
from prune_audit.render.consoles import Console
from prune_audit.reports import html, lenses, markdown
from prune_audit.reports import table as terminal
from tests.lenses.looks import looked


def test_a_row_for_each_value(tmp_path: Path) -> None:
    path = tmp_path / "why.lenses.csv"
    reports.write(looked(), path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 4 * 6
    first = [row for row in rows if row["row"] == "0"]
    assert [row["value"] for row in first] == ["conv1", "7", "-0.2", "-0.3", "-0.1", "1.5"]
    assert {row["variant"] for row in rows} == {"pruned-90"}
    assert [row["value"] for row in rows if row["row"] == "3"][2:] == ["", "", "", ""]


def test_a_spreadsheet_runs_none_of_it() -> None:
    assert "'=8" in lenses.excel(looked())
    assert "'=8" not in lenses.render(looked())


def test_the_terminal_opens_with_why_and_has_a_section_for_each_lens() -> None:
    text = terminal.render(looked())
    assert text.index("Nothing explains who lost.") < text.index("accuracy") < text.index("Which layer?")
    assert "nothing was seen: pruned-90 is ONNX, and this lens needs gradients" in text
    line = next(line for line in text.splitlines() if line.startswith("conv2 "))
    assert line.split() == ["conv2", "+0.4", "-"]  # a grid is spread out by class
    plain = terminal.render(looked("dots"))
    line = next(line for line in plain.splitlines() if line.startswith("conv1  7"))
    assert line.split() == ["conv1", "7", "-20.0", "-30.0", "-10.0", "1.500"]


def test_the_terminal_says_which_columns_it_has_no_room_for_and_shows_both_ends_of_an_interval_or_none() -> None:
    wide, narrow = (
        terminal.text(looked("dots"), Console(io.StringIO(), width, 200, colours=False)) for width in (80, 45)
    )
    heads = [next(line.split() for line in text.splitlines() if line.startswith("layer ")) for text in (wide, narrow)]
    assert heads[0] == ["layer", "class", "change,", "points", "low,", "points", "high,", "points", "loss,", "nats"]
    assert heads[1] == ["layer", "class", "change,", "points"]
    assert "no room for" not in wide
    assert "no room for low, high, loss: a wider terminal shows them, and files do" in narrow.replace("\n", " ")


def test_the_unit_of_a_grid_is_said_once() -> None:
    lines = terminal.render(looked()).splitlines()
    title = lines.index("Layers and classes: change, points")
    assert lines[title + 1].split() == ["layer", "7", "=8"]


def test_the_page_opens_with_why_and_draws_in_the_section_of_the_lens() -> None:
    page = html.render(looked())
    assert page.index('id="why"') < page.index('id="verdict"') < page.index('id="look-0-layers"')
    section = page[page.index('id="look-0-layers"') : page.index('id="look-0-loss-shift"')]
    assert "No single layer &lt;explains&gt; this." in section
    assert 'id="look-0-layers-grids-0"' in section
    assert page.count('id="look-0-layers-grids-0"') == 1
    assert "<explains>" not in page


def test_markdown_has_them_too() -> None:
    text = markdown.render(looked())
    assert text.index("Nothing explains who lost") < text.index("| variant |")
    assert "Which layer?" in text
    assert "| conv1 | -20.0 | +10.0 |" in text.replace("`", "").replace("\\", "")

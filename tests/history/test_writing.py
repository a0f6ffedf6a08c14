"""A history as a page, as CSV, as a picture and in a terminal."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from prune_audit.errors import UsageError
from prune_audit.history import overview, page, writing
from prune_audit.history.releases import Release
from prune_audit.render import consoles
from prune_audit.reports.table import plain
from tests.history.audits import stream
from tests.reports.test_html import BITES, parsed, said


def shown(found: tuple[Release, ...], width: int = 120, *, show_all: bool = False) -> str:
    console = consoles.Console(io.StringIO(), width, 50, colours=False)
    return plain(writing.renderable(found, width, show_all=show_all), console)


def bitten() -> tuple[Release, ...]:
    """Releases in which every name is one that bites."""
    made = []
    for release in stream():
        variants = []
        for n, variant in enumerate(release.variants):
            view = replace(variant.classes, strata=BITES[:2])
            variants.append(replace(variant, name=BITES[n + 2], views=(view,)))
        made.append(replace(release, variants=tuple(variants), data=BITES[0], data_digest=BITES[1], dense=BITES[0]))
    return tuple(made)


@pytest.mark.parametrize("found", [stream(), stream()[:1], bitten()], ids=["stream", "one", "bitten"])
def test_the_page_is_valid_the_same_twice_and_read_by_ear(found: tuple[Release, ...]) -> None:
    root = parsed(page.render(found))
    assert page.render(found) == page.render(found)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert all(target in ids for target in (element.get("aria-labelledby") or "").split())
        assert not (element.get("href") or "").startswith("#") or (element.get("href") or "")[1:] in ids
    levels = [int(element.tag[1]) for element in root.iter() if re.fullmatch(r"h[1-6]", str(element.tag))]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in root.iter("table"):
        assert len({len(list(row)) for row in table.iter("tr")}) == 1
    assert len(list(root.iter("script"))) == 1


def test_the_page_says_how_it_went_the_last_release_first() -> None:
    root = parsed(page.render(stream()))
    told = said(root)
    assert "The last release failed its gate" in told
    assert "5 releases, 2026-03-01 to 2026-06-29, of which 3 failed the gate." in told
    releases, classes = (list(table.iter("tr")) for table in root.iter("table"))
    assert said(releases[1]).startswith("5 2026-06-29")
    assert re.search(r"^3 2026-04-30 ?failed ?regressed ?7e\+07 of 148.0 ?v2a ?-18.50", said(releases[4]))
    assert re.sub(r"\s", "", said(classes[0])) == "releasevariant10"
    assert "regressed -37.0" in said(classes[4])
    assert "fine 0.0" in said(classes[4])


def test_without_a_budget_the_page_knows_none() -> None:
    bare = page.render([replace(each, budget=None) for each in stream()])
    assert "budget" not in said(parsed(bare))


def test_classes_that_have_no_column_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST", 1)
    assert "1 more class" in said(parsed(page.render(stream())))


def test_the_terminal_has_the_last_first_and_cuts_what_is_old() -> None:
    told = shown(stream())
    assert max(map(len, told.splitlines())) <= 120
    lines = told.splitlines()
    assert lines[2].split()[:4] == ["5", "2026-06-29", "v4b", "failed"]
    assert "Under a budget of 0.1, 2 of 5 releases regressed" in told
    many = stream()[:1] * 30
    assert "10 more; --all shows them" in shown(many)
    assert "more;" not in shown(many, show_all=True)
    assert max(map(len, shown(stream(), 80).splitlines())) <= 80


def test_the_csv_has_every_row_and_nothing_rounded(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    writing.write(stream(), path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [overview.cells(row) for row in overview.rows(stream())]
    assert [row["variant"] for row in rows] == [row["variant"] for row in expected]
    for found, row in zip(rows, expected, strict=True):
        assert [float(found[name]) for name in ("change", "log_e", "level")] == [
            row[name] for name in ("change", "log_e", "level")
        ]
    writing.write(bitten(), tmp_path / "b.csv", {"csv": "excel"})
    assert (tmp_path / "b.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_picture_holds_both_figures(tmp_path: Path) -> None:
    writing.write(stream(), tmp_path / "h.svg")
    drawn = (tmp_path / "h.svg").read_text()
    assert drawn.startswith("<svg")
    assert "Change of accuracy" in drawn
    assert "Change of the worst class" in drawn


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no history is written to \.md"):
        writing.check([tmp_path / "h.md"])


def test_a_page_of_very_many_releases_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "ROWS", 4)
    root = parsed(page.render(stream()))
    assert [len(list(table.iter("tr"))) for table in root.iter("table")] == [5, 5]
    assert "2 older rows are not shown" in said(root)

"""The figures of the documents are those of the tables under docs/mitigations, which `mitigate --controls` wrote."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from prune_audit.mitigate import controls
from tests.conftest import ROOT

TABLES = sorted((ROOT / "docs" / "mitigations").glob("*.csv"))


def shown(path: Path) -> str:
    """The table at ``path`` as the documents have it."""
    lines = [
        "| network | accuracy, % | worst recall, % | largest excess drop, points | harmed | regressed |",
        "|---|---|---|---|---|---|",
    ]
    for row in csv.DictReader(path.read_text("utf-8").splitlines()):
        cells = []
        for name in ("accuracy", "worst_recall", "largest_excess_drop"):
            value, low, high = (100 * float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            cells.append(f"{value:.1f} ({low:.1f} to {high:.1f})")
        lines.append("| " + " | ".join([row["network"], *cells, row["harmed"], row["regressed"]]) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_document_shows_the_table(path: Path) -> None:
    assert shown(path) in (ROOT / "docs" / "mitigate.md").read_text("utf-8")


def test_the_readme_shows_the_first() -> None:
    assert len(TABLES) == 2
    assert shown(TABLES[0]) in (ROOT / "README.md").read_text("utf-8")


def test_what_the_documents_say_of_draws() -> None:
    assert (controls.DRAWS, controls.LEVEL) == (2000, 0.95)

"""Drawings by name; what is in them is tested in tests/charts."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from prune_audit import plugins, reports
from prune_audit.errors import UsageError
from prune_audit.reports import svg
from tests.reports import audits


def title(text: str) -> str | None:
    return ElementTree.fromstring(text).findtext("{http://www.w3.org/2000/svg}title")


def test_every_chart_has_its_name() -> None:
    assert set(svg.NAMES) == {f"{name}.svg" for name in plugins.names("charts")}


@pytest.mark.parametrize("name", ["recalls.svg", "slides.recalls.svg"])
def test_the_name_of_the_file_chooses_the_chart(tmp_path: Path, name: str) -> None:
    reports.write(audits.ten(), tmp_path / name)
    assert title((tmp_path / name).read_text()) == "Recall of each class, pruned-90 against dense"


def test_any_other_name_has_all_of_them(tmp_path: Path) -> None:
    reports.write(audits.ten(), tmp_path / "audit.svg")
    assert title((tmp_path / "audit.svg").read_text()) == (
        "Recall of each class, pruned-90 against dense; Balance of each class, pruned-90 against dense"
    )
    assert (tmp_path / "audit.svg").read_text() == svg.render(audits.ten())


def test_a_chart_that_the_audit_has_nothing_for_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing for the chart 'densities'"):
        reports.write(audits.ten(), tmp_path / "densities.svg")
    assert not list(tmp_path.iterdir())

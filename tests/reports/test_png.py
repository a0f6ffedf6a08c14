"""Pictures by name; what is in them is tested in tests/charts."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from prune_audit import plugins, reports
from prune_audit.reports import png
from tests.reports import audits


def height(path: Path) -> int:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size[1]


def test_every_chart_has_its_name() -> None:
    assert set(png.NAMES) == {f"{name}.png" for name in plugins.names("charts")}


def test_one_chart_by_its_name_and_all_by_any_other(tmp_path: Path) -> None:
    for name in ("recalls.png", "balances.png", "audit.png"):
        reports.write(audits.ten(), tmp_path / name)
    one, other = height(tmp_path / "recalls.png"), height(tmp_path / "balances.png")
    assert height(tmp_path / "audit.png") == pytest.approx(one + other, abs=120)

"""Bars: as long as the recalls say, and readable without colour or Unicode."""

from __future__ import annotations

import pytest

from prune_audit.render.bars import ASCII, LINES, bar


@pytest.mark.parametrize(
    ("dense", "pruned", "drawn"),
    [
        (1.0, 1.0, "━━━━━━━━━━"),
        (0.8, 0.5, "━━━━━┄┄┄"),
        (0.5, 0.8, "━━━━━╍╍╍"),
        (0.95, 0.5, "━━━━━┄┄┄┄┄"),
        (0.95, 0.55, "━━━━━╸┄┄┄┄"),
        (0.5, 0.51, "━━━━━"),
        (0.3, 0.0, "┄┄┄"),
        (0.0, 0.0, ""),
        (None, 0.5, ""),
    ],
)
def test_whole_and_half_cells(dense: float | None, pruned: float, drawn: str) -> None:
    assert bar(dense, pruned, 10, LINES).plain == drawn


@pytest.mark.parametrize(("dense", "pruned", "drawn"), [(0.8, 0.5, "=====---"), (0.5, 0.8, "=====+++")])
def test_ascii(dense: float, pruned: float, drawn: str) -> None:
    assert bar(dense, pruned, 10, ASCII).plain == drawn


@pytest.mark.parametrize("width", [8, 13, 24])
@pytest.mark.parametrize("glyphs", [LINES, ASCII])
def test_never_longer_than_its_width(width: int, glyphs: object) -> None:
    for dense in range(0, 101, 3):
        for pruned in range(0, 101, 7):
            drawn = bar(dense / 100, pruned / 100, width, glyphs)  # type: ignore[arg-type]  # one of the two
            assert len(drawn.plain) <= width
            assert abs(len(drawn.plain) / width - max(dense, pruned) / 100) < 1 / width


def test_what_was_lost_is_red_and_what_was_gained_green() -> None:
    assert [str(span.style) for span in bar(0.8, 0.5, 10, LINES).spans] == ["red"]
    assert [str(span.style) for span in bar(0.5, 0.8, 10, LINES).spans] == ["green"]

"""Two recalls as one bar: what both models have, then what was lost or gained.

A heavy line is what both get right; a light dash behind it was lost, a heavy dash was gained. So both recalls are seen
at once, without colour too. A cell of the terminal has two halves, which is as fine as a line can end.
"""

from __future__ import annotations

from dataclasses import dataclass

from prune_audit.core import Value
from prune_audit.render.consoles import Text

LEAST, MOST = 8, 24  # terminal cells of a bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The marks of a bar; ``half`` ends what was kept in the middle of a cell, where there is such a mark."""

    kept: str
    half: str
    lost: str
    gained: str

    @property
    def legend(self) -> str:
        """What the marks mean."""
        return f"{self.kept} kept, {self.lost} lost, {self.gained} gained"


LINES = Glyphs(kept="━", half="╸", lost="┄", gained="╍")
ASCII = Glyphs(kept="=", half="", lost="-", gained="+")


def bar(dense: Value, pruned: Value, width: int, glyphs: Glyphs) -> Text:
    """The recalls of both models, shares, on a scale from 0 to 1 that is ``width`` cells wide; empty without values."""
    if not isinstance(dense, (int, float)) or not isinstance(pruned, (int, float)):
        return Text("")
    halves = 2 if glyphs.half else 1
    kept, end = (round(halves * width * share) for share in sorted((dense, pruned)))
    full, odd = divmod(kept, halves)
    changed = -(-end // halves) - full - odd
    mark, style = (glyphs.lost, "red") if pruned < dense else (glyphs.gained, "green")
    return Text(glyphs.kept * full + glyphs.half * odd).also(mark * changed, style)

"""`Audit` to pictures: a chart is a file here.

A plugin defines ``RANK``, its place on a page, and ``draw(audit) -> tuple[Chart, ...]``, empty where the audit has
nothing for it. It describes the picture in Vega-Lite and paints nothing: `_picture.py` makes SVG or PNG of it, so that
a page, a file and a notebook show the same. Colours are names (`_colors.py`), which a page binds to its light and dark
theme, and never alone: a shape, a place or a word says the same.
"""

from __future__ import annotations

from prune_audit import plugins
from prune_audit.core import Audit
from prune_audit.errors import UsageError
from prune_audit.render.picture import Chart

CONTRACT = ("RANK", "draw")
"""What a plugin must have."""


class NothingToDraw(UsageError):
    """The audit has nothing for the chart that was asked for: no fault of the audit, which is as good without it."""


def charts(audit: Audit) -> dict[str, tuple[Chart, ...]]:
    """Every chart that ``audit`` has something for, by name, in the order of a page."""
    drawn = plugins.each("charts", lambda name, module: (module.RANK, name, module.draw(audit)))
    return {name: charts for _, name, charts in sorted(drawn.values(), key=lambda each: each[:2]) if charts}


def named(audit: Audit, name: str) -> tuple[Chart, ...]:
    """The charts called ``name``.

    Raises:
        UsageError: there is no such chart.
        NothingToDraw: the audit has nothing for it.
    """
    module = plugins.load("charts", name)
    with plugins.blamed("charts", name):
        drawn: tuple[Chart, ...] = module.draw(audit)
    if not drawn:
        why = plugins.docstring("charts", name).partition("\n\n")[0].replace("\n", " ")
        raise NothingToDraw(
            f"this audit has nothing for the chart {name!r}: {why}", hint=f"it has {', '.join(charts(audit)) or 'none'}"
        )
    return drawn

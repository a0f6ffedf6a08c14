"""Charts as a picture (.png): recalls.png is the chart `recalls`, any other name has all of them below one another.

The same as the drawing (.svg), for what takes pixels only: slides, chats, wikis.
"""

from __future__ import annotations

from functools import partial

from prune_audit import plugins
from prune_audit.charts import charts, named
from prune_audit.core import Audit
from prune_audit.render.picture import png

SUFFIXES = (".png",)
BINARY = True


def render(audit: Audit) -> bytes:
    """Every chart that the audit has something for."""
    return png([chart for drawn in charts(audit).values() for chart in drawn])


def _one(name: str, audit: Audit) -> bytes:
    return png(named(audit, name))


NAMES = {f"{name}.png": partial(_one, name) for name in plugins.names("charts")}

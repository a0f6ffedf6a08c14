"""Charts as a drawing (.svg): recalls.svg is the chart `recalls`, any other name has all of them below one another.

The names are those of `prune-audit list charts`; slides.recalls.svg is that chart too. In the light theme, with text as
text, so that it can be searched and restyled.
"""

from __future__ import annotations

from functools import partial

from prune_audit import plugins
from prune_audit.charts import charts, named
from prune_audit.core import Audit
from prune_audit.render.picture import svg

SUFFIXES = (".svg",)


def render(audit: Audit) -> str:
    """Every chart that the audit has something for."""
    return svg([chart for drawn in charts(audit).values() for chart in drawn])


def _one(name: str, audit: Audit) -> str:
    return svg(named(audit, name))


NAMES = {f"{name}.svg": partial(_one, name) for name in plugins.names("charts")}

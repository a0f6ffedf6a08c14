"""What charts with a row for each class, coloured by its verdict, share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prune_audit.render.colors import VERDICTS, color
from prune_audit.render.picture import WIDTH

MOST = 40  # classes, so that a name stays legible
ROW = 22  # pixels for each

TOLD = {"description": {"field": "said", "type": "nominal"}}
"""The channel of what is read aloud of a mark, which is one of `MARK`."""
MARK = {"aria": True, "ariaRoleDescription": "mark"}


def by_verdict(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The channels of colour and of shape by the ``verdict`` of ``rows``, for those verdicts that occur."""
    shown = [name for name in VERDICTS if any(row["verdict"] == name for row in rows)]
    colored = {
        "field": "verdict", "type": "nominal", "title": None,
        "scale": {"domain": shown, "range": [color(VERDICTS[name][0]) for name in shown]},
    }  # fmt: skip
    return colored, colored | {"scale": {"domain": shown, "range": [VERDICTS[name][1] for name in shown]}}


def level(value: float, look: Mapping[str, Any], scale: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A layer that draws a line across a picture at ``value``, on the ``scale`` of y that its other layers have."""
    return {
        "data": {"values": [{"at": value}]},
        "mark": {"type": "rule", "color": color("ink"), "aria": False, **look},
        "encoding": {"y": {"field": "at", "type": "quantitative", **(scale or {})}},
    }


def frame(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The picture without its layers: a line for the ``name`` of each of ``rows``, in their order."""
    return {
        "width": WIDTH,
        "height": {"step": ROW},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "encoding": {
            "y": {
                "field": "name", "type": "nominal", "sort": None, "title": None,
                "axis": {"grid": False, "ticks": False, "domain": False, "labelPadding": 8},
            },
        },
    }  # fmt: skip

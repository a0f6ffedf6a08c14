"""What a specification draws, for tests: its data by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prune_audit.render.picture import Chart


def data(chart: Chart, layer: int | None = None) -> list[dict[str, Any]]:
    """The values of the whole chart, or of one layer."""
    of: Mapping[str, Any] = chart.spec if layer is None else chart.spec["layer"][layer]
    values: list[dict[str, Any]] = of["data"]["values"]
    return values

"""Comparisons to judge, from counts alone."""

from __future__ import annotations

from dataclasses import replace

from prune_audit.core import Check, Comparison, ModelCard, Pair, Settings, View
from prune_audit.stats import measures

CARD = ModelCard(name="a", path="a.pt", format="torchscript", digest="0", size=1)


def compare(*counts: tuple[int, int, int, int], settings: Settings | None = None, same: bool = False) -> Comparison:
    """One view, by class."""
    return compared(replace(Pair.of(counts), same_model=same), settings=settings)


def compared(*pairs: Pair, settings: Settings | None = None) -> Comparison:
    """One view per pair."""
    views = tuple(View(pair=pair, measures=measures(pair, settings or Settings())) for pair in pairs)
    return Comparison(dense=CARD, pruned=CARD, views=views)


def outcomes(checks: tuple[Check, ...]) -> list[str]:
    return [check.outcome for check in checks]

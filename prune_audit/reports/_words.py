"""What the odd words mean among the verdicts, said where they occur."""

from __future__ import annotations

from collections.abc import Sequence

from prune_audit.core import Settings, View, lookup
from prune_audit.render import rounded


def words(view: View, rows: Sequence[int], settings: Settings) -> str:
    """What the odd ones mean among the verdicts on harm of the strata at ``rows``; '' where there is none."""
    meanings = {
        "intensified": "harmed, and weak before already",
        "flipped": "harmed: strong before, weak now",
        "created": "harmed: level with the model before",
        "harmed": f"kept less than {rounded.limit(settings.retention_margin)} % of what the rest kept",
        "levelled down": "fell towards the rest, from above it; no harm",
        "held better": f"kept more of its {view.pair.task.rates[0]} than the rest did",
    }
    found = {lookup.column(view, "distortion")[i] for i in rows}
    return "; ".join(f"{word}: {meaning}" for word, meaning in meanings.items() if word in found)

"""On how many samples the two models part.

Churn is the share of samples that exactly one of the two models gets right. It can be large where accuracy does not
change at all, and users notice.

    churn = (lost + gained) / n

Changed predictions also count wrong answers that became other wrong answers.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._column import column, no_things, without_samples
from prune_audit.stats._prediction_counts import unknown

RANK = 110


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:  # noqa: ARG001  # the contract of the room
    """Churn per stratum and over all; share of changed predictions over all."""
    flips = pair.lost + pair.gained  # (S,)
    n = int(pair.support.sum())
    why_not = unknown(pair) if n else no_things(pair)
    return (
        column(
            "churn",
            "churn",
            "share",
            flips / np.maximum(pair.support, 1),
            without_samples(pair),
            overall=int(flips.sum()) / n if n else None,
            overall_absent=None if n else no_things(pair),
        ),
        Measure(
            name="changed_predictions",
            title="changed predictions",
            unit="share",
            overall=None if why_not else int(pair.moves[:, 3].sum()) / n,
            overall_absent=why_not,
        ),
    )

"""Whether pruning has left a model that does no better than guessing.

Then every class is lost alike, and a ratio of what remains (retention, alpha) is a ratio of noise.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Pair, Settings
from prune_audit.stats import _tango


def chance(pair: Pair) -> float:
    """What a model gets by guessing: one class in C, or the largest class always."""
    return max(1 / max(len(pair.classes), 1), float(pair.labelled.max()) / max(int(pair.labelled.sum()), 1))


def collapsed(pair: Pair, settings: Settings) -> str | None:
    """Why the pruned model counts as collapsed, None where it does not.

    Its accuracy is not shown to be above chance (lower Wilson limit, Wilson 1927) and is shown to be below the dense
    model's. Without the second half a pair with few samples or one overwhelming class, on which nothing changed,
    would fail every gate. Where all samples are of one class there is nothing to guess, and no collapse to see.
    """
    n = int(pair.support.sum())
    if not n or pair.same_model or int((pair.labelled > 0).sum()) < 2:
        return None
    accuracy = int((pair.both + pair.gained).sum()) / n
    z2 = _tango.two_sided(settings.confidence) ** 2
    low = (accuracy + z2 / (2 * n) - np.sqrt(z2 * (accuracy * (1 - accuracy) / n + z2 / (4 * n * n)))) / (1 + z2 / n)
    lost, gained, total = (np.array([int(c.sum())]) for c in (pair.lost, pair.gained, pair.support))
    fell = _tango.interval(lost, gained, total, settings.confidence)[0][0] > 0
    if low > chance(pair) or not fell:
        return None
    return (
        f"the pruned model has collapsed: accuracy {accuracy:.3f}, not shown to be above guessing ({chance(pair):.3f})"
    )

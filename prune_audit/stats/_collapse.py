"""Whether pruning has left a model that does no better than guessing.

Then every class is lost alike, and a ratio of what remains (retention, alpha) is a ratio of noise.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Pair, Settings
from prune_audit.stats import _tango
from prune_audit.stats._clusters import PRUNED
from prune_audit.stats._sides import weights, whole


def chance(pair: Pair, settings: Settings) -> float:
    """What a model gets by guessing: one class in C, or the largest class always."""
    shares = weights(pair, settings)
    if shares is not None:
        return max(1 / max(len(pair.classes), 1), float(shares.max()))
    return max(1 / max(len(pair.classes), 1), float(pair.labelled.max()) / max(int(pair.labelled.sum()), 1))


def collapsed(pair: Pair, settings: Settings) -> str | None:
    """Why the pruned model counts as collapsed, None where it does not.

    Its accuracy is not shown to be above chance (lower Wilson limit, Wilson 1927) and is shown to be below the dense
    model's. Without the second half a pair with few samples or one overwhelming class, on which nothing changed,
    would fail every gate. Where all samples are of one class there is nothing to guess, and no collapse to see.
    """
    if not pair.support.any() or pair.same_model or int((pair.labelled > 0).sum()) < 2:
        return None
    by_pruned, by_change = whole(pair, settings, PRUNED), whole(pair, settings)
    n = float(by_pruned.n[0])
    accuracy = float(by_pruned.pruned[0]) / n
    z2 = _tango.two_sided(settings.confidence) ** 2
    low = (accuracy + z2 / (2 * n) - np.sqrt(z2 * (accuracy * (1 - accuracy) / n + z2 / (4 * n * n)))) / (1 + z2 / n)
    fell = _tango.interval(by_change.lost, by_change.gained, by_change.n, settings.confidence)[0][0] > 0
    guessing = chance(pair, settings)
    if low > guessing or not fell:
        return None
    return f"the pruned model has collapsed: accuracy {accuracy:.3f}, not shown to be above guessing ({guessing:.3f})"

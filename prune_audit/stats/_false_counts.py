"""Precision and F1 where things are found, from what was found where there is nothing: ratios of sums over clusters.

What is found false in one image is no number of independent samples, so that nothing but clusters tells how such a
ratio varies: its error is that of a ratio estimator (Cochran, Sampling Techniques, 1977, section 6.4), from the sums of
each cluster.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Floats
from prune_audit.core.scores import FalseCounts

_DENSE, _PRUNED = (1, 2), (3, 4)  # what v of `FalseCounts` counts of things and of nothing


def ratio_of(counts: FalseCounts, label_weight: int, continuity: float) -> tuple[Floats, Floats, Floats, Floats]:
    """(1 + w) found / (found + false + w labelled) of either model, the standard error of its change, and the clusters.

    (C + 1,) each, for the classes and for all. Precision for w = 0 and F1 for w = 1; NaN where the denominator is 0.
    ``continuity`` is added to all that the models may part in, each in a cluster of its own, for the error alone.
    """
    v, products = counts.sums, counts.products
    values, influences = [], []
    for found, false in (_DENSE, _PRUNED):
        size = v[:, found] + v[:, false] + label_weight * v[:, 0]
        some = np.maximum(size, 1)
        value = np.where(size > 0, (1 + label_weight) * v[:, found] / some, np.nan)
        influence = np.zeros(v.shape)
        influence[:, 0] = -label_weight * value / some
        influence[:, found] = (1 + label_weight - value) / some
        influence[:, false] = -value / some
        values.append(value)
        influences.append(influence)
    change = influences[1] - influences[0]  # (C + 1, 5)
    several = np.maximum(counts.number, 2)
    variance = np.einsum("ci,cij,cj->c", change, products, change) * several / (several - 1)
    variance += continuity * (change[:, 1:] ** 2).sum(axis=1)
    return values[0], values[1], np.sqrt(np.maximum(variance, 0.0)), counts.number.astype(np.float64)

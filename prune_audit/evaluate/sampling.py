"""A seeded sample in which every class has its share."""

from __future__ import annotations

import numpy as np

from prune_audit.core import Counts


def stratified(labels: Counts, size: int, seed: int) -> Counts:
    """Positions in ``labels`` (N,) of a random sample of ``size``, sorted; each class in proportion, to one sample."""
    count = len(labels)
    if size >= count:
        return np.arange(count)
    shuffled = np.random.default_rng(seed).permutation(count)
    # Small numbers are sorted by their digits.
    small = labels.astype(np.min_scalar_type(int(labels.max())))
    order = shuffled[np.argsort(small[shuffled], kind="stable")]  # one class after the other, shuffled within
    # Equal steps through the classes in turn give each its share.
    return np.sort(order[(np.arange(size) * count) // size])

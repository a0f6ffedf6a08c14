"""Normalised recall balance: where a class stands in its model.

Good et al., NeurIPS 2022 (arXiv 2206.02976), section 3: the recall of a class over the accuracy of the model, less 1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from prune_audit.core import Floats, Pair, Settings
from prune_audit.stats._column import without_samples
from prune_audit.stats._effective_counts import overall, reference

ROUNDING = 1e-12
"""A balance below this is that of a class at the weighted accuracy, whose last bits differ from the recall's."""


def balance(pair: Pair, which: Literal["dense", "pruned"], settings: Settings) -> tuple[Floats, dict[int, str]]:
    """Recall / accuracy - 1, (S,), and why it is absent where it is; absent entries are 0.

    Accuracy is what the settings refer to: weighted by class, or the mean of recalls, where they say so. Otherwise
    from integers to the last step, so that a class that stands exactly at its model's accuracy reads exactly 0.
    """
    n = pair.support
    right = pair.both + (pair.lost if which == "dense" else pair.gained)
    absent = without_samples(pair)
    all_right, samples = int(right.sum()), int(n.sum())
    if not all_right:
        return np.zeros(len(n)), dict.fromkeys(range(len(n)), f"the {which} model is never right") | absent
    shares = reference(pair, settings)
    if shares is not None:
        accuracy = overall(pair, right, shares)
        if not accuracy:
            return np.zeros(len(n)), dict.fromkeys(range(len(n)), f"the {which} model is never right") | absent
        found = right / np.maximum(n, 1) / accuracy - 1
        return np.where(abs(found) < ROUNDING, 0.0, found), absent
    return (right * samples - n * all_right) / (np.maximum(n, 1) * all_right), absent

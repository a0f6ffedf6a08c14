"""Average precision of each class, before and after pruning, as COCO's evaluation has it.

It sums up all thresholds in one number, which is what most people know of a detector. It says what a threshold could
give and not what one gives, so that it is shown beside recall and never judged.

    AP = mean of precision over recalls 0 to 1 and overlaps .50 to .95

Precision is read at 101 recalls and made to fall with recall, over ten overlaps (Lin et al. 2014, arXiv:1405.0312);
no interval, as neighbouring thresholds share their detections. By class alone, where things are found in images.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._column import column, no_things, without_samples

RANK = 155


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:  # noqa: ARG001  # the contract of the room
    """Dense and pruned average precision, and the means over classes; nothing where there is no such number."""
    if pair.false is None or pair.false.average_precision is None:
        return ()
    found = []
    for model, values in zip(("dense", "pruned"), pair.false.average_precision.T, strict=True):
        known = values >= 0
        found.append(
            column(
                f"{model}_average_precision",
                f"{model} AP",
                "share",
                values,
                without_samples(pair) | {int(i): no_things(pair) for i in np.flatnonzero(~known)},
                overall=float(values[known].mean()) if known.any() else None,
                overall_absent=None if known.any() else no_things(pair),
            )
        )
    return tuple(found)

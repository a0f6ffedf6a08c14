"""Where the lost samples of a class went: what they are called now.

Of the samples that the dense model got right and the pruned model does not, this is the class that most of them are
now called by, with how many of how many. Over the model, it is the pair of classes that lost the most this way.

    lost to = most frequent pruned answer to lost samples: "dog, 14 of 31"

Counts, not estimates: with few lost samples the leading class may lead by chance. By class alone.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._column import column, without_samples
from prune_audit.stats._prediction_counts import unknown

RANK = 160
NEEDS = ("answers",)


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:  # noqa: ARG001  # the contract of the room
    """Most frequent new prediction of lost samples; ``overall`` is the most frequent one of all."""
    if pair.by != "class":
        return ()
    lost = pair.moves[pair.moves[:, 0] == pair.moves[:, 1]]  # (L, 4) label, dense, pruned, count
    # Sorted so that the largest count of each label comes first; ties go to the earlier class.
    lost = lost[np.lexsort((lost[:, 2], -lost[:, 3], lost[:, 0]))]
    first = np.unique(lost[:, 0], return_index=True)[1]
    where = np.full(len(pair.strata), "", object)
    for label, _, now, times in lost[first]:
        where[label] = f"{pair.answers[now]}, {times} of {pair.lost[label]}"
    why_not = unknown(pair)
    none = f"no {pair.task.thing[0]} was lost"
    absent = {int(i): none for i in (pair.lost == 0).nonzero()[0]} | without_samples(pair)
    if why_not:
        absent = dict.fromkeys(range(len(pair.strata)), why_not) | absent
    top = None
    if not why_not and len(first):
        label = int(lost[first][np.argmax(lost[first][:, 3]), 0])
        top = f"{pair.classes[label]} -> {where[label]}"
    return (
        column(
            "lost_to",
            f"lost {pair.task.thing[1]} went to",
            "label",
            where,
            absent,
            overall=top,
            overall_absent=None if top else why_not or none,
        ),
    )

"""How many times farther from its model's accuracy a class stands after pruning; the paper's numbers.

Above 1 the class's lead or lag grew, between 0 and 1 it shrank, and a negative ratio says that it crossed to the other
side. Alpha is the slope of all classes together, and whether gaps grew is for spread_ratio to say.

    ratio = pruned balance / dense balance
    alpha = sum(dense x pruned) / sum(dense^2), the slope through the origin

Good et al. 2022 (arXiv 2206.02976), section 3. r^2 is that of the line through the origin: 1 means that one factor
describes all classes, and near 0 alpha means nothing; with two classes it is 1 by construction. Never a flag: the
rule "ratio above 1" strikes half of all classes when nothing changed.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._alpha import no_gaps
from prune_audit.stats._balance import balance
from prune_audit.stats._collapse import collapsed
from prune_audit.stats._column import column, no_things

RANK = 60


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Class intensification ratio, ``overall`` alpha; ``r_squared`` of alpha's line for the model."""
    x, absent = balance(pair, "dense", settings)  # (S,)
    y, pruned_absent = balance(pair, "pruned", settings)
    absent = absent | pruned_absent
    (one, many), accuracy = pair.task.strata(pair.by), pair.task.overall
    level = f"the {one} stood exactly at the dense model's {accuracy}"
    ratio_absent = {int(i): level for i in (x == 0).nonzero()[0]} | absent
    ratio = y / np.where(x == 0, 1.0, x)

    here = [i for i in range(len(x)) if i not in absent]
    xx, xy, yy = float(x[here] @ x[here]), float(x[here] @ y[here]), float(y[here] @ y[here])
    why_not = collapsed(pair, settings)
    if not here:
        why_not = next(iter(absent.values()), no_things(pair))
    elif why_not is None and not xx:
        why_not = no_gaps(pair)
    why_no_fit = why_not or (None if yy else f"all {many} stand at the pruned model's {accuracy}")
    return (
        column(
            "intensification",
            "intensification",
            "ratio",
            ratio,
            ratio_absent,
            overall=None if why_not else xy / xx,
            overall_absent=why_not,
        ),
        Measure(
            name="r_squared",
            title="r² of alpha, through the origin",
            unit="ratio",
            overall=None if why_no_fit else min(xy * xy / (xx * yy), 1.0),
            overall_absent=why_no_fit,
        ),
    )

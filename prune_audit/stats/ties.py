"""How many samples a class has whose highest score several classes share, and what sharing these equally would change.

Quantised models often give two classes exactly the same score. The class of lower index then counts as predicted, so
that classes late in the list lose recall which no other order would have cost them; the change with ties shared has
none of that, and where it differs from the change, ties made the difference.

    change with ties shared = (mean over the samples of c_pruned - c_dense)
    c = 1/t if the label is among the t classes of the highest score, or 0

So c is the chance to be right if each tie were drawn, and 1 or 0 without a tie.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings, Unit
from prune_audit.stats._column import NO_TIES, column, without_samples
from prune_audit.stats._effective_counts import overall, weights

RANK = 95
NEEDS = ("scores",)


COLUMNS: tuple[tuple[str, str, Unit], ...] = (
    ("dense_ties", "dense ties", "count"),
    ("pruned_ties", "pruned ties", "count"),
    ("change_ties_shared", "change with ties shared", "points"),
)


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Ties of either model, and the change of recall with ties shared; ``overall`` is over all samples."""
    if (ties := pair.ties) is None:
        nothing, absent = np.zeros(len(pair.strata)), dict.fromkeys(range(len(pair.strata)), NO_TIES)
        return tuple(column(*named, nothing, absent, overall_absent=NO_TIES) for named in COLUMNS)
    absent = without_samples(pair)
    net = ties.gained - ties.lost  # (S,)
    shares = weights(pair, settings)
    whole = float(net.sum()) / max(int(pair.support.sum()), 1) if shares is None else overall(pair, net, shares)
    of_dense, of_pruned, of_change = COLUMNS
    return (
        column(*of_dense, ties.dense, absent, overall=int(ties.dense.sum())),
        column(*of_pruned, ties.pruned, absent, overall=int(ties.pruned.sum())),
        column(*of_change, net / np.maximum(pair.support, 1), absent, overall=whole),
    )

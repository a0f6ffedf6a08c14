"""Where a class stands in its model: how far its recall lies above or below the model's accuracy.

A balance of -.10 says that the class is recognised 10 % less often than samples are on average. It is given once in
the dense and once in the pruned model.

    balance = recall / accuracy - 1

The normalised recall balance of Good et al. 2022 (arXiv 2206.02976). Weighted by class size, balances sum to 0. The
accuracy is that of --weights where classes have some, and the mean of recalls with --reference balanced.
"""

from __future__ import annotations

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._balance import balance
from prune_audit.stats._column import column

RANK = 50


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Normalised recall balance of the dense and of the pruned model."""
    dense, dense_absent = balance(pair, "dense", settings)
    pruned, pruned_absent = balance(pair, "pruned", settings)
    return (
        column("dense_balance", "dense balance", "ratio", dense, dense_absent),
        column("pruned_balance", "pruned balance", "ratio", pruned, pruned_absent),
    )

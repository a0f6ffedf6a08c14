"""Samples that belong together, as sums over clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prune_audit.core.types import Array, Counts, equal

FEW = 10
"""Clusters below which nearly all power is gone, and a stratum's own flips do not show how alike its samples are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusters:
    """Samples that belong together (of a person, frames of a film), as sums over clusters.

    Let v count a cluster's samples within a stratum, those that the dense and those that the pruned model gets right,
    and V the same over all strata. ``own`` (S, 3, 3) sums v v', ``cross`` (S, 3, 3) sums v V', ``whole`` (3, 3) sums
    V V': the variance of any total between clusters follows, in a stratum, in the rest and in all. ``number`` (S,) of
    clusters have samples in the stratum, ``within`` (S,) of these have none elsewhere, and there are ``total``. In
    ``flipped`` (S,) of them a sample of the stratum flipped; None in audits that were written before it was counted.
    All are additive over shards that share no cluster.
    """

    column: str
    own: Counts
    cross: Counts
    whole: Counts
    number: Counts
    within: Counts
    total: int
    flipped: Counts | None = None

    @classmethod
    def of(cls, column: str, size: int, stratum: Counts, cluster: Counts, dense: Array, pruned: Array) -> Clusters:
        """The sums over ``size`` strata, from each sample's stratum, cluster and whether each model is right, (N,)."""
        several = int(cluster.max(initial=-1)) + 1
        cells, cell = np.unique(stratum * several + cluster, return_inverse=True)  # (J,), (N,)
        at, of_cluster = np.divmod(cells, max(several, 1))  # (J,) stratum and cluster of a cell
        counted = (np.ones(len(cell)), dense, pruned)

        def totals(of: Array, length: int) -> Counts:
            each = [np.bincount(of, weights=column, minlength=length) for column in counted]
            return np.stack(each, axis=1).astype(np.int64)  # (length, 3)

        v, whole = totals(cell, len(cells)), totals(cluster, several)

        def products(other: Counts) -> Counts:
            """The sum of v with ``other`` (J, 3) over the cells of each stratum."""
            each = [np.bincount(at, weights=v[:, i] * other[:, j], minlength=size) for i in range(3) for j in range(3)]
            return np.stack(each, axis=1).reshape(size, 3, 3).astype(np.int64)

        flips = np.bincount(cell, weights=np.asarray(dense, bool) != np.asarray(pruned, bool), minlength=len(cells))
        alone = v[:, 0] == whole[of_cluster, 0]  # (J,)
        return cls(
            column=column,
            own=products(v),
            cross=products(whole[of_cluster]),
            whole=whole.T @ whole,
            number=np.bincount(at, minlength=size).astype(np.int64),
            within=np.bincount(at[alone], minlength=size).astype(np.int64),
            total=int((whole[:, 0] > 0).sum()),
            flipped=np.bincount(at[flips > 0], minlength=size).astype(np.int64),
        )

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, Clusters) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable

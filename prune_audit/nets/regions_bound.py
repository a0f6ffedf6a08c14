"""How many linear pieces a stack of fully connected layers could have at most, given how densely it is connected.

The bound of Cai et al. 2023 (arXiv 2301.07966): a unit cuts the pieces that come to it by a hyperplane, and of n
hyperplanes whose normals have rank k at most sum_{j <= k} C(n, j) pieces come. Of a pruned layer the rank is that of a
random matrix of its density, so the bound is a mean over ranks. It says what could be, not what is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prune_audit.core import Floats

DRAWS = 50  # for each rank between the smallest and the largest that came
FLAT = 0.5  # bits: what a bound differs by less than that, it does not tell apart


def ranks(rows: int, columns: int, density: float, generator: np.random.Generator) -> dict[int, float]:
    """How often a random ``rows`` x ``columns`` matrix of this ``density`` has which rank.

    Generic values at random places have the rank of the largest matching of rows with columns that they allow. Drawn
    are `DRAWS` matrices for each rank from the smallest to the largest that came, as in the paper.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if density >= 1:
        return {min(rows, columns): 1.0}
    found: list[int] = []
    while not found or len(found) < DRAWS * (max(found) - min(found) + 1):
        mask = csr_array(generator.random((rows, columns)) < density)
        found.append(int((maximum_bipartite_matching(mask, perm_type="column") >= 0).sum()))
    values, times = np.unique(found, return_counts=True)
    return {int(value): int(many) / len(found) for value, many in zip(values, times, strict=True)}


def log2_bound(widths: Sequence[int], of_ranks: Sequence[Mapping[int, float]], inputs: int) -> float:
    """The base-2 logarithm of the bound, of hidden layers ``widths`` (L,) with ``of_ranks`` (L,).

    R(l, d) = sum_k P(k) sum_{j <= min(k, d)} C(n_l, j) R(l + 1, min(n_l - j, d, k)), where R behind the last layer is 1
    and the bound R(1, inputs), of so many numbers that come in.
    """
    from scipy.special import gammaln

    most = max(max(each, default=0) for each in of_ranks)
    behind: Floats = np.zeros(most + 1)  # log2 R(l + 1, d) for each d
    for n, chances in zip(reversed(widths), reversed(of_ranks), strict=True):
        j = np.arange(n + 1)
        choices = (gammaln(n + 1) - gammaln(j + 1) - gammaln(n - j + 1)) / np.log(2)
        here = np.full(most + 1, -np.inf)
        for d in range(most + 1):
            for k, chance in chances.items():
                few = min(k, d)  # at most n
                terms = choices[: few + 1] + behind[np.minimum(n - j[: few + 1], few)]
                here[d] = np.logaddexp2(here[d], np.log2(chance) + np.logaddexp2.reduce(terms))
        behind = here
    return float(behind[min(inputs, most)])

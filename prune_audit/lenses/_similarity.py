"""How alike two representations of the same samples are: linear CKA, and SVCCA.

CKA (Kornblith et al. 2019, arXiv 1905.00414) is the correlation of two matrices of inner products between samples. Its
plain estimate grows as samples get few for the channels; here inner products of a sample with itself are left out, as
in the unbiased estimate of HSIC (Song et al. 2012, theorem 5; Nguyen et al. 2021), so that representations that have
nothing in common give 0 on average. SVCCA (Raghu et al. 2017, arXiv 1706.05806) asks for canonical correlations between
the directions that hold most of the variance, whatever their size.

The interval of CKA is that of a jackknife over groups of samples, of Fisher's z. A bootstrap would draw samples twice,
whose inner products with their own copies are those that have to be left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prune_audit.core import Floats

GROUPS = 20  # of the jackknife
KEPT = 0.99  # share of the variance in the directions of SVCCA
FEWEST = 10  # samples a channel that SVCCA needs: with fewer, canonical correlations are of chance
LEAST = 4  # samples that the unbiased estimate is defined for
SHUFFLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """A CKA with its interval; 0 without one where a representation does not vary."""

    value: float
    low: float | None = None
    high: float | None = None


def cka(x: Floats, y: Floats) -> float:
    """Unbiased linear CKA of ``x`` (N, D) and ``y`` (N, E); 0 where one of them does not vary.

    At most 1, and of few samples below 0. Shifts, scales and rotations of either change nothing.

    Raises:
        ValueError: there are fewer than four samples.
    """
    if len(x) < LEAST or len(x) != len(y):
        raise ValueError(f"expected {LEAST} samples or more of both, found {len(x)} and {len(y)}")
    x, y = _scaled(x), _scaled(y)
    own = _hsic(x, x) * _hsic(y, y)
    return float(_hsic(x, y) / own**0.5) if own > 0 else 0.0


def interval(x: Floats, y: Floats, confidence: float, seed: int = 0) -> Likeness:
    """`cka` with the interval of a jackknife over `GROUPS` groups of samples, drawn by ``seed``.

    None of equal representations, or where there are too few samples for groups.
    """
    from scipy.stats import t

    value = cka(x, y)
    n = len(x)
    if value <= 0 or value > 1 - 1e-12 or n < 2 * GROUPS:
        return Likeness(value=value)
    order = np.random.default_rng(seed).permutation(n)
    left_out = [np.setdiff1d(order, part) for part in np.array_split(order, GROUPS)]
    # Fisher's z, whose scatter does not depend on where it is.
    whole = np.arctanh(value)
    pseudo = GROUPS * whole - (GROUPS - 1) * np.array([np.arctanh(_within(cka(x[rows], y[rows]))) for rows in left_out])
    half = float(t.ppf((1 + confidence) / 2, GROUPS - 1)) * float(pseudo.std(ddof=1)) / GROUPS**0.5
    return Likeness(value=value, low=float(np.tanh(whole - half)), high=float(np.tanh(whole + half)))


def by_chance(x: Floats, y: Floats, confidence: float, seed: int = 0) -> Likeness:
    """`cka` of samples in different orders, `SHUFFLES` of them: what representations without anything in common give.

    ``low`` and ``high`` hold the share ``confidence`` of a normal law with the mean and scatter of these.
    """
    from scipy.stats import norm

    generator = np.random.default_rng(seed)
    found = np.array([cka(x, y[generator.permutation(len(y))]) for _ in range(SHUFFLES)])
    half = float(norm.ppf((1 + confidence) / 2)) * float(found.std(ddof=1))
    return Likeness(value=float(found.mean()), low=float(found.mean()) - half, high=float(found.mean()) + half)


def svcca(x: Floats, y: Floats) -> tuple[float, int, int] | None:
    """The mean canonical correlation of the directions that hold `KEPT` of the variance, and their numbers.

    0 where a representation does not vary. None where there are fewer than `FEWEST` samples a channel.
    """
    if len(x) < FEWEST * max(x.shape[1], y.shape[1]):
        return None
    left, right = _directions(x), _directions(y)
    few = min(left.shape[1], right.shape[1])
    if not few:
        return 0.0, left.shape[1], right.shape[1]
    correlations = np.linalg.svd(left.T @ right, compute_uv=False)[:few]
    return float(np.clip(correlations, 0, 1).mean()), left.shape[1], right.shape[1]


def dead(x: Floats) -> int:
    """How many of the channels of ``x`` (N, D) have one value on all samples."""
    return int((np.ptp(x, axis=0) == 0).sum())


def _within(value: float) -> float:
    return float(np.clip(value, -1 + 1e-12, 1 - 1e-12))


def _scaled(x: Floats) -> Floats:
    """``x`` about its mean and of one size, so that no product of four is too large or too small."""
    centred = x - x.mean(axis=0)
    size = float(np.abs(centred).max(initial=0.0))
    scaled: Floats = centred / size if size > 0 else centred
    return scaled


def _hsic(x: Floats, y: Floats) -> float:
    """n (n - 3) times the unbiased HSIC of K = x x' and L = y y' without their diagonals, n samples (Song et al.)."""
    n = len(x)
    k, m = (x * x).sum(axis=1), (y * y).sum(axis=1)  # (N,), the diagonals
    ones_k, ones_l = x @ x.sum(axis=0) - k, y @ y.sum(axis=0) - m  # (N,), the sums of the rows
    products = float(((x.T @ y) ** 2).sum() - k @ m)
    totals = float(ones_k.sum()) * float(ones_l.sum())
    return products + totals / ((n - 1) * (n - 2)) - 2 * float(ones_k @ ones_l) / (n - 2)


def _directions(x: Floats) -> Floats:
    """Orthonormal directions (N, K), the fewest that hold `KEPT` of the variance of ``x`` (N, D)."""
    left, sizes, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    shares = np.cumsum(sizes**2)
    if not len(shares) or shares[-1] <= 0:
        return left[:, :0]
    kept = int(np.searchsorted(shares, KEPT * shares[-1] * (1 - 1e-12))) + 1
    # A direction of rounding alone correlates with anything.
    real = int((sizes > sizes[0] * max(x.shape) * np.finfo(np.float64).eps).sum())
    found: Floats = left[:, : min(kept, real)]
    return found

"""Which classes stand in each other's place: the test that finds a few of them, also where the model is often wrong.

Whoever looks for classes that are *mostly* predicted as another (``alignment.exchanged``) sees nothing where a class is
found in 30 % of cases. Here the outputs are assigned to the classes so that most samples are right, and what the new
places gain is tested: an assignment always fits its own samples better than chance has it, so it is made on one half of
the samples and tested on the other.
"""

from __future__ import annotations

import numpy as np
from scipy.special import bdtrc

from prune_audit.core import Counts, Floats

# What a ring of classes must reach on all samples, corrected for the number of rings (Holm 1979), and what its classes
# must gain on average: so much recall, and so many times what they have. Classes that a model can hardly tell apart
# share theirs evenly.
LEVEL, GAIN, TIMES = 0.001, 0.2, 3
# What the median over `SPLITS` halvings must reach on the half that the rings were not made on.
HALVES, SPLITS = 0.01, 11
# Added to the diagonal, so that equally good assignments leave classes where they are.
STAY = 0.25
# Classes that enter the assignment, whose time grows with their cube.
MOST = 2000


def misplaced(labels: Counts, predicted: Counts, count: int, seed: int = 0) -> dict[int, int]:
    """Classes that stand in each other's place, in rings: label -> the output that its samples are to be found at.

    ``labels`` and ``predicted`` (N,) are positions among ``count`` classes. The assignment problem (Kuhn 1955) on the
    confusion matrix M makes rings; of each ring, x = sum M[t, ring(t)] samples against y = sum M[t, t] are tested with
    P(Bin(x + y, 1/2) >= x). Empty where nothing is shown.
    """
    among = _among(*taken_for(labels, predicted, count), count)
    if not len(among):
        return {}
    at = np.full(count, -1)
    at[among] = np.arange(len(among))
    # Samples of the classes at hand; what is predicted as any other class is beside the point.
    inside = (at[labels] >= 0) & (at[predicted] >= 0)
    rows, columns = at[labels[inside]], at[predicted[inside]]
    support = np.bincount(labels, minlength=count)[among]
    whole = _confusion(rows, columns, len(among))
    found = _shown(whole, _rings(whole), support)
    if not found or not _holds(labels[inside], rows, columns, len(among), seed):
        return {}
    return {int(among[a]): int(among[b]) for ring in found for a, b in zip(ring, np.roll(ring, -1), strict=True)}


def taken_for(labels: Counts, predicted: Counts, count: int) -> tuple[Counts, Counts, Counts]:
    """What there is of labels and what they are predicted as (K,), among ``count`` classes, and how often (K,)."""
    pair = labels * count + predicted
    if count * count > len(pair):
        kinds, times = np.unique(pair, return_counts=True)
    else:  # a tenth of the time of sorting
        table = np.bincount(pair)
        kinds = np.flatnonzero(table)
        times = table[kinds]
    return kinds // count, kinds % count, times


def _among(rows: Counts, columns: Counts, times: Counts, count: int) -> Counts:
    """The classes (S,) that a ring can gain by: where one is predicted as the other more often than as itself."""
    right = np.zeros(count, np.int64)
    right[rows[rows == columns]] = times[rows == columns]
    lead = times - right[rows]
    better = np.flatnonzero((rows != columns) & (lead > 0))
    better = better[np.argsort(-lead[better], kind="stable")][: MOST // 2]
    return np.unique(np.concatenate([rows[better], columns[better]]))


def _confusion(rows: Counts, columns: Counts, count: int) -> Counts:
    return np.bincount(rows * count + columns, minlength=count * count).reshape(count, count)


def _rings(confusion: Counts) -> list[Counts]:
    """The rings of the best assignment of outputs to classes: each ring's classes, every one before its output."""
    from scipy.optimize import linear_sum_assignment

    to = linear_sum_assignment(confusion + STAY * np.eye(len(confusion)), maximize=True)[1]
    rings, seen = [], set(np.flatnonzero(to == np.arange(len(to))).tolist())
    for start in range(len(to)):
        ring, at = [], start
        while at not in seen:
            seen.add(at)
            ring.append(at)
            at = int(to[at])
        rings += [np.array(ring)] if ring else []
    return rings


def _tested(confusion: Counts, rings: list[Counts]) -> Floats:
    """p of every ring (R,): that its samples are as likely at their own output as at the next one's."""
    x = np.array([confusion[ring, np.roll(ring, -1)].sum() for ring in rings])
    y = np.array([confusion[ring, ring].sum() for ring in rings])
    return np.where(x > 0, bdtrc(np.maximum(x - 1, 0), x + y, 0.5), 1.0)


def _shown(confusion: Counts, rings: list[Counts], support: Counts) -> list[Counts]:
    """Those of ``rings`` that are shown on these samples themselves, Holm's correction over all of them."""
    p, kept = _tested(confusion, rings), []
    for place, at in enumerate(np.argsort(p, kind="stable")):
        if p[at] * (len(rings) - place) > LEVEL:
            break
        ring = rings[at]
        # Of each class alike: a large class that a small one swallows would gain much in samples, and the small one
        # lose all that it has.
        n = np.maximum(support[ring], 1)
        right, there = (confusion[ring, ring] / n).mean(), (confusion[ring, np.roll(ring, -1)] / n).mean()
        if there - right >= GAIN and there >= TIMES * right:
            kept.append(ring)
    return kept


def _holds(labels: Counts, rows: Counts, columns: Counts, count: int, seed: int) -> bool:
    """Whether rings that one half of the samples makes are shown on the other.

    Of both ways round the better p counts, twice; the median over seeded halvings must reach `HALVES`, so that it is
    known once more than half of them did, or did not.
    """
    rng = np.random.default_rng(seed)
    votes = {True: 0, False: 0}
    while max(votes.values()) <= SPLITS // 2:
        shuffled = rng.permutation(len(labels))
        # Every other sample of each class, so that no class is on one side alone.
        first = np.zeros(len(labels), np.bool_)
        first[shuffled[np.argsort(labels[shuffled], kind="stable")][::2]] = True
        sides = [_confusion(rows[side], columns[side], count) for side in (first, ~first)]
        votes[any(_found(made, tested) <= HALVES / 2 for made, tested in (sides, sides[::-1]))] += 1
    return votes[True] > votes[False]


def _found(made: Counts, tested: Counts) -> float:
    """The least p on ``tested`` of the rings that ``made`` makes, Bonferroni's correction over them."""
    rings = _rings(made)
    return len(rings) * float(_tested(tested, rings).min()) if rings else 1.0

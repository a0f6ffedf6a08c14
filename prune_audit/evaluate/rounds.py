"""Which samples are run next where a run ends once every class is settled: a few of each class that is not, in rounds.

Each class has its samples in a random order that is fixed by the seed before anything is run, and takes them from the
front. So what is run next depends on what came before in its number alone, never in which samples these are, and
whatever holds of a class at any time holds however the rounds are cut.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from prune_audit.core import Counts, Predictions
from prune_audit.evaluate.sampling import stratified

# A round gives each open class a tenth of what it has, and no fewer than some that are worth a look. That costs a tenth
# more samples than looking after each, and takes some fifty rounds to 10,000 of a class.
LEAST, GROWTH = 10, 0.1
# A round has this many samples in all, as far as there are any: models run them in batches.
FULL = 64

Open = npt.NDArray[np.bool_]


class Rounds:
    """The samples at ``rows`` (R,) of data with ``labels`` (N,), to be drawn until no class is open.

    ``opened`` says which classes (C,) need further samples, by the predictions so far, and by None before there are
    any. Up to ``most`` samples are drawn, of which ``first`` go before anything is looked at; ``mixed`` says that these
    are mixed as the data are, because no class is settled beforehand.
    """

    def __init__(
        self,
        labels: Counts,
        rows: Counts,
        seed: int,
        opened: Callable[[Predictions | None], Open],
        first: int,
        most: int | None = None,
    ) -> None:
        shuffled = np.random.default_rng(seed).permutation(rows)
        self._order = shuffled[np.argsort(labels[shuffled], kind="stable")]  # (R,) one class after the other
        sizes = np.bincount(labels[rows])  # (C,)
        self._end = np.cumsum(sizes)  # (C,) of each class in the order
        self._at = self._end - sizes  # (C,) of each class, what comes next
        self._taken = np.zeros(len(sizes), np.int64)
        self._most = len(rows) if most is None else most
        self._opened = opened
        among = labels[rows][self._open(None)[labels[rows]]]
        self.mixed = len(among) == len(rows)
        # Each open class has its share of what goes first.
        self.first = self._take(
            np.bincount(among[stratified(among, min(first, self._most), seed)], minlength=len(sizes))
        )

    @property
    def left(self) -> Counts:
        """Samples of each class (C,) that were not asked for."""
        left: Counts = self._end - self._at
        return left

    def next(self, predictions: Predictions) -> Counts:
        """The rows to be run after those of ``predictions``, sorted; none where all is settled or has been run."""
        open_ = self._open(predictions) & (self.left > 0)
        wanted = np.where(open_, np.maximum(LEAST, (GROWTH * self._taken).astype(np.int64)), 0)
        if open_.any():
            wanted *= -(-FULL // min(FULL, int(wanted.sum())))
        wanted = np.minimum(wanted, self.left)
        most = min(int(wanted.sum()), self._most - int(self._taken.sum()))
        # Equal steps through the classes in turn give each its share of what may still be run.
        ends = np.cumsum(wanted) * most // max(int(wanted.sum()), 1)
        return self._take(np.diff(ends, prepend=0))

    def _open(self, predictions: Predictions | None) -> Open:
        """Which of the classes that have samples are open."""
        return self._opened(predictions)[: len(self._end)]

    def _take(self, counts: Counts) -> Counts:
        """The next ``counts`` (C,) of each class, sorted."""
        spans = [np.arange(at, at + count) for at, count in zip(self._at, counts, strict=True) if count]
        self._at = self._at + counts
        self._taken = self._taken + counts
        return np.sort(self._order[np.concatenate([np.empty(0, np.int64), *spans])])

"""The batch size of one model, fitted while it runs.

Batches whose activations leave the processor's caches can be several times slower, and which size that is depends on
the network, the processor and the runtime, so it is measured: small batches first, doubled while that pays. Nothing
is run for the measurement alone; every call's predictions are kept.

Where predictions depend on the batch, its size is no matter of speed: a `Plan` says what it is to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles

from prune_audit.core import Assumption

# Calls of each size: the first one or two pay for what a runtime sets up for a new shape.
CALLS = 4
WARM = 2
# Doubling goes on until a size is so much slower than the best; noise is smaller.
WORSE = 1.15
# The first size tried is this fraction of a batch.
SIZES = 16
# Seconds that calls of a known size may take which are asked for together. Beside them the .1 ms is nothing that a
# question to another process takes, and an interrupt need not wait longer than for a slow call.
TOGETHER = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a model is run: in batches of ``batch``, where its predictions depend on that or it takes no other.

    ``depends`` says that they do. With ``pairs`` a sample alone is predicted beside a copy of itself. ``assumptions``
    and ``notes`` are what must be said of it.
    """

    batch: int | None = None
    depends: bool = False
    pairs: bool = False
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()


FREE = Plan()
"""In whatever batches are fastest."""


class BatchSize:
    """The size of the next call: ``fixed``, or fitted to the batches that come."""

    def __init__(self, fixed: int | None = None) -> None:
        self.size = fixed or 1
        self._most = 0  # the longest batch so far
        self._fitting = fixed is None
        self.fitted = False  # whether ``size`` was found here
        self._times: dict[int, list[float]] = {}  # size -> seconds per sample of each call

    def offer(self, batch: int) -> None:
        """A batch of so many samples is there to be cut; the first one says where to begin."""
        if self._fitting and not self._times:
            self.size = max(1, batch // SIZES)
        self._most = max(self._most, batch)

    @property
    def calls(self) -> int:
        """How many calls of the present size may be asked for together: one while sizes are tried."""
        times = self._times.get(self.size)
        if self._fitting or not times:
            return 1
        return max(1, int(TOGETHER / (self.size * max(median(times[-CALLS:]), 1e-9))))

    def took(self, samples: int, seconds: float) -> None:
        """Note calls of ``size`` samples, or one of fewer, where a batch ended, which tells nothing of the size."""
        if samples % self.size:
            return
        times = self._times.setdefault(self.size, [])
        times.append(seconds / samples)
        if self._fitting and len(times) == CALLS:
            self._next()

    def seconds_per_sample(self) -> float | None:
        """The median over the calls of the present size, without the first ones where there are others.

        Where data ended before a call of a size that was about to be tried, that of the size before.
        """
        times = self._times.get(self.size) or next(reversed(self._times.values()), [])
        return median(times[WARM:] or times) if times else None

    def spread(self) -> tuple[float, float] | None:
        """Between which two times a sample the middle half of the calls of the present size lie."""
        times = self._times.get(self.size, [])[WARM:]
        if len(times) < 2:
            return None
        low, _, high = quantiles(times, n=4, method="inclusive")
        return low, high

    def _next(self) -> None:
        best = {size: min(times[WARM:]) for size, times in self._times.items()}
        fastest = min(best, key=lambda size: best[size])
        if 2 * self.size > self._most or best[self.size] > WORSE * best[fastest]:
            self.size, self._fitting, self.fitted = fastest, False, True
        else:
            self.size *= 2

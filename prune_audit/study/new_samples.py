"""What a study says of new seeds and new samples alike, beside what it says of new seeds on its own samples.

Two questions, two intervals. Over the seeds alone: would pruning like this, started anew, do the same on *these*
samples? That says nothing of how other samples would turn out, because all seeds share theirs. Over seeds and samples:
would it do the same on *others*? Means of samples have the two-way interval (`two_way`), alpha that of the pigeonhole
bootstrap. Where an interval is absent, there is a reason.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.study import pigeonhole, student, two_way
from prune_audit.study.samples import Right, read

if TYPE_CHECKING:
    from pandas import DataFrame

Key: TypeAlias = tuple[str, str, float]  # network, method, density
Limits: TypeAlias = tuple[float, float]

NOT_KEPT = "no interval for new samples: which samples were right was not kept with every run"
ONE_DRAW = "no interval of alpha for new samples: a draw of the samples leaves no alpha"


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds, with its interval over seeds, where it has one."""

    value: float
    over_seeds: Limits | None

    @classmethod
    def of(cls, value: float, low: float | None, high: float | None) -> Mean:
        """With limits that are None, or NaN, where there is no interval."""
        if low is None or high is None or math.isnan(low + high):
            return cls(value, None)
        return cls(value, (low, high))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSamples:
    """Of a study, ``sizes`` (C,) of the classes of each network, and what each run, network to seed, got right."""

    sizes: Mapping[str, Array]
    right: Mapping[Hashable, Right]
    confidence: float
    _draws: dict[Hashable, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, samples: DataFrame | None, classes: DataFrame, confidence: float) -> NewSamples:
        """``samples`` are those of `results.read`, None where a study has none.

        Raises:
            ValueError: they are not those of ``classes``.
        """
        sizes, right = read(samples, classes) if samples is not None else ({}, {})
        return cls(sizes=sizes, right=right, confidence=confidence)

    @property
    def kept(self) -> bool:
        """Whether it is known of any run which samples were right."""
        return bool(self.right)

    def samples(self, network: str) -> int | None:
        """How many samples the runs of ``network`` were audited on."""
        return int(self.sizes[network].sum()) if network in self.sizes else None

    def changes(self, key: Key, seeds: Sequence[Hashable], than: Key | None = None) -> Floats | str:
        """What pruning changed (S, N), for each seed and sample -1, 0 or 1; or why that is not known.

        It is the pruned network's less the dense one's, or less that of the cell ``than``.
        """
        if len(seeds) < two_way.SEEDS:
            return f"no interval for new samples: it needs {two_way.SEEDS} seeds"
        found = []
        for seed in seeds:
            run, other = self.right.get((*key, seed)), self.right.get((*(than or key), seed))
            if run is None or other is None:
                return NOT_KEPT
            found.append(run.pruned.astype(np.float64) - (other.pruned if than else run.dense))
        return np.stack(found)

    def of_all(self, key: Key, seeds: Sequence[Hashable], than: Key | None = None) -> Limits | str:
        """The interval of the mean of `changes` over all samples, or why there is none."""
        values = self.changes(key, seeds, than)
        if isinstance(values, str):
            return values
        found = two_way.intervals(values, np.array([values.shape[1]]), self.confidence)
        if np.isnan(found.low[0]):
            return "no interval for new samples: no sample changed in any run"
        return float(found.low[0]), float(found.high[0])

    def alpha(self, key: Key, seeds: Sequence[Hashable], mean: Mean) -> Limits | str:
        """The interval of the ``mean`` alpha of a cell, or why there is none."""
        values = self._drawn(key, seeds)
        return values if isinstance(values, str) else self._around(pigeonhole.means(values), mean)

    def paired(self, more: Key, less: Key, seeds: Sequence[Hashable], mean: Mean) -> Limits | str:
        """That of the ``mean`` difference of the alphas of two cells over the same seeds."""
        one, other = self._drawn(more, seeds), self._drawn(less, seeds)
        if isinstance(one, str) or isinstance(other, str):
            return one if isinstance(one, str) else str(other)
        return self._around(pigeonhole.means(one - other), mean)

    def independent(
        self, more: tuple[Key, Sequence[Hashable]], less: tuple[Key, Sequence[Hashable]], mean: Mean
    ) -> Limits | str:
        """That of the difference of the mean alphas of two cells, each with its own seeds, on the same samples."""
        one, other = self._drawn(*more), self._drawn(*less)
        if isinstance(one, str) or isinstance(other, str):
            return one if isinstance(one, str) else str(other)
        if not np.array_equal(self.sizes[more[0][0]], self.sizes[less[0][0]]):
            return "no interval for new samples: the networks were audited on different samples"
        return self._around(pigeonhole.means(one) - pigeonhole.means(other, stream=1), mean)

    def _around(self, means: Floats, mean: Mean) -> Limits | str:
        if not np.isfinite(means).all():
            return ONE_DRAW
        if np.ptp(means) <= student.ROUNDING:
            return "no interval for new samples: every draw of the samples is the same"
        return pigeonhole.interval(means, mean.value, mean.over_seeds, self.confidence)

    def _drawn(self, key: Key, seeds: Sequence[Hashable]) -> Floats | str:
        """Alpha in draws of the samples (B, S), or why there is none."""
        if len(seeds) < pigeonhole.SEEDS:
            return f"no interval of alpha for new samples: it needs {pigeonhole.SEEDS} seeds"
        runs = [(*key, seed) for seed in seeds]
        if any(run not in self.right for run in runs):
            return NOT_KEPT
        if runs[0] not in self._draws:
            self._draw(key[0])
        return np.stack([self._draws[run] for run in runs], axis=1)

    def _draw(self, network: str) -> None:
        """Draw the samples of all runs of ``network`` at once, so that every draw is one for all of them."""
        runs = [run for run in self.right if isinstance(run, tuple) and run[0] == network]
        drawn = pigeonhole.alphas([self.right[run] for run in runs], self.sizes[network])
        self._draws.update(zip(runs, drawn.T, strict=True))


def split(found: Limits | str) -> tuple[float | None, float | None, str | None]:
    """The limits and why they are absent."""
    return (None, None, found) if isinstance(found, str) else (*found, None)


def reasons(found: Iterable[str | None]) -> str | None:
    """Several reasons as one, each once; None where there is none."""
    return "; ".join(dict.fromkeys(reason for reason in found if reason)) or None

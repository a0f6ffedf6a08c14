"""Dense against pruned as counts: what every statistic is a function of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prune_audit.core.clusters import Clusters
from prune_audit.core.scores import Calibration, Counted, FalseCounts, Ties, TopK
from prune_audit.core.task import CLASSIFICATION, Task
from prune_audit.core.types import Array, Counts, Floats, equal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Dense against pruned on the same samples, as counts: what every statistic is a function of.

    Per stratum (S,): ``both`` right, ``lost`` (dense right, pruned wrong), ``gained`` (the reverse), ``neither``.
    Per class (C,): how often each is the label, and is predicted by either model. ``moves`` (K, 4) lists
    (label, dense prediction, pruned prediction, count) of the samples whose prediction changed. ``same_model`` says
    that both are one file, so that nothing can have changed. ``clusters`` is None where samples are independent;
    ``calibration`` and ``top``, what is kept of scores, are None where a model had none, and ``ties`` where no two
    classes were seen to share a highest score.
    ``drawn_from`` (S,) is how many samples of each stratum there were to draw from, where drawing stopped once it was
    settled (`Settings.until_settled`), and None where all were run.
    ``task`` says what is counted, a sample being a thing of it. Where its answers may be no class (`Task.missed`), that
    is position C in ``moves``. ``negatives`` are the counts of what has no label, None where nobody can list that, and
    ``false`` what was found where there is nothing, by class alone and None where every thing has an answer.
    ``chosen`` (S + 1,) is the variance that the choice of the models' thresholds adds to the change of each stratum,
    and of all; None where there was no choice.
    Every count is additive over shards and can be written by hand in a test, where `Pair.of` fills in the rest.
    """

    by: str
    strata: tuple[str, ...]
    both: Counts
    lost: Counts
    gained: Counts
    neither: Counts
    classes: tuple[str, ...]
    labelled: Counts
    dense_predicted: Counts
    pruned_predicted: Counts
    moves: Counts
    same_model: bool = False
    clusters: Clusters | None = None
    calibration: Calibration | None = None
    top: TopK | None = None
    ties: Ties | None = None
    drawn_from: Counts | None = None
    task: Task = CLASSIFICATION
    negatives: Counted | None = None
    false: FalseCounts | None = None
    chosen: Floats | None = None

    @classmethod
    def of(
        cls,
        counts: Sequence[tuple[int, int, int, int]] | Array,
        *,
        by: str = "class",
        strata: Sequence[str] | None = None,
    ) -> Pair:
        """A pair from (both, lost, gained, neither) per class, where nothing else is known.

        Wrong predictions are spread nowhere: predicted totals count the right ones alone.
        """
        table = np.asarray(counts, np.int64).reshape(-1, 4)  # (S, 4)
        both, lost, gained, neither = (column.copy() for column in table.T)
        names = tuple(strata) if strata is not None else tuple(str(i) for i in range(len(table)))
        return cls(
            by=by,
            strata=names,
            both=both,
            lost=lost,
            gained=gained,
            neither=neither,
            classes=names,
            labelled=table.sum(axis=1),
            dense_predicted=both + lost,
            pruned_predicted=both + gained,
            moves=np.empty((0, 4), np.int64),
        )

    @property
    def answers(self) -> tuple[str, ...]:
        """The names of what things are taken for, as ``moves`` has them."""
        return self.task.answers(self.classes)

    @property
    def support(self) -> Counts:
        """Samples per stratum (S,)."""
        return self.both + self.lost + self.gained + self.neither

    @property
    def sequential(self) -> bool:
        """Whether drawing stopped when strata were settled, so that their numbers of samples are no accident."""
        return self.drawn_from is not None

    @property
    def identical(self) -> bool:
        """Whether no sample's correctness changed."""
        return not (self.lost.any() or self.gained.any())

    def __eq__(self, other: object) -> bool:
        return NotImplemented if not isinstance(other, Pair) else equal(self, other)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable

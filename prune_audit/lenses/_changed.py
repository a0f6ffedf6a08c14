"""A pruned network that is changed and judged again, beside what it is compared with: what lenses share that do so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from prune_audit import stats
from prune_audit.core import Counts, Floats, Measure, Outputs, Pair, View
from prune_audit.lenses import Subject, loss
from prune_audit.nets.recalibrate import normalising, recalibrate
from prune_audit.tasks import classification

if TYPE_CHECKING:
    import torch


@contextmanager
def restored_after(module: torch.nn.Module) -> Iterator[None]:
    """Within, the parameters and buffers of ``module`` may be changed; afterwards they are as before."""
    import torch

    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                tensor.copy_(before[name])


def renewed(subject: Subject, weights: Mapping[str, torch.Tensor], rows: Counts | None = None) -> None:
    """Put ``weights`` into the pruned network, and estimate its batch normalisation anew on ``rows`` of the data."""
    import torch

    module = subject.pruned.module
    with torch.no_grad():
        for name, values in weights.items():
            module.get_parameter(name).copy_(values)
    if normalising(module):
        recalibrate(module, subject.pruned.examples(subject.data, rows), seed=subject.seed)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a changed network says of the audited samples: the classes ``predicted`` (N,), and its ``loss`` (N,).

    The loss is None where it gives no scores.
    """

    predicted: Counts
    loss: Floats | None


def judged(subject: Subject, name: str, weights: Mapping[str, torch.Tensor]) -> Judged:
    """What the pruned network says of the audited samples with ``weights``, after `renewed`."""

    def make() -> list[list[float] | None]:
        with restored_after(subject.pruned.module):
            renewed(subject, weights)
            outputs = subject.judged(name, subject.pruned.opened())
        each = loss(outputs)
        return [outputs.predicted.tolist(), None if each is None else each.tolist()]

    predicted, each = subject.common(["judged", name], make)
    return Judged(np.array(predicted, np.int64), None if each is None else np.array(each, float))


@dataclass(frozen=True, slots=True)
class Step:
    """What a change did to the audited samples, by class: what was right before, against what is right after."""

    view: View

    @property
    def pair(self) -> Pair:
        """Counts by class, with ``both`` right before and after."""
        return self.view.pair

    @property
    def change(self) -> Measure:
        """The change of recall."""
        return self.view.measure("change")

    @property
    def given(self) -> int:
        """Samples that are right now and were wrong."""
        return int(self.pair.gained.sum())

    @property
    def lost(self) -> int:
        """Samples that are wrong now and were right."""
        return int(self.pair.lost.sum())

    @property
    def shown(self) -> bool:
        """Whether more is right than before, beyond its interval."""
        return self.change.overall_low is not None and self.change.overall_low > 0


def step(subject: Subject, before: Counts, after: Counts) -> Step:
    """From predictions ``before`` (N,) to those ``after`` (N,) on the audited samples."""
    predictions = subject.predicted(subject.audit)
    both = (Outputs(name="before", predicted=before), Outputs(name="after", predicted=after))
    counted = classification.pair(
        replace(predictions, models=both), "before", "after", "class", subject.settings.cluster
    )
    return Step(View(pair=counted, measures=stats.measures(counted, subject.settings)))


def right(subject: Subject, predicted: Counts) -> list[float]:
    """The recall of each class (C,), NaN where it has no samples."""
    labels = subject.predicted(subject.audit).labels
    found = classification.right(predicted, labels)
    n = np.bincount(labels, minlength=len(subject.classes))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: list[float] = (np.bincount(labels, found, len(subject.classes)) / n).tolist()
    return shares

"""A data set as examples to train on: what is read, what is held out, and whether the network knows its classes.

Before anything is trained that was trained before, the network must predict a few hundred samples better than chance,
as an audit asks of the dense model: training by a wrong order of classes would end in a network that looks fine on its
own data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Array, Counts, Dataset, Expects, Outputs, Predictions
from prune_audit.errors import AlignmentError, DataError, ModelError
from prune_audit.evaluate.inputs import Feeder
from prune_audit.evaluate.sampling import stratified
from prune_audit.tasks.classification import alignment, decided

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples

LOOKED_AT = 300  # samples by which classes and preprocessing are judged


@dataclass(frozen=True, slots=True)
class Reader:
    """The samples of ``dataset`` as the model called ``name`` takes them, by their rows."""

    dataset: Dataset
    name: str
    expects: Expects

    def arrays(self, rows: Counts) -> Mapping[str, Array]:
        """Inputs by name, each (B, ...), for ``rows`` (B,).

        Raises:
            DataError: a sample cannot be read.
            AlignmentError: the data are not what the model takes.
        """
        batch = self.dataset.read(rows)
        if batch.bad:
            sample, reason = batch.bad[0]
            raise DataError(
                f"{self.dataset.path}: {sample} cannot be read: {reason}",
                hint="repair or remove it: every sample is used for training",
            )
        return Feeder(batch.inputs, self.dataset.preprocess).feed(self.name, self.expects)


def split(labels: Counts, share: float, seed: int) -> tuple[Counts, Counts]:
    """Rows to train on and rows to hold out, ``share`` of each class, drawn by ``seed``."""
    size = round(share * len(labels))
    held_out = stratified(labels, size, seed) if size else np.empty(0, np.int64)
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def subset(labels: Counts, rows: Counts, size: int | None, seed: int) -> Counts:
    """``size`` of ``rows``, each class in proportion, or all of them."""
    return rows if size is None else rows[stratified(labels[rows], size, seed)]


def check(
    examples: Examples, dataset: Dataset, model: torch.nn.Module, name: str, seed: int, *, trained: bool = True
) -> None:
    """See on a few hundred samples whether the network in evaluation mode and the labels fit together.

    Raises:
        AlignmentError: it has other classes than the data, or is ``trained`` and right by chance.
        ModelError: it gives probabilities, whose cross-entropy would be taken twice.
    """
    import torch

    labels = dataset.labels
    rows = subset(labels, examples.rows.numpy(), LOOKED_AT, seed)
    with torch.no_grad():
        parts = torch.from_numpy(rows).split(examples.size)
        scores = torch.cat([examples.forward(model, inputs).float().cpu() for inputs, _ in examples.stream(parts)])
    classes, width = dataset.classes, max(2, scores.shape[1])
    if width < len(classes) or (width > len(classes) and not dataset.indexed):
        raise AlignmentError(
            f"the model {name} has {width} classes, the data have {len(classes)}: {', '.join(classes[:6])}",
            hint="name the classes in the order of the model's outputs, one a line, with --classes FILE",
        )
    if scores.shape[1] > 1 and bool((scores >= 0).all()) and bool(((scores.sum(1) - 1).abs() < 1e-3).all()):
        raise ModelError(
            f"the model {name} gives probabilities, and training needs the scores before its last softmax",
            hint="give a factory that builds the network without the softmax at its end",
        )
    if not trained:
        return
    names = (*classes, *(str(i) for i in range(len(classes), width)))
    outputs = Outputs(name=name, predicted=decided(scores.numpy()))
    ids = tuple(dataset.ids[row] for row in rows)
    alignment.check(Predictions(classes=names, ids=ids, labels=labels[rows], models=(outputs,)))


def as_tensors(
    reader: Reader, tensors: Callable[[Mapping[str, Array]], Mapping[str, torch.Tensor]]
) -> Callable[[torch.Tensor], Mapping[str, torch.Tensor]]:
    """What `Examples.read` is to be: rows to inputs on the device of the network."""
    return lambda rows: tensors(reader.arrays(rows.numpy()))

"""Why a class suffers: a lens is a file here, which looks at both networks and says what it sees of each class.

A plugin defines ``RANK``, its place among the sections; ``DEFAULT``, whether it looks where nobody chose lenses;
``NEEDS``, one of `Need`; and ``look(subject, options) -> Seen``, where ``options`` is its group ``OPTIONS``, None where
it has none. It learns, scores and predicts on ``subject.data``, and measures on ``subject.audit``. Where it cannot look
at these networks it raises `CannotLook`, which the report says in its section, and the other lenses go on.

What it computes of one class or layer goes through ``subject.remember``, so that a run that was killed loses one of
them, and another run repeats none. A lens that can write the network that it judged defines, too,
``make(subject, options) -> Editable | None``; one that looks at further networks ``besides(options) -> Sequence[str]``,
models as people type them, which it finds in ``subject.others``, loaded and judged like the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from prune_audit.core import (
    Comparison,
    Counts,
    Dataset,
    Expects,
    Floats,
    Measure,
    ModelCard,
    Outputs,
    Predictions,
    Settings,
    Table,
    Value,
    View,
)
from prune_audit.errors import ModelError
from prune_audit.evaluate.loop import Progress
from prune_audit.nets import training_data
from prune_audit.nets.editable import Editable
from prune_audit.nets.examples import Examples

if TYPE_CHECKING:
    import torch

CONTRACT = ("RANK", "DEFAULT", "NEEDS", "look")
"""What a plugin must have."""
Need = Literal["gradients", "weights", "predictions"]
"""What a lens needs of both models: that they run in torch, their weights by name (ONNX has them, too), or only what
they predict."""
FACTORY = "needs gradients: give WEIGHTS@module:factory"
SMALLEST = 1e-300  # of a probability: its logarithm is finite


class CannotLook(ModelError):
    """A lens has nothing to see in these networks, or not enough to see it by; the report says so in its section."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Labelled samples: what is predicted by, or what is judged.

    ``labels`` (N,) are positions in the classes of the audit.
    """

    name: Literal["data", "audit"]
    dataset: Dataset

    @property
    def labels(self) -> Counts:
        """The labels (N,)."""
        return self.dataset.labels

    def of(self, position: int) -> Counts:
        """The rows of the class at ``position``."""
        return of_class(self.labels, position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One of both models: its card, and the network that may be looked into and changed.

    ``editable`` is None where the format cannot be changed; it holds weights alone where it does not run in torch.
    """

    card: ModelCard
    expects: Expects
    editable: Editable | None

    def opened(self) -> Editable:
        """The network as it runs in torch. Raises `CannotLook` where it does not."""
        if self.editable is None or self.editable.classifier is None:
            raise CannotLook(f"{self.card.name} ({self.card.format}) {FACTORY}", hint=FACTORY)
        return self.editable

    @property
    def module(self) -> torch.nn.Module:
        """The torch module, which a lens may change and must leave as it was. Raises as `opened`."""
        return self.opened().module

    def examples(self, part: Part, rows: Counts | None = None, *, size: int = 128) -> Examples:
        """The samples of ``part`` at ``rows``, all where None, as this network takes them. Raises as `opened`."""
        import torch

        opened = self.opened()
        reader = training_data.Reader(part.dataset, self.card.name, opened.source.expects)
        chosen = np.arange(len(part.labels)) if rows is None else rows
        return Examples(
            labels=torch.from_numpy(part.labels.astype("int64")),
            rows=torch.from_numpy(chosen.astype("int64")),
            read=training_data.as_tensors(reader, opened.tensors),
            forward=lambda _, inputs: opened.scores(inputs),
            size=size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What may explain who lost: one number for each class, computed without a sample of the audit.

    ``values`` (C,) hold None where there is none. ``title`` begins a sentence. ``larger`` is what it means by a larger
    number: that a class loses "more", as a predicted loss does, or "either" more or less, as of what only describes a
    class; in the first case the opposite order explains nothing. ``of_samples`` says that it comes of samples of
    ``data``, and of weights alone otherwise. ``step`` is what to try where it is called an explanation.
    """

    name: str
    title: str
    values: tuple[Value, ...]
    larger: Literal["more", "either"]
    of_samples: bool = True
    step: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is left of the loss of each class once most of the harm is mended that a lens found, in nats.

    ``values`` (C,) on the audited samples; ``title`` is what they are called.
    """

    values: tuple[Value, ...]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a lens saw.

    ``sentences`` begin with the finding. ``measures`` go beside those of the view by class, ``accounts`` to the rule by
    which something may be called an explanation. With ``finds``, ``excludes`` and ``steps`` a report opens: what was
    shown to be a cause by changing the network and judging it again, what was not, and what to try next. Where that
    cause is most of the harm, ``left`` is the rest, which the ``accounts`` of all lenses are then held against.
    """

    sentences: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    measures: tuple[Measure, ...] = ()
    accounts: tuple[Account, ...] = ()
    finds: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    left: Left | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What lenses look at: both networks, the audit of one by the other, and samples.

    ``data`` are samples of what the networks were trained on, up to a number of each class; ``audit`` are those that
    the audit judged. ``predicted(part)`` are the labels and predictions of both models, the dense one first, and
    ``judged(name, network)`` what a changed network predicts on ``audit``, as it would be written to a file: a name
    stands for one network. ``remember(unit, make)`` gives what ``make()`` gives, in types of JSON, or gave when this
    lens looked at the same unit before, ``common`` what any lens was given for it. ``progress`` takes the name of a
    stage and gives a callback of (done, total), or None. ``others`` are the networks that lenses asked for besides, by
    what was typed, each with what it predicts on ``audit``.
    """

    dense: Network
    pruned: Network
    comparison: Comparison
    data: Part
    audit: Part
    settings: Settings
    seed: int
    predicted: Callable[[Part], Predictions]
    judged: Callable[[str, Editable], Outputs]
    remember: Callable[[Sequence[object], Callable[[], Any]], Any]
    common: Callable[[Sequence[object], Callable[[], Any]], Any]
    progress: Callable[[str], Progress | None]
    others: Mapping[str, tuple[Network, Outputs]] = field(default_factory=dict)

    @property
    def view(self) -> View:
        """The view by class of the audit."""
        return self.comparison.view()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of outputs and labels."""
        return self.view.strata

    def each(self, stage: str, units: Sequence[Any], look: Callable[[Any], Any]) -> list[Any]:
        """What ``look`` gives of each of ``units`` (a class, a layer), each remembered, with a bar called ``stage``."""
        bar = self.progress(stage)
        found = []
        for done, unit in enumerate(units):
            if bar is not None:
                bar(done, len(units))
            found.append(self.remember([stage, unit], partial(look, unit)))
        if bar is not None:
            bar(len(units), len(units))
        return found


def of_class(labels: Counts, position: int) -> Counts:
    """The rows (M,) of the class at ``position`` among ``labels`` (N,)."""
    return np.flatnonzero(labels == position)


def loss(outputs: Outputs) -> Floats | None:
    """The cross-entropy of each sample (N,), in nats; None where the model gives no scores.

    A probability below 1e-300 stands as that, at 690.8 nats.
    """
    if outputs.true_score is None:
        return None
    found: Floats = -np.log(np.maximum(outputs.true_score, SMALLEST))
    return found

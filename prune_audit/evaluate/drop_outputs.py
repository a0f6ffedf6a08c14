"""Models without the outputs that stand for no class of the data, such as a detector's background.

They go before anything else sees the scores, so that no sample is predicted as background. Where the scores are
probabilities, those of the classes that are left are made of them later: P(class | not background).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from prune_audit import spelling
from prune_audit.core import (
    Activation,
    Array,
    Assumption,
    Chooses,
    Classifier,
    Counts,
    Expects,
    ModelCard,
    Norm,
    Normalising,
    Recorded,
    Suspect,
)
from prune_audit.errors import ModelError, UsageError
from prune_audit.evaluate.predict import in_calls

_INTEGER = re.compile(r"[+-]?[0-9]+")


class Dropped:
    """``model`` as a `Classifier` without the outputs ``which``: names of classes that the model carries, or
    positions, from the end where negative.

    Raises:
        UsageError: the model carries no class of that name, has no output at that position, or fewer than two are
            left; where it does not declare how many outputs it has, `predict` raises it.
    """

    def __init__(self, model: Classifier, which: Sequence[str]) -> None:
        self._model = model
        self._which = which
        self._width: int | None = None
        self._kept: Counts = np.empty(0, np.int64)  # positions of the outputs that stay, once these are known
        self.card: ModelCard = model.card
        self.expects: Expects = model.expects
        names, outputs = model.expects.classes, model.expects.outputs
        width = outputs if outputs is not None else len(names) if names is not None else None
        if width is not None:
            self._know(width)
            # If there are as many names as remaining outputs, they name the remaining outputs.
            if names is not None and len(names) == width:
                names = tuple(names[i] for i in self._kept)
            self.expects = replace(model.expects, outputs=len(self._kept), classes=names)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the model itself says."""
        return self._model.notes

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was taken for granted of the model itself."""
        return self._model.assumptions

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """As `Chooses.expect_classes`; the model itself has the outputs that go as well."""
        if isinstance(self._model, Chooses):
            self._model.expect_classes(classes + len(set(self._which)), more=more)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """Scores (B, C) of the outputs that stay, as they are."""
        return self._stay(self._model.predict(inputs))

    def predict_in_calls(self, inputs: Mapping[str, Array], size: int) -> Array:
        """As `prune_audit.core.Distant` has it, wherever the model itself is."""
        return self._stay(in_calls(self._model, inputs, size))

    def _stay(self, scores: Array) -> Array:
        if scores.ndim != 2:
            raise UsageError(
                f"--drop-class: model {self.card.name} gives classes and no scores, so that no output can be left out",
                hint="export the model so that it gives its scores",
            )
        if self._width is None:
            self._know(scores.shape[1])
        if scores.shape[1] != self._width:
            raise ModelError(
                f"model {self.card.name} was to have {self._width} outputs and gave {scores.shape[1]}",
                hint="give --drop-class as a position, and the classes with --classes FILE",
            )
        kept: Array = scores[:, self._kept]
        return kept

    def first_norm(self, inputs: Mapping[str, Array]) -> Norm | None:
        """As that of the model itself, None where it has none."""
        model = self._model
        return model.first_norm(inputs) if isinstance(model, Normalising) else None

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        """Those of the whole model, which computes what is then left out."""
        return self._model.macs(inputs)

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        """That of the whole model."""
        return self._model.activation(inputs)

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        """Those of the whole model."""
        return self._model.suspects(inputs)

    def _know(self, width: int) -> None:
        gone = {_position(self._model, each, width) for each in self._which}
        if width - len(gone) < 2:
            raise UsageError(
                f"--drop-class leaves {width - len(gone)} of the {width} outputs of model {self.card.name}",
                hint="a classifier needs two",
            )
        self._width = width
        self._kept = np.array([i for i in range(width) if i not in gone], np.int64)


def dropped(models: Sequence[Classifier | Recorded], which: Sequence[str]) -> list[Classifier | Recorded]:
    """``models`` without the outputs ``which``; recorded ones are as they were recorded.

    Raises:
        UsageError: as `Dropped` does, or no model has outputs that could be left out.
    """
    if which and all(isinstance(model, Recorded) for model in models):
        raise UsageError(
            "--drop-class: recorded predictions have no outputs to leave out",
            hint="leave the class out where the predictions are made: prune-audit predict --drop-class",
        )
    return [model if isinstance(model, Recorded) or not which else Dropped(model, which) for model in models]


def _position(model: Classifier, which: str, width: int) -> int:
    """The output of ``model``, which has ``width`` of them, that ``which`` means."""
    names = model.expects.classes or ()
    if which in names:
        return names.index(which)
    if not _INTEGER.fullmatch(which):
        known = f"its classes are {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if names else ""
        raise UsageError(
            f"--drop-class {which}: model {model.card.name} carries "
            f"{f'no class {which!r}' if names else 'no names of classes'}",
            hint=f"{spelling.meant(which, names)}{known or 'give the position of the output'}; -1 is the last one",
        )
    at = int(which)
    if not -width <= at < width:
        raise UsageError(
            f"--drop-class {which}: model {model.card.name} has {width} outputs",
            hint=f"positions are 0 to {width - 1}, or -1 to -{width} from the end",
        )
    return at % width

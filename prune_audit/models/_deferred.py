"""A model that was loaded before: its card is known, and the file is loaded only where it has to run.

Loading is most of the time of an audit whose predictions are all known, because it imports torch or onnxruntime. The
file is told by its digest, so a changed file is a new one; what it declares of itself was learnt when the same bytes,
under the same libraries, were loaded and accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from prune_audit.core import (
    Activation,
    Array,
    Assumption,
    Chooses,
    Classifier,
    Expects,
    ModelCard,
    ModelSource,
    Norm,
    Normalising,
    Prepares,
    Settings,
    Suspect,
)
from prune_audit.errors import ModelError
from prune_audit.evaluate import reads
from prune_audit.evaluate.cache import Store, asked
from prune_audit.evaluate.predict import in_calls
from prune_audit.sandbox import Held


class Known:
    """A `Classifier` of which only ``predict``, ``macs`` and ``suspects`` need the file."""

    def __init__(self, card: ModelCard, expects: Expects, load: Callable[[], Classifier]) -> None:
        self.card = card
        self.expects = expects
        self._load = load
        self._loaded: Classifier | None = None
        self._classes: tuple[int, bool] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the model where it ran."""
        return self._loaded.notes if self._loaded is not None else ()

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Those of the model where it ran."""
        return self._loaded.assumptions if self._loaded is not None else ()

    @property
    def held(self) -> Held | None:
        """What is around the process that it runs in, where it was loaded into one of its own."""
        return getattr(self._loaded, "held", None)

    @property
    def loaded(self) -> bool:
        """Whether anything was asked that was not known, so that the file was loaded."""
        return self._loaded is not None

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """As `Chooses.expect_classes`, once it is loaded."""
        self._classes = classes, more

    def prepare(self, inputs: Mapping[str, Array], samples: int) -> None:
        """As the model itself has it."""
        model = self._model()
        if isinstance(model, Prepares):
            model.prepare(inputs, samples)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """As the model's own."""
        return self._model().predict(inputs)

    def predict_in_calls(self, inputs: Mapping[str, Array], size: int) -> Array:
        """As `prune_audit.core.Distant` has it, wherever the model itself is."""
        return in_calls(self._model(), inputs, size)

    def first_norm(self, inputs: Mapping[str, Array]) -> Norm | None:
        """As that of the model itself, None where it has none."""
        model = self._model()
        return model.first_norm(inputs) if isinstance(model, Normalising) else None

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        """As the model's own."""
        return self._model().macs(inputs)

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        """As the model's own."""
        return self._model().activation(inputs)

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        """As the model's own."""
        return self._model().suspects(inputs)

    def _model(self) -> Classifier:
        if self._loaded is None:
            before = reads.shared()
            loaded = self._load()
            other = set(loaded.card.reads or ()) - set(self.card.reads or ()) - before
            if other or loaded.card.reads is None:
                raise ModelError(
                    f"the factory {self.card.factory} reads other files than it did when its predictions were kept"
                    + "".join(f": {path}" for path, _ in sorted(other)[:1]),
                    hint="where a variable of the environment decides, keep a folder for each of its values with "
                    "--cache DIR, or keep none with --no-cache",
                )
            if loaded.card.digest != self.card.digest:
                raise ModelError(
                    f"{self.card.path} was changed while the audit was under way",
                    hint="audit a copy of a file that is still being written",
                )
            if self._classes is not None and isinstance(loaded, Chooses):
                loaded.expect_classes(self._classes[0], more=self._classes[1])
            self._loaded = loaded
        return self._loaded


def find(source: ModelSource, settings: Settings, store: Store, load: Callable[[], Classifier]) -> Known | None:
    """The model at ``source``, where ``store`` knows its file; ``load`` loads it where it has to run after all."""
    found = _facts(source, settings, store)
    if found is None:
        return None
    card, expects = found
    return Known(replace(card, name=source.name, path=str(source.path)), expects, load)


def knows(source: ModelSource, settings: Settings, store: Store) -> bool:
    """Whether `find` finds the model at ``source``."""
    return _facts(source, settings, store) is not None


def learn(model: Classifier, source: ModelSource, settings: Settings, store: Store) -> None:
    """Have ``store`` know the model, where its file is all that it is made of."""
    card = model.card
    whole = source.path.is_file() and card.digest == _digest(source)
    if whole and not store.runs_code(card):
        store.learn(card, model.expects, asked(settings, source.name))


def _facts(source: ModelSource, settings: Settings, store: Store) -> tuple[ModelCard, Expects] | None:
    if not source.path.is_file():
        return None
    return store.facts(_digest(source), source.factory, asked(settings, source.name))


def _digest(source: ModelSource) -> str:
    state = source.path.stat()
    return _hashed(source.path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)  # a file is asked for before, while and after it is loaded
def _hashed(path: Path, *_state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

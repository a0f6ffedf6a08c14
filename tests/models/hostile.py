"""A format whose files name a payload, for tests alone: what a model does that our lists would never let in.

A file is the word HOSTILE and, as JSON, the payload that its model does, and ``when``: to ``load`` or to ``predict``.
A worker finds the format by `tests.models.hostile_runtime`, which its server imports.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from prune_audit import plugins
from prune_audit.core import Activation, Array, Assumption, Expects, Input, ModelSource, Settings, Suspect
from prune_audit.evaluate.sample_checks import CHECKED, COMPANY
from prune_audit.files import on_disk
from tests.sandbox.payloads import attempt

WORD = "HOSTILE"
RUNTIME = ("tests.models.hostile_runtime",)
NAME = "hostile"
_load = plugins.load


class Hostile:
    """A classifier of two columns, which is right where the first is larger; beside that it does its payload."""

    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()

    def __init__(self, source: ModelSource, asked: Mapping[str, Any]) -> None:
        self.card = on_disk.card(source, source.path, form=NAME, layers=(), parameters=None)
        self.expects = Expects(inputs=(Input(name="x", dtype="float32", shape=(None, 2)),), outputs=2)
        self._asked = asked
        self._calls = 0

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        [x] = inputs.values()
        self._calls += len(x) > CHECKED + COMPANY  # those of the long run
        if self._asked["when"] == "predict" and self._calls >= self._asked.get("after", 0):
            self.done = attempt(dict(self._asked))
        return np.array(x)

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        return None

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        return None

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        return ()


def recognises(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(WORD.encode())


def load(source: ModelSource, settings: Settings) -> Hostile:
    asked = json.loads(source.path.read_text().removeprefix(WORD))
    if asked["when"] == "load":
        attempt(asked)
    return Hostile(source, asked)


def written(path: Path, do: str, when: str = "predict", more: Mapping[str, object] = MappingProxyType({})) -> Path:
    """A file whose model does the payload called ``do``, with what ``more`` it needs."""
    path.write_text(WORD + json.dumps({"do": do, "when": when, **more}))
    return path


def find(room: str, name: str) -> ModuleType:
    """As `plugins.load`, and this module under its name."""
    return sys.modules[__name__] if (room, name) == ("models", NAME) else _load(room, name)

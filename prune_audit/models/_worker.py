"""The worker: loads a model of a stranger's and answers what `prune_audit.models._isolated` asks of it.

It is called in a process that is confined already. Inputs lie in memory that both sides see, and so do the arrays of an
answer; the rest is JSON. Whatever the model raises or prints stays here.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prune_audit import memory, plugins
from prune_audit.core import Array, Chooses, Classifier, Normalising, Prepares, Settings
from prune_audit.errors import AuditError
from prune_audit.evaluate.predict import in_calls
from prune_audit.files import on_disk
from prune_audit.models import _answers, _through_onnx
from prune_audit.sandbox import wire


def serve(descriptor: int) -> None:
    """Answer until nobody asks any more."""
    served = Served(descriptor)
    while True:
        try:
            request = wire.read(descriptor)
        except wire.Closed:
            return
        answer = served.answer(request)
        if answer is not None:
            wire.write(descriptor, answer)


class Served:
    """A model, once it is loaded, and what the other side is to know of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._name = ""
        self._model: Classifier | None = None
        self._memory: mmap.mmap | None = None
        self._waiting: Sequence[Array] = ()
        self._said: object = None  # of the model so far: its notes and assumptions

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """What to say to a ``request``; None where that is nothing."""
        try:
            match request["do"]:
                case "memory":
                    self._share(request["size"])
                    return None
                case "load":
                    found = self._load(request)
                case "again":
                    found = self._arrays(self._waiting)
                case "expect_classes":
                    model: object = self._model
                    if isinstance(model, Chooses):
                        model.expect_classes(request["classes"], more=request["more"])
                    found = {}
                case asked:
                    found = self._asked(asked, self._inputs(request["inputs"]), request["size"])
        except AuditError as fault:
            found = {"error": [_answers.kind_of(fault), fault.message, fault.hint]}
        # Whatever a library raises ends the run, not the worker, which still has to say so.
        except Exception as fault:
            if memory.exhausted(fault):
                told = f"{self._name} ran out of memory in its worker: {type(fault).__name__}"
                return {"error": ["ModelError", told, f"{memory.HINT}; --memory SIZE lets it have more"]}
            sys.excepthook(type(fault), fault, fault.__traceback__)
            found = {"fault": f"{type(fault).__name__}: {fault}"[:1000]}
        if self._model is not None and (said := (self._model.notes, self._model.assumptions)) != self._said:
            self._said = said
            found |= {"notes": list(said[0]), "assumptions": _answers.plain(said[1])}
        return found

    def _share(self, size: int) -> None:
        with socket.socket(fileno=os.dup(self._descriptor)) as connection:
            [descriptor] = wire.files(connection, 1)
        self._memory = mmap.mmap(descriptor, size)
        os.close(descriptor)

    def _load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        source, settings = _answers.requested(request)
        self._name = source.name
        with on_disk.measured_elsewhere() as files:
            loaded = plugins.load("models", request["plugin"]).load(source, settings)
        model = _through_onnx.wrap(loaded, settings)
        assert not hasattr(model, "outputs")  # a recorded one needs no worker
        self._model = model
        _seed(settings)
        return {
            "card": _answers.plain(model.card),
            "expects": _answers.plain(model.expects),
            "gives": _answers.plain(getattr(model, "gives", ())),
            "files": [str(each) for each in files],
        }

    def _asked(self, what: str, inputs: Mapping[str, Array], size: int | None) -> dict[str, Any]:
        model = self._model
        assert model is not None
        match what:
            case "predict":
                assert size is not None
                return self._arrays([in_calls(model, inputs, size)])
            case "prepare":
                if isinstance(model, Prepares):
                    assert size is not None
                    model.prepare(inputs, size)
                return {}
            case "macs":
                return {"value": model.macs(inputs)}
            case "activation":
                return {"value": model.activation(inputs)}
            case "suspects":
                return {"value": _answers.plain(model.suspects(inputs))}
        assert what == "first_norm"
        norm = model.first_norm(inputs) if isinstance(model, Normalising) else None
        if norm is None:
            return {"value": None}
        return {"value": norm.name} | self._arrays([norm.running_mean, norm.running_var, norm.mean, norm.var])

    def _inputs(self, places: Mapping[str, Any]) -> dict[str, Array]:
        found = {}
        for name, where in places.items():
            place = _answers.Place(where["dtype"], tuple(where["shape"]), where["offset"])
            found[name] = place.array(self._memory)
        return found

    def _arrays(self, arrays: Sequence[Array]) -> dict[str, Any]:
        """Put ``arrays`` into the memory, or say how much they need."""
        placed = _answers.placed(_answers.kinds(arrays))
        if self._memory is None or placed.size > len(self._memory):
            # As copies, since they may lie in the memory that is about to be another one.
            self._waiting = [each.copy() for each in arrays]
            return {"needs": placed.size}
        # All of what lies there first: the arrays may be the inputs themselves, or parts of them.
        whole = np.frombuffer(self._memory, np.uint8)
        contents = [each.copy() if np.may_share_memory(each, whole) else each for each in arrays]
        for place, content in zip(placed.places, contents, strict=True):
            if content.size:
                place.array(self._memory)[...] = content
        return {"arrays": placed.told}


def _seed(settings: Settings) -> None:
    """As `prune_audit.audit` does where models run in its own process."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(settings.seed)

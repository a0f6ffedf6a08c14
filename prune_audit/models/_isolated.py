"""A model that runs in a worker: whatever is in its file, and whatever it does, this process only asks.

Formats that carry programs are loaded in a process of their own (`prune_audit.models._worker`), behind the barriers of
`prune_audit.sandbox`, one for each model, so that a hostile variant cannot touch the results of another. Here nothing
of torch or onnxruntime is imported. To all others it is a `Classifier` like any.

What it answers is not believed: types, shapes and lengths are checked (`prune_audit.models._answers`), and the files
are measured on this side. A crash, an answer that does not come and memory that grows without end are errors of the
model, which end the run as any other does: what is predicted is kept.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from prune_audit.core import Activation, Array, Assumption, ModelSource, Norm, Settings, Suspect
from prune_audit.errors import ModelError
from prune_audit.files import on_disk
from prune_audit.models import _answers
from prune_audit.sandbox import Barriers, Held, limits, process

_ENTRY = "prune_audit.models._worker:serve"
# Loading takes as long as some samples may.
_LOADING = 10
_SMALL = 1 << 20  # bytes of memory that both sides see, to begin with
_MOST = 1 << 32  # bytes of an answer
_CLASSES = 10**7  # of a model that gives classes alone
_NEVER = "--isolate never runs it in the process of the audit, for files that you trust"


def supported() -> bool:
    """Whether this system has what workers need."""
    return os.name == "posix" and bool(sys.executable)


class Isolated:
    """The model at ``source``, of the format ``plugin``, whose worker imports the ``runtime``.

    ``held`` says which barriers are around it.

    Raises:
        ModelError: it cannot be loaded, or its worker did not survive that.
        AuditError: as the format's own ``load``.
    """

    def __init__(self, plugin: str, source: ModelSource, settings: Settings, runtime: Sequence[str]) -> None:
        self._source = source
        self._seconds = settings.sample_timeout
        self._asking = threading.RLock()
        self._shared: mmap.mmap | None = None
        self._fault: ModelError | None = None  # for which there is no worker any more
        self.notes: tuple[str, ...] = ()
        self.assumptions: tuple[Assumption, ...] = ()
        memory = settings.memory if settings.memory is not None else limits.available()
        barriers = Barriers(scratch=source.path, memory=memory, device=settings.device)
        try:
            self._worker = process.Worker(runtime, _ENTRY, barriers)
        except process.Unavailable as fault:
            raise ModelError(
                f"{source.path}: no worker could be started to run it in: {fault}",
                hint=f"the libraries that run it must be installed and importable; or {_NEVER}",
            ) from fault
        self.held: Held = self._worker.held
        asked = {"do": "load", "plugin": plugin, **_answers.request(source, settings)}
        found = self._ask("was loaded", asked, _LOADING)
        with self._believing():
            measured = on_disk.measured(*_answers.files(found.get("files"), source))
            self.card = _answers.card(found.get("card"), source, measured)
            self.expects = _answers.expects(found.get("expects"), source)
            self.gives = _answers.outputs(found.get("gives"))

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """As `Chooses.expect_classes`."""
        self._ask("was told of the data", {"do": "expect_classes", "classes": classes, "more": more})

    def prepare(self, inputs: Mapping[str, Array], samples: int) -> None:
        """As the model itself has it, in its worker. Raises `ModelError` as `predict` does."""
        self._run("prepare", inputs, samples)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """As the model's own. Raises `ModelError` as `predict_in_calls` does."""
        return self.predict_in_calls(inputs, max(1, len(next(iter(inputs.values())))))

    def predict_in_calls(self, inputs: Mapping[str, Array], size: int) -> Array:
        """As `prune_audit.core.Distant` has it: the worker makes the calls, which may take as long as one may.

        Raises:
            ModelError: the model cannot run, its worker ended, or what it gave is no scores of these samples.
        """
        count = len(next(iter(inputs.values())))
        found = self._run("predict", inputs, size)
        with self._believing():
            [scores] = self._arrays(found, 1)
            kinds = {1: "iu", 2: "fiu"}.get(scores.ndim, "")
            if scores.dtype.kind not in kinds or len(scores) != count:
                raise _answers.Wrong(f"scores of shape {scores.shape} and type {scores.dtype} for {count} samples")
            if scores.ndim == 1 and len(scores) and int(scores.max()) > _CLASSES:
                raise _answers.Wrong(f"class {scores.max()}")
        return scores

    def first_norm(self, inputs: Mapping[str, Array]) -> Norm | None:
        """As `TorchClassifier.first_norm`, None where the model has none."""
        found = self._run("first_norm", inputs)
        if found.get("value") is None:
            return None
        with self._believing():
            [name] = _answers.notes([found.get("value")])
            arrays = self._arrays(found, 4)
            if any(each.shape != arrays[0].shape or each.dtype != np.float64 for each in arrays):
                raise _answers.Wrong("statistics of several shapes")
        return Norm(name=name, running_mean=arrays[0], running_var=arrays[1], mean=arrays[2], var=arrays[3])

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        """As the model's own."""
        found = self._run("macs", inputs)
        with self._believing():
            return _answers.macs(found.get("value"))

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        """As the model's own."""
        found = self._run("activation", inputs)
        with self._believing():
            return _answers.activation(found.get("value"))

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        """As the model's own."""
        found = self._run("suspects", inputs)
        with self._believing():
            return _answers.suspects(found.get("value"))

    def _run(self, what: str, inputs: Mapping[str, Array], size: int | None = None) -> dict[str, Any]:
        """The answer to ``what`` is asked of ``inputs``, put where the worker sees them.

        ``size`` is that of the calls, or the number of samples that it is to prepare for.
        """
        samples = len(next(iter(inputs.values())))
        for name, values in inputs.items():
            if values.dtype.hasobject:
                raise ModelError(
                    f"{self._source.path}: expected numbers for its input, found Python's objects in {name!r}",
                    hint="give arrays of one numeric type",
                )
        placed = _answers.placed(_answers.kinds(inputs.values()))
        with self._asking:
            shared = self._share(placed.size)
            for place, values in zip(placed.places, inputs.values(), strict=True):
                if values.size:
                    place.array(shared)[...] = values
            asked = {"do": what, "inputs": dict(zip(inputs, placed.told, strict=True)), "size": size}
            did = f"predicted {samples:,} samples" if what == "predict" else "was looked at"
            return self._ask(did, asked, _LOADING if what == "prepare" else min(samples, size or samples))

    def _arrays(self, found: Mapping[str, Any], count: int) -> list[Array]:
        """The ``count`` arrays of an answer, as copies, since the worker may change its own."""
        with self._asking:
            if "needs" in found:
                needs = _answers.count(found["needs"])
                if needs > _MOST:
                    raise _answers.Wrong(f"an answer of {needs:,} bytes")
                self._share(needs)
                found = self._ask("answered", {"do": "again"})
            shared = self._share(0)
            places = found.get("arrays")
            if not isinstance(places, list) or len(places) != count:
                raise _answers.Wrong("other arrays")
            return [_answers.place(each, len(shared)).array(shared).copy() for each in places]

    def _share(self, size: int) -> mmap.mmap:
        """Memory of at least ``size`` bytes that both sides see."""
        if self._shared is not None and len(self._shared) >= size:
            return self._shared
        length = max(_SMALL, 1 << (size - 1).bit_length())
        descriptor = _memory(length)
        try:
            self._shared = mmap.mmap(descriptor, length)
            self._worker.tell({"do": "memory", "size": length}, (descriptor,))
        except process.Ended as ended:
            raise self._gone(ended, "was given its inputs") from None
        finally:
            os.close(descriptor)
        return self._shared

    def _ask(self, did: str, request: Mapping[str, Any], samples: int = 1) -> dict[str, Any]:
        """The answer to ``request``, with what the model says of itself taken out of it.

        Raises:
            AuditError: what was raised there; or there is no answer.
        """
        with self._asking:
            if self._fault is not None:  # whoever asks again, in another way, hears why
                raise self._fault
            try:
                found = self._worker.ask(request, self._seconds * max(1, samples))
            except process.Ended as ended:
                raise self._gone(ended, did) from None
            with self._believing():
                if "notes" in found:
                    self.notes = _answers.notes(found["notes"])
                    self.assumptions = _answers.assumptions(found.get("assumptions"), self._source.name)
                if "error" in found:
                    raise _answers.error(found["error"])
                if "fault" in found:
                    [fault] = _answers.notes([found["fault"]])
                    raise ModelError(
                        f"{self._source.path} failed in its worker while it {did}: {fault}",
                        hint=f"export the model again; if something that it needs was refused, {_NEVER}",
                    )
        return found

    @contextmanager
    def _believing(self) -> Iterator[None]:
        """Read what the worker says: what cannot be is an error, and ends the worker."""
        try:
            yield
        # Beside what is looked for, whatever Python makes of a length, a path or a key that nobody would give.
        except (_answers.Wrong, ValueError, TypeError, OverflowError, OSError) as wrong:
            raise self._gone(self._worker.stop(f"gave an answer that cannot be: {wrong}"), "ran") from None

    def _gone(self, ended: process.Ended, did: str) -> ModelError:
        words = f"; the last that it wrote: {ended.words!r}" if ended.words else ""
        limit = "more with --sample-timeout SECONDS where it is slow, and "
        more = limit if isinstance(ended, process.Late) else ""
        if isinstance(ended, process.TooLarge):
            more = "more with --memory SIZE, and "
        self._fault = ModelError(
            f"{self._source.path}: the worker in which it runs {ended.why} while the model {did}{words}",
            hint=f"{more or 'the file is damaged, or meets a fault of its runtime: '}export it again, or to another "
            f"format; {_NEVER}",
        )
        return self._fault


def _memory(length: int) -> int:
    """A file of ``length`` bytes in memory, whose length nobody can change where the system has such."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.truncate(length)
            return os.dup(file.fileno())
    import fcntl

    descriptor = os.memfd_create("prune-audit", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, length)
    # A worker that cut it would end this process where it reads.
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor

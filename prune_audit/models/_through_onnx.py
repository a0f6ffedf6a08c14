"""A torch model that onnxruntime runs, after an export that was shown to agree with torch.

onnxruntime is often several times faster on a CPU, but an export may go wrong in silence, and then the audit would be
of another model. So the first samples go through both, and where classes or scores differ, or anything fails, torch
goes on alone and a note says why. The export is made with another number of samples than come first, so that a number
that it bakes in is found out.

Where it was asked for, onnxruntime then answers alone. Where it is to be used if that pays, what was compared is
answered by torch, and so is every sample whose two best scores lie so close that the runtime might decide: whether and
when the export is made hangs on the speed of the machine, and no class may.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from prune_audit.core import (
    Activation,
    Array,
    Assumption,
    Classifier,
    Expects,
    ModelCard,
    Norm,
    Recorded,
    Settings,
    Suspect,
)
from prune_audit.errors import MissingExtra, ModelError, UsageError
from prune_audit.evaluate.model_output import Outputs
from prune_audit.evaluate.predict import ask
from prune_audit.models import onnx
from prune_audit.models.onnx.interface import expects_of, outputs_of
from prune_audit.nets.module import ROUNDING, TorchClassifier
from prune_audit.nets.onnx_export import ExportFailed, quiet, require_exporter, seconds, write
from prune_audit.tasks.classification import decided, margin, right

# Samples that both run.
COMPARED = 300
# How far scores may lie apart, as a share of the largest score of the sample: the rounding errors of a sum grow with
# its terms, not with what is left of them, so a score near 0 is no more exact than the others. Half precision needs
# this much; a wrong export is further off by far.
TOLERANCE = 1e-3
# Of the differences that were seen, how many times the largest is taken for what may come.
BEYOND = 10
# What is expected to be saved of torch's time, before it is known: two fifths of TorchScript's, where it was measured
# on two processors, and four fifths of an eager module's.
SAVED = 0.25
# Below this share of torch's time it goes on, once it is known.
PAYS = 0.95
# Calls of torch's that must have been timed: the first two of TorchScript's optimise it.
TIMED = 3
# Bytes of weights above which nobody has copies of them made who has not asked for it. Where memory is bounded, what
# an export needs of it: copies of the weights, and room for its libraries.
LARGE = 2**29
COPIES, LIBRARIES = 4, 2**29
_exporting = threading.Lock()


def wrap(classifier: Classifier | Recorded, settings: Settings) -> Classifier | Recorded:
    """``classifier`` in onnxruntime where ``settings`` ask for it and it is torch's; else as it is.

    Raises:
        UsageError: another device than the CPU was asked for as well.
        MissingExtra: the network needs torch's newer exporter, whose library is not installed.
    """
    if settings.runtime == "own" or not isinstance(classifier, TorchClassifier):
        return classifier
    if settings.runtime == "auto":
        return ThroughOnnx(classifier, settings) if settings.device == "cpu" else classifier
    if settings.device != "cpu":
        raise UsageError(
            f"--runtime onnxruntime runs on the CPU, not on {settings.device}", hint="leave --device or --runtime out"
        )
    require_exporter(classifier)
    return ThroughOnnx(classifier, settings)


class ThroughOnnx:
    """``own``, run by onnxruntime as long as that agrees; where ``settings`` say auto, once `prepare` finds it pays."""

    def __init__(self, own: TorchClassifier, settings: Settings) -> None:
        self._own = own
        self._settings = settings
        self._auto = settings.runtime == "auto"
        self._waits = self._auto
        self._exported: onnx.OnnxClassifier | None = None
        self._reason = ""  # why torch goes on alone
        self._ranks: tuple[int, ...] = ()
        self._left = 0  # samples to compare
        self._compared: set[bytes] = set()  # of samples, so that each counts once however often it comes
        self._samples = self._ties = self._close = 0
        self._shown = self._doubtful = 0  # samples that both ran, and of these such as torch would predict again
        self._alone = 0  # samples that onnxruntime answered and torch did not see
        self._apart = self._share = 0.0  # the largest difference of a score, and as a share of the sample's largest
        self._calls, self._least = 0, np.inf  # of torch's, and the fewest seconds a sample of one of them
        self._took: list[tuple[float, float]] = []  # seconds a sample in torch and in onnxruntime, of each call of both

    @property
    def card(self) -> ModelCard:
        """That of the file."""
        return self._own.card

    @property
    def expects(self) -> Expects:
        """What the torch model declares."""
        return self._own.expects

    @property
    def notes(self) -> tuple[str, ...]:
        """Where it ran, and how that was shown to be right, or why it was not."""
        name = self.card.name
        if self._reason:
            after = f" after {self._alone:,} samples there" if self._alone else ""
            return (*self._own.notes, f"{name} runs in torch and not in onnxruntime{after}: {self._reason}")
        if not self._samples:
            return self._own.notes
        but = f" but for {self._ties} whose best two scores are equal within rounding" if self._ties else ""
        also = ""
        if self._auto:
            also = (
                f"; {self._close:,} of the others, whose two best scores lie closer than {BEYOND} times that, "
                f"{'was' if self._close == 1 else 'were'} predicted by torch (--runtime own: all of them)"
            )
        return (
            f"{name} runs in onnxruntime: on the first {self._samples} samples its classes are torch's{but}, "
            f"its scores differ by at most {self._apart:.1g}{also}",
        )

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Those of the torch model."""
        return self._own.assumptions

    def first_norm(self, inputs: Mapping[str, Array]) -> Norm | None:
        """As `TorchClassifier.first_norm`."""
        return self._own.first_norm(inputs)

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """As `Chooses.expect_classes`."""
        self._own.expect_classes(classes, more=more)

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        """As `TorchClassifier.macs`."""
        return self._own.macs(inputs)

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        """As `TorchClassifier.activation`."""
        return self._own.activation(inputs)

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        """As `TorchClassifier.suspects`."""
        return self._own.suspects(inputs)

    def prepare(self, inputs: Mapping[str, Array], samples: int) -> None:
        """Export the network where it is not yet known to pay, and the run is long enough for it.

        ``inputs`` (B, ...) are the first of ``samples`` that are to come, each of which is predicted by itself.

        Raises:
            ModelError: torch cannot run it.
        """
        if not self._waits or self._reason:
            return
        few = {name: array[: self.expects.batch or 4] for name, array in inputs.items()}
        while self._calls < TIMED:
            self._by_torch(few)
        saved, both = SAVED * self._least, (1 - SAVED) * self._least  # seconds for each sample, and where both run
        if saved * samples <= seconds(self._own) + both * min(samples, COMPARED):
            return
        size = sum(parameter.nbytes for parameter in self._own.module.parameters())
        room = self._settings.memory
        if size > LARGE or (room is not None and COPIES * size + LIBRARIES > room):
            self._reason = f"its weights take {size / 1e6:,.0f} MB, and an export more than is taken unasked"
        elif self._by_torch(few)[0].ndim == 1:
            self._reason = "it gives classes and no scores, so that no sample shows how near it is to another class"
        else:
            self._reason = self._export(inputs)
        self._waits = False

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """As `TorchClassifier.predict`, by whichever runs it.

        Raises:
            ModelError: torch cannot run it.
        """
        if self._waits or self._reason:
            return self._by_torch(inputs)[0]
        ranks = tuple(array.ndim for array in inputs.values())
        if ranks != self._ranks:
            self._ranks, self._left = ranks, COMPARED
            self._compared.clear()
        # First, because where torch fails too it is the input that is wrong; and because an export is of the one output
        # that holds the scores, which only a run tells.
        own = self._by_torch(inputs) if self._left > 0 else None
        if self._exported is None and (reason := self._export(inputs)):
            return self._gives_up(inputs, own, reason)
        assert self._exported is not None
        try:
            scores, here = _timed(self._exported, inputs)
        except ModelError as fault:
            return self._gives_up(inputs, own, fault.message)
        if own is None:
            self._alone += len(scores)
            return self._checked(inputs, scores) if self._auto else scores
        wanted, each = own
        self._took.append((each, here))
        fresh = self._fresh(inputs)
        self._left -= int(fresh.sum())
        reason = self._differs(wanted, scores, fresh)
        if not reason and self._auto:
            self._shown += len(scores)
            self._doubtful += int(self._near(scores).sum())
            if self._left <= 0 and not self._pays():
                reason = "it is no faster there"
        if reason:
            self._reason, self._exported = reason, None
        return wanted if reason or self._auto else scores

    def _export(self, inputs: Mapping[str, Array]) -> str:
        """Have the network exported, or say why it cannot be."""
        try:
            require_exporter(self._own)
            with _exporting, quiet():
                self._exported = _export(self._own, inputs, self._settings.threads)
        except MissingExtra as fault:
            return f"{fault.message} ({fault.hint})"
        except ModelError as fault:
            return fault.message
        except ExportFailed as fault:
            return f"its export failed: {fault}"
        return ""

    def _by_torch(self, inputs: Mapping[str, Array]) -> tuple[Array, float]:
        """Torch's scores, and the seconds a sample that they took."""
        scores, each = _timed(self._own, inputs)
        self._calls, self._least = self._calls + 1, min(self._least, each)
        return scores, each

    def _pays(self) -> bool:
        """Whether onnxruntime is faster, with those samples that torch predicts as well."""
        own, here = map(median, zip(*self._took, strict=True))  # since machines are busy
        again = self._doubtful / self._shown * own
        return bool(here + again < PAYS * own)

    def _near(self, scores: Array) -> Array:
        """Which of ``scores`` (B, C) are so close to another class that what was seen of differences may decide."""
        largest = np.abs(np.where(np.isfinite(scores), scores, 0)).max(axis=1)
        lead = np.minimum(margin(scores), margin(scores, self._settings.top_k))  # which rank a label has in these, too
        near: Array = lead <= BEYOND * np.maximum(self._apart, self._share * largest)
        return near

    def _checked(self, inputs: Mapping[str, Array], scores: Array) -> Array:
        """``scores`` (B, C) of ``inputs``, with torch's where another runtime may decide the class."""
        near = np.flatnonzero(self._near(scores))
        if not len(near):
            return scores
        wanted = ask(self._own, {name: values[near] for name, values in inputs.items()})
        self._close += len(near)
        self._alone -= len(near)
        if reason := self._differs(wanted, scores[near], np.zeros(len(near), bool), classes=False):
            return self._gives_up(inputs, None, reason)
        mixed = scores.astype(np.result_type(scores, wanted))
        mixed[near] = wanted
        return mixed

    def _fresh(self, inputs: Mapping[str, Array]) -> Array:
        """Which samples (B,) were not compared before."""
        fresh = np.zeros(len(next(iter(inputs.values()))), bool)
        for at in range(len(fresh)):
            sample = hashlib.sha256(b"".join(values[at].tobytes() for values in inputs.values())).digest()
            fresh[at] = sample not in self._compared
            self._compared.add(sample)
        return fresh

    def _gives_up(self, inputs: Mapping[str, Array], own: tuple[Array, float] | None, reason: str) -> Array:
        """Torch's scores, from now on as well; ``own`` are they where it has just been asked."""
        scores, _ = self._by_torch(inputs) if own is None else own
        self._reason, self._exported = reason, None
        return scores

    def _differs(self, wanted: Array, found: Array, fresh: Array, *, classes: bool = True) -> str:
        """In what ``found`` (B, C) is another answer than ``wanted`` (B, C); empty where it is not.

        ``fresh`` (B,) are the samples that count. Without ``classes`` scores alone may speak against it.
        """
        if wanted.shape != found.shape:
            return f"its export gives scores of shape {found.shape} for {wanted.shape}"
        if wanted.ndim == 1:  # classes alone
            if count := int((wanted != found).sum()):
                return f"its export gives another class for {count} of {len(wanted)} samples"
            self._samples += int(fresh.sum())
            return ""
        largest = np.abs(wanted).max(axis=1)  # (B,)
        apart = np.abs(found.astype(np.float64) - wanted).max(axis=1)  # (B,)
        best = np.sort(wanted, axis=1)[:, -2:]  # (B, 2), or (B, 1) of a binary classifier
        # Of one column nothing says here where it splits.
        moved = ~right(decided(wanted), decided(found)) & (wanted.shape[1] > 1)  # (B,)
        tied = best[:, -1] - best[:, 0] <= ROUNDING * largest  # (B,)
        # Not "apart > ...", which NaN would pass.
        if not (apart <= TOLERANCE * largest).all() or (classes and (moved & ~tied).any()):
            return (
                f"its export gives another class for {int((moved & ~tied).sum())} of {len(wanted)} samples, "
                f"and scores that differ by {apart.max():.2g}"
            )
        self._samples += int(fresh.sum())
        self._ties += int((moved & fresh).sum())
        self._apart = max(self._apart, float(apart.max()))
        self._share = max(self._share, float((apart[largest > 0] / largest[largest > 0]).max(initial=0)))
        return ""


def _timed(model: Classifier, inputs: Mapping[str, Array]) -> tuple[Array, float]:
    """The scores of ``model``, and the seconds a sample that they took."""
    began = time.perf_counter()
    scores = model.predict(inputs)
    return scores, (time.perf_counter() - began) / max(1, len(scores))


def _export(own: TorchClassifier, inputs: Mapping[str, Array], threads: int | None) -> onnx.OnnxClassifier:
    with TemporaryDirectory(prefix="prune-audit-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.onnx"
        write(own, inputs, path)
        session = onnx.session(path, threads)
    [output] = outputs_of(session)
    return onnx.OnnxClassifier(session, own.card, expects_of(session, output, [], path), Outputs(own.card.name), {})

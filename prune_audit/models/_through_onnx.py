"""A torch model that onnxruntime runs, after an export that was shown to agree with torch.

onnxruntime is often several times faster on a CPU, but an export may go wrong in silence, and then the audit would be
of another model. So the first samples go through both, and where classes or scores differ, or anything fails, torch
goes on alone and a note says why. The export waits for the first batch, whose shapes it needs, and is made with
another number of samples than that, so that a number that it bakes in is found out.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
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
from prune_audit.errors import ModelError, UsageError
from prune_audit.evaluate.model_output import Outputs
from prune_audit.models import onnx
from prune_audit.models.onnx.interface import expects_of, outputs_of
from prune_audit.nets.module import ROUNDING, TorchClassifier
from prune_audit.nets.onnx_export import ExportFailed, quiet, require_exporter, write
from prune_audit.tasks.classification import decided, right

# Samples that both run.
COMPARED = 64
# How far scores may lie apart, as a share of the largest score of the sample: the rounding errors of a sum grow with
# its terms, not with what is left of them, so a score near 0 is no more exact than the others. Half precision needs
# this much; a wrong export is further off by far.
TOLERANCE = 1e-3
_exporting = threading.Lock()


def wrap(classifier: Classifier | Recorded, settings: Settings) -> Classifier | Recorded:
    """``classifier`` in onnxruntime where ``settings`` ask for it and it is torch's; else as it is.

    Raises:
        UsageError: another device than the CPU was asked for as well.
        MissingExtra: the network needs torch's newer exporter, whose library is not installed.
    """
    if settings.runtime != "onnxruntime" or not isinstance(classifier, TorchClassifier):
        return classifier
    if settings.device != "cpu":
        raise UsageError(
            f"--runtime onnxruntime runs on the CPU, not on {settings.device}", hint="leave --device or --runtime out"
        )
    require_exporter(classifier)
    return ThroughOnnx(classifier, settings)


class ThroughOnnx:
    """``own``, run by onnxruntime as long as that agrees."""

    def __init__(self, own: TorchClassifier, settings: Settings) -> None:
        self._own = own
        self._settings = settings
        self._exported: onnx.OnnxClassifier | None = None
        self._reason = ""  # why torch goes on alone
        self._ranks: tuple[int, ...] = ()
        self._left = 0  # samples to compare
        self._compared: set[bytes] = set()  # of samples, so that each counts once however often it comes
        self._samples = self._ties = 0
        self._apart = 0.0

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
            return (*self._own.notes, f"{name} runs in torch and not in onnxruntime: {self._reason}")
        if not self._samples:
            return self._own.notes
        but = f" but for {self._ties} whose best two scores are equal within rounding" if self._ties else ""
        return (
            f"{name} runs in onnxruntime: on the first {self._samples} samples its classes are torch's{but}, "
            f"its scores differ by at most {self._apart:.1g}",
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

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """As `TorchClassifier.predict`, by whichever runs it.

        Raises:
            ModelError: torch cannot run it.
        """
        if self._reason:
            return self._own.predict(inputs)
        ranks = tuple(array.ndim for array in inputs.values())
        if ranks != self._ranks:
            self._ranks, self._left = ranks, COMPARED
            self._compared.clear()
        wanted: Array | None = None
        try:
            if self._exported is None:
                # First, because where torch fails too it is the input that is wrong; and because an export is of the
                # one output that holds the scores, which only a run tells.
                wanted = self._own.predict(inputs)
                with _exporting, quiet():
                    self._exported = _export(self._own, inputs, self._settings.threads)
            scores = self._exported.predict(inputs)
        except ExportFailed as fault:
            return self._alone(inputs, wanted, f"its export failed: {fault}")
        except ModelError as fault:
            return self._alone(inputs, wanted, fault.message)
        if self._left <= 0:
            return scores
        wanted = self._own.predict(inputs) if wanted is None else wanted
        fresh = self._fresh(inputs)
        self._left -= int(fresh.sum())
        reason = self._differs(wanted, scores, fresh)
        if reason:
            self._reason, self._exported = reason, None
            return wanted
        return scores

    def _fresh(self, inputs: Mapping[str, Array]) -> Array:
        """Which samples (B,) were not compared before."""
        fresh = np.zeros(len(next(iter(inputs.values()))), bool)
        for at in range(len(fresh)):
            sample = hashlib.sha256(b"".join(values[at].tobytes() for values in inputs.values())).digest()
            fresh[at] = sample not in self._compared
            self._compared.add(sample)
        return fresh

    def _alone(self, inputs: Mapping[str, Array], wanted: Array | None, reason: str) -> Array:
        scores = self._own.predict(inputs) if wanted is None else wanted
        self._reason, self._exported = reason, None
        return scores

    def _differs(self, wanted: Array, found: Array, fresh: Array) -> str:
        """In what ``found`` (B, C) is another answer than ``wanted`` (B, C); empty where it is not.

        ``fresh`` (B,) are the samples that count.
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
        if not (apart <= TOLERANCE * largest).all() or (moved & ~tied).any():
            return (
                f"its export gives another class for {int((moved & ~tied).sum())} of {len(wanted)} samples, "
                f"and scores that differ by {apart.max():.2g}"
            )
        self._samples += int(fresh.sum())
        self._ties += int((moved & fresh).sum())
        self._apart = max(self._apart, float(apart.max()))
        return ""


def _export(own: TorchClassifier, inputs: Mapping[str, Array], threads: int | None) -> onnx.OnnxClassifier:
    with TemporaryDirectory(prefix="prune-audit-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.onnx"
        write(own, inputs, path)
        session = onnx.session(path, threads)
    [output] = outputs_of(session)
    return onnx.OnnxClassifier(session, own.card, expects_of(session, output, [], path), Outputs(own.card.name), {})

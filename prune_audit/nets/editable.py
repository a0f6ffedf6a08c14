"""A network whose weights may be changed, with the way back to a file of the kind it came from.

A format that can be written again defines ``editable(source, settings)`` beside ``load``. What is written appears
whole or not at all, and loads in plain PyTorch or onnxruntime: nothing of this package goes into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prune_audit.core import Array, Classifier, Floats, ModelCard
from prune_audit.errors import ModelError, OutputError
from prune_audit.files import target as targets
from prune_audit.nets import head, onnx_export
from prune_audit.nets.module import TorchClassifier, gist

if TYPE_CHECKING:
    import torch

    Inputs = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Editable:
    """``module`` holds the weights, under their names; ``write`` puts them as they then are into a new file or folder.

    ``classifier`` runs the module, and is None where it only holds weights and cannot run: that of an ONNX file.
    ``stored`` adds offsets (C,) to the scores of such a one, where they go into what is written.
    """

    source: Classifier
    module: torch.nn.Module
    write: Callable[[Path], None]
    classifier: TorchClassifier | None = None
    stored: Callable[[Floats], None] | None = None

    @property
    def card(self) -> ModelCard:
        """That of the file it came from."""
        return self.source.card

    def tensors(self, arrays: Mapping[str, Array]) -> Inputs:
        """``arrays``, as `Classifier.predict` takes them, on the device of the network."""
        running = self.require("run")
        return {name: running.tensor(array) for name, array in arrays.items()}

    def scores(self, inputs: Inputs) -> torch.Tensor:
        """Scores (B, C) or (B, 1) with which gradients can be computed.

        Raises:
            ModelError: the module raised, or returned something that is no table of scores.
        """
        running = self.require("run")
        try:
            result = running.call(inputs)
        # A forward pass may run anybody's code, so anything may be raised.
        except Exception as fault:
            given = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in inputs.items())
            raise ModelError(
                f"{self.card.name} failed on input {given}: {gist(fault)}",
                hint="check --size, --channels and --preprocess against what the model was trained on",
            ) from fault
        rows = len(next(iter(inputs.values())))
        found = running.read(result, rows)
        if found.ndim != 2 or not found.is_floating_point():
            raise ModelError(
                f"{self.card.name}: expected scores of shape ({rows}, classes), found classes {tuple(found.shape)}",
                hint="only classifiers that give one row of scores per sample can be trained here",
            )
        return found

    def shift(self, offsets: Floats, arrays: Mapping[str, Array]) -> None:
        """Add ``offsets`` (C,) to the scores, (1,) of a binary classifier, in place; ``arrays`` are some samples.

        Raises:
            ModelError: there is nothing that could hold them.
        """
        import torch

        if self.classifier is None and self.stored is not None:
            self.stored(offsets)
            return
        self.require("run")
        inputs = self.tensors(arrays)
        head.shift(self.module, lambda: self.scores(inputs), torch.from_numpy(offsets), self.card.name)

    def save(self, path: Path) -> None:
        """Write the network as it is now to ``path``.

        Raises:
            OutputError: it cannot be written there.
        """
        put(path, self.write)

    def export(self, arrays: Mapping[str, Array], path: Path) -> None:
        """Write the network as it is now to the ONNX file ``path``; ``arrays`` are some samples.

        Raises:
            ModelError: torch cannot export it.
            MissingExtra: the library that exports is not installed.
            OutputError: it cannot be written there.
        """
        running = self.require("exported")
        onnx_export.require_exporter(running)

        def write(made: Path) -> None:
            try:
                with onnx_export.quiet():
                    onnx_export.write(running, arrays, made)
            except onnx_export.ExportFailed as fault:
                raise ModelError(
                    f"{self.card.name} cannot be exported to ONNX: {fault}",
                    hint="leave --export out, and export it by the means of its framework",
                ) from fault

        put(path, write)

    def require(self, what: str) -> TorchClassifier:
        """What runs the network. Raises `ModelError` where it cannot be ``what`` (run, trained) in torch."""
        if self.classifier is None:
            others = "; magnitude and random need no training" if what == "trained" else ""
            raise ModelError(
                f"{self.card.path} is {self.card.format}, whose network cannot be {what} in torch",
                hint="give the weights that it was exported from, with a factory: WEIGHTS@package.module:factory"
                + others,
            )
        return self.classifier


def of_torch(classifier: TorchClassifier, write: Callable[[Path], None]) -> Editable:
    """A network that runs in torch and is written by ``write``."""
    return Editable(source=classifier, module=classifier.module, write=write, classifier=classifier)


def state(classifier: TorchClassifier) -> dict[str, torch.Tensor]:
    """The state dict of the network, in memory of the CPU, each tensor in memory of its own."""
    return {n: t.detach().cpu().clone().contiguous() for n, t in classifier.module.state_dict().items()}


def put(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a file or folder elsewhere, with files beside it if need be, and move it to ``path`` whole.

    A link at ``path`` stays one, as in `prune_audit.files.target`.

    Raises:
        OutputError: it cannot be written there.
    """
    with targets.scratch(path) as folder:
        made = folder / path.name
        with written(path):
            write(made)
        targets.move(made, path)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Have an `OSError` of whatever is written for ``path`` end as an `OutputError` that names it."""
    try:
        yield
    except OSError as fault:
        raise OutputError(
            f"{path} cannot be written: {fault.strerror or fault}", hint="make room, or write elsewhere"
        ) from fault

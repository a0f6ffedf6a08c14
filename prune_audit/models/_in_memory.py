"""Live models as `Classifier`s: a torch module of a notebook, or any function from a batch to scores.

Nothing may be left changed in them: whoever audits a module between two epochs goes on training it. So a module runs
where it is, without a copy (torch's own pruning makes modules that cannot be copied), and `as_found` gives back what a
run must change: the mode, and what torch keeps for the whole process.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from prune_audit.core import Activation, Array, Assumption, Classifier, Expects, ModelCard, Suspect
from prune_audit.errors import ModelError, UsageError
from prune_audit.evaluate.model_output import Output, Outputs
from prune_audit.nets.module import TorchClassifier, expects_of, layers, numpy_name, parameters, tensors_in, uncounted

if TYPE_CHECKING:
    import torch


def in_memory(model: object, name: str, threads: int | None = None, output: str | None = None) -> Classifier:
    """A torch module or a function as a classifier called ``name``, of whose outputs the one called ``output`` is read.

    A module takes what it declares and runs on the device where it is, in up to ``threads``. A function is given a
    numpy array (B, ...), or a dict of these where the data have several inputs, and returns scores (B, C), scores of
    the second of two classes (B,), or integer classes (B,); other calls may run beside it, but never two of its own.

    Raises:
        UsageError: ``model`` is neither.
        ModelError: the module has no weights to run with, or lies on several devices.
    """
    if is_module(model):
        return _of_module(model, name, threads, Outputs(name, output))
    if not callable(model) or isinstance(model, type):
        raise UsageError(
            f"{name}: expected a path, a torch.nn.Module or a function, found {_kind(model)}",
            hint="give the file of a model, the module itself, or a function from a batch to scores",
        )
    return FunctionClassifier(model, name, Outputs(name, output))


def is_module(model: object) -> TypeGuard[torch.nn.Module]:
    """Whether ``model`` is a torch module; where torch was never imported, nothing can be."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


@contextmanager
def as_found(models: Sequence[object]) -> Iterator[None]:
    """Leave ``models`` as they are now, and torch's random numbers and number of threads, whatever happens inside."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    modules = [model for model in models if is_module(model)]
    modes = [(part, part.training) for model in modules for part in model.modules()]
    devices = {p.device for model in modules for p in model.parameters() if p.is_cuda}
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        torch.set_num_threads(threads)
        for part, training in modes:
            part.training = training


class FunctionClassifier:
    """A function as a `Classifier`. Its digest is of its name alone, since what it does cannot be seen."""

    def __init__(self, function: Callable[[Any], Any], name: str, outputs: Outputs) -> None:
        digest = hashlib.sha256(f"function {name}".encode()).hexdigest()
        self.card = ModelCard(name=name, path="", format="function", digest=digest, size=0)
        self.expects = Expects()
        self.notes: tuple[str, ...] = ()
        self._function = function
        self._outputs = outputs

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Which output is read, where there are several."""
        return self._outputs.assumptions

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """As `Chooses.expect_classes`."""
        self._outputs.expect_classes(classes, more=more)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """Scores (B, C) or (B, 1), or classes (B,).

        Raises:
            ModelError: the function raised, or returned something else.
        """
        given = next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs)
        try:
            result = self._function(given)
        # It is anybody's code, so anything may be raised.
        except Exception as fault:
            told = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in inputs.items())
            raise ModelError(
                f"the function {self.card.name} raised {type(fault).__name__} on {told}: {fault}",
                hint="call it on a batch of the data to see where: it is given a numpy array, or a dict of several",
            ) from fault
        if "torch" in sys.modules and not isinstance(result, np.ndarray):
            result = self._tensor(result, len(next(iter(inputs.values()))))
        return _scores(result, self.card.name)

    def _tensor(self, result: object, batch: int) -> object:
        """The one tensor that holds the scores, where ``result`` holds tensors."""
        found = dict(tensors_in(result))
        if len(found) > 1:
            if self._outputs.chosen is None:
                seen = [Output(name=n, shape=tuple(t.shape), dtype=numpy_name(t.dtype)) for n, t in found.items()]
                self._outputs.decide(seen, batch)
            return found.get(str(self._outputs.chosen))
        return next(iter(found.values()), result)

    def macs(self, inputs: Mapping[str, Array]) -> int | None:  # noqa: ARG002 - nothing can be seen of a function
        """Unknown."""
        return None

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:  # noqa: ARG002 - likewise
        """Unknown."""
        return None

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:  # noqa: ARG002 - as above
        """None that could be seen."""
        return ()


def _scores(result: object, name: str) -> Array:
    found: object = result
    try:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(result, torch.Tensor):
            tensor = result.detach().cpu()
            found = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        scores = np.asarray(found)
    except (TypeError, ValueError, RuntimeError):
        scores = np.empty((), object)
    if scores.dtype.kind in "biu" and scores.ndim == 1:
        return scores.astype(np.int64)
    if scores.dtype.kind in "biuf" and scores.ndim in (1, 2):
        scores = scores.astype(np.float64) if scores.dtype.kind != "f" else scores
        return scores[:, None] if scores.ndim == 1 else scores
    shown = f"{scores.dtype} {scores.shape}" if scores.dtype != object else _kind(result)
    raise ModelError(
        f"the function {name}: expected scores (B, C) or integer classes (B,), found {shown}",
        hint="return a row of scores per sample, with a column per class, or each sample's class as a position",
    )


def _of_module(module: torch.nn.Module, name: str, threads: int | None, outputs: Outputs) -> Classifier:
    import torch

    device = _device(module, name)
    card = ModelCard(
        name=name,
        path="",
        format="torch module",
        digest=_digest(module),
        size=0,
        layers=layers(module),
        parameters=parameters(module),
        uncounted=uncounted(module),
    )
    expects = expects_of(module)

    def call(tensors: Mapping[str, torch.Tensor]) -> object:
        # What a module keeps of a forward pass (a pruned weight, a cache) must not be inference mode's, which no
        # later training may use; and what that mode made may not be changed in place outside it.
        with torch.inference_mode(False), torch.no_grad():
            own = {each: tensor.clone() for each, tensor in tensors.items()}
            return module(*own.values()) if len(own) == 1 else module(**own)

    return TorchClassifier(module, card, expects, device, call, threads=threads, outputs=outputs)


def _device(module: torch.nn.Module, name: str) -> str:
    """The one device where all of ``module`` is."""
    devices = sorted({str(t.device) for t in (*module.parameters(), *module.buffers())}) or ["cpu"]
    if len(devices) > 1:
        raise ModelError(
            f"{name} is spread over {', '.join(devices)}",
            hint="give a function that calls it, such as lambda x: module(torch.from_numpy(x))",
        )
    if devices == ["meta"]:
        raise ModelError(f"{name} has shapes and no weights (device meta)", hint="load its weights first")
    return devices[0]


def _digest(module: torch.nn.Module) -> str:
    """SHA-256 over how the module is built and the bytes of its state, in their order."""
    import torch

    digest = hashlib.sha256(repr(module).encode())
    for key, value in module.state_dict().items():
        digest.update(key.encode())
        if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
            plain = value.detach().cpu().contiguous()
            digest.update(f"{plain.dtype} {tuple(plain.shape)}".encode())
            digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
        else:  # quantised, sparse, or a module's own extra state
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__

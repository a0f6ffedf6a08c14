"""Any torch module as a `Classifier`, and what can be seen of it without running it.

One class serves eager modules, TorchScript and exported programs, because to an audit they differ only in how they
are loaded. Everything here measures the tensors that will be used: a weight that torch's own pruning still masks
counts as masked, and a weight that two layers share counts once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from prune_audit import memory
from prune_audit.core import Activation, Array, Assumption, Expects, Input, Layer, ModelCard, Norm, Suspect
from prune_audit.errors import AuditError, ModelError, UsageError
from prune_audit.evaluate.model_output import Output, Outputs, table
from prune_audit.nets import activation, macs, packed_weights, rounding, suspects, weights

if TYPE_CHECKING:
    import torch


# What two orders of summing may make of one score, as a share of the sample's largest: in single precision, through
# fifty layers, it is a hundred-thousandth.
ROUNDING = 1e-4


class TorchClassifier:
    """A torch module as a `Classifier`; ``module`` is the module itself, in evaluation mode and on ``device``.

    One input goes in by position, several by the names of ``forward``, or all of them by ``call`` where a module takes
    them otherwise. ``threads`` is how many threads one operation may use, all of torch's where it is None. ``faster``
    makes a module that runs the same network faster, which is believed once it agrees on the first batch. ``outputs``
    choose among several outputs, ``gives`` are those that can be seen without a run, and ``assumed`` is what was taken
    for granted while it was loaded.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        card: ModelCard,
        expects: Expects,
        device: str = "cpu",
        call: Callable[[Mapping[str, torch.Tensor]], object] | None = None,
        *,
        threads: int | None = None,
        faster: Callable[[], torch.nn.Module] | None = None,
        outputs: Outputs | None = None,
        gives: tuple[Output, ...] = (),
        assumed: tuple[Assumption, ...] = (),
    ) -> None:
        import torch

        self.card = card
        self.expects = expects
        self.notes: tuple[str, ...] = ()
        self.gives = gives
        self._outputs = outputs if outputs is not None else Outputs(card.name)
        self._assumed = assumed
        self._device = device_of(device)
        self._threads = threads
        self._most: int | None = None  # samples that memory is known to suffice for, where it once did not
        # Exported programs are frozen in the mode that they were exported in, and say so by raising.
        with contextlib.suppress(NotImplementedError):
            module.eval()
        self.module = module.to(self._device)
        self.call = call or (lambda tensors: _plain_call(self.module, tensors))
        self._make_faster = faster
        self._faster: torch.nn.Module | None = None
        # numpy has no bfloat16, so such a model declares float32 and is given its own type here.
        weights = (p.dtype for p in module.parameters() if p.dtype.is_floating_point)
        self._narrow = next(weights, None) is torch.bfloat16

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Which weights were used and, once that is decided, which output is read."""
        return (*self._assumed, *self._outputs.assumptions)

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """As `Chooses.expect_classes`."""
        self._outputs.expect_classes(classes, more=more)

    def decide(self, inputs: Mapping[str, Array]) -> None:
        """Find out by ``inputs`` which output holds the scores, where that is not known. Raises as `predict`."""
        if self._outputs.chosen is None:
            self.predict({name: array[: self.expects.batch or 2] for name, array in inputs.items()})

    def chosen(self, result: object) -> torch.Tensor:
        """That tensor of what the module returned which holds the scores, once that is decided."""
        return dict(tensors_in(result))[str(self._outputs.chosen)]

    def read(self, result: object, batch: int) -> torch.Tensor:
        """The scores in what the module returned for ``batch`` samples: (B, C), (B, 1), or (B,) integer classes.

        Raises:
            ModelError: there are none, or which of several they are cannot be told.
            UsageError: the output that was asked for is not there.
        """
        found = dict(tensors_in(result))
        if not found:
            raise ModelError(
                f"{self.card.name}: expected a tensor of scores, found {type(result).__name__}",
                hint="export the model so that it returns its logits, alone or first in a tuple, or named 'logits'",
            )
        if self._outputs.chosen is None:
            seen = [
                Output(name=name, shape=tuple(t.shape), dtype=numpy_name(t.dtype).removeprefix("q"))
                for name, t in found.items()
            ]
            self._outputs.decide(seen, batch)
        scores = found.get(str(self._outputs.chosen))
        if scores is None:
            raise ModelError(
                f"{self.card.name} returned {self._outputs.chosen} for its first samples, and not for others",
                hint="a classifier must return the same outputs for every batch",
            )
        shape = table(tuple(scores.shape), batch)
        if shape is None:
            raise ModelError(
                f"{self.card.name}: expected scores of shape ({batch}, classes), found {tuple(scores.shape)}",
                hint="only classifiers that give one row of scores per sample can be audited",
            )
        scores = scores.dequantize() if scores.is_quantized else scores
        # One number a sample is a score in floating point, and a class in whole numbers.
        if scores.is_floating_point() or (len(shape) == 2 and shape[1] > 1):
            return scores.reshape(shape if len(shape) == 2 else (batch, 1))
        return scores.reshape(batch)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """Scores (B, C) or (B, 1), or (B,) integer classes where the module gives nothing else.

        Raises:
            ModelError: the module raised, or returned something that is no table of scores.
        """
        import torch

        # torch keeps the number by thread of the process, and models run in threads of their own.
        if self._threads is not None and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        rows = len(next(iter(inputs.values())))
        if self._most is None or rows <= self._most:
            scores = self._pass(inputs)
            if scores is not None:
                return scores
        # What once filled the memory would do so again.
        return np.concatenate([self.predict(half) for half in _halves(inputs, rows)])

    def _pass(self, inputs: Mapping[str, Array]) -> Array | None:
        """Scores of one forward pass; None where memory is too small for it, or the module takes one sample only."""
        import torch

        rows = len(next(iter(inputs.values())))
        with torch.inference_mode():
            try:
                return self._fastest({name: self.tensor(array) for name, array in inputs.items()}, rows)
            except AuditError:
                raise
            # A forward pass may run anybody's code, so anything may be raised.
            except Exception as fault:
                short = memory.exhausted(fault)
                if rows == 1 or self.expects.batch is not None or not (short or self._takes_one(inputs)):
                    raise self._failed(fault, inputs) from fault
        if not short:
            self._most = 1
            self.notes = (f"{self.card.name} fails on several samples at once, so it ran one sample at a time",)
            return None
        self._most = rows // 2
        self.notes = (f"{self.card.name} ran out of memory with {rows} samples at once, so it ran {self._most}",)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _takes_one(self, inputs: Mapping[str, Array]) -> bool:
        """Whether the module runs on the first sample alone, as one does that wrote down a batch of 1 when traced."""
        try:
            self.call({name: self.tensor(array[:1]) for name, array in inputs.items()})
        # A forward pass may run anybody's code, so anything may be raised.
        except Exception:
            return False
        return True

    def first_norm(self, inputs: Mapping[str, Array]) -> Norm | None:
        """What the first batch normalisation that ``inputs`` come to has learnt and sees; None where there is none.

        TorchScript and exported programs cannot be looked into like this.
        """
        import torch
        from torch.nn.modules.batchnorm import _BatchNorm

        found: list[Norm] = []

        def see(name: str, module: _BatchNorm, given: tuple[torch.Tensor, ...]) -> None:
            values = given[0].detach().double()
            if module.running_mean is not None and module.running_var is not None:
                axes = [axis for axis in range(values.ndim) if axis != 1]
                learnt = (module.running_mean, module.running_var)
                numbers = [
                    each.double().cpu().numpy() for each in (*learnt, values.mean(axes), values.var(axes, False))
                ]
                found.append(
                    Norm(name=name, running_mean=numbers[0], running_var=numbers[1], mean=numbers[2], var=numbers[3])
                )
            raise _Seen

        norms = [(name, m) for name, m in self.module.named_modules() if isinstance(m, _BatchNorm)]
        hooks = [m.register_forward_pre_hook(partial(see, name)) for name, m in norms]
        try:
            with torch.inference_mode(), contextlib.suppress(_Seen):
                if norms:
                    self.call({name: self.tensor(array) for name, array in inputs.items()})
        # A forward pass may run anybody's code; where it fails, the run itself says so.
        except Exception:
            return None
        finally:
            for hook in hooks:
                hook.remove()
        return found[0] if found else None

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        """Multiply-accumulates of one forward pass over ``inputs``, zeros counted; None where they cannot be told."""
        return macs.macs(lambda: self.call({k: self.tensor(v) for k, v in inputs.items()}), self._device)

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        """What the scores of one forward pass over ``inputs`` come out of, None where it is else."""
        self.decide(inputs)
        call = lambda: self.chosen(self.call({k: self.tensor(v) for k, v in inputs.items()}))  # noqa: E731
        return activation.seen(call, self._device)

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        """What draws random numbers or looks at the batch, seen in one forward pass over ``inputs``."""
        return suspects.suspects(
            self.module, lambda: self.call({k: self.tensor(v) for k, v in inputs.items()}), self._device
        )

    def _fastest(self, tensors: Mapping[str, torch.Tensor], rows: int) -> Array:
        """Scores by the faster module where there is one that agrees; any fault of it leaves the module itself."""
        own = None
        if self._make_faster is not None:
            own = self._scores(self.call({name: tensor.clone() for name, tensor in tensors.items()}), rows)
            make, self._make_faster = self._make_faster, None
            # Optimisers fail in whatever part of torch they reach.
            with contextlib.suppress(Exception):
                self._faster = make()
        if self._faster is not None:
            with contextlib.suppress(Exception):
                scores = self._scores(_plain_call(self._faster, tensors), rows)
                if own is None or _agree(own, scores):
                    return scores
            self._faster = None
        return own if own is not None else self._scores(self.call(tensors), rows)

    def tensor(self, array: Array) -> torch.Tensor:
        """``array`` on the device, and in the type of the network where that is one that numpy lacks."""
        import torch

        # A copy, since a network may change what it is given, which others are to see as it was.
        tensor = torch.from_numpy(array.copy())
        if self._narrow and tensor.is_floating_point():
            tensor = tensor.to(torch.bfloat16)
        if self._device.type == "cuda":
            # From pinned memory the copy goes on beside what the device computes.
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)

    def _scores(self, result: object, batch: int) -> Array:
        import torch

        scores = self.read(result, batch)
        if scores.ndim == 1:
            classes: Array = scores.to(torch.int64).cpu().numpy()
            return classes
        if scores.dtype in (torch.float16, torch.bfloat16):
            scores = scores.float()
        numbers: Array = scores.cpu().numpy()
        return numbers

    def _failed(self, fault: Exception, inputs: Mapping[str, Array]) -> ModelError:
        given = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in inputs.items())
        if memory.exhausted(fault):
            on_cpu = self._device.type == "cpu"
            hint = memory.HINT if on_cpu else f"give --device cpu, whose memory is larger, or {memory.HINT}"
        else:
            hint = f"check {_options(inputs)} against what the model was trained on{_reshaped(inputs)}"
        return ModelError(f"{self.card.name} failed on input {given}: {gist(fault)}", hint=hint)


def _options(inputs: Mapping[str, Array]) -> str:
    """The options that make ``inputs`` what they are, by their shapes."""
    axes = {array.ndim for array in inputs.values()}
    if max(axes) > 3:
        return "--size, --channels and --preprocess"
    if all(array.dtype.kind in "iu" for array in inputs.values()):
        return "--tokenizer and --max-length"
    if axes == {3}:
        # What TorchScript takes is not written in it; its first layer's one channel may be added by its own code.
        return "--seconds and the shape (an ONNX file declares whether sounds are (batch, samples), torch's do not)"
    return "--features of a table, --sample-rate and --seconds of sounds, or the arrays of an .npz file"


def _reshaped(inputs: Mapping[str, Array]) -> str:
    """What to do where a network takes images of one channel as rows or vectors, which no file of torch says."""
    planes = [array.shape[2:] for array in inputs.values() if array.ndim == 4 and array.shape[1] == 1]
    if not planes:
        return ""
    high, wide = planes[0]
    return (
        f"; where it takes vectors (batch, {high * wide}) or rows (batch, {high}, {wide}), put x.flatten(1) or "
        "x.squeeze(1) at the start of its forward, or feed an .npz whose x has that shape"
    )


class _Seen(Exception):
    """A forward pass has come as far as it was wanted."""


def _plain_call(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> object:
    return module(*tensors.values()) if len(tensors) == 1 else module(**tensors)


def _agree(own: Array, found: Array) -> bool:
    """Whether scores (B, C) differ by no more than rounding: a share of the largest of each sample."""
    if own.shape != found.shape:
        return False
    return bool((np.abs(own - found) <= ROUNDING * np.abs(own).max(axis=1, keepdims=True)).all())


def _halves(inputs: Mapping[str, Array], rows: int) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    middle = -(-rows // 2)
    return {n: a[:middle] for n, a in inputs.items()}, {n: a[middle:] for n, a in inputs.items()}


def layers(module: torch.nn.Module) -> tuple[Layer, ...]:
    """The weights of an eager ``module``, each once, those that quantised layers keep packed among them."""
    found = [layer(weight.name, weight.kind, weight.values) for weight in weights.weights(module)]
    found += [layer(name, part.kind, part.tensor) for name, part in packed_weights.of_module(module) if part.weighs]
    return tuple(found)


def uncounted(module: torch.nn.Module) -> tuple[str, ...]:
    """What of an eager ``module`` may be weights, too, and cannot be counted."""
    return (*weights.uncounted(module), *packed_weights.sealed(module))


def layer(name: str, kind: str, weight: torch.Tensor, levels: torch.Tensor | None = None) -> Layer:
    """The density count of one ``weight``; a quantised one counts from its zero points, ``levels`` steps away.

    Raises:
        ModelError: its numbers are of a type that torch cannot tell from zero.
    """
    if weight.is_quantized:
        levels = _levels(weight)
    return Layer(
        name=name,
        kind=kind,
        shape=tuple(weight.shape),
        nonzero=_nonzero(name, weight if levels is None else levels),
        total=weight.numel(),
        rounded=0 if levels is None else rounding.rounded(levels.numpy()),
    )


def _nonzero(name: str, values: torch.Tensor) -> int:
    """How many ``values`` are not zero; torch counts neither floats of a byte nor unsigned numbers of several."""
    import torch

    signed = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
    try:
        if values.dtype in signed:
            values = values.contiguous().view(signed[values.dtype])
        elif values.is_floating_point() and values.itemsize == 1:
            values = values.to(torch.float32)  # exact
        return int(values.count_nonzero())
    except NotImplementedError as fault:  # numbers of less than a byte
        raise ModelError(
            f"{name}: the zeros of {str(values.dtype).removeprefix('torch.')} cannot be counted",
            hint="save the weights as float32 or another type of a byte or more",
        ) from fault


def _levels(weight: torch.Tensor) -> torch.Tensor:
    """The steps of a quantised ``weight`` from zero."""
    import torch

    stored = weight.int_repr().to(torch.int32)
    if weight.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return stored - weight.q_zero_point()
    axis = weight.q_per_channel_axis()
    # A zero point that is no integer, as those of embeddings are, is the step nearest to it.
    zeros = weight.q_per_channel_zero_points().round().to(torch.int32)
    return stored - zeros.reshape([-1 if d == axis else 1 for d in range(weight.ndim)])


def parameters(module: torch.nn.Module) -> int:
    """The number of all parameters of ``module``, shared and packed ones once, without scales and zero points."""
    packed = sum(part.tensor.numel() for _, part in packed_weights.of_module(module))
    return sum(p.numel() for p in module.parameters()) + packed


def expects_of(module: torch.nn.Module) -> Expects:
    """What an eager ``module`` tells of its inputs: their names, their type and the channels of its first convolution.

    The type is that of the first parameter, and unknown where the first layer is an embedding, which takes integers.
    """
    import torch
    from torch.nn.modules.conv import _ConvNd

    conv = next((m for m in module.modules() if isinstance(m, _ConvNd)), None)
    first = next((m for m in module.modules() if next(m.parameters(recurse=False), None) is not None), None)
    embeds = isinstance(first, torch.nn.Embedding | torch.nn.EmbeddingBag)
    dtype = None if embeds else dtype_of(module)
    names = [
        p.name
        for p in inspect.signature(module.forward).parameters.values()
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    return Expects(
        inputs=tuple(Input(name=name, dtype=dtype) for name in names or ["input"]),
        channels=conv.in_channels if conv is not None else None,
    )


def dtype_of(module: torch.nn.Module) -> str | None:
    """The numpy name of the type of the first floating parameter; float32 for bfloat16, which numpy lacks."""
    for parameter in module.parameters():
        if parameter.dtype.is_floating_point:
            return numpy_name(parameter.dtype)
    return None


def numpy_name(dtype: torch.dtype) -> str:
    """The numpy name of a torch type; float32 for narrow floating types, which numpy lacks."""
    name = str(dtype).removeprefix("torch.")
    return "float32" if name == "bfloat16" or name.startswith("float8") else name


def tensors_in(result: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in what a module returned, in their order, by their names or positions, with dots between levels.

    Several are a tuple, a list, a dict, or a named tuple or dataclass. A list of dicts is what detectors give, one for
    each sample.
    """
    import torch

    if isinstance(result, torch.Tensor):
        yield name or "0", result
        return
    if hasattr(result, "_asdict"):
        result = result._asdict()
    elif dataclasses.is_dataclass(result) and not isinstance(result, type | Mapping):
        result = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    if isinstance(result, list | tuple):
        if result and all(isinstance(each, Mapping) for each in result):
            return
        result = dict(enumerate(result))
    if isinstance(result, Mapping):
        for key, value in result.items():
            yield from tensors_in(value, f"{name}.{key}" if name else str(key))


def device_of(name: str) -> torch.device:
    """The device called ``name``. Raises `UsageError` where it cannot be used."""
    import torch

    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as fault:
        raise UsageError(
            f"the device {name!r} cannot be used: {gist(fault)}", hint="give --device cpu, cuda, cuda:N or mps"
        ) from fault
    return device


def gist(fault: Exception) -> str:
    """The line of a torch error that says what went wrong; TorchScript puts it last, below its own traceback."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    if not lines:
        return type(fault).__name__
    return lines[-1] if re.match(r"[\w.]*(Error|Exception): ", lines[-1]) else lines[0]

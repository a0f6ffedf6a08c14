"""A torch classifier written as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prune_audit.core import (
    Array,
)
from prune_audit.errors import MissingExtra
from prune_audit.nets.module import TorchClassifier, gist

if TYPE_CHECKING:
    import torch


_INLINE = 10**9  # bytes of weights that go into an ONNX file itself


def seconds(classifier: TorchClassifier) -> float:
    """What an export of ``classifier`` takes, its libraries' imports included: of MobileNetV2 on a slow processor."""
    return 1.0 if _is_script(classifier.module) else 12.0


def require_exporter(classifier: TorchClassifier) -> None:
    """Raise `MissingExtra` where ``classifier`` needs torch's newer exporter, whose library is not installed."""
    if _is_script(classifier.module):
        return
    try:
        import onnxscript  # noqa: F401 - whether it is there
    except ImportError as fault:
        raise MissingExtra(
            f"{classifier.card.path}: exporting this network to ONNX needs onnxscript",
            hint="pip install 'prune-audit[export]'",
        ) from fault


class ExportFailed(Exception):
    """The reason for which there is no export, in one line."""


def write(own: TorchClassifier, inputs: Mapping[str, Array], path: Path) -> None:
    """Export ``own`` to the ONNX file ``path``; ``inputs`` are some samples, by whose shapes and types it is done.

    Weights of more than a gigabyte go into a file beside it, as the format's own limit is two.

    Raises:
        ExportFailed: in whatever part of torch.
        ModelError: the network cannot run, or which of its outputs holds the scores cannot be told.
    """
    import torch

    # Before anything is traced it must be known which output is read.
    own.decide(inputs)
    fixed = own.expects.batch
    count = fixed or (3 if len(next(iter(inputs.values()))) == 2 else 2)
    example = {name: np.resize(array, (count, *array.shape[1:])) for name, array in inputs.items()}
    # The batch is free, and so is the length of texts, which come as integers.
    free = {n: {k: f"{n}_{k}" for k in range(a.ndim if a.dtype.kind in "iu" else 1)} for n, a in example.items()}
    script = _is_script(own.module)
    shapes: dict[str, Any] = {}
    if script and not fixed:
        shapes["dynamic_axes"] = free
    elif not fixed:
        shapes["dynamic_shapes"] = (tuple(dict.fromkeys(axes, torch.export.Dim.AUTO) for axes in free.values()),)
    size = sum(parameter.nbytes for parameter in own.module.parameters())
    # TorchScript remembers whether its first calls needed gradients.
    with torch.no_grad():
        try:
            tensors = tuple(torch.from_numpy(array) for array in example.values())
            module = _positional(own, list(inputs))
            # The older exporter takes TorchScript within a module for a mistake, but not within a trace.
            traced = torch.jit.trace(module, tensors, check_trace=False) if script else module
            torch.onnx.export(
                traced,
                tensors,
                str(path),
                input_names=list(inputs),
                output_names=["scores"],
                # The newer exporter knows nothing of TorchScript.
                dynamo=not script,
                external_data=size > _INLINE,
                verbose=False,
                **shapes,
            )
        # An exporter fails in whatever part of torch it reaches.
        except Exception as fault:
            raise ExportFailed(gist(fault)) from fault


def _positional(own: TorchClassifier, names: list[str]) -> torch.nn.Module:
    """``own`` as a module that takes its inputs in the order of ``names`` and returns its scores alone."""
    import torch

    class Positional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = own.module
            # As a mode, not by a call: exported programs refuse to be put into one.
            self.training = False

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor | None:
            return own.chosen(own.call(dict(zip(names, tensors, strict=True))))

    return Positional()


def _is_script(module: torch.nn.Module) -> bool:
    import torch

    return isinstance(module, torch.jit.ScriptModule)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' own remarks from the user: on what they deprecate, and on libraries they miss."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

"""The running statistics of batch normalisation, estimated anew after a cut.

A cut moves what comes into every later layer, and batch normalisation goes on to subtract the means and divide by the
deviations of the network before the cut. Much of the harm of an untuned cut is that, and needs no labels and no
training to be mended: one pass over training samples gives the statistics of the network as it now is.

The network runs in evaluation mode, so that nothing is dropped and inputs are transformed as an audit transforms them,
but every layer normalises a batch by the mean and variance of that batch, as it does in training: otherwise the old
statistics of early layers would be in the new ones of later layers. Batches are drawn at random, because samples in the
order of their classes would be normalised class by class. What is stored are the statistics over all samples together:
``running_mean`` is the mean of all values that came to a channel, ``running_var`` their unbiased variance (n - 1), as
PyTorch stores it. (PyTorch with ``momentum=None`` averages the variances within batches instead, which leaves out how
the means of batches differ, and counts a last small batch like a full one.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prune_audit.core import check_seed
from prune_audit.errors import ModelError
from prune_audit.nets.examples import Examples
from prune_audit.nets.gradients import untouched

if TYPE_CHECKING:
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm


def normalising(model: torch.nn.Module) -> dict[str, _BatchNorm]:
    """The layers of batch normalisation with running statistics, by their names; those without use each batch's own."""
    from torch.nn.modules.batchnorm import _BatchNorm

    found = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    return {n: m for n, m in found.items() if m.running_mean is not None and m.running_var is not None}


def recalibrate(model: torch.nn.Module, examples: Examples, *, seed: int = 0) -> tuple[str, ...]:
    """Estimate the running statistics of every batch normalisation of ``model`` anew over ``examples``, in place.

    Gives the names of the layers whose statistics are new; those that no sample comes to keep theirs. Without batch
    normalisation no sample is read. Labels are not looked at. ``seed`` draws the batches, and equal seeds give equal
    statistics. Nothing else of the network is changed: no parameter, mode, gradient, nor the count of batches; after an
    error the statistics are as before.

    Raises:
        ModelError: the network cannot be run, or a statistic is no finite number.
    """
    import torch

    check_seed(seed)
    layers = normalising(model)
    if not layers:
        return ()
    pooled = {name: _Pooled() for name in layers}
    with untouched(model), torch.no_grad(), _by_batch(layers, pooled):
        for inputs, _ in examples.stream(_drawn(examples, seed)):
            examples.forward(model, inputs)
    seen = tuple(name for name in layers if pooled[name].count > 1)
    for name in seen:
        if not (pooled[name].mean.isfinite().all() and pooled[name].variance.isfinite().all()):
            raise ModelError(
                f"what comes to the batch normalisation {name} is infinite or no number",
                hint="check --preprocess, and the weights of the model",
            )
    for name in seen:
        _store(layers[name], pooled[name].mean, pooled[name].variance)
    return seen


class _Pooled:
    """Mean and variance by channel over all values seen so far, in double precision on the CPU.

    Batches are merged as in Chan, Golub and LeVeque (1983, eq. 2.1), which loses no digits where means are large.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: torch.Tensor  # (C,)
        self._squares: torch.Tensor  # (C,) sums of squared deviations from the mean

    def add(self, count: int, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Add ``count`` values a channel with this mean (C,) and biased variance (C,)."""
        if self.count == 0:
            self.count, self.mean, self._squares = count, mean, variance * count
            return
        total, apart = self.count + count, mean - self.mean
        self._squares = self._squares + variance * count + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def variance(self) -> torch.Tensor:
        """The unbiased variance (C,)."""
        return self._squares / (self.count - 1)


@contextmanager
def _by_batch(layers: dict[str, _BatchNorm], pooled: dict[str, _Pooled]) -> Iterator[None]:
    """Within, every layer normalises by what comes to it, which is added to ``pooled``; afterwards as before."""
    import torch

    def hook(name: str, layer: _BatchNorm) -> torch.utils.hooks.RemovableHandle:
        def see(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            values = given[0].detach()
            values = values if values.dtype is torch.float64 else values.float()
            axes = [axis for axis in range(values.ndim) if axis != 1]
            variance, mean = torch.var_mean(values, axes, correction=0)
            pooled[name].add(values.numel() // values.shape[1], mean.double().cpu(), variance.double().cpu())
            _store(layer, mean, variance)

        return layer.register_forward_pre_hook(see)

    before = {n: (_buffer(m, "running_mean").clone(), _buffer(m, "running_var").clone()) for n, m in layers.items()}
    handles = [hook(name, layer) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for name, (mean, variance) in before.items():
            _store(layers[name], mean, variance)


def _store(layer: _BatchNorm, mean: torch.Tensor, variance: torch.Tensor) -> None:
    import torch

    with torch.no_grad():
        _buffer(layer, "running_mean").copy_(mean)
        _buffer(layer, "running_var").copy_(variance)


def _buffer(layer: _BatchNorm, name: str) -> torch.Tensor:
    found: torch.Tensor = layer.get_buffer(name)
    return found


def _drawn(examples: Examples, seed: int) -> Sequence[torch.Tensor]:
    """The rows in batches drawn by ``seed``, all of about the same size."""
    import torch

    rows = examples.rows[torch.randperm(len(examples.rows), generator=torch.Generator().manual_seed(seed))]
    return rows.tensor_split(-(-len(rows) // examples.size))

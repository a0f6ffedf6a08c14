"""Labelled samples as a network takes them: what gradients and training are computed over.

How samples are read and how a network is called belong to other rooms, so both come as functions. Batches are read
ahead in a thread, because decoding would otherwise wait for the network and the network for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from prune_audit.errors import ModelError

if TYPE_CHECKING:
    import torch

    Inputs: TypeAlias = Mapping[str, torch.Tensor]

_AHEAD = 4  # batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups that the samples of a data set are of: their ``names`` (G,), and each sample's position among these,
    ``of`` (M,)."""

    names: tuple[str, ...]
    of: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Samples ``rows`` (N,) of a data set, in that order, in batches of ``size``; every iteration gives the same ones.

    ``labels`` (M,) are those of the whole data set, as positions of outputs. ``read`` takes rows (B,) and gives inputs
    by name, each (B, ...), on the device of the network. ``forward`` gives scores (B, C), or (B, 1) of a binary
    classifier, with which gradients can be computed. ``groups`` are what a method is to
    be just to; None are classes.
    """

    labels: torch.Tensor
    rows: torch.Tensor
    read: Callable[[torch.Tensor], Inputs]
    forward: Callable[[torch.nn.Module, Inputs], torch.Tensor]
    size: int = 128
    groups: Groups | None = None

    def __iter__(self) -> Iterator[tuple[Inputs, torch.Tensor]]:
        return self.stream(self.rows.split(self.size))

    def stream(self, batches: Sequence[torch.Tensor]) -> Iterator[tuple[Inputs, torch.Tensor]]:
        """The inputs and labels (B,) of the rows of each of ``batches``, a few of them read ahead."""
        waiting: deque[tuple[torch.Tensor, Future[Inputs]]] = deque()
        with ThreadPoolExecutor(1) as reader:
            try:
                for rows in batches:
                    waiting.append((rows, reader.submit(self.read, rows)))
                    if len(waiting) > _AHEAD:
                        yield self._ready(*waiting.popleft())
                while waiting:
                    yield self._ready(*waiting.popleft())
            finally:
                for _, future in waiting:
                    future.cancel()

    def _ready(self, rows: torch.Tensor, future: Future[Inputs]) -> tuple[Inputs, torch.Tensor]:
        inputs = future.result()
        device = next(iter(inputs.values())).device
        return inputs, self.labels[rows].to(device)

    def loss(self, model: torch.nn.Module, inputs: Inputs, labels: torch.Tensor) -> torch.Tensor:
        """The sum of the cross-entropies of a batch.

        Raises:
            ModelError: no gradient reaches the scores, or they are too few for the labels.
        """
        return cross_entropy(self.forward(model, inputs), labels, "sum")


def cross_entropy(
    scores: torch.Tensor, labels: torch.Tensor, reduction: Literal["sum", "none"] = "none"
) -> torch.Tensor:
    """The cross-entropies (B,) in nats of ``scores`` (B, C), or (B, 1) of a binary classifier, or their sum."""
    from torch.nn import functional

    if scores.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(scores[:, 0], labels.to(scores.dtype), reduction=reduction)
    return functional.cross_entropy(scores, labels, reduction=reduction)


def needed(batches: Examples | None, method: str) -> Examples:
    """``batches``. Raises `ModelError` where there are none, though ``method`` computes gradients."""
    if batches is None:
        raise ModelError(f"{method} needs labelled training data, found none", hint="give the data with --data")
    return batches

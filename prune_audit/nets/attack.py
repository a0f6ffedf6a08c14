"""The pixels that fool a network: projected gradient descent within a box around each image.

PGD (Madry et al. 2018, arXiv 1706.06083, section 2.1): steps of one size along the sign of the loss's gradient, each
brought back into the box and into what a pixel can be. An image counts as withstood only where the network was right
after every step, and before the first. There is no random start, so that a run says the same twice. What withstands
this attack may fall to another: of robustness it is an upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Floats, Preprocess
from prune_audit.errors import ModelError
from prune_audit.nets.examples import Examples
from prune_audit.nets.gradients import untouched
from prune_audit.tasks import classification

if TYPE_CHECKING:
    import torch

Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """What an attacker may do: move a pixel by ``radius``, in ``steps`` steps of ``step`` each, as shares of white.

    What black and white are for the network, and how far a share of white goes, is said by ``black`` and ``white``
    (C,), one number for each channel.
    """

    radius: float
    steps: int
    step: float
    black: Floats
    white: Floats

    @classmethod
    def of(cls, preprocess: Preprocess, *, radius: float, steps: int, step: float) -> Box:
        """That of images which ``preprocess`` scales to [0, 1], less a mean and over a standard deviation."""
        mean, std = np.array(preprocess.mean or (0.0,)), np.array(preprocess.std or (1.0,))
        return cls(radius=radius, steps=steps, step=step, black=-mean / std, white=(1 - mean) / std)


def withstood(model: torch.nn.Module, batches: Examples, box: Box) -> tuple[Flags, Flags]:
    """Which samples (N,) of ``batches`` the network gets right, and on which it stays right under attack.

    In evaluation mode. Its one input is (B, C, H, W).

    Raises:
        ModelError: the network takes something else, or no gradient reaches its input.
    """
    import torch

    clean: list[Flags] = []
    kept: list[Flags] = []
    with untouched(model):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for inputs, labels in batches:
            name, images = _image(inputs)
            low, high, step = _limits(images, box)
            right = _right(_scores(model, batches, {name: images}), labels)
            clean.append(right.cpu().numpy())
            standing = torch.nonzero(right)[:, 0]
            moved = images[standing]
            for _ in range(box.steps):
                if not len(standing):
                    break
                toward = torch.sign(_uphill(model, batches, name, moved, labels[standing]))
                moved = torch.minimum(torch.maximum(moved + step * toward, low[standing]), high[standing])
                still = _right(_scores(model, batches, {name: moved}), labels[standing])
                standing, moved = standing[still], moved[still]
            stays = torch.zeros_like(right)
            stays[standing] = True
            kept.append(stays.cpu().numpy())
    return np.concatenate(clean), np.concatenate(kept)


def attacked(
    model: torch.nn.Module, batches: Examples, inputs: Mapping[str, torch.Tensor], labels: torch.Tensor, box: Box
) -> dict[str, torch.Tensor]:
    """The ``inputs`` of a batch after all steps, whether they fool the network or not: what one trains on.

    In evaluation mode; nothing of the network is changed.

    Raises:
        ModelError: the network takes something else than images, or no gradient reaches its input.
    """
    import torch

    name, images = _image(inputs)
    low, high, step = _limits(images, box)
    moved = images
    with untouched(model):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for _ in range(box.steps):
            toward = torch.sign(_uphill(model, batches, name, moved, labels))
            moved = torch.minimum(torch.maximum(moved + step * toward, low), high)
    return {name: moved}


def _limits(images: torch.Tensor, box: Box) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How low and how high each of ``images`` may go, and how far a step is in each channel."""
    import torch

    black, white = (images.new_tensor(each).reshape(1, -1, 1, 1) for each in (box.black, box.white))
    scale = white - black
    low = torch.maximum(images - box.radius * scale, black)
    return low, torch.minimum(images + box.radius * scale, white), box.step * scale


def _image(inputs: Mapping[str, torch.Tensor]) -> tuple[str, torch.Tensor]:
    (name, images), *more = inputs.items()
    if more or images.ndim != 4 or not images.is_floating_point():
        raise ModelError(
            f"expected one input of images (B, C, H, W) in floating point, found "
            f"{', '.join(f'{n} {tuple(t.shape)} {t.dtype}' for n, t in inputs.items())}",
            hint="only images have pixels that can be attacked",
        )
    return name, images.detach()


def _scores(model: torch.nn.Module, batches: Examples, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    import torch

    with torch.no_grad():
        return batches.forward(model, inputs)


def _right(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    import torch

    decided = classification.decided(scores.detach().float().cpu().numpy())
    right = classification.right(decided, labels.cpu().numpy().astype(decided.dtype))
    return torch.from_numpy(right).to(labels.device)


def _uphill(
    model: torch.nn.Module, batches: Examples, name: str, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The gradient of the loss by ``images``."""
    import torch

    with torch.enable_grad():
        images = images.detach().requires_grad_(True)
        loss = batches.loss(model, {name: images}, labels)
        if not loss.requires_grad:
            raise ModelError(
                "no gradient comes back to the pixels", hint="the forward pass detaches them or runs without gradients"
            )
        (gradient,) = torch.autograd.grad(loss, [images])
    return gradient

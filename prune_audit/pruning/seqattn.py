"""Sequential attention: learn by training which blocks of weights matter, in dense and sparse phases by turns.

Each block of a weight has a logit L, and the network computes with its weights times the attention of their block:

    A_i = K exp(L_i) / sum_j exp(L_j),  K blocks in the layer;  W = W * A * mask

The training begins with a dense tenth. Then follow ``--steps`` phases: blocks of the least A ||W|| go by and by, by
s(t) = s (1 - exp(-4 t)) / (1 - exp(-4)); what is left trains; all come back. The last one only goes, and the rest of
the training, 15 %, tunes. In the end A is multiplied into the weights. Layers of fewer than 100 blocks stay whole, and
the others give as much more, each the same share, so that the density is met to a block; where that cannot be, it is
refused. Without training attention is equal, and blocks are cut by their norm. NAME.blocks.csv beside the network has
of each layer its blocks, and how many are kept.

The paper goes by A alone, and trains from nothing for 90 epochs. In a network that is trained already a few epochs move
A by little more than noise, so the norm counts here, too. Measured on LeNet-5, 20 % kept, on 2,000 other images, one
seed: 6 epochs of a trained network (33.6 %) by A alone 18.8 %, without attention 30.4, by A ||W|| 30.2, blocks by
magnitude 31.4; 30 epochs from nothing 26.0, 23.4, 20.5 and (gradually) 30.4. Attention alone
helped from nothing, and magnitude did better in both.

    source: SequentialAttention++, Yasuda et al. 2024 (arXiv 2402.17902)
    certainty: very high for attention and schedule; the norm, phases of thirds and SGD for logits are this project's
    needs: labelled training data and --epochs; 20 or more, for the phases
    cost: a training, and some percent more
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.errors import UsageError
from prune_audit.nets import pattern
from prune_audit.nets.companion import Companion, Course
from prune_audit.nets.schedule import Plan
from prune_audit.nets.scope import check_density
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.core import Table
    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = False
STRAIGHT_THROUGH = True
BLOCK, BLOCKS = "4x4", 100
DENSE, TUNED = 0.1, 0.15  # shares of the training, at its begin and its end
BEND, CUTS = 4.0, 5  # of s(t), and how often one cuts on its way
MOMENTUM = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What this method may be told beside a density."""

    attention_block: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help=f"Outputs times inputs of a block that has one attention; {BLOCK} by default."
        ),
    ] = None
    attention_blocks: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"A layer of fewer blocks stays whole; {BLOCKS} by default."),
    ] = None

    def __post_init__(self) -> None:
        self.size()

    def size(self) -> pattern.Block:
        """The block. Raises `UsageError` where it is none."""
        found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", self.attention_block or BLOCK)
        if found is None:
            raise UsageError(
                f"--attention-block: expected HxW, found {self.attention_block!r}", hint="--attention-block 4x4"
            )
        return pattern.Block(int(found[1]), int(found[2]))

    @property
    def fewest(self) -> int:
        """The blocks that a layer must have."""
        return BLOCKS if self.attention_blocks is None else self.attention_blocks


OPTIONS = Options


def schedule(density: float, *, steps: int, rounds: int, seed: int) -> Plan:
    """Dense, then ``rounds`` turns of cutting, sparse and dense phases of which the last only cuts, then tuning."""
    del seed
    if not steps:
        return ((0, density),)
    begin, end = DENSE * steps, (1 - TUNED) * steps
    turn = (end - begin) / rounds
    plan = []
    for k in range(rounds):
        at = begin + k * turn
        length = turn if k == rounds - 1 else turn / 3
        plan += [(int(at + i / CUTS * length), 1 - cut_by(i / CUTS, 1 - density)) for i in range(1, CUTS + 1)]
        if k < rounds - 1:
            plan.append((int(at + turn), 1.0))
    return (*plan[:-1], (plan[-1][0], density))


def cut_by(t: float, share: float) -> float:
    """The share that is cut when a part ``t`` of a phase that comes to ``share`` is over."""
    return share * (1 - math.exp(-BEND * t)) / (1 - math.exp(-BEND))


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """The blocks of the largest attention times norm: of each layer the same share.

    What ``masks`` cut may come back while one trains, and stays cut otherwise.

    Raises:
        UsageError: the density is not in (0, 1], cannot be met by the layers of enough blocks, or of a weight it is not
            known where its outputs lie.
    """
    import torch

    check_density(density)
    del batches
    learnt = settings.companion if isinstance(settings.companion, Attention) else Attention(model, masks, settings)
    whole = sum(mask.numel() for name, mask in masks.items() if name not in learnt.logits)
    total = sum(mask.numel() for mask in masks.values())
    share = (density * total - whole) / (total - whole) if total > whole else 0.0
    if share <= 0:
        raise UsageError(
            f"a density of {density:g} cannot be met: layers of fewer than {learnt.fewest} blocks stay whole, and have "
            f"{100 * whole / total:.1f} % of all weights",
            hint="a higher --density, a smaller --attention-block, or a smaller --attention-blocks",
        )
    found: Masks = {}
    for name, mask in masks.items():
        if name not in learnt.logits:
            found[name] = mask.clone()
            continue
        left = torch.ones_like(mask) if settings.companion is not None else mask
        weight = torch.where(left, model.get_parameter(name).detach().abs(), 0)
        norms, sizes = (learnt.summed(name, each.double()).flatten() for each in (weight.square(), left.double()))
        order = (learnt.of(name).flatten() * norms.sqrt()).argsort(descending=True, stable=True)
        count = int((sizes[order].cumsum(0) - share * mask.numel()).abs().argmin()) + 1
        chosen = torch.zeros_like(order, dtype=torch.bool)
        chosen[order[:count]] = True
        found[name] = learnt.spread(name, chosen.double().reshape(learnt.logits[name].shape)) > 0
        found[name] &= left
    return found


def tables(model: torch.nn.Module, masks: Masks, batches: Examples | None, settings: Cut) -> tuple[Table, ...]:
    """Of each layer its blocks, how many of them keep a weight, and the share of weights that is kept."""
    from prune_audit.core import Field, Table

    del batches
    learnt = Attention(model, masks, settings)
    rows = []
    for name, mask in masks.items():
        kept = learnt.summed(name, mask.double())
        rows.append((name, kept.numel(), int(kept.count_nonzero()), float(mask.double().mean())))
    fields = (
        Field(name="layer", title="Layer", unit="label"),
        Field(name="blocks", title="Blocks", unit="count"),
        Field(name="kept", title="Kept", unit="count"),
        Field(name="density", title="Density", unit="share", meaning="of weights that are kept"),
    )
    whole = [name for name in masks if name not in learnt.logits]
    notes = (f"layers of fewer than {learnt.fewest} blocks stay whole: {', '.join(whole)}",) if whole else ()
    return (
        Table(
            name="blocks", title="the blocks that are kept of each layer", fields=fields, rows=tuple(rows), notes=notes
        ),
    )


def accompany(model: torch.nn.Module, masks: Masks, settings: Cut, course: Course) -> Companion:
    """The attention of every block."""
    learnt = Attention(model, masks, settings, course.lr)
    # That the density can be met is said before anything is trained.
    update(model, masks, course.density, None, settings)
    return learnt


class Attention:
    """The logits of each weight's blocks (down, across), and how they are trained."""

    def __init__(self, model: torch.nn.Module, masks: Masks, settings: Cut, lr: float = 0.0) -> None:
        import torch

        options: Options = settings.options or Options()
        self._model, self._lr, self._block, self.fewest = model, lr, options.size(), options.fewest
        self._axes = {name: axes[0] for name, axes in pattern.sides(model, tuple(masks), self._block).items()}
        blocks = {name: self.summed(name, model.get_parameter(name).detach()) for name in masks}
        wide = {name: value for name, value in blocks.items() if value.numel() >= self.fewest}
        self.logits = {name: torch.zeros_like(value) for name, value in wide.items()}
        self._moved = {name: torch.zeros_like(value) for name, value in wide.items()}

    def summed(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """The sums of ``values``, in the shape of a weight, over each of its blocks."""
        return pattern.summed(values, self._block, self._axes[name])

    def spread(self, name: str, of_blocks: torch.Tensor) -> torch.Tensor:
        """What each block has (down, across), at each of its weights."""
        return pattern.spread(of_blocks, self._model.get_parameter(name).shape, self._block, self._axes[name])

    def of(self, name: str) -> torch.Tensor:
        """The attention of each block of a weight; its mean is 1."""
        logits = self.logits[name]
        return logits.numel() * logits.flatten().softmax(0).reshape(logits.shape)

    def show(self) -> None:
        """Multiply the weights by the attention of their blocks."""
        for name in self.logits:
            self._model.get_parameter(name).mul_(self.spread(name, self.of(name)))

    def stepped(self, step: int, masks: Masks) -> None:
        """Make gradients of W * A * mask those of W, and step on the logits by their own."""
        del step
        for name, logits in self.logits.items():
            parameter = self._model.get_parameter(name)
            if parameter.grad is None:
                continue
            parameter.grad *= masks[name]
            attention = self.of(name)
            by_block = attention * self.summed(name, parameter.grad * parameter.detach())
            moved = self._moved[name].mul_(MOMENTUM).add_(by_block - attention * by_block.mean())
            parameter.grad *= self.spread(name, attention)
            logits -= self._lr * moved

    def state(self) -> dict[str, torch.Tensor]:
        """Logits and momenta."""
        told = {f"logits.{name}": value for name, value in self.logits.items()}
        return told | {f"moved.{name}": value for name, value in self._moved.items()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`."""
        for name in self.logits:
            self.logits[name].copy_(state[f"logits.{name}"])
            self._moved[name].copy_(state[f"moved.{name}"])

"""Block-wise rows and columns: cut whole rows and whole columns within each block of a weight, independently.

    W of outputs x inputs (the kernel positions of an input side by side), in blocks of H x W
    row score = ||row over kept columns||_2 / sqrt(kept columns), column score likewise

All rows and columns whose score is below one threshold are cut, first rows, then columns over what is left, twice; the
threshold is the one whose density is nearest. Within a block what is kept is so always some rows times some columns. A
row or column at a time is cut, so the density is met to that: in small layers to some weights. A layer smaller than a
block is one block, which the result says.

NAME.blocks.csv beside the network has of each layer its blocks, and how many rows and columns of a block are kept.

    source: GRIM, Niu et al. 2022 (arXiv 2108.11033), of which the definition is known and not the solver
    certainty: medium; block size, thresholds and the order are this project's, and no group penalty is trained
    needs: nothing but weights; training is of use
    cost: a few seconds for a million weights
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.errors import UsageError
from prune_audit.nets import pattern
from prune_audit.nets.scope import check_density
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.core import Table
    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = False
DEFAULT = "4x16"
_HALVINGS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What this method may be told beside a density."""

    bcr_block: Annotated[
        str | None,
        typer.Option(metavar="HxW", help=f"Outputs times inputs of a block; {DEFAULT} by default."),
    ] = None

    def __post_init__(self) -> None:
        self.size()

    def size(self) -> tuple[int, int]:
        """Height and width. Raises `UsageError` where they are no such thing."""
        found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", self.bcr_block or DEFAULT)
        if found is None:
            raise UsageError(f"--bcr-block: expected HxW, found {self.bcr_block!r}", hint="--bcr-block 4x16")
        return int(found[1]), int(found[2])


OPTIONS = Options


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """The masks whose density is nearest to ``density``, of what ``masks`` have not cut.

    Raises:
        UsageError: the density is not in (0, 1], or of a weight it is not known where its outputs lie.
    """
    check_density(density)
    del batches
    size = (settings.options or Options()).size()
    sides = pattern.sides(model, tuple(masks), pattern.Block(*size))
    groups = [list(masks)] if settings.scope == "global" else [[name] for name in masks]
    found: Masks = {}
    for names in groups:
        blocks = {
            name: _Blocks(model.get_parameter(name).detach(), masks[name], sides[name][0], size) for name in names
        }
        wanted = density * sum(masks[name].numel() for name in names)
        threshold = _threshold(list(blocks.values()), wanted)
        found |= {name: blocks[name].mask(threshold) for name in names}
    for name, mask in found.items():
        _products(mask, sides[name][0], size)
    return found


def tables(model: torch.nn.Module, masks: Masks, batches: Examples | None, settings: Cut) -> tuple[Table, ...]:
    """Of each layer how many blocks it has, and how many rows and columns of one are kept in the mean.

    Raises:
        UsageError: of a weight it is not known where its outputs lie.
    """
    from prune_audit.core import Field, Table, Value

    del batches
    size = (settings.options or Options()).size()
    sides = pattern.sides(model, tuple(masks), pattern.Block(*size))
    rows, smaller = list[tuple[Value, ...]](), list[str]()
    for name, mask in masks.items():
        kept_rows, kept_columns = _products(mask, sides[name][0], size)
        down, across, width = kept_columns.shape
        block = kept_rows.shape[1], width
        if block != size:
            smaller.append(f"{name} ({block[0]}x{width})")
        means = (float(kept.sum()) / (down * across) for kept in (kept_rows, kept_columns))
        rows.append((name, f"{block[0]}x{width}", down * across, *means))
    fields = (
        Field(name="layer", title="Layer", unit="label"),
        Field(name="block", title="Block", unit="label", meaning="outputs times inputs, less at an edge"),
        Field(name="blocks", title="Blocks", unit="count"),
        Field(name="rows", title="Rows kept", unit="count", meaning="of a block, in the mean"),
        Field(name="columns", title="Columns kept", unit="count", meaning="of a block, in the mean"),
    )
    less = f"layers smaller than a block of {size[0]}x{size[1]} have blocks as large as they are"
    notes = (f"{less}: {', '.join(smaller)}",) if smaller else ()
    title = "the rows and columns that are kept of a block"
    return (Table(name="blocks", title=title, fields=fields, rows=tuple(rows), notes=notes),)


def _in_blocks(matrix: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """``matrix`` in blocks (down, height, across, width), no larger than it is, with zeros beyond its edges."""
    from torch.nn import functional

    height, width = (min(of, length) for of, length in zip(size, matrix.shape, strict=True))
    down, across = -(-matrix.shape[0] // height), -(-matrix.shape[1] // width)
    beyond = (0, across * width - matrix.shape[1], 0, down * height - matrix.shape[0])
    return functional.pad(matrix, beyond).reshape(down, height, across, width)


def _products(mask: torch.Tensor, axis: int, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which rows (down, height, across) and which columns (down, across, width) of its blocks ``mask`` keeps.

    They are all that it says: a block of it is the product of the two, which is what makes it fast to compute with.
    """
    import torch

    blocks = _in_blocks(mask.movedim(axis, 0).flatten(1), size)
    rows, columns = blocks.any(3), blocks.any(1)
    if not torch.equal(blocks, rows[..., None] & columns[:, None]):
        raise AssertionError("a block is no product of rows and columns")
    return rows, columns


class _Blocks:
    """A weight in blocks (down, height, across, width), zero where it was cut and beyond its edges."""

    def __init__(self, weight: torch.Tensor, mask: torch.Tensor, axis: int, size: tuple[int, int]) -> None:
        turned = (weight.double() * mask).movedim(axis, 0)
        self._cut, self._axis, self._turned = mask, axis, turned.shape
        matrix = turned.flatten(1)
        self._shape = matrix.shape
        self._squares = _in_blocks(matrix.square(), size)
        self._there = _in_blocks(mask.double().movedim(axis, 0).flatten(1), size)
        self.most = float(self._squares.max()) ** 0.5

    def kept(self, threshold: float) -> torch.Tensor:
        """What is kept (down, height, across, width), of what there is, at a ``threshold``."""
        kept = self._there
        for along in (3, 1, 3, 1):  # rows by what is left of them, then columns, twice
            sums = (self._squares * kept).sum(along, keepdim=True)
            counts = kept.sum(along, keepdim=True).clamp(min=1)
            kept = kept * ((sums / counts).sqrt() >= threshold)
        return kept

    def mask(self, threshold: float) -> torch.Tensor:
        """The same in the shape of the weight."""
        kept = self.kept(threshold).flatten(2).flatten(0, 1)[: self._shape[0], : self._shape[1]] > 0
        return kept.reshape(self._turned).movedim(0, self._axis).contiguous() & self._cut


def _threshold(blocks: list[_Blocks], wanted: float) -> float:
    """The threshold at which nearest to ``wanted`` weights are kept, and at least one."""
    low, high = 0.0, max(each.most for each in blocks)
    best, apart = 0.0, float("inf")
    for _ in range(_HALVINGS):
        tried = (low + high) / 2 if apart < float("inf") else low
        count = sum(float(each.kept(tried).sum()) for each in blocks)
        if count and abs(count - wanted) < apart:
            best, apart = tried, abs(count - wanted)
        if count > wanted:
            low = tried
        else:
            high = tried
        if count == wanted:
            break
    return best

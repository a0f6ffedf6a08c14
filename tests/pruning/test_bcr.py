"""Rows and columns within blocks: what is kept is a product in every block, and blocks of one are magnitude."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prune_audit import pruning
from prune_audit.errors import UsageError
from prune_audit.nets import masking
from prune_audit.pruning import Cut, bcr, magnitude


def cut(model: nn.Module, block: str, density: float, scope: str = "global") -> dict[str, torch.Tensor]:
    masks = masking.whole(model, masking.prunable(model))
    settings = Cut(scope=scope, options=bcr.Options(bcr_block=block))  # type: ignore[arg-type]  # parametrised
    return pruning.cut(bcr, model, masks, density, None, settings)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 6, 3), nn.Linear(50, 40))


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_blocks_of_one_are_magnitude_exactly(scope: str) -> None:
    model = network()
    masks = masking.whole(model, masking.prunable(model))
    for density in (0.05, 0.5, 0.9):
        found = cut(model, "1x1", density, scope)
        settings = Cut(scope=scope)  # type: ignore[arg-type]  # parametrised
        plain = pruning.cut(magnitude, model, masks, density, None, settings)
        for name, mask in plain.items():
            assert int((found[name] ^ mask).sum()) <= (0 if scope == "global" else 1)  # which layers round alone


@pytest.mark.parametrize("block", ["4x16", "3x7", "100x1000"])
@pytest.mark.parametrize("density", [0.02, 0.3, 0.8])
def test_what_is_kept_of_a_block_is_rows_times_columns(block: str, density: float) -> None:
    model = network()
    high, wide = map(int, block.split("x"))
    found = cut(model, block, density)
    for name, axis in (("0.weight", 0), ("1.weight", 1), ("2.weight", 0)):
        matrix = found[name].movedim(axis, 0).flatten(1)
        for rows in matrix.split(high):
            for part in rows.split(wide, dim=1):
                assert torch.equal(part, part.any(1)[:, None] & part.any(0)[None])
    assert abs(masking.kept(found) - density) < 0.05


def test_a_planted_product_is_found() -> None:
    model = nn.Linear(32, 8, bias=False)
    rows, columns = torch.rand(8) < 0.6, torch.rand(32) < 0.4
    planted = rows[:, None] & columns[None]
    with torch.no_grad():
        model.weight.copy_(torch.where(planted, 1.0, 0.01) * (1 + 0.1 * torch.rand(8, 32)))
    density = float(planted.float().mean())
    assert torch.equal(cut(model, "8x32", density)["weight"], planted)


def test_a_block_larger_than_a_layer_is_the_layer() -> None:
    model = network()
    small, large = cut(model, "40x72", 0.4, "layer"), cut(model, "4000x7200", 0.4, "layer")
    assert all(torch.equal(small[name], large[name]) for name in small)


@pytest.mark.parametrize("text", ["4", "4x", "0x4", "4x4x4", "-1x2"])
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--bcr-block: expected HxW"):
        bcr.Options(bcr_block=text)

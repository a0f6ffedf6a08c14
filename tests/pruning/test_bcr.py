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


def test_rows_and_columns_that_are_kept_of_a_block_in_the_mean() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.ConvTranspose2d(2, 3, 1))
    masks = masking.whole(model, masking.prunable(model))
    # Blocks of 2 x 3, and of 2 x 2 at the right edge: 2 rows and 2 columns of the first, none of the second, ...
    masks["0.weight"] = torch.tensor([[1, 0, 1, 0, 0], [1, 0, 1, 0, 0], [1, 1, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()
    (table,) = bcr.tables(model, masks, None, Cut(options=bcr.Options(bcr_block="2x3")))
    assert [field.name for field in table.fields] == ["layer", "block", "blocks", "rows", "columns"]
    assert table.rows == (
        ("0.weight", "2x3", 4, (2 + 0 + 1 + 1) / 4, (2 + 0 + 3 + 1) / 4),
        ("1.weight", "2x2", 2, (2 + 1) / 2, 2.0),  # of three outputs, which lie along the second axis, and two inputs
    )
    assert table.notes == ("layers smaller than a block of 2x3 have blocks as large as they are: 1.weight (2x2)",)


def test_a_block_that_is_no_product_is_never_given_out() -> None:
    model = nn.Linear(4, 4)
    crossed = {"weight": torch.eye(4, dtype=torch.bool)}
    for block in ("4x4", "2x4"):
        with pytest.raises(AssertionError, match="no product"):
            bcr.tables(model, crossed, None, Cut(options=bcr.Options(bcr_block=block)))
    assert bcr.tables(model, crossed, None, Cut(options=bcr.Options(bcr_block="1x2")))[0].rows[0][2:] == (8, 0.5, 0.5)
    # Of what such a mask keeps, a cut is none either.
    with pytest.raises(AssertionError, match="no product"):
        pruning.cut(bcr, model, crossed, 0.9, None, Cut(options=bcr.Options(bcr_block="4x4")))


@pytest.mark.parametrize("text", ["4", "4x", "0x4", "4x4x4", "-1x2"])
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--bcr-block: expected HxW"):
        bcr.Options(bcr_block=text)

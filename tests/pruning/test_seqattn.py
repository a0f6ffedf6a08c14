"""Sequential attention: gradients against torch's own, phases against their formula, and equal attention is none."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from prune_audit import pruning
from prune_audit.errors import UsageError
from prune_audit.nets import masking
from prune_audit.nets.companion import Course
from prune_audit.pruning import Cut, magnitude, seqattn
from prune_audit.pruning.seqattn import Attention, Options
from tests.pruning.networks import examples

COURSE = Course(examples=examples(), own=None, steps=400, per_epoch=10, until=340, density=0.5, lr=0.1, seed=0)


def attended(block: str = "2x3") -> tuple[nn.Linear, Attention]:
    torch.manual_seed(0)
    model = nn.Linear(7, 5, bias=False)  # whose edges are no whole blocks
    settings = Cut(options=Options(attention_block=block, attention_blocks=1))
    made = seqattn.accompany(model, masking.whole(model, ["weight"]), settings, COURSE)
    assert isinstance(made, Attention)
    return model, made


def shown(model: nn.Linear, made: Attention) -> torch.Tensor:
    before = model.weight.detach().clone()
    with torch.no_grad():
        made.show()
        found = model.weight.detach().clone()
        model.weight.copy_(before)
    return found


def test_blocks_that_are_kept_of_each_layer() -> None:
    model = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 2))
    masks = masking.whole(model, ["0.weight", "1.weight"])
    masks["0.weight"][:2] = False  # of blocks of 2 x 3 the three upper ones
    masks["0.weight"][4, 1:] = False  # a part of one, and two whole ones
    (table,) = seqattn.tables(model, masks, None, Cut(options=Options(attention_block="2x3", attention_blocks=4)))
    assert [row[:3] for row in table.rows] == [("0.weight", 9, 4), ("1.weight", 2, 2)]
    assert table.column("density") == pytest.approx((15 / 35, 1.0))
    assert table.notes == ("layers of fewer than 4 blocks stay whole: 1.weight",)


def test_equal_logits_change_nothing() -> None:
    model, made = attended()
    torch.testing.assert_close(shown(model, made), model.weight.detach())


def test_gradients_are_those_of_torch_through_softmax_and_product() -> None:
    model, made = attended()
    made.logits["weight"].copy_(torch.randn(3, 3))
    mask = torch.rand(5, 7) < 0.7
    x, y = torch.randn(20, 7), torch.randn(20, 5)
    weight, logits = (each.detach().clone().requires_grad_(True) for each in (model.weight, made.logits["weight"]))
    attention = 9 * logits.flatten().softmax(0).reshape(3, 3)
    wide = attention.repeat_interleave(2, 0).repeat_interleave(3, 1)[:5, :7]
    (x @ (weight * wide * mask).T - y).square().mean().backward()
    assert weight.grad is not None
    assert logits.grad is not None
    torch.testing.assert_close(shown(model, made), (model.weight * wide).detach())
    effective = (shown(model, made) * mask).requires_grad_(True)
    (x @ effective.T - y).square().mean().backward()
    assert effective.grad is not None
    before = made.logits["weight"].clone()
    model.weight.grad = effective.grad.clone()
    made.stepped(0, {"weight": mask})
    torch.testing.assert_close(model.weight.grad, weight.grad)
    torch.testing.assert_close(made.logits["weight"], before - 0.1 * logits.grad)


def test_the_schedule_is_concave_from_nothing_to_all() -> None:
    values = [seqattn.cut_by(t / 10, 0.9) for t in range(11)]
    assert values[0] == 0
    assert values[-1] == pytest.approx(0.9)
    steps = [after - before for before, after in pairwise(values)]
    assert steps == sorted(steps, reverse=True)
    assert values[5] == pytest.approx(0.9 * (1 - math.exp(-2)) / (1 - math.exp(-4)))


def test_phases_are_dense_sparser_sparse_and_dense_again() -> None:
    plan = seqattn.schedule(0.1, steps=1000, rounds=3, seed=0)
    assert [step for step, _ in plan] == sorted(step for step, _ in plan)
    assert plan[0][0] >= 100
    assert plan[-1] == (850, 0.1)
    assert [step for step, density in plan if density == 1] == [350, 600]
    assert min(density for step, density in plan if step < 350) == pytest.approx(0.1)
    assert seqattn.schedule(0.1, steps=0, rounds=3, seed=0) == ((0, 0.1),)


def test_blocks_of_one_without_attention_are_magnitude_of_each_layer() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(20, 10))
    masks = masking.whole(model, masking.prunable(model))
    settings = Cut(options=Options(attention_block="1x1", attention_blocks=1))
    found = pruning.cut(seqattn, model, masks, 0.3, None, settings)
    plain = pruning.cut(magnitude, model, masks, 0.3, None, Cut(scope="layer"))
    assert all(int((found[name] ^ plain[name]).sum()) <= 1 for name in masks)  # which rounds all layers together


def test_the_largest_attention_is_kept_and_all_may_come_back() -> None:
    model, made = attended()
    with torch.no_grad():
        for down in range(3):
            for across in range(3):  # all blocks of one norm
                part = model.weight[2 * down : 2 * down + 2, 3 * across : 3 * across + 3]
                part.div_(part.norm())
    made.logits["weight"].copy_(torch.arange(9.0).reshape(3, 3))
    masks = masking.whole(model, ["weight"])
    settings = Cut(options=Options(attention_block="2x3", attention_blocks=1), companion=made)
    # The last blocks are edges of 1 and 3 weights, those before them of 3 and 2: of 35 weights 16 are nearest.
    found = pruning.cut(seqattn, model, masks, 0.4, None, settings)["weight"]
    order = [(down, across) for down in (2, 1, 0) for across in (2, 1, 0)]
    sizes, kept = [], []
    for down, across in order:
        part = found[2 * down : 2 * down + 2, 3 * across : 3 * across + 3]
        sizes.append(part.numel())
        kept.append(bool(part.all()))
        assert part.all() or not part.any()
    count = min(range(1, 10), key=lambda n: abs(sum(sizes[:n]) - 14))
    assert kept == [n < count for n in range(9)]
    assert pruning.cut(seqattn, model, {"weight": found}, 1.0, None, settings)["weight"].all()


def test_attention_counts_as_a_factor_of_the_norm() -> None:
    """Two blocks of norms 3 and 1: the second is kept once its attention is more than three times the other's."""
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    options = Options(attention_block="1x1", attention_blocks=1)
    masks = masking.whole(model, ["weight"])
    made = seqattn.accompany(model, masks, Cut(options=options), COURSE)
    assert isinstance(made, Attention)
    for ratio, kept in ((2.9, [True, False]), (3.1, [False, True])):
        made.logits["weight"].copy_(torch.tensor([[0.0, math.log(ratio)]]))
        found = pruning.cut(seqattn, model, masks, 0.5, None, Cut(options=options, companion=made))
        assert found["weight"].tolist() == [kept]


def test_small_layers_stay_whole_and_the_others_make_up_for_them() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 10))
    masks = masking.whole(model, masking.prunable(model))
    found = pruning.cut(seqattn, model, masks, 0.5, None, Cut())
    assert found["1.weight"].all()
    assert masking.kept(found) == pytest.approx(0.5, abs=8.001 / 2000)  # half a block
    with pytest.raises(UsageError, match=r"a density of 0.1 cannot be met: .* have 20.0 % of all weights"):
        pruning.cut(seqattn, model, masks, 0.1, None, Cut())


@pytest.mark.parametrize("text", ["4", "0x1", "4x4x4"])
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--attention-block: expected HxW"):
        Options(attention_block=text)

"""What may be cut, and the selection of the largest scores against sorting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking
from tests.pruning.networks import network

NAMES = ("0.weight", "5.weight", "8.weight")


def by_sorting(scores: dict[str, torch.Tensor], masks: dict[str, torch.Tensor], count: int) -> dict[str, np.ndarray]:
    """The ``count`` largest by a stable sort, the dead last."""
    flat = np.concatenate([scores[n].double().flatten().numpy() for n in scores])
    alive = np.concatenate([masks[n].flatten().numpy() for n in scores])
    order = np.argsort(-np.where(alive, flat, -1), kind="stable")[: min(count, int(alive.sum()))]
    kept = np.zeros(len(flat), bool)
    kept[order] = True
    ends = np.cumsum([0, *(s.numel() for s in scores.values())])
    return {n: kept[a:b].reshape(scores[n].shape) for n, a, b in zip(scores, ends, ends[1:], strict=False)}


@given(data=st.data())
def test_the_largest_are_kept_as_by_a_stable_sort(data: st.DataObject) -> None:
    """Few distinct values, so that there are ties, over tensors of several shapes and types."""
    values = st.sampled_from([0.0, 1e-45, 1e-7, 0.5, 1.0, 1.0000001, 3e38]) | st.floats(0, 2, width=32)
    shapes = data.draw(st.lists(st.sampled_from([(3,), (2, 3), (1, 2, 2), (5, 1)]), min_size=1, max_size=3))
    dtypes = [data.draw(st.sampled_from([torch.float32, torch.float64])) for _ in shapes]
    scores, masks = {}, {}
    for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True)):
        size = int(np.prod(shape))
        drawn = data.draw(st.lists(values, min_size=size, max_size=size))
        scores[f"w{i}"] = torch.tensor(drawn, dtype=dtype).view(shape)
        alive = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
        masks[f"w{i}"] = torch.tensor(alive).view(shape)
    density = data.draw(st.floats(0.01, 1))
    total = sum(s.numel() for s in scores.values())
    found = masking.keep_largest(scores, masks, density)
    wanted = by_sorting(scores, masks, max(1, round(density * total)))
    for name in scores:
        assert found[name].dtype is torch.bool
        np.testing.assert_array_equal(found[name].numpy(), wanted[name])


def test_many_weights_over_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_CHUNK", 1000)
    torch.manual_seed(0)
    scores = {"a": torch.randn(57, 83).abs(), "b": torch.randint(0, 3, (4567,)).float(), "c": torch.rand(0, 3)}
    masks = {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}
    for density in (0.0001, 0.2, 0.5, 0.9):
        found = masking.keep_largest(scores, masks, density)
        wanted = by_sorting(scores, masks, round(density * (57 * 83 + 4567)))
        assert all((found[n].numpy() == wanted[n]).all() for n in scores)


def test_the_order_of_memory_does_not_matter() -> None:
    score = torch.tensor([[1.0, 2.0], [2.0, 2.0]])
    ones = torch.ones(2, 2, dtype=torch.bool)
    plain = masking.keep_largest({"w": score}, {"w": ones}, 0.5)
    turned = masking.keep_largest({"w": score.T.contiguous().T}, {"w": ones}, 0.5)
    assert plain["w"].tolist() == turned["w"].tolist() == [[False, True], [True, False]]


def test_half_precision_keeps_its_order() -> None:
    score = torch.rand(500, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    ones = {"w": torch.ones(500, dtype=torch.bool)}
    found = masking.keep_largest({"w": score}, ones, 0.3)
    np.testing.assert_array_equal(found["w"].numpy(), by_sorting({"w": score}, ones, 150)["w"])


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), density=st.floats(0.001, 1), seed=st.integers(0, 1000)
)
def test_per_layer_each_share_is_met_to_one_weight_and_the_whole_exactly(
    sizes: list[int], density: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = {str(i): torch.rand(size, generator=generator) for i, size in enumerate(sizes)}
    masks = {name: torch.ones_like(score, dtype=torch.bool) for name, score in scores.items()}
    found = masking.keep_largest(scores, masks, density, "layer")
    counts = {name: int(mask.sum()) for name, mask in found.items()}
    assert sum(counts.values()) == max(1, round(density * sum(sizes)))
    for name, count in counts.items():
        assert abs(count - density * scores[name].numel()) < 1
        np.testing.assert_array_equal(found[name].numpy(), by_sorting({name: scores[name]}, masks, count)[name])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ModelError, match="no finite score"):
        masking.keep_largest({"w": torch.tensor([1.0, value])}, {"w": torch.ones(2, dtype=torch.bool)}, 0.5)


def test_scores_that_do_not_rank_the_weights_are_refused() -> None:
    ones = {"w": torch.ones(2, dtype=torch.bool)}
    with pytest.raises(ModelError, match="a weight of w has a score below 0"):
        masking.keep_largest({"w": torch.tensor([1.0, -1.0])}, ones, 0.5)
    for scores in ({}, {"w": torch.ones(3)}):
        with pytest.raises(ModelError, match=r"expected scores of shape \(2,\) for w, found"):
            masking.keep_largest(scores, ones, 0.5)


def test_a_zero_with_a_sign_is_a_zero() -> None:
    ones = {"w": torch.ones(3, dtype=torch.bool)}
    found = masking.keep_largest({"w": torch.tensor([-0.0, 0.5, 0.1])}, ones, 1 / 3)["w"]
    assert found.tolist() == [False, True, False]


@pytest.mark.parametrize("density", [0.0, -0.1, 1.0001, 10, float("nan")])
def test_a_density_must_be_a_share(density: float) -> None:
    with pytest.raises(UsageError, match=r"share in \(0, 1\]"):
        masking.keep_largest({"w": torch.ones(2)}, {"w": torch.ones(2, dtype=torch.bool)}, density)


def test_weights_of_layers_may_be_cut_and_nothing_else() -> None:
    assert masking.prunable(network()) == NAMES


def test_embeddings_and_attention_are_layers_and_shared_weights_come_once() -> None:
    model = nn.Module()
    model.words = nn.Embedding(5, 4)
    model.attention = nn.MultiheadAttention(4, 2)
    model.head = nn.Linear(4, 5)
    model.head.weight = model.words.weight
    assert masking.prunable(model) == ("words.weight", "attention.in_proj_weight", "attention.out_proj.weight")


@pytest.mark.parametrize(
    ("exempt", "left"),
    [
        (["first"], NAMES[1:]),
        (["last"], NAMES[:-1]),
        (["first", "last"], NAMES[1:2]),
        (["5"], (NAMES[0], NAMES[2])),
        (["[05].weight"], NAMES[2:]),
    ],
)
def test_exempt_layers(exempt: list[str], left: tuple[str, ...]) -> None:
    assert masking.prunable(network(), exempt) == left


def test_what_is_exempt_must_be_there_and_must_not_be_all() -> None:
    with pytest.raises(UsageError, match="no layer is called 'head'") as caught:
        masking.prunable(network(), ["head"])
    assert "0.weight" in caught.value.hint
    with pytest.raises(UsageError, match="every layer is exempt"):
        masking.prunable(network(), ["*"])
    with pytest.raises(ModelError, match="no weights that could be cut"):
        masking.prunable(nn.BatchNorm2d(3))


def test_recurrent_weights_may_be_cut_and_what_is_computed_is_left() -> None:
    model = nn.ModuleDict(
        {
            "rnn": nn.LSTM(3, 4, bidirectional=True, proj_size=2),
            "cell": nn.GRUCell(3, 2),
            "head": nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)),
        }
    )
    names = [f"rnn.weight_{part}_l0{end}" for end in ("", "_reverse") for part in ("ih", "hh", "hr")]
    assert masking.prunable(model) == (*names, "cell.weight_ih", "cell.weight_hh")
    assert masking.prunable(model, ["rnn"]) == ("cell.weight_ih", "cell.weight_hh")
    assert masking.left_whole(model) == ("head.weight (5 x 4)",)
    scores = {name: model.get_parameter(name).detach().abs() for name in names}
    masks = masking.keep_largest(scores, masking.whole(model, names), 0.25)
    masking.apply(model, masks)
    own = [model.get_parameter(name).detach().numpy() for name in names]
    assert sum(np.count_nonzero(array) for array in own) == round(0.25 * sum(array.size for array in own))


def test_whole_masks_keep_all_and_applied_ones_set_zeros() -> None:
    model = network()
    masks = masking.whole(model, NAMES)
    assert masking.kept(masks) == 1
    before = model.get_parameter("8.weight").detach().clone()
    masks["8.weight"][0] = False
    masking.apply(model, masks)
    after = model.get_parameter("8.weight").detach()
    assert (after[0] == 0).all()
    assert torch.equal(after[1:], before[1:])
    assert masking.kept(masks) == 1 - 7 / (45 + 560 + 28)

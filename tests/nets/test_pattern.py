"""n of m: against all ways to choose within a group, and against torch's own sparsifier."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking, pattern
from prune_audit.nets.pattern import Block, Filters, NofM, Pattern, parse


@given(data=st.data(), m=st.integers(2, 5))
def test_of_each_group_the_best_of_all_choices_are_kept(data: st.DataObject, m: int) -> None:
    """Among what is left, no other choice of as many has a larger sum, and of equal ones the first is taken."""
    n = data.draw(st.integers(1, m - 1))
    shape = (data.draw(st.integers(1, 3)), m * data.draw(st.integers(1, 3)))
    count = shape[0] * shape[1]
    drawn = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    scores = torch.tensor(drawn, dtype=torch.float32).reshape(shape)
    left = torch.tensor(data.draw(st.lists(st.booleans(), min_size=count, max_size=count))).reshape(shape)
    found = pattern.keep_largest({"w": scores}, {"w": left}, n / m, NofM(n, m), {"w": (0, 1)})["w"]
    for row in range(shape[0]):
        for start in range(0, shape[1], m):
            alive = [i for i in range(start, start + m) if left[row, i]]
            ways = combinations(alive, min(n, len(alive)))
            best = max(ways, key=lambda way: (sum(float(scores[row, i]) for i in way), [-i for i in way]))
            assert [i for i in range(start, start + m) if found[row, i]] == list(best)


def test_two_of_four_are_those_of_torchs_sparsifier() -> None:
    from torch.ao.pruning import WeightNormSparsifier  # type: ignore[attr-defined]  # it does

    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(nn.Linear(64, 48))
    weight = model.get_parameter("0.weight").detach().clone()
    theirs = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    theirs.prepare(model, [{"tensor_fqn": "0.weight"}])
    theirs.step()
    theirs.squash_mask()
    whole = {"0.weight": torch.ones_like(weight, dtype=torch.bool)}
    found = pattern.keep_largest({"0.weight": weight.abs()}, whole, 0.5, NofM(2, 4), {"0.weight": (0, 1)})
    assert torch.equal(found["0.weight"], model.get_parameter("0.weight").detach() != 0)


@pytest.mark.parametrize(("layer", "axis"), [
    (nn.Conv2d(8, 3, 3), 1), (nn.ConvTranspose2d(8, 3, 3), 0), (nn.Linear(8, 3), 1), (nn.Conv1d(16, 4, 1, groups=2), 1),
])  # fmt: skip
def test_groups_lie_along_the_inputs(layer: nn.Module, axis: int) -> None:
    """An output of a layer that is cut sums over exactly half of its inputs, wherever it is looked at."""
    model = nn.Sequential(layer)
    assert pattern.sides(model, ["0.weight"], NofM(2, 4)) == {"0.weight": (1 - axis, axis)}
    weight = model.get_parameter("0.weight").detach()
    whole = masking.whole(model, ["0.weight"])
    found = pattern.keep_largest({"0.weight": weight.abs()}, whole, 0.5, NofM(2, 4), {"0.weight": (1 - axis, axis)})[
        "0.weight"
    ]
    assert found.shape == weight.shape
    per_group = found.movedim(axis, -1).unflatten(-1, (-1, 4)).sum(-1)
    assert (per_group == 2).all()


def test_recurrent_and_attention_weights_have_inputs_too() -> None:
    model = nn.ModuleDict({"rnn": nn.LSTM(8, 4), "mha": nn.MultiheadAttention(8, 2)})
    names = masking.prunable(model)
    assert set(pattern.sides(model, names, NofM(2, 4)).values()) == {(0, 1)}


def test_what_does_not_fit_is_named_with_what_to_type() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5), nn.Embedding(8, 8))
    with pytest.raises(UsageError, match=r"inputs of 0.weight \(8 x 3 x 3 x 3\), 3.weight \(8 x 8\)") as caught:
        pattern.sides(model, masking.prunable(model), NofM(2, 4))
    assert caught.value.hint == "leave such layers whole: --exempt 0 --exempt 3"
    assert pattern.sides(model, masking.prunable(model, ("0", "3")), NofM(2, 4)) == {
        "1.weight": (0, 1),
        "2.weight": (0, 1),
    }


def test_a_weight_in_a_place_that_says_nothing_of_its_inputs_is_refused() -> None:
    """A graph's stored weights are held so, and may be turned: groups would lie along the outputs."""
    place = nn.Linear(1, 1, bias=False, device="meta")
    place.weight = nn.Parameter(torch.zeros(8, 8))
    model = nn.Sequential(place)
    with pytest.raises(UsageError, match="no whole groups of 4 are known") as caught:
        pattern.sides(model, ["0.weight"], NofM(2, 4))
    assert "exported from" in str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        "4:2",
        "2:2",
        "0:4",
        "2",
        "2:4:8",
        "2/4",
        "-1:4",
        "1:2048",
        "02:4",
        "",
        "4x4",
        "block:4",
        "block:0x4",
        "block 4x4",
        "filter",
    ],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--pattern: expected N:M"):
        parse(text)


def test_a_schedule_comes_to_it_in_whole_weights_of_a_group() -> None:
    of = parse("2:8")
    assert isinstance(of, NofM)
    assert of.density == 0.25
    assert [of.kept_of_group(density) for density in (1, 0.9, 0.7, 0.5, 0.26, 0.25)] == [8, 8, 6, 4, 3, 2]
    assert NofM(1, 3).kept_of_group((1 / 3) ** (3 / 3)) == 1
    assert NofM(3, 5).kept_of_group(0.6 ** (1 / 2) * 0.6 ** (1 / 2)) == 3  # .6000000000000001
    with pytest.raises(UsageError, match="density"):
        of.kept_of_group(0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_score_that_ranks_nothing_is_refused(value: float) -> None:
    ones = {"w": torch.ones(1, 2, dtype=torch.bool)}
    with pytest.raises(ModelError, match=r"no finite score|score below 0"):
        pattern.keep_largest({"w": torch.tensor([[1.0, value]])}, ones, 0.5, NofM(1, 2), {"w": (0, 1)})


def grouped(shape: tuple[int, int], of: Pattern) -> list[list[tuple[int, int]]]:
    """The places of each group of a matrix, by hand."""
    rows, columns = shape
    high, wide = (of.height, of.width) if isinstance(of, Block) else (1, columns)
    return [
        [(i, j) for i in range(top, min(top + high, rows)) for j in range(left, min(left + wide, columns))]
        for top in range(0, rows, high)
        for left in range(0, columns, wide)
    ]


@given(data=st.data(), of=st.sampled_from([Block(2, 3), Block(1, 1), Block(3, 2), Block(9, 9), Filters()]))
def test_blocks_and_filters_with_the_largest_sums_of_squares_are_kept(data: st.DataObject, of: Block | Filters) -> None:
    """Edges are no more than they are, what was cut counts nowhere, and no other prefix is nearer to the density."""
    shape = (data.draw(st.integers(1, 5)), data.draw(st.integers(1, 7)))
    count = shape[0] * shape[1]
    scores = torch.tensor(data.draw(st.permutations(range(1, count + 1))), dtype=torch.float32).reshape(shape)
    left = torch.tensor(data.draw(st.lists(st.booleans(), min_size=count, max_size=count))).reshape(shape)
    density = data.draw(st.floats(0.05, 1))
    found = pattern.keep_largest({"w": scores}, {"w": left}, density, of, {"w": (0, 1)})["w"]
    assert not (found & ~left).any()
    groups = grouped(shape, of)
    groups.sort(key=lambda group: -sum(float(scores[at]) ** 2 for at in group if left[at]))
    sizes = [sum(bool(left[at]) for at in group) for group in groups]
    wanted = max(1, round(density * count))
    best = min(range(1, len(groups) + 1), key=lambda n: (abs(sum(sizes[:n]) - wanted), n))
    for n, group in enumerate(groups):
        alive = [at for at in group if left[at]]
        assert [bool(found[at]) for at in alive] == [n < best] * len(alive)


def test_a_block_of_one_is_magnitude_exactly() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 3), nn.Linear(6, 5))
    masks = masking.whole(model, masking.prunable(model))
    scores = {name: model.get_parameter(name).detach().abs() for name in masks}
    sides = pattern.sides(model, tuple(masks), Block(1, 1))
    for scope in ("global", "layer"):
        found = pattern.keep_largest(scores, masks, 0.3, Block(1, 1), sides, scope)
        plain = masking.keep_largest(scores, masks, 0.3, scope)
        if scope == "global":
            assert all(torch.equal(found[name], plain[name]) for name in masks)
        else:  # which rounds each layer by itself
            assert all(abs(int(found[name].sum()) - int(plain[name].sum())) <= 1 for name in masks)


def test_filters_are_outputs_whatever_their_axis_and_none_of_the_head() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 6, 3), nn.Linear(6, 5))
    with pytest.raises(UsageError, match=r"the outputs of the last layer, 2\.weight, are the classes") as caught:
        pattern.sides(model, masking.prunable(model), Filters())
    assert "--exempt last" in str(caught.value.hint)
    names = masking.prunable(model, ("last",))
    masks = masking.whole(model, names)
    scores = {name: model.get_parameter(name).detach().abs() for name in names}
    found = pattern.keep_largest(scores, masks, 0.5, Filters(), pattern.sides(model, names, Filters()))
    for name, axis in (("0.weight", 0), ("1.weight", 1)):
        rows = found[name].movedim(axis, 0).flatten(1)
        assert (rows.all(1) | ~rows.any(1)).all()
        norms = scores[name].movedim(axis, 0).flatten(1).square().sum(1)
        assert norms[rows[:, 0]].min() > norms[~rows[:, 0]].max()


def test_of_each_layer_a_group_is_kept() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2))
    names = masking.prunable(model, ("last",))
    scores = {"0.weight": torch.rand(6, 4), "1.weight": 1e-6 * torch.rand(6, 6)}
    found = pattern.keep_largest(
        scores, masking.whole(model, names), 0.3, Filters(), pattern.sides(model, names, Filters())
    )
    assert int(found["1.weight"].any(1).sum()) == 1
    assert int(found["0.weight"].any(1).sum()) >= 1

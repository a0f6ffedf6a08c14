"""FairGRAPE: every class keeps its share, against choices by hand and by a greedy search without short cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prune_audit import pruning
from prune_audit.core import Array, Floats
from prune_audit.errors import ModelError
from prune_audit.nets import masking
from prune_audit.nets.examples import Groups
from prune_audit.nets.gradients import saliencies
from prune_audit.pruning import Cut, fairgrape
from prune_audit.pruning.fairgrape import fair
from tests.pruning.networks import examples, network

ALL = np.ones(10, dtype=bool)


def test_of_disjoint_importances_each_group_keeps_as_many() -> None:
    importance = np.zeros((2, 10))
    importance[0, :5] = importance[1, 5:] = [5, 4, 3, 2, 1]
    assert np.flatnonzero(fair(importance, ALL, 4)).tolist() == [0, 1, 5, 6]
    importance[1] *= 100  # and its share of all with it
    assert np.flatnonzero(fair(importance, ALL, 4)).tolist() == [0, 1, 5, 6]


@pytest.mark.parametrize("groups", [1, 3])
def test_one_group_or_equal_ones_keep_the_most_important(groups: int) -> None:
    importance = np.tile(np.random.default_rng(0).permutation(10).astype(float), (groups, 1))
    for count in range(11):
        assert set(np.flatnonzero(fair(importance, ALL, count))) == set(np.argsort(-importance[0])[:count])


def slow(importance: Floats, left: Array, count: int) -> set[int]:
    """The rule as it is written: what lies furthest below its share takes its best of what is free."""
    kept: list[int] = []
    even = np.full(len(importance), 1 / len(importance))
    targets = importance.sum(1) / importance.sum() if importance.sum() else even
    while len(kept) < count and len(kept) < left.sum():
        sums = np.array([sum(row[kept]) for row in importance])
        shares = sums / sums.sum() if sums.sum() else even
        group = int(np.argmin(shares - targets))
        kept.append(
            max((i for i in np.flatnonzero(left).tolist() if i not in kept), key=lambda i: (importance[group, i], -i))
        )
    return set(kept)


@given(data=st.data(), groups=st.integers(1, 3), count=st.integers(0, 8))
def test_the_greedy_choice_without_short_cuts(data: st.DataObject, groups: int, count: int) -> None:
    # Powers of two, so that sums are exact in whatever order.
    drawn = data.draw(st.lists(st.sampled_from([0, 1, 2, 4, 8, 16]), min_size=8 * groups, max_size=8 * groups))
    left = np.array(data.draw(st.lists(st.booleans(), min_size=8, max_size=8)))
    importance = np.array(drawn, float).reshape(groups, 8)
    assert set(np.flatnonzero(fair(importance, left, count))) == slow(importance, left, count)


def test_importances_are_of_each_class_alone_and_every_layer_keeps_its_share() -> None:
    model, batches = network(), examples()
    masks = masking.whole(model, masking.prunable(model))
    found = pruning.cut(fairgrape, model, masks, 0.5, batches, Cut())
    for name, mask in masks.items():
        assert abs(int(found[name].sum()) - 0.5 * mask.numel()) <= 1
    # The sample of each class has at most BATCH members, so that each is one batch.
    labels = batches.labels
    own = [
        saliencies(model, list(masks), batches, [batches.rows[labels == label]])["5.weight"].flatten().double().numpy()
        for label in range(4)
    ]
    wanted = fair(np.stack(own), np.ones(560, dtype=bool), int(found["5.weight"].sum()))
    assert np.array_equal(found["5.weight"].flatten().numpy(), wanted)


def test_groups_that_are_told_take_the_place_of_classes() -> None:
    model, batches = network(), examples()
    masks = masking.whole(model, masking.prunable(model))
    shade = torch.arange(40) % 2
    by_shade = replace(batches, groups=Groups(names=("dark", "light"), of=shade))
    found = pruning.cut(fairgrape, model, masks, 0.5, by_shade, Cut())
    own = [
        saliencies(model, ["5.weight"], batches, [batches.rows[shade == at]])["5.weight"].flatten().double().numpy()
        for at in range(2)
    ]
    wanted = fair(np.stack(own), np.ones(560, dtype=bool), int(found["5.weight"].sum()))
    assert np.array_equal(found["5.weight"].flatten().numpy(), wanted)
    assert not np.array_equal(pruning.cut(fairgrape, model, masks, 0.5, batches, Cut())["5.weight"].flatten(), wanted)


def test_shares_are_those_of_the_importance_in_the_whole_layer_and_in_what_is_kept() -> None:
    model, batches = network(), examples()
    masks = masking.whole(model, masking.prunable(model))
    found = pruning.cut(fairgrape, model, masks, 0.5, batches, Cut())
    (table,) = fairgrape.tables(model, found, batches, Cut())
    assert [field.name for field in table.fields] == ["layer", "group", "target", "reached"]
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert len(rows) == len(masks) * 4
    own = np.stack(
        [
            saliencies(model, ["5.weight"], batches, [batches.rows[batches.labels == label]])["5.weight"].flatten()
            for label in range(4)
        ]
    ).astype(float)
    kept = found["5.weight"].flatten().numpy()
    for label in range(4):
        target, reached = rows["5.weight", f"class {label}"]
        assert target == pytest.approx(own[label].sum() / own.sum(), rel=1e-5)  # sums of single precision
        assert reached == pytest.approx(own[label, kept].sum() / own[:, kept].sum(), rel=1e-5)
        assert reached == pytest.approx(target, abs=0.05)  # which is what the method is for
    for name in masks:
        for at in (0, 1):
            assert sum(rows[name, f"class {label}"][at] for label in range(4)) == pytest.approx(1)  # type: ignore[misc]


def test_of_a_layer_without_importance_there_is_no_share() -> None:
    model = network()
    with torch.no_grad():
        model.get_parameter("8.weight").zero_()
    masks = masking.whole(model, ["8.weight"])
    (table,) = fairgrape.tables(model, masks, examples(), Cut())
    assert table.column("target") == table.column("reached") == (None,) * 4


def test_a_class_without_samples_is_named() -> None:
    few = examples(rows=(examples().labels != 2).nonzero()[:, 0])
    model = network()
    with pytest.raises(ModelError, match="samples of every group, found none of class 2"):
        pruning.cut(fairgrape, model, masking.whole(model, ["5.weight"]), 0.5, few, Cut())
    assert torch.is_grad_enabled()

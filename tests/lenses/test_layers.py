"""The lens of layers: a class that lives in one layer is found there, and where no layer is the cause none is named."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.errors import UsageError
from prune_audit.lenses import CannotLook, layers, recalibrated
from prune_audit.nets.examples import Examples
from prune_audit.nets.recalibrate import recalibrate
from tests.lenses.subjects import cut_in_second, one_hot, planted, subject

LEARNT, JUDGED = one_hot(0), one_hot(1)


def test_a_class_that_lives_in_one_layer_is_found_there() -> None:
    dense = planted()
    seen = layers.look(subject(dense, cut_in_second(dense), LEARNT, JUDGED), None)
    assert seen.sentences[0] == "2 explains what no other use of its density does."
    assert len(seen.finds) == 1
    assert seen.excludes == ()
    assert seen.finds[0].startswith("2: had it not been cut, 3 (")
    judged: dict[Any, Any] = {row[0]: row for row in seen.tables[0].rows}
    restored, control = judged["1: 2 dense again"], judged["1: control"]
    assert restored[1] == pytest.approx(1 / (200 + 400 + 200))  # one weight was cut there, of all that may be
    assert restored[2] > 30  # of forty samples of the class
    assert (control[2], control[3]) == (0, 0)  # the largest cut weights have no effect
    grid: dict[Any, Any] = {(row[0], row[1]): row for row in seen.tables[1].rows}
    assert grid["2", "3"][5] >= 15  # half of forty are held out
    assert all(grid["0", str(k)][5] == 0 for k in range(10))


def test_the_networks_are_left_as_they_were() -> None:
    dense = planted()
    pruned = cut_in_second(dense)
    before = [{n: t.clone() for n, t in each.state_dict().items()} for each in (dense, pruned)]
    layers.look(subject(dense, pruned, LEARNT, JUDGED), None)
    for module, state in zip((dense, pruned), before, strict=True):
        assert all(torch.equal(values, state[name]) for name, values in module.state_dict().items())
        assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_network_that_was_trained_after_the_cut_has_no_layer_as_its_cause() -> None:
    dense = planted()
    pruned = cut_in_second(dense)
    with torch.no_grad():
        pruned[4].weight[pruned[4].weight != 0] *= 1.01
    seen = layers.look(subject(dense, pruned, LEARNT, JUDGED), None)
    assert "trained after the cut" in seen.sentences[0]
    assert seen.finds == seen.steps == ()
    assert seen.excludes == seen.sentences[:1]


def test_where_all_cut_weights_lie_in_one_layer_there_is_no_control() -> None:
    dense = planted()
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[2].weight[3] = 0
    seen = layers.look(subject(dense, pruned, LEARNT, JUDGED), None)
    assert seen.sentences[0] == "All cut weights lie in 2: there is nothing to hold it against, so it is not named."
    assert seen.steps == ()


def normalised() -> Any:
    """Each input twice, the sum of both normalised: with one of both cut only the statistics are wrong."""
    made: Any = nn.Sequential(nn.Linear(20, 10, bias=False), nn.BatchNorm1d(10), nn.Linear(10, 10, bias=False))
    with torch.no_grad():
        made[0].weight.copy_(torch.cat([torch.eye(10), torch.eye(10)], 1))
        made[2].weight.copy_(3 * torch.eye(10) + 0.001)
    return made


def twice(seed: int) -> tuple[Any, Any]:
    values, labels = one_hot(seed)
    shifted = values + np.linspace(0, 5, 10, dtype=np.float32)  # which batch normalisation takes away
    return np.concatenate([shifted, shifted], 1), labels


def test_harm_that_is_batch_normalisation_alone_names_no_layer() -> None:
    learnt, judged = twice(0), twice(1)
    dense = normalised()
    recalibrate(dense, subject_of_one(learnt))
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[0].weight[:, 10:] = 0
        pruned[2].weight[pruned[2].weight < 0.01] = 0
    seen = layers.look(subject(dense, pruned, learnt, judged), None)
    assert seen.sentences[0].startswith("No single layer explains this")
    assert seen.steps == ()


def test_a_tuned_network_with_batch_normalisation_has_no_layer_as_its_cause() -> None:
    """Half of the inputs cut, and the rest trained with the statistics of its batches: as good as it was."""
    learnt, judged = twice(0), twice(1)
    dense = normalised()
    recalibrate(dense, subject_of_one(learnt))
    pruned = copy.deepcopy(dense)
    inputs, labels = (torch.from_numpy(each) for each in learnt)
    kept = torch.ones(10, 20)
    kept[:, 10:] = 0
    steps = torch.optim.SGD(pruned.parameters(), lr=0.05)
    for _ in range(60):
        with torch.no_grad():
            pruned[0].weight.mul_(kept)
        steps.zero_grad()
        nn.functional.cross_entropy(pruned.train()(inputs), labels).backward()
        steps.step()
    with torch.no_grad():
        pruned[0].weight.mul_(kept)
    shown = subject(dense, pruned.eval(), learnt, judged)
    seen = layers.look(shown, None)
    assert "trained after the cut" in seen.sentences[0]
    assert seen.finds == seen.steps == ()
    assert seen.tables[-1].name == "tried"  # its numbers are shown
    assert recalibrated.look(shown, None).finds == ()


def four_copies() -> Any:
    """Each class by four units, which are the same."""
    made: Any = nn.Sequential(nn.Linear(10, 40, bias=False), nn.ReLU(), nn.Linear(40, 10, bias=False))
    with torch.no_grad():
        made[0].weight.copy_(torch.eye(10).repeat(4, 1))
        made[2].weight.copy_(torch.eye(10).repeat(1, 4))
    return made


@pytest.mark.parametrize("seed", range(2))
def test_pruning_by_noise_is_explained_by_no_layer(seed: int) -> None:
    """Of each class one of four equal units is cut in each layer, which one by chance."""
    dense = four_copies()
    pruned = copy.deepcopy(dense)
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for k in range(10):
            pruned[0].weight[10 * generator.integers(4) + k] = 0
            pruned[2].weight[:, 10 * generator.integers(4) + k] = 0
    seen = layers.look(subject(dense, pruned, one_hot(30 + seed, noise=1.2), one_hot(40 + seed, noise=1.2)), None)
    assert seen.sentences[0].startswith("No single layer explains this")
    assert seen.finds == ()


def subject_of_one(samples: tuple[Any, Any]) -> Examples:

    x, y = torch.from_numpy(samples[0]), torch.from_numpy(samples[1])
    return Examples(
        labels=y,
        rows=torch.arange(len(y)),
        read=lambda rows: {"x": x[rows]},
        forward=lambda model, inputs: model(inputs["x"]),
        size=400,
    )


def test_a_layer_that_was_asked_for_is_judged_and_made() -> None:
    dense = planted()
    shown = subject(dense, cut_in_second(dense), LEARNT, JUDGED)
    options = layers.Options(restore=["0"])
    seen = layers.look(shown, options)
    assert "2: 0 dense again" in [row[0] for row in seen.tables[0].rows]
    made = layers.make(shown, options)
    assert made is not None
    state = made.module.state_dict()
    assert torch.equal(state["0.weight"], dense[0].weight)
    assert torch.equal(state["2.weight"], cut_in_second(dense)[2].weight)
    assert layers.make(subject(dense, cut_in_second(dense), LEARNT, JUDGED), None) is None
    with pytest.raises(UsageError, match="no layer with cut weights is called so"):
        layers.look(shown, layers.Options(restore=["conv9"]))


def test_nothing_cut_and_other_shapes_cannot_be_looked_at() -> None:
    dense = planted()
    with pytest.raises(CannotLook, match="no weight of pruned is zero that was none before"):
        layers.look(subject(dense, copy.deepcopy(dense), LEARNT, JUDGED), None)
    wide = planted()
    wide[2] = nn.Linear(20, 21, bias=False)
    wide[4] = nn.Linear(21, 10)
    with pytest.raises(CannotLook, match=r"the parameter 2.weight of pruned is \(21, 20\), that of dense \(20, 20\)"):
        layers.look(subject(dense, wide, LEARNT, JUDGED), None)


def test_the_control_puts_back_the_largest_cut_weights() -> None:
    dense = planted()
    shown = subject(dense, cut_in_second(dense), LEARNT, JUDGED)
    weights, cut = layers._weights(shown)
    back = layers._largest(shown, weights, cut, 7)
    flat = np.concatenate([dense[i].weight.detach().numpy().ravel() for i in (0, 2, 4)])
    gone = np.concatenate([cut[f"{i}.weight"].numpy().ravel() for i in (0, 2, 4)])
    now = np.concatenate([back[f"{i}.weight"].detach().numpy().ravel() for i in (0, 2, 4)])
    new = gone & (now != 0)
    assert new.sum() == 7
    assert np.abs(flat[new]).min() >= np.abs(flat[gone & ~new]).max()
    assert (now[new] == flat[new]).all()

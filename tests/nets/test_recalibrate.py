"""Statistics of batch normalisation estimated anew, against numpy's on the same activations."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.errors import ModelError, UsageError
from prune_audit.nets.examples import Examples
from prune_audit.nets.recalibrate import normalising, recalibrate
from tests.pruning.networks import examples, network


def deep(seed: int = 0) -> nn.Sequential:
    """Two batch normalisations of different kinds, with dropout between, whose statistics are those of no data."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 5, 3),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(5 * 16, 7),
        nn.BatchNorm1d(7),
        nn.ReLU(),
        nn.Linear(7, 4),
    )


def recording(given: Examples) -> tuple[Examples, list[torch.Tensor]]:
    """``given``, and a list to which the rows of every batch are added as they are read."""
    read: list[torch.Tensor] = []

    def see(rows: torch.Tensor) -> Mapping[str, torch.Tensor]:
        read.append(rows)
        return given.read(rows)

    return replace(given, read=see), read


def by_numpy(model: nn.Sequential, given: Examples, batches: list[torch.Tensor]) -> dict[str, list[np.ndarray]]:
    """What comes to each batch normalisation where all of them normalise by batch, as (values, channels) in numpy."""
    seen: dict[str, list[np.ndarray]] = {name: [] for name in normalising(model)}
    for rows in batches:
        values = given.read(rows)["image"]
        for name, layer in model.named_children():
            if name in seen:
                seen[name].append(values.transpose(0, 1).flatten(1).T.double().numpy())
                scale, shift = layer.parameters()
                values = nn.functional.batch_norm(values, None, None, scale, shift, training=True)
            elif not isinstance(layer, nn.Dropout):
                values = layer(values).detach()
    return seen


@pytest.mark.parametrize("size", [7, 16, 40, 64])
def test_equal_to_numpy_on_the_same_activations(size: int) -> None:
    model, (given, read) = deep(), recording(examples(size=size))
    before = copy.deepcopy(model)
    assert recalibrate(model, given, seed=3) == ("1", "6")
    assert sorted(torch.cat(read).tolist()) == list(range(40))
    assert max(map(len, read)) <= size
    for name, parts in by_numpy(before, given, list(read)).items():
        values, layer = np.concatenate(parts), model.get_submodule(name)
        # single precision of about 1e-7, over some hundred values
        np.testing.assert_allclose(layer.get_buffer("running_mean"), values.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer.get_buffer("running_var"), values.var(0, ddof=1), rtol=1e-5, atol=1e-7)


def test_of_the_first_layer_batches_do_not_matter_and_means_far_from_zero_lose_no_digits() -> None:
    generator = torch.Generator().manual_seed(5)
    x = (torch.randn(50, 3, generator=generator, dtype=torch.float64) + 1e6) * torch.tensor([1.0, 3.0, 0.01])
    for size in (1, 4, 50):
        model = nn.Sequential(nn.BatchNorm1d(3).double(), nn.Linear(3, 4).double())
        assert recalibrate(model, examples(x, size=size)) == ("0",)
        np.testing.assert_allclose(model[0].get_buffer("running_mean"), x.numpy().mean(0), rtol=1e-14)
        np.testing.assert_allclose(model[0].get_buffer("running_var"), x.numpy().var(0, ddof=1), rtol=1e-7)


def test_everything_else_is_untouched() -> None:
    model = deep().train()
    model[3].eval()
    normalising(model)["1"].momentum = 0.25
    model[5].weight.requires_grad_(False)
    model[5].bias.grad = torch.ones(7)
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(11)
    noise = torch.rand(3)
    torch.manual_seed(11)
    recalibrate(model, examples())
    assert torch.equal(torch.rand(3), noise)
    assert [module.training for module in model.modules()] == modes
    assert model[1].momentum == 0.25
    assert not model[5].weight.requires_grad
    assert torch.equal(model[5].bias.grad, torch.ones(7))
    assert not model[1]._forward_pre_hooks
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != name.endswith(("running_mean", "running_var")), name


def test_equal_seeds_give_equal_statistics_and_what_was_there_before_does_not_matter() -> None:
    found = []
    for seed, mean in ((0, 0.0), (0, 9.0), (1, 0.0)):
        model = deep()
        model[1].get_buffer("running_mean").fill_(mean)
        recalibrate(model, examples(), seed=seed)
        found.append(model.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not torch.equal(found[0]["6.running_mean"], found[2]["6.running_mean"])


def test_classes_in_order_are_not_normalised_one_by_one() -> None:
    """Drawn in the order of the data, batches of one class would hide from later layers how classes differ."""
    x = torch.cat([torch.zeros(32, 2), torch.ones(32, 2)]) + torch.randn(64, 2) * 0.01
    model = nn.Sequential(nn.BatchNorm1d(2, affine=False), nn.BatchNorm1d(2, affine=False))
    recalibrate(model, examples(x, size=16))
    between = model[0](x).view(2, 32, 2).mean(1)
    assert ((between[1] - between[0]) > 1.8).all()  # two groups of equal size are 2 deviations apart
    assert (model[1].get_buffer("running_var") > 0.9).all()


def test_a_network_without_running_statistics_is_returned_as_it_was_and_no_sample_is_read() -> None:
    for layer in (nn.LayerNorm(7), nn.BatchNorm1d(7, track_running_stats=False)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(36, 7), layer, nn.Linear(7, 4))
        before = copy.deepcopy(model.state_dict())
        given, read = recording(examples())
        assert recalibrate(model, given) == ()
        assert not read
        assert all(
            value.numpy().tobytes() == before[name].numpy().tobytes() for name, value in model.state_dict().items()
        )


def test_a_layer_that_is_used_twice_and_one_that_is_not() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3, affine=False)
            self.idle = nn.BatchNorm1d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.norm(self.norm(x) + 5)
            return result

    model, x = Twice(), torch.randn(40, 3, generator=torch.Generator().manual_seed(2)) * 2
    assert recalibrate(model, examples(x, size=40)) == ("norm",)
    both = torch.cat([x, nn.functional.batch_norm(x, None, None, training=True) + 5]).numpy()
    np.testing.assert_allclose(model.norm.get_buffer("running_mean"), both.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.norm.get_buffer("running_var"), both.var(0, ddof=1), rtol=1e-5)
    assert torch.equal(model.idle.get_buffer("running_var"), torch.ones(3))


def test_a_fault_leaves_the_statistics_as_they_were() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())

    def fail(_: nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        model(inputs["image"])
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        recalibrate(model, replace(examples(), forward=fail))
    with pytest.raises(ModelError, match="batch normalisation 1 is infinite"):
        recalibrate(model, examples(torch.full((6, 1, 6, 6), torch.inf), torch.zeros(6, dtype=torch.int64)))
    with pytest.raises(UsageError, match="seed"):
        recalibrate(model, examples(), seed=-1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model[1]._forward_pre_hooks

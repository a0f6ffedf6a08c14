"""Live models: what goes in and out of them, what is measured of them, and that they are left as they were."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prune_audit.core import Array
from prune_audit.errors import ModelError, UsageError
from prune_audit.models import as_found, in_memory

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2))


def test_a_module_is_measured_and_evaluates() -> None:
    module = network()
    model = in_memory(module, "dense")
    expected = module.eval()(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_array_equal(model.predict({"input": X}), expected)
    card = model.card
    assert (card.name, card.format, card.path, card.size) == ("dense", "torch module", "", 0)
    assert [layer.name for layer in card.layers] == ["0.weight", "3.weight"]
    assert card.parameters == 3 * 8 + 8 + 8 + 8 + 8 * 2 + 2
    assert card.density == 1
    assert model.macs({"input": X[:1]}) == 3 * 8 + 8 * 2


def test_a_masked_weight_counts_as_masked() -> None:
    module = network()
    prune.l1_unstructured(module[0], "weight", 0.75)
    assert in_memory(module, "m").card.density == (6 + 16) / (24 + 16)


def test_the_digest_is_of_what_the_module_holds() -> None:
    first, again, other = network(), network(), network()
    digest = in_memory(first, "a").card.digest
    assert in_memory(again, "b").card.digest == digest
    with torch.no_grad():
        list(other.parameters())[-1][0] += 1e-6
    assert in_memory(other, "a").card.digest != digest
    assert in_memory(network().append(nn.ReLU()), "a").card.digest != digest  # the state is the same, the network not
    assert in_memory(first.bfloat16(), "a").card.digest != digest


def test_a_module_is_left_as_it_was_found() -> None:
    module = network().train()
    module[1].eval()  # a frozen normalisation
    prune.l1_unstructured(module[0], "weight", 0.5)
    module(torch.from_numpy(X)).sum().backward()
    state = copy.deepcopy(module.state_dict())
    grads = [None if p.grad is None else p.grad.clone() for p in module.parameters()]
    modes, random, threads = [m.training for m in module.modules()], torch.get_rng_state(), torch.get_num_threads()
    with as_found([module, len]):
        model = in_memory(module, "m", threads=1)
        assert not any(m.training for m in module.modules())
        torch.manual_seed(5)
        model.predict({"input": X})
    assert [m.training for m in module.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())
    for before, parameter in zip(grads, module.parameters(), strict=True):
        assert parameter.requires_grad
        assert before is not None
        assert parameter.grad is not None
        assert torch.equal(before, parameter.grad)
    weight = module[0].weight
    assert isinstance(weight, torch.Tensor)
    assert not weight.is_inference()
    module(torch.from_numpy(X)).sum().backward()  # and it trains on


def test_what_it_keeps_of_a_pass_can_be_trained_with() -> None:
    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.seen: torch.Tensor | None = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x += 1  # in place, too
            self.seen = x * 2
            scores: torch.Tensor = self.linear(x)
            return scores

    module, given = Caching(), X.copy()
    in_memory(module, "m").predict({"x": given})
    np.testing.assert_array_equal(given, X)
    assert module.seen is not None
    (module.linear(module.seen)).sum().backward()  # inference mode's tensors would be refused


def test_modes_come_back_after_a_fault() -> None:
    module = network().train()

    def fault() -> None:
        with as_found([module]):
            module.eval()
            raise KeyError

    with pytest.raises(KeyError):
        fault()
    assert all(m.training for m in module.modules())


def test_a_module_without_weights_is_refused() -> None:
    with pytest.raises(ModelError, match="m has shapes and no weights"):
        in_memory(network().to("meta"), "m")
    with pytest.raises(ModelError, match="m is spread over cpu, meta"):
        in_memory(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2, device="meta")), "m")


SCORES = np.array([[0.1, 0.9], [0.7, 0.3]], np.float32)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (SCORES, SCORES),
        (SCORES.tolist(), SCORES.astype(np.float64)),
        (torch.from_numpy(SCORES).requires_grad_(), SCORES),
        ({"logits": torch.from_numpy(SCORES)}, SCORES),
        (torch.tensor(SCORES).bfloat16(), torch.tensor(SCORES).bfloat16().float().numpy()),
        (np.array([1, 0]), np.array([1, 0])),
        (torch.tensor([1, 0]), np.array([1, 0])),
        (np.array([True, False]), np.array([1, 0])),
        (np.array([0.9, 0.3]), np.array([[0.9], [0.3]])),
        (np.array([[9, 1], [2, 8]]), np.array([[9.0, 1], [2, 8]])),
    ],
)
def test_what_a_function_may_return(returned: object, expected: Array) -> None:
    found = in_memory(lambda batch: returned, "f").predict({"x": X[:2]})
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        ("cat", "<U3"),
        (None, "NoneType"),
        (np.zeros((2, 3, 4)), r"float64 \(2, 3, 4\)"),
        (["cat", "dog"], "<U3"),
        (3, "int64"),
    ],
)
def test_what_it_may_not(returned: object, found: str) -> None:
    with pytest.raises(ModelError, match=f"the function f: expected scores .*, found {found}"):
        in_memory(lambda batch: returned, "f").predict({"x": X[:2]})


def test_a_function_gets_an_array_or_a_dict_of_several() -> None:
    seen: list[Any] = []

    def function(batch: Any) -> Array:
        seen.append(batch)
        return SCORES

    model = in_memory(function, "f")
    model.predict({"x": X[:2]})
    model.predict({"left": X[:2], "right": X[:2]})
    assert isinstance(seen[0], np.ndarray)
    assert set(seen[1]) == {"left", "right"}
    assert model.macs({"x": X[:1]}) is None
    assert model.card.format == "function"
    assert model.card.density is None


def test_a_fault_of_a_function_is_told() -> None:
    def function(batch: Array) -> Array:
        raise ValueError("wrong number of features")

    with pytest.raises(ModelError, match=r"the function f raised ValueError on x \(2, 3\) float32: wrong number"):
        in_memory(function, "f").predict({"x": X[:2]})


@pytest.mark.parametrize(("model", "found"), [(3, "int"), (nn.Linear, "the class Linear"), (None, "NoneType")])
def test_what_is_no_model(model: Callable[[Any], Any], found: str) -> None:
    with pytest.raises(UsageError, match=f"m: expected a path, a torch.nn.Module or a function, found {found}"):
        in_memory(model, "m")

"""What a torch module's scores come out of, in every way in which a module may come."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from prune_audit.core import Activation
from prune_audit.nets.activation import seen

CPU = torch.device("cpu")
X = torch.linspace(-1, 1, 12).reshape(4, 3)


class Functional(nn.Module):
    """Calls a function, where no layer shows it."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.layer(x))


def of(module: nn.Module) -> Activation | None:
    return seen(lambda: module.eval()(X), CPU)


NETWORKS: list[tuple[Callable[[], nn.Module], Activation | None]] = [
    (lambda: nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), "sigmoid"),
    (lambda: nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), nn.Flatten()), "sigmoid"),
    (lambda: nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=1)), "softmax"),
    (lambda: nn.Sequential(nn.Linear(3, 2), nn.LogSoftmax(dim=1)), "log-softmax"),
    (lambda: nn.Linear(3, 2), "linear"),
    (lambda: nn.Linear(3, 2, bias=False), "linear"),
    (lambda: nn.Sequential(nn.Sigmoid(), nn.Linear(3, 1)), "linear"),
    (lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU()), None),
]


@pytest.mark.parametrize(("make", "wanted"), NETWORKS)
def test_the_same_of_eager_scripted_and_exported_modules(make: Callable[[], nn.Module], wanted: Activation) -> None:
    module = make().eval()
    assert of(module) == wanted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert of(torch.jit.script(module)) == wanted
    exported = torch.export.export(module, (X,)).module()
    assert seen(lambda: exported(X), CPU) == wanted


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (torch.sigmoid, "sigmoid"),
        (lambda z: z.sigmoid()[:, 1], "sigmoid"),
        (lambda z: z.sigmoid_().to(torch.float64), "sigmoid"),
        (lambda z: z.sigmoid().mul_(2), None),
        (lambda z: 2 * z.sigmoid() - 1, None),
        (lambda z: 0.5 + 0.5 * torch.tanh(z), None),
        (lambda z: z.squeeze(-1), "linear"),
    ],
)
def test_functions_and_what_comes_after_them(
    function: Callable[[torch.Tensor], torch.Tensor], wanted: Activation | None
) -> None:
    assert of(Functional(function)) == wanted


def test_random_numbers_are_given_back_and_a_fault_is_told_elsewhere() -> None:
    noisy = Functional(lambda z: torch.sigmoid(z + torch.rand(1)))
    before = torch.random.get_rng_state()
    assert of(noisy) == "sigmoid"
    assert torch.equal(before, torch.random.get_rng_state())
    assert seen(lambda: nn.Linear(9, 2)(X), CPU) is None

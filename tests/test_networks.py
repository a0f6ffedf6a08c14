"""The built-in networks: sizes from their papers, shapes, what a seed decides, and what is refused."""

from __future__ import annotations

import pytest
import torch

from prune_audit import models, networks
from prune_audit.errors import ModelError, UsageError


def size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("depth", "parameters"),
    # He et al. 2016, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million.
    [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)],
)
def test_a_cifar_resnet_has_the_size_and_depth_of_the_paper(depth: int, parameters: int) -> None:
    module = networks.resnet(depth)
    assert size(module) == parameters
    layers = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == depth


def test_shortcuts_take_every_second_pixel_and_pad_with_zeros() -> None:
    module = networks.resnet(8, width=4).eval()
    block = module.stages.get_submodule("1.0")
    with torch.no_grad():
        for name in ("bn1", "bn2"):  # so that nothing but the shortcut is left
            block.get_submodule(name).get_parameter("weight").zero_()
    x = torch.rand(2, 4, 8, 8)
    y = block(x)
    assert y.shape == (2, 8, 4, 4)
    assert torch.equal(y[:, 2:6], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 6:].any()


def test_lenets_have_the_sizes_of_the_paper() -> None:
    assert size(networks.lenet5(size=32)) == 61_706
    assert size(networks.lenet5()) == 44_426
    assert size(networks.mlp()) == 266_610


@pytest.mark.parametrize(
    ("factory", "shape", "classes"),
    [
        ("lenet5()", (3, 1, 28, 28), 10),
        ("lenet5(4, channels=3, size=32)", (3, 3, 32, 32), 4),
        ("resnet()", (3, 3, 32, 32), 10),
        ("resnet(8, 5, channels=1, width=4)", (3, 1, 28, 28), 5),
        ("mlp()", (3, 1, 28, 28), 10),
        ("mlp(2, inputs=4, hidden=[])", (3, 4), 2),
    ],
)
def test_a_seed_decides_the_weights_and_scores_have_a_row_a_sample(
    factory: str, shape: tuple[int, ...], classes: int
) -> None:
    built = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        built.append(models.build(f"prune_audit.networks:{factory}").eval())
    x = torch.rand(shape)
    first, second, other = (module(x) for module in built)
    assert first.shape == (shape[0], classes)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("lenet5(size=12)", "at least 16 pixels"),
        ("lenet5(0)", "classes must be positive"),
        ("resnet(18)", r"6n \+ 2 layers"),
        ("resnet(2)", r"6n \+ 2 layers"),
        ("resnet(width=0)", "width must be positive"),
        ("mlp(hidden=[0])", "hidden layer 1 must be positive"),
    ],
)
def test_sizes_that_make_no_network_are_refused(factory: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        eval(f"networks.{factory}")
    with pytest.raises(ModelError, match="raised"):
        models.build(f"prune_audit.networks:{factory}")

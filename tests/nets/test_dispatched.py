"""Operators are seen where torch dispatches them, at no more cost than that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from prune_audit.nets.dispatched import dispatched


def test_every_operator_is_seen_without_gradients_and_random_numbers_are_given_back() -> None:
    seen = []

    def see(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        seen.append(func.name())
        return func(*args, **kwargs)

    weight = torch.ones(3, requires_grad=True)
    torch.manual_seed(3)
    with torch.inference_mode(), dispatched(see, torch.device("cpu")):
        drawn = torch.rand(3)
        product = weight * drawn
    assert seen == ["aten::rand", "aten::mul.Tensor"]
    assert not product.requires_grad
    torch.manual_seed(3)
    assert torch.equal(torch.rand(3), drawn)
    with torch.inference_mode(), dispatched(see, torch.device("cpu")):
        torch.rand(3)
    after = torch.rand(3)
    torch.manual_seed(3)
    torch.rand(3)
    assert torch.equal(torch.rand(3), after)


@pytest.mark.parametrize("before", ["", "import torch._dynamo;"])
def test_torch_s_compiler_is_not_imported_for_it(before: str) -> None:
    """It takes a second, of every run and of every worker; where it is there already, it is told to stay away."""
    code = (
        f"import sys, torch; {before} was = 'torch._dynamo' in sys.modules\n"
        "from prune_audit.nets.dispatched import dispatched\n"
        "with dispatched(lambda func, args, kwargs: func(*args, **kwargs), torch.device('cpu')):\n"
        "    assert torch.ones(2).sum() == 2\n"
        "assert ('torch._dynamo' in sys.modules) == was"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""The operators of a forward pass, seen one by one where torch dispatches them.

There they are the same for eager modules, TorchScript and exported programs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

See: TypeAlias = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], object]
"""Called in place of each operator with its arguments; gives what the operator gives."""


@contextmanager
def dispatched(see: See, device: torch.device) -> Iterator[None]:
    """Have ``see`` called for every operator, without gradients.

    Random numbers that are drawn on ``device`` or the CPU are given back.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            # To keep its compiler off this method torch imports it first, which takes a second; where nobody has
            # imported it, nothing is compiled.
            return "torch._dynamo" in sys.modules

        def __torch_dispatch__(
            self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> object:
            return see(func, args, kwargs or {})

    watching: Callable[[], AbstractContextManager[object]] = Watch
    cuda = [device] if device.type == "cuda" else []
    # In inference mode torch would not take operators apart into those that say what they do.
    with torch.random.fork_rng(cuda), torch.inference_mode(False), torch.no_grad(), watching():
        yield

"""The function that a torch module's scores come out of, seen while it runs.

A sigmoid at the end says that one output column holds probabilities, whatever their values; a product of matrices says
that it holds logits, even where all of them happen to lie between 0 and 1. Operators are watched where torch dispatches
them, because there they are the same for eager modules, TorchScript and exported programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prune_audit.core import Activation
from prune_audit.nets.dispatched import dispatched

if TYPE_CHECKING:
    import torch

_ENDS: dict[str, Activation] = {
    **dict.fromkeys(("sigmoid", "hardsigmoid"), "sigmoid"),
    **dict.fromkeys(("_softmax", "softmax", "_safe_softmax"), "softmax"),
    **dict.fromkeys(("_log_softmax", "log_softmax"), "log-softmax"),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "linear", "convolution", "_convolution"), "linear"),
    **dict.fromkeys(("mkldnn_linear", "mkldnn_convolution", "linear_dynamic"), "linear"),
}
# What changes the shape, the type or the place of scores, and leaves them what they are.
_PASSES = frozenset(
    {
        *("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "squeeze", "unsqueeze", "select", "slice"),
        *("expand", "t", "transpose", "permute", "alias", "detach", "clone", "contiguous", "_to_copy", "lift_fresh"),
        *("dequantize", "quantize_per_tensor"),
    }
)


def seen(call: Callable[[], torch.Tensor | None], device: torch.device) -> Activation | None:
    """What the tensor that ``call`` computes comes out of, None where it is something else or the call fails.

    Random numbers that it draws on ``device`` or the CPU are given back.
    """
    import torch

    found: dict[int, Activation] = {}
    alive: list[torch.Tensor] = []  # a tensor that is gone would leave its identity to another

    def see(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            alive.append(result)
            kind = _of(func.name(), [found.get(id(each)) for each in args])
            found.pop(id(result), None)  # an operator in place makes another thing of it
            if kind is not None:
                found[id(result)] = kind
        return result

    with dispatched(see, device):
        try:
            scores = call()
        # A forward pass may run anybody's code; what is wrong with it is said when it predicts.
        except Exception:
            return None
    return found.get(id(scores))


def _of(operator: str, taken: Sequence[Activation | None]) -> Activation | None:
    """What ``operator`` makes of arguments that come out of ``taken``."""
    name = operator.partition("::")[2].partition(".")[0].rstrip("_")
    if name in _PASSES:
        return taken[0] if taken else None
    if name == "add":  # of a bias
        return "linear" if "linear" in taken else None
    return _ENDS.get(name)

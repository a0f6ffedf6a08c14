"""Multiply-accumulates of one forward pass of a torch module, counted while it runs.

The operators that a pass ends in are the same whether the module is eager, TorchScript or an exported program, so they
are watched where torch dispatches them. torch's own counter (`torch.utils.flop_counter`) passes over what it does not
know, such as attention on the CPU, recurrent layers and products with a vector, and so gives numbers that are too
small; here whatever multiplies and is not known leaves no number at all. As in the literature, only convolutions and
products of matrices count, not biases, normalisation, pooling or resizing, and a weight of zero counts as any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from prune_audit.nets.dispatched import dispatched

if TYPE_CHECKING:
    import torch

# Names of operators that multiply matrices, or transform, or stand for a whole layer.
_MULTIPLIES = re.compile(
    r"(^|_)(s|b|hs|add|badd|addb|sspadd)?m[mv](_|$)|(^|_)v?dot|addr|matmul|conv(?!ert)|^(?!_?upsample).*linear"
    r"|rnn|lstm|gru|atten|multi_head|transformer|cdist|fft|linalg"
)


def macs(call: Callable[[], object], device: torch.device) -> int | None:
    """The multiply-accumulates of what ``call`` computes, None where they cannot be told or it fails.

    Random numbers that it draws on ``device`` or the CPU are given back.
    """
    counts: list[int | None] = []

    def see(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        result = func(*args, **kwargs)
        counts.append(_of(func, args, result))
        return result

    with dispatched(see, device):
        try:
            call()
        # A forward pass may run anybody's code; what is wrong with it is said when it predicts.
        except Exception:
            return None
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _of(func: Any, args: tuple[Any, ...], result: Any) -> int | None:
    """The multiply-accumulates of the operator ``func``, None where it is not known what it multiplies."""
    namespace, _, name = func.name().partition("::")
    count = _COUNTED.get(name.partition(".")[0].rstrip("_"))
    if namespace == "aten" and count is not None:
        return count(args, result)
    return None if namespace not in ("aten", "prim", "prims") or _MULTIPLIES.search(name) else 0


def _convolution(args: tuple[Any, ...], result: torch.Tensor) -> int:
    x, weight = args[:2]  # (B, C, ...), (O, C / groups, ...), transposed (C, O / groups, ...)
    transposed = len(args) > 6 and args[6] is True
    return int((x if transposed else result).numel() * math.prod(weight.shape[1:]))


def _matrices(first: int) -> Callable[[tuple[Any, ...], torch.Tensor], int]:
    """A product whose left factor (..., K) is the argument at ``first``."""
    return lambda args, result: int(result.numel() * args[first].shape[-1])


def _attention(args: tuple[Any, ...], _: object) -> int:
    query, key, value = args[:3]  # (B, H, L, E), (B, G, S, E), (B, G, S, V)
    pairs = math.prod(query.shape[:-1]) * key.shape[-2]
    return int(pairs * (query.shape[-1] + value.shape[-1]))


def _multi_head_attention(args: tuple[Any, ...], _: object) -> int | None:
    query, key, _, width = args[:4]  # (B, L, E), (B, S, E)
    if query.is_nested or key.is_nested:
        return None
    batch, length, others = query.shape[0], query.shape[1], key.shape[1]
    projections = 2 * length + 2 * others  # of the query and the output, of the key and the value
    return int(batch * width * (projections * width + 2 * length * others))


def _encoder_layer(args: tuple[Any, ...], result: object) -> int | None:
    x, width = args[:2]  # (B, L, E)
    attention = _multi_head_attention((x, x, x, width), result)
    return None if attention is None else int(attention + x.shape[0] * x.shape[1] * 2 * args[14].numel())


def _recurrent(args: tuple[Any, ...], _: object) -> int:
    x, of_input, of_state = args[:3]  # (L, B, I), (G * H, I), (G * H, H)
    return int(x.shape[0] * x.shape[1] * (of_input.numel() + of_state.numel()))


_ATTENTION = ("flash_attention", "flash_attention_for_cpu", "efficient_attention", "cudnn_attention")
_COUNTED: dict[str, Callable[[tuple[Any, ...], Any], int | None]] = {
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "_int_mm", "_scaled_mm", "_weight_int8pack_mm"), _matrices(0)),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _matrices(1)),
    **dict.fromkeys((f"_scaled_dot_product_{name}" for name in _ATTENTION), _attention),
    "_native_multi_head_attention": _multi_head_attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _recurrent,
}

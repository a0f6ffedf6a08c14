"""What in a torch module makes a prediction depend on chance, or on the other samples of its batch.

Seen in one forward pass, where torch dispatches its operators: those that draw random numbers are tagged so by torch
itself, and a normalisation says whether it takes the statistics of the batch. The mode of a module says nothing of
that: ``F.dropout(x)`` drops in every mode, and a module may ignore ``eval()``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from prune_audit.core import Suspect
from prune_audit.nets.dispatched import dispatched

if TYPE_CHECKING:
    import torch

_DYNAMIC = re.compile(
    r"quantized::\w*_dynamic|quantized_decomposed::choose_qparams(_symmetric)?\.|aten::_choose_qparams_per_tensor"
    r"|aten::quantize_per_tensor_dynamic|aten::quantized_(lstm|gru)"
)
# Functions that draw only where they drop; modules, such as those that skip layers, may draw and then not look.
_DROPS = re.compile("dropout|drop_?path|drop_?connect|stochastic_?depth", re.IGNORECASE)


def suspects(module: torch.nn.Module, call: Callable[[], object], device: torch.device) -> tuple[Suspect, ...]:
    """The suspect places of ``module``, as ``call`` runs it, each once and in order; none where the call fails.

    Random numbers that it draws on ``device`` or the CPU are given back.
    """
    found: dict[Suspect, None] = {}
    names = {id(child): name for name, child in module.named_modules()}

    def see(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
        kind = _kind(func, _given(func, args, kwargs))
        if kind is not None:
            callers = list(_callers(sys._getframe(1)))
            called = (func.name(), *(each.f_code.co_name for each in callers))
            if kind == "random" and any(map(_DROPS.search, called)):
                kind = "dropout"
            found[Suspect(kind=kind, where=_where(func, callers, names))] = None
        return func(*args, **kwargs)

    with dispatched(see, device):
        try:
            call()
        # A forward pass may run anybody's code; what is wrong with it is said when it predicts.
        except Exception:
            return ()
    return tuple(found)


def _given(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the operator ``func`` by their names, defaults included."""
    declared = func._schema.arguments
    defaults = {each.name: each.default_value for each in declared if each.has_default_value()}
    return defaults | dict(zip((each.name for each in declared), args, strict=False)) | dict(kwargs)


def _kind(func: Any, given: Mapping[str, Any]) -> Literal["dropout", "random", "batch", "dynamic"] | None:
    import torch

    name = func.name()
    if _DYNAMIC.match(name):
        return "dynamic"
    if "batch_norm" in name:
        # An instance norm is run as one of a batch of 1, with every channel of every sample as a channel.
        several = next(value for value in given.values() if isinstance(value, torch.Tensor)).shape[0] > 1
        return "batch" if several and (given.get("training") is True or "with_update" in name) else None
    off = any(given.get(each) is False for each in ("training", "train"))
    never = any(given.get(each) == 0 for each in ("dropout_p", "dropout", "p"))
    return "random" if torch.Tag.nondeterministic_seeded in func.tags and not (off or never) else None


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames from ``frame`` outwards, up to the forward pass of the innermost module."""
    import torch

    while frame is not None:
        yield frame
        if isinstance(frame.f_locals.get("self"), torch.nn.Module):
            return
        frame = frame.f_back


def _where(func: Any, callers: Sequence[FrameType], names: Mapping[int, str]) -> str:
    """The operator, and the module that called it, where that is more than a whole graph."""
    import torch

    operator = func.name().partition("::")[2].partition(".")[0].strip("_")
    owner = callers[-1].f_locals.get("self")
    if not isinstance(owner, torch.nn.Module) or isinstance(owner, torch.jit.ScriptModule | torch.fx.GraphModule):
        return f"the operator {operator}"
    kind = type(owner).__name__
    name = names.get(id(owner))
    return f"{operator} in {f'{name} ({kind})' if name else f'the forward of {kind}'}"

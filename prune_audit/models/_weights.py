"""Fit the weights of a checkpoint into the network that its architecture builds.

Training scripts save the same weights in many wrappings: inside a larger dict, behind the prefixes of DataParallel
and torch.compile, or as the two halves that torch's own pruning keeps. These are taken off. What then does not fit
is an error that names it, because a network that is half trained and half random still predicts something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from prune_audit.core import ModelSource
from prune_audit.errors import ModelError

if TYPE_CHECKING:
    import torch

# Where training scripts keep the weights in a checkpoint, the likeliest first.
NESTED = (
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "params", "weights"),
    *("state_dict_ema", "model_ema", "ema"),
)

_COMPILED = "_orig_mod."
_PARALLEL = "module."
_SHOWN = 3


def state_dict(content: object) -> dict[str, object] | None:
    """The weights in ``content``, what a checkpoint file holds; None where it holds none.

    They are the first of `NESTED` that is a module or holds tensors, at any depth, or else ``content`` itself.
    """
    import torch

    if isinstance(content, torch.nn.Module):
        return dict(content.state_dict())
    if not isinstance(content, Mapping):
        return None
    nested = (state_dict(content.get(key)) for key in NESTED)
    found = next((weights for weights in nested if weights), None)
    if found is None and any(isinstance(value, torch.Tensor) for value in content.values()):
        return {str(key): value for key, value in content.items()}
    return found


def fit(module: torch.nn.Module, weights: Mapping[str, object], source: ModelSource) -> None:
    """Copy ``weights`` into ``module``, in its own types, and leave it in evaluation mode.

    Raises:
        ModelError: a key is missing, left over, of another shape, or holds no tensor; the message names the first.
    """
    import torch

    wanted = module.state_dict()
    given = cleaned(weights, wanted)
    shapes = [
        f"{key} {_shape(given[key])} for {_shape(value)}"
        for key, value in wanted.items()
        if key in given and isinstance(value, torch.Tensor) and _shape(given[key]) != _shape(value)
    ]
    missing: Sequence[str] = [key for key in wanted if key not in given]
    extra: Sequence[str] = [key for key in given if key not in wanted]
    if not shapes:
        try:
            # Asked again, because a module may rename or fill in keys of older versions of itself.
            missing, extra = module.load_state_dict(given, strict=False)
        except RuntimeError as fault:
            raise ModelError(
                f"{source.path} does not fit {source.factory}: {' '.join(str(fault).split())}",
                hint="the factory must build the network that was saved",
            ) from fault
    problems = [_listed("missing", missing), _listed("extra", extra), _listed("of another shape", shapes)]
    if any(problems):
        raise ModelError(
            f"{source.path} does not fit {source.factory}: {'; '.join(filter(None, problems))}", hint=_hint(shapes)
        )
    module.eval()


def cleaned(weights: Mapping[str, object], wanted: Mapping[str, object]) -> dict[str, object]:
    """``weights`` without wrappings that the architecture, whose keys are ``wanted``, does not have itself.

    A first name that all keys share is a wrapping: that of DataParallel, or of the attribute in which Lightning and
    others keep the network. Without any ``wanted``, only wrappings that are known by name are taken off.
    """
    import torch

    compiled = any(_COMPILED in key for key in wanted)
    given = {key if compiled else key.replace(_COMPILED, ""): value for key, value in weights.items()}
    # AveragedModel counts beside the module that it wraps.
    averaged = {key: value for key, value in given.items() if key != "n_averaged"}
    while averaged and not averaged.keys() <= wanted.keys():
        prefix = _shared(averaged)
        own = any(key.startswith(prefix) for key in wanted) if wanted else True
        if not prefix or (own and prefix != _PARALLEL):
            break
        given = averaged = {key.removeprefix(prefix): value for key, value in averaged.items()}
    for key in [key for key in given if key.endswith("_orig")]:
        name = key.removesuffix("_orig")
        weight, mask = given[key], given.get(f"{name}_mask")
        if key not in wanted and isinstance(weight, torch.Tensor) and isinstance(mask, torch.Tensor):
            given[name] = weight * mask
            del given[key], given[f"{name}_mask"]
    return {
        k: v.to_dense() if isinstance(v, torch.Tensor) and v.layout != torch.strided else v for k, v in given.items()
    }


def _shared(keys: Iterable[str]) -> str:
    """The first name of all ``keys`` with its dot, '' where they do not share one."""
    first = {key.partition(".")[0] if "." in key else "" for key in keys}
    return f"{first.pop()}." if len(first) == 1 and "" not in first else ""


def _shape(value: object) -> str:
    import torch

    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__


def _listed(what: str, found: Sequence[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} {what}: {', '.join(found[:_SHOWN])}{more}" if found else ""


def _hint(shapes: Sequence[str]) -> str:
    if shapes:
        return "give the factory the arguments of the saved network (num_classes=...); one whose channels were pruned \
away needs a factory that builds the smaller layers, or export it to ONNX"
    return "the factory must build exactly the network that was saved"

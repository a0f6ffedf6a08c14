"""TorchScript archives (.pt), scripted, traced or frozen.

A TorchScript file is a program: loading it runs what it says to restore itself. So its records are checked first, and
an archive of the checked records alone is loaded. Densities come from the graph, where the weights of a frozen module
still are when its layers are gone.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from prune_audit.core import Expects, Input, ModelCard, ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile
from prune_audit.models import _classes, _container, _files, _graph, _script_check
from prune_audit.models._factory import refuse_factory
from prune_audit.models._torch import TorchClassifier, device_of, parameters


def recognises(path: Path) -> bool:
    """Whether ``path`` is a zip archive with TorchScript code; runs nothing."""
    names = _container.names(path)
    return "constants.pkl" in names and any(name.startswith("code/") for name in names)


def load(source: ModelSource, settings: Settings) -> TorchClassifier:
    """Load the module at ``source``.

    Raises:
        UnsafeFile: its code could do more than compute, and ``settings.allow_pickle`` does not permit that.
        ModelError: it is damaged, has no ``forward``, or was traced in training mode.
    """
    import torch

    path = source.path
    refuse_factory(source)
    device = device_of(settings.device)
    with _opened(path, settings.allow_pickle) as content, _quiet():
        try:
            # Constants of a frozen module move only while it is loaded.
            module: Any = torch.jit.load(content, map_location=device)
        except (RuntimeError, ValueError, TypeError, AttributeError) as fault:
            raise ModelError(
                f"{path} is TorchScript that torch {torch.__version__} cannot load: {_gist(fault)}",
                hint="export it again with the torch that is installed here",
            ) from fault
    if not hasattr(module, "forward"):
        raise ModelError(f"{path} has no method forward", hint="export the module that classifies")
    module.eval()
    calls = tuple(_calls(module))
    _graph.refuse_training(calls, source.name)
    card = ModelCard(
        name=source.name,
        path=str(path),
        format="TorchScript",
        digest=_files.digest(path),
        size=_files.size(path),
        layers=_graph.layers(calls),
        # A frozen module has no parameters any more, only constants.
        parameters=parameters(module) or _graph.parameters(calls) or None,
    )
    return TorchClassifier(module, card, _expects(module, calls, path), settings.device)


def _opened(path: Path, allowed: bool) -> IO[bytes]:
    """An archive of the records of ``path`` that loading needs, or the file itself where it objects and may."""
    records = _container.read(path, _needed)
    if found := next(_script_check.objections(records), None):
        if allowed:
            return path.open("rb")
        raise UnsafeFile(
            f"{path} was not loaded because its code could do more than compute: {found}",
            hint="export the model to ONNX or save its state dict, or give --allow-pickle if you trust the file",
        )
    return _container.rebuilt(records)


def _needed(name: str) -> bool:
    top = name.partition("/")[0]
    code = top == "code" and name.endswith(".py")
    return code or top in ("data", "constants", "data.pkl", "constants.pkl", "version", "byteorder", ".data")


@contextmanager
def _quiet() -> Iterator[None]:
    """Do not tell users that TorchScript is deprecated: they only audit files that exist."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.", category=DeprecationWarning)
        yield


def _expects(module: Any, calls: tuple[_graph.Call, ...], path: Path) -> Expects:
    arguments = [a for a in module.forward.schema.arguments[1:] if not a.has_default_value()]
    dtype = _graph.dtype(calls)
    extra = {
        name.removeprefix("extra/").partition(".")[0]: content.decode(errors="replace")
        for name, content in _container.read(path, lambda name: name.startswith("extra/")).items()
    }
    return Expects(
        inputs=tuple(Input(name=argument.name, dtype=dtype) for argument in arguments),
        channels=_graph.channels(calls),
        classes=_classes.names({"classes": getattr(module, "classes", None)}) or _classes.names(extra),
    )


def _calls(module: Any) -> Iterator[_graph.Call]:
    """Every use of an operator in ``module.forward``, in order, with what it does not compute from the input."""
    import torch

    def walk(block: Any) -> Iterator[Any]:
        for node in block.nodes():
            yield node
            for inner in node.blocks():
                yield from walk(inner)

    for node in walk(module.inlined_graph):
        if not node.kind().startswith("aten::") or node.schema() == "(no schema)":
            continue
        names = [argument.name for argument in torch._C.parse_schema(node.schema()).arguments]
        found = {name: _value(value, module) for name, value in zip(names, node.inputs(), strict=False)}
        yield _graph.Call(
            operator=node.kind().removeprefix("aten::"),
            stored={name: value for name, value in found.items() if isinstance(value, _graph.Stored)},
            constants={name: value for name, value in found.items() if isinstance(value, bool | int | float)},
        )


def _value(value: Any, module: Any) -> object:
    """What ``value`` is of whatever input: a `_graph.Stored`, a plain constant, else None."""
    import torch

    node = value.node()
    kind = node.kind()
    inputs = list(node.inputs())
    known: Any = None
    name = value.debugName()
    if kind == "prim::Constant":
        known = value.toIValue()
        name = f"constants.{name}"
    elif kind == "prim::GetAttr":
        names = _attribute(node)
        name = ".".join(names)
        known = functools.reduce(lambda owner, name: getattr(owner, name, None), names, module)
    elif kind == "aten::mul":
        weight = _value(inputs[0], module)
        mask = _value(inputs[1], module) if isinstance(weight, _graph.Stored) else None
        if isinstance(weight, _graph.Stored) and isinstance(mask, _graph.Stored):
            return _graph.masked(weight, mask)
    elif kind in ("prim::ListUnpack", "prim::TupleUnpack", "prim::unchecked_cast") or (
        kind.startswith("aten::") and _graph.is_view(kind.removeprefix("aten::"))
    ):
        return _value(inputs[0], module)
    if isinstance(known, torch.Tensor):
        return _graph.Stored(name=name, values=known.detach(), tensor=known)
    return known


def _attribute(node: Any) -> list[str]:
    """The path from the module to the attribute that ``node`` gets."""
    names: list[str] = []
    while node.kind() == "prim::GetAttr":
        names.insert(0, node.s("name"))
        node = next(node.inputs()).node()
    return names


def _gist(fault: Exception) -> str:
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return lines[0] if lines else type(fault).__name__

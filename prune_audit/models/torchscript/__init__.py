"""TorchScript archives (.pt), scripted, traced or frozen.

A TorchScript file is a program: loading it runs what it says to restore itself. So its records are checked first, and
an archive of the checked records alone is loaded. Densities come from the graph, where the weights of a frozen module
still are when its layers are gone.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from prune_audit.core import Expects, Input, ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile
from prune_audit.evaluate.model_output import of
from prune_audit.files import on_disk
from prune_audit.models import _classes, _container
from prune_audit.models._factory import refuse_factory
from prune_audit.models.torchscript import code_check
from prune_audit.nets import operator_graph, packed_weights
from prune_audit.nets.module import TorchClassifier, device_of, gist, parameters

if TYPE_CHECKING:
    import torch

RUNTIME = ("torch",)
"""What runs such a file, which holds a program: it is loaded in a worker, which imports this."""

# Warning filters are process-wide, while models run in separate threads.
_OPTIMISING = threading.Lock()
# None is a constant like any other.
_UNKNOWN = object()


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
        # What torch cannot rebuild fails in whatever part of it that reaches.
        except Exception as fault:
            raise ModelError(
                f"{path} is TorchScript that torch {torch.__version__} cannot load: {gist(fault)}",
                hint="export it again with the torch that is installed here",
            ) from fault
    if not hasattr(module, "forward"):
        raise ModelError(f"{path} has no method forward", hint="export the module that classifies")
    module.eval()
    calls = tuple(_calls(module))
    operator_graph.refuse_training(calls, source.name)
    card = on_disk.card(
        source,
        path,
        form="TorchScript",
        layers=operator_graph.layers(calls),
        parameters=_parameters(module, calls) or None,
        uncounted=operator_graph.uncounted(calls),
    )
    return TorchClassifier(
        module,
        card,
        _expects(module, calls, path),
        settings.device,
        threads=settings.threads,
        outputs=of(source, settings),
        faster=(lambda: _optimised(module)) if device.type == "cpu" else None,
    )


def _parameters(module: Any, calls: Sequence[operator_graph.Call]) -> int:
    """The number of parameters: a frozen module has none any more, only constants, and a quantised one packs them."""
    own = parameters(module)
    return own + operator_graph.integers(calls) if own else operator_graph.parameters(calls)


def _optimised(module: Any) -> torch.nn.Module:
    """``module`` with normalisation folded into convolutions, and their weights laid out for the processor.

    For a network like MobileNetV2 that takes 0.2 s, and each pass then a half to a quarter of the time.
    """
    import torch

    with _OPTIMISING, _quiet():
        optimised: torch.nn.Module = torch.jit.optimize_for_inference(module)
    return optimised


def _opened(path: Path, allowed: bool) -> IO[bytes]:
    """An archive of the records of ``path`` that loading needs, or the file itself where it objects and may."""
    records = code_check.silenced(_container.read(path, _needed))
    if found := next(code_check.objections(records), None):
        if allowed:
            return path.open("rb")
        raise UnsafeFile(
            f"{path} was not loaded because its code could do more than compute: {found}",
            hint="export the model to ONNX or save its state dict, or give --allow-pickle if you trust the file",
        )
    try:
        code_check.measure(records)
    except ModelError as fault:
        raise ModelError(f"{path}: {fault.message}", hint=fault.hint) from fault
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


def _expects(module: Any, calls: tuple[operator_graph.Call, ...], path: Path) -> Expects:
    arguments = [a for a in module.forward.schema.arguments[1:] if not a.has_default_value()]
    dtype = operator_graph.dtype(calls)
    extra = {
        name.removeprefix("extra/").partition(".")[0]: content.decode(errors="replace")
        for name, content in _container.read(path, lambda name: name.startswith("extra/")).items()
    }
    return Expects(
        inputs=tuple(Input(name=argument.name, dtype=dtype) for argument in arguments),
        channels=operator_graph.channels(calls),
        classes=_classes.names({"classes": getattr(module, "classes", None)}) or _classes.names(extra),
    )


def _calls(module: Any) -> Iterator[operator_graph.Call]:
    """Every use of an operator in ``module.forward``, in order, with what it does not compute from the input."""
    import torch

    graph = module.inlined_graph
    # What is known of values, by their names: submodules, constants, and `_graph.Stored` for tensors.
    known: dict[str, Any] = {next(graph.inputs()).debugName(): ("", module)}
    for node in _nodes(graph):
        values = [known.get(value.debugName(), _UNKNOWN) for value in node.inputs()]
        for output, found in zip(node.outputs(), _results(node, values), strict=False):
            known[output.debugName()] = found
        if node.kind().startswith("aten::") and node.schema() != "(no schema)":
            names = [argument.name for argument in torch._C.parse_schema(node.schema()).arguments]
            given = dict(zip(names, values, strict=False))
            taken = {name: _tensors(value) for name, value in given.items()}
            yield operator_graph.Call(
                operator=node.kind().removeprefix("aten::"),
                stored={name: value for name, value in taken.items() if value},
                constants={name: value for name, value in given.items() if isinstance(value, bool | int | float)},
            )
        for output in node.outputs():
            found = known.get(output.debugName())
            if isinstance(found, tuple) and packed_weights.is_packed(found[1]):
                yield _unpacked(*found)


def _unpacked(name: str, packed: Any) -> operator_graph.Call:
    """The packed object called ``name`` where it is first reached; how it gets to its operator does not matter."""
    parts = packed_weights.parts(packed)
    if parts is None:
        return operator_graph.Call(operator="packed", sealed=(name,))
    return operator_graph.Call(operator="packed", packed={packed_weights.called(name, part): part for part in parts})


def _tensors(value: Any) -> Any:
    """``value`` where it is a tensor of the file, those in it where it is a list, else None."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, operator_graph.Stored)]
    return value if isinstance(value, operator_graph.Stored) else None


def _nodes(block: Any) -> Iterator[Any]:
    """The nodes of ``block`` and of the blocks inside, in the order in which they run."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _results(node: Any, values: list[Any]) -> Sequence[Any]:
    """What is known of the outputs of ``node`` from its ``values``; nothing where they depend on the input."""
    import torch

    kind = node.kind()
    if kind == "prim::Constant":
        constant = node.output().toIValue()
        return [_held(f"constants.{node.output().debugName()}", constant)]
    if kind == "prim::GetAttr" and isinstance(values[0], tuple):
        path, owner = values[0]
        path = f"{path}.{node.s('name')}".removeprefix(".")
        return [_held(path, getattr(owner, node.s("name"), _UNKNOWN), owner)]
    if kind == "prim::ListConstruct":
        return [values if _all_known(values) else _Partly(values)]
    if kind in ("prim::unchecked_cast", "aten::_unwrap_optional"):
        return values[:1]
    sources = [value for item in values for value in _items(item) if isinstance(value, operator_graph.Stored)]
    if not sources:
        return []
    if kind in ("prim::ListUnpack", "prim::TupleUnpack") and isinstance(sources[0].values, list | tuple):
        return [operator_graph.derived(part, sources) for part in sources[0].values]
    if not kind.startswith("aten::"):
        return []
    operator = kind.removeprefix("aten::")
    if _all_known(values) and not operator.endswith("_"):
        plain = [[_plain(v) for v in item] if isinstance(item, list) else _plain(item) for item in values]
        try:
            result = getattr(torch.ops.aten, operator)(*plain)
        except (RuntimeError, TypeError, AttributeError):
            # TorchScript has operators, and numbers for types, that cannot be called from here.
            result = _UNKNOWN
        if isinstance(result, torch.Tensor | list | tuple):
            return [operator_graph.derived(result, sources)]
    return values[:1] if operator_graph.is_view(operator) else []


class _Partly(list[Any]):
    """A list of which some depend on the input, so that nothing can be computed from it."""


def _all_known(values: list[Any]) -> bool:
    return not any(value is _UNKNOWN or isinstance(value, _Partly) for value in values)


def _held(name: str, found: Any, owner: Any = None) -> Any:
    """A tensor, a submodule or a packed object together with its name; other constants as they are.

    Tensors in a list are called as the parameters of ``owner`` that they are.
    """
    import torch

    if isinstance(found, torch.Tensor):
        return operator_graph.Stored(name=name, tensor=found, values=found.detach())
    if isinstance(found, list) and found and all(isinstance(item, torch.Tensor) for item in found):
        own = {} if owner is None else {p.data_ptr(): key for key, p in owner.named_parameters(recurse=False)}
        front = name.rpartition(".")[0]
        names = [f"{front}.{own[t.data_ptr()]}" if t.data_ptr() in own else f"{name}.{i}" for i, t in enumerate(found)]
        return [_held(each.removeprefix("."), tensor) for each, tensor in zip(names, found, strict=True)]
    return (name, found) if isinstance(found, torch.nn.Module) or packed_weights.is_packed(found) else found


def _items(value: Any) -> list[Any]:
    if isinstance(value, _Partly):
        return []
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    return value.values if isinstance(value, operator_graph.Stored) else value

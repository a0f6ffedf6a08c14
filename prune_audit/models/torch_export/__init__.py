"""torch.export programs (.pt2), with dynamic or fixed batch.

``torch.export.load`` trusts its file entirely, so what is loaded here is a copy that holds only what was checked. A
program is a graph in the mode that it was exported in, and no later call can put it into another; one that was
exported for training is refused.
"""

from __future__ import annotations

import contextlib
import logging
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from prune_audit.core import Expects, Input, Layout, ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile
from prune_audit.evaluate.model_output import Output, columns_of, of
from prune_audit.files import on_disk
from prune_audit.models import _classes, _container
from prune_audit.models._factory import refuse_factory
from prune_audit.models.torch_export import program_check
from prune_audit.nets import operator_graph
from prune_audit.nets.module import TorchClassifier, device_of, numpy_name, tensors_in

if TYPE_CHECKING:
    import torch

RUNTIME = ("torch",)
"""What runs such a file, which holds a program: it is loaded in a worker, which imports this."""


def recognises(path: Path) -> bool:
    """Whether ``path`` is a zip archive with an exported program; runs nothing."""
    names = _container.names(path)
    return "archive_format" in names and any(n.startswith("models/") and n.endswith(".json") for n in names)


def load(source: ModelSource, settings: Settings) -> TorchClassifier:
    """Load the program at ``source``.

    Raises:
        UnsafeFile: it holds more than a program of known operators, and ``settings.allow_pickle`` does not permit that.
        ModelError: it is damaged, was written by a torch too different, or was exported in training mode.
    """
    import torch

    path = source.path
    refuse_factory(source)
    device_of(settings.device)
    if "models/model.json" not in _container.names(path):
        raise ModelError(
            f"{path} holds several programs, none of which is called 'model'",
            hint="save one program with torch.export.save",
        )
    with _opened(path, settings) as content, _quiet():
        try:
            program = torch.export.load(content)
        # A graph that torch cannot rebuild fails in whatever part of torch it reaches.
        except Exception as fault:
            raise ModelError(
                f"{path} is a torch.export program that torch {torch.__version__} cannot load",
                hint="the file is damaged, or was saved by another version of torch: export it again with this one",
            ) from fault
    stored = _stored(program)
    calls = tuple(_calls(program.graph, stored))
    operator_graph.refuse_training(calls, source.name)
    card = on_disk.card(
        source,
        path,
        form="torch.export",
        layers=operator_graph.layers(calls),
        parameters=sum(parameter.numel() for parameter in program.parameters()) + operator_graph.integers(calls),
        uncounted=operator_graph.uncounted(calls),
    )
    module = program.module()
    gives, outputs, scores = _gives(program), of(source, settings), None
    with contextlib.suppress(ModelError):  # a program that cannot be audited can be looked at
        scores = outputs.declared(gives)
    return TorchClassifier(
        module,
        card,
        _expects(program, calls, path, scores),
        settings.device,
        _caller(program, module),
        threads=settings.threads,
        outputs=outputs,
        gives=gives,
    )


def _opened(path: Path, settings: Settings) -> IO[bytes]:
    """A checked copy of the archive at ``path``, or the file itself where it objects and may."""
    try:
        records = _container.read(path, program_check.needed)
        return _container.rebuilt(program_check.checked(records, settings.device))
    except UnsafeFile as fault:
        if settings.allow_pickle:
            return path.open("rb")
        raise UnsafeFile(
            f"{path} was not loaded because it could run code: {fault.message}", hint=fault.hint
        ) from fault
    except ModelError as fault:
        told = fault.message if str(path) in fault.message else f"{path}: {fault.message}"
        raise ModelError(told, hint=fault.hint) from fault


@contextmanager
def _quiet() -> Iterator[None]:
    """Do not log the traceback of what becomes a `ModelError` anyway."""
    logger = logging.getLogger("torch.export")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _stored(program: torch.export.ExportedProgram) -> dict[str, operator_graph.Stored]:
    """The tensors that the program brings with it, by the names of the placeholders that take them in."""
    signature = program.graph_signature
    named = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors = {**program.constants, **program.state_dict}
    return {
        placeholder: operator_graph.Stored(name=name, tensor=tensors[name], values=tensors[name].detach())
        for placeholder, name in named.items()
    }


def _calls(graph: torch.fx.Graph, stored: Mapping[str, operator_graph.Stored]) -> Iterator[operator_graph.Call]:
    """Every use of an operator in ``graph``, in order, with what it does not compute from the input.

    ``stored`` are the tensors that placeholders stand for, by their names.
    """

    known: dict[object, operator_graph.Stored] = {}
    for node in graph.nodes:
        if node.op == "placeholder" and node.name in stored:
            known[node] = stored[node.name]
        if node.op != "call_function":
            continue
        schema = getattr(node.target, "_schema", None)
        if schema is not None:
            given = dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | dict(node.kwargs)
            taken = {key: _known_of(value, known) for key, value in given.items()}
            yield operator_graph.Call(
                operator=schema.name.partition("::")[2],
                stored={key: value for key, value in taken.items() if value},
                constants={key: value for key, value in given.items() if isinstance(value, bool | int | float)},
            )
        elif node.target is not operator.getitem:
            yield from _inner_calls(node, known)
        if found := _derived(node, known):
            known[node] = found


def _known_of(
    value: object, known: Mapping[object, operator_graph.Stored]
) -> operator_graph.Stored | tuple[operator_graph.Stored, ...] | None:
    """What is ``known`` of the argument ``value``: a node, or a list of such."""
    import torch

    if isinstance(value, list | tuple):
        return tuple(known[item] for item in value if isinstance(item, torch.fx.Node) and item in known)
    return known.get(value) if isinstance(value, torch.fx.Node) else None


def _derived(node: torch.fx.Node, known: Mapping[object, operator_graph.Stored]) -> operator_graph.Stored | None:
    """What ``node`` computes, where it needs nothing but what is ``known``."""
    import torch

    sources = [known[value] for value in node.all_input_nodes if value in known]
    target: Any = node.target
    schema = getattr(target, "_schema", None)
    pure = target is operator.getitem or (schema is not None and not schema.is_mutable)
    if sources and pure and len(sources) == len(node.all_input_nodes):
        args = torch.fx.node.map_arg(node.args, lambda value: known[value].values)
        kwargs = torch.fx.node.map_arg(node.kwargs, lambda value: known[value].values)
        return operator_graph.derived(target(*args, **kwargs), sources)
    if schema is not None and operator_graph.is_view(schema.name.partition("::")[2]):
        return known.get(node.args[0])
    return None


def _inner_calls(node: torch.fx.Node, known: Mapping[object, operator_graph.Stored]) -> Iterator[operator_graph.Call]:
    """The calls in the graphs that ``node`` is given, such as the branches of a condition.

    What follows the last graph among the arguments goes in by position.
    """
    import torch

    flat: list[Any] = []
    for argument in node.args:
        flat.extend(argument if isinstance(argument, list | tuple) else [argument])
    places = [k for k, item in enumerate(flat) if isinstance(item, torch.fx.Node) and item.op == "get_attr"]
    owner: Any = node.graph.owning_module
    for place in places:
        inner: torch.fx.Graph = owner.get_submodule(flat[place].target).graph
        taken = [n.name for n in inner.nodes if n.op == "placeholder"]
        operands = zip(taken, flat[places[-1] + 1 :], strict=False)
        held = {name: known[item] for name, item in operands if isinstance(item, torch.fx.Node) and item in known}
        yield from _calls(inner, held)


def _caller(
    program: torch.export.ExportedProgram, module: torch.nn.Module
) -> Callable[[Mapping[str, torch.Tensor]], object]:
    """How to call ``module`` with tensors by name: just as the program was exported, by position or by keyword."""
    from torch.export.graph_signature import InputKind, TensorArgument

    leaves = [spec.arg for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]
    wanted = [leaf.name for leaf in leaves if isinstance(leaf, TensorArgument)]

    def call(tensors: Mapping[str, torch.Tensor]) -> object:
        if len(tensors) == len(wanted) == 1:
            tensors = {wanted[0]: next(iter(tensors.values()))}
        if set(tensors) != set(wanted):
            raise TypeError(f"expected inputs {', '.join(wanted)}, found {', '.join(tensors)}")
        values = [tensors[leaf.name] if leaf.name in tensors else getattr(leaf, "value", None) for leaf in leaves]
        args, kwargs = program.call_spec.in_spec.unflatten(values)
        return module(*args, **kwargs)

    return call


def _expects(
    program: torch.export.ExportedProgram, calls: tuple[operator_graph.Call, ...], path: Path, scores: Output | None
) -> Expects:
    import torch

    nodes = {node.name: node for node in program.graph.nodes}
    inputs = []
    for name in program.graph_signature.user_inputs:
        value = nodes[name].meta.get("val") if name in nodes else None
        if isinstance(value, torch.Tensor):
            inputs.append(Input(name=str(name), dtype=numpy_name(value.dtype), shape=_known(value.shape)))
    batch = inputs[0].shape[0] if inputs and inputs[0].shape else None
    image = next((i.shape[1:] for i in inputs if i.shape and len(i.shape) == 4), (None, None, None))
    channels = operator_graph.channels(calls)
    layout: Layout = "NHWC" if image[2] is not None and image[2] == channels != image[0] else "NCHW"
    height, width = image[1:] if layout == "NCHW" else image[:2]
    outputs = None if scores is None else columns_of(scores)
    extra = _container.read(path, lambda name: name.startswith("extra/"))
    texts = {name[len("extra/") :].partition(".")[0]: text.decode(errors="replace") for name, text in extra.items()}
    return Expects(
        inputs=tuple(inputs),
        batch=batch,
        layout=layout,
        channels=channels or image[0 if layout == "NCHW" else 2],
        size=(height, width) if height and width else None,
        outputs=outputs,
        classes=_classes.names(texts, outputs),
    )


def _gives(program: torch.export.ExportedProgram) -> tuple[Output, ...]:
    """The tensors that the program returns."""
    nodes = {node.name: node for node in program.graph.nodes}
    leaves = [nodes[name].meta.get("val") if name in nodes else name for name in program.graph_signature.user_outputs]
    found = tensors_in(program.call_spec.out_spec.unflatten(leaves))
    return tuple(Output(name=n, shape=_known(t.shape), dtype=numpy_name(t.dtype)) for n, t in found)


def _known(shape: Iterable[int]) -> tuple[int | None, ...]:
    """``shape`` with None for the dimensions that are symbols."""
    return tuple(length if type(length) is int else None for length in shape)

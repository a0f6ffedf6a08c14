"""What an ONNX model declares of its inputs and outputs, and how images go in.

Nothing in the format says where an image's channels are, so that is told by the shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prune_audit.core import Expects, Input, Layout
from prune_audit.errors import ModelError
from prune_audit.evaluate.model_output import Output, columns_of
from prune_audit.models._classes import names

if TYPE_CHECKING:
    from onnx import ModelProto

_DTYPES = {"float16": "float16", "float": "float32", "double": "float64", "bool": "bool", "string": "str"}
_DTYPES |= {f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def outputs_of(session: Any) -> tuple[Output, ...]:
    """The outputs that the model declares."""

    def output(declared: Any) -> Output:
        if declared.type.startswith("seq(map("):
            return Output(name=declared.name, shape=None, dtype="maps")
        # A number has no dimensions either, and onnxruntime tells that no otherwise than an unknown shape.
        shape = tuple(n if isinstance(n, int) and n > 0 else None for n in declared.shape) or None
        inner = declared.type.removeprefix("tensor(").removesuffix(")")
        return Output(name=declared.name, shape=shape, dtype=_DTYPES.get(inner, inner))

    return tuple(output(declared) for declared in session.get_outputs())


def labels_of(model: ModelProto) -> dict[str, list[object]]:
    """The keys of the maps that scikit-learn's exporter wraps scores in, in the order of the columns, by output."""
    found: dict[str, list[object]] = {}
    for node in model.graph.node:
        if node.op_type == "ZipMap":
            for attribute in node.attribute:
                keys: list[object] = [name.decode() for name in attribute.strings] or list(attribute.ints)
                if keys:
                    found |= dict.fromkeys(node.output, keys)
    return found


def expects_of(session: Any, output: Output | None, labels: Sequence[object], path: Path) -> Expects:
    """What the model declares of its inputs, and of ``output``, whose columns may bear ``labels``.

    ``output`` is None where it is not known yet which one holds the scores.

    Raises:
        ModelError: an input is of a type that numpy has not.
    """
    inputs = tuple(_input(i, path) for i in session.get_inputs())
    shapes = [i.shape for i in inputs if i.shape]
    # Beside inputs of several dimensions, one of a single dimension is a setting rather than a batch.
    batched = [shape for shape in shapes if len(shape) > 1] or shapes
    batches = [shape[0] for shape in batched if shape[0] is not None]
    image = next((shape for shape in shapes if len(shape) == 4), None)
    layout = _layout(image) if image else "NCHW"
    channels = image[1 if layout == "NCHW" else 3] if image else None
    height, width = (image[2:] if layout == "NCHW" else image[1:3]) if image else (None, None)
    shaped = output if output is not None and len(output.shape or ()) > 1 else None
    if (shaped and columns_of(shaped) not in (None, len(labels))) or len(set(labels)) < len(labels):
        labels = []  # which are of something else, or of two classes that share one column
    # One column of integers holds class labels, and says nothing of how many classes there are.
    labelled = output is None or (columns_of(output) == 1 and "int" in output.dtype)
    outputs = len(labels) or (None if output is None or labelled else columns_of(output))
    classes = names(session.get_modelmeta().custom_metadata_map, outputs)
    if classes is None and labels and labels != list(range(len(labels))):
        classes = tuple(str(label) for label in labels)
    return Expects(
        inputs=inputs,
        batch=batches[0] if batches else None,
        layout=layout,
        channels=channels,
        size=(height, width) if height and width else None,
        outputs=outputs,
        classes=classes,
    )


def _input(declared: Any, path: Path) -> Input:
    dtype = _DTYPES.get(declared.type.removeprefix("tensor(").removesuffix(")"))
    if dtype is None:
        raise ModelError(
            f"{path}: expected inputs of a type that numpy has, found {declared.name} of type {declared.type}",
            hint="export the model with float32 inputs",
        )
    return Input(
        name=declared.name,
        dtype=dtype,
        shape=tuple(n if isinstance(n, int) and n > 0 else None for n in declared.shape) or None,
    )


def _layout(shape: tuple[int | None, ...]) -> Layout:
    """Channels are the dimension that is small, or else the one that differs from the other two."""
    _, first, middle, last = shape
    if last is None or (first is not None and first <= 4):
        return "NCHW"
    return "NHWC" if last <= 4 or (first == middle != last) else "NCHW"

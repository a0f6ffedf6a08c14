"""What an ONNX model declares of its inputs and outputs: which output holds the scores, and how images go in.

Nothing in the format says which of several outputs matters, or where an image's channels are, so both are told by
the shapes, and by the names that exporters use.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prune_audit.core import Expects, Input, Layout
from prune_audit.errors import ModelError
from prune_audit.models._classes import names

if TYPE_CHECKING:
    from onnx import ModelProto

_DTYPES = {"float16": "float16", "float": "float32", "double": "float64", "bool": "bool", "string": "str"}
_DTYPES |= {f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_SCORES = ("logits", "probabilities", "output")


def scores_of(session: Any, path: Path) -> Any:
    """The output that holds the scores, best first: by its name, by its shape, or the class labels alone.

    Raises:
        ModelError: no output can be scores.
    """

    def rank(output: Any) -> int:
        if output.type.startswith("seq(map("):
            return 2
        shape, floating = output.shape, output.type in ("tensor(float)", "tensor(float16)", "tensor(double)")
        if floating and len(shape) in (0, 2):
            return 0 if output.name.lower() in _SCORES else 1
        if floating and (len(shape) == 1 or all(n == 1 for n in shape[2:])):
            return 3
        return 4 if output.type.startswith(("tensor(int", "tensor(uint")) and len(shape) < 3 else 5

    outputs = session.get_outputs()
    best = min(outputs, key=rank, default=None)
    if best is None or rank(best) == 5:
        found = ", ".join(f"{o.name} {o.type} {o.shape}" for o in outputs) or "none"
        raise ModelError(
            f"{path}: expected an output of shape (batch, classes), found {found}",
            hint="export the model so that it returns its logits",
        )
    return best


def labels_of(model: ModelProto, output: str) -> list[object]:
    """The keys of the maps that scikit-learn's exporter wraps scores in, in the order of the columns."""
    for node in model.graph.node:
        if node.op_type == "ZipMap" and output in node.output:
            for attribute in node.attribute:
                if attribute.strings:
                    return [name.decode() for name in attribute.strings]
                if attribute.ints:
                    return list(attribute.ints)
    return []


def expects_of(session: Any, output: Any, labels: Sequence[object], path: Path) -> Expects:
    """What the model declares of its inputs, and of ``output``, whose columns may bear ``labels``.

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
    columns = output.shape[1] if len(output.shape) > 1 and isinstance(output.shape[1], int) else None
    if columns not in (None, len(labels)) or len(set(labels)) < len(labels):
        labels = []  # which are of something else, or of two classes that share one column
    # One column of integers holds class labels, and says nothing of how many classes there are.
    outputs = len(labels) or (None if columns == 1 and "int" in output.type else columns)
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

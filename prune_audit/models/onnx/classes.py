"""Class names that stand in the nodes of an ONNX graph, as converters of scikit-learn and of boosted trees write them.

A classifier of ai.onnx.ml lists its classes in the order of its scores, and a LabelEncoder behind ArgMax says what the
position of the highest score is called. Pipelines have encoders for their inputs, too, so that only what belongs to
the output that holds the scores counts: the way back from it may change numbers, never columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_CLASSIFIERS = ("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier")
_LABELS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")
_ALONG = ("Identity", "Cast", "Normalizer", "Softmax", "LogSoftmax", "Sigmoid", "Log", "Exp", "Clip", "ZipMap")
_KEYS, _VALUES = ("keys_int64s", "keys_tensor"), ("values_strings", "values_tensor")


def named(model: ModelProto, output: str) -> list[object]:
    """What the nodes behind the ``output`` of scores call its columns, in their order; empty where they do not."""
    made = {name: node for node in model.graph.node for name in node.output}
    way = _back(output, made)
    node = made.get(way[-1])
    labels = _listed(node, _LABELS) if node is not None and node.op_type in _CLASSIFIERS else []
    for encoder in model.graph.node:
        if encoder.op_type == "LabelEncoder" and encoder.input:
            called = _encoded(encoder)
            source = made.get(_back(encoder.input[0], made)[-1])
            if source is None:
                continue
            if source.op_type == "ArgMax" and set(_back(source.input[0], made)) & set(way):
                return [called.get(at) for at in range(len(called))] if set(called) == set(range(len(called))) else []
            if source is node and labels:
                return [called.get(label, label) for label in labels]
    return labels


def _back(name: str, made: Mapping[str, NodeProto]) -> list[str]:
    """The tensors from ``name`` back, as long as columns stay what they are."""
    way = [name]
    while (node := made.get(way[-1])) is not None and node.op_type in _ALONG and node.input[0] not in way:
        way.append(node.input[0])
    return way


def _encoded(encoder: NodeProto) -> dict[object, object]:
    """What a LabelEncoder makes of each number; the first version of the operator counts from 0."""
    first = _listed(encoder, ("classes_strings",))
    keys, values = (list(range(len(first))), first) if first else (_listed(encoder, _KEYS), _listed(encoder, _VALUES))
    return dict(zip(keys, values, strict=True)) if len(keys) == len(values) else {}


def _listed(node: NodeProto, names: tuple[str, ...]) -> list[object]:
    """The values of the first attribute of ``node`` that is called one of ``names`` and holds any."""
    from onnx import numpy_helper

    for attribute in node.attribute:
        if attribute.name in names:
            tensor = numpy_helper.to_array(attribute.t).ravel().tolist() if attribute.HasField("t") else []
            values = [*attribute.strings, *attribute.ints, *tensor]
            if values:
                return [value.decode() if isinstance(value, bytes) else value for value in values]
    return []

"""Class names in the nodes of a graph: those of the scores are read, those of inputs and of other outputs are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from prune_audit.core import Expects, ModelSource, Settings
from prune_audit.models import onnx as onnx_format

NAMES = ["owl", "emu", "jay"]
TREE: dict[str, Any] = {
    "nodes_treeids": [0],
    "nodes_nodeids": [0],
    "nodes_featureids": [0],
    "nodes_values": [0.0],
    "nodes_modes": ["LEAF"],
    "nodes_truenodeids": [0],
    "nodes_falsenodeids": [0],
    "class_treeids": [0, 0, 0],
    "class_nodeids": [0, 0, 0],
    "class_ids": [0, 1, 2],
    "class_weights": [0.2, 0.5, 0.3],
}
LINEAR: dict[str, Any] = {"coefficients": [1.0, 0, 0, 1, 1, 1], "intercepts": [0.0, 0, 0], "multi_class": 1}


def ml(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, outputs, domain="ai.onnx.ml", **attributes)


def expects(
    path: Path, nodes: Sequence[NodeProto], version: int = 3, **outputs: tuple[int, list[int | str]]
) -> Expects:
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    model = onnx_format.load(ModelSource(name="m", path=path), Settings())
    assert model.predict({"x": np.zeros((1, 2), np.float32)}).shape == (1, 3)
    return model.expects


SCORES: tuple[int, list[int | str]] = (TensorProto.FLOAT, ["N", 3])
TEXT: tuple[int, list[int | str]] = (TensorProto.STRING, ["N"])


@pytest.mark.parametrize(
    ("kind", "attributes"), [("TreeEnsembleClassifier", TREE), ("LinearClassifier", LINEAR)], ids=["tree", "linear"]
)
@pytest.mark.parametrize("way", [[], ["Normalizer"], ["Cast", "Identity", "Softmax"]])
def test_a_classifier_names_its_columns(tmp_path: Path, kind: str, attributes: dict[str, Any], way: list[str]) -> None:
    more: dict[str, dict[str, Any]] = {
        "Normalizer": {"norm": "L1"},
        "Cast": {"to": TensorProto.FLOAT},
        "Softmax": {"axis": 1},
    }
    steps = ["raw", *(f"step{i}" for i in range(len(way) - 1)), "scores"] if way else ["scores"]
    nodes = [ml(kind, ["x"], ["label", steps[0]], classlabels_strings=NAMES, **attributes)]
    for op, before, after in zip(way, steps, steps[1:], strict=False):
        make = ml if op == "Normalizer" else helper.make_node
        nodes.append(make(op, [before], [after], **more.get(op, {})))
    found = expects(tmp_path / "m.onnx", nodes, label=TEXT, scores=SCORES)
    assert (found.outputs, found.classes) == (3, ("owl", "emu", "jay"))


@pytest.mark.parametrize(("ints", "classes"), [([0, 1, 2], None), ([3, 1, 2], ("3", "1", "2"))])
def test_numbers_name_columns_where_they_are_not_their_positions(
    tmp_path: Path, ints: list[int], classes: tuple[str, ...] | None
) -> None:
    node = ml("TreeEnsembleClassifier", ["x"], ["label", "scores"], classlabels_int64s=ints, **TREE)
    found = expects(tmp_path / "m.onnx", [node], label=(TensorProto.INT64, ["N"]), scores=SCORES)
    assert found.classes == classes


def wide(output: str) -> list[NodeProto]:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [1.0, 0, 1, 0, 1, 1])
    return [
        helper.make_node("Constant", [], ["weight"], value=weight),
        helper.make_node("MatMul", ["x", "weight"], [output]),
    ]


@pytest.mark.parametrize(
    ("version", "attributes"),
    [
        (1, {"classes_strings": NAMES}),
        (2, {"keys_int64s": [2, 0, 1], "values_strings": ["jay", "owl", "emu"]}),
        (
            4,
            {
                "keys_tensor": helper.make_tensor("k", TensorProto.INT64, [3], [0, 1, 2]),
                "values_tensor": numpy_helper.from_array(np.array(NAMES, object)),
                "default_tensor": numpy_helper.from_array(np.array(["?"], object)),
            },
        ),
    ],
)
def test_an_encoder_behind_the_highest_score_names_the_columns(
    tmp_path: Path, version: int, attributes: dict[str, Any]
) -> None:
    nodes = [
        *wide("logits"),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        helper.make_node("ArgMax", ["logits"], ["at"], axis=1, keepdims=0),
        ml("LabelEncoder", ["at"], ["label"], **attributes),
    ]
    assert expects(tmp_path / "m.onnx", nodes, version, label=TEXT, scores=SCORES).classes == ("owl", "emu", "jay")


def test_an_encoder_behind_a_classifier_renames_its_labels(tmp_path: Path) -> None:
    nodes = [
        ml("TreeEnsembleClassifier", ["x"], ["at", "scores"], classlabels_int64s=[2, 0, 1], **TREE),
        ml("LabelEncoder", ["at"], ["label"], keys_int64s=[0, 1, 2], values_strings=["emu", "jay", "owl"]),
    ]
    assert expects(tmp_path / "m.onnx", nodes, 2, label=TEXT, scores=SCORES).classes == ("owl", "emu", "jay")


def test_names_of_anything_else_are_left_alone(tmp_path: Path) -> None:
    """Of an input, of the highest of other columns, of a classifier whose scores are mixed again."""
    asked = {"keys_int64s": [0, 1, 2], "values_strings": NAMES}
    weight = helper.make_tensor("m", TensorProto.FLOAT, [3, 3], [0.0, 1, 0, 1, 0, 0, 0, 0, 1])
    other = [
        *wide("scores"),
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
        ml("LabelEncoder", ["whole"], ["site"], **asked),
        helper.make_node("ArgMax", ["x"], ["at"], axis=1, keepdims=0),
        ml("LabelEncoder", ["at"], ["label"], **asked),
    ]
    found = expects(tmp_path / "a.onnx", other, 2, scores=SCORES, label=TEXT, site=(TensorProto.STRING, ["N", 2]))
    assert found.classes is None
    mixed = [
        ml("TreeEnsembleClassifier", ["x"], ["label", "raw"], classlabels_strings=NAMES, **TREE),
        helper.make_node("Constant", [], ["mix"], value=weight),
        helper.make_node("MatMul", ["raw", "mix"], ["scores"]),
    ]
    assert expects(tmp_path / "b.onnx", mixed, scores=SCORES, label=TEXT).classes is None

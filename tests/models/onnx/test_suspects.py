"""Nodes that draw random numbers or look at the batch, of those that the scores are computed by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from prune_audit.models.onnx.graph import Graph
from prune_audit.models.onnx.suspects import suspects

Node = onnx.NodeProto
X = ["v"]


def model(*nodes: Node, opset: int = 17, constants: Sequence[onnx.TensorProto] = ()) -> onnx.ModelProto:
    shape: list[str | int | None] = ["n", 5]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("v", "scores")]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def constant(name: str, value: object, dtype: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, dtype), name)


def found(made: onnx.ModelProto) -> list[tuple[str, str]]:
    return [(each.kind, each.where) for each in suspects(Graph(made, Path("m.onnx")), "scores")]


NORM = [constant(name, [1.0] * 5, "float32") for name in "sbmw"]
DROP = [constant("half", 0.5, "float32"), constant("never", 0.0, "float32")]
DROP += [constant("on", True, "bool"), constant("off", False, "bool")]


@pytest.mark.parametrize(
    ("node", "opset", "kind"),
    [
        (helper.make_node("Dropout", ["v", "half", "on"], ["scores"]), 17, "dropout"),
        (helper.make_node("Dropout", ["v", "", "on"], ["scores"]), 17, "dropout"),
        (helper.make_node("Dropout", ["v", "never", "on"], ["scores"]), 17, None),
        (helper.make_node("Dropout", ["v", "half", "off"], ["scores"]), 17, None),
        (helper.make_node("Dropout", ["v", "half"], ["scores"]), 17, None),
        (helper.make_node("Dropout", ["v"], ["scores", "mask"], ratio=0.5), 9, None),
        (helper.make_node("BatchNormalization", ["v", *"sbmw"], ["scores", "r", "q"], training_mode=1), 17, "batch"),
        (helper.make_node("BatchNormalization", ["v", *"sbmw"], ["scores", "r", "q", "t", "u"]), 9, "batch"),
        (helper.make_node("BatchNormalization", ["v", *"sbmw"], ["scores", ""]), 9, None),
        (helper.make_node("BatchNormalization", ["v", *"sbmw"], ["scores"]), 17, None),
        (helper.make_node("RandomNormalLike", ["v"], ["scores"]), 17, "random"),
        (helper.make_node("Bernoulli", ["v"], ["scores"]), 17, "random"),
        (helper.make_node("Softmax", ["v"], ["scores"], axis=0), 17, "axis"),
        (helper.make_node("Softmax", ["v"], ["scores"], axis=1), 17, None),
        (helper.make_node("LogSoftmax", ["v"], ["scores"]), 17, None),
    ],
)
def test_a_node_is_told_by_its_operator_and_attributes(node: Node, opset: int, kind: str | None) -> None:
    expected = [] if kind is None else [(kind, f"the {node.op_type} that makes 'scores'")]
    assert found(model(node, opset=opset, constants=[*NORM, *DROP])) == expected


def test_a_node_with_a_name_is_called_by_it() -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["v"], ["q", "scale", "zero"], name="/fc/quant")
    back = helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["scores"])
    assert found(model(node, back)) == [("dynamic", "node '/fc/quant' (DynamicQuantizeLinear)")]


@pytest.mark.parametrize("through", [[], ["Identity"], ["Cast", "Identity"]])
def test_a_switch_is_found_behind_what_leaves_it_as_it_is(through: list[str]) -> None:
    name, nodes = "on", []
    for at, operator in enumerate(through):
        nodes.append(helper.make_node(operator, [name], [f"on{at}"]))
        if operator == "Cast":
            nodes[-1].attribute.append(helper.make_attribute("to", TensorProto.BOOL))
        name = f"on{at}"
    drop = helper.make_node("Dropout", ["v", "half", name], ["scores"])
    assert [kind for kind, _ in found(model(*nodes, drop, constants=DROP))] == ["dropout"]


def test_what_the_scores_do_not_need_is_not_looked_at() -> None:
    unused = helper.make_node("RandomNormalLike", ["v"], ["noise"])
    assert found(model(unused, helper.make_node("Relu", X, ["scores"]))) == []


def test_branches_and_functions_are_looked_into() -> None:
    inner = helper.make_graph(
        [helper.make_node("RandomUniformLike", ["v"], ["inner"], name="noise")],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    flag = helper.make_node("If", ["on"], ["scores"], then_branch=inner, else_branch=inner)
    assert ("random", "node 'noise' (RandomUniformLike)") in found(model(flag, constants=DROP))
    made = model(helper.make_node("Drops", ["v"], ["scores"], domain="own"), constants=DROP)
    body = [
        helper.make_node("Constant", [], ["t"], value=constant("", True, "bool")),
        helper.make_node("Dropout", ["a", "", "t"], ["b"]),
    ]
    made.functions.append(helper.make_function("own", "Drops", ["a"], ["b"], body, made.opset_import))
    made.opset_import.append(helper.make_opsetid("own", 1))
    assert [kind for kind, _ in found(made)] == ["dropout"]

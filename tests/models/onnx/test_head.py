"""Offsets in an ONNX graph: what onnxruntime then gives, for every end that a classifier may have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from prune_audit import models
from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError

OFFSETS = np.array([0.5, -1.0, 0.25])
X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


def model(path: Path, *ends: str, axis: int = -1) -> ModelSource:
    """A linear layer with the operators ``ends`` behind it, one after the other."""
    weights = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h0"])]
    for at, end in enumerate(ends):
        nodes.append(helper.make_node(end, [f"h{at}"], [f"h{at + 1}"]))
        nodes[-1].attribute.extend([helper.make_attribute("axis", axis)] if "Softmax" in end else [])
    nodes[-1].output[0] = "scores"
    stored = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.zeros(3, np.float32), "b")]
    tables = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, k]) for n, k in (("x", 4), ("scores", 3))]
    graph = helper.make_graph(nodes, "g", tables[:1], tables[1:], stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path)
    return ModelSource(name=path.stem, path=path)


@pytest.mark.parametrize("ends", [(), ("Softmax",), ("LogSoftmax",), ("Softmax", "Identity"), ("Identity",)])
def test_what_is_written_gives_the_scores_with_the_offsets(ends: tuple[str, ...], tmp_path: Path) -> None:
    source = model(tmp_path / "a.onnx", *ends)
    opened = models.editable(source, Settings())
    before = opened.source.predict({"x": X}).astype(float)
    opened.shift(OFFSETS, {"x": X})
    opened.save(tmp_path / "b.onnx")
    onnx.checker.check_model(tmp_path / "b.onnx", full_check=True)
    found = models.editable(ModelSource(name="b", path=tmp_path / "b.onnx"), Settings()).source.predict({"x": X})
    if ends[:1] == ("Softmax",):
        wanted = before * np.exp(OFFSETS)
        np.testing.assert_allclose(found, wanted / wanted.sum(1, keepdims=True), rtol=1e-5)
    else:
        apart = found - before - OFFSETS
        np.testing.assert_allclose(apart - apart.mean(1, keepdims=True), 0, atol=1e-5)
    assert "LogSoftmax" not in ends or np.allclose(np.exp(found).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("ends", [("Sigmoid",), ("Relu",), ("Exp",)])
def test_an_end_to_which_no_offset_adds_is_refused(ends: tuple[str, ...], tmp_path: Path) -> None:
    opened = models.editable(model(tmp_path / "a.onnx", *ends), Settings())
    with pytest.raises(ModelError, match="to which no offset adds"):
        opened.shift(OFFSETS, {"x": X})


def test_a_softmax_over_something_else_is_refused(tmp_path: Path) -> None:
    opened = models.editable(model(tmp_path / "a.onnx", "Softmax", axis=0), Settings())
    with pytest.raises(ModelError, match="not over the classes alone"):
        opened.shift(OFFSETS, {"x": X})

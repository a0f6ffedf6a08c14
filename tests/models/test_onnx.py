import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from prune_audit.core import Array, ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.models import onnx
from prune_audit.models.onnx.graph import Graph
from prune_audit.models.onnx.stored import external_files

Shape = Sequence[int | str | None]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def save(
    path: Path,
    nodes: list[onnx_library.NodeProto],
    inputs: Mapping[str, tuple[str, Shape]],
    outputs: Mapping[str, tuple[str, Shape]],
    weights: Mapping[str, Array],
    *,
    opset: int = 17,
    metadata: Mapping[str, str] | None = None,
    listed: Sequence[str] = (),
    functions: Sequence[onnx_library.FunctionProto] = (),
    domains: Sequence[str] = (),
) -> Path:
    """A model of ``nodes``; ``listed`` weights are listed among the inputs as well, as before IR version 4."""

    def values(named: Mapping[str, tuple[str, Shape]]) -> list[onnx_library.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.dtype(t)), s)
            for n, (t, s) in named.items()
        ]

    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    more = {name: (str(weights[name].dtype), weights[name].shape) for name in listed}
    graph = helper.make_graph(nodes, "graph", [*values(more), *values(inputs)], values(outputs), tensors)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    if metadata:
        helper.set_model_props(model, dict(metadata))
    onnx_library.save(model, path)
    return path


def linear(path: Path, weight: Array, shape: Shape = ("N", 4), **more: Any) -> Path:
    """``y = x @ weight``; more goes to `save`."""
    dtype = str(weight.dtype)
    return save(
        path,
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": (dtype, shape)},
        {"y": (dtype, [shape[0], weight.shape[1]])},
        {"w": weight},
        **more,
    )


def load(path: Path, model_output: tuple[str, ...] = ()) -> onnx.OnnxClassifier:
    assert onnx.recognises(path)
    return onnx.load(ModelSource(name="model", path=path), Settings(model_output=model_output))


# ------------------------------------------------------------------------------------------------- running


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    ).eval()


# torch warns of the exporter that it deprecates, whose files people keep, and of its own use of old functions.
@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
@pytest.mark.parametrize("dynamo", [False, True])
def test_an_exported_network_predicts_and_counts_as_eager(
    tmp_path: Path, rng: np.random.Generator, dynamo: bool
) -> None:
    eager = network()
    with torch.no_grad():
        eager.get_parameter("4.weight")[:, :72] = 0
    images = rng.normal(size=(6, 3, 8, 8)).astype(np.float32)
    path = tmp_path / "model.bin"
    axes: dict[str, Any] = (
        {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else {"dynamic_axes": {"image": {0: "batch"}}}
    )
    torch.onnx.export(
        eager, (torch.zeros(2, 3, 8, 8),), str(path), input_names=["image"], dynamo=dynamo, verbose=False, **axes
    )
    model = load(path)
    with torch.no_grad():
        np.testing.assert_allclose(
            model.predict({"image": images}), eager(torch.from_numpy(images)).numpy(), rtol=1e-4, atol=1e-5
        )
    assert (model.expects.channels, model.expects.size, model.expects.layout) == (3, (8, 8), "NCHW")
    assert (model.expects.batch, model.expects.outputs) == (None, 5)
    assert [(layer.kind, layer.shape, layer.nonzero, layer.total) for layer in model.card.layers] == [
        ("convolution", (4, 3, 3, 3), 108, 108),
        ("linear", (5, 144), 360, 720),
    ]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floating_types_are_declared_and_run(tmp_path: Path, rng: np.random.Generator, dtype: str) -> None:
    weight = rng.normal(size=(4, 3)).astype(dtype)
    model = load(linear(tmp_path / "m.onnx", weight))
    assert model.expects.inputs[0].dtype == dtype
    x = rng.normal(size=(5, 4)).astype(dtype)
    assert model.predict({"x": x}).dtype == (np.float64 if dtype == "float64" else np.float32)
    np.testing.assert_allclose(model.predict({"whatever": x}), x @ weight, rtol=1e-2 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_integer_inputs_are_declared_and_run(tmp_path: Path, rng: np.random.Generator, dtype: str) -> None:
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    path = save(tmp_path / "m", nodes, {"x": (dtype, ["N", 4])}, {"y": ("float32", ["N", 3])}, {"w": weight})
    model = load(path)
    assert model.expects.inputs[0].dtype == dtype
    x = rng.integers(0, 9, size=(5, 4)).astype(dtype)
    np.testing.assert_allclose(model.predict({"x": x}), x @ weight, rtol=1e-5)


@pytest.mark.parametrize("opset", [7, 11, 13, 17, 21])
def test_opsets_old_and_new(tmp_path: Path, rng: np.random.Generator, opset: int) -> None:
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    x = rng.normal(size=(5, 4)).astype(np.float32)
    model = load(linear(tmp_path / "m.onnx", weight, opset=opset))
    np.testing.assert_allclose(model.predict({"x": x}), x @ weight, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_declared(tmp_path: Path, rng: np.random.Generator, batch: int) -> None:
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    model = load(linear(tmp_path / "m.onnx", weight, shape=[batch, 4]))
    assert model.expects.batch == batch
    assert model.predict({"x": np.zeros((batch, 4), np.float32)}).shape == (batch, 3)
    with pytest.raises(ModelError, match=r"x \(7, 4\) float32: Got invalid dimensions") as caught:
        model.predict({"x": np.zeros((7, 4), np.float32)})
    assert f"x ({batch}, 4) float32" in caught.value.hint


@pytest.mark.parametrize(
    ("shape", "layout", "channels", "size"),
    [
        (["N", 3, 8, 9], "NCHW", 3, (8, 9)),
        (["N", 8, 9, 3], "NHWC", 3, (8, 9)),
        ([1, 28, 28, 1], "NHWC", 1, (28, 28)),
        ([1, 1, 28, 28], "NCHW", 1, (28, 28)),
        (["N", None, None, 3], "NHWC", 3, None),
        (["N", 3, None, None], "NCHW", 3, None),
        (["N", 13, 64, 64], "NCHW", 13, (64, 64)),
        (["N", 64, 64, 13], "NHWC", 13, (64, 64)),
        (["N", 3, 3, 3], "NCHW", 3, (3, 3)),
        (["N", None, None, None], "NCHW", None, None),
        (["N", 4], "NCHW", None, None),
    ],
)
def test_layout_channels_and_size_come_from_the_shape(
    tmp_path: Path, shape: Shape, layout: str, channels: int | None, size: tuple[int, int] | None
) -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["y"])]
    path = save(tmp_path / "m", nodes, {"x": ("float32", shape)}, {"y": ("float32", ["N", "C"])}, {})
    expects = load(path).expects
    assert (expects.layout, expects.channels, expects.size) == (layout, channels, size)


def test_a_network_of_nhwc_images_runs(tmp_path: Path, rng: np.random.Generator) -> None:
    weight = rng.normal(size=(5, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["y"]),
    ]
    path = save(
        tmp_path / "m", nodes, {"x": ("float32", ["N", 8, 8, 3])}, {"y": ("float32", ["N", 5, 1, 1])}, {"w": weight}
    )
    images = rng.normal(size=(2, 8, 8, 3)).astype(np.float32)
    expected = np.einsum("nhwc,kc->nk", images, weight[..., 0, 0]) / 64
    model = load(path)
    np.testing.assert_allclose(model.predict({"x": images}), expected, rtol=1e-4, atol=1e-5)
    assert model.expects.outputs == 5


def test_several_named_inputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT), helper.make_node("Add", ["a", "f"], ["y"])]
    inputs: dict[str, tuple[str, Shape]] = {"a": ("float32", ["N", 3]), "n": ("int64", ["N", 3])}
    model = load(save(tmp_path / "m", nodes, inputs, {"y": ("float32", ["N", 3])}, {}))
    assert [(i.name, i.dtype, i.shape) for i in model.expects.inputs] == [
        ("a", "float32", (None, 3)),
        ("n", "int64", (None, 3)),
    ]
    given = {"n": np.full((2, 3), 2), "a": np.ones((2, 3), np.float32)}
    np.testing.assert_array_equal(model.predict(given), np.full((2, 3), 3.0))
    with pytest.raises(ModelError, match=r"(?m)expected inputs a, n, found a$"):
        model.predict({"a": given["a"]})


def test_a_setting_beside_the_batch_fixes_no_batch(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["x", "scale"], ["y"])]
    inputs: dict[str, tuple[str, Shape]] = {"scale": ("float32", [1]), "x": ("float32", ["N", 3])}
    assert load(save(tmp_path / "m", nodes, inputs, {"y": ("float32", ["N", 3])}, {})).expects.batch is None


def test_initializers_that_are_listed_as_inputs_are_none(tmp_path: Path, rng: np.random.Generator) -> None:
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    model = load(linear(tmp_path / "m.onnx", weight, listed=["w"]))
    assert [i.name for i in model.expects.inputs] == ["x"]
    np.testing.assert_allclose(model.predict({"image": np.eye(4, dtype=np.float32)}), weight)


def test_the_scores_are_found_among_several_outputs(tmp_path: Path, rng: np.random.Generator) -> None:
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["features"]),
        helper.make_node("Mul", ["features", "features"], ["other"]),
        helper.make_node("ReduceSum", ["features"], ["total"], keepdims=0),
        helper.make_node("Softmax", ["features"], ["Probabilities"]),
    ]
    x = rng.normal(size=(5, 4)).astype(np.float32)
    shapes: dict[str, tuple[str, Shape]] = {
        "total": ("float32", []),
        "other": ("float32", ["N", 3]),
        "features": ("float32", ["N", 3]),
        "Probabilities": ("float32", ["N", 3]),
    }
    path = save(tmp_path / "a", nodes, {"x": ("float32", ["N", 4])}, shapes, {"w": weight})
    np.testing.assert_allclose(load(path).predict({"x": x}).sum(axis=1), np.ones(5), rtol=1e-5)
    unnamed = {name: shapes[name] for name in ("other", "features")}
    path = save(tmp_path / "b", nodes, {"x": ("float32", ["N", 4])}, unnamed, {"w": weight})
    model = load(path)
    assert model.expects.outputs is None
    with pytest.raises(ModelError, match=r"2 outputs that could be its scores: other \(batch, 3\), features") as caught:
        model.predict({"x": x})
    assert "--model-output model=other or --model-output model=features" in caught.value.hint
    for asked in ("other", "0", "model=other"):
        model = load(path, model_output=(asked,))
        np.testing.assert_allclose(model.predict({"x": x}), (x @ weight) ** 2, rtol=1e-4)
        assert model.expects.outputs == 3
        (said,) = model.assumptions
        assert (said.what, said.value) == ("output", "other (batch, 3)")
        assert said.why == "as asked; not read: features (batch, 3)"


def test_a_model_without_scores_is_refused(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m",
        [helper.make_node("Identity", ["x"], ["y"])],
        {"x": ("float32", ["N", 3, 8, 8])},
        {"y": ("float32", ["N", 3, 8, 8])},
        {},
    )
    with pytest.raises(ModelError, match=r"expected scores of shape \(batch, classes\), found y \(batch, 3, 8, 8\)"):
        load(path)


def test_one_score_per_sample_becomes_a_column_and_labels_stay(tmp_path: Path) -> None:
    inputs: dict[str, tuple[str, Shape]] = {"x": ("float32", ["N", 3])}
    nodes = [helper.make_node("ReduceMax", ["x"], ["y"], axes=[1], keepdims=0)]
    x = np.array([[1, 2, 3], [6, 5, 4]], np.float32)
    model = load(save(tmp_path / "a", nodes, inputs, {"y": ("float32", ["N"])}, {}))
    np.testing.assert_array_equal(model.predict({"x": x}), [[3], [6]])
    shapes: list[Shape] = [["N"], ["N", 1]]
    for keep, shape in enumerate(shapes):
        nodes = [helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=keep)]
        model = load(save(tmp_path / "b", nodes, inputs, {"y": ("int64", shape)}, {}))
        np.testing.assert_array_equal(model.predict({"x": x}), [2, 0])
        assert model.expects.outputs is None


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ({"classlabels_strings": ["cat", "ant", "bee"]}, ("cat", "ant", "bee")),
        ({"classlabels_int64s": [0, 1, 2]}, None),
        ({"classlabels_int64s": [7, 8, 9]}, ("7", "8", "9")),
    ],
)
def test_the_maps_of_scikit_learn_become_columns(
    tmp_path: Path, attributes: dict[str, Any], classes: tuple[str, ...] | None
) -> None:
    keys = TensorProto.STRING if "classlabels_strings" in attributes else TensorProto.INT64
    scores = helper.make_map_type_proto(keys, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    graph = helper.make_graph(
        [
            helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
            helper.make_node("ZipMap", ["x"], ["probability"], domain="ai.onnx.ml", **attributes),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_value_info("probability", helper.make_sequence_type_proto(scores)),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    onnx_library.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m")
    model = load(tmp_path / "m")
    x = np.array([[0.25, 0.5, 0.25], [0.75, 0.0, 0.25]], np.float32)
    np.testing.assert_array_equal(model.predict({"x": x}), x)
    assert (model.expects.outputs, model.expects.classes) == (3, classes)


@pytest.mark.parametrize("text", ["{0: 'ant', 1: 'bee', 2: 'cat'}", json.dumps(["ant", "bee", "cat"])])
def test_class_names_are_read_from_the_metadata(tmp_path: Path, text: str) -> None:
    weight = np.ones((4, 3), np.float32)
    assert load(linear(tmp_path / "a", weight, metadata={"names": text})).expects.classes == ("ant", "bee", "cat")
    other = linear(tmp_path / "b", np.ones((4, 2), np.float32), metadata={"names": text})
    assert load(other).expects.classes is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ONNX Runtime keeps such things elsewhere")
def test_onnx_runtime_tells_its_maker_nothing(tmp_path: Path) -> None:
    """What it keeps to be sent lies below the home, and a session of it among temporary files."""
    path = linear(tmp_path / "m.onnx", np.ones((4, 3), np.float32))
    home = tmp_path / "home"
    where = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(home)}
    telling = {name: os.environ[name] for name in os.environ if name not in ("CI", "ORT_DISABLE_TELEMETRY")} | where

    def left(*command: str) -> set[str]:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        done = subprocess.run([sys.executable, *command], env=telling, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return {each.relative_to(home).as_posix() for each in home.rglob("*") if each.is_file()}

    def told(names: set[str]) -> bool:
        return any("onnxruntime" in name for name in names)

    assert told(left("-c", "import onnxruntime"))  # so this is where it would be
    assert left("-m", "prune_audit", "inspect", str(path)) == set()
    telling["ORT_DISABLE_TELEMETRY"] = "0"
    assert told(left("-m", "prune_audit", "inspect", "--isolate", "never", str(path)))  # whoever wants to tell, does


def test_an_audit_of_onnx_alone_never_imports_torch(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((4, 3), np.float32))
    code = f"""
import sys, numpy
from pathlib import Path
from prune_audit.core import ModelSource, Settings
from prune_audit.models import onnx
from prune_audit.models.onnx.graph import Graph
from prune_audit.models.onnx.stored import external_files
assert not {{"onnx", "onnxruntime"}} & set(sys.modules)
path = Path({str(path)!r})
assert onnx.recognises(path)
onnx.load(ModelSource(name="m", path=path), Settings()).predict({{"x": numpy.zeros((1, 4), "float32")}})
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------------------- density


def counted(path: Path) -> list[tuple[str, str, int, int]]:
    return [(layer.name, layer.kind, layer.nonzero, layer.total) for layer in load(path).card.layers]


def sparse(rng: np.random.Generator, *shape: int) -> Array:
    """Weights of which every second is zero."""
    weights = rng.normal(size=shape).astype(np.float32)
    weights.flat[::2] = 0
    return weights


def test_weights_are_found_behind_what_leaves_them_as_they_are(tmp_path: Path, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["e"]),  # (N, T, 6)
        helper.make_node("ReduceMean", ["e"], ["m"], axes=[1], keepdims=0),
        helper.make_node("Cast", ["half"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["m", "turned"], ["a"]),
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(sparse(rng, 4, 4), "c")),
        helper.make_node("Identity", ["c"], ["c2"]),
        helper.make_node("Gemm", ["a", "c2", "bias"], ["b"]),
        helper.make_node("Gemm", ["b", "c"], ["d"], transB=1),
        helper.make_node("Mul", ["masked", "mask"], ["used"]),
        helper.make_node("MatMul", ["d", "used"], ["f"]),
        helper.make_node("Mul", ["scaled", "scale"], ["used2"]),
        helper.make_node("MatMul", ["f", "used2"], ["g"]),
        helper.make_node("MatMul", ["g", "g2"], ["h"]),
        helper.make_node("Mul", ["h", "h"], ["computed"]),
        helper.make_node("Add", ["computed", "h"], ["y"]),
    ]
    mask = np.zeros((4, 4), np.float32)
    mask[0] = 1
    weights = {
        "table": sparse(rng, 10, 6),
        "half": sparse(rng, 4, 6).astype(np.float16),
        "bias": np.zeros(4, np.float32),
        "masked": np.ones((4, 4), np.float32),
        "mask": mask,
        "scaled": sparse(rng, 4, 4),
        "scale": np.full((4,), 2, np.float32),
        "g2": sparse(rng, 4, 3),
    }
    path = save(tmp_path / "m", nodes, {"x": ("int64", ["N", 5])}, {"y": ("float32", ["N", 3])}, weights)
    assert counted(path) == [
        ("table", "embedding", 30, 60),
        ("half", "linear", 12, 24),
        ("c", "linear", 8, 16),
        ("masked", "linear", 4, 16),
        ("scaled", "linear", 8, 16),
        ("g2", "linear", 6, 12),
    ]
    assert load(path).card.parameters == 60 + 24 + 4 + 16 + 16 + 4 + 12 + 16  # not the mask


def test_tables_of_indices_and_words_are_no_embeddings(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["indices", "x"], ["i"]),
        helper.make_node("Gather", ["words", "x"], ["unused"]),
        helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT),
    ]
    weights: dict[str, Array] = {"indices": np.ones((4, 3), np.int64), "words": np.array([["a"], ["b"]], object)}
    path = save(tmp_path / "m", nodes, {"x": ("int64", ["N"])}, {"y": ("float32", ["N", 3])}, weights)
    assert counted(path) == []
    assert load(path).card.parameters == 0


def test_products_of_computed_values_are_no_weights(tmp_path: Path) -> None:
    nodes = [helper.make_node("Transpose", ["x"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])]
    path = save(tmp_path / "m", nodes, {"x": ("float32", ["N", 4])}, {"y": ("float32", ["N", "M"])}, {})
    assert counted(path) == []
    assert load(path).card.density is None


def test_weights_in_branches_and_functions_count(tmp_path: Path, rng: np.random.Generator) -> None:
    weight = sparse(rng, 4, 4)
    tensor = numpy_helper.from_array(weight, "inner")
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node("MatMul", ["a", "inner"], ["z"])], "then", [], [output], [tensor]),
        helper.make_graph([helper.make_node("MatMul", ["a", "outer"], ["z"])], "else", [], [output]),
    ]
    function = helper.make_function(
        "own",
        "Dense",
        ["i", "w"],
        ["o"],
        [helper.make_node("MatMul", ["i", "w"], ["o"])],
        [helper.make_opsetid("", 17)],
    )
    nodes = [
        helper.make_node("Dense", ["x", "first"], ["a"], domain="own"),
        helper.make_node("If", ["yes"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    weights: dict[str, Array] = {"first": sparse(rng, 4, 4), "outer": sparse(rng, 4, 4), "yes": np.array(True)}
    path = save(
        tmp_path / "m",
        nodes,
        {"x": ("float32", ["N", 4])},
        {"y": ("float32", ["N", 4])},
        weights,
        functions=[function],
        domains=["own"],
    )
    assert sorted(counted(path)) == [(name, "linear", 8, 16) for name in ("first", "inner", "outer")]


def test_sparse_initializers_count_what_they_store(tmp_path: Path, rng: np.random.Generator) -> None:
    values = numpy_helper.from_array(np.array([1.0, 2.0, 0.0], np.float32), "w")
    for indices in (np.array([0, 5, 11]), np.array([[0, 0], [1, 2], [3, 2]])):
        stored = helper.make_sparse_tensor(values, numpy_helper.from_array(indices, "w_indices"), [4, 3])
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
            sparse_initializer=[stored],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx_library.save(model, tmp_path / "m")
        assert counted(tmp_path / "m") == [("w", "linear", 2, 12)]


def quantised(weight: Array, axis: int, zero: int) -> tuple[Array, Array, Array]:
    """``weight`` as uint8 with a scale and a zero point for each slice of ``axis``; slice i stands at zero + i."""
    others = tuple(d for d in range(weight.ndim) if d != axis)
    scale = (np.abs(weight).max(axis=others) / 100).astype(np.float32)
    points = (zero + np.arange(weight.shape[axis])).astype(np.uint8)
    shape = [-1 if d == axis else 1 for d in range(weight.ndim)]
    steps = np.rint(weight / scale.reshape(shape)) + points.reshape(shape)
    return steps.astype(np.uint8), scale, points


def test_dequantised_weights_at_their_own_zero_point_are_zero(tmp_path: Path, rng: np.random.Generator) -> None:
    weight = sparse(rng, 4, 3, 3, 3) * 3
    stored, scale, points = quantised(weight, 0, zero=110)
    expected = int((weight != 0).sum() - ((np.rint(weight / scale[:, None, None, None]) == 0) & (weight != 0)).sum())
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], axis=0),
        helper.make_node("Conv", ["x", "d"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["y"]),
    ]
    weights: dict[str, Array] = {"w": stored, "s": scale, "z": points}
    path = save(tmp_path / "m", nodes, {"x": ("float32", ["N", 3, 8, 8])}, {"y": ("float32", ["N", 4])}, weights)
    assert counted(path) == [("w", "convolution", expected, 108)]
    images = rng.normal(size=(2, 3, 8, 8)).astype(np.float32)
    dense = torch.nn.functional.conv2d(torch.from_numpy(images), torch.from_numpy(weight)).mean((2, 3)).numpy()
    np.testing.assert_allclose(load(path).predict({"x": images}), dense, atol=0.2)


def test_a_transposed_quantised_weight_keeps_its_axis(tmp_path: Path, rng: np.random.Generator) -> None:
    stored, scale, points = quantised(np.where(np.eye(4, 3) > 0, 1, 0).astype(np.float32), 1, zero=10)
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),  # (3, 4), zero points along the first axis
        helper.make_node("DequantizeLinear", ["t", "s", "z"], ["d"], axis=0),
        helper.make_node("Gemm", ["x", "d"], ["y"], transB=1),
    ]
    weights: dict[str, Array] = {"w": stored, "s": scale, "z": points}
    path = save(tmp_path / "m", nodes, {"x": ("float32", ["N", 4])}, {"y": ("float32", ["N", 3])}, weights)
    assert counted(path) == [("w", "linear", 3, 12)]
    np.testing.assert_allclose(load(path).predict({"x": np.eye(4, dtype=np.float32)}), np.eye(4, 3), atol=0.01)


def test_zero_points_of_blocks(tmp_path: Path) -> None:
    stored = np.array([[5, 6], [5, 5], [7, 5], [7, 7]], np.uint8)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], axis=0, block_size=2),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    weights: dict[str, Array] = {
        "w": stored,
        "s": np.ones((2, 2), np.float32),
        "z": np.array([[5, 6], [7, 5]], np.uint8),
    }
    path = save(tmp_path / "m", nodes, {"x": ("float32", ["N", 4])}, {"y": ("float32", ["N", 2])}, weights, opset=21)
    assert counted(path) == [("w", "linear", 2, 8)]
    expected = [[0, 0], [0, -1], [0, 0], [0, 2]]
    np.testing.assert_array_equal(load(path).predict({"x": np.eye(4, dtype=np.float32)}), expected)


def test_quantised_operators_with_zero_points_of_their_own(tmp_path: Path) -> None:
    kernel = np.array([[[[3]], [[4]]], [[[4]], [[4]]]], np.int8)  # (2, 2, 1, 1), zero at 3 and at 4
    matrix = np.array([[1, 2], [1, 1]], np.int8)  # (2, 2), columns with zero at 1 and at 2
    one, zero = np.array(1, np.float32), np.array(0, np.uint8)
    nodes = [
        helper.make_node("QLinearConv", ["x", "one", "zero", "k", "ks", "kz", "one", "zero"], ["c"]),
        helper.make_node("ConvInteger", ["x", "k2", "zero", "k2z"], ["i"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("QLinearMatMul", ["f", "one", "zero", "m", "ms", "mz", "one", "zero"], ["q"]),
        helper.make_node("MatMulInteger", ["q", "m2", "zero", "m2z"], ["r"]),
        helper.make_node("Flatten", ["i"], ["j"]),
        helper.make_node("Add", ["r", "j"], ["s"]),
        helper.make_node("Cast", ["s"], ["y"], to=TensorProto.FLOAT),
    ]
    weights: dict[str, Array] = {
        "one": one,
        "zero": zero,
        "k": kernel,
        "ks": np.ones(2, np.float32),
        "kz": np.array([3, 4], np.int8),
        "k2": kernel.copy(),
        "k2z": np.array(4, np.int8),
        "m": matrix,
        "ms": np.ones(2, np.float32),
        "mz": np.array([1, 2], np.int8),
        "m2": matrix.copy(),
        "m2z": np.array([1, 2], np.int8),
    }
    path = save(tmp_path / "m", nodes, {"x": ("uint8", ["N", 2, 1, 1])}, {"y": ("float32", ["N", 2])}, weights)
    assert counted(path) == [
        ("k", "convolution", 1, 4),
        ("k2", "convolution", 1, 4),
        ("m", "linear", 1, 4),
        ("m2", "linear", 1, 4),
    ]


# -------------------------------------------------------------------------------------------------- external data


def external(path: Path, weight: Array, location: str = "weights.bin") -> Path:
    linear(path, weight)
    model = onnx_library.load(path)
    onnx_library.save(model, path, save_as_external_data=True, location=location, size_threshold=0)
    return path


def relocated(path: Path, location: str) -> Path:
    model = onnx_library.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_are_run_counted_and_digested(tmp_path: Path, rng: np.random.Generator) -> None:
    weight = sparse(rng, 4, 3)
    path, beside = external(tmp_path / "m.onnx", weight), tmp_path / "weights.bin"
    model = load(path)
    np.testing.assert_allclose(model.predict({"x": np.eye(4, dtype=np.float32)}), weight)
    assert (model.card.density, model.card.size) == (0.5, path.stat().st_size + beside.stat().st_size)
    beside.write_bytes((-weight).tobytes())
    assert load(path).card.digest != model.card.digest


def test_external_data_may_be_links_as_download_caches_have_them(tmp_path: Path, rng: np.random.Generator) -> None:
    weight = sparse(rng, 4, 3)
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir()
    snapshot.mkdir()
    external(blobs / "abc", weight)
    (snapshot / "m.onnx").symlink_to(blobs / "abc")
    (snapshot / "weights.bin").symlink_to(blobs / "weights.bin")
    assert onnx.recognises(snapshot / "m.onnx")
    model = onnx_library.load(snapshot / "m.onnx", load_external_data=False)
    assert external_files(model, snapshot / "m.onnx") == (snapshot / "weights.bin",)


def test_missing_external_data_are_named(tmp_path: Path) -> None:
    path = external(tmp_path / "m.onnx", np.ones((4, 3), np.float32))
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"m\.onnx keeps its weights in 'weights\.bin', which is not beside it"):
        load(path)


def test_short_external_data_are_an_error(tmp_path: Path) -> None:
    path = external(tmp_path / "m.onnx", np.ones((4, 3), np.float32))
    os.truncate(tmp_path / "weights.bin", 20)
    with pytest.raises(ModelError):
        load(path)


def test_external_data_outside_the_folder_are_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = external(inner / "m.onnx", np.ones((4, 3), np.float32))
    (inner / "weights.bin").rename(tmp_path / "weights.bin")
    (inner / "link.bin").symlink_to(tmp_path / "weights.bin")
    for location in ("../weights.bin", str(tmp_path / "weights.bin"), "link.bin", "a/../../weights.bin", "."):
        with pytest.raises(ModelError, match=r"outside its folder|not beside it"):
            load(relocated(path, location))


# ---------------------------------------------------------------------------------------------------- broken files


def test_recognises_content_and_no_suffix(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    samples = [b"", b"\n", b"hello", b": an odd text\n" * 99, b"\x08", b"\x08\x08", b"PK\x03\x04", b"\x80\x02}q\x00."]
    for content in (*samples, bytes(999), b"\x08\x01" * 9, b"\x08\x08\x3a\x00", b"\x08\x01\x12\x03abc"):
        path.write_bytes(content)
        assert not onnx.recognises(path), content
    assert not onnx.recognises(tmp_path)
    assert onnx.recognises(linear(tmp_path / "weights.txt", np.ones((4, 3), np.float32)))


def test_other_protobufs_are_not_recognised(tmp_path: Path) -> None:
    tensor = tmp_path / "tensor.pb"
    tensor.write_bytes(numpy_helper.from_array(np.ones(3, np.float32), "x").SerializeToString())
    assert not onnx.recognises(tensor)
    empty = onnx_library.ModelProto(ir_version=8, producer_name="nobody")
    (tmp_path / "empty.onnx").write_bytes(empty.SerializeToString())
    assert not onnx.recognises(tmp_path / "empty.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_model_is_recognised_and_refused(tmp_path: Path, share: float) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((4, 300), np.float32))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="cannot be read to its end") as caught:
        load(path)
    assert "cut off" in caught.value.hint


@pytest.mark.parametrize("shape", [[1, 4], [1, -1], [1, 2, 2]])
def test_a_batch_of_1_that_a_reshape_writes_down_is_kept_to(
    tmp_path: Path, rng: np.random.Generator, shape: list[int]
) -> None:
    weight = rng.normal(size=(4, 3)).astype(np.float32)
    nodes = [helper.make_node("Reshape", ["x", "to"], ["r"]), helper.make_node("Flatten", ["r"], ["f"])]
    path = save(
        tmp_path / "m.onnx",
        [*nodes, helper.make_node("MatMul", ["f", "w"], ["y"])],
        {"x": ("float32", ("N", 4))},
        {"y": ("float32", ("N", 3))},
        {"to": np.array(shape, np.int64), "w": weight},
    )
    model, x = load(path), rng.normal(size=(5, 4)).astype(np.float32)
    before: tuple[str, ...] = model.notes
    assert before == ()
    for _ in range(2):
        np.testing.assert_allclose(model.predict({"x": x}), x @ weight, rtol=1e-5)
    assert model.notes == ("model fails on several samples at once, so it ran one sample at a time",)
    with pytest.raises(ModelError, match="failed on input x"):
        load(path).predict({"x": x[:, :3]})


def test_operators_of_another_runtime_are_audited_by_what_it_records(tmp_path: Path) -> None:
    model = onnx_library.load(linear(tmp_path / "m.onnx", np.ones((4, 3), np.float32)))
    model.graph.node[0].domain = "chip.vendor"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "m.onnx")
    assert "the domain chip.vendor, which no runtime here knows: run it in its own" in caught.value.hint


def test_a_name_that_onnxruntime_cannot_open_is_named(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((4, 3), np.float32))
    with pytest.raises(ModelError, match="is not UTF-8") as caught:
        load(path.rename(tmp_path / os.fsdecode(b"mod\xe8le.onnx")))
    assert "rename it" in caught.value.hint


def broken(path: Path, **changes: Any) -> Path:
    model = onnx_library.load(linear(path, np.ones((4, 3), np.float32)))
    if "version" in changes:
        model.opset_import[0].version = changes["version"]
    if "operator" in changes:
        model.graph.node[0].op_type = changes["operator"]
        model.graph.node[0].domain = "own"
        model.opset_import.append(helper.make_opsetid("own", 1))
    path.write_bytes(model.SerializeToString())
    return path


def test_what_onnxruntime_cannot_load_says_why_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"onnxruntime cannot load .*: ONNX Runtime only \*guarantees\*") as caught:
        load(broken(tmp_path / "m.onnx", version=999))
    assert "upgrade onnxruntime" in caught.value.hint
    with pytest.raises(
        ModelError, match=r"(?m): Fatal error: own:Foo\(-1\) is not a registered function/op$"
    ) as caught:
        load(broken(tmp_path / "m.onnx", operator="Foo"))
    assert "an operator Foo of the domain own, which no runtime here knows" in caught.value.hint
    assert "standard operators" in caught.value.hint
    convolution = save(
        tmp_path / "double.onnx",
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        {"x": ("float64", (1, 1, 8, 8))},
        {"y": ("float64", (1, 2, 6, 6))},
        {"w": np.ones((2, 1, 3, 3))},
    )
    with pytest.raises(ModelError, match=r"Could not find an implementation for Conv\(\d+\)") as caught:
        load(convolution)
    assert "export it in float32" in caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_what_onnxruntime_cannot_run_says_why_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    weights = {"s": np.array([2, 3])}
    path = save(tmp_path / "m", nodes, {"x": ("float32", ["N", 3])}, {"y": ("float32", ["N", 3])}, weights)
    with pytest.raises(ModelError, match="requested shape") as caught:
        load(path).predict({"x": np.zeros((5, 3), np.float32)})
    assert "\n" not in caught.value.message
    assert "onnxruntime_src" not in caught.value.message
    with pytest.raises(ModelError, match=r"model failed on input x \(2, 3\) float64: Unexpected input data type"):
        load(path).predict({"x": np.zeros((2, 3))})
    assert capfd.readouterr() == ("", "")


def test_an_output_of_another_length_than_the_batch_is_an_error(tmp_path: Path) -> None:
    nodes = [helper.make_node("Transpose", ["x"], ["y"])]
    path = save(tmp_path / "m", nodes, {"x": ("float32", ["N", 3])}, {"y": ("float32", [3, "N"])}, {})
    with pytest.raises(ModelError, match=r"expected scores of shape \(5, classes\), found \(3, 5\)"):
        load(path).predict({"x": np.zeros((5, 3), np.float32)})


def test_inputs_that_numpy_has_not_are_refused(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.BFLOAT16, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx_library.save(model, tmp_path / "m")
    with pytest.raises(ModelError, match=r"found x of type tensor\(bfloat16\)"):
        load(tmp_path / "m")


def test_refuses_a_factory_and_another_device(tmp_path: Path) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((4, 3), np.float32))
    with pytest.raises(UsageError, match="holds its own network"):
        onnx.load(ModelSource(name="m", path=path, factory="nets:tiny"), Settings())
    with pytest.raises(UsageError, match="runs on the CPU, not on cuda"):
        onnx.load(ModelSource(name="m", path=path), Settings(device="cuda"))


def test_names_that_are_no_text_are_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = linear(tmp_path / "m.onnx", np.ones((4, 3), np.float32))
    path.write_bytes(path.read_bytes().replace(b"\x01y", b"\x01\xff"))
    with pytest.raises(ModelError):
        load(path)
    assert capfd.readouterr() == ("", "")


def test_a_model_without_outputs_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    with pytest.raises(ModelError, match=r"(?m)found none$|onnxruntime cannot load"):
        load(save(tmp_path / "m", nodes, {"x": ("float32", ["N", 3])}, {}, {}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda tensor: tensor.dims.extend([2**40, 2**40]),
            "expected [\\d,]+ bytes for 'unused' of shape .*, found 32",
        ),
        (lambda tensor: tensor.segment.SetInParent(), "the weights in its graph cannot be told: .*segments"),
    ],
)
def test_numbers_that_are_no_array(tmp_path: Path, rng: np.random.Generator, change: Any, said: str) -> None:
    path = linear(tmp_path / "model.onnx", rng.normal(size=(4, 2)).astype(np.float32))
    model = onnx_library.load(path)
    other = numpy_helper.from_array(np.ones((4, 2), np.float32), "unused")
    change(other)
    model.graph.initializer.append(other)
    model.graph.node.insert(0, helper.make_node("Gemm", ["x", "unused"], ["left over"]))
    onnx_library.save(model, path)
    with pytest.raises(ModelError, match=said):
        load(path)


def test_a_sparse_weight_that_would_fill_the_memory(tmp_path: Path, rng: np.random.Generator) -> None:
    path = linear(tmp_path / "model.onnx", rng.normal(size=(4, 2)).astype(np.float32))
    model = onnx_library.load(path)
    values = numpy_helper.from_array(np.ones(1, np.float32), "huge")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "at")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**20, 2**20]))
    model.graph.node.append(helper.make_node("MatMul", ["left", "huge"], ["over"]))
    with pytest.raises(ValueError, match="a sparse weight of 1048576x1048576 stores 1 numbers"):
        Graph(model, path)


def test_external_data_that_change_while_they_are_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(2000, dtype=np.float32).reshape(500, 4)
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": ("float32", ("n", 500))},
        {"y": ("float32", ("n", 4))},
        {"w": values},
    )
    model = onnx_library.load(path)
    onnx_library.save(model, path, save_as_external_data=True, location="m.bin", size_threshold=0)
    source = ModelSource(name="m", path=path)
    onnx.load(source, Settings())
    session = onnx.session

    def slow(path: Path, threads: int | None) -> Any:
        made = session(path, threads)
        (tmp_path / "m.bin").write_bytes((values + 1).tobytes() + b"more")
        return made

    monkeypatch.setattr(onnx, "session", slow)
    with pytest.raises(ModelError, match=r"m\.bin was changed while it was read"):
        onnx.load(source, Settings())

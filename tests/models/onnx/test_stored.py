"""Numbers of an ONNX file are held to what it claims of them, and those beside it to where they may lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from prune_audit.cli import invoke
from prune_audit.errors import ModelError
from prune_audit.models.onnx.stored import check, external, external_files

WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)


def model(*stored: TensorProto) -> ModelProto:
    """A linear layer of 4 numbers and 3 classes, with ``stored`` among its initializers."""
    tensors = stored or (numpy_helper.from_array(WEIGHT, "weight"),)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        list(tensors),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def beside(**entries: str) -> TensorProto:
    """The weight in another file, as ``entries`` say."""
    tensor = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=WEIGHT.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


KINDS = [
    kind
    for kind in TensorProto.DataType.values()
    if kind not in (TensorProto.UNDEFINED, TensorProto.STRING) and kind in helper.get_all_tensor_dtypes()
]


@pytest.mark.parametrize("kind", KINDS, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("shape", [(), (0,), (3, 5), (2, 2)])
def test_what_onnx_writes_itself_is_as_long_as_it_claims(kind: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    """Odd numbers of types of less than a byte, too; onnx is the oracle."""
    values = np.ones(shape, np.float32)
    check(model(helper.make_tensor("listed", kind, shape, values.ravel().tolist())), tmp_path / "a.onnx")
    array = values.astype(helper.tensor_dtype_to_np_dtype(kind))
    check(model(numpy_helper.from_array(array, "raw")), tmp_path / "a.onnx")


def texts() -> TensorProto:
    return numpy_helper.from_array(np.array(["cat", "dog"], dtype=object), "names")


def test_texts_are_counted(tmp_path: Path) -> None:
    check(model(texts()), tmp_path / "a.onnx")
    names = texts()
    names.dims[:] = [3]
    with pytest.raises(ModelError, match=r"expected 3 entries for 'names' of shape \[3\], found 2"):
        check(model(names), tmp_path / "a.onnx")


def changed(change: Callable[[TensorProto], object]) -> TensorProto:
    tensor = numpy_helper.from_array(WEIGHT, "weight")
    change(tensor)
    return tensor


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (changed(lambda t: t.dims.append(2)), r"expected 96 bytes for 'weight' of shape \[4, 3, 2\], found 48"),
        (changed(lambda t: t.dims.append(2**40)), "found 48"),
        (changed(lambda t: setattr(t, "raw_data", t.raw_data[:-1])), "expected 48 bytes .*, found 47"),
        (changed(lambda t: setattr(t, "raw_data", t.raw_data + b"\0")), "expected 48 bytes .*, found 49"),
        (changed(lambda t: t.ClearField("raw_data")), "expected 12 entries .*, found 0"),
        (changed(lambda t: t.dims.__setitem__(0, -4)), "lengths of 0 or more in the shape of 'weight', found -4x3"),
    ],
)
def test_other_than_as_many_as_it_claims(tensor: TensorProto, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(model(tensor).SerializeToString())
    with pytest.raises(ModelError, match=said):
        check(onnx.load(path), path)


def test_two_of_one_name(tmp_path: Path) -> None:
    twice = [numpy_helper.from_array(array, "weight") for array in (WEIGHT, -WEIGHT)]
    with pytest.raises(ModelError, match="stores 'weight' 2 times"):
        check(model(*twice), tmp_path / "net.onnx")


def test_numbers_within_a_branch_and_a_constant_are_looked_at(tmp_path: Path) -> None:
    found = model()
    short = changed(lambda t: t.dims.append(2))
    short.name = "inside"
    inner = helper.make_graph([], "inner", [], [], [short])
    found.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner))
    with pytest.raises(ModelError, match="'inside'"):
        check(found, tmp_path / "net.onnx")
    found = model()
    found.graph.node.append(helper.make_node("Constant", [], ["d"], value=short))
    with pytest.raises(ModelError, match="'inside'"):
        check(found, tmp_path / "net.onnx")


def test_numbers_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"1234" + WEIGHT.tobytes() + b"more")
    path = tmp_path / "net.onnx"
    for entries in ({"offset": "4", "length": "48"}, {"offset": "4"}):
        tensor = beside(location="w.bin", **entries)
        check(model(tensor), path)
        assert external(tensor, path) == WEIGHT.tobytes()
        assert external_files(model(tensor), path) == (tmp_path / "w.bin",)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({}, "names no file for the data of 'weight'"),
        ({"location": "w\0.bin"}, "names no file"),
        ({"location": "../w.bin"}, "outside its folder"),
        ({"location": "/etc/hostname"}, "outside its folder"),
        ({"location": "link.bin"}, "outside its folder"),
        ({"location": "none.bin"}, "which is not beside it"),
        ({"location": "w.bin", "offset": "4"}, "expected at least 52 bytes for weight .*, found 48"),
        ({"location": "w.bin", "offset": "-4"}, "expected the offset of 'weight' in bytes, found '-4'"),
        ({"location": "w.bin", "offset": "²"}, "expected the offset"),
        ({"location": "w.bin", "length": "9" * 30}, "expected the length"),
        ({"location": "w.bin", "length": "44"}, "expected 48 bytes .*, found 44"),
    ],
)
def test_where_the_numbers_may_not_lie(entries: dict[str, str], said: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w.bin").write_bytes(WEIGHT.tobytes())
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelError, match=said):
        check(model(beside(**entries)), folder / "net.onnx")


def test_a_place_that_is_told_twice(tmp_path: Path) -> None:
    """onnxruntime takes the last offset, a reader that takes the first would count other numbers."""
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes() * 2)
    tensor = beside(location="w.bin", offset="0")
    tensor.external_data.add(key="offset", value="48")
    with pytest.raises(ModelError, match="says twice where the data of 'weight' lie: location, offset, offset"):
        check(model(tensor), tmp_path / "net.onnx")


def test_the_command_ends_with_an_error_and_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(model(changed(lambda t: t.dims.append(2**40))).SerializeToString())
    assert invoke(["inspect", str(path)]) == 2
    said = capsys.readouterr().err
    assert "expected 52,776,558,133,248 bytes for 'weight'" in said
    assert "hint: the file was damaged" in said
    assert "fault in prune-audit" not in said

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from prune_audit.cli import invoke
from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.models import safetensors

FACTORY = "torch.nn:Linear(4, 3)"


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(4, 3)


def source(path: Path, factory: str | None = FACTORY) -> ModelSource:
    return ModelSource(name="model", path=path, factory=factory)


def save(network: torch.nn.Module, path: Path, prefix: str = "", metadata: dict[str, str] | None = None) -> Path:
    save_file({prefix + key: value for key, value in network.state_dict().items()}, path, metadata=metadata)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_predicts_as_the_network_it_came_from(tmp_path: Path, network: torch.nn.Module, prefix: str) -> None:
    path = save(network, tmp_path / "weights.bin", prefix)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert safetensors.recognises(path)
    loaded = safetensors.load(source(path), Settings())
    with torch.no_grad():
        np.testing.assert_array_equal(loaded.predict({"x": x}), network(torch.from_numpy(x)).numpy())
    assert (loaded.card.format, loaded.card.parameters, loaded.card.size) == ("safetensors", 15, path.stat().st_size)
    assert loaded.card.density == 1


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_narrow_weights_run_in_the_types_of_the_factory(
    tmp_path: Path, network: torch.nn.Module, narrow: torch.dtype
) -> None:
    path = save(network.to(narrow), tmp_path / "w.safetensors")
    loaded = safetensors.load(source(path), Settings())
    assert loaded.expects.inputs[0].dtype == "float32"
    x = np.ones((2, 4), np.float32)
    with torch.no_grad():
        np.testing.assert_array_equal(loaded.predict({"x": x}), network.float()(torch.from_numpy(x)).numpy())


def test_class_names_are_read_from_the_metadata(tmp_path: Path, network: torch.nn.Module) -> None:
    path = save(network, tmp_path / "w.safetensors", metadata={"id2label": json.dumps({0: "a", 1: "b", 2: "c"})})
    assert safetensors.load(source(path), Settings()).expects.classes == ("a", "b", "c")


def test_asks_for_an_architecture(tmp_path: Path, network: torch.nn.Module) -> None:
    path = save(network, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="without the network") as caught:
        safetensors.load(source(path, None), Settings())
    assert f"{path}@package.module:factory" in caught.value.hint
    with pytest.raises(UsageError):
        safetensors.load(source(path, "Linear"), Settings())


def test_names_what_does_not_fit(tmp_path: Path, network: torch.nn.Module) -> None:
    path = save(network, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"2 of another shape: weight \(3, 4\) for \(2, 4\), bias \(3,\) for \(2,\)"):
        safetensors.load(source(path, "torch.nn:Linear(4, 2)"), Settings())


@pytest.mark.parametrize("length", [9, 40, -1])
def test_a_truncated_file_is_an_error(tmp_path: Path, network: torch.nn.Module, length: int) -> None:
    path = save(network, tmp_path / "w.safetensors")
    path.write_bytes(path.read_bytes()[:length])
    assert safetensors.recognises(path)
    with pytest.raises(ModelError, match="damaged or truncated"):
        safetensors.load(source(path), Settings())


def test_a_broken_header_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes((10).to_bytes(8, "little") + b'{"a": [1,}')
    assert safetensors.recognises(path)
    with pytest.raises(ModelError, match="damaged or truncated"):
        safetensors.load(source(path), Settings())


def test_recognises_content_and_no_suffix(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for content in (b"", b"{}", b'{"a": 1, "b": 2}', b"\xff" * 8 + b"{", bytes(8) + b"{", (2).to_bytes(8, "little")):
        path.write_bytes(content)
        assert not safetensors.recognises(path)
    assert not safetensors.recognises(tmp_path)


def written(path: Path, header: dict[str, object], data: bytes) -> Path:
    """A file as its format is described: the length of the header, the header, the numbers."""
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(start: int, end: int, shape: tuple[int, ...] = (3, 4), dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ({"weight": entry(0, 48), "bias": entry(44, 56, (3,))}, 56),  # over one another
        ({"weight": entry(0, 48), "bias": entry(0, 48)}, 48),
        ({"weight": entry(0, 48), "bias": entry(52, 64, (3,))}, 64),  # a hole between them
        ({"weight": entry(0, 48)}, 49),
        ({"weight": entry(0, 48)}, 47),
        ({"weight": entry(48, 0)}, 48),
        ({"weight": entry(-48, 0)}, 48),
        ({"weight": entry(0, 48, (3, 5))}, 48),
        ({"weight": entry(0, 48, (2**62, 2**62))}, 48),
        ({"weight": entry(0, 48, (-3, -4))}, 48),
        ({"weight": entry(0, 48, dtype="F33")}, 48),
        ({"weight": {"dtype": "F32", "shape": [3, 4]}}, 48),
    ],
)
def test_places_and_shapes_that_do_not_fit(
    header: dict[str, object], size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["inspect", str(written(tmp_path / "w.safetensors", {"weight": entry(0, 48)}, bytes(48)))]) == 0
    path = written(tmp_path / "w.safetensors", header, bytes(size))
    assert invoke(["inspect", str(path)]) == 2
    said = capsys.readouterr().err
    assert "damaged or truncated" in said
    assert "hint: " in said


def test_weights_of_a_byte_are_counted_and_of_less_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    byte = written(tmp_path / "f8.safetensors", {"weight": entry(0, 12, dtype="F8_E4M3")}, bytes([0, 8] * 6))
    assert invoke(["inspect", str(byte)]) == 0
    assert "50.00 %" in capsys.readouterr().out
    less = written(tmp_path / "f4.safetensors", {"weight": entry(0, 6, dtype="F4")}, bytes(6))
    assert invoke(["inspect", str(less)]) == 2
    assert "the zeros of float4_e2m1fn_x2 cannot be counted" in capsys.readouterr().err

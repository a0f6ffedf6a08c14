"""Networks that are changed and written again, in every format that allows it, and loaded without this package."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.utils import prune

from prune_audit.core import Array, ModelSource, Settings
from prune_audit.errors import ModelError, OutputError, UnsafeFile
from prune_audit.models import editable, load
from prune_audit.nets.editable import put
from sample_models.make import network
from tests.conftest import ROOT

FACTORY = "sample_models.make:network"
TRUSTING = Settings(allow_pickle=True)
PIXELS = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def halved(module: nn.Module) -> None:
    """Half of every weight of the first and the last layer set to zero."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in ("0.weight", "8.weight", "onnx::MatMul_1.weight"):
                parameter[::2] = 0


def sample(name: str) -> ModelSource:
    path = ROOT / "sample_models" / name
    return ModelSource(name="dense", path=path, factory=FACTORY if path.suffix in (".pth", ".safetensors") else None)


def test_a_state_dict_is_one_again(tmp_path: Path) -> None:
    opened = editable(sample("dense.pth"), Settings())
    halved(opened.module)
    opened.save(tmp_path / "out.pth")
    state = torch.load(tmp_path / "out.pth", weights_only=True)
    plain = network()
    plain.load_state_dict(state)
    assert (plain.get_parameter("0.weight")[::2] == 0).all()
    torch.testing.assert_close(plain.eval()(torch.from_numpy(PIXELS)), opened.module(torch.from_numpy(PIXELS)))


def test_safetensors_are_safetensors_again_with_their_metadata(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    classes = {"classes": str([f"digit {i}" for i in range(10)])}
    save_file(load_file(sample("dense.safetensors").path), tmp_path / "in.safetensors", classes)
    source = ModelSource(name="dense", path=tmp_path / "in.safetensors", factory=FACTORY)
    opened = editable(source, Settings())
    halved(opened.module)
    opened.save(tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", framework="pt") as file:
        assert file.metadata() == classes
        assert (file.get_tensor("0.weight")[::2] == 0).all()
    network().load_state_dict(load_file(tmp_path / "out.safetensors"))


def test_class_names_of_a_checkpoint_stay(tmp_path: Path) -> None:
    names = [f"digit {i}" for i in range(10)]
    torch.save({"state_dict": network().state_dict(), "classes": names}, tmp_path / "in.pth")
    opened = editable(ModelSource(name="dense", path=tmp_path / "in.pth", factory=FACTORY), Settings())
    opened.save(tmp_path / "out.pth")
    assert torch.load(tmp_path / "out.pth", weights_only=True)["classes"] == names
    again = load(ModelSource(name="x", path=tmp_path / "out.pth", factory=FACTORY), Settings())
    assert again.expects.classes == tuple(names)


def test_a_pickled_module_needs_permission_and_is_one_again(tmp_path: Path) -> None:
    module = network()
    prune.random_unstructured(module.get_submodule("0"), "weight", 0.5)
    torch.save(module, tmp_path / "in.pt")
    source = ModelSource(name="dense", path=tmp_path / "in.pt")
    with pytest.raises(UnsafeFile):
        editable(source, Settings())
    opened = editable(source, TRUSTING)
    assert "0.weight" in dict(opened.module.named_parameters())
    opened.save(tmp_path / "out.pt")
    whole = torch.load(tmp_path / "out.pt", weights_only=False)
    assert not list(whole.named_buffers())
    torch.testing.assert_close(whole(torch.from_numpy(PIXELS)), module(torch.from_numpy(PIXELS)))


@pytest.mark.parametrize("name", ["dense.pt", "dense.pt2"])
def test_a_program_can_be_neither_cut_nor_trained(name: str) -> None:
    with pytest.raises(ModelError, match="neither cut nor trained") as caught:
        editable(sample(name), Settings())
    assert "@package.module:factory" in caught.value.hint


def test_what_is_no_model_is_said_as_always(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path, said in ((tmp_path / "notes.txt", "no model that"), (tmp_path / "gone.pt", "there is no file")):
        with pytest.raises(ModelError, match=said):
            editable(ModelSource(name="x", path=path), Settings())


def run_onnx(path: Path) -> Array:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    scores: Array = session.run(None, {session.get_inputs()[0].name: PIXELS})[0]
    return scores


def zeros(path: Path) -> dict[str, int]:
    model = onnx_library.load(path)
    return {t.name: int((numpy_helper.to_array(t) == 0).sum()) for t in model.graph.initializer}


def test_onnx_is_zeroed_in_its_initializers_alone(tmp_path: Path) -> None:
    source = sample("dense.onnx")
    opened = editable(source, Settings())
    shapes = {name: tuple(p.shape) for name, p in opened.module.named_parameters()}
    assert set(shapes.values()) == {(16, 1, 3, 3), (32, 16, 3, 3), (48, 512), (10, 48)}
    assert list(shapes) == [f"{i}.weight" for i in (0, 2, 6, 8)]
    opened.save(tmp_path / "same.onnx")
    np.testing.assert_array_equal(run_onnx(tmp_path / "same.onnx"), run_onnx(source.path))
    halved(opened.module)
    opened.save(tmp_path / "out.onnx")
    before, after = zeros(source.path), zeros(tmp_path / "out.onnx")
    assert {n: after[n] - before[n] for n in after if after[n] != before[n]} == {"0.weight": 8 * 9, "8.weight": 5 * 48}
    plain = network()
    plain.load_state_dict(torch.load(sample("dense.pth").path, weights_only=True))
    halved(plain)
    wanted = plain(torch.from_numpy(PIXELS)).detach().numpy()
    np.testing.assert_allclose(run_onnx(tmp_path / "out.onnx"), wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(ModelError, match="cannot be run in torch"):
        opened.tensors({"image": PIXELS})


def test_external_data_of_onnx_stay_beside_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    model = onnx_library.load(sample("dense.onnx").path)
    onnx_library.save_model(
        model, tmp_path / "in" / "dense.onnx", save_as_external_data=True, location="weights.bin", size_threshold=100
    )
    opened = editable(ModelSource(name="dense", path=tmp_path / "in" / "dense.onnx"), Settings())
    halved(opened.module)
    (tmp_path / "out").mkdir()
    opened.save(tmp_path / "out" / "p.onnx")
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"p.onnx", "p.onnx.data"}
    shutil.rmtree(tmp_path / "in")
    assert zeros(tmp_path / "out" / "p.onnx")["8.weight"] == 5 * 48
    run_onnx(tmp_path / "out" / "p.onnx")
    assert (tmp_path / "out" / "p.onnx").stat().st_size < 30_000


def test_quantised_onnx_is_refused(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    tensors = [
        numpy_helper.from_array(np.ones((4, 3), np.int8), "w"),
        numpy_helper.from_array(np.array(0.1, np.float32), "s"),
        numpy_helper.from_array(np.array(0, np.int8), "z"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"]),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", c]) for n, c in (("x", 4), ("y", 3))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx_library.save(made, tmp_path / "q.onnx")
    with pytest.raises(ModelError, match="is quantised"):
        editable(ModelSource(name="q", path=tmp_path / "q.onnx"), Settings())


def test_names_that_modules_do_not_take(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    weights = ["a..b", "forward.weight", "onnx::MatMul_1", "a.b.weight", "a.weight", "a"]
    tensors = [numpy_helper.from_array(np.eye(4, dtype=np.float32), name) for name in weights]
    nodes, last = [], "x"
    for i, name in enumerate(weights):
        nodes.append(helper.make_node("MatMul", [last, name], [f"v{i}"]))
        last = f"v{i}"
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4]) for n in ("x", last)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx_library.save(made, tmp_path / "n.onnx")
    opened = editable(ModelSource(name="n", path=tmp_path / "n.onnx"), Settings())
    assert len(list(opened.module.named_parameters())) == len(weights)
    with torch.no_grad():
        opened.module.get_parameter("a.b.weight").zero_()
    opened.save(tmp_path / "out.onnx")
    assert {name for name, count in zeros(tmp_path / "out.onnx").items() if count == 16} == {"a.b.weight"}


def test_a_folder_of_transformers_is_one_again(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="shared data of no kind: transformers is not installed")
    config = transformers.ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
    )
    made = transformers.ResNetForImageClassification(config)
    made.save_pretrained(tmp_path / "in")
    (tmp_path / "in" / "preprocessor_config.json").write_text("{}")
    opened = editable(ModelSource(name="in", path=tmp_path / "in"), Settings())
    name = next(n for n, p in opened.module.named_parameters() if p.ndim == 4)
    with torch.no_grad():
        opened.module.get_parameter(name).zero_()
    opened.save(tmp_path / "out")
    assert (tmp_path / "out" / "preprocessor_config.json").read_text() == "{}"
    again = transformers.ResNetForImageClassification.from_pretrained(tmp_path / "out")
    assert (again.get_parameter(name) == 0).all()
    assert load(ModelSource(name="out", path=tmp_path / "out"), Settings()).expects.preprocess is not None
    with pytest.raises(OutputError, match="a folder that is there already"):
        opened.save(tmp_path / "in")


def test_scores_carry_gradients_and_faults_are_told() -> None:
    opened = editable(sample("dense.pth"), Settings())
    scores = opened.scores(opened.tensors({"input": PIXELS}))
    assert scores.shape == (3, 10)
    assert scores.requires_grad
    with pytest.raises(ModelError, match=r"failed on input input \(3, 2, 8, 8\)"):
        opened.scores({"input": torch.zeros(3, 2, 8, 8)})
    assert isinstance(opened.module, nn.Sequential)
    opened.module.append(nn.Flatten(0))
    with pytest.raises(ModelError, match=r"expected scores of shape \(3, classes\), found \(30,\)"):
        opened.scores(opened.tensors({"input": PIXELS}))


@pytest.fixture
def _exporters_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on what they deprecate
        yield


@pytest.mark.usefixtures("_exporters_warn")
def test_an_export_predicts_the_same(tmp_path: Path) -> None:
    opened = editable(sample("dense.pth"), Settings())
    halved(opened.module)
    opened.export({"image": PIXELS}, tmp_path / "out.onnx")
    wanted = opened.module(torch.from_numpy(PIXELS)).detach().numpy()
    np.testing.assert_allclose(run_onnx(tmp_path / "out.onnx"), wanted, rtol=1e-4, atol=1e-4)
    assert [each.name for each in tmp_path.iterdir()] == ["out.onnx"]


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    (tmp_path / "out").write_text("old")
    with pytest.raises(OutputError, match="No space left"):
        put(tmp_path / "out", fail)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("out", "old")]
    with pytest.raises(OutputError, match="cannot be written"):
        put(tmp_path / "gone" / "out", fail)


@contextmanager
def full() -> Iterator[None]:
    """No file may have more than 100 bytes, as on a disk that is full; nor may that which a test run writes to."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["dense.pth", "dense.safetensors", "dense.onnx", "folder"])
def test_a_full_disk_is_told_as_such_by_every_format(name: str, tmp_path: Path) -> None:
    """By torch, safetensors and transformers as well, whose own errors are of other kinds."""
    source = sample(name)
    if name == "folder":
        transformers = pytest.importorskip("transformers")
        config = transformers.ResNetConfig(
            num_channels=1, embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic"
        )
        transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "in")
        source = ModelSource(name="in", path=tmp_path / "in")
    opened = editable(source, Settings())
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match=f"out/{name} cannot be written: .*File too large"), full():
        opened.save(tmp_path / "out" / name)
    assert not list((tmp_path / "out").iterdir())

import argparse
import collections
import datetime
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile, UsageError
from prune_audit.models import _unpickle, torch_save

NETS = "nets_of_test_torch_save"
CODE = """
import torch
def tiny(classes=3, width=4):
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, width, 3), torch.nn.BatchNorm2d(width), torch.nn.ReLU(), torch.nn.Dropout(.9),
        torch.nn.Flatten(), torch.nn.Linear(width * 4, classes),
    )
class Own(torch.nn.Linear):
    pass
class Seen(torch.nn.Module):
    last = []
    def __init__(self, views=False):
        super().__init__()
        self.conv, self.views = torch.nn.Conv2d(3, 4, 3), views
    def forward(self, x):
        x = self.conv(x)
        Seen.last.append(x.is_contiguous(memory_format=torch.channels_last))
        return x.view(len(x), -1)[:, :5] if self.views else x.mean((2, 3))
"""
FACTORY = f"{NETS}:tiny"
WEIGHTS = Path(__file__).parents[2] / "../shared/data/cifar10-weights/resnet32-d509ac18.th"
TRUSTING = Settings(allow_pickle=True)


@pytest.fixture(autouse=True)
def in_a_folder_with_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{NETS}.py").write_text(CODE)
    yield
    sys.modules.pop(NETS, None)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = __import__(NETS).tiny()
    network(torch.randn(8, 1, 4, 4))  # gives the normalisation statistics of its own
    return network.eval()


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def zipped(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def save(content: object, path: Path, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def source(path: Path, factory: str | None = FACTORY) -> ModelSource:
    return ModelSource(name="model", path=path, factory=factory)


def assert_same(path: Path, network: nn.Module, settings: Settings, factory: str | None = FACTORY) -> None:
    images = np.random.default_rng(0).normal(size=(5, 1, 4, 4)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    assert torch_save.recognises(path)
    found = torch_save.load(source(path, factory), settings).predict({"image": images})
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # convolutions may sum in another order


@pytest.mark.parametrize(("views", "laid"), [(False, [False, True, True]), (True, [False, True, False])])
def test_convolutions_run_with_channels_together_where_the_network_takes_them_so(
    tmp_path: Path, views: bool, laid: list[bool]
) -> None:
    made = __import__(NETS).Seen(views)
    seen = made.last
    loaded = torch_save.load(
        source(save(made.state_dict(), tmp_path / "a.pth"), f"{NETS}:Seen(views={views})"), Settings()
    )
    images = np.random.default_rng(0).normal(size=(5, 3, 6, 6)).astype(np.float32)
    with torch.no_grad():
        expected = made(torch.from_numpy(images)).numpy()
    seen.clear()
    for _ in range(2):
        # The same sums in another order: a few roundings of single precision.
        np.testing.assert_allclose(loaded.predict({"image": images}), expected, rtol=1e-5, atol=1e-6)
    assert seen == laid


# -------------------------------------------------------------------------------------------------- state dicts


def test_a_state_dict_predicts_as_the_network_it_came_from(tmp_path: Path, network: nn.Module, zipped: bool) -> None:
    assert_same(save(network.state_dict(), tmp_path / "a.weights", zipped), network, Settings())


@pytest.mark.parametrize("keys", [("state_dict",), ("model",), ("model_state_dict",), ("net",), ("ema", "state_dict")])
def test_finds_weights_in_a_larger_checkpoint(tmp_path: Path, network: nn.Module, keys: tuple[str, ...]) -> None:
    content: object = network.state_dict()
    for key in reversed(keys):
        content = {"epoch": 3, "best_acc": torch.tensor(0.5), "optimizer": {"state": {}}, key: content}
    assert_same(save(content, tmp_path / "a.pt"), network, Settings())


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."]
)
def test_takes_off_the_prefixes_of_wrappers(tmp_path: Path, network: nn.Module, prefix: str) -> None:
    content = {prefix + key: value for key, value in network.state_dict().items()}
    assert_same(save(content, tmp_path / "a.pt"), network, Settings())


def test_takes_off_what_averaging_adds(tmp_path: Path, network: nn.Module) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(network)
    assert_same(save(averaged.state_dict(), tmp_path / "a.pt"), network, Settings())


def test_keeps_a_prefix_that_the_architecture_has(tmp_path: Path) -> None:
    (tmp_path / f"{NETS}.py").write_text(
        "import torch\ndef tiny(): return torch.nn.ModuleDict({'module': torch.nn.Linear(2, 3)})"
    )
    save({f"module.{key}": value for key, value in nn.Linear(2, 3).state_dict().items()}, tmp_path / "a.pt")
    assert torch_save.load(source(tmp_path / "a.pt"), Settings()).card.parameters == 9


def test_multiplies_pruned_weights_by_their_masks(tmp_path: Path, network: Any) -> None:
    prune.l1_unstructured(network[0], "weight", 0.5)
    prune.random_unstructured(network[5], "weight", 0.25)
    network.eval()
    path = save(network.state_dict(), tmp_path / "a.pt")
    assert "0.weight_mask" in network.state_dict()
    assert_same(path, network, Settings())
    card = torch_save.load(source(path), Settings()).card
    assert [(layer.name, layer.nonzero, layer.total) for layer in card.layers] == [
        ("0.weight", 18, 36),
        ("5.weight", 36, 48),
    ]
    assert card.parameters == 36 + 4 + 8 + 48 + 3


def test_sparse_weights_are_made_dense(tmp_path: Path, network: Any) -> None:
    with torch.no_grad():
        network[5].weight[:, ::2] = 0
    content = network.state_dict()
    content["5.weight"] = content["5.weight"].to_sparse()
    assert_same(save(content, tmp_path / "a.pt"), network, Settings())


def test_runs_in_the_types_of_the_factory(tmp_path: Path, network: nn.Module) -> None:
    rounded = {k: v.bfloat16() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    path = save(rounded, tmp_path / "a.pt")
    network.load_state_dict(rounded)
    assert_same(path, network, Settings())


def test_old_checkpoints_without_batch_counters_fit(tmp_path: Path, network: nn.Module) -> None:
    content = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    assert_same(save(content, tmp_path / "a.pt"), network, Settings())


def test_names_missing_extra_and_misshapen_keys(tmp_path: Path, network: nn.Module) -> None:
    content = network.state_dict()
    content["head.weight"] = content.pop("5.weight")
    with pytest.raises(ModelError, match=r"1 missing: 5\.weight; 1 extra: head\.weight"):
        torch_save.load(source(save(content, tmp_path / "a.pt")), Settings())
    path = save(network.state_dict(), tmp_path / "b.pt")
    with pytest.raises(
        ModelError, match=r"7 of another shape: 0\.weight \(4, 1, 3, 3\) for \(2, 1, 3, 3\), .* and 4 more"
    ):
        torch_save.load(source(path, f"{FACTORY}(width=2)"), Settings())
    with pytest.raises(ModelError, match=r"2 of another shape: 5\.weight") as caught:
        torch_save.load(source(path, f"{FACTORY}(classes=5)"), Settings())
    assert "num_classes" in caught.value.hint


def test_a_state_dict_alone_asks_for_its_architecture(tmp_path: Path, network: nn.Module, zipped: bool) -> None:
    path = save({"state_dict": network.state_dict()}, tmp_path / "w.pth", zipped)
    with pytest.raises(ModelError, match="without the network") as caught:
        torch_save.load(source(path, None), Settings())
    assert f"{path}@package.module:factory(num_classes=10)" in caught.value.hint


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, [1, 2], torch.ones(3), None])
def test_a_file_without_weights_is_no_model(tmp_path: Path, content: object) -> None:
    path = save(content, tmp_path / "w.pth")
    for factory in (None, FACTORY):
        with pytest.raises(ModelError, match="found"):
            torch_save.load(source(path, factory), Settings())


def test_a_bad_factory_is_refused(tmp_path: Path, network: nn.Module) -> None:
    with pytest.raises(UsageError):
        torch_save.load(source(save(network.state_dict(), tmp_path / "w.pth"), "nowhere"), Settings())


def test_harmless_types_beside_the_weights_are_let_through(tmp_path: Path, network: nn.Module, zipped: bool) -> None:
    content = {
        "state_dict": network.state_dict(),
        "args": argparse.Namespace(lr=0.1, data=Path("data"), nested=argparse.Namespace(x=np.float32(1))),
        "best": np.float64(0.9),
        "seen": np.int64(7),
        "curve": np.arange(3.0),
        "words": np.array(["a", "bc"]),
        "flag": np.bool_(True),
        "dtype": np.dtype("float32"),
        "torch_dtype": torch.float16,
        "started": datetime.datetime(2024, 1, 1),
        "log": collections.defaultdict(list, loss=[1.0]),
        "counts": collections.Counter("abca"),
        "order": collections.OrderedDict(a=1),
        "some": {1, 2},
        "classes": ["ant", "bee", "cat"],
    }
    path = save(content, tmp_path / "a.pt", zipped)
    assert_same(path, network, Settings())
    assert torch_save.load(source(path), Settings()).expects.classes == ("ant", "bee", "cat")


def test_harmless_types_are_not_even_constructed(tmp_path: Path) -> None:
    path = save({"args": argparse.Namespace(a=1), "log": collections.defaultdict(int, a=1)}, tmp_path / "a.pt")
    content = _unpickle.checkpoint(source(path))
    assert isinstance(content, dict)
    assert isinstance(content["args"], _unpickle.Unused)
    assert content["log"] == {"a": 1}


def test_card_and_expectations(tmp_path: Path, network: nn.Module) -> None:
    path = save({"model": network.state_dict(), "class_to_idx": {"b": 1, "a": 0, "c": 2}}, tmp_path / "a.pt")
    loaded = torch_save.load(source(path), Settings())
    assert (loaded.card.name, loaded.card.format, loaded.card.size) == ("model", "torch.save", path.stat().st_size)
    assert len(loaded.card.digest) == 64
    assert loaded.expects.classes == ("a", "b", "c")
    assert loaded.expects.channels == 1


@pytest.mark.skipif(not WEIGHTS.exists(), reason="shared data are absent: weights of CIFAR-10")
def test_reads_weights_that_were_saved_from_a_gpu_before_torch_1_6() -> None:
    assert torch_save.recognises(WEIGHTS)
    with pytest.raises(
        ModelError, match=r"2 missing: weight, bias; 157 extra: module\.conv1\.weight, module\.bn1\.weight"
    ):
        torch_save.load(source(WEIGHTS, "torch.nn:Linear(3, 4)"), Settings())


# ------------------------------------------------------------------------------------------- whole pickled modules


def test_a_whole_module_needs_permission(tmp_path: Path, network: nn.Module, zipped: bool) -> None:
    path = save(network, tmp_path / "whole.pt", zipped)
    with pytest.raises(UnsafeFile, match=r"whole pickled module, it asks for .*torch\.nn\.modules") as caught:
        torch_save.load(source(path, None), Settings())
    for way in ("ONNX", "TorchScript", "torch.export", f"{path}@package.module:factory", "--allow-pickle"):
        assert way in caught.value.hint
    assert_same(path, network, TRUSTING, None)


def test_with_permission_a_module_is_found_in_a_dict_and_unwrapped(tmp_path: Path, network: nn.Module) -> None:
    path = save({"epoch": 1, "model": nn.DataParallel(network)}, tmp_path / "whole.pt")
    assert_same(path, network, TRUSTING, None)


def test_with_permission_a_whole_module_may_give_its_weights_to_a_factory(tmp_path: Path, network: nn.Module) -> None:
    assert_same(save({"model": network}, tmp_path / "whole.pt"), network, TRUSTING)


def test_a_module_in_training_mode_is_evaluated(tmp_path: Path, network: nn.Module) -> None:
    path = save(network.train(), tmp_path / "whole.pt")
    loaded = torch_save.load(source(path, None), TRUSTING)
    assert not loaded.module.training
    assert not any(module.training for module in loaded.module.modules())


def test_own_classes_are_named_before_those_of_torch(tmp_path: Path) -> None:
    path = save(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), __import__(NETS).Own(2, 3)), tmp_path / "whole.pt")
    with pytest.raises(UnsafeFile, match=rf"it asks for {NETS}\.Own, "):
        torch_save.load(source(path, None), Settings())


def test_a_missing_class_is_named(tmp_path: Path) -> None:
    path = save(__import__(NETS).Own(2, 3), tmp_path / "whole.pt")
    sys.modules.pop(NETS)
    (tmp_path / f"{NETS}.py").unlink()
    with pytest.raises(ModelError, match=NETS) as caught:
        torch_save.load(source(path, None), TRUSTING)
    assert "PYTHONPATH" in caught.value.hint


def test_with_permission_something_else_is_still_no_model(tmp_path: Path) -> None:
    path = save(pytest.approx, tmp_path / "whole.pt")
    with pytest.raises(ModelError, match="found function"):
        torch_save.load(source(path, None), TRUSTING)


# ---------------------------------------------------------------------------------------------------------- payloads


class Payload:
    """Leaves a file behind where its pickle is run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def with_persistent_payload(path: Path, zipped: bool, marker: Path) -> None:
    """A file whose payload hides in the id of a storage."""

    class Pickler(pickle._Pickler):  # the accelerated one cannot be subclassed with protocol 2 ids on every version
        def persistent_id(self, obj: object) -> object:
            return ("storage", Payload(marker), "0", "cpu", 1) if obj == "the weights" else None

    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump({"weight": "the weights"})
    save({}, path, zipped)
    if zipped:
        with zipfile.ZipFile(path) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in records.items():
                archive.writestr(name, buffer.getvalue() if name.endswith("/data.pkl") else content)
    else:
        path.write_bytes(path.read_bytes().replace(pickle.dumps({}, 2), buffer.getvalue()))


@pytest.mark.parametrize("place", ["alone", "beside the weights", "among the weights", "as a storage"])
def test_a_payload_does_not_run_without_permission(
    tmp_path: Path, network: nn.Module, zipped: bool, place: str
) -> None:
    path, marker = tmp_path / "evil.pt", tmp_path / "ran"
    if place == "alone":
        save(Payload(marker), path, zipped)
    elif place == "beside the weights":
        save({"state_dict": network.state_dict(), "args": [Payload(marker)]}, path, zipped)
    elif place == "among the weights":
        save({**network.state_dict(), "5.bias": Payload(marker)}, path, zipped)
    else:
        with_persistent_payload(path, zipped, marker)
    assert torch_save.recognises(path)
    for factory in (None, FACTORY):
        with pytest.raises(UnsafeFile, match=r"posix\.system"):
            torch_save.load(source(path, factory), Settings())
    # The second wall holds alone, too.
    with pytest.raises(UnsafeFile):
        _unpickle.checkpoint(source(path))
    assert not marker.exists()
    # And the payload is a real one.
    with pytest.raises(ModelError):
        torch_save.load(source(path, None), TRUSTING)
    assert marker.exists()


def test_a_payload_of_a_newer_protocol_does_not_run(tmp_path: Path, zipped: bool) -> None:
    path, marker = tmp_path / "evil.pt", tmp_path / "ran"
    torch.save([Payload(marker)], path, pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeFile, match=r"posix\.system"):
        torch_save.load(source(path), Settings())
    assert not marker.exists()


def test_a_bare_pickle_is_named_and_does_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Payload(marker)))
    assert torch_save.recognises(path)
    for settings in (Settings(), TRUSTING):
        with pytest.raises(ModelError, match=r"torch\.save did not write"):
            torch_save.load(source(path), settings)
    assert not marker.exists()


def test_a_clean_file_of_a_newer_protocol_says_how_to_save_it(tmp_path: Path, network: nn.Module) -> None:
    torch.save(network.state_dict(), tmp_path / "a.pt", pickle_protocol=4)
    with pytest.raises(UnsafeFile, match="newer pickle protocol") as caught:
        torch_save.load(source(tmp_path / "a.pt"), Settings())
    assert "pickle_protocol" in caught.value.hint
    assert_same(tmp_path / "a.pt", network, TRUSTING)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_imports_are_listed_in_every_protocol(protocol: int) -> None:
    pickled = pickle.dumps(
        [collections.OrderedDict(), Path("x"), subprocess.Popen, Path("y"), Payload(Path("m"))], protocol
    )
    listed = _unpickle.imports(io.BytesIO(pickled))
    assert {"posix.system", "subprocess.Popen"} <= set(listed)
    assert {"posix.system", "subprocess.Popen"} <= set(_unpickle.refused(listed))
    assert not {"collections.OrderedDict", "pathlib.PosixPath"} & set(_unpickle.refused(listed))


# -------------------------------------------------------------------------------------------------------- broken files


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_truncated_legacy_file_is_an_error(tmp_path: Path, network: nn.Module, share: float) -> None:
    path = save(network.state_dict(), tmp_path / "a.pt", zipped=False)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert torch_save.recognises(path)
    for settings in (Settings(), TRUSTING):
        with pytest.raises(ModelError, match="damaged or truncated"):
            torch_save.load(source(path), settings)


def test_a_damaged_archive_is_an_error(tmp_path: Path, network: nn.Module) -> None:
    path = save(network.state_dict(), tmp_path / "a.pt")
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    for lost in (name for name in records if name.endswith(("/data/0", "/data.pkl"))):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in records.items():
                archive.writestr(name, content[: len(content) // 2] if name == lost else content)
        assert torch_save.recognises(path)
        with pytest.raises(ModelError, match="damaged"):
            torch_save.load(source(path), Settings())


@pytest.mark.parametrize("record", ["data/0", "data.pkl", "version"])
def test_a_flipped_byte_is_found_although_torch_would_load_it(tmp_path: Path, network: nn.Module, record: str) -> None:
    path = save(network.state_dict(), tmp_path / "a.pt")
    with zipfile.ZipFile(path) as archive:
        content = archive.read(f"a/{record}")
    whole = bytearray(path.read_bytes())
    whole[whole.index(content) + len(content) - 1] ^= 1
    path.write_bytes(whole)
    for settings in (Settings(), TRUSTING):
        with pytest.raises(ModelError, match=f"the archive is damaged: Bad CRC-32 for file 'a/{record}'"):
            torch_save.load(source(path), settings)


def test_checksums_that_were_not_computed_are_not_checked(tmp_path: Path, network: nn.Module) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = save(network.state_dict(), tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() == "a/data.pkl"
    assert_same(path, network, Settings())


# TorchScript is deprecated and still read.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_recognises_content_and_no_suffix(tmp_path: Path, network: nn.Module) -> None:
    script = tmp_path / "script.pth"
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, 4, 4)), script)
    program = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(network, (torch.zeros(1, 1, 4, 4),)), program)
    text = tmp_path / "text.pt"
    text.write_text("hello")
    (tmp_path / "empty.pt").touch()
    arrays = tmp_path / "arrays.pt"
    with arrays.open("wb") as file:
        np.savez(file, x=np.zeros(3))
    for path in (script, program, text, tmp_path / "empty.pt", arrays, tmp_path, tmp_path / "missing"):
        assert not torch_save.recognises(path)

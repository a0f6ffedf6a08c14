import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prune_audit import models
from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.models import _container, onnx

EXPECTED = [
    ("new.pt", "new", "new.pt", None),
    ("old=new.pt", "old", "new.pt", None),
    ("w.pth@pkg.nets:resnet", "w", "w.pth", "pkg.nets:resnet"),
    ("w.pth@pkg.nets:resnet(num_classes=10)", "w", "w.pth", "pkg.nets:resnet(num_classes=10)"),
    ("half=w.pth@pkg.nets:resnet(num_classes=10)", "half", "w.pth", "pkg.nets:resnet(num_classes=10)"),
    ("half=w.pth@nets:make(tag='a@b', n=1)", "half", "w.pth", "nets:make(tag='a@b', n=1)"),
    ("a@b=new.pt", "a@b", "new.pt", None),
    ("me@home/new.pt", "new", "me@home/new.pt", None),
    ("old=me@home/new.pt", "old", "me@home/new.pt", None),
    # What exists is a path, whatever it contains.
    ("odd=name@here.pt", "odd=name@here", "odd=name@here.pt", None),
    ("old=odd=name@here.pt", "old", "odd=name@here.pt", None),
    ("odd=w.pth@nets:make(n=1)", "odd=w", "odd=w.pth", "nets:make(n=1)"),
    # The factory lacks its function; the left side is there, so a factory was meant.
    ("there.pth@nets", "there", "there.pth", "nets"),
    ("old=there.pth@nets", "old", "there.pth", "nets"),
]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("odd=name@here.pt", "odd=w.pth", "there.pth"):
        (tmp_path / name).touch()


@pytest.mark.parametrize(("argument", "name", "path", "factory"), EXPECTED, ids=[case[0] for case in EXPECTED])
def test_arguments_are_taken_apart(argument: str, name: str, path: str, factory: str | None) -> None:
    assert models.parse(argument) == ModelSource(name=name, path=Path(path), factory=factory)


@pytest.mark.parametrize("argument", ["", "=", "=a.pt", "name=", "name=@nets:make"])
def test_arguments_without_a_path_or_name_are_refused(argument: str) -> None:
    with pytest.raises(UsageError, match="expected a model as NAME=PATH") as caught:
        models.parse(argument)
    assert "NAME=PATH@package.module:factory" in caught.value.hint


def test_a_very_long_argument_is_no_path() -> None:
    assert models.parse("w.pth@nets:make(" + "1," * 5000 + ")").path == Path("w.pth")


def load(path: str | Path) -> object:
    return models.load(ModelSource(name="m", path=Path(path)), Settings())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes have names here")
@pytest.mark.parametrize("factory", [None, "nets:make"])
def test_what_would_be_read_without_end_is_not_read(factory: str | None) -> None:
    os.mkfifo("pipe.onnx")
    Path("zero.pth").symlink_to("/dev/zero")
    for name in ("pipe.onnx", "zero.pth"):
        source = ModelSource(name="m", path=Path(name), factory=factory)
        for read in (models.load, models.editable):
            with pytest.raises(ModelError, match=f"{name} is no file but a device or a pipe"):
                read(source, Settings())


def test_a_missing_file_brings_near_names_to_mind() -> None:
    with pytest.raises(ModelError, match=r"there is no file their\.pth") as caught:
        load("their.pth")
    assert caught.value.hint.startswith("did you mean there.pth? in . there is there.pth")
    with pytest.raises(ModelError, match=r"there is no file nowhere/a\.pt") as caught:
        load("nowhere/a.pt")
    assert "no folder nowhere" in caught.value.hint


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    with pytest.raises(ModelError, match="is a folder") as caught:
        load("saved")
    assert "no file in saved" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b" \n\n", "blank text"),
        ("\nThis is no model, é\n".encode(), "text beginning 'This is no model, é'"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n000", "HDF5"),
        ("id;predicted\na;Möwe\n".encode("cp1252"), "text in another encoding than UTF-8"),
        (b"\x93NUMPY\x01\x00", "a single NumPy array; np.savez('predictions.npz', predicted=array)"),
        (b"\xff\xfe\x00\x01", "binary data of no known kind, beginning ff fe 00 01"),
    ],
)
def test_what_is_no_model_is_described(content: bytes, what: str) -> None:
    Path("model.onnx").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load("model.onnx")
    assert "model.onnx is no model" in caught.value.message
    assert what in caught.value.message
    assert "torchscript" in caught.value.hint


def test_archives_that_are_no_models_are_described() -> None:
    def found(records: dict[str, bytes]) -> str:
        path = Path("a.pt")
        path.write_bytes(_container.rebuilt(records).getvalue())
        with pytest.raises(ModelError) as caught:
            load(path)
        return caught.value.message

    assert "a zip archive of model/a.txt, model/b.txt" in found({"a.txt": b"a", "b.txt": b"b"})
    assert "an empty zip archive" in found({}) or "binary" in found({})
    assert "AOTInductor compiled" in found({"data/aotinductor/model/a.so": b"", "x": b""})
    whole = _container.rebuilt({"code/a.py": b"0" * 5000, "constants.pkl": b""}).getvalue()
    Path("cut.pt").write_bytes(whole[:3000])
    with pytest.raises(ModelError, match="cut short"):
        load("cut.pt")


def test_text_cut_within_a_character_is_still_text() -> None:
    Path("a.onnx").write_bytes(b"x" + "é".encode() * 600)
    with pytest.raises(ModelError, match="text beginning 'xé"):
        load("a.onnx")


def test_an_archive_is_rebuilt_from_its_records() -> None:
    records = {"data/0": np.arange(5).tobytes(), "version": b"3\n"}
    Path("a").write_bytes(_container.rebuilt(records).getvalue())
    assert _container.names(Path("a")) == set(records)
    assert _container.read(Path("a"), lambda name: True) == records
    assert _container.read(Path("a"), lambda name: name == "version") == {"version": b"3\n"}


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"other"), lambda path: path.unlink()])
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: Callable[[Path], object], sample_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("m.onnx")
    shutil.copy(sample_models / "dense.onnx", path)
    original = onnx.load

    def slow(source: ModelSource, settings: Settings) -> object:
        model = original(source, settings)
        change(path)
        return model

    monkeypatch.setattr(onnx, "load", slow)
    with pytest.raises(ModelError, match=r"m\.onnx was changed while it was read"):
        models.load(ModelSource(name="m", path=path), Settings(isolate="never"))

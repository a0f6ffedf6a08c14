"""What a worker says, as it may be and as it may not."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit import errors
from prune_audit.core import Assumption, Expects, Input, Layer, ModelCard, ModelSource, Settings, Suspect
from prune_audit.evaluate.model_output import Output
from prune_audit.models import _answers

CARD = ModelCard(
    name="m",
    path="",
    format="ONNX",
    digest="there",
    size=1,
    layers=(Layer(name="fc", kind="linear", shape=(3, 4), nonzero=7, total=12, rounded=2),),
    parameters=15,
    uncounted=("x",),
)
EXPECTS = Expects(
    inputs=(Input(name="x", dtype="float32", shape=(None, 4)), Input(name="y")),
    batch=2,
    channels=1,
    size=(8, 9),
    outputs=3,
    classes=("a", "\x1b", "\udce9"),
    sample_rate=16_000,
    accuracy=("config", 0.5),
)
GIVES = (Output(name="scores", shape=(None, 3), dtype="float32"),)


def setting(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """A change that sets what is at ``path`` of an answer, where there is such a place."""

    def change(answer: dict[str, Any]) -> None:
        *way, last = path.split(".")
        here: Any = answer
        for key in way:
            below = dict(enumerate(here)) if isinstance(here, list) else here
            here = below.get(int(key) if isinstance(here, list) else key) if isinstance(below, dict) else None
        if isinstance(here, list):
            here[int(last)] = value
        elif isinstance(here, dict) and last in here:
            here[last] = value

    return change


@pytest.fixture
def source(tmp_path: Path) -> ModelSource:
    (tmp_path / "m.onnx").write_bytes(b"model")
    (tmp_path / "m.data").write_bytes(b"weights")
    return ModelSource(name="m", path=tmp_path / "m.onnx")


def told(source: ModelSource) -> dict[str, Any]:
    return {
        "card": _answers.plain(CARD),
        "expects": _answers.plain(EXPECTS),
        "gives": _answers.plain(GIVES),
        "files": [str(source.path), str(source.path.with_name("m.data"))],
        "notes": ["a note"],
        "assumptions": [{"subject": "another", "what": "output", "value": "1", "why": "so", "option": "--x"}],
        "suspects": [{"kind": "batch", "where": "norm"}],
        "activation": "softmax",
        "macs": 5,
        "error": ["UnsafeFile", "a", "b"],
        "array": {"dtype": "float32", "shape": [2, 3], "offset": 64},
    }


def read(answer: dict[str, Any], source: ModelSource) -> tuple[object, ...]:
    """All of ``answer``, checked."""
    return (
        _answers.card(answer["card"], source, ("d", 12, 9)),
        _answers.expects(answer["expects"], source),
        _answers.outputs(answer["gives"]),
        _answers.files(answer["files"], source),
        _answers.notes(answer["notes"]),
        _answers.assumptions(answer["assumptions"], source.name),
        _answers.suspects(answer["suspects"]),
        _answers.activation(answer["activation"]),
        _answers.macs(answer["macs"]),
        repr(_answers.error(answer["error"])),
        _answers.place(answer["array"], 88),
    )


def test_what_is_right_comes_through(source: ModelSource) -> None:
    card, expects, gives, files, notes, assumptions, suspects, *rest = read(told(source), source)
    assert isinstance(card, ModelCard)
    # What is made of the files is this side's, and so is what was asked.
    assert (card.digest, card.size, card.compressed, card.path) == ("d", 12, 9, str(source.path))
    assert (card.layers, card.parameters, card.uncounted) == (CARD.layers, CARD.parameters, CARD.uncounted)
    assert expects == EXPECTS
    assert gives == GIVES
    assert files == (source.path, source.path.with_name("m.data"))
    assert notes == ("a note",)
    assert assumptions == (Assumption(subject="m", what="output", value="1", why="so", option="--x"),)
    assert suspects == (Suspect(kind="batch", where="norm"),)
    assert rest == ["softmax", 5, "UnsafeFile('a')", _answers.Place("float32", (2, 3), 64)]


def test_files_of_a_folder_begin_with_one_in_it(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    source = ModelSource(name="m", path=tmp_path)
    expects = _answers.plain(EXPECTS) | {"preprocess": str(tmp_path / "config.json")}
    assert _answers.expects(expects, source).preprocess == tmp_path / "config.json"
    assert len(_answers.files([str(tmp_path / "config.json"), str(tmp_path / "model.safetensors")], source)) == 2
    (tmp_path / "blob").symlink_to(__file__)  # as in a cache of downloads
    assert len(_answers.files([str(tmp_path / "config.json"), str(tmp_path / "blob")], source)) == 2
    (tmp_path / "device").symlink_to(os.devnull)
    os.mkfifo(tmp_path / "pipe")
    beside = tmp_path.with_name("beside")
    beside.write_text("")
    for other in ("device", "pipe", "absent", str(beside), "../beside", __file__):
        with pytest.raises(_answers.Wrong):
            _answers.files([str(tmp_path / "config.json"), str(tmp_path / other)], source)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("card", None), ("card.layers", 3), ("card.layers.0.nonzero", -1), ("card.layers.0.nonzero", 10**6)),
        *(("card.layers.0.total", 1e3), ("card.layers.0.shape", [10**30]), ("card.parameters", True)),
        *(("card.format", ["x"]), ("card.uncounted", [None]), ("card.layers.0.name", "x" * 10**6)),
        *(
            ("expects", []),
            ("expects.inputs.0.dtype", "object"),
            ("expects.inputs.0.shape", [-1]),
            ("expects.batch", 0),
        ),
        *(("expects.layout", "HWNC"), ("expects.outputs", 0), ("expects.classes", "abc"), ("expects.size", [1])),
        *(("expects.preprocess", "/etc/passwd"), ("expects.tokenizer", "../x"), ("expects.accuracy", ["here", 7])),
        *(("files", []), ("files", ["/etc/passwd"]), ("files.0", "/etc/passwd"), ("files.0", "a\0b"), ("files", None)),
        *(("files.1", "/etc/passwd"), ("gives", {}), ("gives.0.shape", "x"), ("notes", "text"), ("assumptions", [1])),
        *(
            ("assumptions.0.why", 1),
            ("suspects", 7),
            ("suspects.0.kind", "x"),
            ("activation", "sin"),
            ("activation", [1]),
        ),
        *(("macs", -1), ("macs", 2**80), ("macs", 1.0), ("macs", "many"), ("error", "ModelError"), ("error.1", None)),
        *(("error.0", "SystemExit"), ("error.0", ["ModelError"]), ("array", None), ("array.shape", None)),
        *(("array.shape", [2**62, 2**62]), ("array.shape", [-2, -3]), ("array.shape", [1] * 65), ("array.shape", [7])),
        *(("array.offset", 65), ("array.offset", -8), ("array.offset", 1.5), ("array.dtype", "object")),
        *(("array.dtype", "O"), ("array.dtype", ["float32"]), ("array.dtype", "V8"), ("array.dtype", "float64")),
    ],
)
def test_what_cannot_be_is_refused(source: ModelSource, path: str, value: object) -> None:
    answer = copy.deepcopy(told(source))
    setting(path, value)(answer)
    assert answer != told(source)
    # Names that no file has are refused by Python itself.
    with pytest.raises((_answers.Wrong, ValueError)):
        read(answer, source)


def test_an_error_is_told_by_its_nearest_kind() -> None:
    class Own(errors.ModelError):
        """A kind that the other side does not know."""

    assert _answers.kind_of(Own("a", hint="b")) == "ModelError"
    assert _answers.kind_of(errors.UnsafeFile("a", hint="b")) == "UnsafeFile"


def test_a_request_comes_through() -> None:
    source = ModelSource(name="ä", path=Path(os.fsdecode(b"caf\xe9.pt")), factory="a:b")
    settings = Settings(by=("sex",), weights={"a": 1.0}, model_output=("m=1",), memory=5, sample_timeout=0.5)
    found = _answers.requested(_answers.request(source, settings))
    assert repr(found) == repr((source, settings))


def test_arrays_lie_where_they_are_said_to() -> None:
    memory = bytearray(88)
    place = _answers.Place("float32", (2, 3), 64)
    assert place.nbytes == 24
    place.array(memory)[...] = np.arange(6).reshape(2, 3)
    assert np.array_equal(np.frombuffer(memory, np.float32)[16:], np.arange(6))
    assert _answers.Place("int64", (0, 5), 88).array(memory).shape == (0, 5)

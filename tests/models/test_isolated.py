"""Models in workers: the same answers as in this process, and whatever a hostile one does ends as an error."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit import api, models, plugins
from prune_audit.cli import invoke
from prune_audit.core import Array, Chooses, Classifier, Distant, ModelSource, Normalising, Prepares, Recorded, Settings
from prune_audit.errors import ModelError, UnsafeFile, UsageError
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.drop_outputs import Dropped
from prune_audit.models import _isolated
from prune_audit.sandbox import Held, process
from tests.conftest import ROOT
from tests.models import hostile
from tests.models.test_answers import setting

AUTO, NEVER = Settings(isolate="auto", threads=1), Settings(isolate="never", threads=1)


def load(path: Path, settings: Settings = AUTO, store: Store | None = None) -> Classifier:
    found = models.load(ModelSource(name=path.stem, path=path), settings, store)
    assert not isinstance(found, Recorded)
    return found


def isolated(path: Path, settings: Settings = AUTO) -> _isolated.Isolated:
    found = load(path, settings)
    assert isinstance(found, _isolated.Isolated)
    return found


# ------------------------------------------------------------------------------------------------ the same as here


class Two(nn.Module):
    """Features beside scores, so that something is taken for granted."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.flatten(1)[:, :5], self.body(x)


@pytest.fixture(scope="module")
def images() -> Array:
    return np.random.default_rng(7).normal(size=(5, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, images: Array) -> dict[str, Path]:
    """One network in every format."""
    torch.manual_seed(7)
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    example, path = torch.from_numpy(images), tmp_path_factory.mktemp("made")
    found = {name: path / name for name in ("model.pt", "two.pt", "model.pt2", "model.onnx")}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(body, example).save(str(found["model.pt"]))
        torch.jit.script(Two(body).eval()).save(str(found["two.pt"]))
        program = torch.export.export(body, (example,), dynamic_shapes=({0: torch.export.Dim("b")},))
        torch.export.save(program, found["model.pt2"])
        names: dict[str, Any] = {"dynamic_axes": {"x": {0: "b"}}, "input_names": ["x"]}
        torch.onnx.export(body, (example,), str(found["model.onnx"]), dynamo=False, **names)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=8, patch_size=4,
        num_channels=1, num_labels=3, id2label={0: "ä", 1: "b", 2: "c"}, label2id={"ä": 0, "b": 1, "c": 2},
    )  # fmt: skip
    path = tmp_path / "vit"
    transformers.ViTForImageClassification(config).save_pretrained(path)
    (path / "preprocessor_config.json").write_text("{}")
    return path


def same(path: Path, inputs: Mapping[str, Array], settings: Settings = AUTO) -> None:
    """That the model at ``path`` is told alike and answers alike, bit for bit, in a worker and here."""
    there, here = isolated(path, settings), load(path, dataclasses.replace(settings, isolate="never"))
    assert there.card == here.card
    assert repr(there.expects) == repr(here.expects)
    assert there.gives == getattr(here, "gives", ())
    few = {name: values[:1] for name, values in inputs.items()}
    for model in (there, here):
        assert isinstance(model, Chooses)
        model.expect_classes(3, more=False)
    for each in (few, inputs, inputs):
        a, b = there.predict(each), here.predict(each)
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    assert there.suspects(inputs) == here.suspects(inputs)
    assert there.macs(few) == here.macs(few)
    assert there.activation(few) == here.activation(few)
    norm = here.first_norm(inputs) if isinstance(here, Normalising) else None
    found = there.first_norm(inputs)
    assert (found is None) == (norm is None)
    if found is not None and norm is not None:
        assert found.name == norm.name
        for name in ("running_mean", "running_var", "mean", "var"):
            assert np.array_equal(getattr(found, name), getattr(norm, name))
    assert there.notes == here.notes
    assert there.assumptions == here.assumptions


@pytest.mark.parametrize("what", ["model.pt", "two.pt", "model.pt2", "model.onnx"])
def test_a_worker_answers_as_this_process_does(made: dict[str, Path], images: Array, what: str) -> None:
    same(made[what], {"x": images})


def test_so_does_that_of_a_folder_of_transformers(folder: Path, images: Array) -> None:
    same(folder, {"pixel_values": images})


@pytest.mark.parametrize("what", ["model.pt", "model.onnx"])
def test_many_calls_are_one_question(
    made: dict[str, Path], images: Array, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = isolated(made[what]), load(made[what], NEVER)
    inputs = {"x": np.tile(images, (9, 1, 1, 1))}
    there.predict(inputs)  # which makes room for them
    asked: list[Mapping[str, Any]] = []
    ask = process.Worker.ask

    def counted(self: process.Worker, request: Mapping[str, Any], *more: Any) -> dict[str, Any]:
        asked.append(request)
        return ask(self, request, *more)

    monkeypatch.setattr(process.Worker, "ask", counted)
    scores = there.predict_in_calls(inputs, 4)
    assert len(asked) == 1
    one_by_one = [here.predict({"x": inputs["x"][at : at + 4]}) for at in range(0, 45, 4)]
    assert np.array_equal(scores, np.concatenate(one_by_one))


def test_a_known_model_and_one_without_some_outputs_pass_many_calls_on(
    made: dict[str, Path], images: Array, cache: Path
) -> None:
    store = Store(cache)
    whole = load(made["model.onnx"], AUTO, store).predict({"x": images})
    known = load(made["model.onnx"], AUTO, store)
    for model, wanted in ((known, whole), (Dropped(known, ("1",)), whole[:, [0, 2]])):
        assert isinstance(model, Distant)
        assert np.allclose(model.predict_in_calls({"x": images}, 2), wanted, atol=1e-6)  # of other batches


def test_a_network_that_onnxruntime_runs_is_exported_in_the_worker(made: dict[str, Path], images: Array) -> None:
    settings = dataclasses.replace(AUTO, runtime="onnxruntime")
    model = isolated(made["model.pt"], settings)
    scores = model.predict({"x": images})
    assert np.allclose(scores, load(made["model.pt"], NEVER).predict({"x": images}), atol=1e-5)
    assert model.notes
    assert "runs in onnxruntime" in model.notes[0]


def test_a_network_prepares_for_a_long_run_in_its_worker_also_where_it_is_known(
    made: dict[str, Path], images: Array, cache: Path
) -> None:
    store = Store(cache)
    load(made["model.pt"], AUTO, store)
    for model in (isolated(made["model.pt"]), load(made["model.pt"], AUTO, store)):
        assert isinstance(model, Prepares)
        model.prepare({"x": images}, 10**9)
        scores = model.predict({"x": images})
        assert np.array_equal(scores, load(made["model.pt"], NEVER).predict({"x": images}))
        assert "runs in onnxruntime" in model.notes[0]
    assert not isinstance(Dropped(model, ("1",)), Prepares)  # torch sees what is close before outputs are left out


def test_formats_that_hold_no_programs_stay_here(tmp_path: Path, mlp: nn.Sequential) -> None:
    (tmp_path / "recorded.csv").write_text("id,predicted\n0,1\n1,0\n")
    assert isinstance(models.load(ModelSource(name="m", path=tmp_path / "recorded.csv"), AUTO), Recorded)
    torch.save(mlp.state_dict(), tmp_path / "weights.pth")
    factory = "tests.models.test_isolated:network"
    found = models.load(ModelSource(name="m", path=tmp_path / "weights.pth", factory=factory), AUTO)
    assert not isinstance(found, _isolated.Isolated | Recorded)
    assert models.isolation(found) == "none, it runs in the process of the audit"


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))


def test_errors_are_those_of_the_format(tmp_path: Path, made: dict[str, Path], images: Array) -> None:
    (tmp_path / "cut.onnx").write_bytes(made["model.onnx"].read_bytes()[:-100])
    for settings in (AUTO, NEVER):
        with pytest.raises(ModelError, match="cannot be read to its end") as caught:
            load(tmp_path / "cut.onnx", settings)
        assert caught.value.hint == "the file was cut off or damaged; export or copy it again"
        with pytest.raises(UsageError, match=r"--model-output nose: two has no such output"):
            load(made["two.pt"], dataclasses.replace(settings, model_output=("nose",))).predict({"x": images})
    (tmp_path / "own").mkdir()
    config = {"architectures": ["MyForImageClassification"], "auto_map": {"AutoModel": "evil.Evil"}}
    (tmp_path / "own" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsafeFile, match="needs code of its own"):
        load(tmp_path / "own")


def test_a_name_in_latin_1_is_passed_on(tmp_path: Path, made: dict[str, Path], images: Array) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pt"))
    shutil.copy(made["model.pt"], path)
    assert isolated(path).predict({"x": images}).shape == (5, 3)


def test_a_known_model_needs_no_worker(made: dict[str, Path], images: Array, cache: Path) -> None:
    store = Store(cache)
    load(made["model.onnx"], AUTO, store)
    known = load(made["model.onnx"], AUTO, store)
    assert not isinstance(known, _isolated.Isolated)
    assert models.isolation(known) == "not loaded, all that was asked of it is known"
    assert np.array_equal(known.predict({"x": images}), load(made["model.onnx"], NEVER).predict({"x": images}))
    assert models.isolation(known).startswith("a process of its own, ")


# ------------------------------------------------------------------------------------------------------- the parent


def test_this_process_imports_neither_torch_nor_onnxruntime() -> None:
    """Nor does it for other models than those of torch: a format goes by the same way."""
    script = """
import sys
from prune_audit.cli import invoke
for pair in (["dense.pt", "pruned-90.pt2"], ["dense.onnx", "pruned-90.onnx"]):
    paths = [f"sample_models/{name}" for name in pair]
    assert invoke(["compare", *paths, "--data", "sample_models/val", "--quiet", "--no-cache", "--isolate", "auto"]) == 0
    assert invoke(["inspect", paths[0], "--isolate", "auto"]) == 0
print(*[name for name in ("torch", "onnx", "onnxruntime") if name in sys.modules], file=sys.stderr)
"""
    if not (ROOT / "sample_models" / "pruned-90.pt2").exists():
        script = script.replace("pruned-90.pt2", "pruned-90.pt")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.split() == []


def test_reports_are_the_same_to_the_byte(sample_models: Path, tmp_path: Path) -> None:
    pair = [str(sample_models / name) for name in ("dense.pt2", "pruned-90.onnx", "pruned-50.pt")]
    for isolate in ("auto", "never"):
        arguments = [*pair, "--data", str(sample_models / "val"), "--batch-size", "64", "--no-cache", "--reproducible"]
        output = str(tmp_path / f"{isolate}.json")
        assert invoke(["compare", *arguments, "--isolate", isolate, "-q", "-o", output]) == 0
    assert (tmp_path / "auto.json").read_bytes() == (tmp_path / "never.json").read_bytes()


def test_verbose_says_what_is_around_each_model(sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = [str(sample_models / name) for name in ("dense.onnx", "pruned-90.onnx")]
    for isolate, said in (("auto", "a process of its own, "), ("never", "none, it runs in the process of the audit")):
        arguments = ["--data", str(sample_models / "val"), "--no-cache", "-q", "-v", "--isolate", isolate]
        assert invoke(["compare", *pair, *arguments]) == 0
        assert f"isolation, pruned-90: {said}" in capsys.readouterr().err


def test_what_the_kernel_did_not_give_is_said() -> None:
    class Some:
        held = Held(barriers=("memory", "seccomp"), absent=(("landlock", "not implemented"),))

    told = models.isolation(Some())  # type: ignore[arg-type]  # it is asked for no more
    assert told == "a process of its own, memory, seccomp; no landlock: not implemented"


def test_a_worker_imports_no_more_than_it_needs() -> None:
    """A server imports it while models wait."""
    code = "import sys, prune_audit.models._worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"scipy", "torch", "onnx", "onnxruntime", "PIL", "pandas", "pyarrow", "typer"} & set(done.stdout.split())


def test_notes_are_said_when_they_change(made: dict[str, Path], images: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[dict[str, Any]] = []
    lying(monkeypatch, answers.append)
    model = isolated(made["two.pt"])
    model.expect_classes(3, more=False)
    for _ in range(3):
        model.predict({"x": images})
    said = ["assumptions" in answer for answer in answers]
    assert said[0]
    assert said[-2:] == [False, False]
    assert model.assumptions


def test_python_takes_the_setting(sample_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(_isolated, "Isolated", lambda *given: started.append(given))
    paths = [str(sample_models / name) for name in ("dense.onnx", "pruned-90.onnx")]
    audit = api.compare(*paths, data=sample_models / "val", settings=NEVER, cache=False)
    assert audit.comparisons
    assert not started


# ------------------------------------------------------------------------------------------------------- hostility


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = plugins.choose

    def chosen(room: str, what: object, *, task: str | None = None) -> str | None:
        own = room == "models" and isinstance(what, Path) and hostile.recognises(what)
        return hostile.NAME if own else choose(room, what, task=task)

    monkeypatch.setattr(plugins, "load", hostile.find)
    monkeypatch.setattr(plugins, "choose", chosen)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Points of the plane, labelled by the larger of their numbers but for some of them."""
    random = np.random.default_rng(5)
    x = random.normal(size=(400, 2)).astype(np.float32)
    y = x.argmax(axis=1)
    y[:40] = 1 - y[:40]
    np.savez(tmp_path / "data.npz", x=x, y=y)
    return tmp_path / "data.npz"


Compare = Callable[..., tuple[int, str]]


@pytest.fixture
def compare(found: None, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Compare:
    """`prune-audit compare` of a harmless model with one that does a payload; the exit code, and standard error."""

    def run(isolate: str, do: str, *options: str, when: str = "predict", **more: object) -> tuple[int, str]:
        dense = hostile.written(tmp_path / "dense.bad", "hello")
        pruned = hostile.written(tmp_path / "pruned.bad", do, when, more)
        arguments = ["--data", str(data), "-q", "--no-cache", "--isolate", isolate, *options]
        code = invoke(["compare", str(dense), str(pruned), *arguments])
        out, err = capfd.readouterr()
        assert isolate == "never" or out == ""
        return code, err

    return run


def test_a_payload_reaches_a_service_here_and_none_from_a_worker(compare: Compare) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.setblocking(False)
        port = service.getsockname()[1]
        assert compare("auto", "reach_network", port=port) == (0, "")
        with pytest.raises(BlockingIOError):
            service.accept()
        assert compare("never", "reach_network", port=port) == (0, "")
        service.accept()[0].close()


@pytest.mark.parametrize("when", ["load", "predict"])
def test_a_payload_writes_a_file_here_and_none_from_a_worker(compare: Compare, marker: Path, when: str) -> None:
    assert compare("auto", "write_file", path=str(marker), when=when) == (0, "")
    assert not marker.exists()
    assert compare("never", "write_file", path=str(marker), when=when) == (0, "")
    assert marker.exists()


def test_a_payload_starts_a_program_here_and_none_from_a_worker(compare: Compare, marker: Path) -> None:
    command = [sys.executable, "-c", f"open({str(marker)!r}, 'w')"]
    assert compare("auto", "start_command", command=command) == (0, "")
    assert not marker.exists()
    assert compare("never", "start_command", command=command) == (0, "")
    assert marker.exists()


def test_what_a_model_prints_is_not_printed(compare: Compare, capfd: pytest.CaptureFixture[str]) -> None:
    assert compare("auto", "speak") == (0, "")
    code, err = compare("never", "speak")
    assert code == 0
    assert "and more" in err


@pytest.mark.parametrize(("do", "name"), [("crash", "SIGSEGV"), ("abort", "SIGABRT"), ("bus", "SIGBUS")])
def test_a_crash_is_an_error_of_the_model(compare: Compare, do: str, name: str) -> None:
    code, err = compare("auto", do)
    assert code == 2
    assert "error: " in err
    assert f"pruned.bad: the worker in which it runs was ended by {name} while the model predicted" in err
    assert do != "crash" or "the last that it wrote: 'about to crash \\\\x1b[31m'" in err
    assert "\x1b" not in err
    assert "hint: the file is damaged, or meets a fault of its runtime" in err


def test_a_loop_without_end_is_an_error_of_the_model(compare: Compare) -> None:
    code, err = compare("auto", "loop", "--sample-timeout", "0.3")
    assert code == 2
    assert "gave no answer for" in err
    assert "--sample-timeout" in err


def test_memory_without_end_is_an_error_of_the_model(compare: Compare, tmp_path: Path) -> None:
    """With the Python of the payload; `test_an_onnx_file_that_wants_more_memory` is without."""
    assert compare("never", "need_memory", "--batch-size", "1000", pieces=7)[0] == 0
    code, err = compare("auto", "need_memory", "--memory", "400MiB", pieces=7)
    assert code == 2
    assert "pruned ran out of memory in its worker: RuntimeError" in err
    assert "--memory SIZE" in err


def test_what_was_predicted_before_a_crash_is_kept(
    compare: Compare, data: Path, tmp_path: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dense = hostile.written(tmp_path / "dense.bad", "hello")
    pruned = hostile.written(tmp_path / "pruned.bad", "abort", more={"after": 4})
    arguments = ["compare", str(dense), str(pruned), "--data", str(data), "-q", "--isolate", "auto"]
    assert invoke(arguments) == 2
    assert "SIGABRT" in capfd.readouterr().err
    assert list(cache.glob("predictions/*/part-*.parquet"))
    hostile.written(tmp_path / "pruned.bad", "hello")
    output = tmp_path / "audit.json"
    assert invoke([*arguments, "-o", str(output)]) == 0
    run = json.loads(output.read_text())["provenance"]["run"]
    assert any(name.startswith("known before") for name in run)


# --------------------------------------------------------------------------------------------------- lying workers


def lying(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object]) -> None:
    """Have every answer of a worker changed on the way."""
    ask = process.Worker.ask

    def asked(self: process.Worker, request: Mapping[str, Any], *more: Any) -> dict[str, Any]:
        answer = ask(self, request, *more)
        change(answer)
        return answer

    monkeypatch.setattr(process.Worker, "ask", asked)


@pytest.mark.parametrize(("path", "value"), [("card.layers.0.nonzero", 10**6), ("files.0", "a\0b"), ("notes", "text")])
def test_what_a_worker_says_of_a_model_is_checked(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch, path: str, value: object
) -> None:
    """And more of it in `tests.models.test_answers`."""
    lying(monkeypatch, setting(path, value))
    with pytest.raises(ModelError, match=r"model\.onnx: the worker in which it runs gave an answer that cannot be"):
        load(made["model.onnx"])


@pytest.mark.parametrize(
    "change",
    [
        setting("arrays", []),
        setting("arrays.0.shape", [4, 3]),
        setting("arrays.0.shape", [5]),
        setting("arrays.0.shape", [5, 2**62, 2**62]),
        lambda answer: answer.update(needs=2**60),
        lambda answer: answer.update(error=["SystemExit", "a", "b"]),
        lambda answer: answer.clear(),
    ],
)
def test_scores_are_checked(
    made: dict[str, Path], images: Array, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object]
) -> None:
    model = isolated(made["model.onnx"])
    lying(monkeypatch, change)
    with pytest.raises(ModelError, match="gave an answer that cannot be"):
        model.predict({"x": images})
    with pytest.raises(ModelError, match="gave an answer that cannot be"):
        model.predict({"x": images})


def test_classes_that_there_cannot_be_are_refused(
    made: dict[str, Path], images: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = isolated(made["model.onnx"])

    def change(answer: dict[str, Any]) -> None:
        shared = model._shared
        assert shared is not None
        shared[:40] = np.full(5, 2**60).tobytes()
        answer["arrays"] = [{"dtype": "int64", "shape": [5], "offset": 0}]

    lying(monkeypatch, change)
    with pytest.raises(ModelError, match="gave an answer that cannot be: class 1152921504606846976"):
        model.predict({"x": images})


def test_counts_and_words_are_checked(made: dict[str, Path], images: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, ask in ((-1, "macs"), (2**80, "macs"), (1.0, "macs"), ("sin", "activation"), ([1], "activation")):
        _refused(made["model.onnx"], images, monkeypatch, value, ask)
    for wrong, ask in (
        (7, "suspects"),
        ([{"kind": "x", "where": ""}], "suspects"),
        (1, "first_norm"),
        ("n", "first_norm"),
    ):
        _refused(made["model.onnx"], images, monkeypatch, wrong, ask)


def _refused(path: Path, images: Array, monkeypatch: pytest.MonkeyPatch, value: object, ask: str) -> None:
    model = isolated(path)
    with monkeypatch.context() as patch:
        lying(patch, lambda answer: answer.update(value=value))
        with pytest.raises(ModelError, match="gave an answer that cannot be"):
            getattr(model, ask)({"x": images})


def test_digests_are_of_this_process(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant that gave the digest of the dense model would be kept, and read back, as that."""
    lying(monkeypatch, setting("card.digest", "0" * 64))
    honest = load(made["model.onnx"], NEVER)
    assert load(made["model.onnx"]).card == honest.card


def test_objects_of_python_are_no_inputs(made: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="found Python's objects"):
        isolated(made["model.onnx"]).predict({"x": np.array([[1, "a"]], dtype=object)})


def test_a_large_answer_gets_more_memory(tmp_path: Path, script: Callable[..., Path]) -> None:
    model = isolated(script(nn.Linear(2, 70_000)))
    x = np.ones((10, 2), np.float32)
    assert np.array_equal(model.predict({"x": x}), load(tmp_path / "scripted.pt", NEVER).predict({"x": x}))


def test_a_model_that_returns_its_input_or_changes_it_is_no_trap(tmp_path: Path, script: Callable[..., Path]) -> None:
    class Changing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mul_(2)[:, 1:]

    model = isolated(script(Changing()))
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    for _ in range(2):
        assert np.array_equal(model.predict({"x": x}), 2 * x[:, 1:])
    assert np.array_equal(x, np.arange(12, dtype=np.float32).reshape(4, 3))


def test_without_what_workers_need_models_run_here(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_isolated, "supported", lambda: False)
    assert not isinstance(load(made["model.onnx"]), _isolated.Isolated)


def test_a_worker_that_cannot_be_started_is_told(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_isolated, "_ENTRY", "nowhere:serve")
    with pytest.raises(ModelError, match="no worker could be started to run it in: ModuleNotFoundError") as caught:
        load(made["model.onnx"])
    assert "--isolate never" in caught.value.hint


def test_options_say_what_they_expect(capsys: pytest.CaptureFixture[str], sample_models: Path) -> None:
    path = str(sample_models / "dense.onnx")
    for option, value, said in (
        ("--isolate", "always", "--isolate: expected one of auto, never, found 'always'"),
        ("--memory", "much", "--memory: expected a size, found 'much'"),
        ("--memory", "0", "--memory: expected a size, found '0'"),
        ("--sample-timeout", "0", "the time for a sample must be a positive number of seconds, found 0"),
    ):
        assert invoke(["inspect", path, option, value]) == 2
        assert said in capsys.readouterr().err


def test_libraries_are_imported_ahead_where_a_model_is_not_known(
    made: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(process.Server, "ahead", lambda _, imports: asked.extend(imports))
    source, store = ModelSource(name="m", path=made["model.onnx"]), Store(cache)
    models.prepare([source], NEVER, None)
    models.prepare([ModelSource(name="n", path=Path("nowhere"))], AUTO, None)
    assert not asked
    models.prepare([source], AUTO, store)
    assert asked == ["onnxruntime", "onnx"]
    models.load(source, AUTO, store)
    asked.clear()
    models.prepare([source], AUTO, store)
    assert not asked


def test_a_model_behind_a_link_and_one_from_where_the_process_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Caches of downloads are made of links; notebooks change their folder after the first model was loaded."""
    isolated(ROOT / "sample_models" / "dense.onnx")  # the server runs, from the folder of the tests
    (tmp_path / "store").mkdir()
    shutil.copy(ROOT / "sample_models" / "dense.onnx", tmp_path / "store" / "blob")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "m.onnx").symlink_to(tmp_path / "store" / "blob")
    monkeypatch.chdir(tmp_path / "here")
    found = isolated(Path("m.onnx"))
    assert found.card.path == "m.onnx"
    assert found.card.digest == isolated(ROOT / "sample_models" / "dense.onnx").card.digest

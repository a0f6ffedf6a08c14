import logging
import re
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.core import Array, Expects, Input, ModelCard, ModelSource, Settings
from prune_audit.errors import MissingExtra, ModelError, UsageError
from prune_audit.models import _through_onnx, load
from prune_audit.models._through_onnx import COMPARED, ThroughOnnx, wrap
from prune_audit.models.onnx import OnnxClassifier
from prune_audit.nets.module import TorchClassifier, expects_of

CARD = ModelCard(name="dense", path="m.pt", format="test", digest="", size=0)
SETTINGS = Settings(runtime="onnxruntime", isolate="never")


def wrapped(module: nn.Module, expects: Expects | None = None) -> ThroughOnnx:
    made = wrap(TorchClassifier(module, CARD, expects or expects_of(module)), SETTINGS)
    assert isinstance(made, ThroughOnnx)
    return made


def scripted(module: nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.", category=DeprecationWarning)
        return torch.jit.script(module)


def pictures(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 1, 8, 8)).astype(np.float32)


def own(module: nn.Module, x: Array) -> Array:
    with torch.inference_mode():
        scores: Array = module(torch.from_numpy(x)).numpy()
    return scores


@pytest.fixture
def torch_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that torch was given."""
    runs: list[int] = []
    predict = TorchClassifier.predict

    def counted(self: TorchClassifier, inputs: dict[str, Array]) -> Array:
        runs.append(len(next(iter(inputs.values()))))
        return predict(self, inputs)

    monkeypatch.setattr(TorchClassifier, "predict", counted)
    return runs


@pytest.mark.parametrize("how", ["eager", "scripted", "exported"])
def test_runs_in_onnxruntime_once_it_agrees(
    conv_net: nn.Sequential, torch_runs: list[int], capfd: pytest.CaptureFixture[str], how: str
) -> None:
    module: Any = conv_net
    if how == "scripted":
        module = scripted(conv_net)
    elif how == "exported":
        batch = torch.export.Dim("batch")
        module = torch.export.export(conv_net, (torch.from_numpy(pictures(2)),), dynamic_shapes=({0: batch},)).module()
    model = wrapped(module, Expects(inputs=(Input(name="image", dtype="float32"),)))
    assert list(model.notes) == []
    for seed, size in enumerate((200, 120, 2, 7, 1)):
        x = pictures(size, seed=seed)
        np.testing.assert_allclose(model.predict({"image": x}), own(conv_net, x), rtol=1e-4, atol=1e-5)
    # Until enough were compared, and never again.
    assert torch_runs == [200, 120]
    [note] = model.notes
    assert note.startswith(
        "dense runs in onnxruntime: on the first 320 samples its classes are torch's, its scores dif"
    )
    assert float(note.rpartition(" ")[2]) < 1e-5
    seen = capfd.readouterr()
    assert (seen.out, seen.err) == ("", "")


def test_a_sample_that_comes_again_counts_once(conv_net: nn.Sequential, torch_runs: list[int]) -> None:
    model = wrapped(conv_net, Expects(inputs=(Input(name="image", dtype="float32"),)))
    x = pictures(COMPARED)
    for size in (8, 8, 12, COMPARED, 5):
        model.predict({"image": x[:size]})
    assert torch_runs == [8, 8, 12, COMPARED]
    assert f"on the first {COMPARED} samples its classes are torch's" in model.notes[0]


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        mask = attention_mask.unsqueeze(-1).float()
        mean = (self.words(input_ids) * mask).sum(1) / mask.sum(1)
        return {"logits": self.head(mean)}


@pytest.mark.parametrize("script", [False, True])
def test_texts_of_any_length_go_in_by_name(torch_runs: list[int], script: bool) -> None:
    torch.manual_seed(0)
    module = Two().eval()
    model = wrapped(scripted(module) if script else module, Expects())
    rng = np.random.default_rng(0)
    for count, length in ((COMPARED, 5), (3, 9), (2, 2)):
        ids, mask = rng.integers(0, 11, (count, length)), np.ones((count, length), np.int64)
        wanted = module(torch.from_numpy(ids), torch.from_numpy(mask))["logits"].detach()
        scores = model.predict({"attention_mask": mask, "input_ids": ids})
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
    assert torch_runs == [COMPARED]
    assert "runs in onnxruntime" in model.notes[0]


def test_a_fixed_batch_stays_fixed(conv_net: nn.Sequential) -> None:
    x = pictures(4)
    module = torch.export.export(conv_net, (torch.from_numpy(x),)).module()
    model = wrapped(module, Expects(inputs=(Input(name="x", shape=(4, 1, 8, 8)),), batch=4))
    np.testing.assert_allclose(model.predict({"x": x}), own(conv_net, x), rtol=1e-4, atol=1e-5)
    assert "runs in onnxruntime: on the first 4" in model.notes[0]


class Unexportable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.sort(x.detach().numpy(), axis=1))


def test_a_failed_export_falls_back_and_says_why(torch_runs: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    model = wrapped(Unexportable(), Expects())
    x = pictures(3).reshape(3, 64)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict({"x": x}), np.sort(x, axis=1))
    [note] = model.notes
    assert note.startswith("dense runs in torch and not in onnxruntime: its export failed: ")
    assert "\n" not in note
    assert torch_runs == [3, 3]
    assert capfd.readouterr() == ("", "")


class Classes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.argmax(1)


class Baking(nn.Module):
    """Gives another answer when it is exported than when it runs."""

    def __init__(self, wrong: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wrong(x) if torch.compiler.is_compiling() else x


class Returning(nn.Module):
    """Gives back its input, and ``exported`` where it is exported."""

    def __init__(self, exported: Array) -> None:
        super().__init__()
        self.exported = nn.Buffer(torch.from_numpy(exported))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1] * 0 + self.exported if torch.compiler.is_compiling() else x


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda x: x.flip(1), r"another class for \d of 5 samples"),
        (lambda x: 1.01 * x, r"another class for 0 of 5 samples, and scores that differ by 0\.0"),
        (lambda x: x[:, :2], r"scores of shape \(5, 2\) for \(5, 3\)"),
        (lambda x: x / 0 * 0, "another class"),
    ],
)
def test_a_wrong_export_is_found_out(wrong: Callable[[torch.Tensor], torch.Tensor], reason: str) -> None:
    model = wrapped(Baking(wrong), Expects())
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict({"x": x}), x)
    [note] = model.notes
    assert re.match(f"dense runs in torch and not in onnxruntime: its export gives {reason}", note)


def test_equal_scores_may_change_places() -> None:
    rows = np.array([[1, 2, 3], [4, 4 + 1e-5, 0], [9, 8, 7]], np.float32)
    swapped = rows.copy()
    swapped[1, :2] = swapped[1, 1::-1]
    model = wrapped(Returning(swapped), Expects(batch=3))
    np.testing.assert_array_equal(model.predict({"x": rows}), swapped)
    assert "are torch's but for 1 whose best two scores are equal within rounding, its scores" in model.notes[0]


def test_what_torch_cannot_run_is_said_by_torch() -> None:
    model = wrapped(nn.Linear(4, 2), Expects())
    with pytest.raises(ModelError, match=r"dense failed on input x \(2, 3\)"):
        model.predict({"x": np.zeros((2, 3), np.float32)})


def test_onnxruntime_that_fails_later_leaves_it_to_torch(conv_net: nn.Sequential) -> None:
    model = wrapped(conv_net)
    model.predict({"x": pictures(COMPARED)})
    larger = np.zeros((2, 1, 9, 9), np.float32)  # exported for 8 x 8
    np.testing.assert_array_equal(model.predict({"x": larger}), own(conv_net, larger))
    assert re.match("dense runs in torch and not in onnxruntime: dense failed on input .*Got invalid", model.notes[0])


def test_two_threads_may_export_at_once(conv_net: nn.Sequential) -> None:
    models = [wrapped(scripted(conv_net), Expects()) for _ in range(2)]
    before = warnings.filters[:], logging.getLogger("torch.onnx").level
    threads = [threading.Thread(target=model.predict, args=({"x": pictures(3)},)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("runs in onnxruntime" in model.notes[0] for model in models)
    assert (warnings.filters[:], logging.getLogger("torch.onnx").level) == before


def test_nothing_is_left_on_disk(conv_net: nn.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    wrapped(scripted(conv_net), Expects()).predict({"x": pictures(3)})
    assert list(tmp_path.iterdir()) == []


def test_the_rest_is_the_torch_models(conv_net: nn.Sequential) -> None:
    model = wrapped(conv_net)
    assert (model.card, model.expects) == (CARD, expects_of(conv_net))
    assert model.macs({"x": pictures(2)}) == 2 * (4 * 36 * 9 + 16 * 3)


def test_only_torch_models_on_request_on_the_cpu(conv_net: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = TorchClassifier(conv_net, CARD, Expects())
    assert wrap(plain, Settings(runtime="own")) is plain
    assert wrap(plain, Settings(device="cuda")) is plain
    through = wrap(plain, SETTINGS)
    assert wrap(through, SETTINGS) is through
    with pytest.raises(UsageError, match="runs on the CPU, not on cuda"):
        wrap(plain, Settings(runtime="onnxruntime", device="cuda"))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match="onnxscript") as caught:
        wrap(plain, SETTINGS)
    assert caught.value.hint == "pip install 'prune-audit[export]'"
    # The older exporter does without.
    assert isinstance(wrap(TorchClassifier(scripted(conv_net), CARD, Expects()), SETTINGS), ThroughOnnx)


def test_models_are_loaded_through_it(sample_models: Path) -> None:
    source = ModelSource(name="dense", path=sample_models / "dense.pt")
    assert isinstance(load(source, SETTINGS), ThroughOnnx)
    assert isinstance(load(source, Settings(isolate="never", runtime="own")), TorchClassifier)


# ----------------------------------------------------------------------------------------------------- where it pays


def automatic(module: nn.Module, monkeypatch: pytest.MonkeyPatch, *, torch_ms: float, onnx_ms: float) -> ThroughOnnx:
    """``module`` as auto wraps it, where a sample takes so long by a clock that only models move."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    for kind, ms in ((TorchClassifier, torch_ms), (OnnxClassifier, onnx_ms)):

        def slow(self: Any, inputs: dict[str, Array], *, ms: float = ms, predict: Any = kind.predict) -> Array:
            now[0] += len(next(iter(inputs.values()))) * ms / 1000
            scores: Array = predict(self, inputs)
            return scores

        monkeypatch.setattr(kind, "predict", slow)
    made = wrap(TorchClassifier(module, CARD, expects_of(module)), Settings(isolate="never"))
    assert isinstance(made, ThroughOnnx)
    return made


@pytest.mark.parametrize(("samples", "torch_ms", "goes"), [(2400, 18, True), (600, 18, False), (2400, 0.1, False)])
def test_an_export_is_made_where_the_run_is_long_enough(
    conv_net: nn.Sequential, monkeypatch: pytest.MonkeyPatch, samples: int, torch_ms: float, goes: bool
) -> None:
    """A script of 18 ms a sample: .25 x 2,400 x .018 = 10.8 s against 1 s and .75 x 300 x .018 = 4.1 s; 600: 2.7 s."""
    model = automatic(scripted(conv_net), monkeypatch, torch_ms=torch_ms, onnx_ms=torch_ms / 2)
    inputs = {"x": pictures(32)}
    model.prepare(inputs, samples)
    np.testing.assert_allclose(model.predict(inputs), own(conv_net, inputs["x"]), rtol=1e-4, atol=1e-5)
    assert bool(model.notes) == goes
    model.prepare(inputs, 10**9)  # the run was as long as it was said to be
    assert bool(model.notes) or not goes


def test_it_waits_until_it_is_told_how_long_the_run_is(conv_net: nn.Sequential, torch_runs: list[int]) -> None:
    model = wrap(TorchClassifier(scripted(conv_net), CARD, Expects()), Settings(isolate="never"))
    for _ in range(5):
        model.predict({"x": pictures(COMPARED)})  # type: ignore[union-attr]
    assert torch_runs == [COMPARED] * 5
    assert list(model.notes) == []  # type: ignore[union-attr]


class Near(nn.Module):
    """Scores that are their input, and an export that is off by ``off`` in the first of them."""

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off = off

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shift = torch.zeros(x.shape[1])
        shift[0] = self.off
        return x + shift if torch.compiler.is_compiling() else x * 1


@pytest.mark.parametrize("top_k", [5, 2])
def test_what_the_runtime_may_decide_is_left_to_torch(monkeypatch: pytest.MonkeyPatch, top_k: int) -> None:
    """By brute force: every sample whose gap, between ranks 1 and 2 or k and k + 1, is up to ten times what is seen."""
    off = 1e-4
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 4)).astype(np.float32)
    ordered = -np.sort(-x.astype(np.float64), axis=1)
    gaps = [ordered[:, 0] - ordered[:, 1], *([ordered[:, 1] - ordered[:, 2]] if top_k == 2 else [])]
    model = automatic(Near(off), monkeypatch, torch_ms=50, onnx_ms=10)
    model._settings = Settings(top_k=top_k)
    model.prepare({"x": x[:16]}, len(x))
    scores = np.concatenate([model.predict({"x": x[start : start + 100]}) for start in range(0, len(x), 100)])
    np.testing.assert_array_equal(scores[:COMPARED], x[:COMPARED])
    rest, found = x[COMPARED:], scores[COMPARED:]
    own_answer = (found == rest).all(axis=1)
    # A share of the sample's largest score, or the difference itself, whichever is more.
    share = off / np.abs(x[:COMPARED]).max(axis=1).min()
    bound = 10 * np.maximum(off, share * np.abs(rest).max(axis=1))
    near = np.minimum.reduce([gap[COMPARED:] for gap in gaps]) <= bound
    # The float32 of the export and the difference that torch's own answers add move the bound a little.
    sure = np.abs(np.minimum.reduce([gap[COMPARED:] for gap in gaps]) - bound) > 0.05 * bound
    np.testing.assert_array_equal(own_answer[sure], near[sure])
    assert 5 < near.sum() < len(rest) / 4
    np.testing.assert_array_equal(found.argmax(axis=1), rest.argmax(axis=1))
    [note] = model.notes
    assert (
        f"differ by at most 0.0001; {own_answer.sum()} of the others, whose two best scores lie closer than 10 " in note
    )


def test_an_export_that_is_wrong_where_scores_are_close_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 1.5 * (x.abs() < 3) if torch.compiler.is_compiling() else x * 1.5

    x = np.random.default_rng(0).uniform(-2, 2, size=(1000, 3)).astype(np.float32)
    x[500] = 5, 5, 0
    model = automatic(Late(), monkeypatch, torch_ms=1000, onnx_ms=10)
    model.prepare({"x": x[:16]}, len(x))
    scores = np.concatenate([model.predict({"x": x[start : start + 100]}) for start in range(0, len(x), 100)])
    np.testing.assert_array_equal(scores[500:], 1.5 * x[500:])
    assert re.match(
        r"dense runs in torch and not in onnxruntime after \d+ samples there: its export gives .* differ by 7\.5",
        model.notes[0],
    )


@pytest.mark.parametrize(
    ("why", "module", "reason"),
    [
        ("slow", None, "it is no faster there"),
        ("large", None, "its weights take 0 MB, and an export more than is taken unasked"),
        ("little memory", None, "its weights take 0 MB, and an export more than is taken unasked"),
        ("no library", None, "exporting this network to ONNX needs onnxscript (pip install 'prune-audit[export]')"),
        ("fails", Unexportable(), "its export failed: "),
        ("classes", Classes(), "it gives classes and no scores"),
    ],
)
def test_what_does_not_go_stays_in_torch_and_says_why(
    conv_net: nn.Sequential, monkeypatch: pytest.MonkeyPatch, why: str, module: nn.Module | None, reason: str
) -> None:
    model = automatic(module or conv_net, monkeypatch, torch_ms=100, onnx_ms=96 if why == "slow" else 10)
    if why == "large":
        monkeypatch.setattr(_through_onnx, "LARGE", 10)
    if why == "little memory":
        model._settings = Settings(memory=2**29)
    if why == "no library":
        monkeypatch.setitem(sys.modules, "onnxscript", None)
    x = pictures(COMPARED) if module is None else pictures(COMPARED).reshape(COMPARED, 64)
    model.prepare({"x": x[:16]}, 3000)
    wanted = own(conv_net, x) if module is None else TorchClassifier(module, CARD, Expects()).predict({"x": x})
    for _ in range(2):
        np.testing.assert_array_equal(model.predict({"x": x}), wanted)
    [note] = model.notes
    assert note.startswith("dense runs in torch and not in onnxruntime: ")
    assert reason in note

import logging
import re
import sys
import tempfile
import threading
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
from prune_audit.models import load
from prune_audit.models._through_onnx import COMPARED, ThroughOnnx, wrap
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
    for seed, size in enumerate((40, 40, 2, 7, 1)):
        x = pictures(size, seed=seed)
        np.testing.assert_allclose(model.predict({"image": x}), own(conv_net, x), rtol=1e-4, atol=1e-5)
    # Until enough were compared, and never again.
    assert torch_runs == [40, 40]
    [note] = model.notes
    assert note.startswith("dense runs in onnxruntime: on the first 80 samples its classes are torch's, its scores dif")
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
    assert wrap(plain, Settings()) is plain
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
    assert isinstance(load(source, Settings(isolate="never")), TorchClassifier)

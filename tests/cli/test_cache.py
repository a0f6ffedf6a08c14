"""Predictions are kept where they are said to be, listed, used again and removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from prune_audit.cli import invoke
from prune_audit.cli._terminal import in_bytes
from tests.cli._run import here
from tests.conftest import ROOT

SAMPLES = ROOT / "sample_models"
COMPARE = ["compare", *(str(SAMPLES / f"{name}.onnx") for name in ("dense", "pruned-90"))]
COMPARE += ["--data", str(SAMPLES / "val"), "-q", "-v"]


def kept(folder: Path) -> int:
    return len(list(folder.rglob("part-*.parquet")))


def test_a_second_run_knows_all(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(COMPARE) == 0
    assert "known before" not in capsys.readouterr().err
    assert kept(cache) == 2
    assert invoke(COMPARE) == 0
    err = capsys.readouterr().err
    assert "known before, dense: 1078" in err
    assert "known before, pruned-90: 1078" in err


def test_no_cache_keeps_and_uses_nothing(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([*COMPARE, "--no-cache"]) == 0
    assert not list(cache.iterdir())
    assert invoke(COMPARE) == 0
    capsys.readouterr()
    assert invoke([*COMPARE, "--no-cache"]) == 0
    assert "known before" not in capsys.readouterr().err


def test_another_folder(tmp_path: Path, cache: Path) -> None:
    assert invoke([*COMPARE, "--cache", str(tmp_path / "mine")]) == 0
    assert not list(cache.iterdir())
    assert kept(tmp_path / "mine") == 2


def test_lists_and_clears(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(COMPARE) == 0
    capsys.readouterr()
    assert invoke(["cache"]) == 0
    out = capsys.readouterr().out
    assert "pruned-90" in out
    assert "1,078" in out
    assert "2 sets of predictions kept" in out
    assert invoke(["cache", "--clear"]) == 0
    assert "2 sets of predictions removed" in capsys.readouterr().out
    assert kept(cache) == 0
    assert invoke(["cache"]) == 0
    assert capsys.readouterr().out.startswith("0 sets of predictions kept, 0 bytes")


def test_whatever_is_damaged_is_said_and_the_report_stays_the_same(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "audit.json"
    command = [*COMPARE[:-1], "--reproducible", "-o", str(report)]
    assert invoke(command) == 0
    whole = report.read_bytes()
    # Rows with what was learnt of them, and what was learnt of the models' files.
    for pattern in ("predictions/*/part-*", "models/*.json"):
        path, *_ = sorted(cache.glob(pattern))
        content = bytearray(path.read_bytes())
        content[-7] ^= 4
        path.write_bytes(content)
        capsys.readouterr()
        assert invoke(command) == 0
        err = capsys.readouterr().err
        assert err.count("note: ") == 1
        assert f"note: {path} is damaged and is not used: " in err
        assert report.read_bytes() == whole
    capsys.readouterr()
    assert invoke(command) == 0
    assert capsys.readouterr().err == ""


def test_where_nobody_asked_for_a_folder_the_audit_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").write_text("")
    monkeypatch.delenv("PRUNE_AUDIT_CACHE")
    monkeypatch.setattr("prune_audit.evaluate.cache.folder", lambda: tmp_path / "home" / "below")
    assert invoke(COMPARE) == 0
    err = capsys.readouterr().err
    assert "note: no predictions are kept, for " in err
    assert "Not a directory" in err
    monkeypatch.setattr("prune_audit.evaluate.cache.folder", lambda: tmp_path / "new")
    assert invoke(COMPARE) == 0
    assert kept(tmp_path / "new") == 2
    assert "note: no predictions" not in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert invoke([*COMPARE, "--cache", str(tmp_path / "file" / "below")]) == 2
    err = capsys.readouterr().err
    assert "predictions cannot be kept in" in err
    assert "--no-cache" in err


NETS = """
import json
from pathlib import Path
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(6, 3, bias=False)
        self.order = json.loads(Path("order.json").read_text())
    def forward(self, x):
        return self.linear(x)[:, self.order]
"""


def test_a_configuration_that_changed_makes_another_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The module does not stay imported here, as it would not in processes of their own."""
    rng = np.random.default_rng(12)
    monkeypatch.chdir(tmp_path)
    Path("nets_of_test_cache.py").write_text(NETS)
    weights = torch.as_tensor(rng.normal(size=(3, 6)), dtype=torch.float32)
    for name, noise in (("dense", 0.0), ("pruned", 0.3)):
        torch.save({"linear.weight": weights + noise * torch.as_tensor(rng.normal(size=(3, 6)))}, f"{name}.pth")
    x = rng.normal(size=(240, 6)).astype(np.float32)
    np.savez("data.npz", x=x, y=(x @ weights.numpy().T).argmax(1))
    command = ["compare", *(f"{name}.pth@nets_of_test_cache:Net" for name in ("dense", "pruned"))]
    command += ["--data", "data.npz", "-q", "-v"]

    def run(order: str) -> subprocess.CompletedProcess[str]:
        Path("order.json").write_text(order)
        sys.modules.pop("nets_of_test_cache", None)
        return here(command, cwd=tmp_path)

    assert (run("[0, 1, 2]").returncode, "known before, dense: 240" in run("[0, 1, 2]").stderr) == (0, True)
    other = run("[0, 2, 1]")
    assert other.returncode == 2
    assert "takes 2 classes for one another" in other.stderr
    back = run("[0, 1, 2]")
    assert back.returncode == 0
    assert "known before, dense: 240" in back.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--merge", "one"], "no folder is named that takes the shards"),
        (["--cache", "all", "--merge", "one", "--clear"], "no folder is named that takes the shards"),
        (["--cache", "all", "--merge", "one"], "one holds no shards: there is no pin.json"),
    ],
)
def test_what_cannot_be_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRUNE_AUDIT_CACHE")
    assert invoke(["cache", *more]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_decoded_images_are_kept_where_asked_listed_and_cleared(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([*COMPARE, "--keep-inputs", "1MB"]) == 0
    [images] = (cache / "images").iterdir()
    capsys.readouterr()
    assert invoke(["cache"]) == 0
    assert f"and 1 of decoded images, {in_bytes(images.stat().st_size)}, in " in capsys.readouterr().out
    assert invoke(["cache", "--clear"]) == 0
    assert not images.exists()
    for wrong, said in (
        (("1MB", "--no-cache"), "--keep-inputs: nothing is kept with --no-cache"),
        (("much",), "--keep-inputs: expected a size, found 'much'"),
    ):
        assert invoke([*COMPARE, "--keep-inputs", *wrong]) == 2
        assert said in capsys.readouterr().err

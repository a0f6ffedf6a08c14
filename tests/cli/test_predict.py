"""`prune-audit predict` writes what `compare` takes for a model, and the audit is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prune_audit.cli import invoke
from tests.conftest import ROOT

SAMPLES = ROOT / "sample_models"
VAL = ["--data", str(SAMPLES / "val")]


def audited(*models: str, out: Path, data: str | None = None) -> dict[str, Any]:
    data = data or VAL[1]
    assert invoke(["compare", *models, "--data", data, "-q", "--reproducible", "-o", str(out)]) == 0
    read: dict[str, Any] = json.loads(out.read_text())
    return read


@pytest.mark.workers
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json", ".npz"])
def test_an_audit_of_the_predictions_is_that_of_the_model(tmp_path: Path, suffix: str) -> None:
    files = []
    for name in ("dense", "pruned-90"):
        files.append(str(tmp_path / f"{name}{suffix}"))
        assert invoke(["predict", str(SAMPLES / f"{name}.onnx"), *VAL, "-q", "-o", files[-1]]) == 0
    ran = audited(str(SAMPLES / "dense.onnx"), str(SAMPLES / "pruned-90.onnx"), out=tmp_path / "ran.json")
    read = audited(*files, out=tmp_path / "read.json")
    assert read["comparisons"][0]["views"] == ran["comparisons"][0]["views"]
    assert read["comparisons"][0]["flips"] == ran["comparisons"][0]["flips"]
    one = audited(str(SAMPLES / "dense.onnx"), files[1], out=tmp_path / "one.json")
    assert one["comparisons"][0]["views"] == ran["comparisons"][0]["views"]


def test_labels_alone_are_data_enough(tmp_path: Path) -> None:
    csv = tmp_path / "dense.csv"
    assert invoke(["predict", str(SAMPLES / "dense.onnx"), *VAL, "-q", "-o", str(csv)]) == 0
    pruned = tmp_path / "pruned.json"
    assert invoke(["predict", str(SAMPLES / "pruned-90.onnx"), *VAL, "-q", "-o", str(pruned)]) == 0
    rows = [line.split(",") for line in csv.read_text().splitlines()]
    labels = tmp_path / "labels.csv"
    labels.write_text("".join(",".join(row[:2]).replace('"', "") + "\n" for row in rows))
    ran = audited(str(SAMPLES / "dense.onnx"), str(SAMPLES / "pruned-90.onnx"), out=tmp_path / "ran.json")
    read = audited(str(csv), str(pruned), data=str(labels), out=tmp_path / "read.json")
    assert read["comparisons"][0]["views"] == ran["comparisons"][0]["views"]


def test_a_model_on_labels_alone_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.csv").write_text("id,label\na,0\nb,1\n")
    code = invoke(["compare", *[str(SAMPLES / "dense.onnx")] * 2, "--data", str(tmp_path / "labels.csv")])
    assert code == 2
    assert "hint: " in capsys.readouterr().err


@pytest.mark.parametrize(("name", "said"), [("x.xlsx", ".parquet"), ("no/such/x.csv", "no folder")])
def test_where_it_cannot_be_written_nothing_runs(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert invoke(["predict", str(SAMPLES / "dense.onnx"), *VAL, "-o", str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err
    assert not list(cache.iterdir())


DENSE, PRUNED = (str(SAMPLES / f"{name}.onnx") for name in ("dense", "pruned-90"))


@pytest.mark.workers
def test_shards_that_are_put_together_are_the_audit_of_one_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pin, one, two = tmp_path / "pin.json", tmp_path / "one", tmp_path / "two"
    compare = ["compare", DENSE, PRUNED, *VAL, "-q", "--reproducible"]
    assert invoke([*compare, "--dry-run", "--pin", str(pin)]) == 0
    for model in (DENSE, PRUNED):
        for number, store in enumerate((one, two), 1):
            shard = ["--shard", f"{number}/2", "--cache", str(store), "--pin", str(pin), "-q"]
            assert invoke(["predict", model, *VAL, *shard]) == 0
    capsys.readouterr()
    together = ["cache", "--cache", str(tmp_path / "all"), "--merge", str(one), "--merge", str(two)]
    assert invoke(together) == 0
    assert capsys.readouterr().out.count("1,078") == 2
    stored = [*compare, "--cache", str(tmp_path / "all"), "-o", str(tmp_path / "a.json")]
    assert invoke([*stored, "-o", str(tmp_path / "a.html")]) == 0
    alone = [*compare, "--no-cache", "--pin", str(pin), "-o", str(tmp_path / "b.json")]
    assert invoke([*alone, "-o", str(tmp_path / "b.html")]) == 0
    for suffix in ("json", "html"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    asked = json.loads(pin.read_text())
    (tmp_path / "pin.json").write_text(json.dumps({**asked, "run": {**asked["run"], "threads of a model": 77}}))
    capsys.readouterr()
    assert invoke(["predict", DENSE, *VAL, "--pin", str(pin), "-o", str(tmp_path / "p.csv"), "--threads", "1"]) == 2
    assert "pins another run than this one: threads of a model is 77, and here 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--shard", "1/2"], "no folder is named for them"),
        (["--shard", "1/2", "--cache", "kept", "--no-cache"], "no folder is named for them"),
        (["--shard", "1/2", "--cache", "kept", "-o", "p.csv"], "makes no file"),
        (["--shard", "3/2", "--cache", "kept"], "expected I/N with I from 1 to N, found '3/2'"),
        (["--shard", f"1/{'9' * 5000}", "--cache", "kept"], "expected I/N with I from 1 to N, found '1/999"),
        ([], "predictions go to a file"),
    ],
)
def test_a_shard_is_kept_and_all_else_goes_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRUNE_AUDIT_CACHE")
    assert invoke(["predict", DENSE, *VAL, *more]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

"""prune-audit prune: with each method from end to end, and what it says of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from prune_audit import plugins
from prune_audit.cli import _interrupt, invoke
from sample_models.make import network
from tests import arrays, normalised
from tests.pruning.networks import TOLERANCE

DENSE = "sample_models/dense.pth@sample_models.make:network"
SAFE = "sample_models/dense.safetensors@sample_models.make:network"
VAL = str(arrays.digits())
IMAGES = "sample_models/val"
METHODS = plugins.names("pruning")


pytestmark = pytest.mark.usefixtures("in_repository")


# How a file is written hangs on the method only where it learns something beside the weights.
SAFELY = ["magnitude", *(name for name in METHODS if hasattr(plugins.load("pruning", name), "accompany"))]

TABLES = {"basis": ["coefficients"], "bcr": ["blocks"], "fairgrape": ["shares"], "seqattn": ["blocks"]}


@pytest.mark.parametrize(
    ("method", "dense"), [*((name, DENSE) for name in METHODS), *((name, SAFE) for name in SAFELY)]
)
def test_each_method_pruned_trained_and_audited(
    method: str, dense: str, few_digits: Path, few_arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = few_digits if method == "deadwooding-style" else few_arrays  # it attacks images
    output, report = tmp_path / f"out{Path(dense.partition('@')[0]).suffix}", tmp_path / "audit.json"
    arguments: list[str | Path] = ["prune", dense, "--method", method, "--density", "0.5", "--data", data]
    arguments += ["--epochs", "1", "-o", output]
    code = invoke([*map(str, arguments), "--audit", str(data), "-r", str(report), "--threads", "1"])
    seen = capsys.readouterr()
    told = json.loads(report.read_text())
    assert code in (0, 1)
    assert f"Gate default: {'FAILED' if code else ''}" in seen.out
    assert told["provenance"]["notes"][0].startswith(f"{data} was learnt from and audited on: ")
    card = told["comparisons"][0]["pruned"]
    assert card["path"] == str(output)
    counted = getattr(plugins.load("pruning", method), "COUNTED", None)
    if counted is None:
        kept = sum(layer["nonzero"] for layer in card["layers"])
        assert abs(kept - 0.5 * 29_808) <= TOLERANCE.get(method, 0) * 29_808
        assert f"{output}: {method} kept {100 * kept / 29_808:.2f} % of the weights that may be cut" in seen.out
    else:  # something that the weights in the file are composed of, of which the method's own tests make sure
        assert f"{output}: {method} kept 50.00 % of the {counted}" in seen.out
    for layer in card["layers"]:
        row = next(line.split() for line in seen.out.splitlines() if line.startswith(layer["name"]))
        assert row[-4:-2] == [f"{layer['nonzero']:,}", f"{layer['total']:,}"]
    tables = [f"out.{each}.csv" for each in TABLES.get(method, ())]
    assert sorted(each.name for each in tmp_path.glob("*.csv")) == tables
    assert all(f"{tmp_path / each}: the " in seen.out for each in tables)
    state = torch.load(output, weights_only=True) if output.suffix == ".pth" else load_file(output)
    network().load_state_dict(state)


def test_a_pattern_says_how_much_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prune", DENSE, "--method", "magnitude", "--pattern", "2:4", "--exempt", "first"]
    assert invoke([*arguments, "-o", str(tmp_path / "out.pth")]) == 0
    assert "magnitude kept 50.00 % of the weights that may be cut" in capsys.readouterr().out


def test_a_smaller_network_is_written_compared_and_told(
    few_arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch_pruning")
    output, report = tmp_path / "out.pth", tmp_path / "audit.json"
    common = ["prune", DENSE, "--pattern", "filters", "--exempt", "last", "--density", ".4", "--shrink"]
    assert invoke([*common, "-o", str(output), "--audit", str(few_arrays), "-r", str(report), "--exit-zero"]) == 0
    shown, told = " ".join(capsys.readouterr().out.split()), json.loads(report.read_text())
    gone = [~weight.flatten(1).any(1) for weight in (torch.load(output)[f"{n}.weight"] for n in (0, 2, 6))]
    first, second, third = (int((~each).sum()) for each in gone)
    cut = 96 - first - second - third
    assert f"{cut} of 96 outputs have no weight left" in shown
    # Weights and biases of 3 x 3 kernels, of 4 x 4 places of each channel, and of ten classes.
    parameters = first * 10 + second * (first * 9 + 1) + third * (second * 16 + 1) + 10 * (third + 1)
    macs = 64 * 9 * (first + first * second) + 16 * second * third + 10 * third
    said = f"out.shrunk is out without {cut} of the {cut} filters that were cut: {parameters:,} of 29,914 parameters, "
    said += f"{macs:,} of 329,184 multiply-accumulates a sample"
    assert shown.count(said) == 2  # of the result, and of the report
    assert any(said in note for note in told["provenance"]["notes"])
    zeros, smaller = told["comparisons"]
    assert smaller["pruned"]["path"] == str(tmp_path / "out.shrunk.onnx")
    assert all(zeros["views"][0][name] == smaller["views"][0][name] for name in ("lost", "gained"))


def test_other_samples_to_audit_on_are_not_remarked_upon(few_digits: Path, few_arrays: Path, tmp_path: Path) -> None:
    report = tmp_path / "audit.json"
    data = ["--data", str(few_digits), "--audit", str(few_arrays)]
    assert invoke(["prune", DENSE, "--density", "0.5", *data, "-o", str(tmp_path / "o.pth"), "-r", str(report)]) in (
        0,
        1,
    )
    assert "was learnt from" not in report.read_text()


def test_a_prune_that_does_harm_leaves_1_and_one_that_does_none_0(few_digits: Path, tmp_path: Path) -> None:
    common = ["prune", DENSE, "--method", "magnitude", "--audit", str(few_digits), "-q"]
    common += ["-o", str(tmp_path / "out.pth")]
    assert invoke([*common, "--density", "0.02"]) == 1
    assert invoke([*common, "--density", "0.02", "--exit-zero"]) == 0
    assert invoke([*common, "--density", "1"]) == 0
    assert invoke([*common, "--density", "0.9", "--strict"]) in (0, 3)


def test_of_a_checkpoint_the_weights_that_were_asked_for_are_cut_and_written_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = torch.load("sample_models/dense.pth", weights_only=True)
    torch.save({"net": {n: -w for n, w in weights.items()}, "ema": weights, "epoch": 3}, tmp_path / "dense.pth")
    (tmp_path / "out").mkdir()
    output = tmp_path / "out/dense.pth"
    common = [f"{tmp_path / 'dense.pth'}@sample_models.make:network", "--method", "magnitude", "--density", "1"]
    assert invoke(["prune", *common, "--audit", VAL, "-o", str(output)]) == 2
    assert "--state-key dense=net or --state-key dense=ema" in " ".join(capsys.readouterr().err.split())
    assert invoke(["prune", *common, "--audit", VAL, "-o", str(output), "--state-key", "ema"]) == 0
    written = torch.load(output, weights_only=True)
    assert written.keys() == weights.keys()
    assert all(torch.equal(written[name], value) for name, value in weights.items())
    assert "weights of dense: ema (as asked" in capsys.readouterr().out


def test_until_harm(few_arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, report = tmp_path / "out.pth", tmp_path / "audit.json"
    arguments = ["prune", DENSE, "--until-harm", "-o", str(output), "-r", str(report)]
    assert invoke([*arguments, "--audit", str(few_arrays), "--accept-unsettled"]) == 0
    seen = capsys.readouterr().out
    assert "density 10.00 % fails (" in seen
    assert "density 31.62 % undecided (" in seen
    assert "confirm it on others" in " ".join(seen.split())
    assert output.exists()
    tried = [line.removeprefix("density ") for line in seen.splitlines() if line.startswith("density ")]
    [note] = [each for each in json.loads(report.read_text())["provenance"]["notes"] if "--until-harm" in each]
    assert note.endswith(", ".join(tried))
    output.unlink()
    # So few samples settle nothing, which is no success of a search.
    assert invoke([*arguments, "--audit", str(few_arrays), "--density", ".5"]) == 3
    seen = " ".join(capsys.readouterr().out.split())
    assert "nothing was written. The number of samples sets the answer" in seen
    assert invoke([*arguments, "--audit", VAL, "--method", "random", "--density", "0.6"]) == 1
    assert "nothing was written" in capsys.readouterr().out
    assert not output.exists()


@pytest.mark.skipif(os.name != "posix", reason="other systems have no SIGTERM to send")
def test_a_search_that_is_terminated_leaves_the_states_of_its_trainings_alone(tmp_path: Path) -> None:
    command = ["prune", DENSE, "--until-harm", "--audit", VAL, "-o", str(tmp_path / "out.pth"), "--threads", "1"]
    running = subprocess.Popen(
        [sys.executable, "-m", "prune_audit", *command, "--data", VAL, "--epochs", "500"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out.pth.tries/*.resume")):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 143
    assert told == _interrupt.TOLD
    assert [path.name for path in tmp_path.iterdir()] == ["out.pth.tries"]
    assert {path.suffix for path in (tmp_path / "out.pth.tries").iterdir()} == {".resume"}


def test_onnx_in_and_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "out.onnx")
    assert invoke(["prune", "sample_models/dense.onnx", "--method", "magnitude", "--density", ".1", "-o", output]) == 0
    told = capsys.readouterr()
    assert f"{output}: magnitude kept 10.00 %" in told.out
    assert told.err == ""
    assert not [line for line in told.out.splitlines() if line.endswith(" ")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the exporter's own
def test_an_export_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prune", DENSE, "--method", "magnitude", "--density", ".5", "--export", "onnx"]
    assert invoke([*arguments, "-o", str(tmp_path / "out.pth"), "--data", VAL]) == 0
    assert f"{tmp_path / 'out.pth'}, {tmp_path / 'out.onnx'}: magnitude" in capsys.readouterr().out
    assert {each.name for each in tmp_path.iterdir()} == {"out.pth", "out.onnx"}
    assert invoke([*arguments, "-o", str(tmp_path / "out.onnx"), "--data", VAL]) == 2
    assert "overwritten by its own export" in capsys.readouterr().err


def test_the_training_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "prune",
        DENSE,
        "--density",
        ".5",
        "--epochs",
        "2",
        "--data",
        VAL,
        "--balanced",
        "--optimizer",
        "adamw",
    ]
    assert invoke([*arguments, "--lr", "0.001", "-o", str(tmp_path / "out.pth")]) == 0
    assert "trained for 2 epochs: loss 0." in capsys.readouterr().out
    assert invoke([*arguments, "-q", "-o", str(tmp_path / "quiet.pth")]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ([DENSE, "--density", "0", "--method", "magnitude"], "density must be a share in (0, 1], found 0", "tenth"),
        ([DENSE, "--density", "1.5"], "density must be a share", "tenth"),
        ([DENSE, "--method", "magnitude"], "no density was given", "--density 0.1"),
        (
            [DENSE, "--density", ".1", "--method", "undecayed"],
            "the method undecayed needs labelled training data",
            "--data",
        ),
        ([DENSE, "--density", ".1", "--method", "magnitude", "--epochs", "1"], "a training needs labelled", "--data"),
        (
            ["sample_models/dense.onnx", "--density", ".1", "--data", VAL, "--method", "gradient"],
            "cannot be trained in torch",
            "factory",
        ),
        (["sample_models/dense.pt", "--density", ".1", "--data", VAL], "neither cut nor trained", "factory"),
        (
            [DENSE, "--density", ".1", "--data", VAL, "--method", "fairgrape", "--by", "hue"],
            "--by hue: the data have no column 'hue'",
            "a manifest or an .npz file can have some",
        ),
        ([DENSE, "--density", ".1", "--method", "sort"], "no plugin 'sort' in pruning", "magnitude"),
        ([DENSE, "--density", ".1", "--method", "magnitude", "--exempt", "x"], "no layer is called 'x'", "0.weight"),
        ([DENSE, "--density", ".1", "--scope", "all"], "--scope: expected one of global, layer", "--help"),
        ([DENSE, "--density", ".1", "--schedule", "now"], "--schedule: expected one of one-shot", "--help"),
        ([DENSE, "--density", ".1", "--optimizer", "lion"], "--optimizer: expected one of sgd", "--help"),
        ([DENSE, "--density", ".1", "--lr-schedule", "up"], "--lr-schedule: expected one of cosine, step, ", "--help"),
        ([DENSE, "--density", ".1", "--export", "tf"], "--export: expected one of onnx, found 'tf'", "--help"),
        (
            [DENSE, "--method", "magnitude", "--c-rate", "1"],
            "--c-rate is an option of surgery, and mag",
            "leave it out",
        ),
        (
            [DENSE, "--pattern", "2:4", "--method", "magnitude"],
            "no whole groups of 4 are known along the inputs of 0",
            "exempt 0",
        ),
        ([DENSE, "--density", ".1", "--shrink", "--data", VAL], "--shrink takes whole filters", "--pattern filters"),
        (
            [DENSE, "--density", ".1", "--shrink", "--pattern", "filters", "--exempt", "last"],
            "a smaller network is proven on samples",
            "--data or --audit",
        ),
        (
            [DENSE, "--shrink", "--pattern", "filters", "--until-harm", "--audit", VAL],
            "--shrink goes with neither --until-harm nor --mitigate",
            "the density that was found",
        ),
        ([DENSE, "--pattern", "half", "--method", "magnitude"], "--pattern: expected N:M", "2:4"),
        ([DENSE, "--pattern", "2:4", "--method", "surgery"], "a rule of its own, which knows no pattern", "magnitude"),
        ([DENSE, "--density", ".1", "--pattern", "2:4"], "the pattern 2:4 keeps 0.5 of the weights", "leave out"),
        ([DENSE, "--until-harm", "--audit", VAL, "--pattern", "2:4", "--method", "random"], "one blow", "--until-harm"),
        ([DENSE, "--density", ".1", "--steps", "0"], "number of steps must be positive", "--help"),
        ([DENSE, "--density", ".1", "--hold-out", "1"], "share to hold out", ".1"),
        ([DENSE, "--density", ".1", "--seed", "-1"], "--seed: expected a whole number from 0", "--seed 0"),
        ([DENSE, "--c-rate", "much", "--method", "surgery"], "--c-rate: expected a number, found 'much'", "--c-rate 1"),
        ([DENSE, "--density", ".1", "--c-rate", "1", "--method", "surgery"], "of which one decides", "leave out"),
        ([DENSE, "--density", ".1", "--method", "magnitude", "--export", "onnx"], "an export needs", "by their shape"),
        ([DENSE, "--until-harm", "--method", "magnitude"], "--until-harm needs labelled data", "--audit"),
        ([DENSE, "--accept-unsettled", "--density", ".1"], "--accept-unsettled is of the search", "leave it out"),
        ([DENSE, "--density", ".1", "-r", "x.html"], "no audit to report", "--audit"),
        (["gone.pth", "--density", ".1", "--method", "magnitude"], "there is no file gone.pth", ""),
        (["sample_models/dense.pth", "--density", ".1", "--method", "magnitude"], "is a state dict", "factory"),
    ],
)
def test_bad_input(
    arguments: list[str], error: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["prune", *arguments, "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    first, second = told.err.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second
    assert not list(tmp_path.iterdir())


def test_recalibration_is_said_in_the_result_and_in_reports(
    few_arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dense, report = normalised.trained(tmp_path), tmp_path / "audit.json"
    common = ["prune", f"{dense.path}@{dense.factory}", "--method", "magnitude", "--density", ".5"]
    common += ["-o", str(tmp_path / "out.pth"), "--audit", str(few_arrays), "-r", str(report), "--exit-zero"]
    for more, said in (
        ([], "still has the statistics of the network before the cut (2 layers)"),
        (["--recalibrate", "--data", VAL], "batch normalisation of out was recalibrated: 2 layers"),
    ):
        assert invoke([*common, *more]) == 0
        assert " ".join(capsys.readouterr().out.split()).count(said) == 2  # of the result, and of the report
        assert said in " ".join(json.loads(report.read_text())["provenance"]["notes"])


def test_mitigated_in_one_run(few_digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = [sorted(each.iterdir()) for each in sorted(Path(IMAGES).iterdir()) if each.is_dir()]
    for files in digits:
        (tmp_path / "train" / files[0].parent.name).mkdir(parents=True)
        for file in files[40:]:
            (tmp_path / "train" / file.parent.name / file.name).write_bytes(file.read_bytes())
    common = ["prune", DENSE, "--method", "bcr", "--density", ".03", "--audit", str(few_digits), "--exit-zero"]
    common += ["-o", str(tmp_path / "fair.pth"), "--mitigate", "equal-loss", "--epochs", "1"]
    assert invoke([*common, "--data", str(tmp_path / "train")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "fair.pth: mended by equal-loss; bcr kept 3.0" in shown
    assert f"{tmp_path / 'fair.blocks.csv'}: the rows and columns that are kept of a block" in shown
    assert "fair is" in shown
    assert all(f" {name} " in shown for name in ("pruned", "tuned", "tuned-balanced"))
    assert {each.name for each in tmp_path.iterdir()} == {"train", "fair.pth", "fair.blocks.csv"}
    for name in ("fair.pth", "fair.blocks.csv"):
        (tmp_path / name).unlink()
    for more, said in (
        ([], "give them with --data and --audit"),
        (["--data", IMAGES, "--schedule", "iterative"], "behind a cut at one blow"),
        (["--data", IMAGES], "400 of the 400 samples"),
        (["--data", IMAGES, "--export", "onnx"], "neither --until-harm nor --export"),
    ):
        assert invoke([*common, *more]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
        assert {each.name for each in tmp_path.iterdir()} == {"train"}

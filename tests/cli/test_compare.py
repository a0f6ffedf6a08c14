"""prune-audit compare, as a user runs it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prune_audit.cli import invoke
from prune_audit.document import read_audit

PAIR = ["sample_models/dense.onnx", "sample_models/pruned-90.onnx"]
VAL = ["--data", "sample_models/val"]


@pytest.fixture(autouse=True)
def at_root(sample_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sample_models.parent)
    monkeypatch.setenv("COLUMNS", "100")


def test_reports_and_says_that_no_gate_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", *PAIR, *VAL]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "intensified" in captured.out
    assert "o gate" in captured.out


@pytest.mark.workers
def test_the_gate_fails_on_the_sparse_and_passes_the_half(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", *PAIR, *VAL, "--gate", "-q"]) == 1
    assert invoke(["compare", PAIR[0], "sample_models/pruned-50.onnx", *VAL, "--gate", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_a_policy_that_forbids_the_inconclusive_is_3(tmp_path: Path) -> None:
    policy = tmp_path / "strict.toml"
    policy.write_text('inconclusive = "forbid"\n[rules.recall-drop]\nlevel = "error"\n')
    half = ["compare", PAIR[0], "sample_models/pruned-50.onnx", *VAL, "-q", "--policy", str(policy)]
    assert invoke(half) == 3


def test_files_by_suffix_and_again_from_the_saved_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, table = tmp_path / "a.json", tmp_path / "a.csv"
    assert invoke(["compare", *PAIR, *VAL, "-o", str(saved), "-o", str(table)]) == 0
    first = capsys.readouterr().out
    assert invoke(["report", str(saved), "-o", str(tmp_path / "again.csv")]) == 0
    assert capsys.readouterr().out == first
    assert (tmp_path / "again.csv").read_bytes() == table.read_bytes()
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["stratum"] for row in rows] == list("0123456789")
    worst = min(rows, key=lambda row: float(row["change"]))
    assert (worst["stratum"], worst["verdict"], worst["distortion"]) == ("8", "regressed", "intensified")
    assert int(worst["lost"]) - int(worst["gained"]) == round(-float(worst["change"]) * int(worst["support"]))


def test_names_several_variants_and_points(tmp_path: Path) -> None:
    saved = tmp_path / "a.json"
    variants = ["tenth=sample_models/pruned-90.onnx", "half=sample_models/pruned-50.pt"]
    options = ["--margin", "3", "--assure", "7.5", "-q", "-o", str(saved)]
    assert invoke(["compare", PAIR[0], *variants, *VAL, *options]) == 0
    audit = read_audit(saved)
    assert [c.pruned.name for c in audit.comparisons] == ["tenth", "half"]
    assert (audit.provenance.settings.margin, audit.provenance.settings.assure) == (0.03, 0.075)
    densities = [c.pruned.density for c in audit.comparisons]
    np.testing.assert_allclose(np.array(densities, float), [0.1, 0.5], atol=1e-3)


def test_a_limit_is_said_loudly_and_never_gates(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", *PAIR, *VAL, "--limit", "200", "--gate"]) == 0
    assert "200" in capsys.readouterr().out


@pytest.mark.workers
def test_verbose_tells_of_the_run_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", *PAIR, *VAL, "-q", "-v"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "batch size, dense: " in captured.err


def test_images_of_another_size_are_brought_to_the_models(tmp_path: Path) -> None:
    for label in "0123456789":
        (tmp_path / "val" / label).mkdir(parents=True)
        Image.new("RGB", (20, 16), (int(label) * 20, 0, 0)).save(tmp_path / "val" / label / "a.jpg")
    saved = tmp_path / "a.json"
    assert invoke(["compare", *PAIR, "--data", str(tmp_path / "val"), "-q", "-o", str(saved)]) == 0
    preprocess = read_audit(saved).provenance.preprocess
    assert preprocess is not None
    assert (preprocess.size, preprocess.channels) == ((8, 8), "gray")


@pytest.mark.workers
def test_equal_runs_write_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        outputs = ["-o", str(tmp_path / f"{name}.json"), "-o", str(tmp_path / f"{name}.csv")]
        assert invoke(["compare", *PAIR, *VAL, "-q", "--reproducible", *outputs]) == 0
    for suffix in (".json", ".csv"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert read_audit(tmp_path / "a.json").provenance.run == {}


BAD = {
    "missing model": (["compare", "nowhere.onnx", PAIR[1], *VAL], "nowhere.onnx"),
    "missing data": (["compare", *PAIR, "--data", "nowhere"], "nowhere"),
    "unknown suffix": (["compare", *PAIR, *VAL, "-o", "out.xyz"], ".xyz"),
    "unwritable output": (["compare", *PAIR, *VAL, "-o", "nowhere/out.csv"], "nowhere"),
    "margin as a share": (["compare", *PAIR, *VAL, "--margin", "0.02"], "points"),
    "assurance below the margin": (["compare", *PAIR, *VAL, "--assure", "1"], "margin"),
    "size that is none": (["compare", *PAIR, *VAL, "--size", "big"], "--size"),
    "size the model does not take": (["compare", *PAIR, *VAL, "--size", "16"], "16"),
    "mean for three channels": (["compare", *PAIR, *VAL, "--mean", "0.1,0.2,0.3"], "mean"),
    "unknown preset": (["compare", *PAIR, *VAL, "--preprocess", "imagenot"], "imagenot"),
    "unknown correction": (["compare", *PAIR, *VAL, "--correction", "x"], "fdr_bh"),
    "missing policy": (["compare", *PAIR, *VAL, "--policy", "nowhere.toml"], "nowhere.toml"),
    "unknown device": (["compare", "sample_models/dense.pt", PAIR[1], *VAL, "--device", "tpu9"], "tpu9"),
}


@pytest.mark.parametrize(("arguments", "told"), BAD.values(), ids=BAD)
def test_bad_input_is_2_with_error_and_hint(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    error, hint, *rest = captured.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert told in error + hint
    assert rest == []


def test_broken_files_are_2_and_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truncated = tmp_path / "truncated.pt"
    truncated.write_bytes(Path("sample_models/dense.pt").read_bytes()[:5000])
    text = tmp_path / "text.onnx"
    text.write_text("this is no model\n")
    out = tmp_path / "out.csv"
    for path in (truncated, text):
        assert invoke(["compare", str(path), PAIR[1], *VAL, "-o", str(out)]) == 2
        captured = capsys.readouterr()
        assert path.name in captured.err
        assert "Traceback" not in captured.err
        assert not out.exists()


def test_an_unreadable_image_is_named_or_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in "0123456789":
        (tmp_path / "val" / label).mkdir(parents=True)
        Image.new("L", (8, 8), int(label) * 20).save(tmp_path / "val" / label / "a.png")
    (tmp_path / "val" / "3" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photograph")
    command = ["compare", *PAIR, "--data", str(tmp_path / "val")]
    assert invoke(command) == 2
    assert "broken.jpg" in capsys.readouterr().err
    saved = tmp_path / "a.json"
    assert invoke([*command, "--skip-bad", "1", "-q", "-o", str(saved)]) == 0
    assert json.loads(saved.read_text())
    assert [name for name, _ in read_audit(saved).provenance.skipped] == ["3/broken.jpg"]


def test_a_model_of_other_classes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "val" / label).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "val" / label / "a.png")
    assert invoke(["compare", *PAIR, "--data", str(tmp_path / "val")]) == 2
    assert "10 output" in capsys.readouterr().err


def test_classes_in_a_wrong_order_stop_and_the_right_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commonest fault of all: both models are equally wrong, and their difference would pass any gate."""
    names = tmp_path / "classes.txt"
    names.write_text("\n".join(reversed("0123456789")))
    assert invoke(["compare", *PAIR, *VAL, "--classes", str(names), "--gate"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "another order" in captured.err
    assert "by these predictions: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9;" in captured.err


@pytest.fixture
def halves(tmp_path: Path, sample_models: Path) -> tuple[str, str]:
    """The samples as two folders, every other one in each."""
    for at, file in enumerate(sorted((sample_models / "val").rglob("*.png"))):
        target = tmp_path / f"half{at % 2}" / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return str(tmp_path / "half0"), str(tmp_path / "half1")


def test_the_variant_that_was_chosen_is_confirmed_on_fresh_data(
    tmp_path: Path, sample_models: Path, halves: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(sample_models / f"{name}.onnx") for name in ("dense", "pruned-50")]
    here = ["compare", *models, "--data", halves[0], "--confirm", halves[1], "-o", str(tmp_path / "a.json")]
    assert invoke(here) == 0
    out = capsys.readouterr().out
    assert out.count("Gate default:") == 2
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "a.confirm.json"))
    assert first["provenance"]["data_digest"] != second["provenance"]["data_digest"]
    assert second["policy"] == first["policy"]
    assert [c["pruned"]["name"] for c in second["comparisons"]] == ["pruned-50"]


def test_one_variant_too_many_does_not_keep_the_one_before_it_from_being_confirmed(
    tmp_path: Path, sample_models: Path, halves: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(sample_models / f"{name}.onnx") for name in ("dense", "pruned-50", "pruned-90")]
    here = ["compare", *models, "--data", halves[0], "--confirm", halves[1], "-q", "-o", str(tmp_path / "a.json")]
    assert invoke(here) == 1
    of = f"note: exit code 1 is that of pruned-90 on {halves[0]}; pruned-50, judged again on {halves[1]}, would leave 0"
    assert capsys.readouterr().err.splitlines() == [of]
    assert invoke([*here, "--exit-zero"]) == 0
    assert capsys.readouterr().err == ""
    confirmed = json.loads((tmp_path / "a.confirm.json").read_text())
    assert [c["pruned"]["name"] for c in confirmed["comparisons"]] == ["pruned-50"]
    assert confirmed["outcome"] != "failed"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Predictions for two lots of samples, a and b; the name of a variant says on which of them it fails."""
    names = [f"{lot}{i}" for lot in "ab" for i in range(300)]
    labels = {name: ("oak", "elm", "fir")[int(name[1:]) % 3] for name in names}
    for lot in "ab":
        rows = [f"{name},{labels[name]}" for name in names if name[0] == lot]
        (tmp_path / f"{lot}.csv").write_text("\n".join(["id,label", *rows]))
    for model in ("dense", "well", "fails-a", "fails-b"):
        wrong = model.removeprefix("fails-")
        said = {name: "elm" if name[0] == wrong and labels[name] == "oak" else labels[name] for name in names}
        slips = range(5) if model == "well" else range(8, 12)
        said |= {f"{lot}{3 * i}": "fir" for i in slips for lot in "ab"}
        rows = [f"{name},{said[name]}" for name in names]
        (tmp_path / f"{model}.csv").write_text("\n".join(["id,predicted", *rows]))
    return tmp_path


@pytest.mark.parametrize(
    ("variants", "both", "alone"),
    [
        (("well",), 0, 0),
        (("fails-b",), 1, 1),
        (("well", "fails-a"), 1, 0),
        (("fails-b", "fails-a"), 1, 1),
        (("fails-a", "well"), 1, 1),  # none is confirmed
    ],
)
def test_the_exit_code_of_the_confirmed_variant_alone(
    recorded: Path, capsys: pytest.CaptureFixture[str], variants: tuple[str, ...], both: int, alone: int
) -> None:
    models = [str(recorded / f"{name}.csv") for name in ("dense", *variants)]
    here = ["compare", *models, "--data", str(recorded / "a.csv"), "--confirm", str(recorded / "b.csv"), "-q"]
    assert invoke(here) == both
    capsys.readouterr()
    assert invoke([*here, "--confirm-only"]) == alone
    told = capsys.readouterr().err
    if both != alone:
        assert f"note: exit code {alone} is that of {variants[0]}, judged again on" in told
        assert f"b.csv, alone (--confirm-only); {variants[1]} on" in told
        assert f"a.csv would leave {both}" in told
    else:
        assert "--confirm-only" not in told
    assert invoke([*here, "--confirm-only", "--exit-zero"]) == 0


def test_confirm_only_needs_something_to_confirm(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(recorded / f"{name}.csv") for name in ("dense", "well")]
    assert invoke(["compare", *models, "--data", str(recorded / "a.csv"), "--confirm-only"]) == 2
    assert "--confirm-only: there is nothing to confirm" in capsys.readouterr().err


def test_fresh_data_that_are_not_there_are_missed_before_a_model_runs(
    tmp_path: Path, sample_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("prune_audit.audit.run", lambda *_, **__: pytest.fail("a model ran"))
    models = [str(sample_models / f"{name}.onnx") for name in ("dense", "pruned-50")]
    val = ["--data", str(sample_models / "val")]
    (tmp_path / "fresh").mkdir()
    assert invoke(["compare", *models, *val, "--confirm", str(tmp_path / "frsh")]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path / 'frsh'}: there is no such file or folder" in err
    assert f"hint: did you mean {tmp_path / 'fresh'}? --confirm takes labelled data" in err


def test_what_does_not_pass_is_not_confirmed_and_the_same_data_confirm_nothing(
    sample_models: Path, halves: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sparse = [str(sample_models / f"{name}.onnx") for name in ("dense", "pruned-90")]
    assert invoke(["compare", *sparse, "--data", halves[0], "--confirm", halves[1], "-q"]) == 1
    assert "nothing was confirmed" in capsys.readouterr().err
    half = [str(sample_models / f"{name}.onnx") for name in ("dense", "pruned-50")]
    assert invoke(["compare", *half, "--data", halves[0], "--confirm", halves[0], "-q"]) == 2
    assert "had no part in the choice" in capsys.readouterr().err


def test_an_accuracy_that_was_expected_and_is_excluded_stops_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "a.json"), "-q"]
    assert invoke(["compare", *PAIR, *VAL, "--expect-accuracy", "96.6", *out]) == 0
    assert (
        invoke(["compare", *PAIR, *VAL, "--expect-accuracy", "99.5", *out]) == 0
    )  # within the tolerance of the interval
    assert invoke(["compare", *PAIR, *VAL, "--expect-accuracy", "80", "-o", str(tmp_path / "b.json")]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "the dense model dense was to have 80.00% (--expect-accuracy) and has" in told
    assert not (tmp_path / "b.json").exists()
    assert invoke(["compare", *PAIR, *VAL, "--expect-accuracy", "80", "--expect-tolerance", "20", "-q"]) == 0
    assert invoke(["check", str(tmp_path / "a.json"), "--expect-accuracy", "80"]) == 2
    assert invoke(["compare", *PAIR, *VAL, "--expect-accuracy", "0.966"]) == 2
    assert "92.8 means 92.8 %" in capsys.readouterr().err


def test_a_policy_may_expect_an_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text('extends = "default"\nexpect-accuracy = 80\n', encoding="utf-8")
    assert invoke(["compare", *PAIR, *VAL, "--policy", str(policy)]) == 2
    assert "was to have 80.00%" in capsys.readouterr().err
    policy.write_text('extends = "report-only"\nexpect-accuracy = 80\nexpect-tolerance = 20\n', encoding="utf-8")
    assert invoke(["compare", *PAIR, *VAL, "--policy", str(policy)]) == 0
    assert invoke(["policy", "--policy", str(policy)]) == 0
    assert "expect-accuracy = 80" in capsys.readouterr().out


def test_recorded_scores_of_more_classes_than_the_data_have_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A class without samples must not shift the ones after it: sorted labels are no positions of scores."""
    rng = np.random.default_rng(4)
    labels = np.arange(240) % 12
    scores = np.eye(12)[labels] * 3 + rng.normal(size=(240, 12))
    seen = labels != 10
    for name in ("dense", "pruned"):
        np.savez(tmp_path / f"{name}.npz", scores=scores[seen])
    (tmp_path / "y.csv").write_text("label\n" + "".join(f"{label}\n" for label in labels[seen]), encoding="utf-8")
    run = [
        "compare",
        *(str(tmp_path / f"{name}.npz") for name in ("dense", "pruned")),
        "--data",
        str(tmp_path / "y.csv"),
    ]
    assert invoke(run) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "has 12 scores a sample, the data have 11 classes" in told
    assert "--classes FILE" in told
    (tmp_path / "c.txt").write_text("".join(f"{i}\n" for i in range(12)), encoding="utf-8")
    assert invoke([*run, "--classes", str(tmp_path / "c.txt"), "-q"]) == 0

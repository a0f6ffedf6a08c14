"""prune-audit explain from end to end: roles of the data, what is kept, and what it says of bad input."""

from __future__ import annotations

import inspect
import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from prune_audit import explain, plugins, prune
from prune_audit.core import ModelSource, Settings
from prune_audit.document import read_audit
from tests import arrays
from tests.cli._run import here, process
from tests.conftest import ROOT
from tests.normalised import FACTORY, network, trained

ONNX = ("sample_models/dense.onnx", "sample_models/pruned-90.onnx")


pytestmark = pytest.mark.usefixtures("one_thread", "few_draws")


@pytest.fixture(scope="module")
def others(sample_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last thirty of each digit, none of which is among the few digits."""
    folder = tmp_path_factory.mktemp("others")
    for digit in sorted(each for each in (sample_models / "val").iterdir() if each.is_dir()):
        (folder / digit.name).mkdir()
        for file in sorted(digit.iterdir())[-30:]:
            shutil.copy(file, folder / digit.name)
    return folder


@pytest.fixture(scope="module")
def other_arrays(others: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as arrays in one file."""
    return arrays.of_images(sorted(others.glob("*/*.png")), tmp_path_factory.mktemp("others") / "others.npz")


def test_it_audits_looks_and_says_why(few_digits: Path, others: Path, tmp_path: Path) -> None:
    report = tmp_path / "why.json"
    done = here(["explain", *ONNX, "--data", others, "--audit", few_digits, "--lens", "weights", "-o", report])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Why ")
    audit = read_audit(report)
    comparison = audit.comparisons[0]
    assert [look.lens for look in comparison.looks] == ["rule", "weights"]
    assert comparison.explained[0].startswith("pruned-90 lost 8 (-")
    assert audit.provenance.samples == 400
    assert comparison.view().apart == ("row_density", "row_norm_cut")
    # The last lines can be typed as they stand: the run was told what the networks were trained on.
    *said, command = done.stdout.splitlines()
    assert any(line.startswith("Next: to mend ") for line in said[-3:])  # one line or more, as wide as names are
    sides = ["--data", str(others), "--audit", str(few_digits)]
    typed = ["prune-audit", "mitigate", *ONNX, "--method", "offsets", *sides]
    assert shlex.split(command)[: len(typed)] == typed
    assert command.endswith(" -o mended.onnx")
    assert here(["report", report]).stdout.splitlines()[-1] == command  # the file knows it, too


def test_the_same_data_are_refused_unless_asked_for(few_digits: Path, others: Path, tmp_path: Path) -> None:
    lens: list[str | Path] = ["--lens", "weights", "-q"]
    done = here(["explain", *ONNX, "--data", few_digits, "--audit", few_digits, *lens])
    assert done.returncode == 2
    assert f"--data {few_digits} and --audit {few_digits} are the same samples" in done.stderr
    assert here(["explain", *ONNX, "--data", few_digits, "--audit", few_digits, *lens, "--same-data"]).returncode == 0
    # By content, too: the same images under other names.
    shutil.copytree(few_digits, tmp_path / "copy")
    for file in sorted((tmp_path / "copy").rglob("*.png")):
        file.rename(file.with_name(f"other-{file.name}"))
    done = here(["explain", *ONNX, "--data", tmp_path / "copy", "--audit", few_digits, *lens])
    assert done.returncode == 2
    assert "are the same samples" in done.stderr
    # A few in both are told.
    shutil.copytree(others, tmp_path / "mixed")
    for file in sorted((few_digits / "3").iterdir())[:5]:
        shutil.copy(file, tmp_path / "mixed" / "3" / f"twin-{file.name}")
    report = tmp_path / "why.json"
    arguments: list[str | Path] = ["--data", tmp_path / "mixed", "--audit", few_digits, *lens, "-o", report]
    assert here(["explain", *ONNX, *arguments]).returncode == 0
    assert "5 of 305 samples of --data are among those audited" in " ".join(read_audit(report).provenance.notes)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lens", "nothing"], "no plugin 'nothing' in lenses"),
        (["--samples", "1"], "--samples: expected 2 or more of each class, found 1"),
        (["--drop-class", "3"], "--drop-class: lenses look at every output"),
        (["-o", "out.pth"], "no report is written to .pth"),
    ],
)
def test_bad_input(arguments: list[str], said: str, few_arrays: Path, other_arrays: Path) -> None:
    done = here(["explain", *ONNX, "--data", other_arrays, "--audit", few_arrays, *arguments])
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_data_of_other_classes_are_refused(few_digits: Path, others: Path, tmp_path: Path) -> None:
    shutil.copytree(others, tmp_path / "nine")
    shutil.rmtree(tmp_path / "nine" / "4")
    done = here(["explain", *ONNX, "--data", tmp_path / "nine", "--audit", few_digits, "--lens", "weights"])
    assert done.returncode == 2
    assert "error: " in done.stderr


def test_recorded_predictions_are_refused(few_arrays: Path, other_arrays: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.csv"
    assert here(["predict", ONNX[1], "--data", few_arrays, "-o", made, "-q"]).returncode == 0
    done = here(["explain", ONNX[0], made, "--data", other_arrays, "--audit", few_arrays])
    assert done.returncode == 2
    assert "lenses look into networks" in done.stderr


def test_list_lenses_names_them_all() -> None:
    done = here(["list", "lenses", "--long"])
    assert done.returncode == 0
    for name in plugins.names("lenses"):
        assert f"\n  {name}\n" in done.stdout


def test_what_lenses_saw_stays_in_a_saved_audit(few_digits: Path, others: Path, tmp_path: Path) -> None:
    report, page = tmp_path / "why.json", tmp_path / "why.html"
    arguments: list[str | Path] = ["--data", others, "--audit", few_digits, "--lens", "weights", "-q", "-o", report]
    assert here(["explain", *ONNX, *arguments, "--thumbnails", "1"]).returncode == 0
    assert here(["report", report, "-o", page]).returncode == 0
    told = page.read_text(encoding="utf-8")
    assert 'id="look-0-weights"' in told
    assert told.count("data:image/png;") > 1  # of the samples that only one model gets right
    judged = tmp_path / "judged.json"
    assert here(["check", report, "-o", judged, "--exit-zero", "-q"]).returncode == 0
    found = json.loads(judged.read_text(encoding="utf-8"))["comparisons"][0]
    assert [look["lens"] for look in found["looks"]] == ["rule", "weights"]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The sample's network with batch normalisation, and a file of it with a fifth of its weights."""
    folder = tmp_path_factory.mktemp("cut")
    dense = trained(folder)
    pruned = folder / "cut.pth"
    prune.run(dense, pruned, prune.Recipe(method="magnitude", density=0.2), Settings())
    return f"{dense.path}@{FACTORY}", pruned


def test_every_part_of_it_that_takes_long_says_how_far_it_is(
    cut: tuple[str, Path], few_arrays: Path, other_arrays: Path
) -> None:
    sides: list[str | Path] = [
        "--data",
        few_arrays,
        "--audit",
        other_arrays,
        "--threads",
        "1",
        "--progress",
        "plain",
        "-q",
    ]
    lenses = ["--lens", "recalibrated", "--lens", "loss-shift", "--lens", "layers"]
    done = here(["explain", cut[0], f"{cut[1]}@{FACTORY}", *sides[:-1], *lenses])
    ended = [line.partition(":")[0] for line in done.stderr.splitlines() if ": 100 %, " in line]
    stages = {"evaluating", "predicting on --audit", "predicting the loss", "putting layers back"}
    assert stages <= set(ended), done.stderr
    assert here(["explain", cut[0], f"{cut[1]}@{FACTORY}", *sides, *lenses]).stderr == ""


def test_the_usual_lenses_and_the_network_that_was_judged(
    cut: tuple[str, Path], few_arrays: Path, other_arrays: Path, tmp_path: Path
) -> None:
    dense, pruned = cut[0], f"{cut[1]}@{FACTORY}"
    report = tmp_path / "why.json"
    sides: list[str | Path] = ["--data", few_arrays, "--audit", other_arrays, "--threads", "1"]
    first = here(["explain", dense, pruned, *sides, "-o", report])
    assert first.returncode == 0, first.stderr
    comparison = read_audit(report).comparisons[0]
    assert [look.lens for look in comparison.looks] == ["rule", "recalibrated", "loss-shift", "layers", "weights"]
    assert all(look.absent is None for look in comparison.looks)

    made = tmp_path / "restored.pth"
    arguments = [*sides, "--lens", "layers", "--restore", "4", "-o", made, "-o", report]
    done = here(["explain", dense, pruned, *arguments])
    assert done.returncode == 0, done.stderr
    state, whole = torch.load(made, weights_only=True), torch.load(dense.partition("@")[0], weights_only=True)
    assert torch.equal(state["4.weight"], whole["4.weight"])
    assert not torch.equal(state["0.weight"], whole["0.weight"])
    judged = read_audit(report).comparisons[0].looks[1].tables[0]
    row = dict(zip([field.name for field in judged.fields], judged.rows[-3], strict=True))
    assert str(row["network"]).endswith(": 4 dense again")
    # The file is what was judged: as many samples right as the section says.
    compared = tmp_path / "compared.json"
    new = tmp_path / "new.json"
    assert here(["compare", pruned, f"{made}@{FACTORY}", "--data", other_arrays, "-q", "-o", compared]).returncode == 0
    written = read_audit(compared).comparisons[0].view()
    assert here(["explain", dense, pruned, *sides, "--lens", "recalibrated", "-q", "-o", new]).returncode == 0
    base = read_audit(new).comparisons[0]
    gained = base.view().measure("recalibrated_change").overall
    change = written.measure("change").overall
    assert isinstance(gained, float)
    assert isinstance(change, float)
    assert row["change"] == pytest.approx(change - gained, abs=1e-9)


@pytest.mark.parametrize(("lens", "method"), [("weights", "equal-loss"), ("recalibrated", "recalibrate")])
def test_the_command_that_it_ends_with_does_what_it_says(
    lens: str, method: str, cut: tuple[str, Path], few_arrays: Path, other_arrays: Path, tmp_path: Path
) -> None:
    hurt = tmp_path / "hurt it.pth"
    path, _, factory = cut[0].partition("@")
    recipe = prune.Recipe(method="magnitude", density=0.05)
    prune.run(ModelSource(name="dense", path=Path(path), factory=factory), hurt, recipe, Settings())
    done = here(["explain", cut[0], hurt, "--data", few_arrays, "--audit", other_arrays, "--lens", lens])
    assert done.returncode == 0, done.stderr
    *said, command = done.stdout.splitlines()
    assert any(line.startswith("Next: to mend ") for line in said[-3:])  # one line or more, as wide as names are
    typed = shlex.split(command)
    assert typed[:6] == ["prune-audit", "mitigate", cut[0], f"{hurt}@{FACTORY}", "--method", method]
    mended = here(typed[1:], cwd=tmp_path)
    assert mended.returncode in (0, 1), mended.stderr  # as the gate says
    assert (tmp_path / "mended.pth").exists()


def test_weights_that_name_no_factory_are_the_dense_network_s(
    cut: tuple[str, Path], few_arrays: Path, other_arrays: Path, tmp_path: Path
) -> None:
    report = tmp_path / "why.json"
    sides: list[str | Path] = ["--data", few_arrays, "--audit", other_arrays, "--lens", "weights", "-q", "-o", report]
    assert here(["explain", cut[0], cut[1], *sides]).returncode == 0
    audit = read_audit(report)
    assert audit.comparisons[0].looks[1].tables[0].rows[0][3] is not None  # single weights are seen
    assert f"cut is taken for weights of {FACTORY}, as the dense model's are" in audit.provenance.notes


def test_a_second_run_repeats_nothing(
    cut: tuple[str, Path], few_arrays: Path, other_arrays: Path, tmp_path: Path, cache: Path
) -> None:
    """In processes of their own, since what a factory reads is known only where its module is imported first."""
    code = inspect.getsource(network)
    (tmp_path / "nets.py").write_text(f"import torch\nfrom torch import nn\n\n\n{code}", encoding="utf-8")
    models = [f"{cut[0].partition('@')[0]}@nets:network", f"{cut[1]}@nets:network"]
    arguments: list[str | Path] = ["explain", *models, "--data", few_arrays, "--audit", other_arrays, "--threads", "1"]
    environment = {"PYTHONPATH": str(ROOT)}
    first = process([*arguments, "--lens", "loss-shift", "--lens", "layers"], cwd=tmp_path, environment=environment)
    assert first.returncode == 0, first.stderr
    kept = {path: path.stat().st_mtime_ns for path in (cache / "models").iterdir()}
    assert len(kept) >= 10 + 4  # a file for each class, and one for each layer beside none
    again = process([*arguments, "--lens", "loss-shift", "--lens", "layers"], cwd=tmp_path, environment=environment)
    assert again.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in (cache / "models").iterdir()} == kept


FORM = "needs gradients: give WEIGHTS@module:factory"


@pytest.mark.parametrize(
    ("dense", "pruned", "closed"),
    [
        (*ONNX, "dense is ONNX"),
        ("sample_models/dense.pt", "sample_models/pruned-90.pt", "dense is TorchScript"),
        (
            "sample_models/dense.pth@sample_models.make:network",
            "sample_models/pruned-90.pt",
            "pruned-90 is TorchScript",
        ),
    ],
)
def test_where_gradients_are_needed_the_form_is_named_and_the_others_look(
    dense: str, pruned: str, closed: str, few_arrays: Path, other_arrays: Path, tmp_path: Path
) -> None:
    report = tmp_path / "why.json"
    sides: list[str | Path] = ["--data", other_arrays, "--audit", few_arrays, "-q"]
    lenses = [*explain.usual(), "privacy"]
    chosen = [part for name in lenses for part in ("--lens", name)]
    assert here(["explain", dense, pruned, *sides, *chosen, "-o", report]).returncode == 0
    comparison = read_audit(report).comparisons[0]
    absent = {look.lens: look.absent for look in comparison.looks if look.absent is not None}
    assert absent == dict.fromkeys(["recalibrated", "loss-shift", "layers"], f"{closed}, and this lens {FORM}")
    assert {look.lens for look in comparison.looks} == {"rule", *lenses}
    assert (
        f"Not looked through: recalibrated, loss-shift, layers, since {closed}. What asks for gradients takes both "
        "networks as WEIGHTS@module:factory."
    ) in comparison.explained


def test_where_no_lens_could_look_nothing_is_run(few_arrays: Path, other_arrays: Path) -> None:
    done = here(["explain", *ONNX, "--data", other_arrays, "--audit", few_arrays, "--lens", "layers"])
    assert done.returncode == 2
    assert f"layers: {FORM}" in done.stderr


def test_a_network_that_no_lens_was_asked_to_make(cut: tuple[str, Path], few_arrays: Path, other_arrays: Path) -> None:
    made = cut[1].with_name("made.pth")
    arguments: list[str | Path] = ["--data", few_arrays, "--audit", other_arrays, "--lens", "weights", "-o", made]
    done = here(["explain", cut[0], f"{cut[1]}@{FACTORY}", *arguments])
    assert done.returncode == 2
    assert "no lens was asked to make a network" in done.stderr
    assert not made.exists()


def test_data_of_another_task_are_refused(others: Path, tmp_path: Path) -> None:
    table = tmp_path / "several.csv"
    files = [file for digit in sorted(others.iterdir()) for file in sorted(digit.iterdir())[:2]]
    rows = [f"{file},{file.parent.name};{(int(file.parent.name) + 1) % 10}" for file in files]
    table.write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    names = tmp_path / "names.txt"
    names.write_text("\n".join("0123456789"), encoding="utf-8")
    arguments: list[str | Path] = ["--data", table, "--audit", table, "--label-separator", ";", "--classes", names]
    done = here(["explain", *ONNX, *arguments])
    assert done.returncode == 2
    assert "holds labels for the task multi-label, and lenses look at samples of one class" in done.stderr

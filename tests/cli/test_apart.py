"""What is read is never written over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli._run import here
from tests.conftest import ROOT

DENSE, PRUNED, VAL = (ROOT / "sample_models" / name for name in ("dense.onnx", "pruned-90.onnx", "val"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded predictions, labels and an audit of them."""
    made = tmp_path_factory.mktemp("apart")
    for name, model in (("d.csv", DENSE), ("p.csv", PRUNED)):
        assert here(["predict", model, "--data", VAL, "-q", "-o", made / name]).returncode == 0
    shutil.copy(made / "d.csv", made / "labels.csv")
    done = here(["compare", made / "d.csv", made / "p.csv", "--data", made / "labels.csv", "-q", "-o", made / "a.json"])
    assert done.returncode == 0, done.stderr
    shutil.copy(made / "a.json", made / "saved.csv")
    (made / "train.csv").write_text("id,label\n" + "".join(f"t{at},{at % 10}\n" for at in range(30)))
    (made / "l.csv").symlink_to("labels.csv")
    (made / "classes.csv").write_text("".join(f"{digit}\n" for digit in range(10)))
    return made


def test_names_of_the_cases(folder: Path) -> None:
    """Each command works where it writes elsewhere, so that what is refused below is what is written over."""
    for command in COMMANDS:
        arguments = [folder / word[1:] if word.startswith("@") else word for word in command[:-1]]
        done = here([*arguments, folder / f"other{Path(command[-1]).suffix}"])
        assert done.returncode in (0, 1), (command, done.stderr)


COMPARE = ("compare", "@d.csv", "@p.csv", "--data", "@labels.csv", "-q")
COMMANDS = [
    (*COMPARE, "-o", "@labels.csv"),
    (*COMPARE, "-o", "@l.csv"),
    (*COMPARE, "-o", "@d.csv"),
    (*COMPARE, "-o", "@p.csv"),
    (*COMPARE, "--classes", "@classes.csv", "-o", "@classes.csv"),
    ("predict", "@d.csv", "--data", "@labels.csv", "-q", "-o", "@labels.csv"),
    ("plan", "@saved.csv", "-q", "-o", "@saved.csv"),
    ("quotas", "@a.json", "--train", "@train.csv", "--keep", "0.5", "-q", "-o", "@train.csv"),
    ("report", "@saved.csv", "-q", "-o", "@saved.csv"),
    ("check", "@saved.csv", "-q", "-o", "@saved.csv"),
    ("check", "@a.json", "--baseline", "@saved.csv", "-q", "-o", "@saved.csv"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command))
def test_a_file_that_is_read_is_not_written_over(folder: Path, command: tuple[str, ...]) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = here([folder / word[1:] if word.startswith("@") else word for word in command])
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {folder / command[-1][1:]} is read, and would be written over\nhint: write to another name\n"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_audit_may_be_judged_anew_in_its_place(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "a.json", tmp_path / "a.json")
    for command in (["check", "--margin", "3"], ["report"]):
        done = here([command[0], tmp_path / "a.json", *command[1:], "-q", "-o", tmp_path / "a.json"])
        assert done.returncode in (0, 1), done.stderr

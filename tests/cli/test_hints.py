"""Hints lead out: whoever does what each of them says ends with an audit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli._run import here

NAMES = ("cat", "dog", "emu")


def predictions(path: Path, wrong: int) -> str:
    """Recorded predictions by name, of which every ``wrong`` one is of the next class."""
    rows = (f"s{at},{NAMES[(at + (at % wrong == 0)) % 3]}" for at in range(60))
    path.write_text("\n".join(["id,prediction", *rows]))
    return str(path)


@pytest.mark.parametrize("number", ["{}", "{}.0"], ids=["0", "0.0"])
def test_names_predicted_of_labels_that_are_numbers(tmp_path: Path, number: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["id,label", *(f"s{at},{number.format(at % 3)}" for at in range(60))]))
    command = ["compare", predictions(tmp_path / "dense.csv", 7), predictions(tmp_path / "pruned.csv", 4)]
    command += ["--data", str(labels)]
    first = here(command)
    assert first.returncode == 2
    assert "--classes FILE" in first.stderr
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    command += ["--classes", str(tmp_path / "classes.txt")]
    second = here(command)
    assert second.returncode == 2
    told = re.search(r"--class-map FILE, a file that holds (\{.*?\})", " ".join(second.stderr.split()))
    assert told is not None
    (tmp_path / "map.json").write_text(told[1])
    third = here([*command, "--class-map", str(tmp_path / "map.json")])
    assert third.returncode == 0
    said = " ".join(third.stdout.split())
    # Wrong of 60 are those whose number 7 divides, 0 among them, or 4.
    assert "accuracy 85.00 % -> 75.00 %" in said
    assert "names of classes of all models: as --classes has them" in said


def test_a_class_map_first(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["id,label", *(f"s{at},{at % 3}" for at in range(60))]))
    (tmp_path / "map.json").write_text('{"0": "cat", "1": "dog", "2": "emu"}')
    command = ["compare", predictions(tmp_path / "dense.csv", 7), predictions(tmp_path / "pruned.csv", 4)]
    command += ["--data", str(labels), "--class-map", str(tmp_path / "map.json")]
    refused = here(command)
    assert refused.returncode == 2
    assert "--classes FILE says what the models call them" in " ".join(refused.stderr.split())
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    assert here([*command, "--classes", str(tmp_path / "classes.txt")]).returncode == 0

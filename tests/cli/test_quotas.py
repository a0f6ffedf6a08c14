"""prune-audit quotas: the list is training data again, and what would mislead is refused."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli._run import here

RIGHT = {"cat": 36, "dog": 20}  # of 40, by the pruned model


def table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def listed(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of 80 recorded predictions, and 60 samples to train on."""
    made = tmp_path_factory.mktemp("quotas")
    ids = [(f"v{at}", "cat" if at < 40 else "dog") for at in range(80)]
    table(made / "val.csv", [{"id": one, "label": label} for one, label in ids])
    for model, right in (("d", {"cat": 40, "dog": 40}), ("p", RIGHT)):
        said = [
            label if at % 40 < right[label] else "dog" if label == "cat" else "cat" for at, (_, label) in enumerate(ids)
        ]
        table(made / f"{model}.csv", [{"id": i, "prediction": s} for (i, _), s in zip(ids, said, strict=True)])
    done = here(
        ["compare", made / "d.csv", made / "p.csv", "--data", made / "val.csv", "-q", "-o", made / "audit.json"]
    )
    assert done.returncode in (0, 1), done.stderr
    rows = [{"id": f"t{at}", "label": "cat" if at < 30 else "dog", "text": f"line {at}"} for at in range(60)]
    table(made / "train.csv", rows)
    return made


def test_the_list_has_the_rows_as_they_were(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "keep.csv"
    done = here(["quotas", folder / "audit.json", "--train", folder / "train.csv", "--keep", "0.4", "-o", out])
    assert (done.returncode, done.stderr) == (0, "")
    found = listed(out)
    # Errors of .1 and .5 of equal classes: a sixth and five sixths of 24.
    assert [row["label"] for row in found] == ["cat"] * 4 + ["dog"] * 20
    known = {row["id"]: row for row in listed(folder / "train.csv")}
    assert all(known[row["id"]] == row for row in found)
    assert "dog         30       40      50.0" in done.stdout
    assert "24 of 60 training samples kept." in done.stdout
    assert "whether some of these samples were audited is not known" in " ".join(done.stdout.split())
    again = tmp_path / "again.csv"
    arguments: list[str | Path] = [
        "quotas",
        folder / "audit.json",
        "--train",
        folder / "train.csv",
        "--keep",
        "0.4",
        "-q",
        "-o",
        again,
    ]
    assert here(arguments).stdout == ""
    assert again.read_bytes() == out.read_bytes()
    assert here([*arguments, "--seed", "1"]).returncode == 0
    assert again.read_bytes() != out.read_bytes()
    assert here([*arguments, "--model", "dense"]).returncode == 0
    assert [row["label"] for row in listed(again)] == ["cat"] * 12 + ["dog"] * 12


def test_paths_lead_to_the_same_files_from_where_the_list_lies(folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    for label, number in (("cat", 3), ("dog", 4)):
        (images / label).mkdir(parents=True)
        for at in range(number):
            Image.fromarray(np.full((4, 4, 3), at, np.uint8)).save(images / label / f"{at}.png")
    (tmp_path / "lists").mkdir()
    out = tmp_path / "lists" / "keep.csv"
    done = here(["quotas", folder / "audit.json", "--train", images, "--keep", "0.7", "-q", "-o", out])
    assert (done.returncode, done.stderr) == (0, "")
    found = listed(out)
    assert [row["label"] for row in found] == ["cat"] + ["dog"] * 4
    assert {row["path"] for row in found} >= {"../images/dog/0.png"}
    assert all((out.parent / row["path"]).samefile(images / row["id"]) for row in found)
    # And the list is itself a table of paths.
    second = tmp_path / "second.csv"
    done = here(["quotas", folder / "audit.json", "--train", out, "--keep", "0.8", "-q", "-o", second])
    assert (done.returncode, done.stderr) == (0, "")
    assert len(listed(second)) == 4
    assert all((tmp_path / row["path"]).is_file() for row in listed(second))


def test_the_data_of_the_audit_itself_are_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "keep.csv"
    shutil.copy(folder / "val.csv", tmp_path / "copy.csv")
    for train in (folder / "val.csv", tmp_path / "copy.csv"):
        done = here(["quotas", folder / "audit.json", "--train", train, "--keep", "0.5", "-o", out])
        assert done.returncode == 2
        assert "the audit was made on" in done.stderr
    assert not out.exists()


def test_equal_images_are_known_by_their_content(sample_models: Path, tmp_path: Path) -> None:
    audit, copied = tmp_path / "a.json", tmp_path / "copied"
    models = [sample_models / name for name in ("dense.onnx", "pruned-90.onnx")]
    assert here(["compare", *models, "--data", sample_models / "val", "-q", "--exit-zero", "-o", audit]).returncode == 0
    shutil.copytree(sample_models / "val", copied)
    arguments: list[str | Path] = [
        "quotas",
        audit,
        "--train",
        copied,
        "--keep",
        "0.5",
        "-q",
        "-o",
        tmp_path / "keep.csv",
    ]
    done = here(arguments)
    assert done.returncode == 2
    assert "the audit was made on" in done.stderr
    first = next(copied.glob("*/*"))
    Image.fromarray(255 - np.asarray(Image.open(first))).save(first)
    done = here(arguments)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"--keep": "0"}, "--keep: expected a share above 0 and at most 1, found 0"),
        ({"--keep": "50"}, "--keep: expected a share above 0 and at most 1, found 50"),
        ({"--seed": "-1"}, "seed"),
        ({"-o": "{tmp}/keep.md"}, "a list of samples is written as CSV"),
        ({"-o": "{tmp}/gone/keep.csv"}, "there is no folder"),
        ({"-o": "{folder}/train.csv"}, "is read, and would be written over"),
        ({"--train": "{tmp}/gone.csv"}, "there is no such file or folder"),
        ({"--train": "{tmp}/other.csv"}, "bird only in"),
        ({"--train": "{tmp}/arrays.npz"}, "no list can be made of data in this form"),
        ({"--model": "x"}, "the audit has no model 'x'"),
        ({"--quota": "none"}, "--quota"),
        ({"--train": "{tmp}/sets.csv", "--label-separator": ";"}, "and quotas are of samples of one class each"),
    ],
)
def test_what_is_refused(folder: Path, tmp_path: Path, changed: dict[str, str], told: str) -> None:
    table(tmp_path / "other.csv", [{"id": n, "label": label} for n, label in enumerate(("cat", "bird"))])
    table(tmp_path / "sets.csv", [{"id": n, "label": label} for n, label in enumerate(("cat;dog", "dog"))])
    np.savez(tmp_path / "arrays.npz", x=np.zeros((4, 3), np.float32), y=np.array(["cat", "cat", "dog", "dog"]))
    plain = {"--train": "{folder}/train.csv", "--keep": "0.5", "-o": "{tmp}/keep.csv"}
    words = [word.format(folder=folder, tmp=tmp_path) for pair in (plain | changed).items() for word in pair]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = here(["quotas", folder / "audit.json", *words])
    assert done.returncode == 2, done.stdout
    assert told in done.stderr
    assert "hint" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not (tmp_path / "keep.csv").exists()


def test_absolute_paths_stay(folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "one.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(image)
    (tmp_path / "in").mkdir()
    rows = [{"path": os.fspath(image), "label": label} for label in ("cat", "dog")]
    train = table(tmp_path / "in" / "train.csv", rows)
    out = tmp_path / "keep.csv"
    done = here(["quotas", folder / "audit.json", "--train", train, "--keep", "1", "-q", "-o", out])
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["path"] for row in listed(out)] == [os.fspath(image)] * 2

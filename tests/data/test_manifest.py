"""CSV and Parquet manifests: columns, labels as text, groups, and rows that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from prune_audit import data
from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import manifest
from prune_audit.errors import DataError, UsageError
from tests.data.conftest import Draw

Write = Callable[[Path, Mapping[str, Sequence[str]]], Path]


def as_csv(folder: Path, table: Mapping[str, Sequence[str]]) -> Path:
    path = folder / "manifest.csv"
    lines = [",".join(table), *(",".join(row) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def as_parquet(folder: Path, table: Mapping[str, Sequence[str]]) -> Path:
    path = folder / "manifest.parquet"
    parquet.write_table(pa.table({name: [v or None for v in values] for name, values in table.items()}), path)
    return path


def load(
    path: Path, expects: Expects | None = None, path_column: str | None = None, label_column: str | None = None
) -> Dataset:
    source = DataSource(path=path, path_column=path_column, label_column=label_column)
    return data.load(source, expects or Expects(), Settings())


@pytest.fixture
def images(tmp_path: Path, draw: Draw) -> Path:
    for seed, name in enumerate(["a.png", "b.png", "deep/c.png"]):
        draw(tmp_path / name, seed=seed)
    return tmp_path


TABLE = {
    "path": ["deep/c.png", "a.png", "b.png", "a.png"],
    "label": ["010", "007", "010", "1e3"],
    "site": ["north", "", "NA", "1.50"],
}


@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_what_is_read(images: Path, write: Write) -> None:
    found = load(write(images, TABLE))
    assert found.ids == ("deep/c.png", "a.png", "b.png", "a.png")
    assert found.classes == ("007", "010", "1e3")
    assert found.labels.tolist() == [1, 0, 1, 2]
    assert {name: values.tolist() for name, values in found.groups.items()} == {
        "site": ["north", "(missing)", "NA", "1.50"]
    }
    assert (found.indexed, found.notes) == (False, ())
    batch = found.read([0, 1, 3])
    assert batch.bad == ()
    np.testing.assert_array_equal(batch.inputs["image"][1], batch.inputs["image"][2])
    assert batch.digests[1] == batch.digests[2] != batch.digests[0]


@pytest.mark.parametrize("suffix", ["png", "wav"])
def test_where_no_model_runs_no_file_need_be_there(tmp_path: Path, suffix: str) -> None:
    path = as_csv(tmp_path, {"image": [f"b.{suffix}", f"a.{suffix}"], "label": ["x", "y"], "site": ["n", "s"]})
    found = load(path, Expects(runs=False))
    assert (found.ids, found.labels.tolist()) == ((f"b.{suffix}", f"a.{suffix}"), [0, 1])
    assert found.groups["site"].tolist() == ["n", "s"]
    with pytest.raises(DataError, match=r"there is no file .*2 of 2"):
        load(path)


def test_paths_may_be_what_samples_belong_to(images: Path) -> None:
    source = DataSource(path=as_csv(images, TABLE))
    assert data.load(source, Expects(), Settings(cluster="path")).groups["path"].tolist() == TABLE["path"]


def test_typed_columns_of_parquet(images: Path) -> None:
    path = images / "typed.parquet"
    table = {"file": ["a.png", "b.png"], "target": [10, 9], "year": [2007, None], "good": [True, False]}
    parquet.write_table(pa.table(table), path)
    found = load(path)
    assert found.classes == ("9", "10")
    assert found.labels.tolist() == [1, 0]
    assert found.groups["year"].tolist() == ["2007", "(missing)"]
    assert found.groups["good"].tolist() == ["True", "False"]
    assert "sorted as numbers" in found.assumptions[0].value


@pytest.mark.parametrize(
    "text",
    [
        "path;label\na.png;x\nb.png;y\n",
        "path\tlabel\r\na.png\tx\r\nb.png\ty\r\n",
        "\ufeffpath,label\n\na.png,x\n\nb.png,y",
        'path , label\n"a.png","x"\n"b.png",y\n',
        "\npath|label\na.png|x\nb.png|y\n",
    ],
)
def test_forms_of_csv(images: Path, text: str) -> None:
    path = images / "list"  # told by content
    path.write_text(text, encoding="utf-8", newline="")
    found = load(path)
    assert found.ids == ("a.png", "b.png")
    assert found.classes == ("x", "y")


def test_a_quoted_cell_may_hold_anything(images: Path) -> None:
    path = images / "m.csv"
    path.write_text('path,label\na.png,"cat, striped\nor ""tabby"""\n')
    assert load(path).classes == ('cat, striped\nor "tabby"',)


def test_columns_by_name(images: Path) -> None:
    path = as_csv(images, {"label": ["a.png"], "path": ["cat"], "image": ["x"]})
    found = load(path, path_column="label", label_column="path")
    assert (found.ids, found.classes, list(found.groups)) == (("a.png",), ("cat",), ["image"])


def test_the_first_usual_column_counts(images: Path) -> None:
    found = load(as_csv(images, {"y": ["no"], "image": ["no"], "file": ["a.png"], "class": ["cat"]}))
    assert (found.ids, found.classes, sorted(found.groups)) == (("a.png",), ("cat",), ["image", "y"])


@pytest.mark.parametrize(
    ("table", "asked", "message"),
    [
        ({"path": ["a.png"], "text": ["x"]}, {}, "no label column: expected label or class .*found path, text"),
        (TABLE, {"path_column": "Path"}, "no path column: expected Path, found path, label, site"),
        (TABLE, {"label_column": "path"}, "'path' is both input and label"),
        ({"path": ["a.png", "none.png"], "label": ["x", "y"]}, {}, r"row 2: there is no file .*none\.png"),
        ({"path": ["a.png", "b.png"], "label": ["x", ""]}, {}, "row 2: label is empty"),
        ({"path": ["", "b.png"], "label": ["x", "y"]}, {}, "row 1: path is empty"),
        ({"path": [], "label": []}, {}, "has no rows"),
        ({"path": ["deep"], "label": ["x"]}, {}, "row 1: there is no file"),
        (
            {"path": ["a.png", "x.png", "y.png", "z.png"], "label": ["x"] * 4},
            {},
            r"(?m)row 2: there is no file .*x\.png \(3 of 4 files are missing\)$",
        ),
    ],
)
@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_what_is_wrong_is_named(
    images: Path, write: Write, table: Mapping[str, Sequence[str]], asked: dict[str, str], message: str
) -> None:
    path = write(images, table)
    with pytest.raises(DataError, match=message) as raised:
        load(path, path_column=asked.get("path_column"), label_column=asked.get("label_column"))
    assert str(path) in raised.value.message


def test_some_files_may_be_missing_where_some_samples_may_be_skipped(images: Path) -> None:
    (images / "noise").write_bytes(b"noise")
    path = as_csv(images, {"path": ["none.png", "a.png", "deep", "noise", "b.png"], "label": [*"xyxyx"]})
    found = data.load(DataSource(path=path), Expects(), Settings(skip_bad=3))
    batch = found.read(range(5))
    assert batch.rows.tolist() == [1, 4]
    assert [name for name, _ in batch.bad] == ["none.png", "deep", "noise"]
    assert "No such file" in batch.bad[0][1]
    with pytest.raises(DataError, match=r"row 4: .*noise is not an image"):
        data.load(DataSource(path=path), Expects(), Settings(skip_bad=2))
    with pytest.raises(DataError, match=r"row 1: there is no file .*none\.png \(2 of 5 files are missing\)") as caught:
        data.load(DataSource(path=path), Expects(), Settings(skip_bad=1))
    assert "--skip-bad" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png\n", "line 2: 1 cells, the header has 2"),
        ("path,label\na.png,x\nb.png,y,z\n", "line 3: 3 cells, the header has 2"),
        ('path,label\n"a.png"x,y\n', "no readable CSV"),
        ("path,label,path\na.png,x,b.png\n", "'path' is there more than once"),
    ],
)
def test_ragged_csv(images: Path, text: str, message: str) -> None:
    path = images / "m.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load(path)


def test_text_that_stops_being_text(images: Path) -> None:
    path = images / "m.csv"
    path.write_bytes(b"path,label\n" + b"a.png,x\n" * 10_000 + b"a.png,\xff\n")
    with pytest.raises(DataError, match="no readable CSV"):
        load(path)


def test_a_broken_parquet_file(images: Path) -> None:
    path = images / "m.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="no readable Parquet"):
        load(path)


def test_labels_are_names_and_not_positions(images: Path) -> None:
    path = as_csv(images, {"path": ["a.png", "b.png"], "label": ["1", "0"]})
    with pytest.raises(DataError, match=r"row 1 \(a\.png\): '1' is none of the 2 classes") as raised:
        load(path, Expects(classes=("cat", "dog")))
    assert "look like positions" in raised.value.hint


def test_recognition(images: Path) -> None:
    def found(name: str, content: bytes) -> bool:
        (images / name).write_bytes(content)
        return manifest.recognises(DataSource(path=images / name))

    assert found("a.txt", b"path,label\n")
    assert not found("b.csv", b"path,label\na.WAV,1\n")  # sound
    assert not found("c.csv", b'{"path": 1, "label": 2}')
    assert not found("d.csv", b"just text\nwith, commas, later\n")
    assert not found("e.csv", b"path,\0label\n")
    assert not found("f.csv", b"path,\xfflabel\n")
    assert not found("g.csv", b"")
    assert not manifest.recognises(DataSource(path=images))


def test_images_need_no_suffix(images: Path) -> None:
    (images / "a.png").rename(images / "0af3")
    assert load(as_csv(images, {"path": ["0af3"], "label": ["x"]})).read([0]).bad == ()


def test_ids_by_name(images: Path) -> None:
    path = as_csv(images, {"path": ["a.png", "b.png"], "id": ["7", "7"], "key": ["x", "y"], "label": ["u", "v"]})
    assert load(path).ids == ("a.png", "b.png")
    found = data.load(DataSource(path=path, id_column="key"), Expects(), Settings())
    assert (found.ids, sorted(found.groups)) == (("x", "y"), ["id"])
    with pytest.raises(DataError, match="the id '7' in column 'id' is there 2 times"):
        data.load(DataSource(path=path, id_column="id"), Expects(), Settings())


def test_what_images_do_not_have(images: Path) -> None:
    with pytest.raises(UsageError, match="these data are images, to which --sample-rate does not apply"):
        data.load(DataSource(path=as_csv(images, TABLE), path_column="path", sample_rate=8000), Expects(), Settings())


@pytest.mark.parametrize("name", ["9" * 5000 + ".png", "a\0b.png"])
def test_paths_that_can_be_none(images: Path, name: str) -> None:
    table = {**TABLE, "path": [*TABLE["path"][:3], name]}
    with pytest.raises(DataError, match="row 4: there is no file"):
        load(as_parquet(images, table))

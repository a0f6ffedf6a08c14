"""Tables of labels alone: ids, groups, what is refused, and a great many rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from prune_audit import data, plugins
from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.errors import AlignmentError, DataError, UsageError


def load(path: Path, text: str | None = None, expects: Expects | None = None, **asked: str) -> Dataset:
    if text is not None:
        path.write_text(text)
    source = DataSource(path=path, id_column=asked.get("id"), label_column=asked.get("label"))
    assert plugins.choose("data", source) == "labels"
    return data.load(source, expects or Expects(), Settings())


def test_what_is_read(tmp_path: Path) -> None:
    found = load(tmp_path / "l.csv", "id,label,site\n007,dog,north\n7,cat,\n08,dog,south\n")
    assert (found.ids, found.classes, found.labels.tolist()) == (("007", "7", "08"), ("cat", "dog"), [1, 0, 1])
    assert found.groups["site"].tolist() == ["north", "(missing)", "south"]
    assert (found.name, found.indexed, found.preprocess, found.notes) == ("l.csv", False, None, ())


def test_parquet_with_types(tmp_path: Path) -> None:
    path = tmp_path / "l.parquet"
    labels = pa.array(["b", "a", "b"]).dictionary_encode()
    parquet.write_table(pa.table({"sample_id": [3, 1, 2], "y": labels, "ok": [True, None, False]}), path)
    found = load(path)
    assert (found.ids, found.classes, found.labels.tolist()) == (("3", "1", "2"), ("a", "b"), [1, 0, 1])
    assert found.groups["ok"].tolist() == ["True", "(missing)", "False"]


def test_rows_are_ids_where_there_are_none(tmp_path: Path) -> None:
    assert load(tmp_path / "l.csv", "label,site\na,x\nb,y\n").ids == ("0", "1")
    alone = load(tmp_path / "l.csv", "label\na\n\nb\nb\n")
    assert (alone.ids, alone.labels.tolist()) == (("0", "1", "2"), [0, 1, 1])
    assert load(tmp_path / "l.csv", "species\na\nb\n", label="species").classes == ("a", "b")


def test_columns_by_name(tmp_path: Path) -> None:
    found = load(tmp_path / "l.csv", "id,key,kind,label\nx,1,u,p\nx,2,v,q\n", id="key", label="kind")
    assert (found.ids, found.classes, sorted(found.groups)) == (("1", "2"), ("u", "v"), ["id", "label"])


def test_nothing_to_feed(tmp_path: Path) -> None:
    found = load(tmp_path / "l.csv", "id,label\n1,a\n2,b\n")
    with pytest.raises(AlignmentError, match=r"l\.csv holds labels alone") as raised:
        found.read([0])
    assert "--features" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n1,a\n2,b\n1,b\n1,b\n", "the id '1' in column 'id' is there 3 times"),
        ("id,label\n1,a\n2,\n", "row 2: label is empty"),
        ("id,label\n", "the table has no rows"),
        ("foo,bar\nx,y\n", "no label column: expected label or class or target or y, found foo, bar"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path / "l.csv", text)


def test_a_label_that_is_no_class_names_its_first_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2 \(q\): 'cow' is none of the 2 classes"):
        load(tmp_path / "l.csv", "id,label\np,cat\nq,cow\nr,cow\n", Expects(classes=("cat", "dog")))


def test_what_labels_do_not_have(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("id,label\n1,a\n")
    with pytest.raises(UsageError, match="labels alone, to which --seconds does not apply"):
        data.load(DataSource(path=tmp_path / "l.csv", seconds=1.0), Expects(), Settings())


def test_a_broken_parquet_file(tmp_path: Path) -> None:
    (tmp_path / "l.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="no readable Parquet file"):
        load(tmp_path / "l.parquet")


def test_many_rows_take_little_memory(tmp_path: Path) -> None:
    """Half a million rows: below 250 bytes each, where Python's own rows of text take over 400."""
    rows, path = 500_000, tmp_path / "l.csv"
    drawn = np.random.default_rng(0).integers(0, 50, rows).tolist()
    path.write_text("id,label,site\n" + "".join(f"s{i:07d},class-{k},site-{k % 7}\n" for i, k in enumerate(drawn)))
    script = (
        "import resource, sys; from pathlib import Path; import numpy; import pyarrow.parquet\n"
        "from prune_audit import data; from prune_audit.core import *\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "found = data.load(DataSource(path=Path(sys.argv[1])), Expects(), Settings())\n"
        "print(peak() - before, len(found.ids), len(found.classes), found.ids[-1])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    grown, count, classes, last = done.stdout.split()
    assert (int(count), int(classes), last) == (rows, 50, "s0499999")
    assert int(grown) * (1 if sys.platform == "darwin" else 1024) < 250 * rows


def test_a_column_of_labels_that_are_records(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": ["a", "b"], "label": [{"x": 1}, {"x": 2}]}), tmp_path / "l.parquet")
    with pytest.raises(DataError, match=r"the column 'label' holds struct<.*>, expected a label in each cell"):
        data.load(DataSource(path=tmp_path / "l.parquet"), Expects(runs=False), Settings())

"""Several labels a sample, as lists, as one text or as columns, through a whole audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prune_audit import data, plugins
from prune_audit.cli import invoke
from prune_audit.core import DataSource, Expects, Settings, Things
from prune_audit.errors import AuditError, DataError, UsageError
from prune_audit.tasks.multi_label import Cells

LABELS = [["cat", "dog"], [], ["dog"], ["cat", "sky"]]


def loaded(path: Path, **more: Any) -> Things:
    found = data.load(DataSource(path=path, **more), Expects(), Settings())
    assert isinstance(found, Things)
    return found


def table(path: Path, **columns: Any) -> Path:
    frame = pd.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.fixture(params=["lists", "text", "columns"])
def things(request: pytest.FixtureRequest, tmp_path: Path) -> Things:
    ids, site = list("wxyz"), list("aabb")
    if request.param == "lists":
        return loaded(table(tmp_path / "t.parquet", id=ids, labels=LABELS, site=site))
    if request.param == "text":
        path = table(tmp_path / "t.csv", id=ids, label=["; ".join(each) for each in LABELS], site=site)
        return loaded(path, label_separator=";")
    each = {name: [int(name in labels) for labels in LABELS] for name in ("cat", "dog", "sky")}
    return loaded(table(tmp_path / "t.csv", id=ids, site=site, **each), label_columns=("*",))


def test_every_form_is_the_same_labels(things: Things) -> None:
    assert things.classes == ("cat", "dog", "sky")
    assert things.ids == ("w cat", "w dog", "y dog", "z cat", "z sky")
    assert things.labels.tolist() == [0, 1, 1, 0, 2]
    assert things.groups["site"].tolist() == list("aabbb")
    assert things.groups["sample"].tolist() == list("wwyzz")
    assert things.cluster == "sample"
    cells: Cells = things.detail
    assert cells.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]]


def test_an_empty_cell_and_minus_one_are_unknown(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", id=list("wxy"), cat=["1.0", "", "-1"], dog=["0", "1", "True"])
    cells: Cells = loaded(path, label_columns=("cat", "dog")).detail
    assert cells.labels.tolist() == [[1, 0], [-1, 1], [-1, 1]]


@pytest.mark.parametrize(
    ("columns", "more", "said"),
    [
        ({"id": ["a", "a"], "cat": [1, 0]}, {"label_columns": ("cat",)}, "is there 2 times"),
        ({"id": ["a", "b"], "cat": [1, 2]}, {"label_columns": ("cat",)}, "row 2: expected 1, 0"),
        ({"id": ["a", "b"], "cat": [1, 0]}, {"label_columns": ("dog",)}, "no column 'dog'"),
        ({"id": ["a", "b"], "cat": ["x", "y"]}, {"label_columns": ("*",)}, "no column holds 1 and 0 alone"),
        ({"id": ["a", "b"], "cat": [0, 0]}, {"label_columns": ("cat",)}, "no sample has any label"),
        ({"id": ["a", "b"], "label": ["x;x", "y"]}, {"label_separator": ";"}, "names a label twice"),
    ],
)
def test_what_is_no_label_is_told(tmp_path: Path, columns: dict[str, Any], more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        loaded(table(tmp_path / "t.csv", **columns), **more)


def test_lists_are_told_by_content_and_single_labels_stay_what_they_were(tmp_path: Path) -> None:
    lists = table(tmp_path / "a.parquet", id=[1, 2], labels=[["x"], ["y", "z"]])
    single = table(tmp_path / "b.parquet", id=[1, 2], label=["x", "y"])
    for path, name in ((lists, "label-sets"), (single, "labels")):
        source = DataSource(path=path)
        assert [each for each, module in plugins.loaded("data") if module.recognises(source)] == [name]


def test_a_task_that_was_named_leaves_other_formats_out(tmp_path: Path) -> None:
    single = table(tmp_path / "b.parquet", id=[1, 2], label=["x", "y"])
    with pytest.raises(DataError, match="in no form of labelled data"):
        data.load(DataSource(path=single), Expects(), Settings(task="multi-label"))


def scores(path: Path, values: Any, names: tuple[str, ...] = ("cat", "dog", "sky"), ids: str = "wxyz") -> Path:
    return table(
        path, id=list(ids), **{f"score_{name}": column for name, column in zip(names, np.array(values).T, strict=True)}
    )


GOOD = [[0.9, 0.8, 0.1], [0.2, 0.6, 0.1], [0.3, 0.9, 0.2], [0.7, 0.1, 0.8]]


def test_an_audit_of_several_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS)
    dense = scores(tmp_path / "dense.csv", GOOD)
    pruned = scores(
        tmp_path / "pruned.csv", [[0.9, 0.8, 0.1], [0.2, 0.1, 0.1], [0.3, 0.9, 0.2], [0.2, 0.1, 0.8]][::-1], ids="zyxw"
    )
    out = tmp_path / "audit.json"
    asked = ["--operating-point", "fixed", "--score", "0.5"]
    assert invoke(["compare", str(dense), str(pruned), "--data", str(labels), "-o", str(out), *asked]) == 0
    assert "5 labels, 3 classes" in capsys.readouterr().out
    view = json.loads(out.read_text("utf-8"))["comparisons"][0]["views"][0]
    assert (view["both"], view["lost"]) == ([1, 2, 1], [1, 0, 0])
    assert view["negatives"]["gained"] == [0, 1, 0]
    assert view["task"]["name"] == "multi-label"


@pytest.mark.parametrize("cells", [["1", "0", "1"], ["1", "0", ""], ["1", "1", "0"]])
def test_a_digest_tells_what_is_known_of_every_label(tmp_path: Path, cells: list[str]) -> None:
    """A baseline on the same labels but other negatives would take what was called falsely there for a change."""
    plain = loaded(table(tmp_path / "a.csv", id=list("xyz"), cat=["1", "0", "0"]), label_columns=("cat",))
    again = loaded(table(tmp_path / "b.csv", id=list("xyz"), cat=["1.0", "0", "0"]), label_columns=("cat",))
    other = loaded(table(tmp_path / "c.csv", id=list("xyz"), cat=cells), label_columns=("cat",))
    assert plain.beside == again.beside != other.beside
    assert (
        plain.beside != loaded(table(tmp_path / "d.csv", id=list("xyw"), cat=[1, 0, 0]), label_columns=("cat",)).beside
    )


def test_a_baseline_with_other_negatives_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids, known = list("wxyz"), {"cat": ["1", "0", "0", "1"], "dog": ["1", "0", "1", "0"]}
    dense = scores(tmp_path / "dense.csv", [row[:2] for row in GOOD], ("cat", "dog"))
    asked = ["--label-columns", "cat,dog", "--operating-point", "fixed", "--no-cache"]
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    for path, last in ((before, "0"), (after, "")):
        labels = table(tmp_path / "t.csv", id=ids, cat=known["cat"], dog=[*known["dog"][:3], last])
        command = ["compare", str(dense), str(dense), "--data", str(labels), "--score", "0.5", *asked]
        assert invoke([*command, "-q", "-o", str(path)]) == 0
    assert invoke(["check", str(before), "--baseline", str(before)]) == 0
    assert invoke(["check", str(after), "--baseline", str(before)]) == 2
    assert "differs in its data (ids, labels or contents)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pruned", "said"),
    [
        ({"values": GOOD, "names": ("cat", "dog", "cow")}, "does not fit"),
        ({"values": GOOD[:3], "ids": "wxy"}, "no prediction for"),
        ({"values": [[0.9, np.nan, 0.1], *GOOD[1:]]}, "NaN"),
    ],
)
def test_scores_that_do_not_fit_are_refused(
    tmp_path: Path, pruned: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS)
    dense = scores(tmp_path / "dense.csv", GOOD)
    other = scores(tmp_path / "pruned.csv", **pruned)
    assert invoke(["compare", str(dense), str(other), "--data", str(labels)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_one_class_a_sample_does_not_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS)
    single = table(tmp_path / "p.csv", id=list("wxyz"), predicted=["cat"] * 4)
    assert invoke(["compare", str(single), str(single), "--data", str(labels)]) == 2
    assert "expected scores of every class" in capsys.readouterr().err
    network = ["sample_models/dense.onnx", "sample_models/pruned-90.onnx"]
    assert invoke(["compare", *network, "--data", str(labels), "--no-cache"]) == 2
    assert "only recorded answers can be audited" in capsys.readouterr().err


def test_the_sample_is_audited(capsys: pytest.CaptureFixture[str]) -> None:
    folder = "sample_models/labels"
    models = [f"{folder}/dense.csv", f"{folder}/pruned.csv"]
    assert invoke(["compare", *models, "--data", f"{folder}/labels.csv", "--label-separator", ";", "--gate"]) == 1
    assert "4 classes" in capsys.readouterr().out


def test_options_that_labels_do_not_have_are_refused(tmp_path: Path) -> None:
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS)
    with pytest.raises(UsageError, match="--seconds does not apply"):
        loaded(labels, seconds=1.0)
    with pytest.raises(AuditError, match="to which --label-separator does not apply"):
        data.load(DataSource(path=Path("sample_models/val"), label_separator=";"), Expects(), Settings())


FOUND = [["cat", "dog"], ["dog"], ["dog"], ["sky", "cat"]]
"""What `GOOD` finds at one half, by name."""


@pytest.fixture(params=["lists", "json", "text", "ones"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], list[str]]:
    """A command of two models that recorded names, the second in another order without one label, in several forms."""
    less = [*FOUND[:3], ["cat"]][::-1]
    paths = []
    for name, ids, lists in (("dense", "wxyz", FOUND), ("pruned", "zyxw", less)):
        if request.param == "lists":
            path = table(tmp_path / f"{name}.parquet", id=list(ids), predicted=lists)
        elif request.param == "json":
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps({"id": list(ids), "predicted": lists}))
        elif request.param == "text":
            path = table(tmp_path / f"{name}.csv", id=list(ids), predicted=["; ".join(each) for each in lists])
        else:
            cells = [[int(label in each) for label in ("cat", "dog", "sky")] for each in lists]
            path = scores(tmp_path / f"{name}.csv", cells, ids=ids)
        paths.append(str(path))
    if request.param == "text":
        labels = table(tmp_path / "t.csv", id=list("wxyz"), labels=[";".join(each) for each in LABELS])
        return paths, ["--data", str(labels), "--label-separator", ";"]
    return paths, ["--data", str(table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS))]


def test_names_of_labels_are_compared_as_recorded(
    named: tuple[list[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "audit.json"
    (dense, pruned), asked = named
    assert invoke(["compare", dense, pruned, *asked, "-o", str(out)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "as recorded: 0.25 false positives a sample" in told
    assert "recorded without scores" in told
    view = json.loads(out.read_text("utf-8"))["comparisons"][0]["views"][0]
    assert (view["both"], view["lost"], view["gained"]) == ([2, 2, 0], [0, 0, 1], [0, 0, 0])
    assert view["negatives"]["neither"] == [0, 1, 0]
    for option in (["--score", "0.3"], ["--operating-point", "precision"]):
        assert invoke(["compare", dense, pruned, *asked, *option]) == 2
        assert "and no scores" in capsys.readouterr().err


@pytest.mark.parametrize("as_scores", [False, True])
def test_whole_numbers_in_a_column_of_predictions_name_labels_unless_they_are_said_to_be_scores(
    as_scores: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of three labels a sample, so that lists are as long as one another, and no scores of three classes."""
    sets = [[0, 1], [0, 2], [1, 2], [2, 0]]
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=sets)
    dense = table(tmp_path / "dense.parquet", id=list("wxyz"), predicted=sets)
    pruned = table(tmp_path / "pruned.parquet", id=list("wxyz"), predicted=[*sets[:3], [0, 1]])
    out = tmp_path / "audit.json"
    asked = ["compare", str(dense), str(pruned), "--data", str(labels), "-o", str(out)]
    assert invoke([*asked, "--scores", "probabilities"] if as_scores else asked) == (2 if as_scores else 0)
    told = capsys.readouterr()
    if as_scores:
        assert "2 scores a sample, the data have 3 labels" in told.err
        return
    assert "(lists of whole numbers in a column of predictions; --scores" in " ".join(told.out.split())
    view = json.loads(out.read_text("utf-8"))["comparisons"][0]["views"][0]
    assert (view["both"], view["lost"]) == ([3, 2, 2], [0, 0, 1])


def test_lists_of_whole_numbers_as_polars_writes_them_name_labels_too(tmp_path: Path) -> None:
    sets = [[0, 1], [0, 2], [1, 2], [2, 0]]
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=sets)
    dense, pruned = (tmp_path / f"{name}.parquet" for name in ("dense", "pruned"))
    for path, found in ((dense, sets), (pruned, [*sets[:3], [0, 1]])):
        large = pa.array(found, pa.large_list(pa.int64()))
        pq.write_table(pa.table({"id": list("wxyz"), "predicted": large}), path)
    out = tmp_path / "audit.json"
    assert invoke(["compare", str(dense), str(pruned), "--data", str(labels), "-o", str(out)]) == 0
    view = json.loads(out.read_text("utf-8"))["comparisons"][0]["views"][0]
    assert (view["both"], view["lost"]) == ([3, 2, 2], [0, 0, 1])


def test_numbers_for_labels_that_have_names_are_positions_in_the_order_that_is_told_and_ones_and_zeros_marks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS)
    path = table(tmp_path / "p.parquet", id=list("wxyz"), predicted=[[0, 1], [1], [1], [2, 0]])
    names = table(tmp_path / "n.parquet", id=list("wxyz"), predicted=FOUND)
    out = tmp_path / "audit.json"
    assert invoke(["compare", str(names), str(path), "--data", str(labels), "-o", str(out)]) == 0
    assert "class order: sorted by name: cat, dog, sky" in " ".join(capsys.readouterr().out.split())
    view = json.loads(out.read_text("utf-8"))["comparisons"][0]["views"][0]
    assert (view["lost"], view["gained"]) == ([0, 0, 0], [0, 0, 0])
    beyond = table(tmp_path / "b.parquet", id=list("wxyz"), predicted=[[0, 3], [1], [1], [2, 0]])
    assert invoke(["compare", str(names), str(beyond), "--data", str(labels)]) == 2
    assert "'3', found in sample 'w', is none of the 3 labels" in " ".join(capsys.readouterr().err.split())
    marks = table(tmp_path / "m.parquet", id=list("wxyz"), predicted=[[1, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 1]])
    assert invoke(["compare", str(marks), str(marks), "--data", str(labels)]) == 0
    assert "(all are 1 or 0; --scores" in " ".join(capsys.readouterr().out.split())


def test_a_model_with_scores_beside_one_without_is_asked_at_the_score_that_was_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS)
    dense = scores(tmp_path / "dense.csv", GOOD)
    pruned = table(tmp_path / "pruned.parquet", id=list("wxyz"), predicted=FOUND)
    out = tmp_path / "audit.json"
    assert invoke(["compare", str(dense), str(pruned), "--data", str(labels), "--score", "0.65", "-o", str(out)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "0.65: 0 false positives a sample" in told
    assert "not matched, because another model has no scores" in told
    view = json.loads(out.read_text("utf-8"))["comparisons"][0]["views"][0]
    assert view["negatives"]["lost"] == [0, 1, 0]  # what the pruned model calls falsely and the dense one does not


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        ([["cow"], *FOUND[1:]], "'cow', found in sample 'w', is none of the 3 labels"),
        ([None, *FOUND[1:]], "sample 'w' has no list of labels"),
        ([[], [], [], []], "finds 0.0% of the labels"),
    ],
)
def test_names_that_are_no_labels_are_refused(
    tmp_path: Path, predicted: list[Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = table(tmp_path / "t.parquet", id=list("wxyz"), labels=LABELS)
    path = table(tmp_path / "p.parquet", id=list("wxyz"), predicted=predicted)
    assert invoke(["compare", str(path), str(path), "--data", str(labels)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_several_labels_are_no_answers_to_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = table(tmp_path / "t.csv", id=list("wxyz"), label=["cat", "dog", "dog", "sky"])
    path = table(tmp_path / "p.parquet", id=list("wxyz"), predicted=FOUND)
    assert invoke(["compare", str(path), str(path), "--data", str(labels)]) == 2
    assert "several labels a sample, and the data have one" in " ".join(capsys.readouterr().err.split())

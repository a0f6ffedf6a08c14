"""Results on disk: files and tables say the same, shards join, and what is no result is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from prune_audit.errors import OutputError, StudyError
from prune_audit.study import results


def written(
    folder: Path,
    seeds: Sequence[int] = (0, 1),
    *,
    study: str = "S",
    alpha: float = 1.25,
    plan: str = "",
    data: str = "d",
) -> Path:
    """Results of two methods; the run of the second at seed 1 failed."""
    results.begin(folder, study)
    for seed in seeds:
        for n, method in enumerate(("b", "a")):
            failed = 'the loss is nan, "really"' if (seed, method) == (1, "a") else None
            record = {
                "key": f"{seed}{method}", "plan": f"p{method}{plan}" + 20 * "0", "data": data * 20,
                "network": "net", "seed": seed, "method": method,
                "density": 0.1, "at": [0, seed, n], "failed": failed,
            }  # fmt: skip
            if failed is None:
                recall = 1 / 3 + seed
                record |= {"achieved": 0.1, "run": {"variant": "x", "accuracy": recall, "intensification": alpha,
                           "nonzero": 7, "worst_class": "NA"},
                           "classes": [{"stratum": name, "support": 3, "dense_recall": recall, "verdict": "fine"}
                                       for name in ("NA", "7", "x,\ny")]}  # fmt: skip
            results.put(folder, results.place(folder, "net", seed, method, 0.1), record)
    return folder


def tabled(source: Path, folder: Path) -> Path:
    """The tables of ``source`` as files in ``folder``."""
    folder.mkdir(exist_ok=True)
    for name, content in results.tables(*results.read([source])[1:]).items():
        (folder / name).write_bytes(content)
    return folder


def test_tables_say_what_the_files_say(tmp_path: Path) -> None:
    title, runs, classes, _ = results.read([written(tmp_path / "files")])
    assert title == "S"
    assert runs["method"].tolist() == ["b", "a", "b", "a"]
    assert runs["failed"].tolist() == [None, None, None, 'the loss is nan, "really"']
    assert classes["class"].tolist() == ["NA", "7", "x,\ny"] * 3
    assert runs["accuracy"].iloc[2] == 1 / 3 + 1
    folder = tabled(tmp_path / "files", tmp_path / "tables")
    for name, frame in (("runs", runs), ("classes", classes)):
        csv = dict(zip(("runs", "classes"), results.read([folder])[1:3], strict=True))[name]
        pd.testing.assert_frame_equal(csv, frame, check_dtype=False)
        parquet = pd.read_parquet(folder / f"{name}.parquet")
        assert [*parquet.columns] == [*frame.columns]
        assert parquet["seed"].tolist() == frame["seed"].tolist()
    header, first, *_ = (folder / "runs.csv").read_text().splitlines()
    assert header.split(",") == [
        *("study", "network", "seed", "method", "density", "plan", "data", "failed", "achieved"),
        *("accuracy", "intensification", "nonzero", "worst_class"),
    ]
    assert first == f"S,net,0,b,0.1,pb0000000000,dddddddddddd,,0.1,{1 / 3!r},1.25,7,NA"


@pytest.mark.parametrize("whole", [False, True])
def test_shards_join_whole_or_one_table_behind_the_other(whole: bool, tmp_path: Path) -> None:
    first, second = written(tmp_path / "1", [0]), written(tmp_path / "2", [1])
    expected = results.read([written(tmp_path / "all")])
    if whole:
        found = results.read([first, second, first])
    else:
        joined = tmp_path / "joined"
        joined.mkdir()
        for name in ("runs.csv", "classes.csv"):
            parts = [(tabled(each, each / "t") / name).read_text() for each in (first, second)]
            (joined / name).write_text("".join(parts))
        found = results.read([joined])
    for one, other in zip(found[1:], expected[1:], strict=True):
        pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_two_results_of_one_run_or_two_studies_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path / "1")
    with pytest.raises(
        StudyError, match=r"two different results of one run: network net, seed 0, method b, density 0\.1"
    ):
        results.read([first, written(tmp_path / "2", alpha=3.0)])
    with pytest.raises(StudyError, match="expected results of one study, found 'S', 'T'"):
        results.read([first, written(tmp_path / "3", study="T")])


def test_runs_of_two_plans_or_of_other_data_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path / "1", [0])
    with pytest.raises(
        StudyError,
        match=r"found a different plan: network net, seed 0, method b, .*; and network net, seed 2, method b",
    ):
        results.read([first, written(tmp_path / "2", [2], plan="x")])
    with pytest.raises(StudyError, match="found a different data: network net, seed 0"):
        results.read([first, written(tmp_path / "3", [2], data="e")])
    of = {("net", method): f"p{method}" + 20 * "0" for method in "ab"}
    results.check(first, {20 * "d", "other"}, of)
    results.check(first, {20 * "d"}, {("net", "c"): "x"})
    for digests, plans in (({"other"}, of), ({20 * "d"}, of | {("net", "a"): "x"})):
        with pytest.raises(StudyError, match="made by another plan") as caught:
            results.check(first, digests, plans)
        assert "-o" in caught.value.hint


def test_digests_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    folder = tabled(written(tmp_path / "files", [0], data="1"), tmp_path / "tables")
    assert set(results.read([folder])[1]["data"]) == {"111111111111"}


def test_a_table_that_was_torn_is_not_read_as_whole(tmp_path: Path) -> None:
    folder = tabled(written(tmp_path / "files"), tmp_path / "tables")
    for name in ("runs.csv", "classes.csv"):
        whole = (folder / name).read_bytes()
        for cut, said in (
            (-1, "ends in the middle of a line"),
            (-20, r"line \d+ has \d+ fields|in the middle|unexpected end"),
        ):
            (folder / name).write_bytes(whole[:cut])
            with pytest.raises(StudyError, match=said) as caught:
                results.read([folder])
            assert name in caught.value.message
        (folder / name).write_bytes(whole)
    lines = (folder / "runs.csv").read_text().splitlines(keepends=True)
    (folder / "runs.csv").write_text("".join(lines[:-2]))
    with pytest.raises(
        StudyError, match=r"not of the same runs: one lacks network net, seed 1, method b, density 0\.1"
    ):
        results.read([folder])
    (folder / "runs.csv").write_text(lines[0])
    with pytest.raises(StudyError, match="holds no runs"):
        results.read([folder])


def test_a_shard_whose_runs_all_failed_lacks_columns_and_joins_all_the_same(tmp_path: Path) -> None:
    whole, failed = tabled(written(tmp_path / "1", [0]), tmp_path / "a"), tmp_path / "b"
    failed.mkdir()
    (failed / "runs.csv").write_text(
        "study,network,seed,method,density,plan,data,failed,achieved\nS,net,1,a,0.1,pa0000000000,dddddddddddd,no,\n"
    )
    for order in ((whole, failed), (failed, whole)):
        joined = tmp_path / order[0].name / "joined"
        joined.mkdir()
        (joined / "runs.csv").write_text("".join((folder / "runs.csv").read_text() for folder in order))
        (joined / "classes.csv").write_bytes((whole / "classes.csv").read_bytes())
        _, runs, _, _ = results.read([joined])
        assert len(runs) == 3
        assert runs["accuracy"].isna().sum() == 1
        assert runs["failed"].notna().sum() == 1


def test_what_lies_outside_a_plan_is_left_out(tmp_path: Path) -> None:
    _, runs, classes, _ = results.read([written(tmp_path / "1")])
    cells = {("net", 0, "a", 0.1), ("net", 7, "a", 0.1)}
    assert results.within(runs, cells)["method"].tolist() == ["a"]
    assert len(results.within(classes, cells)) == 3


def test_what_is_no_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no results of a study"):
        results.read([tmp_path])
    with pytest.raises(StudyError, match="holds no results of a study"):
        results.read([tmp_path / "gone"])
    (tmp_path / "first-study").mkdir()
    with pytest.raises(StudyError) as caught:
        results.read([tmp_path / "frist-study"])
    assert caught.value.hint.startswith(f"did you mean {tmp_path / 'first-study'}? ")
    folder = tabled(written(tmp_path / "files"), tmp_path / "tables")
    columns = [*results.FACTORS, "class", *results.BY_CLASS[1:]]
    (folder / "classes.csv").write_text(",".join(columns) + "\n")
    with pytest.raises(StudyError, match=r"classes\.csv has no column 'support'"):
        results.read([folder])
    for content in (b"", b"\xff\xfe\x00", b'a,b\n"torn'):
        (folder / "classes.csv").write_bytes(content)
        with pytest.raises(StudyError, match=r"classes\.csv"):
            results.read([folder])
    torn = results.place(tmp_path / "files", "net", 0, "b", 0.1)
    for text in ("{", "[]", '{"key": "k", "plan": "p"}'):
        torn.write_text(text)
        with pytest.raises(StudyError, match=r"b-0\.1\.json is no run of a study"):
            results.read([tmp_path / "files"])
    for text in ("{", "[]"):
        torn.write_text(text)
        with pytest.raises(StudyError, match=r"b-0\.1\.json is no run of a study"):
            results.is_done(torn, "0b")


def test_a_file_is_of_one_key(tmp_path: Path) -> None:
    path = results.place(tmp_path, "net", 3, "m", 0.25)
    assert path == tmp_path / "runs" / "net" / "3" / "m-0.25.json"
    assert not results.is_done(path, "k")
    results.put(tmp_path, path, {"key": "k"})
    assert results.is_done(path, "k")
    assert json.loads(path.read_text()) == {"key": "k"}
    with pytest.raises(StudyError, match="made by another plan"):
        results.is_done(path, "l")
    with pytest.raises(OutputError, match="cannot be made"):
        results.put(tmp_path, path / "below" / "x.json", {})


@pytest.mark.parametrize(
    ("name", "column", "cell", "told"),
    [
        ("runs.csv", "density", "half", "density is 'half', expected a number"),
        ("runs.csv", "seed", "0.5", "seed is '0.5', expected a whole number"),
        ("runs.csv", "seed", "", "a row has no seed"),
        ("runs.csv", "network", "", "a row has no network"),
        ("runs.csv", "accuracy", "inf", "accuracy is 'inf', expected a number"),
        ("runs.csv", "nonzero", "1e300", "nonzero is '1e300', expected a whole number"),
        ("classes.csv", "support", "many", "support is 'many', expected a whole number"),
        ("classes.csv", "dense_balance", "fine", "dense_balance is 'fine', expected a number"),
        ("classes.csv", "class", "", "a row has no class"),
    ],
)
def test_cells_of_another_type(tmp_path: Path, name: str, column: str, cell: str, told: str) -> None:
    folder = tabled(written(tmp_path / "files"), tmp_path / "tables")
    rows = list(csv.reader((folder / name).read_text().splitlines()))
    rows[2][rows[0].index(column)] = cell
    with (folder / name).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    with pytest.raises(StudyError, match=told) as caught:
        results.read([folder])
    assert name in caught.value.message


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    folder = tabled(written(tmp_path / "files"), tmp_path / "tables")
    text = (folder / "runs.csv").read_text()
    (folder / "runs.csv").write_text(text.replace("nonzero", "accuracy", 1))
    with pytest.raises(StudyError, match="two columns have one name"):
        results.read([folder])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"network": None}, "network is no text"),
        ({"seed": "1"}, "seed and density are no numbers"),
        ({"density": True}, "seed and density are no numbers"),
        ({"at": 3}, "at holds no places"),
        ({"failed": 7}, "failed is neither a reason nor nothing"),
        ({"achieved": "all"}, "achieved is no number"),
        ({"run": []}, "run or classes are not what was measured"),
        ({"run": {"nonzero": "many"}}, "hold values that were not measured"),
        ({"run": {"churn": [1]}}, "hold values that were not measured"),
        ({"classes": [{"support": 3}]}, "a class has no name"),
        ({"key": 1}, "is no run of a study"),
    ],
)
def test_files_of_runs_that_are_none(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    folder = written(tmp_path / "files")
    path = sorted((folder / "runs").rglob("*.json"))[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StudyError, match=told):
        results.read([folder])

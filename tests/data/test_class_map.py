"""Class maps in both forms, what they make of the outputs, in every format, and those that make no sense."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from prune_audit import data
from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _class_map, _classes
from prune_audit.errors import DataError
from tests.data.conftest import Draw

OUTPUTS = ("n01", "n02", "n03")


def written(folder: Path, text: str) -> Path:
    path = folder / "map"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat,n02\ndog,n01\n", ("dog", "cat", "n03")),
        ("data,model\r\ncat , n02\r\n\r\ndog,n01", ("dog", "cat", "n03")),
        ('\ufeff"cat, big",2\n', ("n01", "n02", "cat, big")),
        ('{"cat": "n02", "dog": 0}', ("dog", "cat", "n03")),
        ('{"n01": "n02", "n02": "n01"}', ("n02", "n01", "n03")),  # as the alignment check writes it
        ('{"n02": "n02"}', OUTPUTS),
    ],
)
def test_what_outputs_are_called(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    path = written(tmp_path, text)
    assert _class_map.renamed(path, _class_map.read(path), OUTPUTS) == expected


def test_a_name_goes_before_a_position(tmp_path: Path) -> None:
    path = written(tmp_path, json.dumps({"a": "2", "b": 2}))
    assert _class_map.renamed(path, _class_map.read(path), ("2", "1", "0")) == ("a", "1", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat,n04\n", "'cat' is to be 'n04', which is no class of the models"),
        ("cat,3\n", "'cat' is to be '3', which is no class"),
        ('{"cat": -1}', "'cat' is to be -1, which is no class"),
        ("cat,n01\ndog,n01\n", "both 'cat' and 'dog' are to be 'n01'"),
        ("cat,n01\ndog,0\n", "both 'cat' and 'dog' are to be 'n01'"),
        ("n01,n02\n", "two classes would then be called 'n01'"),
        ("cat,n01\ncat,n02\n", "'cat' of the data is there more than once"),
        ('{"cat": 1, "cat": 2}', "'cat' of the data is there more than once"),
        ("", "is empty"),
        ("{}", "is empty"),
        ("cat\n", "expected two columns, found 'cat'"),
        ("cat,\n", "expected two columns"),
        ('{"cat": [1]}', "neither a name nor a position"),
        ('{"cat": true}', "neither a name nor a position"),
        ('{"cat": {"dog": 1}}', "neither a name nor a position"),
        ('["cat"]', "expected a JSON object, found a list"),
        ('{"cat": ', "no JSON"),
    ],
)
def test_a_map_that_makes_no_sense(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=message) as raised:
        _class_map.renamed(path, _class_map.read(path), OUTPUTS)
    assert str(path) in raised.value.message


def test_outputs_without_names(tmp_path: Path) -> None:
    def decided(text: str, outputs: int | None, *names: str) -> tuple[str, ...]:
        source = DataSource(path=tmp_path, class_map=written(tmp_path, text))
        return _classes.decided(source, Expects(outputs=outputs), names).classes

    assert decided("bird,1\ncat,0\n", None, "bird", "cat") == ("cat", "bird")
    assert decided("bird,cat\ncat,bird\n", 2, "bird", "cat") == ("cat", "bird")
    assert decided("bird,cat\ncat,bird\n", 1, "bird", "cat") == ("cat", "bird")  # one column tells two classes apart
    assert decided("0,3\n1,0\n", 4, "0", "1") == ("1", "output 1", "2", "0")
    assert decided("bird,3\ncat,0\n", 5, "bird", "cat") == ("cat", "1", "2", "bird", "4")


def test_the_report_hears_of_it(tmp_path: Path) -> None:
    source = DataSource(path=tmp_path, class_map=written(tmp_path, "cat,n02\ndog,n01\n"))
    assert _classes.decided(source, Expects(classes=OUTPUTS), ["cat"]).notes == (
        "classes of the models go by the data's names (dog is n01, cat is n02)",
    )


def test_folders_and_tables(tmp_path: Path, draw: Draw) -> None:
    for name in ("cat", "dog", "n03"):
        draw(tmp_path / "val" / name / "a.png")
    (tmp_path / "val" / "list.csv").write_text("path,label\ncat/a.png,cat\ndog/a.png,dog\nn03/a.png,n03\n")
    path = written(tmp_path, "cat,n02\ndog,n01\n")
    for source in (tmp_path / "val", tmp_path / "val/list.csv"):
        found = data.load(DataSource(path=source, class_map=path), Expects(classes=OUTPUTS), Settings())
        assert (found.classes, found.labels.tolist()) == (("dog", "cat", "n03"), [1, 0, 2])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("eigth,n03\ncat,n01\n", "eigth"),  # the data still have n03
        ("cta,n01\nbird,n02\n", "cta"),  # nearly cat
        ("cat,n01\nbird,n02\n", None),  # a map may be of more classes than these data have
    ],
)
def test_a_misspelt_class_of_the_data_is_named_and_the_data_are_not_blamed(
    tmp_path: Path, draw: Draw, text: str, key: str | None
) -> None:
    for name in ("cat", "n03"):
        draw(tmp_path / "val" / name / "a.png")
    (tmp_path / "val" / "list.csv").write_text("path,label\ncat/a.png,cat\nn03/a.png,n03\n")
    path = written(tmp_path, text)
    for at in (tmp_path / "val", tmp_path / "val/list.csv"):
        source = DataSource(path=at, class_map=path)
        if key is None:
            assert data.load(source, Expects(classes=OUTPUTS), Settings()).classes == ("cat", "bird", "n03")
            continue
        with pytest.raises(DataError, match=f"{path}: {key!r} is no class of the data; .* is none of the 3") as raised:
            data.load(source, Expects(classes=OUTPUTS), Settings())
        assert f"should {key!r} be " in raised.value.hint


def arrays(folder: Path, text: str, y: object, expects: Expects | None = None, **more: object) -> Dataset:
    np.savez(folder / "d.npz", x=np.zeros((3, 2), np.float32), y=np.asarray(y), **more)  # type: ignore[arg-type]  # arrays
    source = DataSource(path=folder / "d.npz", class_map=written(folder, text))
    return data.load(source, expects or Expects(), Settings())


def test_integer_labels(tmp_path: Path) -> None:
    swap = '{"0": 1, "1": 0}'
    found = arrays(tmp_path, swap, [0, 1, 2])
    assert (found.classes, found.labels.tolist(), found.indexed) == (("1", "0", "2"), [1, 0, 2], True)
    found = arrays(tmp_path, '{"0": 5}', [0, 0, 0])
    assert (found.classes, found.labels.tolist()) == (("output 0", "1", "2", "3", "4", "0"), [5, 5, 5])
    named = Expects(classes=("cat", "dog", "cow"))
    found = arrays(tmp_path, '{"0": "dog", "1": "cat"}', [0, 1, 2], named)
    assert (found.classes, found.labels.tolist(), found.indexed) == (("1", "0", "cow"), [1, 0, 2], False)
    found = arrays(tmp_path, '{"cat": "dog", "dog": "cat"}', [0, 1, 2], named)
    assert (found.classes, found.labels.tolist()) == (("dog", "cat", "cow"), [1, 0, 2])
    found = arrays(tmp_path, '{"miau": "cat"}', [0, 1, 1], named, classes=["miau", "dog"])
    assert (found.classes, found.labels.tolist()) == (("miau", "dog", "cow"), [0, 1, 1])
    found = arrays(tmp_path, '{"miau": "dog", "wau": "cat"}', ["miau", "wau", "wau"], None, classes=["cat", "dog"])
    assert (found.classes, found.labels.tolist(), found.indexed) == (("wau", "miau"), [1, 0, 0], False)

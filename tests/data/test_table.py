"""Tables of numbers: which columns feed which input, in which order, and what is missing or is no feature."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from prune_audit import data, plugins
from prune_audit.core import Dataset, DataSource, Expects, Input, Settings
from prune_audit.errors import AlignmentError, DataError, UsageError

PETALS = "id,width,height,kind,label,year\n07,1.5,2,a,x,2007\n08,-2e1,NA,b,y,2008\n09, .5,+7,a,x,2009\n"


def csv(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path


def table(folder: Path, columns: dict[str, Any]) -> Path:
    path = folder / "t.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=2)
    return path


TABLES = {
    "path,label\na.png,x\n": "manifest",
    "file;y;text\n1;x;good\n": "manifest",
    "path,label\na.flac,x\n": "sounds",
    "path,label\n,x\nB.WAV,x\n": "sounds",
    "path,label\n": "manifest",
    "text,label\ngood,1\n": "text",
    "label\tsentence\tstars\n1\tgood\t3\n": "text",
    "review,label\n5,1\n4,0\n": "table",  # stars
    "id,width,label\n1,2.5,x\n": "table",
    "id,width,label\n1,NA,x\n2,3,y\n": "table",
    "id,label\n1,2\n": "labels",
    "id,label,site\n1,2,north\n": "labels",
    "label\ncat\n": "labels",
    "foo,bar\nx,y\n": "labels",
    '{"path": 1, "label": 2}': None,
    "just a text\nwith, commas, later\n": None,
}


def plugin(path: Path, **asked: Any) -> str | None:
    source = DataSource(path=path, **asked)
    claimed = [name for name, module in plugins.loaded("data") if module.recognises(source)]
    assert len(claimed) < 2
    return claimed[0] if claimed else None


@pytest.mark.parametrize("text", TABLES)
def test_a_table_is_claimed_once(tmp_path: Path, text: str) -> None:
    assert plugin(csv(tmp_path, text)) == TABLES[text]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "manifest"),
        ({"path_column": "clip"}, "sounds"),
        ({"text_column": "path"}, "text"),
        ({"tokenizer": Path("t.json")}, "text"),
        ({"features": ("width",)}, "table"),
        ({"features": ("width",), "path_column": "path"}, "manifest"),
    ],
)
def test_what_was_asked_for_decides(tmp_path: Path, asked: dict[str, Any], expected: str) -> None:
    text = "path,clip,text,width,label\na.png,a.wav,good,1,x\n"
    assert plugin(csv(tmp_path, text), **asked) == expected


def test_a_column_of_parquet_is_what_its_type_says(tmp_path: Path) -> None:
    assert plugin(table(tmp_path, {"a": ["1", "2"], "label": ["x", "y"]})) == "labels"
    assert plugin(table(tmp_path, {"a": [[1], [2]], "label": ["x", "y"]})) == "table"
    assert plugin(table(tmp_path, {"file": pa.array(["a.ogg"]).dictionary_encode(), "label": ["x"]})) == "sounds"
    assert plugin(table(tmp_path, {"image": [{"bytes": b"", "path": "a"}], "label": [0]})) not in ("manifest", "table")


def test_a_head_that_is_cut_off(tmp_path: Path) -> None:
    wide = ",".join(["x" * 50] * 10)
    assert plugin(csv(tmp_path, "path,label,a,b,c,d,e,f,g,h\n" + f"{wide}\n" * 500)) == "manifest"
    quoted = "n,label\n" + '1,"a\nb"\n' * 20_000
    assert plugin(csv(tmp_path, quoted)) == "table"


def load(path: Path, *inputs: Input, **asked: Any) -> Dataset:
    source = DataSource(path=path, **asked)
    assert plugins.choose("data", source) == "table"
    return data.load(source, Expects(inputs=inputs), Settings())


def one(dtype: str | None, *shape: int | None) -> Input:
    return Input(name="input", dtype=dtype, shape=shape)


def test_columns_are_stacked_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = load(csv(tmp_path, PETALS), one("float32", None, 3))
    assert (found.ids, found.classes, found.labels.tolist()) == (("07", "08", "09"), ("x", "y"), [0, 1, 0])
    [told] = [each for each in found.assumptions if each.what == "features"]
    assert (told.what, told.value) == ("features", "width, height, year")
    assert told.why == "all columns of numbers, in the order of the file"
    batch = found.read([2, 1, 0])
    [values] = batch.inputs.values()
    np.testing.assert_array_equal(values, np.array([[0.5, 7, 2009], [1.5, 2, 2007]], np.float32))
    assert values.dtype == np.float32
    assert batch.bad == (("08", "column 'height' holds 'NA', which is no number"),)
    assert (batch.rows.tolist(), batch.labels.tolist()) == ([2, 0], [0, 0])
    assert found.groups["kind"].tolist() == ["a", "b", "a"]


def test_what_no_model_takes_is_not_spoken_of(tmp_path: Path) -> None:
    source = DataSource(path=csv(tmp_path, PETALS))
    found = data.load(source, Expects(runs=False), Settings())
    assert (found.notes, [each.what for each in found.assumptions]) == ((), ["class order"])
    with pytest.raises(AlignmentError, match="labels alone"):
        found.read([0])


def test_the_order_that_was_asked_for(tmp_path: Path) -> None:
    found = load(csv(tmp_path, PETALS), one("float32", None, 2), features=("height", "width"))
    np.testing.assert_array_equal(next(iter(found.read([0]).inputs.values())), [[2, 1.5]])
    [told] = [each for each in found.assumptions if each.what == "features"]
    assert (told.value, told.why) == ("height, width", "as --features names them")
    assert found.groups["year"].tolist() == ["2007", "2008", "2009"]


@pytest.mark.parametrize("asked", [Settings(cluster="year"), Settings(by=("kind", "kind,year"))])
def test_what_samples_are_grouped_by_is_no_feature(tmp_path: Path, asked: Settings) -> None:
    source = DataSource(path=csv(tmp_path, PETALS))
    found = data.load(source, Expects(inputs=(one("float32", None, 2),)), asked)
    [told] = [each for each in found.assumptions if each.what == "features"]
    assert told.value == "width, height"
    assert "all columns of numbers but those grouped by (year)" in told.why
    assert found.groups["year"].tolist() == ["2007", "2008", "2009"]
    with pytest.raises(AlignmentError, match="take 3 features, and there are 2") as raised:
        data.load(source, Expects(inputs=(one("float32", None, 3),)), asked)
    assert "year too, where it is one" in raised.value.hint
    named = DataSource(path=source.path, features=("width", "year"))
    assert list(data.load(named, Expects(inputs=(one("float32", None, 2),)), asked).groups)[-1] == "year"


def test_a_number_of_a_group_is_a_group_where_no_model_runs(tmp_path: Path) -> None:
    rows = "".join(f"s{i},{i % 101},{i},{'xy'[i % 2]}\n" for i in range(202))
    path = csv(tmp_path, "id,patient,visit,label\n" + rows)
    found = data.load(DataSource(path=path), Expects(runs=False), Settings(cluster="patient"))
    assert len(set(found.groups["patient"].tolist())) == 101
    assert "visit" not in found.groups
    image = csv(tmp_path, "id,image,label\ns0,0,x\ns1,1,y\ns2,1,y\n")
    assert plugin(image) == "table"
    found = data.load(DataSource(path=image), Expects(runs=False), Settings(cluster="image"))
    assert found.ids == ("s0", "s1", "s2")
    assert found.groups["image"].tolist() == ["0", "1", "1"]
    (tmp_path / "0").touch()
    assert plugin(image) == "manifest"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        ("\ufeff" * (encoding == "utf-16-le") + "id\twidth\tlabel\r\né\t2.5\tx\r\nü\t1\ty\r\n").encode(encoding)
    )
    found = load(path)
    assert (found.ids, found.classes) == (("é", "ü"), ("x", "y"))


def test_blanks_behind_commas(tmp_path: Path) -> None:
    found = load(csv(tmp_path, 'ID, width, Label\n1, 2.5, "x, y"\n2, 3, z\n'))
    assert (found.ids, found.classes) == (("1", "2"), ("x, y", "z"))
    assert [told.value for told in found.assumptions if told.what == "features"] == ["width"]


@pytest.mark.parametrize("text", ["a/0.png,cat\na/1.png,dog\n", "1.5,2,x\n2.5,2,y\n", "s,cat\ns,cat\n"])
def test_a_table_without_names_of_columns(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"the first line seems to be a sample|is there more than once") as raised:
        data.load(DataSource(path=csv(tmp_path, text)), Expects(), Settings())
    assert "path,label" in raised.value.hint


def test_blanks_in_names_are_seen(tmp_path: Path) -> None:
    path = table(tmp_path, {"id": ["1"], "lab el ": ["x"], "": ["u"]})
    with pytest.raises(DataError, match="found id, 'lab el ', ''"):
        data.load(DataSource(path=path), Expects(), Settings())


def test_features_of_few_values_are_groups_too(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 2},{'xy'[i % 3 > 0]}\n" for i in range(120))
    found = load(csv(tmp_path, "age,sex,label\n" + rows), one("float32", None, 2))
    assert sorted(found.groups) == ["sex"]
    assert set(found.groups["sex"]) == {"0", "1"}


@pytest.mark.parametrize(
    ("inputs", "message", "told"),
    [
        (
            (one("float32", None, 2),),
            r"take 2 features, and there are 3 columns of numbers \(width, height, year\)",
            "",
        ),
        ((one("float32", None, 4),), r"take 4 features, and there are 3 columns", ""),
        ((Input(name="width"), Input(name="depth")), "no column 'depth' to feed the model's input", "width, depth"),
        ((Input(name="width"), Input(name="height", shape=(None, 1, 1))), "'height' has 3 dimensions", ".npz"),
    ],
)
def test_columns_that_do_not_fit(tmp_path: Path, inputs: tuple[Input, ...], message: str, told: str) -> None:
    with pytest.raises(AlignmentError, match=message) as raised:
        load(csv(tmp_path, PETALS), *inputs)
    assert told in raised.value.hint


def test_what_is_likely_no_feature_is_said(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 7}.5,{'3mm' if i == 119 else i % 9},x\n" for i in range(120))
    with pytest.raises(AlignmentError) as raised:
        load(csv(tmp_path, "n,width,depth,label\n" + rows), one("float32", None, 1))
    assert "2 columns of numbers (n, width); 'n' is different in every row, as an id is" in raised.value.message
    assert "'depth' is none, for it holds '3mm'" in raised.value.message


def test_a_column_without_a_cell_beside_too_few_features(tmp_path: Path) -> None:
    nothing = pa.nulls(120)
    path = table(tmp_path, {"width": np.arange(120) % 7 / 2, "depth": nothing, "label": ["x", "y"] * 60})
    with pytest.raises(AlignmentError, match="the models take 2 features, and there are 1 columns"):
        load(path, one("float32", None, 2))


def test_text_among_numbers_that_were_asked_for_is_unreadable(tmp_path: Path) -> None:
    found = load(csv(tmp_path, "a,b,y\n1,2,u\n3mm,2,v\n,4,u\n"), features=("a", "b"))
    assert found.read([0, 1, 2]).bad == (
        ("1", "column 'a' holds '3mm', which is no number"),
        ("2", "column 'a' is empty"),
    )


def test_inputs_by_name(tmp_path: Path) -> None:
    inputs = (
        Input(name="width", dtype="float32", shape=(None, 1)),
        Input(name="year", dtype="int64", shape=(None,)),
        Input(name="height", dtype="float64", shape=(None, 1)),
    )
    found = load(csv(tmp_path, PETALS), *inputs)
    batch = found.read([0, 2])
    assert {name: (v.dtype.name, v.tolist()) for name, v in batch.inputs.items()} == {
        "width": ("float32", [[1.5], [0.5]]),
        "year": ("int64", [2007, 2009]),
        "height": ("float64", [[2.0], [7.0]]),
    }
    assert sorted(found.groups) == ["height", "kind", "width", "year"]
    assert found.read([1]).bad == (("08", "column 'height' holds 'NA', which is no number"),)
    with pytest.raises(UsageError, match="--features lacks inputs of the models"):
        load(csv(tmp_path, PETALS), *inputs, features=("width",))


def test_one_input_of_one_number(tmp_path: Path) -> None:
    text = "width,depth,label\n1,2,x\n3,4,y\n"
    assert load(csv(tmp_path, text), Input(name="depth", dtype="float32", shape=(None, 1))).read([0]).inputs[
        "depth"
    ].tolist() == [[2]]
    alone = load(csv(tmp_path, text), features=("width",)).read([1])
    assert next(iter(alone.inputs.values())).tolist() == [[3]]


def test_columns_of_lists(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        {
            "input_ids": [[1, 2, 0], None, [7, 8, 9]],
            "attention_mask": pa.array([[1, 1, 0], [1, 1, 1], [1, None, 1]], pa.list_(pa.int8(), 3)),
            "weight": [0.5, 1.5, 2.5],
            "label": [1, 0, 1],
        },
    )
    inputs = (Input(name="input_ids", dtype="int64"), Input(name="attention_mask", dtype="int64"))
    found = load(path, *inputs)
    batch = found.read([0, 1, 2])
    assert {name: (v.dtype.name, v.tolist()) for name, v in batch.inputs.items()} == {
        "input_ids": ("int64", [[1, 2, 0]]),
        "attention_mask": ("int64", [[1, 1, 0]]),
    }
    assert batch.bad == (
        ("1", "column 'input_ids' is empty"),
        ("2", "column 'attention_mask' holds a value that is no number"),
    )
    assert found.groups["weight"].tolist() == ["0.5", "1.5", "2.5"]
    embedding = load(path, Input(name="input_ids", dtype="float32", shape=(None, 3)))
    assert next(iter(embedding.read([2]).inputs.values())).dtype == np.float32
    assert embedding.notes == ("columns not used: attention_mask",)
    words = load(table(tmp_path, {"a": [1.0, 2.0], "words": [["x"], ["y", "z"]], "label": ["x", "y"]}))
    assert words.notes == ("columns not used: words",)


def test_ragged_lists(tmp_path: Path) -> None:
    path = table(tmp_path, {"x": [[1, 2], [3]], "label": ["a", "b"]})
    with pytest.raises(DataError, match="lists in column 'x' are of 1 to 2 numbers") as raised:
        load(path)
    assert "padded" in raised.value.hint


def test_types_of_parquet(tmp_path: Path) -> None:
    columns = {"a": [1, None, 3], "b": [0.5, 1.5, float("nan")], "zip": ["01", "02", "03"], "label": ["x", "y", "x"]}
    found = load(table(tmp_path, columns))
    assert [told.value for told in found.assumptions if told.what == "features"] == ["a, b"]
    assert found.read([0, 1, 2]).bad == (
        ("1", "column 'a' is empty"),
        ("2", "column 'b' holds 'nan', which is no number"),
    )
    whole = load(table(tmp_path, columns | {"flag": [True, False, True]}), features=("zip", "flag")).read([0, 1])
    assert next(iter(whole.inputs.values())).tolist() == [[1, 1], [2, 0]]
    with pytest.raises(DataError, match=r"'when' holds date32.*no numbers"):
        load(table(tmp_path, columns | {"when": pa.array([1, 2, 3], pa.date32())}), features=("when",))


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (("width", "depth"), DataError, "no column 'depth' of those in --features"),
        (("width", "width"), UsageError, "'width' more than once"),
        (("width", "label"), DataError, "'label' is both input and label"),
    ],
)
def test_features_that_make_no_sense(
    tmp_path: Path, features: tuple[str, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(csv(tmp_path, PETALS), features=features)


def test_a_feature_without_a_number_is_no_feature(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the column 'kind' holds no numbers \('a' in row 1\)"):
        load(csv(tmp_path, PETALS), features=("width", "kind"))


def test_lists_are_not_stacked_with_others(tmp_path: Path) -> None:
    path = table(tmp_path, {"a": [1.0], "b": [[1.0]], "label": ["x"]})
    with pytest.raises(UsageError, match="holds lists, which are not stacked"):
        load(path, features=("a", "b"))


def test_text_alone_is_nothing_to_feed(tmp_path: Path) -> None:
    with pytest.raises(AlignmentError, match="no column of numbers to feed the model; found a, label"):
        load(csv(tmp_path, "a,label\n" + "1,x\n" * 20_000 + "one,y\n"))


def test_the_identity_is_that_of_what_is_fed(tmp_path: Path) -> None:
    def identity(text: str, **asked: Any) -> str:
        return load(csv(tmp_path, text), **asked).fingerprint(False)

    first = identity(PETALS)
    assert identity(PETALS.replace(",a,x,", ",b,z,")) == first
    assert identity(PETALS.replace("1.5", "1.6")) != first
    assert identity(PETALS.replace("1.5", "")) != identity(PETALS.replace("1.5", "0.0"))  # which is not read as 0
    assert identity(PETALS, features=("height", "width", "year")) != first


def test_what_a_table_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--max-length does not apply"):
        load(csv(tmp_path, PETALS), max_length=3)


def test_many_rows(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).normal(size=(100_000, 4)).round(4)
    text = "\n".join(["a,b,c,d,label", *(",".join(map(str, row)) + ",x" for row in drawn.tolist())])
    path = csv(tmp_path, text)
    started = time.perf_counter()
    found = load(path, one("float32", None, 4))
    assert time.perf_counter() - started < 20  # about half a second
    np.testing.assert_array_equal(next(iter(found.read(range(100_000)).inputs.values())), drawn.astype(np.float32))


def test_categories_of_a_data_frame_are_their_text(tmp_path: Path) -> None:
    codes = pa.array([0, 1, 0])
    coded = {"id": pa.DictionaryArray.from_arrays(codes, ["p", "q"]), "width": pa.array([1.5, 2.5, 3.5])}
    coded["height"] = pa.DictionaryArray.from_arrays(codes, ["7", "9"])
    path = table(tmp_path, coded | {"label": pa.DictionaryArray.from_arrays(codes, ["x", "y"])})
    found = data.load(DataSource(path=path, features=("width", "height")), Expects(), Settings())
    assert found.classes == ("x", "y")
    np.testing.assert_array_equal(found.read([1, 0]).inputs["features"], [[2.5, 9], [1.5, 7]])


def test_dates_that_python_does_not_know_and_columns_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no readable Parquet file: "):
        load(table(tmp_path, {"width": [1.5], "label": ["x"], "day": pa.array([2**40], pa.timestamp("s"))}))
    twice = pa.Table.from_arrays([pa.array([1.5]), pa.array(["x"]), pa.array([2.5])], names=["width", "label", "width"])
    parquet.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="'width' is there more than once"):
        load(tmp_path / "t.parquet")

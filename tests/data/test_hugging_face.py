"""Data sets of Hugging Face: which rows, whose names, what is refused; never more in memory than is asked for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from PIL import Image
from pyarrow import parquet

from prune_audit import data, plugins
from prune_audit.core import Array, Dataset, DataSource, Expects, Input, Preprocess, Settings
from prune_audit.data import _hf
from prune_audit.errors import DataError, UsageError
from tests import arrow_memory
from tests.data import saved

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), np.uint8)
LABELS = [0, 2, 1, 0, 1, 2, 0]
SITES = ["a", "b", None, "a", "b", "a", "a"]


def whole(**columns: list[Any]) -> pa.Table:
    features = {
        "image": saved.IMAGE,
        "label": saved.labels("zebra", "ant", "cat"),
        "fine": saved.labels("spots", "stripes"),
    }
    base: dict[str, list[Any]] = {
        "image": [saved.png(each) for each in PIXELS],
        "label": LABELS,
        "site": SITES,
        "fine": [0, 1] * 3 + [-1],
    }
    return saved.table(base | columns, features)


def load(path: Path, expects: Expects | None = None, **asked: Any) -> Dataset:
    return data.load(DataSource(path=path, **asked), expects or Expects(), Settings())


def names(path: Path) -> list[str]:
    return [name for name, module in plugins.loaded("data") if module.recognises(DataSource(path=path))]


def to_disk(path: Path, table: pa.Table) -> Path:
    return saved.save(path / "saved", table)


def one_file(path: Path, table: pa.Table) -> Path:
    parquet.write_table(table, path / "all.parquet", row_group_size=3)
    return path / "all.parquet"


def sharded(path: Path, table: pa.Table) -> Path:
    saved.shards(path / "hub", table, "validation", 3)
    return path / "hub"


Write = Callable[[Path, pa.Table], Path]
every = pytest.mark.parametrize("write", [to_disk, one_file, sharded])


@every
def test_rows_names_groups_and_pixels(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path, whole())
    assert names(path) == ["hugging-face"]
    found = load(path)
    assert found.classes == ("zebra", "ant", "cat")  # the data's own order
    assert "as the data name them" in [told.value for told in found.assumptions]
    assert found.labels.tolist() == LABELS
    assert found.ids == tuple("0123456")
    assert {name: values.tolist() for name, values in found.groups.items()} == {
        "site": ["a", "b", "(missing)", "a", "b", "a", "a"],
        "fine": ["spots", "stripes"] * 3 + ["(missing)"],
    }
    assert found.preprocess == Preprocess(size=(8, 8), channels="rgb", interpolation="bilinear")
    batch = found.read([6, 0, 3])
    assert batch.rows.tolist() == [6, 0, 3]
    assert batch.labels.tolist() == [0, 0, 0]
    np.testing.assert_array_equal(batch.inputs["image"], PIXELS[[6, 0, 3]].transpose(0, 3, 1, 2))
    assert len(set(found.read(range(7)).digests.tolist())) == 7


@every
def test_reading_from_threads_is_reading(tmp_path: Path, write: Write) -> None:
    found = load(write(tmp_path, whole()))
    with ThreadPoolExecutor(8) as pool:
        for at, batch in enumerate(pool.map(found.read, [[row] for row in range(7)] * 4)):
            np.testing.assert_array_equal(batch.inputs["image"][0], PIXELS[at % 7].transpose(2, 0, 1))


@every
def test_the_models_order_counts_and_names_are_matched(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path, whole())
    found = load(path, Expects(classes=("ant", "bee", "cat", "zebra")))
    assert found.classes == ("ant", "bee", "cat", "zebra")
    assert "as the model names them" in [told.value for told in found.assumptions]
    assert found.labels.tolist() == [3, 2, 0, 3, 0, 2, 3]
    with pytest.raises(DataError, match=r"row 1: 'zebra' is none of the 2 classes \(ant, cat\)"):
        load(path, Expects(classes=("ant", "cat")))
    (tmp_path / "classes.txt").write_text("cat\nant\nzebra\n")
    assert load(path, classes=tmp_path / "classes.txt").labels.tolist() == [2, 0, 1, 2, 1, 0, 2]


@every
def test_preprocessing_is_that_of_other_images(tmp_path: Path, write: Write) -> None:
    asked = Preprocess(resize=16, crop=(12, 10), channels="gray")
    pixels = load(write(tmp_path, whole()), preprocess=asked).read([5]).inputs["image"]
    image = Image.fromarray(PIXELS[5]).convert("L").resize((16, 16), Image.Resampling.BILINEAR).crop((3, 2, 13, 14))
    np.testing.assert_array_equal(pixels, np.asarray(image)[None, None])


@every
def test_what_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path, write: Write) -> None:
    cells: list[Any] = [saved.png(each) for each in PIXELS]
    cells[1], cells[2], cells[3] = None, {"bytes": b"noise", "path": "x.png"}, {"bytes": None, "path": "/none/x.png"}
    batch = load(write(tmp_path, whole(image=cells)), preprocess=Preprocess(size=(8, 8))).read(range(7))
    assert [name for name, _ in batch.bad] == ["1", "2", "3"]
    assert [reason[:12] for _, reason in batch.bad] == ["the cell is ", "not an image", "No such file"]
    assert batch.rows.tolist() == [0, 4, 5, 6]
    np.testing.assert_array_equal(batch.inputs["image"], PIXELS[[0, 4, 5, 6]].transpose(0, 3, 1, 2))


def test_images_that_stayed_files(tmp_path: Path) -> None:
    for at, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / f"{at}.png")
    found = load(
        to_disk(tmp_path, whole(image=[{"bytes": None, "path": str(tmp_path / f"{at}.png")} for at in range(7)]))
    )
    np.testing.assert_array_equal(found.read([4]).inputs["image"][0], PIXELS[4].transpose(2, 0, 1))
    before = found.fingerprint(True)
    Image.fromarray(PIXELS[0]).save(tmp_path / "4.png")
    assert found.fingerprint(True) != before


def test_columns_by_name(tmp_path: Path) -> None:
    table = whole(id=[f"s{at}" for at in range(7)]).rename_columns(["image", "animal", "site", "fine", "id"])
    features = {"image": saved.IMAGE, "animal": saved.labels("zebra", "ant", "cat")}
    table = saved.table({name: table[name].to_pylist() for name in table.column_names}, features)
    found = load(to_disk(tmp_path, table))
    assert found.classes == ("zebra", "ant", "cat")  # of the one column of class labels
    assert found.ids == tuple(f"s{at}" for at in range(7))
    with pytest.raises(DataError, match="row 3: site is empty"):
        load(tmp_path / "saved", label_column="site")
    assert load(tmp_path / "saved", label_column="fine").labels.tolist() == [1, 2, 1, 2, 1, 2, 0]


def test_labels_that_are_not_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 7: fine is empty"):
        load(to_disk(tmp_path, whole()), label_column="fine")
    with pytest.raises(DataError, match=r"row 2: label is 3, and it has 3 names"):
        load(one_file(tmp_path, whole(label=[0, 3, 1, 0, 1, 2, 0])))


def test_several_columns_of_images(tmp_path: Path) -> None:
    table = whole()
    both = saved.table(
        {**{n: table[n].to_pylist() for n in table.column_names}, "mask": [saved.png(255 - each) for each in PIXELS]},
        {"image": saved.IMAGE, "mask": saved.IMAGE, "label": saved.labels("zebra", "ant", "cat")},
    )
    path = to_disk(tmp_path, both)
    with pytest.raises(DataError, match="the columns of images or sounds are image, mask") as raised:
        load(path)
    assert "--path-column" in raised.value.hint
    found = load(path, path_column="mask")
    np.testing.assert_array_equal(found.read([2]).inputs["image"][0], 255 - PIXELS[2].transpose(2, 0, 1))
    assert "columns not used: image" in found.notes
    assert found.fingerprint(False) != load(path, path_column="image").fingerprint(False)
    with pytest.raises(UsageError, match="--text-column does not apply"):
        load(path, path_column="mask", text_column="site")


@every
def test_sounds(tmp_path: Path, write: Write) -> None:
    pcm = np.random.default_rng(1).integers(-(2**15), 2**15, (3, 50), np.int16)
    cells = []
    for each in pcm:
        file = io.BytesIO()
        soundfile.write(file, each, 8000, format="wav")
        cells.append({"bytes": file.getvalue(), "path": "x.wav"})
    table = saved.table(
        {"audio": cells, "label": [0, 1, 0]}, {"audio": saved.SOUND, "label": saved.labels("yes", "no")}
    )
    path = write(tmp_path, table)
    assert names(path) == ["hugging-face"]
    found = load(path, Expects(inputs=(Input(name="x", shape=(None, 1, None)),)))
    assert found.classes == ("yes", "no")
    np.testing.assert_array_equal(found.read([2, 0]).inputs["sound"][:, 0], pcm[[2, 0]] / np.float32(2**15))


def test_several_data_sets_in_one_folder(tmp_path: Path) -> None:
    for split in ("train", "test"):
        saved.save(tmp_path / "all" / split, whole())
    (tmp_path / "all/dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    assert names(tmp_path / "all") == ["hugging-face"]
    with pytest.raises(DataError, match="all holds 2 data sets: test, train") as raised:
        load(tmp_path / "all")
    assert str(tmp_path / "all/test") in raised.value.hint
    for split in ("train", "test"):
        saved.shards(tmp_path / "hub", whole(), split)
    with pytest.raises(DataError, match="hub holds 2 data sets: test, train"):
        load(tmp_path / "hub")
    with pytest.raises(DataError, match="2 data sets"):
        load(tmp_path / "hub/data")
    alone = load(tmp_path / "hub/data/test-00000-of-00002.parquet")
    assert len(alone.labels) == 4
    assert "test-00000-of-00002.parquet is one of 2 files of these data; its folder is all of them" in alone.notes


def test_files_that_are_not_there_or_broken(tmp_path: Path) -> None:
    files = saved.shards(tmp_path / "hub", whole(), "test", 3)
    files[1].unlink()
    with pytest.raises(DataError, match="holds 2 of 3 shards of test"):
        load(tmp_path / "hub")
    path = to_disk(tmp_path, whole())
    arrow = path / "data-00001-of-00002.arrow"
    arrow.write_bytes(arrow.read_bytes()[:100])
    with pytest.raises(DataError, match=r"data-00001-of-00002\.arrow: no readable Arrow stream"):
        load(path)
    arrow.unlink()
    with pytest.raises(DataError, match=r"data-00001-of-00002\.arrow: no readable Arrow stream"):
        load(path)
    (path / "state.json").write_text("{}")
    with pytest.raises(DataError, match=r"state.json does not list files"):
        load(path)


TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": {
        "strategy": "BatchLongest",
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    },
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}, "unk_token": "[UNK]"},
}


@pytest.mark.parametrize("write", [to_disk, sharded])
def test_texts(tmp_path: Path, write: Write) -> None:
    table = saved.table(
        {"text": ["good", "bad bad", "good bad"], "label": [1, 0, 0]}, {"label": saved.labels("z", "a")}
    )
    path = write(tmp_path, table)
    (tmp_path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    found = load(path, tokenizer=tmp_path / "tokenizer.json")
    assert found.classes == ("z", "a")
    assert found.labels.tolist() == [1, 0, 0]
    assert found.read([2, 0]).inputs["input_ids"].tolist() == [[2, 3], [2, 0]]


def test_neither_images_nor_sounds_nor_texts(tmp_path: Path) -> None:
    table = saved.table({"height": [1.5, 2.5], "label": [1, 0]}, {"label": saved.labels("neg", "pos")})
    with pytest.raises(DataError, match="no column of images, sounds or texts; found height, label") as raised:
        load(to_disk(tmp_path, table))
    assert "to_parquet" in raised.value.hint
    assert "hugging-face" not in names(one_file(tmp_path, table))


def test_other_folders_are_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "val/cat").mkdir(parents=True)
    one_file(tmp_path / "val", whole())  # beside the class folders
    assert names(tmp_path / "val") == ["image-folder"]


def test_of_parquet_a_few_groups_are_in_memory(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    cells = [{"bytes": noise.bytes(10**5), "path": None} for _ in range(40)]
    many = saved.table({"image": cells, "label": [0] * 40}, {"image": saved.IMAGE, "label": saved.labels("cat")})
    parquet.write_table(many, tmp_path / "all.parquet", row_group_size=1)
    del many
    table = _hf.read(tmp_path / "all.parquet")
    assert "image" not in table.columns
    before = arrow_memory.still()
    most = 10 * 10**5
    found = _hf.Cells(table=table, column="image", rows=range(40))
    for cell, expected in zip(found, cells, strict=True):
        with cell.open("rb") as file:
            assert file.read() == expected["bytes"]
    assert arrow_memory.held(before + most - 1) - before < most
    assert len(found[3:30:5]) == 6
    assert str(found[3:30:5][1]) == "row 9"


def test_the_fingerprint_is_of_the_files(tmp_path: Path) -> None:
    path = to_disk(tmp_path, whole())
    before = load(path).fingerprint(False)
    assert load(path).fingerprint(True) == before
    (tmp_path / "again").mkdir()
    flipped: list[Array] = [each[::-1] for each in PIXELS]
    other = to_disk(tmp_path / "again", whole(image=[saved.png(each) for each in flipped]))
    assert load(other).fingerprint(False) != before


def test_offsets_that_lie(tmp_path: Path) -> None:
    table = pa.table({"text": ["first", "second", "third"], "label": [0, 1, 0]})
    path = saved.save(tmp_path / "saved", saved.table(table.to_pydict(), {"label": saved.labels("a", "b")}), shards=1)
    file = path / "data-00000-of-00001.arrow"
    offsets = np.array([0, 5, 11], np.int32).tobytes()
    assert offsets in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(offsets, np.array([0, 9000, 11], np.int32).tobytes()))
    with pytest.raises(DataError, match="no readable Arrow stream: its columns are damaged: "):
        load(path)


@pytest.mark.parametrize(("group", "rows"), [(0, ["0", "1", "2"]), (1, ["3", "4", "5"])])
def test_a_page_that_is_damaged_is_told_with_its_rows(tmp_path: Path, group: int, rows: list[str]) -> None:
    path = tmp_path / "all.parquet"
    parquet.write_table(whole(), path, row_group_size=3, compression="snappy", use_dictionary=False)
    start = parquet.read_metadata(path).row_group(group).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    batch = load(path, preprocess=Preprocess(size=(8, 8))).read(range(7))
    assert [name for name, _ in batch.bad] == rows
    assert all(f"row group {group} of all.parquet cannot be read: " in why for _, why in batch.bad)


def test_a_damaged_first_page_names_no_files_beside_the_table(tmp_path: Path) -> None:
    path = tmp_path / "all.parquet"
    parquet.write_table(whole(), path, row_group_size=3, compression="snappy", use_dictionary=False)
    start = parquet.read_metadata(path).row_group(0).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    found = load(path, preprocess=Preprocess(size=(8, 8)))
    assert [name for name, _ in found.read(range(7)).bad] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("features", "values", "told"),
    [
        (saved.labels("a", "b"), list("abababa"), "label is described as classes and holds string, expected whole"),
        (saved.labels("a", "b"), [0.5] * 7, "label is described as classes and holds double"),
        (saved.labels("a", "a"), [0, 1, 0, 1, 0, 1, 0], "the class 'a' is named 2 times in the description"),
        (saved.labels("a", "\ud800"), [0, 1, 0, 1, 0, 1, 0], "a name of a class is no text in the description"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path: Path, features: dict[str, Any], values: list[Any], told: str) -> None:
    table = pa.table({"image": whole()["image"], "label": values})
    described = {"info": {"features": {"image": saved.IMAGE, "label": features}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(described)})
    with pytest.raises(DataError, match=told):
        load(one_file(tmp_path, table))


def test_files_elsewhere_are_not_opened(tmp_path: Path) -> None:
    path = to_disk(tmp_path, whole())
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../other.arrow"}]}))
    with pytest.raises(DataError, match="expected the names of files in this folder, found"):
        load(path)


def test_a_struct_of_other_types_is_no_image(tmp_path: Path) -> None:
    cells = pa.array([{"bytes": "text", "path": 1}] * 7)
    assert names(one_file(tmp_path, pa.table({"image": cells, "label": list("abababa")}))) == ["labels"]


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = whole()
    with pytest.raises(DataError, match="'site' is there more than once"):
        load(one_file(tmp_path, table.append_column("site", table["site"])))

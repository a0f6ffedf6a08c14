"""Texts as tokens: names and types of inputs, lengths, padding, and what cannot be read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from pyarrow import parquet
from tokenizers import models, pre_tokenizers, processors

from prune_audit import data, plugins
from prune_audit.core import Dataset, DataSource, Expects, Input, Settings
from prune_audit.errors import AlignmentError, DataError, MissingExtra, UsageError

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "good": 4, "bad": 5, "film": 6}
TEXT = 'id,text,label,critic\na,"good film",pos,x\nb,"bad, bad film",neg,\nc,good,pos,x\n'
IDS, MASK = Input(name="input_ids", dtype="int64"), Input(name="attention_mask", dtype="int64")


def tokenizer(path: Path, pad: bool = True, **padding: Any) -> Path:
    """Words by number, between [CLS] and [SEP]."""
    words = {name: at for name, at in VOCABULARY.items() if pad or name != "[PAD]"}
    made = tokenizers.Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    if padding:
        made.enable_padding(**padding)
    made.save(str(path))
    return path


def csv(folder: Path, text: str = TEXT) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path


def load(path: Path, *inputs: Input, classes: tuple[str, ...] | None = None, **asked: Any) -> Dataset:
    source = DataSource(path=path, **asked)
    assert plugins.choose("data", source) == "text"
    return data.load(source, Expects(inputs=inputs, classes=classes), Settings())


def fed(found: Dataset, *rows: int) -> dict[str, list[list[int]]]:
    return {name: values.tolist() for name, values in found.read(rows).inputs.items()}


def test_what_is_read(tmp_path: Path) -> None:
    found = load(csv(tmp_path), IDS, MASK, tokenizer=tokenizer(tmp_path / "tokenizer.json"))
    assert (found.ids, found.classes, found.labels.tolist()) == (("a", "b", "c"), ("neg", "pos"), [1, 0, 1])
    assert found.groups["critic"].tolist() == ["x", "(missing)", "x"]
    assert found.notes == ("texts are 3 to 6 tokens long by tokenizer.json, padded to 6",)
    # A comma is a token of its own, and unknown.
    assert fed(found, 1, 2) == {
        "input_ids": [[2, 5, 1, 5, 6, 3], [2, 4, 3, 0, 0, 0]],
        "attention_mask": [[1] * 6, [1, 1, 1, 0, 0, 0]],
    }
    batch = found.read([2, 0])
    assert (batch.rows.tolist(), batch.labels.tolist(), batch.bad) == ([2, 0], [1, 1], ())
    assert {values.dtype.name for values in batch.inputs.values()} == {"int64"}


def test_no_sample_depends_on_those_beside_it(tmp_path: Path) -> None:
    found = load(csv(tmp_path), IDS, MASK, tokenizer=tokenizer(tmp_path / "tokenizer.json"))
    whole = found.read(range(3))
    for row in range(3):
        alone = found.read([row])
        assert alone.digests[0] == whole.digests[row]
        for name, values in alone.inputs.items():
            np.testing.assert_array_equal(values[0], whole.inputs[name][row])


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([], {"input_ids": "int64"}),
        ([Input(name="x", dtype="int32")], {"x": "int32"}),
        ([Input(name="x")], {"x": "int64"}),
        (
            [Input(name="tokens", dtype="int32"), Input(name="mask", dtype="float32")],
            {"tokens": "int32", "mask": "float32"},
        ),
        ([IDS, MASK, Input(name="token_type_ids", dtype="int64")], dict.fromkeys([*"im"], "")),
    ],
)
def test_inputs_by_name(tmp_path: Path, inputs: list[Input], expected: dict[str, str]) -> None:
    found = load(csv(tmp_path), *inputs, tokenizer=tokenizer(tmp_path / "tokenizer.json"))
    made = found.read([0]).inputs
    if len(inputs) == 3:
        assert made["token_type_ids"].tolist() == [[0] * 6]
    else:
        assert {name: values.dtype.name for name, values in made.items()} == expected


@pytest.mark.parametrize(
    "odd",
    [
        (IDS, Input(name="position_ids", dtype="int64")),
        (Input(name="pixels", dtype="float32"),),
        (Input(name="input_ids", dtype="float32"),),
        (Input(name="text", dtype="str"),),
    ],
)
def test_inputs_that_are_not_made_of_texts(tmp_path: Path, odd: tuple[Input, ...]) -> None:
    with pytest.raises(AlignmentError, match=f"the model has an input '{odd[-1].name}'"):
        load(csv(tmp_path), *odd, tokenizer=tokenizer(tmp_path / "tokenizer.json"))


def test_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    found = load(csv(tmp_path), IDS, tokenizer=path, max_length=4)
    assert fed(found, 0, 1) == {"input_ids": [[2, 4, 6, 3], [2, 5, 1, 3]]}
    assert found.notes == ("texts are 3 to 4 tokens long by tokenizer.json, padded to 4; 1 were cut at 4",)
    with pytest.raises(UsageError, match=r"2 tokens are too few: .* adds 2"):
        load(csv(tmp_path), IDS, tokenizer=path, max_length=2)


def test_a_length_that_the_model_fixes(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    for length in (5, 9):
        fixed = Input(name="ids", dtype="int64", shape=(None, length))
        found = load(csv(tmp_path), fixed, tokenizer=path)
        assert found.read([0, 1]).inputs["ids"].shape == (2, length)
        assert ("1 were cut at 5" in found.notes[0]) == (length == 5)
    shorter = load(csv(tmp_path), Input(name="ids", dtype="int64", shape=(1, 9)), tokenizer=path, max_length=3)
    assert fed(shorter, 1) == {"ids": [[2, 5, 3, 0, 0, 0, 0, 0, 0]]}
    with pytest.raises(AlignmentError, match="--max-length 10 is more than the 9 tokens"):
        load(csv(tmp_path), Input(name="ids", dtype="int64", shape=(1, 9)), tokenizer=path, max_length=10)


def test_the_tokenizers_own_settings(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json", direction="left", pad_id=6, pad_token="film")
    assert fed(load(csv(tmp_path), IDS, MASK, tokenizer=path), 2) == {
        "input_ids": [[6, 6, 6, 2, 4, 3]],
        "attention_mask": [[0, 0, 0, 1, 1, 1]],
    }
    made = tokenizers.Tokenizer.from_file(str(path))
    made.enable_truncation(3)
    made.save(str(path))
    assert fed(load(csv(tmp_path), IDS, tokenizer=path), 1) == {"input_ids": [[2, 5, 3]]}


def test_the_settings_beside_the_tokenizer(tmp_path: Path) -> None:
    tokenizer(tmp_path / "tokenizer.json", pad=False)
    with pytest.raises(DataError, match="3 to 6 tokens must be padded, and the tokenizer names no padding token"):
        load(csv(tmp_path), IDS, tokenizer=tmp_path)
    beside = tmp_path / "tokenizer_config.json"
    for pad in ("film", {"content": "film"}):
        beside.write_text(json.dumps({"pad_token": pad, "padding_side": "left", "model_max_length": 5}))
        found = load(csv(tmp_path), IDS, tokenizer=tmp_path)
        assert fed(found, 2) == {"input_ids": [[6, 6, 2, 4, 3]]}
    beside.write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        load(csv(tmp_path), IDS, tokenizer=tmp_path)


def test_an_empty_text_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"sentence": ["good", None, "", "bad"], "label": ["p", "p", "n", "n"]}), path)
    found = load(path, IDS, tokenizer=tokenizer(tmp_path / "tokenizer.json"))
    batch = found.read(range(4))
    assert batch.rows.tolist() == [0, 3]
    assert batch.bad == (("1", "column 'sentence' is empty"), ("2", "column 'sentence' is empty"))
    assert batch.inputs["input_ids"].tolist() == [[2, 4, 3], [2, 5, 3]]


def test_without_a_tokenizer_there_are_only_labels(tmp_path: Path) -> None:
    found = load(csv(tmp_path), IDS)
    assert (found.labels.tolist(), sorted(found.groups)) == ([1, 0, 1], ["critic"])
    with pytest.raises(AlignmentError, match=r"holds texts \(column 'text'\)") as raised:
        found.read([0])
    assert "--tokenizer" in raised.value.hint


def test_the_models_own_tokenizer(tmp_path: Path) -> None:
    expects = Expects(inputs=(IDS,), tokenizer=tokenizer(tmp_path / "tokenizer.json"))
    assert fed(data.load(DataSource(path=csv(tmp_path)), expects, Settings()), 2) == {"input_ids": [[2, 4, 3, 0, 0, 0]]}


def test_columns_by_name(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    found = load(csv(tmp_path, TEXT.replace("text", "path")), IDS, tokenizer=path, text_column="path")
    assert fed(found, 2) == {"input_ids": [[2, 4, 3, 0, 0, 0]]}
    with pytest.raises(DataError, match="no text column: expected text or sentence or review or content, found id, w"):
        load(csv(tmp_path, TEXT.replace("text", "words")), IDS, tokenizer=path)


def test_labels_that_look_like_positions(tmp_path: Path) -> None:
    text = "text,label\ngood,1\nbad,0\n"
    path = tokenizer(tmp_path / "tokenizer.json")
    with pytest.raises(DataError, match="'1' is none of the 2 classes") as raised:
        load(csv(tmp_path, text), IDS, tokenizer=path, classes=("negative", "positive"))
    assert "--class-map" in raised.value.hint
    (tmp_path / "map.csv").write_text("0,negative\n1,positive\n")
    found = load(
        csv(tmp_path, text), IDS, tokenizer=path, classes=("negative", "positive"), class_map=tmp_path / "map.csv"
    )
    assert (found.classes, found.labels.tolist()) == (("0", "1"), [1, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{}", "no tokenizer: "), (b"\xff\xfe", "no tokenizer: "), (None, "cannot be read: No such file")],
)
def test_a_tokenizer_that_is_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(path)) + ".*" + message):
        load(csv(tmp_path), IDS, tokenizer=path)


def test_a_library_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(MissingExtra) as raised:
        load(csv(tmp_path), IDS, tokenizer=tmp_path / "tokenizer.json")
    assert raised.value.hint == "pip install 'prune-audit[text]'"


def test_the_identity_is_that_of_what_is_fed(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")

    def identity(text: str = TEXT, *inputs: Input, **asked: Any) -> str:
        return load(csv(tmp_path, text), *(inputs or (IDS,)), tokenizer=path, **asked).fingerprint(False)

    first = identity()
    assert identity(TEXT.replace("pos", "positive")) == first
    others = [identity(TEXT.replace("good film", "bad film")), identity(max_length=5), identity(TEXT, IDS, MASK)]
    tokenizer(path, direction="left")
    assert len({first, *others, identity()}) == 5


def changed(path: Path, **fields: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return path


def test_a_template_that_adds_what_it_does_not_know(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    template = json.loads(path.read_text())["post_processor"]
    del template["special_tokens"]["[SEP]"]
    changed(path, post_processor={"type": "Sequence", "processors": [template]})
    with pytest.raises(DataError, match=r"no tokenizer: its template adds a token '\[SEP\]' that special_tokens does"):
        load(csv(tmp_path), tokenizer=path)


def test_a_tokenizer_that_fails_at_a_text(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    model = json.loads(path.read_text())["model"]
    del model["vocab"]["[UNK]"]
    changed(path, model=model)
    with pytest.raises(DataError, match=r"no tokenizer: "):
        load(csv(tmp_path), tokenizer=path)


@pytest.mark.parametrize(("number", "what"), [(2**32 - 1, "bad"), (2**31, "film")])
def test_numbers_of_tokens_that_no_model_takes(tmp_path: Path, number: int, what: str) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    model = json.loads(path.read_text())["model"]
    model["vocab"][what] = number
    changed(path, model=model)
    with pytest.raises(DataError, match="a token is numbered beyond what models take"):
        load(csv(tmp_path), tokenizer=path)


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ("null", "expected a JSON object, found NoneType"),
        ("[" * 90_000, "no JSON: values nested too deeply"),
        ('{"pad_token": 3}', "pad_token: expected a token, found 3"),
        ('{"pad_token": {"content": ["x"]}}', "pad_token: expected a token"),
        ('{"model_max_length": "long"}', "model_max_length: expected a number of tokens, found 'long'"),
        ('{"padding_side": true}', "padding_side: expected left or right, found True"),
        ('{"model_max_length": 8, "model_max_length": 9}', "'model_max_length' is there more than once"),
    ],
)
def test_settings_beside_the_tokenizer_that_are_none(tmp_path: Path, beside: str, told: str) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text(beside)
    with pytest.raises(DataError, match=told):
        load(csv(tmp_path), tokenizer=path)


def test_a_length_without_end_is_none(tmp_path: Path) -> None:
    path = tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')  # as transformers writes it
    assert load(csv(tmp_path), tokenizer=path).read([0]).inputs["input_ids"].shape == (1, 6)

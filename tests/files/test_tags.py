"""Tagged words: told by their tags, and everything that is wrong with them said."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit.errors import DataError
from prune_audit.files import tags

COLUMNS = "EU NNP B-ORG\nrejects VBZ O\n\nPeter NNP B-PER\n"


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "words"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "text", [COLUMNS, COLUMNS.replace("\n", "\r\n"), f"-DOCSTART- -X- O\n\n{COLUMNS}", COLUMNS.replace(" ", "\t")]
)
def test_columns_are_read(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert tags.told(path)
    read = tags.read(path, DataError)
    assert (read.words, read.tags) == ((("EU", "rejects"), ("Peter",)), (("B-ORG", "O"), ("B-PER",)))
    assert [each.rpartition(" ")[2] for each in read.where] == (["3", "6"] if "DOC" in text else ["1", "4"])
    assert read.keys == (({"document": "1"} if "DOC" in text else {}),) * 2
    assert read.size == len(text)


def test_lines_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, '{"tokens": ["EU"], "tags": ["B-ORG"], "site": "a", "long": [1]}\n')
    assert tags.told(path)
    read = tags.read(path, DataError)
    assert (read.words, read.tags, read.keys) == ((("EU",),), (("B-ORG",),), ({"site": "a"},))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id,label\n1,2\n",
        "a b\nc d\n",
        "O\nO\n",
        "a O\nb c O\n",
        '{"tokens": "a", "tags": "b"}\n',
        "0 0.5 0.5 1 1\n",
    ],
)
def test_other_texts_are_none(tmp_path: Path, text: str) -> None:
    assert not tags.told(written(tmp_path, text))
    assert not tags.told(tmp_path)


@pytest.mark.parametrize("line", ["b c O", "b", "b PER", "b 3"])
def test_a_line_that_is_none_does_not_make_it_another_text(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"a O\n{line}\nd O\n")
    assert tags.told(path)
    with pytest.raises(DataError, match="line 2: expected"):
        tags.read(path, DataError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a O\nb c O\nd O\n", "line 2: expected 2 columns, found 3"),
        ("a O\nb\n", "line 2: expected 2 columns, found 1"),
        ("a O\nb PER\n", "line 2: expected O, or a tag such as B-PER, found 'PER'"),
        ('{"tokens": ["a"], "tags": [3]}\n', "line 1: expected lists of texts"),
        ('{"tokens": ["a"], "tags": []}\n', "expected lists of texts"),
        ('{"tokens": [], "tags": []}\n', "expected lists of texts"),
        ('{"tokens": ["a"], "tags": ["O"]}\n{"tok', "line 2: expected a JSON object"),
        ("\n\n", "holds no sentence"),
        ("", "expected text in UTF-8"),
        (b"a O\n\xff\xfb\n", "expected text in UTF-8"),
    ],
)
def test_what_is_no_tagged_word_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        tags.read(written(tmp_path, content), DataError)
    assert refused.value.hint

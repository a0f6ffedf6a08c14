"""Files of class weights: both forms, and what is wrong with a broken one."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit import data
from prune_audit.errors import DataError


@pytest.mark.parametrize(
    "text",
    [
        "cat,3\ndog,0.5\n",
        "class,weight\r\ncat,3\r\n\r\ndog, .5\r\n",
        '\ufeff"cat",3\n"dog",5e-1',
        '{"cat": 3, "dog": 0.5}',
        ' {"cat": "3", "dog": 0.5}',
    ],
)
def test_both_forms(tmp_path: Path, text: str) -> None:
    file = tmp_path / "weights"
    file.write_text(text, encoding="utf-8")
    assert data.weights(file) == {"cat": 3, "dog": 0.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat,3\ndog,-1\n", "the weight of 'dog' must be a number of 0 or above, found '-1'"),
        ("cat,3\ndog,nan\n", "found 'nan'"),
        ("cat,3\ndog,inf\n", "found 'inf'"),
        ("cat,3\ndog,many\n", "found 'many'"),
        ("cat,3\ncat,1\n", "'cat' is there more than once"),
        ("cat,3,1\n", "expected two columns, found 'cat,3,1'"),
        ("cat\n", "expected two columns"),
        ("cat,0\n", "no class has a weight above 0"),
        ("", "no class has a weight above 0"),
        ('{"cat": 1, "cat": 2}', "more than once"),
        ('{"cat": true}', "found True"),
        ('{"cat": {"a": 1}}', "the weight of 'cat'"),
        ("[1, 2]", "found a list"),
        ('{"cat": ', "no JSON"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "weights.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        data.weights(file)
    assert str(file) in caught.value.message
    assert said in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv"):
        data.weights(tmp_path / "none.csv")

"""JSON and TOML of others: every way in which Python's parsers fail or say yes too easily is one kind of error."""

from __future__ import annotations

import math

import pytest

from prune_audit.files import parse


def test_values() -> None:
    text = '{"a": [1, -2.5, "\\u00e4", null, true], "b": {"c": 9223372036854775808, "d": 1e308}}'
    assert parse.json(text) == {"a": [1, -2.5, "ä", None, True], "b": {"c": 2**63, "d": 1e308}}
    assert parse.json(b'"\xc3\xa4"') == "ä"
    assert parse.json('{"a": 1, "a": 2}', pairs=tuple) == (("a", 1), ("a", 2))
    assert parse.toml('a = [1]\n[b]\nc = "d"') == {"a": [1], "b": {"c": "d"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is there more than once"),
        ("[NaN]", "NaN, which is no number"),
        ("[-Infinity]", "-Infinity, which is no number"),
        ("1e999", "1e999, which is too large a number"),
        ("9" * 400, "9{37}..., which is too large a number"),
        ("9" * 9000, "too large a number"),
        (b'"\xff"', "utf-8"),
    ],
)
def test_what_is_no_json(text: str | bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse.json(text)


def test_numbers_that_are_none_may_be_let_through() -> None:
    found = parse.json("[NaN, -Infinity, 1e999]", finite=False)
    assert math.isnan(found[0])
    assert found[1:] == [-math.inf, math.inf]


@pytest.mark.parametrize("text", ["a = ", "a = " + "[" * 100_000, "a = " + "{b = " * 10_000, "a = 1\na = 2"])
def test_what_is_no_toml(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|Invalid value|Cannot overwrite|Expected|Unclosed"):
        parse.toml(text)

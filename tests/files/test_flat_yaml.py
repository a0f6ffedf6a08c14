"""Plain YAML: what is read is what PyYAML reads, and what is not plain is an error with its line."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.files.flat_yaml import Value, entries, value

WORD = st.text(
    st.characters(codec="ascii", categories=["L", "N", "P", "S"], include_characters=" "), min_size=1, max_size=12
)
NAME = st.one_of(WORD, st.text(min_size=1, max_size=6).filter(lambda text: text.isprintable()))
HELD = st.one_of(NAME, st.lists(NAME, min_size=1, max_size=30), st.dictionaries(NAME, NAME, min_size=1, max_size=9))


def read(text: str) -> dict[str, Value]:
    return {name: value(entry) for name, entry in entries(text).items()}


def wide(content: object, flow: bool | None, style: str | None) -> str:
    return str(
        yaml.dump(
            content, default_flow_style=flow, default_style=style, allow_unicode=True, sort_keys=False, width=10**6
        )
    )


@given(
    st.dictionaries(st.sampled_from(["names", "path", "val", "nc"]), HELD, min_size=1),
    st.sampled_from([None, "'", '"']),
    st.sampled_from([True, False, None]),
)
def test_what_pyyaml_writes_is_read(content: dict[str, object], style: str | None, flow: bool | None) -> None:
    text = "".join(
        wide({name: held}, False, style) if flow is False or isinstance(held, str)
        else f"{name}: {wide(held, True, style)}".replace("\n", "\n  ").rstrip() + "\n"
        for name, held in content.items()
    )  # fmt: skip
    if yaml.load(text, yaml.BaseLoader) != content:  # a text of no line of its own is not what it was
        return
    found = read(text)
    plain = {name: list(held) if isinstance(held, tuple) else held for name, held in found.items()}
    assert plain == content


TEXT = """\
# data of COCO  # twice
path: ../datasets/coco8 # dataset root dir
val: images/val  # 4 images

names:
  0: person
  1: 'traffic light'   # two words
  2: "caf\\u00e9 #1"
nc: 3
train:
- a/b
- "c: d"
both: ['it''s', "x, y", a #b
  , c]
map: {0: a b, "1": 'c'}
none:
download: |
  import os
  names: [not, this]
anchored: &a x
"""


def test_comments_quotes_and_forms() -> None:
    found = entries(TEXT)
    known = {name: value(found[name]) for name in found if name not in ("download", "anchored")}
    reference = yaml.load(TEXT, yaml.BaseLoader)
    assert {name: list(held) if isinstance(held, tuple) else held or "" for name, held in known.items()} == {
        name: held for name, held in reference.items() if name in known
    }
    assert known["names"] == {"0": "person", "1": "traffic light", "2": "café #1"}
    assert known["both"] == ("it's", "x, y", "a", "c")
    with pytest.raises(ValueError, match="line 18: expected one line"):
        value(found["download"])
    with pytest.raises(ValueError, match="line 20: expected a plain text"):
        value(found["anchored"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "line 2: 'a' is there more than once"),
        ("a: 1\nonly words", "line 2: expected NAME: VALUE"),
        ("  a: 1", "line 1: expected NAME: VALUE"),
        ("a: [b, [c]]", "another one in it"),
        ("a: [b", "expected ] at the end"),
        ("a: [b] c", "expected ] at the end"),
        ("a: {b}", "expected pairs"),
        ("a: ['b]", "not closed"),
        ("a: 'b' c", "in quotation marks"),
        ("a: b\n  c", "line 2: expected one line"),
        ("a:\n  - b\n  c: d", "line 3: expected another item"),
        ("a:\n  - b: c", "line 2: expected one text, found the pair"),
        ("a:\n  - - b", "line 2: expected a text"),
        ("a:\n  b: c\n    d: e", "line 3: expected all lines indented alike"),
        ("a:\n  b: c\n  b: d", "line 3: 'b' is there more than once"),
        ("a:\n  b:", "line 2: expected a text, found nothing"),
        ("a: !!python/object:os.system x", "expected a plain text"),
        ("a: *b", "expected a plain text"),
        ('a: "\\ud800"', "is no character"),
        ('a: "\\q"', "is no character"),
    ],
)
def test_what_is_not_plain_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        read(text)

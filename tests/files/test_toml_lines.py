"""The lines of keys in a TOML text, in every way in which a table can be written."""

from __future__ import annotations

import tomllib

import pytest

from prune_audit.files.toml_lines import Key, line_of, lines

TEXT = '''# [rules.not]
margin = 2  # points = 3
[rules.recall-drop]
limit = 3

[ rules . "harmed" ]
level = "off"
note = """
[rules.fake]
level = 'x'
"""
list = [
  1, # ]
  { reason = "[x" },
]
[[waivers]]
rule = 'recall-drop'
[[waivers]]
rule = "a # b"
reason = "say \\"[[waivers]]\\" twice"
class = 'c'
[rules]
accuracy-drop.limit = 4
collapsed = { level = "warn", limit = 5 }
[tool.prune-audit.rules.alpha]
limit = 1
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("margin",), 2),
        (("rules",), 3),
        (("rules", "recall-drop"), 3),
        (("rules", "recall-drop", "limit"), 4),
        (("rules", "harmed"), 6),
        (("rules", "harmed", "level"), 7),
        (("rules", "harmed", "list"), 12),
        (("waivers", 0), 16),
        (("waivers", 0, "rule"), 17),
        (("waivers", 1), 18),
        (("waivers", 1, "rule"), 19),
        (("waivers", 1, "class"), 21),
        (("rules", "accuracy-drop", "limit"), 23),
        (("rules", "collapsed", "limit"), 24),  # the inline table's own line
        (("tool", "prune-audit", "rules", "alpha", "limit"), 26),
        (("rules", "fake"), 3),  # of the innermost table there is
        (("nothing",), None),
    ],
)
def test_every_key_has_its_line(key: Key, line: int | None) -> None:
    tomllib.loads(TEXT)
    assert line_of(lines(TEXT), key) == line


def test_windows_ends_of_lines() -> None:
    assert line_of(lines("a = 1\r\n\r\n[b]\r\nc = 2\r\n"), ("b", "c")) == 4


def test_no_text_has_no_lines() -> None:
    assert lines("") == {}

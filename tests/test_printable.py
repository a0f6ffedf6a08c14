"""What does not show is spelled out, and nothing else is touched."""

from __future__ import annotations

import unicodedata

import pytest

from prune_audit.printable import lines, printable

# By the issue of the Unicode Standard: marks that no reader sees, or that turn what stands beside them round.
UNSEEN = (
    *range(0x20),
    *range(0x7F, 0xA1),
    0xAD,
    0x34F,
    0x61C,
    *range(0x115F, 0x1161),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0x2800,
    0x3164,
    0xD800,
    0xDFFF,
    *range(0xFE00, 0xFE10),
    0xFEFF,
    0xFFA0,
    0x1D173,
    0xE0001,
    *range(0xE0020, 0xE0080),
    *range(0xE0100, 0xE01F0),
)


@pytest.mark.parametrize("code", UNSEEN, ids=hex)
def test_what_does_not_show_is_spelled_out(code: int) -> None:
    shown = printable(f"a{chr(code)}b")
    assert shown[1] == "\\"
    assert shown.isascii()
    assert eval(f"'{shown}'") == f"a{chr(code)}b"  # as Python writes it


def test_whatever_has_a_format_of_its_own_is_spelled_out() -> None:
    """All that Unicode calls a control, a format, a surrogate, private, unassigned or a separator, not the blank."""
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs") and character != " ":
            assert printable(character) != character, hex(code)


@pytest.mark.parametrize("text", ["", "a b", "été", "猫 🐶", "a\\x1bb", "[bold]x[/]", "C:\\n", "=1+1", "نقطة"])
def test_what_shows_stays(text: str) -> None:
    assert printable(text) == lines(text) == text


def test_lines_keep_their_ends_alone() -> None:
    assert lines("a\nb\r\n\x85") == "a\nb\\r\n\\x85"
    assert printable("a\nb") == "a\\nb"

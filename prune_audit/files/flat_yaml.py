"""The plain part of YAML that descriptions of data sets are written in: names, and behind each one text, list or map.

It is read here by a grammar of its own, in which nothing is made and nothing run: no tags, anchors, or texts of several
lines. Of a file that uses them elsewhere the plain entries can still be had; one that is asked for and is not plain is
an error with its line. Values are texts as they are written, so that a class called ``no`` stays one. Grammar: YAML
1.2.2, sections 7.3 (scalars) and 7.4 (lists and maps in brackets), and 8.2 of one level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | tuple[str, ...] | dict[str, str] | None
_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#&*!|>%@`"'\[\]{},:?-][^#\[\]{},:]*?)\s*:(?=\s|$)""")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^']|'')*'", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "e": "\x1b", "a": "\a", "b": "\b", "f": "\f", "v": "\v"} | {
    same: same for same in '\\"/ '
}
_NONE = ("", "~", "null", "Null", "NULL")
_SPECIAL = "&*!|>%@`"  # what begins an anchor, alias, tag, text of several lines, directive, or nothing at all


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands behind a name: its ``lines``, the first of them without the name, from line ``number`` on."""

    number: int
    lines: tuple[str, ...]


def entries(text: str) -> Mapping[str, Entry]:
    """Name -> what stands behind it, of the names that begin a line of ``text``.

    Raises:
        ValueError: a line is neither behind a name nor begins with one, or a name is there twice.
    """
    found: dict[str, tuple[int, list[str]]] = {}
    last: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("---", "...", "%")) and last is None:
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            if last is not None:
                last.append("")
            continue
        if line[0] in " \t" or (line.startswith(("- ", "]", "}")) or line == "-"):
            if last is None:
                raise ValueError(f"line {number}: expected NAME: VALUE, found {line.strip()[:40]!r}")
            last.append(line)
            continue
        key = _KEY.match(line)
        if key is None:
            raise ValueError(f"line {number}: expected NAME: VALUE, found {line.strip()[:40]!r}")
        name = _scalar(key[1], number) or ""
        if name in found:
            raise ValueError(f"line {number}: {name!r} is there more than once")
        last = [line[key.end() :]]
        found[name] = (number, last)
    return {name: Entry(number, tuple(lines)) for name, (number, lines) in found.items()}


def value(entry: Entry) -> Value:
    """What ``entry`` holds: a text, a list or map of texts, or None.

    Raises:
        ValueError: it is none of these, or is written in a way that is not read here.
    """
    first = _bare(entry.lines[0]).strip()
    rest = [(entry.number + at, _bare(line)) for at, line in enumerate(entry.lines[1:], 1)]
    rest = [(number, line) for number, line in rest if line.strip()]
    if first[:1] in ("[", "{"):
        return _bracketed("\n".join([first, *(line for _, line in rest)]), entry.number)
    if first:
        if rest:
            raise ValueError(f"line {rest[0][0]}: expected one line, found a text of several")
        return _scalar(first, entry.number)
    if not rest:
        return None
    depth = len(rest[0][1]) - len(rest[0][1].lstrip(" "))
    for number, line in rest:
        if len(line) - len(line.lstrip()) != depth or "\t" in line[:depth]:
            raise ValueError(f"line {number}: expected all lines indented alike")
    lines = [(number, line.strip()) for number, line in rest]
    if lines[0][1][:1] in ("[", "{"):
        return _bracketed("\n".join(line for _, line in lines), entry.number)
    if lines[0][1] == "-" or lines[0][1].startswith("- "):
        items = []
        for number, line in lines:
            if line != "-" and not line.startswith("- "):
                raise ValueError(f"line {number}: expected another item of the list, found {line[:40]!r}")
            items.append(_plain(line[1:].strip(), number))
        return tuple(items)
    pairs = []
    for number, line in lines:
        key = _KEY.match(line)
        if key is None:
            raise ValueError(f"line {number}: expected NAME: VALUE, found {line[:40]!r}")
        pairs.append((_plain(key[1], number), _plain(line[key.end() :].strip(), number), number))
    return _mapped(pairs)


def _bare(line: str) -> str:
    """``line`` without the comment at its end, which a blank parts from what stands before it."""
    at = 0
    while at < len(line):
        if line[at] in "\"'" and (at == 0 or line[at - 1] in " \t[{,:"):
            quoted = _QUOTED.match(line, at)
            at = quoted.end() if quoted else len(line)
        elif line[at] == "#" and (at == 0 or line[at - 1] in " \t"):
            return line[:at].rstrip()
        else:
            at += 1
    return line.rstrip()


def _bracketed(text: str, number: int) -> Value:
    """A list or a map in brackets, on one line or several, of texts alone."""
    opening, closing = text[0], {"[": "]", "{": "}"}[text[0]]
    items: list[list[str]] = [[]]  # of each its texts: one, or two of a pair
    at, part, closed = 1, "", False

    def end() -> None:
        nonlocal part
        items[-1].append(part.strip())
        part = ""

    while at < len(text):
        letter = text[at]
        if letter in "\"'" and not part.strip():
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                raise ValueError(f"line {number}: a quotation mark is not closed")
            part, at = quoted[0], quoted.end()
            continue
        if letter == closing:
            closed = True
            break
        if letter == ",":
            end()
            items.append([])
        elif letter == ":" and opening == "{" and (text[at + 1 : at + 2] in ("", " ", "\n") or part[:1] in "\"'"):
            end()
        elif letter in "[]{}":
            raise ValueError(f"line {number}: expected a list or map of single texts, found another one in it")
        else:
            part += " " if letter == "\n" else letter
        at += 1
    if not closed or text[at + 1 :].strip():
        raise ValueError(f"line {number}: expected {closing} at the end")
    if part.strip() or items[-1]:
        end()
    items = [each for each in items if each]
    if opening == "[":
        return tuple(_plain(each[0], number) for each in items)
    if any(len(each) != 2 for each in items):
        raise ValueError(f"line {number}: expected pairs NAME: VALUE within the braces")
    return _mapped([(_plain(name, number), _plain(told, number), number) for name, told in items])


def _mapped(pairs: Sequence[tuple[str, str, int]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, told, number in pairs:
        if name in found:
            raise ValueError(f"line {number}: {name!r} is there more than once")
        found[name] = told
    return found


def _plain(text: str, number: int) -> str:
    """The one text that ``text`` writes, which is there."""
    found = _scalar(text, number)
    if found is None:
        raise ValueError(f"line {number}: expected a text, found nothing")
    if text[0] in "[{" or text.startswith("- "):
        raise ValueError(f"line {number}: expected a text, found {text[:40]!r}")
    if text[0] not in "\"'" and re.search(r":(\s|$)", text):
        raise ValueError(f"line {number}: expected one text, found the pair {text[:40]!r}")
    return found


def _scalar(text: str, number: int) -> str | None:
    """The text that ``text`` writes, without its quotation marks; None for null."""
    if text in _NONE:
        return None
    if text[0] in "\"'":
        quoted = _QUOTED.fullmatch(text)
        if quoted is None:
            raise ValueError(f"line {number}: expected a text in quotation marks, found {text[:40]!r}")
        return text[1:-1].replace("''", "'") if text[0] == "'" else _ESCAPE.sub(_escaped, text[1:-1])
    if text[0] in _SPECIAL:
        raise ValueError(f"line {number}: expected a plain text, found {text[:40]!r}")
    return text


def _escaped(found: re.Match[str]) -> str:
    told = found[1]
    if len(told) > 1:
        code = int(told[1:], 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(f"\\{told} is no character")
        return chr(code)
    if told not in _ESCAPES:
        raise ValueError(f"\\{told} is no character")
    return _ESCAPES[told]

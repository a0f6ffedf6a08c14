"""Standard output and error while a command runs: whatever is written to them is shown, and nothing in it is obeyed.

Our own reports go through `prune_audit.render.consoles`, but libraries warn, and what a factory or a model prints is up
to whoever made it. All of it passes here: control characters are spelled out, for a terminal's sake, and so are marks
of commands, for a job's. GitHub's runner takes a line for a command that begins with ``::`` after any blanks, or that
holds ``##[`` anywhere (ActionCommand.cs of actions/runner), and Azure's and TeamCity's take ``##vso[`` and
``##teamcity[``. These are broken everywhere and not in jobs alone, so that a log says the same wherever it was written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TextIO, cast

from prune_audit.printable import lines

_CODE = r"\x1b\[[0-9;?]*[A-Za-z]"  # what a console writes for colours and to move about
_COMMAND = re.compile(rf"^(?:\s|{_CODE})*:(?:{_CODE})*(:)|##(?:vso|teamcity)?(\[)")
_LONGEST = 32  # characters of a line that may still become part of a mark


class Shown:
    """A stream to whatever is ``beneath``, in which foreign text does nothing."""

    def __init__(self, beneath: TextIO) -> None:
        if isinstance(beneath, TextIOWrapper):
            beneath.reconfigure(errors="backslashreplace")  # an ASCII log shows names spelled out, not a traceback
        self.beneath = beneath
        self._line = ""  # what may still become part of a mark, of the line that is being written

    def write(self, text: str) -> int:
        """Write ``text`` so that it shows."""
        self.pass_on(lines(text))
        return len(text)

    def pass_on(self, text: str) -> None:
        """Write ``text`` of a console, which has spelled out what does not show, with its codes."""
        self.beneath.write("".join(self._parts(text)))

    def writelines(self, texts: Iterable[str]) -> None:
        """Write each of ``texts``."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.beneath, name)

    def _parts(self, text: str) -> Iterator[str]:
        """The lines of ``text``, in which no mark of a command is left; the first goes on with the present line."""
        for part in re.split(r"([\n\r])", text):
            if part in ("\n", "\r"):
                self._line = ""
                yield part
                continue
            before = self._line
            # Blanks do not keep the runner from looking.
            whole = before + (part if before else part.lstrip())
            said = list(whole)
            for mark in _COMMAND.finditer(whole):
                end = mark.end() - 1
                said[end] = f"\\u{ord(whole[end]):04x}"  # as Python, JSON and TOML read it
            yield part[: len(part) - (len(whole) - len(before))] + "".join(said[len(before) :])
            line = "".join(said)
            # What is left out between is no part of any mark.
            self._line = line if len(line) <= 2 * _LONGEST else f"{line[:_LONGEST]}\0{line[-_LONGEST:]}"


def guard() -> None:
    """Have everything that is written to standard output and error shown from now on."""
    sys.stdout, sys.stderr = (
        stream if isinstance(stream, Shown) else cast(TextIO, Shown(stream)) for stream in (sys.stdout, sys.stderr)
    )


@contextmanager
def guarded() -> Iterator[None]:
    """Have everything that is written to standard output and error shown."""
    before = sys.stdout, sys.stderr
    guard()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def open_to_help() -> Iterator[None]:
    """Have Typer's help in colour, which is all our own text."""
    before = sys.stdout
    sys.stdout = beneath(before)
    try:
        yield
    finally:
        sys.stdout = before


class ForConsole:
    """A stream for a console of ours: its codes pass, marks of commands do not."""

    def __init__(self, stream: TextIO) -> None:
        self._shown = stream if isinstance(stream, Shown) else Shown(stream)

    def write(self, text: str) -> int:
        """Write ``text``, in which a console has spelled out what does not show."""
        self._shown.pass_on(text)
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._shown.beneath, name)


def document(text: str) -> None:
    """Write ``text``, a report, to standard output, so that it shows. Its no-break spaces are meant, and its ends of
    lines are the system's own."""
    shown = "\xa0".join(lines(part) for part in text.replace("\r\n", "\n").split("\xa0"))
    ForConsole(sys.stdout).write(shown if shown.endswith("\n") else f"{shown}\n")


def command(line: str, stream: TextIO | None = None) -> None:
    """Write ``line`` to ``stream``, which is standard output unless given, for the runner to obey."""
    beneath(stream or sys.stdout).write(line)


def beneath(stream: TextIO) -> TextIO:
    """``stream`` without a guard."""
    return stream.beneath if isinstance(stream, Shown) else stream

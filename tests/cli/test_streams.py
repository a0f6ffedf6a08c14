"""Nothing that is written to standard output or error is obeyed, by a terminal or by the runner of a job."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest

from prune_audit.cli import _streams, invoke
from tests.conftest import ROOT

COMMANDS = [
    "::error::x",
    "  \t ::add-mask::x",
    "::set-output name=a::b",
    "\xa0::error::x",
    "\u200b::error::x",
    ":\ufe0f:error::x",
    "a ##[error]x",
    "##[add-path]/tmp",
    "##vso[task.setvariable variable=a]b",
    "##teamcity[message text=a]",
    "\r::error::x",
    "a\r::error::x",
    "a\n::error::x",
]


def heard(log: str) -> list[str]:
    """What GitHub's runner takes for a command (TryParseV2 and TryParse), and what those of others take for one.

    A comparison of cultures passes over what has no weight, so that is taken out first.
    """
    found = []
    for line in re.split("\r\n|\r|\n", log):
        seen = re.sub("[\x00-\x08\x0e-\x1f\xad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff]", "", line)
        if seen.lstrip().startswith("::") or re.search(r"##(vso|teamcity)?\[", seen):
            found.append(line)
    return found


@pytest.mark.parametrize("text", COMMANDS)
@pytest.mark.parametrize("pieces", [1, 2, 1000])
def test_no_line_is_a_command_however_it_is_written(text: str, pieces: int) -> None:
    assert heard(text)  # the runner would obey it
    out = io.StringIO()
    stream = _streams.Shown(out)
    size = max(1, len(text) // pieces)
    for start in range(0, len(text), size):
        stream.write(text[start : start + size])
    stream.write("\n")
    assert not heard(out.getvalue())
    assert out.getvalue().replace("\n", "").isprintable()


def test_a_console_passes_its_codes_and_no_command() -> None:
    out = io.StringIO()
    stream = _streams.ForConsole(_streams.Shown(out))  # type: ignore[arg-type]  # a stream for all that it does
    stream.write("\x1b[1m::error::x\x1b[0m ##[error]\n  :")
    stream.write("\x1b[1m:\x1b[0mwarning::\n")
    assert out.getvalue() == ("\x1b[1m:\\u003aerror::x\x1b[0m ##\\u005berror]\n  :\x1b[1m\\u003a\x1b[0mwarning::\n")


def test_a_console_goes_on_with_the_line_that_somebody_began() -> None:
    out = io.StringIO()
    stream = _streams.Shown(out)
    stream.write(" :")
    _streams.ForConsole(stream).write(":error::x\n")  # type: ignore[arg-type]  # likewise
    assert out.getvalue() == " :\\u003aerror::x\n"


@pytest.mark.parametrize(
    "text", ["a::b", "a ::", ": :", "std::vector", "# [x]", "#[x]", "a" * 500 + "##", "", "\n\n", "é\n"]
)
def test_whatever_is_no_command_stays(text: str) -> None:
    out = io.StringIO()
    stream = _streams.Shown(out)
    stream.write(text)
    stream.writelines(["x", "y\n"])
    assert out.getvalue() == f"{text}xy\n"


SAYS = """
import logging, sys, threading, warnings
from prune_audit.cli import _streams

evil = "\\x1b]0;title\\x07\\u202e\\n::error::x"

def fails():
    raise ValueError(evil)

class Odd:
    def __del__(self):
        raise ValueError(evil)

def say():
    print(evil)
    print(evil, file=sys.stderr)
    logging.getLogger(evil).warning(evil)
    warnings.warn(evil)
    thread = threading.Thread(target=fails, name=evil)
    thread.start()
    thread.join()
    Odd()

if sys.argv[1:]:
    _streams.guard()
say()
fails()
"""


def said(*arguments: str) -> str:
    command = [sys.executable, "-c", SAYS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_what_libraries_and_python_say_is_shown() -> None:
    assert len(heard(said())) >= 7
    told = said("guarded")
    assert not heard(told)
    assert told.replace("\n", "").isprintable()
    assert told.count("\\x1b]0;title\\x07\\u202e") >= 7


def test_streams_are_what_they_were_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with _streams.guarded():
        inner = sys.stdout
        with _streams.guarded():
            assert sys.stdout is inner
    assert (sys.stdout, sys.stderr) == before


def test_an_error_of_the_command_line_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", "a\x1b[2J\n::error::x", "b", "--data", "c"]) == 2
    assert invoke(["compare\x1b[2J\n::error::x"]) == 2
    assert invoke(["compare", "--no\x1b[2J\n::error::x"]) == 2
    told = capsys.readouterr()
    assert not heard(told.err)
    assert len(re.findall(r"\\x1b\[2J\\(n|x0a)::error::x", told.err)) == 3
    assert told.err.replace("\n", "").isprintable()


def test_a_fault_shows_what_it_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from prune_audit.cli import _app

    def broken(asked: str) -> None:
        raise RuntimeError("a\x1b[2J\n ::error::x")

    monkeypatch.setattr(_app, "build", broken)
    monkeypatch.setenv("PRUNE_AUDIT_DEBUG", "1")
    assert invoke(["list"]) == 2
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert not heard(told)
    assert told.replace("\n", "").isprintable()


def test_help_is_in_colour_on_a_terminal() -> None:
    """Typer writes it by itself, and its codes are not spelled out."""
    code = "from prune_audit.cli import main; import sys; sys.argv = ['prune-audit', 'list', '--help']; main()"
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "\x1b[1m" in done.stdout
    assert "\\x1b" not in done.stdout

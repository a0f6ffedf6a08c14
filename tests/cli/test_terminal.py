"""Consoles, errors and progress: widths, colours, and nothing taken for markup."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from prune_audit.cli import _terminal
from tests.reports import audits


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)


def test_a_pipe_is_wide(capsys: pytest.CaptureFixture[str]) -> None:
    assert _terminal.console().width == 120


@pytest.mark.parametrize("term", ["dumb", "xterm", ""])
def test_columns_are_honoured_even_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "173")
    console = _terminal.console()
    assert console.width == console.options.max_width == 173


@pytest.mark.parametrize("columns", ["", "0", "-3", "many"])
def test_columns_that_make_no_sense_are_passed_over(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setenv("COLUMNS", columns)
    assert _terminal.console().width == 120


@pytest.mark.parametrize(("columns", "width"), [(93, 93), (0, 120)])
def test_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, columns: int, width: int) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: os.terminal_size((columns, 24)))
    monkeypatch.setattr(Screen, "fileno", lambda self: 1, raising=False)
    monkeypatch.setattr(sys, "stdout", Screen())
    assert _terminal.console().width == width


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], coloured: bool) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _terminal.fail("a", "b")
    assert ("\x1b[1;31m" in screen.getvalue()) == coloured


def test_errors_are_literal_and_never_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    _terminal.fail("[bold]class[/] [x]: " + "long " * 60 + ":smile:", "give [/another]")
    assert capsys.readouterr() == ("", f"error: [bold]class[/] [x]: {'long ' * 60}:smile:\nhint: give [/another]\n")


def test_an_ascii_stream_spells_out_what_it_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    _terminal.fail("katze für \udcff", "ü")
    sys.stderr.flush()
    assert raw.getvalue() == b"error: katze f\\xfcr \\udcff\nhint: \\xfc\n"


def test_an_audit_on_an_ascii_stream_has_no_box_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    _terminal.deliver(audits.ten(), [], show_all=False, quiet=False, verbose=False)
    sys.stdout.flush()
    assert b"pruned-90 against dense -----" in raw.getvalue()
    assert b"\\u" not in raw.getvalue()


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with _terminal.progress(quiet=False) as stage:
        stage("evaluating")(1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_is_a_bar_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with _terminal.progress(quiet=quiet) as stage:
        told = stage("evaluating")
        told(3, 8)
    assert ("evaluating" in screen.getvalue()) == (not quiet)
    assert ("3/8" in screen.getvalue()) == (not quiet)
    assert capsys.readouterr().out == ""


def test_deliver_writes_files_prints_the_table_and_gives_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = _terminal.deliver(audits.judged(), [tmp_path / "a.csv"], show_all=False, quiet=False, verbose=True)
    told = capsys.readouterr()
    assert code == 1
    assert (tmp_path / "a.csv").is_file()
    assert "FAILED" in told.out
    assert "batch_size: 64" in told.err
    assert _terminal.deliver(audits.judged("passed"), [], show_all=False, quiet=True, verbose=False) == 0
    assert capsys.readouterr() == ("", "")

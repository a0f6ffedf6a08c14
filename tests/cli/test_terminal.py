"""Consoles, errors and progress: widths, colours, and nothing taken for markup."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from prune_audit.cli import _terminal
from prune_audit.errors import OutputError
from tests.reports import audits


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "CI", "GITHUB_STEP_SUMMARY"):
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
    assert b"====--" in raw.getvalue()


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with _terminal.progress("auto", quiet=False) as stage:
        stage("evaluating")(1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_is_a_bar_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with _terminal.progress("auto", quiet=quiet) as stage:
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


def test_a_chart_that_the_audit_has_nothing_for_does_not_hide_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / name for name in ("changes.png", "recalls.svg", "a.csv")]
    assert _terminal.deliver(audits.judged(), paths, show_all=False, quiet=True, verbose=False) == 1
    assert [path.exists() for path in paths] == [False, True, True]
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith(f"note: {paths[0]} was not written: this audit has nothing for the chart 'changes': ")
    assert "(it has recalls" in note


# ------------------------------------------------------------------------------------------------------------- GitHub


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that GitHub names for the summary of a step."""
    file = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    return file


def deliver(*, github: bool = False, quiet: bool = True) -> int:
    return _terminal.deliver(audits.biting(), [], show_all=False, quiet=quiet, verbose=False, github=github)


@pytest.mark.parametrize(("github", "ci", "written"), [(True, "", True), (False, "true", True), (False, "", False)])
def test_the_summary_of_a_job_is_written_on_request_and_in_ci(
    summary: Path, monkeypatch: pytest.MonkeyPatch, github: bool, ci: str, written: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    deliver(github=github)
    assert summary.is_file() == written
    if written:
        assert summary.read_text(encoding="utf-8").startswith("### ❌ prune-audit: ")


def test_nothing_is_written_where_there_is_no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert deliver(github=True) == 1


def test_a_summary_is_added_to_and_never_overfilled(
    summary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(github=True)
    size = summary.stat().st_size
    deliver(github=True)
    assert summary.stat().st_size == 2 * size
    monkeypatch.setattr(_terminal, "SUMMARY", 3 * size - 1)
    capsys.readouterr()
    deliver(github=True)
    assert summary.stat().st_size == 2 * size
    assert "is full" in capsys.readouterr().err


def test_a_summary_that_cannot_be_written_is_said(summary: Path) -> None:
    summary.mkdir()
    with pytest.raises(OutputError, match="GITHUB_STEP_SUMMARY="):
        deliver(github=True)


def test_annotations_follow_the_table_on_request_alone(capsys: pytest.CaptureFixture[str]) -> None:
    deliver(github=True)
    assert all(line.startswith("::error title=") for line in capsys.readouterr().out.splitlines())
    deliver(quiet=False)
    assert "::error title=" not in capsys.readouterr().out


def test_no_line_of_the_table_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """One of the classes is called ``::error::x``."""
    deliver(github=True, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(":\\u003aerror::x") for line in lines)
    heard = [line for line in lines if line.lstrip().startswith("::")]
    assert heard
    assert all(line.startswith("::error title=") for line in heard)
    assert lines[-len(heard) :] == heard


def test_a_line_that_is_printed_above_bars_shows_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with _terminal.progress("auto", quiet=False) as stage:
        stage("evaluating [bold]\x1b[31m\u202e::x")(1, 2)
        _terminal.note("note: part\r\x1b]8;;http://x\x1b\\ is damaged")
    assert "[bold]\\x1b[31m\\u202e::x" in screen.getvalue()
    assert "note: part\\r\\x1b]8;;http://x\\x1b\\ is damaged" in screen.getvalue()
    assert "\x1b]8" not in screen.getvalue()
    _terminal.note("after the bars")
    assert screen.getvalue().endswith("after the bars\n")


def test_an_error_is_two_lines_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    _terminal.fail("no class a\nhint: run this\r\x1b[2J", "give\n##[error]b\u2028c")
    told = capsys.readouterr().err
    assert told == "error: no class a\\nhint: run this\\r\\x1b[2J\nhint: give\\n##\\u005berror]b\\u2028c\n"


def test_a_dialect_reaches_the_file(tmp_path: Path) -> None:
    _terminal.deliver(
        audits.biting(), [tmp_path / "a.csv"], show_all=False, quiet=True, verbose=False, dialects={"csv": "excel"}
    )
    assert "'=1+1" in (tmp_path / "a.csv").read_text(encoding="utf-8")

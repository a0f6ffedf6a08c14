"""Whatever a console prints is shown, in lines of our own making."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text as RichText

from prune_audit.render.consoles import Console, Text

EVIL = "a\x1b[2J\r\u202eb\u200b\x9bc"
SHOWN = "a\\x1b[2J\\r\\u202eb\\u200b\\x9bc"


def console(*, colours: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(out, 60, 20, colours=colours), out


@pytest.mark.parametrize("made", [Text, str])
def test_a_text_is_one_line_that_shows_all(made: type[Text] | type[str]) -> None:
    printer, out = console()
    printer.print(made(f"note: {EVIL}\nerror: x [bold]y[/] :smile:"))
    # Of a text that is none of ours, rich itself drops what returns the carriage.
    shown = SHOWN if made is Text else SHOWN.replace("\\r", "")
    assert "".join(out.getvalue().split()) == "".join(f"note: {shown}\\nerror: x [bold]y[/] :smile:".split())


def test_a_table_has_room_for_what_is_spelled_out() -> None:
    printer, out = console()
    table = Table.grid(padding=(0, 1))
    table.add_row(Text(EVIL), Text("end"))
    table.add_row(Text("a"), Text("end"))
    printer.print(table)
    first, second = out.getvalue().splitlines()
    assert first.startswith(SHOWN)
    assert first.index("end") == second.index("end") > len(SHOWN)


def test_text_from_elsewhere_is_looked_at_too() -> None:
    """Rich makes texts of its own: titles, rules, whatever a later change brings."""
    printer, out = console()
    table = Table("head\u202e", title="t\x1b]0;x")
    table.add_row(RichText("cell\u2066"), "plain\x9b")
    printer.print(table)
    assert out.getvalue().replace("\n", "").isprintable()
    assert "t\\x1b]0;x" in out.getvalue()


def test_colours_are_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    printer, out = console(colours=True)
    printer.print(Text("error: ", "bold red").also("\x1b[32mgreen\nx", "dim"))
    assert out.getvalue().count("\x1b[") == out.getvalue().count("m\\x1b[32m") + 3
    assert "\\x1b[32mgreen\\nx" in out.getvalue()

"""What people see: consoles, the progress bar, errors, and an audit delivered.

Standard output holds reports alone; progress, errors and asides go to standard error. Text is never taken for markup,
since class names may hold brackets. Widths are set here, because rich falls back to 80 columns in a pipe or a dumb
terminal, and ignores a width that comes without a height.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

from rich.console import Console

if TYPE_CHECKING:
    from prune_audit.core import Audit

WIDE = 120  # columns where nothing says how many there are: a file, a pipe, a log of CI
HEIGHT = 50  # of no consequence, since nothing here is paged

Progress: TypeAlias = Callable[[int, int], None]


def console() -> Console:
    """The console of standard output. NO_COLOR, FORCE_COLOR, TERM=dumb and COLUMNS are honoured."""
    return _console(sys.stdout)


@contextmanager
def printing() -> Iterator[Console]:
    """The console of standard output; what it prints comes out at the end, without blanks at the ends of lines."""
    out = console()
    with out.capture() as capture:
        yield out
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def stderr() -> Console:
    """The console of standard error."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # an ASCII log shows names spelled out, not a traceback
    return Console(file=stream, width=_width(stream), height=HEIGHT, markup=False, emoji=False, highlight=False)


def _width(stream: TextIO) -> int:
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal, or no file behind the stream
        return WIDE
    return columns or WIDE  # some terminals of CI say 0


def fail(message: str, hint: str) -> None:
    """Print an error and its hint to standard error, unwrapped, so that paths can be copied and searched for."""
    from rich.text import Text

    out = stderr()
    out.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    out.print(Text.assemble(("hint: ", "bold"), hint), soft_wrap=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str], Progress]]:
    """Bars on standard error: what is yielded takes the name of a stage and gives a callback of (done, total).

    Nothing is drawn where standard error is no terminal, or on request.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    out = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as bars:

        def stage(name: str) -> Progress:
            task = bars.add_task(name, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield stage


def deliver(audit: Audit, paths: Sequence[Path], *, show_all: bool, quiet: bool, verbose: bool) -> int:
    """Write ``audit`` to ``paths``, print its table, and return its exit code.

    Files come first: whoever reads the table may stop reading, which ends the program.
    """
    from prune_audit import reports
    from prune_audit.reports import table

    for path in paths:
        reports.write(audit, path)
    if verbose:
        facts = {**audit.provenance.run, **audit.provenance.versions}
        for name, value in facts.items():
            stderr().print(f"{name}: {value}", soft_wrap=True)
    if not quiet:
        sys.stdout.write(table.text(audit, console(), show_all=show_all))
    return audit.exit_code

"""What people see: consoles, the progress bar, errors, and an audit delivered.

Standard output holds reports alone; progress, errors and asides go to standard error. Text is never taken for markup,
since class names may hold brackets. Widths are set here, because rich falls back to 80 columns in a pipe or a dumb
terminal, and ignores a width that comes without a height.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO, TypeAlias

from rich.console import Console

if TYPE_CHECKING:
    from prune_audit.core import Audit

WIDE = 120  # columns where nothing says how many there are: a file, a pipe, a log of CI
SUMMARY = 1024 * 1024 - 1024  # bytes of a step's summary that GitHub takes, and some to spare
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


def in_bytes(size: int) -> str:
    """A size in decimal units, as shops and file managers count."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:,} bytes"


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


def deliver(
    audit: Audit,
    paths: Sequence[Path],
    *,
    show_all: bool,
    quiet: bool,
    verbose: bool,
    github: bool = False,
    dialects: Mapping[str, str] = MappingProxyType({}),
    log: Sequence[str] = (),
    files_alone: bool = False,
) -> int:
    """Write ``audit`` to ``paths`` and to the services ``log``, print its table, and return its exit code.

    Files come first: whoever reads the table may stop reading, which ends the program. One that is to be a chart which
    the audit has nothing for is left out, and named on standard error, since the exit code is the verdict's; where
    there are ``files_alone`` to be had, it is an error once the others are written. ``github`` adds annotations to
    standard output; with it, or anywhere in CI, the job's summary is written where GitHub says that there is one.

    Raises:
        NothingToDraw: as said above.
        OutputError: a file cannot be written, or a service cannot be reached.
    """
    from prune_audit import logs, reports
    from prune_audit.charts import NothingToDraw
    from prune_audit.reports import github as annotations
    from prune_audit.reports import table

    absent: list[tuple[Path, NothingToDraw]] = []
    for path in paths:
        try:
            reports.write(audit, path, dialects)
        except NothingToDraw as reason:
            absent.append((path, reason))
    if absent and files_alone:
        raise absent[0][1]
    for path, nothing in absent:
        stderr().print(f"note: {path} was not written: {nothing.message} ({nothing.hint})", soft_wrap=True)
    if log:
        for told in logs.log(audit, log, {name: reports.content(audit, name) for name in logs.FILES}):
            stderr().print(told, soft_wrap=True)
    if verbose:
        facts = {**audit.provenance.run, **audit.provenance.versions}
        for name, value in facts.items():
            stderr().print(f"{name}: {value}", soft_wrap=True)
    if github or os.environ.get("CI"):
        _summarise(audit)
    if not quiet:
        told = table.text(audit, console(), show_all=show_all)
        sys.stdout.write(_unheard(told) if github else told)
    if github:
        sys.stdout.write(annotations.render(audit))
    return audit.exit_code


def _unheard(text: str) -> str:
    """``text`` with the runner told not to look for commands in it: a class may be called ``::add-mask::``."""
    token = secrets.token_hex(16)  # that no name can foresee
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def _summarise(audit: Audit) -> None:
    """Add the audit to the job's summary, where GitHub names a file for that and there is room in it.

    GitHub drops the summary of a step whole where it is too large, without a word.
    """
    from prune_audit.errors import OutputError
    from prune_audit.reports import markdown

    named = os.environ.get("GITHUB_STEP_SUMMARY")
    if not named:
        return
    content = markdown.render(audit).encode("utf-8", "backslashreplace") + b"\n"
    try:
        with Path(named).open("ab") as file:
            if file.tell() + len(content) > SUMMARY:
                stderr().print("the summary of this step is full; this audit is not in it", soft_wrap=True)
            else:
                file.write(content)
    except OSError as error:
        raise OutputError(
            f"GITHUB_STEP_SUMMARY={named}: {error.strerror or error}", hint="unset the variable, or name another file"
        ) from error

"""What people see: consoles, the progress bar, errors, and an audit delivered.

Standard output holds reports alone; progress, errors and asides go to standard error. Text is shown and never obeyed
(`prune_audit.render.consoles`, `prune_audit.cli._streams`). Widths are set here, because rich falls back to 80 columns
in a pipe or a dumb terminal, and ignores a width that comes without a height.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO, TypeAlias, cast

from prune_audit import choices
from prune_audit.cli import _streams
from prune_audit.printable import printable
from prune_audit.render.consoles import Console, Text

if TYPE_CHECKING:
    from prune_audit.core import Audit

WIDE = 120  # columns where nothing says how many there are: a file, a pipe, a log of CI
SUMMARY = 1024 * 1024 - 1024  # bytes of a step's summary that GitHub takes, and some to spare
HEIGHT = 50  # of no consequence, since nothing here is paged
_DRAWING: list[Console] = []  # on which bars are drawn

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
    out.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def stderr() -> Console:
    """The console of standard error; that of the bars while they are drawn, which keeps other lines above them."""
    return _DRAWING[-1] if _DRAWING else _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    return Console(cast(TextIO, _streams.ForConsole(stream)), _width(stream), HEIGHT)


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
    out = stderr()
    out.print(Text().also("error: ", "bold red").also(message), soft_wrap=True)
    out.print(Text().also("hint: ", "bold").also(hint), soft_wrap=True)


def note(line: str) -> None:
    """Print an aside to standard error, unwrapped."""
    stderr().print(Text(line), soft_wrap=True)


@contextmanager
def progress(how: choices.Progress, *, quiet: bool) -> Iterator[Callable[[str], Progress]]:
    """Bars on standard error: what is yielded takes the name of a stage and gives a callback of (done, total).

    Nothing is drawn where standard error is no terminal, colours or not, or on request; ``plain`` gives lines anywhere.
    """
    if how == "plain" and not quiet:
        yield _lines
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    out = stderr()
    name_of_stage = TextColumn("{task.description}", markup=False)
    columns = (name_of_stage, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = quiet or how != "auto" or not (out.is_terminal and sys.stderr.isatty())
    # Not redirected: rich would take the codes in what libraries print for colours and links.
    bars = Bars(*columns, console=out, transient=True, disable=hidden, redirect_stdout=False, redirect_stderr=False)

    with bars, _drawing_on(out):

        def stage(name: str) -> Progress:
            task = bars.add_task(printable(name), total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield stage


def _lines(stage: str) -> Progress:
    """The progress of a ``stage`` as a line at every tenth of it."""
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        tenths = 10 * done // total if total else 0
        if tenths > told:
            told = tenths
            note(f"{stage}: {10 * tenths} %, {done:,} of {total:,}")

    return tell


@contextmanager
def _drawing_on(console: Console) -> Iterator[None]:
    _DRAWING.append(console)
    try:
        yield
    finally:
        _DRAWING.pop()


def deliver(
    audit: Audit,
    paths: Sequence[Path],
    *,
    show_all: bool,
    quiet: bool,
    verbose: bool,
    github: bool = False,
    printed: str | None = None,
    dialects: Mapping[str, str] = MappingProxyType({}),
    log: Sequence[str] = (),
    files_alone: bool = False,
    saved: Path | None = None,
    brief: bool = False,
) -> int:
    """Write ``audit`` to ``paths`` and to the services ``log``, print its table, and return its exit code.

    Files come first: whoever reads the table may stop reading, which ends the program. One that is to be a chart which
    the audit has nothing for is left out, and named on standard error, since the exit code is the verdict's; where
    there are ``files_alone`` to be had, it is an error once the others are written. ``printed`` is the format in which
    standard output takes the audit, in place of the table. ``github`` adds annotations to standard output, or to
    standard error where that is taken; with it, or anywhere in CI, the job's summary is written where GitHub says that
    there is one. ``saved`` is where the audit lies as JSON already, where none of ``paths`` is such a file. ``brief``
    prints what a job needs that judges, unless ``show_all`` asks for all.

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
            if not quiet:
                note(f"wrote {path}")
            if reports.lists_flips(path):
                for each in audit.comparisons:
                    if len(each.flips) < each.flipped:
                        note(
                            f"note: of the {each.flipped:,} flipped samples of {each.pruned.name}, {path} lists "
                            f"{len(each.flips)}: the audit holds no more (compare -o flips.csv, or --flips N)"
                        )
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
    if printed is not None:
        text, obeyed = reports.text(audit, printed, dialects)
        (_streams.command if obeyed else _streams.document)(text)
    elif not quiet:
        with printing() as out:
            lies = next((path for path in paths if path.suffix.lower() == ".json"), saved)
            shown = table.renderable(audit, show_all=show_all, saved=str(lies) if lies else None, brief=brief)
            out.print(shown, crop=False)
    if github:
        _streams.command(annotations.render(audit), sys.stdout if printed is None else sys.stderr)
    return audit.exit_code


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

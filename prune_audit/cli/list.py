"""prune-audit list: what there is to choose from, and what each of it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.cli import _completion as complete

if TYPE_CHECKING:
    from rich.console import Console

    from prune_audit.core import Measure

READABLE = 100  # columns: longer lines of prose lose the eye
INDENT = 4


def run(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="Kind of plugin: models, data, stats, rules, reports, charts, lenses, pruning, mitigations, tasks, "
            "runners or logs.",
            autocompletion=complete.kinds,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One of that kind, told in full.", autocompletion=complete.of_kind),
    ] = None,
    long: Annotated[
        bool,
        typer.Option(
            "--long", "-l", help="Say in full what each means, with its options; of statistics, the columns they give."
        ),
    ] = False,
) -> None:
    """List the plugins of every kind: model and data formats, statistics, rules, reports, charts, and so on.

    Example: prune-audit list stats --long

    Example: prune-audit list rules harmed
    """
    from prune_audit import plugins, spelling
    from prune_audit.cli import _terminal
    from prune_audit.errors import UsageError
    from prune_audit.render.consoles import Text

    if kind is not None and kind not in plugins.ROOMS:
        raise UsageError(f"there is no kind of plugin {kind!r}", hint=spelling.hint(kind, plugins.ROOMS))
    if kind is not None and name is not None:
        if name not in plugins.names(kind):
            raise UsageError(f"no plugin {name!r} in {kind}", hint=spelling.hint(name, plugins.names(kind)))
        with _terminal.printing() as out:
            _one(out, kind, name)
        return
    rooms = plugins.ROOMS if kind is None else (kind,)
    with _terminal.printing() as out:
        for room in rooms:
            if room != rooms[0]:
                out.print()
            out.print(Text(room, style="bold"))
            (_in_full if long else _in_one_line)(out, room)


def _in_one_line(out: Console, room: str) -> None:
    from rich.padding import Padding
    from rich.table import Table

    from prune_audit import plugins
    from prune_audit.render.consoles import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=max(len(name) for each in plugins.ROOMS for name in plugins.names(each)), no_wrap=True)
    grid.add_column(overflow="fold")
    for name in plugins.names(room):
        grid.add_row(Text(name), Text(_told(room, name).partition("\n")[0]))
    out.print(Padding(grid, (0, 0, 0, 2)))


def _in_full(out: Console, room: str) -> None:
    from prune_audit import plugins

    for name in plugins.names(room):
        out.print()
        _one(out, room, name)


def _one(out: Console, room: str, name: str) -> None:
    """Prose wrapped to the width; what is indented, a formula, line by line as it is, where there is room for it."""
    from textwrap import fill, indent

    from prune_audit import options
    from prune_audit.render.consoles import Text

    width = min(out.width, READABLE) - INDENT
    out.print(Text(f"  {name}", style="bold"))
    blocks = _told(room, name).split("\n\n")
    if room == "stats" and _works(room, name):
        blocks.append(f"columns: {', '.join(columns(name))}")
    if _works(room, name) and (group := options.of_plugin(room, name)) is not None:
        blocks += [f"option {flag}: {said}" for flag, said in options.described(group)]
    wrapped = (
        "\n".join(fill(line, width, subsequent_indent=" " * 6, break_on_hyphens=False) for line in b.splitlines())
        if b.startswith(" ")
        else fill(" ".join(b.split()), width, break_on_hyphens=False)
        for b in blocks
    )
    for line in indent("\n\n".join(wrapped), " " * INDENT).splitlines():
        out.print(Text(line), soft_wrap=True)


def _told(room: str, name: str) -> str:
    """The docstring of a plugin, which ends its first line with the package where it is another package's."""
    from prune_audit import plugins

    if (package := plugins.origin(room, name)) is None:
        return plugins.docstring(room, name)
    if not _works(room, name):
        return f"Cannot be used. ({package})"
    first, line, rest = plugins.docstring(room, name).partition("\n")
    return f"{first} ({package}){line}{rest}"


def _works(room: str, name: str) -> bool:
    from prune_audit import plugins
    from prune_audit.errors import PluginError

    try:
        plugins.load(room, name)
    except PluginError:  # printed at the end of the command
        return False
    return True


def columns(statistic: str) -> tuple[str, ...]:
    """The names of the columns that ``statistic`` gives, in their order.

    Taken from what it measures on a few made-up samples, not from its text, since only that cannot be out of date.
    """
    return tuple(measure.name for measure in measured(statistic))


def measured(statistic: str) -> tuple[Measure, ...]:
    """What ``statistic`` measures on a few made-up samples, or on as many boxes and false detections."""
    from dataclasses import replace

    import numpy as np

    from prune_audit import plugins
    from prune_audit.core import Counted, FalseCounts, Pair, Settings

    few = Pair.of([(80, 12, 3, 5), (90, 4, 2, 4)])
    module = plugins.load("stats", statistic)
    found: tuple[Measure, ...] = module.measure(few, Settings())
    if not found:
        at = np.arange(2)
        others = Counted(both=few.both, lost=few.lost, gained=few.gained, neither=few.neither)
        boxes = replace(few, false=FalseCounts.of(2, 5 * [(at, at)], np.full((2, 2), 0.5)), negatives=others)
        found = module.measure(boxes, Settings())
    return found

"""prune-audit list: what there is to choose from."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="models, data, stats, rules or reports; all if left out.")
    ] = None,
) -> None:
    """List the plugins of every kind: model and data formats, statistics, rules, reports.

    Example: prune-audit list rules
    """
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from prune_audit import plugins
    from prune_audit.cli import _terminal
    from prune_audit.errors import UsageError

    if kind is not None and kind not in plugins.ROOMS:
        raise UsageError(f"there is no kind of plugin {kind!r}", hint=f"known: {', '.join(plugins.ROOMS)}")
    rooms = plugins.ROOMS if kind is None else (kind,)
    widest = max((len(name) for room in rooms for name in plugins.names(room)), default=0)
    out = _terminal.console()
    for room in rooms:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(min_width=widest, no_wrap=True)
        grid.add_column(overflow="fold")
        for name in plugins.names(room):
            grid.add_row(Text(name), Text(plugins.help_line(room, name)))
        out.print(Text(room, style="bold"))
        out.print(Padding(grid, (0, 0, 1 if room != rooms[-1] else 0, 2)))

"""Variables of the environment: those that nothing reads, and the one that a wrong value came from.

A misspelt flag is an error. A misspelt variable would gate by other limits than somebody wrote down, and say nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import typer

from prune_audit import spelling

PREFIX = "PRUNE_AUDIT_"
# What is read elsewhere: where a fault of our own is shown, and in the tests, which run commands.
OTHERS = ("DEBUG", "UPDATE", "NO_SKIP")


def unread(context: typer.Context, every: Callable[[], object]) -> Iterator[str]:
    """What to say of every variable that is called like ours and is none.

    ``context`` is that of the command that runs, and ``every`` makes all commands with their options, which is asked
    for only where a variable is none of this command's.
    """
    ours = [variable for variable in sorted(os.environ) if variable.startswith(PREFIX)]
    known = _read(context.command) | set(OTHERS)
    if not {variable.removeprefix(PREFIX) for variable in ours} <= known:
        known |= _read(every())
    for variable in ours:
        name = variable.removeprefix(PREFIX)
        if name not in known:
            near = spelling.near(name, sorted(known))
            meant = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            yield f"{variable} is set, but there is no such setting{meant}"


def _read(group: object) -> set[str]:
    """The variables that the commands of ``group`` read, without the prefix."""
    commands = getattr(group, "commands", {}).values()
    return {str(each.envvar).removeprefix(PREFIX) for command in commands for each in command.params if each.envvar}


def message(error: typer.TyperException) -> tuple[str, str]:
    """What Typer says, with the variable that a wrong value came from in place of the flag; of a choice, as we do, with
    what may have been meant for the hint to begin with."""
    if isinstance(error, typer.BadParameter) and error.ctx is not None and error.param is not None:
        source = error.ctx.get_parameter_source(error.param.name or "")
        read = source is not None and source.name == "ENVIRONMENT"
        if chosen := re.fullmatch(r"(?:Value error, )?(.*) is not one of (.*)\.", error.message, re.S):
            known = re.findall("'([^']*)'", chosen[2])
            named = error.param.envvar if read else error.param.opts[0]
            said = f"{named}: expected one of {', '.join(known)}, found {chosen[1]}"
            return said, spelling.meant(chosen[1].strip("'"), known)
        if read:
            return f"Invalid value for {error.param.envvar}: {error.message}", ""
    return error.format_message(), ""

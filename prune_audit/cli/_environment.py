"""Variables of the environment: those that nothing reads, and the one that a wrong value came from.

A misspelt flag is an error. A misspelt variable would gate by other limits than somebody wrote down, and say nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches

import typer

from prune_audit.cli._policy_options import PREFIX

# What is read elsewhere: where a fault of our own is shown, and in the tests, which run commands.
OTHERS = ("DEBUG", "UPDATE", "NO_SKIP")
NEAR = 0.7  # of `difflib`, above which a name is likely meant


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
            near = get_close_matches(name, sorted(known), n=1, cutoff=NEAR)
            meant = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            yield f"{variable} is set, but there is no such setting{meant}"


def _read(group: object) -> set[str]:
    """The variables that the commands of ``group`` read, without the prefix."""
    commands = getattr(group, "commands", {}).values()
    return {str(each.envvar).removeprefix(PREFIX) for command in commands for each in command.params if each.envvar}


def message(error: typer.TyperException) -> str:
    """What Typer says, with the variable that a wrong value came from in place of the flag; of a choice, as we do."""
    if isinstance(error, typer.BadParameter) and error.ctx is not None and error.param is not None:
        source = error.ctx.get_parameter_source(error.param.name or "")
        read = source is not None and source.name == "ENVIRONMENT"
        if chosen := re.fullmatch(r"(?:Value error, )?(.*) is not one of (.*)\.", error.message, re.S):
            known = ", ".join(re.findall("'([^']*)'", chosen[2]))
            return f"{error.param.envvar if read else error.param.opts[0]}: expected one of {known}, found {chosen[1]}"
        if read:
            return f"Invalid value for {error.param.envvar}: {error.message}"
    return error.format_message()

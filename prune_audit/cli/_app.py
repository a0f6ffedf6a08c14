"""The Typer application: one command for every file of this folder."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from prune_audit import options
from prune_audit.cli import _streams

VERSION = ("--version", "-V")


def build(asked: str = "") -> typer.Typer:
    """The application, with the commands that the folder holds.

    Only the one that is ``asked`` for has the options that plugins bring, since they have to be imported for it. Of the
    others only the names are read then, or the help where ``asked`` is no command but ``--help``; where nothing is
    asked for, as where a shell completes a line, all have their options.
    """
    app = typer.Typer(
        name="prune-audit",
        cls=_Group,
        help="Show which classes a pruned model fails more than the dense one, and how sure that is.",
        epilog="Exit codes: 0 pass, 1 a check failed, 2 the audit could not be done, 3 inconclusive where the "
        "policy forbids it.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    known = commands()
    for name in known:
        if asked in (*known, *VERSION) and name != asked:
            app.command(name, cls=_Command)(_unasked)
            continue
        run = importlib.import_module(f"prune_audit.cli.{name}").run
        taken = _unasked if asked and name != asked else options.spread(run, brought=name == asked)
        app.command(name, cls=_Command, help=_flowing(run))(taken)
    return app


def _unasked() -> None:
    """Stands for a command that is not run, whose options nobody sees."""


class _Group(TyperGroup):
    """All commands; their help is in colour."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _streams.open_to_help():
            super().format_help(ctx, formatter)


class _Command(TyperCommand):
    """One command; its help is in colour."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _streams.open_to_help():
            super().format_help(ctx, formatter)


def _flowing(run: Callable[..., object]) -> str:
    """The docstring with a line for each paragraph, which the terminal then breaks where it ends."""
    paragraphs = (inspect.getdoc(run) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def commands() -> tuple[str, ...]:
    """The names of the commands, sorted."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"{version('prune-audit')}\n")
        raise typer.Exit


def _root(
    context: typer.Context,
    _version_asked: Annotated[
        bool, typer.Option(*VERSION, help="Print the version and stop.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    from prune_audit.cli import _environment, _terminal

    for told in _environment.unread(context, lambda: typer.main.get_command(build())):
        _terminal.note(f"note: {told}")

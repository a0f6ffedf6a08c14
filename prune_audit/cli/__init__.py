"""The command line: the only floor that parses, prints, reads the environment and exits.

A file here is a command: its name is what people type, its ``run`` is the Typer function, its docstring the help.
`main` imports everything else inside its own guard, because Python leaves exit code 1 behind whatever nobody caught,
a failed import too, and 1 must mean that a check failed and nothing else.

Exit codes: 0 pass; 1 a check failed; 2 the audit could not be done; 3 inconclusive, where the policy forbids it;
130 interrupted; 141 the reader of standard output went away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

IMPOSSIBLE = 2
INTERRUPTED = 130  # 128 + SIGINT, the shell's own convention
PIPE_CLOSED = 141  # 128 + SIGPIPE, likewise


def main() -> None:
    """The console script."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes standard output once more as it exits; give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except BaseException as fault:  # whatever it is, it must not leave 1
        return _fault(fault)
    return code


def _run(arguments: Sequence[str]) -> int:
    import typer

    from prune_audit.cli import _terminal
    from prune_audit.errors import AuditError

    try:
        returned = _app()(args=list(arguments), prog_name="prune-audit", standalone_mode=False)
    except AuditError as error:
        _terminal.fail(error.message, error.hint)
        return IMPOSSIBLE
    except typer.TyperException as error:
        command = next((a for a in arguments if not a.startswith("-")), "")
        _terminal.fail(error.format_message(), f"see `{' '.join(f'prune-audit {command}'.split())} --help`")
        return IMPOSSIBLE
    except typer.Abort:
        return IMPOSSIBLE
    return int(returned or 0)


def _app() -> object:
    """The Typer application: one command for every file of this folder."""
    import importlib
    import pkgutil
    from typing import Annotated

    import typer

    app = typer.Typer(
        name="prune-audit",
        help="Show which classes a pruned model fails more than the dense one, and how sure that is.",
        epilog="Exit codes: 0 pass, 1 a check failed, 2 the audit could not be done, 3 inconclusive where the "
        "policy forbids it.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def root(
        version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)] = False,
    ) -> None:
        if version:
            from importlib.metadata import version as installed

            print(installed("prune-audit"))  # noqa: T201  (the command line is where printing belongs)
            raise typer.Exit

    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            command = importlib.import_module(f"{__name__}.{module.name}")
            app.command(module.name)(command.run)
    return app


def _fault(fault: BaseException) -> int:
    """Report a fault of our own, with its traceback only where PRUNE_AUDIT_DEBUG is set."""
    if os.environ.get("PRUNE_AUDIT_DEBUG"):
        import traceback

        traceback.print_exception(fault)
    told = " ".join(f"{type(fault).__name__}: {fault}".split())
    sys.stderr.write(f"error: no audit was done, because of a fault in prune-audit or its installation: {told}\n")
    sys.stderr.write("hint: set PRUNE_AUDIT_DEBUG=1 to see where, and report it\n")
    return IMPOSSIBLE

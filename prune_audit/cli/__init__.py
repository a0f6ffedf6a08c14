"""The command line: the only floor that parses, prints, reads the environment and exits.

A file here is a command: its name is what people type, its ``run`` is the Typer function, its docstring the help.
`main` imports everything else inside its own guard, because Python leaves exit code 1 behind whatever nobody caught,
a failed import too, and 1 must mean that a check failed and nothing else.

Exit codes: 0 pass; 1 a check failed; 2 the audit could not be done; 3 inconclusive, where the policy forbids it;
130 interrupted, 143 by SIGTERM; 141 the reader of standard output went away.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from prune_audit.cli import _interrupt, _streams

IMPOSSIBLE = 2
PIPE_CLOSED = 141  # 128 + SIGPIPE, likewise
STANDARD_OUTPUT = 1  # its file descriptor, whatever sys.stdout is by then


def main() -> None:
    """The console script."""
    # Arrow's own allocator holds twice the memory at the peak, for no speed that could be measured here.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _streams.guard()  # also for what is written as Python exits
    _interrupt.listen()
    _interrupt.leave(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    with _streams.guarded():
        return _invoke(arguments)


def _invoke(arguments: Sequence[str]) -> int:
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _interrupt.INTERRUPTED
    except BaseException as fault:  # whatever it is, it must not leave 1
        # Typer and rich turn a closed pipe into an exit of their own, with code 1.
        if isinstance(fault, BrokenPipeError) or isinstance(fault.__context__, BrokenPipeError):
            _silence()
            return PIPE_CLOSED
        if isinstance(fault, OSError) and _is_refused():
            _silence()
            sys.stderr.write(f"error: standard output cannot be written: {fault.strerror or fault}\n")
            sys.stderr.write("hint: make room where it goes, or send it elsewhere\n")
            return IMPOSSIBLE
        from prune_audit import memory

        if memory.exhausted(fault):
            told = " ".join(f"{type(fault).__name__}: {fault}".split())
            sys.stderr.write(f"error: memory ran out: {told}\nhint: {memory.HINT}\n")
            return IMPOSSIBLE
        return _fault(fault)
    if code == _interrupt.INTERRUPTED:  # which Typer returns, too, where it was a command that was interrupted
        sys.stderr.write(_interrupt.TOLD)
        return _interrupt.code()
    return code


def _is_refused() -> bool:
    """Whether standard output takes nothing, on a full disk say. It is asked, since the error does not name a file."""
    try:
        os.write(STANDARD_OUTPUT, b"\n")
    except OSError:
        return True
    return False


def _silence() -> None:
    """The interpreter flushes standard output once more as it exits; give it somewhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)


def _run(arguments: Sequence[str]) -> int:
    from prune_audit import plugins
    from prune_audit.cli import _app, _completion

    if _completion.is_asked(arguments):
        return _completion.answer(
            lambda asked: _app.build(asked)(args=[*arguments], prog_name="prune-audit"), _app.commands()
        )
    code = _ended(arguments)
    for error in plugins.broken():
        _fail(error.message, error.hint)
    return code


def _ended(arguments: Sequence[str]) -> int:
    """The exit code of a command, whose errors are printed."""
    from pathlib import Path

    import typer

    from prune_audit import memory, plugins
    from prune_audit.cli import _app
    from prune_audit.errors import AuditError, UsageError

    try:
        try:
            Path.cwd()
        except OSError:
            # Libraries of C end the process where they find none.
            raise UsageError(
                "the working directory is no longer there", hint="change into one that is, and give paths from there"
            ) from None
        # Not list(arguments): once cli/list.py is imported, `list` names that module here.
        returned = _app.build(arguments[0] if arguments else "")(
            args=[*arguments], prog_name="prune-audit", standalone_mode=False
        )
    except AuditError as error:
        if error in plugins.broken():  # which is printed with the others
            return IMPOSSIBLE
        # Whoever reads a file cannot always tell one that is damaged from one that is too large for this machine.
        short = memory.exhausted(error) and memory.HINT not in error.hint
        _fail(error.message, f"{error.hint}; or memory ran out: {memory.HINT}" if short else error.hint)
        return IMPOSSIBLE
    except typer.TyperException as error:
        from prune_audit.cli import _environment

        # Typer printed the help where there was no argument at all, and has no message then.
        message, meant = _environment.message(error)
        if message:
            command = arguments[0] if arguments[0] in _app.commands() else ""
            _fail(message, f"{meant}see `prune-audit {command}{' ' if command else ''}--help`")
        return IMPOSSIBLE
    except typer.Abort:
        return IMPOSSIBLE
    except OSError as error:
        # Every question to the system about such a path fails so, also whether there is anything.
        if error.errno != errno.ENAMETOOLONG:
            raise
        _fail(f"{error.filename}: {error.strerror}", "check the path")
        return IMPOSSIBLE
    return int(returned or 0)


def _fail(message: str, hint: str) -> None:
    """Print an error. Only then are consoles imported, of which ``--version`` needs none."""
    from prune_audit.cli import _terminal

    _terminal.fail(message, hint)


def _fault(fault: BaseException) -> int:
    """Report a fault of our own, with its traceback only where PRUNE_AUDIT_DEBUG is set."""
    if os.environ.get("PRUNE_AUDIT_DEBUG"):
        import traceback

        traceback.print_exception(fault)
    told = " ".join(f"{type(fault).__name__}: {fault}".split())
    sys.stderr.write(f"error: no audit was done, because of a fault in prune-audit or its installation: {told}\n")
    sys.stderr.write("hint: set PRUNE_AUDIT_DEBUG=1 to see where, and report it\n")
    return IMPOSSIBLE

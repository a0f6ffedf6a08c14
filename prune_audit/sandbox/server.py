"""The process that imports libraries once, and forks one for each piece of work: ``python -P -m ...sandbox.server FD``.

It answers, one by one, what comes over the socket that it was given:

    {"ahead": [modules]}                                                    which are imported, and no answer
    {"imports": [modules], "entry": "module:function", "barriers": {...}}   and two files: a socket and a log
        -> {"pid": 123} or {"fault": "..."}: a process that was confined, and then called function(socket)
    {"end": 123, "grace": 1.0} -> {"status": -11}: that process is ended where it still runs after so many seconds; a
        negative status is a signal

It sees nothing foreign itself, and must have no thread that holds a lock when it forks, so it calls nothing of what it
imports. Where the other side is gone, killed perhaps, it ends, and with it all that it has forked and their folders.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from prune_audit.sandbox import Barriers, confine, wire


def main() -> None:
    """Serve until the other side is gone. ``alone`` behind the socket's number says to do one work, and not to fork."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    alone = "alone" in sys.argv[2:]
    children: dict[int, str] = {}  # by number, the scratch folder of each
    try:
        while True:
            request = wire.read(connection.fileno())
            if "ahead" in request:
                for module in request["ahead"]:
                    with contextlib.suppress(Exception):  # it is said when it is needed
                        importlib.import_module(module)
                continue
            if "end" in request:
                wire.write(connection.fileno(), {"status": _end(request["end"], request["grace"], children)})
                continue
            own, log = wire.files(connection, 2)
            try:
                for module in request["imports"]:
                    # Whoever needs what is not installed says so better.
                    with contextlib.suppress(ImportError):
                        importlib.import_module(module)
                importlib.import_module(request["entry"].partition(":")[0])
            # Importing runs whatever the libraries do at that.
            except Exception as fault:
                wire.write(connection.fileno(), {"fault": f"{type(fault).__name__}: {fault}"})
                os.close(own)
                os.close(log)
                continue
            child = 0 if alone else _fork()
            if child == 0:
                _work(own, log, request, connection, tied=not alone)
            children[child] = request["barriers"]["scratch"]
            os.close(own)
            os.close(log)
            wire.write(connection.fileno(), {"pid": child})
    except (wire.Closed, OSError):
        pass
    finally:
        for child in children:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        for child, scratch in children.items():
            with contextlib.suppress(OSError):
                os.waitpid(child, 0)
            shutil.rmtree(scratch, ignore_errors=True)


def _fork() -> int:
    # Of threads, which Python warns of, there are only those of libraries that see to forks themselves.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return os.fork()


def _work(own: int, log: int, request: dict[str, Any], connection: socket.socket, *, tied: bool) -> None:
    """Be the process that does the work: confined first, then the entry. It never returns."""
    status = 1
    try:
        # On the numbers that such things usually have; all others are closed.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        kept = os.dup(own)
        connection.detach()
        os.dup2(kept, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        barriers = Barriers(**{**request["barriers"], "scratch": Path(request["barriers"]["scratch"])})
        os.environ["TMPDIR"] = str(barriers.scratch)
        os.chdir(request["folder"])
        held = confine(barriers, tied=tied)
        wire.write(3, {"held": held.barriers, "absent": held.absent})
        module, _, function = request["entry"].partition(":")
        getattr(importlib.import_module(module), function)(3)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        # Without what Python does at its end: threads of libraries may hang there.
        os._exit(status)


def _end(child: int, grace: float, children: dict[int, str]) -> int:
    """End the process ``child``, which may have ended; its exit status, or less than 0 the signal that ended it."""
    if child not in children:
        return 0
    del children[child]
    until = time.monotonic() + grace
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            break
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()

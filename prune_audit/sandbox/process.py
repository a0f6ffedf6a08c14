"""The side that asks: the server of this process, and the processes that it has forked.

There is one server in a process, started when it is first asked for and kept for the next audit of a notebook. It is
started as a program, never by multiprocessing, which would import a notebook again.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, TextIO

from prune_audit.sandbox import Barriers, Held, limits, wire

FORKS = sys.platform == "linux"
"""Whether a server forks. Elsewhere some libraries do not survive that, and each worker is a program of its own."""
_IMPORTING = 600.0  # seconds in which libraries must be imported, from a slow disk too
_CONFINING = 60.0
_GRACE = 1.0  # seconds in which a process that has closed its socket may end by itself
_WORDS = 300  # characters of the log in a message


class Unavailable(Exception):
    """There is no process, for the reason that is said."""


class Ended(Exception):
    """The process has ended, or was ended: ``why`` in words, and the ``words`` that it wrote last."""

    def __init__(self, why: str, words: str) -> None:
        super().__init__(why)
        self.why = why
        self.words = words


class Late(Ended):
    """... since it gave no answer in time."""


class TooLarge(Ended):
    """... since it took more memory than it may."""


class Server:
    """A process of `prune_audit.sandbox.server`, which forks others; ``alone`` it does one work itself."""

    def __init__(self, *, alone: bool = False) -> None:
        self.owner = os.getpid()
        self._alone = alone
        self._lock = threading.Lock()
        self._words: TextIO = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - as long as it serves
        self._connection, theirs = socket.socketpair()
        with theirs:
            options = ["alone"] if alone else []
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "prune_audit.sandbox.server", str(theirs.fileno()), *options],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                # So that an interrupt from the keyboard is for this process alone, which ends the others.
                start_new_session=True,
                # Where this process is by now may be removed while it serves, and then some libraries cannot be loaded.
                cwd=os.sep,
                env=environment(),
            )

    def ahead(self, imports: Sequence[str]) -> None:
        """Have ``imports`` imported while this process does something else."""
        with self._lock, contextlib.suppress(wire.Closed):
            wire.send(self._connection, {"ahead": list(dict.fromkeys(imports))})

    def fork(self, imports: Sequence[str], entry: str, barriers: Barriers, theirs: socket.socket, log: int) -> int:
        """The number of a new process that calls ``entry`` with ``theirs``. Raises `Unavailable`."""
        asked = {**asdict(barriers), "scratch": str(barriers.scratch)}
        try:
            here = str(Path.cwd())
        except OSError as fault:
            raise Unavailable("the working directory is no longer there") from fault
        with self._lock:
            try:
                # Paths are meant from where this process is by now.
                request = {"imports": list(imports), "entry": entry, "barriers": asked, "folder": here}
                wire.send(self._connection, request, (theirs.fileno(), log))
                answer = wire.receive(self._connection, time.monotonic() + _IMPORTING, None, _nothing)
            except wire.Closed as fault:
                if self._alone and self.process.poll() is None:
                    return self.process.pid
                raise Unavailable(self._last_words()) from fault
            except (wire.Late, wire.Malformed) as fault:
                raise Unavailable("it does not answer") from fault
        if "fault" in answer:
            raise Unavailable(str(answer["fault"]))
        return int(answer["pid"])

    def end(self, pid: int, grace: float) -> int | None:
        """End the process ``pid``; its status, as `subprocess.Popen.returncode`. None where it cannot be told."""
        if self._alone:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(grace)
            self.process.kill()
            return self.process.wait()
        with self._lock, contextlib.suppress(wire.Closed, wire.Late, wire.Malformed):
            wire.send(self._connection, {"end": pid, "grace": grace})
            return int(wire.receive(self._connection, time.monotonic() + grace + _CONFINING, None, _nothing)["status"])
        return None

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self.owner == os.getpid() and self.process.poll() is None

    def done(self) -> None:
        """One that does one work has done it."""
        if self._alone:
            self.close()

    def close(self) -> None:
        """End it, and with it all that it has forked."""
        self._connection.close()
        if self.owner == os.getpid():
            try:
                self.process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._words.close()

    def _last_words(self) -> str:
        self._words.seek(0)
        lines = self._words.read()[-2000:].strip().splitlines()
        return lines[-1] if lines else "it ended without a word"


_server: Server | None = None
_starting = threading.Lock()


def server() -> Server:
    """The server of this process, started where there is none."""
    global _server
    with _starting:
        if _server is None or not _server.alive:
            if _server is None:
                atexit.register(_close)
            elif _server.owner == os.getpid():
                _server.close()
            _server = Server()
        return _server


def _close() -> None:
    if _server is not None and _server.owner == os.getpid():
        _server.close()


class Worker:
    """A process that calls ``entry`` with a socket, behind ``barriers``, whose scratch folder is made here.

    ``held`` says which of them there are. It ends with this object.

    Raises:
        Unavailable: there can be none.
    """

    def __init__(self, imports: Sequence[str], entry: str, barriers: Barriers) -> None:
        self._server = server() if FORKS else Server(alone=True)
        scratch = Path(tempfile.mkdtemp(prefix="prune-audit-"))
        self._barriers = replace(barriers, scratch=scratch)
        self._connection, theirs = socket.socketpair()
        read, written = os.pipe()
        self._log = wire.Log(read)
        try:
            self._pid = self._server.fork(imports, entry, self._barriers, theirs, written)
        except BaseException:
            _tidy(self._connection, self._log, scratch)
            self._server.done()
            raise
        finally:
            theirs.close()
            os.close(written)
        self._finish = weakref.finalize(self, _finish, self._server, self._pid, self._connection, self._log, scratch)
        self.held = self._held()

    def ask(self, request: Mapping[str, Any], seconds: float, files: tuple[int, ...] = ()) -> dict[str, Any]:
        """The answer to ``request``, which it is for the caller to check.

        Raises:
            Ended: there is none; the process is gone.
        """
        if not self._finish.alive:
            raise Ended("has ended", "")
        try:
            self._connection.settimeout(seconds)
            wire.send(self._connection, request, files)
            return wire.receive(self._connection, time.monotonic() + seconds, self._log, self._look)
        except wire.Closed:
            raise self._ended(_GRACE) from None
        except wire.Late:
            ended = self._ended(0)
            raise Late(f"gave no answer for {seconds:,.0f} seconds", ended.words) from None
        except wire.Malformed as fault:
            raise Ended(f"gave an answer that is none ({fault})", self._ended(0).words) from None

    def tell(self, message: Mapping[str, Any], files: tuple[int, ...] = ()) -> None:
        """Send what is not answered. Raises `Ended`."""
        if not self._finish.alive:
            raise Ended("has ended", "")
        try:
            wire.send(self._connection, message, files)
        except (wire.Closed, wire.Late):
            raise self._ended(_GRACE) from None

    def stop(self, why: str) -> Ended:
        """End it since it did ``why``, as an error to raise."""
        return Ended(why, self._ended(0).words)

    def close(self) -> None:
        """End it."""
        self._finish()

    def _held(self) -> Held:
        try:
            answer = wire.receive(self._connection, time.monotonic() + _CONFINING, self._log, _nothing)
        except (wire.Closed, wire.Late, wire.Malformed):
            ended = self._ended(_GRACE)
            raise Unavailable(f"it {ended.why} while it was confined; {ended.words}") from None
        return Held(barriers=tuple(answer["held"]), absent=tuple((name, why) for name, why in answer["absent"]))

    def _look(self) -> None:
        """Where addresses are not limited, see how much memory it has."""
        most = self._barriers.memory
        if most is None or self._barriers.device == "cpu" or (limits.resident(self._pid) or 0) <= most:
            return
        raise TooLarge(f"took more than {most / 2**30:.3g} GiB of memory", self._ended(0).words)

    def _ended(self, grace: float) -> Ended:
        if not self._finish.alive:
            return Ended("has ended", "")
        status = self._server.end(self._pid, grace)
        words = self._log.end(_WORDS)
        self._finish.detach()
        _tidy(self._connection, self._log, self._barriers.scratch)
        self._server.done()
        return Ended(_told(status), words)


def _finish(server: Server, pid: int, connection: socket.socket, log: wire.Log, scratch: Path) -> None:
    if server.alive:
        server.end(pid, 0)
    _tidy(connection, log, scratch)
    server.done()


def _tidy(connection: socket.socket, log: wire.Log, scratch: Path) -> None:
    connection.close()
    log.close()
    shutil.rmtree(scratch, ignore_errors=True)


def _told(status: int | None) -> str:
    """How a process ended, of its status as `subprocess.Popen.returncode` has it."""
    if status is None:
        return "ended"
    if status >= 0:
        return f"ended with exit code {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"


def environment() -> Mapping[str, str]:
    """The environment of a server: what can be imported here is imported there, from the same places and no others.

    Where this package is not found by these, as it is run from a folder that was taken off the list, it comes first.
    """
    places = [str(Path(place).absolute()) for place in sys.path if place]
    package = Path(__file__).parents[1]
    found = PathFinder.find_spec(package.name, places)
    if found is None or found.origin is None or not Path(found.origin).parent.samefile(package):
        places.insert(0, str(package.parent))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


def _nothing() -> None:
    pass

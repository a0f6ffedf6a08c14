"""Ctrl-C ends a run, whatever it is in: the first one with what is done kept, a second one at once. So does SIGTERM.

Python raises `KeyboardInterrupt` only between two of its own steps, and before it exits it waits for its threads. A
model that never returns from a batch keeps it from either. So the system's own note of a signal goes to a thread of its
own, which waits for the run to come to its end, and ends it where it does not.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130  # 128 + SIGINT, the shell's own convention
TERMINATED = 143  # 128 + SIGTERM
TOLD = "interrupted: no report was written; what is finished is kept, and the same command goes on\n"
RAISED = 2.0  # seconds in which Python raises the interrupt, unless something keeps it from that
UNWOUND = 10.0  # seconds in which what is done is written, and threads come to their end
ONCE = 0.3  # seconds within which a second signal is the first one: `timeout` sends it to the process and to its group
_ENDING = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = "\x1b[?25h"  # which a bar has hidden

Ends = Callable[[int], None]
_code = INTERRUPTED  # that of the signal that came first


def code() -> int:
    """The exit code of a run that was interrupted, by the signal that did it."""
    return _code


def listen(ends: Ends = os._exit) -> None:
    """Have interrupts end this process by ``ends``, each unless it is ignored, and none where somebody else has taken
    care of SIGINT."""
    if signal.getsignal(signal.SIGINT) not in (signal.default_int_handler, signal.SIG_IGN):
        return
    # What is in the background of a shell ignores SIGINT, and is stopped by the other one all the same.
    mine = [which for which in _ENDING if signal.getsignal(which) in (signal.default_int_handler, signal.SIG_DFL)]
    if not mine:
        return
    raised = threading.Event()

    def interrupt(which: int, _frame: FrameType | None) -> None:
        global _code
        if not raised.is_set():
            _code = 128 + which
            raised.set()
            raise KeyboardInterrupt

    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    # What stops a job sends SIGTERM, and what lies half done in folders of its own is to go then, too.
    for which in mine:
        signal.signal(which, interrupt)
    # A process that is forked would write to the same socket.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    threading.Thread(target=_watch, args=(heard, told, raised, ends), name="interrupts", daemon=True).start()


def leave(code: int) -> None:
    """End the process with ``code``, though a thread may run for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if any(thread.is_alive() and not thread.daemon for thread in others):
        os._exit(code)
    sys.exit(code)


def _watch(heard: socket.socket, told: socket.socket, raised: threading.Event, ends: Ends) -> None:
    """Wait for a first interrupt, then for a second one or for the end of what time there is. ``told`` is kept open."""
    while not _next(heard, None):
        pass
    began = time.monotonic()
    while (left := began + (UNWOUND if raised.is_set() else RAISED) - time.monotonic()) > 0:
        # Looked at again, for the interrupt may have been raised meanwhile.
        if _next(heard, min(left, ONCE)) and time.monotonic() - began > ONCE:
            break
    cursor = _SHOW_CURSOR if os.isatty(2) else ""
    # Not through sys.stderr, which the run may hold.
    os.write(2, f"{cursor}{TOLD}".encode())
    told.close()
    ends(_code)


def _next(heard: socket.socket, seconds: float | None) -> bool:
    """Whether an interrupt comes within ``seconds``; other signals are noted there as well."""
    heard.settimeout(seconds)
    try:
        return not set(heard.recv(64)).isdisjoint(_ENDING)
    except TimeoutError:
        return False

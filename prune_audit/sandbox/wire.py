"""Messages between processes: JSON behind its length, and files beside it.

Never pickle: whoever reads may trust the writer less than itself. What is read is a JSON object of a bounded length;
whether it says what it should is for the reader to check.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from prune_audit.printable import printable

LONGEST = 64 * 2**20
"""Bytes of a message; the layers and classes of the largest models take a hundredth of it."""
_LENGTH = struct.Struct("<I")
_PIECE = 1 << 20


class Closed(Exception):
    """The other side is gone."""


class Late(Exception):
    """The other side has not answered in time."""


class Malformed(Exception):
    """What came is no message."""


def send(connection: socket.socket, message: Mapping[str, Any], files: tuple[int, ...] = ()) -> None:
    """Send ``message``, and descriptors of ``files`` behind it. Raises `Closed`."""
    content = json.dumps(message).encode()
    try:
        connection.sendall(_LENGTH.pack(len(content)) + content)
        if files:
            socket.send_fds(connection, [b"."], list(files))
    except TimeoutError as fault:
        raise Late from fault
    except OSError as fault:
        raise Closed from fault


def write(descriptor: int, message: Mapping[str, Any]) -> None:
    """Send ``message`` by no other system call than that which writes."""
    content = json.dumps(message, allow_nan=False).encode()
    left = memoryview(_LENGTH.pack(len(content)) + content)
    while left:
        left = left[os.write(descriptor, left) :]


def read(descriptor: int) -> dict[str, Any]:
    """The next message, however long it takes. Raises `Closed`, `Malformed`."""

    def exactly(count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            piece = os.read(descriptor, min(_PIECE, count - len(parts)))
            if not piece:
                raise Closed
            parts += piece
        return bytes(parts)

    return _message(exactly(_length(exactly(_LENGTH.size))))


def files(connection: socket.socket, count: int) -> list[int]:
    """The descriptors that come behind a message."""
    _, found, _, _ = socket.recv_fds(connection, 1, count)
    if len(found) != count:
        raise Malformed("a file is missing")
    return list(found)


def receive(connection: socket.socket, deadline: float, log: Log | None, look: Callable[[], None]) -> dict[str, Any]:
    """The next message before the ``deadline``, a time of the monotonic clock, while the ``log`` is read as well.

    ``look`` is called twice a second, and may raise.

    Raises:
        Closed, Late, Malformed: as they say.
    """
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    if log is not None and log.open:
        waiting.register(log.descriptor, select.POLLIN)
    content, wanted = bytearray(), _LENGTH.size
    headed = False
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Late
        ready = dict(waiting.poll(min(left, 0.5) * 1000))
        if log is not None and log.descriptor in ready and not log.drain():
            waiting.unregister(log.descriptor)
        if connection.fileno() in ready:
            try:
                piece = connection.recv(min(_PIECE, wanted - len(content)), socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except OSError as fault:
                raise Closed from fault
            if not piece:
                raise Closed
            content += piece
            if len(content) == wanted:
                if headed:
                    return _message(bytes(content))
                headed, wanted = True, _length(bytes(content))
                content.clear()
        look()


class Log:
    """The end of what a process writes to its standard output and error, read from a pipe."""

    KEPT = 8192

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.open = True
        self._end = b""

    def drain(self) -> bool:
        """Read what is there; whether more may come."""
        # Not more than a few pieces at a time: a process may write without end.
        for _ in range(16):
            try:
                piece = os.read(self.descriptor, 1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                piece = b""
            if not piece:
                self.open = False
                return False
            self._end = (self._end + piece)[-self.KEPT :]
        return True

    def end(self, characters: int) -> str:
        """The last ``characters``, in one line; whatever is no plain text is spelled out."""
        if self.open:
            self.drain()
        words = " ".join(self._end.decode(errors="backslashreplace").split())
        return printable(words)[-characters:]

    def close(self) -> None:
        """Read no more of it."""
        self.open = False
        os.close(self.descriptor)


def _length(head: bytes) -> int:
    (length,) = _LENGTH.unpack(head)
    if not 2 <= length <= LONGEST:
        raise Malformed(f"a message of {length} bytes")
    return int(length)


def _message(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as fault:
        raise Malformed("no JSON") from fault
    if not isinstance(found, dict):
        raise Malformed("no object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)

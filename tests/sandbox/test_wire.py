from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from prune_audit.sandbox import wire


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def nothing() -> None:
    pass


def soon() -> float:
    return time.monotonic() + 20


def test_a_message_and_its_files_come_through(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    read, write = os.pipe()
    wire.send(ours, {"a": [1, None, "\udcff"]}, (write,))
    os.close(write)
    assert wire.read(theirs.fileno()) == {"a": [1, None, "\udcff"]}
    [given] = wire.files(theirs, 1)
    os.write(given, b"x")
    os.close(given)
    assert os.read(read, 5) == b"x"
    os.close(read)
    wire.write(theirs.fileno(), {"b": 2})
    assert wire.receive(ours, soon(), None, nothing) == {"b": 2}


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<I", wire.LONGEST + 1),
        struct.pack("<I", 0),
        struct.pack("<I", 4) + b"none",
        struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 9) + b'{"a":NaN}',
        struct.pack("<I", 200_000) + b"[" * 200_000,
        struct.pack("<I", 10_006) + b'{"a":' + b"1" * 10_000 + b"}",
    ],
    ids=["too long", "empty", "no JSON", "no object", "NaN", "deep", "a number without end"],
)
def test_what_is_no_message_is_refused(pair: tuple[socket.socket, socket.socket], content: bytes) -> None:
    ours, theirs = pair
    sending = threading.Thread(target=theirs.sendall, args=(content,))
    sending.start()
    with pytest.raises(wire.Malformed):
        wire.receive(ours, soon(), None, nothing)
    sending.join()


def test_the_other_side_may_be_gone_or_late(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(struct.pack("<I", 10) + b"{")
    with pytest.raises(wire.Late):
        wire.receive(ours, time.monotonic() + 0.05, None, nothing)
    theirs.close()
    with pytest.raises(wire.Closed):
        wire.receive(ours, soon(), None, nothing)
    with pytest.raises(wire.Closed):
        wire.send(ours, {})


def test_whoever_waits_looks_now_and_then(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        wire.receive(ours, soon(), None, stop)


def test_the_log_keeps_the_end_in_plain_characters(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    read, write = os.pipe()
    log = wire.Log(read)

    def speak() -> None:
        os.write(write, b"start\n" + b"x" * 300_000)
        os.write(write, "\n::error::\x1b[31m \u202eend\n".encode() + b"\xff")
        wire.write(theirs.fileno(), {})
        os.close(write)

    speaking = threading.Thread(target=speak)
    speaking.start()
    assert wire.receive(ours, soon(), log, nothing) == {}
    speaking.join()
    assert log.end(40).endswith("::error::\\x1b[31m \\u202eend \\xff")
    assert len(log.end(10**6)) < 2 * wire.Log.KEPT
    log.close()


def test_lengths_count_bytes(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    wire.send(ours, {"name": "ä"})
    (length,) = struct.unpack("<I", theirs.recv(4))
    assert json.loads(theirs.recv(length)) == {"name": "ä"}

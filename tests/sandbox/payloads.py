"""What a hostile program might do, each harmless here: done in the process that calls, or in a worker that is asked."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prune_audit.sandbox import wire


def hello(_: dict[str, Any]) -> object:
    return "hello"


def speak(_: dict[str, Any]) -> object:
    os.write(1, b"::error::\x1b[31mred\n")
    os.write(2, b"and more\n" * 10_000)
    return True


def reach_network(request: dict[str, Any]) -> object:
    """Connect to a port that listens on this machine."""
    with socket.create_connection(("127.0.0.1", request["port"]), timeout=5):
        return True


def reach_service(request: dict[str, Any]) -> object:
    """Connect to a socket in a file."""
    with socket.socket(socket.AF_UNIX) as service:
        service.connect(request["path"])
        return True


def write_file(request: dict[str, Any]) -> object:
    Path(request["path"]).write_text("written")
    return True


def overwrite_file(request: dict[str, Any]) -> object:
    with Path(request["path"]).open("r+") as file:
        file.write("changed")
    return True


def remove_file(request: dict[str, Any]) -> object:
    Path(request["path"]).unlink()
    return True


def change_times(request: dict[str, Any]) -> object:
    os.utime(request["path"], (0, 0))
    return True


def start_program(_: dict[str, Any]) -> object:
    return subprocess.run(["/bin/true"], check=True).returncode == 0


def start_command(request: dict[str, Any]) -> object:
    return subprocess.run(request["command"], check=True).returncode == 0


def need_memory(request: dict[str, Any]) -> object:
    """Fill memory, and fail where there is not enough."""
    if isinstance(found := attempt({**request, "do": "fill_memory"}).get("done"), int):
        return found
    raise RuntimeError("bad allocation: out of memory")


def replace_program(_: dict[str, Any]) -> object:
    os.execv("/bin/true", ["true"])


def signal_parent(request: dict[str, Any]) -> object:
    os.kill(request["pid"], signal.SIGUSR1)
    return True


def read_memory(request: dict[str, Any]) -> object:
    """Read the memory of another process."""
    with Path(f"/proc/{request['pid']}/mem").open("rb", buffering=0) as memory:
        memory.seek(request["address"])
        return memory.read(4).hex()


def raise_limit(_: dict[str, Any]) -> object:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return True


def fill_memory(request: dict[str, Any]) -> object:
    kept = [bytearray(64 * 2**20) for _ in range(request["pieces"])]
    return len(kept)


def fill_slowly(request: dict[str, Any]) -> object:
    kept = []
    for _ in range(request["pieces"]):
        kept.append(bytearray(b"x") * (32 * 2**20))
        time.sleep(0.2)
    return len(kept)


def use_threads(_: dict[str, Any]) -> object:
    found: list[int] = []
    threads = [threading.Thread(target=found.append, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(found)


def write_scratch(_: dict[str, Any]) -> object:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x").write_text("x")
    return True


def crash(_: dict[str, Any]) -> object:
    os.write(2, b"about to crash \x1b[31m\n")
    ctypes.string_at(0)
    return False


def abort(_: dict[str, Any]) -> object:
    os.abort()


def bus(_: dict[str, Any]) -> object:
    os.kill(os.getpid(), signal.SIGBUS)
    return False


def loop(_: dict[str, Any]) -> object:
    while True:
        pass


def garbage(_: dict[str, Any]) -> object:
    os.write(3, b"\xff\xff\xff\xff")
    return True


PAYLOADS: dict[str, Callable[[dict[str, Any]], object]] = {
    each.__name__: each
    for each in (
        *(hello, speak, reach_network, reach_service, write_file, overwrite_file, remove_file, change_times),
        *(start_program, start_command, replace_program, signal_parent, read_memory, raise_limit, fill_memory),
        *(need_memory, fill_slowly, use_threads, write_scratch, crash, abort, bus, loop, garbage),
    )
}


def attempt(request: dict[str, Any]) -> dict[str, Any]:
    """What became of the payload that ``request`` names."""
    try:
        return {"done": PAYLOADS[request["do"]](request)}
    except (OSError, subprocess.SubprocessError) as fault:
        return {"failed": type(fault).__name__, "errno": getattr(fault, "errno", None)}
    except MemoryError:
        return {"failed": "MemoryError"}


def serve(descriptor: int) -> None:
    """The entry of a worker: do what is asked until nobody asks any more."""
    while True:
        try:
            request = wire.read(descriptor)
        except wire.Closed:
            return
        wire.write(descriptor, attempt(request))

"""Each barrier with a payload that works without it: in this process, or in a worker whose barrier is not put up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prune_audit.sandbox import Barriers, landlock, limits, process
from tests.conftest import ROOT
from tests.sandbox.payloads import attempt

ENTRY = "tests.sandbox.payloads:serve"
SECONDS = 60.0

if sys.platform != "linux":
    pytest.skip("barriers are Linux's", allow_module_level=True)


def worker(*, memory: int | None = 2 << 30, device: str = "cpu") -> process.Worker:
    return process.Worker([], ENTRY, Barriers(scratch=Path(), memory=memory, device=device))


@pytest.fixture(scope="module")
def confined() -> Iterator[process.Worker]:
    made = worker()
    yield made
    made.close()


def needs(made: process.Worker, barrier: str) -> None:
    """Skip where the kernel did not give a ``barrier``."""
    for name, why in made.held.absent:
        if name == barrier:
            pytest.skip(f"this kernel gives no {name}: {why}")


@dataclass(frozen=True, slots=True)
class World:
    """What payloads are aimed at."""

    folder: Path
    port: int
    service: Path
    signals: list[int] = field(default_factory=list)

    def request(self, what: str, **more: Any) -> dict[str, Any]:
        target = self.folder / ("new" if what == "write_file" else "there")
        return {
            "do": what,
            "path": str(self.service if what == "reach_service" else target),
            "port": self.port,
            "pid": os.getpid(),
            **more,
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "there").write_text("content")
    service = tmp_path / "service"
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket(socket.AF_UNIX) as local:
        local.bind(os.path.relpath(service))  # a name of a socket may not be long
        local.listen()
        found = World(tmp_path, listening.getsockname()[1], Path(os.path.relpath(service)))
        before = signal.signal(signal.SIGUSR1, lambda number, _: found.signals.append(number))
        yield found
        signal.signal(signal.SIGUSR1, before)


OUTWARD = {
    "reach_network": "seccomp",
    "reach_service": "seccomp",
    "start_program": "seccomp",
    "signal_parent": "seccomp",
    "change_times": "seccomp",
    "write_file": "landlock",
    "overwrite_file": "landlock",
    "remove_file": "landlock",
}


@pytest.mark.parametrize(("what", "barrier"), OUTWARD.items())
def test_what_leads_out_works_here_and_fails_in_a_worker(
    confined: process.Worker, world: World, what: str, barrier: str
) -> None:
    needs(confined, barrier)
    found = confined.ask(world.request(what), SECONDS)
    assert found["failed"] == "PermissionError"
    assert (world.folder / "there").read_text() == "content"
    assert (world.folder / "there").stat().st_mtime > 1
    assert not (world.folder / "new").exists()
    assert not world.signals
    assert attempt(world.request(what)) == {"done": True}  # last, as it may remove what it is aimed at


def test_each_of_two_barriers_keeps_files_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel without Landlock leaves: a filter that lets no file be opened for writing."""
    monkeypatch.setattr(process, "FORKS", False)  # so that no other worker comes of this server
    made = process.Worker(["tests.sandbox.without_landlock"], ENTRY, Barriers(scratch=Path()))
    needs(made, "seccomp")
    assert "landlock" in dict(made.held.absent)
    for what in ("write_file", "overwrite_file", "remove_file"):
        assert made.ask(world.request(what), SECONDS)["failed"] == "PermissionError"
    assert "failed" in made.ask(world.request("write_scratch"), SECONDS)
    made.close()


def test_a_worker_computes_in_threads_and_writes_in_its_own_folder(confined: process.Worker, world: World) -> None:
    assert confined.ask(world.request("use_threads"), SECONDS) == {"done": 4}
    if "landlock" not in dict(confined.held.absent):
        assert confined.ask(world.request("write_scratch"), SECONDS) == {"done": True}


def test_a_program_in_place_of_the_worker_is_refused(confined: process.Worker, world: World) -> None:
    needs(confined, "seccomp")
    assert (
        subprocess.run([sys.executable, "-c", "import os; os.execv('/bin/true', ['true'])"], check=True).returncode == 0
    )
    assert confined.ask(world.request("replace_program"), SECONDS)["failed"] == "PermissionError"


def test_the_memory_of_other_processes_is_not_read(confined: process.Worker, world: World) -> None:
    needs(confined, "landlock")
    some = b"abcd"
    asked = world.request("read_memory", address=id(some) + sys.getsizeof(b"") - 1)
    assert attempt(asked) == {"done": b"abcd".hex()}
    assert confined.ask(asked, SECONDS)["failed"] in ("PermissionError", "FileNotFoundError")


def test_memory_is_limited(world: World) -> None:
    asked = world.request("fill_memory", pieces=12)  # of 64 MiB
    assert attempt(asked) == {"done": 12}
    made = worker(memory=512 << 20)
    needs(made, "memory")
    assert made.ask(asked, SECONDS) == {"failed": "MemoryError"}
    assert made.ask(world.request("fill_memory", pieces=2), SECONDS) == {"done": 2}
    made.close()


def test_where_addresses_are_not_limited_what_is_resident_is_watched(world: World) -> None:
    made = worker(memory=300 << 20, device="cuda")
    with pytest.raises(process.TooLarge, match=r"took more than 0\.293 GiB of memory"):
        made.ask(world.request("fill_slowly", pieces=40), SECONDS)


def test_for_a_device_programs_and_network_are_refused_too(world: World) -> None:
    made = worker(device="cuda")
    needs(made, "seccomp")
    for what in ("reach_network", "start_program", "signal_parent", "change_times"):
        assert made.ask(world.request(what), SECONDS)["failed"] == "PermissionError", what
    needs(made, "landlock")
    for what in ("write_file", "overwrite_file", "remove_file"):
        assert made.ask(world.request(what), SECONDS)["failed"] == "PermissionError", what
    made.close()


@pytest.mark.parametrize(("what", "name"), [("crash", "SIGSEGV"), ("abort", "SIGABRT"), ("bus", "SIGBUS")])
def test_a_crash_is_told_with_the_last_words(world: World, what: str, name: str) -> None:
    code = f"from tests.sandbox.payloads import attempt; attempt({{'do': {what!r}}})"
    here = subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    assert signal.Signals(-here.returncode).name == name
    made = worker()
    with pytest.raises(process.Ended, match=f"was ended by {name}") as caught:
        made.ask(world.request(what), SECONDS)
    assert what != "crash" or caught.value.words == "about to crash \\x1b[31m"
    with pytest.raises(process.Ended):
        made.ask(world.request("hello"), SECONDS)


def test_what_takes_too_long_is_ended(world: World) -> None:
    made = worker()
    began = time.monotonic()
    with pytest.raises(process.Late, match="gave no answer for 1 seconds"):
        made.ask(world.request("loop"), 1)
    assert time.monotonic() - began < 20
    made = worker()
    with pytest.raises(process.Ended, match="gave an answer that is none"):
        made.ask(world.request("garbage"), SECONDS)


def test_what_a_worker_writes_goes_to_its_log(
    confined: process.Worker, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    assert confined.ask(world.request("speak"), SECONDS) == {"done": True}
    assert capfd.readouterr() == ("", "")
    assert attempt(world.request("speak")) == {"done": True}
    assert "\x1b[31m" in capfd.readouterr().out


def test_nothing_is_left_of_a_worker() -> None:
    made = worker()
    pid, scratch = made._pid, made._barriers.scratch
    assert scratch.is_dir()
    assert limits.resident(pid)
    del made
    deadline = time.monotonic() + 20
    while limits.resident(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not limits.resident(pid)
    assert not scratch.exists()


def test_all_end_with_the_process_that_asked() -> None:
    """However it ends: here by a signal that it cannot answer, with a worker that is in a loop."""
    code = """
import os, signal, threading
from pathlib import Path
from prune_audit.sandbox import Barriers, process
made = process.Worker([], "tests.sandbox.payloads:serve", Barriers(scratch=Path()))
threading.Thread(target=made.ask, args=({"do": "loop"}, 60), daemon=True).start()
print(made._pid, process.server().process.pid, made._barriers.scratch, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], timeout=SECONDS
    )
    worker, server, scratch = done.stdout.split()
    pids = int(worker), int(server)
    deadline = time.monotonic() + 20
    while any(map(limits.resident, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(limits.resident, pids))
    assert not Path(scratch).exists()


def test_a_server_that_ends_takes_its_workers_along_and_is_replaced() -> None:
    made = worker()
    pid, server = made._pid, process.server()
    server.process.kill()
    with pytest.raises(process.Ended):
        made.ask({"do": "loop"}, SECONDS)
    assert not limits.resident(pid)
    again = worker()
    assert process.server() is not server
    assert again.ask({"do": "hello"}, SECONDS) == {"done": "hello"}
    again.close()


def test_a_process_that_was_forked_has_a_server_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    first = process.server()
    monkeypatch.setattr(first, "owner", -1)
    second = process.server()
    assert second is not first
    monkeypatch.setattr(first, "owner", os.getpid())
    first.close()


def test_without_forks_each_worker_is_a_program_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on other systems than Linux, where libraries do not survive a fork."""
    monkeypatch.setattr(process, "FORKS", False)
    made = worker()
    assert made.ask(world.request("hello"), SECONDS) == {"done": "hello"}
    with pytest.raises(process.Ended, match="was ended by SIGABRT"):
        made.ask(world.request("abort"), SECONDS)


def test_what_cannot_be_imported_is_told() -> None:
    with pytest.raises(process.Unavailable, match="ModuleNotFoundError: No module named 'nowhere'"):
        process.Worker(["neither"], "nowhere:serve", Barriers(scratch=Path()))


def test_a_worker_imports_what_this_process_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rich.py").write_text("raise SystemExit('run')")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert str(tmp_path) not in process.environment()["PYTHONPATH"]
    # Run from a folder that is not on the path, it comes from there all the same.
    own = str(Path(process.__file__).parents[2])
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert process.environment()["PYTHONPATH"].split(os.pathsep) == [own, str(tmp_path)]


def test_a_server_needs_no_folder_that_may_be_removed(tmp_path: Path) -> None:
    """As libraries do that are loaded late: MKL ends its process where there is no working directory."""
    code = """
import os, sys
from pathlib import Path
from prune_audit.sandbox import Barriers, process
os.mkdir("gone")
os.chdir("gone")
process.server()
os.chdir("..")
os.rmdir("gone")
print(os.readlink(f"/proc/{process.server().process.pid}/cwd"))
print(process.Worker(["torch"], "tests.sandbox.payloads:serve", Barriers(scratch=Path())).ask({"do": "hello"}, 60))
os.mkdir("gone")
os.chdir("gone")
os.rmdir("../gone")
try:
    process.Worker([], "tests.sandbox.payloads:serve", Barriers(scratch=Path()))
except process.Unavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=SECONDS,
        check=False,
    )
    gone = "the working directory is no longer there"
    assert done.stdout.splitlines() == ["/", "{'done': 'hello'}", gone], done.stderr


def test_the_kernels_version_is_known() -> None:
    try:
        assert landlock.version() >= 1
    except OSError as fault:
        pytest.skip(f"this kernel gives no landlock: {fault.strerror}")


def test_the_machines_memory_is_known() -> None:
    assert (limits.available() or 0) > 1 << 28

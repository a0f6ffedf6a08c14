"""Commands on inputs, under limits: many in one process, which is started anew where one of them ended it, or each in
a process of its own, as people run them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.conftest import ROOT
from tests.fuzz.outcome import MEMORY, Ran
from tests.fuzz.seeds import Command

SECONDS = 60.0  # of processors that a command may take; the slowest seed takes a tenth
WALL = 600.0  # and in which it must end, on a machine that others use
MOST = MEMORY + (3 << 30)  # bytes of all its processes together, at which it is ended
Runner = Callable[[Command, Path, Mapping[str, str]], Ran]


def environment(scratch: Path) -> dict[str, str]:
    """Variables of a process whose home, cache and temporary files are its own."""
    scratch.mkdir(parents=True, exist_ok=True)
    left = {k: v for k, v in os.environ.items() if not k.startswith(("PRUNE_AUDIT", "GITHUB"))}
    return left | {
        "PYTHONPATH": str(ROOT),
        "PRUNE_AUDIT_CACHE": str(scratch / "cache"),
        "TMPDIR": str(scratch),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


class Common:
    """A process that runs many commands. Whatever ends it is the fault of the one that it was at."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, command: Command, folder: Path, extra: Mapping[str, str]) -> Ran:
        """Run ``command`` in ``folder``."""
        process = self._process if self._process and self._process.poll() is None else self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        out, err = self._scratch / "out", self._scratch / "err"
        job = {"arguments": command, "folder": str(folder), "out": str(out), "err": str(err), "environment": extra}
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        ended, why, before = time.monotonic() + WALL, "", _used([process.pid])
        while not select.select([process.stdout], [], [], 0.25)[0]:
            if time.monotonic() > ended or _used([process.pid]) - before > SECONDS:
                why = "hang"
            elif _held([process.pid]) > MOST:
                why = "memory: ended at the limit"
            if why:
                process.kill()
                process.wait()
                return Ran(code=None, why=why, out=out.read_bytes(), err=err.read_bytes())
        answer = process.stdout.readline()
        if not answer:
            code = process.wait()
            return Ran(code=code if code < 0 else 99, out=out.read_bytes(), err=err.read_bytes())
        told = json.loads(answer)
        return Ran(code=told["code"], memory=told["memory"], out=out.read_bytes(), err=err.read_bytes())

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz._worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment(self._scratch) | {"PRUNE_AUDIT_ISOLATE": "never"},
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has imported what it needs
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Alone:
    """A process for each command, as ``prune-audit`` starts it, whose models run in confined workers of their own."""

    def __init__(self, scratch: Path) -> None:
        self._environment = environment(scratch)
        self._scratch = scratch

    def __call__(self, command: Command, folder: Path, extra: Mapping[str, str]) -> Ran:
        """Run ``command`` in ``folder``."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "prune_audit", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=self._environment | dict(extra),
                start_new_session=True,
            )
            ended, why, peak = time.monotonic() + WALL, "", 0
            while process.poll() is None and not why:
                time.sleep(0.05)
                held = _held(_session(process.pid))
                peak = max(peak, held)
                if time.monotonic() > ended or _used(_session(process.pid)) > SECONDS:
                    why = "hang"
                elif held > MOST:
                    why = "memory: ended at the limit"
            time.sleep(0.02)
            if not why and [pid for pid in _session(process.pid) if pid != process.pid]:
                time.sleep(1)
                why = "left running" if [pid for pid in _session(process.pid) if pid != process.pid] else ""
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            out.seek(0)
            err.seek(0)
            return Ran(code=None if why else code, why=why, out=out.read(), err=err.read())

    def close(self) -> None:
        """Nothing is left to end."""


def _session(leader: int) -> list[int]:
    """The processes that live of those that ``leader`` started a session for."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                state = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(state[3]) == leader and state[0] != "Z":
                    found.append(int(entry.name))
    return found


def _used(pids: list[int]) -> float:
    """Seconds of processors that processes have had, and the children whose end they have seen."""
    total = 0
    for pid in pids:
        with suppress(OSError, IndexError):
            total += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _held(pids: list[int]) -> int:
    """Bytes of memory that processes hold, what they share counted for each."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) << 12
    return total

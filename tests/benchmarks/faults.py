"""Runs that are killed, or run out of room, at random moments: what is lost, which must be nothing.

    python -m tests.benchmarks.faults                      200 kills and 80 full disks, in half an hour
    python -m tests.benchmarks.faults --kills N --full N

Each trial of a command begins in an empty folder. It is ended by SIGKILL at a moment drawn over the time that it takes
undisturbed, or works on a disk (a tmpfs) that holds a drawn share of what it writes. What lies there then must be
absent or whole; a full disk must end with exit code 2, error and hint. The same command is given again, with room, and
must end with the very bytes of an undisturbed run. Kills that came too late are drawn again and not counted.

Processes are forked from this one, which has imported the libraries and started no thread, since importing them takes
longer than the runs. Rows are kept every 50 ms instead of every 3 s, so that there are parts to be lost.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

KILLS, FULL = 200, 80
MARGIN = 1.1  # moments are drawn over so much of the time of an undisturbed run
LIMIT = 120.0  # seconds, after which a run hangs
BLOCK = 4096  # bytes of a page of a tmpfs


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A command: its arguments, the files that it must leave the same, and a pattern of what there must be ``once``."""

    name: str
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    once: str = ""
    share: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended: its exit code, below 0 for a signal, what it said, and after how many seconds."""

    code: int
    err: str
    seconds: float


def main() -> None:
    """Print a table of commands and what became of their runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS, help=f"runs that are killed: {KILLS}")
    parser.add_argument("--full", type=int, default=FULL, help=f"runs on a disk that becomes full: {FULL}")
    parser.add_argument("--seconds", type=float, help="stop after as long")
    parser.add_argument("--run", help="only commands that this regular expression matches")
    parser.add_argument("--seed", type=int, default=1, help="draws the moments: 1")
    asked = parser.parse_args()
    _import()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        root = Path(folder).resolve()
        _in_child(lambda: _inputs(root / "given"))
        told = [each for each in _commands(root / "given") if re.search(asked.run or "", each.name)]
        rows: dict[str, Counter[str]] = {}
        whole = {each.name: _undisturbed(each, root / "whole") for each in told}
        for name, run in whole.items():
            print(f"{name}: {run.seconds:.1f} s, {run.size >> 10:,} KiB undisturbed", flush=True)
        rng, begun = random.Random(asked.seed), time.monotonic()
        trials = [("killed", _killed)] * asked.kills + [("disk full", _full)] * asked.full
        rng.shuffle(trials)
        for done, (what, trial) in enumerate(trials):
            if asked.seconds is not None and time.monotonic() - begun > asked.seconds:
                break
            [each] = rng.choices(told, [one.share for one in told])
            counts = rows.setdefault(f"{each.name}, {what}", Counter())
            # What came too late says nothing: the run was over.
            while (found := trial(each, whole[each.name], root / "trial", rng)) is None:
                counts["late"] += 1
            counts.update(["tried", *found])
            if found != ["the same"] or done % 20 == 19:
                print(f"{done + 1}: {each.name}, {what}: {', '.join(found)}", flush=True)
    print(table(rows))


def table(rows: dict[str, Counter[str]]) -> str:
    """Markdown: a line a command and fault."""
    columns = ("tried", "the same", "half-written", "other bytes", "wrong end", "left over")
    lines = [f"| run | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    lines += [
        f"| {name} | {' | '.join(str(counts[each]) for each in columns)} |" for name, counts in sorted(rows.items())
    ]
    total = sum(rows.values(), Counter())
    return "\n".join([*lines, f"| **all** | {' | '.join(str(total[each]) for each in columns)} |"])


def _import() -> None:
    """What runs need, before they are forked."""
    import importlib
    import pkgutil

    import onnxruntime  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401
    import scipy.optimize  # noqa: F401
    import torch
    import torch._dynamo  # noqa: F401 - by every optimiser of torch, in seconds

    import prune_audit
    from prune_audit.evaluate import cache

    for module in pkgutil.walk_packages(prune_audit.__path__, "prune_audit."):
        if not module.name.endswith(("__main__", "mlflow")):
            importlib.import_module(module.name)
    cache.FLUSH_SECONDS = 0.05


def _in_child(work: object) -> None:
    """Call ``work`` in a process of its own, so that this one starts no thread."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()  # type: ignore[operator]
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0, "the inputs could not be made"


def _inputs(folder: Path) -> None:
    """Models and data as the fuzz harness makes them, but of 450 samples, so that there is time to be killed."""
    import numpy as np

    from tests.fuzz import seeds

    seeds.make(folder)
    x, y = seeds.pictures(each=150)
    np.savez(folder / "bright.npz", x=x[:, None].astype(np.float32) / 255, y=y)


def _commands(given: Path) -> list[Told]:
    from tests.fuzz.seeds import FACTORY

    data, quiet = str(given / "bright.npz"), ("-q", "--threads", "1", "--cache", "kept")
    dense, pruned, state = (str(given / name) for name in ("dense.onnx", "pruned.onnx", "state.pth"))
    small = ("--batch-size", "16")
    return [
        Told(
            name="compare",
            arguments=(
                "compare",
                dense,
                pruned,
                "--data",
                data,
                "--reproducible",
                *small,
                *quiet,
                "-o",
                "a.json",
                "-o",
                "a.csv",
            ),
            files=("a.json", "a.csv"),
        ),
        Told(
            name="predict",
            arguments=("predict", dense, "--data", data, *small, *quiet, "-o", "p.parquet"),
            files=("p.parquet",),
        ),
        Told(
            name="prune",
            arguments=(
                *("prune", f"dense={state}@{FACTORY}", "--density", "0.3", "--data", data, "--epochs", "6"),
                *(*quiet, "-o", "out.pth", "--audit", data, "-r", "r.csv"),
            ),
            files=("out.pth", "r.csv"),
        ),
        Told(
            name="study",
            arguments=("study", str(given / "plan.toml"), "-q", "--threads", "1", "-o", "made"),
            files=("made/runs.csv", "made/classes.csv", "made/table-cells.csv", "made/study.md"),
            share=1,  # it takes as long as all others together
        ),
        Told(
            name="check with a history",
            arguments=(
                *("check", str(given / "audit.json"), "--exit-zero", "-q", "--history", "releases"),
                *("--alpha-budget", "0.1", "-o", "h.csv", "-o", "h.html"),  # which says so where it was judged before
            ),
            files=("h.csv",),
            once="releases/*.release",
        ),
    ]


def _start(told: Told, folder: Path) -> int:
    """The process of ``told`` in ``folder``, which is what `prune_audit.cli.main` makes of it."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        for descriptor, name in ((1, "out.log"), (2, "err.log")):
            opened = os.open(folder.parent / f"{folder.name}-{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, descriptor)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        from prune_audit.cli import invoke

        code = invoke(told.arguments)
    finally:
        os._exit(code)


def _run(told: Told, folder: Path, kill_after: float | None = None) -> Ended:
    """Run to the end, or until it is killed."""
    begun = time.monotonic()
    pid = _start(told, folder)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        passed = time.monotonic() - begun
        if done:
            err = (folder.parent / f"{folder.name}-err.log").read_text()
            return Ended(code=os.waitstatus_to_exitcode(status), err=err, seconds=passed)
        if passed > (LIMIT if kill_after is None else kill_after):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What an undisturbed run leaves: its files, how long it took, how much it wrote in all."""

    files: dict[str, bytes]
    seconds: float
    size: int


def _undisturbed(told: Told, folder: Path) -> Whole:
    """Two runs, which must leave the same, or nothing could be compared."""
    found = []
    for _ in range(2):
        _empty(folder)
        ended = _run(told, folder)
        assert ended.code in (0, 1), ended.err
        files = {name: (folder / name).read_bytes() for name in told.files}
        size = sum(BLOCK + path.stat().st_size for path in folder.rglob("*"))
        found.append(Whole(files=files, seconds=ended.seconds, size=size))
    differ = [name for name in told.files if found[0].files[name] != found[1].files[name]]
    assert not differ, f"{told.name} writes other bytes each time: {differ}"
    return found[1]


def _killed(told: Told, whole: Whole, folder: Path, rng: random.Random) -> list[str] | None:
    _empty(folder)
    ended = _run(told, folder, rng.uniform(0, MARGIN * whole.seconds))
    if ended.code != -signal.SIGKILL:
        return None
    return _again(told, whole, folder, [])


def _full(told: Told, whole: Whole, folder: Path, rng: random.Random) -> list[str] | None:
    _empty(folder)
    with _disk(folder, max(2 * BLOCK, int(rng.uniform(0, 1) * whole.size))):
        ended = _run(told, folder)
        if ended.code in (0, 1):
            return None
        said = ended.code == 2 and "error: " in ended.err and "hint: " in ended.err and "fault in" not in ended.err
        bad = [] if said else ["wrong end"]
        if bad:
            print(ended.code, ended.err[-500:])
        subprocess.run(["mount", "-o", "remount,size=256m", str(folder)], check=True)
        return _again(told, whole, folder, bad)


def _again(told: Told, whole: Whole, folder: Path, bad: list[str]) -> list[str]:
    """What lies there now, and after the same command was given again."""
    for name in told.files:
        if (folder / name).exists() and (folder / name).read_bytes() != whole.files[name]:
            # Tables of a study are views of its runs, and are there before it is over.
            bad.append("half-written")
    ended = _run(told, folder)
    if ended.code not in (0, 1):
        print(ended.code, ended.err[-500:])
        return [*bad, "wrong end"]
    if any((folder / name).read_bytes() != content for name, content in whole.files.items()):
        bad.append("other bytes")
    if told.once and len(list(folder.glob(told.once))) != 1:
        bad.append("other bytes")
    loose = [path for path in folder.rglob("*") if path.name.endswith((".tmp", ".part")) or path.name.startswith(".")]
    return [*(bad or ["the same"]), *(["left over"] if loose else [])]


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of ``size`` bytes at ``folder``. Mounting one asks for the rights to."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


if __name__ == "__main__":
    main()

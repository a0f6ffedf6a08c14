"""How long an audit takes on 1 to 1,000 machines: ``python -m tests.benchmarks.cluster [MODEL DATA] [SAMPLES]``.

Two costs are measured here, as processor time of whole processes with one thread, so that a busy machine counts for
little: what a shard costs before its first sample, and what a sample costs. Both come from shards of two lengths, by
``predict --shard``. The rest is simulated, in which nothing but the number of machines changes: each is faster or
slower by some `SPREAD`, one in `SLOW` is `TIMES` slower, and a machine is lost every `LOST` hours, with the shard that
it was at. By default the model is of MobileNetV2's size, the data are the shared photographs, and 1,000,000 are
predicted.
"""

from __future__ import annotations

import heapq
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.mobilenet import network
from tests.benchmarks.speed import fit_head, save
from tests.conftest import ROOT, SHARED

MACHINES = (1, 3, 10, 30, 100, 300, 1_000)
SPREAD = 0.05  # standard deviation of the logarithm of how fast machines are
SLOW, TIMES = 100, 3.0  # one machine in so many is so many times slower
LOST = 1_000.0  # hours that a machine runs until it is lost, in the mean
ROUNDS = 20  # simulations of each row, of which the median is told
SAMPLES, BATCH = 1_000_000, 16
TASK = 256  # samples that a runner elsewhere gives to a worker at once
SEED = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Seconds: of a shard before its ``first`` sample, and of ``each`` sample."""

    first: float
    each: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """Seconds from the first start to the last end, and machine-seconds by what they went into."""

    whole: float
    starting: float
    working: float
    lost: float
    waiting: float


def simulated(costs: Costs, samples: int, machines: int, shards: int, rng: np.random.Generator, *, once: bool) -> Time:
    """``shards`` of equal length done by ``machines``, each of which takes the next one when it is free.

    What a shard costs before its first sample is paid ``once`` a machine where workers stay, else by each shard.

    A shard that is lost is done again from its beginning, after all others. Machines that wait for the slowest are
    counted as waiting until it ends.
    """
    slower = np.exp(rng.normal(0, SPREAD, machines))
    slower[rng.random(machines) < 1 / SLOW] *= TIMES
    length = np.full(shards, samples // shards) + (np.arange(shards) < samples % shards)
    free = [(0.0, machine) for machine in range(machines)]
    todo, started = list(length[::-1]), set[int]()
    starting, working, lost, end = 0.0, 0.0, 0.0, 0.0
    while todo:
        count = todo.pop()
        now, machine = heapq.heappop(free)
        first = 0.0 if once and machine in started else costs.first * slower[machine]
        work = costs.each * count * slower[machine]
        until = rng.exponential(LOST * 3600)
        if until < first + work:
            lost += until
            todo.insert(0, count)
            started.discard(machine)
            heapq.heappush(free, (now + until, machine))
            continue
        started.add(machine)
        starting, working = starting + first, working + work
        end = max(end, now + first + work)
        heapq.heappush(free, (now + first + work, machine))
    waiting = machines * end - starting - working - lost
    return Time(whole=end, starting=starting, working=working, lost=lost, waiting=waiting)


def measured(model: Path, data: Path) -> tuple[Costs, int]:
    """The costs of predicting ``data`` by ``model`` here, on one thread, and how many samples told them."""
    with tempfile.TemporaryDirectory() as folder:
        count = sum(1 for _ in data.glob("*/*"))
        shard = ["predict", str(model), "--data", str(data), "--preprocess", "imagenet", "-q", "--threads", "1"]
        shard += ["--workers", "1", "--batch-size", str(BATCH), "--pin", f"{folder}/pin.json"]
        batches = -(-count // BATCH)
        long, short = (seconds([*shard, "--shard", f"1/{of}", "--cache", f"{folder}/{of}"]) for of in (1, batches))
        each = (long - short) / (count - BATCH)
    return Costs(first=short - BATCH * each, each=each), count


def seconds(command: list[str]) -> float:
    """Processor time of ``prune-audit`` with this ``command``, and of the processes that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "prune_audit", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def told(costs: Costs, samples: int) -> str:
    """A table in Markdown: rows for each number of machines, with a shard a machine, 16, and tasks for workers."""
    lines = [
        "| machines | parts | hours | times faster | starting | lost | waiting for the slowest |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    alone = costs.first + samples * costs.each
    for machines in MACHINES:
        ways = [(f"{each * machines:,} shard{'s' * (each * machines > 1)}", each * machines, False) for each in (1, 16)]
        for called, parts, once in (*ways, (f"{samples // TASK:,} tasks", samples // TASK, True)):
            rng = np.random.default_rng([SEED, machines, parts])
            found = [simulated(costs, samples, machines, parts, rng, once=once) for _ in range(ROUNDS)]
            whole = float(np.median([each.whole for each in found]))
            spent = [each.starting + each.working + each.lost + each.waiting for each in found]
            shares = (
                float(np.mean([getattr(each, what) / all_ for each, all_ in zip(found, spent, strict=True)]))
                for what in ("starting", "lost", "waiting")
            )
            cells = (f"{100 * share:.1f} %" for share in shares)
            lines.append(
                f"| {machines:,} | {called} | {whole / 3600:.3g} | {alone / whole:,.1f} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure, simulate, and print the table."""
    samples = int(arguments.pop()) if len(arguments) in (1, 3) else SAMPLES
    with tempfile.TemporaryDirectory() as folder:
        if arguments:
            model, data = map(Path, arguments)
        else:
            data = SHARED / "imagenet-samples" / "val"
            net = network(sum(1 for _ in data.iterdir()))
            fit_head(net, data)
            save(net, Path(folder, "dense"))
            model = Path(folder, "dense.onnx")
        costs, count = measured(model.resolve(), data.resolve())
    print(
        f"measured on {count} samples, processor time: {costs.first:.2f} s before the first one of a shard, "
        f"{1000 * costs.each:.1f} ms each\n"
    )
    print(f"simulated: {samples:,} samples of one model, {costs.each * samples / 3600:.1f} hours of one thread\n")
    print(told(costs, samples))


if __name__ == "__main__":
    main(sys.argv[1:])

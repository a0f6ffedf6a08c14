"""Tasks on a Ray cluster: each part is read and predicted where a worker is, and a few numbers a sample come back.

A task is one part. Ray gives it to a worker that is free, and again to another where one is lost, so that a lost
machine costs the parts that it was at. Models stay loaded in the process of a worker from one task to the next. What
comes back is taken in the order of the parts, wherever and whenever each was done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, TypeVar

import typer

from prune_audit.errors import MissingExtra, ModelError
from prune_audit.runners import Part, Result, Samples

ELSEWHERE = True
RETRIES = 3  # of a part whose worker was lost
AHEAD = 4  # parts a worker that are given out before the first of them is back

_Given = TypeVar("_Given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where the cluster is."""

    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="The Ray cluster to run on: auto is the one that this machine is of. By default that of RAY_ADDRESS, "
            "else one on this machine alone.",
        ),
    ] = None


OPTIONS = Options


def ready() -> None:
    """See that Ray can be imported. Raises `MissingExtra` where it is not installed."""
    _ray()


def run(
    parts: Sequence[Part],
    read: Callable[[Part], Samples],
    tasks: Callable[[Samples], Sequence[Callable[[], Result]]],
    take: Sequence[Callable[[Result], None]],
    workers: int,
    options: Options | None,
) -> None:
    """As the room has it; a part takes as many processors as there are ``workers``, or as a machine has."""
    ray = _ray()
    if not ray.is_initialized():
        _connect(ray, None if options is None else options.ray_address)
    machines = [machine["Resources"].get("CPU", 0) for machine in ray.nodes() if machine["Alive"]]
    each = max(1, min(workers, int(max(machines, default=1))))
    most = AHEAD * max(1, int(sum(machines)) // each)
    do = ray.remote(num_cpus=each, max_retries=RETRIES)(_do)
    function = ray.put(read)
    todo = iter(parts)
    waiting = deque(do.remote(function, part) for part in islice(todo, most))
    try:
        while waiting:
            samples = _result(ray, waiting[0])
            waiting.popleft()
            waiting.extend(do.remote(function, part) for part in islice(todo, 1))
            for task, give in zip(tasks(samples), take, strict=False):
                give(task())
    finally:
        for left in waiting:
            ray.cancel(left, force=True)


def _do(read: Callable[[_Given], Samples], part: _Given) -> Samples:
    return read(part)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra(
            "this runner needs Ray, which is not installed", hint="pip install 'prune-audit[ray]', on every machine"
        ) from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as fault:
        raise ModelError(
            f"the Ray cluster {address or 'of this machine'} cannot be reached: {fault}",
            hint="see `ray status` there; leave --ray-address out for a cluster on this machine alone",
        ) from fault


def _result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as fault:
        raise fault.cause if isinstance(fault.cause, Exception) else fault from None
    except ray.exceptions.RayError as fault:
        raise ModelError(
            f"the workers of a part were lost {RETRIES + 1} times: {fault}",
            hint="see the logs of the cluster; where memory ran out, --threads N gives each part more of a machine",
        ) from fault

"""What decides predictions to the last bit, in a small file: shards under one pin are those of one machine.

The last bits of a score hang on which samples are computed together, on threads, libraries, and on the instructions of
the processor. Within one run that is noise. Where a run is split over machines and put together, it would make of one
audit as many as there are ways to split it. So all of that is pinned: the batches are cut once, from all rows, and a
shard has whole batches of them; a machine that is not as it is pinned is refused, and told by what it differs. What is
predicted under a pin is kept apart from all else, so that nothing of another pin gets among it.

The samples that the alignment is judged by (`prune_audit.evaluate.loop.FIRST`) are drawn from all rows as well, and not
from those of a shard.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from prune_audit.core import BY_TIMES, Classifier, Counts, Dataset, Settings, chosen
from prune_audit.errors import InputError, UsageError
from prune_audit.evaluate.batch_size import CALLS, WARM, WORSE, Plan
from prune_audit.evaluate.cache import PIN, PINS
from prune_audit.evaluate.cache_key import processor, source_digest, versions
from prune_audit.evaluate.inputs import Feeder
from prune_audit.evaluate.predict import ask, check_input, part
from prune_audit.files import parse, regular
from prune_audit.files import target as targets

FORM = 1
MOST = 2**22  # bytes of a pin
SMALLEST, LARGEST = 4, 256  # samples: the batch sizes that are tried
NEARLY = 1.05  # a smaller size that takes no longer than this is preferred
TOLD = 3  # differences in a message

Section: TypeAlias = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What is pinned: how models are ``run``, on which ``data``, by which ``versions`` of libraries, and ``models``.

    Each value is a text or a number that a person can compare; digests stand for what is long. ``models`` has a section
    for each model by its name; further ones may come to it.
    """

    run: Section
    data: Section
    versions: Section
    models: Mapping[str, Section]

    @property
    def batch(self) -> int:
        """Samples that a model predicts at once, unless it takes another number alone."""
        return int(self.run["batch size"] or 1)

    @property
    def asked(self) -> int | None:
        """The batch size where one was asked for, which holds for models whose predictions depend on it, too."""
        return self.batch if self.run["asked for"] else None

    @property
    def threads(self) -> int:
        """Of each model."""
        return int(self.run["threads of a model"] or 1)

    @property
    def key(self) -> str:
        """What predictions under this pin are kept by, beside what all are."""
        return _digest(json.dumps(dict(self.run), sort_keys=True))

    def with_models(self, other: Pin) -> Pin:
        """This pin with the models of ``other``, which is otherwise the same."""
        return replace(self, models={**self.models, **other.models})

    def differences(self, other: Pin) -> list[str]:
        """What of this pin and ``other`` excludes that both are of one run, each in a few words; models may be more."""
        pairs = [("", self.run, other.run), ("data: ", self.data, other.data), ("", self.versions, other.versions)]
        pairs += [(f"{name}: ", self.models[name], other.models[name]) for name in self.models if name in other.models]
        return [
            f"{where}{name} is {_told(one.get(name))}, and here {_told(two.get(name))}"
            for where, one, two in pairs
            for name in dict.fromkeys((*one, *two))
            if one.get(name) != two.get(name)
        ]


def of(
    models: Sequence[Classifier],
    dataset: Dataset,
    stages: Sequence[Counts],
    settings: Settings,
    *,
    fingerprint: str,
    threads: int,
    batch: int,
) -> Pin:
    """The pin of a run of ``models`` over the rows of all ``stages``, as it is here."""
    rows = hashlib.sha256()
    for stage in stages:
        rows.update(f"{len(stage)} ".encode() + stage.astype("<i8").tobytes())
    name, instructions = processor()
    return Pin(
        run={
            "batch size": batch,
            "asked for": settings.batch_size,
            "threads of a model": threads,
            "device": settings.device,
            "accelerator": _accelerator(settings.device),
            "runtime": settings.runtime,
            "left out": ", ".join(settings.drop_class),
            "rows": rows.hexdigest(),
            "system": f"{platform.system()} {platform.machine()}",
            "processor": name,
            "instructions": instructions,
        },
        data={
            "content": fingerprint,
            "samples": len(dataset.labels),
            "labels": _digest(np.ascontiguousarray(dataset.labels, "<i8").tobytes()),
            "classes": _digest(json.dumps(dataset.classes)),
            "preprocessing": None if dataset.preprocess is None else dataset.preprocess.describe(),
            **{each.what: each.value for each in dataset.assumptions},
        },
        versions=dict(versions()),
        models={
            model.card.name: {
                "digest": model.card.digest,
                "format": model.card.format,
                "factory": model.card.factory,
                "source": source_digest(model.card.factory),
                "reads": _digest(repr(model.card.reads)),
                "output": chosen(settings.model_output, model.card.name),
                "state key": chosen(settings.state_key, model.card.name),
            }
            for model in models
        },
    )


def read(path: Path) -> Pin | None:
    """The pin at ``path``, None where there is none.

    Raises:
        InputError: what is there is no pin.
    """
    try:
        if path.stat().st_size > MOST:
            raise ValueError(f"it is larger than {MOST:,} bytes")
        return _checked(parse.json(regular.text(path)))
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise _no_pin(path, fault.strerror or str(fault)) from fault
    except ValueError as fault:
        raise _no_pin(path, str(fault)) from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """Where a run is pinned: in the ``file`` that was named, in the folder of the ``store`` that it is a shard for.

    Where in neither, only its batches are cut as under a pin.
    """

    file: Path | None = None
    store: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, of which some may not be there."""
        return tuple(path for path in (self.file, self.store and self.store / PIN) if path is not None)

    def known(self) -> Pin | None:
        """The pin that is there already.

        Raises:
            UsageError: both files are there, and are of different runs.
            InputError: what is there is no pin.
        """
        found = [(path, pin) for path in self.paths if (pin := read(path)) is not None]
        if len(found) == 2:
            check_same(*found[0], *found[1])
        return found[0][1] if found else None

    def agree(self, make: Callable[[Pin | None], Pin]) -> Pin:
        """The pin of this run, which is that of the files; they are written where there are none, or models come to it.

        ``make`` gives the pin of this run, as far as it is free by the one that is there.

        Raises:
            UsageError: another run is pinned there.
            InputError: what is there is no pin.
            OutputError: it cannot be written.
        """
        if not self.paths:
            return make(None)
        self.known()
        settled: Pin | None = None
        for path in self.paths:
            found = read(path)
            joined = _joined(path, found, settled, make)
            while joined != found:  # what was written is read again, since not every disk can lock
                targets.folder(path.parent)
                with targets.alone(path.parent):  # many tasks of an array begin at once
                    if (found := read(path)) is not None:
                        joined = _joined(path, found, settled, make)
                    if joined != found:
                        write(path, joined, named=path == self.file)
                found = read(path)
            settled = joined
        assert settled is not None
        return settled


def write(path: Path, pin: Pin, *, named: bool = True) -> None:
    """Write ``pin`` to ``path``; ``named`` as in `prune_audit.files.target`.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with targets.replacing(path, named=named) as file:
            file.write((json.dumps({PINS: FORM, **asdict(pin)}, indent=1) + "\n").encode())
    except OSError as fault:
        raise targets.unwritable(path, fault) from fault


def check_same(path: Path, pin: Pin, other_path: Path, other: Pin) -> None:
    """Raise `UsageError` where the stores that both pins lie in are not of one run."""
    if differ := other.differences(pin):
        raise UsageError(
            f"{path} and {other_path} are of different runs, and are not put together: {_few(differ, 'in the other')}",
            hint="predict the shards of one again as the other is pinned: copy its pin, and name it with --pin",
        )


def check_machine(pinned: Pin, here: Pin, *, strict: bool) -> None:
    """Check that this machine is as the run is ``pinned``; the kind of its processor counts where that is ``strict``.

    Raises:
        UsageError: it is not.
    """
    kind = ("processor is", "instructions is")
    if differ := [each for each in pinned.differences(here) if strict or not each.startswith(kind)]:
        raise UsageError(
            f"{platform.node()} is not as the run that it works for: {_few(differ, 'there')}",
            hint="install the same versions there, and have models and data be the same files; copies of large data "
            "differ by the times and places of files, unless --verify-data reads them",
        )


def fastest(models: Sequence[tuple[Classifier, Plan]], dataset: Dataset, rows: Counts, room: int) -> int:
    """The batch size, a power of two, at which all ``models`` together take the least time a sample.

    It is tried on the samples at the first of ``rows``, of which nothing is kept and which fit into ``room`` bytes as
    floats. Models that take but one size, or whose predictions depend on it, have no say.
    """
    free = [(model, plan) for model, plan in models if model.expects.batch is None and plan.batch is None]
    batch = dataset.read(rows[:SMALLEST])
    if not free or not len(batch.labels):
        return SMALLEST
    each = 4 * sum(values[0].size for values in batch.inputs.values())
    most = min(LARGEST, max(SMALLEST, room // max(1, each)))
    batch = dataset.read(rows[:most])
    best: dict[int, float] = {}
    size = SMALLEST
    while size <= most and (size <= len(batch.labels) or not best):
        few = part(batch, np.arange(min(size, len(batch.labels))))
        feeder, best[size] = Feeder(few.inputs, dataset.preprocess), 0.0
        for model, plan in free:
            inputs = feeder.feed(model.card.name, model.expects)
            check_input(model, inputs)
            times = []
            for _ in range(CALLS):
                began = time.perf_counter()
                ask(model, inputs, pairs=plan.pairs)
                times.append((time.perf_counter() - began) / len(few.labels))
            best[size] += min(times[WARM:])
        if min(best[size], best.get(size // 2, 0)) > WORSE * min(best.values()):  # twice, since machines are busy
            break
        size *= 2
    return next(size for size, seconds in best.items() if seconds <= NEARLY * min(best.values()))


def _accelerator(device: str) -> str | None:
    torch = sys.modules.get("torch")
    if not device.startswith("cuda") or torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(device))


def _joined(path: Path, found: Pin | None, settled: Pin | None, make: Callable[[Pin | None], Pin]) -> Pin:
    """What is to be pinned at ``path``, where ``found`` is there, and another file has ``settled`` what is free."""
    mine = make(settled or found)
    if settled is not None:
        mine = mine.with_models(settled)
    if found is None:
        return mine
    if differ := found.differences(mine):
        times = str(mine.data.get("content")).startswith(BY_TIMES) and any(
            d.startswith("data: content") for d in differ
        )
        raise UsageError(
            f"{path} pins another run than this one: {_few(differ)}",
            hint="copies of large data differ by the times and places of files: --verify-data reads them"
            if times
            else "run where all is as it is pinned; or make another pin, with other folders for --pin and --cache",
        )
    return found.with_models(mine)


def _few(differ: Sequence[str], here: str = "here") -> str:
    more = len(differ) - TOLD
    told = [each.replace(", and here ", f", and {here} ", 1) for each in differ[:TOLD]]
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _checked(value: Any) -> Pin:
    """Raises `ValueError` where ``value`` is no pin."""
    if not isinstance(value, dict) or value.pop(PINS, None) != FORM:
        raise ValueError(f'it does not begin with "{PINS}": {FORM}')
    if set(value) != {"run", "data", "versions", "models"} or not isinstance(value["models"], dict):
        raise ValueError("expected run, data, versions and models")
    for section in (value["run"], value["data"], value["versions"], *value["models"].values()):
        if not isinstance(section, dict) or not all(_plain(each) for each in section.values()):
            raise ValueError("expected texts and whole numbers by name")
    for name in (
        "batch size",
        "threads of a model",
        *(["asked for"] if value["run"].get("asked for", 0) is not None else []),
    ):
        if not isinstance(number := value["run"].get(name), int) or not 0 < number < 2**20:
            raise ValueError(f"expected a positive number as {name}, found {number!r}")
    return Pin(**value)


def _plain(value: object) -> bool:
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _no_pin(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is no pin of a run: {why}", hint="a run makes one where there is none: remove it, or name another file"
    )


def _told(value: str | int | None) -> str:
    text = "not known" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()

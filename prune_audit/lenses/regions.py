"""Into how many linear pieces do both networks cut the way from one sample to another?

A network of linear layers, ReLU and max pooling is linear piece by piece (Montufar et al. 2014; of pruned networks Cai
et al. 2023, arXiv 2301.07966). Counted are the pieces on straight lines between samples of --audit: within a class, and
from a class to others. Where pruning leaves fewer of them, fewer bends are left to tell classes apart; that it costs
recall is not said by it. Lines of deep convolutional networks go through thousands of pieces, which takes hours: a line
with more than --most-pieces is left out, and where the first ones all are, nothing is counted.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from prune_audit.core import Drawn, Field, Measure, Table, Value
from prune_audit.errors import UsageError
from prune_audit.lenses import CannotLook, Network, Seen, Subject
from prune_audit.nets import regions
from prune_audit.render import rounded

if TYPE_CHECKING:
    import torch

RANK = 100
DEFAULT = False
NEEDS = "gradients"
WITHIN, BETWEEN = "within the class", "to other classes"
TRIED = 2  # lines after which it is known whether any can be counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How many lines there are, and how far they are followed."""

    segments: Annotated[
        int, typer.Option(metavar="N", help="Lines within each class, and as many from it to others, drawn by --seed.")
    ] = 5
    most_pieces: Annotated[int, typer.Option(metavar="N", help="Pieces of a line above which it is left out.")] = 1000

    def __post_init__(self) -> None:
        for name, value in (("segments", self.segments), ("most-pieces", self.most_pieces)):
            if value < 2:
                raise UsageError(f"--{name}: expected 2 or more, found {value}", hint="see --help")


OPTIONS = Options

_FIELDS = (
    Field(name="class", title="class", unit="label"),
    Field(name="series", title="lines", unit="label"),
    Field(name="n", title="counted", unit="count"),
    Field(name="left_out", title="left out", unit="count", meaning="lines with more pieces than --most-pieces"),
    Field(name="dense", title="pieces, dense", unit="ratio", meaning="mean over the lines"),
    Field(name="pruned", title="pieces, pruned", unit="ratio"),
    Field(name="ratio", title="pruned over dense", unit="ratio", meaning="geometric mean over the lines"),
    Field(name="low", title="low", unit="ratio"),
    Field(name="high", title="high", unit="ratio"),
)


def look(subject: Subject, options: Options) -> Seen:
    """The pieces of both networks on the same lines, by class."""
    walkers = [_Walker(subject, network) for network in (subject.dense, subject.pruned)]
    usable = [at for at in range(len(subject.classes)) if len(subject.audit.of(at)) >= 2]
    if not usable:
        raise CannotLook("no class has two samples in --audit that a line could join", hint="give more samples")

    def counted(line: list[int]) -> list[list[int]]:
        found = [walker.walked(line[0], line[1], options.most_pieces) for walker in walkers]
        return [[each.number, int(each.whole)] for each in found]

    first = _lines(subject, usable[0], usable, options.segments)[0]
    tried = [subject.remember(["line", line], partial(counted, line)) for line in first[:TRIED]]
    if not any(whole for line in tried for _, whole in line):
        raise CannotLook(
            f"a line between two samples goes through more than {options.most_pieces:,} pieces, which are not "
            "counted to their end",
            hint="give --most-pieces a larger number, and much time: each piece takes some forward passes",
        )

    def of_class(position: int) -> list[list[list[list[int]]]]:
        both = _lines(subject, position, usable, options.segments)
        return [[counted(line) for line in lines] for lines in both]

    found = dict(zip(usable, subject.each("walking lines", usable, of_class), strict=True))
    rows: list[tuple[Value, ...]] = []
    ratios: dict[tuple[int, str], tuple[float | None, float | None, float | None]] = {}
    for at, both in found.items():
        for series, lines in zip((WITHIN, BETWEEN), both, strict=True):
            whole = np.array([[n for n, _ in line] for line in lines if all(w for _, w in line)], float).reshape(-1, 2)
            ratios[at, series] = _ratio(whole, subject.settings.confidence)
            means = whole.mean(axis=0).tolist() if len(whole) else [None, None]
            rows.append((subject.classes[at], series, len(whole), len(lines) - len(whole), *means, *ratios[at, series]))
    return Seen(
        sentences=tuple(_sentences(subject, rows, ratios)),
        tables=(_table(subject, rows, ratios),),
        measures=(_measure(subject, ratios),),
    )


class _Walker:
    """A network in double precision, walked along lines between samples of --audit."""

    def __init__(self, subject: Subject, network: Network) -> None:
        self._subject, self._network = subject, network
        self._module: torch.nn.Module | None = None

    def walked(self, one: int, other: int, most: int) -> regions.Pieces:
        """From the sample at row ``one`` to that at ``other``."""
        import torch

        if self._module is None:  # where all lines were walked before, it is not needed
            self._module = copy.deepcopy(self._network.module).double().eval()
        module = self._module
        ((inputs, _),) = self._network.examples(self._subject.audit, np.array([one, other]))
        if len(inputs) > 1 or not next(iter(inputs.values())).is_floating_point():
            raise CannotLook(
                f"{self._network.card.name} takes several inputs, or whole numbers, between which there is no line",
                hint="lines are drawn between images, sounds and tables of numbers",
            )
        (ends,) = inputs.values()
        start, end = ends.double()

        def at(share: float) -> regions.Point:
            point = (start + share * (end - start))[None]
            return regions.points(module, point, point.device)[0]

        with torch.no_grad():
            return regions.walk(at, most)


def _lines(subject: Subject, position: int, usable: Sequence[int], number: int) -> tuple[list[list[int]], ...]:
    """Rows of both ends of lines within a class, and of as many from it to others in turn."""
    generator = np.random.default_rng([subject.seed, position])
    own = subject.audit.of(position)
    within = [sorted(generator.choice(own, 2, replace=False).tolist()) for _ in range(number)]
    others = [at for at in usable if at != position]
    turn = [others[(position + step) % len(others)] for step in range(number)] if others else []
    between = [[int(generator.choice(own)), int(generator.choice(subject.audit.of(at)))] for at in turn]
    return within, between


def _ratio(counts: Any, confidence: float) -> tuple[float | None, float | None, float | None]:
    """The geometric mean of pruned over dense of ``counts`` (N, 2), with the t interval of its logarithm."""
    from scipy.stats import t

    if not len(counts):
        return None, None, None
    logs = np.log(counts[:, 1] / counts[:, 0])
    mean = float(logs.mean())
    if len(logs) < 2 or np.ptp(logs) <= 1e-12:
        return float(np.exp(mean)), None, None
    half = float(t.ppf((1 + confidence) / 2, len(logs) - 1)) * float(logs.std(ddof=1)) / len(logs) ** 0.5
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))


Ratios = dict[tuple[int, str], tuple[float | None, float | None, float | None]]


def _fewer(subject: Subject, ratios: Ratios, series: str) -> list[str]:
    return [
        subject.classes[at]
        for (at, of), (_, _, high) in ratios.items()
        if of == series and high is not None and high < 1
    ]


def _sentences(subject: Subject, rows: list[tuple[Value, ...]], ratios: Ratios) -> list[str]:
    said = []
    for series in (WITHIN, BETWEEN):
        own = [row for row in rows if row[1] == series and isinstance(row[4], float) and isinstance(row[5], float)]
        if own:
            dense, pruned = (float(np.mean([float(row[side] or 0) for row in own])) for side in (4, 5))
            said.append(
                f"Lines {series} go through {dense:,.1f} pieces of the dense network and {pruned:,.1f} of the pruned "
                "one, the mean over classes."
            )
    counted, left = (sum(int(row[at] or 0) for row in rows) for at in (2, 3))
    if left:
        said.append(
            f"{left:,} of {counted + left:,} lines, those with the most pieces, are left out, so that these numbers "
            "are of the others alone: --most-pieces."
        )
    fewer = {series: _fewer(subject, ratios, series) for series in (WITHIN, BETWEEN)}
    told = [f"{series}: {rounded.listed(names)}" for series, names in fewer.items() if names]
    said.append(
        f"Shown to be fewer, class by class and corrected for nothing, {'; '.join(told)}."
        if told
        else "In no class are the pieces shown to be fewer."
    )
    said.append("Fewer pieces are fewer bends to tell classes apart by; whether it cost recall, the audit says.")
    return said


def _table(subject: Subject, rows: list[tuple[Value, ...]], ratios: Ratios) -> Table:
    fewer = _fewer(subject, ratios, BETWEEN)
    drawn = Drawn(
        kind="dots",
        title="Pieces that are left",
        shows=f"Fewer pieces on the way to other classes are shown for {rounded.listed(fewer)}."
        if fewer
        else "For no class fewer pieces on the way to other classes are shown.",
        reading="Pruned over dense pieces on the same lines, with the interval of the mean. Below 1 bends are gone, "
        "above 1 there are more than before.",
        x="ratio",
        y="class",
        low="low",
        high="high",
        group="series",
    )
    return Table(
        name="pieces",
        title="Pieces on lines between samples",
        fields=_FIELDS,
        rows=tuple(rows),
        notes=(
            f"pieces shorter than {regions.SHORTEST:g} of a line are not seen",
            "no interval of fewer than two lines, or of equal ones",
        ),
        drawn=(drawn,),
    )


def _measure(subject: Subject, ratios: Ratios) -> Measure:
    found = [ratios.get((at, BETWEEN), (None, None, None)) for at in range(len(subject.classes))]
    return Measure(
        name="pieces_ratio",
        title="pieces to other classes, pruned over dense",
        unit="ratio",
        by_stratum=tuple(value for value, _, _ in found),
        low=tuple(low for _, low, _ in found),
        high=tuple(high for _, _, high in found),
        absent={at: "no line was counted" for at, (value, _, _) in enumerate(found) if value is None},
    )

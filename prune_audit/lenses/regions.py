"""Into how many linear pieces do both networks cut the way from one sample to another?

A network of linear layers, ReLU and max pooling is linear piece by piece (Montufar et al. 2014; of pruned networks Cai
et al. 2023, arXiv 2301.07966). Counted are the pieces on straight lines between samples of --audit: within a class, and
from a class to others. Where pruning leaves fewer of them, fewer bends are left to tell classes apart; that it costs
recall is not said by it. Lines of deep convolutional networks go through many thousands of pieces: a line with more
than --most-pieces is left out, and where the first ones all are, nothing is counted. Of fully connected layers at the
end, the bound of Cai et al. stands beside: how many pieces such layers could make at most.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from prune_audit.core import Drawn, Field, Measure, Table, Value
from prune_audit.errors import ModelError, UsageError
from prune_audit.lenses import CannotLook, Network, Seen, Subject
from prune_audit.nets import regions, regions_bound
from prune_audit.render import rounded

if TYPE_CHECKING:
    import torch

RANK = 100
DEFAULT = False
NEEDS = "gradients"
WITHIN, BETWEEN = "within the class", "to other classes"
TRIED = 2  # lines after which it is known whether any can be counted
EVENLY = "pruned, cut evenly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How many lines there are, and how far they are followed."""

    segments: Annotated[
        int, typer.Option(metavar="N", help="Lines within each class, and as many from it to others, drawn by --seed.")
    ] = 5
    most_pieces: Annotated[
        int,
        typer.Option(metavar="N", help="Most pieces of a line; one with more is left out."),
    ] = 2000

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
            hint="give --most-pieces a larger number, and time: each piece takes some forward passes",
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
    bounds: dict[str, Any] = subject.remember(["bound"], lambda: _bounds(subject, walkers))
    return Seen(
        sentences=(*_sentences(subject, rows, ratios), *_of_bounds(bounds)),
        tables=(_table(subject, rows, ratios), *_bound_tables(bounds)),
        measures=(_measure(subject, ratios),),
    )


class _Walker:
    """A network in double precision, walked along lines between samples of --audit."""

    def __init__(self, subject: Subject, network: Network) -> None:
        self._subject, self._network = subject, network

    @cached_property
    def module(self) -> torch.nn.Module:
        """A copy; where all lines were walked before, none is needed."""
        return copy.deepcopy(self._network.module).double().eval()

    def inputs(self, *rows: int) -> torch.Tensor:
        """The samples at ``rows`` (M, ...) as the network takes them. Raises `CannotLook` of other than numbers."""
        ((inputs, _),) = self._network.examples(self._subject.audit, np.array(rows))
        if len(inputs) > 1 or not next(iter(inputs.values())).is_floating_point():
            raise CannotLook(
                f"{self._network.card.name} takes several inputs, or whole numbers, between which there is no line",
                hint="lines are drawn between images, sounds and tables of numbers",
            )
        (found,) = inputs.values()
        return found.double()

    def walked(self, one: int, other: int, most: int) -> regions.Pieces:
        """From the sample at row ``one`` to that at ``other``. Raises `CannotLook` of a network that has no pieces."""
        import torch

        start, end = self.inputs(one, other)
        try:
            with torch.no_grad():
                return regions.count(self.module, start, end, most)
        except ModelError as bends:
            raise CannotLook(bends.message, hint=bends.hint) from bends


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


# ------------------------------------------------------------------------------------------------------- the bound


def _bounds(subject: Subject, walkers: Sequence[_Walker]) -> dict[str, Any]:
    """The bound for the fully connected layers at the end of both networks, in types of JSON; empty without any.

    And for layers of the pruned one if its weights there were spread evenly over them.
    """
    stacks = [_stack(walker) for walker in walkers]
    if not all(stacks):
        return {}
    kept, size = sum(own for _, own, _, _ in stacks[1]), sum(whole for _, _, whole, _ in stacks[1])
    generator = np.random.default_rng(subject.seed)
    found: dict[str, Any] = {"networks": []}
    evenly = [(EVENLY, stacks[1])] if len(stacks[1]) > 1 else []
    for name, layers in (("dense", stacks[0]), ("pruned", stacks[1]), *evenly):
        rows, of_ranks, widths = [], [], []
        for layer, own, whole, inputs in layers:
            density = kept / size if name == EVENLY else own / whole
            width = whole // inputs
            chances = regions_bound.ranks(width, inputs, density, generator)
            mean = sum(k * p for k, p in chances.items())
            spread = sum((k - mean) ** 2 * p for k, p in chances.items()) ** 0.5
            rows.append([layer, inputs, width, density, mean, spread])
            of_ranks.append(chances)
            widths.append(width)
        bits = regions_bound.log2_bound(widths, of_ranks, layers[0][3])
        found["networks"].append({"name": name, "bits": bits, "layers": rows})
    return found


def _stack(walker: _Walker) -> list[tuple[str, int, int, int]]:
    """The hidden fully connected layers at the end of a network: name, weights that are not 0, weights, inputs.

    A layer is of the stack where the next one takes what ReLU makes of it, and nothing besides.
    """
    import torch

    inputs = walker.inputs(0)
    names = {id(module): name for name, module in walker.module.named_modules()}
    run: list[tuple[torch.nn.Linear, torch.Tensor, torch.Tensor]] = []  # in the order in which they run

    def see(module: Any, taken: Any, given: Any) -> None:
        run.append((module, taken[0].flatten(1), given.flatten(1)))

    hooks = [
        module.register_forward_hook(see) for module in walker.module.modules() if isinstance(module, torch.nn.Linear)
    ]
    try:
        with torch.no_grad():
            scores = walker.module(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    found: list[tuple[str, int, int, int]] = []
    if not run or not isinstance(scores, torch.Tensor) or not torch.equal(run[-1][2], scores):
        return found
    for (layer, _, given), (_, taken, _) in reversed(list(pairwise(run))):
        if not torch.equal(given.relu(), taken):
            break
        weight = layer.weight
        found.append((names[id(layer)], int((weight != 0).sum()), weight.numel(), layer.in_features))
    return found[::-1]


def _of_bounds(bounds: dict[str, Any]) -> list[str]:
    """What the bound says, or that it says nothing."""
    if not bounds:
        return []
    dense, pruned, *others = (float(each["bits"]) for each in bounds["networks"])
    layers = [str(each[0]) for each in bounds["networks"][1]["layers"]]
    of = f"The bound of Cai et al. for {rounded.listed(layers)}, the hidden fully connected layers at the end,"
    if abs(dense - pruned) < regions_bound.FLAT:
        said = f"{of} is 2^{dense:.1f} pieces dense and 2^{pruned:.1f} pruned: it cannot tell these apart."
    else:
        said = (
            f"{of} falls from 2^{dense:.1f} pieces to 2^{pruned:.1f}: layers cut that much at random could make no "
            "more, however they were trained."
        )
    return [said, *(_of_even(pruned, evenly) for evenly in others)]


def _of_even(pruned: float, evenly: float) -> str:
    if abs(pruned - evenly) < regions_bound.FLAT:
        return f"From a cut that keeps as much of each of these layers (2^{evenly:.1f}) it cannot tell this one either."
    return f"Cut evenly, as much of each of these layers, they could make 2^{evenly:.1f}."


def _bound_tables(bounds: dict[str, Any]) -> tuple[Table, ...]:
    if not bounds:
        return ()
    fields = (
        Field(name="network", title="network", unit="label"),
        Field(name="layer", title="layer", unit="label"),
        Field(name="inputs", title="inputs", unit="count"),
        Field(name="width", title="units", unit="count"),
        Field(name="density", title="density", unit="share"),
        Field(name="rank", title="rank", unit="ratio", meaning="mean of random matrices of that density"),
        Field(name="rank_sd", title="sd", unit="ratio", meaning="of the rank"),
        Field(name="log2_bound", title="bound, log2", unit="ratio", meaning="of the pieces of all layers together"),
    )
    rows = tuple(
        (each["name"], *layer, each["bits"] if at == 0 else None)
        for each in bounds["networks"]
        for at, layer in enumerate(each["layers"])
    )
    return (
        Table(
            name="bound",
            title="How many pieces fully connected layers could make at most",
            fields=fields,
            rows=rows,
            notes=(
                "no interval: the bound is of what such layers could do, and nothing that was measured",
                f"what differs by less than {regions_bound.FLAT:g} bit it cannot tell apart",
            ),
        ),
    )

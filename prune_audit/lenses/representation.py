"""Do both networks compute the same features, layer by layer?

Compares what each layer of the dense and of the pruned network gives on samples of --data: unbiased linear CKA, 1 where
both are alike up to rotation, shift and scale, and 0 on average where they have nothing in common; and SVCCA where
there are ten samples a channel. Beside it stands what samples in different orders give: chance. Likeness is no health
check: a network that only guesses may be like the dense one in all layers but its last. So it says where features
moved, and what it costs is said by the audit. With --within-class each class is looked at by itself, in the last block.

How alike is alike enough? Two networks that were trained from different seeds do the same with other features, so
--second-seed gives a yardstick: a dense network of the same architecture and training (Kornblith et al. 2019, section
6). Where the pruned network is less like the dense one than that is, the cut moved features further than chance of
training does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prune_audit.core import Drawn, Field, Floats, Measure, Outputs, Table, Value
from prune_audit.errors import UsageError
from prune_audit.lenses import Account, CannotLook, Network, Seen, Subject, _similarity
from prune_audit.nets import activations
from prune_audit.render import rounded
from prune_audit.tasks import classification

if TYPE_CHECKING:
    from collections.abc import Mapping

RANK = 60
DEFAULT = False
NEEDS = "gradients"
APART = 0.9  # a CKA below which a layer is said to have moved
PRUNED, CHANCE, RESEEDED = "pruned against dense", "chance", "another seed against dense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is compared."""

    look_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Modules whose outputs are compared, by name, such as 'layer*'; repeats. Unless given: layers with "
            "weights, and blocks of these.",
        ),
    ] = None
    within_class: Annotated[
        bool, typer.Option("--within-class", help="Compare the last block within each class by itself, too.")
    ] = False
    second_seed: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A dense network that was trained as DENSE was, from another seed: how alike two such are is the "
            "yardstick. With DENSE's factory, unless it names one.",
        ),
    ] = None


OPTIONS = Options

_FIELDS = (
    Field(name="layer", title="layer", unit="label"),
    Field(name="series", title="what", unit="label"),
    Field(name="n", title="samples", unit="count"),
    Field(
        name="cka", title="CKA", unit="ratio", meaning="1 where features are alike but for rotation, 0 where not at all"
    ),
    Field(name="low", title="low", unit="ratio"),
    Field(name="high", title="high", unit="ratio"),
    Field(name="svcca", title="SVCCA", unit="ratio", meaning="mean canonical correlation of the directions"),
    Field(name="channels", title="channels", unit="count"),
    Field(name="dead_dense", title="dead, dense", unit="count", meaning="channels with one value on all samples"),
    Field(name="dead", title="dead, pruned", unit="count"),
    Field(
        name="directions_dense",
        title="directions, dense",
        unit="count",
        meaning="as many hold 99 % of the variance",
    ),
    Field(name="directions_pruned", title="directions, pruned", unit="count"),
)


def besides(options: Options) -> tuple[str, ...]:
    """The second dense network, where one is given."""
    return () if options.second_seed is None else (options.second_seed,)


def look(subject: Subject, options: Options) -> Seen:
    """The likeness of each layer, with what chance gives."""
    names = activations.layers(subject.dense.module, options.look_at or ())
    both = [
        set(activations.layers(each, options.look_at or ())) for each in (subject.dense.module, subject.pruned.module)
    ]
    if both[0] != both[1]:
        raise CannotLook(
            f"the networks have different layers: {rounded.listed(sorted(both[0] ^ both[1]))} only in one of them",
            hint="give networks of one architecture, or name layers that both have with --look-at",
        )
    second = None if options.second_seed is None else subject.others[options.second_seed]
    if second is not None:
        _check_alike(subject, second[0], names, options)
    wanted = len(subject.data.labels)
    if wanted < 2 * _similarity.GROUPS:
        raise CannotLook(
            f"{wanted} samples of --data are too few to compare features by, of {2 * _similarity.GROUPS}",
            hint="give more with --data and --samples",
        )
    seen = _Features(subject, names, None if second is None else second[0])
    found: list[dict[str, Any]] = subject.each("comparing layers", names, seen.compared)
    table = _table(names, found, wanted, subject)
    measures, accounts = _by_class(subject, seen, names) if options.within_class else ((), ())
    return Seen(
        sentences=(*_sentences(names, found), *_against(subject, second, names, found)),
        tables=(table,),
        measures=measures,
        accounts=accounts,
        steps=tuple(_steps(names, found)),
    )


def _check_alike(subject: Subject, second: Network, names: tuple[str, ...], options: Options) -> None:
    """Raises `UsageError` where the ``second`` network is not one that could have been trained as the dense one was."""
    found = activations.layers(second.module, options.look_at or ())
    shapes = [
        {name: tuple(each.shape) for name, each in network.module.named_parameters()}
        for network in (subject.dense, second)
    ]
    if found != names or shapes[0] != shapes[1]:
        other = sorted(name for name in {**shapes[0], **shapes[1]} if shapes[0].get(name) != shapes[1].get(name))
        raise UsageError(
            f"--second-seed {options.second_seed}: expected the architecture of {subject.dense.card.name}, found other "
            f"parameters: {rounded.listed(other)}",
            hint="give a network of the same factory, trained as the dense one was from another seed",
        )


class _Features:
    """What the layers of the networks give on --data: computed once, where a layer was not compared before."""

    def __init__(self, subject: Subject, names: tuple[str, ...], second: Network | None) -> None:
        self._subject, self._names = subject, names
        self._networks = (subject.dense, subject.pruned, *(() if second is None else (second,)))
        self._given: tuple[Mapping[str, Floats], ...] | None = None

    def of(self, name: str) -> tuple[Floats | None, ...]:
        """(N, channels) of the dense and of the pruned network, and of the second; None of a layer without any."""
        if self._given is None:
            self._given = tuple(
                activations.seen(network.module, self._names, network.examples(self._subject.data))
                for network in self._networks
            )
        return tuple(given.get(name) for given in self._given)

    def compared(self, name: str) -> dict[str, Any]:
        """What there is to say of a layer, in types of JSON."""
        dense, pruned, *others = self.of(name)
        if dense is None or pruned is None:
            return {"absent": f"{name} gives no numbers for each sample"}
        confidence, seed = self._subject.settings.confidence, self._subject.seed
        near = _similarity.interval(dense, pruned, confidence, seed)
        chance = _similarity.by_chance(dense, pruned, confidence, seed)
        said: dict[str, Any] = {
            "cka": [near.value, near.low, near.high],
            "chance": [chance.value, chance.low, chance.high],
            "channels": dense.shape[1],
            "dead": [_similarity.dead(dense), _similarity.dead(pruned)],
            "still": [not each.size or not each.std(axis=0).any() for each in (dense, pruned)],
        }
        if (canonical := _similarity.svcca(dense, pruned)) is not None:
            said["svcca"] = list(canonical)
        for second in others:
            if second is not None:
                far = _similarity.interval(dense, second, confidence, seed)
                canonical = _similarity.svcca(dense, second)
                said["second"] = [far.value, far.low, far.high, None if canonical is None else canonical[0]]
        return said


def _table(names: tuple[str, ...], found: list[dict[str, Any]], n: int, subject: Subject) -> Table:
    rows: list[tuple[Value, ...]] = []
    chance: list[tuple[Value, ...]] = []
    reseeded: list[tuple[Value, ...]] = []
    notes = [str(each["absent"]) for each in found if "absent" in each]
    for name, each in zip(names, found, strict=True):
        if "absent" in each:
            continue
        score, dense, pruned = each.get("svcca", (None, None, None))
        rows.append((name, PRUNED, n, *each["cka"], score, each["channels"], *each["dead"], dense, pruned))
        chance.append((name, CHANCE, n, *each["chance"], *(None,) * 6))
        if "second" in each:
            reseeded.append((name, RESEEDED, n, *each["second"], each["channels"], *(None,) * 4))
        if any(each["still"]):
            notes.append(f"{name} gives one value for all samples in one of the networks: its CKA is defined as 0")
    if few := [name for name, each in zip(names, found, strict=True) if "absent" not in each and "svcca" not in each]:
        notes.append(
            f"no SVCCA of {rounded.listed(few)}: fewer than {_similarity.FEWEST} samples a channel, where canonical "
            "correlations are of chance"
        )
    if any(each.get("cka", (0, 0, 0))[1] is None for each in found):
        notes.append("no interval where both networks give the same, or nothing alike")
    level = rounded.limit(subject.settings.confidence)
    drawn = Drawn(
        kind="lines",
        title="Likeness of each layer",
        shows=_lowest(names, found),
        reading=f"CKA of the pruned network's features with the dense one's, layer by layer, with its {level} % "
        "interval; the lower band is what samples in different orders give. Layers near the upper edge compute what "
        "they did; that a network is alike does not say that it is well."
        + (
            " Below the line of another seed, the cut moved features further than another training would."
            * bool(reseeded)
        ),
        x="layer",
        y="cka",
        low="low",
        high="high",
        group="series",
    )
    return Table(
        name="layers",
        title="Layer by layer",
        fields=_FIELDS,
        rows=(*rows, *reseeded, *chance),
        notes=tuple(notes),
        drawn=(drawn,),
    )


def _known(names: tuple[str, ...], found: list[dict[str, Any]]) -> list[tuple[str, list[float]]]:
    return [(name, each["cka"]) for name, each in zip(names, found, strict=True) if "cka" in each]


def _lowest(names: tuple[str, ...], found: list[dict[str, Any]]) -> str:
    known = _known(names, found)
    if not known:
        return "No layer could be compared."
    name, (value, low, high) = min(known, key=lambda each: each[1][0])
    limits = f" ({rounded.ratio(low)} to {rounded.ratio(high)})" if low is not None else ""
    return f"{name} is least alike: CKA {rounded.ratio(value)}{limits}."


def _sentences(names: tuple[str, ...], found: list[dict[str, Any]]) -> list[str]:
    known = _known(names, found)
    if not known:
        return [_lowest(names, found)]
    moved = [name for name, (_, _, high) in known if high is not None and high < APART]
    said = (
        f"Features moved in {len(moved)} of {rounded.several(len(known), 'layer')}, shown by a CKA below {APART:g}: "
        f"{rounded.listed(moved)}."
        if moved
        else f"In no layer features are shown to have moved: no CKA is shown to lie below {APART:g}."
    )
    sentences = [said, _lowest(names, found)]
    before, after = (sum(int(each.get("dead", (0, 0))[side]) for each in found) for side in (0, 1))
    if after > before:
        of = sum(int(each.get("channels", 0)) for each in found)
        sentences.append(
            f"{after:,} of {of:,} channels give one value for all samples in the pruned network, {before:,} in the "
            "dense one."
        )
    sentences.append(
        "Likeness is no health check: layers may be alike in a network that guesses, and unlike in one that was "
        "trained to be as good. Only the audit says who lost."
    )
    return sentences


def _against(
    subject: Subject, second: tuple[Network, Outputs] | None, names: tuple[str, ...], found: list[dict[str, Any]]
) -> list[str]:
    """The pruned network beside the ``second`` dense one."""
    if second is None:
        return []
    network, outputs = second
    predictions = subject.predicted(subject.audit)
    right = [
        float(classification.right(each.predicted, predictions.labels).mean())
        for each in (predictions.models[0], outputs)
    ]
    known = [(name, each) for name, each in zip(names, found, strict=True) if "second" in each]
    further = [name for name, each in known if _below(each["cka"], each["second"])]
    nearer = [name for name, each in known if _below(each["second"], each["cka"])]
    said = (
        f"Beside {network.card.name}, a dense network of another seed (right on {rounded.percent_sign(right[1])} of "
        f"what is audited, {subject.dense.card.name} on {rounded.percent_sign(right[0])}): features of the pruned one "
        f"are shown to be nearer to the dense one's in {len(nearer)} of {rounded.several(len(known), 'layer')}"
    )
    if further:
        return [f"{said}, and further away in {len(further)}: {rounded.listed(further)}."]
    return [f"{said}, and further away in none: the cut moved them no further than another training would."]


def _below(one: list[float | None], other: list[float | None]) -> bool:
    """Whether the interval of ``one`` lies below that of the ``other``, or below its value where it has none."""
    high, low = one[2] if one[2] is not None else one[0], other[1] if other[1] is not None else other[0]
    assert high is not None
    assert low is not None  # a value there always is
    return high < low


def _steps(names: tuple[str, ...], found: list[dict[str, Any]]) -> list[str]:
    """What to try where likeness falls towards the end: the last layers that have moved."""
    known = _known(names, found)
    moved = [name for name, (_, _, high) in known if high is not None and high < APART]
    late = [name for name, _ in known[len(known) // 2 :]]
    if moved and all(name in late for name in moved):
        return [
            f"Features move from {moved[0]} on: fine-tune the last layers first, or leave them out of the cut with "
            "--exempt."
        ]
    return []


def _by_class(
    subject: Subject, seen: _Features, names: tuple[str, ...]
) -> tuple[tuple[Measure, ...], tuple[Account, ...]]:
    """CKA within each class, in the last module before the scores that gives features."""
    name = names[-2] if len(names) > 1 else names[-1]

    def one(position: int) -> dict[str, Any]:
        dense, pruned = seen.of(name)[:2]
        rows = subject.data.of(position)
        if dense is None or pruned is None or len(rows) < 2 * _similarity.GROUPS:
            return {}
        found = _similarity.interval(dense[rows], pruned[rows], subject.settings.confidence, subject.seed)
        return {"cka": [found.value, found.low, found.high]}

    found = subject.each("comparing within classes", range(len(subject.classes)), one)
    values = [each.get("cka", (None, None, None)) for each in found]
    few = {
        at: f"{len(subject.data.of(at))} samples, of {2 * _similarity.GROUPS} that it takes"
        for at, value in enumerate(values)
        if value[0] is None
    }
    measure = Measure(
        name="class_cka",
        title=f"CKA within the class, {name}",
        unit="ratio",
        by_stratum=tuple(value[0] for value in values),
        low=tuple(value[1] for value in values),
        high=tuple(value[2] for value in values),
        absent=few,
    )
    moved = tuple(None if value[0] is None else 1 - float(value[0]) for value in values)
    title = f"How far features of {name} moved within the class"
    return (measure,), (Account(name="class_cka", title=title, values=moved, larger="more"),)

"""Is it one layer: would a class be spared if this layer had not been cut?

The question is answered by doing it. The dense weights of a layer go back into the pruned network, the statistics of
batch normalisation are estimated anew on a part of the training samples, and what is right is counted on the rest of
them, beside the pruned network with new statistics, too. Of more than eight layers those are tried that the
second-order prediction ranks first. Layers are ranked by samples given back less newly lost, and one under which a
class is shown to lose more than the margin is left out. The best one, and a sequence of at most three that goes on from
it with those that gave anything back, are then judged once on the audited samples.

What is put back costs density, and density helps wherever it is spent. So each is held against a control: as many of
the cut weights put back over all layers, the largest first, as magnitude pruning itself would with that density. A gain
counts only where its interval is above 0 and above the control's, paired on the same samples. Where all cut weights lie
in one layer there is no control. In a network that was trained after the cut the rest was trained around the cut, so
that no layer is named without training it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from prune_audit import stats
from prune_audit.core import REGRESSED, Array, Counts, Drawn, Field, Outputs, Predictions, Table, Value, View, lookup
from prune_audit.errors import UsageError
from prune_audit.lenses import CannotLook, Seen, Subject, _changed, _shift
from prune_audit.nets import masking, training_data
from prune_audit.render import rounded
from prune_audit.tasks import classification

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.editable import Editable

    Tensors = Mapping[str, torch.Tensor]

RANK = 30
DEFAULT = True
NEEDS = "gradients"

MOST = 8  # layers that are tried
LONGEST = 3  # of the sequence
HELD_OUT = 0.5  # share of the training samples on which layers are ranked


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is put back besides."""

    restore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER",
            help="Put the dense weights of this layer back, judge that network, too, and write it to the -o FILE that "
            "ends as PRUNED does; repeats, and may be a pattern.",
        ),
    ] = None


OPTIONS = Options


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """What came of putting ``layers`` back: ``base``, what was right before, and ``right``, after; (N,) each."""

    layers: tuple[str, ...]
    base: Array
    right: Array

    @property
    def net(self) -> int:
        return int(self.right.sum()) - int(self.base.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What came of it on the audited samples: against the pruned network, the control, and the control against that."""

    layers: tuple[str, ...]
    cost: float  # share of all weights that may be cut
    step: _changed.Step
    control: _changed.Step | None
    beyond: _changed.Step | None  # from the control to what was put back

    @property
    def explains(self) -> bool:
        return self.step.shown and self.beyond is not None and self.beyond.shown


def look(subject: Subject, options: Options | None) -> Seen:
    """Layers put back one by one and in sequence, each beside its control."""
    dense, cut = _weights(subject)
    left = [name for name, values in cut.items() if int(values.sum())]
    if not left:
        raise CannotLook(f"no weight of {subject.pruned.card.name} is zero that was none before", hint="prune it first")
    asked = _asked(left, options)
    tuned = _shift.tuned(subject)
    candidates = _candidates(subject, left)
    first = _try(subject, dense, (), candidates)
    best = _best(subject, first)
    sequence = _sequence(subject, dense, first, best)
    wanted = dict.fromkeys(each for each in (best and best.layers, sequence, asked) if each)
    bar = subject.progress("judging layers")
    judged = []
    for done, layers in enumerate(wanted):
        if bar is not None:
            bar(done, len(wanted))
        judged.append(_judge(subject, dense, cut, layers))
    if bar is not None:
        bar(len(wanted), len(wanted))
    found = [each for each in judged if each.explains and not tuned]
    sentences = [_verdict(judged, found, tuned=tuned), *(_told(subject, each) for each in judged)]
    if len(left) > len(candidates):
        sentences.append(
            f"{len(candidates)} of {len(left)} layers with cut weights were tried, those first that the second-order "
            "prediction ranks first."
        )
    return Seen(
        sentences=tuple(sentences),
        tables=(*_judged_tables(subject, judged), _grid(subject, first)),
        finds=tuple(_find(subject, each) for each in found[:1]),
        excludes=() if found else (sentences[0],),
        steps=tuple(_step(each) for each in found[:1]),
    )


def make(subject: Subject, options: Options | None) -> Editable | None:
    """The network in which the layers that the ``options`` name are dense again, as `look` judged it."""
    dense, cut = _weights(subject)
    layers = _asked([name for name, values in cut.items() if int(values.sum())], options)
    if not layers:
        return None
    _changed.renewed(subject, {name: dense[name] for name in layers})
    return subject.pruned.opened()


def _weights(subject: Subject) -> tuple[Tensors, Tensors]:
    """The dense weights that may be cut, and which of them are (true), by name. Raises `CannotLook` as `_shift`."""
    _, cut = _shift.deltas(subject)
    module = subject.dense.module
    return {name: module.get_parameter(name).detach().clone() for name in cut}, {n: v != 0 for n, v in cut.items()}


def _asked(left: Sequence[str], options: Options | None) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for pattern in (options.restore if options is not None else None) or ():
        named = masking.matching(left, pattern)
        if not named:
            known = ", ".join(_short(name) for name in left)
            raise UsageError(f"--restore {pattern}: no layer with cut weights is called so", hint=f"layers: {known}")
        found |= dict.fromkeys(named)
    return tuple(found)


def _candidates(subject: Subject, left: Sequence[str]) -> list[str]:
    """The layers that are tried: all where they are few, else those that are predicted to cost most."""
    if len(left) <= MOST:
        return list(left)
    names = list(masking.prunable(subject.pruned.module))
    known = [each for each in _shift.per_class(subject) if each is not None]
    if not known:
        raise CannotLook("no class has two training samples to predict by", hint="give more with --data")
    share = np.mean([each["layers"] for each in known], axis=0)  # (L,)
    return sorted(left, key=lambda name: -float(share[names.index(name)]))[:MOST]


def _parts(subject: Subject) -> tuple[Counts, Counts]:
    """The rows by which statistics are estimated, and those by which layers are ranked."""
    fitted, held_out = training_data.split(subject.data.labels, HELD_OUT, subject.seed)
    return fitted, held_out


def _try(subject: Subject, dense: Tensors, before: tuple[str, ...], candidates: Sequence[str]) -> list[_Tried]:
    """Each of ``candidates`` put back beside those that were put back ``before``, on the held-out training samples."""
    base = _right(subject, dense, before)
    bar = subject.progress("putting layers back")
    found = []
    for done, name in enumerate(candidates):
        if bar is not None:
            bar(done, len(candidates))
        layers = (*before, name)
        found.append(_Tried(layers=layers, base=base, right=_right(subject, dense, layers)))
    if bar is not None:
        bar(len(candidates), len(candidates))
    return found


def _right(subject: Subject, dense: Tensors, layers: tuple[str, ...]) -> Array:
    """Which held-out training samples (M,) are right once ``layers`` are dense again and the statistics are new."""
    import torch

    fitted, held_out = _parts(subject)

    def make() -> list[int]:
        found: list[int] = []
        with _changed.restored_after(subject.pruned.module):
            _changed.renewed(subject, {name: dense[name] for name in layers}, fitted)
            examples = subject.pruned.examples(subject.data, held_out)
            with torch.no_grad():
                for inputs, labels in examples:
                    scores = examples.forward(subject.pruned.module, inputs).float().cpu().numpy()
                    found += classification.right(classification.decided(scores), labels.cpu().numpy()).tolist()
        return [int(each) for each in found]

    return np.array(subject.remember(["right", sorted(layers)], make), bool)


def _best(subject: Subject, tried: Sequence[_Tried]) -> _Tried | None:
    """The one that gives back most on the held-out samples without a class that regresses; None where none gives."""
    able = [each for each in tried if each.net > 0 and not _regressed(subject, each)]
    return max(able, key=lambda each: each.net, default=None)


def _regressed(subject: Subject, tried: _Tried) -> bool:
    """Whether any class is shown to lose more than the margin."""
    labels = subject.data.labels[_parts(subject)[1]]
    # A sample that is wrong is told as another class, whichever.
    wrong = (labels + 1) % len(subject.classes)
    predictions = Predictions(
        classes=subject.classes,
        ids=tuple(map(str, range(len(labels)))),
        labels=labels,
        models=tuple(
            Outputs(name=name, predicted=np.where(right, labels, wrong))
            for name, right in (("before", tried.base), ("after", tried.right))
        ),
    )
    pair = classification.pair(predictions, "before", "after")
    view = View(pair=pair, measures=stats.measures(pair, replace(subject.settings, weights=None)))
    return bool(lookup.those(view, "verdict", [REGRESSED]))


def _sequence(subject: Subject, dense: Tensors, tried: Sequence[_Tried], best: _Tried | None) -> tuple[str, ...] | None:
    """The best layer and up to two more, each the best beside those before it, while that gives anything back."""
    if best is None:
        return None
    layers = best.layers
    while len(layers) < LONGEST:
        left = [each.layers[-1] for each in tried if each.net > 0 and each.layers[-1] not in layers]
        tried = _try(subject, dense, layers, left)
        more = _best(subject, tried)
        if more is None:
            break
        layers = more.layers
    return layers if len(layers) > 1 else None


def _judge(subject: Subject, dense: Tensors, cut: Tensors, layers: tuple[str, ...]) -> _Judged:
    """The network with ``layers`` put back, on the audited samples, beside the control."""
    total = sum(values.numel() for values in cut.values())
    back = sum(int(cut[name].sum()) for name in layers)
    base = _changed.judged(subject, "recalibrated", {}).predicted
    name = "restored-" + hashlib.sha256("\n".join(sorted(layers)).encode()).hexdigest()[:16]
    after = _changed.judged(subject, name, {each: dense[each] for each in layers}).predicted
    elsewhere = any(int(values.sum()) for each, values in cut.items() if each not in layers)
    control = None
    if elsewhere:
        weights = _largest(subject, dense, cut, back)
        control = _changed.judged(subject, f"control-{back}", weights).predicted
    return _Judged(
        layers=layers,
        cost=back / total,
        step=_changed.step(subject, base, after),
        control=None if control is None else _changed.step(subject, base, control),
        beyond=None if control is None else _changed.step(subject, control, after),
    )


def _largest(subject: Subject, dense: Tensors, cut: Tensors, number: int) -> Tensors:
    """The weights of the pruned network with the ``number`` largest of all cut ones put back."""
    import torch

    masks = {name: values.cpu() for name, values in cut.items()}
    size = torch.cat([dense[name].abs().double().cpu()[mask] for name, mask in masks.items()])
    chosen = torch.zeros(len(size), dtype=torch.bool)
    chosen[size.argsort(descending=True, stable=True)[:number]] = True
    weights, at = {}, 0
    for name, mask in masks.items():
        own = subject.pruned.module.get_parameter(name).detach().clone()
        back = torch.zeros(mask.shape, dtype=torch.bool)
        back[mask] = chosen[at : at + int(mask.sum())]
        at += int(mask.sum())
        back = back.to(own.device)
        own[back] = dense[name].to(own.device)[back]
        weights[name] = own
    return weights


# --------------------------------------------------------------------------------------------------- what is said


def _short(name: str) -> str:
    return name.removesuffix(".weight")


def _called(layers: Sequence[str]) -> str:
    return ", ".join(map(_short, layers))


def _points(step: _changed.Step) -> str:
    change = step.change
    return f"{rounded.points(change.overall)} points, {rounded.between(change.overall_low, change.overall_high)}"


def _verdict(judged: Sequence[_Judged], found: Sequence[_Judged], *, tuned: bool) -> str:
    if tuned:
        return (
            "The network was trained after the cut, and what is left has adapted to it: no layer is named as the cause "
            "without training again with that layer left whole."
        )
    if found and len(found[0].layers) == 1:
        return f"{_called(found[0].layers)} explains what no other use of its density does."
    if found:
        return f"No single layer explains this; together {_called(found[0].layers)} do, beyond their density."
    if judged and all(each.control is None for each in judged):
        only = _called(judged[0].layers)
        return f"All cut weights lie in {only}: there is nothing to hold it against, so it is not named."
    if not judged:
        return "No single layer explains this: none gives back more than it loses once statistics are new."
    return "No single layer explains this: as many weights put back elsewhere give back as much as the best layer."


def _told(subject: Subject, judged: _Judged) -> str:
    """One network that was judged, in a sentence."""
    sure = f"{rounded.limit(subject.settings.confidence)} % interval"
    said = (
        f"With {_called(judged.layers)} dense again ({100 * judged.cost:+.1f} points of weights): "
        f"{judged.step.given:,} samples given back, {judged.step.lost:,} newly lost ({_points(judged.step)}; {sure})"
    )
    if judged.control is None or judged.beyond is None:
        return f"{said}; there is no control, as all cut weights lie there."
    return (
        f"{said}. The same density on the largest cut weights of all layers: {judged.control.given:,} given back, "
        f"{judged.control.lost:,} newly lost ({_points(judged.control)}). Beyond it: {_points(judged.beyond)}."
    )


def _gains(subject: Subject, judged: _Judged) -> list[tuple[str, int, int]]:
    """The classes that get most back, with samples given back and newly lost."""
    pair = judged.step.pair
    order = sorted(range(len(subject.classes)), key=lambda i: int(pair.lost[i]) - int(pair.gained[i]))
    return [
        (subject.classes[i], int(pair.gained[i]), int(pair.lost[i])) for i in order if pair.gained[i] > pair.lost[i]
    ]


def _find(subject: Subject, judged: _Judged) -> str:
    most = _gains(subject, judged)[:2]
    told = " and ".join(f"{name} ({given} given back, {lost} newly lost)" for name, given, lost in most)
    return (
        f"{_called(judged.layers)}: had it not been cut, {told} would be spared most. It gives back "
        f"{_points(judged.step)}, beyond the same density spent elsewhere {_points(judged.beyond or judged.step)}."
    )


def _step(judged: _Judged) -> str:
    flags = " ".join(f"--restore {_short(name)}" for name in judged.layers)
    return (
        f"Write that network, {100 * judged.cost:.1f} points of weights denser, with `prune-audit explain ... {flags} "
        f"-o restored.pth`; to cut again with `--exempt {_short(judged.layers[0])}` spends the density otherwise."
    )


def _judged_tables(subject: Subject, judged: Sequence[_Judged]) -> tuple[Table, ...]:
    if not judged:
        return ()
    sure = f"{rounded.limit(subject.settings.confidence)} % interval"
    fields = (
        Field(name="network", title="network", unit="label"),
        Field(name="cost", title="cost", unit="points", meaning="of all weights that may be cut"),
        Field(name="given_back", title="given back", unit="count", meaning="wrong before, right now"),
        Field(name="newly_lost", title="newly lost", unit="count", meaning="right before, wrong now"),
        Field(name="change", title="change", unit="points", meaning="of accuracy, against new statistics alone"),
        Field(name="change_low", title="from", unit="points", meaning=f"{sure} of the change"),
        Field(name="change_high", title="to", unit="points"),
        Field(name="regressed", title="classes regressed", unit="count"),
    )
    rows: list[tuple[Value, ...]] = []
    for at, each in enumerate(judged, 1):
        rows.append((f"{at}: {_called(each.layers)} dense again", each.cost, *_numbers(subject, each.step)))
        if each.control is not None and each.beyond is not None:
            rows.append((f"{at}: control", each.cost, *_numbers(subject, each.control)))
            rows.append((f"{at}: beyond the control", 0.0, *_numbers(subject, each.beyond)))
    drawn = Drawn(
        kind="dots",
        title="Layers against their controls",
        shows="What each layer gives back, and what the same density gives back elsewhere.",
        reading=f"Right of 0 more is right; the bar is the {sure}. A layer explains something only where its own bar "
        "and that beyond the control both lie right of 0.",
        x="change",
        y="network",
        low="change_low",
        high="change_high",
    )
    return (
        Table(
            name="judged",
            title="Judged on the audited samples, once",
            fields=fields,
            rows=tuple(rows),
            notes=("control: the same density spent on the largest cut weights of all layers",),
            drawn=(drawn,),
        ),
    )


def _numbers(subject: Subject, step: _changed.Step) -> tuple[Value, ...]:
    view = View(pair=step.pair, measures=stats.measures(step.pair, subject.settings))
    change = step.change
    regressed = len(lookup.those(view, "verdict", [REGRESSED]))
    return step.given, step.lost, change.overall, change.overall_low, change.overall_high, regressed


def _grid(subject: Subject, tried: Sequence[_Tried]) -> Table:
    labels = subject.data.labels[_parts(subject)[1]]
    size = len(subject.classes)
    rows: list[tuple[Value, ...]] = []
    for each in tried:
        given = np.bincount(labels[each.right & ~each.base], minlength=size)
        lost = np.bincount(labels[each.base & ~each.right], minlength=size)
        n = np.bincount(labels, minlength=size)
        rows += [
            (_short(each.layers[-1]), name, int(n[i]), int(given[i]), int(lost[i]), int(given[i]) - int(lost[i]))
            for i, name in enumerate(subject.classes)
        ]
    drawn = Drawn(
        kind="grid",
        title="Each layer put back alone",
        shows="Samples of each class given back less newly lost, layer by layer.",
        reading="Rows are layers, columns classes: blue where more held-out training samples are right once this layer "
        "is dense again, orange where fewer are.",
        x="class",
        y="layer",
        value="net",
    )
    fields = (
        Field(name="layer", title="layer", unit="label"),
        Field(name="class", title="class", unit="label"),
        Field(name="n", title="n", unit="count", meaning="held-out training samples"),
        Field(name="given_back", title="given back", unit="count"),
        Field(name="newly_lost", title="newly lost", unit="count"),
        Field(name="net", title="net", unit="count", meaning="given back less newly lost"),
    )
    return Table(
        name="tried",
        title="Layers put back one by one, on held-out training samples",
        fields=fields,
        rows=tuple(rows),
        notes=("no interval: this ranks layers, and what is judged is judged on the audited samples",),
        drawn=(drawn,),
    )

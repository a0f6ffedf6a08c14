"""Can an attacker tell from its scores which samples a network was trained on, and of which classes more than before?

Members are --data, the samples that the networks were trained on, and non-members --audit; so --data must hold training
samples and --audit none, of the same source: any other difference between the two counts as leakage, too. What an
attacker gains is the advantage: how much more often members are called so than others, 0 by chance and 100 points where
all are told. Attacks go by the probability of the label, and by whether the model is right; with --entropy by the
entropies of all probabilities, too, for which both models run once more. A network may leak less after pruning, because
it forgot, or more, because tuning taught it few samples by heart; so both are measured and compared on the same
samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer

from prune_audit.core import (
    REGRESSED,
    Drawn,
    Field,
    Floats,
    Measure,
    Outputs,
    Predictions,
    Table,
    Value,
    lookup,
)
from prune_audit.lenses import CannotLook, Network, Part, Seen, Subject, _membership, of_class
from prune_audit.nets import training_data
from prune_audit.render import rounded
from prune_audit.tasks import classification

RANK = 70
DEFAULT = False
NEEDS = "predictions"
LEVEL = 0.05
FEWEST = 4  # members and non-members of a class: two in each half
CONFIDENCE, CORRECTNESS = "confidence", "correctness"
SIDES = ("dense", "pruned")
PIECE = 256  # samples at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which attacks there are."""

    entropy: Annotated[
        bool,
        typer.Option(
            "--entropy", help="Attack by the entropies of all probabilities, too; the models run once more for it."
        ),
    ] = False


OPTIONS = Options

_OVERALL = (
    Field(name="attack", title="attack", unit="label"),
    Field(name="model", title="model", unit="label"),
    Field(name="n", title="members", unit="count"),
    Field(name="others", title="non-members", unit="count"),
    Field(name="advantage", title="advantage", unit="points", meaning="members called so less others called so"),
    Field(name="low", title="low", unit="points"),
    Field(name="high", title="high", unit="points"),
    Field(name="auc", title="AUC", unit="ratio", meaning="chance that a member scores higher than another; .5 is luck"),
    Field(name="auc_low", title="AUC low", unit="ratio"),
    Field(name="auc_high", title="AUC high", unit="ratio"),
    Field(name="found", title="found at 1 %", unit="share", meaning="members found where 1 % of others are called so"),
    Field(name="found_low", title="found low", unit="share"),
    Field(name="found_high", title="found high", unit="share"),
)
_CLASSES = (
    Field(name="class", title="class", unit="label"),
    Field(name="model", title="model", unit="label"),
    Field(name="n", title="members", unit="count"),
    Field(name="others", title="non-members", unit="count"),
    Field(name="advantage", title="advantage", unit="points", meaning="by the probability of the label"),
    Field(name="low", title="low", unit="points"),
    Field(name="high", title="high", unit="points"),
    Field(name="auc", title="AUC", unit="ratio", meaning=".5 is luck"),
    Field(name="auc_low", title="AUC low", unit="ratio"),
    Field(name="auc_high", title="AUC high", unit="ratio"),
)


def look(subject: Subject, options: Options) -> Seen:
    """Each attack on both models, by class and over all of them."""
    attacked = _Attacked(subject, options)
    usable = [at for at in range(len(subject.classes)) if min(attacked.counts(at)) >= FEWEST]
    if not usable:
        raise CannotLook(
            f"no class has {FEWEST} samples of both --data and --audit, which a threshold takes",
            hint="give more samples of each class",
        )
    bar = subject.progress("attacking classes")
    found: dict[int, _Class] = {}
    for done, at in enumerate(usable):
        found[at] = attacked.of(at)
        if bar is not None:
            bar(done + 1, len(usable))
    main = CONFIDENCE if CONFIDENCE in attacked.attacks else CORRECTNESS
    tables = (_overall(subject, attacked, found), _by_class(subject, found, main))
    p = _membership.holm({at: each.change[main].p for at, each in found.items()})
    measures = tuple(_measures(subject, found, main, p))
    sentences = [*_said(subject, found, main), *_classes(subject, found, main, p)]
    return Seen(
        sentences=tuple(sentences), tables=tables, measures=measures, steps=tuple(_steps(subject, found, main, p))
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Class:
    """A class: its samples, and of each attack and model what there was to gain; ``change`` is pruned less dense."""

    samples: _membership.Class
    scores: Mapping[tuple[str, str], Floats]
    advantage: Mapping[tuple[str, str], _membership.Drawn]
    auc: Mapping[tuple[str, str], _membership.Drawn]
    change: Mapping[str, _membership.Drawn]


class _Attacked:
    """Members and non-members with what both models say of them."""

    def __init__(self, subject: Subject, options: Options) -> None:
        self._subject = subject
        parts = (subject.data, subject.audit)
        predicted = [subject.predicted(part) for part in parts]
        both = np.isin(predicted[0].digests, predicted[1].digests).sum() if len(predicted[0].digests) else 0
        if both:
            raise CannotLook(
                f"{int(both):,} samples of --data are among those of --audit, so that these were trained on and are no "
                "non-members",
                hint="give --audit samples that the networks were not trained on",
            )
        self._labels = tuple(each.labels for each in predicted)
        self.scores: dict[tuple[str, str], Floats] = {}  # (attack, side) -> (members + non-members,)
        for at, side in enumerate(SIDES):
            outputs = [each.models[at] for each in predicted]
            for attack, own in _of_outputs(outputs, predicted).items():
                self.scores[attack, side] = own
            if options.entropy:
                network = (subject.dense, subject.pruned)[at]
                given = [_probabilities(network, part, of) for part, of in zip(parts, outputs, strict=True)]
                made = [_membership.scores(p, labels) for p, labels in zip(given, self._labels, strict=True)]
                for attack in made[0]:
                    self.scores[attack, side] = np.concatenate([each[attack] for each in made])
        sides = [{attack for attack, side in self.scores if side == each} for each in SIDES]
        self.attacks = [
            attack for attack in dict.fromkeys(a for a, _ in self.scores) if all(attack in s for s in sides)
        ]

    def counts(self, at: int) -> tuple[int, int]:
        """Members and non-members of the class at a position."""
        members, others = (len(of_class(labels, at)) for labels in self._labels)
        return members, others

    def of(self, at: int) -> _Class:
        """All attacks on the class at a position, by draws of its own."""
        members, others = (of_class(labels, at) for labels in self._labels)
        rows = np.concatenate([members, len(self._labels[0]) + others])
        generator = np.random.default_rng([self._subject.seed, at])
        samples = _membership.of_class(len(members), len(others), generator)
        scores = {key: own[rows] for key, own in self.scores.items() if key[0] in self.attacks}
        advantage = {
            key: _membership.advantage(samples, own, fitted=key[0] != CORRECTNESS) for key, own in scores.items()
        }
        auc = {key: _membership.auc(samples, own) for key, own in scores.items()}
        change = {attack: advantage[attack, "pruned"].less(advantage[attack, "dense"]) for attack in self.attacks}
        return _Class(samples=samples, scores=scores, advantage=advantage, auc=auc, change=change)


def _of_outputs(outputs: list[Outputs], predicted: list[Predictions]) -> dict[str, Floats]:
    """The attacks that take nothing but what is kept of a run."""
    right = [
        classification.right(own.predicted, each.labels).astype(np.float64)
        for own, each in zip(outputs, predicted, strict=True)
    ]
    found = {CORRECTNESS: np.concatenate(right)}
    own = [each.true_score for each in outputs]
    if own[0] is not None and own[1] is not None:
        found[CONFIDENCE] = np.concatenate([own[0], own[1]])
    return found


def _probabilities(network: Network, part: Part, outputs: Outputs) -> Floats:
    """(N, C), as the model gives them on ``part``."""
    if network.editable is None or outputs.scores in (None, "classes", "classes-from-1"):
        raise CannotLook(
            f"{network.card.name} ({network.card.format}) gives no probabilities that entropies could be taken of",
            hint="leave --entropy out, or give the weights with their factory",
        )
    reader = training_data.Reader(part.dataset, network.card.name, network.expects)
    rows = np.arange(len(part.labels))
    found = np.concatenate(
        [
            network.editable.source.predict(reader.arrays(some))
            for some in np.split(rows, range(PIECE, len(rows), PIECE))
        ]
    ).astype(np.float64)
    if found.shape[1] == 1:
        p = found if outputs.scores == "probabilities" else 1 / (1 + np.exp(-found))
        return np.hstack([1 - p, p])
    if outputs.scores == "probabilities":
        return found
    chances = np.exp(found - found.max(axis=1, keepdims=True))
    normal: Floats = chances / chances.sum(axis=1, keepdims=True)
    return normal


# ------------------------------------------------------------------------------------------------------ what is said


def _overall(subject: Subject, attacked: _Attacked, found: Mapping[int, _Class]) -> Table:
    confidence = subject.settings.confidence
    every = list(found.values())
    members, others = (sum(attacked.counts(at)[side] for at in found) for side in (0, 1))
    rows: list[tuple[Value, ...]] = []
    for attack in attacked.attacks:
        for side in SIDES:
            key = (attack, side)
            advantage, auc = (
                _membership.mean([getattr(each, name)[key] for each in every]) for name in ("advantage", "auc")
            )
            low_rate = None
            if attack != CORRECTNESS:
                low_rate = _membership.at_low_rate(
                    [each.samples for each in every], [each.scores[key] for each in every]
                )
            limits = (None, None) if low_rate is None else low_rate.limits(confidence)
            rows.append(
                (
                    *(attack, side, members, others),
                    *(advantage.value, *advantage.limits(confidence), auc.value, *auc.limits(confidence)),
                    *(None if low_rate is None else low_rate.value, *limits),
                )
            )
    notes = ["classes count alike; intervals are of a bootstrap of samples, and answer for these networks"]
    if others < _membership.FEWEST:
        notes.append(f"found at 1 %: too few, {others:,} non-members of {_membership.FEWEST:,} that it takes")
    return Table(name="attacks", title="All classes together", fields=_OVERALL, rows=tuple(rows), notes=tuple(notes))


def _by_class(subject: Subject, found: Mapping[int, _Class], main: str) -> Table:
    confidence = subject.settings.confidence
    rows: list[tuple[Value, ...]] = []
    for at, each in found.items():
        counts = int(each.samples.member.sum()), int((~each.samples.member).sum())
        for side in SIDES:
            advantage, auc = each.advantage[main, side], each.auc[main, side]
            rows.append(
                (
                    *(subject.classes[at], side, *counts, advantage.value, *advantage.limits(confidence)),
                    *(auc.value, *auc.limits(confidence)),
                )
            )
    left = [name for at, name in enumerate(subject.classes) if at not in found]
    notes = [f"{rounded.listed(left)}: undefined, fewer than {FEWEST} members or non-members"] if left else []
    drawn = Drawn(
        kind="dots",
        title="What an attacker gains, class by class",
        shows=_said(subject, found, main)[0],
        reading=f"How much more often members than non-members are called members, by {main}, with its interval. At "
        "0 nothing "
        "is told; a class whose pruned point lies to the right of its dense one leaks more than before.",
        x="advantage",
        y="class",
        low="low",
        high="high",
        group="model",
    )
    return Table(
        name="classes",
        title=f"Class by class, by {main}",
        fields=_CLASSES,
        rows=tuple(rows),
        notes=tuple(notes),
        drawn=(drawn,),
    )


def _measures(subject: Subject, found: Mapping[int, _Class], main: str, p: Mapping[int, float]) -> list[Measure]:
    confidence, size = subject.settings.confidence, len(subject.classes)
    absent = {at: f"fewer than {FEWEST} members or non-members" for at in range(size) if at not in found}
    made = []
    for name, title in (("dense", "leakage, dense"), ("pruned", "leakage, pruned"), ("change", "change of leakage")):
        of = {at: each.change[main] if name == "change" else each.advantage[main, name] for at, each in found.items()}
        limits = {at: each.limits(confidence) for at, each in of.items()}
        made.append(
            Measure(
                name=f"leakage_{name}",
                title=title,
                unit="points",
                by_stratum=tuple(of[at].value if at in of else None for at in range(size)),
                low=tuple(limits[at][0] if at in of else None for at in range(size)),
                high=tuple(limits[at][1] if at in of else None for at in range(size)),
                absent=absent,
            )
        )
    adjusted = tuple(p.get(at) for at in range(size))
    made.append(Measure(name="leakage_p", title="p of it (Holm)", unit="p", by_stratum=adjusted, absent=absent))
    return made


def _said(subject: Subject, found: Mapping[int, _Class], main: str) -> list[str]:
    confidence = subject.settings.confidence
    every = list(found.values())
    dense, pruned = (_membership.mean([each.advantage[main, side] for each in every]) for side in SIDES)
    change = _membership.mean([each.change[main] for each in every])
    told = [
        f"{rounded.points(each.value)} points ({rounded.between(*each.limits(confidence))})" for each in (dense, pruned)
    ]
    low, high = change.limits(confidence)
    moved = "more than" if low > 0 else "less than" if high < 0 else "not shown to differ from"
    seen = [each.limits(confidence)[0] > 0 for each in (dense, pruned)]
    found_out = (
        "Members can be told from both models"
        if all(seen)
        else "Members can be told from the dense model alone"
        if seen[0]
        else "Members can be told from the pruned model alone"
        if seen[1]
        else "No attack is shown to tell members from others"
    )
    return [
        f"{found_out}: by {main} the attacker gains {told[0]} on the dense model and {told[1]} on the pruned one, "
        f"{moved} before (change {rounded.between(low, high)})."
        if moved.endswith("than")
        else f"{found_out}: by {main} the attacker gains {told[0]} on the dense model and {told[1]} on the pruned one; "
        f"no change is shown ({rounded.between(low, high)}).",
        "Taken for granted: both models were trained on the samples of --data and on none of --audit, and nothing else "
        "sets these apart. No file says so.",
        "Thresholds are fitted on half of these samples, as no attacker without such could: an upper guess of these "
        "attacks, and no bound of others.",
    ]


def _grew(found: Mapping[int, _Class], main: str, p: Mapping[int, float]) -> list[int]:
    return [at for at, each in found.items() if p[at] < LEVEL and each.change[main].value > 0]


def _classes(subject: Subject, found: Mapping[int, _Class], main: str, p: Mapping[int, float]) -> list[str]:
    grew = _grew(found, main, p)
    fell = [at for at, each in found.items() if p[at] < LEVEL and each.change[main].value < 0]
    names = subject.classes
    said = []
    if grew:
        told = [f"{names[at]} ({rounded.points(found[at].change[main].value)})" for at in grew]
        said.append(f"More than before leak {rounded.listed(told)}, each by a p corrected for all classes (Holm).")
    else:
        said.append("No class is shown to leak more than before (p corrected for all classes, Holm).")
    if fell:
        said.append(f"Less than before leak {rounded.listed([names[at] for at in fell])}.")
    return said


def _steps(subject: Subject, found: Mapping[int, _Class], main: str, p: Mapping[int, float]) -> list[str]:
    """What to do about classes that leak more although they are not recognised worse: they were learnt by heart."""
    regressed = set(lookup.those(subject.view, "verdict", [REGRESSED]))
    heart = [subject.classes[at] for at in _grew(found, main, p) if at not in regressed]
    if not heart:
        return []
    return [
        f"{rounded.listed(heart)} leak more though recall did not fall: tune for fewer epochs, or look for copies "
        "among "
        "the training samples of these classes."
    ]

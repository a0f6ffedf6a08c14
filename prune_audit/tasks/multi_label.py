"""Several labels a sample: each positive label is a thing, found where the score of its class reaches the threshold.

Every class that a sample is not labelled with is a negative, unless nobody knows, and a score that reaches the
threshold there is a false positive. One threshold holds for all classes of a model; it is chosen anew for each model
(`prune_audit.tasks._operating_point`), because pruning shifts scores and whoever deploys a model moves its threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prune_audit.choices import OperatingPoint
from prune_audit.core import (
    RECALLS,
    Array,
    Assumption,
    Counts,
    FalseFindings,
    Floats,
    Found,
    Outputs,
    Predictions,
    Scores,
    Settings,
    Task,
    Things,
)
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.tasks import Judged, _told
from prune_audit.tasks._operating_point import Findings, Point, points, resampled
from prune_audit.tasks._pairs import flips, right_of, samples
from prune_audit.tasks._precision import pair

SAMPLE = "sample"
"""The column of what the labels of one sample have in common."""
DEFAULT = 0.5
"""The threshold that is meant where none is named: what code of several labels mostly deploys."""
TASK = Task(
    name="multi-label",
    thing=("label", "labels"),
    rates=RECALLS,
    lacks={
        "answers": "a label that is lost is taken for no other",
        "scores": "scores are of each class by itself, and only whether they reach the threshold is kept",
        "guessing": "nobody finds labels by guessing among classes",
    },
)
READS = ("operating_point", "score")
WRONG = "false positives"
AS_RECORDED = "as recorded"
"""`Found.detail` of a model that has no scores: it recorded which labels it finds, at whatever threshold that was."""
AS_SCORES = "record scores of every class"
"""What to do where nothing but that decides."""
FEW = 0.05
"""The share of labels below which a dense model is taken for one of other samples or classes."""

__all__ = ["TASK", "Cells", "flips", "judge", "pair", "probabilities", "right_of", "samples"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The labels of N samples: ``labels`` (N, C) of 1, 0 and -1 where nobody knows, their ``ids``, and ``groups``.

    ``separator`` is what parts labels in one text, None where they are no texts.
    """

    ids: tuple[str, ...]
    labels: Array
    groups: Mapping[str, Array]
    separator: str | None = None

    @property
    def positives(self) -> tuple[Counts, Counts]:
        """Sample and class of each label, sample by sample, (T,) each."""
        found = np.nonzero(self.labels == 1)
        return found[0], found[1]

    @property
    def negatives(self) -> tuple[Counts, Counts]:
        """Sample and class of what has no label, likewise, (M,) each."""
        found = np.nonzero(self.labels == 0)
        return found[0], found[1]


def probabilities(scores: Floats, asked: str | None) -> tuple[Floats, Scores, str]:
    """``scores`` (N, C) as probabilities of each class by itself, what they were, and why.

    Raises:
        UsageError: they were said to be what they cannot be.
    """
    inside = bool(scores.min(initial=0) >= 0 and scores.max(initial=1) <= 1)
    if asked not in (None, "logits", "probabilities") or (asked == "probabilities" and not inside):
        raise UsageError(
            f"--scores {asked}: scores of several labels are logits or probabilities of each class by itself, these "
            f"lie from {scores.min():.4g} to {scores.max():.4g}",
            hint="leave --scores out, or say --scores logits",
        )
    if asked == "probabilities" or (asked is None and inside):
        return scores, "probabilities", "as told" if asked else "all lie in [0, 1]"
    why = "as told" if asked else "some lie outside [0, 1]"
    return 1 / (1 + np.exp(-scores.clip(-700, 700))), "logits", why


def judge(things: Things, found: Sequence[Found], settings: Settings) -> Judged:
    """Which labels each model, the dense one first, finds at its threshold, and which it finds where there are none.

    Raises:
        AlignmentError: the dense model finds next to nothing.
        UsageError: the operating point cannot be had.
    """
    if settings.operating_point == "all":
        raise UsageError(
            "--operating-point all: every class of every sample has a score, so that everything would be found",
            hint="leave it out, or give --operating-point fixed --score 0.5",
        )
    cells: Cells = things.detail
    score = DEFAULT if settings.score is None else settings.score
    how = _how(found, settings)
    findings = [Findings(name=each.name, found=each.scores, false=each.false_scores) for each in found]
    where, said = points(
        findings,
        how,
        score,
        wrong=WRONG,
    )
    right = {each.name: each.scores >= point.threshold for each, point in zip(found, where, strict=True)}
    called = {each.name: each.false_scores >= point.threshold for each, point in zip(found, where, strict=True)}
    _check(found[0].name, right[found[0].name], called[found[0].name])
    within, labels = cells.negatives
    lies_in = cells.groups[settings.cluster or SAMPLE]
    names, lies = np.unique(lies_in.astype(str), return_inverse=True)  # (R,) the cluster of each sample
    none = np.full(len(labels), -1)
    negatives = Predictions(
        classes=things.classes,
        ids=("",) * len(labels),
        labels=labels,
        models=tuple(Outputs(name=each.name, predicted=none) for each in found),
        groups={name: values[within] for name, values in cells.groups.items() if name == settings.cluster},
        task=TASK,
        right={name: ~each for name, each in called.items()},
    )
    predictions = Predictions(
        classes=things.classes,
        ids=things.ids,
        labels=things.labels,
        models=tuple(Outputs(name=each.name, predicted=np.full(len(things.ids), -1)) for each in found),
        groups=things.groups,
        task=TASK,
        right=right,
        false={name: FalseFindings(labels=labels[each], within=lies_in[within[each]]) for name, each in called.items()},
        negatives=negatives,
        anew=resampled(
            findings,
            np.searchsorted(names, things.groups[settings.cluster or SAMPLE].astype(str)),
            [lies[within]] * len(found),
            len(names),
            how,
            score,
            settings.seed,
        ),
    )
    unknown = int((cells.labels < 0).sum())
    notes = [*_without(found), *said, *_told.at_one_threshold(where, len(things.ids), TASK)]
    if unknown:
        notes.append(f"{unknown:,} labels are unknown: they count neither as labels nor as negatives")
    return Judged(
        predictions=predictions,
        assumptions=tuple(
            _assumption(point, len(cells.ids), settings, each, how) for point, each in zip(where, found, strict=True)
        ),
        notes=tuple(notes),
    )


def _check(name: str, right: Array, called: Array) -> None:
    share, false = float(right.mean()), float(called.mean()) if len(called) else 0.0
    if share >= FEW and share > false:
        return
    raise AlignmentError(
        f"the dense model {name} finds {share:.1%} of the labels, and calls so {false:.1%} of what has none: it "
        "knows next to nothing of these samples",
        hint="most likely its scores are in another order of classes (--classes FILE) or of other samples "
        "(--id-column), or its threshold is another one (--score)",
    )


def _how(found: Sequence[Found], settings: Settings) -> OperatingPoint:
    """How thresholds are chosen: not at all, where a model has no scores.

    Raises:
        UsageError: something was asked for that takes scores.
        AlignmentError: nothing is found by the dense model.
    """
    without = [each.name for each in found if each.detail == AS_RECORDED]
    if not without:
        return settings.operating_point
    asked = []
    if settings.operating_point == "precision":
        asked.append("--operating-point precision")
    if settings.score is not None and len(without) == len(found):
        asked.append(f"--score {settings.score:g}")
    if asked:
        raise UsageError(
            f"{asked[0]}: of {', '.join(without)} it was recorded which labels it finds, and no scores",
            hint="leave it out, or record the scores of every class",
        )
    if found[0].detail == AS_RECORDED:
        _check(found[0].name, np.isfinite(found[0].scores), np.isfinite(found[0].false_scores))
    return "fixed"


def _without(found: Sequence[Found]) -> list[str]:
    """What an audit of models without scores can mean."""
    without = [each.name for each in found if each.detail == AS_RECORDED]
    return [
        f"{', '.join(without)}: labels were recorded without scores, so that no threshold can be matched, and models "
        "are compared as recorded. Where all classes lost or gained alike, and false positives went the same way, it "
        "may be the threshold alone, which whoever deploys the model can move; scores of every class would tell"
    ] * bool(without)


def _assumption(point: Point, samples: int, settings: Settings, found: Found, how: OperatingPoint) -> Assumption:
    rate = f"{point.false / max(samples, 1):.3g} {WRONG} a sample"
    if found.detail == AS_RECORDED:
        why = "there are no scores, so that no threshold can be chosen"
        return _told.assumption(point, rate, why, at=AS_RECORDED, option=AS_SCORES)
    why = _told.why(how, WRONG)
    if how != settings.operating_point:
        why = "not matched, because another model has no scores"
    if settings.score is None:
        why += f"; the dense model's is {DEFAULT} unless it is named"
    return _told.assumption(point, rate, why)

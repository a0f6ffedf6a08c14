"""At which score a model that finds things is asked: the threshold of each, chosen alike for all.

Pruning mostly shifts all scores of a model, which whoever deploys it repairs by another threshold; at one fixed
threshold such a shift looks like harm to every class. So models are compared where they make as many false detections,
or are as precise. A threshold is one for the whole model: one for each class would pay for the losses of a class with
false detections of that class.

Every choice goes by the order of a model's scores alone, so that nothing that keeps the order changes any count, and
is made in the same way for all models, the dense one too, so that none of them is favoured by the noise of the choice.
A model against itself has the same threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prune_audit.choices import OperatingPoint
from prune_audit.core import Anew, Counts, Floats
from prune_audit.errors import UsageError

FEW = 200
"""False detections below which a threshold is itself uncertain, by about one part in their square root."""
MATTERS = 0.05
"""Thresholds that differ by more than this are two settings to whoever deploys the model."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """The scores of one model: ``found`` (T,) that of each thing, -inf where it is not found at any, and ``false``
    (F,) those of false detections."""

    name: str
    found: Floats
    false: Floats

    def at(self, threshold: float) -> tuple[int, int]:
        """How many things are found, and how many false detections made, of scores that reach ``threshold``."""
        return int((self.found >= threshold).sum()), int((self.false >= threshold).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where one model is asked: the ``threshold`` of its scores, the things ``found`` and the ``false`` detections
    there, and those ``found_alike`` at the first model's threshold."""

    name: str
    threshold: float
    found: int
    false: int
    found_alike: int

    @property
    def precision(self) -> float | None:
        """The share of detections that find a thing; None where there are no detections."""
        return self.found / (self.found + self.false) if self.found + self.false else None


def points(
    models: Sequence[Findings], how: OperatingPoint, score: float | None = None, *, wrong: str = "false detections"
) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """Where each of ``models``, the dense one first, is asked, and what must be said of it.

    ``score`` is a threshold for the dense model, which stands for the false detections that it makes there; without it
    these are as many as maximise the sum of all models' F1. ``wrong`` is what these are called.

    Raises:
        UsageError: a threshold is missing, means nothing or is reached by no score of the dense model, or a model does
            not reach the dense model's precision.
    """
    dense = models[0]
    if score is not None and dense.at(score) == (0, 0):
        raise UsageError(
            f"--score {score:g}: nothing that {dense.name} recorded has so high a score, its highest is "
            f"{max(dense.found.max(initial=-np.inf), dense.false.max(initial=-np.inf)):g}",
            hint="give a lower threshold, or none: one is then chosen for all models alike",
        )
    if how == "fixed" and score is None:
        raise UsageError(
            "--operating-point fixed needs the threshold that all models are asked at",
            hint="--score 0.5, or whatever is deployed",
        )
    if how == "all" and score is not None:
        raise UsageError(
            f"--operating-point all takes every detection, so that --score {score:g} means nothing",
            hint="leave out one of the two",
        )
    said: list[str] = []
    if how == "fixed" and score is not None:
        thresholds = [score for _ in models]
    elif how == "all":
        thresholds = [_lowest(each) for each in models]
    else:
        k = best(models) if score is None else dense.at(score)[1]
        if how == "precision":
            start = threshold(dense, k)
            thresholds = [_precise(each, dense.at(start)) for each in models]
        else:
            said += [
                f"{each.name} made no more than {len(each.false):,} {wrong}, where {k:,} were asked for: all "
                "that it recorded counts"
                for each in models
                if len(each.false) < k
            ]
            thresholds = [threshold(each, k) for each in models]
    found = tuple(
        Point(
            name=each.name,
            threshold=at,
            found=each.at(at)[0],
            false=each.at(at)[1],
            found_alike=each.at(thresholds[0])[0],
        )
        for each, at in zip(models, thresholds, strict=True)
    )
    if how not in ("fixed", "all") and found[0].false < FEW:
        said.append(
            f"{dense.name} makes {found[0].false:,} {wrong} at its threshold: below {FEW} the thresholds "
            "themselves are uncertain, so that small changes of all classes alike may be chance"
        )
    return found, tuple(said)


def best(models: Sequence[Findings]) -> int:
    """The number of false detections at which the sum of the models' F1 is highest, the smallest of equal ones.

    The threshold of each is that of its own so many false detections. Whoever chooses by the dense model's F1 alone
    takes a number that luck made good for that model, and sees the others lose.
    """
    most = max(len(each.false) for each in models)
    total: Floats = np.zeros(most + 1)
    for each in models:
        at = _thresholds(each, most)  # (most + 1,)
        found, false = _reaching(each.found, at), _reaching(each.false, at)
        total += 2 * found / np.maximum(len(each.found) + found + false, 1)
    # Sums of equal terms may differ in the last digit by their order.
    return int(np.flatnonzero(total >= total.max() * (1 - 1e-12))[0])


def threshold(model: Findings, false: int) -> float:
    """The score of the ``model``'s so many-th false detection from above; all that share it count.

    For none, the lowest score of a thing above all false ones. Where there are fewer, the lowest score that was
    recorded.
    """
    return float(_thresholds(model, false)[false])


def _thresholds(model: Findings, most: int) -> Floats:
    """The thresholds (most + 1,) for 0, 1, ... false detections."""
    ordered = np.sort(model.false)[::-1]
    highest = ordered[0] if len(ordered) else -np.inf
    above = model.found[model.found > highest]
    none = float(above.min()) if len(above) else float(np.nextafter(highest, np.inf)) if len(ordered) else 0.0
    short = max(0, most - len(ordered))
    return np.concatenate([[none], ordered[:most], np.full(short, _lowest(model))])


def _lowest(model: Findings) -> float:
    """The lowest score of a model, 0 where it has none."""
    scores = np.concatenate([model.found[np.isfinite(model.found)], model.false])
    return float(scores.min(initial=np.inf)) if len(scores) else 0.0


def _reaching(scores: Floats, thresholds: Floats) -> Counts:
    """How many of ``scores`` (N,) reach each of ``thresholds`` (K,)."""
    ordered = np.sort(scores)
    return (len(ordered) - np.searchsorted(ordered, thresholds, "left")).astype(np.int64)


def _precise(model: Findings, wanted: tuple[int, int]) -> float:
    """The lowest score at which the ``model`` is as precise as ``wanted`` (found, false) says, compared exactly."""
    found, false = wanted
    scores = np.unique(np.concatenate([model.found[np.isfinite(model.found)], model.false]))
    right, wrong = _reaching(model.found, scores), _reaching(model.false, scores)
    reached = np.flatnonzero(right * (found + false) >= found * (right + wrong))
    if not len(reached):
        highest = max((r / (r + w) for r, w in zip(right.tolist(), wrong.tolist(), strict=True)), default=0.0)
        raise UsageError(
            f"--operating-point precision: {model.name} reaches no precision of {found / (found + false):.1%} at any "
            f"score; its highest is {highest:.1%}",
            hint="compare at as many false detections: --operating-point false-detections",
        )
    return float(scores[reached[0]])


def resampled(
    models: Sequence[Findings],
    things: Counts,
    false: Sequence[Counts],
    clusters: int,
    how: OperatingPoint,
    score: float | None,
    seed: int,
) -> Anew | None:
    """The thresholds of ``models`` that would have been chosen of other clusters.

    ``things`` (T,) and, of each model, ``false`` (F,) are the clusters of what it finds, among so many ``clusters``.
    Drawn are as many clusters with replacement, `DRAWS` times; how often each was drawn is its weight. None where
    thresholds are not chosen by the data.
    """
    if how in ("fixed", "all"):
        return None
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(clusters, np.full(clusters, 1 / clusters), DRAWS)  # (B, G)
    first = best(models) if score is None else models[0].at(score)[1]
    # Draws choose near what was chosen: what lies far below plays no part, and there may be a million of it.
    most = None if how == "precision" else 4 * first + 100
    parts = [_Ordered.of(each, things, of, most) for each, of in zip(models, false, strict=True)]
    drawn = np.array([_chosen(parts, row, how, score) for row in weights])  # (B, M)
    return Anew(
        thresholds={each.name: drawn[:, i] for i, each in enumerate(models)},
        scores={each.name: each.found for each in models},
        weights=weights.astype(np.int64),
        within=things,
    )


DRAWS = 200
"""Draws of clusters: the standard deviation over so many is known to a twentieth."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ordered:
    """A model's scores from the highest, with the clusters that they are of: of things (T,) and false ones (F,)."""

    found: Floats
    found_in: Counts
    false: Floats
    false_in: Counts
    lowest: float

    @classmethod
    def of(cls, model: Findings, found_in: Counts, false_in: Counts, most: int | None) -> _Ordered:
        up, down = np.argsort(-model.found, kind="stable"), np.argsort(-model.false, kind="stable")[:most]
        return cls(
            found=model.found[up],
            found_in=found_in[up],
            false=model.false[down],
            false_in=false_in[down],
            lowest=_lowest(model),
        )

    def thresholds(self, false: Floats, wanted: Counts) -> Floats:
        """The scores (K,) at which there are as many false detections as ``wanted`` (K,), of ``false`` (F,) running."""
        at = np.searchsorted(false, wanted, "left")
        padded = np.append(self.false, self.lowest)
        # Above all false ones: as many things as there are over the highest that was drawn.
        none = np.nextafter(self.false[np.searchsorted(false, 1)], np.inf) if len(false) and false[-1] else self.lowest
        return np.where(wanted > 0, padded[at], none)

    def reaching(self, running: Counts, scores: Floats, thresholds: Floats) -> Counts:
        """How much of ``scores`` (N,), with ``running`` weights (N,), reaches each of ``thresholds`` (K,)."""
        return np.append(0, running)[np.searchsorted(-scores, -thresholds, "right")]


def _chosen(parts: Sequence[_Ordered], weights: Counts, how: OperatingPoint, score: float | None) -> list[float]:
    """The thresholds that `points` chooses, had each cluster been there as often as ``weights`` (G,) say."""
    found = [weights[each.found_in].cumsum() for each in parts]
    false = [weights[each.false_in].cumsum() for each in parts]
    if score is None:
        most = max(int(each[-1]) if len(each) else 0 for each in false)
        ks, total = np.arange(most + 1), np.zeros(most + 1)
        for each, right, wrong in zip(parts, found, false, strict=True):
            at = each.thresholds(wrong, ks)
            hits, alarms = each.reaching(right, each.found, at), each.reaching(wrong, each.false, at)
            total += 2 * hits / np.maximum(right[-1] + hits + alarms, 1)
        k = int(total.argmax())
    else:
        k = int(parts[0].reaching(false[0], parts[0].false, np.array([score]))[0])
    if how == "false-detections":
        return [float(each.thresholds(wrong, np.array([k]))[0]) for each, wrong in zip(parts, false, strict=True)]
    start = parts[0].thresholds(false[0], np.array([k]))
    wanted = int(parts[0].reaching(found[0], parts[0].found, start)[0])
    besides = int(parts[0].reaching(false[0], parts[0].false, start)[0])
    lowest = []
    for each, right, wrong in zip(parts, found, false, strict=True):
        scores = np.unique(np.concatenate([each.found[np.isfinite(each.found)], each.false]))
        own, others = each.reaching(right, each.found, scores), each.reaching(wrong, each.false, scores)
        reached = np.flatnonzero((own * (wanted + besides) >= wanted * (own + others)) & (own + others > 0))
        lowest.append(float(scores[reached[0]]) if len(reached) else float(scores[-1]))
    return lowest

"""Confidences and what became of them, drawn at random: each model's probability of being right is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prune_audit.core import Array, Floats
from prune_audit.core.scores import Calibration, Scored, in_units


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """Samples of two models (N,): confidences, whether right, and how probable that was."""

    confidence: tuple[Floats, Floats]
    right: tuple[Array, Array]
    truth: tuple[Floats, Floats]

    def rows(self, count: int) -> Calibration:
        """The samples as so many rows of equal size, in order."""
        row = np.repeat(np.arange(count), len(self.right[0]) // count)
        sides = zip(self.confidence, self.right, strict=True)
        return Calibration.of(count, *(Scored(row=row, confidence=in_units(p), right=y) for p, y in sides))

    def error(self, side: int, bins: int) -> float:
        """The root mean square of true gaps over equal-mass bins."""
        p, truth = self.confidence[side], self.truth[side]
        gaps = [part.mean() for part in np.array_split((truth - p)[np.argsort(p)], bins)]
        return float(np.sqrt(np.mean(np.square(gaps))))


def drawn(
    rng: np.random.Generator, samples: int, sharpness: tuple[float, float], *, centre: float = 1.0, part: float = 0.3
) -> Draw:
    """Confidence is the truth at a sharpness of 1; above, the model is overconfident where it is sure.

    The models share four in five of the luck, and their logits part by ``part``.
    """
    logit = rng.normal(centre, 1.2, samples)
    logits = logit, logit + part * (rng.normal(size=samples) - 0.5)
    luck = rng.random(samples)
    lucks = luck, np.where(rng.random(samples) < 0.8, luck, rng.random(samples))
    truth = _sigmoid(logits[0]), _sigmoid(logits[1])
    return Draw(
        confidence=(_sigmoid(sharpness[0] * logits[0]), _sigmoid(sharpness[1] * logits[1])),
        right=(lucks[0] < truth[0], lucks[1] < truth[1]),
        truth=truth,
    )


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))

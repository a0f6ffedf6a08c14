"""Arrays, and the words that options and findings are made of."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Counts: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

Value: TypeAlias = float | int | str | None
Unit = Literal["share", "points", "p", "ratio", "count", "label"]
Outcome = Literal["passed", "failed", "inconclusive", "waived", "skipped"]
Level = Literal["off", "warn", "error"]
Layout = Literal["NCHW", "NHWC"]
Correction = Literal["fdr_bh", "fdr_by", "holm", "bonferroni", "none"]
Reference = Literal["accuracy", "balanced"]
Runtime = Literal["own", "onnxruntime"]
Verdict = Literal["regressed", "fine", "cannot tell"]
Distortion = Literal[
    "intensified", "flipped", "created", "harmed", "levelled down", "held better", "cannot tell", "no harm shown"
]
REGRESSED: Verdict = "regressed"
FINE: Verdict = "fine"
CANNOT_TELL: Literal["cannot tell"] = "cannot tell"  # of a loss, and of harm
HARMED: tuple[Distortion, ...] = ("intensified", "flipped", "created", "harmed")
"""The distortions that are findings, worst first; the others describe, or leave it open."""
Isolate = Literal["auto", "never"]
Scores = Literal["logits", "probabilities", "log-probabilities", "classes", "classes-from-1"]
Activation = Literal["sigmoid", "softmax", "log-softmax", "linear"]
Channels = Literal["rgb", "bgr", "gray"]
Exif = Literal["apply", "ignore"]
SINCE = ", since the baseline"  # what the subject of a check ends in that compares with an earlier audit
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


def equal(one: object, other: object) -> bool:
    """Whether two dataclasses of one type, made of arrays, are equal field by field."""
    names: list[str] = list(getattr(type(one), "__dataclass_fields__"))  # noqa: B009  # a dataclass, which object is not
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)

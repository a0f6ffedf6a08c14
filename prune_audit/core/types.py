"""Arrays, and the words that findings are made of; those that people choose among are `prune_audit.choices`."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.choices import Channels as Channels
from prune_audit.choices import Correction as Correction
from prune_audit.choices import Exif as Exif
from prune_audit.choices import Interpolation as Interpolation
from prune_audit.choices import Isolate as Isolate
from prune_audit.choices import OperatingPoint as OperatingPoint
from prune_audit.choices import Overlap as Overlap
from prune_audit.choices import Reference as Reference
from prune_audit.choices import Runtime as Runtime
from prune_audit.choices import Scheme as Scheme

Array: TypeAlias = npt.NDArray[Any]
Counts: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

Value: TypeAlias = float | int | str | None
Unit = Literal["share", "points", "p", "ratio", "nats", "count", "label"]
Outcome = Literal["passed", "failed", "inconclusive", "waived", "skipped"]
Level = Literal["off", "warn", "error"]
Layout = Literal["NCHW", "NHWC"]
Verdict = Literal["regressed", "fine", "cannot tell"]
Distortion = Literal[
    "intensified", "flipped", "created", "harmed", "levelled down", "held better", "cannot tell", "no harm shown"
]
REGRESSED: Verdict = "regressed"
FINE: Verdict = "fine"
CANNOT_TELL: Literal["cannot tell"] = "cannot tell"  # of a loss, and of harm
HARMED: tuple[Distortion, ...] = ("intensified", "flipped", "created", "harmed")
"""The distortions that are findings, worst first; the others describe, or leave it open."""
SPARED: tuple[Distortion, ...] = ("levelled down", "held better")
"""The distortions that say of a class that it paid no more than the rest."""
Scores = Literal["logits", "probabilities", "log-probabilities", "classes", "classes-from-1"]
Activation = Literal["sigmoid", "softmax", "log-softmax", "linear"]
SINCE = ", since the baseline"  # what the subject of a check ends in that compares with an earlier audit


def equal(one: object, other: object) -> bool:
    """Whether two dataclasses of one type, made of arrays, are equal field by field."""
    names: list[str] = list(getattr(type(one), "__dataclass_fields__"))  # noqa: B009  # a dataclass, which object is not
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)

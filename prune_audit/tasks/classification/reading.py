"""What a model's scores are: logits, probabilities, log-probabilities or classes. Decided once per model and run.

Nothing in a model file says it, and a guess per batch makes the confidence of a sample depend on its company. So the
first few hundred samples of a run decide, by what stands at the end of the network, by what a file calls its column,
by the values, and where these would allow both, by what the dense model's scores are: a model that was pruned until
all its logits lie between 0 and 1 still gives logits. What is decided stands in the report, and ``--scores`` sets it.

Probabilities are taken as they are, each by itself. In eight bits each is rounded by at most half a step, while a row's
sum collects the rounding of all classes (of 1,000 it may miss 1 by half), so dividing by the sum would add error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from prune_audit.core import Activation, Assumption, Counts, Floats, Kept, Outputs, Scores
from prune_audit.errors import AuditError, ModelError, UsageError
from prune_audit.tasks.classification.counts import right as hits
from prune_audit.tasks.classification.scores import decided, softmax

# Rows of probabilities sum to 1 this closely in the median: float16, bfloat16 and most 8-bit softmax outputs do.
SUM_TOLERANCE = 0.02
# Scores that vary by less than this over the samples tell nothing by summing to 1: biases alone may do so.
VARIES = 0.05
# The units of whole numbers that stand for 1: of unsigned 8 and 16 bits, and of TFLite's 16 bits.
UNITS = (255.0, 256.0, 32767.0, 32768.0, 65535.0, 65536.0)
SIGNED = -128.0  # what stands for 0 in TFLite's signed 8 bits, whose unit is 256

LEVEL = 0.01  # of the test that tells numbers from 0 and from 1 apart
LEAST_VOTES = 10  # rows of which all have as many votes, so that it is no accident

OPTION = "--scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What scores are, and why they are taken for it.

    Of probabilities, ``zero`` and ``one`` are the scores that stand for 0 and for 1, and ``shared`` says that outputs
    were left out, so that the others are divided by their sum. ``known`` is False of whole numbers whose unit nobody
    knows, which rank classes and tell no confidence.
    """

    kind: Scores
    why: str
    zero: float = 0.0
    one: float = 1.0
    shared: bool = False
    known: bool = True


def decide(
    kept: Kept,
    columns: int,
    *,
    labels: Counts,
    classes: int,
    name: str,
    integers: bool = False,
    asked: str | None = None,
    activation: Activation | None = None,
    called: Scores | None = None,
    like: Scores | None = None,
    dropped: bool = False,
) -> Reading:
    """What the scores in so many ``columns`` are of which ``kept`` is kept: the first samples, which decide for all.

    ``labels`` (K,) are positions among so many ``classes``, and ``name`` is the model's. ``integers`` says that scores
    came as whole numbers; ``asked`` is what ``--scores`` says, ``activation`` what they come out of, ``called`` what a
    file calls them, and ``like`` what the dense model's are. ``dropped`` says that outputs were left out.

    Raises:
        UsageError: they cannot be what was asked for.
    """
    if kept.column is not None:
        found = _column(kept.column, asked, activation, called, like)
    elif kept.first is not None:
        unit = None if activation == "linear" else _unit(kept, columns, integers=integers)
        found = _rows(kept, unit, asked, activation, called, like, integers=integers, shared=dropped)
    else:
        assert kept.predicted is not None
        usual = kept.predicted.astype(np.int64)
        usual, from_1 = (np.where((at >= 0) & (at < classes), at, -1) for at in (usual, usual - 1))
        found = numbered(usual, from_1, labels, name, asked=asked, like=like)
    if asked is not None and contradicted(kept, found) is not None:
        raise UsageError(f"{OPTION} {asked}: {_out_of_range(kept, found)}", hint=_known(asked))
    return found


def outputs(kept: Kept, reading: Reading, name: str, labels: Counts, columns: int) -> Outputs:
    """The predictions of the model called ``name``, of so many ``columns``, on the samples of ``kept`` (K,).

    ``labels`` (K,) are output columns.
    """
    if kept.column is not None:
        return _binary(kept.column, reading, name, labels)
    assert kept.predicted is not None
    predicted = kept.predicted.astype(np.int64)
    if kept.first is None:
        return Outputs(name=name, predicted=predicted - (reading.kind == "classes-from-1"), scores=reading.kind)
    assert kept.own is not None
    return Outputs(
        name=name,
        predicted=predicted,
        confidence=_chances(kept, kept.first, reading, columns) if reading.known else None,
        true_score=_chances(kept, kept.own, reading, columns) if reading.known else None,
        rank=kept.rank,
        tied=None if kept.tied is None else kept.tied.astype(np.int64),
        scores=reading.kind,
    )


def ties(outputs: Outputs) -> str | None:
    """What must be said of samples on which classes share the highest score exactly; None where there are none."""
    count = 0 if outputs.tied is None else int((outputs.tied > 1).sum())
    if not count:
        return None
    several = f"{count:,} sample{'s' if count > 1 else ''} of {len(outputs.predicted):,}"
    return (
        f"on {several} ({count / len(outputs.predicted):.1%}) several classes share the highest score of "
        f"{outputs.name} exactly: the one of lowest index counts as predicted"
    )


def contradicted(kept: Kept, reading: Reading) -> int | None:
    """The first sample of ``kept`` whose scores cannot be what ``reading`` takes them for, None where all can."""
    least, first = (kept.column, kept.column) if kept.column is not None else (kept.least, kept.first)
    if least is None or first is None:
        below = kept.predicted is not None and reading.kind == "classes-from-1" and kept.predicted < 1
        return int(np.argmax(below)) if np.any(below) else None
    wrong = np.zeros(len(kept), bool)
    slack = SUM_TOLERANCE * (reading.one - reading.zero)
    if reading.kind == "probabilities":
        wrong = (least < reading.zero - slack) | (first > reading.one + slack)
    elif reading.kind == "log-probabilities":
        wrong = first > SUM_TOLERANCE
    elif reading.kind in ("classes", "classes-from-1"):
        wrong = (least < 0) | (first != np.floor(first))
    return int(wrong.argmax()) if wrong.any() else None


def refuse(kept: Kept, reading: Reading, name: str, sample: str) -> AuditError:
    """The error for scores of the model called ``name``, of ``sample``, that are not what the first samples said."""
    return ModelError(
        f"the scores of {name} were taken for {reading.kind}, since {reading.why}, and {_out_of_range(kept, reading)} "
        f"for {sample}",
        hint=f"say what they are: {OPTION} {name}=KIND, where KIND is {', '.join(get_args(Scores))}",
    )


def assumption(reading: Reading, kept: Kept, name: str) -> Assumption:
    """``reading`` as it stands in a report."""
    value: str = {"classes": "classes, numbers from 0 or names", "classes-from-1": "classes, numbers from 1"}.get(
        reading.kind, reading.kind
    )
    if reading.kind == "probabilities" and reading.one - reading.zero != 1:
        value += f" in parts of {reading.one - reading.zero:g}" + (f" above {reading.zero:g}" if reading.zero else "")
    if kept.column is not None:
        value += f", one column split at {_split(reading):.3g}" if reading.kind not in get_args(Scores)[3:] else ""
    if not reading.known:
        value = "whole numbers, which tell no confidence"
    return Assumption(subject=name, what="scores", value=value, why=reading.why, option=OPTION)


# ------------------------------------------------------------------------------------------------ one output column


def _column(
    values: Floats, asked: str | None, activation: Activation | None, called: Scores | None, like: Scores | None
) -> Reading:
    """What the values (K,) of one output column are."""
    inside = bool(values.min() >= 0 and values.max() <= 1)
    if asked is not None:
        return _asked(asked)
    if activation == "sigmoid" or (called == "probabilities" and inside):
        ends = "they come out of a sigmoid" if activation == "sigmoid" else "the file calls them so"
        return Reading(kind="probabilities", why=ends)
    if not inside:
        return Reading(kind="logits", why="some lie outside [0, 1]")
    if called == "logits":
        return Reading(kind="logits", why="the file calls them so")
    if like in ("logits", "probabilities"):
        return Reading(kind=like, why="all lie in [0, 1], and the dense model's are")
    if activation == "linear":
        return Reading(kind="logits", why="they come out of a linear layer")
    return Reading(kind="probabilities", why="all lie in [0, 1]")


def _split(reading: Reading) -> float:
    """Where one column changes from the first class to the second."""
    if reading.kind == "probabilities":
        return (reading.zero + reading.one) / 2
    return float(np.log(0.5)) if reading.kind == "log-probabilities" else 0.0


def _binary(column: Floats, reading: Reading, name: str, labels: Counts) -> Outputs:
    """Two classes of one column (K,); a value on the split itself is the first class."""
    if reading.kind in ("classes", "classes-from-1"):
        return Outputs(
            name=name, predicted=column.astype(np.int64) - (reading.kind == "classes-from-1"), scores=reading.kind
        )
    predicted = decided(column[:, None], _split(reading))
    if reading.kind == "logits":
        positive = 1 / (1 + np.exp(-column.clip(-700, 700)))
    elif reading.kind == "log-probabilities":
        positive = np.exp(column).clip(0, 1)
    else:
        positive = ((column - reading.zero) / (reading.one - reading.zero)).clip(0, 1)
    return Outputs(
        name=name,
        predicted=predicted,
        confidence=np.where(predicted == 1, positive, 1 - positive),
        true_score=np.where(labels == 1, positive, 1 - positive),
        tied=1 + (column == _split(reading)).astype(np.int64),
        scores=reading.kind,
    )


# -------------------------------------------------------------------------------------------- a column for every class


def _rows(
    kept: Kept,
    unit: tuple[float, float] | None,
    asked: str | None,
    activation: Activation | None,
    called: Scores | None,
    like: Scores | None,
    *,
    integers: bool,
    shared: bool,
) -> Reading:
    """What rows of scores are, of which ``kept`` is kept, and which may be probabilities in a ``unit``."""
    if asked in ("classes", "classes-from-1"):
        raise UsageError(f"{OPTION} {asked}: a column for every class holds scores, not classes", hint=_known(asked))
    if asked is not None and (asked != "probabilities" or unit is None):
        return _asked(asked, shared=shared)
    if unit is not None:
        why = "as told" if asked is not None else f"each row sums to about {unit[1] - unit[0]:g}"
        return Reading(kind="probabilities", why=why, zero=unit[0], one=unit[1], shared=shared)
    if integers and called != "logits":
        return Reading(kind="logits", why="nothing says what a step of them is worth", known=False)
    assert kept.first is not None
    assert kept.least is not None
    assert kept.total is not None
    assert kept.spread is not None
    first, least = kept.first, kept.least
    if least.min() >= 0 and first.max() <= 1 + SUM_TOLERANCE:
        off = float(np.median(np.abs(kept.total - 1)))
        if activation in ("sigmoid", "softmax") or called == "probabilities":
            ends = "the file calls them so" if activation is None else f"they come out of a {activation}"
            return Reading(kind="probabilities", why=ends, shared=shared)
        if off <= SUM_TOLERANCE and (like is None or off < 1e-4 or _varies(kept)):
            return Reading(kind="probabilities", why="each row lies in [0, 1] and sums to 1", shared=shared)
        if called == "logits":
            return Reading(kind="logits", why="the file calls them so")
        if like in ("logits", "probabilities"):
            return Reading(kind=like, why="all lie in [0, 1], and the dense model's are", shared=shared)
        if activation == "linear":
            return Reading(kind="logits", why="they come out of a linear layer")
        why = "all lie in [0, 1]" + ("" if shared else ", though rows do not sum to 1: of each class by itself")
        return Reading(kind="probabilities", why=why, shared=shared)
    if first.max() <= SUM_TOLERANCE and (
        activation == "log-softmax" or np.median(np.abs(first + kept.spread)) <= SUM_TOLERANCE
    ):
        ends = "they come out of a log-softmax" if activation == "log-softmax" else "the exp of each row sums to 1"
        return Reading(kind="log-probabilities", why=ends, shared=shared)
    return Reading(kind="logits", why="some lie outside [0, 1]")


def _unit(kept: Kept, columns: int, *, integers: bool) -> tuple[float, float] | None:
    """The scores that stand for 0 and 1 where rows are probabilities in another unit than 1; None where none is seen.

    Percent; whole numbers of 8 or 16 bits, each rounded by half a step at most; votes, of which all rows have as many.
    """
    assert kept.first is not None
    assert kept.least is not None
    assert kept.total is not None
    least, top, total = float(kept.least.min()), float(kept.first.max()), kept.total
    if not integers:
        percent = least >= 0 and top > 1 + SUM_TOLERANCE and bool((np.abs(total - 100) <= 100 * SUM_TOLERANCE).all())
        return (0.0, 100.0) if percent else None
    if least < 0:
        # Two logits are often each other's negative, which is what two such probabilities would look like.
        slack = 1.0 if columns == 2 else max(SUM_TOLERANCE * 256, columns / 2)
        off = float(np.median(np.abs(total - SIGNED * columns - 256)))
        return (SIGNED, SIGNED + 256) if least >= SIGNED and top < -SIGNED and off <= slack else None
    # A 1 that is one step too large for its type is cut, so that its row sums to a step less.
    sums = total[kept.first < 0.95 * top] if (kept.first < 0.95 * top).any() else total
    off, one = min((float(np.median(np.abs(sums - one))), one) for one in UNITS)
    if 1 < top <= one and off <= max(SUM_TOLERANCE * one, columns / 2):
        return 0.0, one
    votes = len(kept) >= LEAST_VOTES and total.min() == total.max() > 1 and _varies(kept)
    return (0.0, float(total[0])) if votes else None


def _varies(kept: Kept) -> bool:
    """Whether scores differ from sample to sample."""
    assert kept.first is not None
    assert kept.own is not None
    return bool(max(np.ptp(kept.first), np.ptp(kept.own)) > VARIES)


def _chances(kept: Kept, scores: Floats, reading: Reading, columns: int) -> Floats:
    """The probabilities (K,) of ``scores`` (K,), each one of its row."""
    assert kept.first is not None
    assert kept.spread is not None
    assert kept.total is not None
    if reading.kind == "logits" or (reading.kind == "log-probabilities" and reading.shared):
        return softmax(scores, kept.first, kept.spread)
    if reading.kind == "log-probabilities":
        return np.exp(scores).clip(0, 1)
    above = scores - reading.zero
    # Where all of the probability was on what is left out, nothing is known of the rest.
    rest = kept.total - columns * reading.zero if reading.shared else np.full(len(scores), reading.one - reading.zero)
    chances = np.full(len(scores), 1 / columns)
    np.divide(above, rest, out=chances, where=rest > 0)
    return chances.clip(0, 1)


# ------------------------------------------------------------------------------------------------------------ the rest


def numbered(
    usual: Counts, from_1: Counts, labels: Counts, name: str, *, asked: str | None = None, like: Scores | None = None
) -> Reading:
    """Whether whole numbers that the model called ``name`` predicted begin at 0 or at 1.

    ``usual`` and ``from_1`` (K,) are the classes that they stand for in either case, -1 where they stand for none. A
    number that only one of both allows decides, or else being right far more often with one than with the other.

    Raises:
        UsageError: nothing decides, or they cannot be what was asked for.
    """
    if asked not in (None, *_NUMBERED):
        raise UsageError(f"{OPTION} {asked}: {name} gives classes and no scores", hint=_known(str(asked)))
    if asked is not None:
        return _asked(asked)
    if (from_1 < 0).any():
        return Reading(kind="classes", why="not all lie between 1 and the number of classes")
    if np.array_equal(usual, from_1):
        return Reading(kind="classes", why="they are called so")
    from scipy.special import bdtrc  # takes longer to import than all else that a worker needs of us

    right, other = (int(hits(numbers, labels).sum()) for numbers in (usual, from_1))
    more = f"right on {max(right, other):,} of {len(labels):,} samples, otherwise on {min(right, other):,}"
    # No sample is right both ways: of those that are right at all, half would be so either way if neither were meant.
    if right + other and bdtrc(max(right, other) - 1, right + other, 0.5) <= LEVEL:
        kind: Scores = "classes" if right > other else "classes-from-1"
        if kind == "classes-from-1" or (usual >= 0).all():
            return Reading(kind=kind, why=more)
    if like in _NUMBERED:
        return Reading(kind=_KINDS[str(like)], why="the dense model's are")
    raise UsageError(
        f"{name} predicts classes by number and never 0, and nothing shows whether its numbers begin at 0 or at 1: "
        f"it would be right on {right:,} or on {other:,} of {len(labels):,} samples",
        hint=f"say it: {OPTION} {name}=classes (from 0, or by name), or {OPTION} {name}=classes-from-1",
    )


def _asked(kind: str, *, shared: bool = False) -> Reading:
    return Reading(kind=_KINDS[kind], why="as told", shared=shared)


_NUMBERED: tuple[Scores, ...] = ("classes", "classes-from-1")
_KINDS: dict[str, Scores] = {kind: kind for kind in get_args(Scores)}


def _known(asked: str) -> str:
    """What to do about a reading that was ``asked`` for and does not fit."""
    return f"leave {OPTION} {asked} out, or give one of {', '.join(each for each in _KINDS if each != asked)}"


def _out_of_range(kept: Kept, reading: Reading) -> str:
    """The first score of ``kept`` that ``reading`` rules out, in words."""
    at = contradicted(kept, reading)
    least, first = (kept.column, kept.column) if kept.column is not None else (kept.least, kept.first)
    assert at is not None
    if least is None or first is None:
        return "one is 0"
    value = first[at] if reading.kind == "log-probabilities" or least[at] >= reading.zero else least[at]
    return f"one is {value:.4g}"

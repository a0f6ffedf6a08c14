"""Which columns of a table of predictions make one model: told by their usual names, and asked for where these fail.

A wrong column would be audited as if it were a model, so nothing is guessed: where several may be meant, all are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prune_audit.core import ModelSource
from prune_audit.errors import ModelError, UsageError
from prune_audit.models._record_file import EACH, IDS, PREDICTED, SCORES, Kind

TRUTH = ("class", "label", "labels", "target", "y")
"""What mostly is the true class, and is the predicted one where there is nothing else."""
BESIDE = ("confidence", "true_score", "rank")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a table make one model: the predicted ``classes`` and what stands ``beside`` them, or its
    ``scores`` as lists or, in ``each``, class by class. ``name`` is what to choose it by."""

    name: str
    ids: str | None = None
    classes: str | None = None
    scores: str | None = None
    each: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    truth: str | None = None


def choose(source: ModelSource, kinds: Mapping[str, Kind]) -> Columns:
    """The columns that make the model which ``source`` names, of those whose ``kinds`` are given.

    Raises:
        ModelError: no column holds predictions.
        UsageError: the column is not there, or none is named where several may be meant.
    """
    usual = {name.strip().lower(): name for name in reversed(list(kinds))}
    ids = next((usual[name] for name in IDS if name in usual), None)
    truth = next((usual[name] for name in TRUTH if name in usual), None)
    beside = {name: usual[name] for name in BESIDE if name in usual}
    each = {name[len(EACH) :]: name for name in kinds if name.startswith(EACH) and kinds[name] in ("integer", "real")}
    own = {ids, *(usual.get(name) for name in TRUTH), *beside.values()}
    rest = [name for name in kinds if name not in own]
    chosen = source.column
    if chosen is None:
        found = [usual[name] for name in (*PREDICTED, *SCORES) if name in usual]
        found += [f"{EACH}*"] if each else []
        found = found or rest or [usual[name] for name in TRUTH if name in usual][:1]
        if len(found) > 1 and found == rest and all(kinds[name] == "real" for name in rest):
            return Columns(name="*", ids=ids, each={name: name for name in rest})
        if not found:
            raise ModelError(
                f"{source.path}: no predictions among the columns {', '.join(kinds)}",
                hint="call the column of predicted classes 'predicted', or that of lists of scores 'scores'",
            )
        if len(found) > 1:
            raise UsageError(
                f"{source.path} may hold several models: {', '.join(found)}",
                hint=f"choose one: '{source.path}#{found[0]}'",
            )
        chosen = found[0]
    if chosen == f"{EACH}*" and each:
        return Columns(name=chosen, ids=ids, each=each)
    if chosen not in kinds:
        raise UsageError(f"{source.path} has no column {chosen!r}", hint=f"known: {', '.join(kinds)}")
    if kinds[chosen] == "scores":
        return Columns(name=chosen, ids=ids, scores=chosen)
    if kinds[chosen] == "other":
        raise ModelError(
            f"{source.path}: the column {chosen!r} holds neither classes nor scores",
            hint="classes are text or whole numbers, scores lists of numbers",
        )
    if chosen.strip().lower() not in PREDICTED or not beside:
        return Columns(name=chosen, ids=ids, classes=chosen)
    # Whoever is confident is so whatever the label is; the other two are about the label.
    return Columns(
        name=chosen, ids=ids, classes=chosen, beside=beside, truth=None if beside.keys() == {"confidence"} else truth
    )

"""Which columns of a table of predictions make one model: told by their usual names, and asked for where these fail.

A wrong column would be audited as if it were a model, so nothing is guessed: where several may be meant, all are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from prune_audit import spelling
from prune_audit.core import ModelSource
from prune_audit.errors import ModelError, UsageError
from prune_audit.files.columns import IDS, PATHS, shown, usual
from prune_audit.files.recorded_tables import EACH, NAMED, PREDICTED, SCORES, Table

TRUTH = ("class", "label", "labels", "target", "y")
"""What mostly is the true class, and is the predicted one where there is nothing else."""
BESIDE = ("confidence", "true_score", "rank", "tied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a table make one model: the predicted ``classes`` and what stands ``beside`` them, its
    ``scores`` as lists or, in ``each``, class by class, or in ``several`` lists of the names of all classes that it
    finds. ``name`` is what to choose it by; ``unused`` are the others of
    text or whole numbers, in which ids may stand."""

    name: str
    ids: str | None = None
    classes: str | None = None
    several: str | None = None
    scores: str | None = None
    each: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    truth: str | None = None
    unused: tuple[str, ...] = ()


def choose(source: ModelSource, table: Table) -> Columns:
    """The columns of ``table`` that make the model which ``source`` names.

    Raises:
        ModelError: no column holds predictions.
        UsageError: the column is not there, or none is named where several may be meant.
    """
    found = _chosen(source, table)
    used = {found.ids, found.classes, found.scores, *found.each.values(), *found.beside.values()}
    unused = tuple(name for name in table.kinds if name not in used and table.kinds[name] in ("text", "integer"))
    return replace(found, unused=unused)


def _chosen(source: ModelSource, table: Table) -> Columns:
    kinds = table.kinds
    known = {name.strip().lower(): name for name in reversed(list(kinds))}
    asked = source.id_column
    ids = (usual(kinds, (asked,)) if asked is not None else None) or usual(kinds, (*IDS, *PATHS))
    truth = usual(kinds, TRUTH)
    beside = {name: known[name] for name in BESIDE if name in known}
    each = {name[len(EACH) :]: name for name in kinds if name.startswith(EACH) and kinds[name] in ("integer", "real")}
    own = {ids, *(known.get(name) for name in TRUTH), *beside.values()}
    rest = [name for name in kinds if name not in own]
    chosen = source.column
    if chosen is None:
        found = [known[name] for name in (*PREDICTED, *SCORES) if name in known]
        found += [f"{EACH}*"] if each else []
        found = found or rest or [known[name] for name in TRUTH if name in known][:1]
        scores = all(kinds[name] == "real" for name in rest) or (ids is not None and _positions(rest, table))
        if len(found) > 1 and found == rest and scores:
            return Columns(name="*", ids=ids, each={name: name for name in rest})
        if (not found or found == rest) and table.nameless:
            raise ModelError(
                f"{source.path}: the first line seems to be a sample, not the names of the columns: {shown(kinds)}",
                hint=NAMED,
            )
        if not found:
            raise ModelError(
                f"{source.path}: no predictions among the columns {shown(kinds)}",
                hint="call the column of predicted classes 'predicted', or that of lists of scores 'scores'",
            )
        if len(found) > 1:
            raise UsageError(
                f"{source.path} may hold several models: {shown(found)}",
                hint="where one of them holds ids, name it with --id-column; else choose one: "
                f"'{source.path}#{found[0]}'",
            )
        chosen = found[0]
    if chosen == f"{EACH}*" and each:
        return Columns(name=chosen, ids=ids, each=each)
    if chosen not in kinds:
        raise UsageError(
            f"{source.path} has no column {chosen!r}", hint=f"{spelling.meant(chosen, kinds)}known: {shown(kinds)}"
        )
    if kinds[chosen] == "scores":
        return Columns(name=chosen, ids=ids, scores=chosen)
    if kinds[chosen] == "names":
        return Columns(name=chosen, ids=ids, several=chosen)
    if kinds[chosen] == "other":
        raise ModelError(
            f"{source.path}: the column {chosen!r} holds neither classes nor scores",
            hint="classes are text or whole numbers, scores lists of numbers, several labels lists of their names",
        )
    if chosen.strip().lower() not in PREDICTED or not beside:
        return Columns(name=chosen, ids=ids, classes=chosen)
    # Confidence does not depend on the label; true_score and rank do.
    return Columns(
        name=chosen, ids=ids, classes=chosen, beside=beside, truth=None if beside.keys() == {"confidence"} else truth
    )


def _positions(names: Sequence[str], table: Table) -> bool:
    """Whether ``names`` are 0, 1, 2 ... of columns of numbers: scores of quantised models, called like the classes."""
    numbers = all(table.kinds[name] in ("integer", "real") for name in names)
    return numbers and sorted(names) == sorted(map(str, range(len(names))))

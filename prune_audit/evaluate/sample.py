"""What the audited samples are: whether the settings fit them, and what a reader must know of them.

Statistics take samples for independent draws of what is in use. Nothing in the numbers shows where that fails, so it
is said beside them: exact copies, few clusters, weights of classes that were never seen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from prune_audit import spelling
from prune_audit.core import Counts, Predictions, Settings
from prune_audit.core.clusters import FEW
from prune_audit.errors import UsageError

CLUSTERS_ENOUGH = 30
"""A variance between 30 clusters has a standard error of a quarter of itself, sqrt(2 / 29); with fewer, more."""
NAMED = 3  # of classes in a message


def check(
    settings: Settings, classes: Sequence[str], labels: Counts, columns: Collection[str], *, complete: bool = True
) -> None:
    """Check that the columns and classes that ``settings`` name are those of the data, before a long run.

    ``labels`` (N,) are positions in ``classes``; ``complete`` says that no further class can follow.

    Raises:
        UsageError: a column is not there, or weights and classes differ.
    """
    asked = [("--by", column) for by in settings.by for column in by.split(",") if column != "class"]
    asked += [("--cluster", settings.cluster)] if settings.cluster is not None else []
    for option, column in asked:
        if column not in columns:
            none = "these data have no columns; a manifest or an .npz file can have some"
            known = spelling.hint(column, ["class", *columns] if option == "--by" else columns) if columns else none
            raise UsageError(f"{option} {column}: the data have no column {column!r}", hint=known)
    if settings.weights is None:
        return
    seen = [classes[i] for i in np.unique(labels)]
    missing = [name for name in seen if name not in settings.weights]
    unknown = [name for name in settings.weights if name not in classes] if complete else []
    for names, what in ((missing, "no weight for"), (unknown, "weights of what is no class:")):
        if names:
            more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
            raise UsageError(
                f"--weights: {what} {', '.join(map(repr, names[:NAMED]))}{more}",
                hint=f"{spelling.meant(names[0], seen if names is unknown else unknown)}"
                "every class with samples needs a weight, 0 where it is not in use; "
                f"the classes are {', '.join(classes[:NAMED])}{', ...' if len(classes) > NAMED else ''}",
            )
    if not any(settings.weights[name] > 0 for name in seen):
        raise UsageError(
            "--weights: every class with samples has the weight 0", hint="give the classes in use their shares"
        )


def notes(predictions: Predictions, settings: Settings) -> tuple[str, ...]:
    """What must be said of the samples beside any number."""
    said, things = list(_copies(predictions)), predictions.task.thing[1]
    if settings.cluster is not None:
        found = len(np.unique(predictions.groups[settings.cluster]))
        if found < CLUSTERS_ENOUGH:
            clusters = "1 cluster" if found == 1 else f"{found} clusters"
            said.append(
                f"only {clusters} of {settings.cluster}, too few clusters: hardly anything can be shown with fewer "
                f"than {FEW}, however many {things} they have"
                if found < FEW
                else f"only {clusters} of {settings.cluster}: how alike their {things} are is a rough guess from fewer "
                f"than {CLUSTERS_ENOUGH}, and intervals are wide by it"
            )
        said += [note for by in settings.by if (note := _alone(predictions, by, settings.cluster))]
    if settings.weights is not None:
        seen = {predictions.classes[i] for i in np.unique(predictions.labels)}
        unseen = [name for name, weight in settings.weights.items() if weight > 0 and name not in seen]
        if unseen:
            more = ", ..." if len(unseen) > NAMED else ""
            said.append(
                f"weights of classes without samples are left out, the others stand for them: "
                f"{', '.join(unseen[:NAMED])}{more}"
            )
    return tuple(said)


def _alone(predictions: Predictions, by: str, cluster: str) -> str | None:
    """Names the strata of ``by`` that consist of one cluster: what is seen there may be that cluster's own."""
    if cluster in by.split(","):
        return None
    names, stratum = predictions.strata(by)
    members = np.unique(predictions.groups[cluster].astype(str), return_inverse=True)[1]
    pairs = np.unique(np.stack([stratum, members]), axis=1)  # (2, P)
    found = np.flatnonzero(np.bincount(pairs[0], minlength=len(names)) == 1)
    if not len(found):
        return None
    shown = ", ".join(names[i] for i in found[:NAMED]) + (", ..." if len(found) > NAMED else "")
    return f"one {cluster} alone in {by} {shown}: what is shown there may be true of that {cluster} only"


def _copies(predictions: Predictions) -> list[str]:
    """Exact copies among the samples, and among these such with another label."""
    digests, labels, ids, thing = predictions.digests, predictions.labels, predictions.ids, predictions.task.thing
    first, group = np.unique(digests, return_index=True, return_inverse=True)[1:]  # (D,), (N,)
    original = first[group] if len(digests) else group  # (N,) the first sample of the same content
    copies = np.flatnonzero(original != np.arange(len(digests)))
    if not len(copies):
        return []
    one = int(copies[0])
    said = [
        f"{_several(len(copies), thing, 'is an exact copy', 'are exact copies')} of others (first: "
        f"{ids[original[one]]}, {ids[one]}): copies are no further evidence, and intervals are too narrow by them"
    ]
    torn = copies[labels[copies] != labels[original[copies]]]
    if len(torn):
        one = int(torn[0])
        names = predictions.classes[labels[original[one]]], predictions.classes[labels[one]]
        said.append(
            f"{_several(len(torn), thing, 'has the content', 'have the content')} of a {thing[0]} with another label "
            f"(first: {ids[original[one]]} is {names[0]}, {ids[one]} is {names[1]}): no model can be right on both"
        )
    return said


def _several(count: int, thing: tuple[str, str], one: str, many: str) -> str:
    return f"1 {thing[0]} {one}" if count == 1 else f"{count:,} {thing[1]} {many}"

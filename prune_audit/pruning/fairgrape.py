"""FairGRAPE: keep of every layer the weights that leave each group its share of the importance.

    I_ig = mean over batches of group g of (theta_i dT_g / dtheta_i)^2
    tau_g = sum_i I_ig / sum_ig I_ig, before the cut

Greedily the group whose share among the weights kept so far lies farthest below its tau chooses its next most important
one. Each layer keeps the same share of its weights, whatever the scope. Groups are the classes of the data, or with
--by COLUMN those of a column. What the released code does beside the paper is left out: there gradients of one group
run into the next, and weights drift while they are scored.

NAME.shares.csv beside the network has, of each layer and group, tau as the target, and the share of the group among the
weights that were kept, both by the importances in the network as it was given.

    source: Lin, Kim, Joo 2022 (arXiv 2207.10888) and the authors' code
    certainty: high; several cuts with trainings between (--schedule iterative) are how the paper uses it
    needs: labelled training data with samples of every group, a network that can be trained
    cost: a pass with gradients over --data (--score-samples) for each cut, one for the table, a choice a weight kept
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.errors import ModelError
from prune_audit.nets import masking
from prune_audit.nets.examples import Groups, needed
from prune_audit.nets.gradients import saliencies
from prune_audit.nets.scope import check_density
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from prune_audit.core import Array, Floats, Table
    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = True
BATCH = 64  # samples of a group


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What this method may be told beside a density."""

    by: Annotated[
        str,
        typer.Option(
            metavar="class|COLUMN",
            help="What is to keep its share of the importance: classes, or the groups in a column of the data.",
        ),
    ] = "class"


OPTIONS = Options


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """The masks that leave every group its share, of what ``masks`` have not cut.

    Raises:
        UsageError: the density is not in (0, 1].
        ModelError: there are no batches, no gradient, or no samples of a group.
    """
    import torch

    del settings
    check_density(density)
    counts = masking.apportioned([mask.numel() for mask in masks.values()], density)
    found: Masks = {}
    for (name, importance), count in zip(_importances(model, masks, needed(batches, "fairgrape")), counts, strict=True):
        mask = masks[name]
        chosen = fair(importance, mask.flatten().cpu().numpy(), count)
        found[name] = torch.from_numpy(chosen).reshape(mask.shape).to(mask.device)
    return found


def tables(model: torch.nn.Module, masks: Masks, batches: Examples | None, settings: Cut) -> tuple[Table, ...]:
    """Of each layer and group the share of the importance in the whole ``model``, and in what ``masks`` keep of it.

    A share is None where nothing in the layer is of importance.

    Raises:
        ModelError: there are no batches, no gradient, or no samples of a group.
    """
    from prune_audit.core import Field, Table

    del settings
    examples = needed(batches, "fairgrape")
    rows = []
    for name, importance in _importances(model, masks, examples):
        whole, kept = importance.sum(1), importance[:, masks[name].flatten().cpu().numpy()].sum(1)  # (G,) each
        for group, target, reached in zip(_groups(examples).names, whole, kept, strict=True):
            shares = (float(part / of.sum()) if of.sum() else None for part, of in ((target, whole), (reached, kept)))
            rows.append((name, group, *shares))
    fields = (
        Field(name="layer", title="Layer", unit="label"),
        Field(name="group", title="Group", unit="label"),
        Field(name="target", title="Target", unit="share", meaning="of the importance of all weights of the layer"),
        Field(name="reached", title="Reached", unit="share", meaning="of the importance of those that were kept"),
    )
    title = "the share of each group in the importance of each layer"
    return (Table(name="shares", title=title, fields=fields, rows=tuple(rows)),)


def _groups(batches: Examples) -> Groups:
    """What samples are grouped by: classes where nobody says more, which then have no names."""
    if batches.groups is not None:
        return batches.groups
    return Groups(names=tuple(f"class {at}" for at in range(int(batches.labels.max()) + 1)), of=batches.labels)


def _importances(model: torch.nn.Module, masks: Masks, batches: Examples) -> Iterator[tuple[str, Floats]]:
    """The importances (G, N) of each weight of ``masks`` for each group, over as many batches for each."""
    import numpy as np

    groups = _groups(batches)
    own = groups.of[batches.rows]
    known = [batches.rows[own == at] for at in range(len(groups.names))]
    if missing := [name for name, rows in zip(groups.names, known, strict=True) if not len(rows)]:
        raise ModelError(
            f"fairgrape needs samples of every group, found none of {', '.join(missing)}",
            hint="score on more samples: raise --score-samples, or leave it out; or give data that have some",
        )
    most = max(-(-len(rows) // BATCH) for rows in known)
    parts = min(most, *(len(rows) for rows in known))
    found = [saliencies(model, tuple(masks), batches, rows.tensor_split(parts)) for rows in known]
    for name in masks:
        yield name, np.stack([each[name].flatten().double().cpu().numpy() for each in found])


def fair(importance: Floats, left: Array, count: int) -> Array:
    """Which ``count`` of the weights that are ``left`` (N,) to keep, by their ``importance`` (G, N) for each group.

    All that are left where these are fewer. Of equal groups and weights the first is chosen.
    """
    import numpy as np

    groups = range(len(importance))
    chosen = np.zeros(importance.shape[1], dtype=bool)
    alive = np.flatnonzero(left)
    orders = [alive[np.argsort(-importance[g, alive], kind="stable")].tolist() for g in groups]
    columns, total = importance.T.tolist(), float(importance.sum())
    targets = [float(importance[g].sum()) / total if total else 1 / len(importance) for g in groups]
    sums, at = [0.0 for _ in groups], [0 for _ in groups]
    for _ in range(min(count, len(alive))):
        whole = sum(sums)
        lacks = [(sums[g] / whole if whole else 1 / len(sums)) - targets[g] for g in groups]
        g = lacks.index(min(lacks))
        while chosen[orders[g][at[g]]]:
            at[g] += 1
        weight = orders[g][at[g]]
        chosen[weight] = True
        sums = [have + more for have, more in zip(sums, columns[weight], strict=True)]
    return chosen

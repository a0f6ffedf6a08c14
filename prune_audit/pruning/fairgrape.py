"""FairGRAPE: keep of every layer the weights that leave each class its share of the importance.

    I_ig = mean over batches of class g of (theta_i dT_g / dtheta_i)^2
    tau_g = sum_i I_ig / sum_ig I_ig, before the cut

Greedily the class whose share among the weights kept so far lies farthest below its tau chooses its next most important
one. Each layer keeps the same share of its weights, whatever the scope. Groups are the classes of the data. What the
released code does beside the paper is left out: there gradients of one group run into the next, and weights drift while
they are scored.

    source: Lin, Kim, Joo 2022 (arXiv 2207.10888) and the authors' code
    certainty: high; several cuts with trainings between (--schedule iterative) are how the paper uses it
    needs: labelled training data with samples of every class, a network that can be trained
    cost: one pass with gradients over --data (--score-samples) for all classes together, and a choice a weight kept
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prune_audit.errors import ModelError
from prune_audit.nets import masking
from prune_audit.nets.examples import needed
from prune_audit.nets.gradients import saliencies
from prune_audit.nets.scope import check_density
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.core import Array, Floats
    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = True
BATCH = 64  # samples of a class


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """The masks that leave every class its share, of what ``masks`` have not cut.

    Raises:
        UsageError: the density is not in (0, 1].
        ModelError: there are no batches, no gradient, or no samples of a class.
    """
    import numpy as np
    import torch

    del settings
    check_density(density)
    importances = _by_class(model, tuple(masks), needed(batches, "fairgrape"))
    counts = masking.apportioned([mask.numel() for mask in masks.values()], density)
    found: Masks = {}
    for (name, mask), count in zip(masks.items(), counts, strict=True):
        importance = np.stack([each[name].flatten().double().cpu().numpy() for each in importances])  # (G, N)
        chosen = fair(importance, mask.flatten().cpu().numpy(), count)
        found[name] = torch.from_numpy(chosen).reshape(mask.shape).to(mask.device)
    return found


def _by_class(model: torch.nn.Module, names: tuple[str, ...], batches: Examples) -> list[dict[str, torch.Tensor]]:
    """Of each class the importances of the weights ``names``, over as many batches as for any other class."""
    labels = batches.labels[batches.rows]
    known = [batches.rows[labels == label] for label in range(int(batches.labels.max()) + 1)]
    if missing := [str(label) for label, rows in enumerate(known) if not len(rows)]:
        raise ModelError(
            f"fairgrape needs samples of every class, found none of class {', '.join(missing)}, counted from 0",
            hint="score on more samples: raise --score-samples",
        )
    most = max(-(-len(rows) // BATCH) for rows in known)
    parts = min(most, *(len(rows) for rows in known))
    return [saliencies(model, names, batches, rows.tensor_split(parts)) for rows in known]


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

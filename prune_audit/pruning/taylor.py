"""Taylor pruning: cut where removing a weight changes the loss of a batch least, to first order.

    score = sqrt(mean over batches of (theta g)^2),  g the gradient of the mean loss of a batch

A sum over a filter of the squares is the importance of the filter (``--pattern filters``). Squares are taken batch by
batch, so that gradients that cancel over the data, as they do at the end of a training, still count: that is what tells
it from `undecayed`, with which it agrees where all samples are one batch.

    source: Molchanov et al. 2017 (arXiv 1611.06440) and 2019 (arXiv 1906.10771), equation 8
    certainty: high for the formula; batches of the size of the training stand for their mini-batches
    needs: labelled training data, a network that can be trained
    cost: one pass with gradients over --data (--score-samples)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prune_audit.nets.examples import needed
from prune_audit.nets.gradients import saliencies
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples

NEEDS_DATA = True


def score(
    model: torch.nn.Module, names: Sequence[str], batches: Examples | None, settings: Cut
) -> dict[str, torch.Tensor]:
    """The root of the mean squared saliency over ``batches``, of the weights ``names``, each in its shape.

    Raises:
        ModelError: there are no batches, or no gradient.
    """
    del settings
    return {name: found.sqrt() for name, found in saliencies(model, names, needed(batches, "taylor")).items()}

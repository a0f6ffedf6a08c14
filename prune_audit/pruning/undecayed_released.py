"""Undecayed pruning as its authors' public file computes it, which takes the decay out once more.

    score = |-theta dT/dtheta + epsilon theta^2|

The file takes the gradient of cross-entropy alone, in which there is no decay, and then adds epsilon theta^2 all the
same, so this differs from the formula of the paper (`undecayed`). Good et al. 2022 (arXiv 2206.02976); in the file
epsilon is 5e-4, here it is the weight decay of the settings, and the gradient is over all samples and in evaluation
mode where the file takes one batch in training mode.

    source: the public file of the authors of Good et al. 2022 (arXiv 2206.02976)
    certainty: very high
    needs: labelled training data, a network that can be trained, and the weight decay that it was trained with
    cost: one pass with gradients over --data (--score-samples)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prune_audit.nets.examples import needed
from prune_audit.nets.gradients import task_gradients
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples

NEEDS_DATA = True


def score(
    model: torch.nn.Module, names: Sequence[str], batches: Examples | None, settings: Cut
) -> dict[str, torch.Tensor]:
    """The released score over all ``batches``, of the weights ``names``, each in its shape.

    Raises:
        ModelError: there are no batches, or no gradient.
    """
    scores = task_gradients(model, names, needed(batches, "undecayed-released"))
    for name, gradient in scores.items():
        weight = model.get_parameter(name).detach()
        gradient.neg_().add_(weight, alpha=settings.weight_decay).mul_(weight).abs_()
    return scores

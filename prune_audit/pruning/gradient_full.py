"""Gradient pruning by the loss with weight decay, as the paper writes it.

    score = |theta dL/dtheta| = |theta (dT/dtheta + epsilon theta)|
    L = T + epsilon / 2 ||theta||^2

At the end of a training with decay dL is near zero, so this score is near zero for all weights alike. Good et al. 2022
(arXiv 2206.02976), section 6, GP. epsilon is the weight decay of the settings; without it this is `undecayed`.

    source: Good et al. 2022 (arXiv 2206.02976), section 6
    certainty: very high for the formula
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
    """Weight times gradient with decay over all ``batches``, of the weights ``names``, each in its shape.

    Raises:
        ModelError: there are no batches, or no gradient.
    """
    scores = task_gradients(model, names, needed(batches, "gradient-full"))
    for name, gradient in scores.items():
        weight = model.get_parameter(name).detach()
        gradient.add_(weight, alpha=settings.weight_decay).mul_(weight).abs_()
    return scores

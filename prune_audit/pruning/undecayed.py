"""Undecayed pruning: cut where weight times gradient of the task alone is smallest.

    score = |theta dT/dtheta| = |-theta dL/dtheta + epsilon theta^2|
    L = T + epsilon / 2 ||theta||^2

The decay pulls every weight towards zero, so that a gradient of L says little of what the task needs; it is taken out
again. Good et al. 2022 (arXiv 2206.02976), section 6, UP. In torch the decay lives in the optimiser and ``backward``
gives dT, so this is what common gradient pruning computes (`gradient` is another name of it), and the weight decay
does not enter.

    source: Good et al. 2022 (arXiv 2206.02976), section 6
    certainty: very high for the formula; which one made the paper's figures is not known (see undecayed-released)
    needs: labelled training data, a network that can be trained
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
    """Weight times gradient over all ``batches``, of the weights ``names``, each in its shape.

    Raises:
        ModelError: there are no batches, or no gradient.
    """
    del settings
    scores = task_gradients(model, names, needed(batches, "undecayed"))
    for name, gradient in scores.items():
        gradient.mul_(model.get_parameter(name).detach()).abs_()
    return scores

"""Cut the smallest weights, over the whole model or layer by layer.

    score = |theta|

Needs no data. Global unless the scope is ``layer`` (Han et al. 2015, arXiv 1506.02626; the MP of Good et al. 2022,
arXiv 2206.02976, section 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prune_audit.nets import masking
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = False


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """As `prune_audit.nets.masking.keep_largest`, of absolute weights; ``batches`` are not looked at."""
    del batches
    scores = {name: model.get_parameter(name).detach().abs() for name in masks}
    return masking.keep_largest(scores, masks, density, settings.scope)

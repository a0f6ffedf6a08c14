"""Cut weights drawn at random: the floor that every method must beat.

Each weight gets a score drawn uniformly from [0, 1), and the largest are kept:

    score = u,  u ~ U(0, 1)

Equal seeds draw equal scores, so what is cut at a density stays cut at any lower one. The random pruning of Good et al.
2022 (arXiv 2206.02976), section 5.
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
    """As `prune_audit.nets.masking.keep_largest`, of random scores; ``batches`` are not looked at."""
    import torch

    del model, batches
    generator = torch.Generator().manual_seed(settings.seed)
    scores = {name: torch.rand(mask.shape, generator=generator).to(mask.device) for name, mask in masks.items()}
    return masking.keep_largest(scores, masks, density, settings.scope)

"""Cut weights drawn at random: the floor that every method must beat.

Each weight gets a score drawn uniformly from [0, 1), and the largest are kept:

    score = u,  u ~ U(0, 1)

Equal seeds draw equal scores, so what is cut at a density stays cut at any lower one. The random pruning of Good et al.
2022 (arXiv 2206.02976), section 5.

    source: Good et al. 2022 (arXiv 2206.02976), section 5
    certainty: very high
    needs: nothing but weights; training is of use
    cost: a second for tens of millions of weights
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples

NEEDS_DATA = False


def score(
    model: torch.nn.Module, names: Sequence[str], batches: Examples | None, settings: Cut
) -> dict[str, torch.Tensor]:
    """Scores of the weights ``names`` drawn by the seed of ``settings``; ``batches`` are not looked at."""
    import torch

    del batches
    generator = torch.Generator().manual_seed(settings.seed)
    weights = {name: model.get_parameter(name) for name in names}
    return {name: torch.rand(w.shape, generator=generator).to(w.device) for name, w in weights.items()}

"""Cut the smallest weights, over the whole model or layer by layer.

    score = |theta|

Needs no data. Global unless the scope is ``layer`` (Han et al. 2015, arXiv 1506.02626; the MP of Good et al. 2022,
arXiv 2206.02976, section 5).

    source: Han et al. 2015 (arXiv 1506.02626)
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
    """The absolute weights ``names``, each in its shape; ``batches`` are not looked at."""
    del batches, settings
    return {name: model.get_parameter(name).detach().abs() for name in names}

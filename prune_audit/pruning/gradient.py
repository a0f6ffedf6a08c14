"""Gradient pruning as it is commonly computed: another name of undecayed.

    score = |theta dT/dtheta|

ShrinkBench and others take the gradient of plain cross-entropy, which is the paper's undecayed score to the letter
(`undecayed`); the paper's own gradient pruning is `gradient-full`.

    source: ShrinkBench, Blalock et al. 2020 (arXiv 2003.03033)
    certainty: very high
    needs: labelled training data, a network that can be trained
    cost: one pass with gradients over --data (--score-samples)
"""

from __future__ import annotations

from prune_audit.pruning.undecayed import NEEDS_DATA, score

__all__ = ["NEEDS_DATA", "score"]

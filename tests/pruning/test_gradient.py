"""Gradient pruning is another name of undecayed."""

from __future__ import annotations

from prune_audit.pruning import gradient, undecayed


def test_it_is_the_same_function() -> None:
    assert gradient.score is undecayed.score
    assert gradient.NEEDS_DATA

"""Flips as a line a variant."""

from __future__ import annotations

from prune_audit.core import Audit

SUFFIXES = (".tally",)


def render(audit: Audit) -> str:
    """``variant: flips`` on a line each."""
    return "".join(f"{each.pruned.name}: {each.flipped}\n" for each in audit.comparisons)

"""How much of a network is to be kept, and over what that holds."""

from __future__ import annotations

from prune_audit.errors import UsageError


def check_density(density: float) -> None:
    """Raise `UsageError` where ``density`` is no share of weights to keep."""
    if not 0 < density <= 1:
        raise UsageError(
            f"the density must be a share in (0, 1], found {density:g}",
            hint="it is what is kept: .1 keeps a tenth of the weights and cuts nine tenths",
        )

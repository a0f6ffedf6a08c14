"""Lost share: of what the dense model got right, how much the pruned one does not.

Per class, lost / (both + lost); absent where the dense model got nothing right.
"""

from __future__ import annotations

from prune_audit.core import Measure, Pair, Settings

RANK = 1000


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """One column, ``lost_share``."""
    right = pair.both + pair.lost
    shares = [int(lost) / int(of) if of else None for lost, of in zip(pair.lost, right, strict=True)]
    absent = {at: "the dense model got none right" for at, share in enumerate(shares) if share is None}
    return (Measure(name="lost_share", title="lost share", unit="share", by_stratum=tuple(shares), absent=absent),)

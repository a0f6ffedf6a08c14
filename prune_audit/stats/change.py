"""How much recall a class lost or won by pruning, and how sure that is.

The change is the pruned recall minus the dense one, so that a loss is negative. Its interval holds the values that
this many samples cannot rule out, and is the part to read.

    change = (gained - lost) / n

Both models saw the same samples, so only those on which they part count; the interval inverts Tango's score test
(1998) and is closed at no flips: +-z^2 / (n + z^2). Over all samples it is the change of accuracy. A model
compared with itself has changed by exactly 0. With --cluster the interval is that of as many independent samples as
the clusters are worth (Rao, Scott 1984), by Student's t with one degree of freedom less than there are clusters of one
size; with --weights that over all samples is of the weighted change.
"""

from __future__ import annotations

import numpy as np

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats import _tango
from prune_audit.stats._column import column, no_things, without_samples
from prune_audit.stats._effective_counts import overall, sides, weights, whole

RANK = 30


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Change of recall with its two-sided interval; ``overall`` is that of accuracy."""
    # One more row for all samples together: the same formula serves accuracy.
    own = sides(pair, settings, confidence=settings.confidence)[0]
    all_ = whole(pair, settings, confidence=settings.confidence)
    lost, gained, n = (np.append(getattr(own, c), getattr(all_, c)) for c in ("lost", "gained", "n"))  # (S + 1,)
    some = np.where(n > 0, n, 1)
    net = pair.gained - pair.lost
    change = np.append(net / np.maximum(pair.support, 1), overall(pair, net, weights(pair, settings)) or 0.0)
    if pair.same_model:
        low, high = change, change
    else:
        drop_low, drop_high = _tango.interval(lost, gained, some, settings.confidence)
        low, high = -drop_high, -drop_low
    return (
        column(
            "change",
            "change",
            "points",
            change[:-1],
            without_samples(pair),
            limits=(low[:-1], high[:-1]),
            overall=float(change[-1]) if n[-1] else None,
            overall_limits=(float(low[-1]), float(high[-1])) if n[-1] else None,
            overall_absent=None if n[-1] else no_things(pair),
        ),
    )

"""Whether the pruned model still does better than guessing.

A model that has collapsed is right about as often as one that always names the largest class. What it does to single
classes is then beside the point.

    guessing = max(1 / classes, largest class / samples)
    luck = sum of (share of class) x (share of the model's answers)
    collapsed: accuracy not shown above the lesser, and shown to drop

Luck is what a model gets that gives the same answers blindly (Cohen 1960): one
that finds a rare class in some cases beats it, even where naming the largest
class always would be right more often. Both by intervals (that of recall for the
accuracy, Tango for the paired change). Where it is so, distortion and alpha are
absent, because they divide by what remains, and the accuracy-drop rule fails by itself.
"""

from __future__ import annotations

from prune_audit.core import Measure, Pair, Settings
from prune_audit.stats._collapse import chance, collapsed
from prune_audit.stats._column import no_things

RANK = 200
NEEDS = ("guessing",)


def measure(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """``collapsed`` is "yes" or "no" for the model; ``chance_accuracy`` is what guessing gets on these labels."""
    if not pair.support.any():
        return (
            Measure(name="collapsed", title="collapsed", unit="label", overall_absent=no_things(pair)),
            Measure(name="chance_accuracy", title="accuracy of guessing", unit="share", overall_absent=no_things(pair)),
        )
    answer = "yes" if collapsed(pair, settings) else "no"
    return (
        Measure(name="collapsed", title="collapsed", unit="label", overall=answer),
        Measure(name="chance_accuracy", title="accuracy of guessing", unit="share", overall=chance(pair, settings)),
    )

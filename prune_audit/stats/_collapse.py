"""Whether pruning has left a model that does no better than guessing.

Then every class is lost alike, and a ratio of what remains (retention, alpha) is a ratio of noise.
"""

from __future__ import annotations

from prune_audit.core import Pair, Settings
from prune_audit.stats import _share_interval, _tango
from prune_audit.stats._clusters import CHANGE, PRUNED
from prune_audit.stats._effective_counts import weights, whole


def chance(pair: Pair, settings: Settings) -> float:
    """What the best guessing gets: one class in C, or the largest class always."""
    shares = weights(pair, settings)
    if shares is not None:
        return max(1 / max(len(pair.classes), 1), float(shares.max()))
    return max(1 / max(len(pair.classes), 1), float(pair.labelled.max()) / max(int(pair.labelled.sum()), 1))


def by_luck(pair: Pair) -> float:
    """What guessing gets that names each class as often as the pruned model does: the agreement of Cohen's kappa."""
    named = pair.pruned_predicted / max(int(pair.pruned_predicted.sum()), 1)  # (C,)
    return float(named @ (pair.labelled / max(int(pair.labelled.sum()), 1)))


def collapsed(pair: Pair, settings: Settings) -> str | None:
    """Why the pruned model counts as collapsed, None where it does not.

    Its accuracy is not shown to be above guessing (lower limit of `recall`) and is shown to be below the dense
    model's. Without the second half a pair with few samples or one overwhelming class, on which nothing changed,
    would fail every gate. Guessing is the lesser of two: always the largest class, or each class as often as the
    model names it (Cohen 1960). The first alone would call a model collapsed that finds 40 % of a class of 5 %: it is
    right less often than whoever never looks, and yet it looks. Where all samples are of one class there is nothing
    to guess, and no collapse to see. Nor is there where a task's answers are not guessed among its classes.
    """
    if "guessing" in pair.task.lacks:
        return None
    if not pair.support.any() or pair.same_model or int((pair.labelled > 0).sum()) < 2:
        return None
    by_pruned, by_change = (whole(pair, settings, of, confidence=settings.confidence) for of in (PRUNED, CHANGE))
    accuracy = float(by_pruned.pruned[0] / by_pruned.n[0])
    low = _share_interval.interval(by_pruned.pruned, by_pruned.n, settings.confidence)[0][0]
    fell = _tango.interval(by_change.lost, by_change.gained, by_change.n, settings.confidence)[0][0] > 0
    guessing = min(chance(pair, settings), by_luck(pair))
    if low > guessing or not fell:
        return None
    return f"the pruned model has collapsed: accuracy {accuracy:.3f}, not shown to be above guessing ({guessing:.3f})"

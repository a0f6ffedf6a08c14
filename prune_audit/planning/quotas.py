"""How many training samples of each class to keep, so that retraining on fewer serves the classes that fail most.

Vysogorets, Ahuja and Kempe, ICLR 2025 (arXiv 2404.05579; DRoP, earlier MetriQ). With N samples in a class, r its recall
on other data, and a share d of all samples to keep, a class keeps a share proportional to its error:

    error-mass (the paper): N (1 - r) samples, times a factor; error (its published code): 1 - r samples, times a factor

No class keeps more than it has; what it cannot take goes to the others in the same proportions, as in the paper. Unlike
there every class keeps a sample at least, counts are rounded by the largest remainder, so that they add up, and where
there is no error at all the share is the same for all. Recalls of fewer than `FEW` samples are noise, and are drawn to
one half: (right + 1) / (n + 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prune_audit.choices import Quota
from prune_audit.core import CLASSIFICATION, Audit, Comparison, Counts, Floats, View, lookup
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.render import rounded

FEW = 30  # audited samples of a class, below which its recall is drawn to one half


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one class keeps.

    It has ``samples`` to train on, and ``audited`` ones, of which the model was right in the share ``recall``, with the
    limits ``low`` and ``high``. ``error`` is what quotas go by, ``kept`` how many samples are kept.
    """

    name: str
    samples: int
    audited: int
    recall: float
    low: float | None
    high: float | None
    error: float
    kept: int

    @property
    def density(self) -> float:
        """The share of its samples that the class keeps; 0 where it has none."""
        return self.kept / self.samples if self.samples else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What every class keeps, in the order of the audit, by the recalls of ``model``, and what to know of it."""

    model: str
    quota: Quota
    shares: tuple[Share, ...]
    notes: tuple[str, ...]

    @property
    def samples(self) -> int:
        """All samples there are."""
        return sum(each.samples for each in self.shares)

    @property
    def kept(self) -> int:
        """All samples that are kept."""
        return sum(each.kept for each in self.shares)


def check_share(keep: float) -> None:
    """Check that ``keep`` is a share of samples. Raises `UsageError` where it is not."""
    if not 0 < keep <= 1:
        raise UsageError(
            f"--keep: expected a share above 0 and at most 1, found {keep:g}", hint="--keep 0.5 keeps every second one"
        )


def quotas(audit: Audit, sizes: Sequence[int], keep: float, *, quota: Quota = "error-mass", model: str) -> Quotas:
    """What each class of ``audit``, of which there are ``sizes`` (C,) training samples, keeps of a share ``keep``.

    ``model`` is ``dense``, ``pruned`` where there is one variant, or the name of a model.

    Raises:
        UsageError: the share is none, too small for a sample of each class, or there is no such model; or recalls of
            the audit are biased, as it stopped by itself, or are none.
        AlignmentError: a class with training samples was not audited.
    """
    check_share(keep)
    view, name, pruned = _of_model(audit, model)
    pair = view.pair
    if pair.task != CLASSIFICATION:
        raise UsageError(
            f"this audit is of the task {pair.task.name}, and quotas are of samples that have one class each",
            hint="give an audit of a classifier",
        )
    if pair.sequential:
        raise UsageError(
            "this audit drew samples until classes were settled: its recalls are biased by where it stopped",
            hint="audit all samples, without --until-settled",
        )
    n = pair.support  # (C,)
    right = pair.both + (pair.gained if pruned else pair.lost)
    own = np.asarray(sizes, np.int64)
    if unknown := [pair.classes[at] for at in np.flatnonzero((n == 0) & (own > 0)).tolist()]:
        raise AlignmentError(
            f"the audit has no samples of {rounded.listed(unknown)}, so nothing is known of what they need",
            hint="audit data that have samples of every class",
        )
    total = round(keep * int(own.sum()))
    if total < (least := int((own > 0).sum())):
        raise UsageError(
            f"--keep {keep:g} keeps {total:,} of {int(own.sum()):,} samples, fewer than the {least:,} classes have one "
            "of each",
            hint="keep a larger share",
        )
    few = n < FEW
    recall = np.where(few, (right + 1) / (n + 2), right / np.maximum(n, 1))
    kept = allotted(own, 1 - recall, total, quota)
    measured = lookup.find(view, "pruned_recall" if pruned else "dense_recall")
    none: tuple[float | None, ...] = (None,) * len(n)
    low, high = (none, none) if measured is None else (measured.low or none, measured.high or none)
    shares = tuple(
        Share(
            name=pair.classes[at],
            samples=int(own[at]),
            audited=int(n[at]),
            recall=float(right[at] / max(n[at], 1)),
            low=low[at],
            high=high[at],
            error=float(1 - recall[at]),
            kept=int(kept[at]),
        )
        for at in range(len(n))
    )
    return Quotas(
        model=name, quota=quota, shares=shares, notes=tuple(_notes(audit, view if pruned else None, shares, total))
    )


def allotted(sizes: Counts, errors: Floats, total: int, quota: Quota) -> Counts:
    """How many of ``sizes`` (C,) samples each class keeps by its error (C,), ``total`` in all; one at least of each.

    ``total`` is from the number of classes that have samples to that of samples.
    """
    found = np.zeros(len(sizes), np.int64)
    there = sizes > 0
    most, error = sizes[there], errors[there]
    exact = _filled(most * error if quota == "error-mass" else error, most, total)
    counts = np.floor(exact + 1e-9).astype(np.int64)  # a count that is whole but for rounding is whole
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    found[there] = counts
    return found


def _filled(mass: Floats, most: Counts, total: int) -> Floats:
    """``total`` in parts proportional to ``mass`` (C,), each at least 1 and at most ``most`` (C,).

    Parts are a level times the mass, between these limits, so that their sum grows with the level, along straight lines
    between the levels at which a part meets a limit.
    """
    if not len(mass):
        return np.zeros(0)
    some = mass > 0
    if total >= int(most[some].sum()) + int((~some).sum()):
        # Those that err keep all, and what is left goes to the others, which are alike.
        found = most.astype(float)
        found[~some] = _filled(most[~some].astype(float), most[~some], total - int(most[some].sum()))
        return found
    levels = np.unique(np.concatenate([1 / mass[some], most[some] / mass[some]]))
    sums = np.array([np.clip(level * mass, 1, most).sum() for level in levels])
    return np.clip(float(np.interp(total, sums, levels)) * mass, 1, most)


def drawn(kept: Counts, labels: Counts, seed: int) -> Counts:
    """The rows to keep, ascending: of each class ``kept`` (C,) of the samples with that label (N,), by chance."""
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels, minlength=len(kept))
    place = np.arange(len(labels)) - np.repeat(sizes.cumsum() - sizes, sizes)  # of each row within its class
    return np.sort(by_class[place < np.repeat(kept, sizes)])


def _of_model(audit: Audit, model: str) -> tuple[View, str, bool]:
    """The view by class that has the recalls of ``model``, its name, and whether it is a pruned one."""
    first, names = audit.comparisons[0], [each.pruned.name for each in audit.comparisons]
    if model in ("dense", first.dense.name):
        return _view(first), first.dense.name, False
    if model == "pruned" and len(names) == 1:
        return _view(first), names[0], True
    if model not in names:
        one = "more than one pruned model" if model == "pruned" else f"no model {model!r}"
        raise UsageError(f"--model: the audit has {one}", hint=f"name one: dense, {', '.join(names)}")
    return _view(audit.comparisons[names.index(model)]), model, True


def _view(comparison: Comparison) -> View:
    view = lookup.by_class(comparison)
    if view is None:
        raise UsageError("this audit is not by class", hint="quotas go by the recalls of classes: audit by class, too")
    return view


def _notes(audit: Audit, judged: View | None, shares: Sequence[Share], total: int) -> list[str]:
    said = []
    if lookup.overall(judged, "collapsed") == "yes":
        said.append(
            "the model has collapsed: a class has a high recall where others are taken for it, and keeps the least "
            "then; go by the dense model (--model dense), or tune the pruned one first"
        )
    few = [each.name for each in shares if each.samples and each.audited < FEW]
    if few:
        said.append(
            f"of {rounded.listed(few)} fewer than {FEW} samples were audited: their recalls are noise, and were drawn "
            "to one half, as (right + 1) / (n + 2)"
        )
    there = [each for each in shares if each.samples]
    if not any(each.error for each in there):
        said.append("no class shows an error, so that each keeps the same share")
    elif full := [each.name for each in there if each.kept == each.samples and total < sum(s.samples for s in there)]:
        said.append(f"{rounded.listed(full)} kept whole: what could not be given to them went to the others")
    if none := [each.name for each in shares if not each.samples]:
        said.append(f"there are no training samples of {rounded.listed(none)}")
    if audit.provenance.limited:
        said.append(f"a sample of {audit.provenance.samples:,} of {audit.provenance.available:,} was audited")
    return said

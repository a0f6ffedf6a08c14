"""An audit that ends once every class is settled: which classes are open, and what an earlier such audit adds to it.

Evidence is a function of counts, so that an earlier audit goes on where it stopped: its counts and those of further
samples, added, are what one audit of them all would have come to, and looking in between costs nothing. That holds as
long as no sample counts twice and nothing else has changed, and so both are looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from prune_audit import stats, tasks
from prune_audit.core import (
    Audit,
    Comparison,
    Counts,
    Dataset,
    ModelCard,
    Pair,
    Predictions,
    Samples,
    Settings,
    View,
)
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.evaluate.rounds import Rounds
from prune_audit.render import rounded
from prune_audit.stats import anytime

HINT = "an audit is added to by the models, classes and limits that it was made with; else begin a new one"
FEWER = "the new samples need not be of all classes: name every class in a file, one a line, with --classes FILE"
LIMITS = {"confidence": "confidence in percent", "margin": "margin in points", "assure": "assurance limit in points"}
READ = ("drop_class", "model_output", "state_key", "scores")
"""Settings that decide which answers of a model are read."""


def rounds(
    dataset: Dataset, rows: Counts, models: Sequence[str], settings: Settings, earlier: Audit | None, first: int
) -> Rounds:
    """The samples of ``dataset`` at ``rows`` (R,), drawn until each class is settled for every one of ``models``.

    The dense model is the first of them. What ``earlier`` knows counts from the start. ``first`` is how many samples
    go before anything is looked at.

    Raises:
        UsageError: every class is settled before the first sample.
    """
    labels = dataset.labels
    size = int(np.bincount(labels[rows]).size)
    known = [] if earlier is None else [comparison.view().pair for comparison in earlier.comparisons]
    size = max([size, *(len(pair.strata) for pair in known)])
    there = np.bincount(labels[rows], minlength=size)
    there = there + (_padded(known[0].drawn_from, size) if known and known[0].drawn_from is not None else 0)

    def opened(predictions: Predictions | None) -> npt.NDArray[np.bool_]:
        open_ = np.zeros(size, bool)
        for at, name in enumerate(models[1:]):
            counts = np.zeros((size, 4), np.int64)  # both, lost, gained, neither
            if known:
                pair = known[at]
                counts += np.stack([_padded(getattr(pair, kind), size) for kind in _KINDS], axis=1)
            if predictions is not None:
                drawn = predictions.labels
                a, b = (tasks.right(predictions, n) for n in (models[0], name))
                kind = drawn * 4 + 2 * ~a + ~b
                counts += np.bincount(kind, minlength=4 * size).reshape(size, 4)
            both, lost, gained, neither = counts.T
            n = both + lost + gained + neither
            open_ |= ~anytime.evidence(lost, gained, n, there, settings).settled
        return open_

    if not opened(None)[labels[rows]].any():
        raise UsageError(
            f"every class of {dataset.path} is settled in the audit that is to be added to",
            hint="there is nothing to run; ask for other limits in a new audit",
        )
    return Rounds(labels, rows, settings.seed, opened, first, settings.limit)


_KINDS = ("both", "lost", "gained", "neither")


def _padded(counts: Counts, size: int) -> Counts:
    return np.pad(counts, (0, size - len(counts)))


def drawn_from(predictions: Predictions, rounds: Rounds) -> Counts:
    """How many samples of each class (C,) there were to draw ``predictions`` from; unreadable ones are none."""
    size = len(predictions.classes)
    return np.bincount(predictions.labels, minlength=size) + _padded(rounds.left, size)


def seen(ids: Sequence[str]) -> Counts:
    """What is kept of ``ids``, to know a sample again: 63 bits of a hash each (N,)."""
    digests = [hashlib.blake2b(each.encode("utf-8", "surrogateescape"), digest_size=8).digest() for each in ids]
    return (np.frombuffer(b"".join(digests), "<u8") >> 1).astype(np.int64)


def check(earlier: Audit, cards: Sequence[ModelCard], dataset: Dataset, settings: Settings) -> None:
    """Check beforehand that ``earlier`` can be added to on ``dataset``, by models with ``cards``, the dense one first.

    Raises:
        UsageError: it is no sequential audit.
        AlignmentError: it is of other models, classes, limits or inputs, or has seen a sample of the data.
    """
    if not is_sequential(earlier) or earlier.samples is None or earlier.samples.seen is None:
        raise UsageError(
            "the audit that is to be added to did not stop by itself, so that its verdicts were made for one look",
            hint="only what `compare --until-settled` wrote can be added to",
        )
    before = [earlier.comparisons[0].dense, *(comparison.pruned for comparison in earlier.comparisons)]
    _same("models", ", ".join(card.name for card in cards), ", ".join(card.name for card in before))
    for new, old in zip(cards, before, strict=True):
        if not (new.recorded and old.recorded):  # predictions of other samples are another file
            _same(f"file of {new.name} (SHA-256)", new.digest, old.digest)
            _same(f"architecture of {new.name}", new.factory, old.factory)
    if not dataset.indexed:
        classes = earlier.comparisons[0].view().pair.classes
        fewer = set(dataset.classes) < set(classes)
        _same("classes", ", ".join(dataset.classes), ", ".join(classes), hint=FEWER if fewer else HINT)
    given = earlier.provenance.settings
    for name, called in LIMITS.items():
        _same(called, rounded.limit(getattr(settings, name)), rounded.limit(getattr(given, name)))
    for name in READ:
        _same(name.replace("_", " "), getattr(settings, name), getattr(given, name))
    ways = [None if p is None else p.describe() for p in (dataset.preprocess, earlier.provenance.preprocess)]
    _same("preprocessing", *ways)
    again = np.isin(seen(dataset.ids), earlier.samples.seen).nonzero()[0]
    if len(again):
        raise AlignmentError(
            f"{len(again):,} of {len(dataset.ids):,} samples of {dataset.path} were seen in the audit that is to be "
            f"added to (first: {dataset.ids[int(again[0])]}): no sample may count twice",
            hint="give the newly labelled samples alone; samples go by their ids, so that others need other names",
        )


def _same(what: str, found: object, expected: object, *, hint: str = HINT) -> None:
    if found != expected:
        raise AlignmentError(
            f"the audit cannot be added to, because it differs in its {what}: expected {expected}, found {found}",
            hint=hint,
        )


def is_sequential(audit: Audit) -> bool:
    """Whether drawing stopped once classes were settled, so that nothing holds which takes their numbers for fixed."""
    return any(view.pair.sequential for comparison in audit.comparisons for view in comparison.views)


def added(audit: Audit, earlier: Audit, flips: int) -> Audit:
    """``audit``, with all that ``earlier`` knew counted in, and measured again; up to ``flips`` flips are kept.

    Raises:
        AlignmentError: they are of other classes.
    """
    comparisons = [
        _added(new, old, audit.provenance.settings, flips)
        for new, old in zip(audit.comparisons, earlier.comparisons, strict=True)
    ]
    p, before = audit.provenance, earlier.provenance
    digest = hashlib.sha256(f"{before.data_digest} {p.data_digest}".encode()).hexdigest()
    note = (
        f"{before.samples:,} samples are of an earlier audit, of {before.data} (digest {before.data_digest[:12]}); "
        f"{p.samples:,} were added"
    )
    recorded = [each.pruned.name for each in audit.comparisons if each.pruned.recorded]
    recorded += [audit.comparisons[0].dense.name] if audit.comparisons[0].dense.recorded else []
    said = [f"nothing shows that the predictions of {name} are by the model of the earlier audit" for name in recorded]
    provenance = replace(
        p,
        samples=p.samples + before.samples,
        available=p.available + before.available,
        data_digest=digest,
        skipped=(*before.skipped, *p.skipped),
        notes=(*p.notes, note, *said),
    )
    assert audit.samples is not None
    assert earlier.samples is not None
    return replace(
        audit, comparisons=tuple(comparisons), provenance=provenance, samples=_joined(earlier.samples, audit.samples)
    )


def _added(new: Comparison, old: Comparison, settings: Settings, flips: int) -> Comparison:
    one, other = new.view().pair, old.view().pair
    _same("classes", ", ".join(one.classes), ", ".join(other.classes))
    pair = _sum(one, other)
    return replace(
        new,
        views=(View(pair=pair, measures=stats.measures(pair, settings)),),
        flips=(*old.flips, *new.flips)[:flips],
        flipped=old.flipped + new.flipped,
        doubts=tuple(dict.fromkeys((*old.doubts, *new.doubts))),
    )


def _sum(one: Pair, other: Pair) -> Pair:
    """The counts of both, which are of other samples; scores are not kept of either."""
    names = (*_KINDS, "labelled", "dense_predicted", "pruned_predicted", "drawn_from")
    moves, where = np.unique(np.concatenate([one.moves, other.moves])[:, :3], axis=0, return_inverse=True)
    times = np.bincount(where.ravel(), np.concatenate([one.moves, other.moves])[:, 3], len(moves)).astype(np.int64)
    return replace(
        one,
        **{name: getattr(one, name) + getattr(other, name) for name in names},
        moves=np.concatenate([moves, times[:, None]], axis=1),
        same_model=one.same_model and other.same_model,
    )


def _joined(first: Samples, then: Samples) -> Samples:
    assert first.seen is not None
    assert then.seen is not None
    return Samples(
        strata={by: np.concatenate([first.strata[by], values]) for by, values in then.strata.items()},
        right={name: np.concatenate([first.right[name], values]) for name, values in then.right.items()},
        seen=np.concatenate([first.seen, then.seen]),
    )

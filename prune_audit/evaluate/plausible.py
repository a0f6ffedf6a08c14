"""Was the dense model run as it was trained? Asked of a few hundred samples, and answered with doubts, never refusals.

A forgotten normalisation leaves a model far above chance and far below itself, so that nothing stops the run, and the
classes that suffer most from it are then said to suffer from pruning. Three things can tell: what the network's first
batch normalisation has seen in training, whether another usual preprocessing is right more often, and what accuracy
the checkpoint says it had. Only the dense model is asked; a pruned one may well be worse than it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.special import bdtrc, betaincinv

from prune_audit.core import Array, Batch, Channels, Classifier, Counts, Dataset, Norm, Normalising, Preprocess
from prune_audit.errors import ModelError
from prune_audit.evaluate.batch_size import FREE, Plan
from prune_audit.evaluate.inputs import Feeder
from prune_audit.evaluate.predict import pieces, predict
from prune_audit.tasks import classification

# In training and use alike, ResNet-32 on CIFAR-10 has .39 and .044; a normalisation by .5 and .5 makes it 1.96, none
# 3.0, bytes that were never divided by 255 8.1.
LOG_VARIANCE, SHIFT = 1.0, 0.3
# Of seven alternatives, one in a thousand runs so has one that is better by luck alone.
LEVEL = 0.0002
# Alternatives are tried on so many samples at a time; one that is behind by `BEHIND` is then tried no further.
BLOCK, BEHIND = 100, 3
# What the checkpoint says of itself lies on other data, so ten points beyond one run's luck in a thousand are asked.
LUCK, APART = 0.001, 0.10
# Samples of a forward pass.
PIECE = 32
# Wins that an alternative needs where it loses nowhere, 2 * 2**-n < LEVEL: a model with fewer errors has no better one.
LEAST_WINS = 14

_MEANS = {
    "ImageNet's mean and std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's mean and std": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}
_GRAY = {"MNIST's mean and std": ((0.1307,), (0.3081,))}


@runtime_checkable
class Reprocessed(Protocol):
    """Images that can be read with another preprocessing."""

    def preprocessed(self, preprocess: Preprocess) -> Dataset:
        """The same samples, read as ``preprocess`` says."""
        ...


@dataclass(frozen=True, slots=True)
class _Reread:
    """Samples that ``read`` gives, to be fed by ``preprocess``."""

    read: Callable[[Counts], Batch]
    preprocess: Preprocess | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A usual preprocessing, what it is called, and the options that ask for it."""

    name: str
    preprocess: Preprocess
    options: str


def doubts(model: Classifier, dataset: Dataset, rows: Counts, right: Array, plan: Plan = FREE) -> tuple[str, ...]:
    """What speaks against ``model`` having been run as it was trained, of the samples at ``rows`` (N,).

    ``right`` (N,) says on which of these it was right when it ran as ``plan`` says, as it does here.
    """
    said = [_normalisation(model, dataset, rows), _better(model, dataset, rows, right, plan)]
    return tuple(each for each in said if each is not None)


def below_record(recorded: tuple[str, float] | None, right: int, samples: int) -> str | None:
    """What to say where ``right`` of ``samples`` is far below what the model's own file says, as (where, share)."""
    if recorded is None or not samples:
        return None
    where, share = recorded
    highest = 1.0 if right == samples else float(betaincinv(right + 1, samples - right, 1 - LUCK))
    if share - highest <= APART:
        return None
    return (
        f"its own file says {share:.2%} ({where}), and it is right on {right / samples:.2%} of {samples:,} samples "
        "here: the preprocessing, the order of the classes or the data are most likely not those of its training"
    )


def alternatives(preprocess: Preprocess) -> list[Alternative]:
    """The usual preprocessings that differ from ``preprocess``: of values, of the order of colours, of geometry."""
    usual = _GRAY if preprocess.channels == "gray" else _MEANS
    count = 1 if preprocess.channels == "gray" else 3
    values: dict[str, tuple[tuple[float, ...] | None, tuple[float, ...] | None, str]] = {
        name: (mean, std, f"--mean {_comma(mean)} --std {_comma(std)}") for name, (mean, std) in usual.items()
    }
    values["mean and std of .5"] = ((0.5,) * count, (0.5,) * count, "--mean 0.5 --std 0.5")
    values["no mean and std"] = (None, None, "--mean 0 --std 1")
    values["bytes from 0 to 255"] = (None, (1 / 255,) * count, "--mean 0 --std 0.00392156862745098")
    own = _scale(preprocess)
    found = [
        Alternative(name=name, preprocess=replace(preprocess, mean=mean, std=std), options=options)
        for name, (mean, std, options) in values.items()
        if not np.allclose(_scale(replace(preprocess, mean=mean, std=std)), own, atol=0.02, rtol=0.02)
    ]
    if preprocess.channels in ("rgb", "bgr"):
        other: Channels = "bgr" if preprocess.channels == "rgb" else "rgb"
        swapped = replace(preprocess, channels=other)
        found.append(Alternative(name=f"{other.upper()}", preprocess=swapped, options=f"--channels {other}"))
    if preprocess.size is not None and (geometry := _geometry(preprocess, preprocess.size)) is not None:
        found.append(geometry)
    return found


def _geometry(preprocess: Preprocess, size: tuple[int, int]) -> Alternative | None:
    """The usual other way to come to ``size``: a crop of an image an eighth larger where all was resized, or all."""
    height, width = size
    if preprocess.crop is not None:
        whole = replace(preprocess, resize=size, crop=None)
        return Alternative(
            name="a resize without a crop", preprocess=whole, options=f"--size {height}x{width} without --crop"
        )
    if preprocess.resize is None or height != width:
        return None
    shorter = round(height / 0.875)
    cropped = replace(preprocess, resize=shorter, crop=size)
    return Alternative(
        name=f"a resize to {shorter} and a crop", preprocess=cropped, options=f"--resize {shorter} --crop {height}"
    )


def _scale(preprocess: Preprocess) -> Array:
    """What black and white become in each channel (2, C): equal ones are the same preprocessing of values."""
    count = 1 if preprocess.channels == "gray" else 3
    mean, std = np.array(preprocess.mean or (0,) * count), np.array(preprocess.std or (1,) * count)
    return np.stack([-mean / std, (1 - mean) / std])


def _normalisation(model: Classifier, dataset: Dataset, rows: Counts) -> str | None:
    """Whether the first batch normalisation sees what it saw in training, by the medians over its channels."""
    if not isinstance(model, Normalising):
        return None
    some = rows[np.linspace(0, len(rows) - 1, min(BLOCK, len(rows))).astype(int)]
    seen: list[Norm] = []
    for piece in pieces(dataset.read(some), PIECE):
        norm = model.first_norm(Feeder(piece.inputs, dataset.preprocess).feed(model.card.name, model.expects))
        if norm is None:
            return None
        seen.append(norm)
    if not seen:
        return None
    mean = np.mean([norm.mean for norm in seen], axis=0)  # (C,)
    var = np.mean([norm.var + norm.mean**2 for norm in seen], axis=0) - mean**2
    learnt_mean, learnt_var = seen[0].running_mean, seen[0].running_var
    alive = (learnt_var > 1e-10) & (var > 1e-10)  # a channel that is constant tells nothing
    if not alive.any():
        return None
    ratio = float(np.median(np.abs(np.log(var[alive] / learnt_var[alive]))))
    shift = float(np.median(np.abs(mean[alive] - learnt_mean[alive]) / np.sqrt(learnt_var[alive])))
    if ratio <= LOG_VARIANCE and shift <= SHIFT:
        return None
    return (
        f"its first batch normalisation ({seen[0].name}) was trained on other inputs than these: variances differ by "
        f"a factor of {np.exp(ratio):.3g}, means by {shift:.2g} standard deviations (medians over {int(alive.sum())} "
        f"channels; {np.exp(LOG_VARIANCE):.2g} and {SHIFT:g} are usual at most): most likely the normalisation "
        "(--mean, --std, --preprocess) is not what it was trained with"
    )


def _better(model: Classifier, dataset: Dataset, rows: Counts, right: Array, plan: Plan) -> str | None:
    """Whether another usual preprocessing of images is right more often, by an exact test of the pairs."""
    preprocess = dataset.preprocess
    if preprocess is None or not isinstance(dataset, Reprocessed) or int((~right).sum()) < LEAST_WINS:
        return None
    bytes_in = bool(model.expects.inputs) and model.expects.inputs[0].dtype == "uint8"
    trying = [
        each
        for each in alternatives(preprocess)
        if not bytes_in or (each.preprocess.mean, each.preprocess.std) == (preprocess.mean, preprocess.std)
    ]
    by_name = {each.name: each.preprocess for each in trying}
    read: dict[tuple[object, ...], Batch] = {}

    def hit(name: str, at: Counts) -> Array | None:
        """On which of the samples ``at`` the model is right by the alternative called ``name``."""
        other = by_name[name]
        key = (at[0], other.channels, other.size, other.resize, other.crop)  # decoded once for all that are alike
        if key not in read:
            read[key] = dataset.preprocessed(other).read(rows[at])
        data = _Reread(lambda _: read[key], other)
        return _right(model, data, rows[at], dataset.labels, plan) if len(read[key].labels) == len(at) else None

    counts = raced(tuple(by_name), right, hit)
    ahead = [each for each in trying if each.name in counts and _p(*counts[each.name]) < LEVEL]
    if not ahead:
        return None
    best = max(ahead, key=lambda each: counts[each.name][0] - counts[each.name][1])
    won, lost = counts[best.name]
    return (
        f"with {best.name} it is right on {won} of {len(rows)} samples on which it is wrong as it was run, and wrong "
        f"on {lost} on which it is right (exact p {_p(won, lost):.1g}): most likely it was trained so; "
        f"try {best.options}"
    )


def raced(
    names: Sequence[str], right: Array, hit: Callable[[str, Counts], Array | None]
) -> Mapping[str, tuple[int, int]]:
    """Which of ``names`` keep up with ``right`` (N,) to the end, and on how many samples each wins and loses.

    ``hit(name, at)`` says on which of the samples at ``at`` (K,) an alternative is right, None where it cannot be
    tried. They are tried `BLOCK` samples at a time, and one that has fallen behind is tried no further.
    """
    counts = dict.fromkeys(names, (0, 0))
    # In another order, since samples mostly lie class by class.
    order = np.random.default_rng(0).permutation(len(right))
    for start in range(0, len(right), BLOCK):
        at = np.sort(order[start : start + BLOCK])
        for name, (won, lost) in list(counts.items()):
            found = hit(name, at)
            if found is None:
                del counts[name]
                continue
            won, lost = won + int((found & ~right[at]).sum()), lost + int((~found & right[at]).sum())
            counts[name] = won, lost
            if lost - won >= BEHIND:
                del counts[name]
    return counts


def _right(model: Classifier, data: _Reread, rows: Counts, labels: Counts, plan: Plan) -> Array | None:
    """On which of the samples of ``data`` at ``rows`` (K,) the model is right; None where that cannot be told."""
    try:
        kept = predict(model, data, rows, plan, size=PIECE)
    except ModelError:  # scores that are no numbers: it was never trained so
        return None
    return None if kept.predicted is None else classification.right(kept.predicted, labels[kept.rows])


def _p(won: int, lost: int) -> float:
    """Twice the chance of so many wins where either is as likely (McNemar's exact test)."""
    n = won + lost
    return 1.0 if won == 0 else min(1.0, 2 * float(bdtrc(won - 1, n, 0.5)))


def _comma(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)

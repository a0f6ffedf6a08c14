"""What every run of a study said of its samples: what it takes to say anything of other samples than these.

The seeds of a study share one audit set, so that the scatter between them says nothing of how other samples would have
turned out; only the samples can. They are kept in the order of the classes, and within a class in that of the data, so
that the supports of the classes say where each begins, and row by row they are the same samples in every run. Kept is
which of them a model got right, and which class it took each for, from which the exemplars of a study are found.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from prune_audit.core import Array, Audit, Counts, Predictions
from prune_audit.files import packed

if TYPE_CHECKING:
    from pandas import DataFrame

Bits: TypeAlias = npt.NDArray[np.bool_]

SIDES = ("dense", "pruned")
PREDICTED = ("dense_predicted", "pruned_predicted")  # columns beside those of `SIDES`
RUN = ["network", "method", "density", "seed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Whether the dense and the pruned model of a run were right, (N,) each, class by class."""

    dense: Bits
    pruned: Bits


def of(audit: Audit) -> dict[str, str]:
    """What is kept of the one comparison of ``audit``: a short text for each model."""
    (comparison,) = audit.comparisons
    assert audit.samples is not None  # of an audit that was just made
    order = np.argsort(audit.samples.strata["class"], kind="stable")
    names = (comparison.dense.name, comparison.pruned.name)
    return {side: packed.flags(audit.samples.right[name][order]) for side, name in zip(SIDES, names, strict=True)}


def called(dense: Predictions, pruned: Predictions) -> dict[str, str]:
    """What is kept of what both models took the samples for, each the one model of its predictions."""
    order = np.argsort(dense.labels, kind="stable")
    return {
        side: packed.positions(of.models[0].predicted[order]) for side, of in zip(SIDES, (dense, pruned), strict=True)
    }


def predicted(samples: DataFrame, sizes: Mapping[str, Array]) -> dict[Hashable, tuple[Counts, Counts]]:
    """Of each run that has kept them the classes, as positions, that its dense and its pruned model named, (N,) each.

    ``sizes`` (C,) are the samples of the classes of each network, as `read` has them.

    Raises:
        ValueError: a text is none of such positions.
    """
    found: dict[Hashable, tuple[Counts, Counts]] = {}
    seen: dict[tuple[int, str], Counts] = {}
    for *run, dense, pruned in samples[[*RUN, *PREDICTED]].itertuples(index=False):
        if not (isinstance(dense, str) and isinstance(pruned, str)):
            continue
        of = sizes[run[0]]
        sides = []
        for text in (dense, pruned):
            key = (int(of.sum()), text)
            try:
                if key not in seen:
                    seen[key] = packed.read_positions(text, key[0])
                if seen[key].max(initial=0) >= len(of):
                    raise ValueError(f"positions of {len(of)} classes, found {int(seen[key].max())}")
            except ValueError as fault:
                raise ValueError(f"{_named(run)}: expected {fault}") from fault
            sides.append(seen[key])
        found[tuple(run)] = (sides[0], sides[1])
    return found


def read(samples: DataFrame, classes: DataFrame) -> tuple[dict[str, Array], dict[Hashable, Right]]:
    """Of each network the samples (C,) of its classes, and of each run what it got right.

    ``samples`` has the texts of `of` for each run that has any, ``classes`` a row for each run and class, whose
    ``support`` and recalls they must give again. Runs are named by network, method, density and seed.

    Raises:
        ValueError: a text is none of such samples, or classes have other recalls.
    """
    sizes: dict[str, Array] = {}
    found: dict[Hashable, Right] = {}
    seen: dict[tuple[int, str], Bits] = {}
    if not len(samples):
        return sizes, found
    columns = ["support", "dense_recall", "pruned_recall"]
    by_run = {
        run: (own[columns].to_numpy(np.float64), list(own["class"])) for run, own in classes.groupby(RUN, sort=False)
    }
    names: dict[str, list[str]] = {}
    for *run, dense, pruned in samples[[*RUN, *SIDES]].itertuples(index=False):
        numbers, named = by_run[tuple(run)]
        if names.setdefault(run[0], named) != named or len({*named}) < len(named):
            raise ValueError(f"{_named(run)}: its classes are other ones than those of another seed, or named alike")
        support, *recalls = numbers.T
        if np.isnan(support).any():
            raise ValueError(f"{_named(run)}: a class has no support")
        n = support.astype(np.int64)
        bits = []
        for text, recall in zip((dense, pruned), recalls, strict=True):
            try:
                # A dense network's are in every run that was pruned from it, and are one array.
                right = seen.setdefault((int(n.sum()), text), packed.read_flags(text, int(n.sum())))
            except ValueError as fault:
                raise ValueError(f"{_named(run)}: expected {fault}") from fault
            counts = by_class(right, n)
            if not np.allclose(counts, np.nan_to_num(recall) * n, rtol=0, atol=0.01):  # whole numbers, less rounding
                raise ValueError(f"{_named(run)}: the samples that were right do not give the recalls of its classes")
            bits.append(right)
        if (sizes.setdefault(run[0], n) != n).any():
            raise ValueError(f"{_named(run)}: its classes have other supports than those of another seed")
        found[tuple(run)] = Right(dense=bits[0], pruned=bits[1])
    return sizes, found


def by_class(right: Bits, sizes: Array) -> Array:
    """How many (C,) of ``right`` (N,) are set in each class, of ``sizes`` (C,) samples one behind the other."""
    ends = np.cumsum(sizes)
    upto = np.concatenate([[0], np.cumsum(right)])
    counts: Array = upto[ends] - upto[ends - sizes]
    return counts


def _named(run: Sequence[object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(RUN, run, strict=True))

"""Samples on which the pruned networks of a study, as a population, disagree with the dense ones: exemplars.

Pruning-identified exemplars (PIE) of Hooker et al. 2019 (arXiv 1911.05248): samples whose modal label, the class that
most networks of a population name, differs between the dense and the pruned ones. Graded, as Hooker et al. 2020 (arXiv
2010.03058) grade them: how far apart the two histograms of named classes lie.

Populations of few networks differ by chance. What chance alone would do is known: where pruning changes nothing, the
dense and the pruned network of a seed could change sides, each seed by itself, because the runs of one seed hang
together and those of different seeds do not. So the exemplars are counted again after every such exchange.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control, hypergeom

from prune_audit.core import Counts, Dataset, Floats
from prune_audit.errors import StudyError
from prune_audit.evaluate.thumbnail import thumbnails
from prune_audit.render import rounded
from prune_audit.render.gallery import Picture
from prune_audit.study import samples
from prune_audit.study._shown import MORE
from prune_audit.study.comparisons import NOT_SHOWN
from prune_audit.study.new_samples import Key
from prune_audit.study.results import AUDITED
from prune_audit.study.student import LEVEL
from prune_audit.study.tables import NAMES, SEEDS, Row, Table, column, table
from prune_audit.tasks import classification

if TYPE_CHECKING:
    from pandas import DataFrame

EXACT = 10  # seeds up to which every exchange is looked at
DRAWN = 1_000  # exchanges of more seeds
PICTURED = 24  # samples of a network
FEWEST = 3  # seeds of which there is an exchange to speak of
OVER = "over-represented"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exemplars:
    """What K dense and K pruned networks say of N samples.

    ``dense`` and ``pruned`` (N,) are the modal labels, the first class of equals, and ``tied`` (N,) says where one of
    them had equals. ``distance`` (N,) is the taxicab distance of the two histograms, each of sum 1: from 0 to 2.
    ``dense_right`` and ``pruned_right`` (N,) count the networks that name the label.
    """

    dense: Counts
    pruned: Counts
    tied: npt.NDArray[np.bool_]
    distance: Floats
    dense_right: Counts
    pruned_right: Counts

    @property
    def differ(self) -> npt.NDArray[np.bool_]:
        """Which samples (N,) are exemplars."""
        return np.not_equal(self.dense, self.pruned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The exemplars of a network, a method and a density, over ``seeds``; ``labels`` (N,) are positions of classes."""

    key: Key
    seeds: int
    labels: Counts
    found: Exemplars
    exchanged: Counts | None  # (R,) exemplars after each exchange, None of too few seeds


def find(dense: Counts, pruned: Counts, labels: Counts) -> Exemplars:
    """Exemplars of the classes, as positions, that K networks of each side named, (K, N) both; ``labels`` (N,)."""
    values, counts = _histograms(dense, pruned)  # (N, L), (2, N, L)
    at = _most(counts)  # (2, N)
    tied = ((counts == counts.max(axis=2, keepdims=True)).sum(axis=2) > 1).any(axis=0)
    modes = np.take_along_axis(values, at.T, axis=1).T  # (2, N)
    return Exemplars(
        dense=modes[0],
        pruned=modes[1],
        tied=tied,
        distance=np.abs(counts[0] - counts[1]).sum(axis=1) / len(dense),
        dense_right=_right(dense, labels),
        pruned_right=_right(pruned, labels),
    )


def _right(named: Counts, labels: Counts) -> Counts:
    """How many (N,) of the networks, whose answers are (K, N), name the label."""
    found: Counts = np.sum([classification.right(own, labels) for own in named], axis=0)
    return found


def exchanged(dense: Counts, pruned: Counts, seed: int = 0) -> Counts:
    """How many exemplars (R,) there would be had some seeds' networks changed sides.

    Up to `EXACT` seeds every exchange counts once; of more, `DRAWN` are drawn by ``seed``. To exchange all but some is
    to exchange these, so that the first seed may stay. The first entry is the count without any exchange.
    """
    k = len(dense)
    if k <= EXACT:
        swaps = (np.arange(2 ** (k - 1))[:, None] >> np.arange(k)) & 1  # (R, K), the last seed stays
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (DRAWN, k))
        swaps = np.concatenate([np.zeros((1, k), np.int64), drawn])
    unequal = np.flatnonzero((dense != dense[0]).any(axis=0) | (pruned != dense[0]).any(axis=0))
    dense, pruned = dense[:, unequal], pruned[:, unequal]  # all others have one mode however sides are changed
    values, counts = _histograms(dense, pruned)
    named = np.stack([dense, pruned])[..., None] == values  # (2, K, n, L)
    moved = named[1].astype(np.int32) - named[0]  # (K, n, L), what an exchange of a seed adds to the dense side
    found = np.empty(len(swaps), np.int64)
    for at, swap in enumerate(swaps):
        shift = np.tensordot(swap.astype(np.int32), moved, axes=1)  # (n, L)
        found[at] = (_most(counts[0] + shift) != _most(counts[1] - shift)).sum()
    return found


def _most(counts: npt.NDArray[np.int32]) -> Counts:
    """Where the counts (..., L) are largest, the first of equals, and so the smallest class."""
    found: Counts = counts.argmax(axis=-1)
    return found


def _histograms(dense: Counts, pruned: Counts) -> tuple[Counts, npt.NDArray[np.int32]]:
    """The classes (N, L) that any network names for a sample, in their order, and how many of each side do (2, N, L).

    Where fewer than L are named, -1 stands for the rest. So memory goes by networks, not by classes.
    """
    ordered = np.sort(np.concatenate([dense, pruned]), axis=0)  # (2K, N)
    new = np.concatenate([np.zeros((1, ordered.shape[1]), bool), ordered[1:] != ordered[:-1]])
    place = new.cumsum(axis=0)  # (2K, N), of a class among those of its sample
    width = int(place.max(initial=0)) + 1
    n = ordered.shape[1]
    values = np.full((n, width), -1)
    values[np.arange(n), place] = ordered
    counts = np.zeros((2, n, width), np.int32)
    for side, named in enumerate((dense, pruned)):
        for own in named:  # (N,)
            counts[side] += values == own[:, None]
    return values, counts


def of_study(kept: DataFrame, classes: DataFrame) -> tuple[Cell, ...]:
    """The exemplars of every cell of which runs have kept what they named, over the seeds that have.

    ``kept`` and ``classes`` are those of `results.read`.

    Raises:
        ValueError: what was kept is not of the samples of the study.
    """
    sizes, _ = samples.read(kept, classes)
    named = samples.predicted(kept, sizes)
    by_cell: dict[Key, list[Hashable]] = {}  # in the order of the runs, from dense to sparse
    for run in named:
        assert isinstance(run, tuple)
        by_cell.setdefault(run[:3], []).append(run)
    cells = []
    for key, runs in by_cell.items():
        dense, pruned = (np.stack([named[run][side] for run in runs]) for side in (0, 1))
        labels = np.repeat(np.arange(len(sizes[key[0]])), sizes[key[0]])
        enough = len(runs) >= FEWEST
        cells.append(
            Cell(
                key=key,
                seeds=len(runs),
                labels=labels,
                found=find(dense, pruned, labels),
                exchanged=exchanged(dense, pruned) if enough else None,
            )
        )
    return tuple(cells)


def check(cells: Sequence[Cell], labels: Sequence[str], classes: Mapping[str, Sequence[str]]) -> None:
    """See that ``labels`` (N,), the classes of the audited samples, are those of the ``cells``.

    Raises:
        StudyError: they are others.
    """
    for cell in cells:
        names = classes[cell.key[0]]
        if [names[label] for label in cell.labels] != list(labels):
            raise StudyError(
                f"{AUDITED} lists other samples than those of {', '.join(map(str, cell.key))}",
                hint=f"{AUDITED} must be that of the runs; take the folder as it was written",
            )


# ---------------------------------------------------------------------------------------------------------- tables


def tables(cells: Sequence[Cell], classes: Mapping[str, Sequence[str]]) -> tuple[Table, ...]:
    """What was found in each cell, and of which classes; ``classes`` are those of each network, by position."""
    rows = [_row(cell) for cell in cells]
    _adjust(rows)
    by_class = [row for cell in cells for row in _by_class(cell, classes[cell.key[0]])]
    over = [at for at, row in enumerate(by_class) if row.get("finding") == OVER]
    made = [table("exemplars", "Exemplars", ABOUT, CELLS, rows, range(len(rows)))]
    if by_class:
        made.append(table("exemplar_classes", "Classes of exemplars", ABOUT_CLASSES, CLASSES, by_class, over))
    return tuple(made)


def _row(cell: Cell) -> Row:
    found, differ, k = cell.found, cell.found.differ, cell.seeds
    row: Row = dict(zip(("network", "method", "density"), cell.key, strict=True))
    row |= {"seeds": k, "samples": len(cell.labels), "exemplars": int(differ.sum()), "tied": int(found.tied.sum())}
    for side, right in (("dense", found.dense_right), ("pruned", found.pruned_right)):
        row[f"{side}_on"] = float(right[differ].mean()) / k if differ.any() else None
        row[f"{side}_off"] = float(right[~differ].mean()) / k if not differ.all() else None
    if cell.exchanged is None:
        what = "is only where two networks disagree" if k == 1 else "is one of very few networks"
        row["absent"] = f"{k} of {FEWEST} seeds that an exchange needs: an exemplar {what}"
        return row
    counts = cell.exchanged
    # The count as it is belongs to the exchanges, so that p is never 0.
    p = float((counts >= counts[0]).mean())
    row |= {"expected": float(counts.mean()), "expected_high": float(np.quantile(counts, 0.975)), "p": p}
    return row


def _adjust(rows: Sequence[Row]) -> None:
    """q of each network's cells (Benjamini and Hochberg 1995), and what it says."""
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network and row.get("p") is not None]
        for row, q in zip(own, _q([row["p"] for row in own]), strict=True):
            row |= {"q": q, "finding": MORE if q < LEVEL else NOT_SHOWN}
            seeds = int(row["seeds"]) if isinstance(row["seeds"], int) else 0
            if (least := 0.5 ** (seeds - 1)) >= LEVEL and seeds <= EXACT:
                row["absent"] = f"{seeds} seeds can be exchanged in so few ways that p is never below {least:g}"


def _q(p: Sequence[object]) -> list[float]:
    return [float(q) for q in false_discovery_control(np.array(p, np.float64))] if p else []


def _by_class(cell: Cell, classes: Sequence[str]) -> Iterator[Row]:
    """How many exemplars each class has, and whether so many are more than its share of them: hypergeometric."""
    differ = cell.found.differ
    total = int(differ.sum())
    if not total:
        return
    support = np.bincount(cell.labels, minlength=len(classes))
    own = np.bincount(cell.labels[differ], minlength=len(classes))
    here = np.flatnonzero(support)
    p = np.asarray(hypergeom.sf(own[here] - 1, len(differ), support[here], total))  # at least so many
    for c, each, q in zip(here.tolist(), p.tolist(), _q(p.tolist()), strict=True):
        row: Row = dict(zip(("network", "method", "density"), cell.key, strict=True))
        row |= {"class": classes[c], "samples": int(support[c]), "exemplars": int(own[c])}
        row |= {"share": int(own[c]) / int(support[c]), "expected": total * int(support[c]) / len(differ)}
        yield row | {"p": each, "q": q, "finding": OVER if q < LEVEL else NOT_SHOWN}


COLUMNS = (
    *("network", "method", "density", "id", "label", "dense_mode", "pruned_mode", "tie", "is_pie", "taxicab"),
    *("seeds", "dense_correct", "pruned_correct", "shift"),
)
"""Of the list of samples."""


def listed(
    cells: Sequence[Cell], ids: Sequence[str], classes: Mapping[str, Sequence[str]], most: int | None = None
) -> list[tuple[object, ...]]:
    """A row of `COLUMNS` for each sample on which the two populations of a cell differ at all, exemplars first.

    Then the farther apart they are the earlier; up to ``most`` of a cell. ``ids`` (N,) are in the order of the labels.
    """
    rows = []
    for cell in cells:
        found, names = cell.found, classes[cell.key[0]]
        for at in ranked(cell)[:most].tolist():
            said = (names[each] for each in (cell.labels[at], found.dense[at], found.pruned[at]))
            right = int(found.dense_right[at]), int(found.pruned_right[at])
            flags = ("yes" if each else "no" for each in (found.tied[at], found.differ[at]))
            moved = (right[1] - right[0]) / cell.seeds
            rows.append((*cell.key, ids[at], *said, *flags, float(found.distance[at]), cell.seeds, *right, moved))
    return rows


def ranked(cell: Cell) -> Counts:
    """The samples on which the populations differ, exemplars first, then by distance, then as in the data."""
    found = cell.found
    order: Counts = np.lexsort((np.arange(len(cell.labels)), -found.distance, ~found.differ))
    return order[found.distance[order] > 0]


def pictures(
    cells: Sequence[Cell], ids: Sequence[str], classes: Mapping[str, Sequence[str]], dataset: Dataset
) -> dict[str, list[Picture]]:
    """Of each network up to `PICTURED` images of ``dataset`` that are exemplars of most cells; none of other data.

    Raises:
        StudyError: the data are not those that were audited.
    """
    row = {name: at for at, name in enumerate(dataset.ids)}
    if missing := [name for name in ids if name not in row]:
        raise StudyError(
            f"{dataset.path} has no sample {missing[0]}, which the runs audited",
            hint="give the data that the runs were audited on with --audit",
        )
    if dataset.preprocess is None:
        return {}
    found: dict[str, list[Picture]] = {}
    for network in dict.fromkeys(cell.key[0] for cell in cells):
        own = [cell for cell in cells if cell.key[0] == network]
        often = np.sum([cell.found.differ for cell in own], axis=0)  # (N,)
        apart = np.array([np.where(cell.found.differ, cell.found.distance, -1.0) for cell in own])  # (cells, N)
        order = np.lexsort((np.arange(len(often)), -apart.max(axis=0), -often))
        chosen = [int(at) for at in order[:PICTURED] if often[at]]
        images = thumbnails(dataset, [row[ids[at]] for at in chosen])
        names = classes[network]
        for at in chosen:
            if (image := images.get(row[ids[at]])) is None:
                continue
            of = max(zip(apart[:, at], own, strict=True), key=lambda pair: pair[0])[1]
            label, dense, pruned = (names[each] for each in (of.labels[at], of.found.dense[at], of.found.pruned[at]))
            note = f"is {label}; {often[at]} of {rounded.several(len(own), 'cell')}"
            picture = Picture(image=image, id=ids[at], label=label, dense=dense, pruned=pruned, note=note)
            found.setdefault(network, []).append(picture)
    return found


CELLS = (
    NAMES["network"], NAMES["method"], NAMES["density"], SEEDS, column("samples", "samples", "count"),
    column("exemplars", "exemplars", "count"), column("expected", "expected", "number"),
    column("expected_high", "97.5 % at most", "number"), column("p", "p", "p"), column("q", "q", "p"),
    column("finding", "finding", "label"),
    column("dense_on", "dense, on exemplars", "share"), column("dense_off", "dense, on the others", "share"),
    column("pruned_on", "pruned, on exemplars", "share"),
    column("pruned_off", "pruned, on the others", "share"), column("tied", "ties", "count", wide=True),
    column("absent", "why absent", "label"),
)  # fmt: skip
CLASSES = (
    NAMES["network"], NAMES["method"], NAMES["density"], NAMES["class"], column("samples", "samples", "count"),
    column("exemplars", "exemplars", "count"), column("expected", "expected", "number"),
    column("share", "share of the class", "share"), column("p", "p", "p"), column("q", "q", "p"),
    column("finding", "finding", "label"), column("absent", "why absent", "label"),
)  # fmt: skip

ABOUT = (
    "Samples that most pruned networks of a cell call otherwise than most dense ones (Hooker et al. 2019). Networks of "
    "few seeds differ by chance, so expected is how many exemplars there are on average when the dense and the pruned "
    "network of some seeds change sides, in all ways; p is the share of these exchanges with as many or more, and q "
    f"is corrected over the cells of a network (Benjamini-Hochberg). A finding has q below {LEVEL:g}. On "
    "exemplars and on the others stand accuracies, means over seeds: where the dense networks, too, are often wrong on "
    "exemplars, these are hard or wrongly labelled. The list of the samples is in the file that was asked for."
)
ABOUT_CLASSES = (
    "Which classes have more of the exemplars than their share of the samples: p by the hypergeometric distribution, "
    f"one-sided, and q over the classes of a cell (Benjamini-Hochberg); a finding has q below {LEVEL:g}. Share is that "
    "of the class's samples. There is no interval: the samples are those that were audited."
)

"""Which classes are recognised only as long as nobody moves a pixel, and are they more after pruning?

Attacks the images of --audit by projected gradient descent in pixels, before they are normalised: each pixel may move
by the radius, 8/255 unless told otherwise, in ten steps. Robust recall is the share of a class that is right before and
after every step; dense and pruned model are each attacked by their own gradients, and compared by the paired tests of
the audit. An attack that fails shows nothing: another may succeed, so robust recall is an upper bound, and a network
whose gradients vanish looks robust without being so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import typer

from prune_audit import stats
from prune_audit.core import REGRESSED, Drawn, Field, Measure, Pair, Table, Value
from prune_audit.errors import UsageError
from prune_audit.lenses import CannotLook, Network, Seen, Subject
from prune_audit.nets import attack
from prune_audit.nets.radius import QUARTER, USUAL, parse
from prune_audit.render import rounded

RANK = 90
DEFAULT = False
NEEDS = "gradients"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How strong the attack is, and on how many images."""

    robust: Annotated[
        str,
        typer.Option(
            metavar="RADIUS[:STEPS]",
            help="How far a pixel may move, as a share of white, and in how many steps; each is a quarter of the "
            "radius.",
        ),
    ] = USUAL
    robust_samples: Annotated[
        int, typer.Option(metavar="N", help="Images of each class of --audit to attack, drawn by --seed.")
    ] = 100

    def __post_init__(self) -> None:
        self.parsed()
        if self.robust_samples < 1:
            raise UsageError(f"--robust-samples: expected 1 or more, found {self.robust_samples}", hint="see --help")

    def parsed(self) -> tuple[float, int]:
        """The radius, a share of white, and the number of steps."""
        return parse(self.robust, "--robust")


OPTIONS = Options

_FIELDS = (
    Field(name="class", title="class", unit="label"),
    Field(name="series", title="recall", unit="label", meaning="clean: as it is; robust: under attack"),
    Field(name="n", title="images", unit="count"),
    Field(name="dense", title="dense", unit="share"),
    Field(name="pruned", title="pruned", unit="share"),
    Field(name="change", title="change", unit="points"),
    Field(name="low", title="low", unit="points"),
    Field(name="high", title="high", unit="points"),
    Field(name="lost", title="lost", unit="count"),
    Field(name="gained", title="gained", unit="count"),
    Field(name="verdict", title="verdict", unit="label"),
)
SERIES = ("clean", "robust")


def look(subject: Subject, options: Options) -> Seen:
    """Both networks under attack, class by class, and the statistics of the audit of what was left."""
    preprocess = subject.audit.dataset.preprocess
    if preprocess is None:
        raise CannotLook(
            f"{subject.audit.dataset.path} holds no images that were scaled from pixels, so that nothing says how far "
            "an input may move",
            hint="give images; arrays, tables, texts and sounds have no pixels",
        )
    radius, steps = options.parsed()
    box = attack.Box.of(preprocess, radius=radius, steps=steps, step=QUARTER * radius)

    def attacked(position: int) -> list[list[int]]:
        """Counts (2, 4) of a class, clean and robust: both right, lost, gained, neither."""
        rows = subject.audit.of(position)
        chosen = np.sort(np.random.default_rng([subject.seed, position]).permutation(rows)[: options.robust_samples])
        if not len(chosen):
            return [[0] * 4] * 2
        sides = [_withstood(network, subject, chosen, box) for network in (subject.dense, subject.pruned)]
        return [_counts(sides[0][which], sides[1][which]) for which in (0, 1)]

    found = subject.each("attacking classes", range(len(subject.classes)), attacked)
    # A sample was drawn, of a number that was fixed before.
    settings = replace(subject.settings, until_settled=False, by=(), cluster=None, weights=None)
    views = {
        name: _named(stats.measures(Pair.of([counts[at] for counts in found], strata=subject.classes), settings))
        for at, name in enumerate(SERIES)
    }
    table = _table(subject, views, [sum(counts[1]) for counts in found], options)
    kept = [replace(views["robust"][name], name=f"robust_{name}", title=title) for name, title in MEASURES.items()]
    return Seen(
        sentences=tuple(_sentences(subject, views, found, options)),
        tables=(table,),
        measures=tuple(kept),
        steps=tuple(_steps(subject, views)),
    )


MEASURES = {
    "dense_recall": "robust recall, dense",
    "pruned_recall": "robust recall, pruned",
    "change": "change of robust recall",
    "verdict": "verdict, robust",
}
"""Those of the audit's statistics that are shown of what was left under attack."""


def _withstood(
    network: Network, subject: Subject, rows: np.ndarray, box: attack.Box
) -> tuple[attack.Flags, attack.Flags]:
    return attack.withstood(network.module, network.examples(subject.audit, rows, size=64), box)


def _counts(dense: attack.Flags, pruned: attack.Flags) -> list[int]:
    """Both right, dense alone, pruned alone, neither."""
    return [int((dense & pruned).sum()), int((dense & ~pruned).sum()), int((~dense & pruned).sum()),
            int((~dense & ~pruned).sum())]  # fmt: skip


def _named(measures: Sequence[Measure]) -> dict[str, Measure]:
    return {each.name: each for each in measures}


def _table(subject: Subject, views: dict[str, dict[str, Measure]], n: list[int], options: Options) -> Table:
    rows: list[tuple[Value, ...]] = []
    for at, name in enumerate(subject.classes):
        for series in SERIES:
            own = views[series]
            change = own["change"]
            low, high = (limits[at] if limits else None for limits in (change.low, change.high))
            counts = (own[each].by_stratum[at] for each in ("lost", "gained", "verdict"))
            recalls = (own[each].by_stratum[at] for each in ("dense_recall", "pruned_recall"))
            rows.append((name, series, n[at], *recalls, change.by_stratum[at], low, high, *counts))
    drawn = Drawn(
        kind="dots",
        title="Change of recall, clean and under attack",
        shows=_harder(subject, views),
        reading="Pruned less dense recall of each class, as the images are and under attack, with its interval. A "
        "class whose "
        "robust point lies far to the left of its clean one lost more than an audit of clean images shows.",
        x="change",
        y="class",
        low="low",
        high="high",
        group="series",
    )
    return Table(
        name="robust",
        title=f"Recall under attack, radius {options.parsed()[0]:.3g} of white, {options.parsed()[1]} steps",
        fields=_FIELDS,
        rows=tuple(rows),
        notes=("robust recall is an upper bound: another attack may find what this one did not",),
        drawn=(drawn,),
    )


def _regressed(views: dict[str, dict[str, Measure]], series: str) -> list[int]:
    return [at for at, said in enumerate(views[series]["verdict"].by_stratum) if said == REGRESSED]


def _hidden(views: dict[str, dict[str, Measure]]) -> list[int]:
    """Classes that are shown to have lost under attack, and not as they are."""
    clean = set(_regressed(views, "clean"))
    return [at for at in _regressed(views, "robust") if at not in clean]


def _harder(subject: Subject, views: dict[str, dict[str, Measure]]) -> str:
    hidden = _hidden(views)
    if not hidden:
        return "No class is shown to have lost under attack that is not shown to have lost without."
    return (
        f"{rounded.listed([subject.classes[at] for at in hidden])} lost under attack, and is not shown to have lost "
        "without."
        if len(hidden) == 1
        else f"{rounded.listed([subject.classes[at] for at in hidden])} lost under attack, and are not shown to have "
        "lost without."
    )


def _sentences(
    subject: Subject, views: dict[str, dict[str, Measure]], found: list[list[list[int]]], options: Options
) -> list[str]:
    total = np.sum(found, axis=0)  # (2, 4)
    n = int(total[0].sum())
    clean, robust = (((counts[0] + counts[1]) / n, (counts[0] + counts[2]) / n) for counts in total)
    radius, steps = options.parsed()
    said = [
        f"Of {n:,} images attacked (radius {radius:.3g} of white, {steps} steps) the dense model withstood "
        f"{rounded.percent_sign(robust[0])} and the pruned one {rounded.percent_sign(robust[1])}; as they are, they "
        f"get {rounded.percent_sign(clean[0])} and {rounded.percent_sign(clean[1])} right.",
        _harder(subject, views),
    ]
    if max(robust) < FLOOR:
        said.append(
            "Hardly anything withstood, so that no class could lose under attack: a smaller radius tells more "
            f"(--robust {_smaller(radius)})."
        )
    return said


def _smaller(radius: float) -> str:
    """A quarter of ``radius``, as it is typed."""
    return f"{255 * radius / 4:.3g}/255"


FLOOR = 0.05  # of images that withstood, below which there is nothing to compare


def _steps(subject: Subject, views: dict[str, dict[str, Measure]]) -> list[str]:
    hidden = _hidden(views)
    if not hidden:
        return []
    names = rounded.listed([subject.classes[at] for at in hidden])
    return [f"Where inputs may be tampered with, judge {names} by robust recall, and tune on attacked images of it."]

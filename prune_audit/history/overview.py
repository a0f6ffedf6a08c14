"""All releases of a history in one table: a row for each release and variant, and what is to be said of them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prune_audit.core import CANNOT_TELL, FINE, REGRESSED, Value
from prune_audit.history.releases import Release, Strata, Variant
from prune_audit.history.spending import Standing, standing, standings
from prune_audit.render import rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant of one release: its ``place`` among all, from 1, and how many releases its data had judged by then.

    ``under`` is where the release stands in its stream, None where it was judged without a budget.
    """

    place: int
    uses: int
    release: Release
    variant: Variant
    under: Standing | None

    @property
    def worst(self) -> int | None:
        """The class that changed most for the worse; where no change is told, by the least that it lost."""
        view = self.variant.classes
        moved = [high if change is None else change for change, high in zip(view.change, view.high, strict=True)]
        known = [(change, i) for i, change in enumerate(moved) if change is not None]
        return min(known)[1] if known else None

    def count(self, verdict: str) -> int:
        """How many classes have this verdict."""
        return self.variant.classes.verdicts.count(verdict)

    @property
    def budget_says(self) -> str | None:
        """The verdict under the budget, None where there was none."""
        if self.under is None:
            return None
        return REGRESSED if self.under.rejected else f"not {REGRESSED}"


def rows(releases: Sequence[Release]) -> tuple[Row, ...]:
    """A row for each variant of each of ``releases``, the earliest first."""
    seen: dict[str, int] = {}
    made = []
    for place, (release, under) in enumerate(zip(releases, standings(releases), strict=True), 1):
        uses = seen[release.data_digest] = seen.get(release.data_digest, 0) + 1
        made += [
            Row(place=place, uses=uses, release=release, variant=variant, under=under) for variant in release.variants
        ]
    return tuple(made)


NAMES = (
    *("release", "time", "data", "data_digest", "uses", "samples", "variant", "outcome", "accuracy", "change"),
    *("change_low", "change_high", "regressed", "cannot_tell", "fine", "worst", "worst_change", "worst_low"),
    *("worst_high", "margin", "log_e", "level", "under_budget"),
)


def cells(row: Row) -> dict[str, Value]:
    """A row by `NAMES`, nothing rounded; what is absent is None."""
    release, variant, view, worst = row.release, row.variant, row.variant.classes, row.worst

    def of(values: Sequence[float | None]) -> float | None:
        return None if worst is None else values[worst]

    return {
        "release": row.place,
        "time": release.time,
        "data": release.data,
        "data_digest": release.data_digest,
        "uses": row.uses,
        "samples": release.samples,
        "variant": variant.name,
        "outcome": variant.outcome,
        "accuracy": variant.accuracy,
        "change": variant.change,
        "change_low": variant.low,
        "change_high": variant.high,
        "regressed": row.count(REGRESSED),
        "cannot_tell": row.count(CANNOT_TELL),
        "fine": row.count(FINE),
        "worst": None if worst is None else view.strata[worst],
        "worst_change": of(view.change),
        "worst_low": of(view.low),
        "worst_high": of(view.high),
        "margin": release.margin,
        "log_e": release.log_e,
        "level": None if row.under is None else row.under.level,
        "under_budget": row.budget_says,
    }


def sentences(releases: Sequence[Release]) -> Iterator[str]:
    """What is to be said of all ``releases``, the most important first."""
    last = releases[-1]
    same = [each for each in releases if each.data_digest == last.data_digest]
    span = last.day if releases[0].day == last.day else f"{releases[0].day} to {last.day}"
    failed = sum(each.outcome == "failed" for each in releases)
    yield f"{rounded.several(len(releases), 'release')}, {span}, of which {failed:,} failed the gate."
    hopeful = ": where releases are tuned until they pass on them, a pass and fine are too hopeful"
    yield (
        f"The data of the last one have judged {rounded.several(len(same), 'release')}"
        f"{hopeful if len(same) > 1 else ''}."
    )
    asked = [each for each in standings(releases) if each is not None]
    if asked:
        ahead = standing(releases, None, asked[-1].budget)
        yield (
            f"Under a budget of {ahead.budget:g}, {sum(each.rejected for each in asked):,} of "
            f"{rounded.several(len(asked), 'release')} regressed; the next takes an e of {ahead.takes}, and "
            f"{rounded.probability(ahead.left)} of the budget are left after it."
        )


def classes(found: Sequence[Row], most: int) -> tuple[tuple[str, ...], int]:
    """The names of up to ``most`` classes, those that regressed in most rows first, and how many others there are."""
    times: dict[str, tuple[int, int]] = {}
    for row in found:
        view = row.variant.classes
        for name, verdict in zip(view.strata, view.verdicts, strict=True):
            bad, unsure = times.get(name, (0, 0))
            times[name] = bad + (verdict == REGRESSED), unsure + (verdict == CANNOT_TELL)
    order = sorted(times, key=lambda name: (-times[name][0], -times[name][1]))
    return tuple(order[:most]), max(len(order) - most, 0)


def at(view: Strata, name: str) -> int | None:
    """The position of the class called ``name``, None where a release had no such class."""
    return view.strata.index(name) if name in view.strata else None


def evidence(row: Row) -> str:
    """The e-value of a row's release beside what it had to reach, as people read it."""
    if row.under is None:
        return rounded.DASH
    return f"{row.under.e} of {row.under.takes}"

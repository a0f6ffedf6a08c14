"""Measures found by name, and strata in order: what everyone who reads an audit asks of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from prune_audit.core.findings import Comparison, Measure, View
from prune_audit.core.task import CLASSIFICATION
from prune_audit.core.types import CANNOT_TELL, HARMED, REGRESSED, Value


def find(view: View | None, name: str) -> Measure | None:
    """The measure called ``name`` where there is one."""
    return next((m for m in view.measures if m.name == name), None) if view else None


def column(view: View, name: str) -> tuple[Value, ...]:
    """The values of the measure called ``name`` per stratum, None where there are none."""
    measure = find(view, name)
    return measure.by_stratum if measure and measure.by_stratum else (None,) * len(view.strata)


def by_class(comparison: Comparison) -> View | None:
    """The view by class."""
    return next((view for view in comparison.views if view.by == "class"), None)


def densest_first(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The variants by the weights that they kept; those of which nobody knows stay behind, as they were given."""
    return sorted(comparisons, key=lambda c: (c.kept is None, -(c.kept or 0)))


def positions_densest_first(comparisons: Sequence[Comparison]) -> list[int]:
    """The places of `densest_first` among ``comparisons``."""
    return [comparisons.index(each) for each in densest_first(comparisons)]


def noun(view: View) -> tuple[str, str]:
    """What the strata of ``view`` are called, one and many."""
    return view.pair.task.strata(view.by)


def heading(view: View) -> str:
    """What one stratum of ``view`` is called, above the column of their names."""
    return noun(view)[0] if view.by == "class" else view.by


def things(view: View | None) -> tuple[str, str]:
    """What is counted in ``view`` is called, one and many."""
    return (CLASSIFICATION if view is None else view.pair.task).thing


def rate(view: View) -> str:
    """What the share of things of a stratum of ``view`` is called that a model gets right."""
    return view.pair.task.rate(view.by)


def overall_rate(view: View | None) -> str:
    """What the share of all things in ``view`` is called that a model gets right."""
    return (CLASSIFICATION if view is None else view.pair.task).overall


def subject(view: View, stratum: str) -> str:
    """How checks name a stratum: a class by its name, a value of another column with that column."""
    return stratum if view.by == "class" else f"{view.by}={stratum}"


def moves(view: View) -> tuple[Value, ...]:
    """The change of each stratum, by which they are ordered; where none may be told, what it is at most."""
    change, least = column(view, "change"), find(view, "change")
    if least is None or not least.high:
        return change
    return tuple(high if moved is None else moved for moved, high in zip(change, least.high, strict=True))


def worst_first(view: View, among: Iterable[int] | None = None) -> list[int]:
    """Positions of the strata: intensified, otherwise harmed, regressed, the rest, absent; each by change.

    All of them, or those ``among`` which are asked for.
    """
    verdict, distortion, change = column(view, "verdict"), column(view, "distortion"), moves(view)

    def key(i: int) -> tuple[int, float, int]:
        moved = change[i]
        if not isinstance(moved, (int, float)):
            return 4, 0.0, i
        if distortion[i] in HARMED:
            return int(distortion[i] != HARMED[0]), moved, i
        return (2 if verdict[i] == REGRESSED else 3), moved, i

    return sorted(range(len(view.strata)) if among is None else among, key=key)


def those(view: View, name: str, verdicts: Collection[str]) -> list[int]:
    """Positions of the strata whose measure ``name`` is one of ``verdicts``, worst first."""
    found = column(view, name)
    return worst_first(view, (i for i, each in enumerate(found) if each in verdicts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A stratum that some variant leaves undecided, with what it has and what it would take.

    ``needed`` samples in all are the most that any variant asks for, ``of`` being that variant; None, with a reason in
    ``why``, where no number would do for one of them.
    """

    stratum: str
    samples: int
    needed: int | None
    of: str
    why: str = ""

    @property
    def more(self) -> int | None:
        """How many samples are missing."""
        return None if self.needed is None else max(self.needed - self.samples, 0)


def short(comparisons: Sequence[Comparison], by: str = "class") -> tuple[Short, ...]:
    """The strata that cannot be told in some variant, the one that lacks least first, hopeless ones last."""
    found: dict[str, Short] = {}
    for comparison in comparisons:
        view = next((view for view in comparison.views if view.by == by), None)
        measure = find(view, "samples_needed")
        if view is None or measure is None:
            continue
        support = view.pair.support.tolist()
        for i in those(view, "verdict", [CANNOT_TELL]):
            value = measure.by_stratum[i]
            each = Short(
                stratum=view.strata[i],
                samples=support[i],
                needed=value if isinstance(value, int) else None,
                of=comparison.pruned.name,
                why=measure.absent.get(i, ""),
            )
            known = found.get(each.stratum)
            if known is None or (known.more is not None and (each.more is None or each.more > known.more)):
                found[each.stratum] = each
    return tuple(sorted(found.values(), key=lambda each: (each.more is None, each.more or 0)))


def overall(view: View | None, name: str) -> Value:
    """The model's own value of the measure called ``name``."""
    measure = find(view, name)
    return measure.overall if measure else None

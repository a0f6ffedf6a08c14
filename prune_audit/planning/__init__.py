"""How many samples it takes: before there are any, and after an audit that left classes undecided.

Both count in the verdicts that `prune_audit.stats.verdict` gives, so that a plan promises what an audit then says.
Shares are shares (80 % is .8), as everywhere behind the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prune_audit import spelling, stats
from prune_audit.core import Assumption, Audit, Comparison, Settings, View, lookup
from prune_audit.errors import UsageError
from prune_audit.render import rounded
from prune_audit.stats import verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is to be planned for: ``classes``, a share ``churn`` of each of which flips, judged by ``settings``."""

    classes: int
    churn: float
    power: float
    settings: Settings

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise UsageError(f"--classes: expected at least 1, found {self.classes}", hint="--classes 100")
        if self.settings.assure == 0:
            raise UsageError(
                "--limit: expected more than 0 points, found 0",
                hint="no number of samples rules out every drop; --limit 5 rules out one of 5 points",
            )
        if not 0 <= self.churn < 1:
            raise UsageError(
                f"--churn: expected percent from 0 and below 100, found {100 * self.churn:g}",
                hint="of 100 samples whose answers flip in 6, --churn 6",
            )
        check_power(self.power)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a class must be for what ``what`` says; None where more than `stats.MOST` samples would be needed.

    ``drop`` is the smallest one that is convicted in a class of that size, None where none is or none was sought.
    """

    what: str
    samples: int | None
    drop: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer to a `Design`, and what it takes for granted."""

    design: Design
    sizes: tuple[Size, ...]
    assumptions: tuple[Assumption, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a number of further samples would buy: the classes of ``bought``, ``spent`` samples and ``left`` ones."""

    budget: int
    bought: tuple[str, ...]
    spent: int

    @property
    def left(self) -> int:
        """How many samples are not spent."""
        return self.budget - self.spent


@dataclass(frozen=True, slots=True, kw_only=True)
class ShoppingList:
    """What a finished audit lacks ``by`` its strata: each undecided one, the one that lacks least first.

    ``thing`` and ``stratum`` are what is counted and what it is counted by are called, one and many. ``judged`` is how
    many strata have a verdict, ``empty`` are those without samples. ``notes`` are what to know before
    anything is bought. ``purchase`` is None without a budget.
    """

    by: str
    short: tuple[lookup.Short, ...]
    thing: tuple[str, str]
    stratum: tuple[str, str]
    judged: int
    empty: tuple[str, ...]
    variants: int
    power: float
    notes: tuple[str, ...]
    purchase: Purchase | None = None

    @property
    def total(self) -> int:
        """All samples that are missing, of strata for which a number would do."""
        return sum(each.more or 0 for each in self.short)


def plan(design: Design) -> Plan:
    """The samples a class so that unchanged ones read `fine`, and the smallest drop that is convicted at that size."""
    sizes = []
    for classes in dict.fromkeys((1, design.classes)):
        samples = stats.samples_for_fine(
            design.settings.assure,
            design.churn,
            classes=classes,
            power=design.power,
            confidence=design.settings.confidence,
        )
        drop = None
        if samples is not None and samples <= stats.FAR:
            drop = stats.smallest_drop_convicted(
                samples,
                design.churn,
                design.settings.margin,
                classes=design.classes,
                power=design.power,
                confidence=design.settings.confidence,
                correction=design.settings.correction,
            )
        what = "one unchanged class is fine" if classes == 1 else f"all {classes:,} unchanged classes are fine"
        sizes.append(Size(what=what, samples=samples, drop=drop))
    return Plan(design=design, sizes=tuple(sizes), assumptions=_granted(design))


def _granted(design: Design) -> tuple[Assumption, ...]:
    settings = design.settings
    sure = f"{rounded.limit(settings.confidence)} % interval"
    half = rounded.limit(design.churn / 2)
    corrected = "not corrected" if settings.correction == "none" else f"corrected by {settings.correction}"
    said = (
        ("churn", f"{rounded.limit(design.churn)} % of each class flip", f"{half} % lost, {half} % gained", "--churn"),
        ("fine", f"a drop of {rounded.loss(settings.assure)} is ruled out", f"by the {sure}", "--limit, --confidence"),
        (
            "regressed",
            f"a drop beyond {rounded.loss(settings.margin)} is shown",
            f"by the {sure} and an exact p, {corrected} for {rounded.several(design.classes, 'class', 'classes')} of "
            "which no other regressed",
            "--margin, --correction",
        ),
        ("power", f"{rounded.limit(design.power)} % of such audits say so", "at this number or any larger", "--power"),
        (
            "samples",
            "independent, of classes of one size",
            "several of one person or film count for less",
            "--cluster of `compare`",
        ),
    )
    return tuple(
        Assumption(subject="", what=what, value=value, why=why, option=option) for what, value, why, option in said
    )


def check_power(power: float) -> None:
    """Check that ``power`` is one that a plan can be for. Raises `UsageError` where it is not."""
    if not 0.5 <= power < 1:
        raise UsageError(
            f"--power: expected percent from 50 and below 100, found {100 * power:g}",
            hint="80 means that four of five such audits reach the verdict; none is certain to",
        )


def shopping(audit: Audit, *, by: str = "class", power: float = stats.POWER, budget: int | None = None) -> ShoppingList:
    """What ``audit`` lacks to settle every stratum ``by`` which it was made, in every variant alike.

    The numbers are counted anew, for ``power``, from the verdicts that the audit holds.

    Raises:
        UsageError: the audit is not by that, or stopped by itself; the power or the budget is none.
    """
    check_power(power)
    if budget is not None and budget < 1:
        raise UsageError(f"--budget: expected at least 1 sample, found {budget}", hint="--budget 500")
    settings = audit.provenance.settings
    views = [_view(comparison, by) for comparison in audit.comparisons]
    if any(view.pair.sequential for view in views):
        raise UsageError(
            "this audit drew samples until classes were settled: what it saw is biased by where it stopped, and its "
            "verdicts ask for no number of samples",
            hint="go on with newly labelled samples for as long as it takes: compare ... --append AUDIT",
        )
    counted = [
        replace(comparison, views=(_needed(view, settings, power),))
        for comparison, view in zip(audit.comparisons, views, strict=True)
    ]
    short = lookup.short(counted, by)
    first = views[0]
    empty = [name for name, n in zip(first.strata, first.pair.support.tolist(), strict=True) if not n]
    return ShoppingList(
        by=by,
        short=short,
        thing=lookup.things(first),
        stratum=lookup.noun(first),
        judged=sum(label is not None for label in lookup.column(first, "verdict")),
        empty=tuple(empty),
        variants=len(views),
        power=power,
        notes=tuple(_notes(audit, first)),
        purchase=None if budget is None else _purchase(short, budget),
    )


def _view(comparison: Comparison, by: str) -> View:
    try:
        return comparison.view(by)
    except KeyError:
        known = [view.by for view in comparison.views]
        meant = spelling.meant(by, known)
        raise UsageError(f"--by: this audit is not by {by!r}", hint=f"{meant}it is by {', '.join(known)}") from None


def _needed(view: View, settings: Settings, power: float) -> View:
    """``view`` with its verdicts, and the samples that settle them with ``power``."""
    verdicts = lookup.find(view, "verdict")
    if verdicts is None:
        return replace(view, measures=())
    return replace(view, measures=(verdicts, verdict.needed(view.pair, settings, verdicts.by_stratum, power)))


def _purchase(short: Sequence[lookup.Short], budget: int) -> Purchase:
    """The strata that lack least, as long as the budget lasts: no other choice settles more of them.

    Whatever each is likely to become, it is settled with the same power, so that the number of strata bought is what
    there is to maximise; and then nothing beats the cheapest ones.
    """
    bought, spent = [], 0
    for each in short:
        if each.more is None or spent + each.more > budget:
            break
        bought.append(each.stratum)
        spent += each.more
    return Purchase(budget=budget, bought=tuple(bought), spent=spent)


def _notes(audit: Audit, view: View) -> list[str]:
    said = []
    p, clusters, many = audit.provenance, view.pair.clusters, lookup.things(view)[1]
    if p.limited:
        said.append(
            f"a sample of {p.samples:,} of {p.available:,} was audited: audit all of them before you collect new ones"
        )
    if clusters is not None:
        said.append(
            f"{many} of one {clusters.column} count for less than as many independent ones: the numbers are of "
            f"{many} that belong together as those of the audit do"
        )
    if len(audit.comparisons) > 1:
        said.append(
            f"of {len(audit.comparisons)} variants the one that asks for most decides; more {many} serve all alike"
        )
    others = [each.by for each in audit.comparisons[0].views if each.by != view.by]
    if others:
        said.append(f"the audit is by {rounded.listed(others)}, too: plan for that with --by, not in addition to this")
    return said

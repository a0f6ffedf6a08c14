"""All that reports and exit codes ever see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from prune_audit import plugins, spelling
from prune_audit.core import lookup

if TYPE_CHECKING:
    import pandas
from prune_audit.core.findings import Comparison, Measure, Provenance
from prune_audit.core.predictions import Samples
from prune_audit.core.requests import Policy
from prune_audit.core.types import Outcome
from prune_audit.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsest:
    """The sparsest variant that the gate let through, None where not even the densest one was.

    ``waived`` counts the failures, of it and of those before it in the order, that a waiver or the baseline excuses.
    Where there are any it does not pass by itself: the sequence ends at the first of them, and ``unwaived`` is the
    variant before that, None where it is the first. ``tried`` of ``variants`` were looked at, in the ``order`` of
    their density, the densest first, or as given where a density is unknown.
    """

    name: str | None
    waived: int
    unwaived: str | None
    tried: int
    variants: int
    order: Literal["density", "given"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All that reports and exit codes ever see.

    ``policy`` is None where no gate was asked for. ``baseline`` names the earlier audit that this one was judged
    against beside the dense model. ``samples`` are None in audits that were written before they were kept.
    """

    comparisons: tuple[Comparison, ...]
    provenance: Provenance
    policy: Policy | None = None
    baseline: str | None = None
    samples: Samples | None = None

    def to_frame(self, *, overall: bool = False) -> pandas.DataFrame:
        """The audit as a pandas data frame: a row per variant, stratification and stratum, a column per measure.

        The index is (variant, by, stratum). ``density`` (of the variant's own weights) and ``kept`` (of the dense
        model's) lead, then come the columns of the CSV. Shares are shares and nothing is rounded: counts are Int64,
        other numbers float64, verdicts text, and what is absent is <NA>, NaN or None. With ``overall`` there is a row
        per variant and stratification instead, of what holds for the model as a whole, as
        `prune_audit.core.rows.overall_of` has it.
        """
        from prune_audit.core.rows import frame

        return frame(self.comparisons, self.outcomes, overall=overall)

    def beside(self, variant: str, *measures: Measure, by: str = "class") -> Audit:
        """This audit with further ``measures`` of ``variant``, stratified ``by``, which do not come from its counts.

        Every report shows them, a rule of a package of one's own can judge by them, and whoever judges the audit again
        keeps them. Checks that were made before know nothing of them.

        Raises:
            UsageError: there is no such variant or view, or a measure does not fit it, as in `View.beside`.
        """
        names = [comparison.pruned.name for comparison in self.comparisons]
        if variant not in names:
            raise UsageError(f"the audit has no variant {variant!r}", hint=spelling.hint(variant, names))
        comparison = self.comparisons[at := names.index(variant)]
        if by not in (known := [view.by for view in comparison.views]):
            raise UsageError(f"the audit has no view by {by!r}", hint=spelling.hint(by, known))
        views = tuple(view.beside(*measures) if view.by == by else view for view in comparison.views)
        changed = replace(comparison, views=views)
        return replace(self, comparisons=(*self.comparisons[:at], changed, *self.comparisons[at + 1 :]))

    def __getitem__(self, subject: str) -> pandas.Series | pandas.DataFrame:
        """All that was measured of one class, as `to_frame` has it: a row; of several variants a row each.

        ``subject`` is the name of a class, or ``COLUMN=VALUE`` of what the audit is by.

        Raises:
            UsageError: the audit has nothing of that name.
        """
        by, stratum = self._found(subject)
        rows = self.to_frame().xs((by, stratum), level=("by", "stratum"))
        return rows.iloc[0].rename(subject) if len(self.comparisons) == 1 else rows

    def flips(self, subject: str | None = None) -> pandas.DataFrame:
        """The samples that were kept of those which only one model gets right: of one class, or all of them.

        A row a sample: ``variant``, ``sample``, ``label``, what ``dense`` and ``pruned`` say, whether it was lost or
        gained (``flip``), and its ``picture``, the bytes of a PNG or JPEG file, None where none was asked for
        (``thumbnails``). A notebook shows the pictures.

        Raises:
            UsageError: there is no such class.
        """
        if subject is not None and self._found(subject)[0] != "class":
            raise UsageError(f"{subject} is no class, and samples are listed by class", hint="leave it out for all")
        found: pandas.DataFrame = plugins.load("reports", "flips").frame(self, subject)
        return found

    def _found(self, subject: str) -> tuple[str, str]:
        """The view and the stratum that ``subject`` names."""
        views = self.comparisons[0].views
        known = {lookup.subject(view, stratum): (view.by, stratum) for view in views for stratum in view.strata}
        if subject not in known:
            raise UsageError(f"the audit has no class {subject!r}", hint=spelling.hint(subject, known))
        return known[subject]

    def __str__(self) -> str:
        """What ``print`` shows: the report of the command line, the classes that lost most first."""
        shown: str = plugins.load("reports", "table").short(self)
        return shown

    def _repr_html_(self) -> str:
        """What a notebook shows: the report of that name, asked of the registry, as no noun knows a report."""
        shown: str = plugins.load("reports", "notebook").render(self)
        return shown

    @property
    def outcome(self) -> Outcome:
        """The verdict of the gate: ``skipped`` where none was asked for or the data were a sample.

        A warning never fails; an inconclusive check of level ``error`` makes the audit inconclusive unless a
        check failed.
        """
        if self.policy is None or self.provenance.limited:
            return "skipped"
        outcomes = {c.outcome for comparison in self.comparisons for c in comparison.checks if c.level == "error"}
        if "failed" in outcomes:
            return "failed"
        return "inconclusive" if "inconclusive" in outcomes else "passed"

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What the gate says of each variant alone, in the order of ``comparisons``."""
        return tuple(replace(self, comparisons=(each,)).outcome for each in self.comparisons)

    @property
    def exit_code(self) -> int:
        """0 pass, 1 a check failed, 3 inconclusive where the policy forbids it."""
        if self.outcome == "failed":
            return 1
        forbidden = self.policy is not None and self.policy.inconclusive == "forbid"
        return 3 if self.outcome == "inconclusive" and forbidden else 0

    @property
    def waived(self) -> int:
        """Checks that would have stopped the gate, had no waiver or baseline excused them."""
        return sum(c.outcome == "waived" and c.level == "error" for each in self.comparisons for c in each.checks)

    @property
    def sparsest(self) -> Sparsest | None:
        """The sparsest variant that the gate lets through, by fixed sequence; None where there is no choice.

        The densest variant is judged first and the first one to fail ends the search: whatever is sparser counts as
        failed too, even if it passed alone. In that order a variant that is worse than allowed is chosen no more often
        than a single one would pass, however many there are (Maurer, Hothorn and Lehmacher 1995), where picking the
        sparsest of all that pass would be wrong in 17 to 34 % of cases with 8 variants at the boundary. Where the
        policy forbids what cannot be told, a pass is proof and that is 2.5 %; where it allows it, a variant passes
        that nothing is shown against, and what is chosen is not shown to be good. Either way it should be confirmed
        on fresh data.
        """
        if len(self.comparisons) < 2 or self.outcome == "skipped":
            return None
        kept = [comparison.kept for comparison in self.comparisons]
        known = [share for share in kept if share is not None]
        order = list(range(len(kept)))
        if len(known) == len(kept):
            order.sort(key=lambda i: -known[i])
        chosen, unwaived, waived, tried = None, None, 0, 0
        for i in order:
            tried += 1
            alone = replace(self, comparisons=(self.comparisons[i],))
            if alone.exit_code:
                break
            chosen = self.comparisons[i].pruned.name
            waived += alone.waived
            unwaived = unwaived if waived else chosen
        return Sparsest(
            name=chosen,
            waived=waived,
            unwaived=unwaived,
            tried=tried,
            variants=len(kept),
            order="density" if len(known) == len(kept) else "given",
        )

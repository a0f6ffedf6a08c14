"""The search for the sparsest network that does no harm.

Three things may come of a try, and are kept apart: it passes, it fails, or so few samples cannot tell. A search that
took the last for a pass would find the sparser networks the fewer samples it is given, so unless it is told otherwise
it looks for what is settled. Harm does not always grow as the density falls, so two sparser networks than the answer
are tried as well, and the answer never lies below one that failed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from prune_audit import models, planning
from prune_audit.core import Audit, Dataset, DataSource, ModelSource, Settings
from prune_audit.errors import UsageError
from prune_audit.files import target as targets
from prune_audit.prune import Pruned, Recipe, Stages, check_output, open_data, require_data, run
from prune_audit.render import rounded

LOWEST = 0.01  # the density below which nobody looks without being asked
RATIO = 1.1  # the search ends where the next density would be this close
BELOW = 2  # densities below the answer that are tried, too

Verdict: TypeAlias = Literal["passes", "fails", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One network that was tried. ``failed`` and ``unsettled`` are how many of the ``checks`` of level error did.

    ``missing`` is the number of samples that would settle what is undecided of it, and ``hopeless`` how many classes
    no number that anybody has would settle; both are None where all is settled.
    """

    density: float
    verdict: Verdict
    failed: int
    unsettled: int
    checks: int
    missing: int | None = None
    hopeless: int | None = None

    @property
    def told(self) -> str:
        """The density, what came of it and of how many checks."""
        what = f"{100 * self.density:.2f} % {self.verdict}"
        if self.verdict == "passes" and self.unsettled == 0:
            return what
        few = self.failed if self.verdict == "fails" else self.unsettled
        return f"{what} ({few} of {rounded.several(self.checks, 'check')}{'' if self.failed else ' unsettled'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What was found: the sparsest network that passed, None where none did; every try, in order; and ``last``, the
    audit of the last that did not pass, None where all did.

    ``accepted`` says that what is undecided counted as a pass. ``floor`` is the lowest density to try.
    """

    pruned: Pruned | None
    tried: tuple[Try, ...]
    last: Audit | None
    floor: float
    accepted: bool

    @property
    def answer(self) -> Try | None:
        """The try that was chosen."""
        return _chosen(self.tried, accepted=self.accepted)

    @property
    def bound(self) -> Try | None:
        """The densest try below the answer that did not pass, and so what ended the search; None where all passed."""
        below = self.answer.density if self.answer is not None else math.inf
        sparser = [each for each in self.tried if each.density < below and not _counts(each, accepted=self.accepted)]
        return max(sparser, key=lambda each: each.density, default=None)

    def told(self) -> tuple[str, ...]:
        """What the search says, in sentences."""
        answer, bound = self.answer, self.bound
        said = []
        if answer is None:
            said.append("No density passes, so nothing was written.")
        elif bound is None:
            said.append(
                f"The lowest density that was to be tried, {_share(self.floor)}, passes: the search ended there, and "
                "not at what does harm. A lower --density goes on."
            )
        if bound is not None and bound.verdict == "undecided":
            said.append(_few(bound, answer))
        if answer is not None:
            odd = [e for e in self.tried if e.density < answer.density and _counts(e, accepted=self.accepted)]
            said += [
                f"{_share(each.density)} passes although a denser network failed: harm is not monotone here. It was "
                "not chosen, since one of several passes by luck; --density makes it, to be judged on other data."
                for each in odd
            ]
            if self.accepted and answer.unsettled:
                said.append(
                    "Checks that are undecided were accepted: the fewer the samples, the sparser what is found so."
                )
            said.append("What was found was chosen on these data: confirm it on others.")
        return tuple(said)


def until_harm(
    dense: ModelSource,
    output: Path,
    recipe: Recipe,
    settings: Settings,
    audited: Callable[[ModelSource], Audit],
    *,
    accept_unsettled: bool = False,
    source: DataSource | Dataset | None = None,
    export: Path | None = None,
    progress: Stages | None = None,
) -> Search:
    """Search the sparsest network whose audit passes, by bisection of the logarithm of the density, and write it.

    The density of ``recipe`` is the lowest that is looked at, and is tried where the bisection comes down to it. Each
    try is cut anew from the dense network at one blow, and trained where the recipe says so. An audit passes where no
    check of level error failed or is inconclusive; with ``accept_unsettled``, where its exit code is 0. A network of
    which nothing was cut is no result. A search that is killed makes the same tries again when it is started again,
    none of whose trainings is done twice; their states lie in a folder beside ``output`` meanwhile, ``OUTPUT.tries``.

    Raises:
        UsageError: the recipe has a schedule of several cuts, or no density to search down to.
        AuditError: as `run`, and whatever ``audited`` raises.
    """
    fixed = recipe.grouped is not None and recipe.grouped.density is not None
    if recipe.density is None or fixed or recipe.schedule not in (None, "one-shot"):
        raise UsageError(
            "the search for the sparsest network cuts at one blow, at densities of its own",
            hint="leave out --schedule and what stands in place of a density, or give a --density without --until-harm",
        )
    if recipe.density >= 1:
        raise UsageError(
            "the lowest density to try is 1, at which nothing is cut", hint="--density .01 searches down to a hundredth"
        )
    check_output(dense.path, output)
    low, high = recipe.density, 1.0
    tried: list[Try] = []
    last: Audit | None = None
    with _states(output) as states, targets.scratch(output) as folder:
        made: dict[float, tuple[Pruned, Path]] = {}

        def attempt(density: float) -> bool | None:
            """Whether it passes, None where the network is so small that rounding leaves it whole."""
            nonlocal last
            place = folder / f"{density:.17g}"
            place.mkdir()
            step = replace(recipe, density=density, schedule="one-shot")
            made_at = place / output.name
            pruned = run(dense, made_at, step, settings, source=source, state=states, progress=progress)
            if pruned.density == 1:
                return None
            audit = audited(pruned.source)
            found = judged(density, audit)
            tried.append(found)
            if passes := _counts(found, accepted=accept_unsettled):
                made[density] = pruned, place
            else:
                last = audit
            return passes

        while True:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if attempt(middle) is False else (low, middle)
            if high / low <= RATIO:
                break
        if low == recipe.density:
            attempt(low)  # which no bisection comes to
        elif made:
            for power in range(1, BELOW + 1):
                if (sparser := low / RATIO**power) >= recipe.density:
                    attempt(sparser)
        found = Search(pruned=None, tried=tuple(tried), last=last, floor=recipe.density, accepted=accept_unsettled)
        if (answer := found.answer) is None:
            return found
        best, kept = made[answer.density]
        targets.move(kept / output.name, output)
    if export is not None:
        opened = models.editable(replace(dense, path=output), settings)
        given = open_data(opened, recipe.training, require_data(recipe, source, trains=False), settings, trains=False)
        opened.export(given.reader.arrays(given.rows[:2]), export)
    where = replace(best.source, path=output)
    return replace(found, pruned=replace(best, source=where, card=replace(best.card, path=str(output))))


@contextmanager
def _states(output: Path) -> Iterator[Path]:
    """A folder for the states of trainings. They are removed at the end, those of earlier searches too, and stay where
    something is raised."""
    folder = targets.folder(output.with_name(f"{output.name}.tries"), within=output.parent)
    try:
        yield folder
        for path in folder.glob("*.resume"):
            targets.remove(path)
    finally:
        with suppress(OSError):  # something lies there
            folder.rmdir()


def judged(density: float, audit: Audit) -> Try:
    """What the gate of ``audit`` says of the network of that ``density``, and what it would take to settle it."""
    outcomes = [check.outcome for each in audit.comparisons for check in each.checks if check.level == "error"]
    failed, unsettled = outcomes.count("failed"), outcomes.count("inconclusive")
    found = Try(
        density=density,
        verdict="fails" if failed else "undecided" if unsettled else "passes",
        failed=failed,
        unsettled=unsettled,
        checks=len(outcomes),
    )
    if not unsettled:
        return found
    short = planning.shopping(audit).short
    return replace(
        found, missing=sum(each.more or 0 for each in short), hopeless=sum(each.more is None for each in short)
    )


def noted(audit: Audit, search: Search) -> Audit:
    """``audit`` with every try of the ``search`` that it belongs to among its notes, so that all reports hold them."""
    tried = ", ".join(each.told for each in search.tried)
    notes = (f"searched by --until-harm, every density that was tried in its order: {tried}", *search.told())
    return replace(audit, provenance=replace(audit.provenance, notes=(*audit.provenance.notes, *notes)))


def _counts(tried: Try, *, accepted: bool) -> bool:
    return tried.verdict == "passes" or (accepted and tried.verdict == "undecided")


def _chosen(tried: tuple[Try, ...], *, accepted: bool) -> Try | None:
    """The sparsest that counts as a pass and lies below none that failed: a fixed sequence from dense to sparse."""
    found = None
    for each in sorted(tried, key=lambda each: -each.density):
        if each.verdict == "fails":
            break
        if _counts(each, accepted=accepted):
            found = each
    return found


def _few(bound: Try, answer: Try | None) -> str:
    """That the samples set the answer, and what would change that."""
    sparser = "sparser networks than the answer" if answer is not None else "networks"
    said = (
        f"The number of samples sets the answer, and not what pruning does: whether {sparser} do harm is undecided "
        f"at {_share(bound.density)}, where {bound.unsettled} of {rounded.several(bound.checks, 'check')} are "
        "unsettled."
    )
    if bound.missing:
        said += f" About {bound.missing:,} more samples would settle there what classes lose"
        said += f", but for {rounded.several(bound.hopeless, 'class', 'classes')}." if bound.hopeless else "."
    elif bound.hopeless:
        said += (
            " What classes lose there lies so near the limits that no number of samples that anybody has settles it."
        )
    return f"{said} --accept-unsettled lets pass what is not shown to fail."


def _share(density: float) -> str:
    return f"{100 * density:.2f} %"

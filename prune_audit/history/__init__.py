"""The same data judged again and again: how often that was, and error spent over the stream of releases.

Whoever tunes a release until it passes on the same samples learns these samples: `fine` and a pass become too hopeful,
and nothing here corrects that. What is counted is a fact, which reports tell.

A budget of error is another matter. Each release puts up the hypothesis that no class of any variant lost more than
the margin, and a gate that rejects one at 5 % a release cries wolf sooner or later. Under a budget the share of false
alarms among all is bounded over the whole stream (`prune_audit.stats.e_lond`), which takes stronger evidence the more
releases there were. It then decides in place of the rules that fail a class for what it lost (``BUDGET`` of a rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from prune_audit import plugins, stats
from prune_audit.core import REGRESSED, Audit, Check, Comparison, Policy, lookup
from prune_audit.errors import UsageError
from prune_audit.history import folder as kept
from prune_audit.history import releases, spending
from prune_audit.history.releases import Release
from prune_audit.history.spending import Standing
from prune_audit.render import rounded

SUBJECT = "stream of releases"
NOTE = "history: "


def judge(audit: Audit, folder: Path, *, budget: float | None = None, now: datetime | None = None) -> Audit:
    """``audit``, which a gate has judged, as one of the releases in ``folder``, which then holds it, too.

    It is counted once, however often it is judged; what ``folder`` holds of it stays as it was at first. With a
    ``budget`` of error, that decides on classes which lost more than the margin.

    Raises:
        UsageError: a sample of the data was audited, or a budget makes no sense here; the message says why.
        InputError: a release in ``folder`` cannot be read.
        OutputError: it cannot be written.
    """
    now = now or datetime.now(UTC)
    if audit.provenance.limited:
        raise UsageError(
            "this audit saw a sample of the data, which never gates, and so judges no release",
            hint="audit without --limit, or check without --history",
        )
    assert audit.policy is not None
    before, time = kept.read(folder), now.strftime(releases.TIME)
    rules = _deciding(audit.policy)
    evidence = releases.evidence(audit, releases.excused(audit, rules))
    log_e = None if evidence is None else _finite(stats.log_mean_e(np.array(evidence)))
    known = next((n for n, each in enumerate(before) if each.identity == releases.identity(audit)), None)
    if known is None and before and before[-1].time > time:
        raise UsageError(
            f"the last release in {folder} was judged at {before[-1].time}, and it is {time} now",
            hint="releases go by their times: set the clock of this machine, or wait",
        )
    judged, standing = audit, None
    if budget is not None:
        _check(audit, before, known, budget, evidence is not None, rules)
        standing = spending.standing(before if known is None else before[:known], log_e, budget)
        assert evidence is not None
        judged = _decided(audit, standing, rules, evidence)
    release = releases.of(judged, now, log_e=log_e, budget=budget)
    if known is None:
        kept.add(folder, release)
        before = (*before, release)
    told = [_counted(before, release, known, folder)]
    told += [] if standing is None else [_told(audit, standing)]
    notes = [note for note in audit.provenance.notes if not note.startswith(NOTE)]
    return replace(judged, provenance=replace(judged.provenance, notes=(*notes, *told)))


def _finite(log: float) -> float | None:
    return log if np.isfinite(log) else None


def _deciding(policy: Policy) -> tuple[str, ...]:
    """The rules of ``policy`` in whose place a budget decides."""
    return tuple(
        name
        for name, rule in policy.rules.items()
        if rule.level != "off" and getattr(plugins.load("rules", name), "BUDGET", False)
    )


def _check(
    audit: Audit, before: Sequence[Release], known: int | None, budget: float, bets: bool, rules: Sequence[str]
) -> None:
    """Refuse a ``budget`` that would promise what does not hold."""
    if not rules:
        names = [name for name, rule in plugins.loaded("rules") if getattr(rule, "BUDGET", False)]
        raise UsageError(
            "a budget of error decides whether a class lost too much, which this policy does not ask",
            hint=f"set {' or '.join(names)} to error, or leave --alpha-budget out",
        )
    if not bets:
        raise UsageError(
            "a budget of error takes bets on one sample after the other, and samples of this audit belong together",
            hint="leave --alpha-budget out, or audit independent samples, without --cluster",
        )
    for each in before:
        if each.budget not in (None, budget):
            raise UsageError(
                f"the budget of this history is {each.budget:g}, as on {each.day}, and not {budget:g}: one that "
                "changes bounds nothing",
                hint=f"give --alpha-budget {each.budget:g}, or begin another folder",
            )
    if known is None:
        return
    first = before[known]
    if first.budget is None:
        raise UsageError(
            f"this release was judged on {first.day} without a budget, which is set before its result is seen",
            hint="leave --alpha-budget out for it; it holds from the next release on",
        )
    if first.margin != audit.provenance.settings.margin:
        raise UsageError(
            f"this release was judged on {first.day} at a margin of {rounded.loss(first.margin)}, and a budget knows "
            f"no second one: found {rounded.loss(audit.provenance.settings.margin)}",
            hint="judge it by the margin that it had, or leave --alpha-budget out",
        )


def _decided(audit: Audit, standing: Standing, rules: Sequence[str], evidence: Sequence[float]) -> Audit:
    """``audit`` with the checks of ``rules`` as the budget decides on them, and one check of the stream.

    That stands with the variant of which there is most evidence, since the hypothesis is one about all of them.
    """
    assert audit.policy is not None
    told = (
        f"under the budget of {standing.budget:g}: e is {standing.e}, and release {standing.place:,} takes "
        f"{standing.takes}"
    )
    comparisons = []
    for n, comparison in enumerate(audit.comparisons):
        checks = list(comparison.checks)
        if not standing.rejected:
            checks = [_excused(check, told) if check.rule in rules else check for check in checks]
        if n == int(np.argmax(evidence)):
            checks += [
                Check(
                    rule=rule,
                    subject=SUBJECT,
                    outcome="failed" if standing.rejected else "passed",
                    level=audit.policy.rules[rule].level,
                    observed=None,
                    limit=None,
                    message=f"{'regressed' if standing.rejected else 'not regressed'} {told}",
                )
                for rule in rules
            ]
        comparisons.append(replace(comparison, checks=tuple(checks)))
    return replace(audit, comparisons=tuple(comparisons))


def _excused(check: Check, told: str) -> Check:
    if check.outcome != "failed":
        return check
    return replace(check, outcome="waived", message=f"{check.message}; not {told}")


def _counted(all_of: Sequence[Release], release: Release, known: int | None, folder: Path) -> str:
    """How often these very data were used, and what that means."""
    same = [each for each in all_of if each.data_digest == release.data_digest]
    since = f" since {same[0].day}" if len(same) > 1 else ""
    again = "" if known is None else f" (it was judged on {all_of[known].day} before, and counts once)"
    said = (
        f"{NOTE}these data have judged {rounded.several(len(same), 'release')} in {folder}{since}, this one included"
        f"{again}"
    )
    if len(same) > 1:
        said += "; where releases are tuned until they pass on them, a pass and fine are too hopeful: the count is no "
        said += "correction"
    return said


def _told(audit: Audit, standing: Standing) -> str:
    """The verdict under the budget beside the ordinary one, and what is left of the budget."""
    alone = sum(_regressed(comparison) for comparison in audit.comparisons)
    verdict = "regressed" if standing.rejected else "not regressed"
    return (
        f"{NOTE}under a budget of {standing.budget:g} (e-LOND) release {standing.place:,} has {verdict}: its level is "
        f"{rounded.probability(standing.level)}, so that e must reach {standing.takes}, and is {standing.e}; by itself "
        f"{rounded.several(alone, 'class or group', 'classes or groups')} regressed; "
        f"{rounded.probability(standing.spent)} of the budget are spent, {rounded.probability(standing.left)} left"
    )


def _regressed(comparison: Comparison) -> int:
    return sum(len(lookup.those(view, "verdict", (REGRESSED,))) for view in comparison.views)

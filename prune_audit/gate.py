"""A policy applied to an audit, fresh or read back from its document, without model or data.

`judge` is the whole of it: measure again where the policy asks for other settings, run the rules, apply the waivers.
The steps can be had one by one, for `prune_audit.baseline`, which puts something in between. The module is called gate
and not judge, because a module of that name would hide the function `prune_audit.judge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from prune_audit import plugins, rules, spelling
from prune_audit.core import SINCE, Audit, Check, Comparison, NoMeasure, Pair, Policy, Settings, Waiver
from prune_audit.errors import AlignmentError, UsageError


def judge(audit: Audit, policy: Policy, today: date | None = None) -> Audit:
    """``audit`` judged by ``policy``, with its waivers as they are ``today``.

    Some limits are settings of the statistics (a rule says so with ``SETTING``): where the policy's differ from those
    that the audit was measured with, the statistics are measured again, from the counts that the audit holds.
    """
    return waived(replace(checked(audit, policy), baseline=None), policy, today or date.today())


def checked(audit: Audit, policy: Policy) -> Audit:
    """``audit`` with what the rules of ``policy`` found; no waiver is applied."""
    audit = mended(audit)
    settings = settings_of(policy, _own(audit))
    check_expected(audit, settings)
    limits, comparisons = resolved(policy, settings), []
    for comparison in audit.comparisons:
        pairs = [view.pair for view in comparison.views]
        if settings != audit.provenance.settings:
            comparison = _again(comparison, pairs, settings)
        try:
            checks = rules.check(comparison, limits)
        except NoMeasure:  # of an earlier version's audit, whose counts tell
            comparison = _again(comparison, pairs, settings)
            checks = rules.check(comparison, limits)
        comparisons.append(replace(comparison, checks=checks))
    provenance = replace(audit.provenance, settings=settings)
    return replace(audit, comparisons=tuple(comparisons), provenance=provenance, policy=policy)


def mended(audit: Audit) -> Audit:
    """``audit``, measured again where it took two equal files of predictions for one model.

    Audits that were written before did so, and their intervals are 0 to 0, which nothing but one network proves.
    """
    settings, comparisons = audit.provenance.settings, []
    for comparison in audit.comparisons:
        other = comparison.pruned.name != comparison.dense.name
        if other and comparison.pruned.recorded and any(view.pair.same_model for view in comparison.views):
            comparison = _again(comparison, [replace(v.pair, same_model=False) for v in comparison.views], settings)
        comparisons.append(comparison)
    return replace(audit, comparisons=tuple(comparisons))


def _again(comparison: Comparison, pairs: Sequence[Pair], settings: Settings) -> Comparison:
    """``comparison`` with the ``pairs`` of its views measured anew."""
    from prune_audit import stats  # with scipy, which takes longer to import than it takes to judge what is measured

    views = zip(comparison.views, pairs, strict=True)
    return replace(comparison, views=tuple(view.again(pair, stats.measures(pair, settings)) for view, pair in views))


def check_expected(audit: Audit, settings: Settings) -> None:
    """Check that the dense model of ``audit`` has the accuracy that ``settings`` expect.

    Raises:
        AlignmentError: it has not.
    """
    if settings.expect_accuracy is None:
        return
    from prune_audit.tasks.classification.alignment import check_accuracy  # scipy, likewise

    first = audit.comparisons[0]
    pair = first.views[0].pair
    if pair.sequential:  # its accuracy is not known; the first samples were looked at before drawing went on
        return
    check_accuracy(first.dense.name, int((pair.both + pair.lost).sum()), int(pair.support.sum()), settings)


def settings_of(policy: Policy, settings: Settings) -> Settings:
    """``settings`` with those that ``policy`` sets; unless it sets the assurance limit, this yields to the margin."""
    limits = _set_by(policy)
    if "margin" in limits and "assure" not in limits:
        limits["assure"] = max(limits["margin"], settings.assure)
    return replace(settings, **limits)


def _set_by(policy: Policy) -> dict[str, Any]:
    """Fields of `Settings` that ``policy`` sets, by themselves or as the limit of a rule."""
    limits: dict[str, Any] = dict(policy.settings)
    for name, rule in policy.rules.items():
        setting = getattr(plugins.load("rules", name), "SETTING", None)
        if setting is not None and rule.limit is not None and rule.level != "off":
            limits[setting] = rule.limit
    return limits


def _own(audit: Audit) -> Settings:
    """The settings of ``audit`` without what an earlier policy set, so that a verdict hangs on its own policy alone.

    What that policy hid is not known any more, and the default takes its place.
    """
    settings, plain = audit.provenance.settings, Settings()
    if audit.policy is None:
        return settings
    changed = {name: getattr(plain, name) for name in _set_by(audit.policy)}
    if "margin" in changed:
        changed["assure"] = plain.assure
    margin = changed.get("margin", settings.margin)
    return replace(settings, **{**changed, "assure": max(margin, changed.get("assure", settings.assure))})


def resolved(policy: Policy, settings: Settings) -> Policy:
    """``policy`` with the limits that stand for settings filled in, so that every check can say its limit."""
    filled = dict(policy.rules)
    for name, rule in policy.rules.items():
        setting = getattr(plugins.load("rules", name), "SETTING", None)
        if setting is not None and rule.limit is None:
            filled[name] = replace(rule, limit=getattr(settings, setting))
    return replace(policy, rules=filled)


def waived(audit: Audit, policy: Policy, today: date) -> Audit:
    """``audit`` with failures waived where ``policy`` says so, and a warning for every waiver that does nothing.

    What could not be told is waived too where the policy forbids it. A waiver that has expired, or that no failure
    needs any more, is a failed check of level ``warn`` with the waiver as its subject, so that every report shows it.
    """
    open_outcomes = {"failed", "inconclusive"} if policy.inconclusive == "forbid" else {"failed"}
    used: set[Waiver] = set()
    comparisons = []
    for comparison in audit.comparisons:
        checks = []
        for check in comparison.checks:
            fitting = _waivers_of(check, comparison, policy, today) if check.outcome in open_outcomes else ()
            if fitting:
                used.update(fitting)
                message = f"{check.message}; waived until {fitting[0].expires}: {fitting[0].reason}"
                check = replace(check, outcome="waived", message=message)
            checks.append(check)
        comparisons.append(replace(comparison, checks=tuple(checks)))
    for waiver in policy.waivers:
        if comparisons and waiver not in used:
            names = [comparison.pruned.name for comparison in comparisons]
            at = next((i for i, name in enumerate(names) if _fits(name, waiver.variant)), 0)
            checks = [*comparisons[at].checks, _idle(waiver, today, comparisons)]
            comparisons[at] = replace(comparisons[at], checks=tuple(checks))
    return replace(audit, comparisons=tuple(comparisons))


def to_confirm(audit: Audit) -> str:
    """The variant to be judged on fresh data: the sparsest that passes, or the only one.

    Raises:
        UsageError: no gate was asked for, or no variant passes it, so that there is nothing to confirm.
    """
    if audit.policy is None or audit.provenance.limited:
        raise UsageError("there is no verdict to confirm", hint="ask for a gate: --gate or --policy, without --limit")
    sparsest = audit.sparsest
    name = sparsest.name if sparsest is not None else None if audit.exit_code else audit.comparisons[0].pruned.name
    if name is None:
        raise UsageError("no variant passes, so there is none to confirm", hint="see the checks that failed")
    return name


def check_fresh(audit: Audit, fresh: Audit) -> None:
    """Make sure that ``fresh``, which is to confirm ``audit``, saw other samples.

    Raises:
        AlignmentError: both are of the same data, on which the variant was chosen.
    """
    first, then = (None if each.samples is None else each.samples.seen for each in (audit, fresh))
    again = first is not None and then is not None and np.isin(then, first).any()  # each drew samples of its own
    if again or audit.provenance.data_digest == fresh.provenance.data_digest:
        raise AlignmentError(
            f"{fresh.provenance.data} holds the samples that the variant was chosen on",
            hint="confirm on labelled data that had no part in the choice",
        )


def _waivers_of(check: Check, comparison: Comparison, policy: Policy, today: date) -> tuple[Waiver, ...]:
    """The waivers that hold for ``check`` today; several may, of which none is idle."""
    subject = check.subject.removesuffix(SINCE)  # who lives with a class lives with what became of it
    return tuple(
        waiver
        for waiver in policy.waivers
        if waiver.rule == check.rule
        and _fits(subject, waiver.stratum)
        and _fits(comparison.pruned.name, waiver.variant)
        and today <= waiver.expires
    )


def _fits(name: str, pattern: str) -> bool:
    """A name may hold what means something in a pattern: ``cat [tabby]`` is itself."""
    return name == pattern or fnmatchcase(name, pattern)


def _idle(waiver: Waiver, today: date, comparisons: Sequence[Comparison]) -> Check:
    """The warning about a waiver that waived nothing."""
    if today > waiver.expires:
        found = f"the waiver expired on {waiver.expires}"
    else:
        found = _unknown(waiver, comparisons) or "the waiver is not needed: nothing fails there"
    where = f" ({waiver.origin})" if waiver.origin else ""
    return Check(
        rule=waiver.rule,
        subject=f"waiver of {waiver.stratum}",
        outcome="failed",
        level="warn",
        observed=None,
        limit=None,
        message=f"{found}{where}: {waiver.reason}",
    )


def _unknown(waiver: Waiver, comparisons: Sequence[Comparison]) -> str:
    """Which name of ``waiver`` is none of this audit, and which may be meant; '' where both are known."""
    checks = [check for comparison in comparisons for check in comparison.checks if check.rule == waiver.rule]
    subjects = dict.fromkeys(check.subject.removesuffix(SINCE) for check in checks)
    variants = [comparison.pruned.name for comparison in comparisons]
    for what, pattern, known in (("class", waiver.stratum, list(subjects)), ("variant", waiver.variant, variants)):
        if known and not any(_fits(name, pattern) for name in known):
            meant = spelling.meant(pattern, known).strip()
            return f"the waiver fits no {what} of this audit{f', {meant}' if meant else ''}"
    return ""

"""An audit judged against the last accepted one as well: what got worse since, and what was bad already.

Two questions are asked of every new variant, and neither can hide what the other shows:

- **Against the dense model**, as without a baseline. This is what stops a ratchet: a model that loses 1.9 points a
  release is never worse than the last one by the margin of 2, and fails here as soon as the sum is shown.
- **Against the pruned model of the baseline**, paired sample by sample, because both audits kept which samples each
  model got right. Rules that judge a change (`CHANGE = True`) are asked again; their subjects end in "since the
  baseline". What is shown to have got worse fails, even where the new model is not shown to be worse than the dense.

A failure against the dense model that the baseline had as well is accepted, as `waived`, unless its class (or the
model) is shown to have got worse since. Whoever makes an audit the new baseline accepts what fails in it, at what it
fails by then; the message always says how far the class is from the dense model now. What is exact, such as the
density, may not be worse at all. Where the policy forbids what cannot be told, that is accepted alike.

Both audits are judged by one policy, whatever the old one was judged by. They must be of the same samples, classes and
inputs and have the same dense model, or else nothing that they say can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np

from prune_audit import gate, plugins, rules, stats
from prune_audit.core import SINCE, Array, Audit, Check, Clusters, Comparison, Pair, Policy, Samples, Settings, View
from prune_audit.errors import AlignmentError

HINT = "audit both models on the same data in the same way, or leave --baseline out to judge against the dense alone"


def judge(audit: Audit, baseline: Audit, policy: Policy, name: str, today: date | None = None) -> Audit:
    """``audit`` judged by ``policy`` against its dense model and against ``baseline``, which is called ``name``.

    Variants are matched by name; where each audit has a single one, they are matched whatever they are called.

    Raises:
        AlignmentError: the audits cannot be compared; the message says in what they differ.
    """
    samples, before = _comparable(audit, baseline)
    new = gate.checked(audit, policy)
    settings = new.provenance.settings
    # The old one as the new one was measured, and not as it was then.
    alike = {name: getattr(settings, name) for name in (key.replace("-", "_") for key in rules.SETTINGS)}
    old = gate.checked(baseline, replace(policy, settings=alike))
    known = {comparison.pruned.name: comparison for comparison in old.comparisons}
    if len(new.comparisons) == len(old.comparisons) == 1:
        known = {new.comparisons[0].pruned.name: old.comparisons[0]}
    if not any(comparison.pruned.name in known for comparison in new.comparisons):
        raise AlignmentError(
            f"none of the variants is in {name}: expected one of {', '.join(known)}, found "
            f"{', '.join(comparison.pruned.name for comparison in new.comparisons)}",
            hint="give variants the names that they had: NAME=PATH",
        )
    comparisons = []
    for comparison in new.comparisons:
        last = known.get(comparison.pruned.name)
        if last is None:
            checks = (*comparison.checks, _unknown(comparison, policy))
        else:
            step = _step(comparison, last, samples, before, settings)
            since = _since(rules.check(step, _of_changes(gate.resolved(policy, settings))))
            checks = (*_accepted(comparison.checks, last.checks, since, policy), *since)
        comparisons.append(replace(comparison, checks=checks))
    judged = replace(new, comparisons=tuple(comparisons), baseline=name)
    return gate.waived(judged, policy, today or date.today())


def _comparable(audit: Audit, baseline: Audit) -> tuple[Samples, Samples]:
    """What both kept of their samples. Raises `AlignmentError` where they are not of the same ones."""
    new, old = audit.provenance, baseline.provenance
    kept = []
    for which, each in (("this audit", audit), ("the baseline", baseline)):
        if each.provenance.limited:
            raise AlignmentError(
                f"{which} saw a sample of the data", hint="audit without --limit; a sample never gates"
            )
        if each.samples is None:
            raise AlignmentError(f"{which} does not say which samples each model got right", hint="write it again")
        kept.append(each.samples)
    differences: dict[str, tuple[object, object]] = {
        "classes": (audit.comparisons[0].view().pair.classes, baseline.comparisons[0].view().pair.classes),
        "preprocessing": (_told(new.preprocess), _told(old.preprocess)),
        "samples": (new.samples, old.samples),
        "data (ids, labels or contents)": (new.data_digest, old.data_digest),
        "dense model": (_identity(audit), _identity(baseline)),
        "views": (_views(audit), _views(baseline)),
        "clusters": (new.settings.cluster, old.settings.cluster),
        "weights": (new.settings.weights, old.settings.weights),
    }
    for what, (found, expected) in differences.items():
        if found != expected:
            raise AlignmentError(
                f"the baseline cannot be compared, because its {what} differ: expected {_short(expected)}, "
                f"found {_short(found)}",
                hint=HINT,
            )
    return kept[0], kept[1]


def _step(new: Comparison, old: Comparison, samples: Samples, before: Samples, settings: Settings) -> Comparison:
    """From the baseline's pruned model to the new one."""
    was, now = before.right[old.pruned.name], samples.right[new.pruned.name]  # (N,)
    same = new.pruned.same_as(old.pruned) and np.array_equal(was, now)
    views = []
    for view in new.views:
        pair = _pair(view.pair, samples, was, now, same)
        views.append(View(pair=pair, measures=stats.measures(pair, settings)))
    return Comparison(dense=old.pruned, pruned=new.pruned, views=tuple(views))


def _pair(like: Pair, samples: Samples, old: Array, new: Array, same: bool) -> Pair:
    """Counts of ``old`` (N,) right against ``new`` (N,) right, in the strata of ``like``."""
    stratum, size = samples.strata[like.by], len(like.strata)
    kinds = np.bincount(stratum * 4 + 2 * ~old + ~new, minlength=4 * size).reshape(size, 4)  # (S, 4)
    clusters = None
    if like.clusters is not None and samples.cluster is not None:
        clusters = Clusters.of(like.clusters.column, size, stratum, samples.cluster, old, new)
    return replace(
        Pair.of(kinds, by=like.by, strata=like.strata),
        classes=like.classes,
        labelled=like.labelled,
        # What was predicted wrongly was not kept; no rule that judges a change looks at it.
        dense_predicted=np.bincount(samples.strata["class"][old], minlength=len(like.classes)).astype(np.int64),
        pruned_predicted=np.bincount(samples.strata["class"][new], minlength=len(like.classes)).astype(np.int64),
        same_model=same,
        clusters=clusters,
    )


def _of_changes(policy: Policy) -> Policy:
    chosen = {name: rule for name, rule in policy.rules.items() if hasattr(plugins.load("rules", name), "CHANGE")}
    return replace(policy, rules=chosen)


def _since(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """``checks`` of the step, named as such. What they cannot tell is a warning: the dense model decides on that."""
    return tuple(
        replace(check, subject=check.subject + SINCE, level="warn" if check.outcome == "inconclusive" else check.level)
        for check in checks
    )


def _accepted(
    checks: tuple[Check, ...], before: tuple[Check, ...], since: tuple[Check, ...], policy: Policy
) -> tuple[Check, ...]:
    """``checks`` against the dense model, waived where it was no better ``before`` and nothing got worse ``since``.

    What cannot be told is treated alike where ``policy`` forbids it: it was accepted then.
    """
    excused: dict[str, tuple[str, ...]] = {"failed": ("failed",)}
    if policy.inconclusive == "forbid":
        excused["inconclusive"] = ("inconclusive", "failed")
    known = {(check.rule, check.subject): check for check in before}
    worse = {check.subject.removesuffix(SINCE) for check in since if check.outcome == "failed"}
    judged = []
    for check in checks:
        old = known.get((check.rule, check.subject))
        no_better = old is not None and old.outcome in excused.get(check.outcome, ())
        if old is not None and no_better and check.subject not in worse and not _is_worse(check, old):
            message = f"{check.message}; {old.outcome} in the baseline too, and is not shown to have got worse since"
            check = replace(check, outcome="waived", message=message)
        judged.append(check)
    return tuple(judged)


def _is_worse(new: Check, old: Check) -> bool:
    """Whether what is exact lies further beyond its limit than before."""
    exact = hasattr(plugins.load("rules", new.rule), "EXACT")
    values = (new.observed, old.observed, new.limit)
    if not exact or not all(isinstance(value, int | float) for value in values):
        return False
    now, then, limit = (float(value) for value in values if value is not None)
    return abs(now - limit) > abs(then - limit)


def _unknown(comparison: Comparison, policy: Policy) -> Check:
    """A check that says that the baseline knows no such variant."""
    return Check(
        rule=next(iter([*_of_changes(policy).rules, *policy.rules])),
        subject=f"model{SINCE}",
        outcome="skipped",
        level="warn",
        observed=None,
        limit=None,
        message=f"the baseline has no variant {comparison.pruned.name}: judged against the dense model alone",
    )


def _identity(audit: Audit) -> tuple[str, str | None]:
    card = audit.comparisons[0].dense
    return card.digest, card.factory


def _views(audit: Audit) -> Mapping[str, tuple[str, ...]]:
    return {view.by: view.strata for view in audit.comparisons[0].views}


def _told(preprocess: object) -> str:
    return "none" if preprocess is None else str(getattr(preprocess, "describe", str)())


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

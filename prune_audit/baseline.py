"""An audit judged against the last accepted one as well: what got worse since, and what was bad already.

Two questions are asked of every new variant, and neither can hide what the other shows:

- **Against the dense model**, as without a baseline. This is what stops a ratchet: a model that loses 1.9 points a
  release is never worse than the last one by the margin of 2, and fails here as soon as the sum is shown.
- **Against the pruned model of the baseline**, paired sample by sample, because both audits kept which samples each
  model got right. Rules that judge a change (`CHANGE = True`) are asked again; their subjects end in "since the
  baseline". What is shown to have got worse fails, even where the new model is not shown to be worse than the dense.

A failure against the dense model that the baseline had as well is accepted, as `waived`, unless it is shown to have got
worse since, by anything at all: what lies beyond a limit already has no margin left, or each baseline that failed
would let the next release lose another 1.9 points. A class is worse where its recall is shown to have fallen
(McNemar's q, of all classes; p of the accuracy for the model), whatever the rule, so that in up to 5 % of audits that
changed nothing a failure is not accepted. Measures of a whole model that cannot be paired (`MEASURE`, as alpha) are
worse where their interval lies beyond what the baseline had, and what is exact, as the density, wherever it is worse.

Whoever makes an audit the new baseline accepts what fails in it, at what it fails by then; the message always says how
far the class is from the dense model now. A fall that is too small to be shown in one step can be accepted again and
again by whoever makes every audit that fails the new baseline, and by nobody else. Where the policy forbids what
cannot be told, that is accepted alike.

Both audits are judged by one policy, whatever the old one was judged by. They must be of the same samples, classes,
groups and inputs and have the same dense model, which must have been right on the same samples: what is not told of
inputs (a tokenizer, outputs left out) shows there. Else nothing that they say can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np

from prune_audit import gate, plugins, rules, side_by_side
from prune_audit.core import (
    EXIF,
    SINCE,
    THRESHOLD,
    Audit,
    Check,
    Comparison,
    Policy,
    Provenance,
    RuleSetting,
    Samples,
    Settings,
    Value,
    lookup,
)
from prune_audit.errors import AlignmentError

SAME = 0.001
"""The share of samples on which one dense model may differ from itself: other libraries and processors round alike on
all but a few in ten thousand."""
HINT = "audit both models on the same data in the same way, or leave --baseline out to judge against the dense alone"


def judge(audit: Audit, baseline: Audit, policy: Policy, name: str, today: date | None = None) -> Audit:
    """``audit`` judged by ``policy`` against its dense model and against ``baseline``, which is called ``name``.

    Variants are matched by name; where each audit has a single one, they are matched whatever they are called. What
    changed since is a look of each (`prune_audit.side_by_side`).

    Raises:
        AlignmentError: the audits cannot be compared; the message says in what they differ.
    """
    samples, before = _comparable(audit, baseline)
    new = gate.checked(audit, policy)
    settings = new.provenance.settings
    # The old one as the new one was measured, and not as it was then.
    alike = {name: getattr(settings, name) for name in (key.replace("-", "_") for key in rules.SETTINGS)}
    old = gate.checked(baseline, replace(policy, settings=alike))
    known = side_by_side.matched(new, old, name)
    comparisons = []
    for comparison in new.comparisons:
        last = known.get(comparison.pruned.name)
        if last is None:
            checks = (*comparison.checks, _unknown(comparison, policy))
            look = side_by_side.unknown(name)
        else:
            moved = side_by_side.step(comparison, last, samples, before, settings)
            look = side_by_side.look(new, comparison, old, last, name, moved.views[0])
            since = _since(rules.check(moved, _of_changes(gate.resolved(policy, settings))))
            worse = _fallen(moved, settings) | {
                check.subject.removesuffix(SINCE) for check in since if check.outcome == "failed"
            }
            checks = (*_accepted(comparison, last, worse, policy), *since)
        comparisons.append(side_by_side.with_look(replace(comparison, checks=checks), look))
    judged = replace(new, comparisons=tuple(comparisons), baseline=name)
    return gate.waived(judged, policy, today or date.today())


def _comparable(audit: Audit, baseline: Audit) -> tuple[Samples, Samples]:
    """What both kept of their samples. Raises `AlignmentError` where they are not of the same ones."""
    new, old = audit.provenance, baseline.provenance
    kept = []
    for which, each in (("this audit", audit), ("the baseline", baseline)):
        if each.comparisons[0].view().pair.sequential:
            raise AlignmentError(
                f"{which} ended once classes were settled, so that it saw other samples than any other, and models are "
                "compared with a baseline on the same ones",
                hint="audit all data, without --until-settled",
            )
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
        "groups (--by)": ("; ".join(_views(audit)), "; ".join(_views(baseline))),
        "names of groups": _names(_views(audit), _views(baseline)),
        "clusters": (new.settings.cluster, old.settings.cluster),
        "weights": (new.settings.weights, old.settings.weights),
    }
    ways = _orientation(new), _orientation(old)
    if None not in ways:  # images without one, and audits of earlier versions, say nothing of it
        differences["orientation of images"] = ways
    for what, (found, expected) in differences.items():
        if found != expected:
            # Of a folder, what is read or left out now and was not then is likely why.
            read = [note for note in new.notes if note.startswith("files ") and note not in old.notes]
            raise AlignmentError(
                f"the baseline cannot be compared, because it differs in its {what}: expected {_short(expected)}, "
                f"found {_short(found)}{''.join(f'; {note}' for note in read) if what in _LISTED else ''}",
                hint=HINT,
            )
    _check_samples(audit, baseline, *kept)
    return kept[0], kept[1]


_LISTED = ("samples", "data (ids, labels or contents)")


def _orientation(provenance: Provenance) -> str | None:
    """What was done with orientations in EXIF, None where nothing is said of it."""
    return next((each.value for each in provenance.assumptions if each.what == EXIF), None)


def _check_samples(audit: Audit, baseline: Audit, new: Samples, old: Samples) -> None:
    """What equal digests do not promise: equal groups, and a dense model that did the same."""
    moved = [f"groups by {by}" for by in _views(audit) if not np.array_equal(new.strata[by], old.strata[by])]
    if new.cluster is not None and not np.array_equal(new.cluster, old.cluster):  # type: ignore[arg-type]  # both are
        moved.append("clusters")
    if moved:
        raise AlignmentError(f"the baseline cannot be compared, because its {moved[0]} hold other samples", hint=HINT)
    names = [each.comparisons[0].dense.name for each in (audit, baseline)]
    parted = float((new.right[names[0]] != old.right[names[1]]).mean()) if audit.provenance.samples else 0.0
    if parted > SAME:
        raise AlignmentError(
            f"the baseline cannot be compared, because its dense model was right on other samples: expected the same, "
            f"found {100 * parted:.2g} % that differ, so that its inputs or outputs were made otherwise",
            hint=_anew(audit, baseline) or HINT,
        )


def _anew(audit: Audit, baseline: Audit) -> str | None:
    """What to do where thresholds of scores were chosen for the models of each audit; None where that is not why."""
    told = [[a.value for a in each.provenance.assumptions if a.what == THRESHOLD][:1] for each in (audit, baseline)]
    if told[0] == told[1]:
        return None
    return "thresholds were chosen for the models of each audit: give both the same one of the dense model, --score 0.5"


def _of_changes(policy: Policy) -> Policy:
    chosen = {
        name: rule for name, rule in policy.rules.items() if getattr(plugins.load("rules", name), "CHANGE", False)
    }
    return replace(policy, rules=chosen)


def _since(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """``checks`` of the step, named as such. What they cannot tell is a warning: the dense model decides on that."""
    return tuple(
        replace(check, subject=check.subject + SINCE, level="warn" if check.outcome == "inconclusive" else check.level)
        for check in checks
    )


def _fallen(step: Comparison, settings: Settings) -> set[str]:
    """The subjects of checks whose recall ``step`` shows to have fallen at all; a column with a group whose did."""
    fallen: set[str] = set()
    for view in step.views:
        change, q = view.measure("change"), view.measure("q_value").by_stratum
        worse = {
            lookup.subject(view, stratum)
            for stratum, by, value in zip(view.strata, change.by_stratum, q, strict=True)
            if _shown(by, value, settings)
        }
        fallen |= worse | ({view.by} if worse and view.by != "class" else set())
    view = step.views[0]
    return fallen | (
        {"model"} if _shown(view.measure("change").overall, view.measure("p_value").overall, settings) else set()
    )


def _shown(change: Value, p: Value, settings: Settings) -> bool:
    numbers = isinstance(change, int | float) and isinstance(p, int | float)
    return numbers and change < 0 and p <= 1 - settings.confidence  # type: ignore[operator]  # numbers


def _accepted(new: Comparison, last: Comparison, worse: set[str], policy: Policy) -> tuple[Check, ...]:
    """The checks of ``new`` against the dense model, waived where ``last`` was no better and nothing got ``worse``.

    What cannot be told is treated alike where ``policy`` forbids it: it was accepted then.
    """
    excused: dict[str, tuple[str, ...]] = {"failed": ("failed",)}
    if policy.inconclusive == "forbid":
        excused["inconclusive"] = ("inconclusive", "failed")
    known = {(check.rule, check.subject): check for check in last.checks}
    judged = []
    for check in new.checks:
        old = known.get((check.rule, check.subject))
        no_better = old is not None and old.outcome in excused.get(check.outcome, ())
        if old is not None and no_better and check.subject not in worse and not _is_worse(check, old, new, last):
            message = f"{check.message}; {old.outcome} in the baseline too, and is not shown to have got worse since"
            check = replace(check, outcome="waived", message=message)
        judged.append(check)
    return tuple(judged)


def _is_worse(new: Check, old: Check, comparison: Comparison, last: Comparison) -> bool:
    """Whether what no step can tell got worse: what is exact at all, a measure beyond what it was in the baseline."""
    module = plugins.load("rules", new.rule)
    if (name := getattr(module, "MEASURE", None)) is not None:
        then = last.views[0].measure(name).overall
        if not isinstance(then, int | float):
            return False
        again = module.check(comparison, RuleSetting(level=new.level, limit=then))
        return any(check.outcome == "failed" for check in again)
    values = (new.observed, old.observed, new.limit)
    if not getattr(module, "EXACT", False) or not all(isinstance(value, int | float) for value in values):
        return False
    now, before, limit = (float(value) for value in values if value is not None)
    return abs(now - limit) > abs(before - limit)


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


def _names(found: Mapping[str, tuple[str, ...]], expected: Mapping[str, tuple[str, ...]]) -> tuple[object, object]:
    """The names of the first view that differ: those that one side alone has, or all where their order differs."""
    for by, here in found.items():
        there = expected.get(by, ())
        if here != there:
            alone = [tuple(name for name in one if name not in other) for one, other in ((here, there), (there, here))]
            return (alone[0], alone[1]) if any(alone) else (here, there)
    return (), ()


def _told(preprocess: object) -> str:
    return "none" if preprocess is None else str(getattr(preprocess, "describe", str)())


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

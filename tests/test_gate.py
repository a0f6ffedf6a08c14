"""A policy applied to an audit: waivers, their ends, and the order in which variants are tried."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from prune_audit import from_predictions, gate, rules, stats
from prune_audit.core import (
    Audit,
    Check,
    Layer,
    Outputs,
    Policy,
    Predictions,
    RuleSetting,
    Samples,
    Settings,
    View,
    Waiver,
)
from prune_audit.errors import AlignmentError, UsageError

TODAY = date(2027, 1, 15)


def audit(*, lost: dict[str, int], n: int = 400, classes: tuple[str, ...] = ("cat [tabby]", "dog", "eel")) -> Audit:
    """Variants that lose so many of the first class's samples of ``n``, and nothing else."""
    labels = np.repeat(np.arange(len(classes)), n)
    outputs = [Outputs(name="dense", predicted=labels)]
    for name, count in lost.items():
        outputs.append(Outputs(name=name, predicted=np.where(np.arange(len(labels)) < count, 1, labels)))
    ids = tuple(map(str, range(len(labels))))
    predictions = Predictions(classes=classes, ids=ids, labels=labels, models=tuple(outputs))
    return from_predictions(predictions, "dense", list(lost), Settings())


def waiver(**changes: object) -> Waiver:
    plain = Waiver(rule="recall-drop", stratum="cat*", reason="known", expires=TODAY, origin="p.toml:3")
    return replace(plain, **changes)  # type: ignore[arg-type]  # fields as they are


def policy(*waivers: Waiver, **levels: str) -> Policy:
    rule = {"recall-drop": RuleSetting(level="error")}
    return replace(Policy(name="p", rules=rule, waivers=waivers), **levels)  # type: ignore[arg-type]  # as they are


def found(judged: Audit, outcome: str) -> list[Check]:
    return [check for comparison in judged.comparisons for check in comparison.checks if check.outcome == outcome]


def test_an_audit_that_took_equal_predictions_for_one_model_is_measured_again() -> None:
    fresh = audit(lost={"pruned": 0}, n=20)
    (comparison,) = fresh.comparisons
    views = []
    for view in comparison.views:
        pair = replace(view.pair, same_model=True)
        views.append(View(pair=pair, measures=stats.measures(pair, Settings())))
    old = replace(fresh, comparisons=(replace(comparison, views=tuple(views)),))
    assert set(old.comparisons[0].view().measure("change").low) == {0.0}
    assert gate.mended(old) == fresh
    assert gate.judge(old, policy(), TODAY) == gate.judge(fresh, policy(), TODAY)


def test_an_audit_that_lacks_what_a_rule_looks_at_is_measured_again() -> None:
    """As one that an earlier version wrote does, which knew fewer statistics."""
    fresh = audit(lost={"pruned": 100})
    (comparison,) = fresh.comparisons
    views = [
        replace(view, measures=tuple(m for m in view.measures if m.name != "chance_accuracy"))
        for view in comparison.views
    ]
    old = replace(fresh, comparisons=(replace(comparison, views=tuple(views)),))
    rule = Policy(name="p", rules={"collapsed": RuleSetting(level="error")})
    assert gate.judge(old, rule, TODAY) == gate.judge(fresh, rule, TODAY)


def test_a_waiver_lets_a_failure_pass_and_shows_its_reason() -> None:
    judged = gate.judge(audit(lost={"pruned": 100}), policy(waiver()), TODAY)
    (waived,) = found(judged, "waived")
    assert (waived.subject, waived.level) == ("cat [tabby]", "error")
    assert waived.message.endswith("; waived until 2027-01-15: known")
    assert waived.message.startswith("regressed: ")
    assert (judged.outcome, judged.exit_code) == ("passed", 0)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (waiver(rule="harmed"), "the waiver is not needed: nothing fails there"),
        (waiver(stratum="dog"), "the waiver is not needed: nothing fails there"),
        (waiver(stratum="elk"), "the waiver fits no class of this audit, did you mean 'eel'?"),
        (waiver(variant="pruned-5*"), "the waiver fits no variant of this audit, did you mean 'pruned'?"),
        (waiver(stratum="CAT*"), "the waiver fits no class of this audit"),
    ],
)
def test_one_that_does_not_fit_waives_nothing_and_warns(other: Waiver, said: str) -> None:
    judged = gate.judge(audit(lost={"pruned": 100}), policy(other), TODAY)
    assert judged.exit_code == 1
    (warning,) = [check for check in found(judged, "failed") if check.level == "warn"]
    assert warning.subject == f"waiver of {other.stratum}"
    assert warning.message == f"{said} (p.toml:3): known"


def test_an_expired_one_waives_nothing_and_says_when_it_ended() -> None:
    judged = gate.judge(audit(lost={"pruned": 100}), policy(waiver()), date(2027, 1, 16))
    assert judged.exit_code == 1
    assert [check.message for check in found(judged, "failed") if check.level == "warn"] == [
        "the waiver expired on 2027-01-15 (p.toml:3): known"
    ]


def test_of_two_that_fit_neither_is_idle() -> None:
    judged = gate.judge(audit(lost={"pruned": 100}), policy(waiver(), waiver(stratum="*")), TODAY)
    assert len(found(judged, "waived")) == 1
    assert not found(judged, "failed")


def test_the_verdict_of_every_mix_of_checks() -> None:
    """Brute force: errors decide, a failure before all else; what cannot be told counts only where it is forbidden."""
    made = audit(lost={"pruned": 0}, n=10)
    kinds = [
        (o, level) for o in ("passed", "failed", "inconclusive", "waived", "skipped") for level in ("warn", "error")
    ]
    for size in (0, 1, 2, 3):
        for mix in itertools.combinations_with_replacement(kinds, size):
            for inconclusive in ("allow", "forbid"):
                checks = tuple(
                    Check(rule="r", subject="s", outcome=o, level=level, observed=None, limit=None, message="")  # type: ignore[arg-type]  # as they are
                    for o, level in mix
                )
                comparison = replace(made.comparisons[0], checks=checks)
                judged = replace(made, comparisons=(comparison,), policy=policy(inconclusive=inconclusive))
                open_ = ("inconclusive", "error") in mix
                code = 1 if ("failed", "error") in mix else 3 if open_ and inconclusive == "forbid" else 0
                assert judged.exit_code == code
                assert judged.outcome == ("failed" if code == 1 else "inconclusive" if open_ else "passed")


def test_a_name_that_looks_like_a_pattern_is_itself() -> None:
    judged = gate.judge(audit(lost={"pruned": 100}), policy(waiver(stratum="cat [tabby]")), TODAY)
    assert judged.outcome == "passed"


def test_a_warning_about_a_waiver_stands_with_its_variant() -> None:
    judged = gate.judge(audit(lost={"a": 0, "b": 0}), policy(waiver(variant="b")), TODAY)
    assert [len(comparison.checks) for comparison in judged.comparisons] == [3, 4]
    assert judged.exit_code == 0


def test_what_cannot_be_told_is_waived_only_where_it_is_forbidden() -> None:
    small = audit(lost={"pruned": 2}, n=40)
    assert not found(gate.judge(small, policy(waiver()), TODAY), "waived")
    strict = gate.judge(small, policy(waiver(), inconclusive="forbid"), TODAY)
    assert [check.subject for check in found(strict, "waived")] == ["cat [tabby]"]
    assert strict.exit_code == 3  # the other classes are as small


def test_a_judged_audit_is_judged_again_from_nothing() -> None:
    judged = gate.judge(audit(lost={"pruned": 100}), policy(waiver()), TODAY)
    assert gate.judge(judged, policy(), TODAY) == gate.judge(audit(lost={"pruned": 100}), policy(), TODAY)


def test_the_settings_of_a_policy_hold_whatever_the_audit_was_run_with() -> None:
    asked = replace(rules.default_policy(), settings={"confidence": 0.8, "margin": 0.08, "correction": "holm"})
    settings = gate.judge(audit(lost={"pruned": 10}), asked).provenance.settings
    assert (settings.confidence, settings.margin, settings.assure, settings.correction) == (0.8, 0.08, 0.08, "holm")
    asked = replace(asked, settings={"margin": 0.02, "assure": 0.03})
    assert gate.judge(audit(lost={"pruned": 10}), asked).provenance.settings.assure == 0.03
    with pytest.raises(UsageError, match="assurance limit"):
        gate.judge(audit(lost={"pruned": 10}), replace(asked, settings={"margin": 0.04, "assure": 0.03}))


@pytest.mark.parametrize(
    "earlier",
    [
        {"settings": {"margin": 0.3}},
        {"settings": {"margin": 0.01, "assure": 0.02}},
        {"settings": {"confidence": 0.5, "correction": "none", "retention_margin": 0.5}},
        {"rules": {"recall-drop": RuleSetting(limit=0.3)}},
    ],
)
def test_an_earlier_policy_leaves_nothing_behind(earlier: dict[str, object]) -> None:
    """Else an audit that was made with a margin of 30 points would pass the default policy by it."""
    made, lax = audit(lost={"pruned": 100}), replace(policy(), **earlier)  # type: ignore[arg-type]  # fields as they are
    for asked in (policy(), replace(policy(), settings={"margin": 0.03}), rules.preset("strict")):
        assert gate.judge(gate.judge(made, lax, TODAY), asked, TODAY) == gate.judge(made, asked, TODAY)
    wide = replace(made, provenance=replace(made.provenance, settings=Settings(margin=0.08, assure=0.08)))
    assert gate.judge(gate.judge(wide, policy(), TODAY), policy(), TODAY).provenance.settings.margin == 0.08


# ---------------------------------------------------------------------------------------------- the sparsest variant


def with_densities(made: Audit, *densities: float) -> Audit:
    def layer(share: float) -> Layer:
        return Layer(name="w", kind="linear", shape=(100,), nonzero=round(100 * share), total=100)

    comparisons = tuple(
        replace(c, dense=replace(c.dense, layers=(layer(1),)), pruned=replace(c.pruned, layers=(layer(share),)))
        for c, share in zip(made.comparisons, densities, strict=True)
    )
    return replace(made, comparisons=comparisons)


def test_the_densest_is_tried_first_and_the_first_failure_ends_it() -> None:
    made = with_densities(audit(lost={"a": 0, "b": 100, "c": 1, "d": 0}), 0.1, 0.2, 0.5, 0.3)
    sparsest = gate.judge(made, policy(), TODAY).sparsest
    assert sparsest is not None
    assert (sparsest.name, sparsest.tried, sparsest.variants, sparsest.order) == ("d", 3, 4, "density")


def test_without_densities_the_order_is_as_given() -> None:
    sparsest = gate.judge(audit(lost={"a": 0, "b": 100, "c": 0}), policy(), TODAY).sparsest
    assert sparsest is not None
    assert (sparsest.name, sparsest.tried, sparsest.order) == ("a", 2, "given")


def test_where_not_even_the_densest_passes_there_is_none() -> None:
    judged = gate.judge(with_densities(audit(lost={"a": 0, "b": 100}), 0.1, 0.5), policy(), TODAY)
    assert judged.sparsest is not None
    assert (judged.sparsest.name, judged.sparsest.tried) == (None, 1)
    with pytest.raises(UsageError, match="no variant passes"):
        gate.to_confirm(judged)


def test_a_variant_whose_failures_are_waived_is_let_through_and_does_not_pass() -> None:
    """d passes, c by a waiver, e after it, b not at all: by itself only d does."""
    made = with_densities(audit(lost={"a": 0, "b": 100, "c": 100, "d": 0, "e": 0}), 0.1, 0.2, 0.4, 0.6, 0.3)
    judged = gate.judge(made, policy(waiver(variant="c")), TODAY)
    sparsest = judged.sparsest
    assert sparsest is not None
    assert (sparsest.name, sparsest.waived, sparsest.unwaived, sparsest.tried) == ("e", 1, "d", 4)
    assert judged.waived == 1
    first = replace(judged, comparisons=judged.comparisons[1:3]).sparsest  # b and c
    assert first is not None
    assert (first.name, first.waived, first.unwaived, first.tried) == ("c", 1, None, 2)
    plain = replace(judged, comparisons=judged.comparisons[3:]).sparsest
    assert plain is not None
    assert (plain.name, plain.waived, plain.unwaived) == ("e", 0, "e")


def test_a_warning_that_is_waived_would_not_have_stopped_the_gate() -> None:
    lax = replace(policy(waiver()), rules={"recall-drop": RuleSetting(level="warn")})
    judged = gate.judge(audit(lost={"a": 100, "b": 100}), lax, TODAY)
    assert len(found(judged, "waived")) == 2
    assert judged.waived == 0


def test_channels_that_were_cut_out_count_as_zeros() -> None:
    made = with_densities(audit(lost={"a": 0}), 0.5).comparisons[0]
    cut = replace(made.pruned.layers[0], nonzero=30, total=30)
    assert replace(made, pruned=replace(made.pruned, layers=(cut,))).kept == 0.3
    assert replace(made, pruned=replace(made.pruned, layers=())).kept is None


def test_one_variant_and_no_gate_are_no_choice() -> None:
    assert gate.judge(audit(lost={"a": 0}), policy(), TODAY).sparsest is None
    assert audit(lost={"a": 0, "b": 0}).sparsest is None


def test_what_is_to_be_confirmed() -> None:
    judged = gate.judge(audit(lost={"a": 0, "b": 100}), policy(), TODAY)
    assert gate.to_confirm(judged) == "a"
    assert gate.to_confirm(gate.judge(audit(lost={"only": 0}), policy(), TODAY)) == "only"
    with pytest.raises(UsageError, match="no verdict"):
        gate.to_confirm(audit(lost={"a": 0}))
    with pytest.raises(AlignmentError, match="chosen on"):
        gate.check_fresh(judged, audit(lost={"a": 3}))
    gate.check_fresh(judged, audit(lost={"a": 3}, n=300))


@pytest.mark.parametrize(("then", "again"), [([7, 8, 9], False), ([3, 8, 9], True), (None, False)])
def test_of_audits_that_drew_samples_each_is_of_its_own(then: list[int] | None, again: bool) -> None:
    def drawn(seen: list[int] | None, digest: str) -> Audit:
        samples = Samples(strata={}, right={}, seen=None if seen is None else np.array(seen))
        one = audit(lost={"a": 0})
        return replace(one, samples=samples, provenance=replace(one.provenance, data_digest=digest))

    chosen, fresh = drawn([1, 2, 3], "first"), drawn(then, "second")
    if again:
        with pytest.raises(AlignmentError, match="chosen on"):
            gate.check_fresh(chosen, fresh)
    else:
        gate.check_fresh(chosen, fresh)
    gate.check_fresh(fresh, replace(chosen, samples=None))
    gate.check_fresh(replace(chosen, samples=None), fresh)


def test_the_accuracy_that_was_expected_is_that_of_the_dense_model() -> None:
    """A class of 400 that the variant loses by half: the dense model is right on 1,200 of 1,200 all the same."""
    found = audit(lost={"a": 200})
    gate.check_expected(found, Settings(expect_accuracy=1.0, expect_tolerance=0.0))
    with pytest.raises(AlignmentError, match=r"dense was to have 83\.33%.* and has 100\.00% on 1,200"):
        gate.check_expected(found, Settings(expect_accuracy=1000 / 1200, expect_tolerance=0.01))

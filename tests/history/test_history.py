"""How often data were used, and what a budget of error makes of a gate."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multinomial

from prune_audit import gate, history, stats
from prune_audit.core import Audit, Pair, Policy, RuleSetting, Settings, View, Waiver
from prune_audit.errors import UsageError
from prune_audit.history import folder, releases
from prune_audit.rules import default_policy
from tests.history.audits import DROPS, LOST, SAME, SLIPPED, at, audit, clustered, judged

ROUNDING = 1e-9  # of sums of some hundred masses of scipy's


def notes(found: Audit) -> list[str]:
    return [note for note in found.provenance.notes if note.startswith("history: ")]


def stream(found: Audit) -> list[str]:
    return [c.outcome for each in found.comparisons for c in each.checks if c.subject == "stream of releases"]


# ---------------------------------------------------------------------------------------------------------- counting


def test_releases_on_the_same_data_are_counted_and_others_are_not(tmp_path: Path) -> None:
    for day, (name, data) in enumerate([("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")]):
        found = history.judge(judged(SAME, names=[name], data=data), tmp_path, now=at(day))
    [note] = notes(found)
    assert f"these data have judged 3 releases in {tmp_path} since 2026-03-01, this one included; where" in note
    assert len(folder.read(tmp_path)) == 4


def test_the_first_is_one_of_one(tmp_path: Path) -> None:
    found = history.judge(judged(SAME), tmp_path, now=at(0))
    assert notes(found) == [f"history: these data have judged 1 release in {tmp_path}, this one included"]


def test_one_release_judged_twice_counts_once_and_stays_as_it_was(tmp_path: Path) -> None:
    first = history.judge(judged(SAME, LOST, names=["a", "b"]), tmp_path, now=at(0))
    before = folder.read(tmp_path)
    again = history.judge(judged(SAME, LOST, names=["a", "b"], policy=DROPS), tmp_path, now=at(5))
    assert folder.read(tmp_path) == before
    assert before[0].policy == "default"
    assert "judged 1 release" in notes(again)[0]
    assert "it was judged on 2026-03-01 before, and counts once" in notes(again)[0]
    other = replace(judged(LOST, SAME, names=["b", "a"]), provenance=first.provenance)  # the order is nothing
    assert releases.identity(other) == releases.identity(first)
    history.judge(judged(SAME, names=["a"]), tmp_path, now=at(6))
    assert len(folder.read(tmp_path)) == 2


def test_models_in_one_file_of_predictions_are_others(tmp_path: Path) -> None:
    """They share a digest, and are told by their columns."""

    def recorded(name: str) -> Audit:
        found = judged(SAME)
        each = found.comparisons[0]
        card = replace(each.pruned, name=name, digest="file", format="predictions")
        return replace(found, comparisons=(replace(each, pruned=card),))

    assert recorded("a").comparisons[0].pruned.recorded
    assert releases.identity(recorded("a")) != releases.identity(recorded("b"))


def test_a_note_of_an_earlier_count_is_replaced_and_other_notes_stay(tmp_path: Path) -> None:
    base = judged(SAME)
    noted = replace(base, provenance=replace(base.provenance, notes=("sorted", "history: these data ...")))
    found = history.judge(noted, tmp_path, now=at(0))
    assert found.provenance.notes[0] == "sorted"
    assert len(found.provenance.notes) == 2


def test_without_a_budget_nothing_else_changes(tmp_path: Path) -> None:
    base = judged(LOST)
    found = history.judge(base, tmp_path, now=at(0))
    assert replace(found, provenance=base.provenance) == base


def test_a_sample_is_no_release(tmp_path: Path) -> None:
    base = judged(SAME)
    limited = replace(base, provenance=replace(base.provenance, limited=True))
    with pytest.raises(UsageError, match="a sample of the data"):
        history.judge(limited, tmp_path / "rel", now=at(0))
    assert not (tmp_path / "rel").exists()


def test_a_clock_that_goes_back_is_refused(tmp_path: Path) -> None:
    history.judge(judged(SAME, names=["a"]), tmp_path, now=at(1))
    with pytest.raises(UsageError, match="judged at 2026-03-02T12:00"):
        history.judge(judged(SAME, names=["b"]), tmp_path, now=at(0))


def test_what_is_kept_is_what_was_judged(tmp_path: Path) -> None:
    base = judged(LOST, SAME, names=["a", "b"])
    history.judge(base, tmp_path, now=at(0))
    [kept] = folder.read(tmp_path)
    view = base.comparisons[0].view()
    assert [variant.outcome for variant in kept.variants] == ["failed", "inconclusive"]
    assert kept.variants[0].classes.verdicts == view.measure("verdict").by_stratum
    assert kept.variants[0].classes.low == view.measure("change").low
    assert kept.variants[0].change == view.measure("change").overall == pytest.approx(-37 / 200)
    expected = np.array([stats.log_e(np.array([lost]), np.array([1]), np.array([100]), 0.02)[0] for lost in (38, 1)])
    assert [variant.classes.log_e[1] for variant in kept.variants] == pytest.approx(expected)
    still = math.exp(stats.log_e(np.array([0]), np.array([0]), np.array([100]), 0.02)[0])
    assert kept.log_e is not None
    assert math.exp(kept.log_e) == pytest.approx((np.exp(expected).sum() + 2 * still) / 4)  # over classes and variants


def test_the_evidence_on_a_release_is_worth_1_at_most_where_all_lost_the_margin() -> None:
    """E over every outcome of 2 classes of 3 samples: of one variant, and of two that flip the very same samples."""
    n, margin, churn = 3, 0.02, 0.4
    outcomes = [(lost, gained) for lost in range(n + 1) for gained in range(n + 1 - lost)]
    for drop in (margin, 0.0):
        truth = ((churn + drop) / 2, (churn - drop) / 2, 1 - churn)
        mass = {(a, b): multinomial.pmf([a, b, n - a - b], n, truth) for a, b in outcomes}
        for variants in (1, 2):
            total = 0.0
            for one, other in product(outcomes, outcomes):
                rows = tuple((n - a - b, a, b, 0) for a, b in (one, other))
                logs = releases.evidence(audit(*[rows] * variants, measured=False), set())
                assert logs is not None
                total += mass[one] * mass[other] * math.exp(stats.log_mean_e(np.array(logs)))
            assert total == pytest.approx(1, abs=ROUNDING) if drop == margin else total < 1


# ----------------------------------------------------------------------------------------------------------- a budget


def test_a_budget_lets_pass_what_it_does_not_show(tmp_path: Path) -> None:
    """Regressed by its interval, e 32.9 of one class, and so 16.5 or less of two; the second release takes 65.8."""
    alone = judged(SLIPPED, names=["b"], policy=DROPS)
    assert alone.exit_code == 1
    history.judge(judged(SAME, names=["a"], policy=DROPS), tmp_path, budget=0.1, now=at(0))
    found = history.judge(alone, tmp_path, budget=0.1, now=at(1))
    assert found.exit_code == 0
    assert stream(found) == ["passed"]
    [waived] = [c for c in found.comparisons[0].checks if c.outcome == "waived"]
    assert waived.subject == "1"
    assert "not under the budget of 0.1: e is 16." in waived.message
    assert "release 2 takes 65.8" in waived.message
    assert "by itself 1 class or group regressed; 0.0760 of the budget are spent, 0.0240 left" in notes(found)[1]
    assert folder.read(tmp_path)[1].outcome == "passed"


def test_a_budget_fails_what_it_shows_with_the_variant_of_most_evidence(tmp_path: Path) -> None:
    found = history.judge(judged(SAME, LOST, names=["a", "b"], policy=DROPS), tmp_path, budget=0.1, now=at(0))
    assert [each.subject for each in found.comparisons[1].checks if each.outcome == "failed"] == [
        "1", "stream of releases"
    ]  # fmt: skip
    assert {each.outcome for each in found.comparisons[0].checks} == {"passed"}
    assert found.exit_code == 1
    assert "release 1 has regressed: its level is 0.0608, so that e must reach 16.4, and is " in notes(found)[1]


def test_a_rejection_raises_the_levels_of_those_after_it(tmp_path: Path) -> None:
    history.judge(judged(LOST, names=["a"]), tmp_path, budget=0.1, now=at(0))
    found = history.judge(judged(SAME, names=["b"]), tmp_path, budget=0.1, now=at(1))
    assert "so that e must reach 32.9" in notes(found)[1]


def test_releases_without_a_budget_use_up_their_level_and_reject_nothing(tmp_path: Path) -> None:
    history.judge(judged(LOST, names=["a"]), tmp_path, now=at(0))
    found = history.judge(judged(SAME, names=["b"]), tmp_path, budget=0.1, now=at(1))
    assert "so that e must reach 65.8" in notes(found)[1]


def test_judged_again_a_release_keeps_its_place(tmp_path: Path) -> None:
    first = history.judge(judged(SLIPPED, names=["a"], policy=DROPS), tmp_path, budget=0.1, now=at(0))
    history.judge(judged(LOST, names=["b"], policy=DROPS), tmp_path, budget=0.1, now=at(1))
    again = history.judge(judged(SLIPPED, names=["a"], policy=DROPS), tmp_path, budget=0.1, now=at(2))
    assert again.comparisons == first.comparisons
    assert notes(again)[1] == notes(first)[1]


def waiving(*strata: str) -> Policy:
    waivers = tuple(
        Waiver(rule="recall-drop", stratum=stratum, variant="*", reason="known", expires=date(2999, 1, 1))
        for stratum in strata
    )
    return replace(DROPS, waivers=waivers)


def test_a_class_that_is_waived_is_no_evidence(tmp_path: Path) -> None:
    known = gate.judge(audit(LOST, names=["a"]), waiving("1"))
    found = history.judge(known, tmp_path, budget=0.1, now=at(0))
    assert found.exit_code == 0
    assert stream(found) == ["passed"]
    still = math.exp(stats.log_e(np.array([0]), np.array([0]), np.array([100]), 0.02)[0])
    assert f"e must reach 16.4, and is {still / 2:.2f};" in notes(found)[1]  # of class 0 alone, over two
    both = gate.judge(audit((LOST[1], LOST[1]), names=["b"]), waiving("*"))
    found = history.judge(both, tmp_path, budget=0.1, now=at(1))
    assert "and is 0;" in notes(found)[1]
    assert folder.read(tmp_path)[1].log_e is None


def test_groups_are_evidence_as_classes_are_and_a_waived_one_is_none(tmp_path: Path) -> None:
    base = audit(SAME, names=["a"])
    pair = Pair.of(LOST, by="film", strata=["x", "y"])
    views = (*base.comparisons[0].views, View(pair=pair, measures=stats.measures(pair, Settings())))
    grouped = replace(base, comparisons=(replace(base.comparisons[0], views=views),))
    logs = [stats.log_e(np.array([n]), np.array([g]), np.array([100]), 0.02)[0] for n, g in ((0, 0), (1, 1), (0, 0))]
    lost = stats.log_e(np.array([38]), np.array([1]), np.array([100]), 0.02)[0]
    for strata, last, code in (((), math.exp(lost), 1), (("film=y",), 0.0, 0)):
        where = tmp_path / str(code)
        found = history.judge(gate.judge(grouped, waiving(*strata)), where, budget=0.1, now=at(0))
        [kept] = folder.read(where)
        assert kept.log_e == pytest.approx(math.log((np.exp(logs).sum() + last) / 4))
        assert found.exit_code == code
    assert [view.by for view in kept.variants[0].views] == ["class", "film"]


def test_other_rules_judge_as_ever(tmp_path: Path) -> None:
    base = judged(LOST)
    found = history.judge(base, tmp_path, budget=0.1, now=at(0))
    others = [
        [c for c in each.checks if c.rule != "recall-drop"] for each in (base.comparisons[0], found.comparisons[0])
    ]
    assert others[0] == others[1]


def test_a_rule_that_warns_goes_on_to_warn(tmp_path: Path) -> None:
    policy = Policy(name="p", rules={"recall-drop": RuleSetting(level="warn")})
    found = history.judge(judged(LOST, policy=policy), tmp_path, budget=0.1, now=at(0))
    assert stream(found) == ["failed"]
    assert found.exit_code == 0


def test_budgets_that_would_promise_too_much_are_refused(tmp_path: Path) -> None:
    def refused(found: Audit, said: str, budget: float = 0.1) -> None:
        before = folder.read(tmp_path)
        with pytest.raises(UsageError, match=said):
            history.judge(found, tmp_path, budget=budget, now=at(9))
        assert folder.read(tmp_path) == before

    history.judge(judged(SAME, names=["a"]), tmp_path, now=at(0))
    refused(judged(SAME, names=["a"]), "judged on 2026-03-01 without a budget")
    history.judge(judged(SAME, names=["b"]), tmp_path, budget=0.1, now=at(1))
    refused(judged(SAME, names=["c"]), "the budget of this history is 0.1, as on 2026-03-02, and not 0.2", 0.2)
    other = replace(default_policy(), rules={"recall-drop": RuleSetting(level="error", limit=0.04)})
    refused(judged(SAME, names=["b"], policy=other), "at a margin of 2 points, and a budget knows no second one")
    refused(judged(SAME, names=["c"], policy=Policy(name="p", rules={})), "which this policy does not ask")
    refused(clustered(judged(SAME, names=["c"])), "belong together")

"""A policy run over a comparison: which rules speak, and that nothing unchanged ever fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_audit import plugins
from prune_audit.core import Policy, RuleSetting
from prune_audit.errors import UsageError
from prune_audit.rules import check, default_policy
from tests.rules.comparisons import compare


def test_the_default_policy_fails_by_four_rules_warns_of_doubts_and_leaves_the_others_off() -> None:
    policy = default_policy()
    assert set(policy.rules) == set(plugins.names("rules"))
    assert {name for name, setting in policy.rules.items() if setting.level != "off"} == {
        "recall-drop", "harmed", "collapsed", "accuracy-drop", "plausible"
    }  # fmt: skip
    assert {name for name, setting in policy.rules.items() if setting.level == "warn"} == {"plausible"}
    assert (policy.name, policy.inconclusive) == ("default", "allow")


def test_only_rules_that_are_named_and_not_off_speak() -> None:
    rules = {"collapsed": RuleSetting(level="warn"), "recall-drop": RuleSetting(level="off")}
    found = check(compare((36, 12, 2, 0)), Policy(name="p", rules=rules))
    assert [(c.rule, c.level) for c in found] == [("collapsed", "warn")]


def test_a_rule_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no-such"):
        check(compare((1, 0, 0, 0)), Policy(name="p", rules={"no-such": RuleSetting()}))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 300), st.just(0), st.just(0), st.integers(0, 300)), max_size=6))
def test_an_unchanged_pair_never_fails(counts: list[tuple[int, int, int, int]]) -> None:
    """Known to be one file nothing is even open; merely without flips, small classes stay open."""
    changes = {n: m.DEFAULT for n, m in plugins.loaded("rules") if hasattr(m, "CHANGE")}
    policy = Policy(name="p", rules={n: replace(s, level="error") for n, s in changes.items()})
    for judged in (default_policy(), policy):
        known = check(compare(*counts, same=True), judged)
        assert {c.outcome for c in known} <= {"passed", "skipped"}
    seen = check(compare(*counts), policy)
    assert {c.outcome for c in seen} <= {"passed", "skipped", "inconclusive"}


def test_unevenly_sampled_classes_fail_as_they_should() -> None:
    rng = np.random.default_rng(0)
    rows = [tuple(int(v) for v in rng.multinomial(400, [0.5, 0.4, 0.0, 0.1])), (400, 0, 0, 0), (400, 0, 0, 0)]
    found = {(c.rule, c.subject): c.outcome for c in check(compare(*rows), default_policy())}  # type: ignore[arg-type]  # four each
    assert found["recall-drop", "0"] == found["harmed", "0"] == found["accuracy-drop", "model"] == "failed"
    assert found["recall-drop", "1"] == found["harmed", "2"] == found["collapsed", "model"] == "passed"


@pytest.mark.parametrize(
    ("flag", "rules"),
    [
        ("CHANGE", {"accuracy-drop", "excess-drop", "group-gap", "harmed", "recall-drop"}),  # also since a baseline
        ("EXACT", {"density"}),  # no luck in it, so that any other number is another
        ("SEQUENTIAL", {"density", "plausible", "recall-drop"}),  # with samples drawn until classes were settled
        ("BUDGET", {"recall-drop"}),  # with a confidence that releases share
    ],
)
def test_what_rules_say_that_they_can(flag: str, rules: set[str]) -> None:
    assert {name for name, rule in plugins.loaded("rules") if getattr(rule, flag, False)} == rules

"""SARIF: valid, a location for every result, levels and kinds as the standard means them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from prune_audit import gate, plugins, rules
from prune_audit.core import Audit, Check, Outcome
from prune_audit.reports import sarif
from prune_audit.reports._gate import checks as gate_checks
from tests.reports import audits
from tests.reports.golden import same_as_golden

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif.json").read_text(encoding="utf-8"))
NAMES = ("ten", "judged", "identical", "several", "everything", "limited", "settled", "biting", "waived", "thousand")


def results(audit: Audit) -> list[dict[str, Any]]:
    """Of the whole."""
    return of(sarif.whole(audit))


def of(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["runs"][0]["results"]
    return found


@pytest.mark.parametrize("name", ["judged", "waived", "settled"])
def test_whole_text(name: str) -> None:
    same_as_golden(f"{name}.sarif", sarif.render(getattr(audits, name)()).encode())
    same_as_golden(f"{name}.whole.sarif", sarif.whole(getattr(audits, name)()).encode())


@pytest.mark.parametrize("dialect", [sarif.render, sarif.whole])
@pytest.mark.parametrize("name", NAMES)
def test_is_valid_and_every_result_has_its_rule_and_a_place(name: str, dialect: Callable[[Audit], str]) -> None:
    log = json.loads(dialect(getattr(audits, name)()))
    jsonschema.Draft202012Validator(SCHEMA).validate(log)
    run = log["runs"][0]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("name", NAMES)
def test_failures_alone_are_alerts(name: str) -> None:
    """GitHub opens one for every result, for an open or a suppressed one as well."""
    audit = getattr(audits, name)()
    found = of(sarif.render(audit))
    assert all(result["kind"] == "fail" and "suppressions" not in result for result in found)
    failed = [check for c in audit.comparisons for check in gate_checks(audit, c) if check.outcome == "failed"]
    assert len(found) == len(failed)


def many(classes: int, failed: int, waived: int) -> Audit:
    """As many classes, of which some fail a rule, some are waived and all others cannot be told, under two rules."""
    audit = audits.judged()
    counts: dict[Outcome, int] = {"failed": failed, "waived": waived, "inconclusive": 2 * classes - failed - waived}
    outcomes = [outcome for outcome, count in counts.items() for _ in range(count)]
    checks = tuple(
        Check(
            rule=("recall-drop", "harmed")[i % 2], subject=f"class {i // 2}", outcome=outcome, level="error",
            observed=None, limit=0.02, message="as it is",
        )
        for i, outcome in enumerate(outcomes)
    )  # fmt: skip
    return replace(audit, comparisons=(replace(audit.comparisons[0], checks=checks),))


def test_a_thousand_classes_of_which_twelve_failed_are_twelve_alerts() -> None:
    audit = many(1000, failed=12, waived=30)
    assert len(of(sarif.render(audit))) == 12
    assert len(results(audit)) == 2000


@pytest.mark.parametrize(("dialect", "failed"), [(sarif.render, 5403), (sarif.whole, 12)])
def test_what_github_does_not_show_is_left_out_and_said(dialect: Callable[[Audit], str], failed: int) -> None:
    log = json.loads(dialect(many(2750, failed=failed, waived=3)))["runs"][0]
    assert len(log["results"]) == 5000
    assert [r["kind"] for r in log["results"][:12]] == ["fail"] * 12
    left_out = 403 if failed == 5403 else 500
    assert log["properties"]["leftOut"] == left_out
    assert f"{left_out} results of {5000 + left_out:,} left out: GitHub shows 5,000." in log["properties"]["told"]


def test_the_schema_refuses_a_result_without_a_place() -> None:
    log = json.loads(sarif.render(audits.judged()))
    log["runs"][0]["results"][0]["locations"] = []
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(log)


def test_levels_and_kinds() -> None:
    told = [(r["ruleId"], r["properties"]["subject"], r["kind"], r["level"]) for r in results(audits.judged())]
    assert told == [
        ("recall-drop", "7", "fail", "error"),
        ("harmed", "5", "open", "none"),
        ("accuracy-drop", "model", "fail", "warning"),
    ]


def test_what_was_waived_is_suppressed_with_the_reason() -> None:
    waived = next(r for r in results(audits.waived()) if r["properties"]["subject"] == "7")
    assert waived["kind"] == "fail"
    assert "accepted by QA" in waived["suppressions"][0]["justification"]
    assert not any("suppressions" in r for r in results(audits.judged()))


def test_rules_say_of_themselves_what_their_files_say() -> None:
    rules = json.loads(sarif.whole(audits.judged()))["runs"][0]["tool"]["driver"]["rules"]
    assert {rule["id"]: rule["help"]["text"] for rule in rules} == {
        name: plugins.docstring("rules", name) for name in ("accuracy-drop", "harmed", "recall-drop")
    }


def test_without_a_gate_the_verdicts_are_warnings() -> None:
    failed = [r for r in results(audits.ten()) if r["kind"] == "fail"]
    assert {(r["ruleId"], r["properties"]["subject"]) for r in failed} == {
        (rule, name) for rule in ("recall-drop", "harmed") for name in "78"
    }
    assert {r["level"] for r in failed} == {"warning"}


def test_a_sample_never_gates() -> None:
    assert results(audits.limited()) == []


@pytest.mark.parametrize(
    ("path", "uri"), [("models/a b.pt", "models/a%20b.pt"), ("/m/ü.pt", "file:///m/%C3%BC.pt"), ("", "data/val")]
)
def test_a_place_is_an_address(path: str, uri: str) -> None:
    audit = audits.judged()
    comparison = audit.comparisons[0]
    moved = replace(audit, comparisons=(replace(comparison, pruned=replace(comparison.pruned, path=path)),))
    assert results(moved)[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


POLICY = """extends = "default"
margin = 2

[rules.recall-drop]
# as agreed
level = "error"
limit = 2

[[waivers]]
rule = "harmed"
class = "2"
reason = "known"
expires = 2027-01-31

[[waivers]]
rule = "recall-drop"
class = "[78]"
reason = "known"
expires = 2027-01-31

[[waivers]]
rule = "recall-drop"
class = "9"
reason = "known"
expires = 2027-01-31
"""


def test_a_place_is_the_line_of_the_rule_or_of_the_waiver(tmp_path: Path) -> None:
    """The policy is read and the waivers are applied as `check` does it."""
    file = tmp_path / "prune-audit.toml"
    file.write_text(POLICY)
    policy = rules.read_policy(file)
    (comparison,) = audits.judged().comparisons
    failed = comparison.checks[-2]
    checks = (*comparison.checks[:-1], replace(failed, subject="3"), replace(comparison.checks[-1], rule="harmed"))
    audit = replace(audits.judged(), comparisons=(replace(comparison, checks=checks),), policy=policy)
    judged = gate.waived(audit, policy, date(2027, 1, 1))
    found = {}
    for result in results(judged):
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == file.as_uri()
        found[result["ruleId"], result["properties"]["subject"]] = place["region"]["startLine"]
    assert found == {
        ("recall-drop", "3"): 6,  # the first line of its table that says anything
        ("harmed", "5"): 1,  # by extends
        ("harmed", "model"): 1,
        ("harmed", "waiver of 2"): 9,
        ("recall-drop", "7"): 15,  # waived
        ("recall-drop", "waiver of 9"): 21,
    }


@pytest.mark.parametrize("origin", ["--rule", "preset default", "other.toml:7", "p.toml"])
def test_what_is_said_elsewhere_than_in_the_file_has_no_line_of_it(origin: str) -> None:
    audit = audits.judged()
    assert audit.policy is not None
    policy = replace(audit.policy, path="p.toml", origins={"rules.recall-drop.level": origin})
    place = results(replace(audit, policy=policy))[0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "p.toml"}, "region": {"startLine": 1}}


def test_no_more_than_github_takes_and_the_worst_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 2)
    log = json.loads(sarif.whole(audits.judged()))
    assert [r["properties"]["subject"] for r in log["runs"][0]["results"]] == ["7", "5"]
    assert log["runs"][0]["properties"]["leftOut"] == 1


def test_a_rule_without_a_file_is_still_a_rule() -> None:
    """An audit may have been judged by a version that knew other rules."""
    audit = audits.judged()
    gone = Check(
        rule="gone", subject="7", outcome="failed", level="error", observed=None, limit=None, message="it was so"
    )
    log = json.loads(sarif.render(replace(audit, comparisons=(replace(audit.comparisons[0], checks=(gone,)),))))
    jsonschema.Draft202012Validator(SCHEMA).validate(log)
    assert log["runs"][0]["tool"]["driver"]["rules"][0]["id"] == "gone"

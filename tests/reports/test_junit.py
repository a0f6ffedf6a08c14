"""JUnit XML: what fails, what is skipped, valid by the schema, and read by another program as it was meant."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as Xml

import junitparser
import pytest
import xmlschema

from prune_audit import gate
from prune_audit.core import Audit, Waiver
from prune_audit.reports.junit import render
from tests.reports import audits
from tests.reports.golden import same_as_golden

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit.xsd")
NAMES = ("ten", "judged", "identical", "several", "everything", "limited", "settled", "biting", "waived", "thousand")


def cases(audit: Audit) -> dict[str, Xml.Element]:
    """The cases of the first variant by name."""
    return {case.get("name", ""): case for case in Xml.fromstring(render(audit))[0].iter("testcase")}


def result(case: Xml.Element) -> str:
    return next((found.tag for found in case if found.tag != "system-out"), "passed")


@pytest.mark.parametrize("name", ["judged", "waived", "biting", "settled"])
def test_whole_text(name: str) -> None:
    same_as_golden(f"{name}.xml", render(getattr(audits, name)()))


@pytest.mark.parametrize("name", NAMES)
def test_is_valid(name: str) -> None:
    SCHEMA.validate(render(getattr(audits, name)()).decode())


def test_the_schema_refuses() -> None:
    document = render(audits.judged()).decode()
    assert not SCHEMA.is_valid(document.replace("<testcase ", '<testcase file="x" '))
    assert not SCHEMA.is_valid(document.replace("<properties>", "<properties/><properties>"))


JENKINS = {  # what junit-10.xsd of its xunit plugin allows: attributes that must and that may be there, and children
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out"}
        | {"system-err"},
    ),
    **dict.fromkeys(("skipped", "error", "failure"), (set(), {"type", "message"}, set())),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "system-out": (set(), set(), set()),
}
SECONDS = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")  # its SUREFIRE_TIME


@pytest.mark.parametrize("name", NAMES)
def test_jenkins_takes_every_element(name: str) -> None:
    """By the rules of its schema, written out: the file above is of fewer rules, and stricter."""
    root = Xml.fromstring(render(getattr(audits, name)()))
    assert root.tag == "testsuites"
    for element in root.iter():
        must, may, children = JENKINS[element.tag]
        assert must <= set(element.keys()) <= must | may, element.tag
        assert {child.tag for child in element} <= children, element.tag
        assert element.tag not in ("testsuites", "testsuite") or SECONDS.fullmatch(element.get("time", ""))


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_is_a_variant_and_counts_its_cases(name: str) -> None:
    audit: Audit = getattr(audits, name)()
    root = Xml.fromstring(render(audit))
    assert [suite.get("name") for suite in root] == [f"prune-audit: {c.pruned.name}" for c in audit.comparisons]
    totals = dict.fromkeys(("tests", "failures", "errors"), 0)
    for suite in root:
        counts = {
            "tests": len(suite.findall("testcase")),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
            "skipped": len(suite.findall("testcase/skipped")),
        }
        assert {total: suite.get(total) for total in counts} == {total: str(n) for total, n in counts.items()}
        totals = {total: n + counts[total] for total, n in totals.items()}
    assert {total: root.get(total) for total in totals} == {total: str(n) for total, n in totals.items()}


@pytest.mark.parametrize("name", NAMES)
def test_gitlab_shows_every_case_and_why(name: str) -> None:
    """As its parser reads: cases by class name and name, the first of each; of a result the text, and no attribute."""
    document = render(getattr(audits, name)())
    assert len(document) < 30 * 1024 * 1024  # the most that it takes
    every = list(Xml.fromstring(document).iter("testcase"))
    assert len({(case.get("classname"), case.get("name")) for case in every}) == len(every)
    for case in every:
        for tag in ("failure", "error", "skipped"):
            if (told := case.find(tag)) is not None:
                assert (told.text or "").startswith(told.get("message", "?")), case.get("name")


@pytest.mark.parametrize("name", NAMES)
def test_another_program_counts_the_same(name: str) -> None:
    document = render(getattr(audits, name)())
    read = junitparser.JUnitXml.fromstring(document)
    for suite in read:
        results = [type(found).__name__ for case in suite for found in case.result]
        assert suite.tests == len(list(suite))
        assert (suite.failures, suite.errors, suite.skipped) == tuple(
            results.count(kind) for kind in ("Failure", "Error", "Skipped")
        )
    assert read.failures == sum(suite.failures for suite in read)


def test_a_gate_decides_where_there_is_one() -> None:
    found = cases(audits.judged())
    assert result(found["7"]) == "failure"
    assert found["7"][0].get("message") == "recall-drop: lost 33.3 points, the limit is 2"
    assert "recall 67.8 to 34.4 %" in (found["7"][0].text or "")
    assert result(found["5"]) == "skipped"
    assert result(found["2"]) == "passed"
    assert result(found["model"]) == "passed"  # a warning
    assert found["8"][0].get("message") == "nothing was checked"


def test_a_warning_is_told_though_it_fails_nothing() -> None:
    out = Xml.fromstring(render(audits.judged())).findtext("testsuite/system-out", "")
    assert "warning: model: accuracy-drop: accuracy fell by [7] points" in out
    case = cases(audits.judged())["model"]
    assert result(case) == "passed"
    assert case.findtext("system-out") == "warning: accuracy-drop: accuracy fell by [7] points"


def test_a_waiver_that_does_nothing_says_so_where_it_is_shown() -> None:
    judged = audits.judged()
    assert judged.policy is not None
    waivers = (
        Waiver(rule="harmed", stratum="2", reason="known", expires=date(2027, 1, 31), origin="p.toml:9"),
        Waiver(rule="harmed", stratum="2", reason="new", expires=date(2026, 1, 31), origin="p.toml:15"),
    )
    audit = gate.waived(judged, replace(judged.policy, waivers=waivers), date(2026, 12, 1))
    case = cases(audit)["waiver of 2"]
    assert result(case) == "passed"
    assert case.findtext("system-out", "").splitlines() == [
        "warning: harmed: the waiver is not needed: nothing fails there (p.toml:9): known",
        "warning: harmed: the waiver expired on 2026-01-31 (p.toml:15): new",
    ]
    document = render(audit)
    SCHEMA.validate(document.decode())
    read = next(c for suite in junitparser.JUnitXml.fromstring(document) for c in suite if c.name == "waiver of 2")
    assert "(p.toml:15): new" in read.system_out


@pytest.mark.parametrize(("allowed", "expected"), [("allow", "skipped"), ("forbid", "error")])
def test_what_could_not_be_told_is_an_error_where_that_is_forbidden(
    allowed: Literal["allow", "forbid"], expected: str
) -> None:
    audit = audits.judged("inconclusive")
    assert audit.policy is not None
    assert result(cases(replace(audit, policy=replace(audit.policy, inconclusive=allowed)))["5"]) == expected


def test_what_was_waived_is_skipped_with_the_reason() -> None:
    case = cases(audits.waived())["7"]
    assert result(case) == "skipped"
    assert "accepted by QA" in case[0].get("message", "")


def test_without_a_gate_the_verdicts_decide() -> None:
    results = {name: result(case) for name, case in cases(audits.ten()).items()}
    assert {name for name, found in results.items() if found == "failure"} == {"7", "8"}
    assert {name for name, found in results.items() if found == "skipped"} == {"1", "4", "5", "9"}
    assert cases(audits.ten())["7"][0].get("type") == "recall-drop, harmed"
    assert cases(audits.ten())["9"][0].get("message") == audits.NO_SAMPLES


def test_a_sample_skips_everything() -> None:
    assert {result(case) for case in cases(audits.limited()).values()} == {"skipped"}


def test_names_survive_as_far_as_xml_can_hold_them() -> None:
    found = set(cases(audits.biting()))
    assert {"<b>&amp;</b>", "a|b", "::error::x", "two\\nlines\\ttab", "\\x1b[31m\\ufffe", "ü"} <= found


def test_numbers_of_the_model_are_whole() -> None:
    properties = {p.get("name"): p.get("value") for p in Xml.fromstring(render(audits.judged())).iter("property")}
    measure = audits.judged().comparisons[0].views[0].measure("change")
    assert properties["change"] == repr(measure.overall)
    assert properties["change_low"] == repr(measure.overall_low)
    assert properties["density"] == "0.1"


def test_groups_are_cases_too() -> None:
    assert {"place=indoor", "place=outdoor"} <= set(cases(audits.everything()))


def test_the_encoding_is_the_one_that_is_declared() -> None:
    assert Xml.parse(io.BytesIO(render(audits.biting()))).getroot().tag == "testsuites"

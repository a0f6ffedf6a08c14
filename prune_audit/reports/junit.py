"""JUnit XML (.xml): a test suite for each variant, a test case for each class, for the test views of CI systems.

A class fails that a check of level `error` fails; without a gate, one that regressed or is harmed. What could not be
told is skipped, and so is what was waived, with the reason; where the policy forbids it, what could not be told is an
error, as its exit code is 3. A sample never gates: all is skipped. A warning fails nothing: it is the output of its
case, which viewers show with the case, and of its suite.

The form is what Jenkins' schema (junit-10.xsd of the xunit plugin) allows, which has no properties on a test case:
the numbers of a model are properties of its suite, those of its classes lines of its output. There is no time in it,
since an audit knows none. GitLab shows the text of a result and no attribute of it, and of cases of one class name and
name the first alone; so the message is in the text, too, and the class name is the variant, whose cases differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias
from xml.etree import ElementTree as Xml

from prune_audit.core import Audit, Check, Comparison, Outcome, lookup
from prune_audit.printable import lines, printable
from prune_audit.render import wording
from prune_audit.reports import _gate as gate

SUFFIXES = (".xml",)
Result: TypeAlias = Literal["passed", "failure", "error", "skipped"]
SAMPLE = "this audit saw a sample of the data, and a sample never gates"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    result: Result
    kind: str
    message: str
    numbers: str
    warnings: tuple[str, ...]


def render(audit: Audit) -> bytes:
    """The document, in UTF-8."""
    suites = Xml.Element("testsuites", name="prune-audit")
    for comparison in audit.comparisons:
        suites.append(_suite(audit, comparison))
    for total in ("tests", "failures", "errors"):
        suites.set(total, str(sum(int(suite.get(total, "0")) for suite in suites)))
    for element in suites.iter():
        # XML knows no way to write most of what does not show.
        element.attrib.update({name: printable(value) for name, value in element.attrib.items()})
        element.text = None if element.text is None else lines(element.text)
    Xml.indent(suites)
    written: bytes = Xml.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _suite(audit: Audit, comparison: Comparison) -> Xml.Element:
    cases = list(_cases(audit, comparison))
    name = comparison.pruned.name
    suite = Xml.Element("testsuite", name=f"prune-audit: {name}", tests=str(len(cases)), time="0")
    for total, result in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(total, str(sum(case.result == result for case in cases)))
    properties = Xml.SubElement(suite, "properties")
    for key, value in _properties(audit, comparison).items():
        Xml.SubElement(properties, "property", name=key, value=str(value))
    for case in cases:
        element = Xml.SubElement(suite, "testcase", classname=name, name=case.name, time="0")
        if case.result != "passed":
            told = Xml.SubElement(element, case.result, type=case.kind, message=case.message)
            told.text = "\n".join(part for part in (case.message, case.numbers) if part) or None
        if case.warnings:
            Xml.SubElement(element, "system-out").text = "\n".join(f"warning: {said}" for said in case.warnings)
    warnings = [f"warning: {case.name}: {said}" for case in cases for said in case.warnings]
    lines = [gate.told(audit), *warnings, *(f"{case.name}: {case.numbers}" for case in cases if case.numbers)]
    Xml.SubElement(suite, "system-out").text = "\n".join(lines)
    return suite


def _cases(audit: Audit, comparison: Comparison) -> Iterator[_Case]:
    checks: dict[str, list[Check]] = {}
    for check in gate.checks(audit, comparison):
        checks.setdefault(check.subject, []).append(check)
    strata = {lookup.subject(view, s): (view, i) for view in comparison.views for i, s in enumerate(view.strata)}
    for subject in dict.fromkeys([*(s for s in checks if s not in strata), *strata]):
        found = checks.get(subject, [])
        result, kind, message = _judged(audit, found)
        numbers = wording.stratum(*strata[subject], audit.provenance.settings) if subject in strata else ""
        yield _Case(
            name=printable(subject),
            result=result,
            kind=kind,
            message=printable(message),
            numbers=printable(numbers),
            warnings=tuple(
                printable(f"{check.rule}: {check.message}")
                for check in found
                if check.level == "warn" and check.outcome == "failed" and audit.policy is not None
            ),
        )


def _judged(audit: Audit, checks: list[Check]) -> tuple[Result, str, str]:
    """Result, kind and message for one subject: the gravest of its checks decides.

    Warnings count where there is no gate, there being nothing else then.
    """
    if audit.provenance.limited:
        return "skipped", "sample", SAMPLE
    serious = [check for check in checks if check.level == "error" or audit.policy is None]
    unsettled: Result = "error" if audit.policy is not None and audit.policy.inconclusive == "forbid" else "skipped"
    results: dict[Outcome, Result] = {"failed": "failure", "inconclusive": unsettled, "waived": "skipped"}
    for outcome, result in results.items():
        if found := [check for check in serious if check.outcome == outcome]:
            kind = ", ".join(check.rule for check in found) if outcome == "failed" else outcome
            return result, kind, "; ".join(f"{check.rule}: {check.message}" for check in found)
    if all(check.outcome == "skipped" for check in checks):
        return "skipped", "not judged", checks[0].message if checks else "nothing was checked"
    return "passed", "", ""


def _properties(audit: Audit, comparison: Comparison) -> dict[str, object]:
    """The numbers of the model, unrounded."""
    card, p = comparison.pruned, audit.provenance
    view = lookup.by_class(comparison)
    found: dict[str, object] = {
        "dense": comparison.dense.name,
        "density": card.density,
        "size": card.size,
        "compressed": card.compressed,
        "macs": card.macs,
        "data": p.data,
        "data_digest": p.data_digest,
        "samples": p.samples,
        "policy": audit.policy.name if audit.policy else None,
        "outcome": gate.outcome_of(audit, comparison),
    }
    for measure in view.measures if view else ():
        if measure.overall is not None:
            found[measure.name] = measure.overall
            found[f"{measure.name}_low"] = measure.overall_low
            found[f"{measure.name}_high"] = measure.overall_high
            if measure.overall_low is not None and measure.overall_high is None:
                found[f"{measure.name}_interval"] = f"at least {measure.overall_low}"
    return {key: value for key, value in found.items() if value is not None}

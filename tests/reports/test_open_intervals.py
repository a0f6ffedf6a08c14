"""An interval without an upper limit reads "at least" in every report, and is null where values are data."""

from __future__ import annotations

import csv as standard
import io
import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from prune_audit.core import Audit, Check
from prune_audit.document import from_document, to_document
from prune_audit.reports import csv, github, html, junit, markdown, sarif, table
from prune_audit.rules import alpha as rule
from tests.reports import audits

OPEN = {"alpha_corrected": (1.5, 0.671), "spread_ratio": (1.75, 1.011)}
"""The value and the lower limit of either."""


def opened() -> Audit:
    """Intervals of alpha, which fails at .5, and of the ratio of spreads that have no upper limit."""
    audit = audits.judged()
    comparison = audit.comparisons[0]
    view = comparison.views[0]
    measures = tuple(
        replace(m, overall=OPEN[m.name][0], overall_low=OPEN[m.name][1], overall_high=None) if m.name in OPEN else m
        for m in view.measures
    )
    comparison = replace(comparison, views=(replace(view, measures=measures), *comparison.views[1:]))
    checks = (*comparison.checks, checked(0.5, replace(audit, comparisons=(comparison,))))
    return replace(audit, comparisons=(replace(comparison, checks=checks), *audit.comparisons[1:]))


def checked(limit: float, of: Audit) -> Check:
    (check,) = rule.check(of.comparisons[0], replace(rule.DEFAULT, level="error", limit=limit))
    return check


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("render", [table.render, markdown.render, html.render], ids=["table", "markdown", "html"])
def test_people_read_at_least(render: object) -> None:
    text = plain(render(opened()))  # type: ignore[operator]  # a report
    assert "at least 0.67" in text
    assert "at least 1.01" in text
    assert "gaps between classes grew" in text
    assert "None" not in text


def test_the_page_reads_so_among_all_measures_of_the_model() -> None:
    text = plain(html.render(opened()))
    assert "1.50 (interval at least 0.67)" in text
    assert "1.75 (interval at least 1.01)" in text


@pytest.mark.parametrize("render", [sarif.render, github.render], ids=["sarif", "github"])
def test_what_failed_by_it_reads_so(render: object) -> None:
    found = checked(0.5, opened())
    assert found.outcome == "failed"
    assert "interval of corrected alpha at least 0.67, beyond 0.50" in render(opened())  # type: ignore[operator]  # likewise


def test_what_it_does_not_settle_is_inconclusive_and_reads_so() -> None:
    found = checked(1.1, opened())
    assert (found.outcome, found.observed) == ("inconclusive", None)
    assert found.message == "interval of corrected alpha at least 0.67, across 1.10"


def test_a_test_runner_reads_so() -> None:
    root = Xml.fromstring(junit.render(opened()))
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    for name, (value, low) in OPEN.items():
        assert properties[name] == str(value)
        assert properties[f"{name}_low"] == str(low)
        assert f"{name}_high" not in properties
        assert properties[f"{name}_interval"] == f"at least {low}"
    assert "change_interval" not in properties
    messages = [element.get("message") or "" for element in root.iter("failure")]
    assert any("at least 0.67, beyond 0.50" in message for message in messages)


def test_data_have_null() -> None:
    audit = opened()
    kept = json.loads(json.dumps(to_document(audit)))
    assert from_document(kept) == audit
    measures = {m["name"]: m for m in kept["comparisons"][0]["views"][0]["measures"]}
    for name, (_, low) in OPEN.items():
        assert (measures[name]["overall_low"], measures[name]["overall_high"]) == (low, None)


def test_a_row_of_a_class_never_has_one() -> None:
    """The CSV file is of classes, and their intervals have both ends."""
    for row in standard.DictReader(io.StringIO(csv.render(opened()))):
        for column in row:
            if column.endswith("_low"):
                assert bool(row[column]) == bool(row[f"{column.removesuffix('_low')}_high"])

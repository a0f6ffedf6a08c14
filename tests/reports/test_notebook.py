"""The fragment that a notebook shows: whole against a golden file, escaped, and nothing of a page in it."""

from __future__ import annotations

import re
from dataclasses import replace

import html5lib
import pytest

from prune_audit.core import Audit
from prune_audit.reports.notebook import ROWS, render
from tests.reports import audits
from tests.reports.golden import same_as_golden


@pytest.mark.parametrize("name", ["ten", "several", "settled"])
def test_whole_text(name: str) -> None:
    same_as_golden(f"{name}.notebook.html", render(getattr(audits, name)()).encode())


@pytest.mark.parametrize("name", ["ten", "several", "everything", "settled"])
def test_it_is_html_without_links_scripts_or_identifiers(name: str) -> None:
    shown = render(getattr(audits, name)())
    html5lib.HTMLParser(strict=True).parseFragment(shown)
    assert not re.search(r"<script|<a |href|src=|\sid=", shown)


def test_the_worst_classes_come_first_and_no_more_than_a_few() -> None:
    shown = render(audits.ten())
    classes = re.findall(r'<th scope="row">([^<]*)</th>', shown)
    assert len(classes) == ROWS
    assert classes[:2] == ["7", "8"]
    assert "2 more classes: to_frame() has all" in shown


def test_names_are_text() -> None:
    audit = audits.ten()
    comparison = audit.comparisons[0]
    view = comparison.views[0]
    names = ("<script>alert(1)</script>", *view.pair.strata[1:7], '"><b>', *view.pair.strata[8:])
    view = replace(view, pair=replace(view.pair, strata=names, classes=names))
    shown = render(replace(audit, comparisons=(replace(comparison, views=(view, *comparison.views[1:])),)))
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&quot;&gt;&lt;b&gt;" in shown


def test_an_audit_shows_itself_so() -> None:
    audit: Audit = audits.several()
    assert audit._repr_html_() == render(audit)

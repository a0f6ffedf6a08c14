"""Markdown: names stay names, the worst comes first, and no more bytes than GitHub takes."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from markdown_it import MarkdownIt

from prune_audit.core import Audit
from prune_audit.reports import markdown
from tests.reports import audits
from tests.reports.golden import same_as_golden


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table as a reader sees them, by a Markdown parser."""
    html = MarkdownIt("commonmark").enable("table").render(text)
    return [
        [
            [unescape(re.sub(r"<(?!\\)[^>]*>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)
        ]
        for table in re.findall(r"<table>(.*?)</table>", html, re.S)
    ]


@pytest.mark.parametrize("name", ["ten", "judged", "several", "everything", "biting", "waived", "thousand", "settled"])
def test_whole_text(name: str) -> None:
    same_as_golden(f"{name}.md", markdown.render(getattr(audits, name)()).encode("utf-8", "backslashreplace"))


def test_the_verdict_is_first() -> None:
    lines = markdown.render(audits.judged()).splitlines()
    assert lines[0] == "### ❌ prune-audit: `pruned-90` against `dense`"
    assert lines[2].startswith("**Gate default: FAILED.")


@pytest.mark.parametrize("name", ["judged", "several", "everything", "biting", "thousand", "settled"])
def test_every_row_has_the_cells_of_its_head(name: str) -> None:
    found = tables(markdown.render(getattr(audits, name)()))
    assert found
    for table in found:
        assert len({len(row) for row in table}) == 1


def test_names_are_read_as_they_are() -> None:
    text = markdown.render(audits.biting())
    classes = [row[0] for row in tables(text)[-1][1:]]
    assert classes == ["::error::x", "a|b", "`code` **b**", "<b>&amp;</b>", "@team #1", "=1+1",
                       "two\\nlines\\ttab", "\\x1b[31m\\ufffe", "ü"]  # fmt: skip
    html = MarkdownIt("commonmark").enable("table").render(text)
    assert "<b>" not in html
    assert "<em>" not in html


def test_nobody_is_called() -> None:
    """GitHub looks for mentions everywhere but in code."""
    text = markdown.render(audits.biting())
    outside = re.sub(r"`[^`]*`|<code>.*?</code>", "", text)
    assert not re.search(r"[@#]\w", outside)
    assert "@\u200bteam" in outside


def test_worst_first_and_the_rest_counted() -> None:
    text = markdown.render(audits.thousand())
    rows = tables(text)[-1][1:]
    assert [row[8] for row in rows] == ["regressed"] * 30
    assert "970 more, none of them flagged." in text


def long(variants: int) -> Audit:
    rows: list[audits.Row] = [(f"{i} {'ü' * 200}", (20, 25, 0, 5), "regressed", "harmed") for i in range(150)]
    return audits.audit(rows, pruned=[audits.card(f"v{i}", 0.5) for i in range(variants)])


def test_a_text_too_long_is_cut_by_bytes_and_says_so() -> None:
    text = markdown.render(long(3))
    assert 50_000 < len(text.encode()) <= markdown.MOST
    cut = re.search(r"Cut here: ([\d,]+) more rows", text)
    assert cut
    shown = sum(line.startswith("| **") for line in text.splitlines())
    heads = int(cut[1].replace(",", "")) + shown - 450
    assert 0 <= heads <= 2  # of the tables that are missing whole


def test_of_several_variants_those_that_failed_are_detailed() -> None:
    audit = audits.several()
    fine: list[audits.Row] = [("0", (90, 0, 0, 2), "fine", "no harm shown"), ("1", (90, 0, 0, 2), "fine", None)]
    quiet = replace(audit.comparisons[0], views=(audits.view(fine),))
    text = markdown.render(replace(audit, comparisons=(quiet, *audit.comparisons[1:])))
    assert "#### `pruned-50`" not in text
    assert "#### `pruned-90`" in text
    assert "| `pruned-50` | 50 %" in text


def test_a_waiver_is_seen_with_its_reason() -> None:
    assert "| waived | recall-drop | `pruned-90` | `7` | lost 33.3 points; waived until 2027-01-01" in markdown.render(
        audits.waived()
    )


def test_a_sample_says_that_it_never_gates() -> None:
    assert "a sample never gates" in markdown.render(audits.limited())

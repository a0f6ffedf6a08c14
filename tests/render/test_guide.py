"""The guide by its sections: headings, topics, and the HTML that a page holds."""

from __future__ import annotations

import re

import html5lib
import pytest

from prune_audit import plugins, shipped
from prune_audit.render import guide


def test_its_sections_are_its_headings_in_order() -> None:
    text = re.sub(r"```.*?```", "", shipped.guide(), flags=re.S)
    headings = re.findall(r"^##+ (.*)$", text, re.M)
    assert [each.title for each in guide.sections()] == headings
    listed = re.findall(r"^- \[.*\]\(#(.*)\)$", shipped.guide(), re.M)
    assert set(listed) <= {each.anchor for each in guide.sections() if each.level == 2}


def test_every_statistic_is_a_section_of_its_own_below_the_columns() -> None:
    below = {each.anchor for each in guide.sections() if each.above == "every-column"}
    assert below == {*plugins.names("stats")}


def test_a_section_holds_those_below_it_and_ends_where_the_next_begins() -> None:
    (found,) = guide.find("cannot-tell-and-what-to-do-about-it")
    assert found.text.startswith("*Cannot tell* is not a soft *fine*.")
    assert "### Before there are any samples" in found.text
    assert "A pass is not clearance" not in found.text


@pytest.mark.parametrize(
    ("topic", "anchors"),
    [
        ("recall", ["recall"]),
        ("Cannot tell", ["cannot-tell-and-what-to-do-about-it"]),
        ("gate", ["the-gate-and-its-exit-codes"]),
        ("alpha", ["alpha-and-how-it-misleads", "alpha"]),
        ("columns", []),
        ("every-column", ["every-column"]),
        ("before", ["before-there-are-any-samples"]),
        ("", []),
        ("?", []),
    ],
)
def test_what_a_topic_finds(topic: str, anchors: list[str]) -> None:
    assert [each.anchor for each in guide.find(topic)] == anchors


def test_the_opening_is_what_stands_before_the_sections_without_the_list_of_them() -> None:
    assert guide.opening().startswith("# How to read an audit\n")
    assert guide.opening().endswith("wherever\nyou are.")


def test_links_between_embedded_sections_stay_and_others_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    made = """# G

## One thing

See [two](#two), [three](#three) and [a file](other.md): 5 % of `<b>` and <i>.

| a | b |
|---|---|
| 1 | 2 |

## Two

x

## Three

y
"""
    for each in (guide.sections, guide._headings, guide.opening):
        each.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(shipped, "guide", lambda: made)
        ((section, content), _) = guide.embedded(["one-thing", "two"])
    for each in (guide.sections, guide._headings, guide.opening):
        each.cache_clear()
    assert section.title == "One thing"
    assert (
        '<p>See <a href="#guide-two">two</a>, three and a file: 5\N{NO-BREAK SPACE}% of <code>&lt;b&gt;</code> and '
        "&lt;i&gt;.</p>" in content
    )
    table = html5lib.parse(content, namespaceHTMLElements=False).find(".//table")
    assert table is not None
    assert [cell.text for cell in table.iter("td")] == ["1", "2"]
    assert [head.get("scope") for head in table.iter("th")] == ["col", "col"]


def test_without_links_the_words_stay() -> None:
    assert guide.without_links("a [b c](#d-e), [f](g.md)") == "a b c, f"

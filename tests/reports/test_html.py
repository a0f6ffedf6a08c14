"""The page: whole, valid, safe, accessible, small enough, and honest. tests/browser shows it to a browser.

In the golden pages a drawing is its title and description, since the drawing itself changes with Vega-Lite's version;
style and script are files of their own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from html import escape
from itertools import pairwise
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import html5lib
import numpy as np
import pytest

from prune_audit.core import Audit, Drawing, Field, Pair, Settings, Table, View, lookup
from prune_audit.render import wording
from prune_audit.reports import _page_about, _page_index, _page_large, _page_variant, html, svg
from prune_audit.stats import measures
from prune_audit.tasks import language_models
from tests.lenses.looks import looked
from tests.reports import audits
from tests.reports.golden import same_as_golden, without_drawings

NAMES = ("ten", "judged", "waived", "identical", "several", "everything", "limited", "settled", "biting", "thousand")
BITES = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b", "' onclick='x", "]]>", "\u2028{{1}}")


@cache
def page(name: str) -> str:
    return html.render(getattr(audits, name)())


@lru_cache(maxsize=16)  # a second for a long page, which many tests look at and none changes
def parsed(text: str) -> Element:
    """The page as the rules for browsers read it; whatever is not valid HTML raises."""
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    assert isinstance(root, Element)
    return root


def said(root: Element) -> str:
    return " ".join(" ".join(root.itertext()).split())


def with_measures(audit: Audit, pair: Pair, settings: Settings) -> Audit:
    """``audit`` of ``pair``, with everything that is measured."""
    view = View(pair=pair, measures=measures(pair, settings))
    return replace(audit, comparisons=tuple(replace(c, views=(view,)) for c in audit.comparisons))


def of_classes(number: int) -> Audit:
    """Everything that is measured of many classes, some of which lost samples."""
    rng = np.random.default_rng(0)
    lost = rng.binomial(50, np.where(np.arange(number) % 20, 0.03, 0.4))
    table = np.stack(
        [45 - np.minimum(lost, 45), np.minimum(lost, 45), rng.integers(0, 3, number), rng.integers(1, 4, number)]
    )
    names = [f"n{i:08d} a rather long name of a class" for i in range(number)]
    moved = [(i, i, (i + 1) % number, int(n)) for i, n in enumerate(lost)]
    pair = replace(Pair.of(table.T, strata=names), moves=np.array(moved, np.int64))
    return with_measures(audits.ten(), pair, Settings())


@pytest.mark.parametrize("name", ["judged", "several", "everything", "settled"])
def test_whole_page(name: str) -> None:
    same_as_golden(f"{name}.html", without_drawings(page(name)).encode())


@pytest.mark.parametrize("name", NAMES)
def test_valid_and_the_same_twice(name: str) -> None:
    parsed(page(name))
    assert page(name) == html.render(getattr(audits, name)())


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_read_by_ear_and_by_keyboard(name: str) -> None:
    root = parsed(page(name))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        for target in (element.get("aria-labelledby") or "").split():
            assert target in ids
        if (element.get("href") or "").startswith("#"):
            assert (element.get("href") or "")[1:] in ids
        if element.get("data-for"):
            assert element.get("data-for") in ids
    levels = [int(element.tag[1]) for element in root.iter() if re.fullmatch(r"h[1-6]", str(element.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in root.iter("table"):
        assert table.find("caption") is not None
        assert all(head.get("scope") in ("col", "row") for head in table.iter("th"))
        widths = {len([cell for cell in row if cell.tag in ("th", "td")]) for row in table.iter("tr")}
        assert len(widths) == 1
    assert all(image.get("alt") for image in root.iter("img"))
    assert [element.tag for element in root.iter() if element.tag in ("header", "nav", "main")] == [
        "header",
        "nav",
        "main",
    ]
    assert root.get("lang") == "en"


def attributes(root: Element) -> Iterator[tuple[str, str]]:
    for element in root.iter():
        yield from element.attrib.items()


def test_it_loads_nothing_and_runs_one_script() -> None:
    root = parsed(page("several"))
    (script,) = root.iter("script")
    digest = base64.b64encode(hashlib.sha256((script.text or "").encode()).digest()).decode()
    (policy,) = [meta.get("content") or "" for meta in root.iter("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    for name, value in attributes(root):
        assert name not in ("src", "srcset", "action")
        assert name != "href" or value.startswith("#")
    assert not [element for element in root.iter() if element.tag in ("link", "iframe", "object", "base", "form")]
    assert "http" not in re.sub(r"xmlns(:\w+)?=\"[^\"]+\"", "", page("several")).replace("http-equiv", "")


def bitten() -> Audit:
    """Names that bite wherever there is a name."""
    rows: list[audits.Row] = [(name, (30, 50, 1, 9), "regressed", "harmed") for name in BITES]
    whole = audits.audit(rows, pruned=[audits.card(BITES[0], 0.1), audits.card(BITES[1], 0.5)], policy=audits.POLICY)
    first = whole.comparisons[0]
    flip = replace(first.flips[0], id=BITES[0], label=BITES[1], dense=BITES[2], pruned=BITES[3], thumbnail='x"><b>')
    groups = replace(first.views[0], pair=replace(first.views[0].pair, by=BITES[3]))
    check = replace(audits.judged().comparisons[0].checks[0], subject=BITES[0], message=BITES[1], outcome="failed")
    bites = tuple(
        replace(c, views=(first.views[0], groups), flips=(flip,), checks=(check,), dense=audits.card(BITES[4], 1.0))
        for c in whole.comparisons
    )
    p = replace(whole.provenance, data=BITES[0], notes=BITES, skipped=((BITES[0], BITES[1]),), versions={BITES[0]: "1"})
    return replace(whole, comparisons=bites, provenance=p, policy=replace(audits.POLICY, name=BITES[1]))


def test_names_that_bite_stay_text() -> None:
    text = html.render(bitten())
    root = parsed(text)
    assert len(list(root.iter("script"))) == 1
    assert all(not name.startswith("on") for name, _ in attributes(root))
    assert {image.get("src", "")[:5] for image in root.iter("img")} == {"data:"}
    words = said(root)
    for name in BITES[:5]:
        assert name in words
    assert "\u2028" not in text
    assert "\\u2028{{1}}" in words


@pytest.mark.parametrize("kind", ["grid", "dots", "lines", "scatter"])
def test_what_lenses_saw_stays_text(kind: Drawing) -> None:
    bite = '"><img src=x onerror=a>\x1b[31m\u202e'
    audit = looked(kind)
    [comparison] = audit.comparisons
    look = comparison.looks[0]
    [table] = look.tables
    whole = replace(
        table,
        name=bite,
        title=bite,
        fields=tuple(replace(each, title=f"{each.title}{bite}", meaning=bite) for each in table.fields),
        rows=tuple(tuple(f"{v}{bite}" if isinstance(v, str) else v for v in row) for row in table.rows),
        notes=(bite,),
        drawn=tuple(replace(each, title=bite, shows=bite, reading=bite) for each in table.drawn),
    )
    seen = replace(look, lens=bite, title=bite, sentences=(bite,), tables=(whole,))
    blind = replace(comparison.looks[1], absent=bite)
    shown = replace(audit, comparisons=(replace(comparison, looks=(seen, blind), explained=(bite,)),))
    text = html.render(shown)
    assert {image.get("src", "")[:5] for image in parsed(text).iter("img")} <= {"data:"}
    for each in (text, svg.render(shown)):
        assert "\\x1b" in each
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", each.replace("\n", ""))
    ElementTree.fromstring(svg.render(shown))


@pytest.mark.parametrize("name", ["everything", "biting"])
def test_nothing_steers_the_reader(name: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ufffe\u2028\u2029]", page(name).replace("\n", ""))


def test_the_first_section_says_who_by_how_much_and_how_sure() -> None:
    root = parsed(page("judged"))
    first = next(section for section in root.iter("section") if section.get("id") == "verdict")
    words = said(first)
    assert words.startswith("The gate failed")
    assert "Classes that lost most 7 -33.3 points 95 % interval -38.3 to -28.3" in words
    assert "Recall 67.8 % → 34.4 %: 31 of 90 samples lost, 1 gained regressed intensified" in words
    assert "No class lost more than 45.0 points (95 % confidence for all classes at once)." in words
    assert "FAILED. 1 of 3 checks failed" in words


def test_a_pass_is_no_clearance() -> None:
    passed = html.render(audits.judged("passed"))
    first = next(section for section in parsed(passed).iter("section"))
    assert said(first).startswith("The gate passed: no failure was shown, which is no clearance")
    assert "what these data cannot rule out stands above" in said(first)


def test_without_a_gate_the_findings_come_first() -> None:
    root = parsed(page("ten"))
    banner = next(element for element in root.iter("h2"))
    assert said(banner) == "2 classes regressed, 2 harmed, 3 undecided; no gate was asked for"
    assert "bad" in (banner.get("class") or "")
    same = next(element for element in parsed(page("identical")).iter("h2"))
    assert said(same) == "0 classes regressed, 0 harmed, 0 undecided; no gate was asked for"
    assert "bad" not in (same.get("class") or "")


def test_a_sample_says_so_and_shows_no_verdict_of_a_gate() -> None:
    words = said(parsed(page("limited")))
    assert "a sample only, 810 of 50,000: this never gates" in words
    assert "What the gate looked at" not in words
    assert "The gate" not in words


def test_several_variants_are_summed_up_densest_first() -> None:
    root = parsed(page("several"))
    summary = next(root.iter("table"))
    rows = [said(row.find("th") or row) for row in summary.findall("tbody/tr")]
    assert rows == ["pruned-50", "pruned-90", "int8"]
    targets = [link.get("href") for link in summary.iter("a")]
    assert targets == ["#variant-0", "#variant-1", "#variant-2"]
    assert "Sparsest variant that passes" in said(root)


def test_nothing_is_said_of_densities_that_nobody_knows() -> None:
    several = audits.several()
    recorded = replace(several.comparisons[2].pruned, layers=())
    unknown = [
        replace(each, dense=replace(each.dense, layers=()), pruned=replace(recorded, name=f"m{n}"))
        for n, each in enumerate(several.comparisons)
    ]
    root = parsed(html.render(replace(several, comparisons=tuple(unknown))))
    tables = list(root.iter("table"))
    assert said(tables[0]).startswith("3 variants, in the order given, because densities are unknown variant gate acc")
    assert "Columns: variants, the densest first" not in said(root)
    assert "weights left" not in said(root)
    models = next(each for each in tables if said(each).startswith("Models"))
    assert [said(head) for head in models.findall("thead/tr/th")] == [
        *("model", "format", "file", "parameters", "bytes", "SHA-256")
    ]


def test_every_measure_is_there_with_its_interval_and_why_it_is_absent() -> None:
    audit = of_classes(12)
    root = parsed(html.render(audit))
    words = said(root)
    for measure in audit.comparisons[0].views[0].measures:
        assert measure.title in words, measure.name
    assert 'title="no samples of this class"' in page("ten")


def test_waived_checks_are_shown_as_waived_with_their_reason() -> None:
    words = said(next(s for s in parsed(page("waived")).iter("section") if s.get("id") == "checks"))
    assert "waived recall-drop pruned-90 7 lost 33.3 points; waived until 2027-01-01: accepted by QA" in words


def test_a_class_has_a_story_of_its_own() -> None:
    root = parsed(page("judged"))
    table = next(each for each in root.iter("table") if each.get("id") == "classes-0-0")
    links = [link.get("href") for link in table.iter("a")]
    assert links[0] == "#class-0-7"
    assert len(links) == 10
    card = next(each for each in root.iter("li") if each.get("class") == "card")
    assert [link.get("href") for link in card.iter("a")] == ["#class-0-7"]
    story = of_id(root, "class-0-7")
    words = said(story)
    assert words.startswith("7 regressed Paid more than the rest? yes: intensified")
    assert "Recall 67.8 % → 34.4 %, -33.3 points (95 % interval -38.3 to -28.3)." in words
    assert "90 samples: 30 right in both, 31 lost, 1 gained, 28 wrong in both." in words
    assert [link.get("href") for link in story.iter("a")] == ["#classes-0-0"]


def test_the_story_of_a_class_that_lost_says_what_explains_it() -> None:
    audit = audits.ten()
    sentences = ("pruned-90 lost 7.", "It is <batch> normalisation.", "Try new statistics: `prune-audit mitigate`.")
    comparison = replace(audit.comparisons[0], explained=sentences)
    root = parsed(html.render(replace(audit, comparisons=(comparison,))))
    told = "What explains who lost It is <batch> normalisation. Try new statistics: prune-audit mitigate ."
    assert told in said(of_id(root, "class-0-7"))
    assert "pruned-90 lost 7" not in said(of_id(root, "class-0-7"))  # who lost, a story knows
    assert "What explains" not in said(of_id(root, "class-0-5"))
    assert "What explains" not in said(parsed(page("ten")))


def test_classes_that_are_crossed_with_a_column_have_it_to_filter_by() -> None:
    root = parsed(html.render(audits.crossed()))
    table = of_id(root, "classes-0-1")
    heads = [said(head) for head in table.iter("th") if head.get("scope") == "col"]
    assert heads[:3] == ["class,place", "place", "verdict"]
    cells = {said(row[0]): (said(row[1]), row[1].get("class")) for row in table.findall("tbody/tr")}
    assert cells == {f"{one}, {where}": (where, "l") for one in ("cat", "dog") for where in ("indoor", "outdoor")}
    # What the commas part cannot be told where names hold some, and a column of many values is no filter.
    three = of_id(parsed(html.render(audits.crossed("class,place,time"))), "classes-0-1")
    assert "place" not in [said(head) for head in three.iter("th")]


def test_a_story_says_where_the_samples_went_and_what_would_settle_it() -> None:
    comparison = audits.judged().comparisons[0]
    (view,) = comparison.views
    first, *rest = lookup.those(view, "verdict", ["cannot tell"])
    moves = np.array([[7, 7, 1, 30], [7, 7, 9, 1], [7, 2, 7, 1], [7, 2, 3, 5], [8, 8, 3, 22]])
    needed = replace(
        view.measures[0],
        name="samples_needed",
        by_stratum=tuple(400 if i == first else None for i in range(10)),
        low=(),
        high=(),
        absent=dict.fromkeys(rest, "no number would do"),
    )
    measured = replace(view, pair=replace(view.pair, moves=moves), measures=(*view.measures, needed))
    audit = replace(audits.judged(), comparisons=(replace(comparison, views=(measured,)),))
    root = parsed(html.render(audit))
    went = [said(item) for item in of_id(root, "class-0-7").iter("li")]
    assert went[:4] == [
        "7 → 1: 30 samples, lost 7/0001.png",
        "2 → 3: 5 samples, wrong in both",
        "7 → 9: 1 sample, lost",
        "2 → 7 : 1 sample, gained",
    ]
    assert "Where its samples went" not in said(of_id(root, "class-0-1"))
    lacking = {story.get("id"): said(story) for story in root.iter("section") if story.get("class") == "story"}
    undecided = [f"class-0-{i}" for i in (first, *rest)]
    assert sorted(name or "" for name, words in lacking.items() if "To settle it" in words) == sorted(undecided)
    settling = "To settle it: about 400 samples of it, 310 more than there are ( prune-audit plan )."
    assert settling in lacking[undecided[0]]
    assert "To settle it: no number would do." in lacking[undecided[1]]


def test_a_story_has_what_lenses_saw_of_the_class() -> None:
    audit = looked("dots")
    [comparison] = audit.comparisons
    look = comparison.looks[0]
    seen = Table(
        name="of",
        title="Of each class",
        fields=(
            Field(name="class", title="class", unit="label"),
            Field(name="loss", title="excess loss", unit="ratio"),
            Field(name="none", title="nothing", unit="ratio"),
        ),
        rows=(("7", 0.5, None), ("8", 0.25, None)),
    )
    shown = replace(audit, comparisons=(replace(comparison, looks=(replace(look, tables=(seen,)),)),))
    root = parsed(html.render(shown))
    words = said(of_id(root, "class-0-7"))
    assert "Which layer? Of each class excess loss 0.50 All of layers" in words
    assert "nothing" not in words
    assert "All of layers" not in said(of_id(root, "class-0-1"))


def of_id(root: Element, name: str) -> Element:
    return next(element for element in root.iter() if element.get("id") == name)


def test_pictures_of_flips_are_in_the_story_of_their_class_and_said_in_words() -> None:
    audit = audits.ten()
    flip = audit.comparisons[0].flips[0]
    flips = (
        replace(flip, thumbnail="iVBORx"),
        replace(flip, dense="1", pruned="7", thumbnail="/9j/x"),
        flip,
        replace(flip, label="no class", thumbnail="/9j/y"),
    )
    root = parsed(html.render(replace(audit, comparisons=(replace(audit.comparisons[0], flips=flips),))))
    story = of_id(root, "class-0-7")
    pictures = list(story.iter("img"))
    assert [(image.get("src"), image.get("loading")) for image in pictures] == [
        ("data:image/png;base64,iVBORx", "lazy"),
        ("data:image/jpeg;base64,/9j/x", "lazy"),
    ]
    assert pictures[0].get("alt") == "7/0001.png: is 7, dense says 7, pruned says 1"
    words = said(root)
    assert "Samples that only one model gets right: 71, 4 of them kept Pictures of them, by class: 7 (2)." in words
    # What is of no class of the page stands by itself.
    assert [image.get("src") for image in root.iter("img")][2:] == ["data:image/jpeg;base64,/9j/y"]


@pytest.mark.parametrize(("classes", "most"), [(10, 1_500_000), (1000, 4_000_000)])
def test_it_is_small_enough(classes: int, most: int) -> None:
    assert len(html.render(of_classes(classes)).encode()) < most


def test_many_variants_of_many_classes_are_small_enough_too() -> None:
    audit = of_classes(1000)
    cards = [audits.card(f"pruned-{n}", n / 100) for n in range(1, 9)]
    text = html.render(replace(audit, comparisons=tuple(replace(audit.comparisons[0], pruned=c) for c in cards)))
    assert len(text.encode()) < 4_000_000
    words = said(parsed(text))
    assert "Classes of pruned-1, worst first, the worst 40 of 1,000; the index has all" in words
    assert "are too much for a page; the CSV file has all" in words
    index = of_id(parsed(text), "index-0")
    assert len(list(index.iter("tr"))) == 1 + 1000
    assert [said(head) for head in index.iter("th")][:4] == ["class", "dense", "pruned-8", "pruned-7"]


def test_a_thousand_classes_are_the_worst_and_an_index_of_all() -> None:
    root = parsed(html.render(of_classes(1000)))
    table = next(root.iter("table"))
    assert said(table).startswith("Classes, worst first, the worst 40 of 1,000; the index has all")
    assert len(list(table.iter("tr"))) == 1 + 40
    assert "Of more than 200 classes a page has the 40 worst in full, and all in an index" in said(root)
    index = of_id(root, "index-0")
    rows = [said(row) for row in index.iter("tr")]
    assert rows[0] == "class dense pruned verdict"
    assert rows[1] == "n00000000 a rather long name of a class 93.8 54.2 regressed"
    assert len(rows) == 1 + 1000
    links = [link.get("href") for link in index.iter("a")]
    assert len(links) == 1000
    assert said(of_id(root, "class-0-999")).startswith("n00000999 a rather long name of a class")


def test_the_index_says_what_the_task_calls_its_numbers() -> None:
    audit = of_classes(201)
    told = [
        replace(each, views=tuple(replace(v, pair=replace(v.pair, task=language_models.TASK)) for v in each.views))
        for each in audit.comparisons
    ]
    words = said(of_id(parsed(html.render(replace(audit, comparisons=tuple(told)))), "index"))
    assert "Accuracy in %." in words
    assert "ecall" not in words


def test_the_index_cuts_what_no_page_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page_large, "CELLS", 400)
    index = of_id(parsed(page_of := html.render(of_classes(300))), "index-0")
    assert len(list(index.iter("tr"))) == 1 + 100
    assert "Classes, by name, the worst 100 of 300" in page_of
    assert "the 40 worst in full, and the worst in an index" in page_of
    assert "the worst 40 of 300; the CSV file has all" in page_of
    assert [said(row)[:9] for row in index.iter("tr")][1:3] == ["n00000000", "n00000004"]


def test_names_sort_as_people_do() -> None:
    names = ["class 10", "Class 9", "b", "class 9a", "2", "10"]
    assert sorted(names, key=_page_index._by_name) == ["2", "10", "b", "Class 9", "class 9a", "class 10"]


def test_what_was_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page_variant, "CELLS", 10)
    assert "10 classes and 16 measures are too much for a page; the CSV file has all." in html.render(audits.ten())


@pytest.mark.parametrize("name", NAMES)
def test_a_number_and_its_percent_sign_stay_on_one_line(name: str) -> None:
    """In sentences, which a telephone breaks; what stands in a table does not break."""
    root = parsed(page(name))
    broken = [
        text for kind in ("p", "dd", "dt") for element in root.iter(kind) for text in element.itertext()
        if re.search(r"\d %", text)
    ]  # fmt: skip
    assert broken == []
    assert "95\N{NO-BREAK SPACE}% interval" in page("ten")


def test_what_is_typed_is_code_and_a_name_with_backticks_is_itself() -> None:
    gate = next(p for p in parsed(page("ten")).iter("p") if p.get("class") == "gate")
    assert [code.text for code in gate.iter("code")] == ["prune-audit check", "compare --gate"]
    assert "`code` **b**" in page("biting")
    assert "code" not in [code.text for code in parsed(page("biting")).iter("code")]


def test_the_page_holds_the_sections_of_the_guide_that_it_names() -> None:
    """Whoever reads the page need not have prune-audit."""
    root = parsed(page("ten"))
    folds = {fold.get("id"): said(fold) for fold in root.iter("details") if (fold.get("id") or "").startswith("guide-")}
    assert list(folds) == [f"guide-{anchor}" for anchor in _page_about.GUIDE]
    assert "means that the samples allow both" in folds["guide-cannot-tell-and-what-to-do-about-it"]
    words = next(element for element in root.iter("section") if element.get("id") == "words")
    links = {link.get("href") for link in words.iter("a")}
    assert links <= {f"#{each}" for each in folds}
    assert {"#guide-the-words", "#guide-alpha-and-how-it-misleads"} <= links
    assert "docs/" not in said(root)


def test_what_to_do_next_stands_in_the_verdict_with_its_command() -> None:
    verdict = page("several").partition('id="verdict"')[2].partition("</section>")[0]
    for said, command in wording.next_steps(audits.several(), None):
        assert f'<p class="next">{escape(said)}<br><code>{escape(command)}</code></p>' in verdict
    assert "prune-audit explain" in verdict

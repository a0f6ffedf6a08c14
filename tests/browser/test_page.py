"""The page in chromium: nothing is asked for, nothing is complained of, and the table sorts, filters, prints."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from prune_audit.core import Audit, Comparison
from prune_audit.reports import html
from tests.browser import chromium
from tests.reports import audits
from tests.reports.test_html import BITES, bitten, of_classes

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages of some audits."""
    folder = tmp_path_factory.mktemp("pages")
    everything = audits.everything()
    first = everything.comparisons[0]
    pictured = replace(first, flips=tuple(replace(flip, thumbnail=PIXEL) for flip in first.flips))
    made = {
        "ten": audits.judged(),
        "several": audits.several(),
        "everything": replace(everything, comparisons=(pictured,)),
        "bitten": bitten(),
        "one": of_classes(1),
        "hundred": of_classes(100),
        "large": of_classes(201),
        "thousand": of_classes(1000),
        "long": long(audits.several()),
        "crossed": audits.crossed(),
        "two": two(of_classes(201)),
    }
    for name, audit in made.items():
        (folder / f"{name}.html").write_text(html.render(audit), encoding="utf-8")
    return folder


def long(audit: Audit) -> Audit:
    """``audit`` with names that are longer than a chart has room for, and with samples that moved."""
    names = tuple(f"great white shark {i}, man-eater, Carcharodon" for i in range(10))
    moves = np.array([[7, 7, 1, 30], [8, 8, 3, 22]])

    def renamed(comparison: Comparison) -> Comparison:
        (view,) = comparison.views
        pair = replace(view.pair, classes=names, strata=names, moves=moves)
        return replace(comparison, views=(replace(view, pair=pair),))

    return replace(audit, comparisons=tuple(map(renamed, audit.comparisons)))


def two(audit: Audit) -> Audit:
    """``audit`` with its variant twice, under another name."""
    [first] = audit.comparisons
    return replace(audit, comparisons=(first, replace(first, pruned=replace(first.pruned, name="again"))))


def column(driver: Chrome, table: str, position: int) -> Sequence[str]:
    """The text of a column, of the rows that are shown."""
    cells: Sequence[str] = driver.execute_script(
        "return [...document.getElementById(arguments[0]).tBodies[0].rows].filter(r => !r.hidden)"
        ".map(r => r.cells[arguments[1]].textContent)",
        table,
        position,
    )
    return cells


def press(driver: Chrome, table: str, title: str) -> None:
    """Press the head of a column as a keyboard does."""
    driver.execute_script(
        "const heads = [...document.querySelectorAll(`#${arguments[0]} th button`)];"
        "heads.find(head => head.textContent === arguments[1]).focus()",
        table,
        title,
    )
    driver.switch_to.active_element.send_keys("\n")


@pytest.mark.parametrize("name", ["ten", "several", "everything", "bitten", "thousand"])
def test_nothing_is_asked_for_and_nothing_complained_of(driver: Chrome, pages: Path, name: str) -> None:
    page = pages / f"{name}.html"
    chromium.forget(driver)
    chromium.show(driver, page)
    driver.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    asked = {url.partition(",")[0] for url in chromium.requests(driver)}
    assert asked <= {page.as_uri(), "data:image/png;base64", "data:image/jpeg;base64"}
    assert page.as_uri() in asked
    complaints = chromium.complaints(driver)
    # The flip of this audit has a picture that is none; chromium says so of data that it cannot read, or says nothing.
    assert [said for said in complaints if "data:image" not in said] == []


def test_names_that_bite_are_words_on_the_page(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "bitten.html")
    seen = driver.execute_script("return document.body.textContent")
    assert all(name in seen for name in BITES[:5])
    assert driver.execute_script("return document.scripts.length") == 1
    drawn = driver.execute_script("return [...document.querySelectorAll('svg text')].map(t => t.textContent)")
    assert any(text.startswith("<script>alert") for text in drawn)


def test_a_column_sorts_up_and_down_with_what_is_absent_last(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "ten.html")
    table = "classes-0-0"
    assert column(driver, table, 0)[:2] == ["7", "8"]
    press(driver, table, "change")
    up = column(driver, table, 2)
    assert list(up) == ["-33.3", "-24.4", "-3.3", "-1.1", "-1.1", "0.0", "0.0", "0.0", "+2.2", "-"]
    press(driver, table, "change")
    assert list(column(driver, table, 2)) == [
        "+2.2",
        "0.0",
        "0.0",
        "0.0",
        "-1.1",
        "-1.1",
        "-3.3",
        "-24.4",
        "-33.3",
        "-",
    ]
    sorts = driver.execute_script(
        "return [...document.querySelectorAll('#classes-0-0 th[aria-sort]')].map(h => h.ariaSort)"
    )
    assert sorts == ["descending"]
    press(driver, table, "class")
    assert list(column(driver, table, 0)) == list("0123456789")
    press(driver, table, "verdict")
    assert column(driver, table, 1)[0] == "cannot tell"


def test_the_table_filters_by_name_and_by_verdict(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "everything.html")

    def enter(bar: int, said: str) -> str:
        found: str = driver.execute_script(
            "const bar = document.querySelectorAll('.filter')[arguments[0]], c = bar.querySelector('input');"
            "c.value = arguments[1]; c.dispatchEvent(new Event('input'));"
            "return bar.querySelector('output').textContent",
            bar, said,
        )  # fmt: skip
        return found

    def push(said: str) -> tuple[str, str]:
        """Whether the button is pressed then, and what is told."""
        bar = driver.find_element("css selector", ".filter")
        button = next(each for each in bar.find_elements("tag name", "button") if each.text == said)
        button.send_keys(" ")
        return str(button.get_attribute("aria-pressed")), bar.find_element("tag name", "output").text

    assert push("yes: intensified (1)") == ("true", "1 of 10 shown")
    assert list(column(driver, "classes-0-0", 0)) == ["7"]
    assert push("yes: harmed (1)") == ("true", "2 of 10 shown")  # either of them
    assert push("fine (4)") == ("true", "0 of 10 shown")  # and that, too
    for said in ("yes: intensified (1)", "yes: harmed (1)", "fine (4)"):
        assert push(said)[0] == "false"
    assert enter(1, "OUT") == "1 of 2 shown"
    assert list(column(driver, "classes-0-1", 0)) == ["outdoor"]
    assert len(column(driver, "classes-0-0", 0)) == 10


def test_classes_filter_by_the_group_that_they_are_crossed_with(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "crossed.html")
    bar = driver.find_elements("css selector", ".filter")[1]
    button = next(each for each in bar.find_elements("tag name", "button") if each.text == "indoor (2)")
    button.send_keys(" ")
    assert list(column(driver, "classes-0-1", 0)) == ["cat, indoor", "dog, indoor"]
    assert bar.find_element("tag name", "output").text == "2 of 4 shown"


def test_sorting_is_told(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "ten.html")
    press(driver, "classes-0-0", "change")
    assert driver.execute_script("return document.querySelector('main > output').textContent") == (
        "Sorted by change, ascending"
    )


STATE = (
    "const story = document.getElementById(arguments[0]), image = story.querySelector('img');"
    "return [getComputedStyle(story).display, image ? image.complete && image.naturalWidth > 0 : null]"
)


def test_a_class_opens_its_story_by_keyboard_and_leads_back(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "everything.html")
    assert driver.execute_script(STATE, "class-0-7")[0] == "none"
    link = driver.find_element("css selector", "#classes-0-0 a[href='#class-0-7']")
    link.send_keys("\n")
    deadline = time.monotonic() + 10  # pictures are drawn when they come into sight
    while driver.execute_script(STATE, "class-0-7") != ["block", True]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert driver.execute_script("return document.activeElement.id") == "class-0-7"
    assert driver.execute_script(STATE, "class-0-8")[0] == "none"
    driver.switch_to.active_element.send_keys("\ue00c")  # Escape
    driver.execute_script("return new Promise(done => setTimeout(done, 50))")
    assert driver.execute_script(STATE, "class-0-7")[0] == "none"
    assert driver.execute_script("return document.activeElement.getAttribute('href')") == "#class-0-7"


def test_the_way_back_from_a_story_to_no_address_is_no_fault(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "ten.html")
    chromium.forget(driver)
    driver.find_element("css selector", "#classes-0-0 a[href='#class-0-7']").send_keys("\n")
    driver.back()
    driver.execute_script("return new Promise(done => setTimeout(done, 50))")
    assert driver.execute_script(STATE, "class-0-7")[0] == "none"
    assert chromium.complaints(driver) == []


def test_an_address_opens_a_story_without_javascript(pages: Path, driver: Chrome) -> None:
    with chromium.browser(javascript=False) as plain:
        chromium.show(plain, pages / "everything.html")
        plain.get(f"{(pages / 'everything.html').as_uri()}#class-0-7")
        assert plain.find_element("id", "class-0-7").is_displayed()
        assert plain.find_element("css selector", "#class-0-7 img").is_displayed()
        assert not plain.find_element("id", "class-0-8").is_displayed()
        deadline = time.monotonic() + 10  # the page rolls there, in a time of the browser's own
        while plain.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssVisualViewport"]["pageY"] <= 500:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core, which looks for what keeps people out."""
    return files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "theme", "width"),
    [
        ("one", "light", 1280),
        ("everything#class-0-7", "dark", 390),
        ("hundred", "light", 390),
        ("several", "light", 1280),
        ("large", "dark", 1280),
        ("thousand", "light", 1280),
        ("crossed", "light", 390),
    ],
)
def test_axe_finds_nothing(driver: Chrome, pages: Path, axe: str, name: str, theme: chromium.Theme, width: int) -> None:
    page, _, story = name.partition("#")
    chromium.show(driver, pages / f"{page}.html", width=width, theme=theme)
    if story:
        driver.execute_script("location.hash = arguments[0]", story)
    # Stories that are closed are not shown to anybody, and axe takes its time over them; as over rows of an index,
    # which are alike: that of 201 classes is looked at whole.
    alike = ".index tbody tr:nth-child(n+30)" if name == "thousand" else ".none"
    driver.set_script_timeout(300)  # a thousand classes take 24 seconds of a core
    driver.execute_script(axe)
    found = driver.execute_async_script(
        "const [alike, done] = arguments;"
        "axe.run({exclude: [['.story:not(:target)'], [alike]]}, {resultTypes: ['violations']})"
        ".then(({violations}) => done(violations.map("
        "  each => `${each.id}: ${each.nodes.length} as ${each.nodes[0].html.slice(0, 200)}`)), done)",
        alike,
    )
    assert found == []


def test_everything_is_there_without_javascript(pages: Path, driver: Chrome) -> None:
    with chromium.browser(javascript=False) as plain:
        chromium.show(plain, pages / "ten.html")
        table = plain.find_element("id", "classes-0-0")
        assert len(table.find_elements("css selector", "tbody tr")) == 10
        assert not table.find_elements("css selector", "button")
        assert not plain.find_element("css selector", ".filter").is_displayed()
        assert plain.find_element("css selector", "#recalls-0-0 svg").is_displayed()
        assert plain.find_element("id", "verdict-title").text == "The gate failed"
        folded = plain.find_element("css selector", "details")
        folded.find_element("css selector", "summary").send_keys("\n")
        assert folded.find_element("css selector", "dl").is_displayed()
        assert chromium.complaints(plain) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("name", ["ten", "several", "thousand"])
def test_no_page_is_wider_than_its_window(driver: Chrome, pages: Path, name: str, width: int) -> None:
    chromium.show(driver, pages / f"{name}.html", width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_names_stay_within_the_frame_of_their_chart(driver: Chrome, pages: Path, width: int) -> None:
    """With room to spare, since another system may have wider letters."""
    chromium.show(driver, pages / "long.html", width=width)
    found = driver.execute_script(
        "return [...document.querySelectorAll('figure')].map(figure => {"
        "  const frame = figure.getBoundingClientRect(), texts = [...figure.querySelectorAll('svg text')];"
        "  const room = texts.map(t => t.getBoundingClientRect()).filter(box => box.width)"
        "    .map(box => Math.min(box.left - frame.left, frame.right - box.right));"
        "  return [figure.querySelector('h3').textContent, Math.min(...room)]})"
    )
    assert {title for title, _ in found} == {
        "Change of each class by variant", "Recall of each class", "Where lost samples went", "Balance of each class",
        "pruned-50", "pruned-90", "int8",
    }  # fmt: skip
    assert all(room >= 4 for _, room in found), found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_follows_the_theme(driver: Chrome, pages: Path, theme: chromium.Theme) -> None:
    chromium.show(driver, pages / "ten.html", theme=theme)
    paper, ink = driver.execute_script(
        "return [getComputedStyle(document.body).backgroundColor,"
        "getComputedStyle(document.querySelector('svg text')).fill]"
    )
    light = {"light": ("rgb(255, 255, 255)", "rgb(28, 33, 40)"), "dark": ("rgb(13, 17, 23)", "rgb(230, 237, 243)")}
    assert (paper, ink) == light[theme]


def test_it_prints_with_its_folds_open_but_for_what_is_too_wide(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "ten.html")
    driver.execute_script("window.opened = 0; addEventListener('beforeprint', () => {"
                          "opened = document.querySelectorAll('details[open]').length})")  # fmt: skip
    document = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert document.startswith(b"%PDF")
    assert document.count(b"/Type /Page\n") >= 2
    folds = driver.execute_script("return [opened, document.querySelectorAll('details:not(.screen)').length]")
    assert folds[0] == folds[1] > 0
    assert driver.execute_script("return document.querySelectorAll('details[open]').length") == 0


def test_a_thousand_classes_print_on_eight_pages(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "thousand.html")
    paper = {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69}
    document = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    assert 4 <= document.count(b"/Type /Page\n") <= 8


@pytest.mark.parametrize(("name", "charts", "readings"), [("two", 0, [True, False]), ("large", 1, [True])])
def test_of_several_large_variants_paper_has_tables_and_no_chart_of_each(
    driver: Chrome, pages: Path, name: str, charts: int, readings: Sequence[bool]
) -> None:
    """With a thousand classes three variants print on 11 pages in place of 17."""
    chromium.show(driver, pages / f"{name}.html")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = "return [...document.querySelectorAll(arguments[0])].map(each => each.offsetHeight > 0)"
    assert sum(driver.execute_script(shown, ".variant > .charts")) == charts
    assert driver.execute_script(shown, ".variant > .wide + .reading") == readings
    assert all(driver.execute_script(shown, ".variant > .wide tbody tr"))
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_heads_of_columns_are_no_buttons_on_paper(driver: Chrome, pages: Path) -> None:
    """Chromium leaves buttons out where it repeats the head of a table on the next page."""
    chromium.show(driver, pages / "ten.html")
    shown = "return getComputedStyle(document.querySelector('#classes-0-0 th button')).display"
    assert driver.execute_script(shown) != "contents"
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert driver.execute_script(shown) == "contents"
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_thousand_classes_are_quick(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "thousand.html")
    elements, sorting = driver.execute_script(
        "const start = performance.now();"
        "document.querySelector('#index-0 th button').click(); document.body.offsetHeight;"
        "return [document.querySelectorAll('*').length, performance.now() - start]"
    )
    assert elements < 100_000
    assert sorting < 2_000  # milliseconds; about 100 on a laptop


def test_a_link_to_a_section_of_the_guide_opens_it(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "ten.html")
    name = "guide-alpha-and-how-it-misleads"
    state = "return document.getElementById(arguments[0]).open"
    assert driver.execute_script(state, name) is False
    driver.execute_script("document.querySelector(`a[href='#${arguments[0]}']`).click()", name)
    driver.execute_script("return new Promise(done => setTimeout(done, 50))")
    assert driver.execute_script(state, name) is True
    assert driver.execute_script("return document.querySelectorAll('.guide:not(details:not([open]) *)').length") == 1

"""The page of a study: whole, valid, safe, small enough, and quiet in a browser; skipped where there is none."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prune_audit.study import page
from tests.browser import chromium
from tests.reports.golden import same_as_golden, without_drawings
from tests.reports.test_html import attributes, parsed, said
from tests.study import analyses
from tests.study.analyses import BITES

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

GOLDEN = Path(__file__).parent / "golden"
STUDIES = {
    "whole": analyses.study(),
    "small": analyses.small(),
    "bitten": analyses.bitten(),
    "alone": analyses.study(networks=("resnet-20",), methods=("surgery",), densities=(0.1,), seeds=1),
}


@cache
def shown(name: str) -> str:
    study = STUDIES[name]
    return page.render(study.analysis, study.runs, study.classes)


def test_whole_page() -> None:
    same_as_golden("study.html", without_drawings(shown("small")).encode(), GOLDEN)


@pytest.mark.parametrize("name", STUDIES)
def test_valid_the_same_twice_and_read_by_ear(name: str) -> None:
    root = parsed(shown(name))
    study = STUDIES[name]
    assert shown(name) == page.render(study.analysis, study.runs, study.classes)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert all(target in ids for target in (element.get("aria-labelledby") or "").split())
        assert not (element.get("href") or "").startswith("#") or (element.get("href") or "")[1:] in ids
    levels = [int(element.tag[1]) for element in root.iter() if re.fullmatch(r"h[1-6]", str(element.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in root.iter("table"):
        assert table.find("caption") is not None
        assert len({len(list(row)) for row in table.iter("tr")}) == 1


def test_it_loads_nothing_and_runs_one_script() -> None:
    root = parsed(shown("bitten"))
    (script,) = root.iter("script")
    digest = base64.b64encode(hashlib.sha256((script.text or "").encode()).digest()).decode()
    (policy,) = [meta.get("content") or "" for meta in root.iter("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    for name, value in attributes(root):
        assert name not in ("src", "srcset", "action")
        assert not name.startswith("on")
        assert name != "href" or value.startswith("#")
    words = said(root)
    assert all(name in words for name in BITES[:4])
    assert "\u2028" not in shown("bitten")


def test_findings_come_first_and_the_figures_of_each_network_next() -> None:
    root = parsed(shown("whole"))
    sections = [section.get("id") for section in root.iter("section")]
    assert sections == ["findings", "network-0", "network-1", "tests", "words", "notes"]
    first = said(next(root.iter("section")))
    assert re.match(r"Gaps between classes grew in \d+ of 60 cells resnet-20 Gaps between classes grew", first)
    assert len(list(root.iter("figure"))) == 6
    assert all(fold.get("open") is None for fold in root.iter("details"))
    assert "2 networks; 7 methods; densities: 5 from 50 % to 2 %; 5 seeds; 350 runs" in said(root)


def test_a_finding_of_what_no_line_describes_has_no_colour() -> None:
    cells = [made for made in parsed(shown("whole")).iter("table") if said(made).startswith("Cells, ")]
    rows = [row for made in cells for row in made.iter("tr") if said(row).startswith("random ")]
    assert len(rows) == 10
    assert not [element for row in rows for element in row.iter("span")]
    assert all("alpha is no slope of anything" in said(row) for row in rows)


def test_nothing_found_is_no_clearance() -> None:
    study = STUDIES["alone"]
    root = parsed(shown("alone"))
    banner = next(root.iter("h2"))
    assert said(banner) == "In no cell gaps between classes are shown to have grown, which is no clearance"
    assert "unsure" in (banner.get("class") or "")
    assert "density 10 %" in said(root)
    assert [made.name for made in study.analysis.tables] == ["cells", "accuracy", "classes"]


def test_failed_runs_are_named_with_their_reason() -> None:
    words = said(parsed(shown("bitten")))
    assert "1 run that failed" in words
    assert f"at 50 %, seed 0: {BITES[0]}" in words
    assert "1 failed" in words


def test_a_table_that_is_too_long_shows_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "ROWS", 100)
    study = STUDIES["whole"]
    text = said(parsed(page.render(study.analysis, study.runs, study.classes)))
    classes = study.analysis.table("classes")
    assert f"Classes: {len(classes.telling)} findings in 700 rows" in text
    assert f"{700 - len(classes.telling)} rows more; the CSV file has all." in text


def test_it_is_small_enough() -> None:
    assert len(shown("whole").encode()) < 3_000_000


# --------------------------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every page."""
    folder = tmp_path_factory.mktemp("studies")
    for name in STUDIES:
        (folder / f"{name}.html").write_text(shown(name), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", STUDIES)
def test_nothing_is_asked_for_and_nothing_complained_of(driver: Chrome, pages: Path, name: str) -> None:
    file = pages / f"{name}.html"
    chromium.forget(driver)
    chromium.show(driver, file)
    driver.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    assert set(chromium.requests(driver)) == {file.as_uri()}
    assert list(chromium.complaints(driver)) == []


def test_names_that_bite_are_words_on_the_page(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "bitten.html")
    seen = driver.execute_script("return document.body.textContent")
    assert all(name in seen for name in BITES[:4])
    assert driver.execute_script("return document.scripts.length") == 1
    assert driver.execute_script("return document.images.length") == 0


@pytest.mark.parametrize("width", [320, 420, 768, 1280])
@pytest.mark.parametrize("name", ["whole", "bitten"])
def test_no_page_is_wider_than_its_window(driver: Chrome, pages: Path, name: str, width: int) -> None:
    chromium.show(driver, pages / f"{name}.html", width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_small_multiples_fit_a_desktop_and_scroll_on_a_telephone(driver: Chrome, pages: Path) -> None:
    script = (
        "const box = document.querySelector('.across');"
        "return [box.scrollWidth, box.clientWidth, box.querySelector('svg').getBoundingClientRect().width]"
    )
    chromium.show(driver, pages / "whole.html", width=1280)
    inner, outer, drawn = driver.execute_script(script)
    assert inner == outer
    chromium.show(driver, pages / "whole.html", width=420)
    inner, outer, still = driver.execute_script(script)
    assert inner > outer
    assert still == drawn  # as large as before, so that it can be read


def test_no_two_labels_of_a_figure_lie_on_one_another(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "whole.html", width=1280)
    collided = driver.execute_script(
        "const found = [];"
        "for (const svg of document.querySelectorAll('svg')) {"
        "  const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);"
        "  texts.forEach(([a, r], i) => texts.slice(i + 1).forEach(([b, s]) => {"
        "    const across = r.left < s.right - 1 && s.left < r.right - 1;"
        "    if (a !== b && across && r.top < s.bottom - 3 && s.top < r.bottom - 3) found.push([a, b]);"
        "  }));"
        "}"
        "return found"
    )
    assert collided == []


def test_a_test_sorts(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "whole.html")
    first = driver.execute_script(
        "const fold = document.querySelector('details'); fold.open = true;"
        "const heads = [...fold.querySelectorAll('th button')];"
        "const at = heads.findIndex(head => head.textContent === 'difference');"
        "heads[at].click();"
        "return [...fold.querySelectorAll('tbody tr')].map(row => parseFloat(row.cells[at].textContent))"
    )
    assert first == sorted(first)
    assert len(first) == 56


def test_notes_may_be_absent() -> None:
    study = STUDIES["small"]
    bare = replace(study.analysis, notes=(), tables=(study.analysis.table("cells"),))
    root = parsed(page.render(bare, study.runs, study.classes))
    assert [section.get("id") for section in root.iter("section")] == [
        "findings", "network-0", "network-1", "words", "notes",
    ]  # fmt: skip

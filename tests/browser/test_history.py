"""The page of a history in chromium: nothing is asked for, nothing is complained of, it fits and is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prune_audit.history import page
from tests.browser import chromium
from tests.history.audits import stream
from tests.history.test_writing import bitten
from tests.reports.test_html import BITES

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages of some histories."""
    folder = tmp_path_factory.mktemp("histories")
    found = stream()
    many = tuple(replace(each, data=f"{each.data} {n}") for n, each in enumerate(found * 8))
    for name, releases in {"five": found, "one": found[:1], "many": many, "bitten": bitten()}.items():
        (folder / f"{name}.html").write_text(page.render(releases), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["five", "one", "many", "bitten"])
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
    assert any(name in seen for name in BITES)
    assert driver.execute_script("return [document.scripts.length, document.images.length]") == [1, 0]


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("name", ["five", "many", "bitten"])
def test_no_page_is_wider_than_its_window(driver: Chrome, pages: Path, name: str, width: int) -> None:
    chromium.show(driver, pages / f"{name}.html", width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_figures_and_the_last_verdict_are_seen(driver: Chrome, pages: Path) -> None:
    chromium.show(driver, pages / "five.html")
    script = "return [...document.querySelectorAll('figure svg')].map(svg => svg.getBoundingClientRect().height)"
    heights = driver.execute_script(script)
    assert heights
    assert all(height > 100 for height in heights)
    assert driver.find_element("id", "last-title").is_displayed()
    first = driver.find_element("css selector", "#releases tbody th")
    assert first.is_displayed()
    assert first.text.startswith("5")  # the last release

"""A headless chromium, as the tests and the pictures of the page use it.

It gets a profile of its own, which goes with it, and is told to keep to itself: whatever the network log then shows
was asked for by the page.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

Theme = Literal["light", "dark"]

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--disable-dev-shm-usage"),
)


def missing() -> str | None:
    """Why no browser can be started, None where one can."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


@contextmanager
def browser(*, javascript: bool = True) -> Iterator[Chrome]:
    """A browser that logs its console and its network."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    with TemporaryDirectory(prefix="chromium-") as profile:
        options = ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not javascript:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


def show(driver: Chrome, page: Path, *, width: int = 1280, height: int = 900, theme: Theme = "light") -> None:
    """Open ``page`` in a window of ``width`` x ``height`` CSS pixels."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(page.as_uri())


def picture(driver: Chrome, *, height: int | None = None) -> bytes:
    """The page as PNG from its top: ``height`` pixels of it, or all."""
    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    return base64.b64decode(shot["data"])


def forget(driver: Chrome) -> None:
    """Leave out what was asked for and complained of until now."""
    for kind in ("performance", "browser"):
        _log(driver, kind)


def requests(driver: Chrome) -> Sequence[str]:
    """Every address that the page asked for, itself included."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(driver, "performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def complaints(driver: Chrome) -> Sequence[str]:
    """What the page wrote to the console, or the browser about it."""
    return [entry["message"] for entry in _log(driver, "browser")]


def _log(driver: Chrome, kind: str) -> Sequence[Mapping[str, str]]:
    entries: Sequence[Mapping[str, str]] = driver.get_log(kind)  # type: ignore[no-untyped-call]  # selenium leaves it so
    return entries

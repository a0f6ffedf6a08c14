"""Pictures of the page for the README: ``python -m tests.page_pictures`` writes docs/page.png and docs/page-dark.png.

Made from the sample models, as anybody can, so that what is promised is what is got. Needs chromium and chromedriver.
"""

from __future__ import annotations

import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from prune_audit.cli import invoke
from tests.browser import chromium
from tests.conftest import ROOT

WIDTH, MARGIN = 1180, 20  # CSS pixels
THEMES: dict[chromium.Theme, str] = {"light": "page.png", "dark": "page-dark.png"}
COMMAND = "compare sample_models/dense.onnx sample_models/pruned-90.onnx --data sample_models/val --gate --quiet"


def main(folder: Path = ROOT / "docs") -> None:
    """Write both pictures into ``folder``."""
    if (why := chromium.missing()) is not None:
        sys.exit(f"no browser, {why}")
    with TemporaryDirectory() as work, chdir(ROOT), chromium.browser() as driver:
        page = Path(work, "page.html")
        invoke([*COMMAND.split(), "-o", str(page)])
        for theme, name in THEMES.items():
            chromium.show(driver, page, width=WIDTH, theme=theme)
            end = driver.execute_script("return document.querySelector('.charts').getBoundingClientRect().bottom")
            (folder / name).write_bytes(chromium.picture(driver, height=int(end) + MARGIN))


if __name__ == "__main__":
    main()

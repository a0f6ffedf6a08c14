"""The section of docs/calibration.md on checks before an audit: a part for each, written by its own benchmark.

`tests.benchmarks.calibration` writes the rest of the page and leaves this section as it is.
"""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "calibration.md"
HEADING = "\n## Checks before an audit\n"


def section(page: str) -> str:
    """The section of ``page`` with its heading, '' where there is none."""
    return "".join(page.partition(HEADING)[1:])


def write(title: str, text: str) -> None:
    """Put ``text`` under ``title`` on the page, in place of what is there."""
    page = PAGE.read_text(encoding="utf-8")
    head, checks = page.partition(HEADING)[0], section(page) or HEADING
    new = f"\n### {title}\n\n{text.strip()}\n"
    old = re.search(rf"\n### {re.escape(title)}\n.*?(?=\n### |\Z)", checks, re.DOTALL)
    PAGE.write_text(head + (checks.replace(old[0], new) if old else checks + new), encoding="utf-8")

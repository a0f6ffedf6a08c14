"""Whole reports, kept as files: a report that changes must be seen to change.

``PRUNE_AUDIT_UPDATE=1 pytest tests/reports`` writes them anew; read their diff before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parent


def same_as_golden(name: str, content: bytes, folder: Path = FOLDER) -> None:
    """Assert that ``content`` is the golden file ``name`` of ``folder``, or make it so where that was asked for."""
    file = folder / name
    if os.environ.get("PRUNE_AUDIT_UPDATE"):
        file.write_bytes(content)
    assert content.decode() == file.read_bytes().decode(), f"{name} differs; PRUNE_AUDIT_UPDATE=1 writes it anew"


def without_drawings(page: str) -> str:
    """``page`` with the title and description of each drawing in its place, without style, script and guide.

    Of the guide, which is a file of its own, the titles stay.
    """
    page = re.sub(r'<div class="guide">.*?\n</div>\n</details>', "</details>", page, flags=re.S)
    told = r"<svg.*?<title[^>]*>(.*?)</title><desc[^>]*>(.*?)</desc>.*?</svg>"
    bare = re.sub(
        r"<(style|script)>.*?</\1>", r"<\1></\1>", re.sub(told, r"<svg>\1: \2</svg>", page, flags=re.S), flags=re.S
    )
    return re.sub(r"sha256-[^']+", "sha256-", bare)

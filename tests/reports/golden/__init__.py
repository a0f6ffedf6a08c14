"""Whole reports, kept as files: a report that changes must be seen to change.

``PRUNE_AUDIT_UPDATE=1 pytest tests/reports`` writes them anew; read their diff before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def same_as_golden(name: str, content: bytes) -> None:
    """Assert that ``content`` is the golden file ``name``, or make it so where that was asked for."""
    file = FOLDER / name
    if os.environ.get("PRUNE_AUDIT_UPDATE"):
        file.write_bytes(content)
    assert content.decode() == file.read_bytes().decode(), f"{name} differs; PRUNE_AUDIT_UPDATE=1 writes it anew"

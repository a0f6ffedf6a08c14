"""What a wheel holds beside our code, and a clone of the repository keeps where people look for it: guide and demo.

There is one copy of each. The hook of the build (``.ci/wheel.py``) reads it by this file and puts it into the wheel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

PACKAGE = Path(__file__).parent
REPOSITORY = PACKAGE.parent
GUIDE, DEMO = "reading-an-audit.md", "demo.zip"
SAMPLES = ("dense.pt", "pruned-90.pt", "val/*/*.png")  # of sample_models/: those of the first screen of the README


def guide() -> str:
    """The guide to reading an audit, as Markdown."""
    packed = PACKAGE / GUIDE
    path = packed if packed.is_file() else REPOSITORY / "docs" / GUIDE
    return path.read_text("utf-8")


def demo() -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of the demo, sorted by name: two models, and images in folders of classes."""
    packed = PACKAGE / DEMO
    if packed.is_file():
        with ZipFile(packed) as archive:
            for name in sorted(archive.namelist()):
                yield name, archive.read(name)
        return
    root = REPOSITORY / "sample_models"
    for path in sorted(path for pattern in SAMPLES for path in root.glob(pattern)):
        yield path.relative_to(root).as_posix(), path.read_bytes()

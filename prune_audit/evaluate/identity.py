"""What decides predictions beside the model's file and the data: the code of a factory, and the libraries.

Found without importing either, since an audit whose predictions are known imports no torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Libraries that decide predictions; whether a given model uses one is not worth the risk of being wrong.
DECIDING = (
    "prune-audit",
    "numpy",
    "pillow",
    "scipy",
    "torch",
    "onnxruntime",
    "transformers",
    "tokenizers",
    "soundfile",
)


def source_digest(factory: str | None) -> str | None:
    """A digest of the source that a factory's network may come from; nothing is imported for it.

    All of the package at the top of its name; of a module that lies alone, its neighbours and their packages, since
    it may import from these.
    """
    if factory is None:
        return None
    with _working_directory():
        spec = importlib.util.find_spec(factory.partition(":")[0].partition(".")[0])
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    files = home.rglob("*.py") if spec.submodule_search_locations else (*home.glob("*.py"), *home.glob("[!.]*/*.py"))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(home)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _working_directory() -> Iterator[None]:
    """Look for modules in the working directory first, as a factory does."""
    before = list(sys.path)
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before


def versions() -> dict[str, str]:
    """The installed versions of the libraries that decide predictions."""
    found = {}
    for name in DECIDING:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found

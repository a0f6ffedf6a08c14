"""What decides predictions beside the model's file and the data: the code of a factory, and the libraries.

Found without importing either, since an audit whose predictions are known imports no torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
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
    "torchvision",
    "timm",
    "transformers",
    "tokenizers",
    "soundfile",
    "onnxscript",
)
# What the instructions begin with by which these libraries choose how to compute.
_INSTRUCTIONS = ("sse4", "ssse3", "fma", "f16c", "avx", "amx", "bf16", "asimd", "sve", "i8mm", "neon")
# Folders of what pip, a distribution or Python itself installed: what lies there side by side is not of one project.
INSTALLED = frozenset({"site-packages", "dist-packages", f"python{sys.version_info[0]}.{sys.version_info[1]}"})


def source_digest(factory: str | None) -> str | None:
    """A digest of the source that a factory's network may come from, nothing of which is imported; None where unknown.

    Of what is installed, all of the package or module at the top of its name. Of what lies elsewhere, its neighbours
    and their packages too, since it may import from these.
    """
    if factory is None:
        return None
    module = factory.partition(":")[0].strip()
    if module == "prune_audit.networks":  # needs nothing else of this package, of which every release changes something
        return hashlib.sha256((Path(__file__).parents[1] / "networks.py").read_bytes()).hexdigest()
    with working_directory():
        top = module.partition(".")[0]
        try:
            spec = importlib.util.find_spec(top)
        except ValueError:  # no name of a module, or one that was made by hand, such as __main__
            return None
    if spec is None:
        return None
    # A namespace has folders and no file of its own.
    places = [Path(place) for place in spec.submodule_search_locations or ()] or [Path(str(spec.origin))]
    files: dict[Path, Path] = {}  # -> what it is called from where it is imported
    for place in places:
        home = place.parent
        own = place if home.name in INSTALLED else home
        files |= {file: file.relative_to(home) for file in (_sources(own) if own.is_dir() else [own])}
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{files[file]}\0".encode())
        with suppress(OSError):  # a link to nothing, which cannot be imported either
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest() if files else None


def _sources(folder: Path) -> Iterator[Path]:
    """The Python files below ``folder`` that a program there can import.

    Data lie beside programs, and may be a million files: of folders without Python files, only what is right below
    is looked at.
    """
    waiting = [(folder, True)]
    while waiting:
        here, deeper = waiting.pop()
        files, folders = list[Path](), list[Path]()
        with suppress(OSError), os.scandir(here) as found:
            for each in found:
                if each.name.endswith(".py"):
                    files.append(Path(each.path))
                elif each.name.isidentifier() and each.is_dir():
                    folders.append(Path(each.path))
        if (here / "pyvenv.cfg").exists():
            continue
        yield from files
        if files or deeper:
            waiting += [(each, bool(files)) for each in folders if each.name not in INSTALLED]


@contextmanager
def working_directory() -> Iterator[None]:
    """Have modules of the working directory found meanwhile, after all that is installed.

    A folder of models may be anybody's: its ``rich.py`` or ``random.py`` must not stand in for a library.
    """
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


@cache  # libraries that were loaded stay what they are, whatever is installed meanwhile
def versions() -> Mapping[str, str]:
    """The installed versions of the libraries that decide predictions."""
    found = {}
    for name in DECIDING:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def processor() -> tuple[str, str]:
    """The kind of processor: what it is called, and the instructions by which libraries choose how to compute."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = (each.strip() for each in line.partition(":"))
        if key == "model name":
            name = value
        elif key in ("flags", "Features"):
            flags = set(value.split())
        elif not key and flags:  # the others are like the first
            break
    return name, " ".join(sorted(flag for flag in flags if flag.startswith(_INSTRUCTIONS)))

"""Which files a factory reads while it builds a network: they decide predictions as its code does.

A network is often made by a configuration that lies beside the code, and nobody says so. Python tells of every file
that it opens (audit events, PEP 578), so what the thread of the build opens, and threads that begin meanwhile, is
written down with a digest of what it held, and a file that was looked for and not found as absent. What the factory
itself has made is not counted, nor is the code of what is installed, which versions stand for.

A module is imported once in a process, so what was read while one was imported belongs to every later build; and of a
module that somebody else had imported before, it cannot be known what it had read. Nothing is seen of what other
processes and libraries in C++ or Rust open by themselves (safetensors, Arrow), of environment variables, and of what is
asked of the network.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, TypeAlias

from prune_audit.evaluate.cache_key import INSTALLED
from prune_audit.runners import THREADS

Read: TypeAlias = tuple[str, str | None]
"""A file, named from the working directory where it lies in there, and the SHA-256 of what it held; None if absent."""

_OWN = Path(__file__).parents[1]
_CODE = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd", ".pth", ".dll"})
_MACHINE = ("/proc/", "/sys/", "/dev/")  # what the system says of itself and of the process
_WRITES = frozenset("wax")  # of the mode of `open`
_MAKES = os.O_WRONLY | os.O_TRUNC | os.O_EXCL  # of the flags of `os.open`, which has no mode
_EVENTS = frozenset({"open", "os.mkdir", "os.rename"})


class Recording:
    """What one build reads. ``found`` is complete once `recorded` has ended, and None where it cannot be known."""

    def __init__(self) -> None:
        self.found: tuple[Read, ...] | None = ()
        self._here = str(Path.cwd())
        self._called: set[Read] = set()  # while the factory ran
        self._looked_at: set[str] = set()
        self._made: set[str] = set()
        self._others = threading.enumerate()  # which do something else
        self._busy = threading.local()  # while a file is read here, which is told of as well
        self._importing = False
        self._known = True

    @contextlib.contextmanager
    def importing(self, module: str) -> Iterator[None]:
        """What is read meanwhile belongs to ``module``, and so to everything that uses it."""
        before = sys.modules.get(module)
        if before is not None and not _installed(before.__spec__) and _imported.get(module) is not before.__spec__:
            self._known = False
        self._importing = True
        try:
            yield
        finally:
            self._importing = False
            if module in sys.modules and self._known:
                _imported[module] = sys.modules[module].__spec__

    def has(self, thread: threading.Thread) -> bool:
        """Whether the build may have started ``thread``: Python does not say who did."""
        return thread not in self._others and not thread.name.startswith(THREADS)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Write down what a thread of the build does."""
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            if event == "open":
                self._opened(*arguments)
            elif event == "os.mkdir":
                self._made.add(self._path(arguments[0]) or "")
            else:
                source, target = map(self._path, arguments[:2])
                if source in self._made and target is not None:
                    self._made.add(target)
        except Exception:  # an event of a form that is not known must not disturb what it is about
            self._known = False
        finally:
            self._busy.now = False

    def finish(self) -> None:
        """Have ``found``."""
        if any(path.endswith(".py") for path, _ in self._called):  # it imported further modules
            _shared.update(self._called)
        everything = self._called | _shared
        self.found = tuple(sorted(everything, key=lambda read: (read[0], read[1] or ""))) if self._known else None

    def _opened(self, path: object, mode: str | None, flags: int) -> None:
        name = self._path(path)
        if name is None or name.startswith(_MACHINE):
            return
        if _WRITES & set(mode) if mode is not None else flags & _MAKES:
            self._made.add(name)
            return
        name = _source(name)
        if name in self._looked_at or _is_installed_code(name) or self._is_made(name):
            return
        self._looked_at.add(name)
        digest = _digest(name)
        if digest != NO_FILE:
            (_shared if self._importing else self._called).add((_told_from(self._here, name), digest))

    def _path(self, path: object) -> str | None:
        if isinstance(path, int):  # a descriptor of what was opened before
            return None
        return _absolute(os.fsdecode(path))  # type: ignore[arg-type]  # whatever Python could open

    def _is_made(self, name: str) -> bool:
        return name in self._made or any(str(parent) in self._made for parent in Path(name).parents)


NO_FILE = ""
"""Instead of a digest: a folder, a pipe or a device, which holds nothing that could be looked at again."""

_recordings: dict[int, Recording] = {}  # by the thread that builds
_shared: set[Read] = set()  # read while modules were imported, which happens once
_imported: dict[str, ModuleSpec | None] = {}  # modules that were imported here, as they were then
_building = threading.RLock()  # models that run side by side may be loaded at once, from the same modules


@functools.cache  # a hook cannot be removed
def _listen() -> None:
    sys.addaudithook(_heard)


@contextlib.contextmanager
def recorded() -> Iterator[Recording]:
    """Write down what this thread reads, and the threads that begin meanwhile; one build waits for another."""
    _listen()
    with _building:
        made = Recording()
        _recordings[threading.get_ident()] = made
        try:
            yield made
        finally:
            _recordings.pop(threading.get_ident(), None)
        made.finish()


def shared() -> frozenset[Read]:
    """What has been read so far while modules were imported."""
    return frozenset(_shared)


def current(reads: Iterable[Read]) -> bool:
    """Whether all files are as they were read."""
    return all(_digest(_absolute(path)) == digest for path, digest in reads)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS or not _recordings:
        return
    identity = threading.get_ident()
    if (own := _recordings.get(identity)) is not None:
        own.hear(event, arguments)
        return
    for thread in threading.enumerate():
        if thread.ident == identity:
            for recording in [each for each in [*_recordings.values()] if each.has(thread)]:
                recording.hear(event, arguments)


def _digest(path: str) -> str | None:
    """The SHA-256 of the file at ``path``, None where there is none that can be read; `NO_FILE` for what is no file."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return NO_FILE
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _absolute(path: str) -> str:
    return os.path.normpath(Path(path).absolute())


def _told_from(here: str, path: str) -> str:
    inside = path.startswith(here.rstrip(os.sep) + os.sep)
    return os.path.relpath(path, here).replace(os.sep, "/") if inside else path


def _source(path: str) -> str:
    """The Python file that a compiled one was made from, where it is there."""
    if not path.endswith(".pyc"):
        return path
    try:
        source = importlib.util.source_from_cache(path)
    except (ValueError, NotImplementedError):
        return path
    return source if Path(source).exists() else path


def _is_installed_code(path: str) -> bool:
    file = Path(path)
    code = file.suffix in _CODE or file.parent.suffix in (".dist-info", ".egg-info")
    return code and (_OWN in file.parents or not INSTALLED.isdisjoint(file.parts))


def _installed(spec: ModuleSpec | None) -> bool:
    """Whether a module is of what is installed, or of Python itself, or of this package."""
    return spec is not None and (not spec.has_location or _is_installed_code(str(spec.origin)))

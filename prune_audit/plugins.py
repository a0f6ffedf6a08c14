"""A folder as a registry: the files of a room are its plugins, and other packages add to them.

A module in the folder of a room (`ROOMS`) whose file name has no leading underscore is a plugin; one with an underscore
is a helper of that room. The folder is listed, not imported, so that naming the plugins costs nothing and one broken
plugin does not break the others. Names are typed with a hyphen and stored with an underscore: ``recall-drop`` is
``rules/recall_drop.py``.

A package of somebody else's names its plugins in entry points, one group a room:

    [project.entry-points."prune_audit.rules"]
    night-recall = "acme_audit.night_recall"

The module keeps the same contract as one of ours (``CONTRACT`` of the room). Ours come first: none is replaced. What
is wrong with a plugin of another package is said with the package's name (`PluginError`). Where it was asked for, that
ends the run; where a room takes all its plugins, it is left out and the rest go on, and `broken` tells of it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import tokenize
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from prune_audit import spelling
from prune_audit.errors import AuditError, PluginError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ROOMS = (
    "models",
    "data",
    "stats",
    "rules",
    "reports",
    "charts",
    "lenses",
    "pruning",
    "mitigations",
    "tasks",
    "runners",
    "logs",
)
GROUP = "prune_audit."
DEFAULT = "classification"  # the task of a format that names none
_BROKEN: dict[tuple[str, str], PluginError] = {}
_BEFORE = (tokenize.COMMENT, tokenize.NL)  # what may stand before the docstring of a module
_Result = TypeVar("_Result")


def folder(room: str) -> Path:
    """The directory of ``room``."""
    return Path(__file__).parent / room


@cache
def _ours(room: str) -> tuple[str, ...]:
    found = pkgutil.iter_modules([str(folder(room))])
    return tuple(sorted(m.name.replace("_", "-") for m in found if not m.name.startswith("_")))


@cache
def _points() -> Mapping[str, tuple[EntryPoint, ...]]:
    """The entry points for each room; read once for all rooms, since they stand in a file of every package."""
    from importlib.metadata import entry_points  # which takes longer than all else here

    found = entry_points()
    return {room: tuple(found.select(group=GROUP + room)) for room in ROOMS}


@cache
def _theirs(room: str) -> Mapping[str, EntryPoint]:
    """The plugins of other packages by name; one whose name is taken is not among them, and is told as broken."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(_points()[room], key=lambda point: (_package(point), point.name)):
        name = point.name.replace("_", "-")
        if name in _ours(room) or name in found:
            whose = _package(found[name]) if name in found else "prune-audit itself"
            _BROKEN[room, f"{name} of {_package(point)}"] = _wrong(room, name, point, f"{whose} has one of that name")
        else:
            found[name] = point
    return found


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"


@cache
def names(room: str) -> tuple[str, ...]:
    """The names people type for the plugins of ``room``, ours first, each sorted; nothing is imported."""
    return (*_ours(room), *sorted(_theirs(room)))


def origin(room: str, name: str) -> str | None:
    """The package that brought a plugin, with its version; None for one of ours."""
    return None if name in _ours(room) else _package(_theirs(room)[name])


def load(room: str, name: str) -> ModuleType:
    """Import the plugin ``name`` of ``room``.

    Raises:
        UsageError: there is no such plugin; the hint lists those there are.
        PluginError: it is another package's, and cannot be imported or does not keep the contract of the room.
    """
    if name not in names(room):
        raise UsageError(f"no plugin {name!r} in {room}", hint=spelling.hint(name, names(room)))
    if name in _ours(room):
        return importlib.import_module(f"prune_audit.{room}.{name.replace('-', '_')}")
    if (room, name) in _BROKEN:
        raise _BROKEN[room, name]
    point = _theirs(room)[name]
    try:
        module = point.load()
        lacking = [
            each
            for each in importlib.import_module(f"prune_audit.{room}").CONTRACT
            if not any(hasattr(module, name) for name in each.split(" or "))
        ]
        if lacking:
            raise AttributeError(f"it lacks {' and '.join(lacking)}")
    # The code is anybody's.
    except Exception as fault:
        _BROKEN[room, name] = _wrong(room, name, point, f"{type(fault).__name__}: {fault}")
        raise _BROKEN[room, name] from fault
    found: ModuleType = module
    return found


def loaded(room: str) -> tuple[tuple[str, ModuleType], ...]:
    """All plugins of ``room`` as (name, module), in the order of `names`, without those that `broken` tells of."""
    found = []
    for name in names(room):
        try:
            found.append((name, load(room, name)))
        except PluginError:
            continue
    return tuple(found)


def broken() -> tuple[PluginError, ...]:
    """What was found wrong so far with plugins of other packages."""
    return tuple(_BROKEN.values())


@contextmanager
def blamed(room: str, name: str) -> Iterator[None]:
    """Let what a plugin of another package raises be told as that package's fault.

    Raises:
        PluginError: in place of what is no `AuditError`.
    """
    try:
        yield
    except AuditError:
        raise
    # The code may be anybody's; what is ours is raised as it is.
    except Exception as fault:
        if name in _ours(room):
            raise
        raise _wrong(room, name, _theirs(room)[name], f"{type(fault).__name__}: {fault}") from fault


def each(room: str, ask: Callable[[str, ModuleType], _Result]) -> dict[str, _Result]:
    """What ``ask(name, module)`` says of every plugin of ``room``, without those that fail, of which `broken` tells."""
    found = {}
    for name, module in loaded(room):
        try:
            with blamed(room, name):
                found[name] = ask(name, module)
            _BROKEN.pop((room, name), None)
        except PluginError as error:
            _BROKEN[room, name] = error
    return found


def choose(room: str, what: object, *, task: str | None = None) -> str | None:
    """The name of the one plugin of ``room`` whose ``recognises(what)`` is true, None where there is none.

    Where a ``task`` is named, plugins of another one (``TASK``, which most have not) are not asked.

    ``what`` is the path of a model, or the `prune_audit.core.DataSource` of data. Files are told apart by content, so
    two plugins that both recognise one are a defect, which the contract tests look for; here the first by name wins,
    and one of ours before another package's.
    """
    for name, module in loaded(room):
        if task is not None and getattr(module, "TASK", DEFAULT) != task:
            continue
        with blamed(room, name):
            if module.recognises(what):
                return name
    return None


def docstring(room: str, name: str) -> str:
    """The plugin's whole docstring, without indentation; of one of ours no more is read, and nothing is imported.

    Raises:
        PluginError: it is another package's, and cannot be imported.
    """
    if name not in _ours(room):
        return load(room, name).__doc__ or ""
    place = folder(room) / name.replace("-", "_")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    with tokenize.open(file) as lines:  # `list` asks all of a hundred files
        first = next((t for t in tokenize.generate_tokens(lines.readline) if t.type not in _BEFORE), None)
    if first is None or first.type != tokenize.STRING:
        return ""
    return inspect.cleandoc(ast.literal_eval(first.string))


def help_line(room: str, name: str) -> str:
    """The first line of the plugin's docstring. Raises as `docstring`."""
    return docstring(room, name).partition("\n")[0]


def _wrong(room: str, name: str, point: EntryPoint, why: str) -> PluginError:
    whose = point.dist.name if point.dist else point.value
    return PluginError(
        f"the plugin {name!r} of {_package(point)} in {room} cannot be used: {' '.join(why.split())}",
        hint=f"update or uninstall {whose}, or tell whoever makes it",
    )

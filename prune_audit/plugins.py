"""A folder as a registry: the files of a room are its plugins.

A module in ``models/``, ``data/``, ``stats/``, ``rules/``, ``reports/``, ``charts/``, ``pruning/`` or ``logs/`` whose
file name has no leading underscore is a plugin; one with an underscore is a helper of that room. The folder is listed,
not imported, so that naming the plugins costs nothing and one broken plugin does not break the others. Names are typed
with a hyphen and stored with an underscore: ``recall-drop`` is ``rules/recall_drop.py``.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from prune_audit.errors import UsageError

ROOMS = ("models", "data", "stats", "rules", "reports", "charts", "pruning", "logs")


def folder(room: str) -> Path:
    """The directory of ``room``."""
    return Path(__file__).parent / room


@cache
def names(room: str) -> tuple[str, ...]:
    """The names people type for the plugins of ``room``, sorted; nothing is imported."""
    found = pkgutil.iter_modules([str(folder(room))])
    return tuple(sorted(m.name.replace("_", "-") for m in found if not m.name.startswith("_")))


def load(room: str, name: str) -> ModuleType:
    """Import the plugin ``name`` of ``room``.

    Raises:
        UsageError: there is no such plugin; the hint lists those there are.
    """
    if name not in names(room):
        known = ", ".join(names(room)) or "none"
        raise UsageError(f"no plugin {name!r} in {room}", hint=f"known: {known}")
    return importlib.import_module(f"prune_audit.{room}.{name.replace('-', '_')}")


def loaded(room: str) -> tuple[tuple[str, ModuleType], ...]:
    """All plugins of ``room`` as (name, module), sorted by name."""
    return tuple((name, load(room, name)) for name in names(room))


def choose(room: str, what: object) -> str | None:
    """The name of the one plugin of ``room`` whose ``recognises(what)`` is true, None where there is none.

    ``what`` is the path of a model, or the `prune_audit.core.DataSource` of data. Files are told apart by content, so
    two plugins that both recognise one are a defect, which the contract tests look for; here the first by name wins.
    """
    for name, module in loaded(room):
        if module.recognises(what):
            return name
    return None


def docstring(room: str, name: str) -> str:
    """The plugin's whole docstring, without indentation, read without importing the plugin."""
    place = folder(room) / name.replace("-", "_")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def help_line(room: str, name: str) -> str:
    """The first line of the plugin's docstring, read without importing it."""
    return docstring(room, name).partition("\n")[0]

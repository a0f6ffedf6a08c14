"""Build an architecture from ``package.module:factory(arguments)``.

A state dict holds numbers without a network, so its owner names a function that builds one. That is their own code
and runs as such, but the text that names it does not: arguments are literals, read from the syntax tree and never
evaluated, so a path that was pasted from somewhere cannot smuggle in an expression.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from prune_audit import spelling
from prune_audit.core import Assumption, ModelSource
from prune_audit.errors import ModelError, UsageError
from prune_audit.evaluate import reads
from prune_audit.evaluate.cache_key import working_directory

if TYPE_CHECKING:
    import torch

SYNTAX = "a factory is package.module:name or package.module:name(10, width=0.5), with literal arguments"
_OFFERED = 8  # names in a hint
LIBRARIES = frozenset(
    {
        *("PIL", "huggingface_hub", "markdown_it", "mlflow", "numpy", "onnx", "onnxruntime", "onnxscript", "pandas"),
        *(
            "platformdirs",
            "pyarrow",
            "ray",
            "requests",
            "rich",
            "safetensors",
            "scipy",
            "soundfile",
            "tokenizers",
            "torch",
            "torch_pruning",
            "transformers",
        ),
        *("typer", "vl_convert", "wandb"),
    }
)
"""What this package imports, some of it only later or where it is installed."""


def build(text: str) -> torch.nn.Module:
    """The network that the factory in ``text`` returns. Raises as `watched`."""
    return watched(text)[0]


def watched(text: str) -> tuple[torch.nn.Module, tuple[reads.Read, ...] | None]:
    """The network that the factory in ``text`` returns, and the files that it read; None where these are not known.

    The working directory can be imported from while the factory is looked up and called, after all that is installed,
    and not afterwards.

    Raises:
        UsageError: ``text`` is no factory, or names a module or an attribute that is not there.
        ModelError: the factory raised, or returned something else than a network.
    """
    import torch

    module_name, path, arguments, named = _parse(text)
    with reads.recorded() as recording, _workspace():
        with recording.importing(module_name):
            factory = _attribute(_import(module_name, text), path, text)
        if not callable(factory):
            raise UsageError(
                f"{text}: expected a function or a class, found {type(factory).__name__}"
                f"{_installed_first(module_name)}",
                hint=f"name a function that returns the network, or the network's class{_renamed(module_name)}",
            )
        try:
            built = factory(*arguments, **named)
        # The factory is anybody's code, so anything may be raised.
        except Exception as fault:
            raise ModelError(
                f"the factory {text} raised {_told(fault)}{_installed_first(module_name)}",
                hint=f"call it in Python to see where; {SYNTAX}{_renamed(module_name)}",
            ) from fault
    if not isinstance(built, torch.nn.Module):
        found = f"the class {built.__name__}" if isinstance(built, type) else type(built).__name__
        raise ModelError(
            f"the factory {text}: expected a torch.nn.Module, found {found}{_installed_first(module_name)}",
            hint=f"a factory returns the network itself, with or without trained weights{_renamed(module_name)}",
        )
    return built, recording.found


def assumed(source: ModelSource) -> tuple[Assumption, ...]:
    """What is taken for granted of a factory whose module is there twice, once it was built."""
    module_name = (source.factory or "").partition(":")[0].strip()
    if (found := _passed_over(module_name)) is None:
        return ()
    why = f"what is installed goes before {found[1]}"
    value, option = found[0], "another name for that file"
    return (Assumption(subject=source.name, what=f"module {module_name}", value=value, why=why, option=option),)


def refuse_factory(source: ModelSource) -> None:
    """Raise `UsageError` where a file that holds its own network was given a factory."""
    if source.factory is not None:
        raise UsageError(
            f"{source.path} holds its own network, so the factory {source.factory} would not be used",
            hint=f"give the path alone: {source.path}",
        )


def _parse(text: str) -> tuple[str, list[str], list[object], dict[str, object]]:
    module_name, colon, call = text.partition(":")
    try:
        tree = ast.parse(call.strip(), mode="eval").body
    except (SyntaxError, ValueError) as fault:
        raise UsageError(f"{text!r} is not a factory", hint=SYNTAX) from fault
    function = tree.func if isinstance(tree, ast.Call) else tree
    path: list[str] = []
    while isinstance(function, ast.Attribute):
        path.insert(0, function.attr)
        function = function.value
    dotted = all(part.isidentifier() for part in module_name.strip().split("."))
    if not (colon and dotted and isinstance(function, ast.Name)):
        raise UsageError(f"{text!r} is not a factory", hint=SYNTAX)
    path.insert(0, function.id)
    call_arguments = tree.args if isinstance(tree, ast.Call) else []
    keywords = tree.keywords if isinstance(tree, ast.Call) else []
    named = {k.arg: _literal(k.value, text) for k in keywords if k.arg is not None}
    if len(named) < len(keywords):
        raise UsageError(f"{text!r}: ** is not a literal argument", hint=SYNTAX)
    return module_name.strip(), path, [_literal(node, text) for node in call_arguments], named


def _literal(node: ast.expr, text: str) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError as fault:
        raise UsageError(f"{text!r}: {ast.unparse(node)} is not a literal", hint=SYNTAX) from fault


def _import(name: str, text: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        if fault.name is not None and (name == fault.name or name.startswith(f"{fault.name}.")):
            top = name.partition(".")[0]
            raise UsageError(
                f"{text}: there is no module {fault.name}{_installed_first(top)}",
                hint=f"{spelling.meant(fault.name, _modules(fault.name))}it is looked for among the installed packages "
                f"and in {Path.cwd()}{_renamed(top)}",
            ) from fault
        raise _not_imported(name, fault) from fault
    # Importing runs anybody's code, so anything may be raised.
    except Exception as fault:
        raise _not_imported(name, fault) from fault


def _not_imported(name: str, fault: Exception) -> ModelError:
    return ModelError(
        f"the module {name} could not be imported: {_told(fault)}",
        hint=f"it must import without errors: python -c 'import {name}'",
    )


def _attribute(module: ModuleType, path: list[str], text: str) -> Any:
    found: Any = module
    for name in path:
        if not hasattr(found, name):
            where = getattr(found, "__name__", type(found).__name__)
            offered = ", ".join(_offered(found, name)) or "no public function or class"
            top = module.__name__
            raise UsageError(
                f"{text}: {where} has no {name}{_installed_first(top)}",
                hint=f"{spelling.meant(name, _usable(found))}it has {offered}{_renamed(top)}",
            )
        found = getattr(found, name)
    return found


def _offered(owner: Any, name: str) -> list[str]:
    """Functions and classes of ``owner``: those nearest to ``name`` first, then those that it defines itself.

    Nothing is looked up that is not there yet: a package may import its parts only when they are asked for.
    """
    usable = _usable(owner)
    near = spelling.near(name, usable, most=3)
    here = getattr(owner, "__name__", None)
    own = [other for other, value in usable.items() if getattr(value, "__module__", None) == here]
    return list(dict.fromkeys([*near, *own, *usable]))[:_OFFERED]


def _usable(owner: Any) -> dict[str, Any]:
    """The public functions and classes of ``owner``, by name."""
    public = {other: inspect.getattr_static(owner, other, None) for other in dir(owner) if not other.startswith("_")}
    return {other: value for other, value in public.items() if inspect.isclass(value) or inspect.isroutine(value)}


def _modules(name: str) -> list[str]:
    """The modules beside the missing one called ``name``: of its package, or of the working directory."""
    above = name.rpartition(".")[0]
    places = getattr(sys.modules.get(above), "__path__", ()) if above else [str(Path.cwd())]
    return [f"{above}.{each.name}" if above else each.name for each in pkgutil.iter_modules(places)]


def _told(fault: Exception) -> str:
    lines = str(fault).strip().splitlines()
    return f"{type(fault).__name__}: {lines[0]}" if lines else type(fault).__name__


def _passed_over(module_name: str) -> tuple[str, Path] | None:
    """Where the module called ``module_name`` was imported from, and the file here of the same name that was not.

    None where there is no such file.
    """
    top = module_name.partition(".")[0]
    imported = getattr(sys.modules.get(top), "__spec__", None)
    here = PathFinder.find_spec(top, [str(Path.cwd())])
    if imported is None or here is None or not here.has_location or here.origin is None:
        return None
    origin, own = Path(str(imported.origin)), Path(here.origin)
    if origin.exists() and origin.samefile(own):
        return None
    return str(origin) if imported.has_location else "Python itself", own


def _installed_first(module_name: str) -> str:
    """What to say where somebody may have meant another module than was imported; empty where there is none."""
    if (found := _passed_over(module_name)) is None:
        return ""
    return f" (imported from {found[0]}, for what is installed goes before {found[1]})"


def _renamed(module_name: str) -> str:
    """The hint to `_installed_first`."""
    if (found := _passed_over(module_name)) is None:
        return ""
    folder = Path.cwd()
    above = f", or call it {folder.name}.{module_name} in {folder.parent}" if folder.name.isidentifier() else ""
    return f"; if {found[1]} is meant, give it a name that nothing installed has{above}"


@contextlib.contextmanager
def _workspace() -> Iterator[None]:
    """Have modules of the working directory found meanwhile, and none of them stay in the place of a library."""
    before = frozenset(sys.modules)
    try:
        with working_directory():
            yield
    finally:
        for library in LIBRARIES - before:
            _forget(library)


def _forget(library: str) -> None:
    """Have ``library`` not imported, where it was and only the working directory has it."""
    origin = getattr(getattr(sys.modules.get(library), "__spec__", None), "origin", None)
    if origin is not None and Path.cwd() in Path(origin).parents:
        own = {name: sys.modules.pop(name) for name in list(sys.modules) if f"{name}.".startswith(f"{library}.")}
        if importlib.util.find_spec(library) is not None:  # it is developed here
            sys.modules.update(own)

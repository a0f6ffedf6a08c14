"""Path to `Classifier`: a model format is a file here, told by what is inside the file, never by its suffix.

A plugin defines ``recognises(path) -> bool``, which inspects and runs nothing, and
``load(source, settings) -> Classifier``, or `Recorded` where the model ran elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from prune_audit import plugins, spelling
from prune_audit.core import Classifier, ModelCard, ModelSource, Recorded, Settings
from prune_audit.errors import AuditError, ModelError, UsageError
from prune_audit.evaluate import watch
from prune_audit.evaluate.cache import Store
from prune_audit.files import elsewhere, on_disk
from prune_audit.models import _deferred, _isolated, _through_onnx
from prune_audit.models._accuracy import of_name as of_name
from prune_audit.models._container import describe
from prune_audit.models._factory import build as build
from prune_audit.models._in_memory import as_found as as_found
from prune_audit.models._in_memory import in_memory as in_memory
from prune_audit.models.recorded.write import check_predictions_path as check_predictions_path
from prune_audit.models.recorded.write import write_predictions as write_predictions
from prune_audit.nets.editable import Editable as Editable
from prune_audit.sandbox import Held, process

CONTRACT = ("recognises", "load")
"""What a plugin must have."""
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\s*(\(.*\))?", re.DOTALL)


def parse(argument: str) -> ModelSource:
    """Take ``NAME=PATH@package.module:factory(arguments)`` or ``NAME=PATH#column`` apart; all but PATH may be left out.

    What exists as a path is a path, whatever it contains. Else the factory begins at the last ``@`` that can begin
    one, and the name ends at the first ``=`` before it: a ``=`` or ``@`` among the factory's arguments is theirs.
    Without a factory, the column begins at the last ``#`` behind a path that exists, else at the last one. The default
    name is the column, or the file's stem.

    Raises:
        UsageError: the name or the path is empty.
    """
    if _exists(argument):
        return ModelSource(name=Path(argument).stem, path=Path(argument))
    name, equals, rest = argument.partition("=")
    if equals and "@" not in name and _exists(rest):
        place, factory = argument, None
    else:
        place, factory = _split_factory(argument)
    place, column = _split_column(place) if factory is None else (place, None)
    if "=" in place and not _exists(place):
        name, _, place = place.partition("=")
    else:
        name = column or Path(place).stem
    if not name or not place:
        raise UsageError(
            f"expected a model as NAME=PATH or PATH, found {argument!r}",
            hint="give NAME=PATH@package.module:factory, where NAME and the factory may be left out",
        )
    return ModelSource(name=name, path=Path(place), factory=factory, column=column)


def is_factory(text: str) -> bool:
    """Whether ``text`` has the form ``package.module:factory(arguments)``; nothing is imported."""
    return _FACTORY.fullmatch(text) is not None


def load(source: ModelSource, settings: Settings, store: Store | None = None) -> Classifier | Recorded:
    """The model at ``source``, by whichever plugin recognises its content.

    What ``store`` knows of the file is not found out again, so that it may never be loaded.

    Raises:
        ModelError: there is no such file, or it is no model of a supported format.
        UnsafeFile: the file would run code and ``settings.allow_pickle`` does not permit that.
    """
    path = source.path
    if not path.exists():
        raise ModelError(f"there is no file {path}", hint=_near(path))
    try:
        plugin, module = _format(source)
        if plugin is None and path.is_dir():
            raise ModelError(
                f"{path} is a folder, a model is a file or a folder of transformers with its config.json",
                hint=_near(path / "model"),
            )
        if plugin is None:
            known = ", ".join(plugins.names("models"))
            raise ModelError(
                f"{path} is no model that prune-audit can read: it is {describe(path)}",
                hint=f"formats are told by content, whatever the suffix; supported: {known}",
            )
    except OSError as fault:
        raise ModelError(
            f"{path} cannot be read: {fault.strerror}", hint="check that it is a file you may read"
        ) from fault
    if source.column is not None and not getattr(module, "COLUMNS", False):
        raise UsageError(
            f"{path} is one model, without a column {source.column!r}",
            hint=f"give the path alone, {path}: FILE#COLUMN is for recorded predictions",
        )

    _check_key(module, source, settings)

    # `Recorded` is never known to a store, so what is found there is loaded as a `Classifier`.
    def load_it() -> Any:
        before = watch.states([path])
        model: Classifier | Recorded
        if isolates(module, settings):
            model = _isolated.Isolated(str(plugin), source, settings, module.RUNTIME)
        else:
            with plugins.blamed("models", str(plugin)):
                model = _through_onnx.wrap(module.load(source, settings), settings)
        if (other := watch.changed(before)) is not None:  # else it may not be what it is told by
            raise on_disk.changed(other)
        return model

    if store is None:
        return cast("Classifier | Recorded", load_it())
    if (before := _deferred.find(source, settings, store, load_it)) is not None:
        return before
    model = cast("Classifier | Recorded", load_it())
    if not isinstance(model, Recorded):
        _deferred.learn(model, source, settings, store)
    return model


def knows(source: ModelSource, settings: Settings, store: Store | None) -> bool:
    """Whether ``store`` knows the model at ``source``, so that it is loaded only where it has to run after all."""
    try:
        return store is not None and _deferred.knows(source, settings, store)
    except OSError:  # which `load` says
        return False


def isolates(module: Any, settings: Settings) -> bool:
    """Whether files of the format ``module`` run in workers: they hold programs, and ``settings`` do not say no."""
    return hasattr(module, "RUNTIME") and settings.isolate == "auto" and _isolated.supported()


def prepare(sources: Sequence[ModelSource], settings: Settings, store: Store | None) -> None:
    """Have imported elsewhere what runs the models at ``sources``, while this process imports the rest.

    Nothing is done for models that ``store`` knows, and nothing said of what is wrong with others: `load` says it.
    """
    if settings.isolate != "auto":
        return
    wanted: list[str] = []
    for source in sources:
        with suppress(OSError, AuditError):
            _, module = _format(source)
            if isolates(module, settings) and not knows(source, settings, store):
                wanted += module.RUNTIME
    if wanted:
        process.server().ahead(wanted)


def isolation(model: Classifier | Recorded) -> str:
    """What is around ``model`` while it runs, for people."""
    if isinstance(model, _deferred.Known) and not model.loaded:
        return "not loaded, all that was asked of it is known"
    held: Held | None = getattr(model, "held", None)
    if held is None:
        return "none, it runs in the process of the audit"
    absent = "".join(f"; no {name}: {why}" for name, why in held.absent)
    return f"a process of its own, {', '.join(held.barriers) or 'without barriers'}{absent}"


def bare(source: ModelSource, settings: Settings) -> ModelCard | None:
    """What can be told of a file of weights that came without a factory; None where it holds a network, or is none.

    Raises:
        ModelError, UnsafeFile, UsageError: as `load`.
    """
    _, module = _format(source)
    card: ModelCard | None = module.bare(source, settings) if hasattr(module, "bare") else None
    return card


def with_factory(source: ModelSource, like: ModelSource, settings: Settings) -> tuple[ModelSource, tuple[str, ...]]:
    """``source`` with the factory of ``like`` where it holds weights alone and names none, and what that takes.

    Raises:
        ModelError, UnsafeFile, UsageError: as `load`.
    """
    if source.factory is not None or like.factory is None or not source.path.exists() or bare(source, settings) is None:
        return source, ()
    said = f"{source.name} is taken for weights of {like.factory}, as the dense model's are"
    return replace(source, factory=like.factory), (said,)


def can_be_edited(source: ModelSource) -> bool:
    """Whether the format of the model at ``source``, which is there, can be changed and written again."""
    _, module = _format(source)
    return hasattr(module, "editable")


def editable(source: ModelSource, settings: Settings) -> Editable:
    """The network at ``source``, to be changed and written again in its own format.

    Raises:
        ModelError: as `load`; or its format cannot be changed.
        UnsafeFile: the file would run code and ``settings.allow_pickle`` does not permit that.
    """
    name, module = _format(source)
    if module is None:
        load(source, settings)  # which says what there is instead
    _check_key(module, source, settings)
    if not hasattr(module, "editable"):
        raise ModelError(
            f"{source.path} is a file of the format {name}, whose weights can be neither cut nor trained here",
            hint="give the weights that it was made from, with a factory: WEIGHTS@package.module:factory, or an ONNX "
            "export",
        )
    made: Editable = module.editable(source, settings)
    return made


def _format(source: ModelSource) -> tuple[str | None, Any]:
    """The plugin that reads what is at ``source``, by its name and as a module; None twice where there is none.

    Raises:
        ModelError: what is there is neither a file nor a folder, and might be read without end.
    """
    if source.path.exists() and not (source.path.is_file() or source.path.is_dir()):
        raise ModelError(
            f"{source.path} is no file but a device or a pipe", hint="give the path of a file; a model is read twice"
        )
    name = plugins.choose("models", source.path) if source.path.exists() else None
    return name, plugins.load("models", name) if name is not None else None


def _check_key(module: Any, source: ModelSource, settings: Settings) -> None:
    """Check that what is asked of the model at ``source`` alone means something in its format."""
    if getattr(module, "COLUMNS", False) and any(v.startswith(f"{source.name}=") for v in settings.model_output):
        raise UsageError(
            f"--model-output: {source.path} holds recorded predictions, and no outputs to choose among",
            hint=f"leave it out for {source.name}; FILE#COLUMN chooses among models in one file",
        )
    if not getattr(module, "STATE_KEYS", False) and any(v.startswith(f"{source.name}=") for v in settings.state_key):
        raise UsageError(
            f"--state-key: {source.path} is no checkpoint with entries of weights",
            hint=f"leave it out for {source.name}",
        )


def _split_factory(argument: str) -> tuple[str, str | None]:
    """``argument`` at its last ``@`` that begins a factory, or whose left side is a file, so that it was meant to."""
    for at in (found.start() for found in reversed(list(re.finditer("@", argument)))):
        place, factory = argument[:at], argument[at + 1 :]
        if _FACTORY.fullmatch(factory) or _exists(place) or _exists(place.partition("=")[2]):
            return place, factory
    return argument, None


def _split_column(place: str) -> tuple[str, str | None]:
    """``place`` at its last ``#`` behind a path that exists, else at its last one: a wrong path is then named alone."""
    cuts = [found.start() for found in reversed(list(re.finditer("#", place)))]
    if not cuts or _exists(place) or _exists(place.partition("=")[2]):
        return place, None
    at = next((at for at in cuts if _exists(place[:at]) or _exists(place[:at].partition("=")[2])), cuts[0])
    return place[:at], place[at + 1 :] or None


def _exists(text: str) -> bool:
    """Whether ``text`` is a path that exists; false for what cannot be a path, such as a very long argument."""
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):
        return False


def _near(path: Path) -> str:
    """A hint that names the files which the missing ``path`` may have meant."""
    if not path.parent.is_dir():
        return f"{elsewhere.meant(path)}there is no folder {path.parent} either"
    files = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    close = spelling.near(path.name, files, most=3) or files[:3]
    there = f"in {path.parent} there is {', '.join(close)}" if close else f"there is no file in {path.parent}"
    return f"{elsewhere.meant(path)}{there}"

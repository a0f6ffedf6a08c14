"""Path to `Dataset`: a data format is a file here.

A plugin defines ``recognises(source) -> bool`` and ``load(source, expects, settings) -> Dataset``. It recognises by
content, and by the columns that were named where a table could be read in several ways; it opens no sample. One that
gives `prune_audit.core.Things` names the ``TASK`` that they are of; where a task was asked for, no other is offered
the data.
``expects`` is what all models of the run declare together; it may know nothing.
"""

from __future__ import annotations

from pathlib import Path

from prune_audit import plugins, tasks
from prune_audit.core import Dataset, DataSource, Expects, Preprocess, Settings
from prune_audit.data import _classes, _preprocess, _weights
from prune_audit.data._in_memory import arrays as arrays
from prune_audit.data._in_memory import class_names as class_names
from prune_audit.data._preprocess import PRESETS as PRESETS
from prune_audit.errors import DataError
from prune_audit.files import elsewhere, sniff

CONTRACT = ("recognises", "load")
"""What a plugin must have."""


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:
    """The labelled data at ``source``, in whatever format they are.

    Raises:
        DataError: there is nothing at the path, no format recognises it, or the one that does cannot read it.
        AlignmentError: the data and what the models expect do not fit together.
        UsageError: the source asks for something that its format does not have.
    """
    path = source.path
    must_be(path)
    if settings.task is not None:
        tasks.of(settings.task)  # a misspelt one has no formats
    name = plugins.choose("data", source, task=settings.task)
    if name is None:
        raise DataError(
            f"{path} is in no form of labelled data that prune-audit can read: it is {sniff.describe(path)}",
            hint=f"forms are told by content, whatever the suffix; known: {', '.join(plugins.names('data'))} "
            f"(see `prune-audit list data`){'' if settings.task is None else f'; or leave --task {settings.task} out'}",
        )
    module = plugins.load("data", name)
    with plugins.blamed("data", name):
        dataset: Dataset = module.load(source, expects, settings)
    return dataset


def must_be(path: Path, option: str = "--data") -> None:
    """See that there is something at the ``path`` that ``option`` gave; what is read late is asked for early.

    Raises:
        DataError: there is nothing.
    """
    if not path.exists():
        raise DataError(
            f"{path}: there is no such file or folder",
            hint=f"{elsewhere.meant(path)}{option} takes labelled data; check the path",
        )


def called(source: DataSource) -> tuple[str, ...]:
    """What models call the classes that ``--class-map`` renames, as ``--classes`` has them; empty without the two.

    Raises:
        DataError: the file of classes cannot be read or understood.
    """
    if source.class_map is None or source.classes is None:
        return ()
    return source.classes if isinstance(source.classes, tuple) else _classes.read(source.classes)


def preprocess(preset: str | None, explicit: Preprocess) -> Preprocess:
    """What was asked for: the preset or file called ``preset``, with the single options of ``explicit`` laid over it.

    Raises:
        UsageError: ``preset`` is neither a known name nor a file.
        DataError: the file cannot be understood.
    """
    return explicit if preset is None else _preprocess.combine(_preprocess.named(preset), explicit)


def weights(path: Path) -> dict[str, float]:
    """How often each class occurs in use, from the file at ``path``: class name -> weight, not normalised.

    Raises:
        DataError: the file cannot be read or understood.
    """
    return _weights.read(path)

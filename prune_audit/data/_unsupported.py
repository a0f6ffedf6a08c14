"""What was asked of data that their format does not have: refused, because an option without effect misleads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from prune_audit.core import DataSource, Expects, Preprocess
from prune_audit.errors import UsageError

# Every format has its path and its classes.
ALWAYS = {"path", "classes", "class_map", "label_column"}


def joined(source: DataSource, expects: Expects) -> tuple[str, ...]:
    """The option of a column of ids, where recorded predictions have that column: the data themselves need none."""
    return ("id_column",) if expects.id_column is not None and expects.id_column == source.id_column else ()


def refuse(source: DataSource, what: str, has: Collection[str], but: Collection[str] = ()) -> None:
    """Refuse fields of ``source`` that data which are ``what`` (a folder, arrays) have not.

    ``has`` are those that they have beside a path, classes and labels; ``but`` of these they have not.

    Raises:
        UsageError: one of the others was given.
    """
    for each in fields(source):
        given = getattr(source, each.name)
        if (each.name in ALWAYS and each.name not in but) or each.name in has:
            continue
        if given is None or given == () or given == Preprocess():
            continue
        option = "--preprocess" if each.name == "preprocess" else "--" + each.name.replace("_", "-")
        raise UsageError(
            f"{source.path}: these data are {what}, to which {option} does not apply",
            hint=f"leave {option} out" + (" and the other options of images" if each.name == "preprocess" else ""),
        )

"""`Audit` to text or bytes: a report format is a file here.

A plugin defines ``SUFFIXES``, the file suffixes that choose it, and ``render(audit) -> str | bytes``. It computes
nothing: it sorts, counts verdicts and formats. One that can write in more than one way lists the others in
``DIALECTS``, name -> a function like ``render``. What a whole file name chooses stands in ``NAMES``, name -> likewise:
``flips.csv`` and ``night.flips.csv`` are both written by the function called ``flips.csv``, whatever else writes CSV.
A text that may be long is given by ``pieces(audit) -> Iterator[str]`` as well, so that a file of it is never whole in
memory; a dialect may give pieces, too. ``BINARY = True`` says that it is no text, so that it goes to files alone;
``OBEYED = True`` that its lines are commands of whatever runs a job, which are to reach it as they are. `write` puts
whole files in place or none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from prune_audit import plugins, spelling
from prune_audit.core import Audit
from prune_audit.errors import OutputError, UsageError
from prune_audit.files import target as targets

CONTRACT = ("SUFFIXES", "render")
"""What a plugin must have."""
Written: TypeAlias = str | bytes | Iterable[str]
"""The whole of a file, or the pieces of its text."""
Render: TypeAlias = Callable[[Audit], Written]


def suffixes() -> dict[str, str]:
    """File suffix, with its dot, to the name of the report that it chooses."""
    return {suffix: name for name, module in plugins.loaded("reports") for suffix in module.SUFFIXES}


def whole_names() -> dict[str, str]:
    """A file's whole name, or how it ends behind a dot, to the report that it chooses, of those that no suffix does."""
    return {name: report for report, name, _ in _whole_names() if report not in suffixes().values()}


def dialects() -> dict[str, tuple[str, ...]]:
    """Format, which is a suffix without its dot, to the other ways in which its files can be written, sorted."""
    found: dict[str, set[str]] = {}
    for report, module in plugins.loaded("reports"):
        for name in (*module.SUFFIXES, *getattr(module, "NAMES", {})):
            found.setdefault(name.rpartition(".")[2], set()).update(_dialects(report))
    return {form: tuple(sorted(names)) for form, names in sorted(found.items()) if names}


def check_writable(path: Path) -> None:
    """Make sure, before a long run, that a report can be written to ``path``.

    Raises:
        UsageError: no report has the suffix of ``path``.
        OutputError: its folder is missing or cannot be written to, or ``path`` is a folder, a device or read-only.
    """
    _chosen(path)
    target = targets.target(path)
    if not target.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {target.parent}", hint="make the folder first")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"{path}: the file is read-only", hint="give another name, or make it writable")
    try:
        targets.probe(target)
    except OSError as error:
        raise _unwritable(path, error) from error


def check_text(name: str) -> None:
    """Make sure that the report called ``name`` is a text, which standard output takes.

    Raises:
        UsageError: there is no such report, or it is no text.
    """
    if getattr(plugins.load("reports", name), "BINARY", False):
        raise UsageError(f"{name} is no text", hint="write it to a file, with -o FILE")


def text(audit: Audit, name: str, dialects: Mapping[str, str] = MappingProxyType({})) -> tuple[str, bool]:
    """``audit`` in the format called ``name``, as a file of it would hold, and whether its lines are to be obeyed;
    ``dialects`` as in `write`.

    Raises:
        UsageError: there is no such report.
    """
    module = plugins.load("reports", name)
    suffix = next(iter(module.SUFFIXES), "").removeprefix(".")
    how = _dialects(name).get(dialects.get(suffix, ""), module.render)
    with plugins.blamed("reports", name):
        return b"".join(_encoded(how(audit))).decode("utf-8"), getattr(module, "OBEYED", False)


def check_chosen(paths: Sequence[Path], what: str, suffixes: Sequence[str]) -> None:
    """Make sure that ``what``, which is no report of an audit, can be written to each of ``paths``.

    Its ``suffixes`` are two or more of those that reports have.

    Raises:
        UsageError: a path has another suffix.
        OutputError: as `check_writable`.
    """
    for path in paths:
        if path.suffix.lower() not in suffixes:
            raise UsageError(
                f"{path}: no {what} is written to {path.suffix or 'a file without a suffix'}",
                hint=f"the suffix chooses: {', '.join(suffixes[:-1])} or {suffixes[-1]}",
            )
        check_writable(path)


def write(audit: Audit, path: Path, dialects: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write ``audit`` to ``path`` in the format that its name chooses; whatever goes wrong, no half-written file stays.

    ``dialects`` are format -> one of those that its reports have; files of other formats are written as ever.

    Raises:
        UsageError: no report has this suffix.
        NothingToDraw: it is to be a chart that the audit has nothing for.
        OutputError: the file cannot be written.
    """
    report, render = _chosen(path)
    how = _dialects(report).get(dialects.get(path.suffix.lower().removeprefix("."), ""), render)
    with plugins.blamed("reports", report):
        put(path, how(audit))


def content(audit: Audit, name: str) -> bytes:
    """What `write` would put into a file called ``name``. Raises `UsageError` where no report has its suffix."""
    report, render = _chosen(Path(name))
    with plugins.blamed("reports", report):
        return b"".join(_encoded(render(audit)))


def lists_flips(path: Path) -> bool:
    """Whether what is written to ``path`` is a list of flipped samples."""
    return _chosen(path)[0] == "flips"


def beside(path: Path, word: str) -> Path:
    """``path`` with ``word`` put into its name, so that it chooses the same report: ``a.json`` -> ``a.WORD.json``."""
    chosen = next((name for _, name, _ in _whole_names() if _ends(path, name)), path.suffix.removeprefix("."))
    at = len(path.name) - len(chosen)
    return path.with_name(f"{path.name[:at]}{word}.{path.name[at:]}")


def put(path: Path, content: Written, *, named: bool = True) -> None:
    """Write a file whole or not at all; a text in UTF-8, as reports are. ``named`` as in `prune_audit.files.target`.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with targets.replacing(path, named=named) as file:
            file.writelines(_encoded(content))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error


def _encoded(rendered: Written) -> Iterator[bytes]:
    if isinstance(rendered, bytes):
        yield rendered
        return
    for piece in (rendered,) if isinstance(rendered, str) else rendered:
        # A name that is no valid Unicode, from an old file system, is spelled out rather than allowed to stop the
        # report; in JSON the spelling is the escape of the very same character.
        yield piece.encode("utf-8", "backslashreplace")


def _chosen(path: Path) -> tuple[str, Render]:
    """The report that the name of ``path`` chooses, and how it writes a file of that name."""
    for report, name, render in _whole_names():
        if _ends(path, name):
            return report, render
    for report, module in plugins.loaded("reports"):
        if path.suffix.lower() in module.SUFFIXES:
            return report, getattr(module, "pieces", module.render)
    known = ", ".join(f"{suffix} ({report})" for suffix, report in sorted(suffixes().items()))
    raise UsageError(
        f"{path}: no report is written to {path.suffix or 'a file without a suffix'}",
        hint=f"{spelling.meant(path.suffix, sorted(suffixes()))}the suffix chooses the report: {known}",
    )


def _whole_names() -> Iterator[tuple[str, str, Render]]:
    """Report, name of a file that chooses it, and how that is written."""
    for report, module in plugins.loaded("reports"):
        for name, render in getattr(module, "NAMES", {}).items():
            yield report, name, render


def _ends(path: Path, name: str) -> bool:
    return f".{path.name.lower()}".endswith(f".{name}")


def _dialects(report: str) -> dict[str, Render]:
    return getattr(plugins.load("reports", report), "DIALECTS", {})


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: {error.strerror or error}", hint="give a file in a folder that you may write to")

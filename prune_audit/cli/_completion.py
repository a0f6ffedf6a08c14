"""What a shell is told when somebody presses Tab, and the two options that set that up.

Typer answers such a request and exits while it reads the line, before anything is run. Its answers are mended here for
bash, which takes ``=``, ``:`` and ``@`` for the ends of words, and sees three words in ``harmed=error``.

What is offered may come from a file, and zsh evaluates it: so nothing is offered that a shell would not take as it
stands.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeAlias

import typer

REQUEST = "_PRUNE_AUDIT_COMPLETE"  # the variable in which a shell says that it asks, as the scripts of Typer have it
OPTIONS = ("--show-completion", "--install-completion")
PLAIN = re.compile(r"[\w.,%+=:@/-]+", re.ASCII)
BREAKS = "=:@"  # what bash takes for a word of its own

Offered: TypeAlias = list[tuple[str, str]]  # values, each with its help
Complete: TypeAlias = Callable[[str], Offered]


def is_asked(arguments: Sequence[str]) -> bool:
    """Whether a shell asks how a line goes on, or somebody for the script that has it ask."""
    return REQUEST in os.environ or (bool(arguments) and arguments[0] in OPTIONS)


def answer(run: Callable[[str], object], commands: Sequence[str]) -> int:
    """Print the answer, and return the exit code that a shell looks at.

    ``run`` has Typer read the line, given which of the ``commands`` it needs the options of, or ``--help`` where it
    needs their names.
    """
    asked = "--help"
    mend: Callable[[str], str] = _same
    if REQUEST in os.environ:
        words, mend = _bash() if "COMP_WORDS" in os.environ else _others()
        asked = words[1] if len(words) > 2 and words[1] in commands else "--help"
    out, code = io.StringIO(), 0  # to which Typer writes no colours
    try:
        with redirect_stdout(out):
            run(asked)
    except SystemExit as left:
        code = int(left.code or 0)
    for line in out.getvalue().splitlines():
        sys.stdout.write(f"{mend(line)}\n")
    # fish asks by the exit code whether there is anything; else 1 is for checks that fail.
    return code if "_TYPER_COMPLETE_FISH_ACTION" in os.environ else 2 * bool(code)


def _same(line: str) -> str:
    return line


def _others() -> tuple[list[str], Callable[[str], str]]:
    """The words up to the cursor, and what mends a line of the answer to zsh, which wants ``--option=`` before values;
    fish and PowerShell do not."""
    line = os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = [*line.split(), *([""] if line.endswith(" ") else [])]
    option = re.fullmatch(r"(--[\w-]+=).*", words[-1]) if words else None
    if option is None or not os.environ[REQUEST].endswith("_zsh"):
        return words, _same
    return words, lambda offered: re.sub(r'^(_arguments [^"]*)?"', rf"\g<0>{option[1]}", offered)


def _bash() -> tuple[list[str], Callable[[str], str]]:
    """The words up to the cursor, put together where bash parted them, and what takes from a line of the answer what
    bash keeps of the last one: the longest end of that with which the line begins.

    The words take the place of those in the environment, where Typer reads them.
    """
    parted = os.environ["COMP_WORDS"].split("\n")
    at = int(os.environ.get("COMP_CWORD", "0") or 0)
    parted = (parted + [""] * (at + 1 - len(parted)))[: at + 1]
    words: list[str] = []
    glued = False
    for word in parted:
        breaks = bool(word) and not word.strip(BREAKS)
        if words and (breaks or glued):
            words[-1] += word
        else:
            words.append(word)
        glued = breaks
    last = parted[-1]
    kept = words[-1] if not last.strip(BREAKS) else words[-1].removesuffix(last)
    os.environ.update(COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1))
    kept = kept if kept.endswith(tuple(BREAKS)) else ""

    def mend(offered: str) -> str:
        ends = (kept[i:] for i in range(len(kept)))
        return next((offered.removeprefix(end) for end in ends if offered.startswith(end)), offered)

    return words, mend


def plain(found: Iterator[tuple[str, str]], incomplete: str) -> Offered:
    """Of what was ``found``, what goes on from ``incomplete`` and every shell takes as it stands."""
    return [each for each in found if each[0].startswith(incomplete) and PLAIN.fullmatch(each[0])]


# -------------------------------------------------------------------------------------------------- what is offered


def plugin(room: str) -> Complete:
    """The plugins of ``room``."""

    def complete(incomplete: str) -> Offered:
        from prune_audit import plugins

        return plain(((name, plugins.help_line(room, name)) for name in plugins.names(room)), incomplete)

    return complete


def kinds(incomplete: str) -> Offered:
    """The kinds of plugins."""
    from prune_audit import plugins

    return plain(((room, "") for room in plugins.ROOMS), incomplete)


def of_kind(context: typer.Context, incomplete: str) -> Offered:
    """The plugins of the kind that the line names."""
    from prune_audit import plugins

    room = context.params.get("kind")
    return plugin(room)(incomplete) if room in plugins.ROOMS else []


def policies(incomplete: str) -> Offered:
    """Presets of policies, and files of such."""
    from prune_audit.rules import PRESETS

    return plain(iter([*((name, "preset") for name in PRESETS), *_files(incomplete, (".toml",))]), incomplete)


def rules(incomplete: str) -> Offered:
    """Rules, each with every level."""
    from prune_audit import plugins

    levels = ("error", "warn", "off")
    found = (
        (f"{name}={level}", plugins.help_line("rules", name)) for name in plugins.names("rules") for level in levels
    )
    return plain(found, incomplete)


def preprocessing(incomplete: str) -> Offered:
    """Presets of preprocessing, and files of such."""
    from prune_audit.data import PRESETS

    files = _files(incomplete, (".json", ".toml"))
    return plain(iter([*((name, "preset") for name in PRESETS), *files]), incomplete)


def schedules(incomplete: str) -> Offered:
    """Schedules of pruning."""
    from prune_audit import pruning

    return plain(((name, "") for name in pruning.schedules()), incomplete)


def reports(incomplete: str) -> Offered:
    """Names of reports: what is typed, with every suffix that a report has; and folders to put them in.

    Where no suffix chooses a report, its whole name does, with anything before it: ``audit.card.md``.
    """
    from prune_audit import plugins
    from prune_audit.reports import suffixes, whole_names

    folder, slash, name = incomplete.rpartition("/")
    if not name:
        return []  # the shell then offers what is there
    stem = name.rpartition(".")[0] or name
    ends = {**suffixes(), **{f".{name}": report for name, report in whole_names().items()}}
    known = ((f"{folder}{slash}{stem}{end}", report) for end, report in sorted(ends.items()))
    found = [(path, plugins.help_line("reports", report)) for path, report in known]
    return plain(iter([*_files(incomplete, ()), *found]), incomplete)


def of_study(context: typer.Context, incomplete: str) -> Offered:
    """The methods of the studies that the line names, alone and with their densities."""
    # Where an option still waits for its value, Typer has read nothing, and left over what is none.
    named = context.params.get("study") or context.args
    cells = [cell for path in named for cell in _cells(Path(path))]
    names = [name for method, density in cells for name in (method, f"{method}@{density:.12g}")]
    return plain(((name, "") for name in sorted(dict.fromkeys(names))), incomplete)


def _cells(study: Path) -> list[tuple[str, float]]:
    """Method and density of every run that a file plans or a folder holds; none where it cannot be read."""
    import csv

    from prune_audit.files import parse, regular

    try:
        if study.is_dir():
            with (study / "runs.csv").open(encoding="utf-8", newline="") as file:
                return [(row["method"], float(row["density"])) for row in csv.DictReader(file)]
        plan = parse.toml(regular.text(study))
        methods = [{"name": each} if isinstance(each, str) else each for each in plan["methods"]]
        return [(each["name"], d) for each in methods for d in each.get("densities", plan.get("densities", ()))]
    # A line that is being typed is no place to say what is wrong with a file.
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Folders that begin as ``incomplete`` does, and files that end so."""
    folder, slash, name = incomplete.rpartition("/")
    try:
        found = sorted(Path(f"{folder}{slash}" or ".").iterdir())
    except OSError:
        return []
    shown = [path for path in found if path.name.startswith(name) and (name or not path.name.startswith("."))]
    return [
        (f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}", "")
        for path in shown
        if path.is_dir() or path.suffix.lower() in suffixes
    ]

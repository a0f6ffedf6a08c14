"""prune-audit study: prune over seeds, densities and methods, and say which way harms whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.cli import _options as o
from prune_audit.errors import StudyError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from prune_audit.study.running import Shard
    from prune_audit.study.tables import Analysis

Given = Annotated[
    list[Path],
    typer.Argument(metavar="STUDY...", help="A study.toml, or folders of results.", show_default=False),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where runs, tables and the page go. For a file: its name without .toml.",
        rich_help_panel=o.OUTPUT,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="Training data, in place of the file's.", rich_help_panel=o.DATA),
]
AuditData = Annotated[
    Path | None, typer.Option("--audit", help="Data to audit on, in place of the file's.", rich_help_panel=o.DATA)
]
Part = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Run the I-th of N parts, on this machine.", rich_help_panel=o.RUN),
]
Keep = Annotated[
    bool, typer.Option("--keep-models", help="Keep every pruned network; dense ones stay.", rich_help_panel=o.RUN)
]
Control = Annotated[
    str | None,
    typer.Option(
        "--control",
        metavar="METHOD[@DENSITY]",
        help="Test all others against it. Unless given: what was tuned at density 1.",
        rich_help_panel=o.RUN,
    ),
]


def run(
    study: Given,
    machine: o.Machine,
    output: Folder = None,
    data: Data = None,
    audit: AuditData = None,
    shard: Part = None,
    keep_models: Keep = False,
    control: Control = None,
    quiet: o.Quiet = False,
    allow_pickle: o.AllowPickle = False,
) -> int:
    """Prune networks of several seeds by several methods at several densities, and test what that does to classes.

    A file plans the runs, which are done and kept one by one: a study that is stopped goes on when the same command is
    given again. --shard splits it over machines; folders of results are put together and analysed as one. Written are
    runs.csv, classes.csv and samples.csv (also as Parquet), a CSV file for each table of the analysis, alpha.svg,
    study.md and study.html.

    Example: prune-audit study study.toml --data train/ --audit val/

    Example: prune-audit study first/ second/ -o both/
    """
    from prune_audit.cli import _terminal
    from prune_audit.core import Settings
    from prune_audit.study import analysis, controls, plan, results, running, writing

    planned = [path for path in study if path.suffix.lower() == ".toml"]
    if planned and len(study) > 1:
        raise UsageError("expected one .toml file, or folders of results", hint="give one study at a time")
    if not planned and (data or audit or shard or keep_models):
        raise UsageError(
            "folders of results are analysed, and nothing is run", hint="leave --data, --audit, --shard and such out"
        )
    folder = output
    if planned:
        path = planned[0]
        folder = output or Path(path.stem)
        wanted = plan.read(path, train=data, audit=audit)
        # So that a slip of the hand is told before hours of runs.
        controls.choose([(network, method, density) for network, seed, method, density in wanted.cells()], control)
        # What is trained runs here, before and after.
        settings = Settings(threads=machine.threads, device=machine.device, isolate="never", allow_pickle=allow_pickle)
        with _terminal.progress(quiet=quiet) as stages:

            def told(line: str) -> None:
                if not quiet:
                    _terminal.note(line)

            running.run(
                wanted,
                folder,
                settings,
                shard=_shard(shard),
                keep=keep_models,
                told=told,
                progress=stages("runs"),
            )
        study = [folder]
    title, runs, classes, right = results.read(study)
    if planned:
        runs, classes, right = (results.within(frame, wanted.cells()) for frame in (runs, classes, right))
    found = analysis.analyse(title, runs, classes, samples=right, control=control)
    if folder is not None:
        _write(found, runs, classes, right, folder)
    if not quiet:
        with _terminal.printing() as out:
            out.print(writing.renderable(found, out.width))
            if folder is not None:
                out.print(f"written to {folder}: runs.csv, classes.csv, a table for each part, study.md and study.html",
                          soft_wrap=True)  # fmt: skip
    if runs["failed"].notna().all():
        raise StudyError(
            f"none of {len(runs)} runs finished; the first failed because {runs['failed'].iloc[0]}",
            hint="runs.csv has the reason of each; mend the file, and write to another folder with -o",
        )
    return 0


def _write(found: Analysis, runs: pd.DataFrame, classes: pd.DataFrame, right: pd.DataFrame, folder: Path) -> None:
    """Every table and page into ``folder``."""
    from prune_audit import reports
    from prune_audit.errors import OutputError
    from prune_audit.study import figures, page, results, writing

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{folder} cannot be made: {fault.strerror}", hint="write elsewhere with -o") from fault
    files = results.tables(runs, classes, right)
    files |= {f"table-{table.name}.csv": writing.csv(table).encode() for table in found.tables}
    files["study.md"] = writing.markdown(found).encode("utf-8", "backslashreplace")
    files["study.html"] = page.render(found, runs, classes).encode("utf-8", "backslashreplace")
    if (drawing := figures.drawing(found)) is not None:
        files["alpha.svg"] = drawing.encode()
    once = {folder / name for name in ("alpha.svg", "samples.csv", "samples.parquet")}
    for stale in {*folder.glob("table-*.csv"), *once} - {folder / name for name in files}:
        stale.unlink(missing_ok=True)  # of an earlier, larger plan
    for name, content in files.items():
        reports.put(folder / name, content)


def _shard(text: str | None) -> Shard:
    from prune_audit.study.running import Shard

    if text is None:
        return Shard()
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard: expected I/N with I from 1 to N, found {text!r}", hint="--shard 2/8")
    return Shard(number=int(number), of=int(of))

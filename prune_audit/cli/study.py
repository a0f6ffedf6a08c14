"""prune-audit study: prune over seeds, densities and methods, and say which way harms whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from prune_audit.cli import _completion as complete
from prune_audit.cli import _options as o
from prune_audit.errors import StudyError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from prune_audit.core import DataSource
    from prune_audit.render.gallery import Picture
    from prune_audit.study.contrasts import Contrasts
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
Keep = Annotated[
    bool, typer.Option("--keep-models", help="Keep every pruned network; dense ones stay.", rich_help_panel=o.RUN)
]
Control = Annotated[
    str | None,
    typer.Option(
        "--control",
        metavar="METHOD[@DENSITY]",
        help="Test all others against it. Unless given: what was tuned at density 1.",
        autocompletion=complete.of_study,
        rich_help_panel=o.RUN,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which exemplars are listed, and where."""

    PANEL: ClassVar[str] = o.OUTPUT

    exemplars: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="List the samples that most pruned networks of a cell call otherwise than most dense ones (Hooker et "
            "al.), with tables of them; pictures go into the page. Of folders, --audit gives the images.",
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="With --exemplars: list at most N samples of each cell. Unless given: all on which networks differ.",
        ),
    ] = None


def run(
    study: Given,
    machine: o.Machine,
    engine: o.Engine,
    listing: Listing,
    output: Folder = None,
    data: Data = None,
    audit: AuditData = None,
    shard: o.Part = None,
    keep_models: Keep = False,
    control: Control = None,
    quiet: o.Quiet = False,
    progress: o.Watched = "auto",
    allow_pickle: o.AllowPickle = False,
) -> int:
    """Prune networks of several seeds by several methods at several densities, and test what that does to classes.

    A file plans the runs, which are done and kept one by one: a study that is stopped goes on when the same command is
    given again. --shard or --runner ray splits it over machines; folders of results are put together and analysed as
    one. Written are
    runs.csv, classes.csv and samples.csv (also as Parquet), a CSV file for each table of the analysis, alpha.svg,
    study.md and study.html.

    Example: prune-audit study study.toml --data train/ --audit val/

    Example: prune-audit study first/ second/ -o both/

    Example: prune-audit study first/ --exemplars exemplars.csv --audit val/ -o first/
    """
    from prune_audit import runners
    from prune_audit.cli import _terminal
    from prune_audit.core import DataSource, Settings
    from prune_audit.study import analysis, controls, plan, results, running, sharing, writing

    planned = [path for path in study if path.suffix.lower() == ".toml"]
    if planned and len(study) > 1:
        raise UsageError("expected one .toml file, or folders of results", hint="give one study at a time")
    exemplars, top = listing.exemplars, listing.top
    if top is not None and exemplars is None:
        raise UsageError("--top is of a list of exemplars", hint="give --exemplars FILE.csv, too")
    elsewhere = engine.runner != Settings().runner
    if not planned and (data or (audit and exemplars is None) or shard or elsewhere or keep_models):
        raise UsageError(
            "folders of results are analysed, and nothing is run",
            hint="leave --data, --audit, --shard, --runner and such out",
        )
    if exemplars is not None:
        o.apart([exemplars], [*planned, *(each / name for each in study for name in results.WRITTEN)])
    folder = output
    if planned:
        path = planned[0]
        folder = output or Path(path.stem)
        wanted = plan.read(path, train=data, audit=audit)
        # So that a slip of the hand is told before hours of runs.
        controls.choose(sorted({(network, method, density) for network, _, method, density in wanted.cells()}), control)
        # What is trained runs here, before and after.
        settings = Settings(
            threads=machine.threads,
            device=machine.device,
            isolate="never",
            allow_pickle=allow_pickle,
            **engine.settings(),
        )
        if elsewhere and not runners.elsewhere(engine.runner):
            raise UsageError(
                f"--runner {engine.runner}: in this process the runs of a study are done one after the other",
                hint="leave it out, or take a runner of other machines, as ray is",
            )
        with _terminal.progress(progress, quiet=quiet) as stages:

            def told(line: str) -> None:
                if not quiet:
                    _terminal.note(line)

            (sharing if elsewhere else running).run(
                wanted,
                folder,
                settings,
                shard=o.shard(shard),
                keep=keep_models,
                told=told,
                progress=stages("runs"),
            )
        study = [folder]
    title, runs, classes, right = results.read(study)
    if planned:
        runs, classes, right = (results.within(frame, wanted.cells()) for frame in (runs, classes, right))
    announced = wanted.contrasts if planned else results.announced(study)
    found = analysis.analyse(title, runs, classes, samples=right, control=control, announced=announced)
    pictures: Mapping[str, Sequence[Picture]] = {}
    if exemplars is not None:
        source = wanted.audit if planned else None if audit is None else DataSource(path=audit)
        found, pictures = _exemplars(found, classes, right, study, source, exemplars, top)
    if folder is not None:
        _write(found, runs, classes, right, folder, study, pictures, announced)
    if not quiet:
        with _terminal.printing() as out:
            out.print(writing.renderable(found, out.width))
            if exemplars is not None:
                out.print(f"written to {exemplars}: the exemplars", soft_wrap=True)
            if folder is not None:
                out.print(f"written to {folder}: runs.csv, classes.csv, a table for each part, study.md and study.html",
                          soft_wrap=True)  # fmt: skip
    if runs["failed"].notna().all():
        raise StudyError(
            f"none of {len(runs)} runs finished; the first failed because {runs['failed'].iloc[0]}",
            hint="runs.csv has the reason of each; mend the file, and write to another folder with -o",
        )
    return 0


def _exemplars(
    found: Analysis,
    classes: pd.DataFrame,
    right: pd.DataFrame,
    folders: Sequence[Path],
    source: DataSource | None,
    path: Path,
    top: int | None,
) -> tuple[Analysis, Mapping[str, Sequence[Picture]]]:
    """``found`` with what there is to say of exemplars, which are listed in ``path``, and pictures of some."""
    import csv
    import io

    from prune_audit import data, reports
    from prune_audit.core import Expects, Settings
    from prune_audit.study import exemplars, results

    listed = results.audited(folders)
    try:
        cells = exemplars.of_study(right, classes)
    except ValueError as fault:
        raise StudyError(f"what the networks said: {fault}", hint="samples.csv must be that of runs.csv") from fault
    if not cells:
        raise StudyError(
            "no run has kept which classes its networks named, so that there are no exemplars to find",
            hint="runs of earlier versions did not keep them; run the study anew, into another folder",
        )
    ids, labels = zip(*listed, strict=True)
    names = {str(of): list(dict.fromkeys(own["class"])) for of, own in classes.groupby("network", sort=False)}
    exemplars.check(cells, labels, names)
    pictures: Mapping[str, Sequence[Picture]] = {}
    if source is not None:
        pictures = exemplars.pictures(cells, ids, names, data.load(source, Expects(), Settings()))
    text = io.StringIO(newline="")
    csv.writer(text).writerows([exemplars.COLUMNS, *exemplars.listed(cells, ids, names, top)])
    reports.put(path, text.getvalue())
    return replace(found, tables=(*found.tables, *exemplars.tables(cells, names))), pictures


def _write(
    found: Analysis,
    runs: pd.DataFrame,
    classes: pd.DataFrame,
    right: pd.DataFrame,
    folder: Path,
    folders: Sequence[Path],
    pictures: Mapping[str, Sequence[Picture]],
    announced: Contrasts | None,
) -> None:
    """Every table and page into ``folder``; ``folders`` are those that the runs lie in."""
    from prune_audit import reports
    from prune_audit.files import target as targets
    from prune_audit.study import figures, page, results, writing

    targets.folder(folder)
    if announced is not None:
        results.announce(folder, announced)
    files = results.tables(runs, classes, right)
    files |= {f"table-{table.name}.csv": writing.csv(table).encode() for table in found.tables}
    files["study.md"] = writing.markdown(found).encode("utf-8", "backslashreplace")
    files["study.html"] = page.render(found, runs, classes, pictures).encode("utf-8", "backslashreplace")
    if (drawing := figures.drawing(found)) is not None:
        files["alpha.svg"] = drawing.encode()
    if all((each / results.AUDITED).is_file() for each in folders):
        results.put_audited(folder, results.audited(folders))
    once = {folder / name for name in ("alpha.svg", "samples.csv", "samples.parquet")}
    for stale in {*folder.glob("table-*.csv"), *once} - {folder / name for name in files}:
        targets.remove(stale)  # of an earlier, larger plan
    for name, content in files.items():
        reports.put(folder / name, content, named=False)

"""prune-audit explain: why the classes suffer that do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from prune_audit.cli import _completion as complete
from prune_audit.cli import _options as o
from prune_audit.cli.compare import Models, Statistics
from prune_audit.errors import UsageError
from prune_audit.options import OfPlugins, chosen_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Through which lenses, and how closely."""

    PANEL: ClassVar[str] = "Lenses"

    lens: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Lens to look through, in place of the usual ones: see `list lenses`; repeats.",
            autocompletion=complete.plugin("lenses"),
        ),
    ] = None
    samples: Annotated[
        int, typer.Option(metavar="N", help="Samples of each class of --data to compute with, drawn by --seed.")
    ] = 200
    of_lenses: Annotated[Mapping[str, Any], OfPlugins("lenses")]


def run(
    context: typer.Context,
    dense: o.Dense,
    pruned: o.Pruned,
    roles: o.Roles,
    looking: Looking,
    of_models: Models,
    reading: o.Reading,
    sample: o.Sample,
    statistics: Statistics,
    written: o.Reports,
    shown: o.Shown,
    running: o.Running,
    caching: o.CachingOfData,
    progress: o.Watched = "auto",
    thumbnails: o.Thumbnails = 0,
) -> int:
    """Say why the classes suffer that do: what was checked against what really happened, or that nothing explains it.

    Runs compare on --audit, then looks at the networks through lenses, which compute on --data. A lens that makes a
    network writes it to the -o FILE that ends as PRUNED does. What was computed is kept, so that another lens repeats
    nothing. The exit code is 0 whatever was found.

    Example: prune-audit explain dense.pth@nets:resnet20 pruned.pth@nets:resnet20 --data train/ --audit val/ -o why.html
    """
    from prune_audit import models

    settings = replace(
        statistics.laid_over(o.settings(of_models.outputs, sample, running), context),
        plausibility=not of_models.no_plausibility,
        **of_models.expected.settings(),
    )
    source, audited = reading.source(roles.data), reading.source(roles.audit)
    sources = models.parse(dense), [models.parse(each) for each in pruned]
    paths, made = _outputs(written, [each.path for each in sources[1]])
    read = [*(each.path for each in (sources[0], *sources[1])), *o.of_source(source), *o.of_source(audited)]
    o.apart([*paths, *([made] if made is not None else [])], read)
    store = caching.store()
    models.prepare([sources[0], *sources[1]], settings, store)
    # While what runs the models is imported in another process.
    from prune_audit import explain, prune
    from prune_audit.cli import _terminal

    if made is not None:
        prune.check_output(sources[0].path, made)
    names = explain.usual() if looking.lens is None else tuple(dict.fromkeys(looking.lens))
    asked = explain.Asked(
        lenses=chosen_of(looking.of_lenses, names),
        samples=looking.samples,
        same_data=roles.same_data,
        thumbnails=thumbnails,
    )
    besides = [source.path for _, source in explain.besides(asked).values()]
    o.apart([*paths, *([made] if made is not None else [])], besides)
    dialects, printed = written.dialects(), written.printed()
    with _terminal.progress(progress, quiet=shown.quiet) as stages:
        done = explain.run(*sources, source, audited, settings, asked, store=store, made=made, progress=stages)
    return _terminal.deliver(
        done,
        paths,
        show_all=shown.show_all,
        quiet=shown.quiet,
        verbose=False,
        github=written.github,
        printed=printed,
        dialects=dialects,
    )


def _outputs(written: o.Reports, pruned: Sequence[Path]) -> tuple[list[Path], Path | None]:
    """The reports to write, and where a network goes: what ends as the pruned one does, and as no report."""
    from prune_audit import reports

    networks = [
        path
        for path in written.output or ()
        if path != o.STANDARD_OUTPUT
        and path.suffix.lower() not in reports.suffixes()
        and path.suffix in {each.suffix for each in pruned}
    ]
    if len(networks) > 1 or (networks and len(pruned) > 1):
        raise UsageError(
            f"{', '.join(map(str, networks))}: one network is made of one PRUNED", hint="run it once for each"
        )
    others = replace(written, output=[path for path in written.output or () if path not in networks])
    return others.paths(), networks[0] if networks else None

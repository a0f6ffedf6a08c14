"""prune-audit mitigate: mend a pruned network, and see what of it the controls do as well."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from prune_audit.cli import _completion as complete
from prune_audit.cli import _mitigation_options as m
from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g
from prune_audit.cli import _pruning_options as p

Pruned = Annotated[
    str,
    typer.Argument(metavar="PRUNED", help="The pruned network to mend, written in the same way: PATH, or NAME=PATH."),
]
Written = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="Where the mended network goes, in the format of PRUNED.", rich_help_panel=o.OUTPUT
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Method of mitigation: see `list mitigations`.",
        autocompletion=complete.plugin("mitigations"),
        rich_help_panel=m.MITIGATION,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What is written and printed beside the network."""

    PANEL: ClassVar[str] = o.OUTPUT

    report: p.Report = None
    written: m.Written
    shown: o.Shown

    def paths(self, method: str) -> list[Path]:
        """The files to write. Raises `AuditError` where one cannot be written, or ``method`` has nothing for it."""
        from prune_audit.reports import check_writable

        for path in self.report or ():
            check_writable(path)
        return [*(self.report or ()), *self.written.check(method)]


def run(
    context: typer.Context,
    dense: o.Dense,
    pruned: Pruned,
    output: Written,
    method: Method,
    roles: o.Roles,
    mitigating: m.Mitigating,
    tuning: p.Tuning,
    parts: o.Parts,
    reading: o.Reading,
    asked: g.Asked,
    reports: Reports,
    machine: o.Machine,
    caching: o.Caching,
    allow_pickle: o.AllowPickle = False,
    exit_zero: g.ExitZero = False,
    progress: o.Watched = "auto",
) -> int:
    """Mend a pruned network so that its weakest classes or groups lose less, and see what the controls do as well.

    Weights that were cut stay zero. Beside it stand the pruned network, recalibrated, and for methods that train plain
    and balanced tuning of the same epochs, all judged on data that no method saw. A run that is killed goes on when the
    same command is given again. The exit code is the gate's.

    Example: prune-audit mitigate dense.pth@nets:resnet20 pruned.pth --method equal-loss --data train/ --audit val/
    --epochs 6 -o fair.pth
    """
    from prune_audit import mitigate, models
    from prune_audit.cli import _terminal
    from prune_audit.core import Settings

    quiet = reports.shown.quiet
    named, cut = models.parse(dense), models.parse(pruned)
    settings = Settings(
        seed=tuning.seed,
        threads=machine.threads,
        device=machine.device,
        isolate="never",  # what is trained runs here, before and after
        allow_pickle=allow_pickle,
        model_output=tuple(parts.model_output or ()),
        # A pruned network holds the weights that were used and no others.
        state_key=tuple(each if "=" in each else f"{named.name}={each}" for each in parts.state_key or ()),
    )
    wanted = mitigating.mitigation(method, tuning.training(), same_data=roles.same_data)
    paths = reports.paths(method)
    source, audited = reading.source(roles.data), reading.source(roles.audit)
    o.apart([output, *paths], [named.path, cut.path, *o.of_source(source), *o.of_source(audited)])
    judged = g.policy(context, asked.policy)
    g.told(judged, quiet=quiet)
    with _terminal.progress(progress, quiet=quiet) as stages:
        done = mitigate.run(
            named,
            cut,
            output,
            wanted,
            settings,
            source=source,
            audited=audited,
            policy=judged,
            store=caching.store(),
            progress=stages,
        )
    code = m.deliver(done, method, reports.written, reports.report or (), reports.shown)
    return g.leave(code, exit_zero=exit_zero)

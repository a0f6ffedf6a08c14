"""The options of `prune-audit mitigate` that `prune --mitigate` takes as well, and what they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from prune_audit.cli import _options as o
from prune_audit.errors import UsageError
from prune_audit.options import OfPlugins, chosen

if TYPE_CHECKING:
    from prune_audit.mitigate import Mitigated, Mitigation
    from prune_audit.nets.train_loop import Training

MITIGATION = "Mitigation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mitigating:
    """What is equalised, and how fast."""

    PANEL: ClassVar[str] = MITIGATION

    by: Annotated[
        str,
        typer.Option(
            metavar="class|COLUMN", help="What is to lose alike: classes, or the groups in a column of the data."
        ),
    ] = "class"
    step: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Step of the multipliers of a method that has some; by default its own."),
    ] = None
    tol: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="What a method tolerates: of excess drop where it trains, of lost accuracy where not; by default 1.",
        ),
    ] = None
    of_mitigations: Annotated[Mapping[str, Any], OfPlugins("mitigations")]

    def mitigation(self, method: str, training: Training, *, same_data: bool) -> Mitigation:
        """As a request. Raises `UsageError` where it makes no sense."""
        from prune_audit.mitigate import Mitigation

        return Mitigation(
            method=method,
            by=self.by,
            step=self.step,
            tolerance=self.tol,
            options=chosen(self.of_mitigations, method),
            training=training,
            same_data=same_data,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is written beside the network and its report."""

    PANEL: ClassVar[str] = o.OUTPUT

    controls: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write the mended network and its controls, with intervals, as CSV."),
    ] = None
    multipliers: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Write the multiplier of every group after every epoch as CSV."),
    ] = None

    def check(self, method: str) -> list[Path]:
        """The files to write. Raises `AuditError` where one cannot be written, or ``method`` has nothing for it."""
        from prune_audit import plugins
        from prune_audit.reports import check_chosen

        if self.multipliers is not None and not hasattr(plugins.load("mitigations", method), "STEP"):
            raise UsageError(f"{method} has no multipliers to write", hint="leave out --multipliers")

        found = [path for path in (self.controls, self.multipliers) if path is not None]
        check_chosen(found, "table", (".csv",))
        return found


def deliver(done: Mitigated, method: str, written: Written, report: Sequence[Path], shown: o.Shown) -> int:
    """Write what is asked for, print what came of it, and give the exit code of the gate."""
    from prune_audit import reports
    from prune_audit.cli import _terminal
    from prune_audit.render.consoles import Text
    from prune_audit.reports.csv import of

    if written.controls is not None:
        reports.put(written.controls, of(done.controls()))
    if written.multipliers is not None:
        reports.put(written.multipliers, of(done.table("multipliers")))
    if not shown.quiet:
        with _terminal.printing() as out:
            what = f"mended by {method}" if done.changed else f"the pruned network as it was, as {method} does not help"
            out.print(Text(f"{done.source.path}: {what}", "bold"), soft_wrap=True)
            out.print()
    return _terminal.deliver(done.audit, report, show_all=shown.show_all, quiet=shown.quiet, verbose=False)

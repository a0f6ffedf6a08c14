"""prune-audit check: judge a saved audit again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from prune_audit.cli import _options as o
from prune_audit.cli import _policy_options as g
from prune_audit.errors import UsageError

if TYPE_CHECKING:
    from prune_audit.core import Audit

Baseline = Annotated[
    Path | None,
    typer.Option(
        metavar="AUDIT",
        envvar=f"{g.PREFIX}BASELINE",
        show_envvar=False,
        help="The last accepted audit.json: fail only on what got worse, or is worse than the dense model by now.",
        rich_help_panel=g.GATE,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """The releases that the same data have judged."""

    PANEL: ClassVar[str] = "Over releases"

    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            envvar=f"{g.PREFIX}HISTORY",
            show_envvar=False,
            help="Remember this release in the folder, and say how many releases these data have judged.",
        ),
    ] = None
    alpha_budget: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            envvar=f"{g.PREFIX}ALPHA_BUDGET",
            show_envvar=False,
            help="Share of false alarms that is accepted over all releases in the history, such as .1: fail a release "
            "for classes that lost too much only where this budget shows it.",
        ),
    ] = None

    def check(self, baseline: Path | None) -> None:
        """Refuse what makes no sense, before anything is read."""
        if self.alpha_budget is None:
            return
        if not 0 < self.alpha_budget < 1:
            raise UsageError(
                f"--alpha-budget: expected a share between 0 and 1, found {self.alpha_budget:g}",
                hint=".1 means that one in ten alarms may be false",
            )
        if self.history is None:
            raise UsageError("--alpha-budget is spent over a history, and there is none", hint="give --history FOLDER")
        if baseline is not None:
            raise UsageError(
                "--alpha-budget is spent on losses against the dense model, and --baseline judges changes since",
                hint="leave one of them out",
            )

    def placed(self, judged: Audit) -> Audit:
        """``judged`` as one of the releases, where there is a history."""
        if self.history is None:
            return judged
        from prune_audit import history

        return history.judge(judged, self.history, budget=self.alpha_budget)


def run(
    context: typer.Context,
    saved: o.Saved,
    asked: g.Asked,
    limits: Annotated[g.Limits, g.GATE],
    logged: o.Logged,
    shown: o.Shown,
    releases: Releases,
    baseline: Baseline = None,
    exit_zero: g.ExitZero = False,
) -> int:
    """Judge a saved audit again, without models or data.

    Judges by --policy, else by the project's prune-audit.toml or pyproject.toml, else by the policy in the audit, else
    by the default one. With --baseline, what failed in the last accepted audit too and got no worse is accepted. With
    --history, the release is remembered, and reports say how many releases the same data have judged. Every option of
    the gate is a variable of the environment as well: --margin is PRUNE_AUDIT_MARGIN.

    What is printed is what changed, the classes that a finding or a failed check is about, and the verdict; --all
    prints the whole table.

    Example: prune-audit check audit.json --policy strict --baseline accepted.json

    Example: prune-audit check audit.json --history releases/ --alpha-budget .1
    """
    from prune_audit import document, gate
    from prune_audit.cli import _terminal

    releases.check(baseline)
    paths, dialects, services = logged.reports.paths(), logged.reports.dialects(), logged.services()
    printed = logged.reports.printed()
    # The audit itself may be, by what is judged anew.
    o.apart(paths, [baseline])
    o.apart([path for path in paths if path.suffix.lower() != ".json"], [saved])
    audit = document.read_audit(saved)
    wanted = g.policy(context, asked.policy, stored=audit.policy)
    g.told(wanted, quiet=shown.quiet)
    if baseline is not None:
        from prune_audit import baseline as before

        judged = before.judge(audit, document.read_audit(baseline), wanted, str(baseline))
    else:
        judged = gate.judge(audit, wanted)
    judged = releases.placed(judged)
    code = _terminal.deliver(
        judged,
        paths,
        show_all=shown.show_all,
        quiet=shown.quiet,
        verbose=False,
        github=logged.reports.github,
        printed=printed,
        dialects=dialects,
        log=services,
        # By another margin other classes are undecided, and the file says nothing of that.
        brief=True,
        saved=saved if judged.provenance.settings == audit.provenance.settings else None,
    )
    return g.leave(code, exit_zero=exit_zero)

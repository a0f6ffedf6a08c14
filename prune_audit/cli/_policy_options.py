"""The options that ask for a gate, and the policy that they, the environment and a file come to.

Every value may be a flag or a variable ``PRUNE_AUDIT_...``; a flag comes before a variable, a variable before the
file, the file before the preset that it extends. Typer says of each value which it was, and so the policy can.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from prune_audit.core import Policy
    from prune_audit.rules import Given

PANEL = "Gate"
PREFIX = "PRUNE_AUDIT_"

Chosen = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="PRESET|FILE",
        envvar=f"{PREFIX}POLICY",
        show_envvar=False,
        help="report-only, screen, default, strict, or a TOML file; else the project's own.",
        rich_help_panel=PANEL,
    ),
]
Rule = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        metavar="NAME=LEVEL[:LIMIT]",
        envvar=f"{PREFIX}RULE",
        show_envvar=False,
        help="Set a rule to off, warn or error, with its limit; repeats.",
        rich_help_panel=PANEL,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        envvar=f"{PREFIX}STRICT",
        show_envvar=False,
        help="Exit with 3 when a check is inconclusive.",
        rich_help_panel=PANEL,
    ),
]
ExitZero = Annotated[
    bool,
    typer.Option(
        "--exit-zero",
        envvar=f"{PREFIX}EXIT_ZERO",
        show_envvar=False,
        help="Leave 0 whatever the gate says; 2 stays 2.",
        rich_help_panel=PANEL,
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="AUDIT",
        envvar=f"{PREFIX}BASELINE",
        show_envvar=False,
        help="The last accepted audit.json: fail only on what got worse, or is worse than the dense model by now.",
        rich_help_panel=PANEL,
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        envvar=f"{PREFIX}MARGIN",
        show_envvar=False,
        help="A class that lost more has regressed: 2.",
        rich_help_panel=PANEL,
    ),
]
Assure = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        envvar=f"{PREFIX}ASSURE",
        show_envvar=False,
        help="A loss that 'fine' rules out: 5, or a wider margin.",
        rich_help_panel=PANEL,
    ),
]
RetentionMargin = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        envvar=f"{PREFIX}RETENTION_MARGIN",
        show_envvar=False,
        help="A class that kept less of its recall than this share of what the rest kept is harmed: .95.",
        rich_help_panel=PANEL,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        envvar=f"{PREFIX}CONFIDENCE",
        show_envvar=False,
        help="Confidence level of every interval: .95.",
        rich_help_panel=PANEL,
    ),
]
ExpectAccuracy = Annotated[
    float | None,
    typer.Option(
        metavar="PERCENT",
        envvar=f"{PREFIX}EXPECT_ACCURACY",
        show_envvar=False,
        help="What the dense model is known to have: stop where the audit's samples exclude it.",
        rich_help_panel=PANEL,
    ),
]
ExpectTolerance = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        envvar=f"{PREFIX}EXPECT_TOLERANCE",
        show_envvar=False,
        help="How far beyond the interval the expected accuracy may lie: 2.",
        rich_help_panel=PANEL,
    ),
]
Correction = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        envvar=f"{PREFIX}CORRECTION",
        show_envvar=False,
        help="Over classes: fdr_bh, fdr_by, holm, bonferroni, none.",
        rich_help_panel=PANEL,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="accuracy|balanced",
        envvar=f"{PREFIX}REFERENCE",
        show_envvar=False,
        help="What a class is compared with; balanced is the mean of recalls.",
        rich_help_panel=PANEL,
    ),
]


def asked(context: typer.Context, choice: str | None, *, gate: bool) -> Policy | None:
    """The policy of a command that gates on request, None where nothing asks for a gate.

    A policy, a rule and --strict ask for one as --gate does; the margin and its like concern the statistics as well.
    """
    wanted = gate or choice is not None or any(origin(context, name) for name in ("rule", "strict"))
    return policy(context, choice) if wanted else None


def policy(context: typer.Context, choice: str | None, *, stored: Policy | None = None) -> Policy:
    """The policy to judge by.

    ``choice`` is a preset or a file. Without it the project's file holds, found from the working directory upwards,
    then the policy ``stored`` in an audit, then the default one. Values of the environment and flags are laid over it.

    Raises:
        PolicyError: the file or a value is not understood.
    """
    from prune_audit import rules

    base = stored if choice is None and rules.found(Path.cwd()) is None else None
    return rules.overlaid(base or rules.chosen(choice, start=Path.cwd()), given(context))


def given(context: typer.Context) -> list[Given]:
    """What flags and the environment say of the policy, from whichever of its options the command has."""
    from prune_audit import rules

    values = []
    for name in ("inconclusive", *rules.SETTINGS):
        parameter = "strict" if name == "inconclusive" else name.replace("-", "_")
        if (where := origin(context, parameter)) is not None and context.params[parameter] is not False:
            value = "forbid" if name == "inconclusive" else context.params[parameter]
            values.append(rules.Given(key=(name,), value=value, origin=where))
    if (where := origin(context, "rule")) is not None:
        for text in context.params["rule"]:
            values += rules.of_rule(text, where)
    return values


def told(policy: Policy | None, *, quiet: bool) -> None:
    """Say on standard error which file the policy is from, since it may be far up the tree."""
    from prune_audit.cli import _terminal

    if policy is not None and policy.path is not None and not quiet:
        _terminal.note(f"policy: {policy.path}")


def leave(code: int, *, exit_zero: bool) -> int:
    """The exit code; ``exit_zero`` hides what the gate says, and nothing else."""
    return 0 if exit_zero and code in (1, 3) else code


def origin(context: typer.Context, parameter: str) -> str | None:
    """The flag or the variable that gave ``parameter`` its value, None where it is at its default."""
    source = context.get_parameter_source(parameter) if parameter in context.params else None
    if source is None or source.name not in ("COMMANDLINE", "ENVIRONMENT"):
        return None
    name = parameter.replace("_", "-")
    return f"--{name}" if source.name == "COMMANDLINE" else f"{PREFIX}{parameter.upper()}"

"""The options that ask for a gate, and the policy that they, the environment and a file come to.

Every value may be a flag or a variable ``PRUNE_AUDIT_...``; a flag comes before a variable, a variable before the
file, the file before the preset that it extends. Typer says of each value which it was, and so the policy can.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from prune_audit.choices import Correction, Reference
from prune_audit.cli import _completion as complete
from prune_audit.cli._environment import PREFIX as PREFIX
from prune_audit.cli._options import MODELS, points
from prune_audit.errors import UsageError

if TYPE_CHECKING:
    from prune_audit.core import Policy, Settings
    from prune_audit.rules import Given

GATE, STATISTICS = "Gate", "Statistics"

ExitZero = Annotated[
    bool,
    typer.Option(
        "--exit-zero",
        envvar=f"{PREFIX}EXIT_ZERO",
        show_envvar=False,
        help="Exit with 0 whatever the gate says; 2 stays 2.",
        rich_help_panel=GATE,
    ),
]


Margin = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        envvar=f"{PREFIX}MARGIN",
        show_envvar=False,
        help="A class that lost more has regressed; 2 by default.",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        envvar=f"{PREFIX}CONFIDENCE",
        show_envvar=False,
        help="Confidence level of every interval; .95 by default.",
    ),
]
Corrected = Annotated[
    Correction | None,
    typer.Option(
        metavar="NAME",
        envvar=f"{PREFIX}CORRECTION",
        show_envvar=False,
        help="Correction for many tests over classes: fdr_bh (default), fdr_by, holm, bonferroni or none.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which policy judges."""

    PANEL: ClassVar[str] = GATE

    policy: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET|FILE",
            envvar=f"{PREFIX}POLICY",
            show_envvar=False,
            help="Policy to judge by: report-only, screen, default, strict, or a TOML file; else the project's own.",
            autocompletion=complete.policies,
        ),
    ] = None
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LEVEL[:LIMIT]",
            envvar=f"{PREFIX}RULE",
            show_envvar=False,
            help="Set a rule to off, warn or error, with its limit; repeats.",
            autocompletion=complete.rules,
        ),
    ] = None
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            envvar=f"{PREFIX}STRICT",
            show_envvar=False,
            help="Exit with 3 if a check of level error is undecided.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Which losses are too large; None where a policy or the default says it."""

    PANEL: ClassVar[str] = STATISTICS

    margin: Margin = None
    assure: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            envvar=f"{PREFIX}ASSURE",
            show_envvar=False,
            help="A class is 'fine' when a loss of this size is ruled out; by default 5, or a wider margin.",
        ),
    ] = None
    retention_margin: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            envvar=f"{PREFIX}RETENTION_MARGIN",
            show_envvar=False,
            help="A class that kept less of its recall than this share of what the rest kept is harmed; by default "
            ".95.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the dense model is known to be; None where a policy or the default says it."""

    PANEL: ClassVar[str] = MODELS

    expect_accuracy: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            envvar=f"{PREFIX}EXPECT_ACCURACY",
            show_envvar=False,
            help="Accuracy that the dense model is known to have: stop where the samples exclude it.",
        ),
    ] = None
    expect_tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            envvar=f"{PREFIX}EXPECT_TOLERANCE",
            show_envvar=False,
            help="How far beyond the interval the expected accuracy may lie; 2 by default.",
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Those that are given, as fields of `prune_audit.core.Settings`."""
        found: dict[str, Any] = {}
        if (percent := self.expect_accuracy) is not None:
            if not 0 <= percent <= 100 or 0 < percent <= 1:
                raise UsageError(
                    f"--expect-accuracy: expected percent from 0 to 100, found {percent:g}", hint="92.8 means 92.8 %"
                )
            found["expect_accuracy"] = percent / 100
        if self.expect_tolerance is not None:
            found["expect_tolerance"] = points("--expect-tolerance", self.expect_tolerance)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """How sure findings must be, and what classes are compared with; None where a policy or the default says it."""

    PANEL: ClassVar[str] = STATISTICS

    confidence: Confidence = None
    correction: Corrected = None
    reference: Annotated[
        Reference | None,
        typer.Option(
            metavar="accuracy|balanced",
            envvar=f"{PREFIX}REFERENCE",
            show_envvar=False,
            help="What a class is compared with: accuracy (default), or balanced, the mean of recalls.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All numbers that a policy may set beside its rules."""

    losses: Losses
    expected: Expected
    tests: Tests


def laid_over(settings: Settings, losses: Losses, tests: Tests, context: typer.Context) -> Settings:
    """``settings`` with what was given; unless the assurance limit is, it yields to the margin."""

    def share(name: str, value: float) -> float:
        return points(origin(context, name) or f"--{name}", value)

    margin = settings.margin if losses.margin is None else share("margin", losses.margin)
    assure = max(settings.assure, margin) if losses.assure is None else share("assure", losses.assure)
    plain = {"retention_margin": losses.retention_margin} | {
        name: getattr(tests, name) for name in ("confidence", "correction", "reference")
    }
    given: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    return replace(settings, margin=margin, assure=assure, **given)


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

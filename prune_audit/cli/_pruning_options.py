"""The options of `prune-audit prune`, and the recipe that they become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from prune_audit.errors import UsageError

CUT, TRAIN = "Pruning", "Training"

Method = Annotated[
    str, typer.Option(metavar="NAME", help="undecayed, magnitude ...: see `list pruning`.", rich_help_panel=CUT)
]
Density = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Weights to keep: .1 keeps a tenth. With --until-harm: the lowest density to try, .01.",
        rich_help_panel=CUT,
    ),
]
Scope = Annotated[
    str,
    typer.Option(metavar="global|layer", help="Whether layers compete, or keep equal shares.", rich_help_panel=CUT),
]
Exempt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="first|last|PATTERN", help="Leave a layer whole and out of the density; repeats.", rich_help_panel=CUT
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="one-shot (default), iterative, gradual, or surgery, the default of that method where it trains.",
        rich_help_panel=CUT,
    ),
]
Rounds = Annotated[
    int, typer.Option("--steps", metavar="N", help="Cuts of an iterative or gradual schedule.", rich_help_panel=CUT)
]
Samples = Annotated[
    int | None,
    typer.Option(
        "--score-samples", metavar="N", help="Score on N of the training samples, not on all.", rich_help_panel=CUT
    ),
]
CRate = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[LAYER=]C", help="Threshold of surgery, in place of a density; repeats.", rich_help_panel=CUT
    ),
]
UntilHarm = Annotated[
    bool, typer.Option("--until-harm", help="Search the sparsest that passes --audit.", rich_help_panel=CUT)
]
Epochs = Annotated[int, typer.Option(metavar="N", help="Train for N epochs.", rich_help_panel=TRAIN)]
Rate = Annotated[float, typer.Option("--lr", metavar="RATE", help="The highest rate.", rich_help_panel=TRAIN)]
Decay = Annotated[
    float,
    typer.Option(
        "--weight-decay",
        metavar="E",
        help="Weight decay of the optimiser; also used by scores that include it.",
        rich_help_panel=TRAIN,
    ),
]
Optimizer = Annotated[str, typer.Option(metavar="sgd|adamw", rich_help_panel=TRAIN)]
RateSchedule = Annotated[str, typer.Option("--lr-schedule", metavar="cosine|step|constant", rich_help_panel=TRAIN)]
Balanced = Annotated[bool, typer.Option("--balanced", help="Draw every class equally often.", rich_help_panel=TRAIN)]
HeldOut = Annotated[
    float,
    typer.Option("--hold-out", metavar="SHARE", help="Data by which the best epoch is kept.", rich_help_panel=TRAIN),
]
BatchSize = Annotated[int, typer.Option(metavar="N", help="Samples of a step.", rich_help_panel=TRAIN)]
Seed = Annotated[
    int, typer.Option(help="Random seed for initialisation, sampling and shuffling.", rich_help_panel=TRAIN)
]


def choice(option: str, value: str, known: tuple[str, ...]) -> str:
    """``value``. Raises `UsageError` where it is none of ``known``."""
    if value not in known:
        raise UsageError(f"{option}: expected one of {', '.join(known)}, found {value!r}", hint="see --help")
    return value


def schedule(value: str | None) -> str | None:
    """The name of a schedule of pruning."""
    from prune_audit.nets.schedule import Kind

    return None if value is None else choice("--schedule", value, get_args(Kind))


def c_rates(values: list[str] | None) -> tuple[tuple[str, float], ...]:
    """``LAYER=C`` or ``C`` as pairs; a number alone is for all layers."""
    pairs = []
    for value in values or ():
        layer, equals, number = value.rpartition("=")
        try:
            pairs.append((layer if equals else "*", float(number)))
        except ValueError:
            raise UsageError(
                f"--c-rate: expected a number, found {value!r}", hint="--c-rate 1 or --c-rate fc=2"
            ) from None
    return tuple(pairs)


def check_paths(output: Path, export: str | None) -> Path | None:
    """Where an export goes: beside the output, with another suffix."""
    if export is None:
        return None
    choice("--export", export, ("onnx",))
    beside = output.with_suffix(".onnx")
    if beside == output:
        raise UsageError(f"{output} would be overwritten by its own export", hint="give -o another suffix than .onnx")
    return beside

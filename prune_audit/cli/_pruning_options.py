"""The options of `prune-audit prune`, and the recipe that they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from prune_audit.choices import Allocate, Optimizer, RateSchedule, Scope
from prune_audit.cli import _completion as complete
from prune_audit.errors import UsageError
from prune_audit.options import OfPlugins, chosen

if TYPE_CHECKING:
    from prune_audit.nets.train_loop import Training
    from prune_audit.prune import Recipe


Report = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        "-r",
        help="Write a report of the audit to this file; the suffix chooses the format; repeats.",
        autocompletion=complete.reports,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """What is cut, and when."""

    PANEL: ClassVar[str] = "Pruning"

    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Method of pruning: see `list pruning`. Why magnitude: in this project's studies of LeNet-5 at 10 % "
            "kept it was more accurate and harmed fewer classes than undecayed, which its paper found to be gentler "
            "on classes.",
            autocompletion=complete.plugin("pruning"),
        ),
    ] = "magnitude"
    density: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the weights to keep: .1 keeps a tenth. With --until-harm: the lowest density to try, by "
            "default .01.",
        ),
    ] = None
    scope: Annotated[
        Scope,
        typer.Option(
            metavar="global|layer", help="Whether all layers compete for what is kept, or each keeps the same share."
        ),
    ] = "global"
    exempt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="first|last|PATTERN", help="Layer to leave whole and out of the density, by name; repeats."
        ),
    ] = None
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="N:M|block:HxW|filters",
            help="Cut in a pattern: 2:4 keeps two of every four weights side by side along the inputs of a layer, in "
            "place of a density; block:4x16 keeps or cuts 4 outputs times 16 inputs together, filters all weights of "
            "an output. By default single weights are cut, wherever they are.",
        ),
    ] = None
    shrink: Annotated[
        bool,
        typer.Option(
            "--shrink",
            help="With --pattern filters: also write the network without the filters that were cut, as ONNX, beside "
            "the output (NAME.shrunk.onnx), proven on samples to answer alike. Biases and normalisation in their "
            "channels are cut, too.",
        ),
    ] = False
    allocate: Annotated[
        Allocate | None,
        typer.Option(
            metavar="regions",
            help="Experimental: decide what each of two hidden fully connected layers keeps by a bound on the linear "
            "pieces of the network (Cai et al.), or evenly where the bound cannot tell. Takes --exempt last.",
        ),
    ] = None
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="When to cut: one-shot (default), iterative or gradual; or the name of a method with a schedule of "
            "its own, which is then its default where it trains.",
            autocompletion=complete.schedules,
        ),
    ] = None
    steps: Annotated[int, typer.Option(metavar="N", help="Number of cuts of an iterative or gradual schedule.")] = 10
    score_samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of training samples to score the weights on; by default all. Neither a training nor "
            "--recalibrate is bounded by it.",
        ),
    ] = None
    recalibrate: Annotated[
        bool,
        typer.Option(
            "--recalibrate",
            help="Estimate the statistics of batch normalisation anew on the training data at the end, which mends "
            "much of an untuned cut; labels are not used, and nothing is trained. It costs one pass over all of the "
            "training data, whatever --score-samples says.",
        ),
    ] = False
    of_methods: Annotated[Mapping[str, Any], OfPlugins("pruning")]
    until_harm: Annotated[
        bool,
        typer.Option("--until-harm", help="Search for the sparsest network that passes the gate on the --audit data."),
    ] = False
    accept_unsettled: Annotated[
        bool,
        typer.Option(
            "--accept-unsettled",
            help="With --until-harm: also let pass what is undecided. The fewer samples, the sparser is then what is "
            "found; without it, only what is settled passes.",
        ),
    ] = False

    def recipe(self, training: Training) -> Recipe:
        """As a recipe; the density is the lowest to try where it is to be searched for."""
        from prune_audit import prune, search
        from prune_audit.nets import pattern as patterns

        options = chosen(self.of_methods, self.method)
        fixed = self.pattern is not None and patterns.parse(self.pattern).density is not None
        settled = fixed or getattr(options, "sets_density", False)
        lowest = self.until_harm and self.density is None and not settled
        return prune.Recipe(
            method=self.method,
            density=search.LOWEST if lowest else self.density,
            scope=self.scope,
            exempt=tuple(self.exempt or ()),
            pattern=self.pattern,
            allocate=self.allocate,
            options=options,
            schedule=self.schedule,
            rounds=self.steps,
            samples=self.score_samples,
            recalibrate=self.recalibrate,
            training=training,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How the network is trained, while and after it is cut."""

    PANEL: ClassVar[str] = "Training"

    epochs: Annotated[int, typer.Option(metavar="N", help="Number of epochs to train; 0 trains nothing.")] = 0
    lr: Annotated[float, typer.Option(metavar="RATE", help="Highest learning rate.")] = 0.01
    weight_decay: Annotated[
        float,
        typer.Option(metavar="E", help="Weight decay of the optimiser; also used by scores that include it."),
    ] = 5e-4
    optimizer: Annotated[Optimizer, typer.Option(metavar="sgd|adamw", help="Optimiser of the training.")] = "sgd"
    lr_schedule: Annotated[
        RateSchedule, typer.Option(metavar="cosine|step|constant", help="How the learning rate falls.")
    ] = "cosine"
    balanced: Annotated[bool, typer.Option("--balanced", help="Draw every class equally often.")] = False
    hold_out: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the data by which the best epoch is chosen.")
    ] = 0.1
    batch_size: Annotated[int, typer.Option(metavar="N", help="Number of samples in a step of the training.")] = 128
    seed: Annotated[int, typer.Option(help="Random seed for initialisation, sampling and shuffling.")] = 0

    def training(self) -> Training:
        """As a training."""
        from prune_audit.nets.train_loop import Training

        return Training(
            epochs=self.epochs,
            lr=self.lr,
            weight_decay=self.weight_decay,
            optimizer=self.optimizer,
            lr_schedule=self.lr_schedule,
            balanced=self.balanced,
            batch_size=self.batch_size,
            held_out=self.hold_out,
            seed=self.seed,
        )


def beside(output: Path, export: str | None) -> Path | None:
    """Where an export goes: beside the output, with another suffix."""
    if export is None:
        return None
    path = output.with_suffix(".onnx")
    if path == output:
        raise UsageError(f"{output} would be overwritten by its own export", hint="give -o another suffix than .onnx")
    return path

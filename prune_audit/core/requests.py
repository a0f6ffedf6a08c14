"""What is asked for: models, data, settings, a policy; and what a run takes for granted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from prune_audit import spelling
from prune_audit.core.types import (
    Channels,
    Correction,
    Exif,
    Interpolation,
    Isolate,
    Level,
    OperatingPoint,
    Overlap,
    Reference,
    Runtime,
    Scheme,
    Scores,
    Value,
)
from prune_audit.errors import UsageError

UNLESS_DEFAULT: Mapping[str, bool] = {"unless_default": True}
"""Marks a field of `Settings` that most audits have nothing to say of: written and shown where it was asked for."""
MOST_SEEDS = 2**32  # what every generator of random numbers takes


def check_seed(seed: int) -> None:
    """Check that random numbers can be drawn from ``seed``. Raises `UsageError` where they cannot."""
    if not 0 <= seed < MOST_SEEDS:
        raise UsageError(f"--seed: expected a whole number from 0 to {MOST_SEEDS - 1:,}, found {seed}", hint="--seed 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where a model comes from: ``NAME=PATH@package.module:factory(arguments)`` or ``NAME=PATH#column``, taken apart.

    ``factory`` is the text behind the last ``@``, None where the file needs no architecture. ``column`` is the one of
    several models in a file of recorded predictions, None where there is but one; ``id_column`` is that of the ids of
    the samples there, None where it is called as usual. ``called`` are the model's own names of the data's classes, in
    their order, where a class map renames them; empty where nothing names them otherwise.
    """

    name: str
    path: Path
    factory: str | None = None
    column: str | None = None
    id_column: str | None = None
    called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How an image becomes a model's input: resize, centre crop, scale to [0, 1], subtract mean, divide by std.

    ``resize`` as in torchvision: one number is the length of the shorter side, two are (height, width). ``crop`` is
    a centre crop to (height, width). ``mean`` and ``std`` have one entry per channel, in units of [0, 1]. A field
    that is None was not asked for; the data room fills ``channels`` and ``size`` from the model and the images.
    ``size`` is (height, width) of what the model receives, after resize and crop.
    """

    size: tuple[int, int] | None = None
    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: Channels | None = None
    interpolation: Interpolation | None = None
    name: str | None = None

    def describe(self) -> str:
        """One line for people: every step, in the order in which it is done; sizes are height x width."""
        steps: list[str] = []
        if self.resize is not None:
            to = self.resize if isinstance(self.resize, int) else "x".join(map(str, self.resize))
            steps.append(f"resize {to}" + (f" ({self.interpolation})" if self.interpolation else ""))
        if self.crop is not None:
            steps.append("crop " + "x".join(map(str, self.crop)))
        if not steps and self.size is not None:
            steps.append("size " + "x".join(map(str, self.size)))
        steps += [self.channels] if self.channels else []
        steps.append("/255")
        for what, values in (("mean", self.mean), ("std", self.std)):
            steps += [" ".join([what, *(f"{value:g}" for value in values)])] if values is not None else []
        return (f"{self.name}: " if self.name else "") + ", ".join(steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Where the labelled data come from and how they are to be read.

    ``classes`` lists the classes in the order of the outputs, as names or in a file; ``class_map`` says which class of
    the models a class of the data is, where they are called differently. The columns are those of a table: of paths,
    labels, ids and texts, and the numeric ``features`` in the order in which a model takes them. ``tokenizer`` and
    ``max_length`` (in tokens) concern texts, ``sample_rate`` (in Hz) and ``seconds`` (what a model receives, longer
    ones being cut) sounds. ``exif`` says whether the orientation that an image carries is applied, None
    for what the ecosystem of the format does. ``images`` is the folder of images whose boxes are labelled. Of several
    labels a sample, ``label_separator`` parts those in one text, and ``label_columns`` hold 1 or 0 for one label each.
    """

    path: Path
    classes: Path | tuple[str, ...] | None = None
    class_map: Path | None = None
    path_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    text_column: str | None = None
    features: tuple[str, ...] = ()
    tokenizer: Path | None = None
    max_length: int | None = None
    sample_rate: int | None = None
    seconds: float | None = None
    exif: Exif | None = None
    images: Path | None = None
    preprocess: Preprocess = field(default_factory=Preprocess)
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The part ``number`` of ``of`` equal ones of what is to be done, from 1 on."""

    number: int = 1
    of: int = 1


WHOLE = Shard()
"""All that is to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every number that an audit can be asked for; shares are shares (2 points are .02).

    Statistics: ``margin`` is the drop that fails, ``assure`` the drop that "fine" rules out (never below the
    margin), ``retention_margin`` the share of what the rest kept below which a class is harmed; all three, the
    ``confidence`` of intervals and the ``correction`` over classes are defined in docs/reading-an-audit.md.
    ``top_k`` is the number of highest scores among which the label is looked for.
    With ``until_settled`` samples are drawn until the verdict of every class is settled, and verdicts are such as may
    be looked at all the while; a ``limit`` is then the most samples that may be run.
    The sample: ``by`` lists stratifications beside that by class, each as `Predictions.pair` takes it; ``cluster``
    is the column of what samples belong to, where they are not independent (a person, a film); ``weights`` are the
    class frequencies in deployment, when they differ from those of the sample; ``reference`` is what a class
    is compared with, accuracy or the mean of recalls.
    Running: ``seed`` draws the sample of ``limit``; ``batch_size``, ``workers`` that decode and ``threads`` of each
    model are fitted where None;
    ``skip_bad`` unreadable samples are tolerated; ``allow_pickle`` lets a model file run code. ``drop_class`` are
    outputs to leave out, by name or by position (from the end where negative), such as a background class.
    ``runtime`` is what runs torch models: torch (own), or onnxruntime after an export that is shown to agree, where
    the run is long enough to pay for that (auto) or always.
    What a run takes for granted of its models, each as ``VALUE`` or ``NAME=VALUE`` of one model (`chosen`): ``scores``
    one of `Scores`, ``model_output`` the output to read, by name or position, and ``state_key`` the entry of a
    checkpoint whose weights are used.
    Files that hold programs run in processes of their own where ``isolate`` is "auto". Each may take ``memory`` bytes
    beside its libraries, those of the machine where it is None, and ``sample_timeout`` seconds for a sample. The
    pass runs as ``runner`` has it, a plugin of `prune_audit.runners`, with options ``of_runner``. What is predicted is
    the same, so that these five are not part of an audit's document. Neither is ``named``, the fields below that
    somebody asked for, be it with the value that they have anyway: those of another task are refused.
    ``task`` is what is counted, None where the data or the models tell. ``metric`` is the one of several by which an
    answer that was recorded is right, with its filter behind a comma; ``class_by`` the key of a document that is its
    class there, where that is not its task.
    Where things are found at a threshold of scores, that of each model is chosen by ``operating_point``, and ``score``
    is the dense model's, None for one that is chosen for all alike. A detection takes a box that it overlaps by
    ``iou``, or a mask, as ``overlap`` has it; of each image and class the ``max_detections`` surest count.
    Entities are read out of tags by the ``scheme``, any of the usual ones unless one is named.
    Of the dense model: it must have ``expect_accuracy``, a share, within ``expect_tolerance`` of the interval; with
    ``plausibility`` it is tried whether another usual preprocessing fits it better.
    """

    confidence: float = 0.95
    correction: Correction = "fdr_bh"
    margin: float = 0.02
    assure: float = 0.05
    retention_margin: float = 0.95
    top_k: int = 5
    by: tuple[str, ...] = ()
    cluster: str | None = None
    weights: Mapping[str, float] | None = None
    reference: Reference = "accuracy"
    seed: int = 0
    limit: int | None = None
    until_settled: bool = False
    batch_size: int | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "cpu"
    skip_bad: int = 0
    allow_pickle: bool = False
    drop_class: tuple[str, ...] = ()
    runtime: Runtime = "auto"
    scores: tuple[str, ...] = ()
    model_output: tuple[str, ...] = ()
    state_key: tuple[str, ...] = ()
    expect_accuracy: float | None = None
    expect_tolerance: float = 0.02
    plausibility: bool = True
    task: str | None = field(default=None, metadata=UNLESS_DEFAULT)
    metric: str | None = field(default=None, metadata=UNLESS_DEFAULT)
    class_by: str | None = field(default=None, metadata=UNLESS_DEFAULT)
    operating_point: OperatingPoint = field(default="false-detections", metadata=UNLESS_DEFAULT)
    score: float | None = field(default=None, metadata=UNLESS_DEFAULT)
    iou: float = field(default=0.5, metadata=UNLESS_DEFAULT)
    overlap: Overlap = field(default="boxes", metadata=UNLESS_DEFAULT)
    max_detections: int = field(default=100, metadata=UNLESS_DEFAULT)
    scheme: Scheme = field(default="any", metadata=UNLESS_DEFAULT)
    named: tuple[str, ...] = field(default=(), compare=False)
    isolate: Isolate = field(default="auto", compare=False)
    memory: int | None = field(default=None, compare=False)
    sample_timeout: float = field(default=60.0, compare=False)
    runner: str = field(default="threads", compare=False)
    of_runner: object = field(default=None, compare=False)

    def __post_init__(self) -> None:
        def need(holds: bool, what: str, found: object) -> None:
            if not holds:
                raise UsageError(f"{what}, found {found}", hint="see `prune-audit compare --help` for the defaults")

        need(0.5 <= self.confidence < 1, "confidence must be a share in [0.5, 1)", self.confidence)
        margin, assure = (f"{100 * share:.6g} points" for share in (self.margin, self.assure))
        need(0 <= self.margin < 1, "the margin must be at least 0 and below 100 points", margin)
        need(
            self.margin <= self.assure < 1,
            f"the assurance limit must be at least the margin ({margin}) and below 100 points",
            assure,
        )
        need(0 < self.retention_margin <= 1, "the retention margin must be a share in (0, 1]", self.retention_margin)
        need(self.top_k > 0, "the number of highest scores must be positive", self.top_k)
        for by in self.by:
            columns = by.split(",")
            need(all(columns) and len(set(columns)) == len(columns), "a group must be columns, each once", repr(by))
        if self.weights is not None:
            need(all(0 <= w < math.inf for w in self.weights.values()), "weights must not be negative", self.weights)
            need(any(w > 0 for w in self.weights.values()), "a weight must be above 0", self.weights)
        check_seed(self.seed)
        need(self.limit is None or self.limit > 0, "the limit must be a positive number of samples", self.limit)
        if self.until_settled:
            self._check_sequential()
        need(self.batch_size is None or self.batch_size > 0, "the batch size must be positive", self.batch_size)
        need(self.workers is None or self.workers > 0, "the number of workers must be positive", self.workers)
        need(self.threads is None or self.threads > 0, "the number of threads must be positive", self.threads)
        need(
            self.expect_accuracy is None or 0 <= self.expect_accuracy <= 1,
            "the expected accuracy must be a share in [0, 1]",
            self.expect_accuracy,
        )
        need(0 <= self.expect_tolerance < 1, "the tolerance must be a share in [0, 1)", self.expect_tolerance)
        for each in self.scores:
            kind = each.rpartition("=")[2]
            if kind not in get_args(Scores):
                known = ", ".join(get_args(Scores))
                meant = spelling.meant(kind, get_args(Scores))
                raise UsageError(
                    f"--scores: expected one of {known}, found {kind!r}", hint=f"{meant}write KIND or NAME=KIND"
                )
        need(self.memory is None or self.memory > 0, "the memory must be a positive number of bytes", self.memory)
        need(self.sample_timeout > 0, "the time for a sample must be a positive number of seconds", self.sample_timeout)
        need(self.skip_bad >= 0, "the number of samples to skip must not be negative", self.skip_bad)

    def _check_sequential(self) -> None:
        """Refuse what only holds for a number of samples that was fixed beforehand."""
        why = {
            "--cluster": (self.cluster, "bets are on independent samples, and no e-process for clusters is known here"),
            "--by": (self.by, "a group holds samples of several classes, whose drawing stops at different times"),
            "--weights": (self.weights, "accuracy is not measured where classes stop at different times"),
            f"--top-k {self.top_k}": (
                self.top_k != type(self)().top_k,
                "the shares of samples whose label is among the highest scores are biased where drawing stops",
            ),
            "--reference balanced": (self.reference == "balanced", "no class is compared with the others"),
            f"--correction {self.correction}": (
                self.correction not in ("fdr_bh", "fdr_by"),
                "lists of classes are by the e-BH procedure, which holds however classes depend on each other",
            ),
        }
        for option, (asked, reason) in why.items():
            if asked:
                raise UsageError(
                    f"{option} cannot be had with --until-settled: {reason}",
                    hint=f"leave {option} out, or run all data: without --until-settled",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSetting:
    """How seriously a policy takes one rule, and the limit that it judges against (None: the rule's own)."""

    level: Level = "error"
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A failure that somebody has decided to live with, for a while.

    ``stratum`` is the name of a class (``sex=female`` for a value of a column, ``model`` for the whole) and
    ``variant`` that of a pruned model; both may be patterns as in a shell. It holds up to and on the day ``expires``,
    which every waiver needs: one without an end would switch a rule off where nobody looks. ``origin`` is where it
    was written, as FILE:LINE.
    """

    rule: str
    stratum: str
    reason: str
    expires: date
    variant: str = "*"
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a gate asks: rule name -> level and limit, and whether an inconclusive check may pass.

    ``settings`` are fields of `Settings` that the audit is measured with whatever it was run with, such as the
    margin. ``path`` is the file that the policy was read from, None for a preset. ``origins`` say where each value
    came from, key as in a file -> ``preset default``, FILE:LINE, a flag or a variable of the environment.
    """

    name: str
    rules: Mapping[str, RuleSetting]
    inconclusive: Literal["allow", "forbid"] = "allow"
    settings: Mapping[str, Value] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    path: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One thing that a run takes for granted of a model or of the data, and does not know.

    It is decided once per run, printed in the header of every report and kept in the document. ``subject`` is the name
    of the model, or `DATA`; ``what`` is what was decided (``scores``, ``class order``), ``value`` how, ``why`` the
    ground for it, and ``option`` what sets it otherwise, as it is typed.
    """

    subject: str
    what: str
    value: str
    why: str
    option: str


DATA = ""
"""The subject of an `Assumption` about the data."""
EXIF = "EXIF orientation"
"""What an `Assumption` is about that says whether images were turned."""


def told(settings: Settings) -> tuple[str, ...]:
    """The names of those ``settings`` that a reader is told: that compare, and those of some audits where asked for.

    The others say where models ran, which changes nothing of what is reported.
    """
    shown = (f for f in fields(settings) if f.compare)
    return tuple(f.name for f in shown if f.metadata != UNLESS_DEFAULT or getattr(settings, f.name) != f.default)


def of_tasks(settings: Settings) -> dict[str, object]:
    """Those of ``settings`` that only some tasks know, by name, where they are not at their default."""
    own = (f for f in fields(settings) if f.metadata == UNLESS_DEFAULT)
    return {f.name: value for f in own if (value := getattr(settings, f.name)) != f.default}


THRESHOLD = "threshold"
"""What an `Assumption` is about that says from which score on a model finds something."""


def chosen(values: Sequence[str], model: str) -> str | None:
    """Of an option that takes ``[NAME=]VALUE`` and repeats, what ``values`` say of the ``model``; None where nothing.

    What is said of one model goes before what is said of all, and what is said later before what is said earlier.
    """
    own = [value.removeprefix(f"{model}=") for value in values if value.startswith(f"{model}=")]
    every = [value for value in values if "=" not in value]
    return next(reversed(own or every), None)

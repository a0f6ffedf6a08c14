"""The nouns of prune-audit. Read this first.

What flows through an audit, in order: a `Classifier` and a `Dataset` give `Batch` after `Batch` and end as
`Predictions`, the only thing that leaves a forward pass. Two models of those predictions make a `Pair`: a few counts
per class, of which every statistic is a function. Statistics and lenses give `Measure`s, rules turn them into
`Check`s, and all of it rests in `Comparison`s within one `Audit`, which is all that reports and exit codes ever see.

Values are frozen, slotted, keyword-only dataclasses. What is read by reports is made of tuples, so that an audit that
was written and read back compares equal; what is computed with is made of numpy arrays. Absent is None with a reason,
never 0 and never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from prune_audit import plugins
from prune_audit.errors import UsageError
from prune_audit.scores import Calibration, Scored, Ties, TopK, in_units

if TYPE_CHECKING:
    import pandas

Array: TypeAlias = npt.NDArray[Any]
Counts: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

Value: TypeAlias = float | int | str | None
Unit = Literal["share", "points", "p", "ratio", "count", "label"]
Outcome = Literal["passed", "failed", "inconclusive", "waived", "skipped"]
Level = Literal["off", "warn", "error"]
Layout = Literal["NCHW", "NHWC"]
Correction = Literal["fdr_bh", "fdr_by", "holm", "bonferroni", "none"]
Reference = Literal["accuracy", "balanced"]
Runtime = Literal["own", "onnxruntime"]
Isolate = Literal["auto", "never"]
Scores = Literal["logits", "probabilities", "log-probabilities", "classes", "classes-from-1"]
Activation = Literal["sigmoid", "softmax", "log-softmax", "linear"]
Channels = Literal["rgb", "bgr", "gray"]
Exif = Literal["apply", "ignore"]
SINCE = ", since the baseline"  # what the subject of a check ends in that compares with an earlier audit
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]

# ----------------------------------------------------------------------------------------------- what is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where a model comes from: ``NAME=PATH@package.module:factory(arguments)`` or ``NAME=PATH#column``, taken apart.

    ``factory`` is the text behind the last ``@``, None where the file needs no architecture. ``column`` is the one of
    several models in a file of recorded predictions, None where there is but one; ``id_column`` is that of the ids of
    the samples there, None where it is called as usual.
    """

    name: str
    path: Path
    factory: str | None = None
    column: str | None = None
    id_column: str | None = None


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
    for what the ecosystem of the format does.
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
    preprocess: Preprocess = field(default_factory=Preprocess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every number that an audit can be asked for; shares are shares (2 points are .02).

    Statistics: ``margin`` is the drop that fails, ``assure`` the drop that "fine" rules out (never below the
    margin), ``retention_margin`` the share of what the rest kept below which a class is harmed; all three, the
    ``confidence`` of intervals and the ``correction`` over classes are defined in docs/reading-an-audit.md.
    ``top_k`` is the number of highest scores among which the label is looked for.
    The sample: ``by`` lists stratifications beside that by class, each as `Predictions.pair` takes it; ``cluster``
    is the column of what samples belong to, where they are not independent (a person, a film); ``weights`` are the
    class frequencies in deployment, when they differ from those of the sample; ``reference`` is what a class
    is compared with, accuracy or the mean of recalls.
    Running: ``seed`` draws the sample of ``limit``; ``batch_size``, ``workers`` that decode and ``threads`` of each
    model are fitted where None;
    ``skip_bad`` unreadable samples are tolerated; ``allow_pickle`` lets a model file run code. ``drop_class`` are
    outputs to leave out, by name or by position (from the end where negative), such as a background class.
    ``runtime`` is what runs torch models: torch, or onnxruntime after an export that is shown to agree.
    What a run takes for granted of its models, each as ``VALUE`` or ``NAME=VALUE`` of one model (`chosen`): ``scores``
    one of `Scores`, ``model_output`` the output to read, by name or position, and ``state_key`` the entry of a
    checkpoint whose weights are used.
    Files that hold programs run in processes of their own where ``isolate`` is "auto". Each may take ``memory`` bytes
    beside its libraries, those of the machine where it is None, and ``sample_timeout`` seconds for a sample. What is
    predicted is the same, so that these three are not part of an audit's document.
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
    batch_size: int | None = None
    workers: int | None = None
    threads: int | None = None
    device: str = "cpu"
    skip_bad: int = 0
    allow_pickle: bool = False
    drop_class: tuple[str, ...] = ()
    runtime: Runtime = "own"
    scores: tuple[str, ...] = ()
    model_output: tuple[str, ...] = ()
    state_key: tuple[str, ...] = ()
    expect_accuracy: float | None = None
    expect_tolerance: float = 0.02
    plausibility: bool = True
    isolate: Isolate = field(default="never", compare=False)
    memory: int | None = field(default=None, compare=False)
    sample_timeout: float = field(default=60.0, compare=False)

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
        need(self.limit is None or self.limit > 0, "the limit must be a positive number of samples", self.limit)
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
                raise UsageError(f"--scores: expected one of {known}, found {kind!r}", hint="write KIND or NAME=KIND")
        need(self.memory is None or self.memory > 0, "the memory must be a positive number of bytes", self.memory)
        need(self.sample_timeout > 0, "the time for a sample must be a positive number of seconds", self.sample_timeout)
        need(self.skip_bad >= 0, "the number of samples to skip must not be negative", self.skip_bad)


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


# --------------------------------------------------------------------------------------------- what a model and a
# data set must supply


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


def chosen(values: Sequence[str], model: str) -> str | None:
    """Of an option that takes ``[NAME=]VALUE`` and repeats, what ``values`` say of the ``model``; None where nothing.

    What is said of one model goes before what is said of all, and what is said later before what is said earlier.
    """
    own = [value.removeprefix(f"{model}=") for value in values if value.startswith(f"{model}=")]
    every = [value for value in values if "=" not in value]
    return next(reversed(own or every), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One named input of a model. ``shape`` holds None where a dimension is free or unknown, and is None where even
    the rank is; ``dtype`` is a numpy name (``float32``, ``uint8``, ``int64`` ...), None where unknown."""

    name: str
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expects:
    """What a model declares of itself. Everything may be unknown; what is known is checked before the run.

    ``batch`` is the fixed batch size of a model that has one. ``channels`` and ``layout`` concern models of images.
    ``outputs`` is the number of output columns. ``classes`` are class names that the file carries, in output order.
    A model that comes in a folder may declare how its inputs are made: by the file of its ``preprocess``ing for
    images and of its ``tokenizer`` for texts, and by a ``sample_rate`` in Hz for sounds. ``accuracy`` is what its file
    says of itself, as (where it says so, share). ``runs`` is False where the model ran elsewhere and takes nothing of
    the data but labels, with ``id_column`` the column of its samples' ids.
    """

    inputs: tuple[Input, ...] = ()
    batch: int | None = None
    layout: Layout = "NCHW"
    channels: int | None = None
    size: tuple[int, int] | None = None
    outputs: int | None = None
    classes: tuple[str, ...] | None = None
    preprocess: Path | None = None
    tokenizer: Path | None = None
    sample_rate: int | None = None
    # The repr is part of the cache key.
    accuracy: tuple[str, float] | None = field(default=None, repr=False)
    runs: bool = field(default=True, repr=False)
    id_column: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One weight of a convolution, linear, attention, recurrent or embedding layer: the unit of the density count.

    ``nonzero`` of its ``total`` numbers are stored as something else than zero. ``rounded`` are the zeros of a
    quantised weight that rounding explains: nobody cut them, so no density leaves them out.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    nonzero: int
    total: int
    rounded: int = 0

    @property
    def kept(self) -> int:
        """The numbers that were not cut: those that are not zero, and the zeros that rounding explains."""
        return self.nonzero + self.rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a report says of a model: measured, not believed.

    ``digest`` is the SHA-256 of the file and its external data; ``size`` is in bytes on disk, external data
    included, ``compressed`` the same bytes compressed by zstd; ``layers`` are the weights of convolution, linear,
    attention, recurrent and embedding layers, and ``uncounted`` names what may be weights, too, but could not be
    counted; ``parameters`` counts all parameters, biases and normalisation too, and not the scales and zero points of
    quantised ones, None where they cannot be seen. ``factory`` is the text that named the architecture, None for a
    file that carries its own; ``reads`` are the files that it read, as `prune_audit.evaluate.reads` has them, None
    where they are not known. ``macs`` are the multiply-accumulates of one sample's forward pass as the network is
    shaped, zeros counted, None where they cannot be told.
    """

    name: str
    path: str
    format: str
    digest: str
    size: int
    factory: str | None = None
    layers: tuple[Layer, ...] = ()
    parameters: int | None = None
    compressed: int | None = None
    macs: int | None = None
    uncounted: tuple[str, ...] = ()
    reads: tuple[tuple[str, str | None], ...] | None = field(default=(), compare=False)

    @property
    def recorded(self) -> bool:
        """Whether these are predictions that were made elsewhere, and no network is known."""
        return self.format == "predictions"

    def same_as(self, other: ModelCard) -> bool:
        """Whether both are one network: the same file and, where it needs one, the same architecture.

        Equal predictions show no such thing: two networks may well answer alike on these samples, and not on others.
        """
        return not self.recorded and (self.digest, self.factory) == (other.digest, other.factory)

    @property
    def nonzero(self) -> int:
        """Nonzero weights in the counted layers; zeros that rounding explains are such that were not cut."""
        return sum(layer.kept for layer in self.layers)

    @property
    def density(self) -> float | None:
        """Nonzero share of the weights of the counted layers; None where there are none."""
        total = sum(layer.total for layer in self.layers)
        return self.nonzero / total if total else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Some samples of a data set: what a data set yields and, once fitted to it, a classifier sees.

    ``inputs`` maps names to arrays whose first axis is the batch. Images come as ``{"image": uint8 (B, C, H, W)}``
    and are scaled, normalised, cast and laid out for each model by `prune_audit.evaluate.feed`. ``digests`` are
    64-bit hashes of the raw samples. ``bad`` lists samples that could not be read, as (id, reason); they have no
    row in the arrays. ``turned`` are those of ``rows`` whose image carries an EXIF orientation that is not upright.
    """

    rows: Counts  # (B,) positions in the data set
    inputs: Mapping[str, Array]
    labels: Counts  # (B,)
    digests: npt.NDArray[np.uint64]  # (B,)
    bad: tuple[tuple[str, str], ...] = ()
    turned: Counts = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A place in a model by which a prediction may be of more than its sample.

    ``kind`` is ``dropout`` that is switched on, other ``random`` numbers, normalisation by the statistics of the
    ``batch``, quantisation with one scale for all that comes together (``dynamic``), or a softmax over the samples
    (``axis``). ``where`` is the node or module as people find it.
    """

    kind: Literal["dropout", "random", "batch", "dynamic", "axis"]
    where: str


class Classifier(Protocol):
    """All that a model format must supply.

    ``notes`` say what a reader must know of how it ran, and ``assumptions`` what was taken for granted of it, after
    the run.
    """

    @property
    def card(self) -> ModelCard: ...

    @property
    def expects(self) -> Expects: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def assumptions(self) -> tuple[Assumption, ...]: ...

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """Scores (B, C), or (B, 1) of a binary classifier; (B,) integer classes of a model that gives nothing else.

        ``inputs`` bears the names, dtypes and layout that ``expects`` declares; a classifier with one input takes
        it under whatever name. Raises `ModelError` where the model cannot run on them.
        """
        ...

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        """Multiply-accumulates of one forward pass over ``inputs``, None where they cannot be told."""
        ...

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:
        """What the scores of a forward pass over ``inputs`` come out of, None where it is else or cannot be seen."""
        ...

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
        """Places by which a prediction may be of more than its sample, as far as they can be seen.

        In the graph, or in one forward pass over ``inputs``, of several samples.
        """
        ...


@runtime_checkable
class Chooses(Protocol):
    """A classifier that may have several outputs, and is told of the data before it runs, to know its scores by."""

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """The data have so many ``classes``, or ``more`` than that where only their labels are known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Norm:
    """What a network's first batch normalisation learnt of its inputs, and what it was given; (C,) each."""

    name: str
    running_mean: Floats
    running_var: Floats
    mean: Floats
    var: Floats


@runtime_checkable
class Normalising(Protocol):
    """A model that can tell what its first batch normalisation sees."""

    def first_norm(self, inputs: Mapping[str, Array]) -> Norm | None:
        """For ``inputs``; None where there is no such layer, or it cannot be looked into."""
        ...


@runtime_checkable
class Recorded(Protocol):
    """A model that ran elsewhere, and of which there are its predictions."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def expects(self) -> Expects: ...

    @property
    def assumptions(self) -> tuple[Assumption, ...]: ...

    def outputs(
        self, ids: Sequence[str], labels: Counts, classes: tuple[str, ...], like: Scores | None = None
    ) -> Outputs:
        """The predictions for the samples ``ids`` (N,), in that order; ``labels`` (N,) are positions in ``classes``.

        ``like`` is what the dense model's scores are, where another model has gone before; ``Outputs.scores`` says what
        these are.

        Joined by id, or by order where the predictions have none. Raises `AlignmentError` where a sample has no
        prediction or several, where the numbers of samples differ, or where a prediction is no class.
        """
        ...


BY_TIMES = "sizes and times "
"""What the fingerprint of data begins with whose files were not read for it."""


class Dataset(Protocol):
    """All that a data format must supply. The order is fixed; ``read`` is safe from several threads.

    ``indexed`` says that labels are output columns themselves (an NPZ file's ``y``), so that ``classes`` may be
    extended to the model's outputs. ``preprocess`` is None where inputs are fed as they are. ``notes`` are what the
    report should say about how the data were understood, ``assumptions`` what was taken for granted of them.
    """

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def indexed(self) -> bool: ...
    @property
    def labels(self) -> Counts: ...
    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def groups(self) -> Mapping[str, Array]: ...
    @property
    def preprocess(self) -> Preprocess | None: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def assumptions(self) -> tuple[Assumption, ...]: ...

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """The samples at ``rows``, in that order; unreadable ones are named in ``Batch.bad``.

        Raises `AlignmentError` where the data are labels alone, so that only recorded predictions fit them.
        """
        ...

    def fingerprint(self, verify: bool) -> str:
        """A digest that changes where any sample's inputs do, so that predictions of equal ones need not be made again.

        Of large sets of files, their paths, sizes and times stand for what they hold, unless ``verify`` is set; such a
        digest begins with `BY_TIMES`. Labels and preprocessing are not part of it; whatever else makes inputs of the
        samples (a tokenizer, its limit) is.
        """
        ...


# ------------------------------------------------------------------------------------------- what an evaluation leaves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """What is kept of one model's run: never the logits.

    ``predicted (N,)`` classes; where there were scores, ``confidence (N,)`` of the predicted class and
    ``true_score (N,)`` of the labelled one, as probabilities; where there were scores of several classes, ``rank
    (N,)`` of the labelled one, 0 for the highest score. Equal scores rank in class order, as argmax has them.
    ``tied (N,)`` is how many classes share the highest score exactly, 1 where none does. ``scores`` is what was taken
    of the model's outputs, None where that is unknown.
    """

    name: str
    predicted: Counts
    confidence: Floats | None = None
    true_score: Floats | None = None
    rank: npt.NDArray[np.int32] | None = None
    tied: Counts | None = None
    scores: Scores | None = None

    def credit(self, labels: Counts) -> Floats:
        """How often the model would be right on each sample (N,) if exact ties were drawn, with ``labels`` (N,)."""
        right: Floats = (self.predicted == labels).astype(np.float64)
        if self.tied is None:
            return right
        # Of two classes that share one column, the label is always one.
        among = self.rank < self.tied if self.rank is not None else np.ones(len(labels), bool)
        return np.where(self.tied > 1, among / np.maximum(self.tied, 1), right)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """The labels and every model's predictions on N samples: the only thing that leaves a forward pass.

    ``labels`` and ``Outputs.predicted`` are positions in ``classes``. ``groups`` maps metadata columns to (N,)
    arrays. ``digests`` are 64-bit hashes of the raw samples, empty where they are unknown.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Counts
    models: tuple[Outputs, ...]
    groups: Mapping[str, Array] = field(default_factory=dict)
    digests: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def __post_init__(self) -> None:
        n, c = len(self.labels), len(self.classes)
        columns = {"ids": self.ids, **{f"predictions of {m.name}": m.predicted for m in self.models}}
        columns |= {f"group {name}": values for name, values in self.groups.items()}
        for m in self.models:
            scores = {"confidence": m.confidence, "true scores": m.true_score, "ranks": m.rank, "ties": m.tied}
            columns |= {f"{what} of {m.name}": values for what, values in scores.items() if values is not None}
        for what, values in columns.items():
            if len(values) != n:
                raise UsageError(
                    f"{what}: expected one entry for each of {n} labels, found {len(values)}",
                    hint="labels, ids and predictions must list the same samples in the same order",
                )
        for what, values in {"labels": self.labels, **{m.name: m.predicted for m in self.models}}.items():
            if n and (values.min() < 0 or values.max() >= c):
                raise UsageError(
                    f"{what}: expected classes 0 to {c - 1}, found {values.min()} to {values.max()}",
                    hint="give all class names, in the order of the model's outputs",
                )

    def model(self, name: str) -> Outputs:
        """The outputs of the model called ``name``."""
        for outputs in self.models:
            if outputs.name == name:
                return outputs
        known = ", ".join(m.name for m in self.models)
        raise UsageError(f"no predictions of a model {name!r}", hint=f"known: {known}")

    def strata(self, by: str, called: Counts | None = None) -> tuple[tuple[str, ...], Counts]:
        """The names of the strata (S,), and the position of each sample's stratum among them (N,).

        ``called`` (N,) are classes to go by in place of the labels.
        """
        names: tuple[tuple[str, ...], ...] = ((),)
        stratum = np.zeros(len(self.labels), np.int64)
        for column in by.split(","):
            if column == "class":
                values, position = self.classes, self.labels if called is None else called
            elif column in self.groups:
                found, inverse = np.unique(self.groups[column].astype(str), return_inverse=True)
                values, position = tuple(found.tolist()), inverse.astype(np.int64)
            else:
                known = ", ".join(["class", *self.groups])
                raise UsageError(f"no group column {column!r}", hint=f"known: {known}")
            names = tuple((*before, value) for before in names for value in values)
            stratum = stratum * len(values) + position
        return tuple(", ".join(parts) for parts in names), stratum

    def pair(self, dense: str, pruned: str, by: str = "class", cluster: str | None = None, *, top_k: int = 5) -> Pair:
        """Count dense against pruned within each stratum.

        ``by`` is ``class``, a group column, or several of these crossed, with commas between: ``class,sex``. Crossed
        strata are the whole product, so that a combination without samples is seen to have none. ``cluster`` is the
        group column of what samples belong to, where they are not independent. ``top_k`` is the number of highest
        scores among which the label is looked for, where there are more classes than that.

        Raises:
            UsageError: there is no such model or column.
        """
        a, b = self.model(dense).predicted, self.model(pruned).predicted  # (N,)
        strata, stratum = self.strata(by)
        size = len(strata)
        a_right, b_right = a == self.labels, b == self.labels

        def count(mask: Array) -> Counts:
            return np.bincount(stratum[mask], minlength=size).astype(np.int64)

        changed = a != b
        rows = np.stack([self.labels[changed], a[changed], b[changed]], axis=1)  # (K, 3)
        kinds, times = np.unique(rows, axis=0, return_counts=True) if len(rows) else (rows, np.empty(0))
        return Pair(
            by=by,
            strata=strata,
            both=count(a_right & b_right),
            lost=count(a_right & ~b_right),
            gained=count(~a_right & b_right),
            neither=count(~a_right & ~b_right),
            classes=self.classes,
            labelled=np.bincount(self.labels, minlength=len(self.classes)).astype(np.int64),
            dense_predicted=np.bincount(a, minlength=len(self.classes)).astype(np.int64),
            pruned_predicted=np.bincount(b, minlength=len(self.classes)).astype(np.int64),
            moves=np.concatenate([kinds, times[:, None]], axis=1).astype(np.int64),
            clusters=None
            if cluster is None
            else Clusters.of(cluster, size, stratum, self.strata(cluster)[1], a_right, b_right),
            calibration=self._calibration(dense, pruned, by, size),
            top=self._top(dense, pruned, top_k, size, stratum, cluster),
            ties=self._ties(dense, pruned, size, stratum),
        )

    def _ties(self, dense: str, pruned: str, size: int, stratum: Counts) -> Ties | None:
        a, b = self.model(dense), self.model(pruned)
        none = np.zeros(len(self.labels), bool)
        tied = tuple(none if m.tied is None else m.tied > 1 for m in (a, b))
        if not (tied[0] | tied[1]).any():
            return None
        return Ties.of(size, stratum, (tied[0], tied[1]), (a.credit(self.labels), b.credit(self.labels)))

    def _calibration(self, dense: str, pruned: str, by: str, size: int) -> Calibration | None:
        sides = []
        for m in (self.model(dense), self.model(pruned)):
            if m.confidence is None:
                return None
            row = self.strata(by, called=m.predicted)[1]
            sides.append(Scored(row=row, confidence=in_units(m.confidence), right=m.predicted == self.labels))
        return Calibration.of(size, *sides)

    def _top(self, dense: str, pruned: str, k: int, size: int, stratum: Counts, cluster: str | None) -> TopK | None:
        a, b = self.model(dense).rank, self.model(pruned).rank
        if a is None or b is None or len(self.classes) <= k:
            return None
        in_a, in_b = a < k, b < k
        kinds = np.bincount(stratum * 4 + 2 * ~in_a + ~in_b, minlength=4 * size).reshape(size, 4).astype(np.int64)
        both, lost, gained, neither = (column.copy() for column in kinds.T)
        clusters = None if cluster is None else Clusters.of(cluster, size, stratum, self.strata(cluster)[1], in_a, in_b)
        return TopK(k=k, both=both, lost=lost, gained=gained, neither=neither, clusters=clusters)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusters:
    """Samples that belong together (of a person, frames of a film), as sums over clusters.

    Let v count a cluster's samples within a stratum, those that the dense and those that the pruned model gets right,
    and V the same over all strata. ``own`` (S, 3, 3) sums v v', ``cross`` (S, 3, 3) sums v V', ``whole`` (3, 3) sums
    V V': the variance of any total between clusters follows, in a stratum, in the rest and in all. ``number`` (S,) of
    clusters have samples in the stratum, ``within`` (S,) of these have none elsewhere, and there are ``total``. All
    are additive over shards that share no cluster.
    """

    column: str
    own: Counts
    cross: Counts
    whole: Counts
    number: Counts
    within: Counts
    total: int

    @classmethod
    def of(cls, column: str, size: int, stratum: Counts, cluster: Counts, dense: Array, pruned: Array) -> Clusters:
        """The sums over ``size`` strata, from each sample's stratum, cluster and whether each model is right, (N,)."""
        several = int(cluster.max(initial=-1)) + 1
        cells, cell = np.unique(stratum * several + cluster, return_inverse=True)  # (J,), (N,)
        at, of_cluster = np.divmod(cells, max(several, 1))  # (J,) stratum and cluster of a cell
        counted = (np.ones(len(cell)), dense, pruned)

        def totals(of: Array, length: int) -> Counts:
            each = [np.bincount(of, weights=column, minlength=length) for column in counted]
            return np.stack(each, axis=1).astype(np.int64)  # (length, 3)

        v, whole = totals(cell, len(cells)), totals(cluster, several)

        def products(other: Counts) -> Counts:
            """The sum of v with ``other`` (J, 3) over the cells of each stratum."""
            each = [np.bincount(at, weights=v[:, i] * other[:, j], minlength=size) for i in range(3) for j in range(3)]
            return np.stack(each, axis=1).reshape(size, 3, 3).astype(np.int64)

        alone = v[:, 0] == whole[of_cluster, 0]  # (J,)
        return cls(
            column=column,
            own=products(v),
            cross=products(whole[of_cluster]),
            whole=whole.T @ whole,
            number=np.bincount(at, minlength=size).astype(np.int64),
            within=np.bincount(at[alone], minlength=size).astype(np.int64),
            total=int((whole[:, 0] > 0).sum()),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Clusters):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in Clusters.__dataclass_fields__)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Dense against pruned on the same samples, as counts: what every statistic is a function of.

    Per stratum (S,): ``both`` right, ``lost`` (dense right, pruned wrong), ``gained`` (the reverse), ``neither``.
    Per class (C,): how often each is the label, and is predicted by either model. ``moves`` (K, 4) lists
    (label, dense prediction, pruned prediction, count) of the samples whose prediction changed. ``same_model`` says
    that both are one file, so that nothing can have changed. ``clusters`` is None where samples are independent;
    ``calibration`` and ``top``, what is kept of scores, are None where a model had none, and ``ties`` where no two
    classes were seen to share a highest score.
    Every count is additive over shards and can be written by hand in a test, where `Pair.of` fills in the rest.
    """

    by: str
    strata: tuple[str, ...]
    both: Counts
    lost: Counts
    gained: Counts
    neither: Counts
    classes: tuple[str, ...]
    labelled: Counts
    dense_predicted: Counts
    pruned_predicted: Counts
    moves: Counts
    same_model: bool = False
    clusters: Clusters | None = None
    calibration: Calibration | None = None
    top: TopK | None = None
    ties: Ties | None = None

    @classmethod
    def of(
        cls,
        counts: Sequence[tuple[int, int, int, int]] | Array,
        *,
        by: str = "class",
        strata: Sequence[str] | None = None,
    ) -> Pair:
        """A pair from (both, lost, gained, neither) per class, where nothing else is known.

        Wrong predictions are spread nowhere: predicted totals count the right ones alone.
        """
        table = np.asarray(counts, np.int64).reshape(-1, 4)  # (S, 4)
        both, lost, gained, neither = (column.copy() for column in table.T)
        names = tuple(strata) if strata is not None else tuple(str(i) for i in range(len(table)))
        return cls(
            by=by,
            strata=names,
            both=both,
            lost=lost,
            gained=gained,
            neither=neither,
            classes=names,
            labelled=table.sum(axis=1),
            dense_predicted=both + lost,
            pruned_predicted=both + gained,
            moves=np.empty((0, 4), np.int64),
        )

    @property
    def support(self) -> Counts:
        """Samples per stratum (S,)."""
        return self.both + self.lost + self.gained + self.neither

    @property
    def identical(self) -> bool:
        """Whether no sample's correctness changed."""
        return not (self.lost.any() or self.gained.any())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pair):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in Pair.__dataclass_fields__)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


# ---------------------------------------------------------------------------------------------- what an audit says


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A statistic: one number for the model, one per stratum, or both, with intervals where it has them.

    ``by_stratum`` (S,) holds None where there is no value, and ``absent`` then says why, stratum position -> reason.
    ``low`` and ``high`` are () where the statistic has no interval. ``by_stratum`` is () for a statistic of the model
    alone; ``overall`` is None for one of the strata alone, with a reason in ``overall_absent`` where a value was due.
    """

    name: str
    title: str
    unit: Unit
    by_stratum: tuple[Value, ...] = ()
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    absent: Mapping[int, str] = field(default_factory=dict)
    overall: Value = None
    overall_low: float | None = None
    overall_high: float | None = None
    overall_absent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One stratification of a comparison: the counts, and every measure of them, in the order of the columns."""

    pair: Pair
    measures: tuple[Measure, ...]

    @property
    def by(self) -> str:
        return self.pair.by

    @property
    def strata(self) -> tuple[str, ...]:
        return self.pair.strata

    def measure(self, name: str) -> Measure:
        """The measure called ``name``. Raises `KeyError` where there is none."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A sample on which exactly one of the two models is right.

    ``thumbnail`` is a small PNG or JPEG of what the models saw, in base 64, None where none was asked for.
    """

    id: str
    label: str
    dense: str
    pruned: str
    thumbnail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a rule looked at, not only what it caught: nothing checked can never look like all well."""

    rule: str
    subject: str
    outcome: Outcome
    level: Level
    observed: Value
    limit: Value
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One pruned variant against the dense model. ``flips`` is capped; ``flipped`` is how many there were.

    ``doubts`` are what speaks against the dense model having been run as it was trained.
    """

    dense: ModelCard
    pruned: ModelCard
    views: tuple[View, ...]
    flips: tuple[Flip, ...] = ()
    flipped: int = 0
    checks: tuple[Check, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def kept(self) -> float | None:
        """Nonzero weights of the pruned model as a share of the dense model's weights, None where none can be seen.

        Weights that were cut out with their channels count as zeros; a model's own density leaves them out. None, too,
        where the dense model has more counted weights and the pruned one something that could not be counted: the
        weights that are missing may be there.
        """
        total = sum(layer.total for layer in self.dense.layers or self.pruned.layers)
        hidden = set(self.pruned.uncounted) - set(self.dense.uncounted)
        if hidden and sum(layer.total for layer in self.pruned.layers) < total:
            return None
        return self.pruned.nonzero / total if total and self.pruned.layers else None

    def view(self, by: str = "class") -> View:
        """The view stratified ``by``. Raises `KeyError` where there is none."""
        for view in self.views:
            if view.by == by:
                return view
        raise KeyError(by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the numbers come from: enough to repeat the audit and to see what it may not be compared with.

    ``samples`` were audited of ``available``; ``limited`` says that a sample was drawn, which never gates.
    ``skipped`` are (id, reason) of unreadable samples. ``data_digest`` covers every sample's id, label and content.
    ``preprocess`` is None where inputs were fed as they are. ``assumptions`` are what the run took for granted of the
    data and of each model. ``run`` holds what may differ between two equal runs:
    timings, threads, batch size.
    """

    data: str
    data_digest: str
    samples: int
    available: int
    limited: bool = False
    skipped: tuple[tuple[str, str], ...] = ()
    preprocess: Preprocess | None = None
    settings: Settings = field(default_factory=Settings)
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    run: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Which samples each model got right: what it takes to compare a model with one of an earlier audit, paired.

    ``strata`` maps every stratification to the stratum of each sample (N,), as positions; ``right`` maps models to
    (N,) booleans; ``cluster`` is what each sample belongs to (N,), None where samples are independent. The samples
    are in the order that the data digest covers, so that equal digests mean equal samples, row by row.
    """

    strata: Mapping[str, Counts]
    right: Mapping[str, npt.NDArray[np.bool_]]
    cluster: Counts | None = None

    @classmethod
    def of(cls, predictions: Predictions, by: Sequence[str], cluster: str | None) -> Samples:
        """What is to be kept of ``predictions`` for the stratifications ``by``."""
        return cls(
            strata={each: predictions.strata(each)[1] for each in by},
            right={m.name: m.predicted == predictions.labels for m in predictions.models},
            cluster=None if cluster is None else predictions.strata(cluster)[1],
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Samples):
            return NotImplemented
        clusters = [{} if each.cluster is None else {"": each.cluster} for each in (self, other)]
        return _equal(self.strata, other.strata) and _equal(self.right, other.right) and _equal(*clusters)

    __hash__ = None  # type: ignore[assignment]  # arrays are mutable


def _equal(some: Mapping[str, Array], others: Mapping[str, Array]) -> bool:
    return some.keys() == others.keys() and all(np.array_equal(some[key], others[key]) for key in some)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsest:
    """The sparsest variant that the gate let through, None where not even the densest one was.

    ``waived`` counts the failures, of it and of those before it in the order, that a waiver or the baseline excuses.
    Where there are any it does not pass by itself: the sequence ends at the first of them, and ``unwaived`` is the
    variant before that, None where it is the first. ``tried`` of ``variants`` were looked at, in the ``order`` of
    their density, the densest first, or as given where a density is unknown.
    """

    name: str | None
    waived: int
    unwaived: str | None
    tried: int
    variants: int
    order: Literal["density", "given"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All that reports and exit codes ever see.

    ``policy`` is None where no gate was asked for. ``baseline`` names the earlier audit that this one was judged
    against beside the dense model. ``samples`` are None in audits that were written before they were kept.
    """

    comparisons: tuple[Comparison, ...]
    provenance: Provenance
    policy: Policy | None = None
    baseline: str | None = None
    samples: Samples | None = None

    def to_frame(self, *, overall: bool = False) -> pandas.DataFrame:
        """The audit as a pandas data frame: a row per variant, stratification and stratum, a column per measure.

        The index is (variant, by, stratum). ``density`` (of the variant's own weights) and ``kept`` (of the dense
        model's) lead, then come the columns of the CSV. Shares are shares and nothing is rounded: counts are Int64,
        other numbers float64, verdicts text, and what is absent is <NA>, NaN or None. With ``overall`` there is a row
        per variant and stratification instead, of what holds for the model as a whole, as
        `prune_audit.rows.overall_of` has it.
        """
        from prune_audit.rows import frame

        return frame(self, overall=overall)

    def _repr_html_(self) -> str:
        """What a notebook shows: the report of that name, asked of the registry, as no noun knows a report."""
        shown: str = plugins.load("reports", "notebook").render(self)
        return shown

    @property
    def outcome(self) -> Outcome:
        """The verdict of the gate: ``skipped`` where none was asked for or the data were a sample.

        A warning never fails; an inconclusive check of level ``error`` makes the audit inconclusive unless a
        check failed.
        """
        if self.policy is None or self.provenance.limited:
            return "skipped"
        outcomes = {c.outcome for comparison in self.comparisons for c in comparison.checks if c.level == "error"}
        if "failed" in outcomes:
            return "failed"
        return "inconclusive" if "inconclusive" in outcomes else "passed"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 a check failed, 3 inconclusive where the policy forbids it."""
        if self.outcome == "failed":
            return 1
        forbidden = self.policy is not None and self.policy.inconclusive == "forbid"
        return 3 if self.outcome == "inconclusive" and forbidden else 0

    @property
    def waived(self) -> int:
        """Checks that would have stopped the gate, had no waiver or baseline excused them."""
        return sum(c.outcome == "waived" and c.level == "error" for each in self.comparisons for c in each.checks)

    @property
    def sparsest(self) -> Sparsest | None:
        """The sparsest variant that the gate lets through, by fixed sequence; None where there is no choice.

        The densest variant is judged first and the first one to fail ends the search: whatever is sparser counts as
        failed too, even if it passed alone. In that order a variant that is worse than allowed is chosen no more often
        than a single one would pass, however many there are (Maurer, Hothorn and Lehmacher 1995), where picking the
        sparsest of all that pass would be wrong in 17 to 34 % of cases with 8 variants at the boundary. Where the
        policy forbids what cannot be told, a pass is proof and that is 2.5 %; where it allows it, a variant passes
        that nothing is shown against, and what is chosen is not shown to be good. Either way it should be confirmed
        on fresh data.
        """
        if len(self.comparisons) < 2 or self.outcome == "skipped":
            return None
        kept = [comparison.kept for comparison in self.comparisons]
        known = [share for share in kept if share is not None]
        order = list(range(len(kept)))
        if len(known) == len(kept):
            order.sort(key=lambda i: -known[i])
        chosen, unwaived, waived, tried = None, None, 0, 0
        for i in order:
            tried += 1
            alone = replace(self, comparisons=(self.comparisons[i],))
            if alone.exit_code:
                break
            chosen = self.comparisons[i].pruned.name
            waived += alone.waived
            unwaived = unwaived if waived else chosen
        return Sparsest(
            name=chosen,
            waived=waived,
            unwaived=unwaived,
            tried=tried,
            variants=len(kept),
            order="density" if len(known) == len(kept) else "given",
        )

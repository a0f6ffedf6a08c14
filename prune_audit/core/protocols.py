"""What a model and a data set must supply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from prune_audit.core.predictions import Outputs
from prune_audit.core.requests import Assumption, Preprocess
from prune_audit.core.types import Activation, Array, Counts, Floats, Layout, Scores


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
    and are scaled, normalised, cast and laid out for each model by `prune_audit.evaluate.inputs`. ``digests`` are
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


@runtime_checkable
class Prepares(Protocol):
    """A classifier that may make itself ready for a long run."""

    def prepare(self, inputs: Mapping[str, Array], samples: int) -> None:
        """So many ``samples`` are to be predicted, such as ``inputs``; predictions stay those of the model."""
        ...


@runtime_checkable
class Distant(Protocol):
    """A classifier that is far away, so that each question takes time: it is asked for many calls in one."""

    def predict_in_calls(self, inputs: Mapping[str, Array], size: int) -> Array:
        """What ``predict`` gives for each ``size`` rows, the last of which may be fewer, one after the other."""
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

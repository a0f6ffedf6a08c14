"""ONNX, run by onnxruntime on the CPU: any opset, fixed or free batch, NCHW or NHWC, external data beside the file.

The file is told by its protobuf fields, which are walked without reading the weights, so that a text file that is
called .onnx is no ONNX and a truncated download still is one, and can be named as such. Nothing here needs torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from prune_audit import memory
from prune_audit.core import (
    Activation,
    Array,
    Assumption,
    Expects,
    Floats,
    Input,
    ModelCard,
    ModelSource,
    Settings,
    Suspect,
)
from prune_audit.errors import ModelError, UsageError
from prune_audit.evaluate import watch
from prune_audit.evaluate.model_output import Output, Outputs, of, table
from prune_audit.files import on_disk
from prune_audit.models._factory import refuse_factory
from prune_audit.models.onnx import activation, head, macs, suspects, weights
from prune_audit.models.onnx.classes import named
from prune_audit.models.onnx.graph import Graph
from prune_audit.models.onnx.interface import expects_of, labels_of, outputs_of
from prune_audit.models.onnx.stored import check, external_files
from prune_audit.nets.editable import Editable

if TYPE_CHECKING:
    from onnx import ModelProto

RUNTIME = ("onnxruntime", "onnx")
"""What runs such a file, which holds a program: it is loaded in a worker, which imports this."""

# The fields of onnx.proto's ModelProto: those that hold a number, and those that hold bytes.
_NUMBERS, _BYTES = {1, 5}, {2, 3, 4, 6, 7, 8, 14, 20, 25, 26}
_IR_VERSION, _GRAPH = 1, 7
# Every field of a GraphProto holds bytes: (field << 3) | 2.
_GRAPH_TAGS = {field << 3 | 2 for field in (1, 2, 5, 10, 11, 12, 13, 14, 15)}

# What onnxruntime wraps its reasons in: its error code, the C++ function that raised, and general advice.
_NOISE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+\.(cc|h):\d+ .*?\) | Please fix either the inputs/outputs or the model\."
)


class OnnxClassifier:
    """An onnxruntime session as a `Classifier`, reading the one of its ``outputs`` that holds the scores.

    ``labels`` are the keys of outputs that hold maps, in the order of the columns. ``seen`` are the nodes before each
    output that draw random numbers or look at the batch.
    """

    def __init__(
        self,
        session: Any,
        card: ModelCard,
        expects: Expects,
        outputs: Outputs,
        labels: Mapping[str, Sequence[object]],
        seen: Mapping[str, tuple[Suspect, ...]] | None = None,
    ) -> None:
        self.card = card
        self.expects = expects
        self.notes: tuple[str, ...] = ()
        self.gives = outputs_of(session)
        self._session = session
        self._outputs = outputs
        self._labels = labels
        self._alone = False  # whether it runs on one sample at a time only
        self._seen = seen or {}

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Which output is read, where there are several."""
        return self._outputs.assumptions

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """As `Chooses.expect_classes`."""
        self._outputs.expect_classes(classes, more=more)

    def predict(self, inputs: Mapping[str, Array]) -> Array:
        """Scores (B, C) or (B, 1), or (B,) integer classes where the model gives nothing else.

        Raises:
            ModelError: an input is missing, or onnxruntime could not run the model on them.
        """
        feed = self._feed(inputs)
        if feed.keys() != (wanted := {declared.name: declared for declared in self.expects.inputs}).keys():
            raise ModelError(
                f"{self.card.name}: expected inputs {', '.join(wanted)}, found {', '.join(feed)}",
                hint="name the arrays of the NPZ file after the model's inputs",
            )
        rows = len(next(iter(feed.values())))
        if rows > 1 and self._alone:
            return np.concatenate([self._pass(_row(feed, at)) for at in range(rows)])
        try:
            return self._pass(feed)
        except ModelError:
            if rows == 1 or self.expects.batch is not None or not self._takes_one(feed):
                raise
        # An export may write down the batch of 1 that it was traced with, in a Reshape say, and yet declare it free.
        self._alone = True
        self.notes = (f"{self.card.name} fails on several samples at once, so it ran one sample at a time",)
        return self.predict(inputs)

    def _takes_one(self, feed: Mapping[str, Array]) -> bool:
        """Whether the model runs on the first sample alone."""
        try:
            self._pass(_row(feed, 0))
        except ModelError:
            return False
        return True

    def _pass(self, feed: Mapping[str, Array]) -> Array:
        """The scores of one run of the session."""
        try:
            names = [output.name for output in self.gives] if self._outputs.chosen is None else [self._outputs.chosen]
            results = dict(zip(names, self._session.run(names, dict(feed)), strict=True))
        # onnxruntime's exceptions share no class but Exception.
        except Exception as fault:
            given = ", ".join(f"{name} {a.shape} {a.dtype}" for name, a in feed.items())
            expected = f"the model expects {', '.join(map(_described, self.expects.inputs))}"
            raise ModelError(
                f"{self.card.name} failed on input {given}: {_reason(fault)}",
                hint=memory.HINT if memory.exhausted(fault) else expected,
            ) from fault
        batch = next(iter(feed.values())).shape[0]
        name = self._outputs.chosen or self._outputs.decide([_seen(*each) for each in results.items()], batch)
        result = results[name]
        if name in self._labels:
            result = np.array([[row[label] for label in self._labels[name]] for row in result])  # (B, C)
        scores = np.asarray(result)
        if scores.dtype == np.float16:
            scores = scores.astype(np.float32)
        shape = table(scores.shape, batch)
        if shape is None or scores.dtype.kind not in "fiu":
            raise ModelError(
                f"{self.card.name}: expected scores of shape ({batch}, classes), found {np.shape(result)}",
                hint="only classifiers that give one row of scores per sample can be audited",
            )
        # One number a sample is a score in floating point, and a class in whole numbers.
        if len(shape) == 1 or shape[1] == 1:
            shape = (batch, 1) if scores.dtype.kind == "f" else (batch,)
        return scores.reshape(shape)

    @property
    def output(self) -> str:
        """The output that the scores are read from, or most likely will be."""
        return str(self._outputs.chosen or self._outputs.likely)

    def macs(self, inputs: Mapping[str, Array]) -> int | None:
        """Multiply-accumulates of one forward pass over ``inputs``, zeros counted; None where they cannot be told."""
        return macs.macs(_parse(Path(self.card.path)), self._feed(inputs))

    def activation(self, inputs: Mapping[str, Array]) -> Activation | None:  # noqa: ARG002 - the graph says it
        """What the scores come out of, None where it is else."""
        return activation.seen(_parse(Path(self.card.path)), self.output)

    def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:  # noqa: ARG002 - the graph says it
        """The nodes before the scores that draw random numbers or look at the batch."""
        return self._seen.get(self.output, ())

    def _feed(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if len(self.expects.inputs) == len(inputs) == 1:
            return {self.expects.inputs[0].name: next(iter(inputs.values()))}
        return dict(inputs)


def recognises(path: Path) -> bool:
    """Whether ``path`` is a protobuf with ONNX's fields and a graph that is not empty; it may be truncated."""
    if not path.is_file():
        return False
    version = graph = False
    size = path.stat().st_size
    with path.open("rb") as file:
        for field, wire, value in _fields(file):
            if (field not in _NUMBERS or wire != 0) and (field not in _BYTES or wire != 2):
                return False
            if field == _IR_VERSION:  # of several the last one counts, as for whoever reads it
                version = value > 0
            if field == _GRAPH:
                first = file.read(1)
                graph |= value > 0 and first != b"" and first[0] in _GRAPH_TAGS
                file.seek(-len(first), 1)
            if wire == 2:
                if value > size - file.tell():  # no more than is there: no file can be wound on by 2**63 bytes
                    break
                file.seek(value, 1)
    return version and graph


def load(source: ModelSource, settings: Settings) -> OnnxClassifier:
    """The model at ``source``, ready to run.

    Raises:
        ModelError: the file is truncated, its numbers are not as many as it claims, its external data are missing or
            outside its folder, onnxruntime cannot load it, or it has no output that could be scores.
        UsageError: a factory was given, or another device than the CPU.
    """
    refuse_factory(source)
    if settings.device != "cpu":
        raise UsageError(
            f"{source.path} is an ONNX model, which runs on the CPU, not on {settings.device}",
            hint="leave --device out, or export the model to torch.export (.pt2)",
        )
    try:
        return _load(source, settings)
    except UnicodeDecodeError as fault:
        raise _damaged(source.path) from fault
    # onnx and numpy raise these for numbers and nodes that onnxruntime takes and that do not fit together.
    except (ValueError, TypeError, LookupError, OverflowError, RuntimeError) as fault:
        raise ModelError(
            f"{source.path}: the weights in its graph cannot be told: {_reason(fault)}",
            hint="check the export with onnx.checker.check_model, or export the model again",
        ) from fault


def editable(source: ModelSource, settings: Settings) -> Editable:
    """The weights at ``source``, which may be cut and written again, and cannot be trained.

    Raises:
        ModelError: as `load`; or the weights are quantised, or stored where they cannot be changed.
    """
    classifier = load(source, settings)
    model = _parse(source.path)
    external = bool(external_files(model, source.path))
    module, names = weights.network(model, source.path)
    write = partial(weights.write, model, module, names, external=external)

    def stored(offsets: Floats) -> None:
        head.shift(model, source.path, classifier.output, offsets)

    return Editable(source=classifier, module=module, write=write, stored=stored)


def _load(source: ModelSource, settings: Settings) -> OnnxClassifier:
    model = _parse(source.path)
    check(model, source.path)
    beside = external_files(model, source.path)
    before = watch.states(beside)
    made = session(source.path, settings.threads)
    graph = Graph(model, source.path)
    card = on_disk.card(
        source,
        source.path,
        *beside,
        form="ONNX",
        layers=graph.layers(),
        parameters=graph.parameters(),
        uncounted=graph.uncounted(),
    )
    if (other := watch.changed(before)) is not None:
        raise on_disk.changed(other)
    outputs, labels = of(source, settings), labels_of(model)
    scores = outputs.declared(outputs_of(made))
    keys = [] if scores is None else labels.get(scores.name) or named(model, scores.name)
    seen = {output.name: suspects.suspects(graph, output.name) for output in made.get_outputs()}
    return OnnxClassifier(made, card, expects_of(made, scores, keys, source.path), outputs, labels, seen)


def _seen(name: str, result: Any) -> Output:
    """An output as it came."""
    if isinstance(result, np.ndarray):
        return Output(name=name, shape=result.shape, dtype=result.dtype.name)
    return Output(name=name, shape=None, dtype="maps" if result and isinstance(result[0], dict) else "others")


def _fields(file: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """Each field of a protobuf message as (number, wire type, value or length); ends where the file does."""
    while (tag := _varint(file)) is not None and (value := _varint(file)) is not None:
        yield tag >> 3, tag & 7, value


def _varint(file: IO[bytes]) -> int | None:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None


def _parse(path: Path) -> ModelProto:
    import onnx

    try:
        return onnx.load(path, format="protobuf", load_external_data=False)
    # protobuf's own exception; protobuf is a dependency of onnx, not of this package.
    except Exception as fault:
        raise _damaged(path) from fault


def _damaged(path: Path) -> ModelError:
    return ModelError(
        f"{path} begins as an ONNX model and cannot be read to its end",
        hint="the file was cut off or damaged; export or copy it again",
    )


def session(path: Path, threads: int | None) -> Any:
    """An onnxruntime session of the model at ``path``. Raises `ModelError` where there can be none."""
    import onnxruntime

    if os.environ.get("ORT_DISABLE_TELEMETRY") == "1":
        onnxruntime.disable_telemetry_events()  # it may have been loaded before the package said so
    try:
        str(path).encode()
    except UnicodeEncodeError as fault:
        raise ModelError(
            f"{path}: onnxruntime opens no file whose name, or whose folder's, is not UTF-8",
            hint="rename it, or give a link with a name in UTF-8",
        ) from fault
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: as many as there are cores
    # Errors come back as exceptions; onnxruntime would print them on standard error as well.
    options.log_severity_level = 4
    # Its threads would spin while they wait, on the cores that decode the next batch: half the speed on two cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Otherwise the suffix .ort would choose another format.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        # Its fallback would print, and try the same again.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    # onnxruntime's exceptions share no class but Exception.
    except Exception as fault:
        reason = _reason(fault)
        raise ModelError(f"onnxruntime cannot load {path}: {reason}", hint=_load_hint(reason)) from fault


def _row(feed: Mapping[str, Array], at: int) -> dict[str, Array]:
    return {name: values[at : at + 1] for name, values in feed.items()}


# How onnxruntime names an operator of a domain that it does not know.
_FOREIGN = re.compile(r"([\w.-]+):(\w+)\(-?\d+\) is not a registered|No opset import for domain '([^']+)'")


def _load_hint(reason: str) -> str:
    import onnxruntime

    if (foreign := _FOREIGN.search(reason)) is not None:
        what = f"an operator {foreign[2]} of the domain {foreign[1]}" if foreign[2] else f"the domain {foreign[3]}"
        return (
            f"the model uses {what}, which no runtime here knows: run it in its own runtime and audit the predictions "
            "that it records there (a table of id and predicted); or export it with standard operators only"
        )
    if "not a registered function/op" in reason:
        return "the model uses an operator that onnxruntime does not know; export it with standard operators only"
    if "Could not find an implementation" in reason:
        return "onnxruntime has no such operator on the CPU for the type that the model uses; export it in float32"
    if "opset" in reason or "IR version" in reason:
        return f"upgrade onnxruntime ({onnxruntime.__version__} is installed) or export with an older opset"
    return "check the export with onnx.checker.check_model, or export the model again"


def _reason(fault: Exception) -> str:
    """What onnxruntime says, in one line, without its own source files."""
    text = " ".join(str(fault).split())
    for marker in ("Status Message: ", "failed:"):
        text = text.partition(marker)[2] or text
    return _NOISE.sub("", text)


def _described(declared: Input) -> str:
    shape = "any shape" if declared.shape is None else f"({', '.join(str(n or 'any') for n in declared.shape)})"
    return f"{declared.name} {shape} {declared.dtype or 'of unknown type'}"

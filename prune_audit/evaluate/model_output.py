"""Which of several outputs of a model holds the scores.

Networks return features, embeddings, hidden states, auxiliary heads and class labels beside their scores, and the first
output that has a row per sample need not be the one. It is told, once per model and run, by the option, by its name,
by the number of classes; and where two fit alike, the run ends and asks. Read from shapes alone, so that declared
outputs of a file and tensors of a forward pass are told alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prune_audit.core import Assumption, ModelSource, Settings, chosen
from prune_audit.errors import ModelError, UsageError

OPTION = "--model-output OUTPUT"

Kind = Literal["scores", "classes", "unknown", "other"]

# Words in a name that say that it is the scores, the surest first, and such that say that it is something else.
_NAMED = (
    {"logits", "logit"},
    {"scores", "score", "probs", "prob", "probabilities", "probability", "softmax"},
    {
        "out",
        "output",
        "outputs",
        "cls",
        "class",
        "classes",
        "pred",
        "preds",
        "prediction",
        "predictions",
        "classification",
    },
)
_ELSE = {
    *("aux", "auxiliary", "feature", "features", "feat", "feats", "embedding", "embeddings", "embed", "emb", "hidden"),
    *("state", "states", "pool", "pooled", "pooler", "token", "tokens", "attention", "attentions", "attn", "loss"),
    *("box", "boxes", "bbox", "bboxes", "anchor", "anchors", "mask", "masks", "cell"),
}
_BOXES = {"box", "boxes", "bbox", "bboxes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output: ``shape`` with the batch first and None where a length is free, None where the rank is unknown.

    ``dtype`` is a numpy name, ``maps`` where there is a map per sample, from classes to scores.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str

    def __str__(self) -> str:
        called = f"number {self.name}" if self.name.isdecimal() else self.name
        if self.dtype == "maps":
            return f"{called} (a map per sample)"
        if self.shape is None:
            return f"{called} (of unknown shape)"
        lengths = ("batch" if n == 0 else "any" if d is None else str(d) for n, d in enumerate(self.shape))
        return f"{called} ({', '.join(lengths)})"


def table(shape: Sequence[int], batch: int) -> tuple[int, ...] | None:
    """What an output of ``shape`` is as scores (B, C) or classes (B,) of ``batch`` samples; None where it is neither.

    Dimensions of length 1 are not counted, wherever they stand: a (1, B, C) and a (B, C, 1, 1) are (B, C).
    """
    lengths = list(shape)
    if len(lengths) > 2 and lengths[0] == 1 and lengths[1] == batch != 1:
        lengths = lengths[1:]
    if not lengths or lengths[0] != batch:
        return None
    rest = [length for length in lengths[1:] if length != 1]
    if len(rest) > 1:
        return None
    return (batch, *rest) if rest else (batch, *lengths[1:2])


class Outputs:
    """The outputs of the model called ``name``, of which one is chosen; ``asked`` is the one that was asked for."""

    def __init__(self, name: str, asked: str | None = None) -> None:
        self._name = name
        self._asked = asked
        self._classes: int | None = None
        self._more = False
        self.chosen: str | None = None
        self.likely: str | None = None  # as declared
        self.assumptions: tuple[Assumption, ...] = ()

    def expect_classes(self, classes: int, *, more: bool) -> None:
        """The data have so many ``classes``, or ``more`` than that where only their labels are known."""
        self._classes, self._more = classes, more

    def declared(self, outputs: Sequence[Output]) -> Output | None:
        """Which of the ``outputs`` that a file declares holds the scores; None where that is not to be told yet.

        Raises:
            ModelError: none can.
            UsageError: the one that was asked for is not there, or can be no scores.
        """
        found = self._choose(outputs, [_kind(each) for each in outputs])
        self.likely = None if found is None else found.name
        return found

    def decide(self, outputs: Sequence[Output], batch: int) -> str:
        """The name of that of ``outputs``, as they came of ``batch`` samples, which holds the scores.

        Raises:
            ModelError: none can, or several could and nothing says which.
            UsageError: as `declared`.
        """
        tables, kinds = list[Output](), list[Kind]()
        for output in outputs:
            made = None if output.shape is None else table([n or 0 for n in output.shape], batch)
            readable = made is not None or output.dtype == "maps"
            kinds.append(_kind(Output(name="", shape=made, dtype=output.dtype)) if readable else "other")
            shape = made or output.shape
            tables.append(
                Output(name=output.name, shape=None if shape is None else (None, *shape[1:]), dtype=output.dtype)
            )
        several = len(outputs) > 1
        seen = [f"{o.name} " * several + str(o.dtype if o.shape is None else o.shape) for o in outputs]
        found = self._choose(tables, kinds, (batch, ", ".join(seen)))
        assert found is not None  # it is final
        self.chosen = found.name
        return found.name

    def _choose(
        self, outputs: Sequence[Output], kinds: Sequence[Kind], final: tuple[int, str] | None = None
    ) -> Output | None:
        """Which of ``outputs`` holds the scores; ``final`` are the samples that they are of, and how they came."""
        usable = [o for o, kind in zip(outputs, kinds, strict=True) if kind in ("scores", "classes", "unknown")]
        if self._asked is not None:
            return self._by_option(outputs, usable)
        scores = [o for o, kind in zip(outputs, kinds, strict=True) if kind in ("scores", "unknown")]
        pool = scores or usable
        if not pool or (len(outputs) > 1 and _detects(outputs, pool)):
            batch, found = final or ("batch", ", ".join(map(str, outputs)) or "none")
            raise ModelError(
                f"{self._name}: expected scores of shape ({batch}, classes), found {found}",
                hint="audited are classifiers, which give one row of scores per sample: export the model so that it "
                "returns its logits, alone or named so",
            )
        if len(pool) == 1:
            why = "the only one with a row of scores per sample" if scores else "the only one with a class per sample"
            return self._take(pool[0], why, usable)
        fitting = [o for o in pool if self._fits(o)] or pool
        if len(fitting) == 1:
            return self._take(fitting[0], f"the only one with as many columns as classes, {self._classes}", usable)
        ranks = [_rank(o.name) for o in fitting]
        exact = [o for o in fitting if columns_of(o) == self._classes]
        best = min(ranks)
        named = fitting[ranks.index(best)]
        # Whatever a network returns may be called an output: that another has as many columns as labels says no less.
        vague = best == len(_NAMED) - 1 and named not in exact and any(not _words(o.name) & _ELSE for o in exact)
        if best < len(_NAMED) and ranks.count(best) == 1 and not vague:
            return self._take(named, "by its name", usable)
        if len(exact) == 1 and best == len(_NAMED):
            return self._take(exact[0], f"the only one with as many columns as labels, {self._classes}", usable)
        if final is None:
            return None
        options = " or ".join(f"--model-output {self._name}={o.name}" for o in fitting)
        raise ModelError(
            f"{self._name} has {len(fitting)} outputs that could be its scores: {', '.join(map(str, fitting))}",
            hint=f"say which: {options}; without {self._name}= it is of all models",
        )

    def _by_option(self, outputs: Sequence[Output], usable: Sequence[Output]) -> Output:
        """The output that was asked for: by its name, by the beginning of it, or by its position."""
        asked = str(self._asked)
        found = [o for o in outputs if o.name == asked] or [o for o in outputs if o.name.startswith(f"{asked}.")]
        if not found and re.fullmatch(r"-?\d+", asked):
            tops = list(dict.fromkeys(o.name.partition(".")[0] for o in outputs))
            if -len(tops) <= int(asked) < len(tops):
                found = [o for o in outputs if o.name.partition(".")[0] == tops[int(asked)]]
        told = ", ".join(map(str, outputs)) or "none"
        if not found:
            raise UsageError(f"--model-output {asked}: {self._name} has no such output", hint=f"it has {told}")
        fits = [o for o in found if o in usable]
        if len(fits) != 1:
            kind = "holds several tables of scores" if fits else "holds no row of scores per sample"
            raise UsageError(f"--model-output {asked}: of {self._name} that {kind}", hint=f"it has {told}")
        return self._take(fits[0], "as asked", usable)

    def _take(self, output: Output, why: str, usable: Sequence[Output]) -> Output:
        others = [str(o) for o in usable if o.name != output.name]
        if others or self._asked is not None:
            beside = f"; not read: {', '.join(others[:3])}{', ...' * (len(others) > 3)}" if others else ""
            self.assumptions = (
                Assumption(subject=self._name, what="output", value=str(output), why=f"{why}{beside}", option=OPTION),
            )
        return output

    def _fits(self, output: Output) -> bool:
        """Whether the data's classes may be the columns of ``output``, as far as both are known."""
        width = columns_of(output)
        if self._classes is None or width is None:
            return True
        columns = 2 if width == 1 else width
        return columns == self._classes or (self._more and columns > self._classes)


def of(source: ModelSource, settings: Settings) -> Outputs:
    """Those of the model at ``source``, of which one may have been asked for."""
    return Outputs(source.name, chosen(settings.model_output, source.name))


def _kind(output: Output) -> Kind:
    if output.dtype == "maps":
        return "scores"
    number = output.dtype.startswith(("float", "bfloat", "int", "uint"))
    if not number:
        return "other"
    if output.shape is None:
        return "unknown"
    if not output.shape:
        return "other"
    if len(output.shape) == 3 and output.shape[0] == 1:
        return "unknown"  # a batch of one, or one table of the whole batch
    rest = [length for length in output.shape[1:] if length != 1]
    if len(rest) > 1:
        return "other"
    return "scores" if rest or output.dtype.startswith(("float", "bfloat")) else "classes"


def _detects(outputs: Sequence[Output], pool: Sequence[Output]) -> bool:
    """Whether ``outputs`` are of a detector: boxes by their name, or four numbers for each of the columns."""
    if any(_words(each.name) & _BOXES for each in outputs):
        return True
    boxes = {o.shape[1] for o in outputs if o.shape is not None and len(o.shape) == 3 and o.shape[2] == 4}
    return any(columns_of(each) in boxes - {None} for each in pool)


def columns_of(output: Output) -> int | None:
    """The number of columns; None where it is unknown."""
    if output.shape is None:
        return None
    rest = [length for length in output.shape[1:] if length != 1]
    return rest[0] if rest else 1


def _rank(name: str) -> int:
    """How surely a name says that it is the scores: 0 is surest, and as many as there are kinds of names not at all."""
    words = _words(name)
    if words & _ELSE:
        return len(_NAMED)
    return next((n for n, known in enumerate(_NAMED) if words & known), len(_NAMED))


def _words(name: str) -> set[str]:
    """The words of a name, without their numbers: ``class_scores1`` has class and scores."""
    split = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return {word.lower() for word in re.findall(r"[A-Za-z]+", split)}

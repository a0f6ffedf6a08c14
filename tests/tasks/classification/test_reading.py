"""What scores are taken for, once a run, whatever the batch size: by structure, name, values and the dense model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.special

from prune_audit.core import Array, Floats, Kept, Outputs, Scores, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.evaluate.loop import FIRST, evaluate
from prune_audit.evaluate.sampling import stratified
from prune_audit.tasks.classification.reading import Reading, contradicted, decide, outputs
from prune_audit.tasks.classification.scores import keep
from tests.evaluate._models import ArrayData, FunctionModel

RNG = np.random.default_rng(29)


def kept(scores: Array, labels: Sequence[int] | Array = ()) -> Kept:
    at = np.asarray(labels if len(labels) else np.zeros(len(scores)), np.int64)
    return keep(scores, at, np.arange(len(scores)), np.zeros(len(scores), np.uint64))


def read(scores: Array, **how: Any) -> Reading:
    wide, zeros = scores.shape[1], np.zeros(len(scores), np.int64)
    return decide(kept(scores), wide, labels=zeros, classes=wide, name="m", integers=scores.dtype.kind in "iu", **how)


def told(scores: Array, labels: Array, **how: Any) -> Outputs:
    whole = kept(scores, labels)
    width = 1 if scores.ndim == 1 else scores.shape[1]
    how |= {"labels": labels, "classes": max(width, 3), "name": "m", "integers": scores.dtype.kind in "iu"}
    return outputs(whole, decide(whole, width, **how), "m", labels, width)


def logits(count: int, classes: int, seed: int = 3) -> tuple[Floats, Array]:
    """Scores of a classifier that is mostly right, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    return rng.normal(size=(count, classes)) * 1.5 + 7 * np.eye(classes)[labels], labels


def softmax(scores: Array) -> Floats:
    found: Floats = scipy.special.softmax(scores, axis=1)
    return found


def in_bfloat16(values: Floats) -> Floats:
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x8000) & 0xFFFF0000).view(np.float32).astype(np.float64)


def in_bits(one: int) -> Callable[[Floats], Floats]:
    return lambda values: np.clip(np.rint(values * one), 0, 255) / one


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize(
    "narrow",
    [np.float32, np.float16, in_bfloat16, in_bits(256), in_bits(255)],
    ids=["float32", "float16", "bfloat16", "1/256", "1/255"],
)
def test_narrow_probabilities_are_no_logits_and_keep_their_confidence(narrow: Any, classes: int) -> None:
    scores, labels = logits(300, classes)
    chances = softmax(scores)
    found = told(narrow(chances).astype(np.float64), labels)
    assert found.scores == "probabilities"
    assert found.confidence is not None
    # Half a step of 8 bits, and of the last of 8 bits of a mantissa.
    np.testing.assert_allclose(found.confidence, chances.max(axis=1), atol=1 / 255)


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        (lambda z: z, "logits"),
        (lambda z: z - z.max(), "logits"),
        (lambda z: np.where(z < -3, -np.inf, z), "logits"),
        (softmax, "probabilities"),
        (lambda z: 100 * softmax(z), "probabilities"),
        (lambda z: np.rint(256 * softmax(z)).clip(0, 255).astype(np.uint8), "probabilities"),
        (lambda z: (np.rint(256 * softmax(z)) - 128).clip(-128, 127).astype(np.int8), "probabilities"),
        (lambda z: np.rint(32768 * softmax(z)).clip(0, 32767).astype(np.int16), "probabilities"),
        (scipy.special.expit, "probabilities"),
        (lambda z: scipy.special.log_softmax(z, axis=1), "log-probabilities"),
        (lambda z: np.log(np.round(softmax(z), 4)), "log-probabilities"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_scores_are_by_their_values(scores: Callable[[Floats], Array], kind: str) -> None:
    z, labels = logits(200, 8)
    found = told(scores(z), labels)
    assert found.scores == kind
    assert found.confidence is not None
    assert found.true_score is not None
    wanted = scipy.special.expit(z) if scores is scipy.special.expit else softmax(z)
    np.testing.assert_allclose(found.confidence, wanted.max(axis=1), atol=0.005)
    np.testing.assert_allclose(found.true_score, wanted[np.arange(200), labels], atol=0.005)
    np.testing.assert_array_equal(found.predicted, scores(z).argmax(axis=1))


def test_votes_of_a_forest_are_shares() -> None:
    rng = np.random.default_rng(8)
    votes = rng.multinomial(500, [0.6, 0.3, 0.1], size=60)
    found = told(votes, np.zeros(60, np.int64))
    assert found.confidence is not None
    np.testing.assert_allclose(found.confidence, votes.max(axis=1) / 500)


def test_whole_numbers_of_an_unknown_unit_rank_classes_and_tell_no_confidence() -> None:
    z, labels = logits(100, 6)
    found = told(np.rint(4 * z).astype(np.int8), labels)
    assert (found.scores, found.confidence, found.true_score) == ("logits", None, None)
    assert found.rank is not None
    assert told(np.rint(4 * z).astype(np.int8), labels, asked="logits").confidence is not None
    # Two logits that are each other's negative look like two probabilities in TFLite's signed bytes.
    pair = np.rint(4 * np.stack([z[:, 0], -z[:, 0]], axis=1)).astype(np.int8)
    assert told(pair, np.zeros(100, np.int64), activation="linear").confidence is None


def test_whole_numbers_are_probabilities_only_where_a_unit_fits() -> None:
    z, labels = logits(100, 6)
    far = told(np.rint(8 * np.abs(z)).clip(0, 255).astype(np.uint8), labels)  # whose rows sum to anything
    assert (far.scores, far.confidence) == ("logits", None)
    scores = np.full((60, 20), 10, np.uint8)  # rows of 20 columns sum to 200 or so; 256 less 10 is what rounding takes
    scores[:, 0] = 77 + np.arange(60) % 3
    assert told(scores, np.zeros(60, np.int64)).confidence is None  # 267 to 269: more than 10 above 255 and 256
    scores[:, 0] -= 7
    assert told(scores, np.zeros(60, np.int64)).confidence is not None


@pytest.mark.parametrize(("off", "known"), [(0, True), (1, True), (3, False)])
def test_of_two_signed_bytes_one_step_is_rounding(off: int, known: bool) -> None:
    one = np.linspace(-100, 100, 50).astype(np.int8)
    found = told(np.stack([one, -one + off], axis=1).astype(np.int8), np.zeros(50, np.int64))
    assert (found.confidence is not None) == known


@pytest.mark.parametrize(("off", "known"), [(0, True), (5, True), (6, False)])
def test_of_three_signed_bytes_a_fiftieth_is_rounding(off: int, known: bool) -> None:
    one = np.linspace(-100, 60, 50).astype(np.int64)
    scores = np.stack([one, -128 - one // 2, off - one + one // 2], axis=1)  # sum to -128 + off
    scores[:, 1] = np.maximum(scores[:, 1], -128)
    scores[:, 2] = off - 128 - scores[:, 0] - scores[:, 1]
    found = told(scores.astype(np.int8), np.zeros(50, np.int64))
    assert (found.confidence is not None) == known


def test_how_many_classes_share_the_highest_score_is_counted() -> None:
    found = told(np.array([[3.0, 3.0, 1.0], [2.0, 5.0, 1.0], [4.0, 4.0, 4.0]]), np.zeros(3, np.int64))
    assert found.tied is not None
    assert found.tied.tolist() == [2, 1, 3]


def test_one_row_below_0_makes_logits_of_all() -> None:
    assert read(np.array([[0.2, 0.8], [-0.5, 0.9]])).kind == "logits"
    assert read(np.array([[0.2, 0.8], [0.5, 0.9]])).kind == "probabilities"
    assert read(np.array([[0.2, 0.8], [0.5, 1.5]])).kind == "logits"


def test_rounding_above_the_largest_probability_is_none_beyond_it() -> None:
    """1.02 stands for a probability in any of the formats, as .02 does for its logarithm."""
    told = Reading(kind="probabilities", why="")
    for above, at in ((1.02, None), (1.03, 1)):
        assert contradicted(kept(np.array([[0.5, 0.5], [above, 0.0]])), told) == at
    logarithms = np.array([[-1.0, -0.46], [0.02, -4.0]])
    assert read(logarithms, activation="log-softmax").kind == "log-probabilities"
    assert contradicted(kept(logarithms), Reading(kind="log-probabilities", why="")) is None
    assert read(logarithms + 0.01, activation="log-softmax").kind == "logits"


@pytest.mark.parametrize(
    ("scores", "how"),
    [
        (lambda p: p, {"asked": "probabilities"}),
        (lambda p: np.log(p), {"asked": "log-probabilities"}),
        (lambda p: np.log(p / (1 - p)), {"asked": "logits"}),
    ],
)
def test_one_column_is_the_chance_of_the_second_class(scores: Callable[[Floats], Floats], how: dict[str, Any]) -> None:
    chance = np.array([0.1, 0.4, 0.6, 0.95])
    found = told(scores(chance)[:, None], np.array([0, 1, 0, 1]), **how)
    np.testing.assert_array_equal(found.predicted, [0, 0, 1, 1])
    np.testing.assert_allclose(np.asarray(found.confidence), [0.9, 0.6, 0.6, 0.95], rtol=1e-12)
    np.testing.assert_allclose(np.asarray(found.true_score), [0.9, 0.4, 0.4, 0.95], rtol=1e-12)


ONE = RNG.uniform(0.05, 0.45, (50, 1))  # what lies on one side of .5 and of 0 alike


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({}, "probabilities"),
        ({"activation": "linear"}, "logits"),
        ({"activation": "sigmoid"}, "probabilities"),
        ({"like": "logits"}, "logits"),
        ({"like": "logits", "activation": "sigmoid"}, "probabilities"),
        ({"like": "probabilities"}, "probabilities"),
        ({"called": "logits"}, "logits"),
        ({"called": "logits", "like": "probabilities"}, "logits"),
        ({"called": "probabilities", "like": "logits"}, "probabilities"),
        ({"asked": "logits", "activation": "sigmoid"}, "logits"),
        ({"asked": "probabilities", "like": "logits"}, "probabilities"),
        ({"asked": "log-probabilities"}, None),
    ],
)
def test_one_column_within_0_and_1(how: dict[str, Any], kind: Scores | None) -> None:
    if kind is None:
        with pytest.raises(UsageError, match=r"--scores log-probabilities: one is 0\."):
            read(ONE, **how)
        return
    found = told(ONE, np.zeros(50, np.int64), **how)
    assert found.scores == kind
    assert set(found.predicted.tolist()) == {int(kind == "logits")}


def test_one_column_beyond_1_is_logits_whatever_the_dense_model_gives() -> None:
    assert read(8 * ONE, like="probabilities").kind == "logits"
    with pytest.raises(UsageError, match=r"--scores probabilities: one is [123]\."):
        read(8 * ONE, asked="probabilities")


def test_what_ranges_within_0_and_1_is_what_the_dense_models_scores_are() -> None:
    scores = RNG.uniform(0, 1, (50, 5))
    assert read(scores).kind == "probabilities"
    assert read(scores, like="logits").kind == "logits"
    assert read(scores, activation="linear").kind == "logits"
    # Biases alone may sum to 1.
    assert read(np.tile([0.3, 0.69], (50, 1)), like="logits").kind == "logits"
    assert read(softmax(4 * scores), like="logits").kind == "probabilities"


def test_classes_are_no_scores() -> None:
    zeros = np.zeros(3, np.int64)
    assert told(np.array([1, 0, 2]), zeros).scores == "classes"
    with pytest.raises(UsageError, match="--scores logits: m gives classes"):
        told(np.array([1, 0, 2]), zeros, asked="logits")
    with pytest.raises(UsageError, match="--scores classes: a column for every class"):
        read(softmax(logits(5, 3)[0]), asked="classes")
    found = told(np.array([[1.0], [3.0], [2.0]]), np.zeros(3, np.int64), asked="classes-from-1")
    np.testing.assert_array_equal(found.predicted, [0, 2, 1])


def counted(predicted: Array, labels: Array, classes: int = 5, **how: Any) -> Outputs:
    whole = kept(predicted, labels)
    return outputs(whole, decide(whole, 0, labels=labels, classes=classes, name="m", **how), "m", labels, 0)


@pytest.mark.parametrize("last", [True, False], ids=["with the last class", "without it"])
def test_numbers_from_1_are_told_by_their_range_and_by_being_right(last: bool) -> None:
    labels = RNG.integers(0, 5, 80)
    at = np.where(RNG.random(80) < 0.9, labels, RNG.integers(0, 5, 80))
    at = at if last else np.minimum(at, 3)
    found = counted(at + 1, labels)
    assert found.scores == "classes-from-1"
    np.testing.assert_array_equal(found.predicted, at)
    if last:  # a model that never predicts its first class, and is right all the same
        late = np.maximum(at, 1)
        assert counted(late, labels).scores == "classes"
        np.testing.assert_array_equal(counted(late, labels).predicted, late)


def test_numbers_of_which_nothing_shows_where_they_begin_are_asked_about() -> None:
    labels, always = np.arange(40) % 2, np.ones(40, np.int64)
    with pytest.raises(
        UsageError, match=r"predicts classes by number and never 0.* right on 20 or on 20 of 40"
    ) as caught:
        counted(always, labels, 2)
    assert "--scores m=classes-from-1" in caught.value.hint
    assert set(counted(always, labels, 2, asked="classes").predicted.tolist()) == {1}
    assert set(counted(always, labels, 2, asked="classes-from-1").predicted.tolist()) == {0}
    # A variant that always predicts one class begins where the dense model does.
    assert set(counted(always, labels, 2, like="classes").predicted.tolist()) == {1}
    assert set(counted(always, labels, 2, like="classes-from-1").predicted.tolist()) == {0}
    with pytest.raises(UsageError, match="--scores classes-from-1: one is 0"):
        counted(labels, labels, 2, asked="classes-from-1")


def run(models: Sequence[FunctionModel], x: Array, y: Array, batch_size: int, **settings: Any) -> Any:
    data = ArrayData({"x": x}, y.tolist(), classes=[f"c{i}" for i in range(int(y.max()) + 1)])
    return evaluate(models, data, np.arange(len(y)), Settings(batch_size=batch_size, workers=1, **settings))


@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_one_row_that_misses_1_changes_nothing_of_the_others(batch_size: int) -> None:
    z, labels = logits(400, 10)
    chances = softmax(z)
    off = chances.copy()
    off[[3, 333]] *= 1.03
    models = [FunctionModel("dense", lambda at: chances[at]), FunctionModel("pruned", lambda at: off[at])]
    done = run(models, np.arange(400), labels, batch_size)
    a, b = (done.predictions.model(name).confidence for name in ("dense", "pruned"))
    np.testing.assert_allclose(a, b, rtol=0.031)
    np.testing.assert_array_equal(np.flatnonzero(a != b), [3, 333])
    assert {(each.subject, each.value) for each in done.assumptions} == {
        ("dense", "probabilities"),
        ("pruned", "probabilities"),
    }


@pytest.mark.parametrize("batch_size", [1, 256])
def test_a_pruned_model_whose_logits_lie_within_0_and_1_is_split_as_the_dense_one(batch_size: int) -> None:
    y = RNG.integers(0, 2, 900)
    x = np.where(y == 1, 2, -2) + RNG.normal(size=900)
    models = [FunctionModel("dense", lambda v: v[:, None]), FunctionModel("pruned", lambda v: 0.4 + 0.03 * v[:, None])]
    done = run(models, x, y, batch_size)
    assert (done.predictions.model("pruned").predicted == 1).all()
    assert done.assumptions[1].why == "all lie in [0, 1], and the dense model's are"
    asked = run(models, x, y, batch_size, scores=("pruned=probabilities",))
    np.testing.assert_array_equal(asked.predictions.model("pruned").predicted, 0.4 + 0.03 * x > 0.5)
    # In the order of the models: the first one is the dense one.
    alone = run(models[1:], x, y, batch_size)
    np.testing.assert_array_equal(alone.predictions.model("pruned").predicted, 0.4 + 0.03 * x > 0.5)


def test_a_later_score_that_contradicts_the_first_ones_stops_the_run() -> None:
    z, labels = logits(600, 4)
    chances = softmax(z)
    late = int(np.setdiff1d(np.arange(600), stratified(labels, FIRST, 0))[-1])
    chances[late, 2] = 1.7
    models = [FunctionModel("m", lambda at: chances[at])]
    first = f"taken for probabilities, since each row lies in .* and one is 1.7 for 's{late}'"
    with pytest.raises(ModelError, match=first) as caught:
        run(models, np.arange(600), labels, 50)
    assert "--scores m=KIND" in caught.value.hint
    run(models, np.arange(600), labels, 50, scores=("logits",))

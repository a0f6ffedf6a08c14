from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from prune_audit.core import Array, Assumption, Counts, Expects, Input, ModelCard, Outputs, Scores, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.evaluate.drop_outputs import Dropped, dropped
from prune_audit.evaluate.loop import evaluate
from tests.evaluate._models import ArrayData, FunctionModel

NAMES = ("background", "cat", "dog", "ship")
LOGITS = np.array([[9.0, 2, 1, 0], [0, 1, 3, -2], [1, 1, 1, 4]])


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    values: Array = e / e.sum(axis=1, keepdims=True)
    return values


def model(scores: Array = LOGITS, **declared: Any) -> FunctionModel:
    return FunctionModel("m", lambda _: scores, Expects(inputs=(Input(name="x"),), **declared))


INPUTS = {"x": np.zeros((3, 2))}
LABELS = [0, 1, 1]


def audited(scores: Array) -> Outputs:
    """What a run makes of these scores (3, 4) without the first of their columns."""
    inner = FunctionModel("m", lambda at: scores[at], Expects(inputs=(Input(name="x"),)))
    data = ArrayData({"x": np.arange(3)}, LABELS, classes=NAMES[1:])
    return evaluate(dropped([inner], ["0"]), data, np.arange(3), Settings(drop_class=("0",))).predictions.models[0]


@pytest.mark.parametrize(
    ("which", "kept"),
    [
        (["background"], [1, 2, 3]),
        (["0"], [1, 2, 3]),
        (["-1"], [0, 1, 2]),
        (["-1", "3"], [0, 1, 2]),
        (["dog", "background"], [1, 3]),
        (["+1"], [0, 2, 3]),
    ],
)
def test_outputs_go_by_name_or_position(which: Sequence[str], kept: list[int]) -> None:
    seen = Dropped(model(classes=NAMES, outputs=4), which)
    np.testing.assert_array_equal(seen.predict(INPUTS), LOGITS[:, kept])
    assert seen.expects.outputs == len(kept)
    assert seen.expects.classes == tuple(NAMES[i] for i in kept)
    assert seen.card == model().card
    assert seen.macs(INPUTS) == 6


def test_a_class_called_by_a_number_is_that_class() -> None:
    seen = Dropped(model(classes=("3", "2", "1", "0"), outputs=4), ["3"])
    assert seen.expects.classes == ("2", "1", "0")
    np.testing.assert_array_equal(seen.predict(INPUTS), LOGITS[:, 1:])


def test_the_number_of_outputs_may_show_only_in_the_first_batch() -> None:
    seen = Dropped(model(), ["-1"])
    assert seen.expects.outputs is None
    np.testing.assert_array_equal(seen.predict(INPUTS), LOGITS[:, :3])
    late = Dropped(model(), ["4"])
    with pytest.raises(UsageError, match="--drop-class 4: model m has 4 outputs"):
        late.predict(INPUTS)


def test_names_that_are_those_of_what_is_left_stay() -> None:
    assert Dropped(model(classes=NAMES[1:], outputs=4), ["0"]).expects.classes == NAMES[1:]


def test_names_tell_how_many_outputs_there_are() -> None:
    assert Dropped(model(classes=NAMES), ["-1"]).expects.classes == NAMES[:3]
    with pytest.raises(ModelError, match="was to have 3 outputs and gave 4"):
        Dropped(model(classes=NAMES[1:]), ["-1"]).predict(INPUTS)


@pytest.mark.parametrize(
    ("which", "declared", "message"),
    [
        (["cow"], {"classes": NAMES, "outputs": 4}, "carries no class 'cow'"),
        (["cow"], {"outputs": 4}, "carries no names of classes"),
        (["4"], {"outputs": 4}, "--drop-class 4: model m has 4 outputs"),
        (["-5"], {"outputs": 4}, "--drop-class -5: model m has 4 outputs"),
        (["0", "1", "-1"], {"outputs": 4}, "leaves 1 of the 4 outputs"),
        (["0"], {"outputs": 1}, "leaves 0 of the 1 outputs"),
    ],
)
def test_what_the_model_does_not_have_cannot_go(which: Sequence[str], declared: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Dropped(model(**declared), which)
    assert caught.value.hint


@pytest.mark.parametrize("given", [np.float64, np.float32])
def test_probabilities_stay_probabilities_of_what_is_left(given: type) -> None:
    chances = softmax(LOGITS[:, 1:])
    found = audited(softmax(LOGITS).astype(given))
    assert found.confidence is not None
    assert found.true_score is not None
    np.testing.assert_allclose(found.confidence, chances.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.true_score, chances[range(3), LABELS], rtol=1e-4)


def test_a_sample_that_is_all_background_is_no_other_class_more_than_another() -> None:
    found = audited(np.array([[1.0, 0, 0, 0], [0.5, 0.25, 0.25, 0], [0, 0, 0, 1]]))
    np.testing.assert_array_equal(found.confidence, [1 / 3, 0.5, 1])
    np.testing.assert_array_equal(found.true_score, [1 / 3, 0.5, 0])


def test_what_is_not_finite_goes_on_to_who_reports_it() -> None:
    assert np.isnan(Dropped(model(np.full((3, 4), np.nan)), ["0"]).predict(INPUTS)).all()


def test_classes_alone_leave_nothing_to_drop() -> None:
    with pytest.raises(UsageError, match="gives classes and no scores"):
        Dropped(model(np.array([1, 2, 0])), ["0"]).predict(INPUTS)


def test_an_audit_of_what_is_left_is_that_of_a_model_without_it() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 4))
    data = ArrayData({"x": x}, x[:, 1:].argmax(axis=1), classes=NAMES[1:])
    rows = np.arange(400)
    with_it, without = FunctionModel("m", lambda v: v), FunctionModel("m", lambda v: v[:, 1:])
    found = evaluate(dropped([with_it], ["0"]), data, rows, Settings()).predictions.models[0]
    wanted = evaluate([without], data, rows, Settings()).predictions.models[0]
    for name in ("predicted", "confidence", "true_score", "rank"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


class _Recorded:
    card = ModelCard(name="r", path="r", format="predictions", digest="r", size=0)
    expects = Expects()
    assumptions: tuple[Assumption, ...] = ()

    def outputs(
        self, ids: Sequence[str], labels: Counts, classes: tuple[str, ...], like: Scores | None = None
    ) -> Outputs:
        raise NotImplementedError


def test_recorded_predictions_are_as_they_were_recorded() -> None:
    recorded, runs = _Recorded(), model()
    seen = dropped([recorded, runs], ["0"])
    assert seen[0] is recorded
    assert isinstance(seen[1], Dropped)
    assert dropped([recorded, runs], []) == [recorded, runs]
    with pytest.raises(UsageError, match="recorded predictions have no outputs to leave out"):
        dropped([recorded], ["0"])

"""A model run on some samples: the same whatever is shared out, and nothing is kept between calls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.core import Array, Expects, Input, Kept, Preprocess, Settings
from prune_audit.errors import AlignmentError, ModelError
from prune_audit.evaluate.batch_size import BatchSize, Plan
from prune_audit.evaluate.inputs import Feeder
from prune_audit.evaluate.loop import evaluate
from prune_audit.evaluate.predict import ask, predict, timed
from tests.evaluate._models import ArrayData, FunctionModel

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = X.argmax(axis=1)
CLASSES = ("a", "b", "c")


def data(bad: tuple[int, ...] = (), preprocess: Preprocess | None = None) -> ArrayData:
    return ArrayData({"x": X}, Y.tolist(), classes=CLASSES, bad=bad, preprocess=preprocess)


def model(batch: int | None = None) -> FunctionModel:
    return FunctionModel("m", lambda x: 2 * x, Expects(inputs=(Input(name="x"),), batch=batch))


def assert_same(found: Kept, wanted: Kept) -> None:
    assert found.columns.keys() == wanted.columns.keys()
    for name, values in wanted.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)


@given(rows=st.permutations(range(60)), shards=st.integers(1, 7), size=st.integers(1, 70))
def test_rows_shared_out_in_any_order_come_back_as_the_whole(rows: list[int], shards: int, size: int) -> None:
    """What a machine with one share of the rows needs to hold of the others is nothing."""
    shares = np.array_split(np.array(rows), shards)
    joined = Kept.concat([predict(model(), data(), share, size=size) for share in shares])
    np.testing.assert_array_equal(joined.rows, rows)
    assert_same(joined.take(np.argsort(joined.rows)), predict(model(), data(), np.arange(60)))


def test_some_classes_may_be_left_out() -> None:
    rows = np.flatnonzero(Y != 1)[::-1]
    kept = predict(model(), data(), rows)
    np.testing.assert_array_equal(kept.rows, rows)
    np.testing.assert_array_equal(kept.predicted, Y[rows])


def test_it_is_what_a_pass_over_the_data_finds() -> None:
    done = evaluate([model()], data(), np.arange(60), Settings(batch_size=7))
    kept = predict(model(), data(), np.arange(60))
    np.testing.assert_array_equal(done.predictions.models[0].predicted, kept.predicted)
    np.testing.assert_array_equal(done.predictions.models[0].rank, kept.rank)
    np.testing.assert_array_equal(done.predictions.digests, kept.digests)


def test_what_cannot_be_read_has_no_row() -> None:
    kept = predict(model(), data(bad=(3, 5)), np.arange(8))
    assert kept.rows.tolist() == [0, 1, 2, 4, 6, 7]
    assert len(predict(model(), data(bad=(3,)), np.array([3]))) == 0


@pytest.mark.parametrize(("fixed", "plan", "size", "wanted"), [
    (None, Plan(), None, [10]),
    (None, Plan(), 4, [4, 4, 2]),
    (None, Plan(batch=3), 4, [3, 3, 3, 1]),
    (4, Plan(), 3, [4, 4, 4]),
    (None, Plan(batch=1, pairs=True), None, [2] * 10),
])  # fmt: skip
def test_the_batches_are_those_that_the_model_or_the_plan_asks_for(
    fixed: int | None, plan: Plan, size: int | None, wanted: list[int]
) -> None:
    asked = model(fixed)
    kept = predict(asked, data(), np.arange(10), plan, size=size)
    assert [shape[0] for shape in asked.shapes] == wanted
    np.testing.assert_array_equal(kept.predicted, Y[:10])


def test_images_are_fed_as_the_preprocessing_says() -> None:
    pixels = RNG.integers(0, 256, (6, 3, 2, 2)).astype(np.uint8)
    how = Preprocess(size=(2, 2), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    images = ArrayData({"image": pixels}, [0] * 6, classes=CLASSES, preprocess=how)
    kept = predict(FunctionModel("m", lambda x: x.mean(axis=(2, 3))), images, np.arange(6), size=4)
    (fed,) = Feeder({"image": pixels}, how).feed("m", Expects(inputs=(Input(name="x"),))).values()
    assert kept.first is not None
    np.testing.assert_allclose(kept.first, fed.mean(axis=(2, 3)).max(axis=1), rtol=1e-6)


def test_scores_that_are_no_numbers_are_an_error() -> None:
    def broken(x: Array) -> Array:
        return np.where(np.arange(len(x))[:, None] == 2, np.nan, x)

    with pytest.raises(ModelError, match="model m gave NaN or infinity for row 12"):
        predict(FunctionModel("m", broken), data(), np.arange(10, 20))


def test_inputs_of_another_shape_are_an_error() -> None:
    wide = FunctionModel("m", lambda x: x, Expects(inputs=(Input(name="x", shape=(None, 4)),)))
    with pytest.raises(AlignmentError, match="takes"):
        predict(wide, data(), np.arange(3))


class Far(FunctionModel):
    """One that counts what it is asked, and makes the calls itself."""

    def __init__(self, expects: Expects | None = None) -> None:
        super().__init__("far", lambda x: 2 * x, expects)
        self.asked: list[tuple[int, int]] = []

    def predict_in_calls(self, inputs: Mapping[str, Array], size: int) -> Array:
        values = next(iter(inputs.values()))
        self.asked.append((len(values), size))
        return np.concatenate([self.predict({"x": values[at : at + size]}) for at in range(0, len(values), size)])


@pytest.mark.parametrize("fixed", [None, 5])
@pytest.mark.parametrize("pairs", [False, True])
@given(rows=st.integers(1, 60), size=st.integers(1, 20))
def test_one_that_is_far_away_makes_the_same_calls(fixed: int | None, pairs: bool, rows: int, size: int) -> None:
    expects = Expects(inputs=(Input(name="x"),), batch=fixed)
    near, far = model(fixed), Far(expects)
    for each in (near, far):
        known = BatchSize(fixed or size)
        known.took(known.size, 1e-6)  # so that all may go together
        np.testing.assert_array_equal(timed(each, {"x": X[:rows]}, known, pairs=pairs and not fixed), 2 * X[:rows])
    assert near.shapes == far.shapes
    whole, rest = divmod(rows, fixed or size)
    assert len(far.asked) == (whole > 0) + (rest > 0)


def test_calls_of_a_time_that_is_not_known_are_asked_for_one_by_one() -> None:
    far, size = Far(), BatchSize(10)
    timed(far, {"x": X}, size)
    assert far.asked[0] == (10, 10)
    assert sum(rows for rows, _ in far.asked) == 60


def test_another_number_of_rows_is_told_of_the_call_that_gave_it() -> None:
    short = FunctionModel("m", lambda x: x[: 4 if len(x) == 10 else None])
    with pytest.raises(ModelError, match="model m gave 4 rows for 10 samples"):
        ask(short, {"x": X}, size=10)

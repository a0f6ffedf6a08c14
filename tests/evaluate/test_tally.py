"""One model's running predictions: what the first batch tells of it, what it must keep to, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prune_audit.core import Array, Expects, Input, Settings
from prune_audit.errors import AlignmentError, ModelError
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.tally import Tally
from tests.evaluate._models import ArrayData, FunctionModel

SETTINGS = Settings(workers=1, batch_size=4)
X = np.arange(24, dtype=np.float32).reshape(12, 2) / 24


def data(*, classes: str = "ab", indexed: bool = False) -> ArrayData:
    return ArrayData({"x": X}, [0, 1] * 6, classes=classes, indexed=indexed)


def tally(model: FunctionModel, of: ArrayData | None = None, settings: Settings = SETTINGS) -> Tally:
    return Tally(model, of or data(), settings)


def ask(one: Tally, rows: list[int], of: ArrayData | None = None) -> None:
    batch = (of or data()).read(np.array(rows))
    one.take(one.ask(batch.inputs, batch))


def test_predictions_come_out_in_the_order_that_is_asked_for_and_none_is_made_twice() -> None:
    model = FunctionModel("m", lambda x: x)
    one = tally(model)
    assert (one.columns, one.ran) == (0, False)
    ask(one, [5, 1, 3])
    ask(one, [3, 4])
    batch = data().read(np.array([1, 5]))
    assert one.ask(batch.inputs, batch) is None
    assert (one.columns, one.ran) == (2, True)
    assert one.lacks(np.arange(6)).tolist() == [True, False, True, False, False, False]
    kept = one.kept(np.array([4, 1, 5]))
    assert kept.rows.tolist() == [4, 1, 5]
    np.testing.assert_array_equal(np.asarray(kept.first), X[[4, 1, 5]].max(axis=1))


@pytest.mark.parametrize(("batch", "macs"), [(None, 2), (4, 2)])
def test_the_first_batch_tells_columns_and_multiplications_of_one_sample(batch: int | None, macs: int) -> None:
    model = FunctionModel("m", lambda x: x, Expects(inputs=(Input(name="x"),), batch=batch), ends="linear")
    one = tally(model)
    ask(one, [0, 1])
    told = {name: one.facts[name] for name in ("columns", "macs", "activation", "integers")}
    assert told == {"columns": 2, "macs": macs, "activation": "linear", "integers": False}


def test_a_model_of_a_column_tells_two_classes_and_one_of_classes_none() -> None:
    one = tally(FunctionModel("m", lambda x: x[:, :1]))
    ask(one, [0, 1])
    assert (one.width, one.columns) == (1, 2)
    numbered = tally(FunctionModel("m", lambda x: x[:, :1] > 0.5), settings=Settings(workers=1, scores=("classes",)))
    ask(numbered, [0, 1])
    assert (numbered.width, numbered.columns) == (1, 0)


def test_as_many_columns_as_before_and_as_the_data_have_classes() -> None:
    def wider(x: Array) -> Array:
        return np.tile(x, 2)[:, : 3 if x[0, 0] == X[4, 0] else 2]

    one = tally(FunctionModel("m", wider))
    ask(one, [0, 1])
    ask(one, [2, 3])
    with pytest.raises(ModelError, match="model m gave 2 output columns, then 3"):
        ask(one, [4, 5])
    three = FunctionModel("m", lambda x: np.concatenate([x, x[:, :1]], axis=1))
    with pytest.raises(AlignmentError, match=r"model m has 3 output columns, the data have 2 classes \(a, b\)") as told:
        ask(tally(three), [0, 1])
    assert "--drop-class" in told.value.hint
    with pytest.raises(AlignmentError, match="the data have 4 classes") as told:
        ask(tally(three, data(classes="abcd")), [0, 1], data(classes="abcd"))
    assert "a stray label" in told.value.hint
    indexed = data(indexed=True)  # whose labels are columns: classes beyond the last are without samples
    ask(tally(three, indexed), [0, 1], indexed)
    with pytest.raises(AlignmentError, match="has 1 output column, the data have 3 classes"):
        ask(tally(FunctionModel("m", lambda x: x[:, :1]), data(classes="abc")), [0, 1], data(classes="abc"))


def test_inputs_of_another_shape_than_is_declared_are_refused_before_anything_runs() -> None:
    model = FunctionModel("m", lambda x: x, Expects(inputs=(Input(name="x", shape=(None, None, 7)),)))
    with pytest.raises(AlignmentError, match=r"input 'x' takes \(batch, any, 7\), the data give \(batch, 2\)"):
        ask(tally(model), [0, 1])
    assert model.shapes == []


def test_scores_that_are_not_what_the_first_ones_were_taken_for_stop_the_run() -> None:
    one = tally(FunctionModel("m", lambda x: np.where(x.sum(axis=1, keepdims=True) > 1.7, 3.0, np.eye(2)[0] * x / x)))
    ask(one, [1, 2, 3])
    one.outputs(one.kept(np.array([1, 2, 3])), ("a", "b"))
    with pytest.raises(ModelError, match=r"the scores of m were taken for probabilities.* one is 3 for 's11'"):
        ask(one, [4, 11])


def test_how_a_model_ran_is_told_and_kept_for_the_next_run(tmp_path: Path) -> None:
    settings = Settings(workers=1, batch_size=2)
    store = Store(tmp_path)

    def begun() -> Tally:
        model = FunctionModel("m", lambda x: x)
        return Tally(model, data(), settings, store.entry(model.card, model.expects, data(), settings))

    first = begun()
    for start in range(0, 12, 2):
        ask(first, [start, start + 1])
    assert "known before" not in first.run()
    assert "ms per sample" in first.run()
    first.doubt(["it was fed otherwise"])
    first.flush()
    again = begun()
    assert not again.lacks(np.arange(12)).any()
    assert (again.ran, again.run()["known before"], again.facts["doubts"]) == (False, 12, ["it was fed otherwise"])
    assert again.run()["ms per sample earlier"] == first.run()["ms per sample"]
    assert (again.columns, again.facts["macs"]) == (2, 2)
    first.forget()
    assert begun().lacks(np.arange(12)).all()

"""The pass over the data: what is kept, what is refused, and that nothing is shown twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from prune_audit.core import (
    Array,
    Assumption,
    Batch,
    Classifier,
    Counts,
    Expects,
    Floats,
    Input,
    ModelCard,
    Outputs,
    Recorded,
    Scores,
    Settings,
)
from prune_audit.errors import AlignmentError, DataError, ModelError, OutputError
from prune_audit.evaluate import loop, plausible, sample_checks
from prune_audit.evaluate.batch_size import Plan
from prune_audit.evaluate.cache import Entry, Store
from prune_audit.evaluate.loop import FIRST, Evaluation, evaluate
from prune_audit.evaluate.pin import Pins
from prune_audit.evaluate.sampling import stratified
from tests.evaluate._models import ArrayData, FunctionModel

RNG = np.random.default_rng(3)
X = RNG.normal(size=(37, 3))
Y = RNG.integers(0, 3, 37)
CLASSES = ("a", "b", "c")

pytestmark = pytest.mark.usefixtures("unchecked")


def run(models: Sequence[FunctionModel], data: ArrayData, *, batch_size: int = 8, skip_bad: int = 0) -> Evaluation:
    settings = Settings(batch_size=batch_size, workers=2, skip_bad=skip_bad)
    return evaluate(models, data, np.arange(len(data.labels)), settings)


def softmax(scores: Array) -> Array:
    exp: Array = np.exp(scores - scores.max(axis=1, keepdims=True))
    exp /= exp.sum(axis=1, keepdims=True)
    return exp


@dataclass(frozen=True)
class Elsewhere:
    card: ModelCard
    predicted: Counts
    expects: Expects = field(default_factory=Expects)
    assumptions: tuple[Assumption, ...] = ()

    def outputs(
        self, ids: Sequence[str], labels: Counts, classes: tuple[str, ...], like: Scores | None = None
    ) -> Outputs:
        return Outputs(name=self.card.name, predicted=self.predicted)


def elsewhere(name: str, predicted: Counts) -> Elsewhere:
    return Elsewhere(ModelCard(name=name, path=name, format="predictions", digest=name, size=0), predicted)


def given(values: Floats | None) -> Floats:
    assert values is not None
    return values


def test_keeps_class_confidence_and_true_score_of_every_model() -> None:
    models = [FunctionModel("dense", lambda x: x), FunctionModel("pruned", lambda x: -x)]
    data = ArrayData({"x": X}, Y.tolist(), classes=CLASSES)
    got = run(models, data).predictions
    assert (data.reads == 1).all()
    for name, scores in (("dense", X), ("pruned", -X)):
        probabilities = softmax(scores)
        np.testing.assert_array_equal(got.model(name).predicted, scores.argmax(1))
        np.testing.assert_allclose(given(got.model(name).confidence), probabilities.max(1), rtol=1e-12)
        np.testing.assert_allclose(given(got.model(name).true_score), probabilities[np.arange(37), Y], rtol=1e-12)
    assert got.ids == data.ids
    np.testing.assert_array_equal(got.groups["parity"], np.arange(37) % 2)


def test_probabilities_are_not_softmaxed_again() -> None:
    got = run([FunctionModel("m", softmax)], ArrayData({"x": X}, Y.tolist(), classes=CLASSES)).predictions
    np.testing.assert_allclose(given(got.model("m").confidence), softmax(X).max(1), rtol=1e-12)


def test_the_rank_is_the_place_of_the_label_in_a_stable_sort() -> None:
    coarse = np.round(X)  # many scores are equal
    got = run([FunctionModel("m", np.round)], ArrayData({"x": X}, Y.tolist(), classes=CLASSES)).predictions.model("m")
    order = np.argsort(-coarse, axis=1, kind="stable")
    assert got.rank is not None
    assert got.rank.tolist() == [row.tolist().index(label) for row, label in zip(order, Y, strict=True)]
    np.testing.assert_array_equal(got.rank == 0, got.predicted == Y)


def test_ranks_are_of_the_scores_themselves_where_probabilities_round_them_equal() -> None:
    scores = np.array([[0.0, 60.0, 100.0], [60.0, 0.0, 100.0]])  # e^-40 and e^-100 beside 1
    got = run([FunctionModel("m", lambda x: x)], ArrayData({"x": scores}, [1, 1], classes=CLASSES)).predictions
    rank = got.model("m").rank
    assert rank is not None
    assert rank.tolist() == [1, 2]


@pytest.mark.parametrize("batch_size", [1, 5, 37, 64])
def test_the_batch_size_changes_nothing(batch_size: int) -> None:
    data = ArrayData({"x": X}, Y.tolist(), classes=CLASSES)
    got = run([FunctionModel("m", lambda x: x)], data, batch_size=batch_size).predictions.model("m")
    np.testing.assert_array_equal(got.predicted, X.argmax(1))


@pytest.mark.parametrize("fixed", [1, 4])
def test_a_fixed_batch_is_filled_up_and_the_filling_dropped(fixed: int) -> None:
    model = FunctionModel("m", lambda x: x, Expects(inputs=(Input(name="x", shape=(fixed, 3)),), batch=fixed))
    got = run([model], ArrayData({"x": X}, Y.tolist(), classes=CLASSES), batch_size=10).predictions.model("m")
    np.testing.assert_array_equal(got.predicted, X.argmax(1))
    assert {shape[0] for shape in model.shapes} == {fixed}


def test_one_column_of_logits_splits_at_zero_and_of_probabilities_at_half() -> None:
    data = ArrayData({"x": X}, (Y % 2).tolist())
    logit = FunctionModel("logit", lambda x: x[:, :1])
    chance = FunctionModel("chance", lambda x: 1 / (1 + np.exp(-x[:, :1])), ends="sigmoid")
    done = run([logit, chance], data)
    for outputs in done.predictions.models:
        np.testing.assert_array_equal(outputs.predicted, X[:, 0] > 0)
        p = 1 / (1 + np.exp(-X[:, 0]))
        np.testing.assert_allclose(given(outputs.true_score), np.where(Y % 2 == 1, p, 1 - p), rtol=1e-12)
        assert outputs.rank is None
    assert [(each.subject, each.what, each.value, each.why, each.option) for each in done.assumptions] == [
        ("logit", "scores", "logits, one column split at 0", "some lie outside [0, 1]", "--scores"),
        ("chance", "scores", "probabilities, one column split at 0.5", "they come out of a sigmoid", "--scores"),
    ]


def test_classes_alone_have_no_confidence() -> None:
    data = ArrayData({"x": X}, Y.tolist(), classes=CLASSES)
    got = run([FunctionModel("m", lambda x: x.argmax(1))], data).predictions.model("m")
    np.testing.assert_array_equal(got.predicted, X.argmax(1))
    assert got.confidence is None
    assert got.true_score is None
    assert got.rank is None


@pytest.mark.parametrize(("bad", "said", "likely"), [(np.nan, "NaN", "divides by 0"), (np.inf, "infinity", "65,504")])
def test_scores_that_are_no_numbers_stop_the_run(bad: float, said: str, likely: str) -> None:
    def broken(x: Array) -> Array:
        return np.where(x == x.max(), bad, x)

    first = X[:8].max(axis=1).argmax()
    with pytest.raises(ModelError, match=f"model m gave {said} for s{first}, whose input is finite") as caught:
        run([FunctionModel("m", broken)], ArrayData({"x": X}, Y.tolist(), classes=CLASSES), batch_size=8)
    assert likely in caught.value.hint


def test_fewer_outputs_than_classes_stop_the_run() -> None:
    with pytest.raises(AlignmentError, match="2 output columns, the data have 3 classes") as caught:
        run([FunctionModel("m", lambda x: x[:, :2])], ArrayData({"x": X}, Y.tolist(), classes=CLASSES))
    assert "right model" in caught.value.hint


def test_a_stray_label_is_named() -> None:
    data = ArrayData({"x": X}, [*Y[:-1], 3], classes=(*CLASSES, "cat"))
    with pytest.raises(AlignmentError, match=r"4 classes \(a, b, c, \.\.\.\); rarest: 'cat' \(1 sample: s36\)"):
        run([FunctionModel("m", lambda x: x)], data)


def test_more_outputs_than_named_classes_need_the_names() -> None:
    with pytest.raises(AlignmentError, match="3 output columns") as caught:
        run([FunctionModel("m", lambda x: x)], ArrayData({"x": X}, (Y % 2).tolist()))
    assert "--classes" in caught.value.hint


def test_labels_that_are_output_columns_take_the_models_classes() -> None:
    data = ArrayData({"x": X}, X[:, :2].argmax(1).tolist(), classes=("0", "1"), indexed=True)
    assert run([FunctionModel("m", lambda x: x)], data).predictions.classes == ("0", "1", "2")


def test_models_of_different_outputs_do_not_fit() -> None:
    data = ArrayData({"x": X}, (Y % 2).tolist(), classes=("0", "1"), indexed=True)
    with pytest.raises(AlignmentError, match="a 3, b 2"):
        run([FunctionModel("a", lambda x: x), FunctionModel("b", lambda x: x[:, :2])], data)


def test_a_wrong_input_shape_is_told_before_the_model_runs() -> None:
    model = FunctionModel("m", lambda x: x, Expects(inputs=(Input(name="x", shape=(None, 4)),)))
    with pytest.raises(AlignmentError, match=r"takes \(batch, 4\), the data give \(batch, 3\)"):
        run([model], ArrayData({"x": X}, Y.tolist(), classes=CLASSES))
    assert model.shapes == []


def test_unreadable_samples_stop_the_run_or_are_listed() -> None:
    data = ArrayData({"x": X}, Y.tolist(), classes=CLASSES, bad=(0, 20))
    with pytest.raises(DataError, match="cannot read sample 's0' of arrays: broken"):
        run([FunctionModel("m", lambda x: x)], data)
    with pytest.raises(DataError, match="cannot read sample 's20'"):
        run([FunctionModel("m", lambda x: x)], data, skip_bad=1)
    done = run([FunctionModel("m", lambda x: x)], data, skip_bad=2)
    assert done.skipped == (("s0", "broken"), ("s20", "broken"))
    assert len(done.predictions.labels) == 35
    assert "s20" not in done.predictions.ids


@pytest.mark.parametrize("bad", [(), (0,), (0, 1, 2)])
def test_what_is_decoded_together_goes_by_the_first_sample_that_can_be_read(
    bad: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "BATCH_BYTES", 5 * X[0].size * 4)
    data = ArrayData({"x": X}, X.argmax(1).tolist(), classes=CLASSES, bad=bad)
    read: list[int] = []
    original = data.read

    def counting(rows: Sequence[int]) -> Batch:
        read.append(len(rows))
        return original(rows)

    monkeypatch.setattr(data, "read", counting)
    evaluate([FunctionModel("m", lambda x: x)], data, np.arange(37), Settings(workers=1, skip_bad=3))
    assert read[: len(bad) + 1] == [1] * (len(bad) + 1)
    assert read[len(bad) + 1 :] == [5] * 7 + [2]


def test_all_unreadable_is_an_error_however_many_may_be_skipped() -> None:
    data = ArrayData({"x": X[:2]}, [0, 1], bad=(0, 1))
    with pytest.raises(DataError, match="no sample could be read"):
        run([FunctionModel("m", lambda x: x)], data, skip_bad=9)


def test_progress_ends_at_the_whole() -> None:
    seen: list[tuple[int, int]] = []
    data = ArrayData({"x": X}, Y.tolist(), classes=CLASSES)
    settings = Settings(batch_size=10, workers=1)
    evaluate([FunctionModel("m", lambda x: x)], data, np.arange(37), settings, lambda a, b: seen.append((a, b)))
    assert seen == [(10, 37), (20, 37), (30, 37), (37, 37)]


class Preparing(FunctionModel):
    """A model that remembers for how many samples, and by which first ones, it was asked to prepare."""

    def prepare(self, inputs: Mapping[str, Array], samples: int) -> None:
        self.told = (len(inputs["x"]), samples)

    told: tuple[int, int] | None = None


def test_a_model_may_prepare_for_the_samples_that_are_not_known(tmp_path: Path) -> None:
    data = ArrayData({"x": X}, X.argmax(1).tolist(), classes=CLASSES)
    for rows, wanted in ((np.arange(0, 37, 3), (4, 13)), (np.arange(37), (2, 24)), (np.arange(37), None)):
        model = Preparing("m", lambda x: x)
        evaluate([model], data, rows, Settings(batch_size=4), store=Store(tmp_path))
        assert model.told == wanted


def test_nothing_is_prepared_where_a_prediction_is_not_of_its_sample_alone_or_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ArrayData({"x": X}, X.argmax(1).tolist(), classes=CLASSES)
    plans = [Plan(batch=1), Plan(batch=4, depends=True), Plan(pairs=True)]
    for plan in plans:
        monkeypatch.setattr(sample_checks, "plan", lambda *_, plan=plan: plan)
        evaluate([model := Preparing("m", lambda x: x)], data, np.arange(37), Settings())
        assert model.told is None
    monkeypatch.undo()
    drawing = {"m": sample_checks.Checked(samples=8, draws=("rand",))}
    monkeypatch.setattr(sample_checks, "check", lambda *_: drawing)
    evaluate([model := Preparing("m", lambda x: x)], data, np.arange(37), Settings())
    assert model.told is None
    monkeypatch.setattr(sample_checks, "check", lambda *_: {})
    evaluate([model], data, np.arange(37), Settings(), pins=Pins(file=tmp_path / "pin.json"))
    assert model.told is None
    evaluate([model], data, np.arange(37), Settings())
    assert model.told is not None


def test_a_dense_model_at_chance_stops_before_the_long_run() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 4))
    data = ArrayData({"x": x}, rng.integers(0, 4, 2000).tolist(), classes=("a", "b", "c", "d"))
    dense, pruned = FunctionModel("dense", lambda x: x), FunctionModel("pruned", lambda x: x)
    with pytest.raises(AlignmentError, match=r"dense is right on .* of 300 samples"):
        run([dense, pruned], data, batch_size=50)
    assert data.reads.sum() == 300
    # Alone it may be a pruned one, of which nothing is left.
    [note] = run([pruned], data, batch_size=50).notes
    assert "pruned is right on " in note
    assert " of 2000 samples" in note


def test_an_order_that_only_all_samples_show_to_be_wrong_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    """Two rare classes of low recall are exchanged: of the first few hundred samples five are of each."""
    rng = np.random.default_rng(17)
    labels = np.repeat(np.arange(12), [300] * 10 + [50] * 2)
    right = rng.random(len(labels)) < np.where(labels >= 10, 0.4, 0.9)
    output = np.where(right, np.where(labels >= 10, 21 - labels, labels), rng.integers(0, 10, len(labels)))
    x = np.eye(12, dtype=np.float32)[output]
    dense, pruned = (FunctionModel(name, lambda x: x * 8 - 4) for name in ("dense", "pruned"))
    dataset = ArrayData({"x": x}, labels.tolist(), classes=[f"c{i}" for i in range(12)])
    rows = np.arange(len(labels))
    first = evaluate([dense, pruned], dataset, rows, Settings(), first_only=True)
    assert len(first.predictions.labels) == 300
    with pytest.raises(AlignmentError, match=r"2 classes for one another \('c10' as 'c11'"):
        evaluate([dense, pruned], dataset, rows, Settings(), store=Store(tmp_path))
    seen = dense.shapes.copy()
    with pytest.raises(AlignmentError, match="2 classes"):  # said again, and nothing is predicted again
        evaluate([dense, pruned], dataset, rows, Settings(), store=Store(tmp_path))
    assert dense.shapes == seen


def test_what_ran_elsewhere_may_predict_classes_that_only_a_running_model_has() -> None:
    data = ArrayData({"x": X}, X[:, :2].argmax(1).tolist(), classes=("0", "1"), indexed=True)
    models: list[Classifier | Recorded] = [FunctionModel("a", lambda x: x - [0, 0, 9]), elsewhere("b", np.full(37, 2))]
    done = evaluate(models, data, np.arange(37), Settings(workers=1))
    assert done.predictions.classes == ("0", "1", "2")
    assert (done.predictions.model("b").predicted == 2).all()


def test_doubts_are_about_the_dense_model_and_their_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[bool]] = []

    def doubts(_model: object, _data: object, _rows: object, hits: Array, _plan: object) -> list[str]:
        asked.append(hits.tolist())
        return ["odd"]

    monkeypatch.setattr(plausible, "doubts", doubts)
    data = ArrayData({"x": X}, X.argmax(1).tolist(), classes=CLASSES)
    dense, pruned = FunctionModel("dense", lambda x: x), FunctionModel("pruned", lambda x: x * [1, 1, 0])
    done = evaluate([dense, pruned], data, np.arange(37), Settings(workers=1))
    assert done.doubts == ("odd",)
    assert asked == [[True] * 37]
    assert "seconds for plausibility" in done.run
    without = evaluate([dense, pruned], data, np.arange(37), Settings(workers=1, plausibility=False))
    assert (without.doubts, len(asked), "seconds for plausibility" in without.run) == ((), 1, False)
    recorded: list[Classifier | Recorded] = [elsewhere("r", X.argmax(1)), pruned]
    assert evaluate(recorded, data, np.arange(37), Settings(workers=1)).doubts == ()


def test_the_first_few_hundred_stop_a_run_only_where_luck_is_ruled_out() -> None:
    """49 of the first 300 are wrong and 270 of the other 2,700: 95 % intervals leave that out, those of 99.9 do not."""
    labels = np.arange(3000) % 3
    wrong = np.zeros(3000, bool)
    head = stratified(labels, FIRST, Settings().seed)
    wrong[head[:49]] = True
    wrong[np.delete(np.arange(3000), head)[:270]] = True
    x = np.eye(3)[np.where(wrong, (labels + 1) % 3, labels)]
    data = ArrayData({"x": x}, labels.tolist(), classes=CLASSES)
    models = [FunctionModel("dense", lambda x: x), FunctionModel("pruned", lambda x: x)]
    expected = 1 - 319 / 3000
    _, high = proportion_confint(300 - 49, 300, 0.05, method="beta")
    assert high < expected
    settings = Settings(workers=1, plausibility=False, expect_accuracy=expected, expect_tolerance=0.0)
    assert len(evaluate(models, data, np.arange(3000), settings).predictions.labels) == 3000


@pytest.mark.parametrize("batch_size", [None, 5])
def test_a_model_of_fixed_batch_gets_whole_ones(batch_size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(size=(512, 3))
    monkeypatch.setattr(loop, "BATCH_BYTES", 13 * x[0].size * 4)  # 13 samples are decoded together
    data = ArrayData({"x": x}, x[:, :3].argmax(1).tolist(), classes=CLASSES)
    fixed = FunctionModel("m", lambda x: x[:, :3], Expects(inputs=(Input(name="x"),), batch=32))
    done = evaluate([fixed], data, np.arange(512), Settings(workers=1, batch_size=batch_size))
    # 300 are tried first, and fill all but the last; one call counts the operations.
    assert [shape[0] for shape in fixed.shapes] == [32] * (10 + 7)
    assert done.run["batch size, m"] == 32


def test_every_model_is_kept_of_whatever_fails_first(tmp_path: Path) -> None:
    class Full(Entry):
        def flush(self) -> None:
            raise OutputError("full", hint="make room")

    flushed = []

    class Counted(Entry):
        def flush(self) -> None:
            flushed.append(self)

    class Kinds(Store):
        def entry(self, card: ModelCard, *rest: object) -> Entry:
            return (Full if card.name == "a" else Counted)(tmp_path / card.name, {})

    models = [FunctionModel("a", lambda x: x), FunctionModel("b", lambda x: x)]
    with pytest.raises(OutputError):
        evaluate(models, ArrayData({"x": X}, Y.tolist(), classes=CLASSES), np.arange(37), Settings(workers=1),
                 store=Kinds(tmp_path))  # fmt: skip
    assert flushed


def test_the_first_few_hundred_do_not_change_the_order() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(700, 3))
    data = ArrayData({"x": x}, x.argmax(1).tolist(), classes=CLASSES, bad=(650, 3))
    done = run([FunctionModel("m", lambda x: x)], data, skip_bad=2)
    kept = [i for i in range(700) if i not in (3, 650)]
    assert done.predictions.ids == tuple(f"s{i}" for i in kept)
    np.testing.assert_array_equal(done.predictions.model("m").predicted, x.argmax(1)[kept])
    np.testing.assert_array_equal(done.predictions.digests, kept)
    assert done.skipped == (("s3", "broken"), ("s650", "broken"))
    assert (data.reads == 1).all()


class Read(ArrayData):
    """One that remembers how many samples were read together."""

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        self.together = [*getattr(self, "together", []), len(rows)]
        return super().read(rows)


def test_of_a_long_run_a_share_is_read_together() -> None:
    x = np.tile(X, (300, 1))[:9000]
    data = Read({"x": x}, x.argmax(1).tolist(), classes=CLASSES)
    done = evaluate([FunctionModel("m", lambda x: x)], data, np.arange(9000), Settings(workers=1))
    # 300 are tried first; a sixteenth of the others is 543.
    assert data.together == [1, 256, 44, *[512] * 16, 8700 - 512 * 16]
    assert done.predictions.models[0].predicted.tolist() == x.argmax(1).tolist()


@pytest.mark.parametrize(
    ("floats", "outputs", "wanted"), [(16, 3, 512), (400, 3, 400), (16, 400, 400), (16, 5000, 256)]
)
def test_what_is_read_together_is_bounded_by_inputs_and_outputs(
    floats: int, outputs: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "BATCH_BYTES", 400 * 400 * 4)
    x = np.zeros((8500, floats), np.float32)
    data = Read({"x": x}, (np.arange(8500) % 3).tolist(), classes=CLASSES, indexed=True)
    expects = Expects(inputs=(Input(name="x"),), outputs=outputs)
    scores = np.arange(outputs, dtype=np.float32)
    model = FunctionModel("m", lambda x: np.tile(scores, (len(x), 1)), expects)
    evaluate([model], data, np.arange(8500), Settings(workers=1))
    assert max(data.together) == wanted

"""What is random is refused, what depends on its batch is run alone, and whatever is healthy is left in peace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from prune_audit.core import Array, Expects, Input, Settings, Suspect
from prune_audit.errors import ModelError
from prune_audit.evaluate import loop, sample_checks
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.loop import Evaluation, evaluate
from prune_audit.evaluate.sample_checks import CHECKED, COMPANY, Checked, company, examine, plan
from tests.evaluate._models import ArrayData, FunctionModel

RNG = np.random.default_rng(71)
CLASSES = ("a", "b", "c", "d")
N = 240
X = RNG.normal(size=(N, 4)) * RNG.lognormal(0, 1.5, (N, 1))  # some samples are far larger than others
Y = X.argmax(axis=1).tolist()


def scaled(x: Array) -> Array:
    """As dynamic quantisation has it: one step for all that comes together."""
    step = np.ptp(x) / 15
    return np.asarray(np.round(x / step) * step + 1e-9 * np.arange(4))


def rounded(x: Array) -> Array:
    """As static int8 has it: the same step always, and a last bit that depends on the kernel for the batch size."""
    return np.asarray(np.round(x / 0.05) * 0.05 + 1e-6 * len(x) * np.arange(4))


def softmax_of_samples(x: Array) -> Array:
    exp = np.exp(x - x.max(axis=0))
    return np.asarray(exp / exp.sum(axis=0))


def trained_norm(x: Array) -> Array:
    return np.asarray((x - x.mean(axis=0)) / (x.std(axis=0) + 1e-5))


def inputs(count: int = CHECKED + COMPANY) -> dict[str, Array]:
    return {"x": X[:count]}


def model(
    function: Callable[[Array], Array], *seen: Suspect, batch: int | None = None, name: str = "m"
) -> FunctionModel:
    made = FunctionModel(name, function, Expects(inputs=(Input(name="x"),), batch=batch))
    made.seen = seen
    return made


def suspect(kind: str) -> Suspect:
    return Suspect(kind=kind, where=f"the {kind}")  # type: ignore[arg-type]  # the test's own


def run(models: Sequence[FunctionModel], *, store: Store | None = None, **settings: int | None) -> Evaluation:
    data = ArrayData({"x": X}, Y, classes=CLASSES)
    return evaluate(models, data, np.arange(N), Settings(workers=1, **settings), store=store)  # type: ignore[arg-type]


def alone(function: Callable[[Array], Array]) -> Array:
    return np.concatenate([function(X[i : i + 1]) for i in range(N)])


# ------------------------------------------------------------------------------------------------- what is looked at


def test_samples_are_predicted_alone_together_again_and_in_other_company() -> None:
    asked: list[Array] = []

    def seen(x: Array) -> Array:
        asked.append(x)
        return x

    found = examine(model(seen), inputs())
    assert found == Checked(samples=CHECKED, largest=0.0)
    together, again, others, *singly = asked
    np.testing.assert_array_equal(together, X[:CHECKED])
    np.testing.assert_array_equal(again, together)
    assert len(others) == CHECKED + COMPANY
    np.testing.assert_array_equal(np.sort(others, axis=0), np.sort(X[: CHECKED + COMPANY], axis=0))
    assert [len(x) for x in singly] == [1] * CHECKED
    np.testing.assert_array_equal(np.concatenate(singly), together)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 12])
def test_a_handful_of_samples_is_enough(count: int) -> None:
    assert examine(model(lambda x: x), inputs(count)) == Checked(samples=min(CHECKED, count))
    assert examine(model(scaled), inputs(count)).depends == (count > 1)


@pytest.mark.parametrize(
    "scores",
    [
        lambda x: x.astype(np.float32) @ np.ones((4, 3), np.float32),
        lambda x: x.astype(np.float16).astype(np.float32),
        rounded,
        lambda x: x[:, :1],
        lambda x: 1 / (1 + np.exp(-x[:, :1])),
        lambda x: x.argmax(axis=1),
        lambda x: np.where(x > 0, x, -np.inf),
        lambda x: np.where(x > 3, np.nan, x),  # for the pass to refuse
        lambda x: np.zeros((len(x), 3)),
        lambda x: 1e-7 * len(x) + 1e3 + x,
    ],
)
def test_healthy_models_are_left_in_peace(scores: Callable[[Array], Array]) -> None:
    found = examine(model(scores), inputs())
    assert not found.depends
    assert plan("m", Expects(), found, Settings()).batch is None


# ------------------------------------------------------------------------------------------------------------ random


@pytest.mark.parametrize(
    "noise",
    [
        lambda x, rng: x * rng.integers(0, 2, x.shape) * 2,
        lambda x, rng: x + 0.01 * rng.normal(size=x.shape) * np.abs(x).max(axis=1, keepdims=True),
        lambda x, rng: x + rng.normal(),  # one number a call
        lambda x, rng: np.where(rng.random(len(x))[:, None] < 0.3, x[:, ::-1], x),  # on some samples alone
        lambda x, rng: (x + rng.normal(size=x.shape) * 2).argmax(axis=1),
        lambda x, rng: x[:, :1] + rng.normal(size=(len(x), 1)),
    ],
)
@pytest.mark.parametrize("batch", [None, 1, 6, 20])
def test_what_answers_differently_each_time_is_refused(noise: Callable[..., Array], batch: int | None) -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(ModelError, match="answers otherwise when it is asked the same again: the scores of") as caught:
        examine(model(lambda x: noise(x, rng), batch=batch), inputs())
    assert "model.eval()" in caught.value.hint


def test_a_dropout_that_is_switched_on_is_refused_by_name_whatever_it_did_here() -> None:
    with pytest.raises(ModelError, match=r"drops values at random, as in training \(the dropout\)"):
        examine(model(lambda x: x, suspect("dropout")), inputs())


def test_random_numbers_are_looked_at_closely_and_named() -> None:
    rng = np.random.default_rng(6)
    small = lambda x: x * (1 + 5e-4 * rng.normal(size=x.shape))  # noqa: E731 - twice the same
    with pytest.raises(ModelError, match=r"it draws random numbers \(the random\)"):
        examine(model(small, suspect("random")), inputs())
    found = examine(model(lambda x: x, suspect("random")), inputs())
    [note] = plan("m", Expects(), found, Settings()).notes
    assert note.startswith("m draws random numbers (the random), which changed no score of 8 samples")


@pytest.mark.parametrize("batch", [None, 4])
def test_what_draws_random_numbers_for_few_samples_is_found_among_more(batch: int | None) -> None:
    rng = np.random.default_rng(8)
    largest = np.sort(X[:, 0])[-6]  # of 240 samples, which the first 8 need not show
    rare = lambda x: np.where(x[:, :1] >= largest, rng.normal(size=x.shape), x)  # noqa: E731 - as above
    with pytest.raises(ModelError, match=r"of [1-6] of 240 samples moved.*; it draws random numbers \(the random\)"):
        run([model(rare, suspect("random"), batch=batch)])
    run([model(lambda x: x, suspect("random"), batch=batch)])


# -------------------------------------------------------------------------------------------------------- the batch


def test_normalisation_by_the_batch_is_refused_where_it_shows() -> None:
    with pytest.raises(ModelError, match=r"normalises by the statistics of each batch, as in training \(the batch\)"):
        examine(model(trained_norm, suspect("batch")), inputs())
    assert not examine(model(lambda x: x, suspect("batch")), inputs()).depends  # one that is of the sample


def test_a_norm_that_goes_on_averaging_is_told_from_chance() -> None:
    calls = [0]

    def averaging(x: Array) -> Array:
        calls[0] += 1
        return trained_norm(x) + calls[0]

    with pytest.raises(ModelError, match="normalises by the statistics"):
        examine(model(averaging, suspect("batch")), inputs())


@pytest.mark.parametrize("function", [scaled, lambda x: x - x.mean(), lambda x: scaled(x)[:, :1]])
def test_what_depends_on_its_batch_runs_one_sample_at_a_time(function: Callable[[Array], Array]) -> None:
    found = examine(model(function), inputs())
    assert found.depends
    assert found.largest >= found.median > 0
    how = plan("m", Expects(), found, Settings())
    assert how.batch == 1
    [said] = how.assumptions
    assert (said.what, said.value, said.option) == ("batch", "one sample at a time", "--batch-size N")
    assert f"{found.changed} of 8 samples are of another class" in how.notes[0]


def test_the_effect_of_batching_is_that_of_the_worse_company() -> None:
    found = examine(model(scaled), inputs())
    one = np.concatenate([scaled(X[i : i + 1]) for i in range(CHECKED)])
    moved = np.abs(scaled(X[:CHECKED]) - one).max(axis=1) / np.abs(one).max(axis=1)
    assert found.median >= np.median(moved) * (1 - 1e-9)
    assert found.changed >= 1


def test_shares_near_all_are_written_out() -> None:
    [note] = plan("m", Expects(), Checked(samples=8, depends=True, median=0.9964, largest=0.999), Settings()).notes
    assert "move by 100 % of the largest in the median and by up to 100 %" in note


def test_a_cause_that_is_seen_needs_less_to_be_believed() -> None:
    slight = lambda x: x * (1 + 3e-4 * (len(x) > 1))  # noqa: E731 - thrice the same
    assert not examine(model(slight), inputs()).depends
    found = examine(model(slight, suspect("dynamic")), inputs())
    assert found.depends
    assert found.places == ("the dynamic",)


def test_a_class_that_changed_clearly_is_enough() -> None:
    """One of eight samples is taken for another class where it has company, and the median is 0."""
    best = np.sort(X[:CHECKED] / np.abs(X[:CHECKED]).max(axis=1, keepdims=True), axis=1)
    clearest = (best[:, -1] - best[:, -2]).argmax()

    def one(x: Array) -> Array:
        moved = x.copy()
        at = np.flatnonzero(np.isclose(x[:, 0], X[clearest, 0]))
        if len(x) > 1:
            moved[at] = x[at][:, ::-1]
        return moved

    found = examine(model(one), inputs())
    assert (found.depends, found.median, found.changed) == (True, 0.0, 1)
    # Unless its two best scores are about the same.
    level = lambda x: 1 + 1e-2 * one(x) / np.abs(x).max(axis=1, keepdims=True)  # noqa: E731 - as above
    assert not examine(model(level), inputs()).depends


def test_a_batch_that_was_asked_for_is_run_and_said() -> None:
    found = examine(model(scaled), inputs())
    how = plan("m", Expects(), found, Settings(batch_size=32))
    assert how.batch == 32
    assert how.assumptions[0].value == "in batches of 32, cut in the order of the data"
    assert "this size was asked for" in how.assumptions[0].why


def test_a_softmax_over_the_samples_is_refused_and_not_run_alone() -> None:
    found = examine(model(softmax_of_samples, suspect("axis")), inputs())
    with pytest.raises(ModelError, match=r"\(the axis\), and one sample alone has the same score for every class"):
        plan("m", Expects(), found, Settings())
    assert plan("m", Expects(), found, Settings(batch_size=16)).batch == 16


# ------------------------------------------------------------------------------------------------- fixed batches


@pytest.mark.parametrize("batch", [1, 2, 6, 8, 20, 64])
def test_a_fixed_batch_is_asked_for_whole_and_healthy_ones_pass(batch: int) -> None:
    fixed = model(lambda x: x, batch=batch)
    assert examine(fixed, inputs()) == Checked(samples=CHECKED, alone=batch == 1)
    assert {shape[0] for shape in fixed.shapes} == {batch}
    assert plan("m", fixed.expects, Checked(samples=8, alone=False), Settings()) == plan(
        "m", Expects(), None, Settings()
    )


@pytest.mark.parametrize("batch", [2, 6, 20])
def test_a_fixed_batch_that_decides_is_refused_unless_it_is_asked_for(batch: int) -> None:
    fixed = model(scaled, batch=batch)
    found = examine(fixed, inputs())
    assert found.depends
    with pytest.raises(ModelError, match=f"depend on the batch, which is fixed at {batch} samples") as caught:
        plan("m", fixed.expects, found, Settings())
    assert f"--batch-size {batch}" in caught.value.hint
    assert plan("m", fixed.expects, found, Settings(batch_size=batch)).batch == batch


def test_a_model_that_fails_on_one_sample_is_judged_among_copies() -> None:
    def squeezed(x: Array) -> Array:
        if len(x) == 1:
            raise ModelError("no rows", hint="")
        return x

    found = examine(model(squeezed), inputs())
    assert (found.depends, found.alone) == (False, False)
    assert plan("m", Expects(), found, Settings()).pairs
    got = run([model(squeezed)], batch_size=7).predictions.model("m")  # 240 ends in a piece of 2, 300 would not
    np.testing.assert_array_equal(got.predicted, X.argmax(axis=1))
    found = examine(model(lambda x: scaled(squeezed(x))), inputs())
    with pytest.raises(ModelError, match="depend on the batch, and it fails on one sample"):
        plan("m", Expects(), found, Settings())


def test_the_last_sample_alone_goes_beside_its_copy() -> None:
    def squeezed(x: Array) -> Array:
        if len(x) == 1:
            raise ModelError("no rows", hint="")
        return x

    got = run([model(squeezed)], batch_size=239).predictions.model("m")
    np.testing.assert_array_equal(got.predicted, X.argmax(axis=1))


def test_a_model_that_takes_one_sample_only_gets_one_and_says_so() -> None:
    def single(x: Array) -> Array:
        if len(x) > 1:
            raise ModelError("a 1 is written inside", hint="")
        return x

    done = run([model(single)])
    np.testing.assert_array_equal(done.predictions.model("m").predicted, X.argmax(axis=1))
    assert "m fails on several samples at once, so it ran one sample at a time (a 1 is written inside)" in done.notes


def test_what_always_fails_says_how_it_failed_on_several() -> None:
    def broken(x: Array) -> Array:
        raise ModelError(f"failed on {len(x)}", hint="")

    with pytest.raises(ModelError, match="failed on 8"):
        examine(model(broken), inputs())


def test_columns_that_go_with_the_batch_are_an_error() -> None:
    with pytest.raises(ModelError, match="gave 8 output columns, then 12"):
        examine(model(lambda x: x @ x.T), inputs())
    with pytest.raises(ModelError, match="gave 4 rows for 8 samples"):
        examine(model(lambda x: np.zeros((4, 4))), inputs())


# ------------------------------------------------------------------------------------------------- the whole pass


def test_a_dependent_model_is_predicted_alone_and_its_dense_model_in_batches() -> None:
    dense, dynamic = model(lambda x: x, name="dense"), model(scaled, name="dynamic")
    done = run([dense, dynamic])
    np.testing.assert_array_equal(done.predictions.model("dynamic").predicted, alone(scaled).argmax(axis=1))
    assert (alone(scaled).argmax(axis=1) != scaled(X).argmax(axis=1)).any()  # else this shows nothing
    assert done.facts["dynamic"]["batch_size"] == 1
    assert max(shape[0] for shape in dense.shapes[-5:]) > 1
    of_batches = [(each.subject, each.value) for each in done.assumptions if each.what == "batch"]
    assert of_batches == [("dynamic", "one sample at a time")]
    assert sum("depend on the batch" in note for note in done.notes) == 1


@pytest.mark.parametrize("bad", [(), tuple(range(0, N, 2)), tuple(range(N - 3))])
def test_what_cannot_be_read_is_not_looked_at(bad: tuple[int, ...]) -> None:
    data = ArrayData({"x": X}, Y, classes=CLASSES, bad=bad)
    settings = Settings(workers=1, skip_bad=N)
    done = evaluate([model(scaled)], data, np.arange(N), settings)
    rows = np.setdiff1d(np.arange(N), bad)
    np.testing.assert_array_equal(done.predictions.model("m").predicted, alone(scaled).argmax(axis=1)[rows])


def test_samples_that_differ_are_found_among_copies() -> None:
    x = np.repeat(X[:1], N, axis=0)
    x[100:] = X[100:]
    data = ArrayData({"x": x}, x.argmax(axis=1).tolist(), classes=CLASSES)
    same = ArrayData({"x": x}, x.argmax(axis=1).tolist(), classes=CLASSES)
    original = data.read

    def read(rows: Sequence[int]):  # type: ignore[no-untyped-def]  # as its base
        batch = original(rows)
        batch.digests[batch.rows < 100] = 0
        return batch

    data.read = read  # type: ignore[assignment, method-assign]
    batch = sample_checks._some(data, np.arange(N))
    assert batch is not None
    assert (batch.digests == 0).sum() <= 1
    assert len(batch.labels) == CHECKED + COMPANY
    few = sample_checks._some(same, np.arange(3))
    assert few is not None
    assert len(few.labels) == 3


# --------------------------------------------------------------------------------------------- what is kept of it


def test_a_second_run_looks_at_nothing_and_says_the_same(tmp_path: Path) -> None:
    first = run([model(scaled)], store=Store(tmp_path))
    again = model(scaled)
    second = run([again], store=Store(tmp_path))
    assert again.shapes == []
    assert second.notes == first.notes
    assert second.assumptions == first.assumptions
    np.testing.assert_array_equal(second.predictions.model("m").predicted, first.predictions.model("m").predicted)


def test_batch_sizes_are_never_mixed_where_they_decide(tmp_path: Path) -> None:
    sizes = (64, 1, 16, None, 64)
    found = [run([model(scaled)], store=Store(tmp_path), batch_size=size).predictions.model("m") for size in sizes]
    fresh = [run([model(scaled)], batch_size=size).predictions.model("m") for size in sizes]
    for one, two in zip(found, fresh, strict=True):
        np.testing.assert_array_equal(one.predicted, two.predicted)
        np.testing.assert_allclose(one.confidence, two.confidence, rtol=1e-12)  # type: ignore[arg-type]
    assert (found[0].predicted != found[1].predicted).any()
    np.testing.assert_array_equal(found[1].predicted, found[3].predicted)


def test_batch_sizes_are_mixed_where_they_decide_nothing(tmp_path: Path) -> None:
    run([model(lambda x: x)], store=Store(tmp_path), batch_size=64)
    again = model(lambda x: x)
    run([again], store=Store(tmp_path), batch_size=16)
    assert again.shapes == []


def test_other_samples_are_other_company(tmp_path: Path) -> None:
    settings, data = Settings(workers=1, batch_size=16), ArrayData({"x": X}, Y, classes=CLASSES)
    some = np.arange(0, N, 2)
    evaluate([model(scaled)], data, some, settings, store=Store(tmp_path))
    whole = evaluate([model(scaled)], data, np.arange(N), settings, store=Store(tmp_path))
    fresh = evaluate([model(scaled)], data, np.arange(N), settings)
    np.testing.assert_array_equal(whole.predictions.model("m").predicted, fresh.predictions.model("m").predicted)
    # One at a time, what was predicted of some samples is what would be of all.
    evaluate([model(scaled)], data, some, Settings(workers=1), store=Store(tmp_path))
    again = model(scaled)
    evaluate([again], data, np.arange(N), Settings(workers=1), store=Store(tmp_path))
    assert sum(shape[0] for shape in again.shapes) == N - len(some)


@pytest.mark.parametrize("batch_size", [None, 16])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, batch_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "BATCH_BYTES", 16 * X[0].size * 4)  # so many are decoded and kept together

    class Interrupted(FunctionModel):
        def predict(self, inputs):  # type: ignore[no-untyped-def]  # as its base
            if len(self.shapes) > (80 if batch_size is None else 24):
                raise KeyboardInterrupt
            return super().predict(inputs)

    with pytest.raises(KeyboardInterrupt):
        run([Interrupted("m", scaled)], store=Store(tmp_path), batch_size=batch_size)
    done = run([FunctionModel("m", scaled)], store=Store(tmp_path), batch_size=batch_size)
    whole = run([FunctionModel("m", scaled)], batch_size=batch_size)
    np.testing.assert_array_equal(done.predictions.model("m").predicted, whole.predictions.model("m").predicted)
    assert 0 < done.run["known before, m"] < N  # type: ignore[operator]


def test_what_was_kept_and_damaged_is_found_again(tmp_path: Path) -> None:
    run([model(scaled)], store=Store(tmp_path))
    [path] = (tmp_path / "models").glob("*.json")
    path.write_text("{}")
    again, told = model(scaled), list[str]()
    run([again], store=Store(tmp_path, told=told.append))
    assert 0 < sum(shape[0] for shape in again.shapes) < N // 2  # the rows are known
    assert len(told) == 1
    Store(tmp_path).clear()
    assert not list(tmp_path.rglob("*.json"))


def test_company_is_none_alone_and_that_of_the_rows_in_batches() -> None:
    found = examine(model(scaled), inputs())
    stages = (np.arange(4), np.arange(4, 9))
    assert company("m", plan("m", Expects(), Checked(), Settings(batch_size=4)), stages, 4) is None
    assert company("m", plan("m", Expects(), found, Settings()), stages, None) == "1"
    assert company("m", plan("m", Expects(), found, Settings()), None, None) == "1"
    four = plan("m", Expects(), found, Settings(batch_size=4))
    names = {company("m", four, each, chunk) for each in (stages, stages[:1], stages[::-1]) for chunk in (4, 8)}
    assert len(names) == 6


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.00123, "0.12 %"), (0.5, "50 %"), (0.989, "99 %"), (0.99, "99 %"), (1.5, "150 %"), (12.3, "1,230 %")],
)
def test_shares_are_said_with_two_digits_or_whole(share: float, said: str) -> None:
    assert sample_checks._percent(share) == said


def test_places_beyond_the_first_few_are_counted() -> None:
    few = [f"p{i}" for i in range(sample_checks.NAMED)]
    assert sample_checks._list(few) == ", ".join(few)
    assert sample_checks._list([*few, "q", "r"]) == f"{', '.join(few)} and 2 more"


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ([[1.0, 4.0]], [[1.0, 3.0]], 0.25),  # of the largest of its row
        ([[1.0, -4.0]], [[3.0, -4.0]], 0.5),
        ([[0.2]], [[0.3]], 0.125),  # probabilities of two classes: .8 is the largest
        ([[-2.0], [0.5]], [[-2.0], [1.0]], 0.25),  # logits: of the largest of all samples
        ([[0.5], [1.5]], [[0.8], [1.5]], 0.2),  # likewise, none of them below 0
        ([[1.0, np.nan]], [[1.0, np.nan]], 0.0),
        ([[-np.inf, 2.0]], [[-np.inf, 1.0]], 0.5),
        ([[-np.inf, 2.0]], [[0.0, 2.0]], np.inf),
        ([[1000.0, 0.0], [1e-9, 0.0]], [[1000.0, 0.0], [2e-9, 0.0]], 1e-9),  # next to nothing beside the others
    ],
)
def test_scores_move_by_a_share_of_the_largest(
    before: list[list[float]], after: list[list[float]], moved: float
) -> None:
    differs, _ = sample_checks._moved(np.array(before), np.array(after))
    assert differs.max() == pytest.approx(moved)


def test_classes_move_as_scores_of_0_and_1() -> None:
    differs, changed = sample_checks._moved(np.array([0, 2, 1]), np.array([0, 1, 1]))
    assert (differs.tolist(), changed.tolist()) == ([0, 1, 0], [False, True, False])
    a, b, scale = sample_checks._scaled(np.array([0, 0]), np.array([0, 0]))
    assert (a.shape, b.shape, scale.tolist()) == ((2, 2), (2, 2), [1, 1])
    assert sample_checks._effect((np.array([0, 2, 1, 1]), np.array([0, 1, 2, 1]))) == (0.5, 1.0, 2)


@pytest.mark.parametrize(("samples", "batch", "shown"), [(12, None, 2), (1, None, 1), (12, 4, 4)])
def test_what_stands_in_a_network_is_looked_for_with_two_samples(samples: int, batch: int | None, shown: int) -> None:
    """A pass of the network for each of them, so no more than it takes."""
    given: list[tuple[int, ...]] = []

    class Watched(FunctionModel):
        def suspects(self, inputs: Mapping[str, Array]) -> tuple[Suspect, ...]:
            given.append(inputs["x"].shape)
            return ()

    x = np.random.default_rng(3).normal(size=(samples, 3))
    examine(Watched("m", lambda values: values, Expects(inputs=(Input(name="x"),), batch=batch)), {"x": x})
    assert given == [(shown, 3)]


def test_two_samples_beside_copies_of_themselves_tell_of_a_model_that_takes_none_alone() -> None:
    def several(values: Array) -> Array:
        if len(values) == 1:
            raise ModelError("no batch of one", hint="-")
        return values

    model = FunctionModel("m", several)
    checked = examine(model, {"x": np.random.default_rng(4).normal(size=(COMPANY, 3))})
    assert (checked.alone, checked.depends) == (False, False)
    assert model.shapes[-2:] == [(2, 3), (2, 3)]  # two of two samples
    assert model.shapes[-3] != (2, 3)


def test_copies_are_compared_with_their_first_and_that_with_the_samples_among_others() -> None:
    copies = np.arange(12.0).reshape(2, 3, 2)  # of two samples three copies each, of two scores
    together = np.arange(6.0).reshape(3, 2)
    (first, others), *among = sample_checks._among_copies(copies, together)
    np.testing.assert_array_equal(first, [[0, 1], [6, 7]])
    np.testing.assert_array_equal(others, together[:2])
    for (one, each), own in zip(among, copies, strict=True):
        np.testing.assert_array_equal(one, np.stack([own[0]] * 3))
        np.testing.assert_array_equal(each, own)


def test_where_nothing_can_be_compared_nothing_moved() -> None:
    """A batch of fixed size that fails on copies, of which the same batch twice is all that is left to look at."""

    def mixed(values: Array) -> Array:
        if len(np.unique(values, axis=0)) == 1:
            raise ModelError("all alike", hint="-")
        return values

    model = FunctionModel("m", mixed, Expects(inputs=(Input(name="x"),), batch=4))
    checked = examine(model, {"x": np.random.default_rng(4).normal(size=(12, 3))})
    assert (checked.median, checked.largest, checked.changed, checked.depends) == (0, 0, 0, False)

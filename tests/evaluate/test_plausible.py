"""Doubts about how the dense model was run: raised for what costs accuracy, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint
from torch import nn

from prune_audit.core import Array, Counts, Expects, Input, ModelCard, Norm, Preprocess, Settings
from prune_audit.errors import AlignmentError
from prune_audit.evaluate import plausible
from prune_audit.evaluate.batch_size import Plan
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.loop import evaluate
from prune_audit.evaluate.plausible import alternatives, below_record, doubts
from prune_audit.nets.module import TorchClassifier
from tests.evaluate._models import ArrayData, FunctionModel

NONE = Preprocess(size=(4, 4), channels="rgb", interpolation="bilinear", name="none")
IMAGENET = replace(NONE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), name="imagenet")
HALF = replace(NONE, mean=(0.5,) * 3, std=(0.5,) * 3, name="half")  # with which half of the classes are found
LEVELS = np.array([40, 100, 160, 220])  # of red, by class; the other colours say nothing
ROWS = np.arange(300)


class Pictures(ArrayData):
    """Images whose class is how red they are."""

    def preprocessed(self, preprocess: Preprocess) -> Pictures:
        other = pictures(preprocess)
        other.reads = self.reads
        return other


def pictures(preprocess: Preprocess) -> Pictures:
    random = np.random.default_rng(7)
    labels = np.arange(300) % 4
    pixels = random.integers(0, 256, (300, 3, 4, 4))
    pixels[:, 0] = (LEVELS[labels] + random.integers(-20, 21, 300))[:, None, None]
    # One in five is of another class than it looks, so that there are errors as usual.
    labels[random.permutation(300)[:60]] = random.integers(0, 4, 60)
    images = pixels.astype(np.uint8)
    if preprocess.channels == "bgr":
        images = np.ascontiguousarray(images[:, ::-1])
    return Pictures({"image": images}, labels.tolist(), classes="abcd", preprocess=preprocess)


def reds(values: Array) -> Array:
    """Scores (B, 4) of a model that was trained with ImageNet's mean and std."""
    targets = (LEVELS / 255 - 0.485) / 0.229
    scores: Array = -((values[:, 0].mean(axis=(1, 2))[:, None] - targets) ** 2)
    return scores


def right(data: ArrayData, function: object = reds) -> Array:
    from prune_audit.evaluate.inputs import Feeder

    batch = data.read(ROWS)
    (values,) = Feeder(batch.inputs, data.preprocess).feed("m", Expects(inputs=(Input(name="x"),))).values()
    assert callable(function)
    hit: Array = function(values).argmax(1) == batch.labels
    return hit


def told(data: ArrayData) -> tuple[str, ...]:
    return doubts(FunctionModel("m", reds), data, ROWS, right(data))


def test_a_model_that_runs_as_it_was_trained_is_not_doubted() -> None:
    assert told(pictures(IMAGENET)) == ()


def test_the_preprocessing_that_it_was_trained_with_is_found_and_how_to_ask_for_it() -> None:
    data = pictures(NONE)
    (said,) = told(data)
    assert "with ImageNet's mean and std it is right on" in said
    assert said.endswith("try --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225")
    before, after = right(data), right(pictures(IMAGENET))
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    assert f"on {won} of 300 samples on which it is wrong as it was run, and wrong on {lost}" in said


def test_the_order_of_the_colours_is_found() -> None:
    (said,) = told(pictures(replace(IMAGENET, channels="bgr")))
    assert "with RGB it is right" in said
    assert said.endswith("try --channels rgb")


def test_a_model_with_fewer_errors_than_any_alternative_would_need_is_not_run_again() -> None:
    data = pictures(NONE)
    assert doubts(FunctionModel("m", reds), data, ROWS, np.arange(300) >= plausible.LEAST_WINS - 1) == ()
    assert not data.reads.any()
    assert plausible._p(plausible.LEAST_WINS, 0) < plausible.LEVEL <= plausible._p(plausible.LEAST_WINS - 1, 0)


def test_alternatives_that_are_behind_are_dropped_after_a_block() -> None:
    model = FunctionModel("m", reds)
    data = pictures(IMAGENET)
    doubts(model, data, ROWS, right(data))
    ran = sum(shape[0] for shape in model.shapes)
    assert ran < 300 * len(alternatives(IMAGENET)) / 2


def test_a_race_counts_wins_and_losses_and_leaves_out_who_falls_behind() -> None:
    right = np.arange(250) % 2 == 0
    hits = {"equal": right, "better": np.ones(250, bool), "worse": np.zeros(250, bool)}
    asked: list[tuple[str, int]] = []

    def hit(name: str, at: Array) -> Array | None:
        asked.append((name, len(at)))
        return None if name == "odd" else hits[name][at]

    assert plausible.raced(["equal", "better", "worse", "odd"], right, hit) == {"equal": (0, 0), "better": (125, 0)}
    assert [n for name, n in asked if name == "worse"] == [plausible.BLOCK]
    assert [n for name, n in asked if name == "better"] == [100, 100, 50]


def test_one_column_of_scores_and_data_that_are_no_images_are_left_alone() -> None:
    one = FunctionModel("m", lambda x: x.mean(axis=(1, 2, 3))[:, None])
    assert doubts(one, pictures(NONE), ROWS, np.zeros(300, bool)) == ()
    table = ArrayData({"x": np.zeros((300, 2))}, [0] * 300)
    assert doubts(FunctionModel("m", lambda x: x), table, ROWS, np.zeros(300, bool)) == ()


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 9), (9, 3), (20, 1), (200, 150), (1, 0)])
def test_the_p_value_is_the_exact_one(won: int, lost: int) -> None:
    exact = binomtest(won, won + lost, alternative="greater").pvalue if won + lost else 1.0
    assert plausible._p(won, lost) == pytest.approx(min(1.0, 2 * exact), rel=1e-9)  # both sum the same terms


def test_alternatives_leave_out_what_is_asked_for_already() -> None:
    names = [each.name for each in alternatives(IMAGENET)]
    assert names == [
        "CIFAR-10's mean and std",
        "mean and std of .5",
        "no mean and std",
        "bytes from 0 to 255",
        "BGR",
    ]
    assert "no mean and std" not in [each.name for each in alternatives(NONE)]
    half = replace(NONE, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert "mean and std of .5" not in [each.name for each in alternatives(half)]
    gray = Preprocess(size=(28, 28), channels="gray")
    assert [each.name for each in alternatives(gray)] == [
        "MNIST's mean and std",
        "mean and std of .5",
        "bytes from 0 to 255",
    ]


def test_alternatives_are_the_usual_values_and_say_how_to_ask_for_them() -> None:
    one = Preprocess(size=(4, 4), channels="rgb", mean=(0.1,) * 3, std=(3.0,) * 3)  # like none of them
    found = {each.name: (each.preprocess.mean, each.preprocess.std, each.options) for each in alternatives(one)[:-1]}
    assert found == {
        "ImageNet's mean and std": (
            *((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        ),
        "CIFAR-10's mean and std": (
            *((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
            "--mean 0.4914,0.4822,0.4465 --std 0.247,0.2435,0.2616",
        ),
        "mean and std of .5": ((0.5,) * 3, (0.5,) * 3, "--mean 0.5 --std 0.5"),
        "no mean and std": (None, None, "--mean 0 --std 1"),
        "bytes from 0 to 255": (None, (1 / 255,) * 3, "--mean 0 --std 0.00392156862745098"),
    }
    gray = alternatives(replace(one, channels="gray", mean=(0.1,), std=(3.0,)))
    assert [(each.preprocess.mean, each.preprocess.std) for each in gray] == [
        ((0.1307,), (0.3081,)), ((0.5,), (0.5,)), (None, None), (None, (1 / 255,)),
    ]  # fmt: skip
    assert [each.preprocess.channels for each in (*alternatives(one)[-1:], *gray[:1])] == ["bgr", "gray"]


@pytest.mark.parametrize(
    ("size", "resize", "told"),
    [((32, 32), (32, 32), "--resize 37 --crop 32"), ((32, 24), (32, 24), None), ((32, 32), None, None)],
)
def test_an_eighth_more_is_cropped_off_squares(
    size: tuple[int, int], resize: tuple[int, int] | None, told: str | None
) -> None:
    names = [each.options for each in alternatives(replace(IMAGENET, size=size, resize=resize))]
    assert [each for each in names if "--crop" in each] == ([told] if told else [])


def test_black_and_white_are_told_for_each_channel() -> None:
    assert plausible._scale(replace(NONE, channels="gray")).tolist() == [[0], [1]]
    assert plausible._scale(replace(NONE, mean=(0.5, 0.0, 0.2), std=(0.5, 1.0, 0.4))).tolist() == [
        pytest.approx([-1, 0, -0.5]),
        pytest.approx([1, 1, 2]),
    ]


@pytest.mark.parametrize(("losses", "kept"), [(2, True), (3, False)])
def test_an_alternative_that_is_three_behind_is_tried_no_further(losses: int, kept: bool) -> None:
    right = np.ones(200, bool)
    worse = np.arange(200) >= losses
    counts = plausible.raced(["it"], right, lambda _, at: worse[at])
    assert counts == ({"it": (0, losses)} if kept else {})


class Normed(FunctionModel):
    """A model whose first batch normalisation is given what it learnt, but for a factor and a shift."""

    factor, shift = 1.0, 0.0

    def first_norm(self, inputs: object) -> Norm:
        learnt = np.array([1.0, 4.0, 0.0, 9.0])  # the third is constant, and tells nothing
        mean = np.array([0.0, 2.0, 5.0, 1.0])
        moved = mean + self.shift * np.sqrt(learnt)
        return Norm(name="bn", running_mean=mean, running_var=learnt, mean=moved, var=self.factor * learnt)


@pytest.mark.parametrize(
    ("factor", "shift", "told"),
    [
        (1.0, 0.0, None),
        (2.7, 0.0, None),
        (1 / 2.7, 0.29, None),
        (2.8, 0.0, "variances differ by a factor of 2.8, means by 0 standard deviations (medians over 3 channels; 2.7"),
        (1 / 2.8, 0.0, "variances differ by a factor of 2.8"),
        (1.0, 0.31, "variances differ by a factor of 1, means by 0.31 standard deviations"),
        (1.0, -0.31, "means by 0.31 standard deviations"),
    ],
)
def test_a_normalisation_may_differ_by_a_factor_of_e_and_a_third(factor: float, shift: float, told: str | None) -> None:
    model = Normed("m", reds)
    model.factor, model.shift = factor, shift
    said = doubts(model, pictures(IMAGENET), ROWS, np.ones(300, bool))
    assert bool(said) == (told is not None)
    assert told is None or told in said[0]


def test_a_model_of_bytes_is_tried_only_with_what_bytes_can_be() -> None:
    """Whose mean and std are within it: of the order of colours alone, something is left to try."""
    sizes = Expects(inputs=(Input(name="x", dtype="uint8"),))
    data = pictures(NONE)
    hits = right(data)

    def tried(model: FunctionModel) -> int:
        doubts(model, data, ROWS, hits)
        return sum(shape[0] for shape in model.shapes)

    assert tried(FunctionModel("m", lambda x: reds(x / 255.0), sizes)) <= 300
    assert tried(FunctionModel("m", reds)) > 300


def test_the_usual_other_geometry_is_an_alternative() -> None:
    exact = replace(IMAGENET, size=(224, 224), resize=(224, 224))
    crop = alternatives(exact)[-1]
    assert (crop.preprocess.resize, crop.preprocess.crop) == (256, (224, 224))
    assert crop.options == "--resize 256 --crop 224"
    whole = alternatives(replace(exact, resize=256, crop=(224, 224)))[-1]
    assert (whole.preprocess.resize, whole.preprocess.crop) == ((224, 224), None)


@pytest.mark.parametrize(("right", "samples"), [(285, 1000), (0, 50), (50, 50), (800, 1000)])
def test_a_record_is_doubted_ten_points_above_the_upper_limit(right: int, samples: int) -> None:
    high = float(proportion_confint(right, samples, alpha=0.002, method="beta")[1])
    for recorded in np.linspace(0, 1, 41):
        said = below_record(("best_acc", float(recorded)), right, samples)
        assert (said is not None) == (recorded - high > 0.1)
    assert below_record(None, right, samples) is None


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.late = nn.BatchNorm2d(5)
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.late(self.last(self.norm(self.conv(x)).relu())).mean((2, 3))
        return scores


def network(data: ArrayData) -> TorchClassifier:
    """A network whose batch normalisations have seen ``data`` as they are meant to be fed."""
    module = _Net().train()
    with torch.no_grad():
        for norm in (module.norm, module.late):
            norm.momentum = None  # plain averages
        for _ in range(2):
            module(torch.tensor(fed(data)))
    card = ModelCard(name="n", path="n", format="torch module", digest="n", size=0)
    return TorchClassifier(module.eval(), card, Expects(inputs=(Input(name="x", dtype="float32"),), channels=3))


def fed(data: ArrayData) -> Array:
    from prune_audit.evaluate.inputs import Feeder

    (values,) = Feeder(data.read(ROWS).inputs, data.preprocess).feed("n", Expects()).values()
    return values


def test_what_the_first_batch_normalisation_sees_is_what_numpy_says() -> None:
    data = pictures(IMAGENET)
    model = network(data)
    norm = model.first_norm({"x": fed(data)[:50]})
    assert norm is not None
    assert norm.name == "norm"  # the first that is run, not the first that is written down
    with torch.no_grad():
        given = _Net().conv(torch.tensor(fed(data)[:50])).double().numpy()
    # numpy and torch sum in different orders, in double precision
    np.testing.assert_allclose(norm.mean, given.mean((0, 2, 3)), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(norm.var, given.var((0, 2, 3)), rtol=1e-6)


def test_a_network_without_batch_normalisation_tells_nothing() -> None:
    card = ModelCard(name="n", path="n", format="torch module", digest="n", size=0)
    model = TorchClassifier(nn.Sequential(nn.Flatten(), nn.Linear(48, 4)), card, Expects(inputs=(Input(name="x"),)))
    assert model.first_norm({"x": np.zeros((2, 3, 4, 4), np.float32)}) is None


def test_inputs_that_the_batch_normalisation_was_not_trained_on_are_doubted() -> None:
    model = network(pictures(IMAGENET))
    all_right = np.ones(300, bool)
    assert doubts(model, pictures(IMAGENET), ROWS, all_right) == ()
    (said,) = doubts(model, pictures(replace(NONE, std=(1 / 255,) * 3)), ROWS, all_right)
    assert "its first batch normalisation (norm) was trained on other inputs than these" in said
    assert "(--mean, --std, --preprocess)" in said
    # The hooks are gone: the model runs as before.
    assert model.predict({"x": fed(pictures(IMAGENET))[:2]}).shape == (2, 5)


def test_what_was_found_out_once_is_kept_with_the_predictions(tmp_path: Path) -> None:
    def run() -> tuple[tuple[str, ...], int]:
        models = [FunctionModel("a", reds), FunctionModel("b", lambda x: reds(x) + 0)]
        done = evaluate(models, pictures(HALF), ROWS, Settings(workers=1), store=Store(tmp_path))
        return done.doubts, len(models[0].shapes)

    first, calls = run()
    assert len(first) == 1
    assert calls
    assert run() == (first, 0)


def test_nothing_is_tried_where_that_is_not_wanted_or_a_model_is_alone() -> None:
    data = pictures(HALF)
    pair = [FunctionModel("a", reds), FunctionModel("b", reds)]
    assert evaluate(pair, data, ROWS, Settings(workers=1, plausibility=False)).doubts == ()
    assert evaluate(pair[:1], data, ROWS, Settings(workers=1)).doubts == ()


def test_rows_that_cannot_be_read_are_passed_over() -> None:
    data = pictures(NONE)
    data._bad = {3, 77}
    rows: Counts = np.delete(ROWS, [3, 77])
    (said,) = doubts(FunctionModel("m", reds), data, rows, right(pictures(NONE))[rows])
    assert "of 298 samples" in said


def test_a_model_that_is_right_by_chance_is_refused_with_what_would_mend_it() -> None:
    pair = [FunctionModel("a", reds), FunctionModel("b", reds)]
    with pytest.raises(AlignmentError, match="about as often as chance") as caught:
        evaluate(pair, pictures(NONE), ROWS, Settings(workers=1))
    assert caught.value.hint.endswith("try --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225")


def test_a_model_that_runs_alone_is_tried_alone() -> None:
    model = FunctionModel("m", reds)
    data = pictures(IMAGENET)
    doubts(model, data, ROWS, right(data), Plan(batch=1))
    assert {shape[0] for shape in model.shapes} == {1}

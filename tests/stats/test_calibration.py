"""Calibration error against brute force and against what was drawn: bias, coverage, and the trap of true classes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq

from prune_audit.core import Array, Floats, Outputs, Pair, Predictions
from prune_audit.core.scores import UNIT, Bins, Calibration, bins_of
from prune_audit.stats import calibration
from prune_audit.stats._tango import two_sided
from prune_audit.stats.calibration import Estimate, change_limits, estimate
from prune_audit.tasks import classification
from tests.stats.pairs import measured
from tests.stats.scored import Draw, drawn

Z = two_sided(0.95)


def estimates(kept: Calibration, effect: float = 1.0) -> tuple[Estimate, Estimate]:
    dense, pruned = (estimate(bins, np.full(len(bins.number), effect), Z) for bins in (kept.dense, kept.pruned))
    return dense, pruned


def square(found: Estimate) -> Floats:
    """The mean square of the rows that were drawn; the last one is all of them."""
    return (np.sign(found.error) * found.error**2)[:-1]


def observed(bins: Bins) -> Floats:
    """The error with its noise."""
    return np.asarray(np.sqrt(np.bincount(bins.row, bins.weight * bins.gap**2)))[:-1]


def predictions(seed: int, samples: int, classes: int, *, sharpness: float = 1.0, tilt: float = 0.0) -> Predictions:
    """A dense model whose confidence is the truth, and a pruned one, of the given sharpness.

    With ``tilt`` the classes grow rare one after the other.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (samples, classes)) - tilt * np.arange(classes)
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) < rng.random((samples, 1))).sum(axis=1)

    def outputs(name: str, logits: Floats) -> Outputs:
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return Outputs(name=name, predicted=p.argmax(axis=1), confidence=p.max(axis=1))

    return Predictions(
        classes=tuple(map(str, range(classes))),
        ids=tuple(map(str, range(samples))),
        labels=labels.clip(max=classes - 1),
        models=(outputs("dense", logits), outputs("pruned", sharpness * logits)),
        groups={"half": rng.integers(0, 2, samples), "index": np.arange(samples)},
    )


def test_the_square_is_the_mean_product_of_two_different_samples_of_a_bin() -> None:
    """The unbiased estimate of a squared mean, summed pair by pair."""
    draw = drawn(np.random.default_rng(0), 90, (1.5, 1))
    confidence = np.rint(draw.confidence[0] * UNIT) / UNIT
    off = draw.right[0] - confidence
    total = 0.0
    for part in np.array_split(np.argsort(confidence), int(bins_of(np.array(90)))):
        products = np.outer(off[part], off[part])
        total += len(part) / 90 * (products.sum() - np.trace(products)) / (len(part) * (len(part) - 1))
    assert square(estimates(draw.rows(1))[0])[0] == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("samples", [10, 30, 100, 300])
@pytest.mark.parametrize("centre", [1.0, 3.0])
def test_a_perfect_model_has_no_error_on_average(samples: int, centre: float) -> None:
    draw = drawn(np.random.default_rng(1), samples * 3000, (1, 1), centre=centre)
    kept = draw.rows(3000)
    found = estimates(kept)[0]
    mean, spread = square(found).mean(), square(found).std() / np.sqrt(3000)
    assert abs(mean) < 3 * spread
    # The root bends this a little; what it would be without taking out the noise is many times as much.
    assert abs(found.error[:-1].mean()) < 0.3 * observed(kept.dense).mean()


def test_what_a_perfect_model_of_a_hundred_samples_would_read_otherwise() -> None:
    kept = drawn(np.random.default_rng(2), 100 * 2000, (1, 1)).rows(2000)
    assert observed(kept.dense).mean() == pytest.approx(0.065, abs=0.003)
    assert abs(estimates(kept)[0].error[:-1].mean()) < 0.012


@pytest.mark.parametrize("samples", [30, 100, 1000])
def test_the_square_is_right_on_average_whatever_the_model(samples: int) -> None:
    rows = 60_000 // samples * 5
    draw = drawn(np.random.default_rng(3), samples * rows, (2, 0.5))
    for side, found in enumerate(estimates(draw.rows(rows))):
        truth = draw.error(side, int(bins_of(np.array(samples)))) ** 2
        # Bins of few samples reach across what bins of all samples part.
        assert square(found).mean() == pytest.approx(truth, abs=4 * square(found).std() / np.sqrt(rows) + 0.1 / samples)


SHARPNESS = [(1.0, 1.0), (1.0, 2.0), (2.0, 2.0), (1.3, 3.0), (1.0, 1.2), (0.6, 1.5)]


@cache
def _population(seed: int, sharpness: tuple[float, float], centre: float) -> tuple[Draw, np.random.Generator]:
    """So many samples that their error is the true one, and the generator as it is after them."""
    rng = np.random.default_rng(seed)
    return drawn(rng, 300_000, sharpness, centre=centre), rng


@pytest.mark.parametrize("samples", [10, 30, 100, 300, 1000])
@pytest.mark.parametrize("centre", [1.0, 3.0])
def test_coverage_of_the_change(samples: int, centre: float) -> None:
    rows, bins, inside = 600, int(bins_of(np.array(samples))), []
    for seed, sharpness in enumerate(SHARPNESS):
        population, after = _population(seed, sharpness, centre)
        rng = deepcopy(after)
        truth = population.error(1, bins) - population.error(0, bins)
        kept = drawn(rng, samples * rows, sharpness, centre=centre).rows(rows)
        low, high = (limits[:-1] for limits in change_limits(*estimates(kept), kept.covariance))
        inside.append(((low <= truth) & (truth <= high)).mean())
    # 600 intervals a cell: a standard error of .009.
    assert min(inside) >= 0.925
    assert np.mean(inside) >= 0.95


def test_a_large_change_is_found() -> None:
    """An interval that always covers because it is wide would be no use."""
    kept = drawn(np.random.default_rng(4), 300 * 500, (1.3, 3)).rows(500)
    low, _ = change_limits(*estimates(kept), kept.covariance)
    assert (low[:-1] > 0).mean() > 0.85


@pytest.mark.parametrize("sharpness", [(1, 1), (2, 2), (0.7, 2)])
def test_the_covariance_is_that_of_repeated_draws(sharpness: tuple[float, float]) -> None:
    kept = drawn(np.random.default_rng(5), 100 * 6000, sharpness, part=0.1).rows(6000)
    dense, pruned = (square(found) for found in estimates(kept))
    assert kept.covariance[:-1].mean() == pytest.approx(np.cov(dense, pruned)[0, 1], rel=0.15)


def test_limits_solve_the_score_equation() -> None:
    kept = drawn(np.random.default_rng(6), 40 * 50, (1.5, 1)).rows(50)
    constant, slope = np.array([1e-4, 1e-4, 2e-4, 1e-9]), np.array([1e-3, 2e-3, 1e-3, 1e-3])
    point = np.array([0.02, -0.001, -0.05, 0.0])
    for z in (-1.96, 1.96):
        for i, t in enumerate(calibration._limit(point, constant, slope, z)):
            a, b, x = constant[i], slope[i], point[i]
            expected = brentq(lambda t, a=a, b=b, x=x, z=z: t - x - z * np.sqrt(a + b * max(t, 0)), -1, 1, xtol=1e-14)
            assert t == pytest.approx(expected, abs=1e-9)
    for found in estimates(kept):
        assert ((found.low <= found.error) & (found.error <= found.high)).all()
        assert ((found.low >= -1) & (found.high <= 1)).all()


def test_swapping_the_models_negates_the_change() -> None:
    made = predictions(0, 800, 4, sharpness=2)
    there, back = (measured(classification.pair(made, *names)) for names in (("dense", "pruned"), ("pruned", "dense")))
    assert there["dense_calibration_error"].by_stratum == back["pruned_calibration_error"].by_stratum
    one, other = there["calibration_change"], back["calibration_change"]
    np.testing.assert_allclose(np.array(one.by_stratum, float), -np.array(other.by_stratum, float), atol=1e-12)
    np.testing.assert_allclose(np.array(one.low, float), -np.array(other.high, float), atol=1e-9)
    assert one.overall_low == pytest.approx(-(other.overall_high or 0))


def test_change_is_pruned_minus_dense_within_its_limits() -> None:
    found = measured(classification.pair(predictions(1, 3000, 5, sharpness=3), "dense", "pruned"))
    dense, pruned, change = (
        found[n] for n in ("dense_calibration_error", "pruned_calibration_error", "calibration_change")
    )
    for d, p, x, low, high in zip(
        dense.by_stratum, pruned.by_stratum, change.by_stratum, change.low, change.high, strict=True
    ):
        assert (low or 0) < float(x or 0) < (high or 0)
        assert x == pytest.approx(float(p or 0) - float(d or 0))
    assert (change.overall_low or 0) > 0.05  # three times too sharp is seen
    assert (change.overall_low or 0) < float(change.overall or 0) < (change.overall_high or 0)


def test_by_predicted_class_a_perfect_model_is_perfect_where_by_true_class_it_is_not() -> None:
    made = predictions(2, 40_000, 5, tilt=0.5)
    found = measured(classification.pair(made, "dense", "pruned"))["dense_calibration_error"]
    assert max(abs(float(value or 0)) for value in found.by_stratum) < 0.02
    model = made.model("dense")
    assert model.confidence is not None
    assert abs(float(found.overall or 0)) < 0.01
    rare = made.labels == 4
    assert model.confidence[rare].mean() - (model.predicted[rare] == 4).mean() > 0.15
    groups = measured(classification.pair(made, "dense", "pruned", "half"))["dense_calibration_error"]
    assert max(abs(float(value or 0)) for value in groups.by_stratum) < 0.02


def test_one_file_has_not_changed_at_all() -> None:
    made = predictions(3, 300, 3)
    change = measured(replace(classification.pair(made, "dense", "dense"), same_model=True))["calibration_change"]
    assert {*change.by_stratum, *change.low, *change.high, change.overall_low} == {0.0}


def test_always_right_and_fully_sure_is_no_proof() -> None:
    labels = np.zeros(50, int)
    sure = Outputs(name="dense", predicted=labels, confidence=np.ones(50))
    made = Predictions(
        classes=("a", "b"), ids=tuple(map(str, range(50))), labels=labels, models=(sure, replace(sure, name="pruned"))
    )
    change = measured(classification.pair(made, "dense", "pruned"))["calibration_change"]
    assert change.by_stratum == (0.0, None)
    assert (change.low[0] or 0) < -0.01 < 0.01 < (change.high[0] or 0)


def test_a_class_that_is_never_called_and_a_group_without_samples() -> None:
    made = predictions(4, 60, 3)
    only = replace(made.models[1], predicted=np.zeros(60, int))
    crossed = classification.pair(replace(made, models=(made.models[0], only)), "dense", "pruned")
    found = measured(crossed)
    assert found["pruned_calibration_error"].absent == {1: "never predicted", 2: "never predicted"}
    assert found["dense_calibration_error"].absent == {}
    assert found["calibration_change"].absent == {1: "never predicted", 2: "never predicted"}
    assert found["calibration_change"].low[1:] == (None, None)


@pytest.mark.parametrize("pair", [Pair.of([(5, 1, 1, 3), (5, 0, 0, 0)]), None])
def test_without_scores_all_is_absent(pair: Pair | None) -> None:
    if pair is None:
        made = predictions(5, 40, 3)
        bare = (made.models[0], Outputs(name="pruned", predicted=made.models[1].predicted))
        pair = classification.pair(replace(made, models=bare), "dense", "pruned")
    for name in ("dense_calibration_error", "pruned_calibration_error", "calibration_change"):
        column = measured(pair)[name]
        assert set(column.by_stratum) == {None}
        assert set(column.absent.values()) == {column.overall_absent} == {"no scores were kept"}


def test_no_samples_at_all() -> None:
    none: Array = np.zeros(0, int)
    sides = [Outputs(name=name, predicted=none, confidence=np.zeros(0)) for name in ("dense", "pruned")]
    pair = classification.pair(
        Predictions(classes=("a", "b"), ids=(), labels=none, models=tuple(sides)), "dense", "pruned"
    )
    found = measured(pair, only=calibration)
    assert {m.overall_absent for m in found.values()} == {"no samples"}
    assert {value for m in found.values() for value in m.by_stratum} == {None}


def test_samples_four_times_over_are_no_more_than_once_where_clusters_say_so() -> None:
    once = predictions(6, 500, 3, sharpness=1.5)
    rows = np.repeat(np.arange(500), 4)
    four = Predictions(
        classes=once.classes,
        ids=tuple(map(str, range(2000))),
        labels=once.labels[rows],
        models=tuple(
            Outputs(name=m.name, predicted=m.predicted[rows], confidence=m.confidence[rows])
            for m in once.models
            if m.confidence is not None
        ),
        groups={"index": rows},
    )
    plain, known, unknown = (
        measured(pair)["calibration_change"]
        for pair in (
            classification.pair(once, "dense", "pruned"),
            classification.pair(four, "dense", "pruned", cluster="index"),
            classification.pair(four, "dense", "pruned"),
        )
    )
    width = [float((c.overall_high or 0) - (c.overall_low or 0)) for c in (plain, known, unknown)]
    assert width[1] > 0.8 * width[0] > 1.2 * width[2]

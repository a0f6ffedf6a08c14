"""All columns together: their order, and what holds of every one of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from scipy import optimize, stats
from sklearn.metrics import f1_score, precision_score, recall_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from prune_audit.core import Measure, Outputs, Pair, Predictions, Settings
from prune_audit.stats import _check, _tango, measures
from prune_audit.tasks import classification
from tests.stats.pairs import measured, pairs, quick, same, table


def test_columns_come_in_the_order_of_a_report() -> None:
    """Those that reports promise, as they come among the rest."""
    promised = [
        *("support", "both", "lost", "gained", "neither", "dense_recall", "pruned_recall", "change", "p_value"),
        *("q_value", "dense_balance", "pruned_balance", "intensification", "excess_drop", "detectable_drop"),
        *("verdict", "distortion"),
    ]
    found = [m.name for m in measures(Pair.of([(1, 1, 1, 1)]), Settings())]
    assert [name for name in found if name in promised] == promised
    assert len(set(found)) == len(found)


ROUNDING = 1e-12
"""Of a recall of 1 the interval ends at 1, which a few operations of a few last bits each may miss either way."""


def _well_formed(measure: Measure, strata: int) -> None:
    numbers = [*measure.by_stratum, *measure.low, *measure.high]
    numbers += [measure.overall, measure.overall_low, measure.overall_high]
    assert all(math.isfinite(v) for v in numbers if isinstance(v, float)), measure.name
    assert all(v is None or type(v) in (int, float, str) for v in numbers), measure.name
    assert len(measure.by_stratum) in (0, strata)
    assert len(measure.low) == len(measure.high)
    assert len(measure.low) in (0, strata)
    missing = {i for i, v in enumerate(measure.by_stratum) if v is None}
    assert missing == set(measure.absent), measure.name
    assert all(measure.absent.values())
    for i, (low, value, high) in enumerate(zip(measure.low, measure.by_stratum, measure.high, strict=False)):
        if i not in missing and isinstance(value, float):
            assert low is not None
            assert high is not None
            assert low - ROUNDING <= value <= high + ROUNDING, measure.name
    assert not (measure.overall is not None and measure.overall_absent), measure.name


@quick
@given(pairs(most=4))
def test_what_is_absent_says_why_and_nothing_is_nan(pair: Pair) -> None:
    for each in (pair, replace(pair, by="group"), same(pair)):
        for measure in measures(each, Settings()):
            _well_formed(measure, len(pair.strata))


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [(0, 0, 0, 0)],
        [(1, 0, 0, 0)],
        [(0, 1, 0, 0)],
        [(0, 0, 1, 0)],
        [(0, 0, 0, 1)],
        [(0, 5, 0, 0), (0, 5, 0, 0)],
        [(5, 0, 0, 0), (0, 0, 0, 5)],
        [(0, 0, 3, 2), (0, 4, 0, 0)],
        [(10**9, 10**7, 10**7, 10**8), (1, 0, 0, 0)],
    ],
)
def test_corners(counts: list[tuple[int, int, int, int]]) -> None:
    for measure in measures(Pair.of(counts), Settings()):
        _well_formed(measure, len(counts))


@quick
@given(pairs(least=1))
def test_order_of_the_classes_does_not_matter(pair: Pair) -> None:
    there, back = measured(pair), measured(Pair.of(table(pair)[::-1]))
    for name, measure in there.items():
        for a, b in zip(measure.by_stratum, reversed(back[name].by_stratum), strict=True):
            assert a == (pytest.approx(b, rel=1e-9, abs=1e-12) if isinstance(b, float) else b), name


def test_two_runs_are_equal_to_the_last_bit() -> None:
    pair = Pair.of(np.random.default_rng(0).multinomial(50, [0.8, 0.05, 0.03, 0.12], size=50))
    assert measures(pair, Settings()) == measures(pair, Settings())


PUBLISHED = Path(__file__).parents[2] / "../shared/data/cifar10.1-v4-predictions"


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="shared data are absent: published predictions")
def test_a_published_pair_agrees_with_scipy_statsmodels_and_scikit_learn() -> None:
    labels = np.load(PUBLISHED / "labels.npy").astype(np.int64)
    a, b = (
        np.array(json.loads((PUBLISHED / f"{name}_predictions.json").read_text()), np.int64)
        for name in ("vgg_15_BN_64", "cudaconvnet")
    )
    models = Outputs(name="dense", predicted=a), Outputs(name="pruned", predicted=b)
    names = tuple(f"class {i}" for i in range(10))
    ids = tuple(map(str, range(len(labels))))
    pair = classification.pair(Predictions(classes=names, ids=ids, labels=labels, models=models), "dense", "pruned")
    found = measured(pair)

    def column(name: str) -> np.ndarray:
        return np.array(found[name].by_stratum, float)

    lost = np.array([((labels == c) & (a == c) & (b != c)).sum() for c in range(10)])
    gained = np.array([((labels == c) & (a != c) & (b == c)).sum() for c in range(10)])
    n = np.bincount(labels)
    p = [
        mcnemar([[0, x], [y, 0]], exact=True).pvalue - stats.binom.pmf(x, x + y, 0.5)
        for x, y in zip(lost, gained, strict=True)
    ]
    z = stats.norm.isf(0.025)

    def lower(c: int) -> float:
        """Where the score statistic is z, by a root finder of its own."""
        return float(optimize.brentq(lambda d: float(_tango.score(lost[c], gained[c], n[c], d)) - z, -0.999, 0.999))

    expected = {
        "support": n,
        "dense_recall": recall_score(labels, a, average=None),
        "pruned_recall": recall_score(labels, b, average=None),
        "change": (gained - lost) / n,
        "p_value": p,
        "q_value": multipletests(p, method="fdr_bh")[1],
        "dense_balance": recall_score(labels, a, average=None) / (a == labels).mean() - 1,
        "dense_precision": precision_score(labels, a, average=None),
        "pruned_f1": f1_score(labels, b, average=None),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(column(name), values, rtol=1e-12, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(np.array(found["change"].high, float), [-lower(c) for c in range(10)], atol=1e-11)


def test_what_a_plugin_of_another_package_gives_is_checked() -> None:
    own = measures(Pair.of([(5, 2, 1, 2), (7, 0, 0, 1)]), Settings())
    _check(own, 2, set())
    for found in (list(own), (*own, "recall")):
        with pytest.raises(TypeError, match="expected a tuple of Measure, found"):
            _check(found, 2, set())  # type: ignore[arg-type]  # what a plugin should not give
    with pytest.raises(ValueError, match="there is another measure called support"):
        _check(own, 2, {"support"})
    with pytest.raises(ValueError, match="2 values for 3 strata"):
        _check(own, 3, set())

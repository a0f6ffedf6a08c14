"""Design effects: against sums over clusters by hand, where there is nothing to estimate, and by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.core import Array, Clusters, Outputs, Pair, Predictions, Settings
from prune_audit.stats import _tango
from prune_audit.stats._clusters import CHANGE, DENSE, effects
from prune_audit.stats._effective_counts import sides, whole
from prune_audit.stats._mcnemar import mid_p
from tests.stats.pairs import measured, quick

RNG = np.random.default_rng(5)


def pair_of(stratum: Array, cluster: Array, dense: Array, pruned: Array) -> Pair:
    """A pair by class, from whether either model is right on each sample."""
    size = int(stratum.max()) + 1
    table = [
        np.bincount(stratum[mask], minlength=size)
        for mask in (dense & pruned, dense & ~pruned, ~dense & pruned, ~dense & ~pruned)
    ]
    made = Pair.of(np.stack(table, axis=1))
    return replace(made, clusters=Clusters.of("film", size, stratum, cluster, dense, pruned))


def variance_ratio(value: Array, cluster: Array) -> float:
    """The design effect of the mean of ``value`` by its definition: variance between clusters over that of samples."""
    away = [(value[cluster == c] - value.mean()).sum() for c in np.unique(cluster)]
    m = len(away)
    return float(m / (m - 1) * np.square(away).sum() / (len(value) * value.var()))


def drawn(films: int = 12, each: int = 30) -> tuple[Array, Array, Array, Array]:
    """Strata 0 to 2 of uneven films in which whole stretches are lost."""
    cluster = np.repeat(np.arange(films), RNG.integers(1, each, films))
    stratum = RNG.integers(0, 3, len(cluster))
    bad = RNG.random(films) < 0.3
    dense = RNG.random(len(cluster)) < 0.9
    pruned = dense & (RNG.random(len(cluster)) > np.where(bad[cluster], 0.7, 0.05))
    return stratum, cluster, dense, pruned


@pytest.mark.parametrize("contrast", [CHANGE, DENSE])
def test_effects_are_the_ratio_of_variances(contrast: tuple[int, int]) -> None:
    stratum, cluster, dense, pruned = drawn(40, 60)
    found = effects(pair_of(stratum, cluster, dense, pruned), contrast)
    value = contrast[0] * dense.astype(float) + contrast[1] * pruned
    at_least = [max(1.0, variance_ratio(value[stratum == c], cluster[stratum == c])) for c in range(3)]
    assert (found.own >= np.array(at_least) - 1e-9).all()
    assert found.own.max() == pytest.approx(max(at_least)) or contrast == DENSE
    rest = [max(1.0, variance_ratio(value[stratum != c], cluster[stratum != c])) for c in range(3)]
    assert (found.rest >= np.array(rest) - 1e-9).all()
    assert found.whole >= max(1.0, variance_ratio(value, cluster)) - 1e-9
    assert found.whole < 1.3 * max(1.0, variance_ratio(value, cluster))


def test_clusters_of_one_sample_change_nothing() -> None:
    stratum, _, dense, pruned = drawn()
    pair = pair_of(stratum, np.arange(len(stratum)), dense, pruned)
    without = measured(replace(pair, clusters=None))
    # n / (n - 1) of the estimate is all that is left, and it is taken out where it would be below 1.
    for name, measure in measured(pair).items():
        if measure.low:
            np.testing.assert_allclose(
                np.array(measure.low, float), np.array(without[name].low, float), atol=0.02, err_msg=name
            )


def test_counts_and_recalls_stay_what_they_are() -> None:
    pair = pair_of(*drawn())
    clustered, plain = measured(pair), measured(replace(pair, clusters=None))
    for name in ("support", "both", "lost", "gained", "neither", "dense_balance"):
        assert clustered[name] == plain[name]
    for name in ("dense_recall", "pruned_recall"):
        assert clustered[name].by_stratum == plain[name].by_stratum
        assert clustered[name].overall == plain[name].overall
    assert clustered["change"].by_stratum == plain["change"].by_stratum
    assert clustered["change"].overall == plain["change"].overall
    assert clustered["retention"].by_stratum == pytest.approx(plain["retention"].by_stratum)
    assert clustered["excess_drop"].by_stratum == plain["excess_drop"].by_stratum
    wider = np.subtract(clustered["change"].high, clustered["change"].low)  # type: ignore[arg-type]  # none is absent
    assert (wider >= np.subtract(plain["change"].high, plain["change"].low)).all()  # type: ignore[arg-type]  # likewise


def test_where_nothing_flipped_each_cluster_is_one_sample() -> None:
    cluster = np.repeat(np.arange(20), 10)
    right = np.ones(200, bool)
    pair = pair_of(np.zeros(200, int), cluster, right, right)
    assert effects(pair).own.tolist() == [10]
    assert sides(pair, Settings())[0].n.tolist() == [20]
    assert measured(pair)["verdict"].by_stratum == ("cannot tell",)
    assert measured(replace(pair, clusters=None))["verdict"].by_stratum == ("fine",)
    assert measured(replace(pair, same_model=True))["verdict"].by_stratum == ("fine",)


def test_a_stratum_without_flips_has_the_correlation_of_the_others() -> None:
    stratum = np.repeat([0, 1], 200)
    cluster = np.tile(np.repeat(np.arange(20), 10), 2)
    dense = np.ones(400, bool)
    pruned = ~((stratum == 0) & (cluster < 5))  # five films are lost whole, in one class
    found = effects(pair_of(stratum, cluster, dense, pruned)).own
    assert found == pytest.approx([10, 10], rel=0.06)


def test_one_cluster_alone_tells_nothing_of_others() -> None:
    dense = np.ones(100, bool)
    pair = pair_of(np.zeros(100, int), np.zeros(100, int), dense, np.arange(100) > 40)
    assert effects(pair).own.tolist() == [100]
    assert measured(pair)["verdict"].by_stratum == ("cannot tell",)


def test_samples_of_one_cluster_are_what_they_are_when_audited_by_it() -> None:
    stratum, cluster, dense, pruned = drawn()
    pair = pair_of(cluster, cluster, dense, pruned)
    assert (effects(replace(pair, by="film")).own == 1).all()
    assert (effects(replace(pair, by="class,film")).own == 1).all()
    assert (effects(replace(pair, by="scene")).own > 1).any()
    assert len(stratum) == pair.support.sum()


def test_the_whole_is_the_same_in_every_view() -> None:
    stratum, cluster, dense, pruned = drawn()
    by_class, by_half = (pair_of(s, cluster, dense, pruned) for s in (stratum, np.arange(len(stratum)) % 2))
    assert measured(by_class)["change"].overall_high == measured(by_half)["change"].overall_high
    assert whole(by_class, Settings()).n == whole(by_half, Settings()).n


@quick
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3, st.integers(0, 3)), min_size=1, max_size=40))
def test_nothing_is_ever_undefined(rows: list[tuple[int, int, int, int]]) -> None:
    labels, dense, pruned, film = (np.array(column) for column in zip(*rows, strict=True))
    made = Predictions(
        classes=("a", "b", "c"),
        ids=tuple(map(str, range(len(rows)))),
        labels=labels,
        models=(Outputs(name="dense", predicted=dense), Outputs(name="pruned", predicted=pruned)),
        groups={"film": film},
    )
    for by in ("class", "film", "class,film"):
        pair = made.pair("dense", "pruned", by, "film")
        found = effects(pair)
        assert (found.own >= 1).all()
        assert (found.rest >= 1).all()
        for measure in measured(pair).values():
            for value in (*measure.by_stratum, *measure.low, *measure.high, measure.overall):
                assert value is None or isinstance(value, str) or np.isfinite(value)


@pytest.mark.parametrize("size", [5, 10])
def test_false_alarms_at_a_correlation_of_three_tenths(size: int) -> None:
    """One class of 40 clusters in which as many are lost as gained: alarms at 5 % with clusters, without, and with."""
    clusters, correlation, draws, flips = 40, 0.3, 1500, np.array([0.06, 0.06, 0.88])
    rng = np.random.default_rng(size)
    gamma = rng.gamma((1 / correlation - 1) * flips, size=(draws, clusters, 3))
    share = gamma / gamma.sum(axis=2, keepdims=True)  # Dirichlet: of one cluster, with the intra-cluster correlation
    lost = rng.binomial(size, share[..., 0])
    gained = rng.binomial(size - lost, np.minimum(share[..., 1] / np.maximum(1 - share[..., 0], 1e-12), 1))
    pairs = []
    ones = np.full(clusters, size)
    for a, b in zip(lost, gained, strict=True):
        # Of the samples that did not flip half were right: (samples, dense right, pruned right) of each cluster.
        both = (size - a - b) // 2
        v = np.stack([ones, both + a, both + b], axis=1)
        products, number = (v[:, :, None] * v[:, None, :]).sum(axis=0), np.array([clusters])
        sums = Clusters(
            column="film", own=products[None], cross=products[None], whole=products,
            number=number, within=number, total=clusters,
        )  # fmt: skip
        pair = Pair.of(np.array([[both.sum(), a.sum(), b.sum(), (size - a - b - both).sum()]]))
        pairs.append(replace(pair, clusters=sums))
    error = np.sqrt(0.05 * 0.95 / draws)
    for clustered in (False, True):
        worth = [sides(p if clustered else replace(p, clusters=None), Settings())[0] for p in pairs]
        less, more, n = (np.concatenate([getattr(side, name) for side in worth]) for name in ("lost", "gained", "n"))
        low, high = _tango.interval(less, more, n, 0.95)
        for alarms in (1 - ((low <= 0) & (high >= 0)).mean(), (mid_p(less, more) <= 0.05).mean()):
            if clustered:
                assert 0.02 < alarms <= 0.05 + 3 * error
            else:
                assert alarms > 0.13

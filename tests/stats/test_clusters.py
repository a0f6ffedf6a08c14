"""Design effects: against sums over clusters by hand, where there is nothing to estimate, and by simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prune_audit.core import Array, Clusters, Counts, Floats, Outputs, Pair, Predictions, Settings
from prune_audit.stats import _tango, change
from prune_audit.stats._clusters import CHANGE, DENSE, alike, as_student, effects, quantile
from prune_audit.stats._effective_counts import sides, whole
from prune_audit.stats._mcnemar import mid_p
from prune_audit.tasks import classification
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


def test_what_the_choice_of_thresholds_adds_is_a_variance_of_the_change() -> None:
    """So many times that of the mean change of independent samples; of a recall alone it adds nothing."""
    stratum, cluster, dense, pruned = drawn(40, 60)
    kept = stratum == 2
    pruned = np.where(kept, dense, pruned)  # a stratum in which nothing changed
    plain = pair_of(stratum, cluster, dense, pruned)
    added = np.array([1e-4, 3e-4, 2e-4, 5e-5])
    found, before = effects(replace(plain, chosen=added)), effects(plain)
    change = pruned.astype(float) - dense
    variance = np.array([change[stratum == c].var() / (stratum == c).sum() for c in range(2)])
    np.testing.assert_allclose(found.own - before.own, [*(added[:2] / variance), 0], rtol=1e-9)
    assert found.whole - before.whole == pytest.approx(added[3] / (change.var() / len(change)), rel=1e-9)
    np.testing.assert_array_equal(found.rest, before.rest)
    of_dense = effects(replace(plain, chosen=added), DENSE), effects(plain, DENSE)
    np.testing.assert_array_equal(of_dense[0].own, of_dense[1].own)


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


@pytest.mark.usefixtures("coarse_roots")
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
        pair = classification.pair(made, "dense", "pruned", by, "film")
        found = effects(pair)
        assert (found.own >= 1).all()
        assert (found.rest >= 1).all()
        for measure in measured(pair).values():
            for value in (*measure.by_stratum, *measure.low, *measure.high, measure.overall):
                assert value is None or isinstance(value, str) or np.isfinite(value)


@pytest.mark.usefixtures("coarse_roots")
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


def films(lost: Counts, gained: Counts, size: Counts) -> Pair:
    """A pair of S classes in K films, from counts (K, S); half of the samples that did not flip were right."""
    both = (size - lost - gained) // 2
    v = np.stack([size, both + lost, both + gained], axis=2)  # (K, S, 3)
    whole = v.sum(axis=1)
    number = np.full(lost.shape[1], len(lost))
    clusters = Clusters(
        column="film",
        own=np.einsum("ksi,ksj->sij", v, v),
        cross=np.einsum("ksi,kj->sij", v, whole),
        whole=whole.T @ whole,
        number=number,
        within=0 * number,
        total=len(lost),
        flipped=(lost + gained > 0).sum(axis=0),
    )
    table = np.stack([both, lost, gained, size - both - lost - gained], axis=2).sum(axis=0)
    return replace(Pair.of(table), clusters=clusters)


def lucky(rng: np.random.Generator, size: Counts, flips: Floats, correlation: float = 0.3) -> Pair:
    """A draw in which the samples of a class (K, S) in one film agree with a ``correlation``."""
    gamma = rng.gamma((1 / correlation - 1) * flips, size=(*size.shape, 3))
    share = gamma / gamma.sum(axis=2, keepdims=True)
    lost = rng.binomial(size, share[..., 0])
    left = np.maximum(1 - share[..., 0], 1e-12)
    return films(lost, rng.binomial(size - lost, np.minimum(share[..., 1] / left, 1)), size)


def test_films_by_counts_are_films_by_samples() -> None:
    stratum, cluster, dense, pruned = drawn()
    found = pair_of(stratum, cluster, dense, pruned).clusters
    assert found is not None
    flipped = [len(set(cluster[(stratum == c) & (dense != pruned)])) for c in range(3)]
    np.testing.assert_array_equal(found.flipped, flipped)


def test_uneven_clusters_count_as_fewer_of_one_size() -> None:
    stratum, cluster, dense, pruned = drawn()
    pair = pair_of(stratum, cluster, dense, pruned)
    found = alike(pair)

    def kish(of: Array) -> float:
        n = np.bincount(cluster[of])
        return float(n.sum() ** 2 / (n**2).sum())

    np.testing.assert_allclose(found.own, [kish(stratum == c) for c in range(3)])
    np.testing.assert_allclose(found.rest, [kish(stratum != c) for c in range(3)])
    assert found.whole == pytest.approx(kish(stratum >= 0))
    ones = np.ones((7, 2), int)
    even = films(ones, ones, 9 * ones)
    assert alike(even).own.tolist() == [7, 7]
    assert np.isinf(alike(replace(pair, clusters=None)).own).all()
    assert np.isinf(alike(replace(pair, by="film")).own).all()


def test_quantiles_and_p_are_those_of_student() -> None:
    freedom = np.array([1.0, 4.5, 30, np.inf])
    expected = np.append(stats.t.ppf(0.995, freedom[:3]), stats.norm.ppf(0.995))
    np.testing.assert_allclose(quantile(freedom, 0.99), expected, rtol=1e-9)
    z = np.array([-3.0, -1.0, 0.5, -2.0])
    expected = np.append(stats.t.cdf(z[:3], freedom[:3]), stats.norm.cdf(-2))
    np.testing.assert_allclose(as_student(stats.norm.cdf(z), freedom), expected, rtol=1e-9)
    assert as_student(np.array([0.0, 1.0]), np.array([5.0, 5.0])).tolist() == [0, 1]


def test_limits_lie_students_quantile_away_and_agree_with_p() -> None:
    pair = lucky(np.random.default_rng(2), np.full((12, 3), 20), np.array([0.2, 0.05, 0.75]))
    found = measured(pair)
    worth = sides(pair, Settings())[0]
    t = stats.t.ppf(0.975, alike(pair).own - 1)
    for limits, sign in ((found["change"].high, 1), (found["change"].low, -1)):
        at = _tango.score(worth.lost, worth.gained, worth.n, -np.array(limits, float))
        np.testing.assert_allclose(at, sign * t, rtol=1e-6)
    z = stats.norm.isf(mid_p(worth.lost, worth.gained) / 2)
    np.testing.assert_allclose(np.array(found["p_value"].by_stratum, float), 2 * stats.t.sf(z, 11), rtol=1e-9)
    all_ = whole(pair, Settings())
    z = stats.norm.isf(mid_p(all_.lost, all_.gained) / 2)
    assert found["p_value"].overall == pytest.approx(float(2 * stats.t.sf(z, 11)[0]))


def test_a_class_in_which_ten_clusters_flipped_stands_by_its_own_effect() -> None:
    rng = np.random.default_rng(4)
    size = np.full((12, 2), 10)
    lost = np.stack([rng.binomial(10, 0.3, 12), np.where(np.arange(12) < 4, 10, 0)], axis=1)
    lost[:9, 0] = np.maximum(lost[:9, 0], 1)
    lost[9:, 0] = [1, 0, 0]
    ten = films(lost, 0 * lost, size)
    nine = films(np.where((np.arange(12) == 9)[:, None], 0, lost), 0 * lost, size)
    flipped = [pair.clusters.flipped for pair in (ten, nine) if pair.clusters is not None]
    assert [counts[0] for counts in flipped if counts is not None] == [10, 9]
    value, cluster = np.repeat(np.arange(2) == 0, [lost[:, 0].sum(), 120 - lost[:, 0].sum()]), np.arange(12)
    own = max(1.0, variance_ratio(value, np.concatenate([cluster.repeat(lost[:, 0]), cluster.repeat(10 - lost[:, 0])])))
    assert effects(ten).own[0] == pytest.approx(own)
    assert effects(ten).own[0] < 3 < effects(nine).own[0]
    assert ten.clusters is not None
    older = replace(ten, clusters=replace(ten.clusters, flipped=None))
    assert effects(older).own[0] > 3


@pytest.mark.parametrize(("clusters", "expected"), [(9, "too few clusters (9): "), (10, "too few samples: ")])
def test_few_clusters_are_the_reason_that_nothing_can_be_told(clusters: int, expected: str) -> None:
    size = np.full((clusters, 2), 10)
    lost = np.zeros_like(size)
    lost[0] = 1
    found = measured(films(lost, 0 * lost, size))
    assert found["verdict"].by_stratum == ("cannot tell",) * 2
    assert all(str(reason).startswith(expected) for reason in found["reason"].by_stratum)
    assert all(str(reason).startswith(expected) for reason in found["distortion_reason"].by_stratum)


def test_clusters_of_uneven_sizes_are_too_few_though_there_are_many() -> None:
    size = np.repeat([[100, 100], [1, 1]], [2, 20], axis=0)
    lost = np.zeros_like(size)
    lost[0] = 1
    reason = measured(films(lost, 0 * lost, size))["reason"].by_stratum[0]
    assert str(reason).startswith("too few clusters (22, as good as 2.4 of one size): ")


UNEVEN = "uneven"


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize("clusters", [6, 10, 30, 100])
@pytest.mark.parametrize("sizes", [(2, 20), UNEVEN], ids=["rare and common", "uneven"])
def test_intervals_of_few_clusters_hold_the_truth(clusters: int, sizes: tuple[int, int] | str) -> None:
    """95 % intervals of a change, of a rare class beside a common one and of clusters of 4 to 60 samples."""
    draws, flips = 150, np.array([0.25, 0.15, 0.6])
    each = np.array(sizes) if sizes != UNEVEN else np.geomspace(4, 60, clusters).round().astype(int)[:, None]
    rng, held = np.random.default_rng(clusters), []
    for _ in range(draws):
        pair = lucky(rng, np.broadcast_to(each, (clusters, 2)), flips)
        (found,) = change.measure(pair, Settings())
        held.append((np.array(found.low, float) <= -0.1) & (np.array(found.high, float) >= -0.1))
    error = np.sqrt(0.05 * 0.95 / draws)
    assert (np.mean(held, axis=0) >= 0.95 - 3 * error).all()
    if clusters <= 10:
        assert np.mean(held) > 0.95

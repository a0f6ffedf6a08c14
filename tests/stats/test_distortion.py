"""The distortion verdict: its names, its conditions, and that it stays quiet when nothing changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from prune_audit.core import Pair, Settings
from prune_audit.stats import _retention
from prune_audit.stats import balance as balance_column
from prune_audit.stats import distortion as distortion_column
from tests.stats.pairs import measured, pairs, quick, same

STILL = (900, 0, 0, 100)


def distortion(*counts: tuple[int, int, int, int], settings: Settings | None = None) -> str:
    """The verdict on the first class beside four that did not change, accuracy .9."""
    return str(measured(Pair.of([*counts, *[STILL] * 4]), settings)["distortion"].by_stratum[0])


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((400, 300, 0, 300), "intensified"),  # .7 -> .4
        ((700, 290, 0, 10), "flipped"),  # .99 -> .7
        ((700, 200, 0, 100), "created"),  # .9 -> .7
        ((14, 12, 0, 4), "harmed"),  # fell, but thirty samples do not show from where
        ((960, 30, 0, 10), "levelled down"),  # .99 -> .96, less than the margin
        ((700, 0, 200, 100), "held better"),  # .7 -> .9
        ((900, 2, 2, 96), "no harm shown"),
        ((26, 2, 1, 1), "cannot tell"),
    ],
)
def test_every_name(counts: tuple[int, int, int, int], verdict: str) -> None:
    assert distortion(counts) == verdict


def test_a_class_that_still_leads_is_levelled_down_and_not_harmed() -> None:
    found = measured(Pair.of([(800, 190, 0, 10), *[(600, 0, 0, 400)] * 4]))
    assert float(found["q_harmed"].by_stratum[0] or 0) < 0.001
    assert found["distortion"].by_stratum[0] == "levelled down"
    assert "still stands above the model" in str(found["distortion_reason"].by_stratum[0])


def test_a_class_that_gained_less_than_the_rest_is_not_harmed() -> None:
    pair = Pair.of([(500, 0, 0, 500), *[(500, 0, 200, 300)] * 4])
    found = measured(pair)
    assert float(found["q_harmed"].by_stratum[0] or 0) < 0.001
    assert found["distortion"].by_stratum[0] == "no harm shown"
    assert "without losing samples" in str(found["distortion_reason"].by_stratum[0])


def test_a_fall_that_all_share_harms_none() -> None:
    found = measured(Pair.of([(700, 200, 0, 100)] * 5))
    assert set(found["distortion"].by_stratum) == {"no harm shown"}
    assert found["retention"].by_stratum == pytest.approx([1.0] * 5)


def test_the_margin_decides() -> None:
    counts = (700, 200, 0, 100)
    assert distortion(counts, settings=Settings(retention_margin=0.95)) == "created"
    assert distortion(counts, settings=Settings(retention_margin=0.5)) == "no harm shown"


def test_q_is_the_lower_tail_at_the_margin_corrected() -> None:
    pair = Pair.of([(400, 300, 0, 300), *[STILL] * 4])
    own, rest = _retention.sides(pair)
    p = stats.norm.cdf(_retention.skewness_corrected(own, rest, np.full(5, 0.95)))
    found = np.array(measured(pair)["q_harmed"].by_stratum, float)
    np.testing.assert_allclose(found, stats.false_discovery_control(p), rtol=1e-9)


def test_two_classes_are_one_hypothesis_and_say_so() -> None:
    pair = Pair.of([(360, 120, 20, 0), (400, 10, 30, 60)])
    found = measured(pair)
    own, rest = _retention.sides(pair)
    p = stats.norm.cdf(_retention.skewness_corrected(own, rest, np.full(2, 0.95)))
    np.testing.assert_allclose(np.array(found["q_harmed"].by_stratum, float), p, rtol=1e-9)  # no correction
    a, b = found["retention"].by_stratum
    assert float(a or 0) * float(b or 0) == pytest.approx(1)
    assert all("one finding" in str(reason) for reason in found["distortion_reason"].by_stratum)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ([(0, 0, 5, 5), STILL], "dense recall is 0: nothing to lose"),
        ([(5, 0, 0, 5)], "there are no other samples to compare with"),
        ([(5, 0, 0, 5), (0, 0, 0, 0)], "there are no other samples to compare with"),
        ([(0, 0, 0, 0), STILL], "no samples"),
        ([(5, 0, 0, 5), (0, 0, 1, 9)], "the dense model is never right on the rest"),
        ([(5, 0, 0, 5), (0, 1, 0, 9)], "the rest kept nothing"),
    ],
)
def test_what_cannot_be_compared_is_absent_with_its_reason(counts: list[tuple[int, int, int, int]], why: str) -> None:
    found = measured(Pair.of(counts))
    for name in ("distortion", "distortion_reason", "retention", "q_harmed"):
        assert found[name].by_stratum[0] is None
        assert found[name].absent[0] == why


def test_a_class_with_nothing_to_lose_is_out_of_the_family() -> None:
    with_it = measured(Pair.of([(400, 300, 0, 300), STILL, STILL, (0, 0, 0, 40)]))["q_harmed"].by_stratum
    p = measured(Pair.of([(400, 300, 0, 300), STILL, STILL, (0, 0, 0, 40)]), Settings(correction="none"))
    assert float(with_it[0] or 0) == pytest.approx(3 * float(p["q_harmed"].by_stratum[0] or 0))


def test_all_of_it_lost() -> None:
    found = measured(Pair.of([(0, 50, 0, 0), *[STILL] * 4]))
    assert found["retention"].by_stratum[0] == 0
    assert found["retention"].low[0] == 0
    assert 0 < (found["retention"].high[0] or 0) < 0.1


@pytest.mark.usefixtures("coarse_roots")
@quick
@given(pairs(least=2))
def test_one_file_harms_none(pair: Pair) -> None:
    found = measured(same(pair))
    assert set(found["distortion"].by_stratum) <= {"no harm shown", None}
    assert set(found["q_harmed"].by_stratum) <= {1.0, None}


@pytest.mark.usefixtures("coarse_roots")
def test_the_naive_rule_flags_half_when_nothing_changed_and_this_one_does_not() -> None:
    """Ten classes x 200 with gaps, true recalls equal before and after: |new balance| > |old balance| is a coin."""
    rng = np.random.default_rng(4)
    recall = np.linspace(0.7, 0.95, 10)
    flip = 0.03
    cells = np.stack([recall - flip, np.full(10, flip), np.full(10, flip), 1 - recall - flip], axis=1)
    naive, ours = [], []
    for _ in range(200):
        pair = Pair.of(rng.multinomial(200, cells))
        found = measured(pair, only=distortion_column) | measured(pair, only=balance_column)
        dense, pruned = (np.array(found[f"{m}_balance"].by_stratum, float) for m in ("dense", "pruned"))
        naive.append(np.abs(pruned) > np.abs(dense))
        ours.append([d in ("harmed", "intensified", "flipped", "created") for d in found["distortion"].by_stratum])
    assert np.mean(naive) == pytest.approx(0.5, abs=0.04)
    assert np.mean(ours) <= 0.002


@pytest.mark.usefixtures("coarse_roots")
def test_a_class_that_lost_forty_percent_is_found() -> None:
    """100 classes x 100, one loses 40 % of its recall in a model that keeps the rest."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(60):
        audit = rng.multinomial(100, [0.85, 0.02, 0.02, 0.11], size=100)
        audit[0] = rng.multinomial(100, [0.50, 0.37, 0.02, 0.11])
        name = measured(Pair.of(audit), only=distortion_column)["distortion"].by_stratum[0]
        found.append(name in ("harmed", "intensified", "flipped", "created"))
    assert np.mean(found) >= 0.95


@pytest.mark.parametrize(
    ("right", "wrong", "verdict"),
    [(70, 0, "cannot tell"), (80, 0, "no harm shown"), (72, 72, "cannot tell"), (80, 80, "no harm shown")],
)
def test_without_flips_it_takes_75_to_80_samples_that_were_right(right: int, wrong: int, verdict: str) -> None:
    assert distortion((right, 0, 0, wrong), (9000, 200, 200, 600)) == verdict


def test_a_class_that_lost_nothing_beside_a_rest_that_gained_is_not_harmed() -> None:
    """It is shown to have kept less than .95 of what the rest kept, and no sample of it was lost."""
    found = measured(Pair.of([(500, 0, 0, 500), (5000, 0, 1000, 4000)]))
    assert (found["retention"].high[0] or 1) < 0.95
    assert found["distortion"].by_stratum[0] == "no harm shown"
    assert ", without losing samples on balance" in str(found["distortion_reason"].by_stratum[0])

"""What may be called an explanation: ranks against scipy, chance against counting, how often luck gets through."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any, Literal

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from prune_audit.explain import rule
from prune_audit.lenses import Account

Larger = Literal["more", "either"]


def accounts(values: Any, larger: Larger | Sequence[Larger] = "either") -> list[Account]:
    meant: Sequence[Larger] = [larger] * len(values) if isinstance(larger, str) else larger
    return [
        Account(name=f"a{i}", title=f"A{i}", values=tuple(row.tolist()), larger=one)
        for i, (row, one) in enumerate(zip(values, meant, strict=True))
    ]


def test_rank_correlations_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    values, outcome = generator.integers(0, 5, (4, 12)).astype(float), generator.integers(0, 6, 12).astype(float)
    found = {each.account.name: each.rho for each in rule.tried(accounts(values), outcome)}
    for i, row in enumerate(values):
        assert found[f"a{i}"] == pytest.approx(spearmanr(row, outcome).statistic, abs=1e-12)


def test_p_is_the_share_of_orders_in_which_any_is_as_good() -> None:
    """Over every order of eight classes, by the formula for ranks without ties."""
    generator = np.random.default_rng(1)
    values, outcome = generator.normal(size=(2, 8)), generator.normal(size=8)
    best = rule.tried(accounts(values), outcome)[0]
    ranks = values.argsort(axis=1).argsort(axis=1)  # (2, 8)
    own = outcome.argsort().argsort()
    # Without ties Spearman's coefficient is 1 - 6 sum d^2 / (n (n^2 - 1)).
    orders = own[np.array(list(permutations(range(8))))]  # (8!, 8)
    rho = np.stack([1 - ((row - orders) ** 2).sum(axis=1) * 6 / (8 * 63) for row in ranks])  # (2, 8!)
    assert best.p == pytest.approx(float((np.abs(rho).max(axis=0) >= abs(best.rho) - 1e-12).mean()), abs=1e-12)


def little(classes: int) -> Any:
    """Numbers that go with the order of the classes a little."""
    order = np.arange(float(classes))
    order[: classes // 2] = order[: classes // 2][::-1]
    return order


def test_where_a_larger_number_means_more_loss_only_that_order_counts() -> None:
    """Over every order of eight classes, one by one, with coefficients of scipy; one measure of four has no sign."""
    generator = np.random.default_rng(4)
    meant: list[Larger] = ["more", "either", "more", "more"]
    values = generator.normal(size=(4, 8))
    outcome = generator.normal(size=8) - values[2]  # the third is opposed
    found = {each.account.name: each for each in rule.tried(accounts(values, meant), outcome)}
    ranks, own = rankdata(values, axis=1), rankdata(outcome)
    orders = own[np.array(list(permutations(range(8))))]  # (8!, 8)
    rho = np.stack([1 - ((row - orders) ** 2).sum(axis=1) * 6 / (8 * 63) for row in ranks])  # (4, 8!)
    best = np.maximum.reduce([rho[0], np.abs(rho[1]), rho[2], rho[3]])
    for i, larger in enumerate(meant):
        real = spearmanr(values[i], outcome).statistic
        assert found[f"a{i}"].rho == pytest.approx(real, abs=1e-12)
        good = real if larger == "more" else abs(real)
        assert found[f"a{i}"].p == pytest.approx(float((best >= good - 1e-12).mean()), abs=1e-12)
    assert found["a2"].opposed
    assert not found["a1"].opposed
    assert found["a2"].p > 0.9


@pytest.mark.parametrize("classes", [8, 12])
def test_the_opposite_order_of_a_predicted_loss_explains_nothing(classes: int) -> None:
    """With all orders, and with drawn ones; of what only describes a class it is an order like another."""
    up = np.arange(float(classes))
    (right,) = rule.tried(accounts(up[None], "more"), up)
    assert right.named
    if classes == 8:
        assert right.p == 1 / 40320
    (wrong,) = rule.tried(accounts(up[None], "more"), -up)
    assert wrong.rho == pytest.approx(-1)
    assert (wrong.p, wrong.named, wrong.opposed) == (1, False, True)
    (either,) = rule.tried(accounts(up[None]), -up)
    assert either.named
    # A strong correlation of the wrong sign comes behind a weak one of the right sign.
    weak = little(classes)
    both = rule.tried(accounts(np.stack([-up, weak]), "more"), up)
    assert [each.account.name for each in both] == ["a1", "a0"]


def test_of_ten_classes_and_nine_measures_a_correlation_must_reach_about_point_eight() -> None:
    outcome = np.arange(10.0)
    noise = np.random.default_rng(2).normal(size=(8, 10))
    close = np.array([0, 1, 2, 3, 4, 5, 6, 9, 8, 7.0])  # rho .95
    named = rule.tried(accounts(np.vstack([close, noise])), outcome)
    assert named[0].named
    assert named[0].account.name == "a0"
    weak = np.array([5, 0, 1, 2, 9, 4, 3, 6, 7, 8.0])
    assert 0.5 < spearmanr(weak, outcome).statistic < 0.75
    assert not any(each.named for each in rule.tried(accounts(np.vstack([weak, noise])), outcome))


def test_luck_gets_through_no_more_often_than_allowed() -> None:
    """Nine measures that have nothing to do with it, over 200 audits of ten classes."""
    generator = np.random.default_rng(3)
    named = sum(
        any(each.named for each in rule.tried(accounts(generator.normal(size=(9, 10))), generator.normal(size=10)))
        for _ in range(200)
    )
    assert named <= 19  # 99 % of binomials of 200 at .05 are below


def test_below_eight_classes_nothing_is_ranked() -> None:
    values = np.arange(7.0)[None]
    assert rule.tried(accounts(values), np.arange(7.0)) == ()
    eight = rule.tried(accounts(np.arange(8.0)[None]), np.arange(8.0))
    assert eight[0].p == 2 / 40320  # the same order and its reverse


def test_what_is_absent_or_constant_is_left_out() -> None:
    some = [
        Account(name="same", title="Same", values=(1.0,) * 10, larger="more"),
        Account(name="gap", title="Gap", values=(None, *map(float, range(9))), larger="more"),
    ]
    (found,) = rule.tried(some, np.arange(10.0))
    assert found.account.name == "gap"
    assert found.rho == pytest.approx(1)
    assert rule.tried(some, np.full(10, 2.0)) == ()
    few = Account(name="a", title="A", values=(None, None, None, *range(7)), larger="more")
    assert rule.tried([few], np.arange(10.0)) == ()

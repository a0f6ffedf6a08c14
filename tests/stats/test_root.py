"""Bisection against functions whose roots are known."""

from __future__ import annotations

import numpy as np

from prune_audit.stats._root import falling_root, first_count, limits, standardised, unskewed


def test_root_is_found_to_the_last_bit() -> None:
    target = np.array([-0.7, 0.0, 1e-6, 0.3, 1.0])
    found = falling_root(lambda x: target - x, np.full(5, -1.0), np.ones(5))
    np.testing.assert_allclose(found, target, atol=1e-15)


def test_no_crossing_ends_at_the_bracket() -> None:
    assert falling_root(np.ones_like, np.zeros(1), np.ones(1))[0] == 1
    assert falling_root(lambda x: -np.ones_like(x), np.zeros(1), np.ones(1))[0] < 1e-15


def test_both_limits_are_found_each_within_its_own_bracket() -> None:
    middle, slope = np.array([-0.5, 0.0, 0.25]), np.array([4.0, 8.0, 100.0])
    ends = np.full(3, -1.0), np.ones(3)
    low, high = limits(lambda x: slope * (middle - x), 1.5, (ends[0], middle), (middle, ends[1]))
    np.testing.assert_allclose(low, middle - 1.5 / slope, atol=1e-15)
    np.testing.assert_allclose(high, middle + 1.5 / slope, atol=1e-15)
    low, high = limits(lambda x: slope * (middle - x), 1000.0, (ends[0], middle), (middle, ends[1]))
    np.testing.assert_allclose(low, ends[0], atol=1e-15)  # nothing crosses
    np.testing.assert_allclose(high, ends[1], atol=1e-15)


def test_no_variance_is_no_evidence_only_where_nothing_differs() -> None:
    z = standardised(np.array([0.0, 1.0, -1.0, 3.0]), np.array([0.0, 0.0, 0.0, 9.0]))
    np.testing.assert_array_equal(z, [0.0, np.inf, -np.inf, 1.0])


def test_without_skewness_the_score_stays_and_no_difference_is_no_score() -> None:
    z, one = np.array([-2.0, 0.0, 3.0]), np.ones(3)
    np.testing.assert_array_equal(unskewed(z, 0 * one, one), z)
    skewed = unskewed(z, 0.6 * one, one)  # of a tenth: the root s of z = s + (s^2 - 1) / 10
    assert skewed[1] == 0
    np.testing.assert_allclose((skewed + (skewed**2 - 1) / 10)[[0, 2]], z[[0, 2]])
    assert unskewed(np.array([-9.0]), np.array([6.0]), np.ones(1))[0] == -0.5  # beyond the vertex: there
    assert unskewed(np.array([-9.0]), np.array([3.0]), np.ones(1))[0] == -1  # of half the skewness, twice as far
    infinite = np.array([np.inf, -np.inf])  # where there is no variance, and something differs all the same
    np.testing.assert_array_equal(unskewed(infinite, np.ones(2), np.zeros(2)), infinite)


def test_counts_are_found_from_a_guess_however_far_off() -> None:
    most = np.array([0.0, 3, 10, 100, 100, 100])
    first = np.array([0.0, 4, 7, 0, 50, 101])
    for off in (-120.0, -1.5, 0.0, 0.4, 30.0):
        np.testing.assert_array_equal(first_count(first + off, lambda at: at >= first, most), first)

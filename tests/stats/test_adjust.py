"""Corrections against statsmodels, and what counts as a member of the family."""

from __future__ import annotations

import gc
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from prune_audit.core import Correction
from prune_audit.stats._adjust import adjusted, e_bh, next_level
from tests.stats.pairs import quick

METHODS: tuple[Correction, ...] = get_args(Correction)
# Subnormal numbers have fewer digits than the others, so that no relative tolerance holds for them.
p_values = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=30).map(np.array)


@pytest.mark.parametrize("correction", [m for m in METHODS if m != "none"])
@settings(max_examples=40)
@given(p=p_values)
def test_corrected_values_are_those_of_statsmodels(correction: Correction, p: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Its Holm collects garbage each time: a second, where all tests of a suite are there to be walked through.
        patch.setattr(gc, "collect", lambda: 0)
        expected = multipletests(p, method=correction)[1]
    np.testing.assert_allclose(adjusted(p, correction), expected, rtol=1e-12)


def test_none_changes_nothing() -> None:
    p = np.array([0.3, 0.01, 1.0])
    np.testing.assert_array_equal(adjusted(p, "none"), p)


@pytest.mark.parametrize("correction", METHODS)
def test_what_was_not_tested_is_no_member_of_the_family(correction: Correction) -> None:
    p = np.array([0.01, np.nan, 0.04, np.nan])
    q = adjusted(p, correction)
    np.testing.assert_array_equal(q[[0, 2]], adjusted(p[[0, 2]], correction))
    assert np.isnan(q[[1, 3]]).all()
    assert np.isnan(adjusted(np.full(2, np.nan), correction)).all()
    assert adjusted(np.empty(0), correction).shape == (0,)


@quick
@given(p=p_values)
def test_what_holm_rejects_benjamini_hochberg_rejects(p: np.ndarray) -> None:
    assert (adjusted(p, "fdr_bh") <= adjusted(p, "holm") + 1e-15).all()


@pytest.mark.parametrize("correction", METHODS)
def test_next_level_is_what_one_more_needs(correction: Correction) -> None:
    """With two rejected already, a third is rejected just below the level, and just above it is not."""
    level = next_level(correction, 0.05, tested=10, rejected=2)
    for factor, rejected in ((0.999, True), (1.001, False)):
        p = np.array([1e-9, 1e-8, level * factor, *np.full(7, 0.9)])
        assert (adjusted(p, correction)[2] <= 0.05) is np.bool_(rejected)


def naive_e_bh(e: list[float], alpha: float) -> set[int]:
    """The definition, by trying every size of the list."""
    best: set[int] = set()
    for k in range(1, len(e) + 1):
        largest = sorted(range(len(e)), key=lambda i: -e[i])[:k]
        if all(k * e[i] / len(e) >= 1 / alpha for i in largest):
            best = set(largest)
    return best


@quick
@given(st.lists(st.floats(1e-3, 1e4), max_size=25, unique=True), st.sampled_from([0.01, 0.05, 0.2]))
def test_e_bh_is_what_its_definition_says(e: list[float], alpha: float) -> None:
    assert set(e_bh(np.log(np.array(e)), alpha).nonzero()[0].tolist()) == naive_e_bh(e, alpha)


def test_e_bh_of_many_alike_needs_less_of_each() -> None:
    assert not e_bh(np.log([40.0, 1, 1, 1]), 0.05).any()
    assert e_bh(np.log([40.0, 40, 1, 1]), 0.05).tolist() == [True, True, False, False]
    assert e_bh(np.empty(0), 0.05).shape == (0,)

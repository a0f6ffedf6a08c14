"""A sample in which every class has its share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.evaluate.sampling import stratified


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(1, 90), st.integers(0, 3))
def test_every_class_in_proportion_to_one_sample(labels: list[int], size: int, seed: int) -> None:
    values = np.array(labels)
    rows = stratified(values, size, seed)
    assert len(rows) == min(size, len(labels))
    assert (np.diff(rows) > 0).all()
    for c in range(5):
        share = (values == c).sum() * len(rows) / len(labels)
        assert abs((values[rows] == c).sum() - share) <= 1


def test_equal_seeds_draw_equally_and_others_differently() -> None:
    labels = np.repeat(np.arange(10), 50)
    np.testing.assert_array_equal(stratified(labels, 60, 1), stratified(labels, 60, 1))
    assert not np.array_equal(stratified(labels, 60, 1), stratified(labels, 60, 2))


@pytest.mark.parametrize("size", [7, 8])
def test_all_of_them_where_there_are_no_more(size: int) -> None:
    np.testing.assert_array_equal(stratified(np.zeros(7, int), size, 0), np.arange(7))

"""What comes back of samples: parts make the whole, wherever they are from."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.core import Array, Kept
from prune_audit.tasks.classification.scores import keep

RNG = np.random.default_rng(4)
SCORES = RNG.normal(size=(40, 6)).astype(np.float32)
LABELS = RNG.integers(0, 6, 40)
ROWS = RNG.permutation(100)[:40]
EVERY = tuple(field.name for field in fields(Kept))


def kept(scores: Array) -> Kept:
    return keep(scores, LABELS, ROWS, ROWS.astype(np.uint64))


def assert_same(found: Kept, wanted: Kept) -> None:
    assert found.columns.keys() == wanted.columns.keys()
    for name, values in wanted.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)
        assert found.columns[name].dtype == values.dtype


@pytest.mark.parametrize("scores", [SCORES, SCORES[:, :1], SCORES.argmax(1)], ids=["rows", "column", "classes"])
@given(cuts=st.lists(st.integers(0, 40), max_size=5).map(sorted))
def test_parts_put_together_are_the_whole(scores: Array, cuts: list[int]) -> None:
    whole = kept(scores)
    at = [*zip([0, *cuts], [*cuts, 40], strict=True)]
    joined = Kept.concat([whole.take(np.arange(*each)) for each in at])
    assert_same(joined, whole)
    assert len(joined) == 40
    order = np.random.default_rng(1).permutation(40)
    assert_same(joined.take(order).take(np.argsort(order)), whole)


def test_a_part_without_samples_says_nothing_of_the_fields() -> None:
    """Whoever could read no sample of its share knows not what the model gives."""
    whole, none = kept(SCORES), Kept(rows=ROWS[:0], digests=ROWS[:0].astype(np.uint64))
    assert_same(Kept.concat([none, whole, none]), whole)
    assert len(Kept.concat([none, none])) == 0


def test_what_one_part_lacks_is_not_there() -> None:
    whole, classes = kept(SCORES), kept(SCORES.argmax(1))
    assert set(Kept.concat([whole, classes]).columns) == {"rows", "digests", "predicted"}


def test_columns_make_it_again() -> None:
    whole = kept(SCORES)
    assert set(whole.columns) == {*EVERY} - {"column"}
    assert_same(Kept(**whole.columns), whole)

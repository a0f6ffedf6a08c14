"""Packed columns: back as they were, small, and bounded when read."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.files import packed


@given(st.lists(st.integers(0, 2**40), max_size=40))
def test_positions_come_back(values: list[int]) -> None:
    found = packed.read_positions(packed.positions(np.array(values, np.int64)), len(values))
    assert found.tolist() == values


@given(st.lists(st.booleans(), max_size=40))
def test_flags_come_back(values: list[bool]) -> None:
    assert packed.read_flags(packed.flags(np.array(values, bool)), len(values)).tolist() == values


def test_a_million_samples_of_three_models_stay_small() -> None:
    """In the worst order: a class of 1,000 drawn anew for each sample."""
    rng = np.random.default_rng(0)
    labels = packed.positions(rng.integers(0, 1000, 1_000_000))
    right = [packed.flags(rng.random(1_000_000) < share) for share in (0.9, 0.88, 0.7)]
    assert len(labels) < 2_100_000
    assert sum(map(len, right)) < 450_000


def _packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw)).decode()


@pytest.mark.parametrize(
    "text",
    ["no base64!", base64.b64encode(b"no zlib").decode(), _packed(b"\0" * 8), _packed(b"\0" * 10**6), _packed(b"")],
)
def test_what_does_not_hold_so_many_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"bytes"):
        packed.read_positions(text, 5)
    with pytest.raises(ValueError, match=r"bytes"):
        packed.read_flags(text, 50)


def test_text_that_ends_early_is_refused() -> None:
    whole = zlib.compress(bytes(range(100)))
    with pytest.raises(ValueError, match="early end"):
        packed.read_positions(base64.b64encode(whole[:-8]).decode(), 100)


def test_positions_beyond_what_has_a_sign_are_refused() -> None:
    with pytest.raises(ValueError, match="with a sign"):
        packed.read_positions(_packed(b"\xff" * 40), 5)

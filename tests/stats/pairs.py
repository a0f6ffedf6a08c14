"""Pairs drawn at random, and the ways to turn one into another that the properties are about."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from prune_audit.core import Array, Measure, Pair, Settings
from prune_audit.stats import measures

# Roots that are coarse for one example are so for all, so that they may be a fixture (tests/stats/conftest.py).
quick = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

_COUNT = st.integers(0, 40)


def pairs(least: int = 0, most: int = 6) -> st.SearchStrategy[Pair]:
    """Pairs of few strata with few samples, empty ones and missing ones included: where the corners are."""
    return st.lists(st.tuples(_COUNT, _COUNT, _COUNT, _COUNT), min_size=least, max_size=most).map(Pair.of)


def table(pair: Pair) -> Array:
    """(S, 4): both, lost, gained, neither."""
    return np.stack([pair.both, pair.lost, pair.gained, pair.neither], axis=1)


def swapped(pair: Pair) -> Pair:
    """The same samples with dense and pruned exchanged."""
    return Pair.of(table(pair)[:, [0, 2, 1, 3]])


def measured(pair: Pair, settings: Settings | None = None, only: ModuleType | None = None) -> dict[str, Measure]:
    """Every measure of ``pair`` by name, or those of one plugin, where thousands of pairs are measured."""
    return {m.name: m for m in (only.measure if only else measures)(pair, settings or Settings())}


def same(pair: Pair) -> Pair:
    """``pair`` without flips, known to be one file."""
    still = Pair.of(table(pair) * [1, 0, 0, 1])
    return replace(still, same_model=True)

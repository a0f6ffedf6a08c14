"""Roots of few digits, for simulations that ask only how often an interval holds the truth."""

from __future__ import annotations

import pytest

from prune_audit.stats import _root


@pytest.fixture
def coarse_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have limits end after 26 halvings of brackets 2 wide, within 3e-8 of where 60 end, in half the time.

    For a test of thousands of limits, none of which lies that close to what it is compared with but by a chance of
    1e-5; not for one that compares limits themselves.
    """
    monkeypatch.setattr(_root, "HALVINGS", 26)

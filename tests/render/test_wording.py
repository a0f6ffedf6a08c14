"""What findings are called, where several rooms ask."""

from __future__ import annotations

import pytest

from prune_audit.render import wording


@pytest.mark.parametrize(
    ("low", "high", "way"),
    [(1.01, 2, "grew"), (0.5, 0.99, "shrank"), (1, 2, None), (0.5, 1, None), (1.01, None, "grew"), (0.5, None, None)],
)
def test_one_rule_says_which_way_gaps_went(low: float, high: float | None, way: str | None) -> None:
    assert wording.gaps_went(low, high) == way

"""Where releases stand: together as one by one, and under several budgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prune_audit.history import spending
from tests.history.audits import stream


def test_all_at_once_is_one_after_the_other() -> None:
    releases = [*stream()[:2], replace(stream()[2], budget=None), replace(stream()[3], log_e=None), stream()[4]]
    found = spending.standings(releases)
    assert found[2] is None
    for n, each in enumerate(found):
        if each is not None:
            assert each == spending.standing(releases[:n], releases[n].log_e, 0.1)
            assert each.place == n + 1
    assert [each.rejected for each in found if each] == [False, False, False, True]


def test_a_release_under_another_budget_stands_in_the_same_stream() -> None:
    one, other = spending.standings([stream()[2], replace(stream()[4], budget=0.2)])
    assert one is not None
    assert other is not None
    assert one.level == pytest.approx(0.1 * 0.6079271, rel=1e-6)
    assert other.level == pytest.approx(0.2 * 0.1519818 * 2, rel=1e-6)


@pytest.mark.parametrize(
    ("log", "said"), [(None, "0"), (0.0, "1.00"), (5.0, "148.4"), (12.0, "162,754.8"), (20.0, "5e+08"), (9e5, "5e+299")]
)
def test_evidence_in_words(log: float | None, said: str) -> None:
    assert spending.standing([], log, 0.1).e == said


def test_what_is_left_is_what_was_not_spent() -> None:
    found = spending.standing(stream()[:3], 0.0, 0.1)
    assert found.spent == pytest.approx(0.1 * 0.6079271 * (1 + 1 / 4 + 1 / 9 + 1 / 16), rel=1e-6)
    assert found.left == pytest.approx(0.1 - found.spent)
    assert found.takes == "131.6"  # the third one regressed

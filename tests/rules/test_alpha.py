"""The rule on alpha: its interval decides, and too much noise is inconclusive."""

from __future__ import annotations

import pytest

from prune_audit.core import RuleSetting, Settings
from prune_audit.render import wording
from prune_audit.rules.alpha import DEFAULT, check
from tests.rules.comparisons import compare

# Recalls .95, .8, .65 before; the gaps double.
GREW = ((940, 10, 10, 40), (790, 10, 5, 195), (490, 160, 0, 350))
KEPT = ((940, 10, 10, 40), (790, 10, 10, 190), (640, 10, 10, 340))


def test_growth_fails_and_none_passes() -> None:
    assert check(compare(*GREW), DEFAULT)[0].outcome == "failed"
    assert check(compare(*KEPT), DEFAULT)[0].outcome == "passed"


def test_the_ends_of_the_interval_decide() -> None:
    alpha = compare(*GREW).views[0].measure("alpha_corrected")
    assert alpha.overall_low is not None
    assert alpha.overall_high is not None
    limits = (alpha.overall_low - 1e-9, alpha.overall_low + 1e-9, alpha.overall_high - 1e-9, alpha.overall_high)
    found = [check(compare(*GREW), RuleSetting(limit=limit))[0] for limit in limits]
    assert [one.outcome for one in found] == ["failed", "inconclusive", "inconclusive", "passed"]


# Few samples: the dense model's gaps are not shown to differ from none, so that nothing bounds a slope on them.
UNBOUNDED = ((11, 1, 1, 5), (5, 2, 2, 9), (1, 2, 0, 15), (13, 1, 1, 3))


def test_without_an_upper_limit_nothing_passes() -> None:
    view = compare(*UNBOUNDED).views[0]
    alpha = view.measure("alpha_corrected")
    assert alpha.overall_low == pytest.approx(0.6826, abs=5e-5)
    assert alpha.overall_high is None
    said = wording.slope(view, Settings())
    assert "95 % interval at least 0.68)" in said
    assert said.endswith(": no change shown")
    for limit, outcome in ((100, "inconclusive"), (0.6, "failed")):
        (found,) = check(compare(*UNBOUNDED), RuleSetting(limit=limit))
        assert found.outcome == outcome
        assert found.message.startswith("interval of corrected alpha at least 0.68, ")


@pytest.mark.parametrize(
    ("counts", "outcome", "message"),
    [
        (((9, 1, 0, 0), (8, 1, 1, 0), (9, 0, 1, 0)), "inconclusive", "not estimable"),
        (((90, 0, 0, 10), (50, 0, 0, 50)), "skipped", "no sample flipped"),
        (((10, 85, 0, 5), (5, 85, 0, 10)), "skipped", "collapsed"),
    ],
)
def test_what_cannot_be_told(counts: tuple[tuple[int, int, int, int], ...], outcome: str, message: str) -> None:
    (found,) = check(compare(*counts), DEFAULT)
    assert (found.outcome, found.observed) == (outcome, None)
    assert message in found.message

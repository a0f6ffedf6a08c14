"""Verdicts at any time: by their definition, readable off the interval, and of nothing that a stopping would bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit import plugins
from prune_audit.core import CANNOT_TELL, FINE, REGRESSED, Pair, Settings
from prune_audit.errors import UsageError
from prune_audit.stats import anytime, measures
from prune_audit.stats._betting import log_e
from tests.stats.pairs import pairs, quick, table

SEQUENTIAL = Settings(until_settled=True)


def drawn(pair: Pair, spared: int = 7) -> Pair:
    return replace(pair, drawn_from=pair.support + spared)


def column(pair: Pair, name: str) -> tuple[object, ...]:
    return next(m for m in measures(pair, SEQUENTIAL) if m.name == name).by_stratum


def test_a_sequential_pair_has_nothing_that_needs_a_fixed_number_of_samples() -> None:
    found = [m.name for m in measures(drawn(Pair.of([(80, 10, 5, 5), (90, 2, 3, 5)])), SEQUENTIAL)]
    counts = ["support", "both", "lost", "gained", "neither"]
    assert found == [*counts, "verdict", "reason", "change", "e_regressed", "e_fine", "samples_spared"]
    fixed = {m.name for m in measures(Pair.of([(80, 10, 5, 5)]), Settings())}
    assert not {"e_regressed", "e_fine", "samples_spared"} & fixed


def test_statistics_say_where_they_hold() -> None:
    said = {name: getattr(module, "SEQUENTIAL", "") for name, module in plugins.loaded("stats")}
    assert {name: word for name, word in said.items() if word} == {"anytime": "only", "counts": "also"}


@quick
@given(pairs(least=1), st.floats(0, 0.1), st.floats(0, 0.2))
def test_verdicts_can_be_read_off_the_sequence(pair: Pair, margin: float, more: float) -> None:
    settings = replace(SEQUENTIAL, margin=margin, assure=margin + more)
    found = {m.name: m for m in anytime.measure(drawn(pair), settings)}
    change, e = found["change"], found["e_regressed"].by_stratum
    for i, verdict in enumerate(found["verdict"].by_stratum):
        if verdict is None:
            assert change.low[i] is change.high[i] is e[i] is None
            continue
        low, high = change.low[i], change.high[i]
        assert low is not None
        assert high is not None
        assert change.by_stratum[i] is None
        beyond, below = -high > margin, -low < settings.assure
        assert verdict != REGRESSED or beyond
        assert verdict != FINE or below
        assert verdict != CANNOT_TELL or not below
        reason = str(found["reason"].by_stratum[i])
        assert reason.startswith("suspect") == (verdict == CANNOT_TELL and beyond)
    assert found["samples_spared"].overall == 7 * len(pair.strata)


def test_e_values_are_those_of_both_hypotheses() -> None:
    pair = drawn(Pair.of([(300, 60, 2, 10), (500, 2, 1, 10), (30, 1, 1, 0)]))
    lost, gained, n = pair.lost, pair.gained, pair.support
    assert column(pair, "e_regressed") == pytest.approx(np.exp(log_e(lost, gained, n, 0.02)))
    assert column(pair, "e_fine") == pytest.approx(np.exp(log_e(gained, lost, n, -0.05)))
    assert column(pair, "verdict") == (REGRESSED, FINE, CANNOT_TELL)
    for reason, end in zip(column(pair, "reason"), ("beyond the margin of 2", "below 5", ""), strict=True):
        assert str(reason).endswith(end)
        assert "95 % confidence sequence of the drop" in str(reason)


def test_what_no_report_can_write_stands_as_the_most_that_it_can() -> None:
    assert column(drawn(Pair.of([(0, 10**5, 0, 0)])), "e_regressed") == (anytime.MOST,)


def test_regressed_needs_the_list_and_not_the_class_alone() -> None:
    """Alone it is shown; beside 99 others that are not, its e-value of some 100 is short of 2,000."""
    one, others = (20, 9, 0, 0), [(30, 0, 0, 0)] * 99
    e = column(drawn(Pair.of([one])), "e_regressed")[0]
    assert isinstance(e, float)
    assert 40 < e < 2000
    assert column(drawn(Pair.of([one])), "verdict") == (REGRESSED,)
    among = drawn(Pair.of([one, *others]))
    assert column(among, "verdict")[0] == CANNOT_TELL
    assert str(column(among, "reason")[0]).startswith("suspect")
    # Classes that have nothing to draw from are no part of the list.
    empty = replace(drawn(Pair.of([one, *[(0, 0, 0, 0)] * 99]), spared=0))
    assert column(empty, "verdict")[0] == REGRESSED


@quick
@given(pairs(least=2))
def test_what_is_settled_does_not_hang_on_the_order_of_the_classes(pair: Pair) -> None:
    def settled(counts: np.ndarray) -> np.ndarray:
        both, lost, gained, neither = counts.T
        n = both + lost + gained + neither
        return anytime.evidence(lost, gained, n, n, SEQUENTIAL).settled

    np.testing.assert_array_equal(settled(table(pair))[::-1], settled(table(pair)[::-1]))


def test_one_file_on_both_sides_has_lost_nothing() -> None:
    pair = replace(drawn(Pair.of([(3, 0, 0, 1)])), same_model=True)
    assert column(pair, "verdict") == (FINE,)
    change = next(m for m in measures(pair, SEQUENTIAL) if m.name == "change")
    assert (change.low, change.high) == ((0.0,), (0.0,))


@pytest.mark.parametrize(
    ("changed", "option"),
    [
        ({"cluster": "patient"}, "--cluster"),
        ({"by": ("sex",)}, "--by"),
        ({"weights": {"cat": 1.0}}, "--weights"),
        ({"reference": "balanced"}, "--reference balanced"),
        ({"top_k": 3}, "--top-k 3"),
        ({"correction": "holm"}, "--correction holm"),
    ],
)
def test_what_needs_a_fixed_number_of_samples_is_refused(changed: dict[str, object], option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} cannot be had with --until-settled: "):
        replace(SEQUENTIAL, **changed)  # type: ignore[arg-type]  # fields by name

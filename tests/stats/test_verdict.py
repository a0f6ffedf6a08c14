"""The drop verdict: where each answer begins, its reasons, and what chance does to it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from prune_audit.core import Pair, Settings
from prune_audit.stats import _margin_test, _tango, verdict
from tests.stats.pairs import measured, pairs, quick, same
from tests.stats.test_clusters import pair_of


def verdicts(counts: object, settings: Settings | None = None) -> tuple[object, ...]:
    return verdict.judgements(Pair.of(np.asarray(counts)), settings or Settings())[0].by_stratum


def test_the_three_answers() -> None:
    assert verdicts([(36, 12, 2, 0), (40, 7, 3, 0), (900, 30, 18, 52)]) == ("regressed", "cannot tell", "fine")


@pytest.mark.parametrize(("n", "answer"), [(72, "cannot tell"), (73, "fine")])
def test_fine_begins_where_the_interval_leaves_the_assurance_limit(n: int, answer: str) -> None:
    assert verdicts([(n, 0, 0, 0)]) == (answer,)


def test_an_interval_that_ends_on_the_assurance_limit_does_not_rule_it_out() -> None:
    (_, (high,)) = _tango.interval(np.array([3]), np.zeros(1), np.array([100]), 0.95)
    beyond = float(np.nextafter(high, 1))
    assert verdicts([(97, 3, 0, 0)], Settings(assure=float(high))) == ("cannot tell",)
    assert verdicts([(97, 3, 0, 0)], Settings(assure=beyond)) == ("fine",)


def test_regressed_begins_where_the_interval_leaves_the_margin() -> None:
    answers = [verdicts([(100 - lost, lost, 0, 0)])[0] for lost in range(30)]
    lows = [_tango.interval(np.array([lost]), np.zeros(1), np.array([100]), 0.95)[0][0] for lost in range(30)]
    assert [a == "regressed" for a in answers] == [low > 0.02 for low in lows]
    assert {"regressed", "cannot tell", "fine"} == set(answers)


def test_beyond_the_margin_alone_does_not_convict_among_many() -> None:
    """The same class, alone and beside 99 others that did not change."""
    suspect, still = (43, 7, 0, 0), (200, 0, 0, 0)
    assert verdicts([suspect]) == ("regressed",)
    many = measured(Pair.of([suspect, *[still] * 99]))
    assert many["verdict"].by_stratum[0] == "cannot tell"
    reason = many["reason"].by_stratum[0]
    assert isinstance(reason, str)
    assert re.fullmatch(
        r"suspect: 95 % interval of the drop \d+\.\d to \d+\.\d points, beyond the margin of 2, "
        r"but not after correction for 100 classes",
        reason,
    )


def test_q_is_the_corrected_exact_tail_at_the_margin() -> None:
    """The tail by itself has its oracle in test_margin_test.py; a score below 1.2 stands as 1."""
    counts = np.array([(36, 12, 2, 0), (40, 7, 3, 0), (38, 8, 3, 1), (900, 30, 18, 52)])
    beta = 0.001 * 0.05 / 4
    p = [_margin_test.tail(*map(int, (c[1], c[2], c.sum())), 0.02, beta) for c in counts]
    assert _tango.score(counts[:, 1], counts[:, 2], counts.sum(1), 0.02)[[1, 3]].max() < 1.2
    p[1] = p[3] = 1.0
    found = measured(Pair.of(counts))["q_regressed"].by_stratum
    np.testing.assert_allclose(np.array(found, float), multipletests(p, method="fdr_bh")[1])


@pytest.mark.usefixtures("coarse_roots")
@pytest.mark.parametrize(("classes", "samples", "most"), [(2, 200, 0.04), (10, 300, 0.06)])
def test_few_audits_convict_anyone_where_all_lost_the_margin_and_nothing_was_gained(
    classes: int, samples: int, most: float
) -> None:
    """The worst case of Tango's own tail: 9 % of audits named a class, 2 and 4 % do now."""
    rng = np.random.default_rng(4)
    named = []
    for lost in rng.binomial(samples, 0.02, (600, classes)):
        still = np.zeros_like(lost)
        named.append("regressed" in verdicts(np.stack([samples - lost, lost, still, still], axis=1)))
    assert np.mean(named) <= most


def test_real_but_small_is_fine_and_says_so() -> None:
    found = measured(Pair.of([(9000, 150, 50, 800)]))
    assert found["verdict"].by_stratum == ("fine",)
    assert str(found["reason"].by_stratum[0]).startswith("real but small: ")


def test_worst_plausible_drop_is_the_upper_limit_and_holds_for_all_at_once() -> None:
    counts = [(36, 12, 2, 0), (40, 7, 3, 0), (900, 30, 18, 52), (0, 0, 0, 0)]
    found = measured(Pair.of(counts))
    worst, low = found["worst_plausible_drop"], found["change"].low
    assert worst.by_stratum == tuple(None if x is None else -x for x in low)
    alone = [_tango.interval(*(np.array([x]) for x in (c[1], c[2], sum(c))), 1 - 0.05 / 3)[1][0] for c in counts[:3]]  # type: ignore[call-arg, arg-type]  # three arrays
    assert worst.overall == max(alone)


@pytest.mark.parametrize("nothing", [(0, 0, 0, 500), (0, 0, 5, 495)])
def test_a_class_that_was_never_right_has_nothing_to_lose(nothing: tuple[int, int, int, int]) -> None:
    """No verdict, and the others are corrected as if it were not there."""
    others = [(36, 12, 2, 0), (40, 7, 3, 0), (900, 30, 18, 52)]
    found, alone = (measured(Pair.of(c), only=verdict) for c in ([*others, nothing, nothing], others))
    why = "dense recall is 0: nothing to lose"
    for name, measure in found.items():
        assert measure.by_stratum == (*alone[name].by_stratum, None, None)
        assert measure.absent == {**alone[name].absent, 3: why, 4: why}
        assert measure.overall == alone[name].overall


def test_where_no_class_was_ever_right_nothing_is_judged() -> None:
    found = measured(Pair.of([(0, 0, 0, 9), (0, 0, 0, 0)]), only=verdict)
    assert found["verdict"].absent == {0: "dense recall is 0: nothing to lose", 1: "no samples"}
    worst = found["worst_plausible_drop"]
    assert (worst.overall, worst.overall_absent) == (None, "dense recall is 0: nothing to lose")


@pytest.mark.parametrize(("n", "lost", "from_here"), [(107, 1, 173), (110, 2, 311), (109, 2, 311)])
def test_needed_samples_are_the_number_from_which_they_do(n: int, lost: int, from_here: int) -> None:
    """Of the README's sample. Fewer would do by luck (142 to 164 of the first, say), the last before does not."""
    row = (n - lost, lost, 0, 0)
    assert measured(Pair.of([row]), only=verdict)["samples_needed"].by_stratum == (from_here,)
    power = [stats.binom.cdf(_fine_below(size) - 1, size, lost / n) for size in range(from_here - 1, from_here + 400)]
    assert power[0] < 0.8 <= min(power[1:])


def _fine_below(n: int) -> int:
    """The fewest lost, with none gained, that are not fine; a twentieth of them lost is not."""
    counts = np.arange(n // 20 + 2)
    high = _tango.interval(counts, np.zeros_like(counts), np.full_like(counts, n), 0.95)[1]
    return int((high >= 0.05).argmax())


def test_needed_samples_are_of_those_that_belong_together_where_there_are_clusters() -> None:
    """Pairs that always agree: each is worth one sample, and a little less because there are but 100 of them."""
    alone = Pair.of([(80, 4, 3, 13)])
    dense, pruned = (np.repeat(np.repeat(right, [80, 4, 3, 13]), 2) for right in ([1, 1, 0, 0], [1, 0, 1, 0]))
    twice = pair_of(np.zeros(200, np.int64), np.arange(200) // 2, dense.astype(bool), pruned.astype(bool))
    one, two = (measured(pair, only=verdict)["samples_needed"].by_stratum[0] for pair in (alone, twice))
    assert isinstance(one, int)
    assert two == pytest.approx(2 * one * (special.stdtrit(99, 0.975) / special.ndtri(0.975)) ** 2, rel=0.02)


def test_needed_samples_settle_it_in_four_of_five_cases() -> None:
    """Draw at the rates that were seen, with as many samples as were asked for."""
    n, lost, gained = 100, 4, 3
    pair = measured(Pair.of([(80, lost, gained, 13)]))
    assert pair["verdict"].by_stratum == ("cannot tell",)
    needed = int(pair["samples_needed"].by_stratum[0] or 0)
    assert needed > n
    rng = np.random.default_rng(1)
    draws = rng.multinomial(needed, [lost / n, gained / n, 1 - (lost + gained) / n], size=20000)
    high = _tango.interval(draws[:, 0], draws[:, 1], np.full(20000, needed), 0.95)[1]
    assert float((high < 0.05).mean()) == pytest.approx(0.8, abs=0.04)


def test_needed_samples_of_a_suspect_pass_the_correction() -> None:
    suspect, still = (43, 7, 0, 0), (200, 0, 0, 0)
    needed = int(measured(Pair.of([suspect, *[still] * 99]))["samples_needed"].by_stratum[0] or 0)
    grown = tuple(round(c * needed / 50) for c in suspect)
    assert verdicts([grown, *[still] * 99])[0] == "regressed"


def test_settled_classes_need_no_samples() -> None:
    assert measured(Pair.of([(900, 30, 18, 52)]))["samples_needed"].absent == {0: "settled"}
    at_margin = measured(Pair.of([(48, 1, 0, 1)]), Settings(assure=0.02))["samples_needed"]
    assert at_margin.absent == {0: "the drop seen is all but the margin: more than 1,048,576 samples"}


@pytest.mark.usefixtures("coarse_roots")
@quick
@given(pairs(least=1))
def test_one_file_is_fine_by_identity(pair: Pair) -> None:
    found = measured(same(pair))
    assert set(found["verdict"].by_stratum) <= {"fine", None}
    assert set(found["q_regressed"].by_stratum) <= {1.0, None}
    assert set(found["worst_plausible_drop"].by_stratum) <= {0.0, None}


@pytest.mark.usefixtures("coarse_roots")
def test_few_audits_convict_anyone_when_nothing_changed() -> None:
    """100 classes x 50, churn 6 %, no true change: a flagged class anywhere in at most 7 % of 300 audits."""
    rng = np.random.default_rng(2)
    audits = [rng.multinomial(50, [0.8, 0.03, 0.03, 0.14], size=100) for _ in range(300)]
    assert np.mean(["regressed" in verdicts(a) for a in audits]) <= 0.07


@pytest.mark.usefixtures("coarse_roots")
def test_a_large_drop_is_found() -> None:
    """100 classes x 100, one of them loses 30 points: found in at least 90 % of audits, and 99 % were measured."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(100):
        audit = rng.multinomial(100, [0.8, 0.03, 0.03, 0.14], size=100)
        audit[0] = rng.multinomial(100, [0.53, 0.33, 0.03, 0.11])
        found.append(verdicts(audit)[0] == "regressed")
    assert np.mean(found) >= 0.9

"""Measures that do not come from counts stay where a view is counted again; what clashes or does not fit is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prune_audit import gate, stats
from prune_audit.core import Measure, Pair, RuleSetting, Settings, View
from prune_audit.core.requests import Policy
from prune_audit.document import from_document, to_document
from prune_audit.errors import InputError, UsageError
from tests.reports import audits

PAIR = Pair.of([(80, 12, 3, 5), (90, 4, 2, 4), (50, 1, 1, 8)])
MINE = Measure(name="mine", title="mine", unit="share", by_stratum=(0.5, None, 0.25), absent={1: "not asked"})


def view(margin: float = 0.02) -> View:
    return View(pair=PAIR, measures=stats.measures(PAIR, Settings(margin=margin, assure=max(0.05, margin))))


def test_what_is_counted_is_counted_again_and_the_rest_stays() -> None:
    with_mine = view().beside(MINE)
    assert with_mine.measure("mine") is MINE
    assert with_mine.measures[:-1] == view().measures
    again = with_mine.again(PAIR, view(margin=0.2).measures)
    assert again == view(margin=0.2).beside(MINE)
    assert again.measure("verdict") != with_mine.measure("verdict")
    assert view().again(PAIR, view().measures) == view()


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (replace(MINE, name="change"), "expected one measure called change"),
        (replace(MINE, by_stratum=(0.5, 0.5)), "mine has 2 values for the 3 strata by class"),
        (replace(MINE, low=(0.1,)), "mine has 1 values for the 3 strata"),
        (replace(MINE, by_stratum=(0.5, float("nan"), 0.5)), "mine has a value that is no number"),
    ],
)
def test_what_does_not_fit_is_refused(measure: Measure, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        view().beside(measure)


def test_a_name_that_a_statistic_has_taken_since_is_told() -> None:
    """A later version may count what somebody put there under the same name; neither goes in silence."""
    with pytest.raises(UsageError, match="expected one measure called mine"):
        view().beside(MINE).again(PAIR, (*view().measures, MINE))


def test_a_policy_that_measures_again_keeps_them_and_so_does_a_document() -> None:
    plain = audits.several()
    name = plain.comparisons[1].pruned.name
    strata = plain.comparisons[1].view().strata
    mine = replace(MINE, by_stratum=(0.5,) * len(strata), absent={})
    audit = from_document(to_document(plain.beside(name, mine)))
    policy = Policy(name="p", rules={"recall-drop": RuleSetting(limit=0.4)})
    judged = gate.judge(audit, policy)
    assert judged.provenance.settings.margin == 0.4 != plain.provenance.settings.margin
    assert judged.comparisons[1].view().measure("mine") == mine
    assert judged.comparisons[0].view().apart == ()
    without = gate.judge(plain, policy)
    assert judged.comparisons[1].view().measures[:-1] == without.comparisons[1].view().measures
    assert judged.comparisons[1].checks == without.comparisons[1].checks


def test_only_what_is_there_can_be_named_in_a_document() -> None:
    document = to_document(audits.several())
    assert "apart" not in document["comparisons"][0]["views"][0]
    document["comparisons"][0]["views"][0]["apart"] = ["nothing"]
    with pytest.raises(InputError, match=r"views\[0\].apart: expected one measure called nothing"):
        from_document(document)


def test_a_variant_or_a_view_that_is_not_there() -> None:
    audit = audits.several()
    with pytest.raises(UsageError, match="no variant 'other'"):
        audit.beside("other", MINE)
    with pytest.raises(UsageError, match="no view by 'other'"):
        audit.beside(audit.comparisons[0].pruned.name, MINE, by="other")

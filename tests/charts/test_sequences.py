"""Bars of what may have been lost: what stands where, and in which order."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from prune_audit.charts import charts, sequences
from prune_audit.render.picture import svg
from tests.charts.specs import data
from tests.reports import audits


def test_the_sequence_of_the_drop_and_the_end_that_decides_worst_first() -> None:
    first, second = sequences.draw(audits.settled())
    rows = data(first)
    assert [row["name"] for row in rows] == ["cat", "dog", "fox", "owl"]  # of yak there is no sample
    cat, dog = rows[:2]
    assert (cat["low"], cat["high"], cat["at"], cat["verdict"], cat["n"]) == (0.125, 0.5, 0.125, "regressed", "95")
    assert (dog["low"], dog["high"], dog["at"], dog["verdict"]) == (-0.025, 0.045, 0.045, "fine")
    assert dog["said"] == "dog: drop -2.5 to +4.5 points after 200 samples, fine"
    assert [data(first, layer)[0]["limit"] for layer in (0, 1)] == [0.02, 0.05]
    assert (first.variant, second.variant) == (0, 1)
    assert "1 of 4 classes lost more than 2 points: cat." in first.shows


def test_an_audit_of_a_fixed_number_of_samples_has_none() -> None:
    assert sequences.draw(audits.several()) == ()


def test_a_sequential_audit_has_no_other_chart() -> None:
    """What they draw would be biased: recalls, changes, balances, flows."""
    assert set(charts(audits.settled())) == {"sequences"}


def test_many_classes_are_cut_to_the_worst() -> None:
    whole = audits.settled()
    view = whole.comparisons[0].view()
    many = replace(view, pair=replace(view.pair, strata=tuple(map(str, range(5)))))
    audit = replace(whole, comparisons=(replace(whole.comparisons[0], views=(many,)),))
    (chart,) = sequences.draw(audit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequences, "MOST", 2)
        (cut,) = sequences.draw(audit)
    assert data(cut) == data(chart)[:2]
    assert cut.title == "What each class may have lost, the 2 worst of 5"


def test_it_can_be_drawn() -> None:
    assert ElementTree.fromstring(svg(sequences.draw(audits.settled()))).tag.endswith("svg")

"""Small multiples: each class at the same place in every variant, on one scale."""

from __future__ import annotations

from dataclasses import replace

from prune_audit.charts import multiples
from prune_audit.core import lookup
from tests.charts.specs import data
from tests.reports import audits


def test_the_same_classes_at_the_same_place_on_one_scale() -> None:
    audit = audits.several()
    charts = multiples.draw(audit)
    assert [chart.title for chart in charts] == ["pruned-50", "pruned-90", "int8"]
    assert all(chart.small and chart.variant is None for chart in charts)
    views = {each.pruned.name: each.views[0] for each in audit.comparisons}
    known = [i for i in range(10) if lookup.moves(audit.comparisons[0].views[0])[i] is not None]
    first = min(known, key=lambda i: min(float(str(lookup.moves(view)[i])) for view in views.values()))
    for chart in charts:
        row = next(row for row in data(chart) if row["at"] == 0)
        view = views[chart.title]
        change = view.measure("change")
        assert (row["change"], row["low"], row["high"]) == (
            change.by_stratum[first], change.low[first], change.high[first],
        )  # fmt: skip
        assert row["said"].startswith(f"{view.strata[first]}: ")
    scales = {str(chart.spec["layer"][3]["encoding"]["y"]["scale"]) for chart in charts}
    assert len(scales) == 1
    assert [[row["at"] for row in data(chart)] for chart in charts] == [list(range(len(known)))] * 3
    lowest = min(row["low"] for chart in charts for row in data(chart))
    assert charts[0].spec["layer"][3]["encoding"]["y"]["scale"]["domain"][0] == lowest


def test_one_variant_is_no_multiple() -> None:
    assert multiples.draw(audits.ten()) == ()


def test_what_has_no_verdict_is_said_to_be_not_judged() -> None:
    audit = audits.several()
    unjudged = [
        replace(each, views=(replace(view, measures=tuple(m for m in view.measures if m.name != "verdict")),))
        for each in audit.comparisons
        for view in each.views[:1]
    ]
    for chart in multiples.draw(replace(audit, comparisons=tuple(unjudged))):
        assert all(row["said"].endswith(", not judged") for row in data(chart))

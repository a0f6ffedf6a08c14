"""Plans against what audits then say, and shopping lists against every other way to spend a budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

import prune_audit
from prune_audit import planning, stats
from prune_audit.core import Array, Audit, Correction, Outputs, Pair, Predictions, Settings, lookup
from prune_audit.errors import UsageError
from prune_audit.planning import Design


def drawn(classes: int, samples: int, lost: Sequence[float], gained: float, seed: int, settings: Settings) -> Audit:
    """An audit of predictions drawn so that each class loses and gains these shares."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), samples)
    wrong = (labels + 1) % classes
    fate = rng.random(len(labels))
    share = np.repeat(lost, samples)
    dense = np.where((fate >= share) & (fate < share + gained), wrong, labels)
    pruned = np.where(fate < share, wrong, labels)
    return prune_audit.from_predictions(
        Predictions(
            classes=tuple(map(str, range(classes))),
            ids=tuple(map(str, range(len(labels)))),
            labels=labels,
            models=(Outputs(name="dense", predicted=dense), Outputs(name="pruned", predicted=pruned)),
        ),
        "dense",
        ["pruned"],
        settings,
    )


def said(audit: Audit) -> Array:
    return np.array(lookup.column(audit.comparisons[0].view(), "verdict"), object)


def design(settings: Settings | None = None, *, classes: int = 10, churn: float = 0.06, power: float = 0.8) -> Design:
    return Design(classes=classes, churn=churn, power=power, settings=settings or Settings())


@pytest.mark.parametrize(
    ("classes", "assure", "one", "all_"),
    [(1, 0.05, 232, None), (10, 0.05, 232, 434), (100, 0.05, 232, 621), (100, 0.02, 1235, 3543)],
)
def test_the_sizes_of_a_plan(classes: int, assure: float, one: int, all_: int | None) -> None:
    sizes = planning.plan(design(Settings(assure=assure), classes=classes)).sizes
    assert [size.samples for size in sizes] == ([one] if all_ is None else [one, all_])
    for size in sizes:
        assert size.drop is not None
        assert size.drop > 0.02


def test_classes_of_the_planned_size_are_fine_as_often_as_planned() -> None:
    """A thousand unchanged classes, audited: four in five, and the power counted out for one within 3 errors."""
    found = said(drawn(1000, 232, [0.03] * 1000, 0.03, 1, Settings()))
    assert (found == "fine").mean() == pytest.approx(0.818, abs=3 * np.sqrt(0.8 * 0.2 / 1000))


def test_the_drop_that_a_plan_says_is_convicted_as_often_as_planned() -> None:
    """All of 100 classes lost it. By Bonferroni each is convicted by itself, as one that alone regressed is."""
    planned = planning.plan(design(Settings(correction="bonferroni"), classes=100))
    size = planned.sizes[-1]
    assert size.samples == 621
    assert size.drop == pytest.approx(0.0826, abs=1e-4)
    settings = Settings(correction="bonferroni")
    lost = [0.03 + (size.drop or 0)] * 100
    found = np.concatenate([said(drawn(100, 621, lost, 0.03, seed, settings)) for seed in range(6)])
    assert (found == "regressed").mean() == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / 600))


def test_the_first_class_to_be_flagged_is_held_to_the_same_level_by_either_correction() -> None:
    def drop(correction: Correction) -> float:
        return planning.plan(design(Settings(correction=correction))).sizes[-1].drop or 1.0

    assert drop("fdr_bh") == drop("holm") == drop("bonferroni")
    assert drop("none") < drop("fdr_bh") < drop("fdr_by")


def test_what_a_plan_takes_for_granted_names_its_options() -> None:
    options = " ".join(each.option for each in planning.plan(design()).assumptions)
    assert re.findall(r"--[a-z]+", options) == [
        *("--churn", "--limit", "--confidence", "--margin", "--correction", "--power", "--cluster")
    ]


@pytest.mark.parametrize(
    ("classes", "churn", "power", "assure", "said_so"),
    [
        (0, 0.06, 0.8, 0.05, "--classes: expected at least 1, found 0"),
        (3, 1.0, 0.8, 0.05, "--churn: expected percent from 0 and below 100, found 100"),
        (3, -0.01, 0.8, 0.05, "--churn: expected percent from 0 and below 100, found -1"),
        (3, 0.06, 1.0, 0.05, "--power: expected percent from 50 and below 100, found 100"),
        (3, 0.06, 0.0, 0.05, "--power: expected percent from 50 and below 100, found 0"),
        (3, 0.06, 0.8, 0.0, "--limit: expected more than 0 points, found 0"),
    ],
)
def test_what_cannot_be_planned_for(classes: int, churn: float, power: float, assure: float, said_so: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said_so)):
        design(Settings(margin=0, assure=assure), classes=classes, churn=churn, power=power)


# ------------------------------------------------------------------------------------------------- shopping lists

COUNTS = [(106, 1, 0, 0), (108, 2, 0, 0), (50, 30, 0, 20), (0, 0, 0, 0), (900, 1, 1, 0), (90, 5, 3, 2), (0, 0, 0, 9)]


def audit_of(*variants: Sequence[tuple[int, int, int, int]], settings: Settings | None = None) -> Audit:
    """An audit whose variants have these counts."""
    settings = settings or Settings()
    one = drawn(3, 30, [0.1] * 3, 0.0, 2, settings)
    comparisons = []
    for at, counts in enumerate(variants):
        pair = Pair.of(counts)
        view = replace(one.comparisons[0].view(), pair=pair, measures=stats.measures(pair, settings))
        card = replace(one.comparisons[0].pruned, name=f"variant-{at}")
        comparisons.append(replace(one.comparisons[0], views=(view,), pruned=card))
    return replace(one, comparisons=tuple(comparisons), samples=None)


def test_a_list_is_what_the_audit_itself_says_is_needed() -> None:
    audit = audit_of(COUNTS)
    view = audit.comparisons[0].view()
    needed = lookup.column(view, "samples_needed")
    found = planning.shopping(audit)
    assert [each.stratum for each in found.short] == ["0", "1", "5"]
    assert [each.needed for each in found.short] == [needed[0], needed[1], needed[5]] == [173, 311, needed[5]]
    assert [each.more for each in found.short] == [173 - 107, 311 - 110, int(needed[5] or 0) - 100]
    assert (found.judged, found.empty, found.total) == (5, ("3",), sum(each.more or 0 for each in found.short))


def test_of_several_variants_the_one_that_asks_for_most_decides() -> None:
    """One has settled class 0, the other class 1; hopeless in one is hopeless."""
    a = [(106, 1, 0, 0), (900, 1, 1, 0), (98, 2, 0, 0)]
    b = [(900, 1, 1, 0), (108, 2, 0, 0), (95, 5, 0, 0)]
    found = planning.shopping(audit_of(a, b))
    by_name = {each.stratum: each for each in found.short}
    assert (by_name["0"].of, by_name["1"].of) == ("variant-0", "variant-1")
    alone = [planning.shopping(audit_of(each)).short for each in (a, b)]
    both = [each.more or 0 for short in alone for each in short if each.stratum == "2"]
    assert by_name["2"].more == max(both)
    assert len(both) == 2
    hopeless = planning.shopping(audit_of(a, [*b[:2], (98, 2, 0, 0)], settings=Settings(assure=0.02)))
    last = hopeless.short[-1]
    assert (last.stratum, last.more) == ("2", None)
    assert "all but the margin" in last.why


@pytest.mark.parametrize("budget", [1, 65, 66, 67, 266, 267, 300, 10_000])
def test_no_other_choice_settles_more_classes(budget: int) -> None:
    found = planning.shopping(audit_of(COUNTS), budget=budget)
    price = {each.stratum: each.more or 0 for each in found.short}
    most = max(
        len(choice)
        for size in range(len(price) + 1)
        for choice in combinations(price, size)
        if sum(price[name] for name in choice) <= budget
    )
    assert found.purchase is not None
    assert len(found.purchase.bought) == most
    assert found.purchase.spent == sum(price[name] for name in found.purchase.bought) <= budget
    assert found.purchase.left == budget - found.purchase.spent


def test_more_power_takes_more_samples() -> None:
    audit = audit_of(COUNTS)
    totals = [planning.shopping(audit, power=power).total for power in (0.5, 0.7, 0.8, 0.9, 0.99)]
    assert totals == sorted(totals)
    assert len(set(totals)) == 5


def test_notes_on_samples_variants_and_other_views() -> None:
    audit = audit_of(COUNTS, COUNTS)
    other = replace(audit.comparisons[0].view(), pair=replace(audit.comparisons[0].view().pair, by="place"))
    audit = replace(
        audit,
        comparisons=tuple(replace(each, views=(*each.views, other)) for each in audit.comparisons),
        provenance=replace(audit.provenance, limited=True, samples=90, available=900),
    )
    told = " ".join(planning.shopping(audit).notes)
    assert "a sample of 90 of 900 was audited" in told
    assert "of 2 variants the one that asks for most decides" in told
    assert "the audit is by place, too" in told
    assert [each.needed for each in planning.shopping(audit, by="place").short][:2] == [173, 311]


def test_an_audit_that_is_not_by_that() -> None:
    with pytest.raises(UsageError, match="this audit is not by 'accent'"):
        planning.shopping(audit_of(COUNTS), by="accent")
    with pytest.raises(UsageError, match="--budget: expected at least 1 sample, found 0"):
        planning.shopping(audit_of(COUNTS), budget=0)


def test_an_audit_that_stopped_by_itself_needs_no_plan() -> None:
    audit = audit_of(COUNTS)
    pair = audit.comparisons[0].view().pair
    view = replace(audit.comparisons[0].view(), pair=replace(pair, drawn_from=pair.support))
    stopped = replace(audit, comparisons=(replace(audit.comparisons[0], views=(view,)),))
    with pytest.raises(UsageError, match="what it saw is biased by where it stopped") as caught:
        planning.shopping(stopped)
    assert "--append" in caught.value.hint

"""The rule on density: weights are counted, roundings let pass, what cannot be seen is open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prune_audit.core import Check, Layer, RuleSetting
from prune_audit.errors import UsageError
from prune_audit.rules.density import check
from tests.rules.comparisons import CARD, compare


def layer(nonzero: int, total: int = 1000) -> Layer:
    return Layer(name="w", kind="linear", shape=(total,), nonzero=nonzero, total=total)


def judged(pruned: tuple[Layer, ...], dense: tuple[Layer, ...] = (layer(1000), layer(1000))) -> Check:
    comparison = replace(compare((1, 0, 0, 0)), dense=replace(CARD, layers=dense), pruned=replace(CARD, layers=pruned))
    (found,) = check(comparison, RuleSetting(limit=0.1))
    return found


@pytest.mark.parametrize(("nonzero", "outcome"), [(200, "passed"), (202, "passed"), (203, "failed")])
def test_one_weight_a_layer_may_be_rounding(nonzero: int, outcome: str) -> None:
    found = judged((layer(100), layer(nonzero - 100)))
    assert (found.outcome, found.observed) == (outcome, nonzero / 2000)


def test_channels_that_were_cut_out_are_zeros() -> None:
    assert judged((layer(100, 100), layer(100, 100))).outcome == "passed"
    assert judged((layer(300, 300), layer(100, 100))).outcome == "failed"


def test_a_dense_model_whose_weights_are_hidden_leaves_the_pruned_ones_own() -> None:
    assert judged((layer(300), layer(100)), dense=()).observed == 0.2


def test_what_cannot_be_seen_is_open() -> None:
    found = judged(())
    assert (found.outcome, found.observed) == ("inconclusive", None)


def test_it_needs_a_claim() -> None:
    with pytest.raises(UsageError, match="density needs a limit"):
        check(compare((1, 0, 0, 0)), RuleSetting())

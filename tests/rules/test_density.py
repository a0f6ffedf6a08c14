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


def test_zeros_that_rounding_explains_do_not_make_a_model_sparse() -> None:
    coarse = replace(layer(100), rounded=900)
    assert judged((coarse, layer(100))).outcome == "failed"
    assert judged((coarse, layer(100))).observed == 0.55


def test_weights_that_may_be_among_what_is_not_counted_leave_the_claim_open() -> None:
    pair = compare((1, 0, 0, 0))
    dense = replace(CARD, layers=(layer(1000), layer(1000)), uncounted=("places (2 x 3)",))
    pruned = replace(CARD, layers=(layer(100),), uncounted=("places (2 x 3)", "experts (9 x 9)"))
    [found] = check(replace(pair, dense=dense, pruned=pruned), RuleSetting(limit=0.1))
    assert (found.outcome, found.observed) == ("inconclusive", None)
    assert "not counted: places (2 x 3), experts (9 x 9)" in found.message
    # As many weights as the dense model has, or nothing that it does not have: none are hidden.
    for card in (replace(pruned, layers=(layer(100), layer(90))), replace(pruned, uncounted=dense.uncounted)):
        [found] = check(replace(pair, dense=dense, pruned=card), RuleSetting(limit=0.1))
        assert found.outcome == "passed"
        assert "not counted: places" in found.message

"""Weights of samples against the formula, and what they do to a loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prune_audit.errors import UsageError
from prune_audit.mitigations import Asked, weighted
from prune_audit.nets.examples import cross_entropy
from tests.mitigations.known import known


def test_weights_are_the_formula_with_a_mean_of_1_over_what_is_trained_on() -> None:
    true = np.array([0.0, 0.2, 0.5, 1.0, 0.9, 0.1])
    rows = [0, 2, 3]
    found = weighted.weights(torch.tensor(true), torch.tensor(rows), weighted.Options()).numpy()
    formula = 0.75 + 0.25 * (1 - true) ** 5
    np.testing.assert_allclose(found, formula / formula[rows].mean(), rtol=1e-12)
    assert found[rows].mean() == pytest.approx(1)


def test_the_loss_is_the_weighted_mean_and_knows_no_groups() -> None:
    true = [0.1, 0.9, 0.5]
    options = weighted.Options(least_weight=0.1, gamma=2)
    scores, labels = torch.tensor([[1.0, 0], [0, 1], [2, 1]]), torch.tensor([1, 1, 0])
    weights = 0.1 + 0.9 * (1 - np.array(true)) ** 2
    wanted = float((weights / weights.mean() * cross_entropy(scores, labels).numpy()).mean())
    for groups in ([0, 1, 0], [1, 1, 0]):
        made = weighted.objective(known(groups, true=true), Asked(options=options))
        assert float(made.loss(scores, labels, torch.arange(3))) == pytest.approx(wanted)
        made.ended()
        assert not made.multipliers


def test_where_the_dense_model_is_sure_of_all_samples_count_alike() -> None:
    options = weighted.Options(least_weight=0)
    assert weighted.weights(torch.ones(4, dtype=torch.float64), torch.arange(4), options).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "value"), [("least_weight", -0.1), ("least_weight", 1.5), ("gamma", -1), ("gamma", np.inf)]
)
def test_values_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name.replace("_", "-")):
        weighted.Options(**{name: value})

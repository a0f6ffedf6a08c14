"""The equal-loss objective against closed forms and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from prune_audit.mitigations import Asked, equal_loss
from prune_audit.mitigations._multipliers import MOST
from prune_audit.nets.examples import cross_entropy
from tests.mitigations.known import Bias, known, losses, trained


def test_a_step_by_hand() -> None:
    """Three groups, of which one has a single sample in the batch and is left out."""
    groups = [0, 0, 1, 1, 1, 2]
    made = equal_loss.objective(known(groups, names=("a", "b", "c")), Asked(step=0.5))
    scores = torch.tensor([[2.0, 0], [0, 1], [1, 1], [3, 0], [0, 2], [0, 9]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1, 1, 0])
    each = cross_entropy(scores, labels).numpy()
    gaps = np.array([abs(each[:2].mean() - each.mean()), abs(each[2:5].mean() - each.mean())])
    assert float(made.loss(scores, labels, torch.arange(6))) == pytest.approx(each.mean())
    made.ended()
    values = [m.multiplier for m in made.multipliers]
    assert values == pytest.approx([*(0.5 * gaps), 0.0])
    assert [m.violation for m in made.multipliers][:2] == pytest.approx(list(gaps))
    assert made.multipliers[2].violation is None
    again = float(made.loss(scores, labels, torch.arange(6)))
    assert again == pytest.approx(each.mean() + float(0.5 * gaps @ gaps))


def test_groups_that_are_alike_have_no_multipliers() -> None:
    x, y = torch.zeros(8, 1, dtype=torch.float64), torch.tensor([0, 1] * 4)
    made = equal_loss.objective(known([0, 0, 1, 1] * 2), Asked(step=1.0))
    trained(Bias(), made, x, y, epochs=5, lr=0.1)
    assert max(m.multiplier for m in made.multipliers) < 1e-12


def test_multipliers_never_fall_and_are_clipped() -> None:
    made = equal_loss.objective(known([0, 0, 1, 1]), Asked(step=4.0))
    labels = torch.tensor([0, 0, 0, 0])
    for sure in (0.5, 0.9, 0.1, 0.2, 20.0):
        made.loss(torch.tensor([[sure, 0], [sure, 0], [0, sure], [0, sure]]), labels, torch.arange(4))
        made.ended()
    by_epoch = np.array([m.multiplier for m in made.multipliers]).reshape(5, 2)
    assert by_epoch[-2].sum() < MOST
    assert (np.diff(by_epoch, axis=0) > 0).all()
    assert by_epoch[-1].sum() == pytest.approx(MOST)


def test_it_reaches_the_bias_that_equalises_two_groups() -> None:
    """Of one group 20 % are of the second class, of the other 90 %; J_a = J_b where a free bias is 0."""
    shares, sizes = (0.2, 0.9), (30, 10)
    labels = [int(i < share * size) for share, size in zip(shares, sizes, strict=True) for i in range(size)]
    groups = [0] * sizes[0] + [1] * sizes[1]
    wanted = brentq(lambda b: np.subtract(*losses(b, shares)), -3, 3)
    alone = np.log(sum(labels) / (len(labels) - sum(labels)))  # that of the least mean loss
    assert abs(wanted - alone) > 0.3
    model = Bias()
    made = equal_loss.objective(known(groups), Asked(step=0.5))
    trained(model, made, torch.zeros(40, 1, dtype=torch.float64), torch.tensor(labels), epochs=400, lr=2e-4)
    assert model.bias.item() == pytest.approx(wanted, abs=5e-3)

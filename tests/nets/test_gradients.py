"""The gradient of the task's loss against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prune_audit.errors import ModelError
from prune_audit.nets.gradients import task_gradients, untouched
from tests.pruning.networks import examples, network


def logistic() -> tuple[nn.Linear, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A linear classifier, samples (N, 6), labels (N,), and the gradient of its mean cross-entropy in closed form."""
    torch.manual_seed(2)
    model = nn.Linear(6, 3).double()
    x, y = torch.randn(50, 6, dtype=torch.float64), torch.randint(0, 3, (50,))
    with torch.no_grad():
        miss = torch.softmax(model(x), 1) - nn.functional.one_hot(y, 3)  # (N, 3)
    return model, x, y, miss.T @ x / 50


@pytest.mark.parametrize("size", [1, 7, 50, 64])
def test_of_a_linear_classifier_in_closed_form(size: int) -> None:
    model, x, y, wanted = logistic()
    found = task_gradients(model, ["weight"], examples(x, y, size=size))
    assert list(found) == ["weight"]
    torch.testing.assert_close(found["weight"], wanted, rtol=1e-12, atol=1e-14)


def test_of_a_binary_classifier_with_one_score() -> None:
    torch.manual_seed(2)
    model = nn.Linear(6, 1).double()
    x, y = torch.randn(50, 6, dtype=torch.float64), torch.randint(0, 2, (50,))
    with torch.no_grad():
        wanted = (torch.sigmoid(model(x)[:, 0]) - y) @ x / 50
    torch.testing.assert_close(task_gradients(model, ["weight"], examples(x, y))["weight"][0], wanted)


def test_over_a_subset_alone() -> None:
    model, x, y, _ = logistic()
    rows = torch.tensor([3, 9, 40])
    found = task_gradients(model, ["weight"], examples(x, y, rows=rows))
    wanted = task_gradients(model, ["weight"], examples(x[rows], y[rows]))
    torch.testing.assert_close(found["weight"], wanted["weight"])


def test_in_evaluation_mode_batches_do_not_matter() -> None:
    """Dropout and batch normalisation would both make them differ."""
    model = network().train()
    found = [task_gradients(model, ["0.weight"], examples(size=size))["0.weight"] for size in (3, 40)]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_of_a_parameter_that_is_not_used_is_zero() -> None:
    used = nn.Linear(6, 3)
    model = nn.ModuleDict({"used": used, "idle": nn.Linear(2, 2)})
    x, y = torch.randn(5, 6), torch.randint(0, 3, (5,))
    batches = examples(x, y)
    shown = type(batches)(labels=y, rows=batches.rows, read=batches.read, forward=lambda m, i: used(i["image"]))
    found = task_gradients(model, ["used.weight", "idle.weight"], shown)
    assert found["used.weight"].abs().max() > 0
    assert torch.equal(found["idle.weight"], torch.zeros(2, 2))


def test_a_model_without_gradients_is_told() -> None:
    batches = examples()
    numbed = type(batches)(
        labels=batches.labels, rows=batches.rows, read=batches.read, forward=lambda m, i: m(i["image"]).detach()
    )
    with pytest.raises(ModelError, match="no gradient comes back"):
        task_gradients(network(), ["0.weight"], numbed)


def test_a_fault_leaves_the_model_as_it_was() -> None:
    model = network().train()
    seen = []

    def fail() -> None:
        with untouched(model):
            seen.append(model[3].training)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert seen == [False]
    assert model[3].training

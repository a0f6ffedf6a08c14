"""Taylor pruning: squares batch by batch, against gradients by hand."""

from __future__ import annotations

import torch

from prune_audit.pruning import Cut, taylor, undecayed
from tests.nets.test_gradients import logistic
from tests.pruning.networks import examples, network


def test_of_one_batch_it_is_weight_times_gradient() -> None:
    model, x, y, gradient = logistic()
    scores = taylor.score(model, ["weight"], examples(x, y, size=len(x)), Cut())["weight"]
    torch.testing.assert_close(scores, (model.weight.detach() * gradient).abs())
    theirs = undecayed.score(model, ["weight"], examples(x, y, size=len(x)), Cut())["weight"]
    torch.testing.assert_close(scores, theirs)


def test_of_several_batches_it_is_the_root_of_the_mean_square() -> None:
    """Each batch's own mean gradient, by torch's, and the last batch is smaller."""
    model, examples_ = network().eval(), examples(size=16)
    squares = []
    for inputs, labels in examples_:
        loss = torch.nn.functional.cross_entropy(model(inputs["image"]), labels)
        weight = model.get_parameter("5.weight")
        [gradient] = torch.autograd.grad(loss, weight)
        squares.append((weight.detach() * gradient).square())
    assert len(squares) == 3
    wanted = torch.stack(squares).mean(0).sqrt()
    torch.testing.assert_close(taylor.score(model, ["5.weight"], examples_, Cut())["5.weight"], wanted)


def test_gradients_that_cancel_over_the_data_still_count() -> None:
    model = torch.nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0], [1.0]]))
    pairs = examples(torch.tensor([[1.0], [1.0]]), torch.tensor([0, 1]), size=1)
    assert undecayed.score(model, ["weight"], pairs, Cut())["weight"].tolist() == [[0.0], [0.0]]
    assert taylor.score(model, ["weight"], pairs, Cut())["weight"].tolist() == [[0.5], [0.5]]

"""ADMM: the nearest sparse copy is an exact top k, and weights come to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from prune_audit.nets import masking
from prune_audit.nets.companion import Course
from prune_audit.pruning import Cut, admm_style
from prune_audit.pruning.admm_style import Drawn
from tests.pruning.networks import examples

COURSE = Course(examples=examples(), own=None, steps=400, per_epoch=10, until=200, density=0.3, lr=0.1, seed=0)


def drawn(course: Course = COURSE) -> tuple[nn.Linear, Drawn]:
    torch.manual_seed(0)
    model = nn.Linear(5, 4, bias=False)
    made = admm_style.accompany(model, masking.whole(model, ["weight"]), Cut(), course)
    assert isinstance(made, Drawn)
    return model, made


def test_the_copy_is_the_top_k_of_the_weights() -> None:
    model, made = drawn()
    weight = model.weight.detach()
    limit = weight.abs().flatten().sort(descending=True).values[5]
    assert torch.equal(made.state()["z.weight"], torch.where(weight.abs() >= limit, weight, 0))


def test_gradients_are_of_the_penalty() -> None:
    """rho / 2 ||W - Z + U||^2, by torch's own gradient, at an epoch that has moved Z and U."""
    model, made = drawn()
    for step in (0, 10, 20):
        model.weight.grad = torch.zeros_like(model.weight)
        made.stepped(step, {})
    state = made.state()
    weight = model.weight.detach().clone().requires_grad_(True)
    loss = admm_style.RHO[0] / 2 * (weight - state["z.weight"] + state["u.weight"]).square().sum()
    [wanted] = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(model.weight.grad, wanted)
    assert state["u.weight"].abs().sum() > 0


def test_a_multiplier_is_one_force_whatever_rho_is() -> None:
    model, made = drawn()
    forces = []
    for step in range(200):
        model.weight.grad = torch.zeros_like(model.weight)
        made.stepped(step, {})
        forces.append(float(made.state()["rho"]) * made.state()["u.weight"])
    assert [float(made.state()["rho"])] == [admm_style.RHO[2]]
    # Where rho grew in the middle of an epoch, rho U is as it was.
    torch.testing.assert_close(forces[67], forces[66])


def test_of_a_flat_quadratic_what_is_small_is_drawn_to_zero() -> None:
    """min h |W - T|^2 / 2 with 6 weights, each step to where T(W) + rho / 2 |W - Z + U|^2 is least.

    With h a tenth of the last rho, the weights that go are by then where the cut puts them, and the others where they
    were; with a loss that is much steeper than rho, they would not be.
    """
    model, made = drawn(replace(COURSE, steps=120, per_epoch=1, until=60))
    target, steep = model.weight.detach().clone(), 0.01
    for step in range(60):
        model.weight.grad = steep * (model.weight.detach() - target)
        made.stepped(step, {})
        with torch.no_grad():
            model.weight -= model.weight.grad / (steep + float(made.state()["rho"]))
    kept = target.abs() >= target.abs().flatten().sort(descending=True).values[5]
    assert float(model.weight.detach()[~kept].abs().max()) < 0.01 * float(target[~kept].abs().max())
    torch.testing.assert_close(model.weight.detach()[kept], target[kept], atol=0.01, rtol=0.02)


def test_after_the_cut_nothing_is_drawn() -> None:
    model, made = drawn()
    model.weight.grad = torch.ones_like(model.weight)
    made.stepped(200, {})
    assert torch.equal(model.weight.grad, torch.ones_like(model.weight))


@pytest.mark.parametrize("steps", [0, 7, 100])
def test_it_cuts_once_after_the_first_half(steps: int) -> None:
    assert admm_style.schedule(0.2, steps=steps, rounds=4, seed=0) == ((steps // 2, 0.2),)

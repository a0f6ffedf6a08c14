"""Hessian products and Lanczos against closed forms, numpy's eigenvalues and the whole Hessian by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.errors import ModelError
from prune_audit.nets import curvature
from tests.nets.test_gradients import logistic
from tests.pruning.networks import examples, network

F64 = torch.zeros(0, dtype=torch.float64)


def times(matrix: torch.Tensor) -> curvature.Product:
    return lambda vector: matrix @ vector


def test_of_logistic_regression_in_closed_form() -> None:
    """H = X' diag(s (1 - s)) X / n."""
    torch.manual_seed(0)
    model = nn.Linear(6, 1).double()
    x, y = torch.randn(40, 6, dtype=torch.float64), torch.randint(0, 2, (40,))
    with torch.no_grad():
        s = torch.sigmoid(model(x)[:, 0])
    hessian = x.T @ torch.diag(s * (1 - s)) @ x / 40
    product, size = curvature.flat(model, ["weight"], examples(x, y, size=7))
    assert size == 6
    v = torch.randn(6, dtype=torch.float64)
    torch.testing.assert_close(product(v), hessian @ v, rtol=1e-12, atol=1e-14)
    largest = float(torch.linalg.eigvalsh(hessian)[-1])
    found = curvature.largest(product, size, F64)
    assert found.settled
    assert found.largest == pytest.approx(largest, rel=1e-3)  # as settled means
    assert curvature.lanczos(product, v, 6).largest == pytest.approx(largest, rel=1e-9)


def test_against_the_whole_hessian_of_a_network() -> None:
    model = network().double()
    x, y = torch.randn(20, 1, 6, 6, dtype=torch.float64), torch.randint(0, 4, (20,))
    names = ["0.weight", "8.weight"]
    model.eval()
    own = {name: model.get_parameter(name).detach() for name in names}

    def loss(*values: torch.Tensor) -> torch.Tensor:
        scores = torch.func.functional_call(model, dict(zip(names, values, strict=True)), (x,))
        return nn.functional.cross_entropy(scores, y)

    blocks = torch.autograd.functional.hessian(loss, tuple(own.values()))
    sizes = [value.numel() for value in own.values()]
    hessian = torch.cat(
        [torch.cat([blocks[i][j].reshape(sizes[i], sizes[j]) for j in range(len(sizes))], 1) for i in range(len(sizes))]
    )
    model.train()
    product, size = curvature.flat(model, names, examples(x, y, size=8))
    v = torch.randn(size, dtype=torch.float64)
    torch.testing.assert_close(product(v), hessian @ v, rtol=1e-10, atol=1e-13)
    assert model.training
    exact = torch.linalg.eigvalsh(hessian)
    found = curvature.lanczos(product, curvature.drawn(size, 1, F64), size)
    assert found.largest == pytest.approx(float(exact[-1]), rel=1e-9)
    assert found.values[0] == pytest.approx(float(exact[0]), rel=1e-9)


def test_the_largest_is_the_algebraically_largest() -> None:
    found = curvature.largest(times(torch.diag(torch.tensor([5.0, 1.0, -20.0]).double())), 3, F64)
    assert found.largest == pytest.approx(5, rel=1e-12)
    assert found.settled


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_a_large_matrix_a_few_steps_settle_the_largest(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    values = torch.cat([torch.linspace(-1, 1, 397), torch.tensor([5.0, 7.0, 10.0])]).to(dtype)
    q, _ = torch.linalg.qr(torch.randn(400, 400, dtype=dtype))
    found = curvature.largest(times(q @ torch.diag(values) @ q.T), 400, q[0, :0])
    assert found.settled
    assert found.steps < curvature.STEPS
    assert found.largest == pytest.approx(10, rel=1e-3)  # as settled means


def test_weights_and_values_give_moments_of_the_start() -> None:
    """Gauss quadrature with m nodes has moments 0 to 2 m - 1 of the start's spectral measure exact."""
    torch.manual_seed(4)
    a = torch.randn(30, 30, dtype=torch.float64)
    a = (a + a.T) / 2
    v = curvature.drawn(30, 5, F64, "signs")
    assert set(v.tolist()) == {-1.0, 1.0}
    found = curvature.lanczos(times(a), v, 6)
    assert found.steps == 6
    assert found.weights.sum() == pytest.approx(1, rel=1e-12)
    u, power = v / v.norm(), v / v.norm()
    for k in range(12):
        assert float(found.weights @ found.values**k) == pytest.approx(float(u @ power), rel=1e-8)
        power = a @ power


def test_an_invariant_subspace_ends_the_recursion() -> None:
    found = curvature.lanczos(times(3 * torch.eye(9, dtype=torch.float64)), curvature.drawn(9, 0, F64), 9)
    assert found.values.tolist() == pytest.approx([3.0])
    assert found.residuals.tolist() == [0.0]
    nothing = curvature.lanczos(lambda v: 0 * v, curvature.drawn(9, 0, F64), 9)
    assert nothing.values.tolist() == [0.0]
    assert nothing.settled


def test_residuals_bound_the_error() -> None:
    torch.manual_seed(6)
    a = torch.randn(60, 60, dtype=torch.float64)
    a = (a + a.T) / 2
    exact = torch.linalg.eigvalsh(a).numpy()
    for steps in (3, 8, 20):
        found = curvature.lanczos(times(a), curvature.drawn(60, 0, F64), steps)
        for value, residual in zip(found.values, found.residuals, strict=True):
            assert np.abs(exact - value).min() <= residual * (1 + 1e-9)


def test_of_what_does_not_bend_it_is_zero() -> None:
    class Used(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(6, 3), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.used(x)
            return scores

    x, y = torch.randn(5, 6), torch.randint(0, 3, (5,))
    vectors = {"used.weight": torch.ones(3, 6), "idle.weight": torch.ones(2, 2)}
    found = curvature.product(Used(), vectors, examples(x, y))
    assert not found["idle.weight"].any()


def test_what_is_no_number_stops() -> None:
    model, x, y, _ = logistic()
    x[0, 0] = torch.inf
    with pytest.raises(ModelError, match="the loss of a batch is nan, no number"):
        curvature.product(model, {"weight": torch.ones(3, 6).double()}, examples(x, y))
    with pytest.raises(ModelError, match="no number at step 1"):
        curvature.lanczos(lambda v: v * torch.nan, torch.ones(3))

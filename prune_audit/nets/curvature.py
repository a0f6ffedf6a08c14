"""The curvature of the task's loss: its Hessian times a vector, the largest eigenvalue, and the whole spectrum.

The Hessian of D weights has D^2 entries, and is never written down. What it makes of a vector takes two passes back
(Pearlmutter 1994), and Lanczos' recursion makes of some such products a small tridiagonal matrix whose eigenvalues are
those of the Hessian at its ends, and whose eigenvectors say how much of the spectrum lies where (stochastic Lanczos
quadrature: Ubaru, Chen and Saad 2017; of networks Ghorbani et al. 2019, arXiv 1901.10159). In finite precision the
recursion loses what it is orthogonal to, so that each vector is made orthogonal to all before it, twice (Parlett 1998,
section 6.9). That keeps one copy of the weights for each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from prune_audit.core import Floats
from prune_audit.errors import ModelError
from prune_audit.nets.examples import Examples
from prune_audit.nets.gradients import untouched

if TYPE_CHECKING:
    import torch

    Tensors: TypeAlias = Mapping[str, torch.Tensor]
    Product: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

STEPS = 30
TOLERANCE = 1e-3
Start = Literal["normal", "signs"]


def product(model: torch.nn.Module, vectors: Tensors, batches: Examples) -> dict[str, torch.Tensor]:
    """H v of the mean cross-entropy over ``batches``, H by the parameters that ``vectors`` name, v being these.

    In evaluation mode; the graph of one batch is kept at a time. 0 where the loss does not depend on a parameter, or
    not but linearly.

    Raises:
        ModelError: the gradient of a part of the network cannot be differentiated again, or the loss is no number.
    """
    import torch

    with untouched(model):
        chosen = {name: model.get_parameter(name) for name in vectors}
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in chosen.values():
            parameter.requires_grad_(True)
        parameters = list(chosen.values())
        total = [torch.zeros_like(parameter) for parameter in parameters]
        with torch.enable_grad():
            for inputs, labels in batches:
                loss = batches.loss(model, inputs, labels) / len(batches.rows)
                if not torch.isfinite(loss):
                    raise ModelError(
                        f"the loss of a batch is {float(loss.detach())}, no number",
                        hint="check --preprocess and the weights: such a network has no curvature",
                    )
                try:
                    first = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
                    along = [
                        (gradient * vectors[name]).sum()
                        for name, gradient in zip(chosen, first, strict=True)
                        if gradient is not None and gradient.requires_grad
                    ]
                    second = (
                        torch.autograd.grad(torch.stack(along).sum(), parameters, allow_unused=True) if along else ()
                    )
                # Whichever operator cannot be differentiated twice says so in its own way.
                except RuntimeError as fault:
                    raise ModelError(
                        f"the loss cannot be differentiated twice: {fault}",
                        hint="an operator of the network has no second derivative in torch; leave this lens out",
                    ) from fault
                for sums, part in zip(total, second, strict=False):
                    if part is not None:
                        sums += part.detach()
        return dict(zip(chosen, total, strict=True))


def flat(model: torch.nn.Module, names: Sequence[str], batches: Examples) -> tuple[Product, int]:
    """`product` of vectors (D,), the parameters ``names`` one behind the other, and D."""
    import torch

    shapes = [model.get_parameter(name).shape for name in names]
    sizes = [shape.numel() for shape in shapes]

    def times(vector: torch.Tensor) -> torch.Tensor:
        parts = vector.split(sizes)
        vectors = {name: part.reshape(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        made = product(model, vectors, batches)
        return torch.cat([made[name].reshape(-1) for name in names])

    return times, sum(sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """What m steps of Lanczos know of a symmetric matrix (D, D), from one start.

    ``values`` (m,) are Ritz values, ascending; ``weights`` (m,), of sum 1, the share of the spectrum that each stands
    for, if the start was drawn; ``residuals`` (m,) how far each is from an eigenvalue at most.
    """

    values: Floats
    weights: Floats
    residuals: Floats

    @property
    def steps(self) -> int:
        """Products with the matrix."""
        return len(self.values)

    @property
    def largest(self) -> float:
        """The algebraically largest Ritz value; a larger negative one does not count."""
        return float(self.values[-1])

    @property
    def settled(self) -> bool:
        """Whether the largest value is within `TOLERANCE` of itself of an eigenvalue."""
        return bool(self.residuals[-1] <= TOLERANCE * abs(self.values[-1]))


def lanczos(times: Product, start: torch.Tensor, steps: int = STEPS, *, tolerance: float | None = None) -> Spectrum:
    """The spectrum of the symmetric matrix that ``times`` multiplies (D,) with, as up to ``steps`` products show it.

    It stops where the largest value is within ``tolerance`` of itself of an eigenvalue, and where there is nothing
    left to see: an invariant subspace. Computed in the type of ``start`` (D,), not zero.

    Raises:
        ModelError: a product is no number.
    """
    import torch

    basis = [start / torch.linalg.vector_norm(start)]
    alphas: list[float] = []
    betas: list[float] = []
    scale = 0.0
    spectrum: Spectrum | None = None
    for step in range(min(steps, len(start))):
        made = times(basis[-1])
        if not torch.isfinite(made).all():
            raise ModelError(
                f"the curvature is no number at step {step + 1}",
                hint="the weights or the loss are infinite or no number somewhere",
            )
        alphas.append(float(torch.dot(made, basis[-1])))
        kept = torch.stack(basis)
        for _ in range(2):
            made = made - kept.T @ (kept @ made)
        beta = float(torch.linalg.vector_norm(made))
        scale = max(scale, abs(alphas[-1]), beta)
        spectrum = _spectrum(alphas, betas, beta)
        # What is left is rounding, of the size that the type of the numbers has.
        if beta <= 10 * torch.finfo(start.dtype).eps * scale:
            return _spectrum(alphas, betas, 0.0)
        if tolerance is not None and step and spectrum.residuals[-1] <= tolerance * abs(spectrum.values[-1]):
            break
        betas.append(beta)
        basis.append(made / beta)
    assert spectrum is not None  # of a step at least
    return spectrum


def _spectrum(alphas: Sequence[float], betas: Sequence[float], beta: float) -> Spectrum:
    from scipy.linalg import eigh_tridiagonal

    values, vectors = eigh_tridiagonal(np.array(alphas), np.array(betas[: len(alphas) - 1]))
    return Spectrum(
        values=np.asarray(values, np.float64), weights=vectors[0] ** 2, residuals=np.abs(beta * vectors[-1])
    )


def drawn(size: int, seed: int, like: torch.Tensor, start: Start = "normal") -> torch.Tensor:
    """A start (D,) of ``size`` numbers that are drawn by ``seed``: normal, or signs (Rademacher); as ``like``."""
    generator = np.random.default_rng(seed)
    numbers = generator.standard_normal(size) if start == "normal" else generator.choice([-1.0, 1.0], size)
    made: torch.Tensor = like.new_tensor(numbers)
    return made


def largest(
    times: Product, size: int, like: torch.Tensor, *, seed: int = 0, steps: int = STEPS, tolerance: float = TOLERANCE
) -> Spectrum:
    """`lanczos` until the largest eigenvalue is settled, from a normal start."""
    return lanczos(times, drawn(size, seed, like), steps, tolerance=tolerance)

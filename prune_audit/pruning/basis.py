"""Write the kernels of convolutions in a basis of their own, and cut the coefficients.

    W (outputs x inputs, k x k) = A B,  B (k^2 x k^2) the right singular vectors of W,  A = W B^T
    cut where abs(A_im) ||B_m|| is smallest; in layers without kernels where abs(theta) is

The decomposition is not centred, so that the first M bases are the best ones (Eckart and Young 1936); --bases M keeps
no other. With --epochs coefficients and bases are trained by turns of two epochs, the coefficients drawn to 0 by 1e-4
times the sum of their absolute values; after half the training the cut, then what is left is tuned.

The density counts coefficients, as many as a layer has weights: the weights in the file are the products and dense, so
that `inspect` finds nothing cut in them. The factors lie beside, in NAME.factors.npz, and in NAME.coefficients.csv how
far the product is from the weight that was given, and in how many bits it could be stored. Without mean, ternary
coefficients and dead channels of the sources.

    source: PENNI, Li et al. 2020 (arXiv 2005.07133) and the authors' code, under ESCALATE (Li et al. 2021, MICRO)
    certainty: high for PENNI, whose centring is left out as its layers lack the mean; low for ESCALATE
    needs: a network with convolutions of kernels larger than 1; training is of use
    cost: a few seconds for a million weights; a training, and some percent more
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking
from prune_audit.nets.companion import Companion, Course
from prune_audit.nets.schedule import halfway
from prune_audit.nets.scope import check_density
from prune_audit.pruning import Cut

if TYPE_CHECKING:
    import torch

    from prune_audit.core import Array, Table, Value
    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = False
COUNTED = "coefficients of kernels and weights of other layers"
DRAWN = 1e-4  # times the sum of the absolute coefficients
TURN = 2  # epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What this method may be told beside a density."""

    bases: Annotated[
        int | None,
        typer.Option(metavar="M", help="Bases of the kernels of a layer; by default as many as a kernel has weights."),
    ] = None

    def __post_init__(self) -> None:
        if self.bases is not None and self.bases < 1:
            raise UsageError(f"--bases: expected 1 or more, found {self.bases}", hint="5 of 9 is usual for 3 x 3")


OPTIONS = Options


def start(model: torch.nn.Module, masks: Masks, settings: Cut) -> Cut:
    """See that there are kernels, and no more bases than they have weights.

    Raises:
        ModelError: no layer of ``masks`` has kernels.
        UsageError: there are more bases than weights of the largest kernel.
    """
    sizes = [_kernel(model.get_parameter(name)) for name in masks]
    options: Options = settings.options or Options()
    if max(sizes) == 1:
        raise ModelError(
            "basis decomposes the kernels of convolutions, and no layer that may be cut has kernels larger than 1",
            hint="choose another method, such as magnitude",
        )
    if options.bases is not None and options.bases > max(sizes):
        raise UsageError(
            f"--bases: expected at most {max(sizes)}, the weights of the largest kernel, found {options.bases}",
            hint="leave it out for as many as there are",
        )
    return settings


schedule = halfway


def update(model: torch.nn.Module, masks: Masks, density: float, batches: Examples | None, settings: Cut) -> Masks:
    """The masks of the largest coefficients, in the shapes of the weights: coefficient m of a kernel is at its place m.

    Raises:
        UsageError: the density is not in (0, 1].
        ModelError: a weight is no number.
    """
    check_density(density)
    del batches
    factors = settings.companion if isinstance(settings.companion, Factors) else None
    bases = None if factors is None else factors.bases
    scores = {}
    for name in masks:
        values = model.get_parameter(name).detach()
        if _kernel(values) > 1:
            b = decomposed(values) if bases is None else bases[name]
            a = values.flatten(2) if bases is not None else _times(values, b.T)
            scores[name] = (a.abs() * b.norm(dim=1)).reshape(values.shape)
        else:
            scores[name] = values.abs()
    options: Options = settings.options or Options()
    return masking.keep_largest(scores, allowed(masks, options), density, settings.scope)


def tables(model: torch.nn.Module, masks: Masks, batches: Examples | None, settings: Cut) -> tuple[Table, ...]:
    """Of each layer with kernels its bases and coefficients, how far it is from that of ``model``, and its bits.

    A number has as many bits as in the weight. Which coefficients are not 0 takes a bit for each place more.
    """
    import torch

    from prune_audit.core import Field, Table

    del masks, batches
    assert isinstance(settings.companion, Factors)  # it goes along without a training, too
    parts = settings.companion.parts()
    rows: list[tuple[Value, ...]] = []
    for name in settings.companion.bases:
        given = model.get_parameter(name).detach()
        bases, coefficients = (torch.from_numpy(parts[f"{name}/{what}"]) for what in ("bases", "coefficients"))
        product = (coefficients @ bases.flatten(1)).reshape(given.shape).to(given.device)
        error = float((product - given).double().norm() / given.double().norm().clamp(min=torch.finfo().tiny))
        kept, width = int(coefficients.count_nonzero()), 8 * given.element_size()
        bits = width * (kept + bases.numel())
        places = bits + coefficients.numel()
        of = width * given.numel()
        rows.append((name, len(bases), kept, coefficients.numel(), error, bits, of / bits, places, of / places))
    fields = (
        Field(name="layer", title="Layer", unit="label"),
        Field(name="bases", title="Bases", unit="count"),
        Field(name="nonzero", title="Coefficients", unit="count", meaning="that are not 0"),
        Field(name="of", title="of", unit="count"),
        Field(name="error", title="Error", unit="share", meaning="norm of what changed, of the norm of the weight"),
        Field(name="bits", title="Bits", unit="count", meaning="of bases and coefficients"),
        Field(name="ratio", title="Ratio", unit="ratio", meaning="bits of the weight to these"),
        Field(name="bits_indexed", title="Bits with places", unit="count", meaning="and where the coefficients are"),
        Field(name="ratio_indexed", title="Ratio", unit="ratio", meaning="bits of the weight to these"),
    )
    title = "the bases and coefficients of each layer, their error and size"
    return (Table(name="coefficients", title=title, fields=fields, rows=tuple(rows)),)


def allowed(masks: Masks, options: Options) -> Masks:
    """What ``masks`` keep of the first bases."""
    if options.bases is None:
        return masks
    found = {}
    for name, mask in masks.items():
        found[name] = mask.clone()
        if _kernel(mask) > 1:
            found[name].flatten(2)[..., options.bases :] = False
    return found


def decomposed(weight: torch.Tensor) -> torch.Tensor:
    """The right singular vectors (k^2, k^2) of the kernels of ``weight`` (.., .., k, k) in rows, the largest first."""
    import torch

    kernels = weight.detach().double().flatten(2).flatten(0, 1)
    # Of the small product, which has all of them even where there are fewer kernels than weights of one.
    vectors: torch.Tensor = torch.linalg.eigh(kernels.T @ kernels).eigenvectors
    return vectors.flip(1).T.to(weight.dtype)


def accompany(model: torch.nn.Module, masks: Masks, settings: Cut, course: Course) -> Companion:
    """The bases of the weights of ``masks``; the weights of ``model`` become their coefficients.

    Raises:
        UsageError: so few bases leave fewer coefficients than the density asks for.
    """
    options: Options = settings.options or Options()
    left = masking.kept(allowed(masks, options))
    if course.density > left + 1e-9:
        raise UsageError(
            f"a density of {course.density:g} cannot be met: --bases {options.bases} leaves {100 * left:.1f} % of all "
            "coefficients and weights",
            hint="more --bases, or a lower --density",
        )
    return Factors(model, masks, options, course)


class Factors:
    """The bases of every weight with kernels, and how they are trained."""

    def __init__(self, model: torch.nn.Module, masks: Masks, options: Options, course: Course) -> None:
        import torch

        self._model, self._course = model, course
        names = [name for name in masks if _kernel(masks[name]) > 1]
        self.bases = {name: decomposed(model.get_parameter(name)) for name in names}
        self._moved = {name: torch.zeros_like(each) for name, each in self.bases.items()}
        self._shown: dict[str, torch.Tensor] = {}
        self._first = allowed(masks, options)
        with torch.no_grad():
            for name, bases in self.bases.items():
                parameter = model.get_parameter(name)
                parameter.copy_(_times(parameter, bases.T).reshape(parameter.shape) * self._first[name])

    def show(self) -> None:
        """The weights are the products."""
        for name, bases in self.bases.items():
            parameter = self._model.get_parameter(name)
            self._shown[name] = parameter.detach().clone()
            parameter.copy_(_times(parameter, bases).reshape(parameter.shape))

    def stepped(self, step: int, masks: Masks) -> None:
        """Make gradients of the products those of coefficients, or step on the bases, whose turn it is."""
        from prune_audit.nets.train_loop import MOMENTUM

        theirs = step // self._course.per_epoch // TURN % 2 == 1
        for name, bases in self.bases.items():
            parameter = self._model.get_parameter(name)
            if parameter.grad is None:
                continue
            if theirs:
                # The coefficients as they computed; without a gradient an optimiser leaves them.
                kept = (parameter.detach() * masks[name]).flatten(2).flatten(0, 1)
                slope = kept.T @ parameter.grad.flatten(2).flatten(0, 1)
                bases -= self._course.lr * self._moved[name].mul_(MOMENTUM).add_(slope)
                parameter.grad = None
                continue
            parameter.grad = _times(parameter.grad, bases.T).reshape(parameter.shape) * self._first[name]
            if step < self._course.until:
                parameter.grad += DRAWN * parameter.detach().sign()

    def parts(self) -> dict[str, Array]:
        """Of each weight NAME the bases ``NAME/bases`` (M, k, k) and ``NAME/coefficients`` (.., .., M), of which M have
        coefficients other than 0, at least one."""
        found = {}
        for name, bases in self.bases.items():
            coefficients = self._shown[name].flatten(2)
            used = coefficients.flatten(0, 1).any(0)
            used[0] |= not used.any()
            found[f"{name}/bases"] = bases[used].reshape(-1, *self._shown[name].shape[2:]).cpu().numpy()
            found[f"{name}/coefficients"] = coefficients[..., used].cpu().numpy()
        return found

    def state(self) -> dict[str, torch.Tensor]:
        """Bases and momenta."""
        told = {f"bases.{name}": value for name, value in self.bases.items()}
        return told | {f"moved.{name}": value for name, value in self._moved.items()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`."""
        for name in self.bases:
            self.bases[name].copy_(state[f"bases.{name}"])
            self._moved[name].copy_(state[f"moved.{name}"])


def _kernel(weight: torch.Tensor) -> int:
    """How many weights a kernel has; 1 where there is none."""
    return weight[0, 0].numel() if weight.ndim > 2 else 1


def _times(weight: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Every kernel of ``weight`` (.., .., k, k) as a row (.., .., k^2), times ``matrix``."""
    return weight.detach().flatten(2) @ matrix

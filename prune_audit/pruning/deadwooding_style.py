"""Make weights small by a dual variable until few enough are left, then train what was kept under attack.

    first half: minimise T + lambda v,  v = max(0, sum_i theta_i^2 / (theta_i^2 + tau^2) - k) / k
    after each epoch: lambda <- lambda + rho v,  lambda = 0 at first;  then the k largest abs(theta) are kept
    second half: minimise (1 - b) CE(f(x'), y) + b t^2 KL(dense(x) || f(x')),  x' = x under attack

tau falls geometrically from 1 to .1 of the standard deviation of a layer, and rho is 10: with .1 to .001 and a rho of
.1, three epochs of LeNet-5 left v where it was. No step of the penalty moves a weight beyond 0. The attack is projected
gradient descent on pixels before they are normalised, by --robust-radius; b is .9 and t 4. Without training it is
magnitude. Data without pixels take --robust-radius 0, which is distillation alone. How robust the result is, `explain
--lens robustness` says.

    source: after Kaur, Fioretto, Salekin 2022 (arXiv 2202.05226, Deadwooding), of which the abstract was seen alone
    certainty: low; the count, rho, tau and the loss of the second half are this project's
    needs: labelled training images and --epochs; 6 or more, as lambda moves once an epoch
    cost: a training whose second half takes as many passes more as the attack has steps (--robust-samples)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from prune_audit.errors import ModelError, UsageError
from prune_audit.nets.companion import Companion, Course
from prune_audit.nets.examples import cross_entropy
from prune_audit.nets.gradients import untouched
from prune_audit.nets.radius import QUARTER, USUAL, parse
from prune_audit.nets.schedule import halfway
from prune_audit.pruning import Cut, magnitude

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = False
RHO = 10.0
TAU = (1.0, 0.1)  # of the standard deviation of a layer, at first and at the end
BETA, TEMPERATURE = 0.9, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How what was kept is attacked while it is trained."""

    robust_radius: Annotated[
        str | None,
        typer.Option(
            metavar="RADIUS[:STEPS]",
            help="How far an attack on training images may move a pixel, as a share of white, and in how many steps; "
            f"{USUAL} by default, 0 for none.",
        ),
    ] = None
    robust_samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Training images to attack, drawn by --seed; the others are shown as they are. By default all.",
        ),
    ] = None

    def __post_init__(self) -> None:
        self.parsed()
        if self.robust_samples is not None and self.robust_samples < 1:
            raise UsageError(f"--robust-samples: expected 1 or more, found {self.robust_samples}", hint="see --help")

    def parsed(self) -> tuple[float, int]:
        """The radius, a share of white, and the number of steps."""
        return parse(USUAL if self.robust_radius is None else self.robust_radius, "--robust-radius")


OPTIONS = Options


def score(
    model: torch.nn.Module, names: Sequence[str], batches: Examples | None, settings: Cut
) -> dict[str, torch.Tensor]:
    """The absolute weights ``names``, each in its shape: what the training has made small is cut."""
    return magnitude.score(model, names, batches, settings)


schedule = halfway


def accompany(model: torch.nn.Module, masks: Masks, settings: Cut, course: Course) -> Companion:
    """The dual variable of the weights of ``masks``, and what the dense network says of every sample.

    Raises:
        ModelError: nothing says what a pixel is, and the radius is not 0.
    """
    return Dual(model, masks, settings.options or Options(), course)


class Dual:
    """lambda, and how both halves are trained."""

    def __init__(self, model: torch.nn.Module, masks: Masks, options: Options, course: Course) -> None:
        import torch

        from prune_audit.nets import attack
        from prune_audit.nets.training_data import subset

        assert course.examples is not None  # there is a training
        self._model, self._course = model, course
        radius, steps = options.parsed()
        if radius and course.preprocess is None:
            raise ModelError(
                "deadwooding-style attacks pixels, and the training data hold no images that were scaled from pixels",
                hint="give images, or --robust-radius 0 to train without attacks",
            )
        self._box = None
        if radius and course.preprocess is not None:
            step = QUARTER * radius
            self._box = attack.Box.of(course.preprocess, radius=radius, steps=steps, step=step)
        labels, rows = course.examples.labels, course.examples.rows
        drawn = subset(labels.numpy(), rows.numpy(), options.robust_samples, course.seed)
        self._moved = torch.zeros(len(labels), dtype=torch.bool)
        self._moved[torch.from_numpy(drawn)] = True
        self._place = torch.empty(len(labels), dtype=torch.int64)
        self._place[rows] = torch.arange(len(rows))
        with untouched(model), torch.no_grad():
            self._dense = torch.cat([course.examples.forward(model, inputs).float() for inputs, _ in course.examples])
        self._sd = {name: float(model.get_parameter(name).detach().std(correction=0)) for name in masks}
        self._kept = max(1, round(course.density * sum(mask.numel() for mask in masks.values())))
        self.multiplier = torch.zeros((), dtype=torch.float64)

    def show(self) -> None:
        """The weights are those that compute."""

    def stepped(self, step: int, masks: Masks) -> None:
        """Add the gradients of lambda v, and move lambda on where an epoch begins."""
        from prune_audit.nets.train_loop import MOMENTUM

        del masks
        if step >= self._course.until:
            return
        share = TAU[0] * (TAU[1] / TAU[0]) ** (step / self._course.until)
        squares = {name: self._model.get_parameter(name).detach().square() for name in self._sd}
        taus = {
            name: max((share * sd) ** 2, 1e-24) for name, sd in self._sd.items()
        }  # squared; a layer may be constant
        count = sum(float((square / (square + taus[name])).sum()) for name, square in squares.items())
        violation = max(0.0, count - self._kept) / self._kept
        if step and step % self._course.per_epoch == 0:
            self.multiplier += RHO * violation
        if not violation:
            return
        for name, square in squares.items():
            parameter = self._model.get_parameter(name)
            if parameter.grad is None:
                continue
            slope = 2 * float(self.multiplier) / self._kept * taus[name] / (square + taus[name]).square()
            # A gradient beyond it would, with its momentum, carry the weight to the other side of 0.
            parameter.grad += parameter.detach() * slope.clamp(max=(1 - MOMENTUM) / self._course.lr)

    def loss(
        self, step: int, examples: Examples, inputs: Mapping[str, torch.Tensor], rows: torch.Tensor
    ) -> torch.Tensor | None:
        """In the second half the loss under attack, towards what the dense network said of the same samples."""
        from torch.nn import functional

        from prune_audit.nets import attack

        if step < self._course.until:
            return None
        dense = self._dense[self._place[rows]]
        labels = examples.labels[rows].to(dense.device)
        moved = self._moved[rows].to(dense.device)
        if self._box is not None and moved.any():
            chosen = {name: value[moved] for name, value in inputs.items()}
            chosen = attack.attacked(self._model, examples, chosen, labels[moved], self._box)
            inputs = {name: value.index_put((moved,), chosen[name]) for name, value in inputs.items()}
        scores = examples.forward(self._model, inputs)
        to, given = (_both(each) / TEMPERATURE for each in (dense, scores))
        apart = functional.kl_div(given.log_softmax(1), to.log_softmax(1), reduction="batchmean", log_target=True)
        return (1 - BETA) * cross_entropy(scores, labels).mean() + BETA * TEMPERATURE**2 * apart

    def state(self) -> dict[str, torch.Tensor]:
        """lambda: all else is of the dense network."""
        return {"multiplier": self.multiplier}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`."""
        self.multiplier.copy_(state["multiplier"])


def _both(scores: torch.Tensor) -> torch.Tensor:
    """Scores (B, C), of a binary classifier those of both its classes."""
    import torch

    return torch.cat([torch.zeros_like(scores), scores], 1) if scores.shape[1] == 1 else scores

"""Pruning by alternating directions: weights are drawn towards their nearest sparse copy before they are cut.

    minimise T(W) so that W has k weights other than 0, by steps on T(W) + rho / 2 ||W - Z + U||^2
    after each epoch: Z = the k largest of W + U, U = U + W - Z

rho is .001, .01 and .1 in thirds of the first half of the training, U being scaled down as rho grows; then all but the
k largest weights are cut, and the rest is tuned. Without training it is magnitude. The paper prunes so against
membership inference and reports that less is leaked; nothing of that is promised here.

    source: Wang et al. 2021 (arXiv 2008.13578), which prunes by ADMM as Zhang et al. 2018 (arXiv 1804.03294)
    certainty: medium-low, as the text of the first was not seen; rho and its stages are this project's
    needs: labelled training data and --epochs; 6 or more, as each third of the first half should see an epoch
    cost: a training, and a few percent more
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prune_audit.nets import masking
from prune_audit.nets.companion import Companion, Course
from prune_audit.nets.schedule import halfway
from prune_audit.pruning import Cut, magnitude

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = False
RHO = (1e-3, 1e-2, 1e-1)  # by thirds


def score(
    model: torch.nn.Module, names: Sequence[str], batches: Examples | None, settings: Cut
) -> dict[str, torch.Tensor]:
    """The absolute weights ``names``, each in its shape: what the training has drawn to 0 is cut."""
    return magnitude.score(model, names, batches, settings)


schedule = halfway


def accompany(model: torch.nn.Module, masks: Masks, settings: Cut, course: Course) -> Companion:
    """What draws the weights of ``masks`` to their sparse copies."""
    return Drawn(model, masks, settings, course)


class Drawn:
    """Z and U of every weight."""

    def __init__(self, model: torch.nn.Module, masks: Masks, settings: Cut, course: Course) -> None:
        import torch

        self._model, self._masks, self._settings, self._course = model, masks, settings, course
        self._rho = torch.tensor(RHO[0], dtype=torch.float64)
        self._u = {name: torch.zeros_like(model.get_parameter(name)) for name in masks}
        self._z = self._nearest()

    def show(self) -> None:
        """The weights are those that compute."""

    def stepped(self, step: int, masks: Masks) -> None:
        """Add rho (W - Z + U) to the gradients, and move on Z and U where an epoch begins."""
        del masks
        if step >= self._course.until:
            return
        if step and step % self._course.per_epoch == 0:
            self._z = self._nearest()
            for name, u in self._u.items():
                u += self._model.get_parameter(name).detach() - self._z[name]
        rho = RHO[min(len(RHO) * step // self._course.until, len(RHO) - 1)]
        if rho != float(self._rho):
            for u in self._u.values():
                u *= float(self._rho) / rho
            self._rho.fill_(rho)
        for name, u in self._u.items():
            parameter = self._model.get_parameter(name)
            if parameter.grad is not None:
                parameter.grad += rho * (parameter.detach() - self._z[name] + u)

    def _nearest(self) -> dict[str, torch.Tensor]:
        """Of all that have as many weights as are to be kept, what is nearest to W + U."""
        moved = {name: self._model.get_parameter(name).detach() + u for name, u in self._u.items()}
        sizes = {name: value.abs() for name, value in moved.items()}
        kept = masking.keep_largest(sizes, self._masks, self._course.density, self._settings.scope)
        return {name: value * kept[name] for name, value in moved.items()}

    def state(self) -> dict[str, torch.Tensor]:
        """Z, U and rho."""
        told = {f"z.{name}": value for name, value in self._z.items()}
        return told | {f"u.{name}": value for name, value in self._u.items()} | {"rho": self._rho}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`."""
        self._rho.copy_(state["rho"])
        for name, u in self._u.items():
            u.copy_(state[f"u.{name}"])
            self._z[name] = state[f"z.{name}"].to(u.device)

"""Learn with a gate beside every weight whether to keep it, on samples that the weights are not trained on.

    the network computes with t = w 1[m > 0],  m = |w| at first
    w: steps on 80 % of the data, where closed gates let gradients through, so that what was closed may open again
    m <- m - eta dT/dt sign(w) sigmoid(m) - mu,  on the other 20 %

sign(w) in place of w, so that a weight's size does not decide its own fate. eta is the highest rate of the training.
mu is whatever leaves as many gates open as there should be: in the first half of the training, what is closed grows to
what is to be cut by the cubic of Zhu and Gupta. In the middle the largest m are kept, exactly as many as asked for; of
equal ones the larger weight. Without training it is magnitude.

Gates that begin alike rank by chance in trainings so short: LeNet-5, 20 % kept, 2,000 training images, came to guessing
by them, as by random cuts. Begun at abs(w), on 2,000 other images, one seed: 6 epochs of a trained network (33.6 %)
31.8 %, with gates that do not learn 32.1, magnitude 32.9; 30 epochs from nothing 22.9, gradual magnitude 30.5. Learning
gates gained nothing there.

    source: Xiao, Wang, Rajasekaran 2019 (NeurIPS, AutoPrune)
    certainty: medium-low: the idea is the paper's, its text was not seen; start, eta, mu and the cut are the project's
    needs: labelled training data, at least two samples of each class in a fifth of it, and --epochs
    cost: two trainings
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from prune_audit.errors import ModelError
from prune_audit.nets import masking
from prune_audit.nets.companion import Companion, Course
from prune_audit.nets.gradients import task_gradients
from prune_audit.nets.schedule import halfway
from prune_audit.pruning import Cut, magnitude

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.examples import Examples
    from prune_audit.nets.masking import Masks

NEEDS_DATA = False
STRAIGHT_THROUGH = True
OWN = 0.2


schedule = halfway


def score(
    model: torch.nn.Module, names: Sequence[str], batches: Examples | None, settings: Cut
) -> dict[str, torch.Tensor]:
    """The place of each of the weights ``names`` by its gate, and among equal ones by its size, in its shape."""
    import torch

    sizes = magnitude.score(model, names, batches, settings)
    if not isinstance(settings.companion, Gates):
        return sizes
    gates = torch.cat([settings.companion.gates[name].flatten() for name in names])
    by_size = torch.cat([sizes[name].flatten() for name in names]).argsort(stable=True)
    order = by_size[gates[by_size].argsort(stable=True)]
    places = torch.empty(len(order), dtype=torch.float64, device=order.device)
    places[order] = torch.arange(len(order), dtype=torch.float64, device=order.device)
    parts = places.split([sizes[name].numel() for name in names])
    return {name: part.reshape(sizes[name].shape) for name, part in zip(names, parts, strict=True)}


def accompany(model: torch.nn.Module, masks: Masks, settings: Cut, course: Course) -> Companion:
    """The gates of the weights of ``masks``.

    Raises:
        ModelError: a class has fewer than two samples among those that gates are learnt on.
    """
    del settings
    assert course.own is not None  # there is a share of its own
    labels = course.own.labels
    counts = labels[course.own.rows].bincount(minlength=int(labels.max()) + 1).tolist()
    if few := [str(label) for label, count in enumerate(counts) if count < 2]:
        raise ModelError(
            f"autoprune-style learns gates on a fifth of the data, found fewer than 2 samples there of class "
            f"{', '.join(few)}, counted from 0",
            hint="give more training data",
        )
    return Gates(model, masks, course, course.own)


class Gates:
    """m of every weight, and how it is trained."""

    def __init__(self, model: torch.nn.Module, masks: Masks, course: Course, own: Examples) -> None:
        import torch

        self._model, self._course, self._own = model, course, own
        self.gates = {name: model.get_parameter(name).detach().abs() for name in masks}
        self._batches = own.rows.split(own.size)
        self._done = torch.tensor(0)

    def show(self) -> None:
        """Set the weights to zero whose gates are closed, until the masks say what is kept."""
        if int(self._done) < self._course.until:
            masking.apply(self._model, {name: gate > 0 for name, gate in self.gates.items()})

    def stepped(self, step: int, masks: Masks) -> None:
        """Step on the gates, on a batch of their own."""
        del masks
        self._done.fill_(step + 1)
        if step >= self._course.until:
            return
        for name, slope in self._slopes(step).items():
            weight, gate = self._model.get_parameter(name).detach(), self.gates[name]
            gate -= self._course.lr * slope * weight.sign() * gate.sigmoid()
        self._price((step + 1) / self._course.until)

    def _price(self, done: float) -> None:
        """Move all gates alike, so that as many are open as there should be when a share ``done`` is."""
        import torch

        every = torch.cat([gate.flatten() for gate in self.gates.values()])
        closed = round((1 - self._course.density) * (1 - (1 - done) ** 3) * len(every))
        if closed:
            mu = every.kthvalue(closed).values
            for gate in self.gates.values():
                gate -= mu

    def _slopes(self, step: int) -> dict[str, torch.Tensor]:
        """dT/dt on the next batch of the gates' own, in evaluation mode; the network is left as it is."""
        import torch

        values = {name: self._model.get_parameter(name).detach().clone() for name in self.gates}
        with torch.no_grad():
            self.show()
        try:
            batch = replace(self._own, rows=self._batches[step % len(self._batches)])
            return task_gradients(self._model, tuple(self.gates), batch)
        finally:
            with torch.no_grad():
                for name, value in values.items():
                    self._model.get_parameter(name).copy_(value)

    def state(self) -> dict[str, torch.Tensor]:
        """Gates and the number of steps."""
        return {f"m.{name}": gate for name, gate in self.gates.items()} | {"done": self._done}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`."""
        self._done.copy_(state["done"])
        for name, gate in self.gates.items():
            gate.copy_(state[f"m.{name}"])

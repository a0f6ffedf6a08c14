"""One plain training loop in torch: what happens between two cuts, and after the last one.

Everything random is drawn anew from the seed and the step, and the rate is a function of the step, so a training that
was stopped goes on as if it had not been. Cut weights are set to zero again after every step, because momentum and
decay would move them. Where they may come back, the loss is that of the masked weights, and its gradient goes to all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from prune_audit.choices import Optimizer, RateSchedule
from prune_audit.core import check_seed
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets import masking
from prune_audit.nets.companion import Companion, Teacher
from prune_audit.nets.examples import Examples
from prune_audit.nets.resume import Resume

if TYPE_CHECKING:
    import torch

    from prune_audit.nets.masking import Masks

    Update: TypeAlias = Callable[[int, Masks], Masks]

MOMENTUM = 0.9
_MOMENTS = {"sgd": ("momentum_buffer",), "adamw": ("exp_avg", "exp_avg_sq")}  # what optimisers keep of a parameter
STEPS_AT, STEP_BY = (0.5, 0.75), 0.1  # where the rate falls, as a share of the training, and to what share of itself
WORSE = 2.0  # times its lowest so far: where a loss on held out samples ends a training by another objective
_SPREAD = 1_000_003  # a prime, so that seeds and steps do not meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How one trains. ``lr`` is the highest rate; ``weight_decay`` is L2 in SGD and decoupled in AdamW.

    ``balanced`` draws every class equally often, with replacement, instead of every sample once an epoch. ``held_out``
    is the share of the data by which the best epoch is chosen.
    """

    epochs: int = 0
    lr: float = 0.01
    weight_decay: float = 5e-4
    optimizer: Optimizer = "sgd"
    lr_schedule: RateSchedule = "cosine"
    balanced: bool = False
    batch_size: int = 128
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"the batch size must be positive, found {self.batch_size}", hint="128 is usual")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"the share to hold out must be in [0, 1), found {self.held_out:g}", hint=".1 is usual")
        if self.epochs < 0:
            raise UsageError(f"the number of epochs must not be negative, found {self.epochs}", hint="0 trains nothing")
        if not 0 < self.lr < math.inf:
            raise UsageError(f"the learning rate must be positive, found {self.lr:g}", hint="0.01 is usual for SGD")
        check_seed(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """How an epoch went: the mean loss of its steps, and that on held out samples, None without any; what these were
    ``judged`` by in its place, where somebody asked for that."""

    loss: float
    held_out: float | None
    judged: float | None = None


class Objective(Protocol):
    """What a training minimises in place of the mean cross-entropy."""

    def loss(self, scores: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """The loss of a batch, of ``scores`` (B, C) or (B, 1) and ``labels`` (B,), whose samples are ``rows`` (B,)."""
        ...

    def ended(self) -> None:
        """An epoch is over."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """All that it would need to go on."""
        ...

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`. Raises `ValueError` or `LookupError` where it is none (`check_like`)."""
        ...


def steps(examples: Examples, training: Training) -> int:
    """The steps of a whole training."""
    return training.epochs * len(_order(examples, training, 0))


def train(
    model: torch.nn.Module,
    masks: Masks,
    examples: Examples,
    training: Training,
    *,
    update: Update,
    settled: int = 0,
    held_out: Examples | None = None,
    straight_through: bool = False,
    objective: Objective | None = None,
    judged: Callable[[], float] | None = None,
    companion: Companion | None = None,
    resume: Resume | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Masks, tuple[Epoch, ...]]:
    """Train ``model`` in place and give its masks and how the epochs went; it is left in evaluation mode.

    ``update`` gets a step and the masks before it, and gives those to go on with. With ``held_out`` samples the
    weights of the epoch with the lowest loss on them are kept, of those epochs that end after the step ``settled``,
    from which on masks do not change. ``straight_through`` lets cut weights keep values and gradients while training.
    ``objective`` takes the place of the mean cross-entropy, and ends the training where the loss on held out samples is
    `WORSE` times its lowest. ``judged`` gives what epochs are chosen by in place of that loss, which then decides
    between equals; it is asked after each, of ``model`` as it then is.
    ``companion`` goes along with it. ``resume`` holds the state on disk. ``progress`` gets (steps done, of all).

    Raises:
        ModelError: the loss is no number, or the network cannot be trained.
    """
    import torch

    per_epoch = len(_order(examples, training, 0))
    total = training.epochs * per_epoch
    optimizer = _optimizer(model, training)
    step, losses = 0, 0.0
    history: list[Epoch] = []
    best: dict[str, Any] | None = None

    def beside() -> dict[str, torch.Tensor]:
        return {} if companion is None else companion.state()

    if resume is not None and (state := resume.read()) is not None:
        try:
            step, losses, best, history = _told(state, total, per_epoch)
            if best is not None:
                check_like(best["masks"], masks)
                check_like(best["beside"], beside())
                model.load_state_dict(best["model"])  # which sees whether it can be
            model.load_state_dict(state["model"])
            check_like(state["masks"], masks)
            masks = {name: state["masks"][name].to(mask.device) for name, mask in masks.items()}
            check_like(state["beside"], beside())
            if companion is not None:
                companion.load(state["beside"])
            if objective is None:
                check_like(state["objective"], {})
            else:
                objective.load(state["objective"])
            # How it goes on is of this run: the key of the state says that it is the same.
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state["optimizer"]["state"]})
            for parameter, held in optimizer.state.items():
                step_of = {"step": torch.zeros(())} if training.optimizer == "adamw" else {}
                check_like(held, step_of | dict.fromkeys(_MOMENTS[training.optimizer], parameter))
        # What `remember` did not write fails in as many ways as it can be something else.
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as fault:
            raise resume.refused() from fault

    lowest = None if best is None else best["rank"]

    def remember() -> None:
        if resume is not None:
            state = {"step": step, "losses": losses, "best": best, "masks": masks, "model": model.state_dict()}
            state["beside"] = beside()
            state["objective"] = {} if objective is None else objective.state()
            told = [(epoch.loss, epoch.held_out, epoch.judged) for epoch in history]
            resume.write({**state, "optimizer": optimizer.state_dict(), "history": told})

    with torch.random.fork_rng(), torch.enable_grad():
        for epoch in range(step // per_epoch, training.epochs):
            if objective is not None and _lost(history):
                break
            model.train()
            batches = _order(examples, training, epoch)[step % per_epoch :]
            for rows, (inputs, labels) in zip(batches, examples.stream(batches), strict=True):
                masks = update(step, masks)
                torch.manual_seed(training.seed * _SPREAD + step)
                for group in optimizer.param_groups:
                    group["lr"] = training.lr * _rate(training, step / total)
                with _shown(model, masks, straight_through, companion):
                    optimizer.zero_grad()
                    taught = companion.loss(step, examples, inputs, rows) if isinstance(companion, Teacher) else None
                    if taught is not None:
                        loss = taught
                    elif objective is None:
                        loss = examples.loss(model, inputs, labels) / len(labels)
                    else:
                        loss = objective.loss(examples.forward(model, inputs), labels, rows)
                    loss.backward()
                losses += _finite(float(loss.detach()), step)
                if companion is not None:
                    companion.stepped(step, masks)
                optimizer.step()
                if not straight_through:
                    masking.apply(model, masks)
                step += 1
                if progress is not None:
                    progress(step, total)
                if resume is not None and step % per_epoch and resume.due():
                    remember()
            with _shown(model, masks, straight_through, companion):
                out = None if held_out is None else mean_loss(model, held_out)
                by = None if judged is None else judged()
            if out is not None and step > settled:
                rank = (out if by is None else by, out)
                if lowest is None or rank < lowest:
                    held = {"model": model.state_dict(), "beside": beside()}
                    copies = {what: {n: value.clone() for n, value in of.items()} for what, of in held.items()}
                    best, lowest = {"rank": rank, "masks": masks, **copies}, rank
            history.append(Epoch(loss=losses / per_epoch, held_out=out, judged=by))
            losses = 0.0
            if objective is not None:
                objective.ended()
            remember()
    if best is not None:
        model.load_state_dict(best["model"])
        masks = {name: best["masks"][name].to(mask.device) for name, mask in masks.items()}
        if companion is not None:
            companion.load(best["beside"])
    masking.apply(model, masks)
    if companion is not None:
        with torch.no_grad():
            companion.show()
    model.eval()
    return masks, tuple(history)


def _told(
    state: Mapping[str, Any], total: int, per_epoch: int
) -> tuple[int, float, dict[str, Any] | None, list[Epoch]]:
    """What a ``state`` says beside tensors: step, losses of the epoch, the best one, epochs. Raises `ValueError`."""
    step, losses, best, told = (state[name] for name in ("step", "losses", "best", "history"))
    history = [Epoch(loss=loss, held_out=out, judged=by) for loss, out, by in told]
    numbers = [losses, *(each.loss for each in history)]
    numbers += [each for epoch in history for each in (epoch.held_out, epoch.judged) if each is not None]
    if best is not None:
        by, out = best["rank"]
        best, numbers = {**best, "rank": (by, out)}, [*numbers, by, out]
    if type(step) is not int or not 0 < step <= total or len(history) != step // per_epoch:
        raise ValueError(f"step {step}")
    if not all(isinstance(each, float) and math.isfinite(each) for each in numbers):
        raise ValueError("a loss that is none")
    return step, losses, best, history


def _lost(history: Sequence[Epoch]) -> bool:
    """Whether the last loss on held out samples is so high that another objective leads nowhere."""
    held_out = [each.held_out for each in history if each.held_out is not None]
    return bool(held_out) and held_out[-1] > WORSE * min(held_out)


def check_like(found: Mapping[str, Any], like: Mapping[str, torch.Tensor]) -> None:
    """Raise `ValueError` where ``found`` is not made of tensors ``like`` these."""
    shapes = {name: (value.shape, value.dtype) for name, value in found.items()}
    if shapes != {name: (value.shape, value.dtype) for name, value in like.items()}:
        raise ValueError("other tensors")


def mean_loss(model: torch.nn.Module, examples: Examples) -> float:
    """The mean cross-entropy over ``examples`` in evaluation mode; the mode is left as it was."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            total = sum(float(examples.loss(model, inputs, labels)) for inputs, labels in examples)
    finally:
        for module, mode in modes:
            module.training = mode
    return total / len(examples.rows)


def _order(examples: Examples, training: Training, epoch: int) -> list[torch.Tensor]:
    """The rows of each batch of an epoch; a last batch of one is left out, which normalisation cannot take."""
    import torch

    generator = torch.Generator().manual_seed(training.seed * _SPREAD + epoch)
    rows = examples.rows
    if training.balanced:
        _, classes, counts = examples.labels[rows].unique(return_inverse=True, return_counts=True)
        by_class = rows[classes.argsort(stable=True)]
        starts = counts.cumsum(0) - counts
        chosen = torch.randint(len(counts), (len(rows),), generator=generator)
        within = (torch.rand(len(rows), generator=generator) * counts[chosen]).long()
        order = by_class[starts[chosen] + torch.minimum(within, counts[chosen] - 1)]
    else:
        order = rows[torch.randperm(len(rows), generator=generator)]
    batches = list(order.split(examples.size))
    return batches[:-1] if len(batches) > 1 and len(batches[-1]) == 1 else batches


def _optimizer(model: torch.nn.Module, training: Training) -> torch.optim.Optimizer:
    import torch

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ModelError("the model has no parameter that could be trained", hint="prune it without --epochs")
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=training.lr, weight_decay=training.weight_decay)
    return torch.optim.SGD(parameters, lr=training.lr, momentum=MOMENTUM, weight_decay=training.weight_decay)


def _rate(training: Training, done: float) -> float:
    """The share of the highest rate when a share ``done`` of the training is."""
    if training.lr_schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    return STEP_BY ** sum(done >= at for at in STEPS_AT) if training.lr_schedule == "step" else 1.0


@contextmanager
def _shown(model: torch.nn.Module, masks: Masks, straight_through: bool, companion: Companion | None) -> Iterator[None]:
    """Within, the weights are those that the companion means, of what their masks keep; afterwards they are as before,
    with the gradients that came."""
    import torch

    if not straight_through and companion is None:
        yield
        return
    values = {name: model.get_parameter(name).detach().clone() for name in masks}
    masking.apply(model, masks)
    if companion is not None:
        with torch.no_grad():
            companion.show()
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in values.items():
                model.get_parameter(name).copy_(value)


def _finite(loss: float, step: int) -> float:
    if math.isfinite(loss):
        return loss
    raise ModelError(
        f"the loss is {loss} at step {step}", hint="lower --lr; also check --preprocess, and whether labels fit"
    )

"""What a cut is predicted to do to the loss of each class, by first and second order from the dense network.

    J(theta + delta) - J(theta) ~ g . delta + delta' H delta / 2

with the gradient g and the Hessian H of the mean cross-entropy J of the samples of one class at the dense parameters
theta (Tran et al. 2022, section 3, whose bound replaces the second term by the largest eigenvalue: it is tens of
thousands of times too large on networks with batch normalisation, and is not computed here). ``delta`` is the pruned
network less the dense one: the weights that were cut, and whatever a training moved afterwards. One pass a class gives
the gradient and, by a second backward pass, H delta; the graph of one batch is held at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from prune_audit.core import Counts
from prune_audit.errors import ModelError
from prune_audit.lenses import CannotLook, Subject
from prune_audit.nets import masking
from prune_audit.nets.gradients import untouched

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

BATCH = 128  # samples whose graph is held at a time
LEAST = 2  # samples of a class


def deltas(subject: Subject) -> tuple[Tensors, Tensors]:
    """Pruned less dense, parameter by parameter; and the part of it that is weights that were cut.

    Raises:
        CannotLook: the networks have not the same parameters.
    """
    import torch

    dense, pruned = (dict(network.module.named_parameters()) for network in (subject.dense, subject.pruned))
    for name, values in pruned.items():
        if name not in dense or dense[name].shape != values.shape:
            found = tuple(dense[name].shape) if name in dense else "none"
            raise CannotLook(
                f"the parameter {name} of {subject.pruned.card.name} is {tuple(values.shape)}, that of "
                f"{subject.dense.card.name} {found}: they cannot be compared one by one",
                hint="give networks of one architecture",
            )
    whole = {name: (pruned[name] - dense[name]).detach() for name in pruned if dense[name].is_floating_point()}
    cuttable = masking.prunable(subject.pruned.module)
    cut = {
        name: torch.where(
            (pruned[name] == 0) & (dense[name] != 0), -dense[name], torch.zeros_like(dense[name])
        ).detach()
        for name in cuttable
    }
    return {name: values for name, values in whole.items() if bool((values != 0).any())}, cut


def tuned(subject: Subject) -> bool:
    """Whether weights that were not cut differ from the dense network's: it was trained after the cut."""
    whole, cut = deltas(subject)
    return any(bool((values != cut[name]).any()) if name in cut else True for name, values in whole.items())


def per_class(subject: Subject) -> list[Any]:
    """For each class what `_of_class` gives, None where it has fewer than `LEAST` samples."""
    bar = subject.progress("predicting the loss")
    found: list[Any] = []
    for i in range(len(subject.classes)):
        if bar is not None:
            bar(i, len(subject.classes))
        rows = subject.data.of(i)
        if len(rows) < LEAST:
            found.append(None)
        else:
            found.append(subject.common(["shift", i], partial(_of_class, subject, i, rows)))
    if bar is not None:
        bar(len(subject.classes), len(subject.classes))
    return found


def _of_class(subject: Subject, position: int, rows: Counts) -> dict[str, Any]:
    """Loss, gradient norm, both predictions, by layer too, and how near the dense network is to deciding otherwise.

    ``first`` and ``second`` are of all that differs, ``first_cut`` and ``second_cut`` of the cut weights alone, and
    ``layers`` the second of each layer's share: g . delta + delta . H delta / 2 over its weights, in the order of
    `prune_audit.nets.masking.prunable`. ``margins`` (n,) are the true logit less the highest other one, in the dense
    network, ``moved`` (n,) how much they change.
    """
    import torch

    whole, cut = deltas(subject)
    module = subject.dense.module
    examples = subject.dense.examples(subject.data, rows, size=BATCH)
    with untouched(module):
        parameters = {name: module.get_parameter(name) for name in dict.fromkeys((*whole, *cut))}
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        for parameter in parameters.values():
            parameter.requires_grad_(True)
        gradient = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in parameters.items()}
        curved = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in parameters.items()}
        moved_curved = dict(curved) if not _equal(whole, cut) else None
        total, closeness = 0.0, 0.0
        margins: list[float] = []
        right = 0
        for inputs, labels in examples:
            with torch.enable_grad():
                scores = examples.forward(module, inputs)
                loss = _loss(scores, labels) / len(rows)
                found = torch.autograd.grad(loss, list(parameters.values()), create_graph=True, allow_unused=True)
                grads = dict(zip(parameters, found, strict=True))
                for name, own in grads.items():
                    if own is not None:
                        gradient[name] += own.detach().double()
                _add(curved, grads, cut, parameters, keep=moved_curved is not None)
                if moved_curved is not None:
                    moved_curved = dict(moved_curved)
                    _add(moved_curved, grads, whole, parameters, keep=False)
            with torch.no_grad():
                logits = two_or_more(scores.detach())
                share = logits.softmax(1)
                closeness += float((1 - (share**2).sum(1)).sum())
                own_margins = margins_of(logits, labels)
                margins += own_margins.tolist()
                right += int((own_margins > 0).sum())
                total += float(loss.detach()) * len(rows)
    after: list[float] = []
    other = subject.pruned.examples(subject.data, rows, size=BATCH)
    with untouched(subject.pruned.module), torch.no_grad():
        for inputs, labels in other:
            after += margins_of(two_or_more(other.forward(subject.pruned.module, inputs)), labels).tolist()
    if not all(map(_finite, (total, *margins, *after))):
        raise ModelError(
            f"the loss of {subject.classes[position]} is infinite or no number",
            hint="check the weights and --preprocess",
        )
    moving = curved if moved_curved is None else moved_curved
    layers = [_dot(gradient, cut, [name]) + _dot(curved, cut, [name]) / 2 for name in cut]
    return {
        "n": len(rows),
        "loss": total / len(rows),
        "gradient_norm": sum(float((gradient[name] ** 2).sum()) for name in cut) ** 0.5,
        "first": _dot(gradient, whole, list(whole)),
        "second": _dot(gradient, whole, list(whole)) + _dot(moving, whole, list(whole)) / 2,
        "first_cut": _dot(gradient, cut, list(cut)),
        "second_cut": sum(layers),
        "layers": layers,
        "closeness": closeness / len(rows),
        "margins": margins,
        "moved": [a - b for a, b in zip(after, margins, strict=True)],
        "right": right,
    }


def two_or_more(scores: torch.Tensor) -> torch.Tensor:
    """Logits (B, C) of ``scores``: of a binary classifier's one (B, 1), those of both classes."""
    import torch

    return scores if scores.shape[1] > 1 else torch.cat([torch.zeros_like(scores), scores], 1)


def margins_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The logit of the label less the highest of the others (B,)."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter(1, labels[:, None], float("-inf")).amax(1)


def _loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    return functional.cross_entropy(two_or_more(scores), labels, reduction="sum")


def _add(
    into: dict[str, torch.Tensor],
    grads: Mapping[str, torch.Tensor | None],
    delta: Tensors,
    parameters: Mapping[str, torch.nn.Parameter],
    *,
    keep: bool,
) -> None:
    """Add the Hessian times ``delta`` of the batch that ``grads`` are of to what is in ``into``."""
    import torch

    terms = [(own * delta[name]).sum() for name, own in grads.items() if own is not None and name in delta]
    along = sum(terms, torch.zeros(()))
    if not isinstance(along, torch.Tensor) or not along.requires_grad:  # a loss that is linear in all of them
        return
    found = torch.autograd.grad(along, list(parameters.values()), retain_graph=keep, allow_unused=True)
    for name, own in zip(parameters, found, strict=True):
        if own is not None:
            into[name] = into[name] + own.double()


def _dot(some: Tensors, others: Tensors, names: list[str]) -> float:
    return sum(float((some[name].double() * others[name].double()).sum()) for name in names)


def _equal(whole: Tensors, cut: Tensors) -> bool:
    names = {name for name, values in cut.items() if bool((values != 0).any())}
    return names == set(whole) and all(bool((whole[name] == cut[name]).all()) for name in whole)


def _finite(value: float) -> bool:
    return value - value == 0

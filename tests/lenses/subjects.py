"""Small networks in which it is known what a cut does, and what lenses are shown of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from prune_audit import audit, data, models
from prune_audit.core import Dataset, Outputs, Predictions, Settings
from prune_audit.lenses import Network, Part, Subject
from prune_audit.nets.editable import Editable, of_torch
from prune_audit.nets.module import TorchClassifier

Samples = tuple[Any, Any]
CLASSES = 10


def network(module: nn.Module, name: str) -> Network:
    live = models.in_memory(module, name)
    # As a file is loaded, gradients reach its scores.
    classifier = TorchClassifier(module, live.card, live.expects)

    def write(path: Path) -> None:
        torch.save(classifier.module.state_dict(), path)

    return Network(card=classifier.card, expects=classifier.expects, editable=of_torch(classifier, write))


def subject(dense: nn.Module, pruned: nn.Module, learnt: Samples, judged: Samples, **more: Any) -> Subject:
    """What lenses are shown of both modules; nothing is kept between units, and what is judged is judged in memory."""
    settings = Settings(plausibility=False, threads=1)
    networks = network(dense, "dense"), network(pruned, "pruned")
    names = [str(i) for i in range(int(max(learnt[1].max(), judged[1].max())) + 1)]
    parts = (
        Part(name="data", dataset=data.arrays(*learnt, classes=names)),
        Part(name="audit", dataset=data.arrays(*judged, classes=names)),
    )

    def predict(module: nn.Module, name: str, dataset: Dataset) -> Predictions:
        return audit.predict(models.in_memory(module, name), dataset, settings)[0]

    def predicted(part: Part) -> Predictions:
        both = [predict(each.module, each.card.name, part.dataset) for each in networks]
        return Predictions(
            classes=both[0].classes,
            ids=both[0].ids,
            labels=both[0].labels,
            models=tuple(each.models[0] for each in both),
            digests=both[0].digests,
        )

    def judge(name: str, changed: Editable) -> Outputs:
        return predict(copy.deepcopy(changed.module), name, parts[1].dataset).models[0]

    live = [models.in_memory(each.module, each.card.name) for each in networks]
    done = audit.run(live[0], live[1:], parts[1].dataset, settings)
    once: Callable[[Sequence[object], Callable[[], Any]], Any] = lambda _, make: make()  # noqa: E731
    return Subject(
        dense=networks[0],
        pruned=networks[1],
        comparison=done.comparisons[0],
        data=parts[0],
        audit=parts[1],
        settings=settings,
        seed=0,
        predicted=predicted,
        judged=judge,
        remember=once,
        common=once,
        progress=lambda _: None,
        **more,
    )


def one_hot(seed: int, each: int = 40, noise: float = 0.6, size: int = CLASSES) -> Samples:
    """``each`` samples of every class: the unit vector of the class, with noise."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(size), each)
    values = 2 * np.eye(size)[labels] + noise * generator.normal(size=(len(labels), size))
    return values.astype(np.float32), labels


def planted() -> Any:
    """Ten classes through three layers without a nonlinearity between: class by class a unit of its own.

    Ten further units of the first layer have large weights, and none that leads on from them.
    """
    made: Any = nn.Sequential(
        *(nn.Linear(10, 20, bias=False), nn.ReLU(), nn.Linear(20, 20, bias=False), nn.ReLU(), nn.Linear(20, 10))
    )
    with torch.no_grad():
        first, second, last = made[0].weight, made[2].weight, made[4].weight
        for weight in (first, second, last):
            weight.zero_()
        first[:10] = torch.eye(10)
        first[10:] = 5.0
        second[:10, :10] = torch.eye(10)
        last[:, :10] = 3 * torch.eye(10)
        made[4].bias.zero_()
    return made


def cut_in_second(dense: Any, klass: int = 3) -> Any:
    """The class's weights of the second layer cut, and the idle ones of the first."""
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[2].weight[klass] = 0
        pruned[0].weight[10:] = 0
    return pruned

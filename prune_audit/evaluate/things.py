"""Recorded models asked for labelled things, and the task asked which of these count as found; nothing runs here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prune_audit import tasks
from prune_audit.core import Classifier, Finds, Found, Recorded, Settings, Things
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.evaluate.loop import Evaluation
from prune_audit.tasks.classification.alignment import check_accuracy


def check(things: Things, settings: Settings) -> Settings:
    """``settings`` with the cluster that the ``things`` come in, where no wider one was asked for.

    Raises:
        UsageError: something was asked for that recorded things do not have, or a cluster that parts what belongs
            together.
    """
    asked = {
        "--limit": settings.limit is not None,
        "--until-settled": settings.until_settled,
        "--drop-class": bool(settings.drop_class),
    }
    for option, given in asked.items():
        if given:
            raise UsageError(
                f"{option} spares or leaves out samples that models run over, and these answers are all there",
                hint=f"leave {option} out",
            )
    if things.cluster is None or settings.cluster is None:
        return replace(settings, cluster=settings.cluster or things.cluster)
    if settings.cluster in things.groups:
        inner, outer = (
            np.unique(things.groups[name].astype(str), return_inverse=True)[1]
            for name in (things.cluster, settings.cluster)
        )
        pairs = np.unique(np.stack([inner, outer]), axis=1)
        if pairs.shape[1] > inner.max(initial=-1) + 1:
            raise UsageError(
                f"--cluster {settings.cluster} puts what lies in one {things.cluster} into several clusters",
                hint=f"name a column that holds one value for each {things.cluster}",
            )
    return settings


def evaluate(models: Sequence[Classifier | Recorded], things: Things, settings: Settings) -> Evaluation:
    """What the task of ``things`` makes of what ``models``, the dense one first, found of them.

    Raises:
        AlignmentError: a model runs, or answered something else, or the dense model finds next to nothing.
        ModelError: a file is damaged.
    """
    started = time.perf_counter()
    task = tasks.of(things.task)
    found: list[Found] = []
    for model in models:
        if not isinstance(model, Finds):
            raise AlignmentError(
                f"{model.card.path or model.card.name} is {model.card.format}, and {things.path} holds labels for the "
                f"task {things.task}: of that only recorded answers can be audited",
                hint="write what the model answers to a file first; docs/tasks.md says how",
            )
        found.append(model.found(things))
    judged: tasks.Judged = task.judge(things, found, settings)
    predictions = judged.predictions
    if len(models) > 1:
        right = tasks.right(predictions, found[0].name)
        check_accuracy(found[0].name, int(right.sum()), len(right), settings)
    return Evaluation(
        predictions=predictions,
        skipped=(),
        notes=(*judged.notes, *(note for each in found for note in each.notes)),
        assumptions=(*(each for model in models for each in model.assumptions), *judged.assumptions),
        doubts=(),
        run={"seconds": round(time.perf_counter() - started, 3)},
        facts={},
    )

"""One label a sample, as every task has it: what it counts, and what is right whoever asks."""

from __future__ import annotations

import numpy as np
import pytest

from prune_audit import tasks
from prune_audit.core import CLASSIFICATION, Outputs, Predictions
from prune_audit.tasks import classification

PREDICTIONS = Predictions(
    classes=("a", "b", "c"),
    ids=tuple("1234"),
    labels=np.array([0, 1, 2, 0]),
    models=(
        Outputs(name="dense", predicted=np.array([0, 1, 1, 2])),
        Outputs(name="pruned", predicted=np.array([0, 2, 2, 1])),
    ),
)


def test_it_is_what_is_meant_where_nothing_is_said() -> None:
    assert CLASSIFICATION == PREDICTIONS.task == classification.TASK
    assert CLASSIFICATION.answers(("a",)) == ("a",)
    assert not CLASSIFICATION.lacks


@pytest.mark.parametrize(("model", "right"), [("dense", [1, 1, 0, 0]), ("pruned", [1, 0, 1, 0])])
def test_right_is_the_class_of_the_label(model: str, right: list[int]) -> None:
    assert tasks.right(PREDICTIONS, model).tolist() == [bool(each) for each in right]


def test_models_agree_where_they_say_the_same_right_or_not() -> None:
    assert tasks.agreement(PREDICTIONS, "dense", "pruned") == 0.25
    assert tasks.agreement(PREDICTIONS, "dense", "dense") == 1


def test_flips_say_the_answers_and_which_way_they_went() -> None:
    flips, flipped = classification.flips(PREDICTIONS, "dense", "pruned", 10)
    assert flipped == 2
    assert [(flip.id, flip.label, flip.dense, flip.pruned, flip.went) for flip in flips] == [
        ("2", "b", "b", "c", "lost"),
        ("3", "c", "b", "c", "gained"),
    ]
    assert all(flip.asked is None and flip.right is None for flip in flips)

"""When a question counts as answered, and what is shown of the choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from prune_audit.core import Found, Settings, Things
from prune_audit.errors import AlignmentError
from prune_audit.tasks import language_models
from prune_audit.tasks.language_models import Asked, answered


def judged(*scores: Sequence[float]) -> Any:
    n = len(scores[0])
    things = Things(
        task="language-models", path="logs", classes=("law",), ids=tuple(map(str, range(n))), labels=np.zeros(n, int),
        detail=Asked(hashes=[(None, None, None)] * n, stratum=("subject", "subjects")),
    )  # fmt: skip
    found = [Found(name=str(i), scores=np.array(each, float)) for i, each in enumerate(scores)]
    return language_models.judge(things, found, Settings())


def test_a_question_is_answered_where_its_metric_is_one() -> None:
    predictions = judged([1, 0, 1], [0, 0, 1]).predictions
    assert {name: right.tolist() for name, right in predictions.right.items()} == {
        "0": [True, False, True],
        "1": [False, False, True],
    }
    assert predictions.task.stratum == ("subject", "subjects")


def test_a_poor_dense_model_is_said_and_one_that_is_never_right_refused() -> None:
    assert not judged([1, 0], [1, 0]).notes
    assert "hardly anything can be lost" in judged([1] + [0] * 30, [0] * 31).notes[0]
    with pytest.raises(AlignmentError):
        judged([0, 0], [1, 1])


@pytest.mark.parametrize(("by_length", "answer"), [(False, 0), (True, 1)])
def test_the_answer_is_the_choice_with_the_highest_score(by_length: bool, answer: int) -> None:
    assert answered([-2.0, -3.0, -9.0], ["abc", "abcdefgh", "a"], by_length=by_length) == answer


def test_of_equal_choices_the_first_is_answered() -> None:
    assert answered([-1.0, -1.0], ["a", "b"], by_length=False) == 0

"""Recorded answers and their task: what is asked of whom, and what cannot be asked of things that nobody runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from prune_audit import audit, tasks
from prune_audit.core import (
    Assumption,
    Counts,
    Expects,
    Found,
    ModelCard,
    Outputs,
    Predictions,
    Scores,
    Settings,
    Task,
    Things,
)
from prune_audit.core.things import refuse
from prune_audit.errors import AlignmentError, AuditError, UsageError
from prune_audit.evaluate import things as evaluate_things
from prune_audit.tasks import _pairs

TASK = Task(name="riddles", thing=("riddle", "riddles"), lacks={"answers": "a riddle is solved or it is not"})
THINGS = Things(
    task="riddles",
    path="riddles.txt",
    classes=("hard", "easy"),
    ids=tuple("abcdef"),
    labels=np.array([0, 0, 0, 1, 1, 1]),
    groups={"book": np.array(["x", "x", "y", "y", "z", "z"]), "shelf": np.array(list("ppppqq"))},
    texts=[f"what is {each}?" for each in "abcdef"],
    truths=list("ABCDEF"),
)


@dataclass(frozen=True)
class Reader:
    """A recorded model that solved those riddles whose score is at least 1."""

    name: str
    scores: tuple[float, ...]
    brings: bool = False
    assumptions: tuple[Assumption, ...] = ()

    @property
    def card(self) -> ModelCard:
        return ModelCard(name=self.name, path=f"{self.name}.txt", format="predictions", digest=self.name, size=1)

    @property
    def expects(self) -> Expects:
        return Expects(runs=False)

    def outputs(self, ids: object, labels: Counts, classes: tuple[str, ...], like: Scores | None = None) -> Outputs:
        raise refuse(self.card, "solved riddles")

    def things(self) -> Things:
        return THINGS

    def found(self, things: Things) -> Found:
        return Found(name=self.name, scores=np.array(self.scores), given=[f"{each:g}" for each in self.scores])


class Riddles:
    """A task, as a module would be."""

    TASK = TASK
    right_of = staticmethod(_pairs.right_of)
    pair = staticmethod(_pairs.pair)
    samples = staticmethod(_pairs.samples)
    flips = staticmethod(_pairs.flips)

    @staticmethod
    def judge(things: Things, found: list[Found], settings: Settings) -> tasks.Judged:
        predictions = Predictions(
            classes=things.classes,
            ids=things.ids,
            labels=things.labels,
            models=tuple(Outputs(name=each.name, predicted=np.full(len(things.ids), -1)) for each in found),
            groups=things.groups,
            task=TASK,
            right={each.name: each.scores >= 1 for each in found},
        )
        return tasks.Judged(predictions=predictions, notes=("judged",))


DENSE: Any = Reader("dense", (1, 1, 0, 1, 1, 1))
PRUNED: Any = Reader("pruned", (1, 0, 1, 0, 1, 1))


@pytest.fixture(autouse=True)
def riddles(monkeypatch: pytest.MonkeyPatch) -> None:
    own = tasks.of
    monkeypatch.setattr(tasks, "of", lambda name: Riddles if name == "riddles" else own(name))


def test_an_audit_counts_things_that_were_found() -> None:
    done = audit.run(DENSE, [PRUNED], None, Settings(by=("book",), cluster="book"))
    pair = done.comparisons[0].view().pair
    assert [getattr(pair, kind).tolist() for kind in ("both", "lost", "gained", "neither")] == [
        [1, 2], [1, 1], [1, 0], [0, 0],
    ]  # fmt: skip
    assert pair.task == TASK
    assert pair.clusters is not None
    assert not len(pair.moves)
    assert done.comparisons[0].flipped == 3
    went = [(flip.id, flip.went) for flip in done.comparisons[0].flips]
    assert went == [("b", "lost"), ("d", "lost"), ("c", "gained")]
    assert done.provenance.notes[0] == "judged"
    assert done.provenance.samples == 6


def test_the_cluster_of_things_is_theirs_unless_a_wider_one_is_named() -> None:
    inside = replace(THINGS, cluster="book")
    assert evaluate_things.check(inside, Settings()).cluster == "book"
    assert evaluate_things.check(THINGS, Settings(cluster="shelf")).cluster == "shelf"
    assert evaluate_things.check(inside, Settings(cluster="shelf")).cluster == "shelf"
    torn = replace(inside, groups={**THINGS.groups, "page": np.arange(6)})
    with pytest.raises(UsageError, match="puts what lies in one book into several clusters"):
        evaluate_things.check(torn, Settings(cluster="page"))


@pytest.mark.parametrize(
    ("settings", "option"),
    [(Settings(limit=3), "--limit"), (Settings(until_settled=True), "--until-settled")],
)
def test_nothing_is_spared_where_all_answers_are_there(settings: Settings, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        evaluate_things.check(THINGS, settings)


def test_a_model_that_runs_cannot_be_asked() -> None:
    class Runs:
        card = ModelCard(name="net", path="net.onnx", format="ONNX", digest="", size=0)
        assumptions = ()

    model: Any = Runs()
    with pytest.raises(AlignmentError, match=r"net\.onnx is ONNX"):
        evaluate_things.evaluate([model], THINGS, Settings())
    with pytest.raises(AlignmentError, match="no inputs"):
        THINGS.read([0])


def test_the_dense_model_must_have_the_accuracy_that_was_expected() -> None:
    with pytest.raises(AlignmentError, match="the dense model dense was to have 2"):
        evaluate_things.evaluate([DENSE, PRUNED], THINGS, Settings(expect_accuracy=0.02, expect_tolerance=0.0))


def test_a_task_that_was_named_must_be_that_of_the_data() -> None:
    with pytest.raises(UsageError, match=r"--task classification: riddles\.txt holds labels for the task riddles"):
        audit.run(DENSE, [PRUNED], None, Settings(task="classification"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(scheme="iob2"), "--scheme is of the task spans, and riddles.txt holds labels for the task riddles"),
        (Settings(iou=0.6), "--iou is of the task detection"),
        (Settings(iou=0.5, named=("iou",)), "--iou is of the task detection"),  # which is its default
        (Settings(class_by="level"), "--class-by is of the task language-models"),
    ],
)
def test_options_of_other_tasks_are_refused(settings: Settings, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        audit.run(DENSE, [PRUNED], None, settings)
    assert "would change nothing" in caught.value.hint


def test_without_data_the_dense_model_has_to_bring_them() -> None:
    @dataclass(frozen=True)
    class Silent:
        card = DENSE.card
        expects = DENSE.expects
        assumptions = ()

        def outputs(self, ids: object, labels: Counts, classes: tuple[str, ...], like: object = None) -> Outputs:
            raise AssertionError

    model: Any = Silent()
    with pytest.raises(AuditError, match="--data is missing"):
        audit.run(model, [PRUNED], None, Settings())

"""What lenses are shown in a run: both networks, their samples, and predictions of all of these."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prune_audit import explain
from prune_audit.core import DataSource, ModelSource, Settings
from prune_audit.explain import rule
from prune_audit.lenses import Account, CannotLook, Left, Seen, Subject, of_class, weights
from tests.lenses import subjects


@pytest.fixture
def shown(sample_models: Path, few_digits: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Subject, explain.Asked]:
    """What the lens of weights is shown where fifty samples are audited."""
    seen: list[Subject] = []

    def look(subject: Subject, options: None) -> None:
        del options
        assert len(subject.predicted(subject.data).labels) == 70  # all of them, whatever is audited
        assert len(subject.predicted(subject.audit).labels) == 50
        assert [outputs.name for outputs in subject.predicted(subject.audit).models] == ["dense", "pruned-90"]
        seen.append(subject)
        raise CannotLook("seen enough", hint="none")

    monkeypatch.setattr(weights, "look", look)
    dense, pruned = (ModelSource(name=n, path=sample_models / f"{n}.onnx") for n in ("dense", "pruned-90"))
    asked = explain.Asked(lenses={"weights": None}, samples=7, same_data=True)
    settings = Settings(limit=50, isolate="never")
    sides = DataSource(path=few_digits), DataSource(path=sample_models / "val")
    done = explain.run(dense, [pruned], *sides, settings, asked)
    assert done.comparisons[0].looks[1].absent == "seen enough"
    assert done.provenance.limited
    return seen[0], asked


def test_samples_of_each_class_and_a_sample_of_what_is_audited(shown: tuple[Subject, explain.Asked]) -> None:
    subject, asked = shown
    assert np.bincount(subject.data.labels).tolist() == [asked.samples] * 10
    assert [len(subject.data.of(k)) for k in range(10)] == [asked.samples] * 10
    assert of_class(np.array([1, 0, 1]), 1).tolist() == [0, 2]
    view = subject.view
    assert int(view.pair.support.sum()) == 50
    assert subject.classes == tuple("0123456789")


def test_lenses_come_by_rank_and_the_usual_ones_by_default() -> None:
    assert explain.usual() == ("recalibrated", "loss-shift", "layers", "weights")
    assert explain.ranked(["weights", "layers"]) == ("layers", "weights")


def test_what_is_left_of_the_harm_is_ranked_where_a_lens_found_most_of_it() -> None:
    """One class lost all; once that is mended, the others lost in the order that was predicted."""
    dense = subjects.planted()
    judged = subjects.subject(dense, subjects.cut_in_second(dense), subjects.one_hot(0), subjects.one_hot(1))
    order = Account(name="order", title="Some order", values=tuple(range(10)), larger="more", step="Tune them.")
    whole, said = explain._ruled(judged, [Seen(sentences=("seen",), accounts=(order,))], {}, same_data=False)
    assert said[1:] == ("Nothing that was measured here explains who lost.", explain.GENERAL)
    assert whole.sentences[0].startswith("No measure ranks the classes by their excess loss beyond luck")
    left = Left(values=tuple(k / 10 for k in range(10)), title="the excess loss that something leaves them")
    seen = Seen(sentences=("seen",), accounts=(order,), left=left, finds=("It was that.",))
    ranked, said = explain._ruled(judged, [seen], {}, same_data=False)
    assert said[1] == "It was that."
    assert said[2].startswith("Some order ranks the classes by the excess loss that something leaves them: those with")
    assert said[-1] == "Tune them."
    (row,) = ranked.tables[0].rows
    assert row[1] == pytest.approx(1)


def test_where_nobody_lost_no_measure_is_called_an_explanation() -> None:
    """Scores of later classes are smaller by up to a fifth: their loss rises in that order, and all are right still."""
    dense = subjects.planted()
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[4].weight.mul_(1 - torch.arange(10)[:, None] / 50)
    judged = subjects.subject(dense, pruned, subjects.one_hot(0), subjects.one_hot(1))
    order = Account(name="order", title="Some order", values=tuple(range(10)), larger="more", step="Tune them.")
    whole, said = explain._ruled(judged, [Seen(sentences=("seen",), accounts=(order,))], {}, same_data=False)
    assert said == ("No class of pruned is shown to have lost: there is little to explain.",)
    assert whole.sentences == (explain.NOBODY,)
    row: tuple[Any, ...] = whole.tables[0].rows[0]
    assert row[1] > 0.9
    assert row[2] < rule.LEVEL
    assert row[3] == "explains nothing"

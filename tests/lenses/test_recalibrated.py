"""The lens of new statistics: what it says is what the network gives when its statistics are those of numpy."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.lenses import CannotLook, _changed, recalibrated
from prune_audit.nets.recalibrate import recalibrate
from tests.lenses.subjects import one_hot, planted, subject
from tests.lenses.test_layers import normalised, subject_of_one, twice


def pruned_and_dense() -> tuple[Any, Any]:
    dense = normalised()
    recalibrate(dense, subject_of_one(twice(0)))
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[0].weight[:, 10:] = 0
    return dense, pruned


def test_harm_that_is_batch_normalisation_alone_is_given_back() -> None:
    dense, pruned = pruned_and_dense()
    learnt, judged = twice(0), twice(1)
    seen = recalibrated.look(subject(dense, pruned, learnt, judged), None)
    names = [field.name for field in seen.tables[0].fields]
    rows: dict[Any, Any] = {row[0]: dict(zip(names, row, strict=True)) for row in seen.tables[0].rows}
    given = learnt[0] @ pruned[0].weight.detach().numpy().T  # (N, 10)
    mean, var = given.mean(axis=0), given.var(axis=0, ddof=1)
    scores = (judged[0] @ pruned[0].weight.detach().numpy().T - mean) / np.sqrt(var + 1e-5)
    right = (scores @ pruned[2].weight.detach().numpy().T).argmax(axis=1) == judged[1]
    before = pruned.eval()(torch.from_numpy(judged[0])).argmax(1).numpy() == judged[1]
    for k in range(10):
        own = judged[1] == k
        assert rows[str(k)]["pruned_recall"] == before[own].mean()
        again = rows[str(k)]["recalibrated_recall"]
        assert again == pytest.approx(right[own].mean(), abs=1 / 40 + 1e-9)  # one sample on a boundary
        moved = rows[str(k)]["given_back"] - rows[str(k)]["newly_lost"]
        assert moved == round((again - before[own].mean()) * 40)
    assert len(seen.finds) == 1
    assert "Most of the harm is the statistics" in seen.finds[0]
    assert "--recalibrate" in seen.steps[0]
    logits = scores @ pruned[2].weight.detach().numpy().T
    after = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(400), judged[1]]
    with torch.no_grad():
        first = nn.functional.cross_entropy(
            dense.eval()(torch.from_numpy(judged[0])), torch.from_numpy(judged[1]), reduction="none"
        ).numpy()
    assert seen.left is not None
    left = [(after - first)[judged[1] == k].mean() for k in range(10)]
    assert list(seen.left.values) == pytest.approx(left, abs=1e-4)  # in single precision
    (measure,) = seen.measures
    assert measure.by_stratum == tuple(rows[str(k)]["change"] for k in range(10))


def test_classes_that_are_moved_are_named_whatever_all_of_them_together_do() -> None:
    """Of each class 40 samples: two gain 20, two lose 20, and one moves by luck."""
    labels = np.repeat(np.arange(10), 40)
    before, after = labels.copy(), labels.copy()
    for position, by in ((1, 20), (2, 20), (3, -20), (4, -20), (5, 1)):
        side = before if by > 0 else after
        side[np.flatnonzero(labels == position)[: abs(by)]] = 0
    dense, pruned = pruned_and_dense()
    judged = subject(dense, pruned, twice(0), (twice(1)[0], labels))
    gains, losses = recalibrated._moved(judged, _changed.step(judged, before, after))
    assert gains == ["2 (+50.0)", "1 (+50.0)"]
    assert losses == ["3 (-50.0)", "4 (-50.0)"]


def test_where_the_statistics_are_right_nothing_is_found() -> None:
    dense, _ = pruned_and_dense()
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[2].weight[3] = 0  # behind the normalisation
    seen = recalibrated.look(subject(dense, pruned, twice(0), twice(1)), None)
    assert seen.finds == seen.steps == ()
    assert seen.left is None
    assert "are not shown to give anything back" in seen.sentences[0]


def test_without_batch_normalisation_there_is_nothing_to_see() -> None:
    dense = planted()
    with pytest.raises(CannotLook, match="has no batch normalisation"):
        recalibrated.look(subject(dense, copy.deepcopy(dense), one_hot(0), one_hot(1)), None)

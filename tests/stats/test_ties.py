"""Ties against drawing every one of them in turn, and what the verdict says where they alone decide it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from prune_audit.core import Array, Counts, Floats, Outputs, Pair, Predictions, Settings, View
from prune_audit.core.scores import Ties
from prune_audit.document import from_document, to_document
from prune_audit.render import wording
from prune_audit.stats import measures, ties
from prune_audit.tasks import classification
from tests.reports import audits
from tests.stats.pairs import measured

RNG = np.random.default_rng(12)


def outputs(name: str, scores: Floats, labels: Counts) -> Outputs:
    own = scores[np.arange(len(labels)), labels][:, None]
    before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < labels[:, None]))
    top = scores.max(axis=1, keepdims=True)
    return Outputs(
        name=name,
        predicted=scores.argmax(axis=1),
        rank=before.sum(axis=1).astype(np.int32),
        tied=(scores == top).sum(axis=1),
    )


def pair_of(dense: Floats, pruned: Floats, labels: Counts) -> Pair:
    classes = tuple(f"c{i}" for i in range(dense.shape[1]))
    models = (outputs("dense", dense, labels), outputs("pruned", pruned, labels))
    ids = tuple(map(str, range(len(labels))))
    return classification.pair(Predictions(classes=classes, ids=ids, labels=labels, models=models), "dense", "pruned")


def drawn(scores: Floats, labels: Counts) -> Floats:
    """How often each sample is right over all ways to draw its ties."""
    return np.array(
        [np.mean([c == y for c in np.flatnonzero(row == row.max())]) for row, y in zip(scores, labels, strict=True)]
    )


def test_it_is_every_tie_drawn() -> None:
    labels = RNG.integers(0, 4, 120)
    dense = np.round(RNG.normal(size=(120, 4)) + 2 * np.eye(4)[labels], 1)
    pruned = np.round(dense + RNG.normal(size=dense.shape) / 2)
    found = measured(pair_of(dense, pruned, labels), only=ties)
    a, b = drawn(dense, labels), drawn(pruned, labels)
    for c in range(4):
        own = labels == c
        assert found["dense_ties"].by_stratum[c] == sum(len(set(np.flatnonzero(r == r.max()))) > 1 for r in dense[own])
        assert found["pruned_ties"].by_stratum[c] == sum((r == r.max()).sum() > 1 for r in pruned[own])
        assert found["change_ties_shared"].by_stratum[c] == pytest.approx(np.mean(b[own] - a[own]), abs=1e-12)
    assert found["change_ties_shared"].overall == pytest.approx(np.mean(b - a), abs=1e-12)
    weighed = ties.measure(pair_of(dense, pruned, labels), Settings(weights={"c1": 1.0}))[2]
    assert weighed.overall == pytest.approx(np.mean((b - a)[labels == 1]), abs=1e-12)


def test_the_four_counts_are_those_of_all_draws_together() -> None:
    """Two samples, with two and three classes tied: each of the six draws is as likely as another."""
    labels = np.array([1, 2])
    pruned = np.array([[1.0, 1, 0], [2, 2, 2]])
    found = pair_of(np.eye(3)[labels] * [[1], [0.0]], pruned, labels).ties
    assert found is not None
    counts = dict.fromkeys(("both", "lost", "gained", "neither"), 0.0)
    for dense_2, first, second in itertools.product(range(3), range(2), range(3)):
        for right, kept in ((True, first == 1), (dense_2 == 2, second == 2)):
            counts[{(1, 1): "both", (1, 0): "lost", (0, 1): "gained", (0, 0): "neither"}[right, kept]] += 1 / 18
    for name, wanted in counts.items():
        assert getattr(found, name).sum() == pytest.approx(wanted)
    assert found.dense.tolist() == [0, 0, 1]
    assert found.pruned.tolist() == [0, 1, 1]


def test_without_ties_there_is_nothing_to_say() -> None:
    labels = RNG.integers(0, 3, 50)
    scores = RNG.normal(size=(50, 3))
    pair = pair_of(scores, scores + RNG.normal(size=(50, 3)), labels)
    assert pair.ties is None
    found = measured(pair)
    for name in ("dense_ties", "pruned_ties", "change_ties_shared", "verdict_ties_shared"):
        assert found[name].by_stratum == (None,) * 3
        assert set(found[name].absent.values()) == {"no two classes were seen to share a highest score"}
    classes = Outputs(name="m", predicted=labels)
    np.testing.assert_array_equal(classification.credit(classes, labels), np.ones(50))


def test_one_column_on_its_split_is_shared_by_both_classes() -> None:
    made = Outputs(name="m", predicted=np.array([0, 0, 1]), tied=np.array([2, 1, 1]))
    np.testing.assert_array_equal(classification.credit(made, np.array([1, 0, 0])), [0.5, 1, 0])


def tied(share: float, n: int = 400) -> tuple[Array, Array, Array]:
    """A class 1 of which so large a ``share`` ties with class 0 in the pruned model, and a class 0 that never does."""
    labels = np.arange(2 * n) % 2
    dense = np.eye(2)[labels] * 3
    pruned = dense.copy()
    rows = np.flatnonzero(labels == 1)[: int(share * n)]
    pruned[rows] = 1.0
    return dense, pruned, labels


def test_a_verdict_that_ties_alone_decide_says_so() -> None:
    pair = pair_of(*tied(0.05))
    found = measured(pair)
    # 5 points are lost where the lower index wins; shared equally half of that is.
    assert found["verdict"].by_stratum == ("fine", "regressed")
    assert found["verdict_ties_shared"].by_stratum == ("fine", "fine")
    assert "ties alone decide this: with ties shared equally fine" in str(found["reason"].by_stratum[1])
    assert "ties" not in str(found["reason"].by_stratum[0])
    said = wording.drops(View(pair=pair, measures=measures(pair, Settings())), Settings())
    assert "Exact ties alone decide the verdict" in said
    assert "c1 (then fine)" in said
    plain = measured(replace(pair, ties=None))
    for name, measure in plain.items():
        if name != "reason" and "tie" not in name:
            assert found[name] == measure


def test_many_ties_leave_a_verdict_that_stands_without_them() -> None:
    dense, pruned, labels = tied(0.4)
    found = measured(pair_of(dense, pruned, labels))
    assert found["verdict"].by_stratum[1] == found["verdict_ties_shared"].by_stratum[1] == "regressed"
    assert "ties" not in str(found["reason"].by_stratum[1])


def test_a_document_keeps_them() -> None:
    audit = audits.ten()
    comparison = audit.comparisons[0]
    view = comparison.views[0]
    s = len(view.strata)
    sums = {name: np.linspace(0, 1, s) for name in ("both", "lost", "gained", "neither")}
    kept = Ties(dense=np.arange(s), pruned=np.arange(s)[::-1].copy(), **sums)
    views = (replace(view, pair=replace(view.pair, ties=kept)), *comparison.views[1:])
    made = replace(audit, comparisons=(replace(comparison, views=views), *audit.comparisons[1:]))
    assert from_document(to_document(made)) == made

"""Top-k recall against scikit-learn, and that its change is the change of recall under another meaning of right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from prune_audit.core import Floats, Outputs, Pair, Predictions, Settings
from prune_audit.stats import top_k
from prune_audit.tasks import classification
from tests.stats.pairs import measured

N, C = 500, 8
RNG = np.random.default_rng(9)
LABELS = RNG.integers(0, C, N)
DENSE = RNG.normal(size=(N, C)) + 2 * np.eye(C)[LABELS]
PRUNED = DENSE + RNG.normal(size=(N, C))


def outputs(name: str, scores: Floats) -> Outputs:
    rank = (scores > scores[np.arange(N), LABELS][:, None]).sum(axis=1).astype(np.int32)
    return Outputs(name=name, predicted=scores.argmax(axis=1), rank=rank)


MADE = Predictions(
    classes=tuple("abcdefgh"),
    ids=tuple(map(str, range(N))),
    labels=LABELS,
    models=(outputs("dense", DENSE), outputs("pruned", PRUNED)),
    groups={"film": np.arange(N) // 5, "half": np.arange(N) % 2},
)


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_it_is_scikit_learns(k: int) -> None:
    found = measured(classification.pair(MADE, "dense", "pruned", top_k=k))
    for name, scores in (("dense", DENSE), ("pruned", PRUNED)):
        column = found[f"{name}_top_k_recall"]
        assert column.title == f"{name} top-{k} recall"
        assert column.overall == pytest.approx(top_k_accuracy_score(LABELS, scores, k=k))
        for c in range(C):
            own = c == LABELS
            expected = top_k_accuracy_score(LABELS[own], scores[own], k=k, labels=np.arange(C))
            assert column.by_stratum[c] == pytest.approx(expected)


def test_the_change_has_the_paired_interval_of_its_own_counts() -> None:
    pair = classification.pair(MADE, "dense", "pruned", "half", top_k=3)
    assert pair.top is not None
    a, b = (m.rank < 3 for m in MADE.models if m.rank is not None)
    half = MADE.groups["half"]
    counts = np.array([[(kind & (half == h)).sum() for kind in (a & b, a & ~b, ~a & b, ~a & ~b)] for h in range(2)])
    there, here = measured(pair)["top_k_change"], measured(Pair.of(counts))["change"]
    assert (there.by_stratum, there.low, there.high) == (here.by_stratum, here.low, here.high)
    assert (there.overall, there.overall_low, there.overall_high) == (here.overall, here.overall_low, here.overall_high)


def test_top_1_is_recall() -> None:
    found = measured(classification.pair(MADE, "dense", "pruned", top_k=1))
    for name, top in (
        ("dense_recall", "dense_top_k_recall"),
        ("pruned_recall", "pruned_top_k_recall"),
        ("change", "top_k_change"),
    ):
        assert replace(found[top], name=name, title=found[name].title) == found[name]


def test_clusters_count_by_their_own_samples() -> None:
    alone, together = (
        measured(classification.pair(MADE, "dense", "pruned", cluster=film, top_k=3))["top_k_change"]
        for film in (None, "film")
    )
    assert alone.by_stratum == together.by_stratum
    assert all(
        (t or 0) <= (a or 0) + 1e-12 for t, a in zip(together.low, alone.low, strict=True)
    )  # a design effect is at least 1
    assert together.low != alone.low


def test_a_model_of_itself_has_not_changed() -> None:
    change = measured(replace(classification.pair(MADE, "dense", "dense"), same_model=True))["top_k_change"]
    assert {*change.by_stratum, *change.low, *change.high, change.overall} == {0.0}


def test_a_class_without_samples_has_none() -> None:
    few = Predictions(
        classes=MADE.classes,
        ids=MADE.ids,
        labels=np.minimum(LABELS, C - 2),
        models=MADE.models,
    )
    found = measured(classification.pair(few, "dense", "pruned", top_k=3))["dense_top_k_recall"]
    assert found.absent == {C - 1: "no samples"}


def test_absent_where_it_says_nothing_or_nothing_was_kept() -> None:
    bare = replace(MADE, models=tuple(Outputs(name=m.name, predicted=m.predicted) for m in MADE.models))
    for pair, settings, why in (
        (
            classification.pair(MADE, "dense", "pruned", top_k=8),
            Settings(top_k=8),
            "top-8 of 8 classes is always right",
        ),
        (classification.pair(bare, "dense", "pruned"), Settings(), "no scores were kept"),
        (Pair.of([(5, 1, 1, 3)] * 9), Settings(), "no scores were kept"),
        (Pair.of([(5, 1, 1, 3)] * 2), Settings(), "top-5 of 2 classes is always right"),
    ):
        for column in top_k.measure(pair, settings):
            assert set(column.by_stratum) == {None}
            assert {*column.absent.values(), column.overall_absent} == {why}

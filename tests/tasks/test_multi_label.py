"""Several labels a sample: counts as scikit-learn has them, at thresholds that no shift of scores changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import multilabel_confusion_matrix

from prune_audit import stats, tasks
from prune_audit.core import Array, Counts, Floats, Found, Pair, Settings, Things
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.tasks import multi_label
from prune_audit.tasks.multi_label import Cells, probabilities

CLASSES = ("a", "b", "c")


def things(labels: Array) -> Things:
    ids = tuple(map(str, range(len(labels))))
    groups = {"sample": np.array(ids, object), "site": np.array([int(i) // 4 for i in ids])}
    cells = Cells(ids=ids, labels=labels, groups=groups)
    sample, label = cells.positives
    return Things(
        task="multi-label", path="labels", classes=CLASSES, labels=label,
        ids=tuple(f"{i} {c}" for i, c in zip(sample, label, strict=True)),
        groups={name: each[sample] for name, each in groups.items()}, cluster="sample", detail=cells,
    )  # fmt: skip


def found(name: str, scores: Floats, of: Things) -> Found:
    cells: Cells = of.detail
    within, labels = cells.negatives
    return Found(
        name=name, scores=scores[cells.positives],
        false_labels=labels, false_in=within, false_scores=scores[cells.negatives],
    )  # fmt: skip


def judged(labels: Array, dense: Floats, pruned: Floats, settings: Settings | None = None) -> tasks.Judged:
    of = things(labels)
    asked = settings or Settings(operating_point="fixed", score=0.5, cluster="sample")
    return multi_label.judge(of, [found("dense", dense, of), found("pruned", pruned, of)], asked)


def drawn(seed: int, size: int = 60, *, unknown: bool = False) -> tuple[Counts, Floats, Floats]:
    rng = np.random.default_rng(seed)
    labels = (rng.random((size, 3)) < 0.4).astype(np.int64)
    labels[0] = 1
    dense, pruned = (np.clip(labels * 0.4 + 0.3 + rng.normal(0, 0.25, labels.shape), 0, 1) for _ in range(2))
    if unknown:
        labels[rng.random(labels.shape) < 0.1] = -1
    return labels, dense, pruned


@given(seed=st.integers(0, 2**32 - 1))
def test_counts_are_those_of_scikit_learn(seed: int) -> None:
    labels, dense, pruned = drawn(seed)
    pair = multi_label.pair(judged(labels, dense, pruned).predictions, "dense", "pruned", "class", "sample")
    assert pair.negatives is not None
    assert pair.false is not None
    for scores, kept in ((dense, pair.both + pair.lost), (pruned, pair.both + pair.gained)):
        matrices = multilabel_confusion_matrix(labels, scores >= 0.5)  # (C, 2, 2): negatives first, called second
        np.testing.assert_array_equal(kept, matrices[:, 1, 1])
        np.testing.assert_array_equal(pair.support, matrices[:, 1].sum(axis=1))
    for scores, right, false in (
        (dense, pair.negatives.both + pair.negatives.lost, pair.false.sums[:-1, 2]),
        (pruned, pair.negatives.both + pair.negatives.gained, pair.false.sums[:-1, 4]),
    ):
        matrices = multilabel_confusion_matrix(labels, scores >= 0.5)
        np.testing.assert_array_equal(right, matrices[:, 0, 0])
        np.testing.assert_array_equal(false, matrices[:, 0, 1])


def test_unknown_labels_are_in_neither() -> None:
    labels, dense, pruned = drawn(3, unknown=True)
    made = judged(labels, dense, pruned)
    pair = multi_label.pair(made.predictions, "dense", "pruned", "class", "sample")
    assert pair.negatives is not None
    negatives = pair.negatives.both + pair.negatives.lost + pair.negatives.gained + pair.negatives.neither
    np.testing.assert_array_equal(pair.support, (labels == 1).sum(axis=0))
    np.testing.assert_array_equal(negatives, (labels == 0).sum(axis=0))
    assert any("unknown" in note for note in made.notes)


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-3, 3))
def test_a_shift_of_all_scores_changes_nothing_where_false_positives_are_as_many(seed: int, shift: float) -> None:
    labels, dense, pruned = drawn(seed)
    odds = np.log(np.clip(pruned, 1e-6, 1 - 1e-6) / (1 - np.clip(pruned, 1e-6, 1 - 1e-6)))
    moved = 1 / (1 + np.exp(-(odds + shift)))
    settings = Settings(cluster="sample")
    plain, turned = (
        multi_label.pair(judged(labels, dense, each, settings).predictions, "dense", "pruned", "class", "sample")
        for each in (1 / (1 + np.exp(-odds)), moved)
    )
    assert plain == turned


def test_a_model_against_itself_flips_nothing() -> None:
    labels, dense, _ = drawn(5)
    predictions = judged(labels, dense, dense, Settings(cluster="sample")).predictions
    pair = multi_label.pair(predictions, "dense", "pruned", "class", "sample")
    assert pair.identical
    assert pair.negatives is not None
    assert not pair.negatives.lost.any()
    assert not pair.negatives.gained.any()


def measured(pair: Pair) -> dict[str, Any]:
    return {measure.name: measure for measure in stats.measures(pair, Settings())}


def test_false_positive_rates_are_shares_of_negatives_with_mcnemars_p() -> None:
    labels, dense, pruned = drawn(7, 400)
    pair = multi_label.pair(judged(labels, dense, pruned).predictions, "dense", "pruned", "class", "sample")
    assert pair.negatives is not None
    found = measured(replace(pair, clusters=None, negatives=replace(pair.negatives, clusters=None)))
    for name, scores in (("dense", dense), ("pruned", pruned)):
        rates = [(scores[labels[:, c] == 0, c] >= 0.5).mean() for c in range(3)]
        np.testing.assert_allclose(found[f"{name}_false_positive_rate"].by_stratum, rates, rtol=1e-12)
    change = found["false_positive_rate_change"]
    for c in range(3):
        one, other = ((scores[labels[:, c] == 0, c] >= 0.5) for scores in (dense, pruned))
        lost, gained = int((~one & other).sum()), int((one & ~other).sum())
        low = binom.cdf(min(lost, gained), lost + gained, 0.5) - binom.pmf(min(lost, gained), lost + gained, 0.5) / 2
        assert found["false_positive_rate_p"].by_stratum[c] == pytest.approx(min(1, 2 * low), rel=1e-9)
        assert change.low[c] < change.by_stratum[c] < change.high[c]
    assert found["dense_precision"].by_stratum[0] is not None
    assert found["lost_to"].absent[0].startswith("a label that is lost")


def test_a_wider_cluster_holds_for_negatives_too() -> None:
    labels, dense, pruned = drawn(9)
    settings = Settings(operating_point="fixed", score=0.5, cluster="site")
    pair = multi_label.pair(judged(labels, dense, pruned, settings).predictions, "dense", "pruned", "class", "site")
    assert pair.clusters is not None
    assert pair.negatives is not None
    assert pair.negatives.clusters is not None
    assert pair.clusters.total == pair.negatives.clusters.total == 15


def test_the_threshold_is_told_and_that_another_one_is_to_be_deployed() -> None:
    labels, dense, pruned = drawn(11, 300)
    made = judged(labels, dense, np.clip(pruned * 0.6, 0, 1), Settings(cluster="sample"))
    values = [each.value for each in made.assumptions]
    assert all("false positives a sample, precision" in value for value in values)
    assert any("deploy it at" in note for note in made.notes)


def test_scores_that_know_nothing_of_the_labels_stop_the_run() -> None:
    labels, dense, pruned = drawn(13, 300)
    with pytest.raises(AlignmentError, match="knows next to nothing"):
        judged(labels, 1 - dense, pruned)
    with pytest.raises(UsageError, match="--operating-point all"):
        judged(labels, dense, pruned, Settings(operating_point="all", cluster="sample"))


@pytest.mark.parametrize(
    ("scores", "asked", "kind"),
    [([[0.2, 0.9]], None, "probabilities"), ([[-1.0, 0.5]], None, "logits"), ([[0.2, 0.9]], "logits", "logits")],
)
def test_what_scores_are_is_told_by_all_of_them(scores: list[list[float]], asked: str | None, kind: str) -> None:
    found, told, _ = probabilities(np.array(scores), asked)
    assert told == kind
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("asked", ["probabilities", "classes"])
def test_scores_that_cannot_be_what_was_said_are_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=f"--scores {asked}"):
        probabilities(np.array([[-1.0, 2.0]]), asked)

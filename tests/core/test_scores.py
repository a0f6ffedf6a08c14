"""What a pair keeps of scores, against brute force; and that the order of samples does not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prune_audit.core import Array, Counts, Outputs, Predictions
from prune_audit.core.scores import BINS, UNIT, Bins, Calibration, Scored, TopK, bins_of, in_units
from prune_audit.errors import UsageError
from prune_audit.tasks import classification

RNG = np.random.default_rng(8)
N, C = 700, 4
LABELS = RNG.integers(0, C - 1, N)  # the last class is never a label
DENSE = np.where(RNG.random(N) < 0.7, LABELS, RNG.integers(0, C, N))
PRUNED = np.where(RNG.random(N) < 0.8, DENSE, RNG.integers(0, C, N))
CONFIDENCE = {name: np.round(RNG.uniform(0.3, 1, N), 2) for name in ("dense", "pruned")}  # with ties
RANK = {n: np.where(called == LABELS, 0, RNG.integers(1, C, N)) for n, called in (("dense", DENSE), ("pruned", PRUNED))}
HALF = RNG.integers(0, 2, N)


def predictions(order: Counts | slice = slice(None)) -> Predictions:
    def outputs(name: str, called: Array) -> Outputs:
        rank = RANK[name][order].astype(np.int32)
        return Outputs(name=name, predicted=called[order], confidence=CONFIDENCE[name][order], rank=rank)

    return Predictions(
        classes=tuple("abcd"),
        ids=tuple(map(str, range(N))),
        labels=LABELS[order],
        models=(outputs("dense", DENSE), outputs("pruned", PRUNED)),
        groups={"half": HALF[order]},
    )


def kept(by: str = "class", order: Counts | slice = slice(None)) -> Calibration:
    calibration = classification.pair(predictions(order), "dense", "pruned", by).calibration
    assert calibration is not None
    return calibration


def by_hand(rows: list[Array], confidence: Array, right: Array) -> list[list[tuple[int, ...]]]:
    """Per row, the bins: each sample goes where the first of those equally confident goes."""
    found = []
    for row in rows:
        at = np.flatnonzero(row)
        values = np.sort(np.rint(confidence[at] * UNIT))
        number = int(bins_of(np.array(len(at))))
        bins: dict[int, list[int]] = {}
        for i in at:
            first = int((values < round(confidence[i] * UNIT)).sum())
            bins.setdefault(first * number // len(at), []).append(int(i))
        listed = []
        for _, members in sorted(bins.items()):
            p, y = np.rint(confidence[members] * UNIT) / UNIT, right[members]
            sums = [p.sum() * UNIT, ((y - p) ** 2).sum() * UNIT, (p * (1 - p)).sum() * UNIT]
            listed.append((len(members), int(y.sum()), *(round(s) for s in sums)))
        found.append(listed)
    return found


@pytest.mark.parametrize("by", ["class", "half", "class,half"])
@pytest.mark.parametrize("name", ["dense", "pruned"])
def test_bins_are_those_by_hand_of_what_the_model_called_each_sample(by: str, name: str) -> None:
    called = {"dense": DENSE, "pruned": PRUNED}[name]
    rows = {
        "class": [called == c for c in range(C)],
        "half": [h == HALF for h in range(2)],
        "class,half": [(called == c) & (h == HALF) for c in range(C) for h in range(2)],
    }[by]
    expected = by_hand([*rows, np.ones(N, bool)], CONFIDENCE[name], called == LABELS)
    bins: Bins = getattr(kept(by), name)
    assert bins.number.tolist() == [len(row) for row in expected]
    columns = [bins.samples, bins.right, bins.confidence, bins.brier, bins.variance]
    every = [values for row in expected for values in row]
    # Squares are rounded sample by sample, by half a unit at most.
    np.testing.assert_allclose(np.stack(columns, axis=1), every, atol=0.5 * bins.samples.max())
    np.testing.assert_array_equal(np.stack(columns[:3], axis=1), [row[:3] for row in every])


def test_the_order_of_samples_does_not_matter() -> None:
    shuffled, plain = kept(order=RNG.permutation(N)), kept()
    assert (shuffled.dense, shuffled.pruned) == (plain.dense, plain.pruned)
    np.testing.assert_allclose(shuffled.covariance, plain.covariance, rtol=1e-9)


def test_bins_hold_like_numbers_and_are_no_more_than_needed() -> None:
    assert bins_of(np.array([0, 1, 10, 33, 100, 900, 10**6])).tolist() == [1, 1, 1, 2, 3, 10, BINS]
    p = np.sort(RNG.random(1000))
    calibration = Calibration.of(1, *[Scored(row=np.zeros(1000, int), confidence=in_units(p), right=p > 0.5)] * 2)
    assert calibration.dense.number.tolist() == [11, 11]
    assert set(calibration.dense.samples.tolist()) <= {90, 91, 92}
    assert (np.diff(calibration.dense.confidence[:11]) > 0).all()


def test_very_many_samples_which_are_counted_and_not_sorted_have_the_same_bins() -> None:
    n = 2 * UNIT
    p, right = np.round(RNG.beta(4, 1, n), 4), RNG.random(n) < 0.8
    bins = Calibration.of(1, *[Scored(row=np.zeros(n, int), confidence=in_units(p), right=right)] * 2).dense
    expected = by_hand([np.ones(n, bool)] * 2, p, right)
    columns = (bins.samples, bins.right, bins.confidence)
    assert np.stack(columns, axis=1).tolist() == [[*values[:3]] for row in expected for values in row]
    assert bins.number.tolist() == [BINS, BINS]


def test_a_row_of_one_confidence_is_one_bin() -> None:
    sure = Scored(row=np.zeros(400, int), confidence=np.full(400, UNIT), right=np.arange(400) % 2 == 0)
    bins = Calibration.of(2, sure, sure).dense
    assert bins.number.tolist() == [1, 0, 1]
    assert bins.gap.tolist() == [-0.5, -0.5]
    assert bins.weight.tolist() == [1.0, 1.0]


def test_covariance_is_that_of_the_shared_samples_by_hand() -> None:
    calibration = kept()
    d, p = calibration.dense, calibration.pruned

    def member(bins: Bins, called: Array, confidence: Array, row: int) -> list[Array]:
        """Which samples each bin of ``row`` holds: bins are ranges of confidence."""
        at = called == row if row < C else np.ones(N, bool)
        edges = np.cumsum(bins.samples[bins.row == row])
        order = np.flatnonzero(at)[np.argsort(confidence[at], kind="stable")]
        return [np.isin(np.arange(N), part) for part in np.split(order, edges[:-1])]

    for row in range(C + 1):
        total = 0.0
        inside_d = member(d, DENSE, CONFIDENCE["dense"], row)
        inside_p = member(p, PRUNED, CONFIDENCE["pruned"], row)
        for g, w, a in zip(d.gap[d.row == row], d.weight[d.row == row], inside_d, strict=True):
            for h, v, b in zip(p.gap[p.row == row], p.weight[p.row == row], inside_p, strict=True):
                both = a & b
                x = (LABELS == DENSE)[both] - CONFIDENCE["dense"][both] - g
                y = (LABELS == PRUNED)[both] - CONFIDENCE["pruned"][both] - h
                c = (x * y).sum() / (a.sum() * b.sum())
                total += w * v * (4 * g * h * c - 2 * c * c)
        assert calibration.covariance[row] == pytest.approx(total, rel=1e-9)


def test_the_label_among_the_highest_scores_by_hand() -> None:
    pair = classification.pair(predictions(), "dense", "pruned", "half", "half", top_k=2)
    assert pair.top is not None
    a, b = RANK["dense"] < 2, RANK["pruned"] < 2
    for h in range(2):
        counted = [getattr(pair.top, name)[h] for name in ("both", "lost", "gained", "neither")]
        assert counted == [(kind & (h == HALF)).sum() for kind in (a & b, a & ~b, ~a & b, ~a & ~b)]
    assert pair.top.clusters is not None
    assert pair.top.clusters.whole[1, 1] == sum(int(a[h == HALF].sum()) ** 2 for h in range(2))


def test_top_1_is_being_right() -> None:
    pair = classification.pair(predictions(), "dense", "pruned", top_k=1)
    assert pair.top == TopK(k=1, **{name: getattr(pair, name) for name in ("both", "lost", "gained", "neither")})


@pytest.mark.parametrize("k", [4, 5])
def test_no_more_classes_than_k_keep_nothing(k: int) -> None:
    assert classification.pair(predictions(), "dense", "pruned", top_k=k).top is None


def test_without_scores_of_both_models_nothing_is_kept() -> None:
    full = predictions()
    bare = replace(full, models=(full.models[0], Outputs(name="pruned", predicted=PRUNED)))
    assert classification.pair(bare, "dense", "pruned").calibration is None
    assert classification.pair(bare, "dense", "pruned", top_k=2).top is None


@pytest.mark.parametrize("what", ["confidence", "rank", "true_score"])
def test_scores_of_other_samples_are_refused(what: str) -> None:
    outputs = replace(predictions().models[0], **{what: np.zeros(3)})  # type: ignore[arg-type]  # a wrong length
    with pytest.raises(UsageError, match="found 3"):
        replace(predictions(), models=(outputs,))


def test_values_equal_themselves_and_no_other() -> None:
    one = kept()
    assert one == kept()
    assert one != kept("half")
    assert one.dense != one.pruned
    assert one.dense != "bins"
    assert one != "calibration"
    assert TopK(k=1, both=LABELS, lost=LABELS, gained=LABELS, neither=LABELS) != "top"

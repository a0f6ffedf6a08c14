"""Quotas: against the paper's loop, closed forms, and what adds up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.core import Audit, Counts, Floats
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.planning.quotas import allotted, drawn, quotas
from tests.planning.test_planning import audit_of


def loop(sizes: Sequence[int], recalls: Sequence[float], d: float, quota: str = "error-mass") -> list[float]:
    """The paper's own loop: shares of each class, which are given back where they are above 1."""
    shares, left, active = [0.0] * len(sizes), d * sum(sizes), set(range(len(sizes)))
    while left > 1e-9 and active:
        mass = {k: (1 - recalls[k]) / (1 if quota == "error-mass" else sizes[k]) for k in active}
        z = sum(sizes[k] * mass[k] for k in active) / left
        left = 0.0
        for k in sorted(active):
            shares[k] += mass[k] / z
            if shares[k] > 1:
                left += sizes[k] * (shares[k] - 1)
                shares[k] = 1.0
                active.discard(k)
    return shares


def kept(sizes: Sequence[int], recalls: Sequence[float], d: float, quota: str = "error-mass") -> Counts:
    own = np.array(sizes)
    return allotted(own, 1 - np.array(recalls), round(d * sum(sizes)), quota)  # type: ignore[arg-type]


def test_the_sheet() -> None:
    """Shares of 1/6 and 5/6, and after saturation of 1/2 and 1."""
    assert kept([600, 600], [0.9, 0.5], 0.5).tolist() == [100, 500]
    assert kept([100, 100], [0.9, 0.5], 0.5).tolist() == [17, 83]
    assert kept([100, 100], [0.9, 0.5], 0.75).tolist() == [50, 100]
    assert kept([100, 300], [0.7, 0.7], 0.5).tolist() == [50, 150]  # equal recalls: the same share
    assert kept([100, 300], [0.9, 0.2], 1.0).tolist() == [100, 300]
    assert kept([100, 300], [1.0, 1.0], 0.5).tolist() == [50, 150]  # no error


def test_the_code_of_the_paper_evens_out_sizes_and_the_paper_does_not() -> None:
    assert kept([300, 100], [0.8, 0.8], 0.25).tolist() == [75, 25]
    assert kept([300, 100], [0.8, 0.8], 0.25, "error").tolist() == [50, 50]
    assert kept([300, 100], [0.8, 0.6], 0.5, "error").tolist() == [100, 100]  # 67 and 133, of which 100 are there


def test_the_largest_remainder_has_what_is_left() -> None:
    """Of 10 samples in parts of 1.4, 2.3 and 6.3 each has its whole part, and the one that loses most one more."""
    assert allotted(np.array([10, 10, 10]), np.array([0.14, 0.23, 0.63]), 10, "error").tolist() == [2, 2, 6]
    assert allotted(np.array([7, 7, 7]), np.array([0.5, 0.5, 0.5]), 10, "error-mass").tolist() == [4, 3, 3]


def test_a_class_without_errors_keeps_a_sample_until_the_others_have_all() -> None:
    assert kept([100, 100], [1.0, 0.5], 0.4).tolist() == [1, 79]
    assert kept([100, 100], [1.0, 0.5], 0.9).tolist() == [80, 100]
    assert kept([0, 4, 4], [0.5, 1.0, 1.0], 0.5).tolist() == [0, 2, 2]
    assert kept([5, 5], [1.0, 1.0], 0.2).tolist() == [1, 1]


@given(
    classes=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 20)), min_size=1, max_size=12),
    share=st.floats(0.05, 1),
    quota=st.sampled_from(["error-mass", "error"]),
)
def test_it_is_the_papers_loop_but_for_rounding_and_the_least(
    classes: list[tuple[int, int]], share: float, quota: str
) -> None:
    sizes, recalls = [n for n, _ in classes], [1 - e / 20 for _, e in classes]
    total = round(share * sum(sizes))
    if total < len(sizes):
        return
    found = kept(sizes, recalls, share, quota)
    assert found.sum() == total
    assert (found >= 1).all()
    assert (found <= np.array(sizes)).all()
    if all(e > 0 for _, e in classes):
        exact = np.array(loop(sizes, recalls, total / sum(sizes), quota)) * sizes
        if (exact >= 1).all():  # else the least moves all others
            assert (np.abs(found - exact) < 1 + 1e-6).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 5))
def test_as_many_of_each_class_are_drawn(labels: list[int], seed: int) -> None:
    own = np.array(labels)
    sizes = np.bincount(own, minlength=4)
    wanted = (sizes + 1) // 2
    rows = drawn(wanted, own, seed)
    assert np.bincount(own[rows], minlength=4).tolist() == wanted.tolist()
    assert sorted(set(rows.tolist())) == rows.tolist()
    assert rows.tolist() == drawn(wanted, own, seed).tolist()


def test_every_sample_of_a_class_is_as_likely() -> None:
    labels = np.array([0] * 10 + [1] * 5)
    times: Floats = np.zeros(15)
    for seed in range(2000):
        times[drawn(np.array([3, 5]), labels, seed)] += 1
    assert times[10:].tolist() == [2000] * 5
    assert np.abs(times[:10] / 2000 - 0.3).max() < 4 * (0.3 * 0.7 / 2000) ** 0.5


def test_recalls_are_those_of_the_model_that_is_asked_for() -> None:
    audit = audit_of([(80, 10, 0, 10), (40, 10, 0, 50)])
    by = {name: quotas(audit, [600, 600], 0.5, model=name) for name in ("dense", "pruned")}
    assert [each.kept for each in by["dense"].shares] == [100, 500]  # .9 and .5
    assert [each.recall for each in by["pruned"].shares] == [0.8, 0.4]
    assert [each.kept for each in by["pruned"].shares] == [150, 450]
    assert (by["pruned"].kept, by["pruned"].samples, by["pruned"].notes) == (600, 1200, ())
    share = by["dense"].shares[0]
    assert share.density == pytest.approx(1 / 6)
    assert share.low is not None
    assert share.high is not None
    assert share.low < 0.9 < share.high
    assert by["pruned"] == quotas(audit, [600, 600], 0.5, model="variant-0")


def test_recalls_of_few_samples_are_drawn_to_one_half() -> None:
    found = quotas(audit_of([(29, 0, 0, 0), (30, 0, 0, 0), (8, 0, 0, 2)]), [50] * 3, 0.5, model="dense")
    assert [each.error for each in found.shares] == pytest.approx([1 - 30 / 31, 0, 1 - 9 / 12])
    assert found.shares[0].recall == 1
    assert "of 0, 2 fewer than 30 samples were audited" in found.notes[0]


def test_notes() -> None:
    none = quotas(audit_of([(90, 0, 0, 0)] * 2), [10, 30], 0.5, model="dense")
    assert none.notes == ("no class shows an error, so that each keeps the same share",)
    assert [each.kept for each in none.shares] == [5, 15]
    full = quotas(audit_of([(90, 0, 0, 10), (50, 0, 0, 50)]), [100, 100], 0.75, model="dense")
    assert full.notes == ("1 kept whole: what could not be given to them went to the others",)
    lacking = quotas(audit_of([(90, 0, 0, 10), (50, 0, 0, 50)]), [0, 100], 1, model="dense")
    assert lacking.notes == ("there are no training samples of 0",)
    assert lacking.shares[0].density == 0
    drawn_from = audit_of([(90, 0, 0, 10)])
    limited = replace(drawn_from, provenance=replace(drawn_from.provenance, limited=True, samples=100, available=200))
    assert quotas(limited, [10], 0.5, model="dense").notes == ("a sample of 100 of 200 was audited",)


def test_a_model_that_calls_everything_one_class_is_told_of() -> None:
    collapsed = audit_of([(90, 0, 0, 10), *[(0, 90, 0, 10)] * 9])
    assert "the model has collapsed" in quotas(collapsed, [10] * 10, 0.5, model="pruned").notes[0]
    assert quotas(collapsed, [10] * 10, 0.5, model="dense").notes == ()


def asked(audit: Audit, sizes: Sequence[int] = (10, 10), keep: float = 0.5, model: str = "pruned") -> None:
    quotas(audit, sizes, keep, model=model)


def test_what_is_refused() -> None:
    plain = audit_of([(90, 0, 0, 10), (50, 0, 0, 50)])
    for share in (0, -1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="--keep: expected a share above 0 and at most 1"):
            asked(plain, keep=share)
    with pytest.raises(UsageError, match="keeps 1 of 20 samples, fewer than the 2 classes"):
        asked(plain, keep=0.05)
    with pytest.raises(AlignmentError, match="the audit has no samples of 1"):
        asked(audit_of([(90, 0, 0, 10), (0, 0, 0, 0)]))
    two = audit_of([(90, 0, 0, 10), (50, 0, 0, 50)], [(90, 0, 0, 10), (50, 0, 0, 50)])
    with pytest.raises(UsageError, match="--model: the audit has more than one pruned model"):
        asked(two)
    with pytest.raises(UsageError, match="--model: the audit has no model 'x'"):
        asked(two, model="x")
    asked(two, model="variant-1")
    view = plain.comparisons[0].view()
    stopped = replace(view, pair=replace(view.pair, drawn_from=np.array([200, 200])))
    with pytest.raises(UsageError, match="biased by where it stopped"):
        asked(replace(plain, comparisons=(replace(plain.comparisons[0], views=(stopped,)),)))
    other = replace(view, pair=replace(view.pair, task=replace(view.pair.task, name="boxes")))
    with pytest.raises(UsageError, match="this audit is of the task boxes"):
        asked(replace(plain, comparisons=(replace(plain.comparisons[0], views=(other,)),)))
    grouped = replace(view, pair=replace(view.pair, by="sex"))
    with pytest.raises(UsageError, match="this audit is not by class"):
        asked(replace(plain, comparisons=(replace(plain.comparisons[0], views=(grouped,)),)))

"""Operating points against brute force over all scores, and what does not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_audit.core import Floats
from prune_audit.errors import UsageError
from prune_audit.tasks import _operating_point
from prune_audit.tasks._operating_point import DRAWS, Findings, best, points, resampled, threshold

SEEDS = st.integers(0, 10**6)
HOWS = st.sampled_from(["false-detections", "precision"])


def findings(seed: int, name: str = "dense", *, digits: int | None = 2, things: int = 40) -> Findings:
    """A model of some skill; with few ``digits`` many scores are equal."""
    rng = np.random.default_rng(seed)

    def scores(mean: float, size: int) -> Floats:
        drawn = 1 / (1 + np.exp(-rng.normal(mean, 1.0, size)))
        return drawn if digits is None else np.round(drawn, digits)

    found = np.where(rng.random(things) < 0.85, scores(0.8, things), -np.inf)
    return Findings(name=name, found=found, false=scores(-0.3, int(rng.integers(0, 60))))


def shifted(model: Findings, by: float) -> Findings:
    """``model`` with a constant added to all its logits."""

    def moved(scores: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            logits = np.where(np.isfinite(scores), np.log(scores) - np.log1p(-scores), -np.inf)
        return np.where(np.isfinite(scores), 1 / (1 + np.exp(-(logits + by))), -np.inf)

    return Findings(name=f"{model.name} moved", found=moved(model.found), false=moved(model.false))


def all_scores(model: Findings) -> list[float]:
    """Every score of a model, from the highest."""
    finite = model.found[np.isfinite(model.found)]
    return sorted({*finite.tolist(), *model.false.tolist()}, reverse=True)


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_the_best_number_of_false_detections_is_that_of_brute_force(seed: int) -> None:
    models = [findings(seed), findings(seed + 1, "pruned"), findings(seed + 2, "another")]
    most = max(len(each.false) for each in models)

    def f1(model: Findings, k: int) -> float:
        found, false = model.at(threshold(model, k))
        precision = found / (found + false) if found + false else 0.0
        recall = found / len(model.found)
        return 2 * precision * recall / (precision + recall) if found else 0.0

    sums = [sum(f1(each, k) for each in models) for k in range(most + 1)]
    chosen = best(models)
    assert sums[chosen] == pytest.approx(max(sums), abs=1e-12)
    assert all(value < max(sums) - 1e-13 for value in sums[:chosen])


@given(SEEDS, st.integers(0, 70))
@settings(max_examples=100, deadline=None)
def test_a_threshold_is_the_highest_with_so_many_false_detections(seed: int, k: int) -> None:
    model = findings(seed)
    at = threshold(model, k)
    scores = all_scores(model)
    if k > len(model.false):
        assert at == scores[-1]
    elif k:
        # By brute force: the highest score that k false detections reach.
        assert at == max(score for score in scores if (model.false >= score).sum() >= k)
    else:
        assert model.at(at)[1] == 0
        # No score that gives no false detection finds more.
        assert model.at(at)[0] == max([model.at(s)[0] for s in scores if not (model.false >= s).any()], default=0)


@given(SEEDS, st.floats(0.02, 0.95))
@settings(max_examples=100, deadline=None)
def test_equal_precision_is_the_lowest_score_by_brute_force(seed: int, score: float) -> None:
    dense, pruned = findings(seed), findings(seed + 1, "pruned")
    if dense.at(score) == (0, 0):
        with pytest.raises(UsageError, match="nothing that dense recorded"):
            points([dense, pruned], "precision", score)
        return
    start = threshold(dense, dense.at(score)[1])
    found, false = dense.at(start)

    def lowest(model: Findings) -> float | None:
        reached = []
        for each in all_scores(model):
            right, wrong = model.at(each)
            if right * (found + false) >= found * (right + wrong):
                reached.append(each)
        return min(reached, default=None)

    if lowest(pruned) is None:
        with pytest.raises(UsageError, match="pruned reaches no precision"):
            points([dense, pruned], "precision", score)
        return
    where, _ = points([dense, pruned], "precision", score)
    assert [each.threshold for each in where] == [lowest(dense), lowest(pruned)]


@given(SEEDS, HOWS, st.one_of(st.none(), st.floats(0.1, 0.9)), st.floats(-3, 3))
@settings(max_examples=100, deadline=None)
def test_a_shift_of_all_logits_changes_no_count(seed: int, how: str, score: float | None, by: float) -> None:
    dense = findings(seed, digits=None, things=200)
    moved = shifted(dense, by)
    (a, b), _ = points([dense, moved], how, score)  # type: ignore[arg-type]
    assert (a.found, a.false) == (b.found, b.false)
    assert ((dense.found >= a.threshold) == (moved.found >= b.threshold)).all()


@given(SEEDS, HOWS, st.one_of(st.none(), st.floats(0.1, 0.6)))
@settings(max_examples=50, deadline=None)
def test_a_model_against_itself_has_one_threshold(seed: int, how: str, score: float | None) -> None:
    model = findings(seed)
    (a, b), _ = points([model, model], how, score)  # type: ignore[arg-type]
    assert a == b


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_neither_model_is_favoured_by_its_place(seed: int) -> None:
    one, other = findings(seed), findings(seed + 1, "pruned")
    (a, b), _ = points([one, other], "false-detections")
    (c, d), _ = points([other, one], "false-detections")
    assert (a.threshold, b.threshold) == (d.threshold, c.threshold)


def test_fixed_and_all() -> None:
    dense, pruned = findings(3), findings(4, "pruned")
    (a, b), said = points([dense, pruned], "fixed", 0.5)
    assert (a.threshold, b.threshold, said) == (0.5, 0.5, ())
    assert (a.found, a.false) == dense.at(0.5)
    assert b.found == b.found_alike == pruned.at(0.5)[0]
    (a, b), said = points([dense, pruned], "all")
    assert (a.threshold, b.threshold, said) == (all_scores(dense)[-1], all_scores(pruned)[-1], ())
    assert a.false == len(dense.false)


def test_what_is_said_of_few_false_detections() -> None:
    dense = Findings(name="dense", found=np.array([0.9, 0.8, 0.2]), false=np.array([0.7, 0.5, 0.4]))
    pruned = Findings(name="pruned", found=np.array([0.6, -np.inf, 0.3]), false=np.array([0.35]))
    (a, b), said = points([dense, pruned], "false-detections", 0.45)
    assert (a.threshold, b.threshold) == (0.5, 0.3)
    assert (b.found, b.false) == (2, 1)
    assert [line.split(":")[0] for line in said] == [
        "pruned made no more than 1 false detections, where 2 were asked for",
        "dense makes 2 false detections at its threshold",
    ]
    assert points([dense, pruned], "false-detections", 0.45, wrong="false positives")[1][1].startswith(
        "dense makes 2 false positives"
    )


def test_precision_of_nothing_is_none() -> None:
    blind = Findings(name="blind", found=np.array([-np.inf]), false=np.array([]))
    (a, _), _ = points([blind, blind], "false-detections")
    assert (a.found, a.false, a.precision) == (0, 0, None)


@pytest.mark.parametrize(
    ("how", "score", "message"),
    [
        ("fixed", None, "fixed needs the threshold"),
        ("all", 0.5, "takes every detection"),
        ("fixed", 2.0, "nothing that dense recorded has so high a score, its highest is 0.9"),
    ],
)
def test_a_threshold_that_is_missing_or_means_nothing_is_refused(how: str, score: float | None, message: str) -> None:
    dense = Findings(name="dense", found=np.array([0.9]), false=np.array([0.7]))
    with pytest.raises(UsageError, match=message) as refused:
        points([dense, dense], how, score)  # type: ignore[arg-type]
    assert refused.value.hint


@given(SEEDS, HOWS, st.one_of(st.none(), st.floats(0.1, 0.6)))
@settings(max_examples=50, deadline=None)
def test_a_draw_of_every_cluster_once_chooses_the_same(seed: int, how: str, score: float | None) -> None:
    models = [findings(seed, digits=None, things=80), findings(seed + 1, "pruned", digits=None, things=80)]
    if any(not len(each.false) for each in models) or (score is not None and not models[0].at(score)[1]):
        return
    try:
        where, _ = points(models, how, score)  # type: ignore[arg-type]
    except UsageError:
        return
    parts = [
        _operating_point._Ordered.of(each, np.arange(len(each.found)), np.arange(len(each.false)), None)
        for each in models
    ]
    alike = _operating_point._chosen(parts, np.ones(200, np.int64), how, score)  # type: ignore[arg-type]
    assert [each.at(at) for each, at in zip(models, alike, strict=True)] == [
        each.at(point.threshold) for each, point in zip(models, where, strict=True)
    ]


@pytest.mark.parametrize(("how", "score"), [("false-detections", None), ("false-detections", 0.4), ("precision", 0.4)])
def test_draws_choose_as_if_each_cluster_were_there_so_often(how: str, score: float | None) -> None:
    models = [findings(7, digits=None, things=120), findings(8, "pruned", digits=None, things=120)]
    rng = np.random.default_rng(0)
    things, false = rng.integers(0, 30, 120), [rng.integers(0, 30, len(each.false)) for each in models]
    drawn = resampled(models, things, false, 30, how, score, seed=1)  # type: ignore[arg-type]
    assert drawn is not None
    thresholds, weights = np.stack([drawn.thresholds[each.name] for each in models], axis=1), drawn.weights
    assert thresholds.shape == (DRAWS, 2)
    assert (weights.sum(axis=1) == 30).all()
    agree = 0
    for row, chosen in zip(weights[:40], thresholds[:40], strict=True):
        again = [
            Findings(name=each.name, found=np.repeat(each.found, row[things]), false=np.repeat(each.false, row[b]))
            for each, b in zip(models, false, strict=True)
        ]
        try:
            where, _ = points(again, how, score)  # type: ignore[arg-type]
        except UsageError:
            continue
        agree += [each.at(t) for each, t in zip(again, chosen, strict=True)] == [(p.found, p.false) for p in where]
    assert agree >= 38  # sums of F1 may be equal to the last digit


def test_what_is_not_chosen_is_not_chosen_anew() -> None:
    models = [findings(7), findings(8, "pruned")]
    things, false = np.zeros(40, np.int64), [np.zeros(len(each.false), np.int64) for each in models]
    assert resampled(models, things, false, 1, "fixed", 0.5, seed=0) is None
    assert resampled(models, things, false, 1, "all", None, seed=0) is None

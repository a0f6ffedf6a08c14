"""The nouns: counting, refusing nonsense, and the outcome of an audit."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit.core import (
    Audit,
    Check,
    Comparison,
    Level,
    ModelCard,
    Outcome,
    Outputs,
    Pair,
    Policy,
    Predictions,
    Provenance,
    Settings,
    chosen,
)
from prune_audit.errors import UsageError
from prune_audit.tasks import classification
from tests.reports import audits


def predictions(labels: list[int], dense: list[int], pruned: list[int], classes: int = 3) -> Predictions:
    return Predictions(
        classes=tuple("abcdefgh"[:classes]),
        ids=tuple(map(str, range(len(labels)))),
        labels=np.array(labels, np.int64),
        models=(
            Outputs(name="dense", predicted=np.array(dense, np.int64)),
            Outputs(name="pruned", predicted=np.array(pruned, np.int64)),
        ),
        groups={"sex": np.array(["f", "m"])[np.array(labels, int) % 2]},
    )


def test_the_four_counts_by_hand() -> None:
    #                    both lost gained neither, class 0 | class 1
    pair = classification.pair(predictions([0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [0, 2, 0, 2, 1]), "dense", "pruned")
    assert pair.both.tolist() == [1, 1, 0]
    assert pair.lost.tolist() == [1, 0, 0]
    assert pair.gained.tolist() == [1, 0, 0]
    assert pair.neither.tolist() == [1, 0, 0]
    assert pair.support.tolist() == [4, 1, 0]
    assert pair.dense_predicted.tolist() == [2, 3, 0]
    assert pair.pruned_predicted.tolist() == [2, 1, 2]
    assert sorted(map(tuple, pair.moves.tolist())) == [(0, 0, 2, 1), (0, 1, 0, 1), (0, 1, 2, 1)]


def test_groups_count_within_their_values() -> None:
    pair = classification.pair(
        predictions([0, 0, 1, 1, 2], [0, 0, 1, 0, 2], [0, 1, 1, 1, 2]), "dense", "pruned", by="sex"
    )
    assert pair.strata == ("f", "m")
    assert pair.support.tolist() == [3, 2]
    assert pair.lost.tolist() == [1, 0]
    assert pair.gained.tolist() == [0, 1]


def test_crossed_groups_are_the_whole_product() -> None:
    made = predictions([0, 0, 1, 1, 2], [0, 0, 1, 0, 2], [0, 1, 1, 1, 2])
    pair = classification.pair(made, "dense", "pruned", by="class,sex")
    assert pair.strata == ("a, f", "a, m", "b, f", "b, m", "c, f", "c, m")
    assert pair.support.tolist() == [2, 0, 0, 2, 1, 0]
    assert pair.gained.tolist() == [0, 0, 0, 1, 0, 0]
    assert pair.support.sum() == classification.pair(made, "dense", "pruned").support.sum()


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=60))
def test_counts_are_the_brute_force_ones_and_additive(rows: list[tuple[int, int, int]]) -> None:
    labels, dense, pruned = (list(column) for column in zip(*rows, strict=True))
    pair = classification.pair(predictions(labels, dense, pruned), "dense", "pruned")
    for c in range(3):
        cell = [(a == c, b == c) for y, a, b in rows if y == c]
        found = tuple(int(x[c]) for x in (pair.both, pair.lost, pair.gained, pair.neither))
        assert found == tuple(cell.count(k) for k in ((True, True), (True, False), (False, True), (False, False)))
    half = len(rows) // 2
    if half:
        parts = [
            classification.pair(predictions(labels[s], dense[s], pruned[s]), "dense", "pruned")
            for s in (slice(half), slice(half, None))
        ]
        for name in ("both", "lost", "gained", "neither", "labelled", "dense_predicted", "pruned_predicted"):
            np.testing.assert_array_equal(sum(getattr(p, name) for p in parts), getattr(pair, name))


def test_pair_of_counts_equals_itself_and_no_other() -> None:
    pair = Pair.of([(5, 1, 0, 2), (3, 0, 1, 0)])
    assert pair == Pair.of([(5, 1, 0, 2), (3, 0, 1, 0)])
    assert pair != Pair.of([(5, 1, 0, 2), (3, 1, 0, 0)])
    assert pair != "pair"
    assert not pair.identical
    assert Pair.of([(5, 0, 0, 2)]).identical


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ids": ("0",)}, "ids: expected one entry for each of 2 labels, found 1"),
        ({"labels": np.array([0, 9])}, "labels: expected classes 0 to 2, found 0 to 9"),
        ({"labels": np.array([-1, 0])}, "found -1 to 0"),
        ({"groups": {"sex": np.array(["f"])}}, "group sex"),
    ],
)
def test_predictions_refuse_what_does_not_fit(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        replace(predictions([0, 1], [0, 1], [0, 1]), **change)


def test_unknown_models_and_groups_are_named_with_those_there_are() -> None:
    given_ = predictions([0, 1], [0, 1], [0, 1])
    with pytest.raises(UsageError, match="'sparse'") as caught:
        classification.pair(given_, "dense", "sparse")
    assert caught.value.hint == "known: dense, pruned"
    with pytest.raises(UsageError, match="'age'") as caught:
        classification.pair(given_, "dense", "pruned", by="age")
    assert caught.value.hint == "known: class, sex"


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": 1.0},
        {"margin": -0.1},
        {"margin": 0.1, "assure": 0.05},
        {"retention_margin": 0.0},
        {"top_k": 0},
        {"limit": 0},
        {"seed": -1},
        {"seed": 2**32},
        {"batch_size": 0},
        {"workers": 0},
        {"threads": 0},
        {"skip_bad": -1},
        {"confidence": float("nan")},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**wrong)


def test_refused_drops_are_told_in_the_points_that_were_typed() -> None:
    with pytest.raises(UsageError, match=r"at least the margin \(10 points\) and below 100 points, found 7\.5 points"):
        Settings(margin=0.1, assure=0.075)
    with pytest.raises(UsageError, match="the margin must be at least 0 and below 100 points, found -2 points"):
        Settings(margin=-0.02)


def audit(*checks: tuple[Outcome, Level], limited: bool = False, policy: Policy | None = None) -> Audit:
    card = ModelCard(name="m", path="m", format="f", digest="d", size=0)
    made = tuple(
        Check(rule="r", subject="s", outcome=o, level=level, observed=None, limit=None, message="")
        for o, level in checks
    )
    return Audit(
        comparisons=(Comparison(dense=card, pruned=card, views=(), checks=made),),
        provenance=Provenance(data="", data_digest="", samples=1, available=1, limited=limited),
        policy=policy,
    )


STRICT = Policy(name="strict", rules={}, inconclusive="forbid")
LOOSE = Policy(name="loose", rules={})


@pytest.mark.parametrize(
    ("checks", "policy", "outcome", "code"),
    [
        ([("passed", "error")], LOOSE, "passed", 0),
        ([("passed", "error"), ("failed", "error")], LOOSE, "failed", 1),
        ([("failed", "warn")], LOOSE, "passed", 0),
        ([("inconclusive", "error")], LOOSE, "inconclusive", 0),
        ([("inconclusive", "error")], STRICT, "inconclusive", 3),
        ([("inconclusive", "error"), ("failed", "error")], STRICT, "failed", 1),
        ([("inconclusive", "warn")], STRICT, "passed", 0),
        ([("waived", "error")], STRICT, "passed", 0),
        ([("failed", "error")], None, "skipped", 0),
    ],
)
def test_outcome_and_exit_code(
    checks: list[tuple[Outcome, Level]], policy: Policy | None, outcome: Outcome, code: int
) -> None:
    made = audit(*checks, policy=policy)
    assert (made.outcome, made.exit_code) == (outcome, code)


def test_a_sample_never_gates() -> None:
    made = audit(("failed", "error"), limited=True, policy=STRICT)
    assert (made.outcome, made.exit_code) == ("skipped", 0)


def test_density_counts_all_layers_and_is_absent_without_any() -> None:
    from prune_audit.core import Layer

    card = ModelCard(name="m", path="m", format="f", digest="d", size=0)
    assert card.density is None
    layers = (
        Layer(name="a", kind="linear", shape=(2, 2), nonzero=1, total=4),
        Layer(name="b", kind="linear", shape=(4, 4), nonzero=9, total=16),
    )
    assert replace(card, layers=layers).density == 0.5


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3, st.integers(0, 4)), min_size=1, max_size=60))
def test_sums_over_clusters_are_the_brute_force_ones(rows: list[tuple[int, int, int, int]]) -> None:
    labels, dense, pruned, film = (np.array(column) for column in zip(*rows, strict=True))
    made = predictions(labels.tolist(), dense.tolist(), pruned.tolist())
    found = classification.pair(replace(made, groups={"film": film}), "dense", "pruned", cluster="film").clusters
    assert found is not None

    def counted(mask: Any) -> Any:
        return np.array([mask.sum(), (mask & (dense == labels)).sum(), (mask & (pruned == labels)).sum()])

    films = np.unique(film)
    whole = [counted(film == f) for f in films]
    np.testing.assert_array_equal(found.whole, sum(np.outer(v, v) for v in whole))
    assert found.total == len(films)
    for c in range(3):
        own = [counted((film == f) & (labels == c)) for f in films]
        np.testing.assert_array_equal(found.own[c], sum(np.outer(v, v) for v in own))
        np.testing.assert_array_equal(found.cross[c], sum(np.outer(v, w) for v, w in zip(own, whole, strict=True)))
        assert found.number[c] == sum(v[0] > 0 for v in own)
        assert found.within[c] == sum(v[0] == w[0] > 0 for v, w in zip(own, whole, strict=True))


@pytest.mark.parametrize(
    "asked", [{"by": ("a,,b",)}, {"by": ("a,a",)}, {"weights": {"a": -1.0}}, {"weights": {"a": 0}}]
)
def test_settings_of_the_sample_that_make_no_sense(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**asked)


def test_what_is_said_of_one_model_goes_before_what_is_said_of_all() -> None:
    values = ("logits", "a=probabilities", "classes")
    assert chosen(values, "a") == "probabilities"
    assert chosen(values, "b") == "classes"  # what is said later
    assert chosen((), "a") is None
    assert chosen(("aa=logits",), "a") is None


def test_scores_are_of_a_known_kind() -> None:
    assert Settings(scores=("dense=log-probabilities",)).scores
    with pytest.raises(UsageError, match=r"--scores: expected one of logits, .* found 'logit'"):
        Settings(scores=("dense=logit",))


def test_a_class_of_an_audit_is_a_row() -> None:
    audit = audits.ten()
    row = audit["7"]
    assert row.name == "7"
    assert (row["verdict"], row["support"], row["lost"]) == ("regressed", 90, 31)
    assert audits.everything()["place=indoor"]["support"] == 352
    several = audits.several()["7"]
    assert list(several.index) == [comparison.pruned.name for comparison in audits.several().comparisons]
    with pytest.raises(UsageError) as caught:
        audit["77"]
    assert caught.value.hint.startswith("did you mean '7'? known: 0, 1")


def test_print_shows_the_report_of_the_command_line_in_the_width_of_a_notebook() -> None:
    told = str(audits.judged())
    assert told.splitlines()[0].split()[:3] == ["model", "format", "density"]
    assert "Gate default: FAILED." in told
    assert all(len(line) <= 88 for line in told.splitlines() if not line.startswith("  prune-audit "))


def test_a_traceback_shows_the_hint() -> None:
    error = UsageError("this is wrong", hint="do \x1b[31mthat")
    assert str(error) == "this is wrong"
    told = traceback.format_exception(error)
    assert told[-1] == "hint: do \\x1b[31mthat\n"

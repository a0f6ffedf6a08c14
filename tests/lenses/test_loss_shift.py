"""The lens of losses: closed forms of a softmax regression, planted truths, and what is refused."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.errors import ModelError
from prune_audit.explain import rule
from prune_audit.lenses import CannotLook, _shift, loss_shift, weights
from tests.lenses.subjects import CLASSES, cut_in_second, one_hot, planted, subject
from tests.lenses.test_layers import four_copies

LEARNT, JUDGED = one_hot(0), one_hot(1)


def regression() -> Any:
    """A softmax regression in double precision, of which the loss, its gradient and Hessian are known."""
    torch.manual_seed(0)
    made: Any = nn.Sequential(nn.Linear(10, 10, bias=False)).double()
    with torch.no_grad():
        made[0].weight.add_(torch.eye(10, dtype=torch.float64))
    return made


def doubled(samples: tuple[Any, Any]) -> tuple[Any, Any]:
    return samples[0].astype(np.float64), samples[1]


def cut_some(dense: Any, share: float = 0.3) -> Any:
    pruned = copy.deepcopy(dense)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        pruned[0].weight[torch.rand(10, 10, generator=generator) < share] = 0
    return pruned


def closed_form(dense: Any, pruned: Any, x: np.ndarray, k: int) -> tuple[float, float, float]:
    """Gradient norm, first and second order of the samples ``x`` (n, 10) of class ``k``.

    With probabilities p, gradient (p - e_k) x' and delta' H delta = sum_c p_c (u_c - p . u)^2 for u = Delta x.
    """
    weight = dense[0].weight.detach().numpy()
    delta = pruned[0].weight.detach().numpy() - weight  # (10, 10)
    logits = x @ weight.T
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    gradient = (p - np.eye(10)[k]).T @ x / len(x)
    first = float((gradient * delta).sum())
    u = x @ delta.T
    curved = (p * (u - (p * u).sum(1, keepdims=True)) ** 2).sum(1).mean()
    return float(np.linalg.norm(gradient)), first, first + float(curved) / 2


def test_a_softmax_regression_has_these_orders() -> None:
    dense = regression()
    pruned = cut_some(dense)
    learnt = doubled(LEARNT)
    found = _shift.per_class(subject(dense, pruned, learnt, doubled(JUDGED)))
    for k in range(CLASSES):
        norm, first, second = closed_form(dense, pruned, learnt[0][learnt[1] == k], k)
        # Sums in double precision, whose order differs.
        assert found[k]["gradient_norm"] == pytest.approx(norm, rel=1e-9)
        assert found[k]["first"] == found[k]["first_cut"] == pytest.approx(first, rel=1e-9, abs=1e-12)
        assert found[k]["second"] == found[k]["second_cut"] == pytest.approx(second, rel=1e-9, abs=1e-12)
        assert sum(found[k]["layers"]) == pytest.approx(second, rel=1e-9)


def test_what_a_training_moved_is_told_apart_from_the_cut() -> None:
    dense = regression()
    cut = cut_some(dense)
    moved = copy.deepcopy(cut)
    with torch.no_grad():
        moved[0].weight[cut[0].weight != 0] += 0.05
    learnt = doubled(LEARNT)
    found = _shift.per_class(subject(dense, moved, learnt, doubled(JUDGED)))
    for k in range(CLASSES):
        own = learnt[0][learnt[1] == k]
        assert found[k]["second_cut"] == pytest.approx(closed_form(dense, cut, own, k)[2], rel=1e-9)
        assert found[k]["second"] == pytest.approx(closed_form(dense, moved, own, k)[2], rel=1e-9)
    seen = loss_shift.look(subject(dense, moved, learnt, doubled(JUDGED)), None)
    assert any("trained after the cut" in said for said in seen.sentences)
    assert "second_cut" in [field.name for field in seen.tables[0].fields]


def test_at_an_optimum_the_norms_of_two_groups_are_as_their_sizes() -> None:
    """The gradients of both add up to nothing, so that 300 samples have a third of the norm of 100."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [300, 100])
    x = generator.normal(size=(400, 3)) + labels[:, None]
    dense: Any = nn.Sequential(nn.Linear(3, 2)).double()
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels)
    optimiser = torch.optim.LBFGS(
        dense.parameters(), max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(dense(inputs), targets)
        value.backward()
        return value

    optimiser.step(closure)
    pruned = copy.deepcopy(dense)
    with torch.no_grad():
        pruned[0].weight[0, 0] = 0
    found = _shift.per_class(subject(dense, pruned, (x, labels), (x, labels)))
    assert found[1]["gradient_norm"] / found[0]["gradient_norm"] == pytest.approx(3, rel=1e-4)


def test_no_difference_is_no_loss() -> None:
    dense = regression()
    seen = loss_shift.look(subject(dense, copy.deepcopy(dense), doubled(LEARNT), doubled(JUDGED)), None)
    table = seen.tables[0]
    for name in ("excess_loss", "predicted_first", "predicted_second"):
        assert set(table.column(name)) == {0.0}


def test_the_order_of_samples_changes_nothing() -> None:
    dense = regression()
    pruned = cut_some(dense)
    order = np.random.default_rng(5).permutation(len(LEARNT[1]))
    some = _shift.per_class(subject(dense, pruned, doubled(LEARNT), doubled(JUDGED)))
    x, y = doubled(LEARNT)
    others = _shift.per_class(subject(dense, pruned, (x[order], y[order]), doubled(JUDGED)))
    for one, other in zip(some, others, strict=True):
        for name in ("loss", "first", "second", "closeness", "gradient_norm"):
            assert one[name] == pytest.approx(other[name], rel=1e-9)
        assert sorted(one["margins"]) == pytest.approx(sorted(other["margins"]))


def test_what_is_measured_is_the_mean_of_the_audited_samples() -> None:
    dense, x = planted(), torch.from_numpy(JUDGED[0])
    pruned = cut_in_second(dense)
    seen = loss_shift.look(subject(dense, pruned, LEARNT, JUDGED), None)
    with torch.no_grad():
        rise = [
            nn.functional.cross_entropy(each(x), torch.from_numpy(JUDGED[1]), reduction="none").numpy()
            for each in (dense, pruned)
        ]
    table = seen.tables[0]
    at: dict[Any, Any] = dict(zip(table.column("class"), table.rows, strict=True))
    names = [field.name for field in table.fields]
    for k in range(CLASSES):
        row: dict[str, Any] = dict(zip(names, at[str(k)], strict=True))
        own = (rise[1] - rise[0])[JUDGED[1] == k]
        assert row["excess_loss"] == pytest.approx(own.mean(), abs=1e-6)
        # The percentile bootstrap of a mean is about the normal interval.
        assert row["excess_high"] - row["excess_low"] == pytest.approx(
            2 * 1.96 * own.std() / math.sqrt(len(own)), rel=0.25, abs=1e-6
        )
    assert [measure.name for measure in seen.measures] == [
        *("excess_loss", "predicted_loss_first", "predicted_loss_second")
    ]


def test_a_class_that_lives_in_one_layer_is_named_with_that_layer() -> None:
    dense = planted()
    shown = subject(dense, cut_in_second(dense), LEARNT, JUDGED)
    found = _shift.per_class(shown)
    seconds = [each["second"] for each in found]
    assert int(np.argmax(seconds)) == 3
    assert int(np.argmax(found[3]["layers"])) == 1  # of the three layers the second
    seen = loss_shift.look(shown, None)
    assert "most in 3: " in seen.sentences[0]
    assert "The loss rose by" in seen.sentences[0]
    back = loss_shift.look(subject(cut_in_second(dense), dense, LEARNT, JUDGED), None)
    assert back.sentences[0].startswith(seen.sentences[0].split(" nats")[0].replace("rose", "fell"))
    assert "the worst change is that of" in back.sentences[0]
    row = {each[0]: each for each in weights.look(shown, None).tables[0].rows}["2"]
    assert row[5] == 1 + 10  # the unit of the class, and ten that had no weight before


def test_pruning_by_noise_is_explained_by_nothing() -> None:
    """Four copies of each class, one of which is cut by chance: what differs between classes is the luck of samples."""
    named = 0
    for seed in range(4):
        dense, generator = four_copies(), np.random.default_rng(seed)
        pruned = copy.deepcopy(dense)
        with torch.no_grad():
            for k in range(CLASSES):
                first, second = generator.choice(4, 2, replace=False)
                pruned[0].weight[10 * first + k] = 0
                pruned[2].weight[:, 10 * second + k] = 0
        shown = subject(dense, pruned, one_hot(10 + seed), one_hot(20 + seed))
        accounts = [*loss_shift.look(shown, None).accounts, *weights.look(shown, None).accounts]
        predictions = shown.predicted(shown.audit)
        before, after = (-np.log(np.asarray(each.true_score)) for each in predictions.models)
        outcome = np.array([(after - before)[predictions.labels == k].mean() for k in range(CLASSES)])
        named += any(each.named for each in rule.tried(accounts, outcome))
    assert named <= 1  # .05 each


def test_a_class_with_too_few_samples_is_undefined() -> None:
    dense = planted()
    keep = np.flatnonzero((LEARNT[1] != 7) | (np.cumsum(LEARNT[1] == 7) == 1))
    seen = loss_shift.look(subject(dense, cut_in_second(dense), (LEARNT[0][keep], LEARNT[1][keep]), JUDGED), None)
    assert seen.tables[0].notes == ("7: fewer than two training samples, undefined",)
    assert all(account.values[7] is None for account in seen.accounts)


def test_networks_too_far_apart_offer_no_order() -> None:
    dense = planted()
    with torch.no_grad():
        dense[4].weight *= 10  # certain of itself: nothing curves, and nothing is steep
    seen = loss_shift.look(subject(dense, cut_in_second(dense), LEARNT, JUDGED), None)
    assert "misses that mean by more than half" in seen.sentences[1]
    assert "predicted_second" not in [account.name for account in seen.accounts]


def test_what_cannot_be_compared_or_computed_is_told() -> None:
    dense = planted()
    other = nn.Sequential(nn.Linear(10, 20, bias=False), nn.ReLU(), nn.Linear(20, 10))
    with pytest.raises(CannotLook, match=r"the parameter 2.weight of pruned is \(10, 20\)"):
        loss_shift.look(subject(dense, other, LEARNT, JUDGED), None)
    broken = cut_in_second(dense)
    shown = subject(dense, broken, LEARNT, JUDGED)
    with torch.no_grad():
        broken[4].bias[2] = float("inf")
    with pytest.raises(ModelError, match="is infinite or no number"):
        _shift.per_class(shown)

"""What holds for every mitigation, and what the room itself computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prune_audit import mitigations, plugins, stats
from prune_audit.core import Pair, Settings
from prune_audit.errors import UsageError
from prune_audit.mitigations import excess
from prune_audit.nets.examples import cross_entropy
from tests.mitigations.known import known

NAMES = plugins.names("mitigations")
TRAINED = [name for name in NAMES if mitigations.trains(plugins.load("mitigations", name))]


def options(name: str) -> object:
    group = getattr(plugins.load("mitigations", name), "OPTIONS", None)
    return None if group is None else group()


def test_there_are_those_that_train_and_others() -> None:
    assert 0 < len(TRAINED) < len(NAMES)


def test_what_is_proposed_suits_the_network_and_what_was_found() -> None:
    assert mitigations.proposed([], runs=True) == ("--method", "equal-loss", "--epochs", "6")
    assert mitigations.proposed(["layers"], runs=True) == ("--method", "equal-loss", "--epochs", "6")
    assert mitigations.proposed(["layers", "recalibrated"], runs=True) == ("--method", "recalibrate")
    assert mitigations.proposed([], runs=False) == ("--method", "offsets")
    acted = {module.MENDS for _, module in plugins.loaded("mitigations") if hasattr(module, "MENDS")}
    assert acted <= set(plugins.names("lenses"))


@pytest.mark.parametrize("name", TRAINED)
def test_before_an_epoch_is_over_an_objective_is_near_the_mean_cross_entropy(name: str) -> None:
    """Multipliers begin at 0 and take a step at most, weights have a mean of 1; the gradient reaches the scores."""
    made = plugins.load("mitigations", name).objective(known([0, 1] * 20), mitigations.asked(name, None, None, None, 0))
    scores = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.arange(40) % 3
    loss = made.loss(scores, labels, torch.arange(40))
    assert loss.item() == pytest.approx(cross_entropy(scores, labels).mean().item(), abs=0.01)
    loss.backward()
    assert scores.grad is not None
    assert bool(torch.isfinite(scores.grad).all())
    made.ended()
    assert all(each.epoch == 1 and each.group in ("a", "b") for each in made.multipliers)


@pytest.mark.parametrize("name", TRAINED)
def test_equal_samples_give_equal_objectives_and_gradients(name: str) -> None:
    found = []
    for _ in range(2):
        made = plugins.load("mitigations", name).objective(
            known([0, 1] * 20, right=[True, False] * 20), mitigations.asked(name, None, None, options(name), 0)
        )
        scores = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
        for _ in range(3):
            loss = made.loss(scores, torch.arange(40) % 3, torch.arange(40))
            made.ended()
        loss.backward()
        assert scores.grad is not None
        found.append((loss.detach(), scores.grad, made.multipliers))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]


@pytest.mark.parametrize("name", TRAINED)
def test_an_objective_goes_on_from_its_state_in_the_midst_of_an_epoch(name: str) -> None:
    def fresh() -> mitigations.Objective:
        given = known([0, 1] * 20, right=[True, False] * 20)
        made: mitigations.Objective = plugins.load("mitigations", name).objective(
            given, mitigations.asked(name, None, None, options(name), 0)
        )
        return made

    def steps(made: mitigations.Objective, first: int, end: int) -> list[float]:
        found = []
        for step in range(first, end):
            scores = torch.randn(40, 3, generator=torch.Generator().manual_seed(step))
            found.append(made.loss(scores, torch.arange(40) % 3, torch.arange(40)).item())
            if step % 3 == 2:
                made.ended()
        return found

    whole, stopped, again = fresh(), fresh(), fresh()
    steps(stopped, 0, 4)
    state = {key: value.clone() for key, value in stopped.state().items()}
    again.load(state)
    assert steps(whole, 0, 12)[4:] == steps(again, 4, 12)
    assert whole.multipliers == again.multipliers
    for wrong in (
        {**state, "more": torch.zeros(1)},
        *({other: value for other, value in state.items() if other != key} for key in state),
        *({**state, key: torch.zeros(3, dtype=torch.int64)} for key in state),
        *({**state, key: state[key].float()} for key in state),
    ):
        with pytest.raises((ValueError, LookupError, RuntimeError)):
            fresh().load(wrong)


def test_options_that_a_method_does_not_take_or_that_make_no_sense() -> None:
    plain = next(name for name in NAMES if not hasattr(plugins.load("mitigations", name), "STEP"))
    stepped = next(name for name in NAMES if hasattr(plugins.load("mitigations", name), "STEP"))
    with pytest.raises(UsageError, match=f"{plain} takes no --step"):
        mitigations.asked(plain, 0.1, None, None, 0)
    for step in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--step"):
            mitigations.asked(stepped, step, None, None, 0)
    assert mitigations.asked(stepped, 0.3, None, None, 0).step == 0.3
    assert mitigations.asked("ceag", None, 2.5, None, 0).tolerance == pytest.approx(0.025)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_weighted_excess_drops_sum_to_nothing(samples: list[tuple[int, bool, bool]]) -> None:
    groups, before, after = (np.array(column) for column in zip(*samples, strict=True))
    found = excess(before, after, groups, 4)
    shares = np.bincount(groups, minlength=4) / len(groups)
    assert np.array_equal(np.isnan(found), shares == 0)
    assert abs(float(np.nansum(found * shares))) < 1e-12


def test_excess_drops_are_those_of_the_audit() -> None:
    counts = [(50, 8, 2, 10), (70, 1, 4, 5), (20, 10, 0, 0)]
    before, after, groups = [], [], []
    for group, (both, lost, gained, neither) in enumerate(counts):
        before += [True] * (both + lost) + [False] * (gained + neither)
        after += [True] * both + [False] * lost + [True] * gained + [False] * neither
        groups += [group] * (both + lost + gained + neither)
    measures = {each.name: each for each in stats.measures(Pair.of(counts), Settings())}
    found = excess(np.array(before), np.array(after), np.array(groups), 3)
    np.testing.assert_allclose(found, np.array(measures["excess_drop"].by_stratum, float), atol=1e-12)
    assert found.max() == pytest.approx(measures["largest_excess_drop"].overall)

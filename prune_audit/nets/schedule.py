"""When masks are updated in a training, and to which density: all of it known before the first step.

A plan is a list of (step before which, density), so a run that was stopped has nothing to remember of it, and methods
and training need not know why they are called.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

Plan: TypeAlias = tuple[tuple[int, float], ...]

PRUNING_SHARE = 0.5  # of a training in which one goes on cutting; the rest is for what is left to settle


class Schedule(Protocol):
    """When masks are updated, and to which density."""

    def __call__(self, density: float, *, steps: int, rounds: int, seed: int) -> Plan:
        """The updates in a training of ``steps`` steps, in their order; without training all come before step 0.

        ``density`` is that of the end, ``rounds`` is how many cuts lead to it, where the schedule leaves that open, and
        ``seed`` draws what is random.
        """


def one_shot(density: float, *, steps: int, rounds: int, seed: int) -> Plan:
    """One cut, before the first step."""
    del steps, rounds, seed
    return ((0, density),)


def halfway(density: float, *, steps: int, rounds: int, seed: int) -> Plan:
    """One cut, after the first half of the training, in which a method learns what to cut."""
    del rounds, seed
    return ((int(PRUNING_SHARE * steps), density),)


def iterative(density: float, *, steps: int, rounds: int, seed: int) -> Plan:
    """``rounds`` cuts, each of the same share of what is left, with equal trainings after each (Han et al. 2015)."""
    del seed
    return tuple((k * steps // rounds, density ** ((k + 1) / rounds)) for k in range(rounds))


def gradual(density: float, *, steps: int, rounds: int, seed: int) -> Plan:
    """Cuts to 1 - density = s in ``rounds`` at equal steps, round k of n to s (1 - (1 - k / n)^3).

    Zhu and Gupta 2017, arXiv 1710.01878, section 3.
    """
    del seed
    stop, cut = int(PRUNING_SHARE * steps), 1 - density
    return tuple((k * stop // rounds, 1 - cut * (1 - (1 - k / rounds) ** 3)) for k in range(1, rounds + 1))

"""When masks are updated in a training, and to which density: all of it known before the first step.

A plan is a list of (step before which, density), so a run that was stopped has nothing to remember of it, and methods
and training need not know why they are called.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind = Literal["one-shot", "iterative", "gradual", "surgery"]
Plan: TypeAlias = tuple[tuple[int, float], ...]

# The share of a training in which gradual pruning and surgery go on; the rest is for what is left to settle.
PRUNING_SHARE = 0.5
# Of surgery's probability of an update (1 + GAMMA step)^-POWER: the example of its authors.
GAMMA, POWER = 1e-4, 1.0


def plan(kind: Kind, density: float, *, steps: int, rounds: int, seed: int = 0) -> Plan:
    """Updates in a training of ``steps`` steps, in their order; without training all of them come before step 0.

    ``one-shot`` cuts at once. ``iterative`` cuts in ``rounds``, each of the same share of what is left, with equal
    trainings after each (Han et al. 2015). ``gradual`` cuts to 1 - density = s in ``rounds`` at equal steps, round k
    of n to s (1 - (1 - k / n)^3) (Zhu and Gupta 2017, arXiv 1710.01878, section 3). ``surgery`` updates to the same
    density before random steps, ever fewer of them (Guo et al. 2016, arXiv 1608.04493, section 3).
    """
    if kind == "one-shot":
        return ((0, density),)
    if kind == "iterative":
        return tuple((k * steps // rounds, density ** ((k + 1) / rounds)) for k in range(rounds))
    stop = int(PRUNING_SHARE * steps)
    if kind == "gradual":
        cut = 1 - density
        return tuple((k * stop // rounds, 1 - cut * (1 - (1 - k / rounds) ** 3)) for k in range(1, rounds + 1))
    return tuple((step, density) for step in triggered(max(1, stop), seed))


def triggered(steps: int, seed: int, gamma: float = GAMMA, power: float = POWER) -> tuple[int, ...]:
    """Those of ``steps`` before which surgery updates its masks; the first always is one."""
    import numpy as np

    at = np.arange(steps)
    drawn = np.random.default_rng(seed).random(steps)
    return tuple(at[(1 + gamma * at) ** -power > drawn].tolist())

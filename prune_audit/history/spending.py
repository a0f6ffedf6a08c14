"""Where a release stands in its stream: the level that a budget of error has for it, and what its evidence comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prune_audit import stats
from prune_audit.history.releases import Release
from prune_audit.render import rounded

FEW = 100  # from which on an e-value has one decimal place
MOST = 690.0  # the logarithm of an e-value that can still be printed


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a release stands in its stream: its ``place``, from 1, its level, its evidence, and the budget.

    ``rejected`` says that it regressed under the ``budget``; ``spent`` is what it and all before it had of that.
    ``log_e`` is None where the e-value is 0.
    """

    place: int
    level: float
    log_e: float | None
    rejected: bool
    budget: float
    spent: float

    @property
    def e(self) -> str:
        """The e-value as people read it."""
        if self.log_e is None:
            return "0"
        e = float(np.exp(min(self.log_e, MOST)))
        return rounded.number(e) if FEW <= e < rounded.LARGE else rounded.ratio(e)

    @property
    def takes(self) -> str:
        """What the e-value had to reach, as people read it."""
        return rounded.number(1 / self.level)

    @property
    def left(self) -> float:
        """What the budget has for all later releases, before any rejection adds to it."""
        return self.budget - self.spent


def standing(before: Sequence[Release], log_e: float | None, budget: float) -> Standing:
    """Where a release with ``log_e`` stands that comes after those ``before``."""
    asked = [*(each.budget is not None for each in before), True]
    return _stream([*(each.log_e for each in before), log_e], asked, budget)[-1]


def standings(releases: Sequence[Release]) -> tuple[Standing | None, ...]:
    """Where each of ``releases`` stands, the earliest first; None where it was judged without a budget."""
    logs, asked = [each.log_e for each in releases], [each.budget is not None for each in releases]
    # Folders that were put together may hold several budgets, each of which sees one stream of them all.
    budgets = {each.budget for each in releases if each.budget is not None}
    by = {budget: _stream(logs, asked, budget) for budget in budgets}
    return tuple(None if each.budget is None else by[each.budget][n] for n, each in enumerate(releases))


def _stream(log_e: Sequence[float | None], asked: Sequence[bool], budget: float) -> list[Standing]:
    """Where each of T releases stands, of which those were judged under a budget that ``asked`` for it."""
    logs = np.array([-np.inf if log is None else log for log in log_e])
    levels, rejected = stats.e_lond(logs, np.array(asked, bool), budget)
    spent = budget * np.cumsum(stats.shares(len(logs)))
    return [
        Standing(
            place=n + 1,
            level=float(levels[n]),
            log_e=log,
            rejected=bool(rejected[n]),
            budget=budget,
            spent=float(spent[n]),
        )
        for n, log in enumerate(log_e)
    ]

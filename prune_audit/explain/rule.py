"""What may be called an explanation of who lost: the rule, which knows neither networks nor lenses.

Lenses offer numbers for each class, none of which was computed on a sample of the audit. With several of them and few
classes some number ranks the classes as their losses do by chance: of nine that have nothing to do with it, the best
one of ten classes has a rank correlation above .5 in three of four cases. So the correlation of each is held against
the largest of all of them when the losses are dealt out to the classes at random (the max-statistic permutation test of
Westfall and Young 1993, section 2.3), which is the chance that any one of them would look so good. Where a number means
a direction, as a predicted loss does, only that direction looks good: its correlation counts with its sign, in the
random orders, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from prune_audit.core import Floats
from prune_audit.lenses import Account

LEAST = 8  # classes: with fewer, ranks agree by chance too often for anything to be named
LEVEL = 0.05
EXACT = 8  # classes up to which every order is tried
DRAWS = 19_999  # orders that are drawn beyond that


@dataclass(frozen=True, slots=True)
class Tried:
    """An account, the rank correlation ``rho`` of its numbers with the losses, and the ``p`` of the best of all."""

    account: Account
    rho: float
    p: float

    @property
    def named(self) -> bool:
        """Whether it may be called an explanation."""
        return self.p < LEVEL

    @property
    def opposed(self) -> bool:
        """Whether those lost less that it means to lose more."""
        return self.account.larger == "more" and self.rho < 0


def tried(accounts: Sequence[Account], outcome: Floats, seed: int = 0) -> tuple[Tried, ...]:
    """``accounts`` against the losses ``outcome`` (C,), NaN where there is none; the best one first.

    Only classes for which there are all numbers count, and only accounts that differ between classes. Empty where
    fewer than `LEAST` classes are left.
    """
    columns = [np.array([np.nan if v is None else float(v) for v in account.values]) for account in accounts]
    whole = np.isfinite(np.stack([outcome, *columns])).all(axis=0)  # (C,)
    if int(whole.sum()) < LEAST:
        return ()
    varied = [i for i, column in enumerate(columns) if np.ptp(column[whole]) > 0]
    losses = outcome[whole]
    if not varied or np.ptp(losses) == 0:
        return ()
    ranks = np.stack([_ranks(columns[i][whole]) for i in varied])  # (K, C), each of mean 0 and length 1
    own = _ranks(losses)  # (C,)
    directed = np.array([accounts[i].larger == "more" for i in varied])  # (K,)
    rho = ranks @ own  # (K,)
    good = _good(rho[:, None], directed)  # (K, 1)
    largest = np.concatenate([_good(ranks @ some.T, directed).max(axis=0) for some in _orders(own, seed)])
    # Orders that differ in ties alone sum in another order: what is equal but for that is no smaller.
    beyond = (largest[None] >= good - 1e-12).sum(axis=1)
    exact = len(losses) <= EXACT
    p = beyond / len(largest) if exact else (1 + beyond) / (1 + len(largest))
    found = [Tried(accounts[i], float(rho[at]), float(p[at])) for at, i in enumerate(varied)]
    return tuple(found[at] for at in np.argsort(-good[:, 0], kind="stable"))


def _good(rho: Floats, directed: npt.NDArray[np.bool_]) -> Floats:
    """How good correlations ``rho`` (K, B) look: with their sign where they are ``directed`` (K,), else without."""
    found: Floats = np.where(directed[:, None], rho, np.abs(rho))
    return found


def _ranks(values: Floats) -> Floats:
    from scipy.stats import rankdata

    ranks = rankdata(values)
    centred: Floats = ranks - ranks.mean()
    return centred / float(np.linalg.norm(centred))


def _orders(own: Floats, seed: int) -> Sequence[Floats]:
    """``own`` (C,) in other orders, (B, C) at a time: in every one where they are few, else drawn."""
    if len(own) <= EXACT:
        return [own[np.array(list(permutations(range(len(own)))))]]
    generator = np.random.default_rng(seed)
    size = max(1, 10**6 // len(own))
    parts = [min(size, DRAWS - at) for at in range(0, DRAWS, size)]
    return [generator.permuted(np.tile(own, (many, 1)), axis=1) for many in parts]

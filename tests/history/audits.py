"""Judged audits from counts, as releases of one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from prune_audit import gate, stats
from prune_audit.core import Audit, Clusters, Comparison, Pair, Policy, RuleSetting, Settings, View
from prune_audit.history import releases
from prune_audit.history.releases import Release
from prune_audit.rules import default_policy
from tests.reports.audits import card, provenance

Rows = Sequence[tuple[int, int, int, int]]
"""Both right, lost, gained, neither; a row a class."""
SAME: Rows = ((100, 0, 0, 0), (97, 1, 1, 1))
LOST: Rows = ((100, 0, 0, 0), (60, 38, 1, 1))
SLIPPED: Rows = ((100, 0, 0, 0), (88, 10, 0, 2))  # regressed by its interval
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
DROPS = Policy(name="drops", rules={"recall-drop": RuleSetting(level="error")})


def audit(*variants: Rows, data: str = "feed", names: Sequence[str] = (), measured: bool = True) -> Audit:
    """An audit of ``variants`` by their counts, on the data with this digest; models go by their ``names``."""
    comparisons = []
    for n, rows in enumerate(variants):
        pair = Pair.of(rows)
        name = names[n] if names else f"v{n} {rows}"
        view = View(pair=pair, measures=stats.measures(pair, Settings()) if measured else ())
        comparisons.append(Comparison(dense=card("dense", 1.0), pruned=card(name, 0.1), views=(view,)))
    samples = sum(map(sum, variants[0]))
    return Audit(comparisons=tuple(comparisons), provenance=replace(provenance(samples), data_digest=data))


def judged(*variants: Rows, data: str = "feed", names: Sequence[str] = (), policy: Policy | None = None) -> Audit:
    """The same, judged by the default policy or another one."""
    return gate.judge(audit(*variants, data=data, names=names), policy or default_policy())


def clustered(found: Audit) -> Audit:
    """``found`` with samples that belong together in fours."""
    comparisons = []
    for each in found.comparisons:
        view = each.view()
        counts = np.stack([getattr(view.pair, kind) for kind in ("both", "lost", "gained", "neither")], axis=1)
        size = len(counts)
        stratum, kind = np.divmod(np.repeat(np.arange(4 * size), counts.ravel()), 4)
        of = np.arange(len(stratum)) // 4
        pair = replace(view.pair, clusters=Clusters.of("film", size, stratum, of, kind % 2 == 0, kind < 2))
        comparisons.append(replace(each, views=(replace(view, pair=pair),)))
    return replace(found, comparisons=tuple(comparisons))


def stream() -> tuple[Release, ...]:
    """Five releases: unchanged, slipped, lost, on other data unchanged, and one of two variants; under a budget."""
    found = list[Release]()
    for day, variants in enumerate(((SAME,), (SLIPPED,), (LOST,), (SAME,), (SAME, LOST))):
        names = [f"v{day}{'ab'[n]}" for n in range(len(variants))]
        made = judged(*variants, data="feed" if day < 3 else "beef", names=names)
        evidence = releases.evidence(made, set())
        log_e = float(stats.log_mean_e(np.array(evidence)))
        found.append(releases.of(made, at(30 * day), log_e=log_e, budget=0.1))
    return tuple(found)


def at(day: int) -> datetime:
    """Noon of a day after the first release."""
    return BEGIN + timedelta(days=day)

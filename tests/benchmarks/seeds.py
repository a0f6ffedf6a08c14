"""How often the intervals of a study hold what new seeds and new samples show: ``python -m tests.benchmarks.seeds``.

Changes of shares have the two-way interval (`prune_audit.study.two_way`), alpha that of the pigeonhole bootstrap
(`prune_audit.study.pigeonhole`); beside each is Student's t over the seeds, which answers for the samples of the study
alone. Seeds of the draws are fixed. The tests beside those modules run a small part of it.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from prune_audit.study import two_way
from tests.study.test_pigeonhole import covered
from tests.study.test_two_way import drawn

LEVELS = (0.95, 0.99)
SEEDS = (3, 5, 8)
SAMPLES = 500
ALPHAS = (  # classes, samples of each, scatter of the slope between seeds
    (10, 200, 0.02),
    (10, 200, 0.15),
    (10, 40, 0.05),
    (10, 1_000, 0.15),
    (100, 50, 0.05),
)


def changes(studies: int) -> None:
    """Two-way and t, where a tenth and a quarter of the samples are flipped by nearly every pruning."""
    for moved in (0.10, 0.25):
        for seeds in SEEDS:
            rng = np.random.default_rng(6)
            held = {level: np.zeros(2) for level in LEVELS}
            for _ in range(studies):
                values, truth = drawn(rng, seeds, SAMPLES, moved)
                by_seed = values.mean(axis=1)
                for level, counts in held.items():
                    both = two_way.intervals(values, np.array([SAMPLES]), level)
                    half = stats.t.ppf((1 + level) / 2, seeds - 1) * by_seed.std(ddof=1) / seeds**0.5
                    counts += [both.low[0] <= truth <= both.high[0], abs(by_seed.mean() - truth) <= half]
            for level, counts in held.items():
                both_cover, alone = counts / studies
                print(f"shares: moved {moved:.2f}, seeds {seeds}, level {level}: two-way {both_cover:.3f}, "
                      f"t over seeds {alone:.3f}", flush=True)  # fmt: skip


def alphas(studies: int) -> None:
    """Pigeonhole and t."""
    for classes, n, scatter in ALPHAS:
        for seeds in SEEDS[1:]:
            for level in LEVELS:
                both, alone = covered(
                    np.random.default_rng(9),
                    seeds=seeds, classes=classes, n=n, scatter=scatter, studies=studies, confidence=level,
                )  # fmt: skip
                print(f"alpha: {classes} classes of {n}, scatter {scatter}, seeds {seeds}, level {level}: "
                      f"pigeonhole {both:.3f}, t over seeds {alone:.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--studies", type=int, default=2_000, help="Simulated studies for each line; alpha has a tenth."
    )
    asked = parser.parse_args()
    changes(asked.studies)
    alphas(asked.studies // 10)

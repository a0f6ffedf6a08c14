"""The figures of the study of ResNet-20 that docs/findings.md shows, computed anew from its runs."""

from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from prune_audit.study import results, samples
from tests.conftest import ROOT
from tests.mitigate.test_figures import drawn, over_seeds, told, worst

STUDY = ROOT / "docs" / "studies" / "cifar10-resnet20"


def table() -> str:
    """A line for each way of pruning, the best worst recall first."""
    _, runs, classes, right = results.read([STUDY])
    sizes, found = samples.read(right, classes)
    (n,) = sizes.values()
    seeds = sorted(runs["seed"].unique())
    hits = {
        method: np.array([found["resnet20", method, density, seed].pruned for seed in seeds], float)  # (S, N)
        for (method, density), _ in runs.groupby(["method", "density"])
    }
    against = {
        method: stats.ttest_rel(worst(hits[method], n), worst(hits["magnitude"], n)).pvalue
        for method in hits
        if method not in ("magnitude", "tuned-alone")
    }
    adjusted = dict(zip(against, multipletests(list(against.values()), method="holm")[1], strict=True))
    lines = [
        "| | accuracy, % | worst recall, % | beyond `magnitude` | p, Holm | harmed | regressed |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in sorted(hits, key=lambda method: -worst(hits[method], n).mean()):
        own = runs[runs["method"] == method]
        more, p = "-", "-"
        if method in against:
            mean, low, high = over_seeds(100 * (worst(hits[method], n) - worst(hits["magnitude"], n)))
            ends = drawn(hits[method], hits["magnitude"], n)
            more, p = told((mean, low, high, min(low, ends[0]), max(high, ends[1]))), f"{adjusted[method]:.3f}"
        means = [f"{100 * hits[method].mean():.1f}", f"{100 * worst(hits[method], n).mean():.1f}"]
        counts = [f"{own[name].mean():.2f}" for name in ("harmed", "regressed")]
        lines.append("| " + " | ".join([f"`{method}`", *means, more, p, *counts]) + " |")
    return "\n".join(lines)


def test_the_document_shows_what_the_study_found() -> None:
    assert table() in (ROOT / "docs" / "findings.md").read_text("utf-8")


def test_the_readme_says_what_it_shows() -> None:
    kept = pd.read_csv(STUDY / "table-contrasts.csv")
    assert list(kept.loc[kept["p_adjusted"] < 0.05, "method"]) == ["random", "fairgrape", "bcr"]
    assert (kept["difference"] < 0).all()
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert (
        "none is shown to leave the weakest class better off than `magnitude`, and three are shown to leave" in readme
    )


def test_the_contrasts_are_those_that_were_announced() -> None:
    """In the plan before any run; their p-values are those of a paired t test, by Holm."""
    plan = tomllib.loads((STUDY.parent / "cifar10-resnet20.toml").read_text("utf-8"))
    kept = pd.read_csv(STUDY / "table-contrasts.csv")
    assert list(kept["method"]) == plan["contrasts"]["methods"]
    shown = {line.split("`")[1]: line.split(" | ")[4] for line in table().splitlines()[2:]}
    for method, p in zip(kept["method"], kept["p_adjusted"], strict=True):
        assert shown[method] == f"{p:.3f}"

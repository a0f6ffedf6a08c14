"""Tests across the seeds of a study: what pruning in such a way does, started anew, as tables.

The protocol is that of Good et al. 2022 (arXiv 2206.02976): one alpha per seed, t intervals at 99 %, t tests whose p is
multiplied by the number of rows of its column (Bonferroni). The test of each class is that of Hooker et al. 2019 (arXiv
1911.05248). The unit is the seed, never the class: classes of one model hang together. Between networks the test is
Welch's, because the paper does not say whether it pools variances, and nothing says that they are equal.

Cells are tested against one another in `comparisons`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from prune_audit.core import HARMED, REGRESSED, Array, Floats
from prune_audit.render import rounded, wording
from prune_audit.stats import spread_ratio
from prune_audit.study import _shown as shown
from prune_audit.study import changes, contrasts, controls, pigeonhole, two_way
from prune_audit.study.comparisons import (
    CELL,
    NOT_SHOWN,
    TEST,
    Alphas,
    Cells,
    by_size,
    controlled,
    finished_of,
    keys_of,
    mean_of,
    pairs,
    same,
    sizes_of,
    steps,
    tested,
    value_of,
)
from prune_audit.study.contrasts import Contrasts
from prune_audit.study.new_samples import Key, Mean, NewSamples, reasons, split
from prune_audit.study.student import LEVEL, ROUNDING, bonferroni, interval, student, welch
from prune_audit.study.tables import NAMES, SEEDS, Analysis, Row, Table, column, number, shows, table

if TYPE_CHECKING:
    from pandas import DataFrame


RUN = [*CELL, "seed"]
MEANS = {  # column of the runs -> column of the cells, its mean over them
    "r_squared": "r_squared",
    "alpha_lambda": "reliability",
    "accuracy": "accuracy",
    "dense_accuracy": "dense_accuracy",
    "worst_recall": "worst_recall",
    "harmed": "harmed",
    "regressed": "regressed",
}
OF_RUNS = ("intensification", "alpha_corrected", "parameters", *MEANS)  # the numbers that are read
OF_CLASSES = ("support", "dense_recall", "pruned_recall", "dense_balance", "pruned_balance")


def analyse(
    title: str,
    runs: DataFrame,
    classes: DataFrame,
    confidence: float = 0.99,
    *,
    samples: DataFrame | None = None,
    control: str | None = None,
    announced: Contrasts | None = None,
) -> Analysis:
    """All tables of a study, with intervals at ``confidence``.

    ``runs`` has a row for each network, seed, method and density: ``failed`` (the reason, or missing), ``parameters``
    and what `prune_audit.core.rows.overall_of` says of the model. ``classes`` has a row for each finished run and
    class: support, recalls, balances, ``verdict`` and ``distortion``. A column that is not there is one without values.
    """
    runs = _read(runs, [*RUN, "failed"], OF_RUNS)
    classes = _read(classes, [*RUN, "class", "verdict", "distortion"], OF_CLASSES)
    beyond = NewSamples.of(samples, classes, confidence)
    runs["harmed"] = runs["harmed"].where(~_unjudged(runs, classes))
    order = _order(runs)
    alphas = _alphas(order, runs)
    cells = _cells(alphas, runs, classes, beyond)
    fits = {key: shown.fits(cell) for key, cell in zip(order, cells, strict=True)}
    of = Cells(alphas=alphas, fits=fits, beyond=beyond)
    tables = [
        table("cells", "Cells", _about_cells(confidence, cells), CELLS, cells, range(len(cells))),
        changes.accuracy(order, runs, beyond),
        *([] if announced is None else [contrasts.tested(announced, runs, confidence)]),
        tested("controls", controlled(of, controls.choose(order, control), runs), beyond),
        tested("densities", steps(of), beyond),
        tested("methods", pairs(of), beyond),
        tested("networks", sizes_of(of, by_size(runs)), beyond),
        changes.classes(order, classes, beyond),
        _classes(order, classes),
    ]
    return Analysis(
        title=title,
        tables=tuple(table for table in tables if table.rows or table.name == "cells"),
        notes=tuple(_notes(alphas, cells, runs, classes, beyond)),
    )


# --------------------------------------------------------------------------------------------------------- frames


def _read(frame: DataFrame, labels: Sequence[str], numbers: Sequence[str]) -> DataFrame:
    """The named columns alone, with numbers as floats, NaN where there is none."""
    import pandas as pd

    made = frame.reindex(columns=[*labels, *numbers]).reset_index(drop=True)
    for name in numbers:
        made[name] = pd.to_numeric(made[name], errors="coerce").astype("float64")
    names = {name: str for name in ("network", "method", "class") if name in labels}
    return made.astype({**names, "density": "float64"})


def _unjudged(runs: DataFrame, classes: DataFrame) -> Array:
    """Which runs count no harmed class only because none was judged, as in a model that does no more than guess."""
    import pandas as pd

    judged = classes["distortion"].notna().groupby([classes[name] for name in RUN]).any()
    known = judged.reindex(pd.MultiIndex.from_frame(runs[RUN]), fill_value=False).to_numpy(dtype=bool)
    return (runs["harmed"] == 0).to_numpy(dtype=bool) & ~known


def _order(runs: DataFrame) -> list[Key]:
    """The cells: networks and methods as they first appear, each from dense to sparse."""
    networks, methods = (list(dict.fromkeys(runs[name])) for name in ("network", "method"))
    found = set(zip(*(runs[name] for name in CELL), strict=True))
    return sorted(found, key=lambda key: (networks.index(key[0]), methods.index(key[1]), -key[2]))


def _alphas(order: Sequence[Key], runs: DataFrame) -> Alphas:
    alphas: Alphas = {key: {} for key in order}
    for *key, seed, alpha in zip(*(finished_of(runs)[name] for name in (*RUN, "intensification")), strict=True):
        if math.isfinite(alpha):
            alphas[key[0], key[1], key[2]][seed] = float(alpha)
    return alphas


# ---------------------------------------------------------------------------------------------------------- cells


def _cells(alphas: Alphas, runs: DataFrame, classes: DataFrame, beyond: NewSamples) -> list[Row]:
    confidence = beyond.confidence
    done = finished_of(runs)
    means = done.groupby(CELL)[list(MEANS)].mean().to_dict("index")
    corrected: dict[Hashable, Floats] = {
        key: own.dropna().to_numpy() for key, own in done.groupby(CELL)["alpha_corrected"]
    }
    worst = classes.groupby(RUN)[["dense_recall", "pruned_recall"]].min()
    change = (worst["pruned_recall"] - worst["dense_recall"]).groupby(CELL).mean().to_dict()
    failed = runs.groupby(CELL)["failed"].first().to_dict()  # the first that is not missing
    finished = {key: int(n) for key, n in done.groupby(CELL).size().items()}
    pooled, ratios = _pooled(classes), _ratios(alphas, classes)
    rows: list[Row] = []
    for key, by_seed in alphas.items():
        values = np.array(list(by_seed.values()))  # (N,)
        low, high = interval(values, confidence)
        estimated = corrected.get(key, np.zeros(0))  # (N,)
        row = keys_of(key)
        row |= {name: number(means.get(key, {}).get(of)) for of, name in MEANS.items()}
        row |= {"seeds": len(values), "finished": finished.get(key, 0)}
        row |= {"alpha": mean_of(values), "alpha_low": low, "alpha_high": high}
        row |= {"finding": None}
        if low is not None and high is not None and shown.fits(row):
            row |= {"finding": _side(low, high, "intensified", "de-intensified")}
        unknown = None
        if len(values):
            low, high, unknown = split(beyond.alpha(key, list(by_seed), Mean.of(float(values.mean()), low, high)))
            row |= {"alpha_both_low": low, "alpha_both_high": high, "finding_both": None}
            if low is not None and high is not None and shown.fits(row):
                row |= {"finding_both": _side(low, high, "intensified", "de-intensified")}
        row |= dict(zip(("pooled_alpha", "pooled_r_squared"), pooled.get(key, (None, None)), strict=True))
        row |= {"corrected": mean_of(estimated), "estimable": len(estimated)}
        row |= dict(zip(("corrected_low", "corrected_high"), interval(estimated, confidence), strict=True))
        spreads = np.array(ratios.get(key, ()), np.float64)  # (N,)
        low, high = interval(spreads, confidence)
        row |= {"spread_ratio": mean_of(spreads), "spread_ratio_low": low, "spread_ratio_high": high}
        row |= {"gaps": None}
        if low is not None and shown.enough(row):
            row |= {"gaps": wording.gaps_went(low, high) or changes.UNDETERMINED}
        row |= {"worst_change": number(change.get(key))}
        why = _why(row, values) if key in finished else f"every run failed: {failed[key]}"
        row |= {"absent": reasons((why, unknown if beyond.kept else None))}
        rows.append(row)
    for network in dict.fromkeys(row["network"] for row in rows):
        _pareto([row for row in rows if row["network"] == network])
    return rows


def _side(low: float, high: float, above: str, below: str) -> str:
    return above if low > 1 else below if high < 1 else changes.UNDETERMINED


def _ratios(alphas: Alphas, classes: DataFrame) -> dict[Key, list[float]]:
    """Of each cell the ratios of spreads of the runs that have an alpha and enough of a spread to estimate one."""
    found: dict[Key, list[float]] = {}
    recalls = ["dense_recall", "pruned_recall", "support"]
    for run, own in classes.dropna(subset=recalls).groupby(RUN, sort=False)[recalls]:
        network, method, density, seed = cast("tuple[str, str, float, int]", run)
        key = (network, method, density)
        if seed in alphas.get(key, {}):
            ratio = spread_ratio.of_recalls(*own.to_numpy(np.float64).T)
            found.setdefault(key, []).extend([] if ratio is None else [ratio])
    return found


def _pooled(classes: DataFrame) -> dict[Hashable, tuple[float | None, float | None]]:
    """The slope through the origin over all classes of all seeds of a cell, and its r^2 (Good et al. 2022, figure 5).

    As `prune_audit.stats.intensification` has them of one model: xy / xx and xy^2 / (xx yy).
    """
    x, y = classes["dense_balance"], classes["pruned_balance"]
    known = (x.notna() & y.notna()).to_numpy()
    products = classes[CELL].assign(xx=x * x, xy=x * y, yy=y * y)[known]
    found: dict[Hashable, tuple[float | None, float | None]] = {}
    for key, of in products.groupby(CELL)[["xx", "xy", "yy"]].sum().to_dict("index").items():
        xx, xy, yy = of["xx"], of["xy"], of["yy"]
        found[key] = xy / xx if xx else None, min(xy * xy / (xx * yy), 1.0) if xx and yy else None
    return found


def _why(row: Row, values: Floats) -> str | None:
    """Why a cell with finished runs lacks an interval, or its alpha a meaning."""
    if not len(values):
        return "no run has an alpha"
    reasons = []
    alpha, fit = row["alpha"], row["r_squared"]
    if not shown.enough(row):
        reasons.append(f"{len(values)} of {row['finished']} runs are left that have an alpha: no conclusion")
    if fit is None:
        reasons.append("alpha has no r^2")
    elif isinstance(fit, float) and fit < wording.ONE_LINE:
        reasons.append(f"alpha is no slope of anything: r^2 {rounded.ratio(fit)}")
    elif isinstance(alpha, float) and alpha < 0:
        reasons.append(f"the line falls, classes changed sides: alpha {rounded.ratio(alpha)}")
    if len(values) == 1:
        reasons.append("1 seed has an alpha; an interval needs 2")
    elif row["alpha_low"] is None:
        reasons.append("every seed has the same alpha")
    return "; ".join(reasons) or None


def _pareto(rows: Sequence[Row]) -> None:
    """Whether no other cell of a network is as good in accuracy, density and harm, and better in one of them."""
    known = [row for row in rows if row["accuracy"] is not None and row["harmed"] is not None]
    costs = np.array(
        [(-value_of(row, "accuracy"), value_of(row, "density"), value_of(row, "harmed")) for row in known]
    )  # (N, 3)
    for row, own in zip(known, costs, strict=True):
        row["pareto"] = "no" if ((costs <= own).all(axis=1) & (costs < own).any(axis=1)).any() else "yes"


# -------------------------------------------------------------------------------------------------------- classes


def _classes(order: Sequence[Key], classes: DataFrame) -> Table:
    """Of each class its pruned balances against its dense ones, a value of each for a seed.

    Hooker et al. 2019 (arXiv 1911.05248): a two-sided Welch test of recalls that are freed of the model's own
    accuracy; here by division, the normalised recall balance of Good et al. 2022.
    """
    places = {key: n for n, key in enumerate(order)}
    known = classes["dense_balance"].notna() & classes["pruned_balance"].notna()
    balances = ["dense_balance", "pruned_balance"]
    frame = classes.assign(
        **{name: classes[name].where(known) for name in balances},
        harmed=classes["distortion"].isin(HARMED),
        regressed=classes["verdict"].eq(REGRESSED).fillna(False).astype(bool),
        place=[places.get(key, -1) for key in zip(*(classes[name] for name in CELL), strict=True)],
    )
    # Classes stay in the order in which they first appear, cells in that of the study.
    frame = frame[frame["place"] >= 0].sort_values("place", kind="stable")
    by = frame.groupby(["place", "class"], sort=False)
    counted = by["dense_balance"].count()
    seeds = counted.to_numpy()  # (K,)
    cells, names = (counted.index.get_level_values(level).to_list() for level in ("place", "class"))
    recalls = by[["dense_recall", "pruned_recall"]].mean().to_numpy().T  # (2, K)
    means, variances = by[balances].mean().to_numpy().T, by[balances].var().to_numpy().T  # (2, K) each
    counts = by[["harmed", "regressed"]].sum().to_numpy().T  # (2, K)

    moved = means[1] - means[0]
    tested = (np.sqrt(variances) > ROUNDING).any(axis=0)  # (K,), and not where one seed has a variance of NaN
    n, some = np.where(tested, seeds, 2), np.where(tested, variances, 1.0)  # anything will do where there is no test
    error, freedom = welch(some[0], some[1], n, n)
    t, p = student(moved, np.where(tested, error, np.nan), freedom, greater=False)
    adjusted = bonferroni(p, cells)

    rows: list[Row] = []
    for at, (cell, name) in enumerate(zip(cells, names, strict=True)):
        shift, corrected = number(moved[at]), number(adjusted[at])
        row = keys_of(order[cell])
        row |= {"class": name, "seeds": int(seeds[at]), "balance_change": shift}
        row |= {"change": number(recalls[1, at] - recalls[0, at])}
        row |= {"dense_recall": number(recalls[0, at]), "pruned_recall": number(recalls[1, at])}
        row |= {"t": number(t[at]), "p": number(p[at]), "p_adjusted": corrected}
        row |= {"harmed_in": int(counts[0, at]), "regressed_in": int(counts[1, at])}
        if shift is None:
            row["absent"] = "no run has a balance of the class"
        elif corrected is None:
            row["absent"] = "a test needs 2 seeds" if seeds[at] < 2 else same(shift)
        else:
            lost_or_gained = "lost ground" if shift < 0 else "gained ground"
            row["finding"] = lost_or_gained if corrected < LEVEL else NOT_SHOWN
        rows.append(row)
    lost = [at for at, row in enumerate(rows) if row.get("finding") == "lost ground"]
    return table("classes", "Classes", ABOUT_CLASSES, CLASSES, rows, lost)


# ---------------------------------------------------------------------------------------------------------- words


CELLS = (
    NAMES["network"], NAMES["method"], NAMES["density"], SEEDS, column("finished", "of runs", "count"),
    column("alpha", "alpha", "ratio"), column("alpha_low", "low", "ratio"), column("alpha_high", "high", "ratio"),
    column("finding", "finding", "label"),
    column("alpha_both_low", "interval, new samples", "ratio"), column("alpha_both_high", "high", "ratio"),
    column("finding_both", "on new samples", "label"), column("r_squared", "r^2", "ratio"),
    column("pooled_alpha", "pooled alpha", "ratio", wide=True),
    column("pooled_r_squared", "pooled r^2", "ratio", wide=True),
    column("corrected", "noise-corrected alpha", "ratio"), column("corrected_low", "low", "ratio"),
    column("corrected_high", "high", "ratio"), column("estimable", "estimable", "count"),
    column("spread_ratio", "ratio of spreads", "ratio"), column("spread_ratio_low", "low", "ratio"),
    column("spread_ratio_high", "high", "ratio"), column("gaps", "gaps", "label"),
    column("reliability", "reliability", "share"), column("accuracy", "accuracy", "share"),
    column("dense_accuracy", "dense accuracy", "share"), column("worst_recall", "worst recall", "share"),
    column("worst_change", "change of worst recall", "points"), column("harmed", "harmed per run", "number"),
    column("regressed", "regressed per run", "number"), column("pareto", "Pareto", "label"),
    column("absent", "why absent", "label"),
)  # fmt: skip
CLASSES = (
    NAMES["network"], NAMES["method"], NAMES["density"], NAMES["class"], SEEDS,
    column("dense_recall", "dense recall", "share"), column("pruned_recall", "pruned recall", "share"),
    column("change", "change", "points"), column("balance_change", "change of balance", "ratio"), *TEST[5:9],
    column("harmed_in", "harmed in", "count"), column("regressed_in", "regressed in", "count"), TEST[9],
)  # fmt: skip

ABOUT_CLASSES = (
    "Whether a class stands elsewhere in its model after pruning: a two-sided Welch t test of its pruned balances "
    "against its dense ones, one of each for a seed, after Hooker et al. 2019. Each p is multiplied by the number of "
    "tests, one a class, of the same network, method and density (Bonferroni), and a finding has an adjusted p below "
    f"{LEVEL:g}. Harmed in and regressed in count the seeds whose own audit found that."
)


def _about_cells(confidence: float, cells: Sequence[Row]) -> str:
    new = (
        "; the interval and the finding on new samples, of the pigeonhole bootstrap, answer for new seeds and new "
        "samples"
    )
    return (
        f"Alpha is the mean over seeds, with its two-sided t interval at {rounded.limit(confidence)} %, corrected for "
        "nothing: a cell intensified where all of the interval lies above 1, and de-intensified where all lies below. "
        f"That answers for new seeds on these samples{new if shows(cells, 'alpha_both_low') else ''}. "
        f"Where r^2, its mean over seeds, is below {wording.ONE_LINE:g}, no line describes the classes: alpha means "
        "nothing, and there is no finding. Nor is there one where at most half of the runs have an alpha, since what "
        "is left of a cell that collapsed was chosen by not collapsing. Alpha is a slope; gaps grew or shrank where "
        "the like interval of the ratio of spreads, pruned over "
        "dense balances without their noise, lies above or below 1. Pareto compares accuracy, the density that was "
        "asked for and harmed classes within a network."
    )


def _notes(
    alphas: Alphas, cells: Sequence[Row], runs: DataFrame, classes: DataFrame, beyond: NewSamples
) -> Iterator[str]:
    confidence = beyond.confidence
    failed = int(runs["failed"].notna().sum())
    if failed:
        yield f"{failed:,} of {rounded.several(len(runs), 'run')} failed; no number here is of them."
    seeds = {str(network): int(n) for network, n in runs.groupby("network")["seed"].nunique().items()}
    fewest = min(seeds.values(), default=0)
    if missing := list(_missing(alphas, seeds)):
        yield (
            f"Not every seed has an alpha: {rounded.listed(missing, room=6 * rounded.FITS)}. Alpha, its "
            "intervals and its tests are of those that have one."
        )
    if unjudged := int(finished_of(runs)["harmed"].isna().sum()):
        few = rounded.several(unjudged, "run")
        yield f"In {few} no class was judged harmed or not; harmed per run leaves them out."
    if any(n > 1 for n in seeds.values()) and _one_test_set(classes):
        taken = (
            " The noise-corrected alpha takes that pull out on average." if any(c["estimable"] for c in cells) else ""
        )
        yield (
            "All seeds share one test set, so its noise pulls every alpha alike, and more seeds do not average it out."
            f"{taken} What is tested over seeds, and every t interval, answers for new seeds on these samples."
        )
        if not beyond.kept:
            yield (
                "Which samples were right was not kept with these runs, so that nothing is said of new samples. Runs "
                "that are made anew keep it."
            )
        elif fewest < two_way.ADVISED:
            yield (
                f"Intervals for new samples need {two_way.SEEDS} seeds, those of alpha {pigeonhole.SEEDS}, and "
                f"{two_way.ADVISED} are advised; a network has {fewest}."
            )
        else:
            yield (
                "Intervals for new samples answer for new seeds and new samples: two-way for accuracies and recalls, "
                "of the pigeonhole bootstrap for alpha, and there for the alpha that so many samples show on average. "
                "The ratio of spreads, the noise-corrected alpha and the tests of balances have none."
            )
    if any(cell["alpha_low"] is not None for cell in cells):
        most = max(sum(key[:2] == of[:2] for key in alphas) for of in alphas)
        together = 1 - most * (1 - confidence)
        good = " (the level of Good et al. 2022)" if math.isclose(confidence, 0.99) else ""
        hold = f", so that those of {most} densities hold together at {rounded.limit(together)} % (Bonferroni)"
        yield f"Intervals are at {rounded.limit(confidence)} %{good}{hold if most > 1 and together > 0 else ''}."


def _missing(alphas: Alphas, seeds: Mapping[str, int]) -> Iterator[str]:
    """``magnitude at 5 % of lenet5 has 3 of 5 seeds``, for each cell that lacks some."""
    for (network, method, density), by_seed in alphas.items():
        if len(by_seed) < seeds[network]:
            at = f"{method} at {shown.density(density)} of {network}"
            yield f"{at} has {len(by_seed)} of {rounded.several(seeds[network], 'seed')}"


def _one_test_set(classes: DataFrame) -> bool:
    """Whether each class of a network has as many samples in every run, as it must where they share their samples."""
    supports = classes.groupby(["network", "class"])["support"].nunique(dropna=False)
    return bool(len(supports)) and bool(classes["support"].notna().any()) and bool((supports == 1).all())

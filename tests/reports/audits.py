"""Audits made by hand from the nouns of core, so that the tests of documents and reports need no statistic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from prune_audit.core import (
    DATA,
    Array,
    Assumption,
    Audit,
    Check,
    Clusters,
    Comparison,
    Flip,
    Layer,
    Measure,
    ModelCard,
    Outcome,
    Pair,
    Policy,
    Preprocess,
    Provenance,
    RuleSetting,
    Samples,
    Settings,
    Unit,
    Value,
    View,
    Waiver,
)
from prune_audit.core.scores import Calibration, Scored, TopK

Row = tuple[str, tuple[int, int, int, int], str | None, str | None]

# class, (both, lost, gained, neither), verdict, distortion
TEN: tuple[Row, ...] = (
    ("0", (84, 1, 3, 2), "fine", "no harm shown"),
    ("1", (85, 2, 1, 2), "cannot tell", "no harm shown"),
    ("2", (86, 0, 0, 4), "fine", "no harm shown"),
    ("3", (80, 1, 0, 9), "fine", "no harm shown"),
    ("4", (82, 2, 2, 4), "cannot tell", "held better"),
    ("5", (79, 3, 0, 8), "cannot tell", "no harm shown"),
    ("6", (88, 1, 1, 0), "fine", "no harm shown"),
    ("7", (30, 31, 1, 28), "regressed", "intensified"),
    ("8", (61, 22, 0, 7), "regressed", "harmed"),
    ("9", (0, 0, 0, 0), None, None),
)
TWO: tuple[Row, ...] = (
    ("cat [tabby]", (270, 12, 10, 8), "fine", "no harm shown"),
    ("dog", (200, 70, 5, 25), "regressed", "created"),
)
NO_SAMPLES = "no samples of this class"

POLICY = Policy(
    name="default",
    rules={"recall-drop": RuleSetting(limit=0.02), "harmed": RuleSetting(), "accuracy-drop": RuleSetting(level="warn")},
)


def measure(
    name: str, unit: Unit, values: Sequence[Value], absent: dict[int, str], *, overall: Value = None
) -> Measure:
    """One column without an interval."""
    return Measure(name=name, title=name, unit=unit, by_stratum=tuple(values), absent=absent, overall=overall)


def view(rows: Sequence[Row], *, by: str = "class", same: bool = False) -> View:
    """Every column that the reports lead with, from counts and verdicts; intervals are 5 points either side.

    ``same`` is for a model against itself.
    """
    counts = np.array([row[1] for row in rows])  # (S, 4)
    pair = replace(Pair.of(counts, by=by, strata=[row[0] for row in rows]), same_model=same)
    half = 0.0 if same else 0.05
    n = counts.sum(axis=1)
    absent = {int(i): NO_SAMPLES for i in np.flatnonzero(n == 0)}

    def column(values: Sequence[float] | Array) -> list[Value]:
        return [None if i in absent else float(value) for i, value in enumerate(values)]

    some = np.maximum(n, 1)
    before, after = counts[:, [0, 1]].sum(axis=1) / some, counts[:, [0, 2]].sum(axis=1) / some
    totals = counts.sum(axis=0)
    dense, pruned = float(totals[[0, 1]].sum() / n.sum()), float(totals[[0, 2]].sum() / n.sum())
    change = column(after - before)
    small = {**absent, **{i: f"undetectable: 0 flips in {n[i]} samples" for i in (2,) if i < len(rows)}}
    return View(
        pair=pair,
        measures=(
            measure("support", "count", n.tolist(), {}, overall=int(n.sum())),
            measure("dense_recall", "share", column(before), absent, overall=dense),
            measure("pruned_recall", "share", column(after), absent, overall=pruned),
            replace(
                measure("change", "points", change, absent, overall=pruned - dense),
                low=tuple(None if x is None else float(x) - half for x in change),
                high=tuple(None if x is None else float(x) + half for x in change),
                overall_low=pruned - dense - half / 4,
                overall_high=pruned - dense + half / 4,
            ),
            measure(
                "p_value",
                "p",
                column(np.ones(len(rows)) if same else [0.00001, 0.25, *[1 / 3] * (len(rows) - 2)]),
                absent,
            ),
            measure(
                "q_value",
                "p",
                column(np.ones(len(rows)) if same else [0.0001, 0.5, *[2 / 3] * (len(rows) - 2)]),
                absent,
            ),
            measure("dense_balance", "ratio", column(before / dense - 1), absent),
            measure("pruned_balance", "ratio", column(after / pruned - 1), absent),
            measure(
                "intensification",
                "ratio",
                column(np.full(len(rows), 1.0 if same else 1.25)),
                absent,
                overall=1.0 if same else 1.375,
            ),
            Measure(name="r_squared", title="r^2", unit="ratio", overall=1.0 if same else 0.875),
            Measure(
                name="alpha_corrected",
                title="alpha, corrected for noise",
                unit="ratio",
                overall=1.0 if same else 1.5,
                overall_low=1.0 if same else 1.125,
                overall_high=1.0 if same else 1.875,
            ),
            Measure(name="alpha_state", title="corrected alpha is", unit="label", overall="steady"),
            Measure(
                name="spread_ratio",
                title="spread of balances, pruned over dense",
                unit="ratio",
                overall=1.0 if same else 1.75,
                overall_low=1.0 if same else 1.25,
                overall_high=1.0 if same else 2.25,
            ),
            measure("excess_drop", "points", column(before - after - 0.01), absent),
            replace(
                measure("detectable_drop", "points", [None if i in small else 0.1 for i in range(len(rows))], small)
            ),
            measure("verdict", "label", [row[2] for row in rows], absent),
            measure("reason", "label", [row[2] and f"because it is {row[2]}" for row in rows], absent),
            replace(
                measure("retention", "ratio", column(after / np.maximum(before, 0.01)), absent),
                low=tuple(column(np.full(len(rows), 1.0 if same else 0.5))),  # type: ignore[arg-type]  # column holds floats and None
                high=tuple(column(np.full(len(rows), 1.0 if same else 1.5))),  # type: ignore[arg-type]  # likewise
            ),
            measure("worst_plausible_drop", "points", column(np.full(len(rows), half)), absent, overall=half * 9),
            measure("distortion", "label", [row[3] for row in rows], absent),
            Measure(name="collapsed", title="collapsed", unit="label", overall="no"),
        ),
    )


def card(name: str, density: float | None) -> ModelCard:
    """A model of two layers, or of none that can be seen."""
    layers = (
        ()
        if density is None
        else (
            Layer(name="conv.weight", kind="convolution", shape=(16, 1, 5, 5), nonzero=round(400 * density), total=400),
            Layer(name="fc.weight", kind="linear", shape=(10, 60), nonzero=round(600 * density), total=600),
        )
    )
    return ModelCard(
        name=name, path=f"models/{name}.pt", format="TorchScript", digest=name.encode().hex(), size=123_456,
        layers=layers, parameters=None if density is None else 1_026,
    )  # fmt: skip


def provenance(samples: int) -> Provenance:
    """Where the numbers come from, with nothing out of the ordinary."""
    return Provenance(
        data="data/val",
        data_digest="feed",
        samples=samples,
        available=samples,
        preprocess=Preprocess(size=(8, 8), channels="gray"),
        versions={"prune-audit": "0.1.0"},
        run={"seconds": 1.5, "batch_size": 64},
    )


def audit(
    rows: Sequence[Row] = TEN, *, pruned: Sequence[ModelCard] | None = None, policy: Policy | None = None
) -> Audit:
    """One comparison per pruned card, all of the same counts."""
    seen = view(rows)
    cards = pruned if pruned is not None else (card("pruned-90", 0.1),)
    comparisons = tuple(
        Comparison(
            dense=card("dense", 1.0),
            pruned=each,
            views=(seen,),
            flips=(Flip(id="7/0001.png", label="7", dense="7", pruned="1"),),
            flipped=int((seen.pair.lost + seen.pair.gained).sum()),
        )
        for each in cards
    )
    return Audit(comparisons=comparisons, provenance=provenance(int(seen.pair.support.sum())), policy=policy)


def ten() -> Audit:
    """Ten classes: one intensified, one harmed, some that cannot be told, one without samples; two notes."""
    whole = audit()
    return replace(whole, provenance=replace(whole.provenance, notes=("numeric folder names were sorted as numbers",)))


def judged(outcome: str = "failed") -> Audit:
    """Ten classes and a gate that says ``outcome``."""
    told = {
        "failed": Check(
            rule="recall-drop", subject="7", outcome="failed", level="error", observed=-0.333, limit=0.02,
            message="lost 33.3 points, the limit is 2",
        ),
        "inconclusive": Check(
            rule="harmed", subject="5", outcome="inconclusive", level="error", observed=None, limit=0.95,
            message="too few samples",
        ),
        "passed": Check(
            rule="harmed", subject="2", outcome="passed", level="error", observed=1.0, limit=0.95, message="",
        ),
    }  # fmt: skip
    warning = Check(
        rule="accuracy-drop", subject="model", outcome="failed", level="warn", observed=-0.07, limit=0.01,
        message="accuracy fell by [7] points",
    )  # fmt: skip
    chosen = {"failed": ("passed", "inconclusive", "failed"), "inconclusive": ("passed", "inconclusive")}
    checks = (*(told[name] for name in chosen.get(outcome, (outcome,))), warning)
    whole = audit(policy=POLICY)
    return replace(whole, comparisons=tuple(replace(c, checks=checks) for c in whole.comparisons))


def identical() -> Audit:
    """A model against itself."""
    rows: list[Row] = [
        (name, (both + lost, 0, 0, gained + neither), verdict and "fine", distortion and "no harm shown")
        for name, (both, lost, gained, neither), verdict, distortion in TEN
    ]
    whole = audit(rows, pruned=(card("same", 1.0),))
    same = replace(whole.comparisons[0], views=(view(rows, same=True),), flips=(), flipped=0)
    return replace(whole, comparisons=(same,))


def thousand() -> Audit:
    """A thousand classes with long names; 30 regressed, which is more than a table shows, and 900 unsure."""
    rows: list[Row] = []
    for i in range(1000):
        name = f"n{i:08d} {'a rather long name, with a comma' if i % 2 else 'short'}"
        if i % 33 == 5 and i < 990:
            rows.append((name, (20, 25 - i % 7, 0, 5 + i % 7), "regressed", "harmed"))
        else:
            rows.append((name, (44, 2, 1, 3), "fine" if i % 10 == 0 else "cannot tell", "cannot tell"))
    return audit(rows)


def crossed(by: str = "class,place") -> Audit:
    """Classes crossed with a column of the data, beside the classes themselves."""
    whole = ten()
    rows: list[Row] = [
        ("cat, indoor", (30, 12, 1, 5), "regressed", "harmed"),
        ("cat, outdoor", (45, 1, 1, 3), "fine", "no harm shown"),
        ("dog, indoor", (40, 2, 3, 5), "cannot tell", "held better"),
        ("dog, outdoor", (44, 1, 2, 3), "fine", "no harm shown"),
    ]
    comparison = whole.comparisons[0]
    return replace(whole, comparisons=(replace(comparison, views=(*comparison.views, view(rows, by=by))),))


def several() -> Audit:
    """Three variants, one of unknown density, under a gate."""
    whole = judged()
    cards = (card("pruned-50", 0.5), card("pruned-90", 0.1), card("int8", None))
    first = whole.comparisons[0]
    kept = {"pruned-50": first.checks[:1], "pruned-90": first.checks, "int8": first.checks[:2]}
    return replace(whole, comparisons=tuple(replace(first, pruned=each, checks=kept[each.name]) for each in cards))


def weighed() -> Audit:
    """Four variants of which everything is known that pruning buys; classes break one after the other."""
    dense = replace(card("dense", 1.0), compressed=110_000, macs=1_234_567, size=45_678_901)
    quiet: list[Row] = [(n, counts, "fine", "no harm shown") for n, counts, verdict, _ in TEN if verdict]
    one = [(n, c, v, d) for n, c, v, d in TEN if v and n != "7"]
    steps = {"pruned-90": (0.1, TEN[:9]), "pruned-20": (0.8, quiet), "pruned-50": (0.5, one), "lost": (None, TEN[:9])}
    whole = audit(quiet, policy=POLICY)
    comparisons = []
    for name, (density, rows) in steps.items():
        seen = {n: (n, c, v, d) for n, c, v, d in rows}
        view_ = view([seen.get(n, (n, c, v, d)) for n, c, v, d in quiet])
        pruned = replace(card(name, density), compressed=12_345, macs=None if density is None else 1_234_567)
        checks = tuple(
            Check(
                rule="recall-drop", subject=n, outcome="failed", level="error", observed=0.2, limit=0.02, message=str(v)
            )
            for n, _, v, _ in seen.values()
            if v == "regressed"
        )  # fmt: skip
        comparisons.append(Comparison(dense=dense, pruned=pruned, views=(view_,), checks=checks))
    run: dict[str, Value] = {"ms per sample, dense": 12.345, "ms per sample, pruned-90": 0.0304, "seconds": 2.0}
    return replace(whole, comparisons=tuple(comparisons), provenance=replace(whole.provenance, run=run))


BITING = (
    "::error::x",
    "a|b",
    "`code` **b**",
    "<b>&amp;</b>",
    "@team #1",
    "=1+1",
    "two\nlines\ttab",
    "\x1b[31m\ufffe",
    "ü",
)


def biting() -> Audit:
    """Class names that mean something to a shell, a terminal, a spreadsheet, Markdown, XML or GitHub; all fail."""
    rows: list[Row] = [(name, (30, 50, 1, 9), "regressed", "harmed") for name in BITING]
    whole = audit(rows, pruned=(card("@pruned|90", 0.1),), policy=POLICY)
    checks = tuple(
        Check(
            rule="recall-drop", subject=name, outcome="failed", level="error", observed=-0.5, limit=0.02,
            message=f"{name}: 100 % lost, said @team\nand a second line",
        )
        for name in BITING
    )  # fmt: skip
    return replace(whole, comparisons=(replace(whole.comparisons[0], checks=checks),))


def waived() -> Audit:
    """Ten classes of which the one that failed is waived."""
    whole = judged()
    said = "lost 33.3 points; waived until 2027-01-01: accepted by QA"
    checks = tuple(
        replace(check, outcome="waived", message=said) if check.rule == "recall-drop" else check
        for check in whole.comparisons[0].checks
    )
    return replace(whole, comparisons=(replace(whole.comparisons[0], checks=checks),))


def limited() -> Audit:
    """A sample of the data, under a gate that must not judge."""
    whole = judged()
    return replace(whole, provenance=replace(whole.provenance, limited=True, available=50_000))


def settled() -> Audit:
    """Two variants that ran until classes were settled or their data ended, under a gate."""
    names, there = ("cat", "dog", "fox", "owl", "yak"), np.array([400, 400, 140, 20, 0])
    biased = dict.fromkeys(range(5), "a change that was seen is biased") | {4: NO_SAMPLES}
    checks: dict[Outcome, tuple[str, str]] = {
        "failed": ("cat", "regressed: drop 12.5 to 50 points"),
        "passed": ("dog", "fine: drop -2.5 to 4.5 points"),
    }
    judged = [
        Check(rule="recall-drop", subject=name, outcome=outcome, level="error", observed=0.05, limit=0.02, message=said)
        for outcome, (name, said) in checks.items()
    ] + [
        Check(
            rule="harmed", subject="model", outcome="inconclusive", level="error", observed=None, limit=0.95,
            message="this rule needs numbers of a fixed number of samples",
        )
    ]  # fmt: skip
    comparisons = []
    for name, density, lost, words, low, high, e in (
        ("pruned-90", 0.1, (32, 3, 9, 0), ("regressed", "fine", "cannot tell", "cannot tell"),
         (-0.5, -0.045, -0.0625, -0.25), (-0.125, 0.025, 0.03125, 0.25), (1e20, 0.25, 1.5, 0.75)),
        ("pruned-50", 0.5, (0, 0, 0, 0), ("fine", "fine", "fine", "cannot tell"),
         (-0.045, -0.025, -0.03, -0.25), (0.045, 0.025, 0.03, 0.25), (0.5, 0.125, 0.25, 0.75)),
    ):  # fmt: skip
        own = np.array([*lost, 0])
        counts = np.stack([[90, 192, 129, 20, 0] - own, own, [0] * 5, [5, 8, 11, 0, 0]], axis=1)
        pair = replace(Pair.of(counts, strata=names), drawn_from=there)
        last, spared = {4: NO_SAMPLES}, (there - pair.support).tolist()
        measures = (
            measure("support", "count", pair.support.tolist(), {}, overall=int(pair.support.sum())),
            measure("verdict", "label", (*words, None), last),
            measure(
                "reason",
                "label",
                (
                    *(
                        f"drop {100 * -most:g} to {100 * -least:g} points"
                        for least, most in zip(low, high, strict=True)
                    ),
                    None,
                ),
                last,
            ),
            replace(measure("change", "points", [None] * 5, biased), low=(*low, None), high=(*high, None)),
            measure("e_regressed", "ratio", (*e, None), last),
            measure("e_fine", "ratio", (0.0625, 44.5, 2.5, 1.5, None), last),
            measure("samples_spared", "count", spared, {}, overall=sum(spared)),
        )
        flips = (Flip(id="cat/1.png", label="cat", dense="cat", pruned="dog"),) if own.any() else ()
        comparisons.append(
            Comparison(
                dense=card("dense", 1.0),
                pruned=card(name, density),
                views=(View(pair=pair, measures=measures),),
                flips=flips,
                flipped=int(own.sum()),
                checks=tuple(judged if own.any() else judged[1:]),
            )
        )
    n = comparisons[0].views[0].pair.support
    samples = Samples(
        strata={"class": np.repeat(np.arange(5), n)},
        right={name: np.ones(int(n.sum()), bool) for name in ("dense", "pruned-90", "pruned-50")},
        seen=np.arange(int(n.sum())) * 2**52,
    )
    about = replace(provenance(int(n.sum())), available=int(there.sum()), settings=Settings(until_settled=True))
    return Audit(comparisons=tuple(comparisons), provenance=about, policy=POLICY, samples=samples)


def everything() -> Audit:
    """No field at its default, as far as that goes: two views, moves, skipped samples, names that bite."""
    whole = judged()
    comparison = whole.comparisons[0]
    groups = view(
        [("indoor", (300, 30, 2, 20), "regressed", None), ("outdoor", (375, 33, 6, 44), "fine", None)], by="place"
    )
    seen = comparison.views[0]
    films = Clusters.of(
        "film", 2, np.repeat([0, 1], [352, 458]), np.arange(810) // 9, np.arange(810) % 5 > 0, np.arange(810) % 3 > 0
    )
    certain = np.random.default_rng(0).integers(5000, 10_000, 814)
    scored = Scored(row=np.arange(814) % 2, confidence=certain, right=certain > 6000)
    top = TopK(
        k=3, both=np.array([340, 400]), lost=np.array([5, 9]), gained=np.array([3, 6]), neither=np.array([4, 43])
    )
    kept = replace(
        groups.pair,
        clusters=films,
        calibration=Calibration.of(2, scored, replace(scored, right=certain > 7000)),
        top=replace(top, clusters=films),
    )
    groups = replace(groups, pair=kept)
    moved = replace(
        seen,
        pair=replace(seen.pair, moves=np.array([[7, 7, 1, 30], [8, 8, 3, 22]])),
        measures=(*seen.measures, Measure(name="alpha_x", title="x", unit="ratio", overall_absent="collapsed")),
    )
    n = whole.provenance.samples
    samples = Samples(
        strata={"class": np.arange(n) % 10, "place": np.arange(n) % 2},
        right={"dense": np.arange(n) % 9 > 0, comparison.pruned.name: np.arange(n) % 7 > 0},
        cluster=np.arange(n) // 9,
    )
    return Audit(
        samples=samples,
        baseline="last.json",
        comparisons=(replace(comparison, views=(moved, groups), doubts=("it says \x1b[31m`92 %`",)),),
        provenance=replace(
            whole.provenance,
            trained_on="data/train",
            limited=True,
            available=50_000,
            skipped=(("7/b\udcff.png", "cannot be read: \x1b[31mtruncated\x1b[0m"),),
            preprocess=Preprocess(
                size=(224, 192), resize=256, crop=(224, 192), mean=(0.485, 0.456, 0.406), std=(0.1, 1 / 3, 0.3),
                channels="rgb", interpolation="bicubic", name="imagenet",
            ),
            settings=Settings(
                confidence=0.9, correction="holm", margin=0.01, assure=0.1, retention_margin=0.9, top_k=3,
                by=("place",), cluster="film", weights={str(i): i / 45 for i in range(10)}, reference="balanced",
                seed=3, limit=900, batch_size=8, workers=2, threads=3, device="cuda", skip_bad=4, allow_pickle=True,
                drop_class=("background",), runtime="onnxruntime", scores=("dense=logits",), model_output=("1",),
                state_key=("pruned-90=state_dict_ema",), expect_accuracy=0.9,
                expect_tolerance=0.05, plausibility=False,
            ),
            notes=("note",),
            assumptions=(
                Assumption(
                    subject=DATA, what="class order", value="sorted", why="folder names", option="--classes FILE"
                ),
                *(
                    Assumption(subject=name, what="scores", value=value, why=why, option="--scores [NAME=]KIND")
                    for name, value, why in (
                        ("dense", "logits", "asked for"), (comparison.pruned.name, "|", "\x1b[31mred"),
                    )
                ),
            ),
            run={"seconds": 0.1, "threads": 2, "provider": "CPU", "nothing": None},
        ),
        policy=replace(
            POLICY, inconclusive="forbid", settings={"margin": 0.01}, path="ci/default.toml",
            waivers=(Waiver(rule="harmed", stratum="7*", variant="p?", reason="known", expires=date(2027, 1, 31),
                            origin="ci/default.toml:9"),),
            origins={"margin": "ci/default.toml:2"},
        ),
    )  # fmt: skip

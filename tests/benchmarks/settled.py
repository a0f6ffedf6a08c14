"""What verdicts at any time cost and spare, and how often they are false: the tables of docs/until-settled.md.

    python -m tests.benchmarks.settled [CHECKPOINT IMAGES]

Simulated are classes that are looked at after every 25 samples, and lists of classes that run as an audit runs them;
then audits of 100,000 recorded predictions run until they are settled, and whole. CHECKPOINT is a ResNet-32 for
CIFAR-10 (tests/resnet.py) and IMAGES a folder of its classes: with them the network is compared with copies that keep
the largest of its weights. Without them that table stays as it is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prune_audit import audit
from prune_audit.core import (
    CANNOT_TELL,
    FINE,
    REGRESSED,
    Array,
    Audit,
    Counts,
    DataSource,
    Floats,
    ModelSource,
    Outputs,
    Predictions,
    Preprocess,
    Settings,
    lookup,
)
from prune_audit.evaluate.loop import FIRST
from prune_audit.evaluate.rounds import Rounds
from prune_audit.stats import _tango, anytime
from prune_audit.stats._betting import log_e
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "until-settled.md"
SETTLED, WHOLE = Settings(until_settled=True), Settings()
EACH, LAST = 25, 4_000  # samples between two looks, and at the last
RUNS = 20_000
TRAINED = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
WORDS = (REGRESSED, FINE, CANNOT_TELL)


def looks(drop: float, churn: float, rng: np.random.Generator) -> tuple[Counts, Counts, Counts]:
    """Lost, gained and n (R, L) of classes that truly lost ``drop`` and flip in ``churn``, at each look."""
    lost, gained = (churn + drop) / 2, (churn - drop) / 2
    steps = rng.multinomial(EACH, [lost, gained, 1 - churn], size=(RUNS, LAST // EACH)).cumsum(axis=1)
    n = np.broadcast_to(np.arange(1, LAST // EACH + 1) * EACH, steps.shape[:2])
    return steps[..., 0], steps[..., 1], n


def looking() -> list[str]:
    """One class at a time: how often it is ever decided, and when."""
    rng, settings = np.random.default_rng(14), SETTLED
    lines = [
        "| the class | churn, % | decided as | by bets, % | at n, median (80 %) | seen then, points "
        "| by Tango at every look, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for drop, churn, word in (
        (0.05, 0.09, FINE), (0.02, 0.08, REGRESSED), (0.0, 0.06, FINE), (0.0, 0.02, FINE), (0.1, 0.16, REGRESSED),
        (0.3, 0.34, REGRESSED),
    ):  # fmt: skip
        lost, gained, n = looks(drop, churn, rng)
        flat = [each.ravel() for each in (lost, gained, n)]
        if word == FINE:
            bets = log_e(gained, lost, n, -settings.assure) >= np.log(40)
            tango = _tango.score(flat[0], flat[1], flat[2], settings.assure) < -_tango.two_sided(0.95)
        else:
            bets = log_e(lost, gained, n, settings.margin) >= np.log(40)
            tango = _tango.score(flat[0], flat[1], flat[2], settings.margin) > _tango.two_sided(0.95)
        ever, ever_tango = bets.any(axis=1), tango.reshape(n.shape).any(axis=1)
        when = np.where(ever, (bets.argmax(axis=1) + 1) * EACH, np.inf)
        median, most = np.quantile(when, (0.5, 0.8), method="higher")
        at = f"{median:,.0f} ({most:,.0f})" if np.isfinite(most) else "-"
        first = np.arange(RUNS)[ever], bets.argmax(axis=1)[ever]
        seen = 100 * ((lost[first] - gained[first]) / n[first]).mean()
        what = f"lost {100 * drop:g} points" if drop else "unchanged"
        lines.append(
            f"| {what} | {100 * churn:g} | {word} | {100 * ever.mean():.1f} | {at} | {seen:.1f} | "
            f"{100 * ever_tango.mean():.1f} |"
        )
    return lines


def lists() -> list[str]:
    """Whole audits of classes on the boundary and beyond it: false entries among those that are listed."""
    lines = [
        "| classes x samples | lost just the margin | lost just the limit | lost 20 points "
        "| false among `regressed`, % | audits with any, % | false `fine`, of those at the limit, % | found, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number, samples, repeats, at_limit, lost in (
        (10, 1_000, 400, 5, 1),
        (100, 1_000, 100, 45, 10),
        (1_000, 200, 20, 450, 100),
    ):
        drops = np.repeat([0.02, 0.05, 0.2], [number - at_limit - lost, at_limit, lost])
        false, any_, fine, found = (np.empty(repeats) for _ in range(4))
        for run in range(repeats):
            told = verdicts_of(simulated(drops, samples, 0.06, np.random.default_rng((number, run))))
            listed = told == REGRESSED
            wrong = listed & (drops == 0.02)
            false[run], any_[run] = wrong.sum() / max(int(listed.sum()), 1), wrong.any()
            fine[run], found[run] = (told[drops == 0.05] == FINE).mean(), listed[drops == 0.2].mean()
        means = " | ".join(f"{100 * each.mean():.2f}" for each in (false, any_, fine, found))
        lines.append(f"| {number:,} x {samples:,} | {number - at_limit - lost} | {at_limit} | {lost} | {means} |")
    return lines


def simulated(drops: Floats, samples: int, churn: float, rng: np.random.Generator) -> Predictions:
    """``samples`` of each class, of which ``drops`` (C,) are lost on balance, and ``churn`` flip beside that."""
    size = len(drops)
    labels = np.repeat(np.arange(size), samples)
    u = rng.random(len(labels))
    lost, gained = churn / 2 + np.maximum(drops, 0)[labels], churn / 2 + np.maximum(-drops, 0)[labels]
    wrong = (labels + 1) % size
    right_before = (u < lost) | (u >= lost + gained)
    right_after = u >= lost
    before, after = np.where(right_before, labels, wrong), np.where(right_after, labels, wrong)
    models = (Outputs(name="dense", predicted=before), Outputs(name="pruned", predicted=after))
    names = tuple(f"class {i}" for i in range(size))
    return Predictions(classes=names, ids=tuple(map(str, range(len(labels)))), labels=labels, models=models)


def verdicts_of(predictions: Predictions) -> Array:
    """The verdicts (C,) at the end of rounds over ``predictions``, as an audit has them."""
    labels, size = predictions.labels, len(predictions.classes)
    dense, pruned = (model.predicted == labels for model in predictions.models)
    there, asked = np.bincount(labels, minlength=size), np.zeros(len(labels), bool)

    def evidence() -> anytime.Evidence:
        n, lost, gained = (
            np.bincount(labels[asked & which], minlength=size) for which in (asked, dense & ~pruned, ~dense & pruned)
        )
        return anytime.evidence(lost, gained, n, there, SETTLED)

    rounds = Rounds(labels, np.arange(len(labels)), 0, lambda _: ~evidence().settled, FIRST)
    more = rounds.first
    while len(more):
        asked[more] = True
        more = rounds.next(predictions)
    found = evidence()
    return np.select([found.regressed, found.fine], [REGRESSED, FINE], CANNOT_TELL)


Auditing = Callable[[Settings], Audit]


def compared(name: str, run: Auditing) -> str:
    """A row: an audit that ``run`` ends once it is settled, against one of all data."""
    started = time.perf_counter()
    some = run(SETTLED)
    seconds = time.perf_counter() - started
    whole = run(WHOLE)
    a, b = (np.array(lookup.column(each.comparisons[0].view(), "verdict"), object) for each in (whole, some))
    cells = []
    for word in WORDS:
        kinds = [int(((a == word) & (b == other)).sum()) for other in WORDS]
        cells.append(" / ".join(f"{kind:,}" for kind in kinds))
    n, of = some.provenance.samples, some.provenance.available
    print(f"{name}: {seconds:.1f} s until settled", flush=True)
    return f"| {name} | {n:,} of {of:,} ({100 * n / of:.0f} %) | {' | '.join(cells)} |"


HEAD = [
    "| audit | samples run | `regressed` with all data: regressed / fine / cannot tell | `fine`: likewise | "
    "`cannot tell`: likewise |",
    "|---|---|---|---|---|",
]


def recorded(folder: Path) -> list[str]:
    """100,000 recorded predictions, whose classes lost 1 point with a standard deviation of 3."""
    lines = []
    for size in (10, 100, 1_000):
        rng = np.random.default_rng(size)
        drops = np.clip(rng.normal(0.01, 0.03, size), -0.05, 0.4)
        found = simulated(drops, 100_000 // size, 0.04, rng)
        columns = {"id": found.ids, "label": [found.classes[i] for i in found.labels]}
        columns |= {each.name: [found.classes[i] for i in each.predicted] for each in found.models}
        path = folder / f"{size}.parquet"
        pq.write_table(pa.table(columns), path)
        dense, pruned = (ModelSource(name=name, path=path, column=name) for name in ("dense", "pruned"))
        data = DataSource(path=path)
        lines.append(
            compared(
                f"recorded, {size:,} x {100_000 // size:,}",
                lambda settings, dense=dense, pruned=pruned, data=data: audit.run(dense, [pruned], data, settings),  # type: ignore[misc]  # bound at once
            )
        )
    return lines


def of_images(checkpoint: Path, images: Path, folder: Path) -> list[str]:
    """A published ResNet-32 against copies that keep the largest of its weights, without training."""
    import torch
    from torch import nn

    from tests.resnet import resnet32

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    dense = ModelSource(name="dense", path=checkpoint, factory="tests.resnet:resnet32")
    data, lines = DataSource(path=images, preprocess=TRAINED), []
    for density in (0.7, 0.5, 0.4):
        model = resnet32()
        model.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
        weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        sizes = torch.cat([w.detach().abs().flatten() for w in weights])
        threshold = sizes.sort(descending=True).values[round(density * len(sizes)) - 1]
        with torch.no_grad():
            for weight in weights:
                weight.mul_(weight.abs() >= threshold)
        path = folder / f"kept-{100 * density:.0f}.pth"
        torch.save(model.state_dict(), path)
        pruned = ModelSource(name="pruned", path=path, factory="tests.resnet:resnet32")
        lines.append(
            compared(
                f"ResNet-32, {100 * density:.0f} % of its weights",
                lambda settings, pruned=pruned: audit.run(dense, [pruned], data, settings),  # type: ignore[misc]  # bound at once
            )
        )
    return lines


def written(name: str, lines: Sequence[str]) -> None:
    """Put the table called ``name`` into its place on the page, and print it."""
    page = PAGE.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = page.partition(start)
    assert found, f"no place for {name}"
    PAGE.write_text(f"{before}{start}\n" + "\n".join(lines) + f"\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")
    print("\n".join(lines), flush=True)


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("images", type=Path, nargs="?")
    arguments = parser.parse_args()
    written("looking", looking())
    written("lists", lists())
    with TemporaryDirectory() as work:
        written("recorded", HEAD + recorded(Path(work)))
        if arguments.checkpoint is not None and arguments.images is not None:
            written("images", HEAD + of_images(arguments.checkpoint, arguments.images, Path(work)))


if __name__ == "__main__":
    main()

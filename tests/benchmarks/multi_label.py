"""How often an audit of several labels a sample is wrong: ``python -m tests.benchmarks.multi_label``.

Simulates the scores of two models, has the task choose thresholds and find labels as it does for recorded files, and
sends these through the package's own statistics: nothing was harmed, or one class lost. Writes its table into
docs/calibration.md (``AUDITS`` a row, by default 100).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from prune_audit import audit
from prune_audit.core import HARMED, REGRESSED, Array, Found, Settings, Things, lookup
from prune_audit.tasks import multi_label
from prune_audit.tasks.multi_label import SAMPLE, Cells
from tests.benchmarks import _checks

TITLE = "Several labels a sample at matched thresholds"
AUDITS = 100
HOW = """`python -m tests.benchmarks.multi_label` simulates {audits} audits a row (seeds 0 to {last}) of models whose
scores shifted by half a logit and of which no class was harmed, or the labels of one lost a logit. Thresholds are at as
many false positives as the dense model makes at .5. Of unharmed classes: p-values below .05, of recall and of the false
positive rate, 95 % intervals that hold the true change, of classes and of the whole model, and audits that flag any
class as regressed or harmed; *found* is how often the class that lost is flagged."""
DENSE, PRUNED = "dense", "pruned"
SHIFT, LOST = 0.5, 1.0  # logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """``samples`` with labels of ``classes``: each a share ``common`` of the time, the first one ``first``.

    ``alike`` is the standard deviation, in logits, of what all classes of a sample have in common, of which half
    changes from model to model. Where a class ``lost``, the pruned model's logits of its labels are lower by so many;
    the class is the second, which is as frequent as the others.
    """

    name: str
    samples: int
    classes: int = 10
    common: float = 0.15
    first: float = 0.15
    alike: float = 0.5
    lost: float = 0.0


CELLS = (
    Cell(name="200 samples, 5 classes", samples=200, classes=5),
    Cell(name="1,000 samples", samples=1000),
    Cell(name="4,000 samples", samples=4000),
    Cell(name="1,000 samples, very alike within one", samples=1000, alike=1.5),
    Cell(name="1,000 samples, 80 % have one label", samples=1000, first=0.8, common=0.05),
    Cell(name="200 samples, 5 classes, one class lost", samples=200, classes=5, lost=LOST),
    Cell(name="1,000 samples, one class lost", samples=1000, lost=LOST),
    Cell(name="4,000 samples, one class lost", samples=4000, lost=LOST),
)


def scores(cell: Cell, rng: np.random.Generator) -> tuple[Array, list[Array]]:
    """The labels (N, C), and the probabilities (N, C) that either model gives them."""
    shares = np.full(cell.classes, cell.common)
    shares[0] = cell.first
    labels = (rng.random((cell.samples, cell.classes)) < shares).astype(np.int64)
    common = rng.normal(0, cell.alike, (cell.samples, 1)) + rng.normal(0, 1.0, labels.shape)
    made = []
    for shift, lost in ((0.0, 0.0), (SHIFT, cell.lost)):
        own = rng.normal(0, cell.alike / 2, (cell.samples, 1)) + rng.normal(0, 0.5, labels.shape)
        logits = np.where(labels == 1, 1.5, -2.5) + common + own - shift
        logits[:, 1] -= lost * labels[:, 1]
        made.append(1 / (1 + np.exp(-logits)))
    return labels, made


def things_of(labels: Array) -> Things:
    """``labels`` (N, C) as a reader of data gives them."""
    names = np.array([str(i) for i in range(len(labels))], object)
    cells = Cells(ids=tuple(names), labels=labels, groups={SAMPLE: names})
    sample, label = cells.positives
    return Things(
        task=multi_label.TASK.name,
        path="simulated",
        classes=tuple(f"c{i}" for i in range(labels.shape[1])),
        ids=tuple(map(str, range(len(sample)))),
        labels=label.astype(np.int64),
        groups={SAMPLE: names[sample]},
        cluster=SAMPLE,
        detail=cells,
    )


def audited(cell: Cell, seed: int) -> dict[str, Array]:
    """What one audit says: of each class ``p``, ``false``, ``held`` and ``flagged``; ``whole`` of the model."""
    labels, made = scores(cell, np.random.default_rng([seed, cell.samples, cell.classes]))
    things = things_of(labels)
    found = [
        Found(name=name, scores=each[labels == 1], false_scores=each[labels == 0])
        for name, each in zip((DENSE, PRUNED), made, strict=True)
    ]
    settings = Settings(cluster=SAMPLE)
    judged = multi_label.judge(things, found, settings)
    view = audit.from_predictions(judged.predictions, DENSE, [PRUNED], settings).comparisons[0].view()
    change = view.measure("change")
    verdicts, distortions = (np.array(lookup.column(view, name)) for name in ("verdict", "distortion"))
    low, high = (np.array([np.nan if v is None else v for v in side]) for side in (change.low, change.high))

    def below(name: str) -> Array:
        return np.array([1.0 if v is None else v for v in lookup.column(view, name)], float) < 0.05

    return {
        "p": below("p_value"),
        "false": below("false_positive_rate_p"),
        "held": (low <= 0) & (high >= 0),
        "flagged": (verdicts == REGRESSED) | np.isin(distortions, HARMED),
        "whole": np.array([(change.overall_low or 0) <= 0 <= (change.overall_high or 0)]),
    }


def row(cell: Cell, audits: int) -> dict[str, float]:
    """Shares over audits, in per cent; of a cell in which a class lost, those of that class are apart."""
    found = [audited(cell, seed) for seed in range(audits)]
    null = np.arange(cell.classes) != (1 if cell.lost else -1)

    def share(name: str) -> float:
        return 100 * float(np.mean([each[name][null] for each in found]))

    return {
        "p": share("p"),
        "false": share("false"),
        "held": share("held"),
        "whole": 100 * float(np.mean([each["whole"] for each in found])),
        "any": 100 * float(np.mean([each["flagged"][null].any() for each in found])),
        "found": 100 * float(np.mean([each["flagged"][1] for each in found])),
    }


def main(audits: int) -> None:
    """Measure every cell, and write the table."""
    lines = [
        "| data | p < .05, % | of false positives, % | intervals hold, % | of the whole, % | any flag, % | found, % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cell in CELLS:
        found = row(cell, audits)
        shown = {name: f"{value:.1f}" for name, value in found.items()}
        shown |= {"whole": "-"} if cell.lost else {"found": "-"}
        lines.append("| " + " | ".join([cell.name, *shown.values()]) + " |")
        print(lines[-1], flush=True)
    _checks.write(TITLE, HOW.format(audits=audits, last=audits - 1) + "\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else AUDITS)

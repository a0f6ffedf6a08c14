"""How often an audit of detectors is wrong where the truth is known: ``python -m tests.benchmarks.detection``.

Simulates detectors that were matched to their boxes, chooses their thresholds as an audit does, and sends the boxes
found through the package's own statistics: nothing was harmed, or one class lost. Writes its table into
docs/calibration.md (``AUDITS`` a row, by default 100).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from prune_audit import audit
from prune_audit.choices import OperatingPoint
from prune_audit.core import (
    HARMED,
    REGRESSED,
    Array,
    FalseFindings,
    Floats,
    Outputs,
    Predictions,
    Settings,
    lookup,
)
from prune_audit.tasks import detection
from prune_audit.tasks._operating_point import Findings, points, resampled
from tests.benchmarks import _checks

TITLE = "Detectors at their thresholds"
AUDITS = 100
HOW = """`python -m tests.benchmarks.detection` simulates {audits} audits a row of detectors whose scores shifted by
half a logit and of which no class was harmed, or one lost a logit. Thresholds are at as many false detections, those
that are given or, *chosen*, those at which the sum of both models' F1 is highest. Of unharmed classes: p-values below
.05, 95 % intervals that hold the true change, of classes and of the whole model, and audits that flag any class as
regressed or harmed; *found* is how often the class that lost is flagged."""
LOST = 1.0  # logits
DENSE, PRUNED = "dense", "pruned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Scenes of ``images`` with ``boxes`` in each on average, of ``classes``, and ``false`` detections at a threshold.

    ``alike`` is the standard deviation, in logits, of what all boxes of an image have in common, of which half changes
    from model to model; ``mostly`` is the share of an image's boxes that are of one class. Where a class ``lost``, the
    pruned model's logits of the first class are lower by so many.
    """

    name: str
    images: int
    boxes: float
    classes: int
    false: int
    alike: float = 0.5
    mostly: float = 0.0
    shift: float = 0.5
    lost: float = 0.0
    how: OperatingPoint = "false-detections"


CELLS = (
    Cell(name="100 images, 300 boxes", images=100, boxes=3, classes=5, false=50),
    Cell(name="100 images, 300 boxes", images=100, boxes=3, classes=5, false=200),
    Cell(name="500 images, 1,500 boxes", images=500, boxes=3, classes=10, false=50),
    Cell(name="500 images, 1,500 boxes", images=500, boxes=3, classes=10, false=200),
    Cell(name="500 images, 1,500 boxes", images=500, boxes=3, classes=10, false=1000),
    Cell(name="60 images of 40 boxes", images=60, boxes=40, classes=10, false=500, alike=1.0),
    Cell(
        name="1,000 images of 3 boxes, 80 % of one class",
        images=1000,
        boxes=3,
        classes=10,
        false=1000,
        alike=1.0,
        mostly=0.8,
    ),
    Cell(name="500 images, 1,500 boxes, equal precision", images=500, boxes=3, classes=10, false=200, how="precision"),
    Cell(name="500 images, 1,500 boxes, one class lost", images=500, boxes=3, classes=10, false=200, lost=LOST),
    Cell(name="500 images, 1,500 boxes, one class lost", images=500, boxes=3, classes=10, false=1000, lost=LOST),
)


def scene(cell: Cell, rng: np.random.Generator) -> tuple[Predictions, dict[str, Findings], list[Array]]:
    """The boxes, what each of two models says of them and of nothing, and the image of each false detection."""
    number = rng.poisson(cell.boxes, cell.images)
    image = np.repeat(np.arange(cell.images), number)
    main = rng.integers(0, cell.classes, cell.images)[image]
    label = np.where(rng.random(len(image)) < cell.mostly, main, rng.integers(0, cell.classes, len(image)))
    common = rng.normal(0, cell.alike, cell.images)[image] + rng.normal(1.0, 1.2, len(image))
    # Three times as many false detections as there are above a threshold, half of them of both models.
    both = rng.integers(0, cell.images, round(1.5 * cell.false))
    shared = rng.normal(-1.2, 1.0, len(both))
    models, within = {}, []
    for name, shift, lost in ((DENSE, 0.0, 0.0), (PRUNED, cell.shift, cell.lost)):
        own = rng.normal(0, cell.alike / 2, cell.images)
        logit = common + own[image] + rng.normal(0, 0.5, len(image)) - shift - lost * (label == 0)
        alone = rng.integers(0, cell.images, rng.poisson(1.5 * cell.false))
        false = np.concatenate([shared + rng.normal(0, 0.5, len(both)), rng.normal(-1.2, 1.1, len(alone))]) - shift
        found = np.where(rng.random(len(image)) < 0.97, 1 / (1 + np.exp(-logit)), -np.inf)
        models[name] = Findings(name=name, found=found, false=1 / (1 + np.exp(-false)))
        within.append(np.concatenate([both, alone]))
    things = Predictions(
        classes=tuple(f"c{i}" for i in range(cell.classes)),
        ids=tuple(map(str, range(len(image)))),
        labels=label,
        models=(),
        groups={"image": image.astype(str).astype(object)},
        task=detection.TASK,
    )
    return things, models, [each.astype(str).astype(object) for each in within]


def score_of(model: Findings, false: int) -> float:
    """The score at which a model makes about so many false detections: what somebody asks for with ``--score``."""
    return float(np.sort(model.false)[::-1][min(false, len(model.false)) - 1])


def predictions_of(cell: Cell, rng: np.random.Generator, *, asked: bool) -> Predictions:
    """What both models find at their thresholds: at the cell's number where ``asked``, else as by default."""
    things, models, within = scene(cell, rng)
    score = score_of(models[DENSE], cell.false) if asked or cell.how == "fixed" else None
    where, _ = points(list(models.values()), cell.how, score)
    right, outputs, false = {}, [], {}
    for point, model, lies_in in zip(where, models.values(), within, strict=True):
        hit = model.found >= point.threshold
        right[model.name] = hit
        outputs.append(Outputs(name=model.name, predicted=np.where(hit, things.labels, -1)))
        reach = model.false >= point.threshold
        of = np.arange(int(reach.sum())) % cell.classes
        false[model.name] = FalseFindings(labels=of, within=lies_in[reach])
    own = things.groups["image"].astype(np.int64)
    return Predictions(
        classes=things.classes,
        ids=things.ids,
        labels=things.labels,
        anew=resampled(
            list(models.values()), own, [each.astype(np.int64) for each in within], cell.images, cell.how, score, 0
        ),
        models=tuple(outputs),
        groups=things.groups,
        task=things.task,
        right=right,
        false=false,
    )


def audited(cell: Cell, seed: int, *, asked: bool = True) -> dict[str, Floats]:
    """What one audit says: of each class ``p``, ``held``, and ``flagged``; ``whole`` and ``any`` as of the model."""
    predictions = predictions_of(cell, np.random.default_rng([seed, cell.images, cell.false]), asked=asked)
    done = audit.from_predictions(predictions, DENSE, [PRUNED], Settings(cluster="image"))
    view = done.comparisons[0].view()
    change, p = view.measure("change"), view.measure("p_value")
    verdicts, distortions = (np.array(lookup.column(view, name)) for name in ("verdict", "distortion"))
    q = np.array([1.0 if value is None else value for value in lookup.column(view, "q_value")], float)
    flagged = (verdicts == REGRESSED) | np.isin(distortions, HARMED)
    low, high = (np.array([np.nan if v is None else v for v in side]) for side in (change.low, change.high))
    return {
        "p": np.array([1.0 if v is None else v for v in p.by_stratum], float) < 0.05,
        "held": (low <= 0) & (high >= 0),
        "flagged": flagged,
        "q": q < 0.05,
        "whole": np.array([(change.overall_low or 0) <= 0 <= (change.overall_high or 0)]),
        "change": np.array([change.overall or 0.0], float),
        "any": np.array([bool(flagged.any())]),
    }


def row(cell: Cell, audits: int, *, asked: bool = True) -> dict[str, float]:
    """Shares over audits, in per cent; of a cell in which a class lost, those of the first class are apart."""
    found = [audited(cell, seed, asked=asked) for seed in range(audits)]
    null = slice(1 if cell.lost else 0, None)

    def share(name: str) -> float:
        return 100 * float(np.mean([each[name][null] for each in found]))

    return {
        "p < .05": share("p"),
        "held": share("held"),
        "flagged": share("flagged"),
        "any q < .05": 100 * float(np.mean([each["q"][null].any() for each in found])),
        "any flag": 100 * float(np.mean([each["flagged"][null].any() for each in found])),
        "whole held": 100 * float(np.mean([each["whole"] for each in found])),
        "mean change": 100 * float(np.mean([each["change"] for each in found])),
        "found": 100 * float(np.mean([each["flagged"][0] for each in found])),
    }


def main(audits: int) -> None:
    """Measure every cell, and write the table."""
    lines = [
        "| scenes | false detections | p < .05, % | intervals hold, % | of the whole, % | any flag, % | found, % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cell in CELLS:
        for asked in (True,) if cell.lost or cell.how != "false-detections" else (True, False):
            found = row(cell, audits, asked=asked)
            number = f"{cell.false:,}" if asked else "chosen"
            shown = [f"{found[name]:.1f}" for name in ("p < .05", "held", "whole held", "any flag")]
            whole = "-" if cell.lost else shown[2]
            power = f"{found['found']:.1f}" if cell.lost else "-"
            lines.append(f"| {cell.name} | {number} | {shown[0]} | {shown[1]} | {whole} | {shown[3]} | {power} |")
            print(lines[-1], flush=True)
    _checks.write(TITLE, HOW.format(audits=audits) + "\n\n" + "\n".join(lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else AUDITS)

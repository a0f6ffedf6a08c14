"""How often the dense model is doubted, where it was run as it was trained and where it was not.

    python -m tests.benchmarks.plausible CHECKPOINT IMAGES [--draws 300]

CHECKPOINT is a ResNet-32 for CIFAR-10 (tests/resnet.py) that was trained with ImageNet's mean and std, IMAGES a folder
of its classes. The network predicts all images once under each preprocessing; from these, samples of 300 are drawn as
an audit draws them, and each preprocessing is taken for the one that was asked for. The batch normalisation is looked
at for a tenth of the draws, since it has to be run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from prune_audit import data, models
from prune_audit.core import Array, Classifier, DataSource, ModelSource, Preprocess, Recorded, Settings
from prune_audit.evaluate import plausible
from prune_audit.evaluate.loop import FIRST
from prune_audit.evaluate.predict import predict
from prune_audit.evaluate.sampling import stratified
from prune_audit.tasks import classification
from tests.benchmarks import _checks

TITLE = "A preprocessing that is not that of the training"
INTRODUCTION = """`python -m tests.benchmarks.plausible CHECKPOINT IMAGES` runs a published ResNet-32 for CIFAR-10,
trained with ImageNet's mean and std, on 2,000 images under each usual preprocessing, and draws {draws} samples of 300
from each, as an audit does ({norms} of them for the normalisation). In per cent of the draws, the doubts that are
raised: *normalisation*, the first batch normalisation sees other inputs than in training; *alternative*, another usual
preprocessing is right more often; and *record*, of the whole, the checkpoint's own accuracy is more than ten points
above. In the first line every doubt is a false alarm.

"""
TRAINED = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def main() -> None:
    """Write a line per preprocessing into the page on calibration, and print them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--draws", type=int, default=300)
    arguments = parser.parse_args()
    source = ModelSource(name="dense", path=arguments.checkpoint, factory="tests.resnet:resnet32")
    model = models.load(source, Settings(threads=2))
    assert not isinstance(model, Recorded)
    dataset = data.load(DataSource(path=arguments.images, preprocess=TRAINED), model.expects, Settings())
    assert isinstance(dataset, plausible.Reprocessed)
    assert dataset.preprocess is not None
    trained = plausible.Alternative(name="as it was trained", preprocess=dataset.preprocess, options="")
    ways = [trained, *plausible.alternatives(dataset.preprocess)]
    hits = {each.name: _right(model, dataset.preprocessed(each.preprocess), each.preprocess) for each in ways}
    lines = [
        "| run with | accuracy, % | normalisation, % | alternative, % | record, % |",
        "| --- | --- | --- | --- | --- |",
    ]
    for asked in ways:
        looked = [_drawn(model, dataset, asked, ways, hits, seed, arguments.draws) for seed in range(arguments.draws)]
        norm = [each[0] for each in looked if each[0] is not None]
        better, record = (float(np.mean([each[i] for each in looked])) for i in (1, 2))
        rates = (float(hits[asked.name].mean()), float(np.mean(norm)), better, record)
        lines.append(f"| {asked.name} | " + " | ".join(f"{100 * rate:.1f}" for rate in rates) + " |")
    _checks.write(
        TITLE, INTRODUCTION.format(draws=arguments.draws, norms=max(1, arguments.draws // 10)) + "\n".join(lines)
    )
    print("\n".join(lines))


def _right(model: Classifier, dataset: object, preprocess: Preprocess) -> Array:
    assert isinstance(dataset, plausible.Reprocessed)
    whole = dataset.preprocessed(preprocess)
    kept = predict(model, whole, np.arange(len(whole.labels)), size=plausible.PIECE)
    assert kept.predicted is not None
    return classification.right(kept.predicted, whole.labels)


def _drawn(
    model: Classifier,
    dataset: plausible.Reprocessed,
    asked: plausible.Alternative,
    ways: list[plausible.Alternative],
    hits: dict[str, Array],
    seed: int,
    draws: int,
) -> tuple[bool | None, bool, bool]:
    """Whether the normalisation, an alternative and the record raise a doubt in one draw."""
    whole = dataset.preprocessed(asked.preprocess)
    rows = stratified(whole.labels, FIRST, seed)
    names = [each.name for each in ways if each is not asked]
    counts = plausible.raced(names, hits[asked.name][rows], lambda name, at: hits[name][rows][at])
    better = any(plausible._p(*count) < plausible.LEVEL for count in counts.values())
    norm = plausible._normalisation(model, whole, rows) is not None if seed < max(1, draws // 10) else None
    recorded = model.expects.accuracy
    right = hits[asked.name]
    return norm, better, plausible.below_record(recorded, int(right.sum()), len(right)) is not None


if __name__ == "__main__":
    main()

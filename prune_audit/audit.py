"""The story of an audit: load, check that all fits together, evaluate, measure, judge. Read this second.

This is where the rooms meet. `run` starts from files, `from_predictions` from predictions that something else made,
and both end in `assemble`. Where there is a policy, `prune_audit.gate` judges what was measured.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from prune_audit import data, models, stats
from prune_audit.core import (
    Audit,
    Classifier,
    Comparison,
    DataSource,
    Expects,
    Flip,
    ModelCard,
    ModelSource,
    Policy,
    Predictions,
    Provenance,
    Samples,
    Settings,
    View,
)
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.evaluate.draw import stratified
from prune_audit.evaluate.loop import Progress, evaluate
from prune_audit.evaluate.pipeline import cores
from prune_audit.evaluate.sample import check as check_sample
from prune_audit.evaluate.sample import notes
from prune_audit.gate import judge

# Flipped samples kept per variant: enough to look at, small enough for a document that travels through CI.
FLIPS_KEPT = 200
# Libraries whose versions decide predictions or statistics; a version is recorded only where the library was used.
DECIDING = ("numpy", "scipy", "torch", "onnxruntime", "onnx", "pillow")


def run(
    dense: ModelSource,
    pruned: Sequence[ModelSource],
    source: DataSource,
    settings: Settings,
    *,
    policy: Policy | None = None,
    progress: Callable[[str], Progress | None] | None = None,
) -> Audit:
    """Compare ``pruned`` models with the ``dense`` one on labelled data.

    ``progress`` is given the name of a stage and returns a callback that takes (done, total).

    Raises:
        AuditError: a model or the data cannot be read, or they do not fit together.
    """
    sources = (dense, *_distinct(dense, pruned))
    # The models run side by side, each in a thread of its own, and share the cores.
    share = replace(settings, threads=settings.threads or max(1, cores() // len(sources)))
    classifiers = [models.load(each, share) for each in sources]
    _seed(settings.seed)
    dataset = data.load(source, merge([(c.card.name, c.expects) for c in classifiers]), settings)
    check_sample(settings, dataset.classes, dataset.labels, dataset.groups, complete=not dataset.indexed)
    rows = stratified(dataset.labels, settings.limit or len(dataset.labels), settings.seed)
    evaluation = evaluate(classifiers, dataset, rows, settings, progress("evaluating") if progress else None)
    predictions = evaluation.predictions
    # Again, because an indexed data set learns its last classes from the models.
    check_sample(settings, predictions.classes, predictions.labels, predictions.groups)
    provenance = Provenance(
        data=dataset.path,
        data_digest=_data_digest(predictions),
        samples=len(predictions.labels),
        available=len(dataset.labels),
        limited=len(rows) < len(dataset.labels),
        skipped=evaluation.skipped,
        preprocess=dataset.preprocess,
        settings=settings,
        versions=_versions(),
        notes=(*_model_notes(classifiers), *dataset.notes, *evaluation.notes, *notes(predictions, settings)),
        run=evaluation.run,
    )
    cards = [classifier.card for classifier in classifiers]
    return assemble(predictions, cards[0], cards[1:], provenance, policy)


def from_predictions(
    predictions: Predictions, dense: str, pruned: Sequence[str], settings: Settings, *, policy: Policy | None = None
) -> Audit:
    """Audit predictions that were made elsewhere: ``dense`` and ``pruned`` name models of ``predictions``.

    Raises:
        UsageError: the predictions lack a model, or a column or class that the settings name.
    """
    check_sample(settings, predictions.classes, predictions.labels, predictions.groups)

    def card(name: str) -> ModelCard:
        # With the name, because two models that predicted alike on these samples are not one model.
        digest = hashlib.sha256(name.encode() + predictions.model(name).predicted.tobytes()).hexdigest()
        return ModelCard(name=name, path="", format="predictions", digest=digest, size=0)

    provenance = Provenance(
        data="predictions",
        data_digest=_data_digest(predictions),
        samples=len(predictions.labels),
        available=len(predictions.labels),
        settings=settings,
        versions=_versions(),
        notes=notes(predictions, settings),
    )
    return assemble(predictions, card(dense), [card(name) for name in pruned], provenance, policy)


def assemble(
    predictions: Predictions,
    dense: ModelCard,
    pruned: Sequence[ModelCard],
    provenance: Provenance,
    policy: Policy | None = None,
) -> Audit:
    """Measure every pair of ``predictions`` in every view, and judge where there is a policy."""
    settings, comparisons = provenance.settings, []
    for card in pruned:
        views = []
        for by in dict.fromkeys(("class", *settings.by)):
            counted = predictions.pair(dense.name, card.name, by, settings.cluster, top_k=settings.top_k)
            pair = replace(counted, same_model=card.same_as(dense))
            views.append(View(pair=pair, measures=stats.measures(pair, settings)))
        flips, flipped = _flips(predictions, dense.name, card.name)
        comparisons.append(Comparison(dense=dense, pruned=card, views=tuple(views), flips=flips, flipped=flipped))
    kept = Samples.of(predictions, ("class", *settings.by), settings.cluster)
    audit = Audit(comparisons=tuple(comparisons), provenance=provenance, samples=kept)
    return audit if policy is None else judge(audit, policy)


def merge(declared: Sequence[tuple[str, Expects]]) -> Expects:
    """What all models of a run declare together; ``declared`` pairs their names with their declarations.

    Raises:
        AlignmentError: two models declare different classes, numbers of outputs, channels or image sizes.
    """
    merged = Expects()
    first: dict[str, str] = {}
    for name, expects in declared:
        for field in ("classes", "outputs", "channels", "size"):
            mine, theirs = getattr(expects, field), getattr(merged, field)
            if mine is not None and theirs is not None and mine != theirs:
                raise AlignmentError(
                    f"the models do not fit together: {field} of {first[field]} {_told(theirs)}, "
                    f"of {name} {_told(mine)}",
                    hint="compare models of the same inputs and classes; one preprocessing feeds all models of a run",
                )
            if mine is not None and theirs is None:
                merged = replace(merged, **{field: mine})
                first[field] = name
    # Input names matter where data are arrays; the model with most inputs names them for all.
    inputs = max((expects.inputs for _, expects in declared), key=len, default=())
    return replace(merged, inputs=inputs)


def _distinct(dense: ModelSource, pruned: Sequence[ModelSource]) -> list[ModelSource]:
    """``pruned`` with names that differ: ``dense.onnx`` against ``dense.pt`` are two models, not one.

    Only a name taken from the file gives way; one that somebody chose is never changed.
    """
    if not pruned:
        raise UsageError("expected at least one pruned model, found none", hint="prune-audit compare DENSE PRUNED ...")
    chosen = [source.name for source in (dense, *pruned) if source.name != source.path.stem]
    taken, renamed = {dense.name}, []
    for source in pruned:
        default = source.name == source.path.stem
        if (source.name in taken or chosen.count(source.name) > 1) and not default:
            raise UsageError(
                f"two models are called {source.name!r}", hint="give each variant a name of its own: NAME=PATH"
            )
        candidates = [source.name, source.path.name, *(f"{source.name}-{i}" for i in range(2, len(pruned) + 3))]
        unwanted = taken | set(chosen) if default else taken
        name = next(name for name in candidates if name not in unwanted)
        taken.add(name)
        renamed.append(replace(source, name=name))
    return renamed


def _seed(seed: int) -> None:
    """Fix torch's random numbers, for models that draw some; torch is not imported for it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _flips(predictions: Predictions, dense: str, pruned: str) -> tuple[tuple[Flip, ...], int]:
    """The first samples on which exactly one model is right, lost ones first, and how many there are."""
    labels, classes = predictions.labels, predictions.classes
    a, b = predictions.model(dense).predicted, predictions.model(pruned).predicted
    lost = np.flatnonzero((a == labels) & (b != labels))
    gained = np.flatnonzero((a != labels) & (b == labels))
    kept = np.concatenate([lost, gained])[:FLIPS_KEPT]
    flips = tuple(
        Flip(id=predictions.ids[i], label=classes[labels[i]], dense=classes[a[i]], pruned=classes[b[i]]) for i in kept
    )
    return flips, len(lost) + len(gained)


def _data_digest(predictions: Predictions) -> str:
    """SHA-256 over every sample's id, label and content."""
    digest = hashlib.sha256("\n".join(predictions.classes).encode())
    digest.update("\n".join(predictions.ids).encode())
    digest.update(predictions.labels.astype("<i8").tobytes())
    digest.update(predictions.digests.astype("<u8").tobytes())
    return digest.hexdigest()


def _model_notes(classifiers: Sequence[Classifier]) -> tuple[str, ...]:
    dense, *others = (classifier.card for classifier in classifiers)
    return tuple(f"{card.name} is the same file as {dense.name}" for card in others if card.same_as(dense))


def _versions() -> dict[str, str]:
    used = {name: version(name) for name in DECIDING if {"pillow": "PIL"}.get(name, name) in sys.modules}
    return {"prune-audit": version("prune-audit"), "python": platform.python_version(), **used}


def _told(value: object) -> str:
    """A declared value in a few words."""
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return f"{len(value)} names ({', '.join(value[:3])}{', ...' if len(value) > 3 else ''})"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)

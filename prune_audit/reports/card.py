"""Model card (card.md, or any name that ends in .card.md): the evaluation section of a card as Hugging Face has it.

What was measured of every class and group, with intervals, what these data cannot show, and the command. The metadata
at the top are the results that the hub shows of a model (``model-index``); where drawing stopped once classes were
settled there are no such numbers, and none stand there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath

from prune_audit.core import Audit, Comparison, View, lookup
from prune_audit.render import rounded, wording
from prune_audit.render.markdown import code, cut, prose, table
from prune_audit.reports._words import words

SUFFIXES = ()
MOST = 200_000  # bytes
IMAGES = "image-classification"


def render(audit: Audit) -> str:
    """The card, of at most `MOST` bytes and the metadata."""
    body = [line for comparison in audit.comparisons for line in _section(audit, comparison)]
    return "\n".join([*_metadata(audit), *cut([*body, *_limits(audit)], MOST)]) + "\n"


NAMES = {"card.md": render}


def _metadata(audit: Audit) -> Iterator[str]:
    """YAML, every text of it as JSON writes texts, which is YAML as well."""
    models = [found for comparison in audit.comparisons if (found := _results(audit, comparison))]
    if models:
        yield from ("---", "model-index:")
        for lines in models:
            yield from lines
        yield from ("---", "")


def _results(audit: Audit, comparison: Comparison) -> list[str]:
    """The entry of a variant; nothing where it has no numbers."""
    view, p = lookup.by_class(comparison), audit.provenance
    accuracy = lookup.overall(view, "pruned_recall")
    if view is None or not isinstance(accuracy, (int, float)):
        return []
    recalls = [(r, s) for r, s in zip(lookup.column(view, "pruned_recall"), view.strata, strict=True) if r is not None]
    task = view.pair.task
    metrics = [(task.overall.split()[-1], task.overall, accuracy)]  # the last word is the name of the metric
    if recalls:
        least, worst = min((float(r), s) for r, s in recalls)
        mean = sum(float(r) for r, _ in recalls) / len(recalls)
        metrics += [
            (task.rates[0], f"mean {task.rates[0]} of {task.stratum[1]}", mean),
            (task.rates[0], f"{task.rates[0]} of the worst {task.stratum[0]}, {worst}", least),
        ]
    data = json.dumps(PurePath(p.data).name or p.data)
    kind = IMAGES if p.preprocess is not None else task.name
    return [
        f"- name: {json.dumps(comparison.pruned.name)}",
        "  results:",
        f"  - task: {{type: {json.dumps(kind)}}}",
        f"    dataset: {{type: {data}, name: {data}, args: {{digest: {json.dumps(p.data_digest)}}}}}",
        "    metrics:",
        *(f"    - {{type: {of}, name: {json.dumps(name)}, value: {value:.6f}}}" for of, name, value in metrics),
    ]


def _section(audit: Audit, comparison: Comparison) -> Iterator[str]:
    p, settings = audit.provenance, audit.provenance.settings
    one = lookup.noun(view)[0] if (view := lookup.by_class(comparison)) else "class"
    yield from (f"## Evaluation of {code(comparison.pruned.name)}, {one} by {one}", "")
    things = rounded.several(p.samples, *wording.things(audit))
    kept = "" if comparison.kept is None else f", with {wording.kept(comparison)} of its weights,"
    yield (
        f"{code(comparison.pruned.name)}{kept} was compared with {code(comparison.dense.name)}, the dense model, on "
        f"{things} of {code(p.data)} (digest {code(p.data_digest[:12])}) by prune-audit "
        f"{p.versions.get('prune-audit', '')}.".replace(" .", ".")
    )
    yield ""
    for view in comparison.views:
        if view.by != "class":
            yield from (f"### By {code(view.by)}", "")
        yield from _table(audit, view)
        if meanings := words(view, range(len(view.strata)), settings):
            yield from (f"{prose(meanings)}.", "")
        whole = (wording.fall(view, settings), wording.collapse(view)) if view.by == "class" else ()
        said = [*whole, wording.drops(view, settings), wording.distortions(view, settings)]
        said += [f"{text}." for name, text in wording.model(view, settings) if name == "at worst"]
        yield from (f"- {prose(sentence)}" for sentence in said if sentence)
        yield ""


def _table(audit: Audit, view: View) -> Iterator[str]:
    """Every stratum, the worst first, and all together; recalls with their intervals."""
    sure = f"{rounded.limit(audit.provenance.settings.confidence)} % interval"
    change = lookup.find(view, "change")
    columns = [("dense", "dense_recall"), (f"{lookup.rate(view)}, %", "pruned_recall")]
    shown = [(title, found) for title, name in columns if (found := lookup.find(view, name))]
    heads = [prose(lookup.heading(view)), "n"]
    for title, measure in shown:
        heads += [title, *([sure] if measure.low and title != "dense" else [])]
    drawn = view.pair.sequential  # which knows neither the change seen nor harm
    if drawn:
        heads += [f"{rounded.limit(audit.provenance.settings.confidence)} % sequence of the change, points", "verdict"]
    else:
        heads += ["change, points", sure, "verdict", wording.PAID]
    rows = []
    for i in lookup.worst_first(view):
        cells = [code(view.strata[i]), f"{view.pair.support[i]:,}"]
        for title, measure in shown:
            cells.append(rounded.percent(measure.by_stratum[i]))
            if measure.low and title != "dense":
                low, high = measure.low[i], measure.high[i]
                cells.append(f"{rounded.percent(low)} to {rounded.percent(high)}" if low is not None else rounded.DASH)
        interval = rounded.between(change.low[i], change.high[i]) if change and change.low and change.high else "-"
        cells += [interval] if drawn else [rounded.points(lookup.column(view, "change")[i]), interval]
        cells.append(prose(rounded.label(lookup.column(view, "verdict")[i])))
        cells += [] if drawn else [prose(wording.paid(lookup.column(view, "distortion")[i]))]
        rows.append(cells)
    texts = [at for at, head in enumerate(heads) if not at or head in ("verdict", wording.PAID)]
    yield from table(heads, rows, texts=texts)
    before, after = (lookup.find(view, name) for name in ("dense_recall", "pruned_recall"))
    if view.by == "class" and before and after and after.overall is not None:
        moved = wording.change_of_accuracy(view, audit.provenance.settings)
        dense, pruned = (rounded.percent_sign(measure.overall, 2) for measure in (before, after))
        yield f"{lookup.overall_rate(view).capitalize()}: {dense} dense, {pruned} here, change {prose(moved)}."
        yield ""


def _limits(audit: Audit) -> Iterator[str]:
    """What these numbers cannot show, what was taken for granted, and how to make them again."""
    p = audit.provenance
    yield from ("### Limits", "")
    said = [wording.scope(audit), *wording.sequential(audit), *wording.counted(audit)]
    said += [wording.doubted(audit, doubt) for doubt in audit.comparisons[0].doubts]
    said += [f"a sample only: {p.samples:,} of {p.available:,} samples"] if p.limited else []
    said += [f"assumed: {each}" for each in wording.assumed(p.assumptions, wording.models(audit))]
    said += [f"inputs: {wording.inputs(audit)}", *p.notes]
    yield from (f"- {prose(each)}" for each in said)
    yield ""
    if (command := wording.repeated(audit)) is not None:
        # Indented: no fence can be closed by a name.
        yield from ("### Command", "", f"    {command}", "")

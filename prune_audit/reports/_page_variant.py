"""One pruned variant on the page: charts, the classes worst first, groups, flipped samples, every measure.

The table is whole in the HTML; what is drawn under a class's name is a gradient, not an element, so that a thousand
classes stay quick. Where variants and classes are too many for one page, it says what it leaves to the CSV file.
"""

from __future__ import annotations

from collections.abc import Mapping

from prune_audit.core import Audit, Comparison, Measure, Settings, Value, View, lookup
from prune_audit.render import rounded, wording
from prune_audit.render.page import Head, facts, figure, filtering, fold, limits, prose, shown, table, text, word
from prune_audit.render.picture import Chart
from prune_audit.reports._page_flips import flips
from prune_audit.reports._page_large import MANY, WORST, indexed
from prune_audit.reports._page_looks import looks
from prune_audit.reports._page_story import link, stories, told
from prune_audit.reports._page_verdict import sentences
from prune_audit.reports._words import words as words_of

ROWS = 4_000  # of the tables of all variants together
CELLS = 80_000  # of the tables of every measure, likewise
VALUES = 20  # of a column that classes are crossed with, up to which they are a column to filter by

MAIN = (  # what the table of classes shows, the most telling first: a telephone shows the first few; {} is its rate
    ("verdict", "verdict", "has it lost more than the margin?"),
    ("change", "change", "pruned less dense {}, in points"),
    ("dense_recall", "dense", "{} of the dense model, %"),
    ("pruned_recall", "pruned", "{} of the pruned model, %"),
    ("distortion", wording.PAID, "did it keep less of its {} than the rest of the model?"),
    ("retention", "retention", "{} kept, relative to what the rest kept"),
    ("e_regressed", "e (regressed)", "what bets on a drop beyond the margin have made of 1"),
    ("e_fine", "e (fine)", "what bets on a drop below the assurance limit have made of 1"),
    ("samples_spared", "spared", "samples that were there and were not run"),
)
COUNTS = (("support", "n", ""), ("lost", "lost", "dense right, pruned wrong"),
          ("gained", "gained", "dense wrong, pruned right"))  # fmt: skip


def variant(audit: Audit, position: int, charts: Mapping[str, tuple[Chart, ...]]) -> str:
    """The section of the comparison at ``position``; ``charts`` are those of the whole audit."""
    comparison = audit.comparisons[position]
    names = f"{comparison.pruned.name} against {comparison.dense.name}"
    title = names if len(audit.comparisons) > 1 else "In detail"
    own = [
        (name, chart)
        for name, drawn in charts.items()
        for chart in drawn
        if chart.variant == position and not chart.look
    ]
    parts = [f'<section id="variant-{position}" class="variant" aria-labelledby="variant-{position}-title">']
    parts.append(f'<h2 id="variant-{position}-title">{text(title)}</h2>\n')
    for n, view in enumerate(comparison.views):
        if view.by != "class":
            parts.append(f"<h3>By {text(view.by)}: {rounded.several(len(view.strata), *lookup.noun(view))}</h3>\n")
        if view.by != "class" or len(audit.comparisons) > 1:
            parts += [f"<p>{prose(said)}</p>\n" for said in sentences(view, audit)]
        if view.by == "class":
            parts.append(_tiles(comparison, view, audit.provenance.settings))
        drawn = [figure(chart, f"{name}-{position}-{n}") for name, chart in own if chart.by == view.by]
        parts.append(f'<div class="charts">\n{"".join(drawn)}</div>\n' if drawn else "")
        parts.append(_classes(audit, position, n))
        parts.append(stories(audit, position, f"classes-{position}-{n}") if view.by == "class" else "")
        parts.append(_model(view))
        parts.append(_every(audit, position, view))
    parts.append(looks(comparison, position, charts))
    parts.append(flips(comparison, position, _told_of(audit, comparison)))
    parts.append("</section>\n")
    return "".join(parts)


def _tiles(comparison: Comparison, view: View, settings: Settings) -> str:
    """The figures of the whole model."""
    before, after = (lookup.overall(view, name) for name in ("dense_recall", "pruned_recall"))
    sure = f"{rounded.limit(settings.confidence)} % interval"
    whole = lookup.overall_rate(view)
    tiles = [] if comparison.kept is None else [("weights left", wording.kept(comparison), "of the dense model")]
    if after is not None:
        tiles.append((whole, f"{rounded.percent(before, 2)} → {rounded.percent_sign(after, 2)}", "dense to pruned"))
    for name, title in (("change", f"change of {whole}"), ("calibration_change", "change of calibration error")):
        measure = lookup.find(view, name)
        if measure and measure.overall is not None:
            interval = rounded.between(measure.overall_low, measure.overall_high, 2)
            tiles.append((title, f"{rounded.points(measure.overall, 2)} points", f"{sure} {interval}"))
    lost, gained, n = (int(counts.sum()) for counts in (view.pair.lost, view.pair.gained, view.pair.support))
    if view.pair.sequential:
        spared = rounded.count(lookup.overall(view, "samples_spared"))
        tiles.append(("samples", f"{n:,} run, {spared} spared", "each class until it was settled"))
    else:
        tiles.append((lookup.things(view)[1], f"{lost:,} lost, {gained:,} gained", f"of {n:,}"))
    cells = "".join(
        f"<div><dt>{text(name)}</dt><dd>{prose(said)} <small>{prose(more)}</small></dd></div>"
        for name, said, more in tiles
    )
    return f'<dl class="tiles">{cells}</dl>\n'


def _told_of(audit: Audit, comparison: Comparison) -> set[str]:
    """The names of the classes that have a story."""
    view = lookup.by_class(comparison)
    return {view.strata[i] for i in told(audit, comparison)} if view else set()


def _classes(audit: Audit, position: int, n: int) -> str:
    """The table of classes, worst first, with what the script needs to filter it."""
    comparison = audit.comparisons[position]
    view, name, settings = comparison.views[n], f"classes-{position}-{n}", audit.provenance.settings
    linked = told(audit, comparison) if view.by == "class" else frozenset()
    order = lookup.worst_first(view)
    many = len(order) > MANY
    most = WORST if many else max(50, ROWS // len(audit.comparisons))
    measures = [m for shows, _, _ in MAIN if (m := lookup.find(view, shows))]
    crossed = _crossed(view)
    heads = [Head(title=lookup.heading(view), number=False)]
    heads += [Head(title=column, meaning="of the data", number=False) for column in crossed]
    for shows, title, meaning in MAIN:
        if measure := lookup.find(view, shows):
            if shows == "change" and view.pair.sequential:
                sure = f"{rounded.limit(settings.confidence)} % sequence"
                heads.append(Head(title=sure, meaning="of the change, in points; it holds at any time"))
                continue
            heads.append(
                Head(title=title, meaning=meaning.format(view.pair.task.rates[0]), number=measure.unit != "label")
            )
            if shows == "change" and measure.low:
                sure = f"{rounded.limit(settings.confidence)} % interval"
                heads.append(Head(title=sure, meaning="of the change, in points"))
    things = lookup.things(view)[1]
    heads += [Head(title=title, meaning=meaning or things) for _, title, meaning in COUNTS]
    names = {i: link(position, i, view.strata[i]) for i in linked}
    within = [[values[i] for values in crossed.values()] for i in range(len(order))]
    rows = [_row(view, i, measures, names.get(i, text(view.strata[i])), within[i]) for i in order[:most]]
    nouns, words = lookup.noun(view)[1].capitalize(), words_of(view, order[:most], settings)
    rest = "the index has all" if many and len(order) <= indexed(audit) else "the CSV file has all"
    cut = f", the worst {most:,} of {len(order):,}; {rest}" if len(order) > most else ""
    return (
        ("" if many else filtering(name))
        + table(f"{_of(audit, position, view, nouns)}, worst first{cut}", heads, rows, kind="sorts", name=name)
        + f'<p class="reading">{prose("; ".join(f"{head.title}: {head.meaning}" for head in heads[1:]))}.</p>\n'
        + (f'<p class="reading">Rows {prose(wording.ordered(view))}.</p>\n' if len(order) > 1 else "")
        + (f'<p class="reading">{prose(words)}.</p>\n' if words else "")
        + "".join(f'<p class="reading">-: {text(said)}</p>\n' for said in _dashes(view, measures))
    )


def _of(audit: Audit, position: int, view: View, what: str) -> str:
    """``what`` as the caption of a table that no other one of the page has."""
    variant = f" of {audit.comparisons[position].pruned.name}" if len(audit.comparisons) > 1 else ""
    return f"{what}{variant}{'' if view.by == 'class' else f' by {view.by}'}"


def _dashes(view: View, measures: list[Measure]) -> list[str]:
    """Why there are dashes, and whom they stand for; what follows a colon in a reason is of one stratum alone."""
    reasons: dict[str, dict[str, None]] = {}
    for measure in measures:
        if measure.name == "change" and view.pair.sequential:  # of which there is but the sequence
            continue
        for i in sorted(measure.absent):
            reasons.setdefault(measure.absent[i].partition(":")[0], {})[view.strata[i]] = None
    return [f"{reason} ({rounded.listed(list(strata))})" for reason, strata in reasons.items()]


def _crossed(view: View) -> dict[str, list[str]]:
    """The columns that classes are crossed with, each with its value for every stratum, for filtering by them.

    Those with a few values alone; none where a name has the comma that parts the values in it.
    """
    columns = view.by.split(",")
    parts = [stratum.split(", ") for stratum in view.strata]
    if len(columns) < 2 or any(len(each) != len(columns) for each in parts):
        return {}
    found = {column: [each[at] for each in parts] for at, column in enumerate(columns) if column != "class"}
    return {column: values for column, values in found.items() if len(set(values)) <= VALUES}


def _row(view: View, i: int, measures: list[Measure], name: str, within: list[str]) -> str:
    before, after = lookup.column(view, "dense_recall")[i], lookup.column(view, "pruned_recall")[i]
    bar = f' style="--d:{rounded.percent(before)}%;--p:{rounded.percent(after)}%"' if before is not None else ""
    cells = [f'<td class="l">{text(value)}</td>' for value in within]
    for measure in measures:
        value = measure.by_stratum[i] if measure.by_stratum else None
        if measure.unit == "label":
            said = wording.paid(value) if measure.name == "distortion" else None
            cells.append(f'<td class="l">{word(value, said)}</td>')
        elif measure.name != "change" or not view.pair.sequential:
            why = f' title="{text(measure.absent[i])}"' if i in measure.absent else ""
            cells.append(f"<td{why}>{shown(measure, value)}</td>")
        if measure.name == "change" and measure.low:
            cells.append(f"<td>{limits(measure, measure.low[i], measure.high[i])}</td>")
    cells += [f"<td>{int(getattr(view.pair, name)[i]):,}</td>" for name, _, _ in COUNTS]
    return f'<tr><th scope="row"{bar}>{name}</th>' + "".join(cells) + "</tr>"


def _model(view: View) -> str:
    """Every measure of all samples together."""
    rows = [
        (
            measure.title,
            measure.overall_absent or f"{_with_unit(measure, measure.overall)}{_interval(measure)}",
        )
        for measure in view.measures
        if measure.overall is not None or measure.overall_absent
    ]
    what = "The model as a whole" if view.by == "class" else "All groups together"
    return fold(f"{what}: {rounded.several(len(rows), 'measure')}", facts(rows)) if rows else ""


def _with_unit(measure: Measure, value: Value) -> str:
    unit = {"share": " %", "points": " points"}.get(measure.unit, "")
    return f"{shown(measure, value)}{unit}"


def _interval(measure: Measure) -> str:
    low, high = measure.overall_low, measure.overall_high
    if low is not None and high is None:
        return f" (interval at least {shown(measure, low)})"
    found = limits(measure, low, high)
    return "" if found == rounded.DASH else f" (interval {found})"


def _every(audit: Audit, position: int, view: View) -> str:
    """Every measure of every class, where that is not too much for a page."""
    measures = [measure for measure in view.measures if measure.by_stratum]
    heads = [Head(title=lookup.heading(view), number=False)]
    for measure in measures:
        unit = {"share": ", %", "points": ", points"}.get(measure.unit, "")
        heads.append(Head(title=f"{measure.title}{unit}", number=measure.unit != "label"))
        heads += [Head(title="interval")] if measure.low else []
    many = lookup.noun(view)[1]
    title = f"Every measure of the {many}: {len(measures)} columns"
    views = sum(len(comparison.views) for comparison in audit.comparisons)
    if len(view.strata) > MANY or len(heads) * len(view.strata) * views > CELLS:
        said = (
            f"{len(view.strata):,} {many} and {len(measures)} measures are too much for a page; the CSV file has all."
        )
        return fold(title, f"<p>{said}</p>\n")
    rows = [_whole_row(view, i, measures) for i in lookup.worst_first(view)]
    return fold(title, table(_of(audit, position, view, title), heads, rows, kind="sorts"), paper=False)


def _whole_row(view: View, i: int, measures: list[Measure]) -> str:
    cells = []
    for measure in measures:
        value = measure.by_stratum[i]
        why = f' title="{text(measure.absent[i])}"' if i in measure.absent else ""
        side = ' class="l"' if measure.unit == "label" else ""
        cells.append(f"<td{side}{why}>{text(shown(measure, value))}</td>")
        if measure.low:
            cells.append(f"<td>{limits(measure, measure.low[i], measure.high[i])}</td>")
    return f'<tr><th scope="row">{text(view.strata[i])}</th>' + "".join(cells) + "</tr>"

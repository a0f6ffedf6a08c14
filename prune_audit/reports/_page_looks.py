"""What lenses saw, on a page: how it opens, and a section for each lens with its charts before its tables."""

from __future__ import annotations

from collections.abc import Mapping

from prune_audit.core import BESIDE, Audit, Comparison, Look, Table, lookup
from prune_audit.render import rounded
from prune_audit.render.page import Head, commands, figure, fold, prose, table, text
from prune_audit.render.picture import Chart

ROWS = 60  # of a table up to which it stands open


def opening(audit: Audit) -> str:
    """The sentences with which the page opens; empty where no lens looked."""
    said = [sentence for comparison in audit.comparisons for sentence in comparison.explained]
    if not said:
        return ""
    listed = "".join(f"<p>{commands(sentence)}</p>\n" for sentence in said)
    return (
        f'<section id="why" class="first" aria-labelledby="why-title"><h2 id="why-title">Why</h2>\n{listed}</section>\n'
    )


def beside(audit: Audit, charts: Mapping[str, tuple[Chart, ...]]) -> str:
    """What changed since an earlier audit, of all variants; empty where none was put beside this one."""
    order = lookup.positions_densest_first(audit.comparisons)
    told = "".join(
        _look(look, position, charts)
        for position in order
        for look in audit.comparisons[position].looks
        if look.lens == BESIDE
    )
    head = '<section id="beside" aria-labelledby="beside-title"><h2 id="beside-title">Side by side</h2>\n'
    return f"{head}{told}</section>\n" if told else ""


def looks(comparison: Comparison, position: int, charts: Mapping[str, tuple[Chart, ...]]) -> str:
    """The sections of the lenses of the comparison at ``position``; ``charts`` are those of the whole audit."""
    return "".join(_look(look, position, charts) for look in comparison.looks if look.lens != BESIDE)


def _look(look: Look, position: int, charts: Mapping[str, tuple[Chart, ...]]) -> str:
    name = f"look-{position}-{text(look.lens)}"
    parts = [f'<section id="{name}" class="look" aria-labelledby="{name}-title">']
    parts.append(f'<h3 id="{name}-title">{text(look.title)} <small>{text(look.lens)}</small></h3>\n')
    if look.absent is not None:
        parts.append(f"<p>Nothing was seen: {prose(look.absent)}</p>\n")
    parts += [f"<p>{commands(sentence)}</p>\n" for sentence in look.sentences]
    own = [
        (kind, n, chart)
        for kind, drawn in charts.items()
        for n, chart in enumerate(drawn)
        if chart.variant == position and chart.look == look.lens
    ]
    drawn = "".join(figure(chart, f"{name}-{kind}-{n}") for kind, n, chart in own)
    parts.append(f'<div class="charts">\n{drawn}</div>\n' if drawn else "")
    parts += [_table(each, f"{name}-{text(each.name)}") for each in look.tables]
    parts.append("</section>\n")
    return "".join(parts)


def _table(shown: Table, name: str) -> str:
    heads = [
        Head(title=rounded.headed(each.title, each.unit), meaning=each.meaning, number=each.unit != "label")
        for each in shown.fields
    ]
    rows = []
    for row in shown.rows:
        cells = []
        for at, (field, value) in enumerate(zip(shown.fields, row, strict=True)):
            side = ' class="l"' if field.unit == "label" else ""
            said = text(rounded.in_unit(field.unit, value))
            cells.append(f'<th scope="row">{said}</th>' if at == 0 else f"<td{side}>{said}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    meanings = "; ".join(f"{head.title}: {head.meaning}" for head in heads if head.meaning)
    below = [f"{meanings}.", *shown.notes] if meanings else list(shown.notes)
    made = table(shown.title, heads, rows, kind="sorts", name=name)
    made += "".join(f'<p class="reading">{prose(line)}</p>\n' for line in below)
    return made if len(shown.rows) <= ROWS else fold(f"{shown.title}: {len(shown.rows):,} rows", made, paper=False)

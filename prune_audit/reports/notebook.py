"""What a notebook shows of an audit: the verdict and the classes that lost most, as a fragment of HTML; no file.

A notebook has a theme of its own, which a fragment cannot ask for, so text takes the colour that is there and the few
others can be read on white and on black. Everything else is a call away: `Audit.to_frame`, `prune_audit.chart`,
`prune_audit.write`.
"""

from __future__ import annotations

from prune_audit.core import Audit, Comparison, View, lookup
from prune_audit.render import rounded, wording
from prune_audit.render.page import Head, commands, prose, table, text, word
from prune_audit.reports import _gate as gate
from prune_audit.reports._page_verdict import banner, sentences, summary
from prune_audit.reports._words import words as words_of

SUFFIXES = ()
ROWS = 8  # of a table: a cell of a notebook is no page
_STYLE = """
.prune-audit{font-size:.95em;line-height:1.45;color:inherit}
.prune-audit p{margin:.3em 0;max-width:60em}
.prune-audit .banner{font-size:1.1em;font-weight:600;border-left:.3em solid;padding-left:.6em;margin:.2em 0 .6em}
.prune-audit .banner.bad,.prune-audit .is.bad{color:#d4541b}
.prune-audit .banner.good,.prune-audit .is.good{color:#2f7fd1}
.prune-audit .is{white-space:nowrap}
.prune-audit small{opacity:.75}
.prune-audit .wide{overflow-x:auto}
.prune-audit table{border-collapse:collapse;margin:.5em 0;background:none;color:inherit}
.prune-audit caption{text-align:left;font-weight:600;padding:.2em 0}
.prune-audit th,.prune-audit td{text-align:right;padding:.15em .7em .15em 0;border:0;background:none;color:inherit}
.prune-audit .l,.prune-audit tbody th{text-align:left}
.prune-audit thead th{border-bottom:1px solid;font-weight:normal;opacity:.75}
"""


def render(audit: Audit) -> str:
    """The fragment: one table of a single variant; of several the summary, and each one's table folded below it."""
    look, said = banner(audit)
    parts = [f"<style>{_STYLE}</style>", f'<p class="banner {look}">{text(said)}</p>']
    if len(audit.comparisons) == 1:
        parts += [_variant(audit, audit.comparisons[0])]
    else:
        parts += [summary(audit, linked=False)]
        parts += [
            f"<details><summary>{text(comparison.pruned.name)}</summary>{_variant(audit, comparison)}</details>"
            for comparison in lookup.densest_first(audit.comparisons)
        ]
    parts += [f"<p>{commands(line)}</p>" for line in (gate.told(audit), gate.sparsest(audit)) if line]
    return f'<div class="prune-audit">{"".join(parts)}</div>'


def _variant(audit: Audit, comparison: Comparison) -> str:
    view = lookup.by_class(comparison) or comparison.views[0]
    told = "".join(f"<p>{prose(sentence)}</p>" for sentence in sentences(view, audit))
    return _table(audit, view, f"{comparison.pruned.name} against {comparison.dense.name}") + told


def _table(audit: Audit, view: View, caption: str) -> str:
    """The strata that lost most, the worst first."""
    if view.pair.sequential:
        return _sequential(audit, view, caption)
    change = lookup.find(view, "change")
    heads = [
        Head(title=lookup.heading(view), number=False),
        *(Head(title=name) for name in ("n", "dense", "pruned", "change")),
        Head(title=f"{rounded.limit(audit.provenance.settings.confidence)} % interval"),
        *(Head(title=name) for name in ("lost", "gained")),
        *(Head(title=name, number=False) for name in ("verdict", wording.PAID)),
    ]
    columns = {name: lookup.column(view, name) for name in ("dense_recall", "pruned_recall", "change", "verdict")}
    distortion, rows = lookup.column(view, "distortion"), []
    for i in lookup.worst_first(view)[:ROWS]:
        cells = [
            f"{view.pair.support[i]:,}",
            rounded.percent(columns["dense_recall"][i]),
            rounded.percent(columns["pruned_recall"][i]),
            rounded.points(columns["change"][i]),
            rounded.between(change.low[i], change.high[i]) if change and change.low and change.high else rounded.DASH,
            f"{view.pair.lost[i]:,}",
            f"{view.pair.gained[i]:,}",
        ]
        verdicts = (word(columns["verdict"][i]), word(distortion[i], wording.paid(distortion[i])))
        words = "".join(f'<td class="l">{each}</td>' for each in verdicts)
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{text(view.strata[i])}</th>{numbers}{words}</tr>')
    said = words_of(view, lookup.worst_first(view)[:ROWS], audit.provenance.settings)
    words = f"<p><small>{prose(said)}</small></p>" if said else ""
    return (
        table(f"{caption}: {lookup.rate(view)} in %, change in points, worst first", heads, rows)
        + words
        + _left(view, rows)
    )


def _left(view: View, rows: list[str]) -> str:
    """Where the strata are that have no row."""
    more = len(view.strata) - len(rows)
    if not more:
        return ""
    one, many = lookup.noun(view)
    return f"<p><small>{more:,} more {one if more == 1 else many}: to_frame() has all, with every measure.</small></p>"


def _sequential(audit: Audit, view: View, caption: str) -> str:
    """The same where drawing stopped once classes were settled: what holds of them then."""
    change, rows = view.measure("change"), []
    heads = [Head(title=lookup.heading(view), number=False), Head(title="n"), Head(title="spared")]
    heads += [Head(title=f"{rounded.limit(audit.provenance.settings.confidence)} % sequence")]
    heads += [*(Head(title=name) for name in ("lost", "gained")), Head(title="verdict", number=False)]
    for i in lookup.worst_first(view)[:ROWS]:
        cells = [
            f"{view.pair.support[i]:,}",
            rounded.count(lookup.column(view, "samples_spared")[i]),
            rounded.between(change.low[i], change.high[i]),
            f"{view.pair.lost[i]:,}",
            f"{view.pair.gained[i]:,}",
        ]
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        verdict = f'<td class="l">{word(lookup.column(view, "verdict")[i])}</td>'
        rows.append(f'<tr><th scope="row">{text(view.strata[i])}</th>{numbers}{verdict}</tr>')
    return table(f"{caption}: change in points", heads, rows) + _left(view, rows)

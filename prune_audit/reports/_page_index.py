"""The index of a page with too many classes: all of them by name, with recall before and after, and the verdict.

One serves all variants, so that a class is looked up once. It is set in as many columns as there is room for.
"""

from __future__ import annotations

import re

from prune_audit.core import CANNOT_TELL, FINE, REGRESSED, Audit, View, lookup
from prune_audit.render import rounded
from prune_audit.render.page import Head, filtering, table, text, word
from prune_audit.reports._page_large import MANY, WORST, indexed
from prune_audit.reports._page_story import link, told

ORDER = (REGRESSED, CANNOT_TELL, FINE)  # of verdicts, the worst first


def index(audit: Audit) -> str:
    """The section; empty where every class stands in a table."""
    made = [
        _index(audit, n, [comparison.views[n] for comparison in audit.comparisons])
        for n, view in enumerate(audit.comparisons[0].views)
        if len(view.strata) > MANY
    ]
    if not made:
        return ""
    head = '<section id="index" aria-labelledby="index-title"><h2 id="index-title">Index</h2>\n'
    return f"{head}{''.join(made)}</section>\n"


def _index(audit: Audit, n: int, views: list[View]) -> str:
    """The index of what the ``views`` at ``n`` of all variants are of."""
    first, name = views[0], f"index-{n}"
    variants = lookup.positions_densest_first(audit.comparisons)
    one = len(variants) == 1
    most = indexed(audit)
    nouns = lookup.noun(first)[1]
    changes = [lookup.moves(view) for view in views]
    verdicts = [lookup.column(view, "verdict") for view in views]
    dense = lookup.column(first, "dense_recall")
    pruned = [lookup.column(view, "pruned_recall") for view in views]
    stories = [told(audit, comparison) if first.by == "class" else frozenset[int]() for comparison in audit.comparisons]

    def change(variant: int, i: int) -> float:
        moved = changes[variant][i]
        return moved if isinstance(moved, (int, float)) else 1.0

    def named(i: int) -> str:
        told_of = [variant for variant in variants if i in stories[variant]]
        shown = min(told_of, key=lambda variant: change(variant, i), default=None)
        return text(first.strata[i]) if shown is None else link(shown, i, first.strata[i])

    def row(i: int) -> str:
        cells = [f"<td>{rounded.percent(dense[i])}</td>"]
        for variant in variants:
            said = "" if one or verdicts[variant][i] is None else f" {word(verdicts[variant][i])}"
            cells.append(f"<td>{rounded.percent(pruned[variant][i])}{said}</td>")
        found = [each[i] for each in verdicts]
        cells.append(f'<td class="l">{word(next((each for each in ORDER if each in found), None))}</td>')
        return f'<tr><th scope="row">{named(i)}</th>{"".join(cells)}</tr>'

    order = sorted(range(len(first.strata)), key=lambda i: min(change(variant, i) for variant in variants))
    names = ["pruned"] if one else [audit.comparisons[variant].pruned.name for variant in variants]
    heads = [
        Head(title=lookup.heading(first), number=False),
        Head(title="dense", meaning=f"{lookup.rate(first)} of the dense model, %"),
        *(Head(title=each, meaning=f"{lookup.rate(first)} of the pruned model, %") for each in names),
        Head(title="verdict", meaning="" if one else "the worst of all variants'", number=False),
    ]
    cut = f", the worst {most:,} of {len(order):,}" if len(order) > most else ""
    by = "" if first.by == "class" else f" by {first.by}"
    return (
        f"<p>Of more than {MANY:,} {nouns} a page has the {WORST} worst in full, and {'the worst' if cut else 'all'} "
        "in an index; the CSV file has every measure of all.</p>\n"
        + filtering(name)
        + table(
            f"{nouns.capitalize()}{by}, by name{cut}",
            heads,
            [row(i) for i in sorted(order[:most], key=lambda i: _by_name(first.strata[i]))],
            kind="sorts index",
            name=name,
            columns=True,
        )
        + f'<p class="reading">{text(lookup.rate(first).capitalize())} in %. {", ".join(map(word, ORDER))}'
        f"{'' if one else '; the last column is the worst of all variants'}.</p>\n"
    )


def _by_name(name: str) -> list[tuple[int, str]]:
    """What sorts ``name`` among others as people do: numbers in it by what they are worth."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

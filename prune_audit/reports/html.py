"""A web page (.html): one file without network access, whole without JavaScript, in light and dark, and on paper.

The first screen says what was found: the verdict, who was harmed, by how much, how sure. Charts come next, then the
tables with every measure, then what was measured with what.
"""

from __future__ import annotations

from prune_audit.charts import charts
from prune_audit.core import Audit, lookup
from prune_audit.render import rounded, wording
from prune_audit.render.page import figure, multiples, page
from prune_audit.reports import _page_looks as looks
from prune_audit.reports._page_about import checks, measured, words
from prune_audit.reports._page_index import index
from prune_audit.reports._page_variant import variant
from prune_audit.reports._page_verdict import verdict

SUFFIXES = (".html",)


def render(audit: Audit) -> str:
    """The page."""
    drawn = charts(audit)
    p = audit.provenance
    pruned = [comparison.pruned.name for comparison in audit.comparisons]
    order = lookup.positions_densest_first(audit.comparisons)
    dense = audit.comparisons[0].dense.name
    title = f"{pruned[0]} against {dense}" if len(pruned) == 1 else f"{len(pruned)} variants against {dense}"
    view = lookup.by_class(audit.comparisons[0])
    of = f", {rounded.several(len(view.strata), *lookup.noun(view))}" if view else ""
    across = "".join(
        figure(c, f"{name}-all") for name, many in drawn.items() for c in many if c.variant is None and not c.small
    )
    small = "".join(multiples([c for c in many if c.small], name) for name, many in drawn.items())
    every, since = index(audit), looks.beside(audit, drawn)
    links = [("verdict", "Verdict")]
    links += [("beside", "Side by side")] if since else []
    links += [(f"variant-{n}", pruned[n]) for n in order]
    links += [("index", "Index")] if every else []
    links += [("checks", "Gate")] if audit.policy is not None and not p.limited else []
    links += [("words", "How to read this"), ("measured", "What was measured")]
    why = looks.opening(audit)
    links = [*([("why", "Why")] if why else []), *links]
    content = (
        why
        + verdict(audit)
        + since
        + (
            f'<section aria-label="All variants"><div class="charts">\n{across}</div>\n{small}</section>\n'
            if across or small
            else ""
        )
        + "".join(variant(audit, n, drawn) for n in order)
        + every
        + checks(audit)
        + words(audit)
        + measured(audit)
    )
    return page(title, f"{p.data}: {rounded.several(p.samples, *wording.things(audit))}{of}", links, content)

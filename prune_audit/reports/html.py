"""A web page (.html): one file without network access, whole without JavaScript, in light and dark, and on paper.

The first screen says what was found: the verdict, who was harmed, by how much, how sure. Charts come next, then the
tables with every measure, then what was measured with what. A content security policy in the page forbids it to load
anything, and names the one script that it may run, so that no class name can become another.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from prune_audit import words as w
from prune_audit.charts import charts
from prune_audit.charts._colors import DARK, LIGHT
from prune_audit.core import Audit
from prune_audit.reports._page import figure, text
from prune_audit.reports._page_about import checks, measured, words
from prune_audit.reports._page_variant import variant
from prune_audit.reports._page_verdict import verdict

SUFFIXES = (".html",)


def render(audit: Audit) -> str:
    """The page."""
    drawn = charts(audit)
    p = audit.provenance
    pruned = [comparison.pruned.name for comparison in audit.comparisons]
    order = [audit.comparisons.index(comparison) for comparison in w.densest_first(audit)]
    dense = audit.comparisons[0].dense.name
    title = f"{pruned[0]} against {dense}" if len(pruned) == 1 else f"{len(pruned)} variants against {dense}"
    view = w.by_class(audit.comparisons[0])
    of = f", {w.several(len(view.strata), 'class', 'classes')}" if view else ""
    style, script = (
        files("prune_audit.reports").joinpath(name).read_text("utf-8") for name in ("_page.css", "_page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    across = "".join(figure(c, f"{name}-all") for name, many in drawn.items() for c in many if c.variant is None)
    links = [("verdict", "Verdict")]
    links += [(f"variant-{n}", pruned[n]) for n in order]
    links += [("checks", "Gate")] if audit.policy is not None and not p.limited else []
    links += [("words", "How to read this"), ("measured", "What was measured")]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)} - prune-audit</title>\n"
        f"<style>\n{_theme()}{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#verdict">To the verdict</a>\n'
        f"<header><p>prune-audit</p><h1>{text(title)}</h1>\n"
        f"<p>{text(p.data)}: {w.several(p.samples, 'sample')}{of}</p>\n"
        '<nav aria-label="Sections"><ul>'
        + "".join(f'<li><a href="#{target}">{text(name)}</a></li>' for target, name in links)
        + "</ul></nav></header>\n<main>\n"
        + verdict(audit)
        + (f'<section aria-label="All variants"><div class="charts">\n{across}</div></section>\n' if across else "")
        + "".join(variant(audit, n, drawn) for n in order)
        + checks(audit)
        + words(p.settings)
        + measured(audit)
        + f"</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _theme() -> str:
    """The colours of both themes; paper is light."""
    light, dark = ("".join(f"--{name}:{value};" for name, value in theme.items()) for theme in (LIGHT, DARK))
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"

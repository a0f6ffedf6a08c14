"""The parts that the page is made of: escaped text, tables, figures, folds.

Every text goes through `text`, which makes a class called ``<script>`` a word like any other. What is returned is
HTML that is complete without JavaScript; `_page.js` only adds sorting and filtering to what is there.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prune_audit import words as w
from prune_audit.charts import Chart
from prune_audit.charts._picture import inline
from prune_audit.core import Measure, Unit, Value

LOOKS = {  # words that have a colour and a shape; everything else is plain
    **dict.fromkeys((w.REGRESSED, *w.HARMED, "failed"), "bad"),
    **dict.fromkeys((w.CANNOT_TELL, "inconclusive", "warning"), "unsure"),
    **dict.fromkeys(("fine", "passed"), "good"),
}


_BY_UNIT: dict[Unit, Callable[[Value], str]] = {
    "share": w.percent,
    "points": w.points,
    "p": w.probability,
    "ratio": w.ratio,
    "label": w.label,
    "count": lambda value: w.DASH if value is None else f"{value:,}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column: its title, what it means, and whether it holds numbers."""

    title: str
    meaning: str = ""
    number: bool = True


def text(value: str) -> str:
    """``value`` as text or as the value of an attribute, whatever it holds."""
    return html.escape(w.printable(value))


def word(value: Value) -> str:
    """A verdict with its colour and shape, or a dash."""
    said = w.label(value)
    look = LOOKS.get(said)
    return f'<span class="is {look}">{text(said)}</span>' if look else text(said)


def shown(measure: Measure, value: Value) -> str:
    """``value`` as its unit asks, in plain text."""
    return _BY_UNIT[measure.unit](value)


def limits(measure: Measure, low: Value, high: Value) -> str:
    """The interval of ``measure``, in plain text."""
    if low is None or high is None:
        return w.DASH
    return f"{shown(measure, low)} to {shown(measure, high)}"


def table(caption: str, heads: Sequence[Head], rows: Sequence[str], *, kind: str = "", name: str = "") -> str:
    """A table that scrolls on its own where it is wider than the page; ``rows`` are whole ``<tr>``."""
    attributes = (f' class="{kind}"' if kind else "") + (f' id="{name}"' if name else "")
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}">\n<table{attributes}>'
        f"<caption>{text(caption)}</caption>\n<thead><tr>{''.join(map(_head, heads))}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></div>\n"
    )


def _head(head: Head) -> str:
    side = "" if head.number else ' class="l"'
    meaning = f' title="{text(head.meaning)}"' if head.meaning else ""
    return f'<th scope="col"{side}{meaning}>{text(head.title)}</th>'


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Names and what there is to say of them, as plain text."""
    return "<dl>" + "".join(f"<div><dt>{text(name)}</dt><dd>{text(said)}</dd></div>" for name, said in rows) + "</dl>\n"


def fold(title: str, content: str, *, paper: bool = True) -> str:
    """What is read on demand; without ``paper`` it stays folded in print, where it would be cut."""
    kept = "" if paper else ' class="screen"'
    return f"<details{kept}><summary>{text(title)}</summary>\n{content}</details>\n"


def figure(chart: Chart, name: str) -> str:
    """A chart with its title and how to read it; ``name`` is its identifier in the page."""
    return (
        f'<figure id="{name}"><figcaption><h3>{text(chart.title)}</h3></figcaption>\n{inline(chart, name)}\n'
        f'<p class="reading">{text(chart.reading)}</p></figure>\n'
    )

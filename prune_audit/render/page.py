"""The parts that a page is made of: the page around its sections, escaped text, tables, figures, folds.

Every text goes through `text`, which makes a class called ``<script>`` a word like any other; and a content security
policy in the page forbids it to load anything, and names the one script that it may run, so that no class name can
become another. What is returned is HTML that is complete without JavaScript; `page.js` only adds sorting and filtering
to what is there.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from prune_audit.core import CANNOT_TELL, FINE, HARMED, REGRESSED, Measure, Value
from prune_audit.printable import printable
from prune_audit.render import rounded
from prune_audit.render.colors import DARK, LIGHT
from prune_audit.render.picture import Chart, inline

LOOKS = {  # words that have a colour and a shape; everything else is plain
    **dict.fromkeys((REGRESSED, *HARMED, "failed"), "bad"),
    **dict.fromkeys((CANNOT_TELL, "inconclusive", "warning"), "unsure"),
    **dict.fromkeys((FINE, "passed"), "good"),
}


_SIGN, _TYPED = re.compile(r"(?<=\d) %"), re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column: its title, what it means, and whether it holds numbers."""

    title: str
    meaning: str = ""
    number: bool = True


def page(title: str, about: str, links: Sequence[tuple[str, str]], content: str) -> str:
    """The whole page around ``content``; ``links`` are its sections, identifier and name, the first one first read."""
    style, script = (files("prune_audit.render").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    first, name = links[0]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)} - prune-audit</title>\n"
        f"<style>\n{_theme()}{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#{first}">To the {text(name.lower())}</a>\n'
        f"<header><p>prune-audit</p><h1>{text(title)}</h1>\n"
        f"<p>{text(about)}</p>\n"
        '<nav aria-label="Sections"><ul>'
        + "".join(f'<li><a href="#{target}">{text(name)}</a></li>' for target, name in links)
        + f"</ul></nav></header>\n<main>\n{content}</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _theme() -> str:
    """The colours of both themes; paper is light."""
    light, dark = ("".join(f"--{name}:{value};" for name, value in theme.items()) for theme in (LIGHT, DARK))
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def text(value: str) -> str:
    """``value`` as text or as the value of an attribute, whatever it holds."""
    return html.escape(printable(value))


def prose(value: str) -> str:
    """A sentence of ours as `text`, with the sign of a percentage on the line of its number."""
    return _SIGN.sub("\N{NO-BREAK SPACE}%", text(value))


def commands(value: str) -> str:
    """A sentence of ours as `prose`, with what stands between backticks as what is typed."""
    return _TYPED.sub(r"<code>\1</code>", prose(value))


def word(value: Value, said: str | None = None, *, looks: Mapping[str, str] = LOOKS) -> str:
    """A verdict with its colour and shape, or a dash; ``said`` is how, where not as it is called."""
    shown = rounded.label(value) if said is None else said
    look = looks.get(rounded.label(value))
    return f'<span class="is {look}">{text(shown)}</span>' if look else text(shown)


def shown(measure: Measure, value: Value) -> str:
    """``value`` as its unit asks, in plain text."""
    return rounded.in_unit(measure.unit, value)


def limits(measure: Measure, low: Value, high: Value) -> str:
    """The interval of ``measure``, in plain text."""
    if low is None or high is None:
        return rounded.DASH
    return f"{shown(measure, low)} to {shown(measure, high)}"


def table(
    caption: str, heads: Sequence[Head], rows: Sequence[str], *, kind: str = "", name: str = "", columns: bool = False
) -> str:
    """A table that scrolls on its own where it is wider than the page; ``rows`` are whole ``<tr>``.

    A narrow and long one is set in ``columns``, as the index of a book.
    """
    attributes = (f' class="{kind}"' if kind else "") + (f' id="{name}"' if name else "")
    made = (
        f"<table{attributes}>"
        f"<caption>{text(caption)}</caption>\n<thead><tr>{''.join(map(_head, heads))}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table>"
    )
    if columns:
        made = f'<div class="columns">{made}</div>'
    return f'<div class="wide" tabindex="0" role="region" aria-label="{text(caption)}">\n{made}</div>\n'


def filtering(name: str) -> str:
    """Where the script puts what filters the table called ``name``."""
    return f'<div class="filter" hidden data-for="{name}"></div>\n'


def _head(head: Head) -> str:
    side = "" if head.number else ' class="l"'
    meaning = f' title="{text(head.meaning)}"' if head.meaning else ""
    return f'<th scope="col"{side}{meaning}>{text(head.title)}</th>'


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Names and what there is to say of them, as plain text."""
    return (
        "<dl>" + "".join(f"<div><dt>{prose(name)}</dt><dd>{prose(said)}</dd></div>" for name, said in rows) + "</dl>\n"
    )


def fold(title: str, content: str, *, paper: bool = True, name: str = "", opened: bool = False) -> str:
    """What is read on demand; without ``paper`` it stays folded in print, where it would be cut.

    ``name`` is its identifier in the page, if links lead to it. One that is ``opened`` can be folded away.
    """
    kept = (f' id="{name}"' if name else "") + ("" if paper else ' class="screen"') + (" open" if opened else "")
    return f"<details{kept}><summary>{text(title)}</summary>\n{content}</details>\n"


def figure(chart: Chart, name: str, *, across: bool = False) -> str:
    """A chart with its title and how to read it; ``name`` is its identifier in the page.

    One that is as wide as a page goes ``across`` it, and scrolls on its own where the page is narrower.
    """
    drawn = inline(chart, name)
    if across:
        drawn = f'<div class="across" tabindex="0" role="region" aria-label="{text(chart.title)}">{drawn}</div>'
    reading = "" if chart.small else f'<p class="reading">{prose(chart.reading)}</p>'
    return f'<figure id="{name}"><figcaption><h3>{text(chart.title)}</h3></figcaption>\n{drawn}\n{reading}</figure>\n'


def multiples(charts: Sequence[Chart], name: str) -> str:
    """Small ``charts`` side by side, as far as there is room, and how to read them; empty where there are none."""
    if not charts:
        return ""
    drawn = "".join(figure(chart, f"{name}-{n}") for n, chart in enumerate(charts))
    return f'<div class="multiples">\n{drawn}</div>\n<p class="reading">{prose(charts[0].reading)}</p>\n'

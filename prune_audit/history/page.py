"""A history as a web page: how the last release stands, how it went so far, and every verdict of every release."""

from __future__ import annotations

from collections.abc import Sequence

from prune_audit.core import CANNOT_TELL, FINE, REGRESSED, Outcome
from prune_audit.history import overview
from prune_audit.history.figures import charts
from prune_audit.history.overview import Row
from prune_audit.history.releases import Release
from prune_audit.render import rounded
from prune_audit.render.page import Head, facts, figure, page, prose, table, text, word

MOST = 40  # classes that have a column
ROWS = 300  # of a table, the last ones; with more the page would be too large
BANNERS: dict[Outcome, tuple[str, str]] = {
    "failed": ("bad", "The last release failed its gate"),
    "inconclusive": ("unsure", "Of the last release its gate could not tell"),
    "passed": ("good", "The last release passed its gate, which is no clearance"),
    "skipped": ("unsure", "The gate of the last release asked for nothing"),
}
TERMS = (
    ("release", "An audit that was judged: the same data and models are one release, however often they are judged."),
    (
        "uses",
        "How many releases the very same data had judged by then. Where releases are tuned until they pass on them, a "
        "pass and fine are too hopeful; the count corrects nothing.",
    ),
    ("gate", "What the policy of that time said of the variant when it was judged first."),
    (
        "worst class",
        "The class whose recall changed most for the worse, with its interval. It is picked among all classes, and "
        "looks worse for that than it is.",
    ),
    (
        "under the budget",
        "Of all releases that are said to have regressed, a share of at most the budget is false, on average (e-LOND). "
        "The evidence e has to reach the number behind it, which grows from release to release.",
    ),
)


def render(releases: Sequence[Release]) -> str:
    """The page of ``releases``, the earliest first."""
    rows = overview.rows(releases)
    drawn = charts(rows)
    links = [("last", "The last release"), ("releases", "Releases"), ("classes", "Classes")]
    links += [("words", "How to read this")]
    pictures = "".join(figure(chart, f"figure-{n}") for n, chart in enumerate(drawn))
    content = (
        _last(releases)
        + (f'<section aria-label="Over releases"><div class="charts">\n{pictures}</div></section>\n' if drawn else "")
        + _releases(rows)
        + _classes(rows)
        + '<section id="words" aria-labelledby="words-title"><h2 id="words-title">How to read this</h2>\n'
        + facts(TERMS if any(row.under is not None for row in rows) else TERMS[:-1])
        + "</section>\n"
    )
    return page(
        "Release after release", f"{releases[-1].data}: {rounded.several(len(releases), 'release')}", links, content
    )


def _last(releases: Sequence[Release]) -> str:
    look, said = BANNERS[releases[-1].outcome]
    told = "".join(f"<p>{prose(sentence)}</p>\n" for sentence in overview.sentences(releases))
    return (
        '<section id="last" class="first" aria-labelledby="last-title">'
        f'<h2 id="last-title" class="banner {look}">{text(said)}</h2>\n{told}</section>\n'
    )


def _name(row: Row) -> str:
    return f'<th scope="row">{row.place:,} <small>{text(row.release.day)}</small></th>'


def _releases(rows: Sequence[Row]) -> str:
    budget = any(row.under is not None for row in rows)
    heads = [
        Head(title="release", number=False),
        Head(title="gate", number=False),
        *([Head(title="under the budget", number=False), Head(title="e, of what it takes")] if budget else []),
        Head(title="variant", number=False),
        Head(title="change of accuracy", meaning="in points, with its interval"),
        Head(title="regressed", meaning="classes shown to have lost more than the margin"),
        Head(title="cannot tell"),
        Head(title="fine"),
        Head(title="worst class", number=False),
        Head(title="its change", meaning="in points, with its interval"),
        Head(title="uses", meaning="releases that the same data had judged by then"),
        Head(title="data", number=False, meaning="the digest of the data"),
    ]
    made = []
    for row in reversed(rows[-ROWS:]):
        variant, view, worst = row.variant, row.variant.classes, row.worst
        cells = [f'<td class="l">{word(variant.outcome)}</td>']
        if budget:
            cells += [f'<td class="l">{word(row.budget_says)}</td>', f"<td>{text(overview.evidence(row))}</td>"]
        cells += [
            f'<td class="l">{text(variant.name)}</td>',
            f"<td>{_moved(variant.change, variant.low, variant.high, 2)}</td>",
            *(
                _count(row, verdict, look)
                for verdict, look in ((REGRESSED, "bad"), (CANNOT_TELL, "unsure"), (FINE, ""))
            ),
            f'<td class="l">{rounded.DASH if worst is None else text(view.strata[worst])}</td>',
            "<td>"
            + (rounded.DASH if worst is None else _moved(view.change[worst], view.low[worst], view.high[worst], 1))
            + "</td>",
            f"<td>{row.uses:,}</td>",
            f'<td class="l digest">{text(row.release.data_digest[:12])}</td>',
        ]
        made.append(f"<tr>{_name(row)}{''.join(cells)}</tr>")
    return (
        '<section id="releases" aria-labelledby="releases-title"><h2 id="releases-title">Releases</h2>\n'
        + table("Releases, the last one first", heads, made)
        + (f"<p>{len(rows) - ROWS:,} older rows are not shown; the CSV file has all.</p>\n" if len(rows) > ROWS else "")
        + "</section>\n"
    )


def _moved(change: float | None, low: float | None, high: float | None, digits: int) -> str:
    interval = rounded.between(low, high, digits)
    return f"{rounded.points(change, digits)} <small>({interval})</small>" if interval != rounded.DASH else rounded.DASH


def _count(row: Row, verdict: str, look: str) -> str:
    n = row.count(verdict)
    return f'<td><span class="is {look}">{n:,}</span></td>' if n and look else f"<td>{n:,}</td>"


def _classes(rows: Sequence[Row]) -> str:
    names, others = overview.classes(rows, MOST)
    several = len({row.place for row in rows}) < len(rows)
    heads = [Head(title="release", number=False), *([Head(title="variant", number=False)] if several else [])]
    heads += [Head(title=name, number=False) for name in names]
    made = []
    for row in reversed(rows[-ROWS:]):
        cells = [f'<td class="l">{text(row.variant.name)}</td>'] if several else []
        cells += [_verdict(row, name) for name in names]
        made.append(f"<tr>{_name(row)}{''.join(cells)}</tr>")
    left = (
        f"<p>{others:,} more classes regressed no more often than these; the CSV file counts them.</p>\n"
        if others
        else ""
    )
    return (
        '<section id="classes" aria-labelledby="classes-title"><h2 id="classes-title">Classes</h2>\n'
        + table(
            "Verdicts and changes of recall in points; the classes that regressed most often come first", heads, made
        )
        + left
        + "</section>\n"
    )


def _verdict(row: Row, name: str) -> str:
    view = row.variant.classes
    i = overview.at(view, name)
    if i is None or view.verdicts[i] is None:
        return f'<td class="l">{rounded.DASH}</td>'
    change = view.change[i]
    moved = "" if change is None else f" <small>{rounded.points(change)}</small>"
    return f'<td class="l">{word(view.verdicts[i])}{moved}</td>'

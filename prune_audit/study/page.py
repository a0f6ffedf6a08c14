"""A study as a web page: one file without network access, whole without JavaScript, in light and dark, and on paper.

What was found comes first, then for each network its figures and cells, then the tests, which are folded, and what a
reader must know of the runs. The page itself is that of an audit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prune_audit.printable import printable
from prune_audit.render import rounded, wording
from prune_audit.render.gallery import Picture, gallery
from prune_audit.render.page import LOOKS, Head, facts, figure, fold, page, table, text, word
from prune_audit.render.picture import Chart
from prune_audit.study import _shown as shown
from prune_audit.study import figures
from prune_audit.study.tables import Analysis, Table

if TYPE_CHECKING:
    from pandas import DataFrame

OF_NETWORKS = ("cells", "accuracy", "exemplars")  # tables that stand with the figures of each network, and are no tests
PICTURES = (
    "Exemplars of most cells: what most dense networks say → what most pruned ones say, in the cell where the two lie "
    "farthest apart; the right answer is bold."
)
ROWS = 1_500  # of a table; above that only those that tell something are shown
WORDS = {
    **LOOKS,
    **dict.fromkeys(("more intensification", "lost ground", "grew", "fell"), "bad"),
    **dict.fromkeys(("de-intensified", "gained ground", "shrank", "rose"), "good"),
}
NEW = "new samples"
TERMS = (
    ("cell", "A network, a method and a density; its runs differ in nothing but the seed."),
    (
        "alpha",
        "Slope of the classes' balance in the pruned model on that in the dense one. Above 1 a class that stood low "
        "stands lower now, on average; whether gaps grew, a slope does not say.",
    ),
    (
        "gaps",
        "How far the balances lie apart. They grew where the ratio of their spreads, pruned over dense and freed of "
        "noise, is shown to lie above 1; below 1 they shrank.",
    ),
    ("r^2", f"How well one line describes the classes. Below {wording.ONE_LINE:g} alpha is no slope of anything."),
    (
        "balance",
        "Recall of a class over accuracy, less 1: 0 where it is recognised as often as samples are on average.",
    ),
    (
        "interval",
        "The values of a mean over seeds that these runs do not rule out. Read its ends, not the number in the middle. "
        "It answers for new seeds on these samples.",
    ),
    (
        NEW,
        "The interval called so, and the finding that rests on it, answers for new seeds and new samples: would "
        "pruning like this, started anew, do the same on others? The first interval cannot say that, because all seeds "
        "share their samples.",
    ),
    ("adjusted p", "Multiplied by the number of tests of its family (Bonferroni), which the text of its table names."),
    (
        "harmed",
        "Classes that the audit of one run shows to have paid more than the rest. It asks of two checkpoints, where "
        "the tests here ask of the procedure.",
    ),
    ("Pareto", "No other cell of the network is as good in accuracy, density and harm, and better in one of them."),
    ("not shown", "These runs show neither. It is no clearance: with more seeds it might be found."),
)


def render(
    analysis: Analysis, runs: DataFrame, classes: DataFrame, pictures: Mapping[str, Sequence[Picture]] | None = None
) -> str:
    """The page; ``pictures`` are of the exemplars of each network, where there are some."""
    cells = analysis.table("cells")
    names = shown.networks(cells)
    whole = [made for made in analysis.tables if made.name in OF_NETWORKS]
    tests = [made for made in analysis.tables if made.name not in OF_NETWORKS]
    links = [("findings", "Findings"), *((f"network-{n}", name) for n, name in enumerate(names))]
    links += [("tests", "Tests")] if tests else []
    links += [("words", "How to read this"), ("notes", "The runs")]
    drawn = [*figures.alphas(analysis), *figures.costs(analysis)]
    grids = figures.balances(analysis, classes)
    terms = TERMS if _of_new_samples(analysis) else [term for term in TERMS if term[0] != NEW]
    content = (
        _findings(analysis)
        + "".join(_network(whole, n, drawn, grids, pictures or {}) for n in range(len(names)))
        + _tests(tests)
        + f'<section id="words" aria-labelledby="words-title"><h2 id="words-title">How to read this</h2>\n'
        f"{facts(terms)}</section>\n" + _notes(analysis, runs)
    )
    return page(analysis.title, _about(runs), links, content)


def _about(runs: DataFrame) -> str:
    """How much was run."""
    failed = int(runs["failed"].notna().sum())
    densities = sorted({float(share) for share in runs["density"]}, reverse=True)
    kept = shown.density(densities[0]) if densities else rounded.DASH
    if len(densities) > 1:
        kept = f"{len(densities)} from {kept} to {shown.density(densities[-1])}"
    counts = [
        rounded.several(runs["network"].nunique(), "network"),
        rounded.several(runs["method"].nunique(), "method"),
        f"density {kept}" if len(densities) == 1 else f"densities: {kept}",
        rounded.several(runs["seed"].nunique(), "seed"),
        rounded.several(len(runs), "run") + (f", {failed:,} failed" if failed else ""),
    ]
    return "; ".join(counts)


def _of_new_samples(analysis: Analysis) -> bool:
    """Whether any table has an interval for new samples, so that readers see a column of that name."""
    columns = [column for made in analysis.tables for column in shown.columns(made, range(len(made.rows)))]
    return any(NEW in column.title for column in columns)


def _findings(analysis: Analysis) -> str:
    cells = shown.rows(analysis.table("cells"))
    known = [cell for cell in cells if cell["gaps"] is not None]
    grew = sum(cell["gaps"] == wording.GREW for cell in known)
    look = "bad" if grew else "unsure"
    said = f"Gaps between classes grew in {grew:,} of {rounded.several(len(known), 'cell')}"
    if not grew:
        said = "In no cell gaps between classes are shown to have grown, which is no clearance"
    if all(cell["accuracy"] is None for cell in cells):
        said = "No run finished"
    parts = []
    for network, sentences in shown.sentences(analysis):
        parts.append(f"<h3>{text(network)}</h3>\n" + "".join(f"<p>{text(sentence)}</p>\n" for sentence in sentences))
    return (
        '<section id="findings" class="first" aria-labelledby="findings-title">'
        f'<h2 id="findings-title" class="banner {look}">{text(said)}</h2>\n{"".join(parts)}</section>\n'
    )


def _network(
    tables: Sequence[Table],
    position: int,
    drawn: Sequence[Chart],
    grids: Sequence[Chart],
    pictures: Mapping[str, Sequence[Picture]],
) -> str:
    """The figures and the ``tables`` of the network at ``position``, the cells first, then its exemplars."""
    network = shown.networks(tables[0])[position]
    own = [chart for chart in drawn if chart.of == printable(network)]
    wide = [chart for chart in grids if chart.of == printable(network)]
    small = "".join(figure(chart, f"figure-{position}-{n}") for n, chart in enumerate(own))
    large = "".join(figure(chart, f"balances-{position}-{n}", across=True) for n, chart in enumerate(wide))
    return (
        f'<section id="network-{position}" aria-labelledby="network-{position}-title">'
        f'<h2 id="network-{position}-title">{text(network)}</h2>\n'
        + (f'<div class="charts">\n{small}</div>\n' if small else "")
        + large
        + "".join(_whole(made, network) for made in tables)
        + (gallery(pictures[network], PICTURES) if pictures.get(network) else "")
        + "</section>\n"
    )


def _whole(made: Table, network: str) -> str:
    """All rows of a table that are of ``network``."""
    here = [at for at, name in enumerate(made.column("network")) if name == network]
    if not here:  # no run of it finished
        return ""
    rows = _rows(made, here, f"{made.title}, {network}", skip="network")
    return f"<h3>{text(made.title)}</h3>\n<p>{text(made.about)}</p>\n{rows}"


def _tests(tables: Sequence[Table]) -> str:
    if not tables:
        return ""
    return (
        '<section id="tests" aria-labelledby="tests-title"><h2 id="tests-title">Tests</h2>\n'
        + "".join(_test(made) for made in tables)
        + "</section>\n"
    )


def _test(made: Table) -> str:
    """One table, folded, with all of its rows where they are not too many."""
    every = range(len(made.rows))
    here = every if len(made.rows) <= ROWS else made.telling[:ROWS]
    left = len(made.rows) - len(here)
    more = f"<p>{left:,} rows more; the CSV file has all.</p>\n" if left else ""
    told = "".join(
        f'<p class="reading">why: {text(f"{reason} ({names})")}</p>\n' for reason, names in shown.reasons(made)
    )
    found = f"{rounded.several(len(made.telling), 'finding')} in {rounded.several(len(made.rows), 'row')}"
    body = _rows(made, here, made.title) if here else ""
    return fold(f"{made.title}: {found}", f"<p>{text(made.about)}</p>\n{body}{more}{told}", paper=False)


def _rows(made: Table, here: Sequence[int], caption: str, skip: str = "") -> str:
    """The rows at ``here``; the column ``skip`` is said elsewhere."""
    columns = sorted((column for column in shown.columns(made, here) if column.name != skip), key=_place)
    why = [None if shown.ABSENT not in _names(made) else made.column(shown.ABSENT)[at] for at in here]
    heads = [Head(title=column.title, number=column.number) for column in columns]
    heads += [Head(title="why", number=False)] if any(why) else []
    rows = []
    for at, reason in enumerate(why):
        cells = [f'<th scope="row">{text(columns[0].cells[at])}</th>']
        for column in columns[1:]:
            cell = column.cells[at]
            cells.append(f"<td>{text(cell)}</td>" if column.number else f'<td class="l">{word(cell, looks=WORDS)}</td>')
        if any(why):
            cells.append(f'<td class="l">{text(rounded.label(reason))}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return table(f"{caption}: {rounded.several(len(rows), 'row')}", heads, rows, kind="sorts")


def _place(column: shown.Shown) -> int:
    """A telephone cuts what is on the right, so a finding stands beside the name of its row."""
    return 0 if column.name in shown.KEYS else 1 if column.name.startswith("finding") else 2


def _names(made: Table) -> list[str]:
    return [column.name for column in made.columns]


def _notes(analysis: Analysis, runs: DataFrame) -> str:
    failed = runs[runs["failed"].notna()]
    columns = ("network", "method", "density", "seed", "failed")
    told = [
        f"{network}, {method} at {shown.density(float(density))}, seed {seed}: {reason}"
        for network, method, density, seed, reason in zip(*(failed[c] for c in columns), strict=True)
    ]
    fails = fold(
        f"{rounded.several(len(told), 'run')} that failed",
        "<ul>" + "".join(f"<li>{text(said)}</li>" for said in told[:ROWS]) + "</ul>\n",
    )
    notes = "".join(f"<li>{text(note)}</li>" for note in analysis.notes)
    return (
        '<section id="notes" aria-labelledby="notes-title"><h2 id="notes-title">The runs</h2>\n'
        + (f"<ul>{notes}</ul>\n" if notes else "")
        + (fails if told else "")
        + "</section>\n"
    )

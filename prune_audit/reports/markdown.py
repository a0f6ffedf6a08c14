"""Markdown (.md): the audit for a pull request's comment or the summary of a CI job.

The verdict first, then one line per variant, what failed, and the classes that matter, worst first. It is cut by bytes
at the end of a line and then says what is missing: GitHub drops a longer text without a word, a comment beyond 65,536
characters and a job's summary beyond 1 MiB. Names are code, with every mark escaped, so that none is taken for a
mention, a link, a column or a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from prune_audit import words as w
from prune_audit.core import Audit, Comparison, View
from prune_audit.reports import _classes as classes
from prune_audit.reports import _gate as gate

SUFFIXES = (".md",)
MOST = 60_000  # bytes: a comment holds 65,536 characters
ROWS = 20  # of a table, if not more are flagged
CHECKS = 50  # that are told under a gate
SIGNS = {"passed": "✅", "failed": "❌", "inconclusive": "❔", "skipped": "ℹ️", "waived": "✅"}


def render(audit: Audit) -> str:
    """The text, of at most `MOST` bytes."""
    return "\n".join(_cut(list(_lines(audit)))) + "\n"


def _lines(audit: Audit) -> Iterator[str]:
    against = _name(audit.comparisons[0].dense.name)
    names = [_name(comparison.pruned.name) for comparison in audit.comparisons]
    variants = names[0] if len(names) == 1 else w.several(len(names), "variant")
    yield f"### {SIGNS[audit.outcome]} prune-audit: {variants} against {against}"
    yield ""
    yield f"**{_text(' '.join([gate.told(audit), gate.sparsest(audit) or '']).strip())}**"
    yield ""
    yield from _variants(audit)
    yield from _checks(audit)
    for comparison in gate.telling(audit):
        yield from _variant(audit, comparison)
    p = audit.provenance
    data = f"{w.several(p.samples, 'sample')} of {_name(p.data)}, digest {_name(p.data_digest[:12])}"
    yield f"<sub>{data}; asked: {_text(w.question(audit))}</sub>"
    for note in p.notes:
        yield f"<br><sub>note: {_text(note)}</sub>"


def _variants(audit: Audit) -> Iterator[str]:
    """One row per variant."""
    rows = []
    for comparison in w.densest_first(audit):
        view = w.by_class(comparison)
        worst = w.worst(view)
        rows.append(
            [
                _name(comparison.pruned.name),
                w.kept(comparison),
                *(w.percent_sign(w.overall(view, name), 2) for name in ("dense_recall", "pruned_recall")),
                _text(w.change_of_accuracy(view, audit.provenance.settings)),
                w.ratio(w.overall(view, "intensification")),
                str(len(w.those(view, "verdict", [w.REGRESSED]))) if view else w.DASH,
                str(len(w.those(view, "distortion", w.HARMED))) if view else w.DASH,
                f"{_name(worst[0])} {worst[1]}" if worst else w.DASH,
                gate.outcome_of(audit, comparison) if audit.policy else "not asked for",
            ]
        )
    heads = ["variant", "density", "dense", "pruned", "change", "alpha", "regressed", "harmed", "worst class", "gate"]
    yield from _table(heads, rows, texts=(0, 4, 8, 9))


def _checks(audit: Audit) -> Iterator[str]:
    """What failed, could not be told or was waived; only where there is a gate, since else the tables say it."""
    if audit.policy is None:
        return
    told = gate.notable(audit, ("failed", "inconclusive", "waived"))
    rows = [
        [
            "warning" if check.level == "warn" and check.outcome == "failed" else check.outcome,
            check.rule,
            _name(name),
            _name(check.subject),
            _text(check.message),
        ]
        for name, check in told[:CHECKS]
    ]
    if rows:
        yield from _table(["check", "rule", "variant", "class", "why"], rows, texts=range(5))
    if len(told) > CHECKS:
        yield from (f"{len(told) - CHECKS:,} more checks of these kinds.", "")


def _variant(audit: Audit, comparison: Comparison) -> Iterator[str]:
    """The classes worst first: all that are flagged, or the first few; then what it means in words."""
    settings = audit.provenance.settings
    for view in comparison.views:
        title = _name(comparison.pruned.name) + ("" if view.by == "class" else f", by {_name(view.by)}")
        yield from (f"#### {title}", "")
        rows, marks = w.worst_first(view), classes.flagged(view)
        shown = rows[: max(ROWS, sum(marks))]
        heads = [view.by, "n", "dense", "pruned", "change", f"{w.limit(settings.confidence)} % interval"]
        yield from _table([*map(_text, heads), "lost", "gained", "verdict", "distortion"], list(_rows(view, shown)))
        if len(rows) > len(shown):
            yield from (f"{len(rows) - len(shown):,} more, none of them flagged.", "")
        said = [f"{what}: {text}" for what, text in w.model(view, settings)]
        said += [s for s in (w.fall(view, settings), w.collapse(view)) if s and view.by == "class"]
        said += [s for s in (w.drops(view, settings), w.distortions(view, settings)) if s]
        yield from (f"- {_text(sentence)}" for sentence in said)
        yield ""


def _rows(view: View, shown: Sequence[int]) -> Iterator[list[str]]:
    change, marks = w.find(view, "change"), classes.flagged(view)
    for i in shown:
        interval = w.between(change.low[i], change.high[i]) if change and change.low and change.high else w.DASH
        name = _name(view.strata[i])
        yield [
            f"**{name}**" if marks[i] else name,
            f"{view.pair.support[i]:,}",
            *(w.percent(w.column(view, side)[i]) for side in ("dense_recall", "pruned_recall")),
            w.points(w.column(view, "change")[i]),
            interval,
            f"{view.pair.lost[i]:,}",
            f"{view.pair.gained[i]:,}",
            *(_text(w.label(w.column(view, name)[i])) for name in ("verdict", "distortion")),
        ]


def _table(heads: Sequence[str], rows: list[list[str]], texts: Sequence[int] = (0, 8, 9)) -> Iterator[str]:
    """A table and the blank line behind it; the columns at ``texts`` hold words, the others numbers."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' if i in texts else '---:' for i in range(len(heads)))}|"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _name(name: str) -> str:
    """A name as it is: code, in which GitHub looks for no mentions; by a tag where Markdown's own mark would break."""
    return f"`{name}`" if re.fullmatch(r"[\w.,/:=+-]+( [\w.,/:=+-]+)*", name) else f"<code>{_escaped(name)}</code>"


def _text(text: str) -> str:
    """Prose without marks or tags; an empty character keeps an @ from calling somebody."""
    return re.sub(r"([@#])(?=\w)", "\\1\u200b", _escaped(text))


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", w.printable(text))


def _cut(lines: list[str]) -> list[str]:
    """``lines`` while there is room for them, and how many rows are missing behind them."""
    room, kept = MOST - 100, 0
    for line in lines:
        room -= len(line.encode("utf-8", "backslashreplace")) + 1
        if room < 0:
            break
        kept += 1
    if kept == len(lines):
        return lines
    missing = sum(line.startswith("| ") for line in lines[kept:])
    return [*lines[:kept], "", f"Cut here: {missing:,} more rows; the other reports have them."]

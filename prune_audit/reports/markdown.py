"""Markdown (.md): the audit for a pull request's comment or the summary of a CI job.

The verdict first, then one line per variant, what failed, and the classes that matter, worst first. It is cut by bytes
at the end of a line and then says what is missing: GitHub drops a longer text without a word, a comment beyond 65,536
characters and a job's summary beyond 1 MiB. Names are code, with every mark escaped, so that none is taken for a
mention, a link, a column or a tag.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prune_audit.core import BESIDE, CANNOT_TELL, FINE, HARMED, REGRESSED, Audit, Comparison, Look, View, lookup
from prune_audit.render import class_table as classes
from prune_audit.render import rounded, wording
from prune_audit.render.markdown import code, cut, prose, table
from prune_audit.reports import _gate as gate
from prune_audit.reports._words import words as words_of

SUFFIXES = (".md",)
MOST = 60_000  # bytes: a comment holds 65,536 characters
ROWS = 20  # of a table, if not more are flagged
CHECKS = 50  # that are told under a gate
SIGNS = {"passed": "✅", "failed": "❌", "inconclusive": "❔", "skipped": "ℹ️", "waived": "✅"}


def render(audit: Audit) -> str:
    """The text, of at most `MOST` bytes."""
    return "\n".join(cut(list(_lines(audit)), MOST)) + "\n"


def _lines(audit: Audit) -> Iterator[str]:
    against = code(audit.comparisons[0].dense.name)
    names = [code(comparison.pruned.name) for comparison in audit.comparisons]
    variants = names[0] if len(names) == 1 else rounded.several(len(names), "variant")
    yield f"### {SIGNS[audit.outcome]} prune-audit: {variants} against {against}"
    yield ""
    yield f"**{prose(' '.join([gate.told(audit), gate.sparsest(audit) or '']).strip())}**"
    yield ""
    for comparison in audit.comparisons:
        since = [said for look in comparison.looks if look.lens == BESIDE for said in _said(look)]
        yield from (f"- {prose(said)}" for said in (*since, *comparison.explained))
        yield from [""] if since or comparison.explained else []
    for doubt in audit.comparisons[0].doubts:
        yield f"> ⚠️ {prose(wording.doubted(audit, doubt))}"
        yield ""
    for said in wording.sequential(audit):
        yield from (f"- {prose(said)}", "")
    yield from _variants(audit)
    yield from _checks(audit)
    for comparison in gate.telling(audit):
        yield from _variant(audit, comparison)
        yield from _looks(comparison)
    p = audit.provenance
    data = f"{rounded.several(p.samples, *wording.things(audit))} of {code(p.data)}, digest {code(p.data_digest[:12])}"
    yield f"<sub>{data}; scope: {prose(wording.scope(audit))}</sub>"
    for said in wording.assumed(p.assumptions, wording.models(audit)):
        yield f"<br><sub>assumes {prose(said)}</sub>"
    for said in wording.densities(audit):
        yield f"<br><sub>density: {prose(said)}</sub>"
    for note in p.notes:
        yield f"<br><sub>note: {prose(note)}</sub>"


def _variants(audit: Audit) -> Iterator[str]:
    """One row per variant."""
    rows, one = [], wording.task(audit).stratum[0]
    for comparison in lookup.densest_first(audit.comparisons):
        view = lookup.by_class(comparison)
        worst = wording.worst(view)
        row = {
            "variant": code(comparison.pruned.name),
            "density": wording.kept(comparison),
            "dense": rounded.percent_sign(lookup.overall(view, "dense_recall"), 2),
            "pruned": rounded.percent_sign(lookup.overall(view, "pruned_recall"), 2),
            "change": prose(wording.change_of_accuracy(view, audit.provenance.settings)),
            "alpha": rounded.ratio(lookup.overall(view, "intensification")),
            "regressed": str(len(lookup.those(view, "verdict", [REGRESSED]))) if view else rounded.DASH,
            "harmed": str(len(lookup.those(view, "distortion", HARMED))) if view else rounded.DASH,
            f"worst {one}": f"{code(worst[0])} {worst[1]}" if worst else rounded.DASH,
            "gate": gate.short_outcome(audit, comparison) if audit.policy else "not asked for",
        }
        if view is not None and view.pair.sequential:
            fine, unsure = (f"{len(lookup.those(view, 'verdict', [word])):,}" for word in (FINE, CANNOT_TELL))
            row = {name: row[name] for name in ("variant", "density", "regressed")} | {
                "fine": fine,
                "cannot tell": unsure,
                f"worst {one}, at least": row[f"worst {one}"],
                "gate": row["gate"],
            }
        rows.append(row)
    heads = list(rows[0])
    texts = [at for at, name in enumerate(heads) if name in ("variant", "change", "gate") or name.startswith("worst")]
    yield from table(heads, [list(row.values()) for row in rows], texts=texts)


def _checks(audit: Audit) -> Iterator[str]:
    """What failed, could not be told or was waived; only where there is a gate, since else the tables say it."""
    if audit.policy is None:
        return
    told = gate.notable(audit, ("failed", "inconclusive", "waived"))
    rows = [
        [
            "warning" if check.level == "warn" and check.outcome == "failed" else check.outcome,
            prose(check.rule),
            code(name),
            code(check.subject),
            prose(check.message),
        ]
        for name, check in told[:CHECKS]
    ]
    if rows:
        yield from table(["check", "rule", "variant", wording.task(audit).stratum[0], "why"], rows, texts=range(5))
    if len(told) > CHECKS:
        yield from (f"{len(told) - CHECKS:,} more checks of these kinds.", "")


def _variant(audit: Audit, comparison: Comparison) -> Iterator[str]:
    """The classes worst first: all that are flagged, or the first few; then what it means in words."""
    settings = audit.provenance.settings
    for view in comparison.views:
        title = code(comparison.pruned.name) + ("" if view.by == "class" else f", by {code(view.by)}")
        yield from (f"#### {title}, worst first", "")
        rows, marks = lookup.worst_first(view), classes.flagged(view)
        shown = rows[: max(ROWS, sum(marks))]
        sure = f"{rounded.limit(settings.confidence)} % interval"
        heads = [prose(lookup.heading(view)), "n", "dense", "pruned", "change", sure]
        heads += ["lost", "gained", "verdict", wording.PAID]
        if view.pair.sequential:
            heads = ["class", "n", "spared", f"{rounded.limit(settings.confidence)} % sequence of the change"]
            heads += ["lost", "gained", "e (regressed)", "e (fine)", "verdict"]
        rows_of = _sequential_rows if view.pair.sequential else _rows
        texts = [at for at, name in enumerate(heads) if not at or name in ("verdict", wording.PAID)]
        yield from table(heads, list(rows_of(view, shown)), texts=texts)
        if len(rows) > len(shown):
            yield from (f"{len(rows) - len(shown):,} more, none of them flagged.", "")
        yield from ((f"<sub>{prose(words)}</sub>", "") if (words := words_of(view, shown, settings)) else ())
        said = [f"{what}: {text}" for what, text in wording.model(view, settings)]
        said += [s for s in (wording.fall(view, settings), wording.collapse(view)) if s and view.by == "class"]
        said += [s for s in (wording.drops(view, settings), wording.distortions(view, settings)) if s]
        yield from (f"- {prose(sentence)}" for sentence in said)
        yield ""


def _said(look: Look) -> tuple[str, ...]:
    return look.sentences if look.absent is None else (f"Nothing was seen: {look.absent}",)


def _looks(comparison: Comparison) -> Iterator[str]:
    """What lenses saw of a variant: their sentences, and the first rows of their tables."""
    for look in comparison.looks:
        yield from (f"#### {code(look.lens)}: {prose(look.title)}", "")
        if look.lens != BESIDE:  # what that says stands above
            yield from (f"- {prose(sentence)}" for sentence in _said(look))
            yield ""
        for each in (made.spread for made in look.tables if not made.detail):
            heads = [prose(rounded.headed(field.title, field.unit)) for field in each.fields]
            units = [field.unit for field in each.fields]
            rows = [
                [prose(rounded.in_unit(unit, value)) for unit, value in zip(units, row, strict=True)]
                for row in each.rows[:ROWS]
            ]
            yield from (f"{prose(each.title)}:", "")
            yield from table(heads, rows, texts=[at for at, unit in enumerate(units) if unit == "label"])
            if len(each.rows) > ROWS:
                yield from (f"{len(each.rows) - ROWS:,} more rows.", "")


def _sequential_rows(view: View, shown: Sequence[int]) -> Iterator[list[str]]:
    """What holds of a class whose drawing stopped once it was settled."""
    change, marks = view.measure("change"), classes.flagged(view)
    for i in shown:
        name = code(view.strata[i])
        yield [
            f"**{name}**" if marks[i] else name,
            f"{view.pair.support[i]:,}",
            rounded.count(lookup.column(view, "samples_spared")[i]),
            rounded.between(change.low[i], change.high[i]),
            f"{view.pair.lost[i]:,}",
            f"{view.pair.gained[i]:,}",
            *(rounded.ratio(lookup.column(view, name)[i]) for name in ("e_regressed", "e_fine")),
            prose(rounded.label(lookup.column(view, "verdict")[i])),
        ]


def _rows(view: View, shown: Sequence[int]) -> Iterator[list[str]]:
    change, marks = lookup.find(view, "change"), classes.flagged(view)
    for i in shown:
        interval = (
            rounded.between(change.low[i], change.high[i]) if change and change.low and change.high else rounded.DASH
        )
        name = code(view.strata[i])
        yield [
            f"**{name}**" if marks[i] else name,
            f"{view.pair.support[i]:,}",
            *(rounded.percent(lookup.column(view, side)[i]) for side in ("dense_recall", "pruned_recall")),
            rounded.points(lookup.column(view, "change")[i]),
            interval,
            f"{view.pair.lost[i]:,}",
            f"{view.pair.gained[i]:,}",
            prose(rounded.label(lookup.column(view, "verdict")[i])),
            prose(wording.paid(lookup.column(view, "distortion")[i])),
        ]

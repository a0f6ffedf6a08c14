"""What a reader sees first: the verdict, who was harmed, by how much, and how sure that is.

The gate has the last word of the section, below what these data could not rule out, so that a pass is never read alone;
what to do next follows it.
"""

from __future__ import annotations

from dataclasses import dataclass

from prune_audit.core import CANNOT_TELL, HARMED, REGRESSED, Audit, Comparison, Outcome, Value, View, lookup
from prune_audit.render import rounded, wording
from prune_audit.render.page import Head, commands, prose, table, text, word
from prune_audit.reports import _gate as gate
from prune_audit.reports import _page_story as story

CARDS = 6  # findings that are told in full before the table

BANNERS: dict[Outcome, tuple[str, str]] = {
    "failed": ("bad", "The gate failed"),
    "inconclusive": ("unsure", "The gate could not be settled"),
    "passed": ("good", "The gate passed: no failure was shown, which is no clearance"),
    "waived": ("unsure", "The gate was waived"),
}


@dataclass(frozen=True, slots=True)
class _Finding:
    """A class or group that regressed or was harmed, and by how much."""

    variant: int
    view: View
    position: int
    change: float


def verdict(audit: Audit) -> str:
    """The first section of the page."""
    look, said = banner(audit)
    parts = [
        f'<p class="banner unsure">{prose(wording.doubted(audit, doubt))}</p>' for doubt in audit.comparisons[0].doubts
    ]
    one = audit.comparisons[0] if len(audit.comparisons) == 1 else None
    view = lookup.by_class(one) if one else None
    if view is not None:
        parts += [f"<p>{prose(sentence)}</p>" for sentence in sentences(view, audit)]
    else:
        parts.append(summary(audit))
    parts.append(_cards(audit))
    last = (gate.told(audit), gate.sparsest(audit))
    parts += [f'<p class="gate">{commands(said)}</p>' for said in last if said]
    parts += [
        f'<p class="next">{text(said)}<br><code>{text(command)}</code></p>'
        for said, command in wording.next_steps(audit, None)
    ]
    return (
        f'<section id="verdict" class="first" aria-labelledby="verdict-title">'
        f'<h2 id="verdict-title" class="banner {look}">{text(said)}</h2>\n' + "\n".join(parts) + "</section>\n"
    )


def banner(audit: Audit) -> tuple[str, str]:
    """How the verdict looks, and what it says; where there is no gate, what was found."""
    p = audit.provenance
    if audit.outcome in BANNERS:
        return BANNERS[audit.outcome]
    views = [view for comparison in audit.comparisons for view in comparison.views if view.by == "class"]
    lost, harmed, unsure = (
        max((len(lookup.those(view, name, verdicts)) for view in views), default=0)
        for name, verdicts in (
            ("verdict", [REGRESSED]),
            ("distortion", HARMED),
            ("verdict", [CANNOT_TELL]),
        )
    )
    harm = "" if any(view.pair.sequential for view in views) else f" {harmed:,} harmed,"
    said = f"{rounded.several(lost, *lookup.noun(views[0]))} regressed,{harm} {unsure:,} undecided"
    most = "Up to " if len(views) > 1 else ""
    no_gate = (
        f"a sample only, {p.samples:,} of {p.available:,}: this never gates" if p.limited else "no gate was asked for"
    )
    return "bad" if lost or harmed else "unsure", f"{most}{said}; {no_gate}"


def sentences(view: View, audit: Audit) -> list[str]:
    """What is to be said of a view, the most important first."""
    settings = audit.provenance.settings
    whole = (wording.collapse(view), wording.fall(view, settings)) if view.by == "class" else ()
    found = [said for said in (*whole, wording.drops(view, settings), wording.distortions(view, settings)) if said]
    found += [f"{said[0].upper()}{said[1:]}." for said in wording.sequential(audit)] if view.by == "class" else []
    worst = [f"{said[0].upper()}{said[1:]}." for name, said in wording.model(view, settings) if name == "at worst"]
    return [*found, *worst]


def _findings(audit: Audit) -> list[_Finding]:
    """Every finding of every variant and view, the largest loss first."""
    found = []
    for n, comparison in enumerate(audit.comparisons):
        for view in comparison.views:
            change, drop, harm = lookup.moves(view), lookup.column(view, "verdict"), lookup.column(view, "distortion")
            for i, moved in enumerate(change):
                if isinstance(moved, (int, float)) and (drop[i] == REGRESSED or harm[i] in HARMED):
                    found.append(_Finding(n, view, i, moved))
    return sorted(found, key=lambda finding: finding.change)


def _cards(audit: Audit) -> str:
    """The worst findings, one card each, and where the others are."""
    found = _findings(audit)
    if not found:
        return ""
    cards = "".join(_card(finding, audit) for finding in found[:CARDS])
    one, many = lookup.noun(audit.comparisons[0].views[0])
    if any(finding.view.by != "class" for finding in found):
        one, many = f"{one} or group", f"{many} and groups"
    rest = len(found) - CARDS
    more = f"<p>{rest:,} more {one if rest == 1 else many} lost: see the tables below.</p>" if rest > 0 else ""
    return f'<h3>{many.capitalize()} that lost most</h3>\n<ul class="cards">\n{cards}</ul>\n{more}'


def _card(finding: _Finding, audit: Audit) -> str:
    view, i = finding.view, finding.position

    def value(name: str) -> Value:
        return lookup.column(view, name)[i]

    change = lookup.find(view, "change")
    interval = rounded.between(change.low[i], change.high[i]) if change and change.low and change.high else rounded.DASH
    before, after = rounded.percent(value("dense_recall")), rounded.percent(value("pruned_recall"))
    comparison = audit.comparisons[finding.variant]
    name = text(view.strata[i] if view.by == "class" else f"{view.by}: {view.strata[i]}")
    if view.by == "class" and i in story.told(audit, comparison):
        name = story.link(finding.variant, i, view.strata[i])
    of = f'<span class="of">{text(comparison.pruned.name)}</span>' if len(audit.comparisons) > 1 else ""
    words = " ".join(word(said) for said in (value("verdict"), value("distortion")) if said in (REGRESSED, *HARMED))
    confidence = rounded.limit(audit.provenance.settings.confidence)
    n, lost, gained = (int(getattr(view.pair, name)[i]) for name in ("support", "lost", "gained"))
    counts = f"{lost:,} of {rounded.several(n, *lookup.things(view))} lost, {gained:,} gained"
    if view.pair.sequential:  # the least that is shown, and no recall
        unit, bar, sure = "or worse", "", f"{confidence} % confidence sequence {interval}"
    else:
        unit, sure = "points", f"{confidence} % interval {interval}"
        bar = f'<p class="bar" style="--d:{before}%;--p:{after}%"></p>'
        counts = f"{lookup.rate(view).capitalize()} {before} % → {after} %: {counts}"
    return (
        f'<li class="card"><p class="name">{name} {of}</p>'
        f'<p class="by">{rounded.points(finding.change)} <small>{unit}</small></p>'
        f'<p class="sure">{prose(sure)}</p>'
        f"{bar}"
        f"<p>{prose(counts)}</p>"
        f"<p>{words}</p></li>\n"
    )


def _columns(audit: Audit) -> dict[str, Head]:
    """The columns of the summary, without those of which nothing is known."""
    (one, many), overall = wording.task(audit).stratum, wording.task(audit).overall
    columns = {
        "density": Head(title="density", meaning="weights that are left, of the dense model's"),
        "overall": Head(title=overall),
        "change": Head(title="change", meaning=f"of {overall}, in points"),
        "regressed": Head(title="regressed", meaning=f"{many} shown to have lost more than the margin"),
        "harmed": Head(title="harmed", meaning=f"{many} shown to have paid more than the rest"),
        "cannot tell": Head(title="cannot tell", meaning=f"{many} too small for a verdict on their loss"),
        "at worst": Head(title="at worst", meaning=f"no {one} lost more, for all {many} at once"),
    }
    sequential = any(view.pair.sequential for comparison in audit.comparisons for view in comparison.views)
    missing = {"overall", "change", "harmed", "at worst"} if sequential else set[str]()
    if all(comparison.kept is None for comparison in audit.comparisons):
        missing.add("density")
    return {name: head for name, head in columns.items() if name not in missing}


def summary(audit: Audit, *, linked: bool = True) -> str:
    """One row for each of several variants; ``linked`` to their sections of the page."""
    heads = [
        Head(title="variant", number=False),
        # A telephone cuts what is on the right.
        *([Head(title="gate", number=False)] if audit.policy is not None else []),
        *_columns(audit).values(),
    ]
    rows = [_summary_row(audit, comparison, linked) for comparison in lookup.densest_first(audit.comparisons)]
    return table(f"{len(rows)} variants, {wording.order(audit)}", heads, rows)


def _summary_row(audit: Audit, comparison: Comparison, linked: bool) -> str:
    view = lookup.by_class(comparison)

    def count(name: str, verdicts: tuple[str, ...], look: str) -> str:
        if view is None or lookup.find(view, name) is None:
            return rounded.DASH
        n = len(lookup.those(view, name, verdicts))
        return f'<span class="is {look}">{n:,}</span>' if n else "0"

    change = lookup.find(view, "change")
    interval = rounded.between(change.overall_low, change.overall_high, 2) if change else rounded.DASH
    cells = {
        "density": wording.kept(comparison),
        "overall": rounded.percent_sign(lookup.overall(view, "pruned_recall"), 2),
        "change": f"{rounded.points(lookup.overall(view, 'change'), 2)} <small>({interval})</small>",
        "regressed": count("verdict", (REGRESSED,), "bad"),
        "harmed": count("distortion", HARMED, "bad"),
        "cannot tell": count("verdict", (CANNOT_TELL,), "unsure"),
        "at worst": f"-{rounded.percent(worst)}"
        if (worst := lookup.overall(view, "worst_plausible_drop")) is not None
        else rounded.DASH,
    }
    outcome = ""
    if audit.policy is not None:
        verdict, comma, waived = gate.short_outcome(audit, comparison).partition(",")
        outcome = f'<td class="l">{word(verdict)}{text(comma + waived)}</td>'
    name = text(comparison.pruned.name)
    if linked:
        name = f'<a href="#variant-{audit.comparisons.index(comparison)}">{name}</a>'
    return (
        f'<tr><th scope="row">{name}</th>{outcome}'
        + "".join(f"<td>{cells[name]}</td>" for name in _columns(audit))
        + "</tr>"
    )

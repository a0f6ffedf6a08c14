"""A class's own story on the page: its change and how sure it is, where its samples went, what they look like.

Every story is in the HTML, hidden until its address is asked for (``#class-0-7``). Browsers do that by themselves, so
that a link, the keyboard, the way back and a bookmark open it without a script, too; its pictures are loaded by then.
Where classes are too many for a page, the worst have a story.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prune_audit.core import Audit, Comparison, Flip, Value, View, lookup
from prune_audit.render import class_table, rounded, wording
from prune_audit.render.gallery import Picture, alike
from prune_audit.render.page import commands, facts, fold, prose, text, word
from prune_audit.reports._page_large import WORST

STORIES = 1_000  # of one variant; of several half as many together, since each brings charts of its own
FLOWS = 12  # of a story, one by one


@dataclass(slots=True)
class _Flow:
    """Samples of a class that one model takes for ``dense`` and the other for ``pruned``; as many as are known of."""

    dense: str
    pruned: str
    number: int = 0
    flips: list[Flip] = field(default_factory=list)

    def went(self, label: str) -> str:
        """What pruning did to these samples of the class ``label``."""
        return "lost" if self.dense == label else "gained" if self.pruned == label else "wrong in both"


def told(audit: Audit, comparison: Comparison) -> frozenset[int]:
    """The positions of the classes of ``comparison`` that have a story."""
    view = lookup.by_class(comparison)
    variants = len(audit.comparisons)
    most = STORIES if variants == 1 else max(WORST, STORIES // (2 * variants))
    return frozenset(lookup.worst_first(view)[:most] if view else ())


def link(position: int, i: int, name: str) -> str:
    """The ``name`` of the class at ``i`` of the comparison at ``position``, as a link to its story."""
    return f'<a href="#{_anchor(position, i)}">{text(name)}</a>'


def _anchor(position: int, i: int) -> str:
    return f"class-{position}-{i}"


def stories(audit: Audit, position: int, back: str) -> str:
    """The stories of the comparison at ``position``; ``back`` is the identifier of the table that leads to them."""
    comparison = audit.comparisons[position]
    view = lookup.by_class(comparison)
    if view is None:
        return ""
    flows, seen = _flows(comparison, view), _seen(comparison)
    short = {each.stratum: each for each in lookup.short([comparison])}
    confidence = rounded.limit(audit.provenance.settings.confidence)
    of = f" <small>of {text(comparison.pruned.name)}</small>" if len(audit.comparisons) > 1 else ""
    flagged, why = class_table.flagged(view), _why(comparison)
    made = []
    for i in sorted(told(audit, comparison)):
        name, label = _anchor(position, i), view.strata[i]
        parts = [
            f'<section class="story" id="{name}" tabindex="-1" aria-labelledby="{name}-title">\n'
            f'<h3 id="{name}-title">{text(label)}{of}</h3>\n',
            *_measured(view, i, confidence),
            why if flagged[i] else "",
            _plan(view, short.get(label)),
            _went(view, label, flows[i]),
            *(
                fold(title, f"{facts(rows)}<p>{_to_look(position, lens)}</p>\n")
                for lens, title, rows in seen.get(label, ())
            ),
            f'<p><a class="close" href="#{back}">Back to the {lookup.noun(view)[1]}</a></p></section>\n',
        ]
        made.append("".join(parts))
    return "".join(made)


def _measured(view: View, i: int, confidence: str) -> Iterator[str]:
    """The verdict, the change with its interval, and the counts that it comes from."""

    def value(name: str) -> Value:
        return lookup.column(view, name)[i]

    pair, change, rate = view.pair, lookup.find(view, "change"), lookup.rate(view)
    reason = value("reason")
    verdict, harm = value("verdict"), value("distortion")
    yield f"<p>{word(verdict)}</p>\n" if verdict is not None else ""
    asked = f"{wording.PAID[0].upper()}{wording.PAID[1:]}"
    yield f"<p>{text(asked)} {word(harm, wording.paid(harm))}</p>\n" if harm is not None else ""
    before, after, moved = value("dense_recall"), value("pruned_recall"), value("change")
    low, high = (limits[i] if limits else None for limits in (change.low, change.high)) if change else (None, None)
    kind = "confidence sequence" if pair.sequential else "interval"
    sure = f"{confidence} % {kind} {rounded.between(low, high)}" if low is not None or high is not None else ""
    if isinstance(before, float) and isinstance(after, float):
        band = {"d": before, "p": after}
        if low is not None and high is not None:
            band |= {"l": max(0.0, before + low), "h": min(1.0, before + high)}
        style = ";".join(f"--{key}:{rounded.percent(share)}%" for key, share in band.items())
        yield f'<p class="bar" style="{style}"></p>\n'
        rates = f"{rate.capitalize()} {rounded.percent(before)} % → {rounded.percent_sign(after)}"
        said = f"{rates}, {rounded.points(moved)} points"
        yield '<p class="reading">Tick: dense model. Bar: pruned model. Band: where it may lie.</p>\n'
        yield f"<p>{prose(said)}{f' ({prose(sure)})' if sure else ''}.</p>\n"
    elif sure:
        yield f"<p>{prose(f'Change of {rate}: {sure}')}.</p>\n"
    yield f"<p>{prose(f'{reason[0].upper()}{reason[1:]}')}.</p>\n" if isinstance(reason, str) and reason else ""
    n, both, lost, gained, neither = (
        int(getattr(pair, name)[i]) for name in ("support", "both", "lost", "gained", "neither")
    )
    things = rounded.several(n, *lookup.things(view))
    yield f"<p>{things}: {both:,} right in both, {lost:,} lost, {gained:,} gained, {neither:,} wrong in both.</p>\n"


def _why(comparison: Comparison) -> str:
    """What explains who lost, for the stories of those that did; '' where no lens looked. Who lost, a story knows."""
    said = "".join(f"<p>{commands(sentence)}</p>\n" for sentence in comparison.explained[1:])
    return f"<h4>What explains who lost</h4>\n{said}" if said else ""


def _plan(view: View, short: lookup.Short | None) -> str:
    """What it would take to tell, as ``prune-audit plan`` says it."""
    if short is None or (short.needed is None and not short.why):
        return ""
    things = lookup.things(view)[1]
    if short.needed is None:
        return f"<p>To settle it: {text(short.why)}.</p>\n"
    return (
        f"<p>To settle it: about {short.needed:,} {things} of it, {short.more:,} more than there are "
        "(<code>prune-audit plan</code>).</p>\n"
    )


def _went(view: View, label: str, flows: list[_Flow]) -> str:
    """Where the samples of a class went, the most first, with pictures of those that were kept."""
    if not flows:
        return ""
    things = lookup.things(view)
    listed = []
    for flow in flows[:FLOWS]:
        answers = " → ".join(
            f"<b>{text(answer)}</b>" if answer == label else text(answer) for answer in (flow.dense, flow.pruned)
        )
        number = rounded.several(flow.number, *things) if flow.number else f"{len(flow.flips):,} kept"
        listed.append(f"<li><p>{answers}: {number}, {flow.went(label)}</p>\n{_samples(flow.flips)}</li>\n")
    left = flows[FLOWS:]
    more = rounded.several(sum(flow.number for flow in left), *things)
    rest = f'<p class="reading">{more} more went {len(left):,} other ways.</p>\n' if left else ""
    return f'<h4>Where its {things[1]} went, dense → pruned</h4>\n<ul class="flows">\n{"".join(listed)}</ul>\n{rest}'


def _samples(flips: list[Flip]) -> str:
    """Kept samples of one flow: pictures, and the names of those that have none."""
    drawn = alike(
        [
            Picture(image=each.thumbnail, id=each.id, label=each.label, dense=each.dense, pruned=each.pruned)
            for each in flips
            if each.thumbnail
        ]
    )
    bare = [each.id for each in flips if not each.thumbnail]
    return drawn + (f'<p class="reading">{text(rounded.listed(bare))}</p>\n' if bare else "")


def _flows(comparison: Comparison, view: View) -> Mapping[int, list[_Flow]]:
    """By class, what its samples were taken for where that changed, and those samples that were kept."""
    found: dict[int, dict[tuple[str, str], _Flow]] = defaultdict(dict)
    answers, at = view.pair.answers, {label: i for i, label in enumerate(view.strata)}
    if not view.pair.sequential and "answers" not in view.pair.task.lacks:
        for i, a, b, n in view.pair.moves.tolist():
            found[i][answers[a], answers[b]] = _Flow(dense=answers[a], pruned=answers[b], number=n)
    for flip in comparison.flips:
        if (i := at.get(flip.label)) is not None:
            flow = found[i].setdefault((flip.dense, flip.pruned), _Flow(dense=flip.dense, pruned=flip.pruned))
            flow.flips.append(flip)
    ordered = {i: sorted(flows.values(), key=lambda flow: -flow.number) for i, flows in found.items()}
    return defaultdict(list, ordered)


def _seen(comparison: Comparison) -> Mapping[str, list[tuple[str, str, list[tuple[str, str]]]]]:
    """By class, what lenses say of it in the one row that it has of their tables: lens, title, and facts."""
    found: dict[str, list[tuple[str, str, list[tuple[str, str]]]]] = defaultdict(list)
    for look in comparison.looks:
        for table in look.tables:
            if "class" not in (names := [each.name for each in table.fields]):
                continue
            of = table.column("class")
            if len(set(of)) < len(of):
                continue
            for row in table.rows:
                told = [
                    (each.title, rounded.in_unit(each.unit, value))
                    for each, value in zip(table.fields, row, strict=True)
                    if each.name != "class" and value is not None
                ]
                found[str(row[names.index("class")])].append((look.lens, f"{look.title} {table.title}", told))
    return found


def _to_look(position: int, lens: str) -> str:
    return f'<a href="#look-{position}-{text(lens)}">All of {text(lens)}</a>'

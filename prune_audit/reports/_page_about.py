"""The end of the page: what the gate looked at, how to read the words, and what was measured with what."""

from __future__ import annotations

from collections.abc import Sequence

from prune_audit.core import Audit, ModelCard
from prune_audit.core.requests import told
from prune_audit.render import guide, rounded, wording
from prune_audit.render.page import Head, facts, fold, table, text, word
from prune_audit.reports import _gate as gate
from prune_audit.reports._page_large import large

CHECKS = 200  # that are listed
FEW = 20  # where there are too many classes for a page
GUIDE = (  # the sections of the guide that the page holds
    "the-words",
    "cannot-tell-and-what-to-do-about-it",
    "a-pass-is-not-clearance",
    "alpha-and-how-it-misleads",
    "keep-the-audit-data-clean",
    "groups-who-not-only-which-class",
    "choosing-among-several-variants",
    "what-an-audit-answers-and-what-not",
)


def checks(audit: Audit) -> str:
    """The checks that did not pass, the worst first; nothing where there was no gate."""
    if audit.policy is None or audit.provenance.limited:
        return ""
    told = gate.notable(audit, ("failed", "inconclusive", "waived"))
    every = [check for comparison in audit.comparisons for check in comparison.checks]
    most = FEW if large(audit) else CHECKS
    heads = [Head(title=name, number=False) for name in ("outcome", "rule", "variant", "of", "why")]
    rows = []
    for name, check in told[:most]:
        said = "warning" if check.level == "warn" else check.outcome
        cells = [text(check.rule), text(name), text(check.subject), text(check.message)]
        rows.append(
            f'<tr><td class="l">{word(said)}</td>' + "".join(f'<td class="l">{c}</td>' for c in cells) + "</tr>"
        )
    kinds = {check.outcome: sum(other.outcome == check.outcome for other in every) for check in every}
    counted = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
    more = f"<p>The JSON file has {len(told) - most:,} more.</p>" if len(told) > most else ""
    body = table("Checks that did not pass, the worst first", heads, rows, kind="sorts") if rows else ""
    return (
        f'<section id="checks" aria-labelledby="checks-title"><h2 id="checks-title">What the gate looked at</h2>\n'
        f"<p>Policy {text(audit.policy.name)}: {rounded.several(len(every), 'check')}, {counted or 'none'}.</p>\n"
        f"{body}{more}</section>\n"
    )


def words(audit: Audit) -> str:
    """What the words mean, in short, and behind that the sections of the guide that say how to decide on them."""
    settings, task = audit.provenance.settings, wording.task(audit)
    (one, many), things, overall = task.stratum, task.thing[1], task.overall
    recall, within, _ = task.rates
    in_group = "" if within == recall else f" Within a group it is the {within}."
    margin, assure = rounded.loss(settings.margin), rounded.loss(settings.assure)
    kept, sure = rounded.limit(settings.retention_margin), rounded.limit(settings.confidence)
    drop = [
        (
            "regressed",
            f"A loss of more than {margin} is shown, even after allowing for how many {many} were looked at.",
        ),
        ("fine", f"A loss of more than {assure} is ruled out. It does not say that nothing was lost."),
        (
            "cannot tell",
            f"These {things} show neither. This is not a soft fine: collect more {things} of just these {many}.",
        ),
    ]
    harm = [
        ("intensified", "Harmed, and shown to be weak before: what pruning is known for. Look here first."),
        ("flipped", "Harmed: shown to be strong before, and weak now."),
        ("created", "Harmed: shown to stand level with the model before."),
        ("harmed", f"Shown to have kept less than {kept} % of what the rest of the model kept."),
        ("cannot tell", f"The {things} neither show that nor rule it out, as in a small {one} without a flip."),
        ("no harm shown", f"That is ruled out; or only the rest gained, and the {one} lost nothing on balance."),
        ("levelled down, held better", "Descriptions, which decide nothing: nearer to the rest, or kept more than it."),
    ]
    terms = [
        (recall, f"Of all {things} of a {one}, the share that a model gets right.{in_group}"),
        ("lost, gained", "The dense model was right and the pruned one is wrong; the reverse."),
        ("points", "Differences of percentages: from 97 % to 95 % is 2 points."),
        (
            f"{sure} % interval",
            f"The values that the {things} do not rule out. Read its ends, not the number in the middle.",
        ),
        (
            "alpha",
            f"A slope: how far off {overall} a {one} stands now, for each step that it stood off before, on average. "
            "It does not say whether gaps grew. Quote it only with its interval, and where r^2 is near 1.",
        ),
        (
            "gaps",
            f"How far the {many} lie apart, relative to {overall}: above 1 the spread of their balances grew, below "
            "1 it shrank. It is said only where the whole interval lies on one side of 1.",
        ),
        (
            "a pass",
            f"Says that no failure was shown with these data. It is no clearance: see what no {one} lost more than.",
        ),
    ]
    if settings.until_settled:
        terms += [
            (
                "confidence sequence",
                f"The values that the samples do not rule out, with {sure} % confidence at all times at once: it may "
                "be looked at again and again, and drawing may stop because of it.",
            ),
            (
                "e (regressed), e (fine)",
                "What a capital of 1 has become that was bet on the samples, at odds that are fair if the class lost "
                f"just {margin} or {assure}. From {2 / (1 - settings.confidence):.6g} on it decides; regressed must "
                "hold for the list of classes, too.",
            ),
        ]
    return (
        '<section id="words" aria-labelledby="words-title"><h2 id="words-title">How to read this</h2>\n'
        + fold(f"Verdict: has this {one} lost more than the margin?", facts(drop) + _more(GUIDE[0], GUIDE[1]))
        + fold("Distortion: did it pay more than the rest of the model?", facts(harm) + _more(GUIDE[0], GUIDE[5]))
        + fold("Other words", facts(terms) + _more(GUIDE[3], GUIDE[2]))
        + '<h3 id="guide">How to decide: from the guide</h3>\n'
        + "<p>Its figures are of another audit, of networks that read handwritten digits.</p>\n"
        + "".join(
            fold(each.title, f'<div class="guide">\n{content}</div>\n', paper=False, name=f"guide-{each.anchor}")
            for each, content in guide.embedded(GUIDE)
        )
        + "<p>The whole guide, with every column of the CSV file: <code>prune-audit guide</code>.</p></section>\n"
    )


def _more(*anchors: str) -> str:
    """Links to sections of the guide below."""
    titles = {each.anchor: each.title for each in guide.sections()}
    links = (f'<a href="#guide-{anchor}">{text(titles[anchor])}</a>' for anchor in anchors)
    return f"<p>From the guide: {'; '.join(links)}.</p>\n"


def measured(audit: Audit) -> str:
    """What was measured with what: models, data, settings, versions."""
    p = audit.provenance
    data = [
        ("data", p.data),
        (wording.things(audit)[1], f"{p.samples:,} of {p.available:,}" + (" (a sample only)" if p.limited else "")),
        ("digest", p.data_digest),
        ("inputs", wording.inputs(audit)),
        *(("assumes", said) for said in wording.assumed(p.assumptions, wording.models(audit))),
        ("scope", wording.scope(audit)),
        *(("density", said) for said in wording.densities(audit)),
        *(("counted", said) for said in wording.counted(audit)),
        *(("settled", said) for said in wording.sequential(audit)),
        *(("skipped", f"{sample}: {reason}") for sample, reason in p.skipped),
        *(("note", note) for note in p.notes),
        *([("baseline", audit.baseline)] if audit.baseline else []),
    ]
    cards = {card.name: card for c in audit.comparisons for card in (c.dense, c.pruned)}
    models = _models(tuple(cards.values()))
    settings = [(name, _plain(getattr(p.settings, name))) for name in told(p.settings)]
    versions = [(name, version) for name, version in p.versions.items()]
    run = [(name, _plain(value)) for name, value in p.run.items()]
    return (
        '<section id="measured" aria-labelledby="measured-title"><h2 id="measured-title">What was measured</h2>\n'
        + facts(data)
        + models
        + fold("Settings", facts(settings))
        + fold("Versions", facts(versions))
        + (fold("This run", facts(run)) if run else "")
        + "</section>\n"
    )


def _plain(value: object) -> str:
    return rounded.DASH if value in (None, (), "") else str(value)


def _count(value: int | None) -> str:
    return rounded.DASH if value is None else f"{value:,}"


def _models(cards: Sequence[ModelCard]) -> str:
    """The table of the models, without the numbers that are known of none."""
    numbers = [
        (Head(title="density"), [wording.density(card) for card in cards]),
        (Head(title="weights"), [_count(sum(layer.total for layer in card.layers) or None) for card in cards]),
        (Head(title="parameters"), [_count(card.parameters) for card in cards]),
        (Head(title="bytes"), [_count(card.size) for card in cards]),
        (Head(title="compressed"), [_count(card.compressed) for card in cards]),
        (
            Head(title="multiply-adds", meaning="of one forward pass, zeros counted"),
            [_count(card.macs) for card in cards],
        ),
    ]
    known = [(head, cells) for head, cells in numbers if set(cells) != {rounded.DASH}]
    heads = [
        *(Head(title=name, number=False) for name in ("model", "format", "file")),
        *(head for head, _ in known),
        Head(title="SHA-256", number=False),
    ]
    rows = [
        f'<tr><th scope="row">{text(card.name)}</th><td class="l">{text(card.format)}</td>'
        f'<td class="l">{text(card.path + (f"@{card.factory}" if card.factory else ""))}</td>'
        + "".join(f"<td>{cells[at]}</td>" for _, cells in known)
        + f'<td class="l digest">{text(card.digest)}</td></tr>'
        for at, card in enumerate(cards)
    ]
    return table("Models", heads, rows)

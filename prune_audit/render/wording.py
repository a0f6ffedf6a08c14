"""What an audit says in plain words and rounded numbers, shared by the reports and charts that people read.

A pass never reads as clearance: what the data could not rule out stands beside what they showed. Numbers are rounded
here and nowhere else, and nothing is computed beyond counting verdicts.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import PurePath

from prune_audit.core import (
    BESIDE,
    CANNOT_TELL,
    DATA,
    HARMED,
    REGRESSED,
    SPARED,
    Assumption,
    Audit,
    Comparison,
    ModelCard,
    Settings,
    Task,
    Value,
    View,
    lookup,
)
from prune_audit.core.lookup import column, find, moves, noun, short, those, worst_first
from prune_audit.core.requests import of_tasks
from prune_audit.printable import printable
from prune_audit.render.rounded import (
    DASH,
    between,
    label,
    limit,
    listed,
    loss,
    percent,
    percent_sign,
    points,
    ratio,
    several,
)

SUSPECT = "suspect"  # how the reason begins where a class would have regressed, had it been the only one
COLLECTED = 3  # classes whose missing samples are named
PAID = "paid more than the rest?"  # heads the column of the verdicts on harm, which answer it
TRAINING = "TRAINING_DATA"  # stands in a command for a path that no audit knows
FEW = "too few"  # how the reason begins where more samples would tell
GREW, SHRANK = "grew", "shrank"  # gaps between classes, by the ratio of spreads alone
DENSEST_FIRST = "the densest first"
AS_GIVEN = "in the order given, because densities are unknown"
ONE_LINE = 0.5  # r^2 below which one line through the classes describes too few of them to be read


def paid(value: Value) -> str:
    """A verdict on harm as the answer to `PAID`, under which it stands: a class may have regressed and held better."""
    answer = "yes: " if value in HARMED else "no: " if value in SPARED else ""
    return f"{answer}{label(value)}"


def inputs(audit: Audit) -> str:
    """What was done to the inputs of the models."""
    preprocess = audit.provenance.preprocess
    if preprocess is not None:
        return preprocess.describe()
    cards = [card for comparison in audit.comparisons for card in (comparison.dense, comparison.pruned)]
    return "none: predictions made elsewhere" if _recorded(cards) else "fed as they are"


def models(audit: Audit) -> list[str]:
    """The names of all models of ``audit``, the dense one first."""
    return [audit.comparisons[0].dense.name, *(comparison.pruned.name for comparison in audit.comparisons)]


def _recorded(cards: Collection[ModelCard]) -> bool:
    return bool(cards) and all(card.recorded for card in cards)


def stratum(view: View, i: int, settings: Settings) -> str:
    """All that is known of one stratum, in a sentence."""
    pair = view.pair
    counts = f"{several(int(pair.support[i]), *pair.task.thing)}, {pair.lost[i]:,} lost, {pair.gained[i]:,} gained"
    before, after, change = (column(view, name)[i] for name in ("dense_recall", "pruned_recall", "change"))
    if pair.sequential and (reason := column(view, "reason")[i]) is not None:
        return f"{counts}, {column(view, 'samples_spared')[i]:,} spared: {column(view, 'verdict')[i]}: {reason}"
    if change is None:
        measure = find(view, "change")
        return f"{counts}: {measure.absent[i] if measure and i in measure.absent else 'not measured'}"
    limits = find(view, "change")
    interval = between(limits.low[i], limits.high[i]) if limits and limits.low and limits.high else DASH
    sure = f" ({limit(settings.confidence)} % interval {interval})" if interval != DASH else ""
    verdicts = [label(value) for name in ("verdict", "distortion") if (value := column(view, name)[i]) is not None]
    rates = f"{lookup.rate(view)} {percent(before)} to {percent(after)} %"
    said = f"{rates}, change {points(change)} points{sure}; {counts}"
    return f"{said}: {', '.join(verdicts)}" if verdicts else said


def worst(view: View | None) -> tuple[str, str] | None:
    """The first of the strata, worst first, and its change in points; None where none changed for the worse.

    Where no change may be told it is the least loss that is shown.
    """
    for i in worst_first(view) if view else ():
        moved = moves(view)[i] if view else None
        return (view.strata[i], points(moved)) if view and isinstance(moved, (int, float)) and moved < 0 else None
    return None


def density(card: ModelCard) -> str:
    """The nonzero share of a model's weights, with its sign."""
    return DASH if card.density is None else f"{100 * card.density:.4g} %"


def kept(comparison: Comparison) -> str:
    """The share of the dense model's weights that is left, with its sign."""
    return DASH if comparison.kept is None else f"{100 * comparison.kept:.4g} %"


def order(audit: Audit) -> str:
    """How several variants stand, as `lookup.densest_first` has them."""
    known = [comparison.kept is not None for comparison in audit.comparisons]
    if not any(known):
        return AS_GIVEN
    return DENSEST_FIRST if all(known) else f"{DENSEST_FIRST}, those of unknown density last"


def ordered(view: View) -> str:
    """How the strata stand, as `lookup.worst_first` has them."""
    found = set(column(view, "distortion")) & set(HARMED)
    if not found and REGRESSED not in column(view, "verdict"):
        return "worst first, by change"
    first = f" ({HARMED[0]} first)" if len(found) > 1 and HARMED[0] in found else ""
    return f"worst first: harmed{first}, then regressed, then the rest, each by its change"


def weights(card: ModelCard) -> str:
    """How dense a model is."""
    return "density unknown" if card.density is None else f"{density(card)} of weights nonzero"


def scope(audit: Audit) -> str:
    """What the numbers are about, and how many variants were put to these data."""
    tried, source = several(len(audit.comparisons), "variant"), task(audit).source[1]
    best = "" if len(audit.comparisons) == 1 else ": the best one is partly luck"
    return (
        f"these models only, on new {source} like these; training again could give another result; "
        f"{tried} tried in this run{best}"
    )


def assumed(assumptions: Sequence[Assumption], models: Collection[str]) -> list[str]:
    """What a run took for granted, in lines: of the data, then of its ``models``, those alike together."""
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for each in assumptions:
        alike.setdefault((each.what, each.value, each.why, each.option), []).append(each.subject)
    said = []
    for (what, value, why, option), subjects in alike.items():
        every = len(models) > 1 and set(subjects) == set(models)
        of = "" if subjects == [DATA] else f" of {'all models' if every else ', '.join(subjects)}"
        said.append(f"{what}{of}: {value} ({why}; {option})")
    return said


def densities(audit: Audit) -> list[str]:
    """What densities do not cover, and which zeros they do not take for cut, models alike together."""
    alike: dict[str, list[str]] = {}
    for card in (audit.comparisons[0].dense, *(comparison.pruned for comparison in audit.comparisons)):
        if card.uncounted:
            alike.setdefault(f"not counted: {listed(card.uncounted)}", []).append(card.name)
        if rounded := sum(layer.rounded for layer in card.layers):
            said = f"{several(rounded, 'zero')} of quantised weights are what rounding explains, and count as weights"
            alike.setdefault(said, []).append(card.name)
    return [f"{', '.join(names)}: {said}" for said, names in alike.items()]


def doubted(audit: Audit, doubt: str) -> str:
    """A doubt about the dense model as a warning."""
    return printable(f"WARNING: is {audit.comparisons[0].dense.name} run as it was trained? {doubt}.")


def sequential(audit: Audit) -> list[str]:
    """What an audit says of itself that ended once classes were settled: what that spared, and what it cost."""
    spared = [
        measure.overall
        for comparison in audit.comparisons
        if (measure := find(comparison.views[0], "samples_spared")) and isinstance(measure.overall, int)
    ]
    if not spared:
        return []
    p = audit.provenance
    run, left = p.samples, spared[0]
    share = f"{100 * left / max(run + left, 1):.0f} %"
    return [
        f"each class was drawn from, in a random order, until its verdict was settled{_for_every(audit)}"
        f"{_or_before(audit)}: {run:,} of {run + left:,} samples were run, {left:,} spared ({share})",
        "verdicts and confidence sequences hold whenever one looks, and for new samples; accuracy, recalls, the change "
        "seen, p-values, alpha and harm are biased where drawing stops by what was seen, and are left out: run all "
        "data for them, without --until-settled",
    ]


def things(audit: Audit) -> tuple[str, str]:
    """What was counted is called, one and many."""
    return task(audit).thing


def task(audit: Audit) -> Task:
    """What was counted, in words."""
    return audit.comparisons[0].views[0].pair.task


def _for_every(audit: Audit) -> str:
    return " for every variant" if len(audit.comparisons) > 1 else ""


def _or_before(audit: Audit) -> str:
    """What ended drawing where classes are left open: no more samples of them, the limit, or an earlier run's end."""
    limit, ends = audit.provenance.settings.limit, set[str]()
    for comparison in audit.comparisons:
        view = comparison.views[0]
        for i in those(view, "verdict", [CANNOT_TELL]):
            spared = view.pair.drawn_from is not None and view.pair.drawn_from[i] > view.pair.support[i]
            stopped = "the run ended" if limit is None else f"the limit of {limit:,} was reached"
            ends.add(stopped if spared else "its samples ended")
    return f", or {' or '.join(sorted(ends))}" if ends else ""


def counted(audit: Audit) -> list[str]:
    """How samples and classes were counted, where that is not one by one."""
    said, settings = [], audit.provenance.settings
    if settings.cluster is not None:
        said.append(
            f"{things(audit)[1]} of one {settings.cluster} belong together: intervals and tests count them for less"
        )
    if settings.weights is not None:
        said.append("accuracy is that of the class shares in use (--weights), by class; recalls are as they are")
    if settings.reference == "balanced":
        rate, whole, many = task(audit).rates[0], task(audit).overall, task(audit).stratum[1]
        mean = "recalls" if rate == "recall" else f"their {rate}"
        said.append(f"{many} are compared with the mean of {mean}, not with {whole} (--reference balanced)")
    return said


def change_of_accuracy(view: View | None, settings: Settings) -> str:
    """Change of accuracy with its interval, or why there is none."""
    change = find(view, "change")
    if change is None or change.overall is None:
        return (change.overall_absent if change else None) or DASH
    interval = between(change.overall_low, change.overall_high, 2)
    sure = f" ({limit(settings.confidence)} % interval {interval})" if interval != DASH else ""
    return f"{points(change.overall, 2)} points{sure}"


def model(view: View, settings: Settings) -> list[tuple[str, str]]:
    """What pruning did to the model as a whole: slope and spread of recall balances, the bound on every class."""
    said = []
    alpha, worst = find(view, "intensification"), find(view, "worst_plausible_drop")
    if alpha and (alpha.overall is not None or alpha.overall_absent):
        said.append(("alpha", alpha.overall_absent or f"{ratio(alpha.overall)} {slope(view, settings)}"))
        if alpha.overall is not None and (grown := gaps(view, settings)):
            said.append(("gaps", grown))
    if differing := spread(view, settings):
        said.append(("spread", differing))
    if worst and worst.overall is not None and not view.pair.same_model:
        one = noun(view)[0]
        sure = f"{limit(settings.confidence)} % confidence for all {noun(view)[1]} at once"
        said.append(("at worst", f"no {one} lost more than {percent(worst.overall)} points ({sure})"))
    return said


def slope(view: View, settings: Settings) -> str:
    """How well alpha describes the classes, and what the slope says of one of them once noise is taken out.

    A slope knows nothing of gaps: it is below 1 also where classes lie farther apart than before, but in another order.
    """
    fit, corrected, state = (find(view, name) for name in ("r_squared", "alpha_corrected", "alpha_state"))
    some = sum(n > 0 for n in view.pair.support.tolist())
    one_line = fit.overall if fit else None
    by_construction = ", where it is 1 by construction" if some == 2 else ""
    said = f"(r^2 {ratio(one_line)} over {several(some, *noun(view))}{by_construction})"
    if corrected is None:
        return said
    value, low, high = corrected.overall, corrected.overall_low, corrected.overall_high
    if not isinstance(value, (int, float)) or low is None:
        return f"{said}: means nothing here ({corrected.overall_absent or 'not estimable'})"
    interval = f"{limit(settings.confidence)} % interval {from_to(low, high)}"
    steadiness = f"{state.overall}, " if state and state.overall else ""
    said += f"; noise-corrected {ratio(value)} ({steadiness}{interval})"
    if isinstance(one_line, (int, float)) and one_line < ONE_LINE:
        return f"{said}: means nothing here (r^2 below {ONE_LINE:g})"
    if low <= 1 and (high is None or high >= 1):
        return f"{said}: no change shown"
    side = "below" if value >= 0 else "above"
    one, overall = noun(view)[0], lookup.overall_rate(view)
    return f"{said}: a {one} 10 % below {overall} is now {abs(10 * value):.0f} % {side} it, on average"


def from_to(low: float, high: float | None) -> str:
    """Limits of a ratio, of which the upper one may not exist."""
    return f"{ratio(low)} to {ratio(high)}" if high is not None else f"at least {ratio(low)}"


def gaps(view: View, settings: Settings) -> str | None:
    """How many times as far apart the classes lie, and what that shows: growth, shrinking or nothing."""
    spread = find(view, "spread_ratio")
    if spread is None:
        return None
    low, high = spread.overall_low, spread.overall_high
    if spread.overall is None or low is None:
        return f"whether they grew or shrank is undecided ({spread.overall_absent or 'not estimable'})"
    interval = f"{limit(settings.confidence)} % interval {from_to(low, high)}"
    said = f"the noise-corrected spread of balances is {ratio(spread.overall)} times the dense model's ({interval})"
    way = gaps_went(low, high)
    return f"{said}: no change shown" if way is None else f"{said}: gaps between {noun(view)[1]} {way}"


def gaps_went(low: float, high: float | None) -> str | None:
    """Which way gaps are shown to have gone by the interval of the ratio of spreads; None where that holds 1.

    One without an upper limit can show that they grew, and never that they shrank.
    """
    if low > 1:
        return GREW
    return SHRANK if high is not None and high < 1 else None


def spread(view: View, settings: Settings) -> str | None:
    """How far the true drops lie apart, which may be seen where no single one can be convicted."""
    tau, p = find(view, "spread"), find(view, "spread_p")
    if tau is None or p is None or not isinstance(p.overall, (int, float)):
        return None
    if tau.overall_low is None or tau.overall_high is None:
        return None
    what = f"standard deviation, {limit(settings.confidence)} % interval"
    interval = f"{what} {percent(tau.overall_low, 1)} to {percent(tau.overall_high, 1)}"
    if p.overall > 1 - settings.confidence:
        return f"no difference between the true drops of {noun(view)[1]} is shown ({interval})"
    return f"the true drops of {noun(view)[1]} differ by {percent(tau.overall, 1)} points ({interval})"


def fall(view: View, settings: Settings) -> str | None:
    """Says so where accuracy is shown to have fallen by more than the margin: no word on classes may outshine it."""
    change = find(view, "change")
    if change is None or change.overall_low is None or change.overall_high is None:
        return None
    if not isinstance(change.overall, (int, float)) or change.overall_high >= -settings.margin:
        return None
    interval = f"{percent(-change.overall_high, 2)} to {percent(-change.overall_low, 2)}"
    return (
        f"{lookup.overall_rate(view).capitalize()} fell by {percent(-change.overall, 2)} points "
        f"({limit(settings.confidence)} % interval {interval})."
    )


def collapse(view: View) -> str | None:
    """Says so where the pruned model only guesses."""
    collapsed, chance = find(view, "collapsed"), find(view, "chance_accuracy")
    if collapsed is None or collapsed.overall != "yes":
        return None
    guessing = f" ({percent_sign(chance.overall)})" if chance else ""
    return f"The pruned model has COLLAPSED: it is not shown to do better than guessing{guessing}."


def drops(view: View, settings: Settings) -> str:
    """Who is shown to have lost recall, and what the data could not rule out."""
    if view.pair.same_model:
        return "Dense and pruned are the same file: nothing can have changed."
    judged = sum(verdict is not None for verdict in column(view, "verdict"))
    if not judged:
        return f"No {noun(view)[0]} could be judged."
    return _drops(view, settings, judged) + ties(view)


def ties(view: View) -> str:
    """Says so where exact ties alone decide verdicts; else nothing."""
    found = zip(view.strata, column(view, "verdict"), column(view, "verdict_ties_shared"), strict=True)
    decided = [f"{name} (then {drawn})" for name, verdict, drawn in found if drawn is not None and drawn != verdict]
    if not decided:
        return ""
    whose = "the verdict" if len(decided) == 1 else f"{len(decided):,} verdicts"
    return f" Exact ties alone decide {whose}, which would be another if ties were shared equally: {listed(decided)}."


def _drops(view: View, settings: Settings, judged: int) -> str:
    one, many = noun(view)
    lost, unsure = those(view, "verdict", [REGRESSED]), those(view, "verdict", [CANNOT_TELL])
    margin, assure = loss(settings.margin), loss(settings.assure)
    if lost:
        names = listed([view.strata[i] for i in lost])
        said = f"{len(lost):,} of {several(judged, one, many)} lost more than {margin}: {names}."
    else:
        said = f"No {one} is shown to have lost more than {margin}."
    if unsure:
        rest = _rest(view, len(unsure), judged, first=not lost)
        if view.pair.sequential:
            return f"{said} {rest} {'is' if len(unsure) == 1 else 'are'} not settled."
        few = f"there are too few {lookup.things(view)[1]} to rule out a loss of {assure}"
        return f"{said} For {rest} {few}.{suspects(view, judged)}"
    if len(lost) == judged:
        return said
    return f"{said} {'Every other' if lost else 'Every'} {one} is shown to have lost less than {assure}."


def suspects(view: View, judged: int) -> str:
    """Says so where some of ``judged`` strata would have regressed, each had it been the only one; else nothing."""
    found = sum(str(reason).startswith(SUSPECT) for reason in column(view, "reason"))
    if not found:
        return ""
    verb, whose = ("is", "alone it would") if found == 1 else ("are", "alone each would")
    corrected = f"after correction for {several(judged, *noun(view))} it is not shown"
    return f" {found:,} of these {verb} suspect: {whose} have regressed, but {corrected}."


def distortions(view: View, settings: Settings) -> str | None:
    """Who is shown to have lost more than the rest of the model did."""
    found = column(view, "distortion")
    judged = sum(verdict is not None for verdict in found)
    if not judged or view.pair.same_model:
        return None
    one, many = noun(view)
    harmed = [f"{view.strata[i]} ({found[i]})" for i in those(view, "distortion", HARMED)]
    kept = f"less than {limit(settings.retention_margin)} % of what the rest kept"
    unsure = those(view, "distortion", [CANNOT_TELL])
    if harmed:
        said = f"{len(harmed):,} of {several(judged, one, many)} kept {kept}: {listed(harmed)}."
    else:
        said = f"No {one} is shown to have kept {kept}."
    if harmed and judged == 2:
        said += f" With two {many}, both rows are one finding."
    if not unsure:
        return said
    few = all(str(column(view, "distortion_reason")[i]).startswith(FEW) for i in unsure)
    why = f": too few {lookup.things(view)[1]}" if few else ""
    verb = "is" if len(unsure) == 1 else "are"
    return f"{said} {_rest(view, len(unsure), judged, first=not harmed)} {verb} undecided{why}."


def _rest(view: View, number: int, judged: int, *, first: bool) -> str:
    """``3 more classes``, or ``3 of 10 classes`` where they are the ``first`` that are spoken of."""
    one, many = noun(view)
    return f"{number:,} of {several(judged, one, many)}" if first else f"{number:,} more {one if number == 1 else many}"


def next_steps(audit: Audit, saved: str | None) -> list[tuple[str, str]]:
    """What to do next, each with the command for it: collect samples where classes are undecided, see why where some
    regressed, and mend them once that was seen.

    ``saved`` is where the audit lies as JSON, None where it does not.
    """
    return [step for step in (_collect(audit, saved), _look(audit)) if step is not None]


def _collect(audit: Audit, saved: str | None) -> tuple[str, str] | None:
    lacking = [each for each in short(audit.comparisons) if each.more is not None]
    if not lacking or audit.provenance.limited:
        return None
    one, many = lookup.noun(audit.comparisons[0].views[0])
    first = enumerate(lacking[:COLLECTED])
    wanted = [f"{each.more:,} {'of' if n else f'more of {one}'} {each.stratum}" for n, each in first]
    rest = ""
    if len(lacking) > COLLECTED:
        total = sum(each.more or 0 for each in lacking)
        rest = f" and so on for {len(lacking) - COLLECTED:,} more, {total:,} {things(audit)[1]} in all"
    then = "" if saved else " (audit.json: this audit, written by -o audit.json)"
    undecided = several(len(lacking), one, many)
    said = f"Next: to settle what is undecided ({undecided}), collect {', '.join(wanted)}{rest}{then}:"
    return said, f"prune-audit plan {shlex.quote(saved or 'audit.json')}"


def _look(audit: Audit) -> tuple[str, str] | None:
    """See why classes suffer; where that was seen, mend them. Only of files, which can be looked into."""
    found = [
        (comparison, view.strata[i])
        for comparison in audit.comparisons
        if (view := lookup.by_class(comparison))
        for i in worst_first(view)
        if column(view, "verdict")[i] == REGRESSED or column(view, "distortion")[i] in HARMED
    ]
    cards = [audit.comparisons[0].dense, *dict.fromkeys(comparison.pruned for comparison, _ in found)]
    if not found or any(card.recorded or not card.path for card in cards):
        return None
    explained = any(comparison.explained for comparison in audit.comparisons)
    if not explained and any(look.lens != BESIDE for comparison in audit.comparisons for look in comparison.looks):
        return None  # it was mended already
    names = listed(list(dict.fromkeys(stratum for _, stratum in found)))
    learnt = audit.provenance.trained_on
    sides = ["--data", learnt or TRAINING, "--audit", audit.provenance.data, *_read(audit)]
    data = " ".join(map(shlex.quote, sides))
    if not explained:
        models = " ".join(map(_typed, cards))
        what = "" if learnt else f" ({TRAINING}: what the models were trained on)"
        return f"Next: to see why {names} suffered{what}:", f"prune-audit explain {models} {data}"
    remedy = found[0][0].remedy
    if not remedy or not learnt:
        return None  # nothing that could be typed as it stands
    models, method = " ".join(map(_typed, cards[:2])), " ".join(map(shlex.quote, remedy))
    return (
        f"Next: to mend {names} (`prune-audit list mitigations` has other methods):",
        f"prune-audit mitigate {models} {method} {data} -o mended{PurePath(cards[1].path).suffix}",
    )


def repeated(audit: Audit) -> str | None:
    """The command that compares the same files on the same data; None where a model is no file."""
    cards = [audit.comparisons[0].dense, *(comparison.pruned for comparison in audit.comparisons)]
    if any(not card.path for card in cards):
        return None
    settings, brought = audit.provenance.settings, audit.provenance.data == cards[0].path
    groups = [word for each in settings.by for word in ("--by", each)]
    asked = [word for name, value in of_tasks(settings).items() for word in (f"--{name.replace('_', '-')}", str(value))]
    data = [*([] if brought else ["--data", audit.provenance.data]), *_read(audit), *groups, *asked]
    return printable(f"prune-audit compare {' '.join(map(_typed, cards))} {' '.join(map(shlex.quote, data))}")


def _read(audit: Audit) -> list[str]:
    """How the command line says that images are read as they were; what follows from the model it need not say."""
    steps = audit.provenance.preprocess
    if steps is None:
        return []
    if steps.name:
        return ["--preprocess", steps.name]
    resize = (steps.resize,) if isinstance(steps.resize, int) else steps.resize
    numbers = (
        ("--resize", "x", resize),
        ("--crop", "x", steps.crop),
        ("--mean", ",", steps.mean),
        ("--std", ",", steps.std),
    )
    given = [(option, by.join(f"{each:.12g}" for each in values)) for option, by, values in numbers if values]
    if steps.channels == "bgr":
        given.append(("--channels", "bgr"))
    if steps.interpolation not in (None, "bilinear"):
        given.append(("--interpolation", str(steps.interpolation)))
    return [word for pair in given for word in pair]


def _typed(card: ModelCard) -> str:
    """A model as the command line takes it."""
    return shlex.quote(card.path if card.factory is None else f"{card.path}@{card.factory}")

"""A plan and a shopping list: for a terminal, as Markdown, and as CSV with nothing rounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid

from prune_audit import reports, stats
from prune_audit.core import Value
from prune_audit.planning import Plan, ShoppingList
from prune_audit.planning.quotas import Quotas, Share
from prune_audit.printable import printable
from prune_audit.render import class_table as classes
from prune_audit.render import markdown as marks
from prune_audit.render import rounded, wording
from prune_audit.render.bars import LINES
from prune_audit.render.consoles import Text
from prune_audit.reports.csv import text as csv
from prune_audit.reports.markdown import MOST

SUFFIXES = (".csv", ".md")
NAMES = ("stratum", "variant")  # columns of what somebody named
ROWS = 20  # on the screen, unless all are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What every format shows: a title, a table, what was taken for granted or is to be known, and the upshot.

    ``rows`` are by the ``names`` of the columns, which machines read; ``columns`` are for people.
    """

    title: str
    names: tuple[str, ...]
    rows: tuple[Mapping[str, Value], ...]
    columns: tuple[classes.Column, ...]
    told: tuple[tuple[str, str], ...]
    upshot: tuple[str, ...]


def of_plan(plan: Plan) -> Sheet:
    """The sizes of a plan."""
    design, sizes = plan.design, plan.sizes
    none = f"more than {stats.MOST:,}"
    rows = [
        {
            "what": size.what,
            "classes": design.classes,
            "samples_a_class": size.samples,
            "samples": None if size.samples is None else size.samples * design.classes,
            "smallest_drop_convicted": size.drop,
        }
        for size in sizes
    ]
    in_all = tuple(rounded.count(row["samples"]) for row in rows)
    columns = (
        classes.Column(title="so that", cells=tuple(size.what for size in sizes), rank=0, number=False),
        classes.Column(
            title="samples\na class",
            cells=tuple(none if size.samples is None else f"{size.samples:,}" for size in sizes),
            rank=0,
        ),
        *([classes.Column(title="samples\nin all", cells=in_all, rank=1)] if design.classes > 1 else []),
        classes.Column(title="smallest drop\nconvicted", cells=tuple(_convicted(size.drop) for size in sizes), rank=0),
    )
    told = [("assumes", said) for said in wording.assumed(plan.assumptions, ())]
    if any(size.drop is None for size in sizes):
        told.append((rounded.DASH, f"not counted out beyond {stats.FAR:,} samples a class, or no drop is convicted"))
    last = sizes[-1]
    upshot = f"Plan for {none if last.samples is None else f'{last.samples:,}'} samples a class"
    if last.drop is not None:
        upshot += f": a class that lost {_convicted(last.drop)} will read regressed"
    return Sheet(
        title=f"samples for {rounded.several(design.classes, 'class', 'classes')}",
        names=tuple(rows[0]),
        rows=tuple(rows),
        columns=columns,
        told=tuple(told),
        upshot=(f"{upshot}, in {rounded.limit(design.power)} of 100 audits.",),
    )


def _convicted(drop: float | None) -> str:
    return rounded.DASH if drop is None else f"{rounded.percent(drop)} points"


def of_list(shopping: ShoppingList) -> Sheet:
    """What an audit lacks."""
    bought = set(shopping.purchase.bought) if shopping.purchase else set[str]()
    rows, running = list[Mapping[str, Value]](), 0
    for each in shopping.short:
        running += each.more or 0
        row: dict[str, Value] = {
            "by": shopping.by,
            "stratum": each.stratum,
            "variant": each.of,
            "support": each.samples,
            "samples_needed": each.needed,
            "more": each.more,
            "more_so_far": None if each.more is None else running,
        }
        if shopping.purchase is not None:
            row["bought"] = "yes" if each.stratum in bought else "no"
        rows.append(row)
    names = ["by", "stratum", "variant", "support", "samples_needed", "more", "more_so_far"]
    names += ["bought"] if shopping.purchase is not None else []
    plan: list[tuple[str, str, Callable[[Value], str], int]] = [
        (shopping.stratum[0] if shopping.by == "class" else shopping.by, "stratum", rounded.label, 0),
        ("has", "support", rounded.count, 3),
        ("needs", "samples_needed", rounded.count, 2),
        ("more", "more", rounded.count, 0),
        ("so far", "more_so_far", rounded.count, 4),
        *([("asked for by", "variant", rounded.label, 5)] if shopping.variants > 1 else []),
        *([("bought", "bought", rounded.label, 1)] if shopping.purchase is not None else []),
    ]
    columns = tuple(
        classes.Column(
            title=printable(title),
            cells=tuple(printable(shown(row[name])) for row in rows),
            rank=rank,
            number=shown is rounded.count,
            measure=name,
        )
        for title, name, shown, rank in plan
        if rows
    )
    return Sheet(
        title=f"what would settle {shopping.stratum[1]}",
        names=tuple(names),
        rows=tuple(rows),
        columns=columns,
        told=tuple(_told(shopping)),
        upshot=tuple(_upshot(shopping)),
    )


def _told(shopping: ShoppingList) -> Iterator[tuple[str, str]]:
    one, things = shopping.stratum[0], shopping.thing[1]
    if shopping.short:
        yield (
            "needs",
            f"{things} in all, at which, or at any larger number, {rounded.limit(shopping.power)} of 100 audits reach "
            f"a verdict if the {one} goes on to lose and gain as it did (--power); more: beyond what it has",
        )
    reasons: dict[str, list[str]] = {}
    for each in shopping.short:
        if each.more is None:
            reasons.setdefault(each.why or "no number is known", []).append(each.stratum)
    for reason, strata in reasons.items():
        yield rounded.DASH, f"{reason} ({rounded.listed(strata)})"
    if shopping.empty:
        yield (
            "empty",
            f"{rounded.listed(shopping.empty)}: without {things} nothing is known of what they lose; "
            "`prune-audit plan --classes N` says with how many to begin",
        )
    yield from (("note", note) for note in shopping.notes)


def _upshot(shopping: ShoppingList) -> Iterator[str]:
    one, many = shopping.stratum
    more = (f"more {shopping.thing[0]}", f"more {shopping.thing[1]}")
    if not shopping.judged:
        yield f"No {one} could be judged."
        return
    if not shopping.short:
        yield f"Nothing is undecided: {rounded.several(shopping.judged, one, many)} judged."
        return
    finite = sum(each.more is not None for each in shopping.short)
    yield (
        f"{len(shopping.short):,} of {rounded.several(shopping.judged, one, many)} undecided; "
        f"{rounded.several(shopping.total, *more)} would settle {_each(finite, len(shopping.short))}, in "
        f"{rounded.limit(shopping.power)} of 100 audits."
    )
    purchase = shopping.purchase
    if purchase is None:
        return
    if not purchase.bought:
        yield (
            f"A budget of {rounded.several(purchase.budget, *shopping.thing)} settles no {one}: the cheapest takes "
            f"{rounded.count(shopping.short[0].more)}."
        )
        return
    yield (
        f"A budget of {rounded.several(purchase.budget, *shopping.thing)} is best spent on "
        f"{rounded.listed(purchase.bought)}: {purchase.spent:,} {shopping.thing[1]} settle "
        f"{rounded.several(len(purchase.bought), one, many)}, and no other choice settles more; {purchase.left:,} left."
    )


def _each(finite: int, undecided: int) -> str:
    return "each" if finite == undecided else f"each of {finite:,}"


def of_quotas(found: Quotas, notes: Sequence[str]) -> Sheet:
    """What every class keeps of its training samples, the one with the largest share of error first, and ``notes``."""
    shares = sorted(found.shares, key=lambda each: -each.error)
    rows = [
        {
            "stratum": each.name,
            "samples": each.samples,
            "audited": each.audited,
            "recall": each.recall,
            "recall_low": each.low,
            "recall_high": each.high,
            "error": each.error,
            "quota_density": each.density,
            "kept": each.kept,
        }
        for each in shares
    ]
    cells: list[tuple[str, tuple[str, ...], int]] = [
        ("class", tuple(printable(rounded.label(each.name)) for each in shares), 0),
        ("samples", tuple(f"{each.samples:,}" for each in shares), 1),
        ("audited", tuple(f"{each.audited:,}" for each in shares), 3),
        ("recall %", tuple(rounded.percent(each.recall) if each.audited else rounded.DASH for each in shares), 1),
        ("interval", tuple(_limits(each) for each in shares), 4),
        ("error %", tuple(rounded.percent(each.error) for each in shares), 2),
        ("kept %", tuple(rounded.percent(each.density) if each.samples else rounded.DASH for each in shares), 0),
        ("keep", tuple(f"{each.kept:,}" for each in shares), 0),
    ]
    by = "its error times its samples" if found.quota == "error-mass" else "its error"
    return Sheet(
        title=f"training samples to keep, by the recalls of {found.model}",
        names=tuple(rows[0]),
        rows=tuple(rows),
        columns=tuple(
            classes.Column(title=title, cells=column, rank=rank, number=at > 0)
            for at, (title, column, rank) in enumerate(cells)
        ),
        told=(
            ("keep", f"in proportion to {by}, at most all and at least one; samples of a class are drawn by --seed"),
            *(("note", note) for note in (*found.notes, *notes)),
        ),
        upshot=(f"{found.kept:,} of {rounded.several(found.samples, 'training sample')} kept.",),
    )


def _limits(share: Share) -> str:
    if share.low is None or share.high is None:
        return rounded.DASH
    return f"{rounded.percent(share.low)} to {rounded.percent(share.high)}"


# ---------------------------------------------------------------------------------------------------------- formats


def renderable(sheet: Sheet, width: int, *, show_all: bool = False) -> RenderableType:
    """The sheet for a terminal ``width`` columns wide; ``show_all`` prints every row."""
    return Group(*_terminal(sheet, width, show_all))


def _terminal(sheet: Sheet, width: int, show_all: bool) -> Iterator[RenderableType]:
    yield Padding(Text(sheet.title, style="bold"), (0, 0, 1, 0))
    if sheet.columns:
        number = len(sheet.rows) if show_all else min(ROWS, len(sheet.rows))
        shown = tuple(_first(column, number) for column in sheet.columns)
        yield classes.table(classes.fit(shown, width), [False] * number, LINES)
        if number < len(sheet.rows):
            yield Text(f"{len(sheet.rows) - number:,} more; --all shows them", style="dim")
        yield Text()
    if sheet.told:
        grid = Grid.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, said in sheet.told:
            grid.add_row(Text(name), Text(printable(said)))
        yield Padding(grid, (0, 0, 1, 0))
    yield from (Text(printable(sentence), style="bold") for sentence in sheet.upshot)


def _first(column: classes.Column, number: int) -> classes.Column:
    return replace(column, cells=column.cells[:number])


def markdown(sheet: Sheet) -> str:
    """The sheet for documents and issues, of at most as many bytes as a comment holds."""
    return "\n".join(marks.cut(list(_markdown(sheet)), MOST)) + "\n"


def _markdown(sheet: Sheet) -> Iterator[str]:
    yield from (f"### {marks.prose(sheet.title[:1].upper() + sheet.title[1:])}", "")
    for sentence in sheet.upshot:
        yield from (marks.prose(sentence), "")
    if sheet.columns:
        heads = [marks.prose(" ".join(column.title.split())) for column in sheet.columns]
        made = [
            [marks.code(cell) if column.measure in NAMES else marks.prose(cell) for cell in column.cells]
            for column in sheet.columns
        ]
        texts = [n for n, column in enumerate(sheet.columns) if not column.number]
        yield from marks.table(heads, list(zip(*made, strict=True)), texts=texts)
    yield from (f"- {marks.prose(f'{name}: {said}')}" for name, said in sheet.told)


def check(paths: Sequence[Path]) -> None:
    """Check that each of ``paths`` can be written. Raises `AuditError` where one cannot."""
    reports.check_chosen(paths, "plan", SUFFIXES)


def write(sheet: Sheet, path: Path, dialects: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write ``sheet`` to ``path``, whole or not at all; ``dialects`` as reports have them. Raises `OutputError`."""
    if path.suffix.lower() == ".csv":
        content = csv(sheet.names, sheet.rows, spreadsheet=dialects.get("csv") == "excel")
    else:
        content = markdown(sheet)
    reports.put(path, content)

"""The table: whole texts, and what must never be missing from it.

``PRUNE_AUDIT_UPDATE=1 pytest tests/reports`` writes the golden files anew; read their diff before committing it.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Literal

import pytest
from rich.console import Console

from prune_audit.core import Audit
from prune_audit.reports import table
from tests.reports import audits
from tests.reports.golden import same_as_golden

AUDITS = {
    "ten": audits.ten(),
    "two": audits.audit(audits.TWO),
    "judged": audits.judged(),
    "identical": audits.identical(),
    "thousand": audits.thousand(),
    "several": audits.several(),
    "everything": audits.everything(),
}


def shown(audit: Audit, width: int = 120, *, show_all: bool = False, color: bool = False) -> str:
    system: Literal["standard"] | None = "standard" if color else None
    console = Console(file=io.StringIO(), width=width, height=25, color_system=system, force_terminal=color)
    return table.text(audit, console, show_all=show_all)


def said(audit: Audit, width: int = 120) -> str:
    """The whole table as one line, so that a sentence is found however it wraps."""
    return " ".join(shown(audit, width).split())


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", AUDITS)
def test_whole_text(name: str, width: int) -> None:
    same_as_golden(f"{name}-{width}.txt", shown(AUDITS[name], width).encode())


def test_the_file_holds_every_class_without_colour() -> None:
    text = table.render(audits.thousand())
    assert "\x1b" not in text
    assert "n00000999" in text
    assert "more" not in text.partition("at worst")[0]
    assert text.endswith("\n")
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200, 300])
@pytest.mark.parametrize("name", AUDITS)
def test_verdicts_are_never_cut_and_no_line_is_too_long(name: str, width: int) -> None:
    text = shown(AUDITS[name], width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "verdict" in text
    assert "change" in text
    for verdict in {"identical": ["fine"], "thousand": ["regressed"]}.get(name, ["regressed", "fine"]):
        assert verdict in text.split()


def test_worst_first() -> None:
    lines = shown(audits.ten()).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("class"))
    order = [line.split()[0] for line in lines[first + 2 : first + 13] if line.strip()]
    # intensified, harmed, then by change, a class without samples last
    assert order == ["7", "8", "5", "3", "1", "2", "4", "6", "0", "9"]
    changes = [float(line.split()[4]) for line in lines[first + 5 : first + 12]]
    assert changes == sorted(changes)


def test_long_tables_are_cut_and_say_what_was_cut() -> None:
    text = shown(audits.thousand())
    assert "980 more, 10 of them flagged; --all shows them" in text
    assert "n00000999" not in text
    assert "n00000999" in shown(audits.thousand(), show_all=True)


def test_flagged_rows_are_told_in_words_and_in_colour() -> None:
    assert "regressed    intensified" in shown(audits.ten())
    assert "\x1b[1;31mregressed" in shown(audits.ten(), color=True)


def test_what_is_absent_is_a_dash_with_its_reason() -> None:
    text = shown(audits.ten(), 80)
    row = next(line.split() for line in text.splitlines() if line.startswith("9 "))
    assert row == ["9", "0", "-", "-", "-", "-", "-", "-"]
    assert "-         no samples of this class (9)" in text
    assert "undetectable" not in text  # that column is not shown at this width
    assert "-         undetectable (2)" in shown(audits.ten(), 200)


def test_names_are_literal() -> None:
    assert "cat [tabby]" in shown(audits.audit(audits.TWO))
    named = audits.audit([("[red]x[/red]", (5, 1, 1, 1), "fine", None), ("\x1b[31my\nz", (5, 1, 1, 1), "fine", None)])
    text = shown(named)
    assert "[red]x[/red]" in text
    assert "\\x1b[31my\\nz" in text
    assert "\x1b" not in text


def test_a_sample_is_marked_and_never_gates() -> None:
    text = said(audits.limited())
    assert "A SAMPLE ONLY: 810 of 50,000 samples were audited. This never gates." in text
    assert "a sample never gates" in text
    assert "FAILED" not in text
    assert "lost 33.3 points" not in text


@pytest.mark.parametrize("name", AUDITS)
def test_the_gate_has_the_last_word(name: str) -> None:
    last = shown(AUDITS[name], 200).splitlines()[-1]
    assert last.startswith(("Gate default: ", "No gate was asked for", "No gate: this audit saw a sample"))


def test_the_gate_speaks() -> None:
    assert "No gate was asked for: --gate judges this audit." in said(audits.ten())
    failed = said(audits.judged())
    assert "Gate default: FAILED. 1 of 3 checks failed, 1 could not be settled." in failed
    assert "failed recall-drop 7 lost 33.3 points, the limit is 2" in failed
    assert "inconclusive harmed 5 too few samples" in failed
    assert "warning accuracy-drop model accuracy fell by [7] points" in failed
    passed = said(audits.judged("passed"))
    assert "Gate default: passed. None of 1 check failed; what these data cannot rule out stands above." in passed
    assert "INCONCLUSIVE" in said(audits.judged("inconclusive"))
    assert "which the policy allows" in said(audits.judged("inconclusive"))
    nothing = audits.judged("passed")
    nothing = replace(nothing, comparisons=tuple(replace(c, checks=()) for c in nothing.comparisons))
    assert "nothing was checked" in said(nothing)


def test_identical_models_are_called_so_and_flag_nothing() -> None:
    text = said(audits.identical())
    assert "Dense and pruned are the same file: nothing can have changed." in text
    assert "regressed" not in text
    assert "lost more" not in text


def test_a_missing_measure_is_not_shown() -> None:
    audit = audits.ten()
    view = audit.comparisons[0].views[0]
    few = replace(view, measures=tuple(m for m in view.measures if m.name in ("change", "verdict")))
    text = shown(replace(audit, comparisons=(replace(audit.comparisons[0], views=(few,)),)), 200)
    assert "distortion" not in text
    assert "retention" not in text
    assert "regressed" in text


def test_no_measures_at_all_still_make_a_report() -> None:
    audit = audits.ten()
    view = replace(audit.comparisons[0].views[0], measures=())
    assert "No class could be judged." in shown(
        replace(audit, comparisons=(replace(audit.comparisons[0], views=(view,)),))
    )


def test_several_variants_are_summed_up_first() -> None:
    text = shown(audits.several(), 80)
    summary = [line.split() for line in text.splitlines() if line.startswith(("pruned-50 ", "pruned-90 ", "int8 "))]
    assert [(row[0], row[1], row[-1]) for row in summary[:3]] == [
        ("pruned-50", "50", "passed"),
        ("pruned-90", "10", "failed"),
        ("int8", "-", "inconclusive"),
    ]
    assert text.index("variant") < text.index("pruned-50 against dense")

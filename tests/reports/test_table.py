"""The table: whole texts, and what must never be missing from it.

``PRUNE_AUDIT_UPDATE=1 pytest tests/reports`` writes the golden files anew; read their diff before committing it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

import pytest
from rich.console import Console

from prune_audit.core import HARMED, SPARED, Assumption, Audit, Check, Level, Outcome, Policy, Settings
from prune_audit.core.types import Distortion
from prune_audit.printable import printable
from prune_audit.render import class_table as classes
from prune_audit.render import wording
from prune_audit.render.bars import LINES, MOST
from prune_audit.reports import html, markdown, table
from tests.reports import audits
from tests.reports.golden import same_as_golden

AUDITS = {
    "ten": audits.ten(),
    "two": audits.audit(audits.TWO),
    "judged": audits.judged(),
    "identical": audits.identical(),
    "thousand": audits.thousand(),
    "several": audits.several(),
    "weighed": audits.weighed(),
    "settled": audits.settled(),
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
    assert "show them" not in text
    assert text.endswith("\n")
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200, 300])
@pytest.mark.parametrize("name", AUDITS)
def test_verdicts_are_never_cut_and_no_line_is_too_long(name: str, width: int) -> None:
    text = shown(AUDITS[name], width)
    # A command is copied whole, and nothing breaks its line.
    assert all(len(line) <= width for line in text.splitlines() if not line.startswith("  prune-audit "))
    assert "verdict" in text
    assert "change" in text
    of_few = {
        "identical": ["fine"],
        "thousand": ["regressed"],
        "several": ["regressed"],
        "weighed": ["regressed"],
        "settled": ["regressed"],
    }
    for verdict in of_few.get(name, ["regressed", "fine"]):
        assert verdict in text.split()


def test_worst_first() -> None:
    lines = shown(audits.ten()).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("class"))
    order = [line.split()[0] for line in lines[first + 2 : first + 13] if line.strip()]
    # intensified, harmed, then by change, a class without samples last
    assert order == ["7", "8", "5", "3", "1", "2", "4", "6", "0", "9"]
    changes = [float(line.split()[5]) for line in lines[first + 5 : first + 12]]
    assert changes == sorted(changes)


def test_the_order_of_rows_is_said_where_there_are_several() -> None:
    first = "rows worst first: harmed (intensified first), then regressed, then the rest, each by its change"
    assert first in said(audits.ten())
    assert "rows worst first" not in said(audits.identical())


def test_a_verdict_on_harm_answers_the_question_above_it() -> None:
    assert [wording.paid(each) for each in HARMED] == [f"yes: {each}" for each in HARMED]
    assert [wording.paid(each) for each in SPARED] == [f"no: {each}" for each in SPARED]
    others = set(get_args(Distortion)) - {*HARMED, *SPARED}
    assert others == {"cannot tell", "no harm shown"}
    assert {wording.paid(each) for each in others} == others
    assert wording.paid(None) == "-"


def brief(audit: Audit, *, show_all: bool = False) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    return table.plain(table.renderable(audit, show_all=show_all, brief=True), console)


def test_what_a_job_reads_is_the_rows_concerned_and_the_verdict() -> None:
    audit = audits.judged()
    told = brief(audit)
    rows = [line.split()[0] for line in told.splitlines() if line[:1].isdigit() and " of " not in line]
    assert rows == ["7", "8"]
    assert told.splitlines()[-1] == "--all shows every class, and how models and data were read"
    whole = shown(audit)
    for line in ("inputs  ", "scope   ", "alpha  ", "columns  ", "class   n"):
        assert line in whole, line
        assert (line in told) == (line == "class   n"), line
    assert brief(audit, show_all=True) == shown(audit, show_all=True)


def test_what_cannot_be_told_is_among_them_where_the_policy_forbids_it() -> None:
    audit = audits.ten()
    check = Check(
        rule="recall-drop",
        subject="5",
        outcome="inconclusive",
        level="error",
        observed=None,
        limit=0.02,
        message="cannot tell",
    )
    policies = [Policy(name="p", rules={}, inconclusive=each) for each in ("allow", "forbid")]
    comparison = replace(audit.comparisons[0], checks=(check,))
    allowed, forbidden = (brief(replace(audit, comparisons=(comparison,), policy=each)) for each in policies)
    assert "\n5  " not in allowed
    assert "\n5  " in forbidden


def test_long_tables_are_cut_and_say_what_was_cut() -> None:
    text = shown(audits.thousand())
    assert "980 more, 10 of them flagged; --all shows them" in text
    assert "n00000999" not in text
    assert "n00000999" in shown(audits.thousand(), show_all=True)


def test_flagged_rows_are_told_in_words_and_in_colour() -> None:
    assert "regressed    yes: intensified" in shown(audits.ten())
    assert "\x1b[1;31mregressed" in shown(audits.ten(), color=True)


def test_what_is_absent_is_a_dash_with_its_reason() -> None:
    text = shown(audits.ten(), 80)
    row = next(line.split() for line in text.splitlines() if line.startswith("9 "))
    assert row == ["9", "0", "-", "-", "-", "-", "-", "-"]
    assert "-         no samples of this class (9)" in text
    assert "undetectable" not in text  # that column is not shown at this width
    assert "-         undetectable (2)" in shown(audits.ten(), 200)


def test_a_dash_counts_every_class_that_it_stands_for() -> None:
    rows: list[audits.Row] = [(f"c{i}", (5, 3, 0, 2), "regressed", None) for i in range(5)]
    audit = audits.audit([*rows, *((f"d{i}", (0, 0, 0, 0), None, None) for i in range(300))])
    assert (
        "no samples of this class (d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, d10, d11, d12, d13, d14, d15 and 284 more)"
        in said(audit)
    )
    assert "no samples of this class" not in said(audits.audit([*rows * 4, ("d", (0, 0, 0, 0), None, None)]))


def with_model(**changes: Mapping[str, object]) -> Audit:
    """Ten classes, with the given fields of the measures named."""
    audit = audits.ten()
    view = audit.comparisons[0].views[0]
    measures = tuple(replace(m, **changes.get(m.name, {})) for m in view.measures)  # type: ignore[arg-type]  # by name
    return replace(audit, comparisons=(replace(audit.comparisons[0], views=(replace(view, measures=measures),)),))


@pytest.mark.parametrize(
    ("low", "value", "high", "shown_by_it"),
    [
        (1.01, 1.25, 1.9, "a class 10 % below accuracy is now 12 % below it, on average"),
        (0.5, 0.75, 0.99, "a class 10 % below accuracy is now 8 % below it, on average"),
        (-0.9, -0.5, 0.1, "a class 10 % below accuracy is now 5 % above it, on average"),
        (0.9, 1.25, 1.1, "no change shown"),
        (1.0, 1.25, 1.5, "no change shown"),
        (0.5, 1.25, 1.0, "no change shown"),
    ],
)
def test_alpha_says_what_a_slope_says(low: float, value: float, high: float, shown_by_it: str) -> None:
    """Of a class and its place, and never of gaps."""
    audit = with_model(
        alpha_corrected={"overall": value, "overall_low": low, "overall_high": high},
        alpha_state={"overall": "unsteady"},
    )
    interval = f"95 % interval {low:.2f} to {high:.2f}"
    whole = f"alpha 1.38 (r^2 0.88 over 9 classes); noise-corrected {value:.2f} (unsteady, {interval}): {shown_by_it}"
    assert f"{whole} gaps the noise-corrected spread" in said(audit, 80)


@pytest.mark.parametrize(
    ("low", "high", "shown_by_it"),
    [
        (1.01, 1.9, "1.01 to 1.90): gaps between classes grew"),
        (0.5, 0.99, "0.50 to 0.99): gaps between classes shrank"),
        (0.9, 1.1, "0.90 to 1.10): no change shown"),
        (1.0, 1.5, "1.00 to 1.50): no change shown"),
        (0.5, 1.0, "0.50 to 1.00): no change shown"),
        (1.01, None, "at least 1.01): gaps between classes grew"),
        (0.5, None, "at least 0.50): no change shown"),
    ],
)
@pytest.mark.parametrize("alpha", [(0.5, 0.9), (1.1, 1.5), (None, None)])
def test_gaps_grew_or_shrank_where_the_ratio_of_spreads_shows_it_alone(
    low: float, high: float | None, shown_by_it: str, alpha: tuple[float | None, float | None]
) -> None:
    """Whatever alpha is, even where it means nothing."""
    audit = with_model(
        alpha_corrected={"overall": alpha[0], "overall_low": alpha[0], "overall_high": alpha[1]},
        spread_ratio={"overall": 1.2, "overall_low": low, "overall_high": high},
    )
    whole = "gaps the noise-corrected spread of balances is 1.20 times the dense model's (95 % interval"
    assert f"{whole} {shown_by_it} at worst" in said(audit, 80)


def test_gaps_that_cannot_be_told_say_why() -> None:
    no = {"overall": None, "overall_low": None, "overall_high": None, "overall_absent": "not estimable: 12 % is real"}
    text = said(with_model(spread_ratio=no))
    assert "gaps whether they grew or shrank is undecided (not estimable: 12 % is real) at worst" in text
    assert "gaps" not in said(with_model(intensification={"overall": None, "overall_absent": "collapsed"}))


def test_alpha_that_means_nothing_is_said_to() -> None:
    no = {"overall": None, "overall_low": None, "overall_high": None, "overall_absent": "not estimable: 12 % is real"}
    assert "over 9 classes): means nothing here (not estimable: 12 % is real) gaps" in said(
        with_model(alpha_corrected=no, alpha_state={"overall": "not estimable"})
    )
    text = said(with_model(r_squared={"overall": 0.31}))
    assert "1.12 to 1.88): means nothing here (r^2 below 0.5) gaps" in text
    assert "on average" not in text


def test_a_fall_of_accuracy_comes_before_what_is_said_of_classes() -> None:
    text = said(with_model(change={"overall": -0.62, "overall_low": -0.64, "overall_high": -0.6}))
    assert "Accuracy fell by 62.00 points (95 % interval 60.00 to 64.00). 2 of 9 classes lost more" in text
    assert "Accuracy fell" in said(with_model(change={"overall_high": -0.0201}))
    assert "Accuracy fell" not in said(with_model(change={"overall_high": -0.02}))
    assert "Accuracy fell" not in said(with_model(change={"overall_low": None, "overall_high": None}))
    assert said(audits.everything()).count("Accuracy fell") == 1  # groups have no other accuracy


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
    """But for what to do next."""
    *_, before, last = shown(AUDITS[name], 200).partition("\nNext: ")[0].splitlines()
    if len(AUDITS[name].comparisons) > 1:
        assert last.startswith("Sparsest variant that passes: ")
        last = before
    assert last.startswith(("Gate default: ", "No gate was asked for", "No gate: this audit saw a sample"))


def test_the_gate_speaks() -> None:
    asked = "No gate was asked for; `prune-audit check` judges a saved audit, `compare --gate` a new one."
    assert asked in said(audits.ten())
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
    assert "nothing was checked, which says nothing about the models" in said(nothing)


def test_a_waiver_that_has_expired_is_not_cut_off_by_what_could_not_be_told() -> None:
    """It is why the gate fails today and did not yesterday."""
    audit = audits.judged()
    (comparison,) = audit.comparisons
    failed, unsure = comparison.checks[2], comparison.checks[1]
    gone = replace(failed, subject="waiver of 7", level="warn", observed=None, limit=None, message="it expired")
    checks = (*comparison.checks, *[unsure] * 20, gone)
    audit = replace(audit, comparisons=(replace(comparison, checks=checks),))
    told = said(audit)
    checks_told = told[told.index("lost 33.3") :]
    assert 0 < checks_told.index("waiver of 7 it expired") < checks_told.index("too few samples")


def test_what_a_correction_hides_is_said() -> None:
    """A class whose interval lies beyond the margin is no class that is merely small."""
    audit = audits.ten()
    (comparison,) = audit.comparisons
    (view,) = comparison.views

    def with_suspects(*at: int) -> str:
        measures = tuple(
            replace(m, by_stratum=tuple("suspect: x" if i in at else value for i, value in enumerate(m.by_stratum)))
            if m.name == "reason"
            else m
            for m in view.measures
        )
        seen = replace(comparison, views=(replace(view, measures=measures),))
        return said(replace(audit, comparisons=(seen,)))

    assert "suspect" not in with_suspects()
    few = "For 3 more classes there are too few samples to rule out a loss of 5 points."
    one = f"{few} 1 of these is suspect: alone it would have regressed, but after correction for 9 classes it is not"
    assert f"{one} shown." in with_suspects(5)
    assert "2 of these are suspect: alone each would have regressed, but after" in with_suspects(1, 5)


def test_checks_come_worst_first() -> None:
    """Failed before inconclusive, the model before classes, and these by change, whatever their order and variant."""
    audit = audits.several()

    def check(subject: str, outcome: Outcome, *, level: Level = "error") -> Check:
        return Check(rule="r", subject=subject, outcome=outcome, level=level, observed=None, limit=0.02, message="m")

    one = (check("0", "inconclusive"), check("5", "inconclusive"), check("4", "failed"), check("7", "failed"))
    two = (check("8", "failed", level="warn"), check("8", "failed"), check("2", "passed"), check("model", "failed"))
    a, b, _ = audit.comparisons
    audit = replace(audit, comparisons=(replace(a, checks=one), replace(b, checks=two)))
    rows = [line.split() for line in shown(audit).splitlines() if line.endswith("  m")]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("failed", "pruned-90", "model"),
        ("failed", "pruned-50", "7"),
        ("failed", "pruned-90", "8"),
        ("failed", "pruned-50", "4"),
        ("inconclusive", "pruned-50", "5"),
        ("inconclusive", "pruned-50", "0"),
        ("warning", "pruned-90", "8"),
    ]


def test_groups_among_the_checks_come_by_change_too() -> None:
    audit = audits.everything()
    comparison = audit.comparisons[0]
    checks = tuple(
        replace(comparison.checks[0], subject=subject, outcome="failed", message="m")
        for subject in ("place=outdoor", "place=indoor", "7")
    )
    sampled = replace(audit, provenance=replace(audit.provenance, limited=False))
    text = shown(replace(sampled, comparisons=(replace(comparison, checks=checks),)))
    assert [line.split()[2] for line in text.splitlines() if line.endswith("  m")] == [
        "7",
        "place=indoor",
        "place=outdoor",
    ]


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


def block(text: str, *heads: str) -> list[str]:
    """The lines of the table whose last line of heads holds ``heads``, as far as the next blank line."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if set(heads) <= set(line.split()))
    return lines[at + 2 : at + 2 + lines[at + 2 :].index("")]


def test_several_variants_are_summed_up_first_the_densest_first() -> None:
    text = shown(audits.weighed(), 80)
    rows = [line.split() for line in block(text, "variant", "regressed")]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("pruned-20", "80", "passed"),
        ("pruned-50", "50", "failed"),
        ("pruned-90", "10", "failed"),
        ("lost", "-", "failed"),
    ]
    assert text.index("variant ") < text.index("pruned-50 against dense")


def test_the_summary_says_of_both_verdicts_how_often_they_cannot_be_told() -> None:
    whole = audits.several()
    view = audits.thousand().comparisons[0].views[0]
    audit = replace(whole, comparisons=tuple(replace(c, views=(view,)) for c in whole.comparisons))
    text = shown(audit, 140)
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("variant "))
    above, heads = lines[at - 1 : at + 1]
    assert above.split() == ["change,", "drop:", "harm:"]
    assert " ".join(heads.split()) == (
        "variant density accuracy points alpha regressed cannot tell harmed cannot tell worst class gate"
    )
    row = block(text, "variant", "regressed")[0].split()
    assert row[:-5] == ["pruned-50", "50", "%", "88.50", "%", "-3.26", "1.38", "30", "873", "30", "970"]
    assert row[-1] == "passed"


def test_what_pruning_bought_heads_the_table() -> None:
    text = shown(audits.weighed(), 100)
    heads, _, *rows = text.splitlines()[:6]
    assert heads.split() == ["model", "format", "density", "nonzero", "MACs", "size", "zstd"]
    assert " ".join(rows[0].split()) == "dense TorchScript 100 % 1.00 k 1.23 M 45.7 MB 110 kB"
    assert " ".join(rows[3].split()) == "pruned-90 TorchScript 10 % 100 1.23 M 123 kB 12.3 kB"
    assert "ms" not in heads  # which differs threefold between equal runs, and stays in the document with a spread


def test_a_class_breaks_at_the_densest_variant_that_fails_it() -> None:
    text = shown(audits.weighed(), 80)
    rows = {line.split()[0]: line for line in block(text, "breaks", "at")[:-1]}
    assert list(rows) == ["8", "7"]
    assert rows["8"].endswith("50 %")
    assert rows["7"].endswith("10 %")
    assert rows["8"].count("!") == 3
    assert rows["7"].count("!") == 2


def test_of_several_variants_only_what_failed_is_detailed() -> None:
    text = shown(audits.weighed())
    assert "pruned-20 against dense" not in text
    assert "pruned-50 against dense" in text
    assert "8 more; --all shows them" in text
    assert "pruned-20 against dense" in shown(audits.weighed(), show_all=True)


def test_variants_without_a_finding_are_not_detailed_at_all() -> None:
    whole = audits.several()
    rows: list[audits.Row] = [(name, (50, 0, 0, 1), "fine", "no harm shown") for name in "ab"]
    fine = tuple(replace(c, views=(audits.view(rows),), checks=()) for c in whole.comparisons)
    text = said(replace(whole, comparisons=fine))
    assert "Nothing is flagged in any variant; --all shows every class of each." in text
    assert "against dense" not in text


def test_the_last_word_on_several_variants_is_how_far_one_may_go() -> None:
    assert (
        said(audits.several())
        .partition(" Next: ")[0]
        .endswith(
            "Sparsest variant that passes: pruned-50 (2 of 3 variants tried, in the order given, because densities are "
            "unknown). Confirm it on fresh data."
        )
    )
    audit = audits.several()
    ordered = replace(audit, comparisons=audit.comparisons[1::-1])
    assert "pruned-50 (2 of 2 variants tried, the densest first). Confirm" in said(ordered)
    unsure = replace(audit, comparisons=(audit.comparisons[2], audit.comparisons[1]))
    assert (
        "passes: int8 (2 of 2 variants tried, in the order given, because densities are unknown). Not everything"
        in said(unsure)
    )
    none = replace(audit, comparisons=(audit.comparisons[1], audit.comparisons[1]))
    assert "Sparsest variant that passes: none (1 of 2 variants tried" in said(none)
    assert "Sparsest" not in said(audits.judged())


def test_a_variant_whose_failure_is_waived_is_not_called_the_sparsest_that_passes() -> None:
    """The densest failed and is waived; so it is where the baseline knows the failure."""
    audit = audits.several()
    checks = tuple(
        replace(check, outcome="waived" if check.outcome == "failed" and check.level == "error" else "passed")
        for check in audit.comparisons[1].checks
    )
    excused = replace(audit, comparisons=(audit.comparisons[0], replace(audit.comparisons[1], checks=checks)))
    text = said(excused)
    assert "Sparsest variant that passes" not in text
    through = "Sparsest variant that the gate lets through: pruned-90 (2 of 2 variants tried, the densest first), with"
    assert f"{through} 1 check waived up to it. Sparsest that passes without: pruned-50. Confirm it" in text
    assert "passed, 1 waived" in text
    assert "Gate default: passed with 1 check waived. None of the other" in text
    known = said(replace(excused, baseline="accepted.json", comparisons=excused.comparisons[::-1][:1] * 2))
    assert "with 2 checks waived or known in accepted.json up to it. Sparsest that passes without: none." in known


def test_both_recalls_are_seen_at_once_without_colour() -> None:
    rows: list[audits.Row] = [
        ("a", (40, 40, 0, 10), "regressed", None),
        ("b", (40, 0, 40, 10), "fine", None),
        ("c", (40, 1, 1, 10), "fine", None),
    ]
    lines = shown(audits.audit(rows), 140).splitlines()
    a, b, c = (next(line for line in lines if line.startswith(f"{name} ")) for name in "abc")
    assert "━┄" in a.replace("╸", "━")
    assert "━╍" in b.replace("╸", "━")
    assert not {"┄", "╍"} & set(c)
    assert "bar: ━ kept, ┄ lost, ╍ gained" in said(audits.ten())


def test_sentences_take_no_room_from_bars() -> None:
    """A wider terminal must not have shorter bars."""
    view = audits.ten().comparisons[0].views[0]
    why = "95 % interval of the drop 21.9 to 39.2 points, beyond the margin of 2"
    measures = tuple(
        replace(m, by_stratum=(why,) * len(view.strata)) if m.name == "reason" else m for m in view.measures
    )
    candidates = classes.columns(replace(view, measures=measures), Settings(), list(range(10)), LINES)
    fits = [classes.fit(candidates, width) for width in range(120, 241)]
    told = [fitted.bar for fitted in fits if any(column.title == "why" for column in fitted.columns)]
    assert 40 <= len(told) < len(fits)  # from 200 on, and not always
    assert set(told) == {MOST}


def test_what_was_taken_for_granted_stands_in_the_head_with_the_option_that_sets_it() -> None:
    text = " ".join(shown(audits.everything(), 200).split())
    assert "assumes class order: sorted (folder names; --classes FILE)" in text
    assert "scores of dense: logits (asked for; --scores [NAME=]KIND)" in text
    assert r"scores of pruned-90: | (\x1b[31mred; --scores [NAME=]KIND)" in text


def test_models_of_which_the_same_is_taken_for_granted_are_told_together() -> None:
    def of(*names: str) -> list[Assumption]:
        return [Assumption(subject=n, what="scores", value="logits", why="seen", option="--scores") for n in names]

    assert wording.assumed(of("a", "b"), ["a", "b"]) == ["scores of all models: logits (seen; --scores)"]
    assert wording.assumed(of("a", "b"), ["a", "b", "c"]) == ["scores of a, b: logits (seen; --scores)"]
    assert wording.assumed(of("a"), ["a"]) == ["scores of a: logits (seen; --scores)"]


def test_what_a_density_leaves_out_stands_below_the_models_in_every_report() -> None:
    audit = audits.everything()
    [first, *rest] = audit.comparisons
    coarse = replace(first.pruned.layers[0], nonzero=30, rounded=12)
    pruned = replace(first.pruned, layers=(coarse, *first.pruned.layers[1:]), uncounted=("places (1 x 7 x 4)",))
    dense = replace(first.dense, uncounted=("places (1 x 7 x 4)",))
    told = replace(audit, comparisons=(replace(first, dense=dense, pruned=pruned), *rest))
    both = f"{printable(dense.name)}, {printable(pruned.name)}: not counted: places (1 x 7 x 4)"
    rounds = "12 zeros of quantised weights are what rounding explains, and count as weights"
    text = " ".join(shown(told, 200).split())
    assert f"density {both}" in text
    assert f": {rounds}" in text
    assert "not counted" not in shown(audit, 200)
    for report in (html.render(told), markdown.render(told)):
        assert "not counted: places" in report
        assert rounds in report
    assert pruned.density == (42 + sum(layer.nonzero for layer in pruned.layers[1:])) / 1000

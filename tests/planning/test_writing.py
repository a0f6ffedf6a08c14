"""The formats of a plan: their words and numbers, and that nothing foreign is obeyed."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from prune_audit import planning
from prune_audit.core import Audit, Settings, Task
from prune_audit.planning import Design, writing
from prune_audit.render import consoles
from prune_audit.reports.table import plain
from tests.planning.test_planning import COUNTS, audit_of


def shown(sheet: writing.Sheet, width: int = 80, *, show_all: bool = False) -> str:
    console = consoles.Console(io.StringIO(), width, 50, colours=False)
    return plain(writing.renderable(sheet, width, show_all=show_all), console)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def named(audit: Audit, *names: str) -> Audit:
    """``audit`` with the classes called otherwise."""
    comparisons = []
    for each in audit.comparisons:
        view = each.view()
        pair = replace(view.pair, strata=names, classes=names)
        comparisons.append(replace(each, views=(replace(view, pair=pair),)))
    return replace(audit, comparisons=tuple(comparisons))


def test_a_plan(tmp_path: Path) -> None:
    sheet = writing.of_plan(planning.plan(Design(classes=10, churn=0.06, power=0.8, settings=Settings())))
    told = shown(sheet)
    assert "one unchanged class is fine            232    2,320    11.1 points" in told
    assert "all 10 unchanged classes are fine      434    4,340     8.3 points" in told
    assert max(map(len, told.splitlines())) <= 80
    writing.write(sheet, tmp_path / "p.csv")
    assert [row["samples_a_class"] for row in rows(tmp_path / "p.csv")] == ["232", "434"]
    assert float(rows(tmp_path / "p.csv")[1]["smallest_drop_convicted"]) == pytest.approx(0.083, abs=1e-4)
    writing.write(sheet, tmp_path / "p.md")
    assert "| all 10 unchanged classes are fine | 434 | 4,340 | 8.3 points |" in (tmp_path / "p.md").read_text()


def test_nothing_short_of_certain_reads_as_certain() -> None:
    told = shown(
        writing.of_plan(
            planning.plan(Design(classes=1, churn=0, power=0.99999999, settings=Settings(confidence=0.9999999)))
        )
    )
    assert "99.999999 % of such audits say so" in told
    assert "in 99.999999 of 100 audits" in told
    assert "by the 99.99999 % interval" in told
    assert "100 %" not in told


def test_a_plan_without_end() -> None:
    sheet = writing.of_plan(
        planning.plan(Design(classes=1, churn=0.5, power=0.8, settings=Settings(margin=0.001, assure=0.001)))
    )
    assert "more than 1,048,576" in shown(sheet)
    assert "not counted out beyond 20,000 samples a class" in shown(sheet)


def test_a_list(tmp_path: Path) -> None:
    sheet = writing.of_list(planning.shopping(audit_of(COUNTS), budget=100))
    told = shown(sheet)
    assert "0      107    173    66      66  yes" in told
    assert "A budget of 100 samples is best spent on 0: 66 samples settle 1 class" in " ".join(told.split())
    assert "34 left" in told
    writing.write(sheet, tmp_path / "l.csv")
    first = rows(tmp_path / "l.csv")[0]
    assert first == {
        **{"by": "class", "stratum": "0", "variant": "variant-0", "support": "107", "samples_needed": "173"},
        **{"more": "66", "more_so_far": "66", "bought": "yes"},
    }
    writing.write(sheet, tmp_path / "l.md")
    assert "| `0` | 107 | 173 | 66 | 66 | yes |" in (tmp_path / "l.md").read_text(encoding="utf-8")


def test_too_small_a_budget_says_what_the_cheapest_takes() -> None:
    assert "settles no class: the cheapest takes 66." in shown(
        writing.of_list(planning.shopping(audit_of(COUNTS), budget=10))
    )


def test_nothing_to_buy(tmp_path: Path) -> None:
    sheet = writing.of_list(planning.shopping(audit_of([(900, 1, 1, 0)]), budget=10))
    assert "Nothing is undecided: 1 class judged." in shown(sheet)
    writing.write(sheet, tmp_path / "l.csv")
    assert rows(tmp_path / "l.csv") == []
    assert (tmp_path / "l.csv").read_text().startswith("by,stratum,variant,support,")
    assert "No class could be judged." in shown(writing.of_list(planning.shopping(audit_of([(0, 0, 0, 9)]))))


def test_many_classes_are_cut_on_the_screen_alone(tmp_path: Path) -> None:
    sheet = writing.of_list(planning.shopping(audit_of([(106, 1, 0, 0)] * 30)))
    assert "10 more; --all shows them" in shown(sheet)
    assert "more; --all" not in shown(sheet, show_all=True)
    writing.write(sheet, tmp_path / "l.csv")
    assert len(rows(tmp_path / "l.csv")) == 30


def test_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    sheet = writing.of_list(
        planning.shopping(named(audit_of([(106, 1, 0, 0), (108, 2, 0, 0)]), "=1+1", "a|b\x1b[31m @you"))
    )
    assert "\x1b" not in shown(sheet)
    writing.write(sheet, tmp_path / "l.csv")
    assert rows(tmp_path / "l.csv")[0]["stratum"] == "=1+1"
    writing.write(sheet, tmp_path / "e.csv", {"csv": "excel"})
    assert rows(tmp_path / "e.csv")[0]["stratum"] == "'=1+1"
    writing.write(sheet, tmp_path / "l.md")
    assert "a\\|b" in (tmp_path / "l.md").read_text(encoding="utf-8")


def test_a_list_calls_things_what_they_are() -> None:
    audit = audit_of(COUNTS)
    (comparison,) = audit.comparisons
    view = comparison.view()
    boxes = Task(name="x", thing=("box", "boxes"), stratum=("kind", "kinds"))
    called = replace(view, pair=replace(view.pair, task=boxes))
    audit = replace(audit, comparisons=(replace(comparison, views=(called,)),))
    for budget in (1, 500):
        told = shown(writing.of_list(planning.shopping(audit, budget=budget)), 500)
        assert "what would settle kinds" in told
        assert "more boxes would settle each" in told
        assert ("A budget of 1 box settles no kind" if budget == 1 else "A budget of 500 boxes is best spent") in told
        assert "sample" not in told
        assert "class" not in told.replace("--classes N", "")

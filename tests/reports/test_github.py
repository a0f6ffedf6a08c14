"""Annotations: commands that the runner reads as they were meant, no more than it shows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from prune_audit.core import Audit, Check, Level
from prune_audit.reports.github import render
from tests.reports import audits


def read(text: str) -> list[tuple[str, str, str]]:
    """Each command as the runner reads it: kind, title and message, unescaped."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(\w+) title=([^,:]*)::(.*)", line)
        assert match, line
        kind, title, message = match.groups()
        for code, mark in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            title, message = title.replace(code, mark), message.replace(code, mark)
        found.append((kind, title, message))
    return found


def test_a_failed_check_is_an_error_and_others_are_warnings() -> None:
    assert read(render(audits.judged())) == [
        ("error", "prune-audit: pruned-90: 7: recall-drop", "lost 33.3 points, the limit is 2"),
        ("warning", "prune-audit: pruned-90: 5: harmed", "too few samples"),
        ("warning", "prune-audit: pruned-90: the model: accuracy-drop", "accuracy fell by [7] points"),
    ]


def test_no_name_ends_a_command_or_begins_another() -> None:
    found = read(render(audits.biting()))
    assert len(found) == len(audits.BITING)
    assert found[0][:2] == ("error", "prune-audit: @pruned|90: ::error::x: recall-drop")
    assert found[0][2].startswith("::error::x: 100 % lost")


def failing(count: int, level: Level) -> Audit:
    audit = audits.judged()
    check = Check(rule="r", subject="7", outcome="failed", level=level, observed=None, limit=None, message="m")
    checks = tuple(replace(check, subject=str(i)) for i in range(count))
    return replace(audit, comparisons=(replace(audit.comparisons[0], checks=checks),))


@pytest.mark.parametrize(("level", "kind"), [("error", "error"), ("warn", "warning")])
def test_ten_of_a_kind_are_shown_and_the_last_one_counts_the_rest(level: Level, kind: str) -> None:
    assert len(read(render(failing(10, level)))) == 10
    found = read(render(failing(12, level)))
    assert len(found) == 10
    assert found[-1][:2] == (kind, "prune-audit: 3 more")


def test_without_a_gate_findings_are_warnings() -> None:
    found = read(render(audits.ten()))
    assert {kind for kind, _, _ in found} == {"warning"}
    assert found[0][1:] == ("prune-audit: pruned-90: 7: recall-drop", "regressed")


def test_where_nothing_failed_there_is_nothing() -> None:
    audit = audits.judged("passed")
    passed = tuple(c for c in audit.comparisons[0].checks if c.outcome == "passed")
    assert passed
    assert render(replace(audit, comparisons=(replace(audit.comparisons[0], checks=passed),))) == ""
    assert render(audits.limited()) == ""

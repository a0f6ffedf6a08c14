"""Odd words are explained where they occur."""

from __future__ import annotations

from prune_audit.core import Settings
from prune_audit.reports._words import words
from tests.reports import audits


def test_those_that_occur_and_no_others() -> None:
    view = audits.ten().comparisons[0].views[0]
    said = [word.partition(":")[0] for word in words(view, range(10), Settings()).split("; ")]
    assert said == ["intensified", "harmed", "held better"]
    assert words(view, [0], Settings()) == ""

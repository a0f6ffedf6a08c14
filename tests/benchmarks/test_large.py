"""What the benchmark of large audits makes of what it measures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks import large


def test_the_exponent_is_that_of_the_last_step() -> None:
    assert large.exponent([1, 10, 100], [7, 2, 20]) == pytest.approx(1)
    assert large.exponent([1, 2], [3, 3]) == 0
    assert large.exponent([10, 40], [1, 2]) == pytest.approx(0.5)


def test_a_process_is_told_by_what_it_used_itself_and_a_failed_one_is_none(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nkept = bytearray(100_000_000)"
    cost = large.spent([sys.executable, "-c", busy], tmp_path)
    assert cost is not None
    assert 0.3 <= cost.seconds < 3  # start-up is with it
    assert cost.megabytes > 100
    assert large.spent([sys.executable, "-c", "raise SystemExit(1)"], tmp_path) is None


def test_what_is_drawn_can_be_audited() -> None:
    cost = large.audited(300, 3, 2)
    assert cost.seconds > 0

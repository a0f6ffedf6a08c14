"""Run the command line in this process, or as a user's process would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conftest import ROOT


def process(
    arguments: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """``prune-audit ARGUMENTS`` as a process of its own."""
    import os

    return subprocess.run(
        [sys.executable, "-m", "prune_audit", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        check=False,
    )

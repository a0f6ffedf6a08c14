"""Run the command line in this process, or as a user's process would."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from prune_audit.cli import invoke
from tests.conftest import ROOT


def here(
    arguments: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """``prune-audit ARGUMENTS`` in this process, which has imported torch long ago, and what it would have printed."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        code = invoke([*map(str, arguments)])
    return subprocess.CompletedProcess([*map(str, arguments)], code, out.getvalue(), err.getvalue())


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

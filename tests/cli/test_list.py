"""prune-audit list."""

from __future__ import annotations

import subprocess
import sys

import pytest

from prune_audit import plugins
from prune_audit.cli import invoke


def test_every_plugin_of_every_kind_with_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list"]) == 0
    told = capsys.readouterr()
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    for room in plugins.ROOMS:
        assert room in lines
        for name in plugins.names(room):
            start = " ".join(f"{name} {plugins.help_line(room, name)}"[:60].split()[:-1])
            assert any(line.startswith(start) for line in lines), name
    assert told.err == ""


def test_one_kind_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list", "reports"]) == 0
    told = capsys.readouterr().out.split()
    assert {"reports", "csv", "json", "table"} <= set(told)
    assert "stats" not in told


def test_an_unknown_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["list", "lenses"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "error: there is no kind of plugin 'lenses'\nhint: known: models, data, stats, rules, reports\n"
    )


def test_nothing_is_imported_to_list(tmp_path: object) -> None:
    script = (
        "import sys\nfrom prune_audit.cli import invoke\nassert invoke(['list']) == 0\n"
        "print(*sorted({'torch', 'onnx', 'onnxruntime', 'pandas', 'scipy', 'PIL', 'pyarrow'} & set(sys.modules)), "
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""

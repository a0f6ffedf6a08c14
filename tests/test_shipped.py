"""The wheel works by itself: what it holds, and the demo from it, without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

from prune_audit import shipped
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    return folder / f"prune_audit-{version('prune-audit')}-py3-none-any.whl"


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel."""
    folder = tmp_path_factory.mktemp("unpacked")
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_what_lies_elsewhere_in_the_repository(unpacked: Path) -> None:
    package = unpacked / "prune_audit"
    assert (package / shipped.GUIDE).read_text("utf-8") == shipped.guide()
    with ZipFile(package / shipped.DEMO) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == dict(shipped.demo())
    assert not (unpacked / "sample_models").exists()


def test_it_stays_small(wheel: Path) -> None:
    """A megabyte is for code; two models and a thousand images take a third of one."""
    assert wheel.stat().st_size < 2_000_000
    with ZipFile(wheel) as archive:
        assert archive.getinfo(f"prune_audit/{shipped.DEMO}").compress_size < 600_000


def test_the_demo_runs_from_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    """In an empty folder, with nothing of the repository on the path; models run in processes of their own."""
    told = "import prune_audit; print(prune_audit.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "PRUNE_AUDIT_ISOLATE": "auto"}
    where = subprocess.run(
        [sys.executable, "-P", "-c", told], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    assert Path(where.stdout.strip()).is_relative_to(unpacked)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "prune_audit", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "What to type next:" in done.stdout
    assert (tmp_path / "prune-audit-demo" / "audit.json").is_file()

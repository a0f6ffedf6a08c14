"""The wheel works by itself: what it holds, and the demo from it, without the repository."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from prune_audit import shipped
from tests.conftest import ROOT

HOME = "https://github.com/acme/prune-audit"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this repository."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
    environment = {name: value for name, value in os.environ.items() if name != "PRUNE_AUDIT_REPOSITORY"}
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run(build, check=True, env=environment)
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


def published() -> dict[str, Any]:
    """What the hook of the build fills in."""
    metadata: dict[str, Any] = {"version": "1.2"}
    runpy.run_path(str(ROOT / ".ci" / "wheel.py"))["Published"](str(ROOT), {}).update(metadata)
    return metadata


def test_an_index_shows_the_readme_with_whole_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which lead to files that are there, at the tag of the version."""
    monkeypatch.setenv("PRUNE_AUDIT_REPOSITORY", f"{HOME}/")
    made = published()
    assert made["urls"]["Repository"] == HOME
    links = re.findall(r"""(?:\]\(|src=")([^)"]+)""", made["readme"]["text"])
    assert all(link.startswith("https://") for link in links)
    ours = {match[1] for link in links if (match := re.fullmatch(HOME + r"/(?:blob|raw)/v1\.2/(.*)", link))}
    assert {"docs/terminal.svg", "docs/reading-an-audit.md", "CONTRIBUTING.md"} <= ours
    assert all((ROOT / path).is_file() for path in ours)
    assert f'src="{HOME}/raw/v1.2/docs/terminal.svg"' in made["readme"]["text"]


def test_without_an_address_a_package_names_none(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNE_AUDIT_REPOSITORY", raising=False)
    assert "urls" not in published()
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        head, _, text = archive.read(name).decode().partition("\n\n")
    assert "Author: prune-audit contributors" in head
    assert "\nProject-URL" not in head
    assert text.strip() == (ROOT / "README.md").read_text("utf-8").strip()


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
    assert (done.returncode, done.stderr) == (0, "wrote audit.json\n")
    assert "What to type next:" in done.stdout
    assert (tmp_path / "prune-audit-demo" / "audit.json").is_file()

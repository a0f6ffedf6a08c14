"""prune-audit history: releases that `check --history` remembered, shown again."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit.history import folder
from tests.cli._run import here
from tests.history.audits import stream


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "releases"
    for release in stream():
        folder.add(path, release)
    return path


def test_shows_and_writes_them(kept: Path, tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("h.html", "h.csv", "h.svg")]
    done = here(["history", kept, *(part for name in names for part in ("-o", name))])
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 releases, 2026-03-01 to 2026-06-29, of which 3 failed the gate." in done.stdout
    assert all(name.stat().st_size > 500 for name in names)


def test_prints_nothing_where_it_is_to_be_quiet(kept: Path) -> None:
    assert here(["history", kept, "-q"]).stdout == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "h.pdf"], "no history is written to .pdf"),
        (["--dialect", "sarif=whole"], "--dialect: expected csv=excel, found 'sarif=whole'"),
    ],
)
def test_what_cannot_be_written_is_2(options: list[str], said: str, kept: Path, tmp_path: Path) -> None:
    done = here(["history", kept, *options], cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_folder_without_releases_is_2(tmp_path: Path) -> None:
    done = here(["history", tmp_path])
    assert done.returncode == 2
    assert "expected a folder of releases, found none in it" in done.stderr
    assert "hint: `prune-audit check AUDIT --history FOLDER` adds one" in done.stderr


def test_a_misspelt_folder_of_releases_is_asked_about(kept: Path) -> None:
    done = here(["history", kept.with_name(f"{kept.name}s")])
    assert done.returncode == 2
    assert "expected a folder of releases, found nothing there" in done.stderr
    assert f"hint: did you mean {kept}? `prune-audit check AUDIT --history FOLDER` adds one" in done.stderr

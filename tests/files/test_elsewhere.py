"""Paths that are not there, and those that are near."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prune_audit.files.elsewhere import meant


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "val").mkdir(parents=True)
    (tmp_path / "data" / "labels.csv").write_text("")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("data/vall/", "did you mean data/val? "),
        ("data/label.csv", "did you mean data/labels.csv? "),
        ("dta/val", "did you mean data/val? "),
        ("./Data/val", "did you mean data/val? "),
        ("data/val.csv", ""),  # a folder is no file
        ("dta/nothing", "did you mean data? "),  # the rest is not there either
        ("data/pictures", ""),
        ("data/labels.csv/x", "did you mean data/labels.csv? "),  # which is no folder
        ("nowhere", ""),
    ],
)
def test_the_first_part_that_is_missing_is_held_against_what_lies_beside_it(typed: str, asked: str) -> None:
    assert meant(Path(typed)) == asked


def test_an_absolute_path_stays_one(tmp_path: Path) -> None:
    assert meant(tmp_path / "data" / "vall") == f"did you mean {tmp_path / 'data' / 'val'}? "


def test_a_folder_that_cannot_be_listed_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "scandir", refused)
    assert meant(Path("data/vall")) == ""

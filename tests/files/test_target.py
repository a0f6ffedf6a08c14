from __future__ import annotations

import os
from pathlib import Path

import pytest

from prune_audit import reports
from prune_audit.errors import OutputError
from prune_audit.files.target import target
from prune_audit.models.recorded.write import check_predictions_path
from prune_audit.study import results


def test_a_link_that_was_named_leads_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    assert target(tmp_path / "link") == (tmp_path / "file").resolve()
    assert target(tmp_path / "link", named=False) == tmp_path / "link"
    assert target(tmp_path / "new") == (tmp_path / "new").resolve()


def test_a_link_in_a_folder_of_somebody_else_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / results.AUDITED).symlink_to(tmp_path / "mine")
    results.put_audited(folder, [("a", "cat")])
    assert (tmp_path / "mine").read_text() == "mine"
    assert (folder / results.AUDITED).read_text() == "id,class\na,cat\n"
    assert not (folder / results.AUDITED).is_symlink()


def test_a_link_that_was_named_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("file.csv")
    reports.put(tmp_path / "link.csv", "new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "file.csv").read_text() == "new"


@pytest.mark.parametrize("named", [True, False])
def test_what_is_no_file_is_not_replaced(named: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(OutputError, match="expected a file, found a device, a pipe or a socket"):
        reports.put(tmp_path / "pipe.csv", "new", named=named)
    with pytest.raises(OutputError, match="expected a file, found a folder"):
        reports.put(tmp_path, "new", named=named)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.csv"]


def test_a_device_is_refused_before_a_long_run(tmp_path: Path) -> None:
    (tmp_path / "device.csv").symlink_to("/dev/null")
    with pytest.raises(OutputError, match="found a device"):
        reports.check_writable(tmp_path / "device.csv")
    with pytest.raises(OutputError, match="found a device"):
        check_predictions_path(tmp_path / "device.csv")
    assert not Path("/dev/null").is_file()

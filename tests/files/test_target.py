from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from prune_audit import reports
from prune_audit.errors import OutputError
from prune_audit.files import sealed
from prune_audit.files.target import folder, target
from prune_audit.models.recorded.write import check_predictions_path
from prune_audit.nets.editable import put
from prune_audit.prune import check_output
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


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:  # a short name, for such have a limit
        made.bind(path.name)


def _one(made: Path) -> None:
    made.write_bytes(b"network")


def _with_data(made: Path) -> None:
    made.with_name(f"{made.name}.data").write_bytes(b"weights")
    made.write_bytes(b"network")


def _folder(made: Path) -> None:
    made.mkdir()
    (made / "config.json").write_bytes(b"{}")


@pytest.mark.parametrize("make", [_pipe, _socket])
@pytest.mark.parametrize("write", [_one, _with_data, _folder])
def test_no_network_takes_the_place_of_a_pipe_or_a_socket(
    make: Callable[[Path], None], write: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "naive")
    (tmp_path / "moved").touch()
    (tmp_path / "moved").replace(tmp_path / "naive")  # which is all that it takes
    assert (tmp_path / "naive").is_file()
    make(tmp_path / "out")
    before = (tmp_path / "out").lstat()
    with pytest.raises(OutputError, match="found a device, a pipe or a socket"):
        put(tmp_path / "out", write)
    with pytest.raises(OutputError, match="found a device, a pipe or a socket"):
        check_output(tmp_path / "dense", tmp_path / "out")
    assert os.path.samestat(before, (tmp_path / "out").lstat())
    (tmp_path / "out").rename(tmp_path / "net.data")
    (tmp_path / "net").write_text("old")
    if write is _with_data:
        with pytest.raises(OutputError, match="found a device, a pipe or a socket"):
            put(tmp_path / "net", write)
        assert (tmp_path / "net").read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["naive", "net", "net.data"]


def test_what_a_network_brings_beside_itself_goes_through_no_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "naive.data").symlink_to(mine)
    (tmp_path / "naive.data").write_text("theirs")
    assert mine.read_text() == "theirs"  # which is what writing there would do
    mine.write_text("mine")
    (tmp_path / "net.data").symlink_to(mine)
    put(tmp_path / "net", _with_data)
    assert mine.read_text() == "mine"
    assert (tmp_path / "net.data").read_bytes() == b"weights"
    assert not (tmp_path / "net.data").is_symlink()


def test_a_network_that_was_named_by_a_link_goes_to_where_it_leads(tmp_path: Path) -> None:
    for name in ("there", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "there" / "file").write_text("old")
    (tmp_path / "link").symlink_to("there/file")
    put(tmp_path / "link", _one)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"network"
    with pytest.raises(OutputError, match="a link to another folder, and this network is of several files"):
        put(tmp_path / "link", _with_data)
    with pytest.raises(OutputError, match="expected a folder, found a file"):
        put(tmp_path / "link", _folder)
    (tmp_path / "near").symlink_to("file")
    put(tmp_path / "near", _with_data)
    assert (tmp_path / "file").read_bytes() == b"network"
    (tmp_path / "whole").symlink_to("empty")
    put(tmp_path / "whole", _folder)
    assert (tmp_path / "whole").is_symlink()
    assert (tmp_path / "empty" / "config.json").is_file()
    with pytest.raises(OutputError, match="a folder that is there already"):
        put(tmp_path / "whole", _folder)
    (tmp_path / "new").mkdir()
    with pytest.raises(OutputError, match="expected a file, found a folder"):
        put(tmp_path / "new", _one)
    names = ["empty", "file", "link", "near", "near.data", "new", "there", "whole"]
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    assert [each.name for each in (tmp_path / "there").iterdir()] == ["file"]


def test_no_link_on_the_way_is_followed_below_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "runs").symlink_to(tmp_path / "mine")
    (tmp_path / "study" / "runs" / "naive").mkdir()
    assert (tmp_path / "mine" / "naive").is_dir()  # which is what making it there would do
    for write in (
        lambda: folder(tmp_path / "study" / "runs" / "net", within=tmp_path / "study"),
        lambda: results.put(tmp_path / "study", tmp_path / "study" / "runs" / "net" / "0.json", {}),
        lambda: sealed.write(tmp_path / "study" / "runs" / "net" / "0", b"", "of", within=tmp_path / "study"),
    ):
        with pytest.raises(OutputError, match="runs is a link, and none is followed there") as caught:
            write()
        assert caught.value.hint == f"remove it: rm {tmp_path / 'study' / 'runs'}"
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["naive"]
    (tmp_path / "named").symlink_to("study")  # the folder itself was named
    assert folder(tmp_path / "named" / "other" / "net", within=tmp_path / "named").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made: File exists"):
        folder(tmp_path / "file")


AT_WORK = """
import sys
from pathlib import Path
from prune_audit.files import target
with target.scratch(Path("net")) as made, target.replacing(Path("net.resume"), named=False) as file:
    (made / "below").mkdir()
    (made / "below" / "link").symlink_to(Path("mine").resolve())
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_run_left_is_removed_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    digits = "0" * 32
    own = ("mine", f".other-{digits}", f".net-{digits}x", f".net.link-{digits}", f".net.pipe-{digits}")
    (tmp_path / own[0]).mkdir()
    (tmp_path / own[0] / "file").touch()
    (tmp_path / own[1]).touch()
    (tmp_path / own[2]).touch()
    (tmp_path / own[3]).symlink_to("mine")
    os.mkfifo(tmp_path / own[4])
    process = subprocess.Popen(
        [sys.executable, "-c", AT_WORK], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"at work\n"
    left = [each.name for each in tmp_path.iterdir() if each.name not in own]
    assert len(left) == 2
    put(tmp_path / "net", _one)  # while that one is at work
    assert {each.name for each in tmp_path.iterdir()} == {*own, *left, "net"}
    process.kill()
    process.communicate()
    put(tmp_path / "net", _one)
    assert {each.name for each in tmp_path.iterdir()} == {*own, "net"}
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["file"]

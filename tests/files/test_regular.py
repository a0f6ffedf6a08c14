"""Files are read whole, and what has no end is not read at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from prune_audit.files import regular


def test_a_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\r\nb")
    (tmp_path / "b").symlink_to("a")
    assert regular.content(tmp_path / "b") == b"\xef\xbb\xbfa\r\nb"
    assert regular.text(tmp_path / "b", "utf-8-sig") == "a\nb"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such devices")
def test_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(os.devnull)  # which ends, so that the test would, unlike /dev/zero
    for pipe in (False, True):
        with pytest.raises(regular.NoFile, match="it is no file but a device or a pipe"):
            regular.content(tmp_path / "a", pipe=pipe)
        with pytest.raises(regular.NoFile):
            regular.text(tmp_path / "a", pipe=pipe)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no named pipes")
def test_a_pipe_is_read_where_one_may_be_given(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    with pytest.raises(regular.NoFile):
        regular.text(tmp_path / "p")
    writer = threading.Thread(target=(tmp_path / "p").write_text, args=("a",))
    writer.start()
    assert regular.text(tmp_path / "p", pipe=True) == "a"
    writer.join()


def test_what_is_not_there_and_a_folder_are_told_by_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        regular.text(tmp_path / "a")
    with pytest.raises(OSError, match=r"irectory|denied"):
        regular.content(tmp_path)

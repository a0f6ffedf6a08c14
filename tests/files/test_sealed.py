"""What is read is what was written there, or nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prune_audit.errors import OutputError
from prune_audit.files import sealed

CONTENT = b'{"columns": 3}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "file"
    sealed.write(path, CONTENT, "here")
    return path


def test_what_was_written_comes_back(path: Path) -> None:
    assert sealed.read(path, "here") == CONTENT
    sealed.write(path, b"", "here")
    assert sealed.read(path, "here") == b""
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_every_flipped_bit_is_seen(path: Path) -> None:
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(sealed.DamagedFile):
            sealed.read(path, "here")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:-1],
        lambda whole: whole + b"\0",
        lambda whole: bytes(len(whole)),
        lambda whole: whole[65:],
        lambda whole: whole[:64] + b" " + whole[65:],
    ],
)
def test_what_is_cut_added_or_blank_is_damaged(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(sealed.DamagedFile):
        sealed.read(path, "here")


def test_a_file_in_the_place_of_another_proves_nothing(path: Path) -> None:
    with pytest.raises(sealed.DamagedFile):
        sealed.read(path, "there")


def test_a_missing_file_is_not_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sealed.read(tmp_path / "file", "here")


def test_a_folder_that_is_removed_meanwhile_is_made_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, left = Path.touch, [3]

    def late(file: Path, *, exist_ok: bool) -> None:
        if left[0]:
            left[0] -= 1
            shutil.rmtree(file.parent)
        original(file, exist_ok=exist_ok)

    monkeypatch.setattr(Path, "touch", late)
    sealed.write(path, b"new", "here")
    assert (sealed.read(path, "here"), left) == (b"new", [0])


def test_a_folder_that_takes_no_file_ends_it_at_once_and_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = np.zeros(1, int)

    def refuse(file: Path, *, exist_ok: bool) -> None:
        calls[0] += 1
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refuse)
        with pytest.raises(OutputError, match="Permission denied") as caught:
            sealed.write(path, b"new", "here")
    assert "--no-cache" in caught.value.hint
    assert calls == 1
    assert sealed.read(path, "here") == CONTENT


def test_what_is_no_file_is_never_read(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)  # to read it would wait for whoever writes, as to read a device would never end
    with pytest.raises(sealed.DamagedFile):
        sealed.read(path, "here")
    path.unlink()
    path.symlink_to(os.devnull)
    with pytest.raises(sealed.DamagedFile):
        sealed.read(path, "here")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        sealed.read(path, "here")

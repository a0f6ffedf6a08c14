"""What is no data set is described by what is in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from prune_audit.files.sniff import describe
from tests.data.conftest import Draw


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b" \n\n", "blank text"),
        ("\n label\ncät\n".encode(), "text beginning 'label'"),
        (b"\xef\xbb\xbflabel\n", "text beginning 'label'"),
        (b"x" + "é".encode() * 600, f"text beginning 'x{'é' * 39}'"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b"\x80\x04\x95", "a pickle"),
        (b"PK\x03\x04", "a zip archive (as .npz files are) that is cut short"),
        ("id;label\na;Möwe\n".encode("cp1252"), "text in another encoding than UTF-8"),
        ("id,label\n".encode("utf-16-le"), "text in UTF-16 that does not begin by saying so"),
        (b"\xff\xfe\x00\x01", "binary data beginning ff fe 00 01"),
    ],
)
def test_bytes(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "x").write_bytes(content)
    assert describe(tmp_path / "x").startswith(what)


def test_real_files_of_other_kinds(tmp_path: Path, draw: Draw) -> None:
    for suffix in ("png", "jpg", "bmp"):
        assert describe(draw(tmp_path / f"a.{suffix}")) == "a single image"
    np.save(tmp_path / "a.npy", np.zeros(3))
    assert describe(tmp_path / "a.npy").startswith("a single NumPy array; np.savez(")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in "abcde":
            archive.writestr(f"{name}.txt", "")
    assert describe(tmp_path / "a.zip") == "a zip archive of a.txt, b.txt, c.txt, d.txt, ..."
    assert describe(tmp_path) == "no regular file"

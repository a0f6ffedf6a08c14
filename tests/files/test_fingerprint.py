"""The identity of data changes where, and only where, what a model sees may change."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from prune_audit.core import Array
from prune_audit.files import fingerprint


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name in "ab":
        (tmp_path / name).write_text(name * 5)
    return [tmp_path / "a", tmp_path / "b"]


def test_small_files_are_told_by_content_alone(files: list[Path]) -> None:
    before = fingerprint.of_files(files, False)
    os.utime(files[0], (1, 1))
    assert fingerprint.of_files(files, False) == before
    assert fingerprint.of_files(files[::-1], False) != before
    files[0].write_text("aaaab")
    assert fingerprint.of_files(files, False) != before


def test_large_sets_are_told_by_size_and_time_unless_verified(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "SMALL", 3)
    before, verified = fingerprint.of_files(files, False), fingerprint.of_files(files, True)
    state = files[0].stat()
    files[0].write_text("aaaab")
    os.utime(files[0], ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fingerprint.of_files(files, False) == before  # the case that --verify-data is for
    assert fingerprint.of_files(files, True) != verified
    os.utime(files[0], (1, 1))
    assert fingerprint.of_files(files, False) != before


def test_a_missing_file_changes_the_digest_and_raises_nothing(files: list[Path]) -> None:
    before = fingerprint.of_files(files, False)
    files[0].unlink()
    assert fingerprint.of_files(files, False) != before


def test_arrays_are_told_by_name_type_shape_and_values() -> None:
    x = np.arange(6, dtype=np.float32)
    before = fingerprint.of_arrays({"x": x})
    assert before == fingerprint.of_arrays({"x": x.copy()})
    assert before == fingerprint.of_arrays({"x": np.arange(12, dtype=np.float32)[:6]})
    others: list[dict[str, Array]] = [
        {"y": x},
        {"x": x.reshape(2, 3)},
        {"x": x.astype(np.float64)},
        {"x": x[::-1]},
        {"x": x, "y": x},
    ]
    assert len({before, *(fingerprint.of_arrays(other) for other in others)}) == len(others) + 1
    assert fingerprint.of_arrays({"x": x[:0]}) != before

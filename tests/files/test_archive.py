"""Archives of arrays: what NumPy reads is read alike, and whatever lies about itself is refused before it costs."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit.core import Array
from prune_audit.files import archive

ROW = np.arange(12, dtype=np.int16)
PLAIN: dict[str, Array] = {
    "f2": ROW.astype("f2"),
    "big endian": ROW.reshape(3, 4).astype(">f4"),
    "fortran": np.asfortranarray(ROW.reshape(3, 4)),
    "text": np.array(["ä", "", "\U0001f600"]),
    "foreign text": np.array(["ä", "b"], ">U3"),
    "bytes": np.array([b"a", b"bc"]),
    "flags": ROW > 5,
    "complex": ROW.astype("c8"),
    "dates": np.array(["2031-05-01", "NaT"], "M8[D]"),
    "one": np.array(7.5),
    "none": np.zeros((0, 3), "f4"),
}


def member(header: object, content: bytes = b"", version: bytes = b"\x01\x00", magic: bytes = b"\x93NUMPY") -> bytes:
    """A member of an archive with just this header, as text or as what Python writes of a value."""
    text = (header if isinstance(header, bytes) else repr(header).encode()) + b"\n"
    how = "<H" if version == b"\x01\x00" else "<I"
    return magic + version + struct.pack(how, len(text)) + text + content


def of(descr: object, shape: object, content: bytes = b"", order: object = False) -> bytes:
    return member({"descr": descr, "fortran_order": order, "shape": shape}, content)


def packed(path: Path, *members: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_that_numpy_reads(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "plain.npz"
    save(path, **PLAIN)
    found = archive.read(path)
    with np.load(path) as expected:
        assert list(found) == expected.files
        for name, values in found.items():
            assert (values.dtype, values.shape) == (expected[name].dtype, expected[name].shape)
            np.testing.assert_array_equal(values, expected[name])
            assert values.flags.writeable
    assert archive.is_arrays(archive.names(path))


def test_headers_of_python_2_and_of_later_versions_of_the_format(tmp_path: Path) -> None:
    old = member(b"{'descr': '<i2', 'fortran_order': False, 'shape': (12L,), }", ROW.tobytes())
    late = io.BytesIO()
    np.lib.format.write_array(late, ROW, version=(3, 0))
    found = archive.read(packed(tmp_path / "a.npz", ("old.npy", old), ("late.npy", late.getvalue())))
    np.testing.assert_array_equal(found["old"], ROW)
    np.testing.assert_array_equal(found["late"], ROW)


WRONG = {
    "more values than there are": (of("<f4", (10**13,)), "says that it is float32 .*40,000,000,000,000 bytes"),
    "a size beyond 64 bits": (of("<f4", (2**40, 2**40)), "and the file holds 0 of it"),
    "fewer values than there are": (of("<i2", (3,), bytes(8)), "says that it is int16 .*6 bytes, and the file holds 8"),
    "values of no size": (of("|V0", (9,)), r"of the type \|V0, expected numbers or text"),
    "text of no size": (of("<U0", (10**12,)), "of the type <U0"),
    "raw bytes": (of("|V2", (2,), bytes(4)), r"of the type \|V2"),
    "records": (of([("a", "<f4")], (1,), bytes(4)), "of the type .*expected numbers or text"),
    "objects": (of("|O", (1,), b"\x80\x04N."), "holds Python objects, which are pickles and are never loaded"),
    "an unknown type": (of("<q9", (1,), bytes(4)), "of the type <q9"),
    "a length below 0": (of("<f4", (-1,)), r"has no shape: expected lengths of its axes, found \(-1,\)"),
    "a length that is no integer": (of("<f4", (2.0,), bytes(8)), "has no shape"),
    "a shape that is none": (of("<f4", 2, bytes(8)), "has no shape"),
    "too many axes": (of("<f4", (1,) * 70, bytes(4)), "header of the array 'x' is damaged"),
    "an order that is none": (of("<f4", (1,), bytes(4), order=2), "header of the array 'x' is damaged"),
    "a header cut short": (member(b"{'descr': '<f4', 'shape': ("), "header of the array 'x' is damaged"),
    "a header that is nested": (member(b"[" * 9000), "header of the array 'x' is damaged"),
    "a header of other keys": (member({"descr": "<f4", "shape": ()}), "header of the array 'x' is damaged"),
    "a header that is endless": (member(b" " * 20_000), "header of the array 'x' is 20,001 bytes long"),
    "another magic": (member({}, magic=b"\x93NUMPX"), "'x' is no array: expected NumPy's format, found bytes beginn"),
    "another version": (member({}, version=b"\x09\x00"), "'x' is no array"),
    "nothing": (b"", "'x' is no array"),
    "a head alone": (b"\x93NUMPY\x01\x00", "unpack requires a buffer"),
    "numbers that are no letters": (of("<U1", (2,), b"\xff" * 8), "numbers that stand for no letters"),
}


@pytest.mark.parametrize("case", WRONG)
def test_members_that_are_not_what_they_say(tmp_path: Path, case: str) -> None:
    content, told = WRONG[case]
    with pytest.raises(ValueError, match=told):
        archive.read(packed(tmp_path / "a.npz", ("x.npy", content)))


def test_a_checksum_that_differs(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=ROW)
    whole = bytearray(path.read_bytes())
    whole[whole.index(ROW.tobytes()) + 5] ^= 4
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="Bad CRC-32"):
        archive.read(path)


def test_the_same_name_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = packed(tmp_path / "a.npz", *[("x.npy", of("<u1", (1,), b"a"))] * 2)
    with pytest.raises(ValueError, match="the array 'x' is there 2 times"):
        archive.read(path)


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.npz", ("ä.npy", of("<u1", (1,), b"a")))
    path.write_bytes(path.read_bytes().replace("ä".encode(), b"\xff\xfe"))
    assert archive.names(path) == ()
    with pytest.raises(ValueError, match="utf-8"):
        archive.read(path)


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = of("<u1", (3 * 10**6,), bytes(3 * 10**6))
    path = packed(tmp_path / "a.npz", ("x.npy", bomb), how=zipfile.ZIP_DEFLATED)
    assert archive.read(path)["x"].sum() == 0  # small enough to do no harm
    monkeypatch.setattr(archive, "_SURELY", 10**6)
    with pytest.raises(ValueError, match=r"unpack to 3,000,.* more than 200 times as many"):
        archive.read(path)
    monkeypatch.setattr(archive, "_memory", lambda: 10**6)
    with pytest.raises(ValueError, match="this machine has 1,000,000 bytes of memory"):
        archive.read(path)


def test_memory_is_told() -> None:
    assert archive._memory() > 2**26


@pytest.mark.parametrize("fault", [ValueError(), ValueError("\n one \n two")])
def test_what_is_said_of_a_fault(fault: Any) -> None:
    assert archive.said(fault) in ("ValueError", "one")

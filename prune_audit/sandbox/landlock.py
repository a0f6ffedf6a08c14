"""Nothing is written outside one folder, nothing is executed, no port is reached: Linux's Landlock.

The kernel says which version of the interface it has; every right that it knows is taken away but reading.
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from ctypes import create_string_buffer
from pathlib import Path

from prune_audit.sandbox import system

# The same on every architecture.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # a flag of _CREATE
_PATH_BENEATH = 1
# Bits of `access_fs`: of files, and since which version there are more. Reading (1 << 2, 1 << 3) stays free.
_EXECUTE, _WRITE_FILE = 1 << 0, 1 << 1
_CHANGES = sum(1 << bit for bit in range(4, 13))  # remove and make entries of every kind
_SINCE = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # refer, truncate, ioctl of devices
_TCP = 0b11  # bind, connect; since version 4
_SCOPES = 0b11  # abstract sockets, signals; since version 6
_OF_A_FILE = _EXECUTE | _WRITE_FILE | 1 << 14 | 1 << 15


def version() -> int:
    """The version of the interface that the kernel has. Raises `OSError` where it has none."""
    return system.call(_CREATE, None, 0, _VERSION)


def restrict(scratch: Path, *, devices: bool = False) -> str:
    """Allow writing below ``scratch`` alone, and to ``devices`` where the work needs any. Raises `OSError`."""
    known = version()
    rights = _EXECUTE | _WRITE_FILE | _CHANGES | sum(right for since, right in _SINCE.items() if known >= since)
    wanted = [rights, _TCP, _SCOPES]
    attribute = wanted[: 1 if known < 4 else 2 if known < 6 else 3]
    packed = create_string_buffer(struct.pack(f"={len(attribute)}Q", *attribute), 8 * len(attribute))
    ruleset = system.call(_CREATE, packed, 8 * len(attribute), 0)
    try:
        _allow(ruleset, scratch, rights & ~_EXECUTE)
        for place in _written(devices):
            _allow(ruleset, place, rights & (~_EXECUTE if place.is_dir() else _OF_A_FILE & ~_EXECUTE))
        system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
        system.call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return f"landlock (version {known})"


def _written(devices: bool) -> Sequence[Path]:
    places = [Path("/dev/null"), *([Path("/dev")] if devices else [])]
    return [place for place in places if place.exists()]


def _allow(ruleset: int, place: Path, rights: int) -> None:
    opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        packed = struct.pack("=Qi", rights, opened)
        system.call(_ADD, ruleset, _PATH_BENEATH, create_string_buffer(packed, len(packed)), 0)
    finally:
        os.close(opened)

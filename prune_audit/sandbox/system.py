"""System calls that Python has no function for, by their numbers."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 38, 22

_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """What the system call of that ``number`` returns. Raises `OSError` where it fails."""
    given = [a if a is None or isinstance(a, ctypes.Array) else ctypes.c_long(a) for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *given))


def prctl(option: int, value: int | ctypes.Array[ctypes.c_char] = 0, more: object = None) -> None:
    """Set an ``option`` of this process. Raises `OSError` where that fails."""
    given = [ctypes.c_ulong(v) if isinstance(v, int) else v for v in (value, more if more is not None else 0)]
    _checked(_libc.prctl(ctypes.c_int(option), *given, ctypes.c_ulong(0), ctypes.c_ulong(0)))


def unshare(flags: int) -> None:
    """Leave namespaces. Raises `OSError` where that is not allowed."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def _checked(returned: int) -> int:
    if returned < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return returned

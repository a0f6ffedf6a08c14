"""Imported by a server, it makes the kernel one without Landlock, for the workers that come of it."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

from prune_audit.sandbox import landlock


def _none() -> NoReturn:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


landlock.version = _none

"""How much memory a process may use, and that no crash of it fills the disk."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def available() -> int | None:
    """The memory in bytes that this machine, or the container around this process, has; None where that is unknown."""
    try:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (ValueError, OSError, AttributeError):
        return None
    for path in _CGROUP:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        found += [int(text)] if text.isdecimal() else []
    return min(found)


def apply(memory: int | None) -> str:
    """Let this process use ``memory`` bytes of addresses beyond those that it has, and write no core.

    A limit that this process was started under stays, where it is the lower one.

    Raises:
        OSError: the system has no such limit, or none was asked for.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory is None:
        raise OSError(0, "what is resident is watched instead")
    used = _addresses()
    given = [each for each in resource.getrlimit(resource.RLIMIT_AS) if each != resource.RLIM_INFINITY]
    limit = min([used + memory, *given])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return f"memory ({(limit - used) / 2**30:.3g} GiB of addresses)"


def resident(pid: int) -> int | None:
    """The bytes of the process ``pid`` that are in memory; None where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _addresses() -> int:
    """The bytes of addresses that this process has."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0

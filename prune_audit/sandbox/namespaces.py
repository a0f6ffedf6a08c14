"""A network and queues of the process's own, in which there is nobody else, and no privileges.

Whoever is root leaves the network alone; others need a namespace of users for it, in which their number stays what it
is. Root keeps one privilege, to read what others own, since it may audit such files. user_namespaces(7), unshare(2).
"""

from __future__ import annotations

import os
import platform
import struct
from ctypes import create_string_buffer
from pathlib import Path

from prune_audit.sandbox import system

_NEW_IPC, _NEW_USER, _NEW_NET = 0x08000000, 0x10000000, 0x40000000
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES_VERSION = 0x20080522
_READ_SEARCH = 1 << 2


def leave() -> str:
    """Leave the machine's network. Raises `OSError` where the system does not allow it."""
    root = os.geteuid() == 0
    user, group = os.geteuid(), os.getegid()
    system.unshare(_NEW_NET | _NEW_IPC | (0 if root else _NEW_USER))
    if not root:
        own = Path("/proc/self")
        (own / "setgroups").write_text("deny")
        (own / "uid_map").write_text(f"{user} {user} 1")
        (own / "gid_map").write_text(f"{group} {group} 1")
    _drop_privileges(_READ_SEARCH if root else 0)
    return f"namespaces (network{'' if root else ', users'})"


def _drop_privileges(kept: int) -> None:
    """Have no capabilities but ``kept``, a mask of the first 32."""
    header = create_string_buffer(struct.pack("=Ii", _CAPABILITIES_VERSION, 0))
    # Two sets of 32, each effective, permitted and inheritable.
    data = create_string_buffer(struct.pack("=6I", kept, kept, 0, 0, 0, 0))
    system.call(_CAPSET[platform.machine()], header, data)

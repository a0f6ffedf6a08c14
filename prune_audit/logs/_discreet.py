"""Addresses of services, which may hold a password, as they are shown."""

from __future__ import annotations

import re


def discreet(text: str) -> str:
    """``text`` without the user and password of an address in it, since it goes to the log of a job."""
    return re.sub(r"//[^/@\s]+@", "//", text)

"""How much memory Arrow holds: threads of its own let go of what was read a moment after the read."""

from __future__ import annotations

import time

import pyarrow as pa

PATIENCE = 5.0  # seconds, of which a moment is needed


def held(most: int = 0) -> int:
    """The bytes in Arrow's pools, once there are at most so many, or at the end of all patience."""
    end = time.monotonic() + PATIENCE
    while _now() > most and time.monotonic() < end:
        time.sleep(0.01)
    return _now()


def still() -> int:
    """The bytes in Arrow's pools, once they have been as many for a while."""
    found, since = _now(), time.monotonic()
    while time.monotonic() - since < 0.05:
        if (now := _now()) != found:
            found, since = now, time.monotonic()
        time.sleep(0.005)
    return found


def _now() -> int:
    return int(pa.total_allocated_bytes())

"""How far an attack may move a pixel, and in how many steps, as people type it."""

from __future__ import annotations

import re

from prune_audit.errors import UsageError

USUAL = "8/255:10"
QUARTER = 0.25  # of the radius is a step


def parse(text: str, flag: str) -> tuple[float, int]:
    """The radius, a share of white, and the number of steps of ``RADIUS[:STEPS]``, such as ``8/255:10``.

    Raises:
        UsageError: ``text``, which ``flag`` was given, is no such thing.
    """
    found = re.fullmatch(r"(\d*\.?\d+)(?:/(\d+))?(?::(\d+))?", text)
    if found is not None and not re.fullmatch("0+", found[2] or "1"):
        radius = float(found[1]) / float(found[2] or 1)
        steps = int(found[3] or USUAL.partition(":")[2])
        if 0 <= radius <= 1 and steps >= 1:
            return radius, steps
    raise UsageError(
        f"{flag}: expected a radius from 0 to 1 and a number of steps, found {text!r}",
        hint=f"for example {flag} {USUAL}, or {flag} .03",
    )

"""`Audit` to a service that keeps what runs measured: a service is a file here.

A plugin defines ``ready() -> None``, which raises before a long run what would only be found after it, and
``log(audit, files) -> str``, which says what was written where. ``files`` maps names to the contents of reports, so
that no log renders one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prune_audit import plugins
from prune_audit.core import Audit

CONTRACT = ("ready", "log")
"""What a plugin must have."""
FILES = ("audit.html", "audit.json")  # what is written beside the numbers


def check(names: Sequence[str]) -> None:
    """Make sure, before a long run, that every service of ``names`` can be written to as far as can be seen.

    Raises:
        UsageError: there is no such service.
        MissingExtra: its library is not installed.
        OutputError: it cannot be reached.
    """
    for name in names:
        service = plugins.load("logs", name)
        with plugins.blamed("logs", name):
            service.ready()


def log(audit: Audit, names: Sequence[str], files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Write ``audit`` and ``files`` to every service of ``names``; what was written where.

    Raises:
        OutputError: a service refused it.
    """
    said = []
    for name in names:
        service = plugins.load("logs", name)
        with plugins.blamed("logs", name):
            said.append(str(service.log(audit, files)))
    return tuple(said)

"""GitHub annotations (`--github`): the checks that failed, as workflow commands on standard output.

No file has this form, because only lines on a job's output become annotations. GitHub shows ten of a kind per step, so
ten are written, the worst first, and the last of them says how many more there are. Errors are errors, warnings and
what could not be settled are warnings; what an audit without a gate found is a warning too.
"""

from __future__ import annotations

from prune_audit.core import Audit
from prune_audit.printable import printable
from prune_audit.reports import _gate as gate

SUFFIXES = ()
OBEYED = True
MOST = 10  # annotations of one kind that GitHub shows per step
DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
PROPERTY = DATA | str.maketrans({":": "%3A", ",": "%2C"})


def render(audit: Audit) -> str:
    """A line for each annotation; none where there is nothing to tell."""
    kinds: dict[str, list[tuple[str, str]]] = {"error": [], "warning": []}
    for variant, check in gate.notable(audit):
        serious = check.outcome == "failed" and check.level == "error"
        subject = "the model" if check.subject == "model" else check.subject
        title = f"{variant}: {subject}: {check.rule}"
        kinds["error" if serious else "warning"].append((title, check.message))
    return "".join(_line(kind, *told) for kind, found in kinds.items() for told in _capped(found))


def _capped(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    more = len(found) - (MOST - 1)
    if more <= 1:
        return found
    rest = "GitHub shows ten of a kind; the step summary and the other reports have the rest"
    return [*found[: MOST - 1], (f"{more:,} more", rest)]


def _line(kind: str, title: str, message: str) -> str:
    name, told = (printable(text) for text in (f"prune-audit: {title}", message or title))
    return f"::{kind} title={name.translate(PROPERTY)}::{told.translate(DATA)}\n"

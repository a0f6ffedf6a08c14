"""When there are too many classes for a page: it then has the worst in full and all in an index, and so has paper.

A page of a thousand classes stays one file of a few megabytes that a browser lays out at once, and prints on a few
sheets. `page.css` leaves the rest out on paper where there is an index.
"""

from __future__ import annotations

from prune_audit.core import Audit

MANY = 200  # classes or groups up to which all are shown in full
WORST = 40  # above that
CELLS = 40_000  # of an index, all variants together


def indexed(audit: Audit) -> int:
    """The most classes that an index of ``audit`` has room for."""
    return max(WORST, CELLS // (len(audit.comparisons) + 3))


def large(audit: Audit) -> bool:
    """Whether a view of ``audit`` has too many strata for a page."""
    return any(len(view.strata) > MANY for comparison in audit.comparisons for view in comparison.views)

"""Numbers rounded and names made safe to print: here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prune_audit.core import Unit, Value
from prune_audit.printable import printable

DASH = "-"
LARGE = 1e6  # of a ratio
FITS = 72  # columns of names in a sentence before it says "and N more": most of a line


def percent(share: Value, digits: int = 1) -> str:
    """A share as percent, without the sign."""
    return f"{100 * share:.{digits}f}" if isinstance(share, (int, float)) else DASH


def percent_sign(share: Value, digits: int = 1) -> str:
    """A share as percent, with the sign where there is a value."""
    return f"{percent(share, digits)} %" if share is not None else DASH


def points(share: Value, digits: int = 1) -> str:
    """A difference of shares in points, with its sign; what rounds to nothing has none."""
    if not isinstance(share, (int, float)):
        return DASH
    text = f"{100 * share:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def between(low: Value, high: Value, digits: int = 1) -> str:
    """An interval of differences in points."""
    if low is None or high is None:
        return DASH
    return f"{points(low, digits)} to {points(high, digits)}"


def ratio(value: Value) -> str:
    """A ratio, or a dash; of one that is out of all proportion the order of magnitude."""
    if not isinstance(value, (int, float)):
        return DASH
    return f"{value:.2f}" if abs(value) < LARGE else f"{value:.0e}"


def nats(value: Value) -> str:
    """A cross-entropy or a difference of two, in nats, or a dash."""
    if not isinstance(value, (int, float)):
        return DASH
    return f"{value:.3f}" if abs(value) < LARGE else f"{value:.0e}"


def count(value: Value) -> str:
    """A count, or a dash."""
    return DASH if value is None else f"{value:,}"


def number(value: Value) -> str:
    """A mean of counts or a statistic, or a dash."""
    return f"{value:,.1f}" if isinstance(value, (int, float)) else DASH


def probability(value: Value) -> str:
    """A p-value, or a dash."""
    if not isinstance(value, (int, float)):
        return DASH
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def label(value: Value) -> str:
    """A verdict or another word, or a dash."""
    return DASH if value is None else printable(str(value))


def short(count: Value, unit: str = "") -> str:
    """A count or a number of bytes in three digits: ``1.53 k``, ``11.2 MB``."""
    if not isinstance(count, (int, float)):
        return DASH
    size, prefix = float(count), ""
    for prefix in ("", "k", "M", "G", "T"):
        if size < 999.5 or prefix == "T":
            break
        size /= 1000
    digits = f"{size:.0f}" if size >= 99.95 or not prefix else f"{size:.1f}" if size >= 9.995 else f"{size:.2f}"
    return f"{digits} {prefix}{unit}".rstrip()


def limit(share: float) -> str:
    """A limit as it was typed, in points or percent."""
    return f"{100 * share:.10g}"  # .99999 is no 100 %, and .07 no 7.000000000000001


def loss(share: float) -> str:
    """A limit with its unit: ``1 point``, ``2.5 points``."""
    return f"{limit(share)} {'point' if limit(share) == '1' else 'points'}"


def several(count: int, noun: str, plural: str = "") -> str:
    """``1 class``, ``2 classes``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], room: int = FITS) -> str:
    """``a, b, c and 4 more``: as many as fit ``room`` columns.

    Semicolons stand between them where names hold commas, as those of ImageNet do. One alone is never left out, since
    saying so takes as much room.
    """
    shown: list[str] = []
    width = 0
    for name in map(printable, names):
        width += len(name) + 2
        if width > room and shown and len(names) > len(shown) + 1:
            break
        shown.append(name)
    more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    return ("; " if any("," in name for name in shown) else ", ").join(shown) + more


_BY_UNIT: dict[Unit, Callable[[Value], str]] = {
    "share": percent,
    "points": points,
    "p": probability,
    "ratio": ratio,
    "nats": nats,
    "label": label,
    "count": count,
}


def in_unit(unit: Unit, value: Value) -> str:
    """``value`` as ``unit`` asks, without its sign."""
    return _BY_UNIT[unit](value)


def headed(title: str, unit: Unit) -> str:
    """The head of a column: its ``title`` with the sign of the unit."""
    signs: dict[Unit, str] = {"share": ", %", "points": ", points", "nats": ", nats"}
    return f"{title}{signs.get(unit, '')}"

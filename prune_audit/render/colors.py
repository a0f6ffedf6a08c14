"""The colours of charts and of the page, by what they mean; a theme says what they are.

Orange against blue, because red against green is what one man in twelve cannot tell apart; grey for what is not known.
In a specification a colour is ``var(--name)``, which a page resolves in its own theme, and `literal` for everyone else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prune_audit.core import CANNOT_TELL, FINE, REGRESSED

LIGHT = {
    "paper": "#ffffff", "card": "#f6f8fa", "ink": "#1c2128", "muted": "#57606a", "line": "#d8dee4",
    "bad": "#c2410c", "unsure": "#616a74", "good": "#0969b8", "accent": "#0969b8",
    "bad-soft": "#fff1e8", "unsure-soft": "#f1f3f5", "good-soft": "#e9f3fc",
    "loss-1": "#fde3cf", "loss-2": "#fbbf8f", "loss-3": "#ee8a4a", "loss-4": "#c2410c",
    "still": "#eef1f4", "gain-1": "#cfe4f7", "gain-2": "#8fc1ea", "on-dark": "#ffffff",
    "line-1": "#0b62a8", "line-2": "#c2410c", "line-3": "#0f8a68", "line-4": "#a0388b",
    "line-5": "#8f6400", "line-6": "#1c2128", "line-7": "#e0457b", "line-8": "#2f93c4",
}  # fmt: skip
DARK = {
    "paper": "#0d1117", "card": "#161b22", "ink": "#e6edf3", "muted": "#9aa4ae", "line": "#30363d",
    "bad": "#ff9452", "unsure": "#a5afb9", "good": "#6cb6ff", "accent": "#6cb6ff",
    "bad-soft": "#33200f", "unsure-soft": "#21262d", "good-soft": "#0f2740",
    "loss-1": "#3a2414", "loss-2": "#6b3913", "loss-3": "#96490f", "loss-4": "#ff9452",
    "still": "#1b2129", "gain-1": "#14304d", "gain-2": "#1f5a94", "on-dark": "#0d1117",
    "line-1": "#6cb6ff", "line-2": "#ff9452", "line-3": "#3ecf9f", "line-4": "#e48ad6",
    "line-5": "#e3b341", "line-6": "#e6edf3", "line-7": "#ff7aa2", "line-8": "#4f9fc4",
}  # fmt: skip

LINES = tuple(f"line-{n}" for n in range(1, 9))  # of what has no rank; a shape and a dash go with each
LOSSES = ("loss-4", "loss-3", "loss-2", "loss-1")  # the largest first
VERDICTS = {  # what the verdict of a class looks like: colour and shape
    REGRESSED: ("bad", "triangle-down"),
    CANNOT_TELL: ("unsure", "diamond"),
    FINE: ("good", "circle"),
    "not judged": ("muted", "cross"),
}


def color(name: str) -> str:
    """How a specification refers to the colour ``name``."""
    if name not in LIGHT:
        raise KeyError(name)
    return f"var(--{name})"


def literal(spec: Any, theme: Mapping[str, str] = LIGHT) -> Any:
    """``spec`` with colours in place of their names; data are left alone, since a class may be called anything."""
    if isinstance(spec, Mapping):
        return {key: value if key == "data" else literal(value, theme) for key, value in spec.items()}
    if isinstance(spec, (list, tuple)):
        return [literal(value, theme) for value in spec]
    if isinstance(spec, str) and spec.startswith("var(--"):
        return theme[spec[6:-1]]
    return spec

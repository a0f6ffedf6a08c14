"""Text of foreign origin made fit to be seen: what a reader cannot see, or a terminal would obey, is spelled out.

Names come from files that anybody may have made. A control character steers a terminal, a bidirectional one puts the
end of a name before its beginning, one without width makes two names look alike. All of these are written as Python
writes them (``\\x1b``, ``\\u202e``), so that they show, and do nothing. Whatever prints goes through here
(`prune_audit.render.consoles`, `prune_audit.cli._streams`), so that nobody has to remember to.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# What Python takes for printable though nothing shows: fillers, selectors of variants, Braille's blank. The rest of
# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt) is not printable for Python either.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
_HIDDEN = re.compile(f"[{_BLANK}]")


def _as_python(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def printable(text: str, spell: Callable[[str], str] = _as_python) -> str:
    """``text`` on one line, with whatever does not show spelled out; what is spelled out already stays as it is.

    ``spell`` writes one character as the format at hand has it.
    """
    if text.isprintable() and not _HIDDEN.search(text):
        return text
    return "".join(c if c.isprintable() and not _HIDDEN.match(c) else spell(c) for c in text)


def lines(text: str) -> str:
    """``text`` as `printable` has it, but for its ends of lines, which stay."""
    return "\n".join(map(printable, text.split("\n"))) if "\n" in text else printable(text)

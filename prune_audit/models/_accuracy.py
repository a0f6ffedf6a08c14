"""The accuracy that a model's own file says it has: in a checkpoint, in its name, in a model card.

Nobody agrees on a key, so those in use are known by a pattern; what speaks of training data is none. Of several the
least is taken, since it is held against what was measured here, and a doubt must not rest on the best epoch of another
checkpoint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_WORD = r"(?:acc|accuracy|prec|precision@|top)(?:[_@-]?1)?"
_KEY = re.compile(rf"(?:(?:best|val|valid|validation|test|eval|final)_?)*{_WORD}(?:_(?:val|test|best|eval))?", re.I)
_NAMED = re.compile(
    rf"(?<![A-Za-z])(?:(?:best|val|valid|test|eval|final)[_-]?)*{_WORD}[=_:-]?(\d{{1,3}}(?:\.\d+)?)(?![\d])", re.I
)
_CARD = re.compile(r"type:\s*accuracy\b[^\n]*\n(?:[ \t]++(?!value:|-)[^\n]*\n){0,4}[ \t]++value:\s*([0-9.]+)", re.I)
_CARD_BYTES = 1 << 20


def recorded(metadata: Mapping[str, object], path: Path) -> tuple[str, float] | None:
    """What ``metadata`` of the file at ``path`` says, as (where, share); None where it says nothing."""
    said = list(_of_keys(metadata))
    for key in ("metrics", "results", "args", "info"):
        inner = metadata.get(key)
        if isinstance(inner, Mapping):
            said += [(f"{key}.{where}", share) for where, share in _of_keys(inner)]
    return min(said, key=lambda each: each[1], default=None) or of_card(path.parent)


def of_name(path: Path) -> tuple[str, float] | None:
    """What the name of the file at ``path`` says, such as ``resnet-val_acc=0.91.pth``."""
    found = [(f"its name, {path.name}", share) for n in _NAMED.findall(path.stem) if (share := _share(n)) is not None]
    return min(found, key=lambda each: each[1], default=None)


def of_card(folder: Path) -> tuple[str, float] | None:
    """What the model card in ``folder``, a README.md that begins with YAML, says of accuracy."""
    path = folder / "README.md"
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            text = file.read(_CARD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    if not text.startswith("---"):
        return None
    head = text.partition("\n---")[0]
    found = [("its model card, README.md", share) for n in _CARD.findall(head) if (share := _share(n)) is not None]
    return min(found, key=lambda each: each[1], default=None)


def _of_keys(metadata: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for key, value in metadata.items():
        if isinstance(key, str) and _KEY.fullmatch(key) and (share := _share(value)) is not None:
            yield key, share


def _share(value: object) -> float | None:
    """A number, a text that is one or a tensor of one, as a share: what is above 1 is in percent."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "numel", lambda: 0)() == 1:
        value = item()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number) or not 0 < number <= 100:
        return None
    return number / 100 if number > 1 else number

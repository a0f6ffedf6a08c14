"""Samples as small pictures with what was said of them, the right answer in bold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prune_audit.render.page import text

PNG = "iVBOR"  # how the eight bytes that open every PNG file begin in base 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A sample that is ``label``: ``dense`` and ``pruned`` are the two answers, ``note`` a few words on them.

    ``image`` is a small PNG or JPEG in base 64.
    """

    image: str
    id: str
    label: str
    dense: str
    pruned: str
    note: str


def gallery(pictures: Sequence[Picture], reading: str) -> str:
    """``pictures`` side by side, with ``reading`` above them."""
    return f'<p class="reading">{text(reading)}</p>\n<ul class="flips">\n{"".join(map(_shown, pictures))}</ul>\n'


def _shown(picture: Picture) -> str:
    kind = "png" if picture.image.startswith(PNG) else "jpeg"
    said = f"{picture.id}: is {picture.label}, dense says {picture.dense}, pruned says {picture.pruned}"
    answers = " → ".join(
        f"<b>{text(answer)}</b>" if answer == picture.label else text(answer)
        for answer in (picture.dense, picture.pruned)
    )
    return (
        f'<li title="{text(said)}"><img src="data:image/{kind};base64,{text(picture.image)}" alt="{text(said)}">'
        f"<p>{answers} <small>{text(picture.note)}</small></p></li>\n"
    )

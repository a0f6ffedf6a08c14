"""Samples as small pictures with what was said of them; a browser decodes those that come into view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    note: str = ""


def gallery(pictures: Sequence[Picture], reading: str) -> str:
    """``pictures`` side by side, each with its answers, the right one in bold, and ``reading`` above them."""
    return f'<p class="reading">{text(reading)}</p>\n{_side_by_side((each, _answers(each)) for each in pictures)}'


def alike(pictures: Sequence[Picture]) -> str:
    """``pictures`` of the same answers side by side, each with the name of its sample; empty where there are none."""
    return _side_by_side((each, text(each.id)) for each in pictures) if pictures else ""


def _side_by_side(pictures: Iterable[tuple[Picture, str]]) -> str:
    return f'<ul class="flips">\n{"".join(_shown(*each) for each in pictures)}</ul>\n'


def _answers(picture: Picture) -> str:
    answers = " → ".join(
        f"<b>{text(answer)}</b>" if answer == picture.label else text(answer)
        for answer in (picture.dense, picture.pruned)
    )
    return f"{answers} <small>{text(picture.note)}</small>"


def _shown(picture: Picture, caption: str) -> str:
    kind = "png" if picture.image.startswith(PNG) else "jpeg"
    said = f"{picture.id}: is {picture.label}, dense says {picture.dense}, pruned says {picture.pruned}"
    return (
        f'<li title="{text(said)}"><img loading="lazy" src="data:image/{kind};base64,{text(picture.image)}" '
        f'alt="{text(said)}"><p>{caption}</p></li>\n'
    )

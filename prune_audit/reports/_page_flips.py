"""Flipped samples on the page: what exactly one of the models gets right, as pictures where there are some.

People look at these first, and they show what no number does: whether the lost samples are the hard ones.
"""

from __future__ import annotations

from prune_audit.core import Comparison, Flip
from prune_audit.render.page import Head, fold, table, text

PNG = "iVBOR"  # how the eight bytes that open every PNG file begin in base 64


def flips(comparison: Comparison, position: int) -> str:
    """The samples that the audit kept, pictures first."""
    kept = comparison.flips
    if not kept:
        return ""
    of = f", {len(kept):,} of them kept" if len(kept) < comparison.flipped else ""
    title = f"Samples that only one model gets right: {comparison.flipped:,}{of}"
    pictured = [flip for flip in kept if flip.thumbnail]
    gallery = ""
    if pictured:
        said = "What the dense model says → what the pruned one says; the right answer is bold."
        gallery = f'<p class="reading">{said}</p>\n<ul class="flips">\n{"".join(map(_picture, pictured))}</ul>\n'
    heads = [Head(title=name, number=False) for name in ("sample", "is", "dense says", "pruned says", "so it was")]
    rows = [
        f'<tr><th scope="row">{text(flip.id)}</th>'
        + "".join(f'<td class="l">{text(said)}</td>' for said in (flip.label, flip.dense, flip.pruned, _moved(flip)))
        + "</tr>"
        for flip in kept
    ]
    listed = table(title, heads, rows, kind="sorts")
    return f'<h3 id="flips-{position}">{text(title)}</h3>\n{gallery}{fold("The list of these samples", listed)}'


def _moved(flip: Flip) -> str:
    return "lost" if flip.dense == flip.label else "gained"


def _picture(flip: Flip) -> str:
    """A picture with what each model says of it, the right answer in bold."""
    kind = "png" if (flip.thumbnail or "").startswith(PNG) else "jpeg"
    said = f"{flip.id}: is {flip.label}, dense says {flip.dense}, pruned says {flip.pruned}"
    answers = " → ".join(
        f"<b>{text(answer)}</b>" if answer == flip.label else text(answer) for answer in (flip.dense, flip.pruned)
    )
    return (
        f'<li title="{text(said)}"><img src="data:image/{kind};base64,{text(flip.thumbnail or "")}" alt="{text(said)}">'
        f"<p>{answers} <small>{_moved(flip)}</small></p></li>\n"
    )

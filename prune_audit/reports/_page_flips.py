"""Flipped samples on the page: what exactly one of the models gets right, as pictures where there are some.

People look at these first, and they show what no number does: whether the lost samples are the hard ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from prune_audit.core import Comparison, Flip, lookup
from prune_audit.render import rounded
from prune_audit.render.gallery import Picture, gallery
from prune_audit.render.page import Head, fold, table, text
from prune_audit.reports._page_story import link

LINKS = 40  # to classes that have pictures


def flips(comparison: Comparison, position: int, told: Collection[str]) -> str:
    """The samples that the audit kept, pictures first; those of the classes ``told`` are in their stories."""
    kept = comparison.flips
    if not kept:
        return ""
    of = f", {len(kept):,} of them kept" if len(kept) < comparison.flipped else ""
    view = comparison.views[0]
    (one, many), source = view.pair.task.thing, view.pair.task.source[0]
    title = f"{many.capitalize()} that only one model gets right: {comparison.flipped:,}{of}"
    drawn = Counter(flip.label for flip in kept if flip.thumbnail)
    links = [
        f"{link(position, i, name)} ({drawn[name]:,})"
        for i in lookup.worst_first(view)
        if (name := view.strata[i]) in told and drawn[name]
    ]
    more = f" and {rounded.several(len(links) - LINKS, *lookup.noun(view))} more" if len(links) > LINKS else ""
    pictures = (
        f"<p>Pictures of them, by {lookup.noun(view)[0]}: {', '.join(links[:LINKS])}{more}.</p>\n" if links else ""
    )
    other = [
        Picture(
            image=flip.thumbnail, id=flip.id, label=flip.label, dense=flip.dense, pruned=flip.pruned, note=flip.went
        )
        for flip in kept
        if flip.thumbnail and flip.label not in told
    ]
    said = "What the dense model says → what the pruned one says; the right answer is bold."
    pictures += gallery(other, said) if other else ""
    asked = ("asked" if source == one else source,) if any(flip.asked for flip in kept) else ()
    titles = (one, *asked, "is", "dense says", "pruned says", "so it was")
    heads = [Head(title=name, number=False) for name in titles]
    rows = [
        f'<tr><th scope="row">{text(flip.id)}</th>'
        + "".join(f'<td class="l">{text(said)}</td>' for said in _said(flip, asked))
        + "</tr>"
        for flip in kept
    ]
    listed = table(f"{title}, of {comparison.pruned.name}", heads, rows, kind="sorts")
    read = bool(asked) and not drawn  # as pictures are looked at
    named = fold(f"The list of these {many}", listed, opened=read)
    return f'<h3 id="flips-{position}">{text(title)}</h3>\n{pictures}{named}'


def _said(flip: Flip, asked: tuple[str, ...]) -> tuple[str, ...]:
    """What the list says of a flip, where something was ``asked`` that first."""
    return (*(flip.asked or "" for _ in asked), flip.label, flip.dense, flip.pruned, flip.went)

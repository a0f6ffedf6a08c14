"""Flipped samples as CSV (flips.csv, or any name that ends in .flips.csv): what exactly one of the models gets right.

One row for each that the audit kept, in its order, lost ones first; the audit's ``flipped`` says how many there were.
Names are written as they are, so that they can be joined with the list of the data.
"""

from __future__ import annotations

import base64
import csv
import io
from typing import TYPE_CHECKING

from prune_audit.core import Audit
from prune_audit.render.gallery import PNG
from prune_audit.render.page import text
from prune_audit.reports.csv import FORMULA

if TYPE_CHECKING:
    import pandas

SUFFIXES = ()
HEIGHT = "height:4em"  # of a picture in a notebook: some models see 8 x 8 pixels
COLUMNS = ("variant", "sample", "label", "dense", "pruned", "flip")


def render(audit: Audit) -> str:
    """The list, as RFC 4180 has it."""
    return _text(_rows(audit))


def excel(audit: Audit) -> str:
    """The list for a spreadsheet: no cell is run, and names beyond ASCII arrive whole."""
    return "\ufeff" + _text(
        [[f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row] for row in _rows(audit)]
    )


NAMES = {"flips.csv": render}
DIALECTS = {"excel": excel}


def frame(audit: Audit, label: str | None = None) -> pandas.DataFrame:
    """The list as a data frame, of one ``label`` or of all; see `prune_audit.core.Audit.flips`."""
    import pandas

    class Flips(pandas.DataFrame):
        """A frame whose pictures a notebook draws; what is made of it is a frame like any other."""

        def _repr_html_(self) -> str:
            rows = [
                "".join(
                    f"<td>{_drawn(cell) if isinstance(cell, bytes) else text(str(cell or ''))}</td>" for cell in row
                )
                for row in self.itertuples(index=False)
            ]
            heads = "".join(f"<th>{text(str(name))}</th>" for name in self.columns)
            body = "".join(f"<tr>{row}</tr>" for row in rows)
            return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"

    kept = [(c.pruned.name, flip) for c in audit.comparisons for flip in c.flips if label in (None, flip.label)]
    pictures = [None if flip.thumbnail is None else base64.b64decode(flip.thumbnail) for _, flip in kept]
    rows = [
        (name, flip.id, flip.label, flip.dense, flip.pruned, flip.went, picture)
        for (name, flip), picture in zip(kept, pictures, strict=True)
    ]
    return Flips(pandas.DataFrame(rows, columns=[*COLUMNS, "picture"], dtype="object"))


def _drawn(picture: bytes) -> str:
    encoded = base64.b64encode(picture).decode("ascii")
    kind, look = ("png", f"{HEIGHT};image-rendering:pixelated") if encoded.startswith(PNG) else ("jpeg", HEIGHT)
    return f'<img src="data:image/{kind};base64,{encoded}" alt="" style="{look}">'


def _rows(audit: Audit) -> list[list[str]]:
    return [
        [c.pruned.name, flip.id, flip.label, flip.dense, flip.pruned, flip.went]
        for c in audit.comparisons
        for flip in c.flips
    ]


def _text(rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()

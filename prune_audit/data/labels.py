"""A CSV or Parquet table of labels alone: "id,label" and any groups, for models whose predictions were recorded.

Whatever the models saw is elsewhere, so such data fit recorded predictions and nothing else. A million rows are read
in a few seconds.
"""

from __future__ import annotations

from prune_audit.core import Dataset, DataSource, Expects, Settings
from prune_audit.data import _arrays, _rows, _unsupported
from prune_audit.files import tables


def recognises(source: DataSource) -> bool:
    """Whether the file is a table with nothing in it that a model could be fed with."""
    return tables.form(source) == "labels"


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:  # noqa: ARG001 - every format's signature
    """The labels, with the ids of the table or the numbers of its rows, from 0, as ids.

    Raises:
        DataError: the table cannot be read, has no column of labels, repeats an id, or a label is missing or no class.
        UsageError: something was asked for that labels do not have.
    """
    _unsupported.refuse(source, "labels alone", has=("id_column",))
    return _arrays.unfed(source, _rows.rows(source, expects, tables.read(source), must_differ=True))

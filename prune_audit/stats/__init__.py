"""`Pair` to `Measure`s: a statistic is a file here.

A plugin defines ``RANK``, its place among the columns, and ``measure(pair, settings) -> tuple[Measure, ...]``: one
statistic with the columns that belong to it (a p-value with its q-value, say). The columns are the same whatever the
pair, absent with a reason where there is no value, so that the guide can list them; where a statistic is of classes
alone, groups have none of them.

Its docstring is for the reader of an audit, and stands in the guide and in ``list stats --long`` as it is: a title
line; two sentences that need no statistics; the formula, indented; then the details, with their sources.
"""

from __future__ import annotations

from prune_audit import plugins
from prune_audit.core import Measure, Pair, Settings


def measures(pair: Pair, settings: Settings) -> tuple[Measure, ...]:
    """Every statistic of ``pair``, in the order of the columns."""
    modules = sorted(plugins.loaded("stats"), key=lambda item: (item[1].RANK, item[0]))
    return tuple(measure for _, module in modules for measure in module.measure(pair, settings))

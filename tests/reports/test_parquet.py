"""Parquet: the CSV's rows and columns, with types that do not depend on what stands in a column."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pyarrow
import pytest
from pyarrow import parquet

from prune_audit.core import Audit
from prune_audit.reports.csv import render as as_csv
from prune_audit.reports.parquet import render
from tests.reports import audits


def table(audit: Audit) -> pyarrow.Table:
    return parquet.read_table(io.BytesIO(render(audit)))


@pytest.mark.parametrize("name", ["ten", "several", "everything", "biting", "thousand"])
def test_holds_what_the_csv_holds(name: str) -> None:
    audit = getattr(audits, name)()
    rows = list(csv.DictReader(io.StringIO(as_csv(audit), newline="")))
    found = table(audit).to_pylist()
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in found] == rows


def test_types_follow_from_the_measures() -> None:
    empty = replace(audits.ten().comparisons[0].views[0], measures=())
    audit = replace(audits.ten(), comparisons=(replace(audits.ten().comparisons[0], views=(empty,)),))
    for schema in (table(audits.ten()).schema, table(audit).schema):
        assert schema.field("support").type == pyarrow.int64()
        assert schema.field("stratum").type == schema.field("verdict").type == pyarrow.string()
        assert schema.field("change").type == schema.field("change_low").type == pyarrow.float64()
    assert table(audits.ten()).schema.field("reason").type == pyarrow.string()


def test_what_is_absent_is_null() -> None:
    row = table(audits.ten()).to_pylist()[9]
    assert (row["support"], row["change"], row["verdict"]) == (0, None, None)


def test_a_name_that_is_no_unicode_is_spelled_out() -> None:
    audit = audits.audit([("b\udcff", (5, 1, 1, 1), "fine", None), ("c", (5, 1, 1, 1), "fine", None)])
    assert table(audit).column("stratum").to_pylist() == ["b\\udcff", "c"]


def test_a_statistic_whose_name_is_no_unicode_is_spelled_out() -> None:
    audit = audits.ten()
    [comparison] = audit.comparisons[:1]
    view = comparison.views[0]
    odd = replace(view.measures[1], name="odd\ud800")
    changed = replace(comparison, views=(replace(view, measures=(*view.measures, odd)),))
    assert "odd\\ud800" in table(replace(audit, comparisons=(changed,))).column_names

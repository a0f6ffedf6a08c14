"""Rows and data frames: every number where it belongs, with its type, whatever is absent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

from prune_audit import audit as story
from prune_audit import rules
from prune_audit.core import Audit, DataSource, ModelSource, Settings
from prune_audit.core.rows import COUNTS, LEADING, kinds, overall_of, rows_of
from tests.reports import audits


@pytest.fixture(scope="module")
def real(sample_models: Path) -> Audit:
    dense, *pruned = (
        ModelSource(name=n, path=sample_models / f"{n}.onnx") for n in ("dense", "pruned-50", "pruned-90")
    )
    source = DataSource(path=sample_models / "val")
    return story.run(dense, pruned, source, Settings(), policy=rules.default_policy())


def test_a_row_per_variant_view_and_stratum() -> None:
    audit = audits.everything()
    names, rows = rows_of(audit.comparisons)
    assert names[: len(LEADING)] == list(LEADING)
    assert len(rows) == sum(len(view.strata) for c in audit.comparisons for view in c.views)


def test_the_frame_holds_what_the_audit_holds(real: Audit) -> None:
    frame = real.to_frame()
    assert frame.index.names == ["variant", "by", "stratum"]
    assert list(frame.columns[:2]) == ["density", "kept"]
    assert len(frame) == 20
    for comparison in real.comparisons:
        view = comparison.view()
        part = frame.xs((comparison.pruned.name, "class"))
        assert tuple(part.index) == view.strata
        for measure in view.measures:
            if measure.by_stratum:
                found = part[measure.name].astype(object)
                assert tuple(found.where(found.notna(), None)) == measure.by_stratum, measure.name
        np.testing.assert_array_equal(part["lost"], view.pair.lost)
        assert set(part["density"]) == {comparison.pruned.density}
        assert set(part["kept"]) == {comparison.kept}


def test_types_do_not_depend_on_what_is_there() -> None:
    frame = audits.ten().to_frame()
    assert {str(frame[name].dtype) for name in COUNTS} == {"Int64"}
    assert str(frame["change"].dtype) == "float64"
    assert np.isnan(frame["change"].iloc[9])  # a class without samples
    assert frame["verdict"].iloc[9] is None
    empty = audits.ten()
    view = empty.comparisons[0].views[0]
    nothing = replace(view.measure("change"), by_stratum=(None,) * 10, low=(None,) * 10, high=(None,) * 10)
    measures = tuple(nothing if m.name == "change" else m for m in view.measures)
    empty = replace(empty, comparisons=(replace(empty.comparisons[0], views=(replace(view, measures=measures),)),))
    assert str(empty.to_frame()["change"].dtype) == "float64"


def test_the_overall_rows(real: Audit) -> None:
    frame = real.to_frame(overall=True)
    assert list(frame.index) == [("pruned-50", "class"), ("pruned-90", "class")]
    for comparison, row in zip(real.comparisons, overall_of(real.comparisons, real.outcomes), strict=True):
        view = comparison.view()
        assert row["accuracy"] == (view.pair.both + view.pair.gained).sum() / view.pair.support.sum()
        assert row["dense_accuracy"] == (view.pair.both + view.pair.lost).sum() / view.pair.support.sum()
        change = view.measure("change")
        assert (row["change_low"], row["change"], row["change_high"]) == (
            change.overall_low,
            change.overall,
            change.overall_high,
        )
        verdicts = view.measure("verdict").by_stratum
        assert row["regressed"] == verdicts.count("regressed")
        assert row["cannot_tell"] == verdicts.count("cannot tell")
        assert row["support"] == 1078
        assert row["macs"] == comparison.pruned.macs
    assert list(frame["outcome"]) == ["inconclusive", "failed"]
    assert list(frame["harmed"]) == [0, 1]


def test_kinds() -> None:
    assert kinds(
        audits.ten().comparisons, ["variant", "support", "change", "change_low", "verdict", "macs", "outcome"]
    ) == {
        "variant": "label",
        "support": "count",
        "change": "number",
        "change_low": "number",
        "verdict": "label",
        "macs": "count",
        "outcome": "label",
    }


def test_the_frame_can_be_written_and_grouped(real: Audit, tmp_path: Path) -> None:
    frame = real.to_frame()
    frame.reset_index().to_parquet(tmp_path / "audit.parquet")
    assert len(pandas.read_parquet(tmp_path / "audit.parquet")) == 20
    assert list(frame.groupby("variant")["lost"].sum()) == [int(c.view().pair.lost.sum()) for c in real.comparisons]

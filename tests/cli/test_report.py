"""prune-audit report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import prune_audit
from prune_audit import reports, stats
from prune_audit.cli import invoke
from prune_audit.core import Settings
from prune_audit.document import read_audit
from tests.reports import audits


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    reports.write(audits.thousand(), tmp_path / "audit.json")
    return tmp_path / "audit.json"


def test_the_table_goes_to_standard_output_alone(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["report", str(saved)]) == 0
    told = capsys.readouterr()
    assert "980 more" in told.out
    assert told.err == ""


def test_all_of_it(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["report", str(saved), "--all"]) == 0
    assert "n00000999" in capsys.readouterr().out


def test_files_are_the_same_as_from_the_audit_itself(saved: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"b.{s}" for s in ("csv", "json", "txt", "md", "xml", "sarif", "parquet")]
    assert invoke(["report", str(saved), "--quiet", *(f"-o{path}" for path in outputs)]) == 0
    for path in outputs:
        direct = tmp_path / f"direct{path.suffix}"
        reports.write(audits.thousand(), direct)
        assert path.read_bytes() == direct.read_bytes()
    assert read_audit(tmp_path / "b.json") == audits.thousand()


def test_equal_predictions_of_an_old_document_are_not_shown_as_one_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = prune_audit.from_predictions(
        prune_audit.Predictions(
            classes=("a", "b"),
            ids=tuple("0123"),
            labels=np.array([0, 0, 1, 1]),
            models=tuple(prune_audit.Outputs(name=name, predicted=np.array([0, 0, 1, 1])) for name in ("d", "p")),
        ),
        "d",
        ["p"],
        Settings(),
    )
    view = fresh.comparisons[0].view()
    pair = replace(view.pair, same_model=True)
    still = replace(view, pair=pair, measures=stats.measures(pair, Settings()))
    reports.write(replace(fresh, comparisons=(replace(fresh.comparisons[0], views=(still,)),)), tmp_path / "old.json")
    assert invoke(["report", str(tmp_path / "old.json")]) == 0
    assert "same file" not in (told := capsys.readouterr().out)
    assert "For 2 of 2 classes there are too few samples" in " ".join(told.split())


def test_a_spreadsheet_s_csv(tmp_path: Path) -> None:
    reports.write(audits.biting(), tmp_path / "a.json")
    arguments = [str(tmp_path / "a.json"), "--quiet", "--dialect", "csv=excel", "-o", str(tmp_path / "a.csv")]
    assert invoke(["report", *arguments]) == 0
    assert "'=1+1" in (tmp_path / "a.csv").read_text(encoding="utf-8-sig")


def test_the_whole_of_sarif_on_request(tmp_path: Path) -> None:
    """Beside a CSV of a dialect of its own."""
    reports.write(audits.judged(), tmp_path / "a.json")
    dialects = ["--dialect", "sarif=whole", "--dialect", "csv=excel"]
    outputs = [f"-o{tmp_path / name}" for name in ("a.sarif", "a.csv")]
    assert invoke(["report", str(tmp_path / "a.json"), "--quiet", *dialects, *outputs]) == 0
    assert '"open"' in (tmp_path / "a.sarif").read_text(encoding="utf-8")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_annotations_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports.write(audits.judged(), tmp_path / "a.json")
    assert invoke(["report", str(tmp_path / "a.json"), "--quiet", "--github"]) == 0
    assert capsys.readouterr().out.startswith("::error title=")


def test_quiet_is_silent(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["report", str(saved), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_gate_that_failed_is_shown_but_not_judged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports.write(audits.judged(), tmp_path / "a.json")
    assert invoke(["report", str(tmp_path / "a.json")]) == 0
    assert "FAILED" in capsys.readouterr().out


def test_a_chart_that_the_audit_has_nothing_for_is_an_error_once_the_rest_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports.write(audits.ten(), tmp_path / "a.json")
    outputs = [f"-o{tmp_path / name}" for name in ("changes.svg", "a.csv")]
    assert invoke(["report", str(tmp_path / "a.json"), *outputs]) == 2
    assert "error: this audit has nothing for the chart 'changes'" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.json"], "gone.json: No such file or directory"),
        (["{saved}", "-o", "x.xyz"], "x.xyz: no report is written to .xyz"),
        (["{saved}", "-o", "gone/x.csv"], "there is no folder"),
        (["{saved}", "--dialect", "csv=lotus"], "--dialect: expected one of csv=excel, sarif=whole, found 'csv=lotus'"),
        (["{saved}", "--dialect", "json=excel"], "expected one of csv=excel, sarif=whole, found 'json=excel'"),
        (["{saved}", "--dialect", "excel"], "expected one of csv=excel, sarif=whole, found 'excel'"),
    ],
)
def test_bad_input_is_2_with_a_hint(
    saved: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert invoke(["report", *(a.format(saved=saved) for a in arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.startswith("error: ")
    assert "\nhint: " in told.err

"""prune-audit plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from prune_audit import reports
from tests.cli._run import here
from tests.conftest import ROOT
from tests.planning.test_planning import COUNTS, audit_of
from tests.reports import audits


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "audit.json"
    reports.write(audit_of(COUNTS), path)
    return path


def test_before_there_are_data() -> None:
    done = here(["plan", "--classes", "100", "--limit", "5", "--churn", "6", "--power", "80"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "one unchanged class is fine             232   23,200    13.1 points" in done.stdout
    assert "all 100 unchanged classes are fine      621   62,100     8.3 points" in done.stdout
    assert "churn: 6 % of each class flip (3 % lost, 3 % gained; --churn)" in done.stdout


def test_the_margin_may_come_from_the_environment_as_for_compare(saved: Path) -> None:
    done = here(["plan", "--classes", "3"], environment={"PRUNE_AUDIT_MARGIN": "1"})
    assert "a drop beyond 1 point is shown" in done.stdout
    assert here(["plan", saved], environment={"PRUNE_AUDIT_MARGIN": "1"}).returncode == 0


def test_after_an_audit(saved: Path, tmp_path: Path) -> None:
    done = here(["plan", saved, "--budget", "100", "-o", tmp_path / "l.csv", "-o", tmp_path / "l.md"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "0      107    173    66      66  yes" in done.stdout
    assert (tmp_path / "l.csv").is_file()
    assert (tmp_path / "l.md").is_file()
    assert "needs" in here(["plan", saved, "--power", "90"], environment={"NO_COLOR": "1", "COLUMNS": "40"}).stdout
    assert here(["plan", saved, "-q"]).stdout == ""


def test_the_help_names_no_format_that_a_plan_is_not_written_in() -> None:
    told = here(["plan", "--help"]).stdout
    assert "csv=excel" in told
    assert "sarif" not in told


def steps(arguments: Sequence[str | Path], *, columns: int = 400, cwd: Path = ROOT) -> list[str]:
    """What a report ends with, on lines however long: what to do next, each with its command."""
    told = here(arguments, environment={"COLUMNS": str(columns)}, cwd=cwd).stdout
    return f"Next: {told.partition('Next: ')[2]}".splitlines() if "Next: " in told else []


def test_the_report_ends_with_that_step(saved: Path, tmp_path: Path) -> None:
    step = "Next: to settle what is undecided (3 classes), collect 66 more of class 0, 201 of 1, 627 of 5:"
    assert steps(["report", saved]) == [step, f"  prune-audit plan {saved}"]
    judged: list[str | Path] = ["check", saved, "--exit-zero"]
    more = "--all shows every class, and how models and data were read"
    assert steps(judged) == [step, f"  prune-audit plan {saved}", more]
    other = tmp_path / "judged again.json"
    assert steps([*judged, "-o", other])[1] == f"  prune-audit plan '{other}'"
    anew, command = steps([*judged, "--margin", "1"])[:2]
    assert anew.endswith(" (audit.json: this audit, written by -o audit.json):")
    assert command == "  prune-audit plan audit.json"


@pytest.mark.parametrize("width", [40, 80])
def test_a_command_has_a_line_of_its_own_however_little_room_there_is(saved: Path, width: int) -> None:
    """So that who copies it copies one line."""
    named = saved.with_name(f"{'long' * 20}.json")
    named.write_bytes(saved.read_bytes())
    assert steps(["report", named.name], columns=width, cwd=saved.parent)[-1] == f"  prune-audit plan {named.name}"


def test_a_report_without_anything_undecided_has_no_such_step(tmp_path: Path) -> None:
    reports.write(audit_of([(900, 1, 1, 0)]), tmp_path / "a.json")
    assert steps(["report", tmp_path / "a.json"]) == []
    reports.write(audits.limited(), tmp_path / "b.json")
    assert "plan" not in " ".join(steps(["report", tmp_path / "b.json"]))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "there is nothing to plan for"),
        (["--classes", "0"], "--classes: expected at least 1, found 0"),
        (["--classes", "3", "--limit", "0"], "--limit: expected more than 0 points, found 0"),
        (["--classes", "3", "--limit", "101"], "--limit: expected points from 0 to 100, found 101"),
        (
            ["--classes", "3", "--limit", ".001"],
            "--limit: expected points, 0 or from 0.1 on, found 0.001, which looks like",
        ),
        (["--classes", "3", "--limit", ".05"], "points, not shares: the share 0.05 is 5 points, --limit 5"),
        (["--classes", "3", "--limit", "1"], "--limit 1 is below the margin of 2 points"),
        (["--classes", "3", "--churn", "100"], "--churn: expected percent from 0 and below 100, found 100"),
        (["--classes", "3", "--power", "0"], "--power: expected percent from 50 and below 100, found 0"),
        (["--classes", "3", "--power", "100"], "--power: expected percent from 50 and below 100, found 100"),
        (["--classes", "3", "--power", ".8"], "80 means"),
        (["--classes", "3", "--confidence", "1.5"], "confidence must be a share in [0.5, 1)"),
        (["--classes", "3", "--budget", "3"], "--budget: there is no audit"),
        (["--classes", "3", "--dialect", "sarif=whole"], "--dialect: expected csv=excel, found 'sarif=whole'"),
        (["--classes", "3", "-o", "x.html"], "x.html: no plan is written to .html"),
        (["--classes", "3", "-o", "gone/x.csv"], "there is no folder"),
        (["gone.json"], "gone.json: No such file or directory"),
        (["README.md"], "README.md: expected a JSON document"),
        (["{saved}", "--classes", "3"], "--classes: the audit says that of itself"),
        (["{saved}", "--margin", "3"], "--margin: the audit says that of itself"),
        (["{saved}", "--by", "accent"], "--by: this audit is not by 'accent'"),
        (["{saved}", "--budget", "0"], "--budget: expected at least 1 sample, found 0"),
    ],
)
def test_what_is_refused(saved: Path, arguments: list[str], told: str) -> None:
    done = here(["plan", *(each.replace("{saved}", str(saved)) for each in arguments)])
    assert done.returncode == 2
    assert told in done.stderr
    assert "hint: " in done.stderr
    assert done.stdout == ""

"""Plugins of another package: a small one is built as a wheel, installed and used by commands of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prune_audit import plugins
from tests.cli._run import here
from tests.conftest import ROOT

AUDIT = ["compare", "sample_models/dense.onnx", "sample_models/pruned-90.onnx", "--data", "sample_models/val"]
BROKEN = (
    "error: the plugin 'broken' of acme-audit 1.2 in stats cannot be used: ModuleNotFoundError: No module named "
    "'a_library_that_nobody_has'\nhint: update or uninstall acme-audit, or tell whoever makes it\n"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package, installed from its wheel."""
    room = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "tests" / "plugin_package", room / "source")  # building leaves files beside the source
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(room), str(room / "source")]
    subprocess.run(build, check=True)
    (wheel,) = room.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(room / "lib"), str(wheel)], check=True)
    return room / "lib"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in this process, which afterwards knows nothing of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.syspath_prepend(installed)
        patch.setattr(plugins, "_BROKEN", {})
        forget()
        try:
            return here(arguments)
        finally:
            patch.undo()
            forget()


def forget() -> None:
    """Know no plugins of other packages."""
    for known in (plugins._points, plugins._theirs, plugins.names):
        known.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_audit"]:
        del sys.modules[name]


def alone(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as users have it."""
    return python(installed, "-m", "prune_audit", *arguments)


def python(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    # Bytecode goes by the second and the size of a file, and a test changes one more than once a second.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True)


def to_be_changed(installed: Path, folder: Path) -> Path:
    """A copy of the package, without the bytecode that pip made of it."""
    return shutil.copytree(installed, folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))


def test_list_says_where_each_came_from(installed: Path) -> None:
    done = alone(installed, "list")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "tally Flips as a line a variant. (acme-audit 1.2)" in lines
    assert "broken Cannot be used. (acme-audit 1.2)" in lines
    told = " ".join(done.stdout.split())  # a narrow terminal breaks the line
    assert "half-lost Lost share: of what the dense model got right, how much the pruned one does not. (acme" in told
    assert (done.returncode, done.stderr) == (0, BROKEN)
    long = " ".join(run(installed, "list", "stats", "--long").stdout.split())
    assert "absent where the dense model got nothing right. columns: lost_share" in long


def test_a_statistic_a_rule_and_a_report_of_another_package(installed: Path, tmp_path: Path) -> None:
    written = tmp_path / "audit.json"
    (tmp_path / "policy.toml").write_text("[rules.few-half-lost]\nlimit = 0.3\n")
    asked = ["-o", str(written), "-o", str(tmp_path / "night.tally"), "--policy", str(tmp_path / "policy.toml"), "-q"]
    done = alone(installed, *AUDIT, *asked)
    assert (done.returncode, done.stderr) == (1, BROKEN)  # the rest goes on
    (comparison,) = json.loads(written.read_text())["comparisons"]
    (share,) = [measure for measure in comparison["views"][0]["measures"] if measure["name"] == "lost_share"]
    view = comparison["views"][0]
    assert share["by_stratum"] == [lost / (both + lost) for both, lost in zip(view["both"], view["lost"], strict=True)]
    (check,) = [check for check in comparison["checks"] if check["rule"] == "few-half-lost"]
    assert (check["outcome"], check["observed"]) == ("failed", max(share["by_stratum"]))
    assert (tmp_path / "night.tally").read_text() == f"pruned-90: {comparison['flipped']}\n"
    assert any("acme-audit 1.2" in note for note in json.loads(written.read_text())["provenance"]["notes"])


def test_what_was_asked_for_by_name_and_fails_ends_the_run(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[rules.few-half-lost]\nlimit = 0.3\n")
    broken = to_be_changed(installed, tmp_path)
    rule = broken / "acme_audit" / "few_half_lost.py"
    rule.write_text(rule.read_text().replace("def check", "def judge"))
    done = run(broken, *AUDIT, "--policy", str(tmp_path / "policy.toml"), "-o", str(tmp_path / "a.json"))
    assert done.returncode == 2
    assert "the plugin 'few-half-lost' of acme-audit 1.2 in rules cannot be used: AttributeError: it lacks check" in (
        done.stderr
    )
    assert not (tmp_path / "a.json").exists()
    rule.write_text(rule.read_text().replace("def judge", "def check").replace("worst[0] > ", "worst > "))
    done = run(broken, *AUDIT, "--policy", str(tmp_path / "policy.toml"), "-o", str(tmp_path / "a.json"))
    assert done.returncode == 2
    assert "the plugin 'few-half-lost' of acme-audit 1.2 in rules cannot be used: TypeError: " in done.stderr
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("return (Measure(", "return [Measure(", None),
        ('name="lost_share"', 'name="change"', "ValueError: there is another measure called change"),
        ("tuple(shares)", "(0.5,)", "ValueError: lost_share has 1 values for 10 strata"),
        ("tuple(shares)", "(float('nan'),) * 10", "ValueError: lost_share has a value that is no number"),
        ("shares = [", "shares = 1 / 0, [", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_statistic_that_fails_is_left_out_and_the_rest_go_on(
    installed: Path, tmp_path: Path, old: str, new: str, said: str | None
) -> None:
    broken = to_be_changed(installed, tmp_path)
    statistic = broken / "acme_audit" / "half_lost.py"
    text = statistic.read_text()
    assert old in text
    changed = text.replace(old, new)
    statistic.write_text(changed.replace("absent=absent),)", "absent=absent)]") if said is None else changed)
    done = run(broken, *AUDIT, "-q", "-o", str(tmp_path / "a.json"))
    assert done.returncode == 0
    why = said or "TypeError: expected a tuple of Measure, found [Measure("
    assert f"error: the plugin 'half-lost' of acme-audit 1.2 in stats cannot be used: {why}" in done.stderr
    audit = json.loads((tmp_path / "a.json").read_text())
    assert any("half-lost" in note for note in audit["provenance"]["notes"])
    names = [measure["name"] for measure in audit["comparisons"][0]["views"][0]["measures"]]
    assert names.count("change") == 1
    assert "lost_share" not in names


def test_a_measure_that_does_not_come_from_counts_outlives_another_policy(installed: Path, tmp_path: Path) -> None:
    """What people said of each class is kept by whoever judges again by another margin, is gated on, and is shown."""
    before, rated, after = (tmp_path / name for name in ("before.json", "rated.json", "after.json"))
    assert run(installed, *AUDIT, "-q", "-o", str(before)).returncode == 0
    code = (
        "import sys, prune_audit; from acme_audit.acceptable import rated; "
        "audit = prune_audit.read_audit(sys.argv[1]); "
        "prune_audit.write(rated(audit, 'pruned-90', {'8': 0.25, '1': 0.75}), sys.argv[2])"
    )
    assert python(installed, "-c", code, str(before), str(rated)).returncode == 0
    (tmp_path / "policy.toml").write_text("margin = 20\n[rules.acceptable]\nlevel = 'error'\n")
    reports = [after, tmp_path / "after.csv", tmp_path / "after.html"]
    asked = [word for path in reports for word in ("-o", str(path))]
    done = run(installed, "check", str(rated), "--policy", str(tmp_path / "policy.toml"), *asked)
    assert done.returncode == 1
    (view,) = json.loads(after.read_text())["comparisons"][0]["views"]
    assert view["apart"] == ["acceptable"]
    shares = {m["name"]: m["by_stratum"] for m in view["measures"]}
    assert shares["acceptable"] == [{"8": 0.25, "1": 0.75}.get(name) for name in view["strata"]]
    was = {m["name"]: m["by_stratum"] for m in json.loads(rated.read_text())["comparisons"][0]["views"][0]["measures"]}
    assert shares["verdict"] != was["verdict"]  # which does come from the counts, and the margin
    checks = json.loads(after.read_text())["comparisons"][0]["checks"]
    assert [(c["subject"], c["outcome"]) for c in checks if c["rule"] == "acceptable"] == [
        ("1", "passed"),
        ("8", "failed"),
    ]
    assert "acceptable" in (tmp_path / "after.csv").read_text().splitlines()[0].split(",")
    assert "acceptable" in (tmp_path / "after.html").read_text()


def test_a_runner_of_another_package_gives_the_same_audit(installed: Path, tmp_path: Path) -> None:
    found = []
    for runner in ("threads", "serial"):
        done = run(installed, *AUDIT, "-q", "--no-cache", "--runner", runner, "-o", str(tmp_path / "a.json"))
        assert done.returncode == 0
        audit = json.loads((tmp_path / "a.json").read_text())
        assert audit["provenance"].pop("run")["runner"] == runner
        found.append(audit)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("in parts:", "in parts[:-1]:", 2, "serial' of acme-audit 1.2 in runners cannot be used: RuntimeError: it did"),
        ("give(task())", "task()", 2, "RuntimeError: it did 0 of "),
        ("for part in", "1 / 0\n    for part in", 2, "serial' of acme-audit 1.2 in runners cannot be used: ZeroDiv"),
        ("def run(", "def start(", 2, "serial' of acme-audit 1.2 in runners cannot be used: AttributeError: it lacks"),
        ("for part in", "read(None)\n    for part in", 2, "TypeError"),  # the function's, whoever called it
    ],
)
def test_a_runner_that_fails_or_leaves_something_out_ends_the_run(
    installed: Path, tmp_path: Path, old: str, new: str, code: int, said: str
) -> None:
    broken = to_be_changed(installed, tmp_path)
    runner = broken / "acme_audit" / "serial.py"
    runner.write_text(runner.read_text().replace(old, new))
    done = run(broken, *AUDIT, "-q", "--no-cache", "--runner", "serial", "-o", str(tmp_path / "a.json"))
    assert done.returncode == code
    assert said in done.stderr
    assert not (tmp_path / "a.json").exists()


def test_what_a_model_or_the_data_raise_is_no_fault_of_the_runner(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_models" / "val", tmp_path / "val")
    next((tmp_path / "val").rglob("*.png")).write_bytes(b"no image")
    audit = [*AUDIT[:3], "--data", str(tmp_path / "val"), "-q", "--no-cache"]
    told = [run(installed, *audit, "--runner", runner).stderr for runner in ("threads", "serial")]
    assert "cannot read sample" in told[0]
    assert told[0] == told[1]


def test_the_page_for_contributors_shows_this_runner() -> None:
    text = (ROOT / "tests" / "plugin_package" / "acme_audit" / "serial.py").read_text()
    assert text[text.index("def run(") :].strip() in (ROOT / "CONTRIBUTING.md").read_text()


def test_none_of_ours_is_replaced(installed: Path, tmp_path: Path) -> None:
    other = to_be_changed(installed, tmp_path)
    (points,) = other.glob("acme_audit-*.dist-info/entry_points.txt")
    points.write_text("[prune_audit.reports]\njson = acme_audit.tally\n")
    done = run(other, "list", "reports")
    assert "the plugin 'json' of acme-audit 1.2 in reports cannot be used: prune-audit itself has one of that name" in (
        done.stderr
    )
    assert "acme-audit" not in done.stdout


@pytest.mark.parametrize(("command", "imported"), [("check", ""), ("compare", "acme_audit.serial")])
def test_help_imports_of_other_packages_what_may_bring_options_and_nothing_else(
    command: str, imported: str, installed: Path
) -> None:
    """Runners may, which `compare` takes; statistics, rules and reports may not."""
    code = (
        f"import sys; from prune_audit.cli import invoke; invoke(['{command}', '--help']); "
        "print(*(name for name in sys.modules if name.startswith('acme_audit.')), file=sys.stderr)"
    )
    done = python(installed, "-c", code)
    assert done.stderr == f"{imported}\n"

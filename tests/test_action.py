"""The GitHub Action and the pre-commit hook, run step by step as a runner would run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from prune_audit.document import read_audit
from prune_audit.reports import suffixes
from tests.conftest import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOK: dict[str, Any] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))[0]
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a step ended: its exit code, what it printed, its outputs and the job's summary."""

    code: int
    out: str
    err: str
    outputs: dict[str, str]
    summary: str


def run(name: str, workspace: Path, **given: str) -> Ran:
    """Run the step ``name`` in ``workspace`` with inputs of the workflow, where a hyphen is an underscore."""
    inputs = {key: str(value.get("default", "")) for key, value in ACTION["inputs"].items()}
    inputs |= {"python": sys.executable} | given
    context = {f"inputs.{key}": value for key, value in inputs.items()} | {"github.action_path": str(ROOT)}

    def resolved(text: str) -> str:
        return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda match: context[match[1]], text)

    step = STEPS[name]
    files = {key: workspace / f".{key}" for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    script = workspace / ".step.sh"
    script.write_text(resolved(step["run"]), encoding="utf-8")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        capture_output=True,
        text=True,
        cwd=workspace,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CI": "true",
            **{key: str(file) for key, file in files.items()},
            **{key: resolved(value) for key, value in step["env"].items()},
        },
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return Ran(done.returncode, done.stdout, done.stderr, outputs, files["GITHUB_STEP_SUMMARY"].read_text())


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout with the sample models in it."""
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    return tmp_path


def audit(workspace: Path, variant: str = "pruned-90", **given: str) -> Ran:
    models = {"dense": "sample_models/dense.onnx", "pruned": f"sample_models/{variant}.onnx\n"}
    return run("Audit", workspace, **models, data="sample_models/val", **given)


def test_no_input_is_shell_text() -> None:
    for step in STEPS.values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


@pytest.mark.workers
def test_outputs_are_those_that_the_step_sets(workspace: Path) -> None:
    declared = {name: f"${{{{ steps.audit.outputs.{name} }}}}" for name in audit(workspace, reports="").outputs}
    assert {name: output["value"] for name, output in ACTION["outputs"].items()} == declared


def test_a_failed_gate_fails_the_step_and_leaves_every_report(workspace: Path) -> None:
    ran = audit(workspace)
    assert ran.code == 1
    assert ran.outputs == {"verdict": "failed", "exit-code": "1", "report": "prune-audit-report"}
    written = {path.name for path in (workspace / "prune-audit-report").iterdir()}
    assert written == {"audit.json", *(f"audit.{s}" for s in ACTION["inputs"]["reports"]["default"].split())}
    assert "::error title=prune-audit%3A pruned-90%3A 8%3A recall-drop::" in ran.out
    assert "pruned-90 against dense" in ran.out
    assert ran.summary.count("### ❌ prune-audit: `pruned-90` against `dense`") == 1


def test_a_gate_that_lets_it_pass(workspace: Path) -> None:
    ran = audit(workspace, "pruned-50", reports="md")
    assert ran.code == 0
    assert ran.outputs["verdict"] in ("passed", "inconclusive")
    assert ran.outputs["exit-code"] == "0"


def test_a_policy_of_its_own(workspace: Path) -> None:
    (workspace / "lax policy.toml").write_text('[rules.accuracy-drop]\nlevel = "error"\nlimit = 10\n')
    ran = audit(workspace, policy="lax policy.toml", reports="sarif")
    assert ran.code == 0
    assert ran.outputs["verdict"] == "passed"
    assert read_audit(workspace / "prune-audit-report" / "audit.json").policy is not None


def test_what_could_not_be_done_is_an_error_with_its_message(workspace: Path) -> None:
    ran = audit(workspace, "gone")
    assert ran.code == 2
    assert (ran.outputs["verdict"], ran.outputs["exit-code"]) == ("error", "2")
    assert "gone.onnx" in ran.err
    assert ran.summary == ""


def test_an_old_audit_is_never_taken_for_a_new_one(workspace: Path) -> None:
    audit(workspace, reports="")
    assert audit(workspace, "gone").outputs["verdict"] == "error"


def test_what_an_earlier_run_left_is_gone_even_where_this_one_cannot_be_done(workspace: Path) -> None:
    written = workspace / "prune-audit-report"
    audit(workspace, reports="md html sarif xml csv txt")
    (written / "notes.txt").write_text("somebody's own")
    assert audit(workspace, "gone", reports="md").outputs["verdict"] == "error"
    assert [path.name for path in written.iterdir()] == ["notes.txt"]


def test_what_this_run_would_write_is_gone_even_where_prune_audit_is_not_installed(workspace: Path) -> None:
    audit(workspace, reports="md")
    python = workspace / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    assert audit(workspace, reports="md", python=str(python)).outputs["verdict"] == "error"
    assert list((workspace / "prune-audit-report").iterdir()) == []


def test_several_variants_and_options_one_a_line(workspace: Path) -> None:
    two = "half=sample_models/pruned-50.onnx\nsample_models/pruned-90.onnx"
    ran = run(
        "Audit", workspace, dense="sample_models/dense.onnx", pruned=two, data="sample_models/val",
        args="--margin=4\n--by=class\n", reports="xml", output="out put",
    )  # fmt: skip
    done = read_audit(workspace / "out put" / "audit.json")
    assert [c.pruned.name for c in done.comparisons] == ["half", "pruned-90"]
    assert done.provenance.settings.margin == 0.04
    assert ran.outputs["report"] == "out put"


@pytest.mark.parametrize(
    "given", [{"data": "$(touch hacked)"}, {"output": "`touch hacked`"}, {"args": "; touch hacked"}]
)
def test_inputs_run_nothing(workspace: Path, given: dict[str, str]) -> None:
    models = {"dense": "sample_models/dense.onnx", "pruned": "sample_models/pruned-50.onnx"}
    run("Audit", workspace, **({"data": "sample_models/val", "reports": ""} | models | given))
    assert not (workspace / "hacked").exists()


def test_a_model_is_never_taken_for_an_option(workspace: Path) -> None:
    ran = run("Audit", workspace, dense="--help", pruned="x.onnx", data="sample_models/val")
    assert ran.code == 2
    assert "--help" in ran.err


def test_it_installs_its_own_checkout(tmp_path: Path) -> None:
    """By a stand-in for Python that prints what it was asked for."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    ran = run("Install prune-audit", tmp_path, python=str(python))
    *_, option, constraints, package = ran.out.splitlines()
    assert (option, constraints, package) == ("-c", f"{ROOT}/constraints.txt", str(ROOT))
    assert STEPS["Install prune-audit"]["if"] == "inputs.install == 'self'"
    assert ACTION["inputs"]["install"]["default"] == "self"


def test_the_reports_it_writes_are_reports() -> None:
    assert {f".{suffix}" for suffix in ACTION["inputs"]["reports"]["default"].split()} <= set(suffixes())


# ------------------------------------------------------------------------------------------------------- pre-commit


def hook(*files: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*shlex.split(HOOK["entry"]), *map(str, files)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        check=False,
    )


def test_the_hook_judges_every_audit_that_it_is_given(workspace: Path) -> None:
    for name in ("pruned-50", "pruned-90"):
        models = [f"sample_models/{model}.onnx" for model in ("dense", name)]
        made = ["compare", *models, "--data=sample_models/val", "--quiet", f"--output={name} audit.json"]
        subprocess.run([sys.executable, "-m", "prune_audit", *made], cwd=workspace, check=True)
    good, bad = (workspace / f"{name} audit.json" for name in ("pruned-50", "pruned-90"))
    assert hook(good).returncode == 0
    assert hook(good, bad).returncode == 1
    assert hook(bad, good).returncode == 1


def test_the_hook_looks_at_audits_alone() -> None:
    pattern = re.compile(HOOK["files"])
    assert pattern.search("audit.json")
    assert pattern.search("models/v2-audit.json")
    assert not pattern.search("package.json")


# ------------------------------------------------------------------------------------------------ what docs/ci.md says

GUIDE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS: list[Any] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n([\s\S]*?)```", GUIDE)]


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    steps = BLOCKS[0]["jobs"]["audit"]["steps"]
    ours = next(step for step in steps if "prune-audit@" in step.get("uses", ""))
    given = set(ours["with"])
    required = {name for name, value in ACTION["inputs"].items() if value.get("required")}
    assert required <= given <= set(ACTION["inputs"])
    used = set(re.findall(r"steps\.audit\.outputs\.([\w-]+)", GUIDE))
    assert used <= set(ACTION["outputs"])


def test_what_the_guide_does_with_reports_it_does_only_where_there_are_some() -> None:
    steps = [step for step in BLOCKS[0]["jobs"]["audit"]["steps"] + BLOCKS[1] if "outputs.report" in str(step)]
    of_one = [step for step in steps if "audit.sarif" in str(step) or "audit.md" in str(step)]
    assert len(of_one) == 2
    assert all("steps.audit.outputs.verdict != 'error'" in step["if"] for step in of_one)


def test_the_hook_that_it_names_exists() -> None:
    assert [hook["id"] for block in BLOCKS if "repos" in block for hook in block["repos"][0]["hooks"]] == [HOOK["id"]]


def test_the_commands_that_it_shows_are_understood(workspace: Path) -> None:
    """As shown, with the sample models in place of the reader's."""
    (workspace / "models").symlink_to(ROOT / "sample_models")
    (workspace / "data").symlink_to(ROOT / "sample_models")
    job = next(block["prune-audit"] for block in BLOCKS if "prune-audit" in block)
    command = job["script"][1].replace("models/pruned.onnx", "models/pruned-90.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "prune_audit", *shlex.split(command)[1:]],
        cwd=workspace,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    for path in (*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]):
        assert (workspace / path).stat().st_size > 0


def test_no_file_of_the_workspace_stands_in_for_a_library(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("open('marker', 'w').close()")
    for options, ran in ((["-c"], True), (["-P", "-c"], False)):
        run = subprocess.run([sys.executable, *options, "import rich"], cwd=tmp_path, check=False, capture_output=True)
        assert run.returncode == 0
        assert (tmp_path / "marker").exists() == ran
        (tmp_path / "marker").unlink(missing_ok=True)
    calls = re.findall(r'"\$PYTHON"(?: \S+)?', (Path(__file__).parents[1] / "action.yml").read_text())
    assert set(calls) == {'"$PYTHON" -P'}
    assert len(calls) == 5

"""The GitHub Action and the pre-commit hook, run step by step as a runner would run them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from prune_audit.document import read_audit
from prune_audit.reports import suffixes
from tests.cli._run import here
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


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """What a failed gate left: the folder of its reports, and how the step ended."""
    folder = tmp_path_factory.mktemp("failed")
    (folder / "sample_models").symlink_to(ROOT / "sample_models")
    ran = audit(folder)
    return folder / "prune-audit-report", ran


@pytest.fixture
def left(workspace: Path, failed: tuple[Path, Ran]) -> Path:
    """The folder of reports of an earlier run, in ``workspace``."""
    return Path(shutil.copytree(failed[0], workspace / "prune-audit-report"))


def audit(workspace: Path, variant: str = "pruned-90", **given: str) -> Ran:
    models = {"dense": "sample_models/dense.onnx", "pruned": f"sample_models/{variant}.onnx\n"}
    return run("Audit", workspace, **models, data="sample_models/val", **given)


def test_no_input_is_shell_text() -> None:
    for step in STEPS.values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


def test_outputs_are_those_that_the_step_sets(failed: tuple[Path, Ran]) -> None:
    declared = {name: f"${{{{ steps.audit.outputs.{name} }}}}" for name in failed[1].outputs}
    assert {name: output["value"] for name, output in ACTION["outputs"].items()} == declared


def test_a_failed_gate_fails_the_step_and_leaves_every_report(failed: tuple[Path, Ran]) -> None:
    folder, ran = failed
    assert ran.code == 1
    assert ran.outputs == {"verdict": "failed", "exit-code": "1", "report": "prune-audit-report"}
    written = {path.name for path in folder.iterdir()}
    assert written == {"audit.json", *(f"audit.{s}" for s in ACTION["inputs"]["reports"]["default"].split())}
    assert "::error title=prune-audit%3A pruned-90%3A 8%3A recall-drop::" in ran.out
    assert "pruned-90 against dense" in ran.out
    assert ran.summary.count("### ❌ prune-audit: `pruned-90` against `dense`") == 1


@pytest.mark.workers
def test_a_gate_that_lets_it_pass(workspace: Path) -> None:
    ran = audit(workspace, "pruned-50", reports="md")
    assert ran.code == 0
    assert ran.outputs["verdict"] in ("passed", "inconclusive")
    assert ran.outputs["exit-code"] == "0"


def test_what_could_not_be_done_is_an_error_with_its_message(workspace: Path) -> None:
    ran = audit(workspace, "gone")
    assert ran.code == 2
    assert (ran.outputs["verdict"], ran.outputs["exit-code"]) == ("error", "2")
    assert "gone.onnx" in ran.err
    assert ran.summary == ""


def test_what_an_earlier_run_left_is_gone_even_where_this_one_cannot_be_done(workspace: Path, left: Path) -> None:
    """So that an old audit is never taken for a new one."""
    assert {path.suffix for path in left.iterdir()} >= {".json", ".md", ".html", ".sarif", ".xml"}
    for suffix in ("csv", "txt"):
        (left / f"audit.{suffix}").write_text("of an earlier run")
    (left / "notes.txt").write_text("somebody's own")
    assert audit(workspace, "gone", reports="md").outputs["verdict"] == "error"
    assert [path.name for path in left.iterdir()] == ["notes.txt"]


def test_what_this_run_would_write_is_gone_even_where_prune_audit_is_not_installed(workspace: Path, left: Path) -> None:
    for path in left.iterdir():
        if path.suffix not in (".json", ".md"):
            path.unlink()
    python = workspace / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    assert audit(workspace, reports="md", python=str(python)).outputs["verdict"] == "error"
    assert list(left.iterdir()) == []


def test_several_variants_a_policy_of_its_own_and_options_one_a_line(workspace: Path) -> None:
    (workspace / "lax policy.toml").write_text('[rules.accuracy-drop]\nlevel = "error"\nlimit = 10\n')
    two = "half=sample_models/pruned-50.onnx\nsample_models/pruned-90.onnx"
    ran = run(
        "Audit", workspace, dense="sample_models/dense.onnx", pruned=two, data="sample_models/val",
        args="--margin=4\n--by=class\n", reports="xml", output="out put",
        policy="lax policy.toml",
    )  # fmt: skip
    assert (ran.code, ran.outputs["verdict"]) == (0, "passed")
    done = read_audit(workspace / "out put" / "audit.json")
    assert [c.pruned.name for c in done.comparisons] == ["half", "pruned-90"]
    assert done.provenance.settings.margin == 0.04
    assert done.policy is not None
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


def test_the_hook_judges_every_audit_that_it_is_given(tmp_path: Path, failed: tuple[Path, Ran]) -> None:
    good, bad = (tmp_path / f"{name} audit.json" for name in ("pruned-50", "pruned-90"))
    models = [ROOT / "sample_models" / f"{name}.onnx" for name in ("dense", "pruned-50")]
    assert here(["compare", *models, "--data", ROOT / "sample_models" / "val", "-q", "-o", good]).returncode == 0
    shutil.copy(failed[0] / "audit.json", bad)
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
    ours = next(step for step in steps if step.get("id") == "audit")
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

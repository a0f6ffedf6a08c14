"""Every input that was ever mishandled is handled: refused with error and hint, or read, and nothing beside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prune_audit.cli import invoke
from tests.fuzz import outcome, seeds
from tests.fuzz.outcome import Ran
from tests.fuzz.running import Alone

CORPUS = Path(__file__).parent / "corpus"
KINDS = {seed.kind: seed for seed in seeds.SEEDS}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the seeds that the corpus needs."""
    folder = tmp_path_factory.mktemp("corpus") / "base"
    seeds.make_light(folder)
    return folder


@pytest.mark.parametrize("name", sorted(path.parent.name for path in CORPUS.glob("*/about.json")))
def test_it_is_handled(name: str, base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    about = json.loads((CORPUS / name / "about.json").read_text())
    seed, command = KINDS[about["kind"]], tuple(about["arguments"])
    folder = tmp_path / "input"
    folder.mkdir()
    for needed in seed.needs:
        (folder / needed).symlink_to(base / needed)
    for target in seed.targets:
        if (base / target).is_dir():
            shutil.copytree(base / target, folder / target)
        elif (base / target).exists():
            shutil.copyfile(base / target, folder / target)
    for gone in about["without"]:
        (folder / gone).unlink(missing_ok=True)
    shutil.copytree(CORPUS / name, folder, dirs_exist_ok=True)
    before = outcome.state(folder)
    if about.get("alone"):  # where it ended the process
        ran = Alone(tmp_path / "alone")(command, folder, about["environment"])
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for key, value in about["environment"].items():
                patch.setenv(key, value)
            code = invoke(command)
        said = capfd.readouterr()
        ran = Ran(code=code, out=said.out.encode(), err=said.err.encode())
    verdict = outcome.judge(ran, seed, command, folder, before)
    assert verdict.outcome != "mishandled", verdict.why


def test_the_rules_of_the_harness_see_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = KINDS["onnx"]
    before = outcome.state(tmp_path)

    def why(ran: Ran) -> str:
        return outcome.judge(ran, seed, ("compare", "a", "b"), tmp_path, before).why

    refused = b"error: no\nhint: yes\n"
    assert why(Ran(code=2, err=refused)) == ""
    assert why(Ran(code=2, err=b"error: no")) == "refused without error and hint"
    assert why(Ran(code=1)) == "exit code 1 of compare"
    assert why(Ran(code=-11)) == "crash: signal 11"
    assert why(Ran(code=None, why="hang")) == "hang"
    assert why(Ran(code=0, memory=2 << 30)) == "memory: 2048 MiB more"
    assert why(Ran(code=2, err=refused + b"\x1b[31m")).startswith("stderr holds '\\x1b'")
    assert why(Ran(code=0, out=b"\n::error::planted")) == "stdout has a line of the input's own, a command of GitHub"
    (tmp_path / "out.json").write_text('{"a": NaN}')
    assert why(Ran(code=2, err=refused)) == "left behind: out.json"
    assert why(Ran(code=0)) == "no JSON in out.json: NaN"
    (tmp_path / "CANARY").touch()
    assert why(Ran(code=0)) == "the payload ran"
    (tmp_path / "CANARY").unlink()
    outside = tmp_path / "outside"
    outside.write_text("as it was")
    at_first = outcome.led([str(outside)])
    outside.write_text("something else")
    assert outcome.led([str(outside)]) != at_first
    outside.unlink()
    monkeypatch.setattr(outcome, "_AT_FIRST", {})
    assert why(Ran(code=0)).startswith("wrote where a link leads")

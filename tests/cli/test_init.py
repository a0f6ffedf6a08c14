"""prune-audit init: what it writes works, says what it found, and overwrites nothing."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from prune_audit import rules
from prune_audit.cli import invoke
from prune_audit.cli.init import Found, look, workflow
from tests.conftest import ROOT

POLICY, WORKFLOW = Path("prune-audit.toml"), Path(".github/workflows/prune-audit.yml")


def ours(text: str) -> dict[str, Any]:
    """The step of the workflow ``text`` that audits."""
    steps = yaml.safe_load(text)["jobs"]["audit"]["steps"]
    step: dict[str, Any] = next(step for step in steps if step.get("id") == "audit")
    return step


def given(text: str) -> dict[str, str]:
    """What the workflow ``text`` gives the action."""
    inputs: dict[str, str] = ours(text)["with"]
    return inputs


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_it_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touch(tmp_path, "models/dense.pt", "models/pruned-50.pt", "data/val/cat/1.png")
    assert invoke(["init", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {tmp_path / POLICY}",
        f"wrote {tmp_path / WORKFLOW}",
        "dense model: models/dense.pt",
        "pruned models: models/pruned-50.pt",
        "data: data/val",
        "prune-audit itself: ./prune-audit, a copy of it in this repository (--repository ACCOUNT/NAME)",
    ]
    text = (tmp_path / WORKFLOW).read_text()
    assert given(text) == {
        "dense": "models/dense.pt", "pruned": "models/pruned-50.pt\n", "data": "data/val", "policy": str(POLICY),
    }  # fmt: skip
    assert "Replace these names" not in text


def test_the_workflow_takes_prune_audit_from_nobody_but_whom_the_user_names(tmp_path: Path) -> None:
    """An index may know no prune-audit, or a stranger's; the guide uses the action, and so does the workflow."""
    text = workflow(look(tmp_path))
    assert "pip install" not in text
    assert ours(text)["uses"] == "./prune-audit"
    assert "uses: ./prune-audit\n" in (ROOT / "docs" / "ci.md").read_text()
    assert "OWNER" not in text
    named = workflow(look(tmp_path), "acme/prune-audit")
    assert ours(named)["uses"] == f"acme/prune-audit@v{version('prune-audit')}"


@pytest.mark.parametrize("repository", ["acme", "<you>/prune-audit", "acme/prune audit", "-a/b", "acme/x@v1", "a/b/c"])
def test_what_is_no_repository_is_2(repository: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["init", str(tmp_path), f"--repository={repository}"]) == 2
    assert "expected ACCOUNT/NAME as on GitHub" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_action_takes_what_the_workflow_gives_it(tmp_path: Path) -> None:
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    required = {name for name, each in inputs.items() if each.get("required")}
    assert required <= set(given(workflow(look(tmp_path)))) <= set(inputs)


def test_the_policy_is_the_default_one(tmp_path: Path) -> None:
    assert invoke(["init", str(tmp_path)]) == 0
    written = rules.read_policy(tmp_path / POLICY)
    assert dict(written.rules) == dict(rules.default_policy().rules)
    assert written.inconclusive == "allow"
    assert rules.found(tmp_path) == tmp_path / POLICY


def test_its_waiver_can_be_used_by_taking_the_signs_away(tmp_path: Path) -> None:
    assert invoke(["init", str(tmp_path)]) == 0
    text = (tmp_path / POLICY).read_text()
    start = text.index("# [[waivers]]")
    (tmp_path / POLICY).write_text(text[:start] + text[start:].replace("\n# ", "\n").removeprefix("# "))
    (waiver,) = rules.read_policy(tmp_path / POLICY).waivers
    assert (waiver.stratum, waiver.variant) == ("cat", "*")


def test_it_writes_what_is_missing_and_overwrites_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, str(WORKFLOW))
    for written in (True, False):
        assert invoke(["init", str(tmp_path)]) == 0
        told = capsys.readouterr().out.splitlines()
        left = "left {} as it is (--force overwrites it)"
        first = f"wrote {tmp_path / POLICY}" if written else left.format(tmp_path / POLICY)
        assert told == [first, left.format(tmp_path / WORKFLOW)]
        assert (tmp_path / WORKFLOW).read_text() == ""
        assert rules.read_policy(tmp_path / POLICY).inconclusive == "allow"
    assert invoke(["init", str(tmp_path), "--force"]) == 0
    assert (tmp_path / WORKFLOW).read_text().startswith("name: prune-audit")


def test_where_nothing_is_found_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["init", str(tmp_path)]) == 0
    assert "dense model: none found; name them in the workflow" in capsys.readouterr().out
    text = (tmp_path / WORKFLOW).read_text()
    assert "          # Replace these names by your own.\n          dense: models/dense.onnx\n" in text


def test_no_folder_is_2(tmp_path: Path) -> None:
    assert invoke(["init", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ["m/dense.onnx", "m/dense.pt", "m/x-pruned.pt", "m/y-sparse90.pt", "val.csv"],
            Found(dense="m/dense.pt", pruned=("m/x-pruned.pt", "m/y-sparse90.pt"), data="val.csv"),
        ),
        (["unpruned.onnx", "pruned.onnx"], Found(dense="unpruned.onnx", pruned=("pruned.onnx",))),
        (["m/resnet.pt", "m/other.pt", "val/1.png"], Found()),
        (["a/b/c/d/e/dense.onnx", ".git/pruned.onnx", "venv/pruned.onnx"], Found()),
        (["z/test/cat/1.png", "README.md"], Found(data="z/test")),
    ],
)
def test_what_is_recognised(files: list[str], expected: Found, tmp_path: Path) -> None:
    touch(tmp_path, *files)
    assert look(tmp_path) == expected


def test_names_are_read_back_as_they_are() -> None:
    names = ('#1 my models/dense: "a".pt', "- p.pt", "'q' r.pt", "val: ü")
    text = workflow(Found(dense=names[0], pruned=names[1:3], data=names[3]))
    read = given(text)
    assert (read["dense"], *read["pruned"].splitlines(), read["data"]) == names


def test_a_name_that_fits_on_no_line_is_not_seen(tmp_path: Path) -> None:
    touch(tmp_path, "dense.pt", "pruned\n1.pt", "a\nb/pruned.pt")
    assert look(tmp_path) == Found(dense="dense.pt")


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_no_link_that_lies_in_the_repository_is_followed(
    force: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / ".github").symlink_to(tmp_path / "mine")
    assert invoke(["init", str(repository), *force]) == 2
    assert ".github is a link, and none is followed there" in capsys.readouterr().err
    assert not (repository / POLICY).exists()
    (repository / ".github").unlink()
    for there in ("new", "file"):  # nothing is there yet, or a file
        (repository / POLICY).unlink(missing_ok=True)
        (repository / POLICY).symlink_to(tmp_path / "mine" / there)
        assert invoke(["init", str(repository), *force]) == 0
        assert (repository / POLICY).is_symlink() == (not force)
    assert [(each.name, each.read_text()) for each in (tmp_path / "mine").iterdir()] == [("file", "mine")]

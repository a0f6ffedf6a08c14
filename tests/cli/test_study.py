"""prune-audit study as people run it: to the end, killed and again, over shards, and with what makes no sense.

The run that is killed is a process of its own; the others need not import torch anew.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.cli._run import here
from tests.conftest import ROOT
from tests.study.studies import IMAGES, PLAN, planned

TABLES = ("runs.csv", "runs.parquet", "classes.csv", "classes.parquet", "study.md", "study.html")
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A study run to its end, and what the command said."""
    folder = tmp_path_factory.mktemp("done")
    planned(folder)
    return folder, here(["study", "digits.toml", "--threads", "1"], environment=ENVIRONMENT, cwd=folder)


def test_one_command_runs_analyses_and_writes(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, ended = done
    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("mlp, seed 0, magnitude at 50 %: accuracy ")
    assert ended.stdout.startswith("Digits\n")
    assert "From density to density" in ended.stdout
    assert "written to digits:" in ended.stdout
    out = folder / "digits"
    assert {each.name for each in out.iterdir()} >= {*TABLES, "table-cells.csv", "table-methods.csv", "runs", "dense"}
    assert not [path for path in (out / "pruned").rglob("*") if path.is_file()]
    runs, classes = (pd.read_csv(out / name) for name in ("runs.csv", "classes.csv"))
    assert len(runs) == 8
    assert len(classes) == 80
    assert (out / "study.html").read_text().startswith("<!DOCTYPE html>")
    assert (out / "study.md").read_text().startswith("### Digits\n")


def test_results_are_analysed_again_without_the_data(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, ended = done
    (tmp_path / "kept").mkdir()
    for name in ("runs.csv", "classes.csv", "samples.csv"):
        shutil.copy(folder / "digits" / name, tmp_path / "kept")
    again = here(["study", "kept", "-o", "again"], environment=ENVIRONMENT, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert again.stdout == ended.stdout.replace("written to digits:", "written to again:")
    for name in TABLES:
        if not name.endswith(".parquet"):
            assert (tmp_path / "again" / name).read_bytes() == (folder / "digits" / name).read_bytes()
    only = here(["study", "kept"], environment=ENVIRONMENT, cwd=tmp_path)
    assert "written to" not in only.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == ["again", "kept"]
    quiet = here(["study", "kept", "-q"], environment=ENVIRONMENT, cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_exemplars_are_listed_from_a_plan_and_from_its_results(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = done
    asked = ["study", str(folder / "digits"), "--exemplars", "list.csv", "--audit", str(IMAGES), "-o", "out"]
    ended = here(asked, environment=ENVIRONMENT, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "written to list.csv: the exemplars" in ended.stdout
    listed = pd.read_csv(tmp_path / "list.csv")
    tested = pd.read_csv(tmp_path / "out" / "table-exemplars.csv")
    counts = listed[listed["is_pie"] == "yes"].groupby(["method", "density"]).size()
    assert {key: counts[key] for key in counts.index} == {
        (row.method, row.density): row.exemplars for row in tested.itertuples()
    }
    assert tested["absent"].str.startswith("2 of 3 seeds that an exchange needs").all()
    assert (tested["samples"] == 1078).all()
    # A sample is in the folder of its class, so that the ids are those of the samples that were named.
    assert all(Path(str(row.id)).parts[0] == str(row.label) for row in listed.itertuples())
    right = listed["dense_correct"] > 1
    assert (listed.loc[right, "dense_mode"] == listed.loc[right, "label"]).all()
    page = (tmp_path / "out" / "study.html").read_text()
    assert page.count("data:image/png;base64,") == 24
    assert (tmp_path / "out" / "audited.csv").read_bytes() == (folder / "digits" / "audited.csv").read_bytes()
    again = here(["study", "out", "--exemplars", "top.csv", "--top", "3"], environment=ENVIRONMENT, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    top = pd.read_csv(tmp_path / "top.csv")
    pd.testing.assert_frame_equal(top, listed.groupby(["method", "density"], sort=False).head(3).reset_index(drop=True))
    shutil.copytree(IMAGES / "0", tmp_path / "other" / "0")
    for wrong, told in (
        (["--exemplars", "out/runs.csv"], "out/runs.csv is read, and would be written over"),
        (["--top", "3"], "--top is of a list of exemplars"),
        (["--exemplars", "new.csv", "--audit", "other"], "other has no sample 1/0"),
    ):
        refused = here(["study", "out", *wrong], environment=ENVIRONMENT, cwd=tmp_path)
        assert refused.returncode == 2
        assert told in refused.stderr, refused.stderr
    (tmp_path / "out" / "audited.csv").unlink()
    refused = here(["study", "out", "--exemplars", "new.csv"], environment=ENVIRONMENT, cwd=tmp_path)
    assert "does not say which samples were audited" in refused.stderr
    assert not (tmp_path / "new.csv").exists()


def test_a_control_is_named_for_results_and_before_anything_is_run(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, ended = done
    assert "Against the control" not in ended.stdout
    named = ["study", str(folder / "digits"), "--control", "layer@0.5", "-o", "out"]
    assert here(named, environment=ENVIRONMENT, cwd=tmp_path).returncode == 0
    controls = pd.read_csv(tmp_path / "out" / "table-controls.csv")
    assert set(zip(controls["control"], controls["control_density"], strict=True)) == {("layer", 0.5)}
    assert len(controls) == 3
    planned(tmp_path)
    for control, told in (("nosuch", "found no cell 'nosuch'"), ("layer", "found several of the method 'layer'")):
        refused = here(["study", "digits.toml", "--control", control], environment=ENVIRONMENT, cwd=tmp_path)
        assert refused.returncode == 2
        assert told in refused.stderr
        assert "layer@0.5" in refused.stderr
    # One cell of several seeds is one control: what is refused is refused later.
    refused = here(
        ["study", "digits.toml", "--control", "layer@0.5", "--shard", "9/9"], environment=ENVIRONMENT, cwd=tmp_path
    )
    assert "--control" not in refused.stderr
    assert "has nothing to do" in refused.stderr
    assert not (tmp_path / "digits").exists()


def test_a_killed_study_goes_on_and_ends_the_same(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = done
    planned(tmp_path)
    command = [sys.executable, "-m", "prune_audit", "study", "digits.toml", "--threads", "1"]
    environment = {**os.environ, **ENVIRONMENT}
    runs = tmp_path / "digits" / "runs"
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as started:
        deadline = time.monotonic() + 120
        while len(list(runs.rglob("*.json"))) < 3:
            assert started.poll() is None, "the study ended before it was killed"
            assert time.monotonic() < deadline, "no run was finished"
            time.sleep(0.01)
        started.send_signal(signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*.json")}
    assert len(before) < 8
    assert not (tmp_path / "digits" / "runs.csv").exists()
    ended = here(["study", "digits.toml", "--threads", "1"], environment=ENVIRONMENT, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stderr.splitlines()) == 8 - len(before)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    for name in ("runs.csv", "classes.csv", "study.md"):
        assert (tmp_path / "digits" / name).read_bytes() == (folder / "digits" / name).read_bytes()
    assert not [path for path in (tmp_path / "digits" / "pruned").rglob("*") if path.is_file()]


def test_shards_join(done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    _, ended = done
    planned(tmp_path)
    for shard in ("1/2", "2/2"):
        part = here(
            ["study", "digits.toml", "--shard", shard, "-o", shard[0], "--threads", "1", "-q"],
            environment=ENVIRONMENT,
            cwd=tmp_path,
        )
        assert part.returncode == 0, part.stderr
        assert len(pd.read_csv(tmp_path / shard[0] / "runs.csv")) == 4
    joined = here(["study", "1", "2"], environment=ENVIRONMENT, cwd=tmp_path)
    assert joined.stdout == ended.stdout.partition("written to")[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.toml"], "gone.toml cannot be read"),
        (["gone"], "holds no results of a study"),
        (["digits.toml", "digits.toml"], "expected one .toml file, or folders of results"),
        (["here", "--data", "x"], "folders of results are analysed, and nothing is run"),
        (["here", "--runner", "ray"], "folders of results are analysed, and nothing is run"),
        (["digits.toml", "--ray-address", "auto"], "--ray-address is an option of ray, and threads was chosen"),
        (["digits.toml", "--shard", "3/2"], "--shard: expected I/N with I from 1 to N, found '3/2'"),
        (["digits.toml", "--shard", "1"], "--shard: expected I/N"),
        (["digits.toml", "--data", "gone"], "gone: there is no such file or folder"),
        (["digits.toml", "-o", "digits.toml"], "cannot be made"),
        (["broken.toml"], "broken.toml:2: seeds: expected how many"),
        ([], "Missing argument"),
    ],
)
def test_what_makes_no_sense_ends_with_a_hint(arguments: list[str], said: str, tmp_path: Path) -> None:
    planned(tmp_path)
    (tmp_path / "broken.toml").write_text(PLAN.replace("seeds = 2", "seeds = 'two'"))
    before = sorted(tmp_path.rglob("*"))
    ended = here(["study", *arguments], environment=ENVIRONMENT, cwd=tmp_path)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "hint:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_smaller_plan_reports_its_own_runs_alone(
    done: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = done
    shutil.copytree(folder / "digits", tmp_path / "digits")
    text = PLAN.replace("[0.1, 0.5]", "[0.5]")
    planned(tmp_path, text[: text.index(", { name")] + text[text.index("]\n\n[networks]") :])
    ended = here(["study", "digits.toml", "--threads", "1"], environment=ENVIRONMENT, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    runs = pd.read_csv(tmp_path / "digits" / "runs.csv")
    assert runs[["method", "density"]].drop_duplicates().to_numpy().tolist() == [["magnitude", 0.5]]
    assert not (tmp_path / "digits" / "table-methods.csv").exists()
    assert (tmp_path / "digits" / "runs" / "mlp" / "0" / "layer-0.1.json").exists()


def test_a_study_of_which_no_run_finished_is_no_success(tmp_path: Path) -> None:
    planned(tmp_path, PLAN.replace("seeds = 2", "seeds = 1").replace("lr = 0.05", "lr = 1e9"))
    ended = here(["study", "digits.toml", "--threads", "1"], environment=ENVIRONMENT, cwd=tmp_path)
    assert ended.returncode == 2
    assert "error: none of 4 runs finished; the first failed because the loss is" in ended.stderr
    assert "Every run failed of magnitude at 50 and 10 %; layer at 50 and 10 %." in " ".join(ended.stdout.split())
    assert "No run finished" in (tmp_path / "digits" / "study.html").read_text()
    assert (tmp_path / "digits" / "runs.csv").exists()


def test_links_in_the_folder_of_a_study_are_replaced_and_not_followed(tmp_path: Path) -> None:
    folder, mine = tmp_path / "study", tmp_path / "mine"
    folder.mkdir()
    mine.write_text("mine")
    for name in ("runs.csv", "classes.csv"):
        shutil.copy(ROOT / "docs" / "studies" / "cifar10-lenet5" / name, folder / name)
    for name in ("study.html", "study.md", "table-cells.csv"):
        (folder / name).symlink_to(mine)
    assert here(["study", str(folder), "-o", str(folder)], cwd=tmp_path).returncode == 0
    assert mine.read_text() == "mine"
    assert not (folder / "study.html").is_symlink()

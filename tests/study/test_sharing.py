"""Studies whose runs are done in other processes, by a runner that is one: what goes out and comes back is pickled."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from prune_audit.core import Settings, Shard
from prune_audit.errors import StudyError, UsageError
from prune_audit.runners import ray
from prune_audit.study import plan as plans
from prune_audit.study import results, running, sharing
from tests.conftest import ROOT
from tests.study.studies import PLAN, planned

SETTINGS = Settings(threads=1, isolate="never", runner="ray")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Has ray do its work here, and holds the parts that it was given."""
    seen: list[Any] = []

    def run(
        parts: Sequence[Any],
        read: Callable[[Any], Any],
        tasks: Callable[[Any], Sequence[Callable[[], Any]]],
        take: Sequence[Callable[[Any], None]],
        workers: int,
        options: object,
    ) -> None:
        assert (workers, options) == (1, None)
        for part in parts:
            seen.append(part)
            there = pickle.loads(pickle.dumps(read))
            made = pickle.loads(pickle.dumps(there(pickle.loads(pickle.dumps(part)))))
            for task, give in zip(tasks(made), take, strict=True):
                give(task())

    monkeypatch.setattr(ray, "ready", lambda: None)
    monkeypatch.setattr(ray, "run", run)
    return seen


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    running.run(of(folder), folder / "out", Settings(threads=1, isolate="never"))
    return folder / "out"


def of(folder: Path, text: str = PLAN) -> plans.Plan:
    return plans.read(planned(folder, text))


def records(folder: Path) -> dict[str, object]:
    """What each run says, without how long it took."""
    found: dict[str, object] = {}
    for path in (folder / results.RUNS).rglob("*.json"):
        found[str(path.relative_to(folder))] = {**json.loads(path.read_text()), "seconds": 0}
    return found


def test_the_folder_is_that_of_one_machine(whole: Path, tmp_path: Path, given: list[Any]) -> None:
    lines: list[str] = []
    seen: list[tuple[int, int]] = []
    sharing.run(of(tmp_path), tmp_path / "out", SETTINGS, told=lines.append, progress=lambda *n: seen.append(n))
    assert [part.shard for part in given] == [Shard(number=1, of=2), Shard(number=2, of=2)]
    assert records(tmp_path / "out") == records(whole)
    for name in (results.TITLE, results.AUDITED, "dense/mlp-0.json", "dense/mlp-1.json", "dense/mlp-0.pth"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()
    assert not (tmp_path / "out" / "pruned").exists()
    assert len(lines) == 8
    assert seen == [(0, 8), (4, 8), (8, 8)]


def test_what_is_done_is_not_done_again(
    whole: Path, tmp_path: Path, given: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = of(tmp_path), tmp_path / "out"
    sharing.run(plan, out, SETTINGS, shard=Shard(number=1, of=2))
    gone = out / "runs" / "mlp" / "0" / "layer-0.5.json"
    gone.unlink()
    del given[:]
    monkeypatch.setattr("prune_audit.prune.train", lambda *_, **__: pytest.fail("the dense network was there"))
    lines: list[str] = []
    sharing.run(plan, out, SETTINGS, shard=Shard(number=1, of=2), told=lines.append)
    assert [line.partition(":")[0] for line in lines] == ["mlp, seed 0, layer at 50 %"]
    assert records(out) == {name: record for name, record in records(whole).items() if "/0/" in name}
    sharing.run(plan, out, SETTINGS, shard=Shard(number=1, of=2))
    assert len(given) == 1


def test_pruned_networks_come_back_where_they_are_kept(tmp_path: Path, given: list[Any]) -> None:
    sharing.run(of(tmp_path), tmp_path / "out", SETTINGS, shard=Shard(number=2, of=2), keep=True)
    kept = sorted(path.parent.name for path in (tmp_path / "out" / "pruned").rglob("*.pth"))
    assert kept == ["layer-0.1", "layer-0.5", "magnitude-0.1", "magnitude-0.5"]


def test_a_worker_with_other_data_ends_the_study(
    tmp_path: Path, given: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    units = running.units
    asked: list[object] = []

    def other(*arguments: Any) -> tuple[running.Unit, ...]:
        asked.append(arguments)
        if len(asked) > 1:  # where the worker is
            plan = plans.read(planned(tmp_path, PLAN.replace("epochs = 3", "epochs = 2")))
            return units(plan, *arguments[1:])
        return units(*arguments)

    monkeypatch.setattr(running, "units", other)
    with pytest.raises(StudyError, match="these would be other runs than where the study was started") as caught:
        sharing.run(of(tmp_path), tmp_path / "out", SETTINGS)
    assert "all machines need the same data" in caught.value.hint
    assert records(tmp_path / "out") == {}


def test_a_device_is_not_given_out(tmp_path: Path, given: list[Any]) -> None:
    with pytest.raises(UsageError, match="only processors are given out") as caught:
        sharing.run(of(tmp_path), tmp_path / "out", Settings(device="cuda", runner="ray"))
    assert "study --shard I/N" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_a_machine_without_the_folder_says_so(
    tmp_path: Path, given: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "nowhere")
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(UsageError, match=r"has no folder .*nowhere, where the run was started"):
        sharing.run(of(tmp_path), tmp_path / "out", SETTINGS)

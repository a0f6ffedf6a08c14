"""What Weights & Biases keeps of an audit, in real runs that stay on this machine."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from prune_audit import logs
from prune_audit.cli import invoke
from prune_audit.errors import MissingExtra, OutputError
from prune_audit.logs._numbers import facts, metrics
from prune_audit.logs.wandb import log, ready
from tests.reports import audits

FILES = {"audit.html": b"<p>the page</p>", "audit.json": b"{}"}
BLOCK = 32768  # bytes of a block of a run's file, which is a log as LevelDB's


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs stay in an empty folder, by the environment alone, as in a job."""
    for name in ("WANDB_API_KEY", "WANDB_RUN_ID", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR", "NETRC"):
        monkeypatch.setenv(name, str(tmp_path))
    wandb.teardown()  # what an earlier test had set
    yield
    if wandb.run is not None:
        wandb.finish()
    wandb.teardown()


def records(folder: Path) -> Iterator[Any]:
    """What the files of all runs below ``folder`` hold, of which each record is pieces of one kind: whole, first,
    middle, last."""
    for path in sorted(folder.rglob("run-*.wandb")):
        content, at, held = path.read_bytes(), 7, b""
        while at + 7 <= len(content):
            if BLOCK - at % BLOCK < 7:  # no header fits into what is left of the block
                at += BLOCK - at % BLOCK
                continue
            _, size, kind = struct.unpack_from("<IHB", content, at)
            held += content[at + 7 : at + 7 + size]
            at += 7 + size
            if kind in (1, 4):
                record = wandb_internal_pb2.Record.FromString(held)  # type: ignore[attr-defined]
                yield getattr(record, record.WhichOneof("record_type"))
                held = b""


def kept(folder: Path) -> tuple[list[Any], dict[str, Any], dict[str, Any], list[Any]]:
    """The runs, the last values of the summary and of the configuration, and the artifacts."""
    wandb.teardown()  # waits until all is written
    runs, artifacts = list[Any](), list[Any]()
    summary, config = dict[str, Any](), dict[str, Any]()
    for record in records(folder):
        kind = type(record).__name__
        if kind == "RunRecord":
            runs.append(record)
        if kind == "SummaryRecord":
            summary |= {each.key or "/".join(each.nested_key): json.loads(each.value_json) for each in record.update}
        if kind in ("ConfigRecord", "RunRecord"):
            changes = (record if kind == "ConfigRecord" else record.config).update
            config |= {each.key or each.nested_key[0]: json.loads(each.value_json) for each in changes}
        if kind == "ArtifactRecord":
            artifacts.append(record)
    return runs, summary, config, artifacts


def test_a_new_run_holds_numbers_facts_and_files(tmp_path: Path) -> None:
    audit = audits.several()
    told = log(audit, FILES)
    assert wandb.run is None
    runs, summary, config, (artifact,) = kept(tmp_path)
    assert runs[0].run_id in told
    assert "for `wandb sync`" in told
    assert runs[0].project == "prune-audit"
    numbers = metrics(audit)
    assert {name: summary[name] for name in numbers} == numbers
    assert config["prune-audit"] == facts(audit)
    assert artifact.name == "prune-audit"
    assert {entry.path for entry in artifact.manifest.contents} == set(FILES)
    [page] = tmp_path.rglob("media/html/*.html")
    assert page.read_bytes() == FILES["audit.html"]


def test_the_run_of_the_process_goes_on(tmp_path: Path) -> None:
    with wandb.init(project="mine") as run:
        run.log({"loss": 1.0})
        assert run.id in log(audits.ten(), FILES)
        assert wandb.run is run
        run.log({"loss": 0.5})
    runs, summary, config, _ = kept(tmp_path)
    assert runs[0].project == "mine"
    assert summary["pruned-90/accuracy"] == metrics(audits.ten())["pruned-90/accuracy"]
    assert summary["loss"] == 0.5
    assert config["prune-audit"] == facts(audits.ten())


def test_the_environment_names_project_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "pruning")
    monkeypatch.setenv("WANDB_RUN_ID", "abc123")
    assert "abc123" in log(audits.ten(), FILES)
    runs, *_ = kept(tmp_path)
    assert (runs[0].project, runs[0].run_id) == ("pruning", "abc123")


def test_a_disabled_service_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert log(audits.ten(), FILES) == "wandb: nothing is written, since WANDB_MODE is disabled"
    assert not list(tmp_path.rglob("run-*.wandb"))


def test_who_is_unknown_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://bob:secret@127.0.0.1:1")
    with pytest.raises(OutputError, match=r"at http://127\.0\.0\.1:1: nothing says who you are") as caught:
        ready()
    assert "WANDB_MODE=offline" in caught.value.hint
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_HTTP_TIMEOUT", "1")
    wandb.teardown()
    with pytest.raises(OutputError, match="Failed to authenticate"):
        logs.check(["wandb"])


def test_a_client_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra) as caught:
        logs.check(["wandb"])
    assert caught.value.hint == "pip install 'prune-audit[wandb]'"


@pytest.mark.parametrize(("said", "reports"), [(None, False), ("true", True)])
def test_the_client_tells_its_makers_of_no_fault_unless_somebody_wants_it_to(
    said: str | None, reports: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_ERROR_REPORTING")
    if said is not None:
        monkeypatch.setenv("WANDB_ERROR_REPORTING", said)
    ready()
    assert wandb.env.error_reporting_enabled() is reports


def test_from_the_command_line(tmp_path: Path, sample_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [str(sample_models / f"{name}.onnx") for name in ("dense", "pruned-90")]
    data = str(sample_models / "val")
    assert invoke(["compare", *models, "--data", data, "--gate", "--quiet", "--log", "wandb"]) == 1
    told = capsys.readouterr()
    runs, summary, config, _ = kept(tmp_path)
    assert told.out == ""
    assert runs[0].run_id in told.err
    assert config["prune-audit"]["outcome"] == "failed"
    assert summary["pruned-90/regressed"] > 0
    [page] = tmp_path.rglob("media/html/*.html")
    assert page.read_text().startswith("<!DOCTYPE html>")

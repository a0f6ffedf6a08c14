"""What MLflow keeps of an audit, in a real store of files."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run

import prune_audit
from prune_audit import logs, reports
from prune_audit.cli import invoke
from prune_audit.core import Audit, Outputs, Predictions, Settings
from prune_audit.document import read_audit
from prune_audit.errors import MissingExtra, OutputError, UsageError
from prune_audit.logs._numbers import metrics
from prune_audit.logs.mlflow import PATIENCE, log, ready
from tests.cli._run import process
from tests.reports import audits

FILES = {"audit.html": b"<p>", "audit.json": b"{}"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty store, used through the environment alone, as a job does."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", *PATIENCE):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    while mlflow.active_run() is not None:
        mlflow.end_run()


def runs(experiment: str = "0") -> list[Run]:
    return list(mlflow.MlflowClient().search_runs([experiment]))


def named(audit: Audit, *names: str) -> Audit:
    """``audit`` with its first classes called so."""
    comparison = audit.comparisons[0]
    view = comparison.views[0]
    strata = (*names, *view.strata[len(names) :])
    view = replace(view, pair=replace(view.pair, strata=strata, classes=strata))
    return replace(audit, comparisons=(replace(comparison, views=(view,)), *audit.comparisons[1:]))


def test_a_new_run_holds_numbers_tags_and_files(store: Path, tmp_path: Path) -> None:
    audit = audits.several()
    told = log(audit, FILES)
    (run,) = runs()
    assert run.info.run_id in told
    assert run.info.status == "FINISHED"
    assert run.data.metrics == metrics(audit)
    for comparison in audit.comparisons:
        view = comparison.view()
        name = comparison.pruned.name
        assert run.data.metrics[f"{name}/accuracy"] == view.measure("pruned_recall").overall
        assert run.data.metrics.get(f"{name}/density") == comparison.pruned.density
        assert run.data.metrics[f"{name}/regressed"] == view.measure("verdict").by_stratum.count("regressed")
        changes = {
            f"{name}/recall_change/{s}": c for s, c in zip(view.strata, view.measure("change").by_stratum, strict=True)
        }
        assert {key: run.data.metrics.get(key) for key in changes} == changes
    assert run.data.tags["prune-audit.outcome"] == audit.outcome
    assert run.data.tags["prune-audit.data-digest"] == audit.provenance.data_digest
    kept = mlflow.MlflowClient().download_artifacts(run.info.run_id, "prune-audit", str(tmp_path))
    assert {path.name: path.read_bytes() for path in Path(kept).iterdir()} == FILES


def test_the_run_of_the_environment_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = mlflow.MlflowClient().create_run("0", run_name="training")
    monkeypatch.setenv("MLFLOW_RUN_ID", started.info.run_id)
    assert "training" in log(audits.ten(), FILES)
    (run,) = runs()
    assert run.info.run_id == started.info.run_id
    assert run.info.status == "RUNNING"  # whoever started it ends it
    assert run.data.metrics == metrics(audits.ten())


def test_the_run_of_the_process_comes_first(store: Path) -> None:
    with mlflow.start_run() as active:
        log(audits.ten(), FILES)
        assert mlflow.active_run() is not None
    (run,) = runs()
    assert run.info.run_id == active.info.run_id
    assert run.data.metrics == metrics(audits.ten())


def test_the_experiment_of_the_environment(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "pruning")
    log(audits.ten(), FILES)
    experiment = mlflow.MlflowClient().get_experiment_by_name("pruning")
    assert experiment is not None
    assert len(runs(experiment.experiment_id)) == 1


def test_names_are_what_mlflow_takes(store: Path) -> None:
    audit = named(audits.ten(), "a/b", "a:b", "..", "", "  x ", "=HYPERLINK(1)", "x" * 400, "猫", "a_b")
    found = metrics(audit)
    changes = [name.removeprefix("pruned-90/recall_change/") for name in found if "recall_change" in name]
    assert changes == ["a_b", "a_b_2", "_", "__2", "x", "_HYPERLINK_1_", "x" * 100, "猫", "a_b_3"]
    log(audit, FILES)
    assert runs()[0].data.metrics == found


def test_a_thousand_classes(store: Path) -> None:
    audit = audits.thousand()
    log(audit, FILES)
    assert len(metrics(audit)) > 1000
    assert runs()[0].data.metrics == metrics(audit)


def test_what_mlflow_refuses_is_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(OutputError, match=r"MLflow at file:.*not found") as caught:
        log(audits.ten(), FILES)
    assert "MLFLOW_RUN_ID" in caught.value.hint
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (store / "others").as_uri())  # a store that is open stays open
    with pytest.raises(OutputError, match="maintenance mode"):
        log(audits.ten(), FILES)


def test_a_password_in_the_address_is_not_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(OutputError, match=r"MLflow at http://127\.0\.0\.1:9: API request") as caught:
        log(audits.ten(), FILES)
    assert "secret" not in caught.value.message


def test_a_server_that_is_not_there_is_missed_soon_and_before_the_run(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    started = time.monotonic()
    with pytest.raises(OutputError, match=r"MLflow at http://127\.0\.0\.1:1: API request") as caught:
        logs.check(["mlflow"])
    assert time.monotonic() - started < 8
    assert "check MLFLOW_TRACKING_URI" in caught.value.hint
    assert not set(PATIENCE) & set(os.environ)


def test_a_server_that_does_not_answer_is_given_the_time_that_its_user_sets(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(OutputError, match="timed out") as caught:
            ready()
    assert time.monotonic() - started < float(PATIENCE["MLFLOW_HTTP_REQUEST_TIMEOUT"])
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" in caught.value.hint
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "1"


def test_who_may_not_list_experiments_may_write_all_the_same(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise mlflow.MlflowException("API request to endpoint failed with error code 403 != 200")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setattr(mlflow.MlflowClient, "search_experiments", forbidden)
    ready()


def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no plugin 'neptune' in logs"):
        logs.check(["neptune"])
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtra) as caught:
        logs.check(["mlflow"])
    assert caught.value.hint == "pip install 'prune-audit[mlflow]'"


def test_mlflow_tells_its_makers_nothing(tmp_path: Path) -> None:
    """Asked in a process that is of no test and of no CI, of which MLflow tells nothing anyway."""
    code = (
        "from prune_audit.logs import mlflow as log; log.ready(); "
        "import os; print(os.environ['MLFLOW_DISABLE_TELEMETRY']); "
        "from mlflow.telemetry import client; print(client.get_telemetry_client())"
    )
    plain = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["true", "None"], done.stderr


def test_from_the_command_line(
    store: Path, sample_models: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    models = [str(sample_models / f"{name}.onnx") for name in ("dense", "pruned-90")]
    data, saved = str(sample_models / "val"), str(tmp_path / "a.json")
    assert invoke(["compare", *models, "--data", data, "--gate", "--quiet", "--log", "mlflow", "-o", saved]) == 1
    told = capsys.readouterr()
    (run,) = runs()
    assert told.out == ""
    assert f"run prune-audit {run.info.run_id} of experiment 0" in told.err
    assert run.data.tags["prune-audit.outcome"] == "failed"
    kept = Path(mlflow.MlflowClient().download_artifacts(run.info.run_id, "prune-audit", str(tmp_path)))
    assert read_audit(kept / "audit.json") == read_audit(saved)
    assert (kept / "audit.html").read_text().startswith("<!DOCTYPE html>")
    assert invoke(["check", saved, "--policy", "report-only", "--quiet", "--log", "mlflow"]) == 0
    assert {run.data.tags["prune-audit.policy"] for run in runs()} == {"default", "report-only"}
    assert invoke(["check", saved, "--log", "neptune"]) == 2
    assert "no plugin 'neptune' in logs" in capsys.readouterr().err
    assert invoke(["compare", *models, "--data", data, "--confirm", data, "--log", "mlflow"]) == 2
    assert "--log writes one audit" in capsys.readouterr().err


def test_where_nothing_is_said_runs_are_kept_in_sqlite_with_what_the_extra_installs(tmp_path: Path) -> None:
    """As a user's process does it, in a folder of its own."""
    predictions = Predictions(
        classes=("a", "b"),
        ids=tuple("0123"),
        labels=np.array([0, 0, 1, 1]),
        models=tuple(Outputs(name=name, predicted=np.array([0, 0, 1, 1])) for name in ("dense", "pruned")),
    )
    reports.write(prune_audit.from_predictions(predictions, "dense", ["pruned"], Settings()), tmp_path / "a.json")
    unset = {name: "" for name in os.environ if name.startswith("MLFLOW_")}
    done = process(["check", "a.json", "-q", "--log", "mlflow"], environment=unset, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    database = tmp_path / "mlflow.db"
    assert f"at sqlite:///{database}" in done.stderr
    with closing(sqlite3.connect(database)) as kept:
        found = dict(kept.execute("select key, value from latest_metrics"))
    assert found["pruned/accuracy"] == 1
    assert found["pruned/recall_change/a"] == 0

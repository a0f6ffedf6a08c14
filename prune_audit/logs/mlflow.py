"""MLflow: metrics, tags, the page and audit.json, in the run that is active, else in a new one.

Active is the run of this process, else that of MLFLOW_RUN_ID, whose status stays as it is, since whoever started it is
still at work. Where runs are kept is MLflow's own business: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and the like.

Metrics are called as `prune_audit.logs._numbers` says.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from prune_audit.core import Audit
from prune_audit.errors import MissingExtra, OutputError
from prune_audit.logs._discreet import discreet
from prune_audit.logs._numbers import facts, metrics

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "prune-audit"  # of the artifacts in the run
# How a server is first asked for. MLflow itself would try for more than a minute, and for many where nothing answers.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "4"}
BATCH = 1000  # metrics that MLflow takes at once


def ready() -> None:
    """Whether MLflow is there, and where it keeps runs on a server, whether that answers at all.

    Raises:
        MissingExtra: MLflow is not installed.
        OutputError: the server cannot be reached.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would tell its makers; read once, as it is loaded
    try:
        import mlflow
    except ImportError as fault:
        raise MissingExtra("--log mlflow needs MLflow", hint="pip install 'prune-audit[mlflow]'") from fault
    from requests.exceptions import RequestException

    if not mlflow.get_tracking_uri().startswith(("http://", "https://")):
        return
    try:
        with _soon():
            mlflow.MlflowClient().search_experiments(max_results=1)
    except mlflow.MlflowException as fault:
        # A user may have permission to write to a run but not to list experiments.
        if isinstance(fault.__context__, RequestException):
            raise _refused(fault, f", and {' or '.join(PATIENCE)} for a server that takes its time") from fault


@contextmanager
def _soon() -> Iterator[None]:
    """Have MLflow give up soon where nobody answers, unless its user has said how long it is to try."""
    unset = [name for name in PATIENCE if name not in os.environ]
    os.environ.update({name: PATIENCE[name] for name in unset})
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]


def log(audit: Audit, files: Mapping[str, bytes]) -> str:
    """Write ``audit`` and ``files``; the run, its experiment, and what was written.

    Raises:
        MissingExtra: MLflow is not installed.
        OutputError: MLflow refused something, or cannot be reached.
    """
    ready()
    import mlflow
    from requests.exceptions import RequestException

    numbers = metrics(audit)
    try:
        running = mlflow.active_run()
        found = running.info.run_id if running is not None else os.environ.get("MLFLOW_RUN_ID")
        if found:
            run = _write(mlflow.MlflowClient(), found, audit, numbers, files)
        else:
            with mlflow.start_run(run_name="prune-audit") as started:
                run = _write(mlflow.MlflowClient(), started.info.run_id, audit, numbers, files)
    except (mlflow.MlflowException, RequestException, OSError) as fault:
        sqlite = mlflow.get_tracking_uri().startswith("sqlite")
        wanted = "; a SQLite store needs more: pip install 'prune-audit[mlflow]'" if sqlite else ""
        raise _refused(fault, wanted) from fault
    info, where = run.info, discreet(mlflow.get_tracking_uri())
    return (
        f"mlflow: {len(numbers):,} metrics and {', '.join(files)} in run {info.run_name or ''} {info.run_id} "
        f"of experiment {info.experiment_id} at {where}"
    )


def _refused(fault: Exception, also: str) -> OutputError:
    """What MLflow said, and what to check; ``also`` ends the hint."""
    import mlflow

    told = str(fault).strip().splitlines() or [type(fault).__name__]
    return OutputError(
        discreet(f"MLflow at {mlflow.get_tracking_uri()}: {told[0]}"),
        hint=f"check MLFLOW_TRACKING_URI, MLFLOW_RUN_ID and MLFLOW_EXPERIMENT_NAME{also}",
    )


def _write(
    client: MlflowClient, run_id: str, audit: Audit, numbers: Mapping[str, float], files: Mapping[str, bytes]
) -> Any:
    """Everything into the run ``run_id``, without a word to it of when it ends; the run."""
    from mlflow.entities import Metric, RunTag

    now = int(1000 * time.time())
    entries = [Metric(name, value, now, 0) for name, value in numbers.items()]
    for batch in _batches(entries):
        client.log_batch(run_id, metrics=batch)
    client.log_batch(run_id, tags=[RunTag(f"prune-audit.{name}", value) for name, value in facts(audit).items()])
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder, FOLDER)
    return client.get_run(run_id)


def _batches(entries: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (entries[start : start + BATCH] for start in range(0, len(entries), BATCH))

"""Weights & Biases: numbers, facts, the page and audit.json, in the run that is active, else in a new one.

Active is the run of this process, which goes on. A new run is one of the project WANDB_PROJECT, else of "prune-audit";
with WANDB_RUN_ID it is that run, taken up again, which ends with what is written here as with any process that took it
up. Everything else is the service's own business: WANDB_ENTITY, WANDB_MODE, WANDB_DIR and the like. With
WANDB_MODE=offline nothing leaves the machine until `wandb sync` is given the folder.

Numbers go into the summary of the run, called as `prune_audit.logs._numbers` says, and facts into its configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from prune_audit.core import Audit
from prune_audit.errors import MissingExtra, OutputError
from prune_audit.logs._discreet import discreet
from prune_audit.logs._numbers import facts, metrics

if TYPE_CHECKING:
    from wandb import Run

CALLED = "prune-audit"  # the project, the artifact, the panel of the page, and the place of facts
OFFLINE = "WANDB_MODE=offline keeps the run in a folder, for `wandb sync`"


def ready() -> None:
    """Whether the client is there, and where runs go to a server, whether that takes them from this user.

    Raises:
        MissingExtra: the client is not installed.
        OutputError: the server cannot be reached, or knows no such user.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # of its own faults, to its makers; read as it begins
    try:
        import wandb
    except ImportError as fault:
        raise MissingExtra("--log wandb needs Weights & Biases", hint="pip install 'prune-audit[wandb]'") from fault
    if wandb.run is not None or wandb.setup().settings.mode != "online":
        return
    try:
        known = wandb.login(prompt=False, verify=True)
    except wandb.Error as fault:
        raise _refused(str(fault)) from fault
    if not known:
        raise _refused("nothing says who you are")


def log(audit: Audit, files: Mapping[str, bytes]) -> str:
    """Write ``audit`` and ``files``; the run, where it is, and what was written.

    Raises:
        MissingExtra: the client is not installed.
        OutputError: the service refused something, or cannot be reached.
    """
    ready()
    import wandb

    numbers = metrics(audit)
    try:
        if wandb.run is not None:
            _write(wandb.run, audit, numbers, files)
            return _told(wandb.run, numbers, files)
        settings = wandb.Settings(console="off", silent=True)
        project = os.environ.get("WANDB_PROJECT") or CALLED
        with wandb.init(project=project, job_type="audit", resume="allow", settings=settings) as run:
            _write(run, audit, numbers, files)
            return _told(run, numbers, files)
    except (wandb.Error, OSError) as fault:
        raise _refused(str(fault)) from fault


def _write(run: Run, audit: Audit, numbers: Mapping[str, float], files: Mapping[str, bytes]) -> None:
    import wandb

    run.summary.update(dict(numbers))
    run.config.update({CALLED: facts(audit)}, allow_val_change=True)  # type: ignore[no-untyped-call]
    artifact = wandb.Artifact(CALLED, "audit")
    for name, content in files.items():
        with artifact.new_file(name, "wb") as file:
            file.write(content)
        if name.endswith(".html"):  # shown in the run; a later step of a run that goes on takes it along
            run.log({CALLED: wandb.Html(content.decode(), inject=False)}, commit=False)
    run.log_artifact(artifact)


def _told(run: Run, numbers: Mapping[str, float], files: Mapping[str, bytes]) -> str:
    if run.disabled:
        return "wandb: nothing is written, since WANDB_MODE is disabled"
    where = f"in {run.settings.sync_dir}, for `wandb sync`" if run.offline else f"at {run.url}"
    named = " ".join(filter(None, (run.name, run.id)))
    return f"wandb: {len(numbers):,} numbers and {', '.join(files)} in run {named} {where}"


def _refused(said: str) -> OutputError:
    import wandb

    told = said.strip().splitlines() or ["it refused"]
    return OutputError(
        discreet(f"Weights & Biases at {wandb.setup().settings.base_url}: {told[0]}"),
        hint=f"wandb login, or check WANDB_API_KEY, WANDB_BASE_URL, WANDB_ENTITY and WANDB_RUN_ID; {OFFLINE}",
    )

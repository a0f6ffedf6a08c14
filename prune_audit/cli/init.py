"""prune-audit init: a policy and a workflow for a repository, filled in as far as it can be told.

It asks nothing. What it finds (models, labelled data) goes into the workflow; what it does not find stands there as a
name to be replaced, and is said. The action is taken from a copy of prune-audit inside the repository, unless
``--repository`` says who hosts it, which nothing here can tell.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

POLICY, WORKFLOW = Path("prune-audit.toml"), Path(".github/workflows/prune-audit.yml")
MODELS = (".onnx", ".pt", ".pt2", ".pth", ".safetensors")
PRUNED = ("prun", "spars")  # what the name of a pruned model holds
DENSE = ("dense", "base", "orig", "full", "unpruned")  # likewise, of the model that it came from
COPY = "./prune-audit"  # where the workflow looks for the action: no name on GitHub, which might be a stranger's
DATA = ("val", "valid", "validation", "test", "holdout", "eval")
DEPTH, MOST = 4, 20_000  # folders deep and files in all: a repository, not a disk
SKIPPED = ("node_modules", "venv", "site-packages", "build", "dist", "__pycache__")

Folder = Annotated[Path, typer.Argument(metavar="[FOLDER]", help="The root of the repository.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Repository = Annotated[
    str | None,
    typer.Option(
        metavar="ACCOUNT/NAME",
        help="Repository on GitHub that the workflow takes prune-audit from; without it, the folder ./prune-audit.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a repository seems to hold; "" and () where it is not seen."""

    dense: str = ""
    pruned: tuple[str, ...] = ()
    data: str = ""


def run(folder: Folder = Path(), repository: Repository = None, force: Force = False) -> None:
    """Write a policy (prune-audit.toml) and a GitHub workflow that audits with it into a repository.

    What is there already is left as it is, without --force, so that it can be run again.

    Example: prune-audit init
    """
    from prune_audit import reports
    from prune_audit.cli import _terminal
    from prune_audit.errors import UsageError
    from prune_audit.files import target as targets

    if repository is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+", repository):
        raise UsageError(
            f"--repository: expected ACCOUNT/NAME as on GitHub, found {repository!r}", hint="as in acme/prune-audit"
        )
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder", hint="give the root of the repository")
    found = look(folder)
    texts = {folder / POLICY: policy(), folder / WORKFLOW: workflow(found, repository)}
    new = [path for path in texts if force or not (path.exists() or path.is_symlink())]
    for path in new:  # nothing is written where one cannot be
        targets.folder(path.parent, within=folder)
    for path in new:
        reports.put(path, texts[path], named=False)
    with _terminal.printing() as out:
        for path in texts:
            out.print(
                f"wrote {path}" if path in new else f"left {path} as it is (--force overwrites it)", soft_wrap=True
            )
        if folder / WORKFLOW not in new:
            return
        for what, seen in (("dense model", found.dense), ("pruned models", found.pruned), ("data", found.data)):
            named = ", ".join(seen) if isinstance(seen, tuple) else seen
            out.print(f"{what}: {named or 'none found; name them in the workflow'}", soft_wrap=True)
        where = repository or f"{COPY}, a copy of it in this repository (--repository ACCOUNT/NAME)"
        out.print(f"prune-audit itself: {where}", soft_wrap=True)


def look(folder: Path) -> Found:
    """The models and data that ``folder`` seems to hold, by their names; paths are relative to it."""
    models, data = [], []
    for path in _walk(folder):
        if path.is_dir():
            if path.name.lower() in DATA and any(inner.is_dir() for inner in path.iterdir()):
                data.append(path)
        elif path.suffix.lower() in MODELS:
            models.append(path)
        elif path.suffix.lower() in (".csv", ".parquet") and path.stem.lower() in DATA:
            data.append(path)
    pruned = [path for path in models if any(part in path.stem.lower() for part in PRUNED) and not _is_dense(path)]
    dense = [path for path in models if path not in pruned and _is_dense(path)]
    if pruned and dense:
        # One kind of file for all, if the dense model comes in several; the first name is as good as any.
        alike = [path for path in dense if path.suffix == pruned[0].suffix]
        dense = alike or dense
        pruned = [path for path in pruned if path.suffix == dense[0].suffix] or pruned

    def relative(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    return Found(
        dense=relative(dense[0]) if dense else "",
        pruned=tuple(map(relative, pruned)),
        data=relative(data[0]) if data else "",
    )


def policy() -> str:
    """The default policy as a file, every value with what it means."""
    from prune_audit import gate, rules
    from prune_audit.core import Settings

    default = rules.default_policy()
    text = rules.toml(default, gate.settings_of(default, Settings()), origins=False)
    return f"""# What a pruned model must show: `prune-audit check` and `compare --gate` judge by this file.
# Levels are off, warn and error. What is left out is as in the preset; `prune-audit policy` shows what holds.

extends = "default"
{text}
# A failure that you decide to live with, for a while:
#
# [[waivers]]
# rule = "recall-drop"
# class = "cat"                   # or a pattern, such as "cat*"
# variant = "*"
# reason = "too few photographs, see issue 12"
# expires = 2027-01-31
"""


def workflow(found: Found, repository: str | None = None) -> str:
    """A GitHub workflow that audits what was ``found`` with the action in ``repository``, or in a copy beside it."""
    from importlib.metadata import version

    dense, data = found.dense or "models/dense.onnx", found.data or "data/val"
    pruned = found.pruned or ("models/pruned.onnx",)
    missing = "" if found.dense and found.pruned and found.data else "          # Replace these names by your own.\n"
    uses = COPY if repository is None else f"{repository}@v{version('prune-audit')}"
    where = "a copy of prune-audit in this repository" if repository is None else "a release of prune-audit"
    variants = "\n".join(f"            {each}" for each in pruned)
    return f"""name: prune-audit
on:
  pull_request:
  push:
    branches: [main]
permissions:
  contents: read
jobs:
  audit:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          lfs: true  # models and data often are
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - id: audit
        # The action in {where}; it installs what it was checked out with.
        uses: {uses}
        with:
{missing}          dense: {_scalar(dense)}
          pruned: |
{variants}
          data: {_scalar(data)}
          policy: {POLICY}
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: prune-audit
          path: ${{{{ steps.audit.outputs.report }}}}
"""


def _walk(folder: Path) -> Iterator[Path]:
    """Folders and files below ``folder``, sorted, neither too deep nor too many."""
    seen = 0
    for root, folders, files in os.walk(folder):
        depth = len(Path(root).relative_to(folder).parts)
        # A name that cannot be printed fits on no line of a workflow.
        files, folders[:] = (sorted(filter(str.isprintable, names)) for names in (files, folders))
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SKIPPED]
        if depth >= DEPTH:
            folders.clear()
        for name in (*folders, *files):
            seen += 1
            if seen > MOST:
                return
            yield Path(root) / name


def _is_dense(path: Path) -> bool:
    return any(part in path.stem.lower() for part in DENSE)


def _scalar(text: str) -> str:
    """``text`` as YAML would read it back; what is JSON is YAML, too."""
    return text if re.fullmatch(r"[A-Za-z_./][\w./-]*", text) else json.dumps(text, ensure_ascii=False)

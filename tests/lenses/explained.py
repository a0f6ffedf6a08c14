"""What lenses say of a run of the command, for their tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.cli._run import here

DENSE = "sample_models/dense.pth"
FACTORY = "@sample_models.make:network"


def explain(
    folder: Path, lens: str, pruned: Path | str, data: Path, *more: str, audit: Path | None = None
) -> dict[str, Any]:
    """The document of `explain` of the sample's network and ``pruned``, of the same kind, through ``lens`` alone.

    What is audited is ``data`` where nothing else is said.
    """
    report = folder / "why.json"
    sides = ["--data", str(data), "--audit", str(audit or data), "-o", str(report), "--no-cache"]
    done = here(["explain", f"{DENSE}{FACTORY}", f"{pruned}{FACTORY}", *sides, "--lens", lens, *more])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def section(document: dict[str, Any], lens: str) -> dict[str, Any]:
    """What ``lens`` saw of the one variant."""
    (found,) = [each for each in document["comparisons"][0]["looks"] if each["lens"] == lens]
    return dict(found)


def rows(look: dict[str, Any], table: str) -> list[dict[str, Any]]:
    """The rows of one of its tables, by the names of the fields."""
    (made,) = [each for each in look["tables"] if each["name"] == table]
    names = [field["name"] for field in made["fields"]]
    return [dict(zip(names, row, strict=True)) for row in made["rows"]]


def measures(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The measures of the view by class, by name."""
    return {each["name"]: each for each in document["comparisons"][0]["views"][0]["measures"]}


def state() -> dict[str, torch.Tensor]:
    """The sample's weights."""
    found: dict[str, torch.Tensor] = torch.load(DENSE, weights_only=True)
    return found


def saved(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
    """``weights`` as the file of a pruned network."""
    path = folder / "pruned.pth"
    torch.save(weights, path)
    return path

"""The lens that looks at weights: every number against numpy's count of the same arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.nets import units
from tests.cli._run import here

FACTORY = "@sample_models.make:network"


def explain(tmp_path: Path, dense: str, pruned: str, data: Path, *more: str) -> dict[str, Any]:
    report = tmp_path / "why.json"
    sides = ["--data", str(data), "--audit", str(data), "-o", str(report)]
    done = here(["explain", dense, pruned, *sides, "--lens", "weights", "--limit", "100", *more])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def section(document: dict[str, Any], lens: str) -> dict[str, Any]:
    (found,) = [each for each in document["comparisons"][0]["looks"] if each["lens"] == lens]
    return dict(found)


def rows(look: dict[str, Any]) -> list[dict[str, Any]]:
    table = look["tables"][0]
    names = [field["name"] for field in table["fields"]]
    return [dict(zip(names, row, strict=True)) for row in table["rows"]]


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """The sample's dense weights with half of each cut at random, and two whole units of the first layer."""
    state = torch.load("sample_models/dense.pth", weights_only=True)
    generator = torch.Generator().manual_seed(3)
    for values in state.values():
        if values.ndim > 1:
            values.mul_(torch.rand(values.shape, generator=generator) < 0.5)
    first = next(name for name, values in state.items() if values.ndim > 1)
    state[first][:2] = 0
    torch.save(state, tmp_path / "cut.pth")
    return tmp_path / "cut.pth"


def test_every_number_is_what_numpy_counts(tmp_path: Path, cut: Path, few_arrays: Path) -> None:
    document = explain(tmp_path, f"sample_models/dense.pth{FACTORY}", f"{cut}{FACTORY}", few_arrays, "--same-data")
    before, after = (torch.load(path, weights_only=True) for path in ("sample_models/dense.pth", cut))
    weights = {name: values.numpy() for name, values in after.items() if values.ndim > 1}
    found = rows(section(document, "weights"))
    assert [row["layer"] for row in found] == [name.removesuffix(".weight") for name in weights]
    for row, (name, values) in zip(found, weights.items(), strict=True):
        dense = before[name].double().numpy()
        assert row["total"] == values.size
        assert row["density"] == np.count_nonzero(values) / values.size
        assert row["norm_cut"] == pytest.approx((dense[values == 0] ** 2).sum() / (dense**2).sum(), rel=1e-9)
        flat = values.reshape(*values.shape[:2], -1)
        assert row["dead_outputs"] == int((~flat.any(axis=(1, 2))).sum())
        assert row["dead_inputs"] == int((~flat.any(axis=(0, 2))).sum())
    assert found[0]["dead_outputs"] == 2
    last = list(weights.values())[-1]
    measures = {each["name"]: each for each in document["comparisons"][0]["views"][0]["measures"]}
    assert measures["row_density"]["by_stratum"] == [np.count_nonzero(row) / row.size for row in last]
    assert document["comparisons"][0]["views"][0]["apart"] == ["row_density", "row_norm_cut"]


def test_an_onnx_network_is_seen_without_gradients(tmp_path: Path, few_arrays: Path) -> None:
    document = explain(tmp_path, "sample_models/dense.onnx", "sample_models/pruned-90.onnx", few_arrays, "--same-data")
    layers = document["comparisons"][0]["pruned"]["layers"]
    found = rows(section(document, "weights"))
    assert [row["density"] for row in found] == [each["nonzero"] / each["total"] for each in layers]


def test_of_torchscript_there_is_the_density_alone(tmp_path: Path, few_arrays: Path) -> None:
    document = explain(tmp_path, "sample_models/dense.pt", "sample_models/pruned-90.pt", few_arrays, "--same-data")
    look = section(document, "weights")
    layers = document["comparisons"][0]["pruned"]["layers"]
    assert [row["density"] for row in rows(look)] == [each["nonzero"] / each["total"] for each in layers]
    assert {row["norm_cut"] for row in rows(look)} == {None}
    assert "single weights of TorchScript cannot be seen" in look["tables"][0]["notes"][0]


def test_the_note_names_the_format_that_is_closed(tmp_path: Path, few_arrays: Path) -> None:
    """The pruned one is ONNX, whose weights could be seen."""
    document = explain(tmp_path, "sample_models/dense.pt", "sample_models/pruned-90.onnx", few_arrays, "--same-data")
    note = section(document, "weights")["tables"][0]["notes"][0]
    assert note == "single weights of TorchScript cannot be seen, so of layers there is the density alone"


def test_axes_of_layers() -> None:
    module = nn.ModuleDict(
        {
            "conv": nn.Conv2d(4, 6, 3),
            "back": nn.ConvTranspose2d(4, 6, 3),
            "grouped": nn.Conv2d(4, 6, 3, groups=2),
            "linear": nn.Linear(5, 3),
        }
    )
    assert units.axes(module, "conv.weight") == (0, 1)
    assert units.axes(module, "back.weight") == (1, 0)
    assert units.axes(module, "grouped.weight") is None
    assert units.axes(module, "linear.weight") == (0, 1)

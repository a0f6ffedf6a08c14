"""A table of numbers audited by sex, as a user would: two networks, of one input and of four, the command line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import recall_score

from prune_audit.cli import invoke
from prune_audit.core import Array
from prune_audit.document import read_audit

MEASURED = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
SPECIES = ("Adelie", "Chinstrap", "Gentoo")
Layers: TypeAlias = list[tuple[Array, Array]]  # weights (in, out) and biases (out,)


@pytest.fixture(scope="module")
def rows(shared: Path) -> list[dict[str, str]]:
    with (shared / "palmerpenguins" / "penguins.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def measured(rows: Sequence[dict[str, str]]) -> Array:
    return np.array([[float(row[name]) for name in MEASURED] for row in rows])


@pytest.fixture(scope="module")
def networks(rows: list[dict[str, str]]) -> tuple[Layers, Layers]:
    """A network trained on every second penguin, and a copy that keeps a few of its weights."""
    torch.manual_seed(0)
    known = [row for row in rows[::2] if "NA" not in [row[name] for name in MEASURED]]
    x = torch.tensor(measured(known))
    y = torch.tensor([SPECIES.index(row["species"]) for row in known])
    mean, std = x.mean(0), x.std(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).double()
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(150):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network((x - mean) / std), y).backward()
        optimiser.step()
    layers = [(p.detach().numpy().T.copy(), q.detach().numpy().copy()) for p, q in _pairs(list(network.parameters()))]
    kept = [np.quantile(abs(weights), 0.8) for weights, _ in layers]
    pruned = [(np.where(abs(w) < least, 0, w), b.copy()) for (w, b), least in zip(layers, kept, strict=True)]
    for made in (layers, pruned):  # the scaling moves into the first layer, so that files are fed what was measured
        weights, biases = made[0]
        made[0] = (weights / std.numpy()[:, None], biases - (mean / std).numpy() @ weights)
    return layers, pruned


def _pairs(values: list[torch.nn.Parameter]) -> list[tuple[torch.nn.Parameter, torch.nn.Parameter]]:
    return list(zip(values[::2], values[1::2], strict=True))


def predicted(layers: Layers, x: Array) -> Array:
    (w, b), (v, c) = layers
    classes: Array = (np.maximum(x @ w + b, 0) @ v + c).argmax(axis=1)
    return classes


def save(path: Path, layers: Layers, inputs: Sequence[str]) -> str:
    """As ONNX: of one input of shape (N, 4), or of one of shape (N, 1) for each of ``inputs``."""
    names = list(inputs)
    nodes = [] if len(names) == 1 else [helper.make_node("Concat", names, ["x"], axis=1)]
    before = "x" if nodes else names[0]
    nodes += [
        helper.make_node("Gemm", [before, "w0", "b0"], ["h"]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["logits"]),
    ]
    held = [
        numpy_helper.from_array(values.astype(np.float32), f"{what}{at}")
        for at, layer in enumerate(layers)
        for what, values in zip("wb", layer, strict=True)
    ]
    width = 4 // len(names)
    graph = helper.make_graph(
        nodes,
        "penguins",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def audited(rows: list[dict[str, str]], tmp_path: Path) -> Path:
    """The table of the other penguins, two of which nobody measured."""
    path = tmp_path / "penguins.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[1::2])
    return path


@pytest.mark.parametrize("inputs", [("measurements",), MEASURED])
def test_penguins_are_audited_by_sex(
    rows: list[dict[str, str]],
    networks: tuple[Layers, Layers],
    audited: Path,
    inputs: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = [save(tmp_path / f"{n}.onnx", w, inputs) for n, w in zip(("dense", "pruned"), networks, strict=True)]
    order = ["--features", ",".join(MEASURED)] if len(inputs) == 1 else []
    command = ["compare", *models, "-d", str(audited), "--label-column", "species", "--by", "sex", *order]
    report = [*command, "--no-cache", "-o", str(tmp_path / "a.csv"), "-o", str(tmp_path / "a.json")]
    assert invoke([*report, "--skip-bad", "1"]) == 2
    assert "column 'bill_length_mm' holds 'NA', which is no number" in capsys.readouterr().err
    assert invoke([*report, "--skip-bad", "2"]) == 0

    good = [row for row in rows[1::2] if row["bill_length_mm"] != "NA"]
    assert len(good) == len(rows[1::2]) - 2
    species, sex = (np.array([row[name] for row in good]) for name in ("species", "sex"))
    dense, pruned = (np.array(SPECIES)[predicted(layers, measured(good))] for layers in networks)
    assert recall_score(species, dense, average="macro") > 0.9
    assert (pruned != dense).any()
    with (tmp_path / "a.csv").open(newline="") as file:
        table = {(row["by"], row["stratum"]): row for row in csv.DictReader(file)}
    expected = {("class", name): species == name for name in SPECIES}
    expected |= {("sex", name): sex == name for name in ("NA", "female", "male")}
    assert set(table) == set(expected)
    for key, here in expected.items():
        labels = [key[1]] if key[0] == "class" else list(SPECIES)
        for column, called in (("dense_recall", dense), ("pruned_recall", pruned)):
            found = recall_score(species[here], called[here], labels=labels, average="micro")
            assert float(table[key][column]) == pytest.approx(found)
    provenance = read_audit(tmp_path / "a.json").provenance
    assert [reason for _, reason in provenance.skipped] == [
        "column 'bill_length_mm' holds 'NA', which is no number"
    ] * 2
    features = [each for each in provenance.assumptions if each.what == "features"]
    assert [each.value for each in features] == ([", ".join(MEASURED)] if len(inputs) == 1 else [])


def test_a_year_does_not_slip_in(
    networks: tuple[Layers, Layers], audited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [save(tmp_path / f"{n}.onnx", w, ["x"]) for n, w in zip(("dense", "pruned"), networks, strict=True)]
    assert invoke(["compare", *models, "-d", str(audited), "--label-column", "species"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"take 4 features, and there are 5 columns of numbers ({', '.join(MEASURED)}, year)" in told
    assert "--features" in told

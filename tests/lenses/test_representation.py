"""The lens that compares features: planted changes are found where they are, and what only looks otherwise is alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from prune_audit import networks
from prune_audit.lenses import _similarity
from sample_models.make import network
from tests.cli._run import here
from tests.lenses.explained import DENSE, FACTORY, explain, measures, rows, saved, section, state


def ckas(found: list[dict[str, object]], series: str) -> dict[object, object]:
    return {row["layer"]: row["cka"] for row in found if row["series"] == series}


def test_features_that_only_change_places_are_alike(tmp_path: Path, few_arrays: Path) -> None:
    """The units of a layer in another order, and halved where the next one doubles them, are the same network."""
    weights = state()
    order = torch.randperm(48, generator=torch.Generator().manual_seed(1))
    for name in ("6.weight", "6.bias"):
        weights[name] = weights[name][order] / 2
    weights["8.weight"] = weights["8.weight"][:, order] * 2
    look = section(
        explain(tmp_path, "representation", saved(tmp_path, weights), few_arrays, "--same-data"), "representation"
    )
    found = rows(look, "layers")
    assert list(ckas(found, "pruned against dense")) == ["0", "2", "6", "8"]
    assert list(ckas(found, "pruned against dense").values()) == pytest.approx([1] * 4, abs=1e-6)
    assert all(-0.05 < float(str(value)) < 0.05 for value in ckas(found, "chance").values())
    assert look["sentences"][0].startswith("In no layer features are shown to have moved")
    assert "no interval where both networks give the same, or nothing alike" in look["tables"][0]["notes"]


def test_a_layer_of_noise_moves_what_is_behind_it_and_nothing_before(tmp_path: Path, few_arrays: Path) -> None:
    weights = state()
    weights["6.weight"] = torch.randn(weights["6.weight"].shape, generator=torch.Generator().manual_seed(2)) / 20
    weights["2.weight"][:3] = 0
    weights["2.bias"][:3] = 0
    weights["8.weight"][4] = 0
    document = explain(tmp_path, "representation", saved(tmp_path, weights), few_arrays, "--same-data")
    look = section(document, "representation")
    found = ckas(rows(look, "layers"), "pruned against dense")
    assert found["0"] == pytest.approx(1, abs=1e-6)
    assert float(str(found["2"])) > 0.9
    assert float(str(found["6"])) < 0.9
    assert {row["layer"]: row["dead"] for row in rows(look, "layers")[:4]} == {"0": 0, "2": 3, "6": 0, "8": 1}
    assert {row["dead_dense"] for row in rows(look, "layers")[:4]} == {0}
    assert {row["n"] for row in rows(look, "layers")} == {400}
    assert all(row["low"] < row["cka"] < row["high"] for row in rows(look, "layers")[2:4])
    assert "6, 8" in look["sentences"][0]
    first = document["comparisons"][0]["explained"]
    assert any("Features move from 6 on" in sentence for sentence in first)


def test_within_classes_and_layers_by_name(tmp_path: Path, few_arrays: Path) -> None:
    weights = state()
    weights["6.weight"][:24] = 0
    more = ("--within-class", "--look-at", "6", "--look-at", "8", "--same-data")
    document = explain(tmp_path, "representation", saved(tmp_path, weights), few_arrays, *more)
    assert {row["layer"] for row in rows(section(document, "representation"), "layers")} == {"6", "8"}
    found = measures(document)["class_cka"]
    assert found["title"] == "CKA within the class, 6"
    assert len(found["by_stratum"]) == 10
    for value, low, high in zip(found["by_stratum"], found["low"], found["high"], strict=True):
        assert low < value < high <= 1
    assert (
        section(document, "rule")["tables"] == []
    )  # what was computed on the samples that are judged is no prediction


def test_a_second_seed_is_the_yardstick(tmp_path: Path, few_arrays: Path) -> None:
    """The units of a layer in another order are the same features, to which noise in that layer is further away."""
    second = state()
    order = torch.randperm(48, generator=torch.Generator().manual_seed(1))
    second["6.weight"], second["6.bias"] = second["6.weight"][order], second["6.bias"][order]
    second["8.weight"] = second["8.weight"][:, order]
    torch.save(second, tmp_path / "second.pth")
    weights = state()
    weights["6.weight"] = torch.randn(weights["6.weight"].shape, generator=torch.Generator().manual_seed(2)) / 20
    more = ("--second-seed", str(tmp_path / "second.pth"), "--same-data")
    look = section(explain(tmp_path, "representation", saved(tmp_path, weights), few_arrays, *more), "representation")
    found = ckas(rows(look, "layers"), "another seed against dense")
    assert list(found) == ["0", "2", "6", "8"]
    assert list(found.values()) == pytest.approx([1] * 4, abs=1e-6)
    assert look["sentences"][-1].startswith("Beside second, a dense network of another seed (right on ")
    assert look["sentences"][-1].endswith("in 0 of 4 layers, and further away in 2: 6, 8.")


def test_features_of_the_second_seed_are_those_of_that_network(tmp_path: Path, few_digits: Path) -> None:
    """Of the first layer, which numpy computes: 3 x 3 pixels, averaged over places."""
    second = state()
    second["0.weight"] = torch.randn(second["0.weight"].shape, generator=torch.Generator().manual_seed(3))
    torch.save(second, tmp_path / "second.pth")
    more = ("--second-seed", f"{tmp_path / 'second.pth'}{FACTORY}", "--same-data", "--look-at", "0")
    look = section(explain(tmp_path, "representation", saved(tmp_path, state()), few_digits, *more), "representation")
    images = np.stack([np.asarray(Image.open(file), float) / 255 for file in sorted(few_digits.glob("*/*.png"))])
    shifted = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    places = np.stack([shifted[:, i : i + 8, j : j + 8].mean((1, 2)) for i in range(3) for j in range(3)], 1)  # (N, 9)
    given = [places @ each["0.weight"].numpy().reshape(16, 9).T + each["0.bias"].numpy() for each in (state(), second)]
    found = ckas(rows(look, "layers"), "another seed against dense")
    assert found["0"] == pytest.approx(_similarity.cka(*given), abs=1e-5)  # the network computes in single precision
    assert 0 < float(str(found["0"])) < 0.99
    assert ckas(rows(look, "layers"), "pruned against dense")["0"] == pytest.approx(1, abs=1e-6)
    assert look["sentences"][-1].endswith(
        "further away in none: the cut moved them no further than another training would."
    )


def test_a_second_seed_that_is_none_is_refused(tmp_path: Path, few_arrays: Path) -> None:
    narrow = state()
    narrow["8.weight"], narrow["8.bias"] = narrow["8.weight"][:5], narrow["8.bias"][:5]
    torch.save(narrow, tmp_path / "narrow.pth")
    torch.save(small().state_dict(), tmp_path / "small.pth")
    sides = ["--data", str(few_arrays), "--audit", str(few_arrays), "--same-data", "--no-cache"]
    models = [f"{DENSE}{FACTORY}", f"sample_models/dense.pth{FACTORY}"]
    for given, said in (
        (str(tmp_path / "absent.pth"), "there is no file"),
        (str(tmp_path / "narrow.pth"), "2 of another shape: 8.weight (5, 48) for (10, 48)"),
        (f"{tmp_path / 'narrow.pth'}@tests.lenses.test_representation:five", "has 5 output columns, the data have 10"),
        (
            f"{tmp_path / 'small.pth'}@tests.lenses.test_representation:small",
            "expected the architecture of dense, found other parameters",
        ),
        (DENSE, "are equal files: there is nothing to look at besides"),
        ("sample_models/dense.onnx", "this lens needs gradients: give WEIGHTS@module:factory"),
    ):
        refused = here(["explain", *models, *sides, "--lens", "representation", "--second-seed", given])
        assert refused.returncode == 2, given
        assert said in refused.stderr
        assert "hint: " in refused.stderr


def small() -> nn.Module:
    return nn.Sequential(nn.Flatten(), networks.mlp(10, inputs=64, hidden=[4]))


def five() -> Any:
    made: Any = network()
    made[8] = nn.Linear(48, 5)
    return made


def test_what_cannot_be_compared_is_said(tmp_path: Path, few_arrays: Path) -> None:
    sides = ["--data", str(few_arrays), "--audit", str(few_arrays), "--same-data", "--no-cache"]
    models = ["sample_models/dense.pth@sample_models.make:network", "sample_models/pruned-90.onnx"]
    refused = here(["explain", *models, *sides, "--lens", "representation"])
    assert refused.returncode == 2
    assert "needs gradients: give WEIGHTS@module:factory" in refused.stderr
    few = ["--samples", "3"]
    document = explain(tmp_path, "representation", saved(tmp_path, state()), few_arrays, *few, "--same-data")
    assert section(document, "representation")["absent"] == (
        "30 samples of --data are too few to compare features by, of 40"
    )

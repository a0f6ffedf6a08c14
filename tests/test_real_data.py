"""A published network on real images: every count as a plain script of numpy and scikit-learn finds it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, recall_score
from torch import nn

from prune_audit.cli import invoke
from prune_audit.core import Array
from prune_audit.document import read_audit
from tests.conftest import ROOT
from tests.resnet import resnet32

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHOWN = 1e-12


@pytest.fixture(scope="module")
def checkpoint(shared: Path) -> Path:
    return shared / "cifar10-weights" / "resnet32-d509ac18.th"


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty images of each class, of which each network takes as many seconds as of all of them minutes."""
    folder = tmp_path_factory.mktemp("val")
    for own in sorted((shared / "cifar10-train-jpeg" / "val").iterdir()):
        (folder / own.name).mkdir()
        for file in sorted(own.iterdir())[:50]:
            (folder / own.name / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="module")
def networks(checkpoint: Path) -> tuple[nn.Module, nn.Module]:
    """The published network, and a copy that keeps the largest quarter of its convolution and linear weights."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    made = []
    for density in (1.0, 0.25):
        model = resnet32()
        model.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
        weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        sizes = torch.cat([w.detach().abs().flatten() for w in weights])
        threshold = sizes.sort(descending=True).values[round(density * len(sizes)) - 1]
        with torch.no_grad():
            for weight in weights:
                weight.mul_(weight.abs() >= threshold)
        made.append(model.eval())
    return made[0], made[1]


def test_resnet32_against_a_pruned_copy(
    data: Path,
    checkpoint: Path,
    networks: tuple[nn.Module, nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.save(networks[1].state_dict(), tmp_path / "quarter.pth")
    monkeypatch.chdir(ROOT)
    factory = "@tests.resnet:resnet32"
    options = ["--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD)), "-q"]
    outputs = ["-o", str(tmp_path / "a.csv"), "-o", str(tmp_path / "a.json")]
    models = [f"{checkpoint}{factory}", f"{tmp_path / 'quarter.pth'}{factory}"]
    assert invoke(["compare", *models, "--data", str(data), *options, *outputs]) == 0

    classes = sorted(folder.name for folder in data.iterdir())
    files = [(file, c) for c, name in enumerate(classes) for file in (data / name).iterdir()]
    labels = np.array([c for _, c in files])
    pixels: Array = np.stack([np.asarray(Image.open(file).convert("RGB"), np.float32) for file, _ in files])
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).div(255)
    x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.inference_mode():
        dense, pruned = (torch.cat([model(part).argmax(1) for part in x.split(100)]).numpy() for model in networks)

    with (tmp_path / "a.csv").open(newline="") as file:
        rows = {row["stratum"]: row for row in csv.DictReader(file)}
    assert list(rows) == classes
    a, b = dense == labels, pruned == labels
    for c, name in enumerate(classes):
        cells = {"both": a & b, "lost": a & ~b, "gained": ~a & b, "neither": ~a & ~b}
        assert {k: int(rows[name][k]) for k in cells} == {k: int((v & (labels == c)).sum()) for k, v in cells.items()}
    for predicted, column in ((dense, "dense_recall"), (pruned, "pruned_recall")):
        found = np.array([float(rows[name][column]) for name in classes])
        np.testing.assert_allclose(found, recall_score(labels, predicted, average=None), atol=SHOWN)
    comparison = read_audit(tmp_path / "a.json").comparisons[0]
    assert comparison.view().measure("pruned_recall").overall == accuracy_score(labels, pruned)
    assert comparison.dense.density is not None
    assert comparison.dense.density > 0.999
    assert comparison.pruned.density == pytest.approx(0.25, abs=1e-4)
    assert accuracy_score(labels, dense) > 0.6
    assert comparison.doubts == ()


def test_a_forgotten_normalisation_is_doubted_by_three_signs(
    data: Path,
    checkpoint: Path,
    networks: tuple[nn.Module, nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.save(networks[1].state_dict(), tmp_path / "quarter.pth")
    monkeypatch.chdir(ROOT)
    models = [f"{path}@tests.resnet:resnet32" for path in (checkpoint, tmp_path / "quarter.pth")]
    given = ["--data", str(data), "--preprocess", "none", "-q"]
    assert invoke(["compare", *models, *given, "-o", str(tmp_path / "a.json")]) == 0
    [comparison] = read_audit(tmp_path / "a.json").comparisons
    norm, other, record = comparison.doubts
    right = comparison.view().measure("dense_recall").overall
    assert isinstance(right, float)
    assert 0.2 < right < 0.4
    assert "first batch normalisation (bn1) was trained on other inputs" in norm
    assert "with ImageNet's mean and std it is right on" in other
    assert f"its own file says 92.78% (best_prec1), and it is right on {right:.2%} of 500 samples" in record
    assert invoke(["compare", *models, *given, "--gate", "--rule", "plausible=error"]) == 1

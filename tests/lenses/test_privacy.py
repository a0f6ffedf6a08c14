"""The lens that plays an attacker: nothing is found where there is nothing, and what was learnt by heart is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sample_models.make import network
from tests.cli._run import here
from tests.lenses.explained import explain, measures, rows, saved, section, state

HEART = ("3", "4")


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Half each of the labelled samples; threes and fours are noise, which nothing but memory tells apart."""
    generator = np.random.default_rng(0)
    folders = (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other"))
    for digit in sorted(Path("sample_models/val").iterdir()):
        files = sorted(digit.iterdir())
        for folder, some in zip(folders, (files[::2], files[1::2]), strict=True):
            (folder / digit.name).mkdir()
            for file in some:
                pixels = np.asarray(Image.open(file))
                if digit.name in HEART:
                    pixels = generator.integers(0, 256, pixels.shape, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / digit.name / file.name)
    return folders


@pytest.fixture(scope="module")
def learnt(halves: tuple[Path, Path]) -> dict[str, torch.Tensor]:
    """The sample's network, tuned on the first half until it knows it by heart."""
    files = [file for digit in sorted(halves[0].iterdir()) for file in sorted(digit.iterdir())]
    x = torch.stack([torch.from_numpy(np.asarray(Image.open(file)) / 255).float()[None] for file in files])
    y = torch.tensor([int(file.parent.name) for file in files])
    torch.manual_seed(0)
    model = network()
    model.load_state_dict(state())
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(120):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return {name: each.detach() for name, each in model.state_dict().items()}


def test_classes_that_were_learnt_by_heart_leak_and_others_do_not(
    halves: tuple[Path, Path], learnt: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    pruned = saved(tmp_path, learnt)
    document = explain(tmp_path, "privacy", pruned, halves[0], "--entropy", audit=halves[1])
    look = section(document, "privacy")
    found = {(row["class"], row["model"]): row for row in rows(look, "classes")}
    assert {row["n"] for row in found.values()} <= set(range(50, 58))
    for digit in HEART:
        assert found[digit, "pruned"]["low"] > 0.2
        assert found[digit, "pruned"]["auc"] > 0.7
        assert found[digit, "dense"]["low"] < 0.1
    others = [found[str(digit), "pruned"]["advantage"] for digit in range(10) if str(digit) not in HEART]
    assert max(others) < found["3", "pruned"]["low"]
    p = measures(document)["leakage_p"]["by_stratum"]
    assert {str(digit) for digit, value in enumerate(p) if value < 0.05} >= set(HEART)
    assert any(sentence.startswith("More than before leak 3 (+") for sentence in look["sentences"])
    attacks = {(row["attack"], row["model"]): row for row in rows(look, "attacks")}
    assert {attack for attack, _ in attacks} == {"correctness", "confidence", "entropy", "modified entropy"}
    assert all(row["found"] is None for row in attacks.values())
    assert "found at 1 %: too few, 536 non-members of 1,000 that it takes" in look["tables"][0]["notes"]
    # What is said by the model alone is counted here by hand.
    right = attacks["correctness", "pruned"]
    assert right["advantage"] == pytest.approx(_gain(learnt, halves), abs=1e-9)


def _gain(weights: dict[str, torch.Tensor], halves: tuple[Path, Path]) -> float:
    """Recall on the one half less that on the other, the mean over classes."""
    model = network()
    model.load_state_dict(weights)
    recalls = []
    for half in halves:
        own = []
        for digit in sorted(half.iterdir()):
            x = torch.stack([torch.from_numpy(np.asarray(Image.open(f)) / 255).float()[None] for f in digit.iterdir()])
            with torch.no_grad():
                own.append(float((model(x).argmax(1) == int(digit.name)).double().mean()))
        recalls.append(np.mean(own))
    return float(recalls[0] - recalls[1])


def test_two_halves_of_what_nobody_was_trained_on_tell_nothing(halves: tuple[Path, Path], tmp_path: Path) -> None:
    weights = state()
    weights["6.weight"][:24] = 0
    pruned = saved(tmp_path, weights)
    look = section(explain(tmp_path, "privacy", pruned, halves[0], audit=halves[1]), "privacy")
    assert look["sentences"][0].startswith("No attack is shown to tell members from others: by confidence")
    assert "No class is shown to leak more than before (p corrected for all classes, Holm)." in look["sentences"]
    for row in rows(look, "attacks"):
        assert row["low"] < 0 < row["high"]
        assert row["auc_low"] < 0.5 < row["auc_high"]


def test_samples_that_are_in_both_are_refused(tmp_path: Path, few_arrays: Path) -> None:
    pruned = saved(tmp_path, state())
    look = section(explain(tmp_path, "privacy", pruned, few_arrays, "--same-data"), "privacy")
    assert look["absent"] == (
        "400 samples of --data are among those of --audit, so that these were trained on and are no non-members"
    )


def test_an_onnx_network_is_attacked_by_what_it_predicts(halves: tuple[Path, Path], tmp_path: Path) -> None:
    models = ["sample_models/dense.onnx", "sample_models/pruned-90.onnx"]
    more = ["--data", str(halves[0]), "--audit", str(halves[1]), "--no-cache", "--lens", "privacy", "--entropy"]
    done = here(["explain", *models, *more])
    assert done.returncode == 0, done.stderr
    assert "modified entropy" in done.stdout

"""The lens that attacks: counts against the attack itself, radius 0, and what cannot be attacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from prune_audit.errors import UsageError
from prune_audit.lenses import robustness
from tests.cli._run import here
from tests.lenses.explained import explain, measures, rows, saved, section, state


@pytest.mark.parametrize(
    ("said", "radius", "steps"), [("8/255:10", 8 / 255, 10), (".03", 0.03, 10), ("0:1", 0, 1), ("1/255:3", 1 / 255, 3)]
)
def test_radius_and_steps(said: str, radius: float, steps: int) -> None:
    assert robustness.Options(robust=said).parsed() == (radius, steps)


@pytest.mark.parametrize("said", ["", "x", "-1", "2", "1.5:3", "8/0", "8/255:0", "8/255:", "1/2/3"])
def test_what_is_no_radius_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="--robust: expected a radius from 0 to 1"):
        robustness.Options(robust=said)


def test_the_number_of_samples() -> None:
    with pytest.raises(UsageError, match="--robust-samples: expected 1 or more, found 0"):
        robustness.Options(robust_samples=0)


def test_under_attack_classes_lose_what_counts_say_and_radius_nought_changes_nothing(
    tmp_path: Path, few_digits: Path
) -> None:
    weights = state()
    weights["6.weight"][:24] = 0
    pruned = saved(tmp_path, weights)
    sides = ("--same-data", "--robust-samples", "20")
    document = explain(tmp_path, "robustness", pruned, few_digits, *sides, "--robust", "16/255:6", audit=few_digits)
    look = section(document, "robustness")
    found = rows(look, "robust")
    assert [(row["class"], row["series"]) for row in found[:4]] == [
        ("0", "clean"), ("0", "robust"), ("1", "clean"), ("1", "robust"),
    ]  # fmt: skip
    clean, robust = ([row for row in found if row["series"] == series] for series in ("clean", "robust"))
    assert {row["n"] for row in found} == {20}
    for before, after in zip(clean, robust, strict=True):
        for side in ("dense", "pruned"):
            assert after[side] <= before[side]
        assert after["change"] == pytest.approx((after["gained"] - after["lost"]) / 20)
        assert after["change"] == pytest.approx(after["pruned"] - after["dense"])
        assert after["low"] <= after["change"] <= after["high"]
    assert sum(row["dense"] for row in robust) < sum(row["dense"] for row in clean)
    of = measures(document)
    assert of["robust_dense_recall"]["by_stratum"] == [row["dense"] for row in robust]
    assert of["robust_verdict"]["by_stratum"] == [row["verdict"] for row in robust]
    still = explain(tmp_path, "robustness", pruned, few_digits, *sides, "--robust", "0:1", audit=few_digits)
    same = rows(section(still, "robustness"), "robust")
    for before, after in zip(same[::2], same[1::2], strict=True):
        assert {**before, "series": ""} == {**after, "series": ""}
    mean = np.mean([row["dense"] for row in clean])
    assert f"the dense model withstood {100 * mean:.1f} %" in section(still, "robustness")["sentences"][0]


def test_what_has_no_pixels_cannot_be_attacked(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.random((60, 1, 8, 8)).astype(np.float32), np.arange(60) % 10
    np.savez(tmp_path / "arrays.npz", x=x, y=y)
    models = ["sample_models/dense.pth@sample_models.make:network"] * 2
    sides = ["--data", str(tmp_path / "arrays.npz"), "--audit", str(tmp_path / "arrays.npz"), "--same-data"]
    torch.manual_seed(0)
    done = here(["explain", *models, *sides, "--lens", "robustness", "--no-cache"])
    assert "holds no images that were scaled from pixels" in " ".join(done.stdout.split())


@pytest.mark.parametrize("radius", [8 / 255, 1 / 255, 0.03])
def test_the_radius_to_try_next_is_a_quarter_of_the_one_that_left_nothing(radius: float) -> None:
    found, _ = robustness.Options(robust=robustness._smaller(radius)).parsed()
    assert found == pytest.approx(radius / 4, rel=0.01)  # three digits are told

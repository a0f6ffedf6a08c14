"""The lens of gradients and curvature, by the bound that they make and by what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from prune_audit.errors import UsageError
from prune_audit.lenses import curvature as lens
from tests.lenses.explained import explain, measures, rows, saved, section, state


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, few_arrays: Path) -> dict[str, object]:
    weights = state()
    for name in ("2.weight", "6.weight"):
        weights[name] = torch.where(weights[name].abs() < weights[name].abs().median(), 0.0, weights[name])
    folder = tmp_path_factory.mktemp("cut")
    more = ("--curvature-samples", "8", "--curvature-steps", "12", "--same-data")
    return explain(folder, "curvature", saved(folder, weights), few_arrays, *more)


def test_each_class_has_its_numbers_and_the_bound_made_of_them(document: dict[str, object]) -> None:
    found = rows(section(document, "curvature"), "classes")
    assert [row["class"] for row in found] == [str(digit) for digit in range(10)]
    weights = state()
    distance = sum(
        float((weights[n].double()[weights[n].abs() < weights[n].abs().median()] ** 2).sum())
        for n in ("2.weight", "6.weight")
    )
    for row in found:
        assert row["n"] == 8
        assert 1 <= row["steps"] <= 12
        assert row["top_eigenvalue"] > 0
        expected = row["gradient_norm"] * distance**0.5 + row["top_eigenvalue"] * distance / 2
        assert row["bound"] == pytest.approx(expected, rel=1e-5)  # weights are of single precision
        assert row["bound"] >= row["rise"] - 0.05 * abs(row["rise"])
    of = measures(document)
    assert of["gradient_norm"]["by_stratum"] == [row["gradient_norm"] for row in found]
    assert of["top_eigenvalue"]["by_stratum"] == [row["top_eigenvalue"] for row in found]


def test_the_bound_is_never_a_cause(document: dict[str, object]) -> None:
    look = section(document, "curvature")
    assert any("is no cause and no prediction" in said for said in look["sentences"])
    assert "no interval" in look["tables"][0]["notes"][0]
    assert "bound" not in measures(document)
    assert all("bound" not in str(drawn) or drawn["x"] != "bound" for drawn in look["tables"][0]["drawn"])


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="--curvature-samples: expected 2 or more, found 1"):
        lens.Options(curvature_samples=1)
    with pytest.raises(UsageError, match="--curvature-steps: expected 2 or more, found 0"):
        lens.Options(curvature_steps=0)

"""The estimate against closed forms, the measured curve against cuts by hand, and what is never said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from prune_audit.errors import UsageError
from prune_audit.lenses import limit
from tests.lenses.explained import explain, rows, saved, section, state

ONE = np.ones(1)


def test_of_one_eigenvalue_it_is_the_closed_form() -> None:
    for value, distance, tolerance in ((3.0, 2.0, 0.1), (-3.0, 2.0, 0.1), (0.5, 0.1, 1.0)):
        expected = 2 * tolerance / (abs(value) * distance**2 + 2 * tolerance)
        assert limit.removable(np.array([value]), ONE, distance, tolerance) == pytest.approx(expected, rel=1e-12)


def test_flat_or_unmoved_lets_go_all_and_scaling_is_that_of_the_distance() -> None:
    values, weights = np.array([0.1, 2.0, 30.0]), np.array([0.5, 0.3, 0.2])
    assert limit.removable(0 * values, weights, 7.0, 0.1) == pytest.approx(1)
    assert limit.removable(values, weights, 0.0, 0.1) == pytest.approx(1)
    assert limit.removable(values, weights, 6.0, 0.1) == pytest.approx(limit.removable(4 * values, weights, 3.0, 0.1))
    found = [limit.removable(values, weights, d, 0.1) for d in np.linspace(0, 9, 30)]
    assert found == sorted(found, reverse=True)
    # By convexity the mean curvature alone lets go no more.
    mean = 2 * 0.1 / (3.0**2 * float(weights @ values) + 2 * 0.1)
    assert limit.removable(values, weights, 3.0, 0.1) >= mean


def test_the_crossing_solves_its_equation() -> None:
    distances = np.linspace(0, 2, 2001) ** 1.5
    density = limit.crossing(np.array([5.0]), ONE, distances, 0.1)
    removed = 1 - density
    distance = float(np.interp(removed, np.linspace(0, 1, 2001), distances))
    assert removed == pytest.approx(0.2 / (5 * distance**2 + 0.2), abs=1e-3)  # between two of 2,000 steps
    assert limit.crossing(np.array([0.0]), ONE, distances, 0.1) == 0.0
    assert limit.crossing(np.array([1e30]), ONE, np.full(11, 1.0), 0.1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss_tolerance": 0.0}, "--loss-tolerance: expected more than 0 nats, found 0"),
        ({"loss_tolerance": float("nan")}, "--loss-tolerance: expected more than 0 nats, found nan"),
        ({"spectrum_steps": 0}, "--spectrum-steps: expected 1 or more, found 0"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        limit.Options(**options)  # type: ignore[arg-type]


def test_the_curve_is_measured_and_the_estimate_is_no_limit(tmp_path: Path, few_arrays: Path) -> None:
    more = ("--spectrum-samples", "60", "--spectrum-steps", "6", "--same-data", "--samples", "20")
    document = explain(tmp_path, "limit", saved(tmp_path, state()), few_arrays, *more)
    look = section(document, "limit")
    curve = rows(look, "curve")
    assert [row["density"] for row in curve][:3] == ["100 %", "90 %", "80 %"]
    assert curve[0]["rise"] == 0
    assert curve[0]["distance"] == 0
    assert curve[0]["estimate"] == pytest.approx(1)
    weights = {name: each for name, each in state().items() if each.ndim > 1}
    sizes = np.sort(torch.cat([each.abs().reshape(-1) for each in weights.values()]).numpy())
    for row in curve:
        density = float(row["density"].removesuffix(" %")) / 100
        norm = float((sizes[: round((1 - density) * len(sizes))].astype(np.float64) ** 2).sum()) ** 0.5
        # Between two of 200 steps of the share removed.
        assert row["distance"] == pytest.approx(norm, rel=0.02, abs=0.02)
        assert row["trace"] <= row["estimate"] + 1e-9
    said = " ".join(look["sentences"])
    assert said.startswith(
        "Measured: cut by magnitude at one blow, the loss stays within 0.1 nats down to a density of "
    )
    assert "Curvature estimate, experimental and no limit:" in said
    within = float(re.findall(r"density of ([\d.]+) %", said)[0]) / 100
    over = [float(row["density"].removesuffix(" %")) / 100 for row in curve if row["rise"] > 0.1]
    under = [float(row["density"].removesuffix(" %")) / 100 for row in curve if row["rise"] <= 0.1]
    assert max(over, default=0.0) <= within + 1e-3
    assert within <= min(each for each in under if each > max(over, default=0.0)) + 1e-3

"""The variance that choosing thresholds adds to a change, and what it does to intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prune_audit.cli import invoke
from prune_audit.core import Anew, Outputs, Pair, Predictions, Settings
from prune_audit.document import read_audit
from prune_audit.stats import change
from prune_audit.tasks import detection
from prune_audit.tasks._pairs import pair


def predictions(thresholds: float) -> Predictions:
    """200 boxes in 100 images, of which either model finds those with a score of .5 or more, and 50 draws."""
    rng = np.random.default_rng(0)
    image = np.repeat(np.arange(100), 2)
    scores = {"dense": rng.random(200), "pruned": rng.random(200)}
    weights = rng.multinomial(100, np.full(100, 0.01), 50)
    return Predictions(
        classes=("a", "b"),
        ids=tuple(map(str, range(200))),
        labels=np.arange(200) % 2,
        models=tuple(Outputs(name=name, predicted=np.arange(200) % 2) for name in scores),
        groups={"image": image.astype(str)},
        task=detection.TASK,
        right={name: each >= 0.5 for name, each in scores.items()},
        anew=Anew(
            thresholds={"dense": np.full(50, 0.5), "pruned": rng.normal(0.5, thresholds, 50)},
            scores=scores,
            weights=weights,
            within=image,
        ),
    )


def test_it_is_the_variance_over_draws_less_that_at_fixed_thresholds() -> None:
    made = predictions(0.1)
    assert made.anew is not None
    found = pair(made, "dense", "pruned", cluster="image").chosen
    assert found is not None
    for c, of in enumerate((made.labels == 0, made.labels == 1, made.labels >= 0)):
        anew, fixed = [], []
        for b in range(50):
            rows = np.repeat(np.flatnonzero(of), made.anew.weights[b][made.anew.within[of]])
            now = made.anew.scores["pruned"][rows] >= made.anew.thresholds["pruned"][b]
            was = made.anew.scores["dense"][rows] >= 0.5
            anew.append(now.mean() - was.mean())
            fixed.append(made.right["pruned"][rows].mean() - was.mean())
        assert found[c] == pytest.approx(max(np.var(anew) - np.var(fixed), 0), rel=1e-9)


def test_thresholds_that_never_move_add_nothing() -> None:
    found = pair(predictions(0.0), "dense", "pruned", cluster="image").chosen
    assert found is not None
    assert found.tolist() == [0, 0, 0]
    assert pair(replace(predictions(0.0), anew=None), "dense", "pruned", cluster="image").chosen is None


def width(of: Pair) -> tuple[float, float]:
    [found] = change.measure(of, Settings(cluster="image"))
    assert found.overall_low is not None
    assert found.overall_high is not None
    assert found.low[0] is not None
    assert found.high[0] is not None
    return found.high[0] - found.low[0], found.overall_high - found.overall_low


def test_the_interval_has_the_sum_of_both_variances() -> None:
    plain = pair(replace(predictions(0.0), anew=None), "dense", "pruned", cluster="image")
    own, whole = width(plain)
    added = (whole / (2 * 1.98)) ** 2  # as much again: 1.98 is Student's quantile at 99 degrees of freedom
    wider = width(replace(plain, chosen=np.array([0.0, 0.0, added])))
    assert wider[0] == pytest.approx(own)
    # Score intervals are not quite as wide as two standard errors, so that the root of two is met but roughly.
    assert wider[1] / whole == pytest.approx(np.sqrt(2), rel=0.03)


@pytest.mark.parametrize(
    ("folder", "suffix", "data"),
    [("boxes", "json", ["val.json"]), ("labels", "csv", ["labels.csv", "--label-separator", ";"])],
)
def test_matched_thresholds_widen_what_fixed_ones_do_not(
    sample_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, suffix: str, data: list[str]
) -> None:
    monkeypatch.chdir(sample_models / folder)
    run = ["compare", f"dense.{suffix}", f"pruned.{suffix}", "--data", *data, "-q", "-o", str(tmp_path / "a.json")]
    assert invoke([*run, "--score", "0.5"]) == 0
    chosen = read_audit(tmp_path / "a.json").comparisons[0].view().pair.chosen
    assert chosen is not None
    assert chosen[-1] > 0
    assert invoke([*run, "--operating-point", "fixed", "--score", "0.5"]) == 0
    assert read_audit(tmp_path / "a.json").comparisons[0].view().pair.chosen is None

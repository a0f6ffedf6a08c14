"""What the tables of docs/until-settled.md simulate is what an audit does, and a small draw of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prune_audit import audit
from prune_audit.core import FINE, REGRESSED, DataSource, ModelSource
from tests.benchmarks.settled import SETTLED, simulated, verdicts_of

DROPS = np.array([0.0, 0.02, 0.05, 0.2, -0.02, 0.0, 0.3])


def test_the_simulation_is_the_audit(tmp_path: Path) -> None:
    for seed in range(3):
        found = simulated(DROPS, 400, 0.05, np.random.default_rng(seed))
        path = tmp_path / f"{seed}.parquet"
        columns = {"id": found.ids, "label": [found.classes[i] for i in found.labels]}
        columns |= {each.name: [found.classes[i] for i in each.predicted] for each in found.models}
        pq.write_table(pa.table(columns), path)
        dense, pruned = (ModelSource(name=name, path=path, column=name) for name in ("dense", "pruned"))
        done = audit.run(dense, [pruned], DataSource(path=path), SETTLED)
        verdicts = done.comparisons[0].view().measure("verdict").by_stratum
        assert tuple(verdicts_of(found).tolist()) == verdicts


def test_what_is_simulated_has_the_drops_that_are_asked_for() -> None:
    found = simulated(DROPS, 40_000, 0.06, np.random.default_rng(0))
    right = [(model.predicted == found.labels).reshape(len(DROPS), -1) for model in found.models]
    seen = right[0].mean(axis=1) - right[1].mean(axis=1)
    assert np.abs(seen - DROPS).max() < 4 * np.sqrt(0.36 / 40_000)  # standard errors, at the largest share that flips


def test_hardly_any_class_on_the_boundary_is_decided() -> None:
    """40 lists of 10 classes, of which 4 lost just the margin, 5 just the limit, and 1 lost 20 points.

    Of 160 and 200 verdicts, 2.5 % at most are false in truth; 8 and 9 are beyond three standard errors.
    """
    drops = np.repeat([0.02, 0.05, 0.2], [4, 5, 1])
    told = [verdicts_of(simulated(drops, 500, 0.06, np.random.default_rng((1, run)))) for run in range(40)]
    assert sum(int((each[:4] == REGRESSED).sum()) for each in told) < 8
    assert sum(int((each[4:9] == FINE).sum()) for each in told) < 9
    assert all(each[9] == REGRESSED for each in told)

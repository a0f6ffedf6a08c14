"""The mitigation that recalibrates: the statistics alone change, and a network without them is left as it was.

The statistics themselves are held against numpy's in tests/nets/test_recalibrate.py.
"""

from __future__ import annotations

from pathlib import Path

import torch

from prune_audit import mitigate, prune
from prune_audit.core import DataSource, ModelSource, Settings
from prune_audit.mitigate import Mitigation
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Recipe
from tests import arrays, normalised
from tests.conftest import ROOT

DIGITS = DataSource(path=arrays.digits())


def test_it_is_prunes_own_recalibration_and_no_control_is_beside_it(few_arrays: Path, tmp_path: Path) -> None:
    dense, recipe = normalised.trained(tmp_path), Recipe(method="magnitude", density=0.3, recalibrate=True)
    cut = prune.run(dense, tmp_path / "cut.pth", Recipe(method="magnitude", density=0.3), Settings())
    prune.run(dense, tmp_path / "wanted.pth", recipe, Settings(), source=DIGITS)
    done = mitigate.run(
        dense,
        cut.source,
        tmp_path / "new.pth",
        Mitigation(method="recalibrate", same_data=True, training=Training(seed=0)),
        Settings(),
        source=DIGITS,
        audited=DataSource(path=few_arrays),
    )
    wanted, found = (torch.load(tmp_path / name, weights_only=True) for name in ("wanted.pth", "new.pth"))
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    assert done.changed
    assert done.table("networks").column("network") == ("new", "cut")
    assert done.source.path == tmp_path / "new.pth"


def test_without_batch_normalisation_the_file_is_the_pruned_one_byte_for_byte(few_arrays: Path, tmp_path: Path) -> None:
    dense = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.pth", factory="sample_models.make:network")
    cut = prune.run(dense, tmp_path / "cut.pth", Recipe(method="magnitude", density=0.3), Settings())
    done = mitigate.run(
        dense,
        cut.source,
        tmp_path / "new.pth",
        Mitigation(method="recalibrate", same_data=True),
        Settings(),
        source=DIGITS,
        audited=DataSource(path=few_arrays),
    )
    assert not done.changed
    assert (tmp_path / "new.pth").read_bytes() == (tmp_path / "cut.pth").read_bytes()

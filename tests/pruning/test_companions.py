"""What every method must keep to that learns something beside the weights, whichever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from prune_audit import plugins, prune
from prune_audit.core import DataSource, ModelSource, Settings
from prune_audit.evaluate.loop import Progress
from prune_audit.nets import resume
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Recipe
from tests.conftest import ROOT
from tests.pruning.networks import TOLERANCE

DENSE = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.pth", factory="sample_models.make:network")
METHODS = [name for name, module in plugins.loaded("pruning") if hasattr(module, "accompany")]
TOTAL = 29_808


pytestmark = pytest.mark.usefixtures("in_repository")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hold_out", [0.1, 0.0])
def test_a_training_that_was_stopped_goes_on_bit_for_bit(
    method: str, hold_out: float, few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    recipe = Recipe(
        method=method, density=0.3, rounds=3, training=Training(epochs=4, lr=0.02, batch_size=80, held_out=hold_out)
    )
    source = DataSource(path=few_digits)

    def stop(at: int) -> prune.Stages:
        def told(done: int, _: int) -> None:
            if done == at:
                raise KeyboardInterrupt

        def stage(_: str) -> Progress:
            return told

        return stage

    whole = prune.run(DENSE, tmp_path / "whole.pth", recipe, Settings(), source=source)
    for at in (4, 11):  # before the cuts and after most of them
        with pytest.raises(KeyboardInterrupt):
            prune.run(DENSE, tmp_path / "again.pth", recipe, Settings(), source=source, progress=stop(at))
        assert (tmp_path / "again.pth.resume").exists()
    again = prune.run(DENSE, tmp_path / "again.pth", recipe, Settings(), source=source)
    one, other = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.pth", "again.pth"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert whole.history == again.history
    assert abs(whole.density - 0.3) <= TOLERANCE.get(method, 0.5 / TOTAL)
    dense = torch.load(DENSE.path, weights_only=True)
    assert not any(torch.equal(one[key], dense[key]) for key in one if key.endswith("weight"))

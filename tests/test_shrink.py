"""A smaller network beside the one of zeros: the file that was written is what is proven, or there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("torch_pruning")

from prune_audit import audit, models, prune
from prune_audit.core import Array, DataSource, ModelSource, Recorded, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets.module import ROUNDING
from prune_audit.nets.shrinking import Shrinking
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Pruned, Recipe
from tests import arrays, normalised
from tests.conftest import ROOT

DIGITS = DataSource(path=arrays.digits())
WHOLE = Recipe(method="magnitude", density=0.4, pattern="filters", exempt=("last",))


pytestmark = pytest.mark.usefixtures("in_repository")


def scores(source: ModelSource) -> Array:
    """Of a few samples of noise."""
    model = models.load(source, Settings())
    assert not isinstance(model, Recorded)
    return model.predict({"image": np.random.default_rng(0).random((7, 1, 8, 8), np.float32)})


def kept(made: Pruned) -> tuple[int, int, dict[str, torch.Tensor]]:
    """How many filters have weights in both layers of `normalised.network`, and all of it."""
    state = torch.load(made.source.path, weights_only=True)
    first, second = (int(state[f"{name}.weight"].flatten(1).any(1).sum()) for name in ("0", "4"))
    return first, second, state


@pytest.mark.parametrize("training", [Training(), Training(epochs=2, lr=0.05, batch_size=64)])
def test_the_smaller_network_is_that_of_zeros_however_it_was_trained(
    training: Training, few_arrays: Path, tmp_path: Path
) -> None:
    dense = normalised.trained(tmp_path)
    schedule = "gradual" if training.epochs else "one-shot"
    recipe = replace(WHOLE, training=training, schedule=schedule, rounds=3)
    made = prune.run(dense, tmp_path / "out.pth", recipe, Settings(), source=DataSource(path=few_arrays), shrink=True)
    first, second, state = kept(made)
    less = made.shrunk
    assert less is not None
    assert (less.cut, less.removed, less.stay) == (40 - first - second, 40 - first - second, ())
    assert 0 < first < 8 or 0 < second < 32
    # What a filter would leave in its channel: its bias, and the scale and shift behind it.
    for conv, norm in (("0", "1"), ("4", "5")):
        gone = ~state[f"{conv}.weight"].flatten(1).any(1)
        for name in (f"{conv}.bias", f"{norm}.weight", f"{norm}.bias"):
            assert not state[name][gone].any()
            assert state[name][~gone].all()
    # 3 x 3 kernels at 6 x 6 places, and two layers of linear weights.
    assert less.macs == (36 * 9 * 8 + 288 * 32 + 320, 36 * 9 * first + 36 * first * second + 10 * second)
    assert less.source.path == tmp_path / "out.shrunk.onnx"
    expected, found = scores(made.source), scores(less.source)
    assert np.abs(found - expected).max() <= ROUNDING * np.abs(expected).max()
    assert less.apart <= ROUNDING
    assert less.samples == 256
    assert {each.name for each in tmp_path.iterdir()} == {"dense.pth", "out.pth", "out.shrunk.onnx"}
    done = audit.run(dense, made.written, DIGITS, Settings())
    one, other = (each.view().pair for each in done.comparisons)
    assert np.array_equal(one.lost, other.lost)
    assert f"out.shrunk is out without {less.removed} of the {less.cut} filters that were cut: " in made.notes[0]


def test_without_shrinking_biases_and_normalisation_stay(tmp_path: Path) -> None:
    made = prune.run(normalised.trained(tmp_path), tmp_path / "out.pth", WHOLE, Settings())
    state = kept(made)[2]
    gone = ~state["4.weight"].flatten(1).any(1)
    assert gone.any()
    assert state["5.weight"][gone].all()
    assert made.shrunk is None
    assert made.written == (made.source,)


def test_what_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shrinking, "along", lambda *_: {})  # as if zeros alone were enough
    dense = normalised.trained(tmp_path)
    with pytest.raises(ModelError, match=r"out answers otherwise: on 256 samples scores differ by up to \d") as caught:
        prune.run(dense, tmp_path / "out.pth", WHOLE, Settings(), source=DIGITS, shrink=True)
    assert "nothing was written" in caught.value.hint
    assert {each.name for each in tmp_path.iterdir()} == {"dense.pth"}


@pytest.mark.parametrize("pattern", [None, "block:2x2"])
def test_only_whole_filters_can_go(pattern: str | None, tmp_path: Path) -> None:
    recipe = Recipe(method="magnitude", density=0.4, pattern=pattern)
    with pytest.raises(UsageError, match="--shrink takes whole filters out of a network") as caught:
        prune.run(normalised.trained(tmp_path), tmp_path / "out.pth", recipe, Settings(), source=DIGITS, shrink=True)
    assert "--pattern filters" in caught.value.hint


def test_it_takes_samples_and_a_network_that_runs_in_torch(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is proven on samples"):
        prune.run(normalised.trained(tmp_path), tmp_path / "out.pth", WHOLE, Settings(), shrink=True)
    graph = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.onnx")
    with pytest.raises(ModelError, match="whose network cannot be shrunk in torch") as caught:
        prune.run(graph, tmp_path / "out.onnx", WHOLE, Settings(), source=DIGITS, shrink=True)
    assert "WEIGHTS@package.module:factory" in caught.value.hint
    assert "no training" not in caught.value.hint
    assert {each.name for each in tmp_path.iterdir()} == {"dense.pth"}


def test_the_state_of_a_training_that_shrinks_is_of_no_other(few_arrays: Path, tmp_path: Path) -> None:
    """Other weights are held at 0 meanwhile."""
    dense, data = normalised.trained(tmp_path), DataSource(path=few_arrays)
    recipe = replace(WHOLE, training=Training(epochs=2, batch_size=64))

    def stop(at: int, of: int) -> None:
        if at > of / 2 + 1:  # when the first epoch is over
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune.run(
            dense,
            tmp_path / "out.pth",
            recipe,
            Settings(),
            source=data,
            shrink=True,
            progress=lambda _: stop,
        )
    assert (tmp_path / "out.pth.resume").exists()
    with pytest.raises(UsageError, match="the state of another run"):
        prune.run(dense, tmp_path / "out.pth", recipe, Settings(), source=data)
    again = prune.run(dense, tmp_path / "out.pth", recipe, Settings(), source=data, shrink=True)
    whole = prune.run(dense, tmp_path / "one.pth", recipe, Settings(), source=data, shrink=True)
    first, second = (torch.load(each.source.path, weights_only=True) for each in (again, whole))
    assert all(torch.equal(first[name], second[name]) for name in first)

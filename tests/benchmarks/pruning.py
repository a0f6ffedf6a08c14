"""Score and cut a network of 25 million parameters: ``python -m tests.benchmarks.pruning [METHOD ...]``.

A row per method and scope: seconds to score and cut, and the most memory that took beside the network's own, as a
multiple of it. Gradients are of 64 small images, so that the row is about weights and not about activations. Every
row is a process of its own, since what a process has once used it keeps.

``python -m tests.benchmarks.pruning --relative [METHOD ...]`` says what each costs beside `magnitude`, in seconds of
the processor, which other processes change little: to score and cut a network of 1.6 million parameters, and to prune
the sample model with a training of twelve epochs, reading and writing among it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from prune_audit import plugins, prune, pruning
from prune_audit.core import DataSource, ModelSource, Settings
from prune_audit.nets import masking
from prune_audit.nets.examples import Examples
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Recipe
from prune_audit.pruning import Cut

DENSITY = 0.1
YARDSTICK = "magnitude"
SAMPLES = Path(__file__).parents[2] / "sample_models"
SAMPLE = ModelSource(name="dense", path=SAMPLES / "dense.pth", factory="sample_models.make:network")


def network(width: int = 512) -> nn.Sequential:
    """25.2 million weights, the largest layer with a tenth of them, as in a ResNet-50."""
    widths = (3, width // 8, width // 4, width // 2, width, *[width] * 10)
    layers: list[nn.Module] = []
    for last, after in pairwise(widths):
        pool = [nn.MaxPool2d(2)] if after > last else []
        layers += [nn.Conv2d(last, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), *pool]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def examples() -> Examples:
    """64 images of noise, eight at a time."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(64, 3, 32, 32, generator=generator), torch.randint(0, 10, (64,), generator=generator)
    return Examples(
        labels=y,
        rows=torch.arange(64),
        read=lambda rows: {"image": x[rows]},
        forward=lambda model, inputs: model(inputs["image"]),
        size=8,
    )


def peak() -> int:
    """The most memory that this process has used, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(method: str, scope: str) -> None:
    """Print the row of one method."""
    model, given, module = network(), examples(), plugins.load("pruning", method)
    names = masking.prunable(model)
    masks = masking.whole(model, names)
    own = sum(p.nbytes for p in model.parameters())
    small = network(16)  # first, as what torch loads when it first computes is not the method's
    pruning.cut(module, small, masking.whole(small, masking.prunable(small)), DENSITY, given, Cut())
    before, started = peak(), time.perf_counter()
    found = pruning.cut(module, model, masks, DENSITY, given, Cut(scope=scope))  # type: ignore[arg-type]  # from the list
    seconds, more = time.perf_counter() - started, peak() - before
    weights = sum(mask.numel() for mask in masks.values())
    kept = masking.kept(found)
    print(f"{method:20} {scope:7} {weights / 1e6:5.1f} M {seconds:7.2f} s {more / own:6.2f} x own  kept {kept:.6f}")


def spent(what: Callable[[], object]) -> float:
    """Seconds of the processor."""
    before = time.process_time()
    what()
    return time.process_time() - before


def cuts(method: str) -> None:
    """Score and cut the smaller network."""
    model, module = network(128), plugins.load("pruning", method)
    masks = masking.whole(model, masking.prunable(model))
    pruning.cut(module, model, masks, DENSITY, examples() if module.NEEDS_DATA else None, Cut())


def trains(method: str) -> None:
    """Prune the sample model and train it."""
    with TemporaryDirectory() as folder:
        recipe = Recipe(method=method, density=DENSITY, training=Training(epochs=12, lr=0.02))
        source = DataSource(path=SAMPLES / "val")
        prune.run(SAMPLE, Path(folder) / "made.pth", recipe, Settings(threads=1), source=source)


def relative(methods: list[str]) -> None:
    """Print what each method costs, over what the yardstick costs right before and after it."""
    torch.set_num_threads(1)
    for what in (cuts, trains):
        what(YARDSTICK)  # first, for what is loaded once
    for method in methods:
        ratios = []
        for what in (cuts, trains):
            before, own, after = (spent(partial(what, each)) for each in (YARDSTICK, method, YARDSTICK))
            ratios.append(2 * own / (before + after))
        print(f"| `{method}` | {ratios[0]:.1f} | {ratios[1]:.1f} |", flush=True)


def main() -> None:
    """Print all rows."""
    if sys.argv[1:2] == ["--relative"]:
        relative(sys.argv[2:] or [name for name in plugins.names("pruning") if name != YARDSTICK])
        return
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        measure(sys.argv[2], sys.argv[3])
        return
    for method in sys.argv[1:] or plugins.names("pruning"):
        for scope in ("global", "layer"):
            command = [sys.executable, "-m", "tests.benchmarks.pruning", "--one", method, scope]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

"""prune-audit beside the floor and the two-pass script: ``python -m tests.benchmarks.speed [DATA] [RUNS]``.

Whole processes, in turn, so that ratios hold where the machine's speed drifts; only the floor leaves its start-up out.
DATA is an image folder, by default the shared photographs, each of which is audited twice, so that start-up, which is
timed with the rest, does not decide. Prints the median wall time of each, and medians of what
is formed run by run: how many times faster than the script, and what is left of the goal of 1.15 times the floor and
2.5 s. Then what further variants cost, and a second run, whose predictions are known.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import torch
from torch import nn

from tests.benchmarks.mobilenet import network
from tests.benchmarks.two_pass import Folder
from tests.conftest import ROOT, SHARED

# Of the mean square of a sample's features.
RIDGE = 1e-3


def save(model: nn.Module, path: Path) -> None:
    """``model`` as TorchScript and ONNX beside one another."""
    example = torch.zeros(2, 3, 224, 224)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.jit.trace(model, example).save(str(path.with_suffix(".pt")))
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.onnx.export(model, (example,), dynamo=True, dynamic_shapes=shapes)
        assert program is not None
        program.save(path.with_suffix(".onnx"), external_data=False)


def fit_head(model: nn.Sequential, data: Path) -> None:
    """Fit the last layer to the labels of ``data``: an audit of a model that is right by chance is refused.

    By ridge regression: solved to the last digit, the scores of all other classes would be 0 but for rounding, and
    `--runtime auto` would have torch predict each sample again, whose ranks 5 and 6 no network leaves to rounding.
    """
    folder = Folder(data)
    body, head = model[:-1], model[-1]
    assert isinstance(head, nn.Linear)
    with torch.inference_mode():
        x = torch.cat([body(image[None]) for image, _ in folder]).double()  # (N, 1280)
        y = nn.functional.one_hot(torch.tensor([label for _, label in folder.files]), folder.classes).double()
        gram = x @ x.T  # (N, N)
        solved = x.T @ torch.linalg.solve(gram + RIDGE * gram.diagonal().mean() * torch.eye(len(x)), y)
    with torch.no_grad():
        head.weight.copy_(solved.T)
        head.bias.zero_()


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def floor(pair: list[str], data: Path) -> float:
    """What `tests.benchmarks.floor` prints."""
    command = [sys.executable, "-m", "tests.benchmarks.floor", *pair, str(data)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def main(data: Path, runs: int) -> None:
    """Make the pair, run all, print the table."""
    classes = sum(1 for _ in data.iterdir())
    with tempfile.TemporaryDirectory() as folder:
        dense = network(classes)
        fit_head(dense, data)
        pruned = copy.deepcopy(dense)
        with torch.no_grad():
            for module in pruned.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    weight = module.weight
                    weight.mul_(weight.abs() >= weight.abs().flatten().median())
        for name, model in (("dense", dense), ("pruned", pruned)):
            save(model, Path(folder) / name)
        twice = Path(folder) / "val"
        for file in sorted(data.glob("*/*")):
            for copy_of in ("a", "b"):
                link = twice / file.parent.name / f"{copy_of}-{file.name}"
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.resolve())
        for suffix in (".pt", ".onnx"):
            pair = [f"{folder}/dense{suffix}", f"{folder}/pruned{suffix}"]

            def ours(*more: str, pair: list[str] = pair) -> list[str]:
                audit = [sys.executable, "-m", "prune_audit", "compare", *pair, *more, "--data", str(twice)]
                return [*audit, "--preprocess", "imagenet", "-q"]

            theirs = [sys.executable, "-m", "tests.benchmarks.two_pass", *pair, str(twice)]
            times = [(seconds([*ours(), "--no-cache"]), seconds(theirs), floor(pair, twice)) for _ in range(runs)]
            a, b, c = (median(column) for column in zip(*times, strict=True))
            faster = median(y / x for x, y, _ in times)
            spare = median(1.15 * z + 2.5 - x for x, _, z in times)
            four = seconds([*ours(*(f"{i}={pair[1]}" for i in range(3))), "--no-cache"])
            kept = ["--cache", f"{folder}/kept"]
            seconds([*ours(), *kept])
            known = seconds([*ours(), *kept])
            print(
                f"{suffix:6} prune-audit {a:5.2f} s   floor {c:5.2f} s   two passes {b:5.2f} s   {faster:4.1f} times "
                f"faster   {spare:+.2f} s to the goal   with 3 more variants {four:5.2f} s   again {known:4.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / "imagenet-samples" / "val"
    main(where, int(sys.argv[2]) if len(sys.argv) > 2 else 3)

"""What the check of samples costs, as a share of a run: ``python -m tests.benchmarks.sample_checks [SAMPLES] [PAIRS]``.

``python -m tests.benchmarks.sample_checks healthy`` writes into docs/calibration.md what it finds of healthy models.

The same run with the check and without it, in turn; of the pairs the median ratio is printed, for a small
convolutional network in torch and in ONNX. Times are of the processor, since whatever else a machine does is slower by
more than a hundredth. Nothing is asserted of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from prune_audit import models
from prune_audit.core import Classifier, Settings
from prune_audit.evaluate import sample_checks
from prune_audit.evaluate.loop import evaluate
from tests.benchmarks import _checks
from tests.conftest import ROOT
from tests.evaluate._models import ArrayData
from tests.resnet import ResNet

DRAWS = 5
SETTINGS = Settings(batch_size=64, threads=1, workers=1)


def network() -> nn.Sequential:
    """Pictures of 32 x 32 in, ten logits out."""
    torch.manual_seed(2)
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 10)).eval()


def formats(folder: Path) -> dict[str, Classifier]:
    """The network as a live module and as an ONNX file in ``folder``."""
    module, path = network(), folder / "net.onnx"
    batch = {"x": {0: "n"}, "y": {0: "n"}}
    torch.onnx.export(
        module, (torch.zeros(2, 3, 32, 32),), str(path), input_names=["x"], output_names=["y"], dynamic_axes=batch,
        dynamo=False, verbose=False,
    )  # fmt: skip
    loaded = models.load(models.parse(str(path)), SETTINGS)
    return {"torch": models.in_memory(module, "torch", 1), "ONNX": loaded}  # type: ignore[dict-item]  # no records


def seconds(model: Classifier, data: ArrayData, *, checked: bool) -> float:
    """How long one run takes."""
    began = time.process_time()
    if checked:
        evaluate([model], data, np.arange(len(data.labels)), SETTINGS)
    else:
        with patch.object(sample_checks, "check", lambda *_: {}):
            evaluate([model], data, np.arange(len(data.labels)), SETTINGS)
    return time.process_time() - began


def main(samples: int = 10_000, pairs: int = 3) -> None:
    """Print the cost of both formats."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(samples, 3, 32, 32)).astype(np.float32)
    data = ArrayData({"x": x}, rng.integers(0, 10, samples).tolist(), classes=[str(i) for i in range(10)])
    with TemporaryDirectory() as folder:
        for name, model in formats(Path(folder)).items():
            seconds(model, data, checked=True)  # what a runtime sets up once
            runs = [(seconds(model, data, checked=True), seconds(model, data, checked=False)) for _ in range(pairs)]
            shares = [one / two - 1 for one, two in runs]
            batch = {"x": x[:12]}
            began = time.process_time()
            sample_checks.examine(model, batch)
            alone = time.process_time() - began
            print(
                f"{name}: {median(two for _, two in runs):.2f} s for {samples:,} samples; with the check "
                f"{median(shares):+.2%} (pairs {min(shares):+.2%} to {max(shares):+.2%}); the check alone "
                f"{alone:.3f} s, {alone / median(two for _, two in runs):.2%}"
            )


def healthy() -> None:
    """Write how far scores of healthy models move alone and in company, over `DRAWS` draws of twelve inputs each."""
    rows = []
    rng = np.random.default_rng(6)
    with TemporaryDirectory() as folder:
        for name, model, shape in _healthy(Path(folder)):
            wanted = model.expects.inputs[0].name if model.expects.inputs else "x"
            draws = ({wanted: rng.normal(size=(12, *shape)).astype(np.float32)} for _ in range(DRAWS))
            found = [sample_checks.examine(model, inputs) for inputs in draws]
            median_, largest = max(each.median for each in found), max(each.largest for each in found)
            alarms = sum(each.depends for each in found)
            rows.append(f"| {name} | {DRAWS} | {median_:.1e} | {largest:.1e} | {alarms} |")
    table = ["| model | draws | largest median | largest | alarms |", "| --- | --- | --- | --- | --- |", *rows]
    _checks.write(
        "A model is a function of one sample",
        "Eight samples alone, together, again and in other company, of healthy models; inputs are random. Moves are "
        "shares of a sample's largest score; the check takes a model to depend on its batch where the median over "
        "the samples is above .001, or a class changed whose relative margin is above .05.\n\n"
        "    python -m tests.benchmarks.sample_checks healthy\n\n" + "\n".join(table),
    )


def _healthy(folder: Path) -> Iterator[tuple[str, Classifier, tuple[int, ...]]]:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    samples = ROOT / "sample_models"
    for file in ("dense.onnx", "dense.pt", "dense.pt2", "pruned-50.onnx", "pruned-90.pt"):
        model = models.load(models.parse(str(samples / file)), SETTINGS)
        size = model.expects.size or (8, 8)
        yield f"sample_models/{file}", model, (model.expects.channels or 1, *size)  # type: ignore[misc]  # no records
    weights = ROOT.parent / "shared" / "data" / "cifar10-weights" / "resnet32-d509ac18.th"
    if weights.exists():
        module = ResNet(5).eval()
        state = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict({key.removeprefix("module."): value for key, value in state.items()}, strict=False)
        yield "ResNet-32, published, torch", models.in_memory(module, "resnet", 1), (3, 32, 32)
        half = ResNet(5).eval()
        half.load_state_dict(module.state_dict())
        yield "ResNet-32 in bfloat16", models.in_memory(half.bfloat16(), "half", 1), (3, 32, 32)
    found = formats(folder)
    yield "convolutional network, random, torch", found["torch"], (3, 32, 32)
    yield "the same, ONNX", found["ONNX"], (3, 32, 32)

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # of a library without types
        def __init__(self) -> None:
            rng = np.random.default_rng(9)
            self.batches = iter([{"x": rng.normal(size=(16, 3, 32, 32)).astype(np.float32)} for _ in range(4)])

        def get_next(self) -> object:
            return next(self.batches, None)

    static = folder / "static.onnx"
    quantize_static(str(folder / "net.onnx"), str(static), Reader(), weight_type=QuantType.QInt8)
    yield "the same in static int8", models.load(models.parse(str(static)), SETTINGS), (3, 32, 32)  # type: ignore[misc]
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
    encoder = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(32 * 12, 7))
    yield "transformer encoder, random, torch", models.in_memory(encoder.eval(), "encoder", 1), (12, 32)


if __name__ == "__main__":
    if sys.argv[1:] == ["healthy"]:
        healthy()
    else:
        main(*map(int, sys.argv[1:]))

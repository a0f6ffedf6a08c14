"""The finding that README.md and docs/explain.md show, on the weights and images that it is of."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from prune_audit import prune
from prune_audit.core import ModelSource, Settings
from prune_audit.document import read_audit
from tests.cli._run import here
from tests.conftest import ROOT

NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)")
FACTORY = "tests.resnet:resnet32"


def test_the_finding_that_is_shown(shared: Path, tmp_path: Path) -> None:
    """Without the lens of layers, whose sentence takes minutes."""
    with zipfile.ZipFile(shared / "cifar10-train-jpeg" / "train.zip") as packed:
        packed.extractall(tmp_path)
    dense = ModelSource(name="dense", path=shared / "cifar10-weights" / "resnet32-d509ac18.th", factory=FACTORY)
    prune.run(dense, tmp_path / "cut-0.3.pth", prune.Recipe(method="magnitude", density=0.3), Settings())
    models = [f"dense={dense.path}@{FACTORY}", f"{tmp_path / 'cut-0.3.pth'}@{FACTORY}"]
    sides: list[str | Path] = ["--data", tmp_path / "train", "--audit", shared / "cifar10-train-jpeg" / "val"]
    images = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
    report = tmp_path / "why.json"
    lens = ["--lens", "recalibrated", "--samples", "100", "-q"]
    done = here(["explain", *models, *sides, *images, *lens, "-o", report])
    assert done.returncode == 0, done.stderr
    who, found = read_audit(report).comparisons[0].explained[:2]
    assert_shown(who, "docs/explain.md")
    assert_shown(found, "docs/explain.md")
    assert_shown(found, "README.md")


def assert_shown(sentence: str, document: str) -> None:
    """Whether ``sentence`` is quoted in ``document``.

    A sample on a boundary may be told otherwise where sums are made in another order: .05 points, 1 % in 200.
    """
    quoted = " ".join(re.findall(r"^> (.*)$", (ROOT / document).read_text(encoding="utf-8"), re.M))
    pattern = "".join(
        r"(-?\d+(?:\.\d+)?)" if NUMBER.fullmatch(part) else re.escape(part) for part in NUMBER.split(sentence)
    )
    written = re.search(pattern, quoted)
    assert written is not None, f"{document} does not show: {sentence}"
    for number, shown in zip(NUMBER.findall(sentence), written.groups(), strict=True):
        assert float(shown) == pytest.approx(float(number), abs=1.01)

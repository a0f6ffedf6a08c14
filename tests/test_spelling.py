"""Misspelt names: what is asked back, in one way wherever a name is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit import reports, spelling
from tests.cli._run import here
from tests.conftest import ROOT
from tests.reports import audits

MODELS = ("sample_models/dense.onnx", "sample_models/pruned-90.onnx")
COMPARED = ("compare", *MODELS, "--data", "sample_models/val")


def test_the_nearest_capitals_or_not() -> None:
    assert spelling.near("Harmd", ["density", "harmed"]) == ["harmed"]
    assert spelling.near("cat", ["CAT", "cart", "dog"], most=3) == ["CAT", "cart"]
    assert spelling.near("zebra", ["harmed"]) == []
    assert spelling.meant("cart", ["cat", "carts"], most=2) == "did you mean 'carts' or 'cat'? "
    assert spelling.hint("x", []) == "known: none"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ([*COMPARED, "--policy", "strickt"], "strict"),
        ([*COMPARED, "--rule", "recall-dorp=error"], "recall-drop"),
        ([*COMPARED, "--rule", "harmd=warn:1"], "harmed"),
        ([*COMPARED, "--task", "clasification"], "classification"),
        ([*COMPARED, "--preprocess", "cifar01"], "cifar10"),
        ([*COMPARED, "--correction", "fdrbh"], "fdr_bh"),
        ([*COMPARED, "--runner", "thread"], "threads"),
        ([*COMPARED, "--log", "mlfow"], "mlflow"),
        ([*COMPARED, "--scores", "logit"], "logits"),
        (
            ["explain", *MODELS, "--data", "sample_models/val", "--audit", "sample_models/val", "--lens", "weigths"],
            "weights",
        ),
        (["prune", MODELS[0], "--method", "magnitud", "--density", ".1", "-o", "OUT/x.onnx"], "magnitude"),
        (
            [
                *("mitigate", *MODELS, "--data", "sample_models/val", "--audit", "sample_models/val"),
                *("--method", "ofsets", "-o", "OUT/x.onnx"),
            ],
            "offsets",
        ),
        (["plan", "OUT/a.json", "--by", "clas"], "class"),
        (["list", "rule"], "rules"),
        (["list", "rules", "harmd"], "harmed"),
        (["compar", *MODELS], "compare"),
    ],
)
def test_every_kind_of_name_on_the_command_line(tmp_path: Path, arguments: list[str], meant: str) -> None:
    reports.write(audits.ten(), tmp_path / "a.json")
    done = here([each.replace("OUT", str(tmp_path)) for each in arguments], cwd=ROOT)
    assert done.returncode == 2
    assert meant in done.stderr.lower().partition("did you mean ")[2].partition("?")[0], done.stderr

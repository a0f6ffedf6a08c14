"""What a file of a study says: everything it may, and what it is refused for, by file and line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prune_audit.errors import StudyError
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Recipe
from prune_audit.study import plan
from prune_audit.study.contrasts import Contrasts
from tests.study.studies import PLAN, VAL, planned

WHOLE = """\
title = "All of it"
seeds = [3, 1]
densities = [0.1, 1, 0.25]
methods = [
  "surgery",
  { name = "control", method = "magnitude", densities = [1] },
  { name = "slow", method = "undecayed", schedule = "gradual", steps = 4, scope = "layer", exempt = ["last"] },
]

[networks]
small = "nets:small(10, width=0.5)"
given = "dense/{seed}.pth@nets:large('x@y')"

[data]
train = "train"
audit = "/val"
classes = "names.txt"
features = ["a", "b"]
long-tail = 10
[data.preprocess]
preset = "imagenet"
mean = [0.5, 0.5, 0]
resize = 40
crop = [32, 32]

[training]
epochs = 7
lr = 1
weight-decay = 0
optimizer = "adamw"
lr-schedule = "step"
balanced = true
batch-size = 16
hold-out = 0.2

[tuning]
epochs = 2

[pruning]
exempt = ["first"]
score-samples = 100
"""


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    found = plan.read(planned(tmp_path, WHOLE))
    assert found.title == "All of it"
    assert found.seeds == (3, 1)
    surgery, control, slow = found.methods
    assert [method.name for method in found.methods] == ["surgery", "control", "slow"]
    assert [method.densities for method in found.methods] == [(1.0, 0.25, 0.1), (1.0,), (1.0, 0.25, 0.1)]
    tuning = Training(epochs=2, seed=3)
    expected = Recipe(method="surgery", density=0.1, exempt=("first",), samples=100, training=tuning)
    assert surgery.at(0.1, 3) == expected
    assert control.at(1.0, 3) == replace(expected, method="magnitude", density=1.0)
    of = slow.at(0.25, 1)
    assert (of.method, of.schedule, of.rounds, of.scope) == ("undecayed", "gradual", 4, "layer")
    assert (of.exempt, of.samples, of.training.seed, of.density) == (("last",), 100, 1, 0.25)
    small, given = found.networks
    assert small.factory == "nets:small(10, width=0.5)"
    checkpoint = given.checkpoint(5)
    assert (checkpoint.path, checkpoint.factory) == (tmp_path / "dense" / "5.pth", "nets:large('x@y')")
    assert (found.train.path, found.audit.path) == (tmp_path / "train", Path("/val"))
    assert found.audit.classes == tmp_path / "names.txt"
    assert found.train.features == ("a", "b")
    assert found.long_tail == 10
    images = found.train.preprocess
    assert (images.mean, images.resize, images.crop) == ((0.5, 0.5, 0.0), 40, (32, 32))
    assert images.std == (0.229, 0.224, 0.225)
    assert found.training == Training(
        epochs=7, lr=1.0, weight_decay=0.0, optimizer="adamw", lr_schedule="step", balanced=True, batch_size=16,
        held_out=0.2,
    )  # fmt: skip


def test_what_is_left_out_is_as_on_the_command_line(tmp_path: Path) -> None:
    text = 'densities = [0.5]\nmethods = ["random"]\n[networks]\na = "{seed}.pth@n:a"\n'
    found = plan.read(planned(tmp_path, text), train=Path("t"), audit=Path("v"))
    assert (found.title, found.seeds) == ("digits", (0, 1, 2, 3, 4))
    (method,) = found.methods
    assert method.at(0.5, 0) == Recipe(method="random", density=0.5)
    assert (found.train.path, found.audit.path) == (Path("t"), Path("v"))
    assert found.long_tail is None


ANNOUNCED = """
[contrasts]
outcome = "worst-recall"
against = "magnitude"
methods = ["layer"]
density = 0.5
"""


def test_contrasts_are_announced_of_methods_that_are_run(tmp_path: Path) -> None:
    found = plan.read(planned(tmp_path, PLAN + ANNOUNCED))
    assert found.contrasts == Contrasts(outcome="worst-recall", against="magnitude", methods=("layer",), density=0.5)
    assert plan.read(planned(tmp_path, PLAN)).contrasts is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("worst-recall", "alpha", "contrasts: expected one of accuracy, worst-recall, harmed, found 'alpha'"),
        ('["layer"]', '["magnitude"]', "contrasts: expected different methods, 'magnitude' not among them"),
        ('["layer"]', '["undecayed"]', "contrasts: no method 'undecayed' is run at 0.5"),
        ("0.5", "0.2", "contrasts: no method 'magnitude' is run at 0.2"),
        ("density", "share", "contrasts: expected density, found none"),
    ],
)
def test_contrasts_that_cannot_be_are_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in ANNOUNCED
    with pytest.raises(StudyError, match=said):
        plan.read(planned(tmp_path, PLAN + ANNOUNCED.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title =", "titel =", ":1: titel: unknown; known are title, seeds"),
        ("title =", "title = 3 #", ":1: title: expected text, found 3"),
        ("seeds = 2", "seeds = 0", ":2: seeds: expected how many"),
        ("seeds = 2", "seeds = [1, 1]", ":2: seeds: expected how many, or a list of different numbers"),
        ("seeds = 2", "seeds = true", ":2: seeds:"),
        ("seeds = 2", "seeds = [-1]", ":2: seeds:"),
        ("0.5]", "50]", r":3: densities: .* in \(0, 1\], found \[0.1, 50\]"),
        ("0.5]", "0.1]", ":3: densities: expected a list of different shares"),
        ('"magnitude", {', '"sort", {', ":4: methods.0: no method 'sort'"),
        ('name = "layer"', 'name = "magnitude"', ":4: methods.1: expected another name"),
        ('"magnitude", {', '"a/b", {', ":4: methods.0: expected another name of letters"),
        ('"magnitude", {', "7, {", ":4: methods.0: expected a name, or a table with a name, found 7"),
        ('scope = "layer"', 'scope = "both"', ":4: methods.1.scope: expected one of global, layer, found 'both'"),
        ('scope = "layer"', 'schedule = "now"', ":4: methods.1.schedule: expected one of one-shot, .* 'now'"),
        ("[tuning]", '[pruning]\nschedule = "now"\n[tuning]', ":19: pruning.schedule: expected one of one-shot"),
        ('scope = "layer"', "steps = 0", ":4: methods.1: the number of steps must be positive"),
        ('scope = "layer"', 'pattern = "2:4"', ":4: methods.1: the pattern 2:4 keeps 0.5 of the weights"),
        ('scope = "layer"', 'pattern = "half"', ":4: methods.1: --pattern: expected N:M"),
        ('scope = "layer"', 'pattern = "2:4", densities = [0.5, 0.1]', ":4: methods.1: .* and the density is 0.1"),
        ('scope = "layer"', "epochs = 3", ":4: methods.1.epochs: unknown"),
        ('scope = "layer"', "densities = []", ":4: methods.1.densities: expected a list of different shares"),
        ("mlp =", '"m p" =', ":7: networks.m p: expected a name of letters"),
        ('"prune_audit.networks:mlp', '"prune_audit/mlp', ":7: networks.mlp: expected package.module:factory"),
        ("[networks]", "[network]", ":6: network: unknown"),
        ("[networks]\nmlp", "networks", ":6: networks: expected a table"),
        ("audit =", "#", ":9: data.audit: expected the path of labelled data, found None"),
        ("audit =", "long-tail = 0.5\naudit =", ":11: data.long-tail: expected a number from 1 on, found 0.5"),
        ("audit =", "long_tail = 5\naudit =", ":11: data.long_tail: unknown"),
        ("audit =", "preprocess = 5\naudit =", ":11: data.preprocess: expected a table"),
        ("audit =", 'preprocess.preset = "cifar"\naudit =', ":11: data.preprocess.preset: no preprocessing called"),
        ("audit =", "preprocess.mean = 0.5\naudit =", ":11: data.preprocess.mean: expected a list of numbers"),
        ("epochs = 3", "epoch = 3", ":14: training.epoch: unknown; known are epochs, lr, weight-decay"),
        ("epochs = 3", "epochs = 0", ":13: training: networks of a factory start from nothing"),
        ("epochs = 3", "epochs = 1.5", ":14: training.epochs: expected a whole number, found 1.5"),
        ("epochs = 3", "epochs = true", ":14: training.epochs: expected a whole number, found True"),
        ("lr = 0.1", "lr = -1", ":13: training: the learning rate must be positive"),
        ("lr = 0.1", "seed = 3", ":15: training.seed: unknown"),
        ("[tuning]", "[[tuning]]", ":18: tuning: expected a table"),
        ("[tuning]", "[tuning", "expected TOML, found an error"),
        ("[tuning]", "[pruning]\ndensity = 0.5\n[tuning]", ":19: pruning.density: unknown"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_its_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in PLAN
    with pytest.raises(StudyError, match=said) as caught:
        plan.read(planned(tmp_path, PLAN.replace(old, new, 1)))
    assert str(tmp_path / "digits.toml") in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"gone\.toml cannot be read"):
        plan.read(tmp_path / "gone.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match="expected TOML"):
        plan.read(tmp_path / "x.toml")
    with pytest.raises(StudyError, match="a study needs networks"):
        plan.read(planned(tmp_path, ""))
    assert VAL.is_file()

"""The story of a pruning run on the sample models: every method, every schedule, killed runs, and the search."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import pytest
import torch
from onnx import helper, numpy_helper

from prune_audit import audit, models, planning, plugins, prune, rules, search
from prune_audit.core import Audit, DataSource, ModelCard, ModelSource, Provenance, Settings
from prune_audit.errors import AlignmentError, DataError, ModelError, OutputError, UsageError
from prune_audit.nets.recalibrate import recalibrate
from prune_audit.nets.resume import Resume
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Recipe
from prune_audit.pruning import fairgrape, surgery
from sample_models.make import network
from tests import arrays, normalised
from tests.cli._run import here
from tests.conftest import ROOT
from tests.pruning.networks import TOLERANCE

FACTORY = "sample_models.make:network"
DENSE = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.pth", factory=FACTORY)
DIGITS = DataSource(path=arrays.digits())
IMAGES = ROOT / "sample_models" / "val"
METHODS = plugins.names("pruning")
TOTAL = 29_808  # weights of the sample's convolution and linear layers


pytestmark = pytest.mark.usefixtures("in_repository")


def plain(path: Path) -> torch.nn.Module:
    """The network at ``path`` as anybody would load it."""
    module = network()
    module.load_state_dict(torch.load(path, weights_only=True))
    return module.eval()


def nonzero(path: Path) -> int:
    weights = [p for n, p in plain(path).named_parameters() if n.endswith("weight")]
    return sum(int(weight.count_nonzero()) for weight in weights)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_a_network_of_the_density(method: str, few_arrays: Path, tmp_path: Path) -> None:
    done = prune.run(
        DENSE, tmp_path / "out.pth", Recipe(method=method, density=0.1), Settings(), source=DataSource(path=few_arrays)
    )
    assert done.card.nonzero == nonzero(tmp_path / "out.pth")
    if done.parts is None:  # else weights are composed, and the density is of what they are composed of
        assert done.card.density == pytest.approx(done.density)
    assert abs(done.density - 0.1) <= TOLERANCE.get(method, 0.5 / TOTAL)
    assert done.history == ()
    assert {each.name for each in tmp_path.iterdir()} == {"out.pth", *(f"out.{t.name}.csv" for t in done.tables)} | (
        {done.parts.name} if done.parts is not None else set()
    )
    assert bool(done.tables) == hasattr(plugins.load("pruning", method), "tables")


def test_tables_are_of_the_network_as_it_was_given_however_it_was_trained(few_arrays: Path, tmp_path: Path) -> None:
    """The importances that are shared out are those of before, of which all weights have some."""
    recipe = Recipe(method="fairgrape", density=0.2, schedule="iterative", rounds=2, training=Training(epochs=2))
    made = prune.run(DENSE, tmp_path / "out.pth", recipe, Settings(), source=DataSource(path=few_arrays))
    weights = torch.load(tmp_path / "out.pth", weights_only=True)
    (table,) = made.tables
    with (tmp_path / "out.shares.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["layer"], row["group"]) for row in rows] == [row[:2] for row in table.rows]
    assert {row["group"] for row in rows} == {str(digit) for digit in range(10)}
    # By a network in which nothing is cut yet, so that what all weights have and what is kept has differ.
    assert any(row["target"] != row["reached"] for row in rows)
    assert sum(int(weight.count_nonzero()) for name, weight in weights.items() if "weight" in name) == 5962


def test_groups_of_a_column_are_asked_for_by_its_name(few_digits: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "digits.csv"
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "hand"])
        for n, path in enumerate(sorted(few_digits.rglob("*.png"))):
            rows.writerow([path, path.parent.name, ("left", "right")[n % 3 > 0]])
    recipe = Recipe(method="fairgrape", density=0.2, options=fairgrape.Options(by="hand"))
    made = prune.run(DENSE, tmp_path / "out.pth", recipe, Settings(), source=DataSource(path=manifest))
    assert set(made.tables[0].column("group")) == {"left", "right"}
    other = replace(recipe, options=fairgrape.Options(by="foot"))
    for source, known in ((manifest, "known: class, hand"), (few_digits, "these data have no columns")):
        with pytest.raises(UsageError, match="--by foot: the data have no column 'foot'") as caught:
            prune.run(DENSE, tmp_path / "no.pth", other, Settings(), source=DataSource(path=source))
        assert known in caught.value.hint
    assert not (tmp_path / "no.pth").exists()


@pytest.mark.parametrize("method", ["undecayed", "surgery"])
@pytest.mark.parametrize("schedule", ["one-shot", "iterative", "gradual", "surgery"])
def test_every_schedule_ends_at_the_density_with_a_trained_network(
    method: str, schedule: Any, few_arrays: Path, tmp_path: Path
) -> None:
    recipe = Recipe(
        method=method,
        density=0.2,
        schedule=schedule,
        rounds=3,
        samples=200,
        training=Training(epochs=4, lr=0.02, batch_size=64),
    )
    told: list[tuple[int, int]] = []
    done = prune.run(
        DENSE,
        tmp_path / "out.pth",
        recipe,
        Settings(),
        source=DataSource(path=few_arrays),
        progress=lambda stage: lambda at, of: told.append((at, of)),
    )
    assert abs(done.density - 0.2) <= TOLERANCE.get(method, 0.5 / TOTAL)
    assert nonzero(tmp_path / "out.pth") == round(done.density * TOTAL)
    steps = 4 * -(-(400 - 40) // 64)
    assert told == [(i, steps) for i in range(1, steps + 1)]
    assert len(done.history) == 4
    assert all(epoch.held_out is not None for epoch in done.history)
    assert [each.name for each in tmp_path.iterdir()] == ["out.pth"]


def test_training_brings_accuracy_back(tmp_path: Path) -> None:
    scores = {}
    for epochs in (0, 6):
        recipe = Recipe(method="magnitude", density=0.1, training=Training(epochs=epochs, lr=0.05, batch_size=32))
        made = prune.run(DENSE, tmp_path / f"{epochs}.pth", recipe, Settings(), source=DIGITS if epochs else None)
        done = audit.run(DENSE, [made.source], DIGITS, Settings())
        pair = done.comparisons[0].view().pair
        scores[epochs] = (pair.both.sum() + pair.gained.sum()) / pair.support.sum()
    assert scores[6] > scores[0] + 0.1


def test_equal_runs_write_equal_weights_and_another_seed_others(few_arrays: Path, tmp_path: Path) -> None:
    recipe = Recipe(method="undecayed", density=0.3, samples=100, training=Training(epochs=1, balanced=True))
    for name, each in (("a", recipe), ("b", recipe), ("c", replace(recipe, training=replace(recipe.training, seed=1)))):
        prune.run(DENSE, tmp_path / name, each, Settings(), source=DataSource(path=few_arrays))
    a, b, c = (torch.load(tmp_path / name, weights_only=True) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


def test_exempt_layers_stay_whole_and_out_of_the_density(tmp_path: Path) -> None:
    recipe = Recipe(method="magnitude", density=0.1, exempt=("first", "8"))
    done = prune.run(DENSE, tmp_path / "out.pth", recipe, Settings())
    dense, pruned = plain(DENSE.path), plain(tmp_path / "out.pth")
    for name in ("0.weight", "8.weight"):
        assert torch.equal(dense.get_parameter(name), pruned.get_parameter(name))
    left = sum(int(pruned.get_parameter(name).count_nonzero()) for name in ("2.weight", "6.weight"))
    assert left == round(0.1 * (4608 + 24576))
    none = [(~pruned.get_parameter(name).flatten(1).any(1)).sum() for name in ("2.weight", "6.weight")]
    assert done.dead == (sum(none), 32 + 48)
    assert done.density == left / (4608 + 24576)


@pytest.mark.parametrize("method", [name for name in METHODS if hasattr(plugins.load("pruning", name), "score")])
def test_two_of_four_whatever_scores_the_weights(method: str, few_arrays: Path, tmp_path: Path) -> None:
    recipe = Recipe(method=method, pattern="2:4", exempt=("first",), samples=50)
    done = prune.run(DENSE, tmp_path / "out.pth", recipe, Settings(), source=DataSource(path=few_arrays))
    assert done.density == 0.5
    for name in ("2.weight", "6.weight", "8.weight"):
        weight = plain(tmp_path / "out.pth").get_parameter(name)
        assert (weight.movedim(1, -1).unflatten(-1, (-1, 4)).count_nonzero(-1) <= 2).all()


@pytest.mark.parametrize("method", [name for name in METHODS if hasattr(plugins.load("pruning", name), "score")])
@pytest.mark.parametrize("pattern", ["block:4x8", "filters"])
def test_blocks_and_filters_whatever_scores_the_weights(
    method: str, pattern: str, few_arrays: Path, tmp_path: Path
) -> None:
    recipe = Recipe(method=method, pattern=pattern, density=0.5, exempt=("last",), samples=50)
    done = prune.run(DENSE, tmp_path / "out.pth", recipe, Settings(), source=DataSource(path=few_arrays))
    largest = 512 if pattern == "filters" else 32
    each_alone = 3 if method == "wanda" else 1
    assert abs(done.density - 0.5) <= each_alone * largest / 2 / (TOTAL - 480)
    for name in ("0.weight", "2.weight", "6.weight"):
        matrix = plain(tmp_path / "out.pth").get_parameter(name).detach().flatten(1) != 0
        high, wide = (1, matrix.shape[1]) if pattern == "filters" else (4, 8)
        for rows in matrix.split(high):
            assert all(bool(part.all()) or not part.any() for part in rows.split(wide, dim=1))


def test_a_search_takes_a_pattern_that_sets_no_density(tmp_path: Path) -> None:
    recipe = Recipe(method="magnitude", pattern="filters", density=0.5, exempt=("last",))
    found = search.until_harm(DENSE, tmp_path / "out.pth", recipe, Settings(), gated)
    assert found.tried


def test_a_pattern_is_reached_by_a_schedule_and_lasts_through_a_training(few_arrays: Path, tmp_path: Path) -> None:
    training = Training(epochs=2, batch_size=64)
    recipe = Recipe(
        method="magnitude",
        pattern="1:4",
        density=0.25,
        exempt=("first",),
        schedule="gradual",
        rounds=3,
        training=training,
    )
    done = prune.run(DENSE, tmp_path / "out.pth", recipe, Settings(), source=DataSource(path=few_arrays))
    assert done.density == 0.25
    weight = plain(tmp_path / "out.pth").get_parameter("6.weight")
    assert (weight.unflatten(1, (-1, 4)).count_nonzero(-1) <= 1).all()


def test_a_pattern_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    onnx = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.onnx")
    whole = Recipe(method="magnitude", pattern="2:4")
    for source, recipe, said in (
        (DENSE, whole, r"no whole groups of 4 are known along the inputs of 0.weight \(16 x 1 x 3 x 3\)"),
        (onnx, whole, "no whole groups of 4 are known along the inputs of [^,]*$"),
        (DENSE, Recipe(method="magnitude", pattern="filters", density=0.5), "the outputs of the last layer, 8.weight"),
    ):
        with pytest.raises(UsageError, match=said):
            prune.run(source, tmp_path / "out", recipe, Settings())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"the pattern 2:4 keeps 0.5 of the weights, and the density is 0.3"):
        Recipe(method="magnitude", pattern="2:4", density=0.3)
    with pytest.raises(UsageError, match="surgery decides which weights to cut by a rule of its own") as caught:
        Recipe(method="surgery", pattern="2:4")
    assert "magnitude" in str(caught.value.hint)
    with pytest.raises(UsageError, match="cuts at one blow, at densities of its own"):
        search.until_harm(DENSE, tmp_path / "out", whole, Settings(), lambda _: pytest.fail("nothing is tried"))


@pytest.mark.parametrize("pattern", [None, "block:4x8", "filters", "2:4"])
def test_magnitude_of_a_file_of_onnx_is_that_of_the_network(
    pattern: str | None, few_arrays: Path, tmp_path: Path
) -> None:
    onnx = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.onnx")
    density = None if pattern == "2:4" else 0.5
    recipe = Recipe(method="magnitude", density=density, pattern=pattern, exempt=("first", "last"))
    prune.run(onnx, tmp_path / "out.onnx", recipe, Settings())
    prune.run(DENSE, tmp_path / "out.pth", recipe, Settings())
    done = audit.run(
        ModelSource(name="torch", path=tmp_path / "out.pth", factory=FACTORY),
        [ModelSource(name="onnx", path=tmp_path / "out.onnx")],
        DataSource(path=few_arrays),
        Settings(),
    )
    assert done.comparisons[0].flipped == 0
    assert done.comparisons[0].dense.nonzero == done.comparisons[0].pruned.nonzero


def test_recurrent_weights_of_onnx_are_cut_and_what_is_left_whole_is_named(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    shapes = {"w": (1, 24, 4), "r": (1, 24, 6), "b": (1, 48), "head": (6, 3), "places": (1, 5, 4)}
    weights = {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Add", ["x", "places"], ["placed"]),
        helper.make_node("Transpose", ["placed"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "w", "r", "b"], ["", "last"], hidden_size=6),
        helper.make_node("ReduceSum", ["last", "axis"], ["state"], keepdims=0),
        helper.make_node("MatMul", ["state", "head"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, 1, ["N", *shape]) for name, shape in (("x", (5, 4)), ("y", (3,)))]
    stored = {**weights, "axis": np.array([0])}
    tensors = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx_library.save(made, tmp_path / "in.onnx")
    source = ModelSource(name="in", path=tmp_path / "in.onnx")
    done = prune.run(source, tmp_path / "out.onnx", Recipe(method="magnitude", density=0.25), Settings())
    assert done.left == ("places (1 x 5 x 4)",)
    after = {t.name: numpy_helper.to_array(t) for t in onnx_library.load(tmp_path / "out.onnx").graph.initializer}
    cut = ("w", "r", "head")
    every = np.concatenate([np.abs(weights[name]).ravel() for name in cut])
    limit = np.sort(every)[-round(0.25 * every.size)]
    for name, array in weights.items():
        np.testing.assert_array_equal(after[name], np.where(np.abs(array) >= limit, array, 0) if name in cut else array)


@pytest.mark.parametrize(
    "recipe",
    [Recipe(method="undecayed", density=0.1), Recipe(method="magnitude", density=0.1, training=Training(epochs=1))],
)
def test_onnx_cannot_be_trained(recipe: Recipe, tmp_path: Path) -> None:
    onnx = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.onnx")
    with pytest.raises(ModelError, match="ONNX, whose network cannot be trained") as caught:
        prune.run(onnx, tmp_path / "out.onnx", recipe, Settings(), source=DIGITS)
    assert "factory" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the exporter's own
def test_an_export_beside_predicts_the_same(few_arrays: Path, tmp_path: Path) -> None:
    recipe = Recipe(method="magnitude", density=0.3)
    prune.run(
        DENSE,
        tmp_path / "out.pth",
        recipe,
        Settings(),
        source=DataSource(path=few_arrays),
        export=tmp_path / "out.onnx",
    )
    done = audit.run(
        ModelSource(name="torch", path=tmp_path / "out.pth", factory=FACTORY),
        [ModelSource(name="onnx", path=tmp_path / "out.onnx")],
        DataSource(path=few_arrays),
        Settings(),
    )
    assert done.comparisons[0].flipped == 0
    assert done.comparisons[0].dense.nonzero == done.comparisons[0].pruned.nonzero
    with pytest.raises(UsageError, match="an export needs labelled"):
        prune.run(DENSE, tmp_path / "again.pth", recipe, Settings(), export=tmp_path / "again.onnx")


def test_c_rates_fix_the_thresholds_of_surgery(tmp_path: Path) -> None:
    recipe = Recipe(method="surgery", options=surgery.Options(c_rate=["0", "8=-100"]))
    done = prune.run(DENSE, tmp_path / "out.pth", recipe, Settings())
    dense = plain(DENSE.path)
    kept = {layer.name: layer.nonzero for layer in done.card.layers}
    assert kept["8.weight"] == 480
    for name in ("0.weight", "2.weight", "6.weight"):
        size = dense.get_parameter(name).detach().abs()
        assert kept[name] == int((size > 0.9 * size[size > 0].mean()).sum())
    with pytest.raises(UsageError, match=r"random has no such options: Options\(c_rate="):
        prune.run(DENSE, tmp_path / "o", Recipe(method="random", options=surgery.Options(c_rate=["1"])), Settings())
    with pytest.raises(UsageError, match=r"no c_rate was given for the layer 2\.weight"):
        prune.run(DENSE, tmp_path / "o", Recipe(method="surgery", options=surgery.Options(c_rate=["0=1"])), Settings())


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    for density in (0.0, -1.0, 1.1):
        with pytest.raises(UsageError, match="density"):
            Recipe(method="magnitude", density=density)
    with pytest.raises(UsageError, match="no density"):
        Recipe(method="surgery")
    with pytest.raises(UsageError, match="of which one decides"):
        Recipe(method="surgery", density=0.5, options=surgery.Options(c_rate=["1"]))
    with pytest.raises(UsageError, match=r"expected one of one-shot, iterative, gradual, .*surgery.*, found 'now'"):
        Recipe(method="random", density=0.5, schedule="now")
    with pytest.raises(UsageError, match="no plugin 'sort'"):
        prune.run(DENSE, tmp_path / "out", Recipe(method="sort", density=0.1), Settings())
    for recipe, said in (
        (Recipe(method="gradient-full", density=0.1), "the method gradient-full needs"),
        (Recipe(method="random", density=0.1, training=Training(epochs=1)), "a training needs"),
    ):
        with pytest.raises(UsageError, match=said):
            prune.run(DENSE, tmp_path / "out", recipe, Settings())
    magnitude = Recipe(method="magnitude", density=0.1)
    with pytest.raises(OutputError, match="there is no folder"):
        prune.run(DENSE, tmp_path / "gone" / "out", magnitude, Settings())
    with pytest.raises(UsageError, match="the dense model itself"):
        prune.run(DENSE, DENSE.path, magnitude, Settings())
    assert not list(tmp_path.iterdir())


def test_classes_in_another_order_are_found_out_before_training(tmp_path: Path) -> None:
    turned = [str((digit + 1) % 10) for digit in range(10)]
    (tmp_path / "classes.txt").write_text("\n".join(turned))
    with pytest.raises(AlignmentError, match=r"for one another|as often as chance"):
        prune.run(
            DENSE,
            tmp_path / "out.pth",
            Recipe(method="undecayed", density=0.1),
            Settings(),
            source=replace(DIGITS, classes=tmp_path / "classes.txt"),
        )


def test_probabilities_are_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soft_net.py").write_text(
        "import torch\nfrom sample_models.make import network\n"
        "def soft():\n    return torch.nn.Sequential(*network(), torch.nn.Softmax(1))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    source = replace(DENSE, factory="soft_net:soft")
    with pytest.raises(ModelError, match="gives probabilities"):
        prune.run(source, tmp_path / "out.pth", Recipe(method="undecayed", density=0.1), Settings(), source=DIGITS)


def test_a_sample_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for digit in range(10):
        (tmp_path / "val" / str(digit)).mkdir(parents=True)
        for file in sorted((IMAGES / str(digit)).iterdir())[:5]:
            (tmp_path / "val" / str(digit) / file.name).write_bytes(file.read_bytes())
    broken = next((tmp_path / "val" / "3").iterdir())
    broken.write_bytes(b"no picture")
    with pytest.raises(DataError, match=f"{broken.name} cannot be read"):
        prune.run(
            DENSE,
            tmp_path / "out.pth",
            Recipe(method="undecayed", density=0.1),
            Settings(),
            source=DataSource(path=tmp_path / "val"),
        )


def gated(made: ModelSource, data: DataSource = DIGITS) -> Audit:
    return audit.run(DENSE, [made], data, Settings(), policy=rules.chosen("default", start=ROOT))


def test_the_search_ends_at_the_sparsest_that_passes(tmp_path: Path) -> None:
    recipe = Recipe(method="magnitude", density=0.2)
    audits: dict[float, Audit] = {}

    def audited(made: ModelSource) -> Audit:
        found = gated(made)
        audits[nonzero(made.path) / TOTAL] = found
        return found

    found = search.until_harm(DENSE, tmp_path / "out.pth", recipe, Settings(), audited)
    assert found.pruned is not None
    assert found.answer is not None
    for each, (density, done) in zip(found.tried, audits.items(), strict=True):
        assert each.density == pytest.approx(density, abs=1 / TOTAL)
        outcomes = [check.outcome for check in done.comparisons[0].checks if check.level == "error"]
        assert (each.failed, each.unsettled) == (outcomes.count("failed"), outcomes.count("inconclusive"))
        assert each.verdict == {"passed": "passes", "failed": "fails", "inconclusive": "undecided"}[done.outcome]
        assert each.missing == (planning.shopping(done).total if each.unsettled else None)
    assert found.pruned.density == pytest.approx(found.answer.density, abs=1 / TOTAL)
    assert nonzero(tmp_path / "out.pth") == round(found.answer.density * TOTAL)
    assert gated(found.pruned.source).outcome == "passed"
    assert found.pruned.card.path == str(tmp_path / "out.pth")
    assert [each.name for each in tmp_path.iterdir()] == ["out.pth"]
    # What was not accepted here is where samples are too few.
    accepted = search.until_harm(DENSE, tmp_path / "out.pth", recipe, Settings(), gated, accept_unsettled=True)
    assert accepted.answer is not None
    assert accepted.answer.density < found.answer.density
    assert any("the fewer the samples, the sparser" in each for each in accepted.told())


def test_a_search_that_was_stopped_does_no_training_twice(
    few_arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataSource(path=few_arrays)
    tuned = Training(epochs=2, batch_size=50, lr=0.01)
    recipe = Recipe(method="magnitude", density=0.2, training=tuned)
    epochs: list[str] = []
    write = Resume.write

    def told(self: Resume, state: dict[str, object]) -> None:
        epochs.append(self.path.name)
        write(self, state)

    monkeypatch.setattr(Resume, "write", told)
    audits = 0

    def audited(made: ModelSource) -> Audit:
        nonlocal audits
        audits += 1
        if audits == 3:
            raise KeyboardInterrupt
        return gated(made, data)

    def searched(folder: Path, look: Callable[[ModelSource], Audit]) -> search.Search:
        folder.mkdir(exist_ok=True)
        output = folder / "out.pth"
        return search.until_harm(DENSE, output, recipe, Settings(), look, accept_unsettled=True, source=data)

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "stopped", audited)
    assert len(epochs) == 3 * 2
    assert len(set(epochs)) == 3
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["out.pth.tries"]
    before, epochs[:] = set(epochs), []
    resumed = searched(tmp_path / "stopped", audited)
    assert len(epochs) == 2 * (len(resumed.tried) - 3)
    assert not before & set(epochs)
    whole = searched(tmp_path / "whole", lambda made: gated(made, data))
    assert resumed.tried == whole.tried
    names = [[path.name for path in (tmp_path / each).iterdir()] for each in ("stopped", "whole")]
    assert names == [["out.pth"], ["out.pth"]]
    first, second = (torch.load(tmp_path / each / "out.pth", weights_only=True) for each in ("stopped", "whole"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_search_keeps_its_states_in_no_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.resume").touch()
    (tmp_path / "out.pth.tries").symlink_to("mine")
    recipe = Recipe(method="magnitude", density=0.2)
    with pytest.raises(OutputError, match=r"out\.pth\.tries is a link, and none is followed there"):
        search.until_harm(DENSE, tmp_path / "out.pth", recipe, Settings(), lambda _: pytest.fail("nothing is tried"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["kept.resume"]


def test_fewer_samples_find_no_sparser_network(few_arrays: Path, tmp_path: Path) -> None:
    recipe = Recipe(method="magnitude", density=0.3)
    found = search.until_harm(
        DENSE, tmp_path / "out.pth", recipe, Settings(), lambda made: gated(made, DataSource(path=few_arrays))
    )
    assert found.pruned is None
    assert found.last is not None
    assert {each.verdict for each in found.tried} == {"undecided"}
    told = " ".join(found.told())
    assert "No density passes, so nothing was written." in told
    assert "The number of samples sets the answer, and not what pruning does: whether networks do harm" in told
    assert "more samples would settle there what classes lose" in told
    assert not list(tmp_path.iterdir())


def searched(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    verdict: Callable[[float], search.Verdict],
    *,
    lowest: float = 0.01,
    accept: bool = False,
) -> search.Search:
    """A search in which ``verdict`` says what comes of a density."""

    def judged(density: float, _: Audit) -> search.Try:
        found, counts = verdict(density), {"passes": (0, 0), "fails": (2, 1), "undecided": (0, 3)}
        return search.Try(
            density=density, verdict=found, failed=counts[found][0], unsettled=counts[found][1], checks=22, missing=40
        )

    def cut(_: ModelSource, output: Path, recipe: Recipe, *__: Any, **___: Any) -> prune.Pruned:
        output.write_text(str(recipe.density))
        source = ModelSource(name="out", path=output)
        card = ModelCard(name="out", path=str(output), format="none", digest="", size=1)
        return prune.Pruned(source=source, card=card, density=recipe.share, history=())

    monkeypatch.setattr(search, "judged", judged)
    monkeypatch.setattr(search, "run", cut)
    done = Audit(comparisons=(), provenance=Provenance(data="", data_digest="", samples=1, available=1))
    recipe = Recipe(method="magnitude", density=lowest)
    output = folder / "out.pth"
    found = search.until_harm(DENSE, output, recipe, Settings(), lambda _: done, accept_unsettled=accept)
    if found.answer is None:
        assert list(folder.iterdir()) == []
    else:
        assert [each.name for each in folder.iterdir()] == ["out.pth"]
        assert float(output.read_text()) == found.answer.density
    return found


def test_below_the_answer_two_more_are_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = searched(monkeypatch, tmp_path, lambda density: "passes" if density >= 0.2 else "fails")
    assert found.answer is not None
    assert 0.2 <= found.answer.density < 0.22
    nearest = max(each.density for each in found.tried if each.density < 0.2)
    assert nearest > found.answer.density / 1.1
    assert [each.density for each in found.tried[-2:]] == pytest.approx([nearest / 1.1, nearest / 1.21])
    assert found.told() == ("What was found was chosen on these data: confirm it on others.",)


def test_the_floor_is_tried_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = searched(monkeypatch, tmp_path, lambda _: "passes", lowest=0.05)
    assert found.answer is not None
    assert found.answer.density == found.tried[-1].density == 0.05
    assert found.told()[0].startswith("The lowest density that was to be tried, 5.00 %, passes")
    (tmp_path / "out.pth").unlink()
    found = searched(monkeypatch, tmp_path, lambda d: "passes" if d > 0.05 else "fails", lowest=0.05)
    assert found.answer is not None
    assert found.tried[-1].density == 0.05
    assert 0.05 < found.answer.density <= 0.055
    assert len(found.told()) == 1


def test_what_cannot_be_told_is_no_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def verdict(density: float) -> search.Verdict:
        return "passes" if density > 0.5 else "undecided" if density > 0.1 else "fails"

    found = searched(monkeypatch, tmp_path, verdict)
    assert found.answer is not None
    assert found.bound is not None
    assert 0.5 < found.answer.density < 0.55
    assert found.bound.verdict == "undecided"
    assert found.told()[0] == (
        "The number of samples sets the answer, and not what pruning does: whether sparser networks than the answer do "
        f"harm is undecided at {100 * found.bound.density:.2f} %, where 3 of 22 checks are unsettled. About 40 more "
        "samples would settle there what classes lose. --accept-unsettled lets pass what is not shown to fail."
    )
    accepted = searched(monkeypatch, tmp_path, verdict, accept=True)
    assert accepted.answer is not None
    assert 0.1 < accepted.answer.density < 0.11
    assert accepted.told()[0].startswith("Checks that are undecided were accepted")


@pytest.mark.parametrize("between", ["fails", "undecided"])
def test_the_answer_lies_below_no_network_that_failed(
    between: search.Verdict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def verdict(density: float) -> search.Verdict:
        """Of the bisection 10 % lies between, and of what is tried below the answer the sparsest passes."""
        return "passes" if density >= 0.101 or density < 0.085 else between

    found = searched(monkeypatch, tmp_path, verdict)
    assert found.answer is not None
    passing = [each.density for each in found.tried if each.verdict == "passes"]
    assert min(passing) < 0.085
    if between == "fails":
        assert 0.1 < found.answer.density < 0.11
        assert f"{100 * min(passing):.2f} % passes although a denser network failed" in found.told()[0]
    else:
        assert found.answer.density == min(passing)


def test_a_network_that_nothing_was_cut_of_is_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net = "prune_audit.networks:mlp(2, inputs=2, hidden=[])"
    torch.save(models.build(net).state_dict(), tmp_path / "two.pth")
    tiny = ModelSource(name="two", path=tmp_path / "two.pth", factory=net)
    found = search.until_harm(
        tiny,
        tmp_path / "out.pth",
        Recipe(method="magnitude", density=0.9),
        Settings(),
        lambda _: pytest.fail("there is nothing to audit"),
    )
    assert found.answer is None
    assert found.tried == ()
    with pytest.raises(UsageError, match="the lowest density to try is 1, at which nothing is cut"):
        searched(monkeypatch, tmp_path, lambda _: "passes", lowest=1.0)


def test_where_nothing_passes_nothing_is_written(tmp_path: Path) -> None:
    recipe = Recipe(method="random", density=0.5)
    found = search.until_harm(DENSE, tmp_path / "out.pth", recipe, Settings(), gated)
    assert found.pruned is None
    assert found.last is not None
    assert {each.verdict for each in found.tried} == {"fails"}
    assert found.told() == ("No density passes, so nothing was written.",)
    assert not list(tmp_path.iterdir())
    for wrong in (replace(recipe, schedule="gradual"), Recipe(method="surgery", options=surgery.Options(c_rate=["1"]))):
        with pytest.raises(UsageError, match="one blow"):
            search.until_harm(DENSE, tmp_path / "out.pth", wrong, Settings(), gated)


MLP = "prune_audit.networks:mlp(10, inputs=64, hidden=[32])"


def test_a_network_is_trained_from_nothing(tmp_path: Path) -> None:
    training = Training(epochs=5, lr=0.1, batch_size=32)
    histories = {}
    for name, each in (("a", training), ("b", training), ("c", replace(training, seed=1))):
        out = tmp_path / f"{name}.pth"
        histories[name] = prune.train(MLP, out, each, Settings(), source=DIGITS)
    a, b, c = (torch.load(tmp_path / f"{name}.pth", weights_only=True) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not any(torch.equal(a[key], c[key]) for key in a)
    assert histories["a"] == histories["b"]
    assert len(histories["a"]) == 5
    assert all(epoch.held_out is not None for epoch in histories["a"])
    source = ModelSource(name="a", path=tmp_path / "a.pth", factory=MLP)
    pair = audit.run(source, [replace(source, name="same")], DIGITS, Settings()).comparisons[0].view().pair
    assert pair.both.sum() / pair.support.sum() > 0.9
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.pth", "b.pth", "c.pth"]


def test_a_network_that_does_not_fit_is_not_trained(tmp_path: Path) -> None:
    training = Training(epochs=1)
    few = MLP.replace("mlp(10", "mlp(4")
    with pytest.raises(AlignmentError, match="has 4 classes, the data have 10"):
        prune.train(few, tmp_path / "out.pth", training, Settings(), source=DIGITS)
    with pytest.raises(ModelError, match="the loss is"):
        prune.train(MLP, tmp_path / "out.pth", replace(training, lr=1e9), Settings(), source=DIGITS)
    with pytest.raises(OutputError, match="there is no folder"):
        prune.train(MLP, tmp_path / "gone" / "out.pth", training, Settings(), source=DIGITS)
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".pth"]


COMMAND = """
import sys
from prune_audit.cli import main
from prune_audit.nets import resume
resume.SECONDS = 0.0
main()
"""
SLOW = """
import time
from sample_models.make import network

class Slow(type(network())):
    def __init__(self, seconds):
        super().__init__(*network())
        self.seconds = seconds

    def forward(self, image):
        if self.training:
            time.sleep(self.seconds)
            with open("calls.txt", "a") as calls:
                calls.write("x")
        return super().forward(image)
"""


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    (tmp_path / "slow_net.py").write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def command(seconds: float, out: str) -> list[str]:
        options = [
            "--method",
            "undecayed",
            "--density",
            "0.2",
            "--schedule",
            "gradual",
            "--steps",
            "4",
            "--epochs",
            "3",
        ]
        options += ["--data", str(DIGITS.path), "--batch-size", "100", "--threads", "1", "-q", "-o", out]
        return [sys.executable, "-c", COMMAND, "prune", f"{DENSE.path}@slow_net:Slow({seconds})", *options]

    def calls() -> int:
        return len((tmp_path / "calls.txt").read_text()) if (tmp_path / "calls.txt").exists() else 0

    process = subprocess.Popen(command(0.05, "resumed.pth"), cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 60
    while calls() < 14 or not (tmp_path / "resumed.pth.resume").exists():
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline, "no state was written"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "resumed.pth").exists()
    before = calls()
    again = here(command(0.05, "resumed.pth")[3:], cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    resumed = calls() - before
    whole = here(command(0, "whole.pth")[3:], cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert calls() - before - resumed == 30  # 970 samples in ten batches, three times
    assert resumed <= 30 - 13
    first, second = (torch.load(tmp_path / name, weights_only=True) for name in ("resumed.pth", "whole.pth"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    # What was being written when it was killed may lie there under a hidden name.
    assert not [path for path in tmp_path.glob("*.resume*") if not path.name.startswith(".")]


def test_the_state_of_another_run_stops_before_it_is_lost(tmp_path: Path) -> None:
    Resume(tmp_path / "out.pth.resume", "of another run").write({"step": 1})
    recipe = Recipe(method="random", density=0.5, training=Training(epochs=1))
    with pytest.raises(UsageError, match="the state of another run"):
        prune.run(DENSE, tmp_path / "out.pth", recipe, Settings(), source=DIGITS)
    assert (tmp_path / "out.pth.resume").exists()


def test_an_untuned_cut_names_recalibration_which_changes_the_statistics_alone(tmp_path: Path) -> None:
    dense, recipe = normalised.trained(tmp_path), Recipe(method="magnitude", density=0.3)
    cut = prune.run(dense, tmp_path / "cut.pth", recipe, Settings())
    assert cut.stale == ("1", "5")
    assert cut.recalibrated is None
    assert "2 layers" in cut.notes[0]
    assert "--recalibrate" in cut.notes[0]
    again = prune.run(dense, tmp_path / "new.pth", replace(recipe, recalibrate=True), Settings(), source=DIGITS)
    assert (again.recalibrated, again.stale) == (("1", "5"), ())
    assert again.notes == ("batch normalisation of new was recalibrated: 2 layers",)
    old, new = (torch.load(tmp_path / name, weights_only=True) for name in ("cut.pth", "new.pth"))
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {f"{layer}.running_{what}" for layer in (1, 5) for what in ("mean", "var")}
    opened = models.editable(cut.source, Settings())
    given = prune.open_data(opened, recipe.training, DIGITS, Settings(), trains=True)
    assert given.examples is not None
    recalibrate(opened.module, given.examples)
    assert all(torch.equal(value, new[name]) for name, value in opened.module.state_dict().items())


def test_what_was_tuned_or_not_cut_or_has_no_batch_normalisation_is_not_stale(few_arrays: Path, tmp_path: Path) -> None:
    dense, data = normalised.trained(tmp_path), DataSource(path=few_arrays)
    tuned = Recipe(method="magnitude", density=0.3, training=Training(epochs=1, batch_size=64))
    assert prune.run(dense, tmp_path / "a.pth", tuned, Settings(), source=data).notes == ()
    whole = Recipe(method="magnitude", density=1)
    assert prune.run(dense, tmp_path / "b.pth", whole, Settings()).notes == ()
    assert prune.run(DENSE, tmp_path / "c.pth", replace(whole, density=0.3), Settings()).notes == ()
    asked = Recipe(method="magnitude", density=0.3, recalibrate=True)
    done = prune.run(DENSE, tmp_path / "d.pth", asked, Settings(), source=data)
    assert done.notes == ("d has no batch normalisation that could be recalibrated",)
    with pytest.raises(UsageError, match="recalibration needs labelled training data"):
        prune.run(DENSE, tmp_path / "e.pth", asked, Settings())


def test_layers_keep_what_is_allocated_to_them(tmp_path: Path) -> None:
    factory = "prune_audit.networks:mlp(4, inputs=30, hidden=(16, 8))"
    torch.save(models.build(factory).state_dict(), tmp_path / "mlp.pth")
    dense = ModelSource(name="mlp", path=tmp_path / "mlp.pth", factory=factory)
    recipe = Recipe(method="magnitude", density=0.25, exempt=("last",), allocate="regions")
    done = prune.run(dense, tmp_path / "out.pth", recipe, Settings())
    assert done.density == pytest.approx(0.25)
    assert done.allocation is not None
    assert "cannot tell allocations apart" in done.notes[0]
    state = torch.load(tmp_path / "out.pth", weights_only=True)
    kept = [int(state[name].count_nonzero()) for name in done.allocation.counts]
    assert kept == [*done.allocation.counts.values()] == [120, 32]


@pytest.mark.parametrize("more", [{"pattern": "2:4"}, {"scope": "layer"}, {"schedule": "gradual"}])
def test_an_allocation_is_at_one_blow_and_of_single_weights(more: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="--allocate decides what each layer keeps"):
        Recipe(method="magnitude", density=None if "pattern" in more else 0.5, allocate="regions", **more)  # type: ignore[arg-type]  # parametrised

"""The story of a mitigation on the sample models: what is written, what stands beside it, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from prune_audit import audit, mitigate, plugins, prune, rules
from prune_audit.core import DataSource, ModelSource, Settings
from prune_audit.errors import AuditError, DataError, ModelError, UsageError
from prune_audit.mitigate import Mitigated, Mitigation, controls
from prune_audit.mitigations import trains
from prune_audit.nets.train_loop import Training
from prune_audit.prune import Recipe
from tests import arrays
from tests.conftest import FEW_DRAWS, ROOT

FACTORY = "sample_models.make:network"
DENSE = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.pth", factory=FACTORY)
VAL = ROOT / "sample_models" / "val"
TRAINED = [name for name, module in plugins.loaded("mitigations") if trains(module)]
TRAINING = Training(epochs=3, lr=0.05, batch_size=64)


pytestmark = pytest.mark.usefixtures("in_repository", "few_draws")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    """Samples of each digit of which none is among `few_arrays`."""
    files = [file for digit in sorted(VAL.iterdir()) if digit.is_dir() for file in sorted(digit.iterdir())[40:]]
    return DataSource(path=arrays.of_images(files, tmp_path_factory.mktemp("others") / "others.npz"))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """The dense network, of which 3 % are kept."""
    path = tmp_path_factory.mktemp("cut") / "cut.pth"
    return prune.run(DENSE, path, Recipe(method="magnitude", density=0.03), Settings()).source


def state(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return found


def mend(cut: ModelSource, output: Path, others: DataSource, few: Path, method: str, **more: Any) -> Mitigated:
    training = more.pop("training", TRAINING)
    return mitigate.run(
        more.pop("dense", DENSE),
        cut,
        output,
        Mitigation(method=method, training=training, **more),
        Settings(),
        source=others,
        audited=DataSource(path=few),
        policy=rules.chosen("default", start=ROOT),
    )


@pytest.mark.parametrize("method", TRAINED)
def test_what_trains_keeps_zeros_and_stands_beside_its_controls(
    method: str, cut: ModelSource, others: DataSource, few_arrays: Path, tmp_path: Path
) -> None:
    done = mend(cut, tmp_path / "fair.pth", others, few_arrays, method)
    old, new = state(cut.path), state(tmp_path / "fair.pth")
    for name in (name for name in old if name.endswith("weight")):
        assert bool((new[name][old[name] == 0] == 0).all())
        assert bool((old[name] != new[name]).any())
    assert [each.name for each in tmp_path.iterdir()] == ["fair.pth"]
    assert done.table("networks").column("network") == ("fair", "cut", "tuned", "tuned-balanced")
    assert done.table("differences").column("than") == ("cut", "tuned", "tuned-balanced")
    assert done.table("harm").column("epoch")[1] is None
    accuracy = done.table("networks").column("accuracy")
    assert min(float(accuracy[at] or 0) for at in (0, 2, 3)) > float(accuracy[1] or 0) + 0.1
    # What is said of the network is what an audit of its file says.
    own = audit.run(DENSE, [done.source], DataSource(path=few_arrays), Settings())
    assert own.comparisons[0].views == replace(done.audit, policy=None).comparisons[0].views
    assert done.audit.policy is not None
    assert done.audit.exit_code == 1
    # Equal seeds give equal networks.
    mend(cut, tmp_path / "again.pth", others, few_arrays, method)
    assert all(torch.equal(value, new[name]) for name, value in state(tmp_path / "again.pth").items())


def test_the_control_is_plain_tuning_of_the_same_epochs(
    cut: ModelSource, others: DataSource, few_arrays: Path, tmp_path: Path
) -> None:
    """With weights that are all the same the mitigation is the control."""
    options = plugins.load("mitigations", "weighted").OPTIONS(least_weight=1.0)
    done = mend(cut, tmp_path / "a.pth", others, few_arrays, "weighted", options=options)
    rows = {row[0]: row[1:] for row in done.table("networks").rows}
    assert rows["a"] == rows["tuned"]
    assert rows["a"] != rows["tuned-balanced"]
    zero = next(row for row in done.table("differences").rows if row[0] == "tuned")
    assert zero[1:] == (0.0,) * 6


Progress = Callable[[str], Callable[[int, int], None]]


def interruptible(cut: ModelSource, output: Path, others: DataSource, few: Path, progress: Progress) -> Mitigated:
    """A run of the first method that trains, in batches as large whatever the machine is at: last bits go with that."""
    wanted, fixed = Mitigation(method=TRAINED[0], training=TRAINING), Settings(batch_size=64)
    audited = DataSource(path=few)
    return mitigate.run(DENSE, cut, output, wanted, fixed, source=others, audited=audited, progress=progress)


@pytest.fixture(scope="module")
def whole(
    cut: ModelSource, others: DataSource, few_arrays: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mitigated, dict[str, torch.Tensor]]:
    """A run that nothing interrupts, and the network that it wrote."""
    path = tmp_path_factory.mktemp("whole") / "fair.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(controls, "DRAWS", FEW_DRAWS)
        done = interruptible(cut, path, others, few_arrays, lambda stage: lambda done, total: None)
    return done, state(path)


@pytest.mark.parametrize("stage", [TRAINED[0], "control: tuned-balanced"])
def test_a_run_that_is_interrupted_keeps_what_is_done_and_goes_on(
    stage: str,
    cut: ModelSource,
    others: DataSource,
    few_arrays: Path,
    tmp_path: Path,
    whole: tuple[Mitigated, dict[str, torch.Tensor]],
) -> None:
    steps: list[tuple[str, int]] = []
    path = tmp_path / "fair.pth"

    def run(*, stop: bool) -> Mitigated:
        def progress(now: str) -> Callable[[int, int], None]:
            def step(done: int, total: int) -> None:
                steps.append((now, done))
                if stop and now == stage and done > total / 2:
                    raise KeyboardInterrupt

            return step

        return interruptible(cut, path, others, few_arrays, progress)

    with pytest.raises(KeyboardInterrupt):
        run(stop=True)
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {f"fair.pth.{TRAINED[0]}.resume"} | (
        {"fair.pth.tuned.resume", "fair.pth.tuned-balanced.resume"} if stage.startswith("control") else set()
    )
    steps.clear()
    again = run(stop=False)
    trained = [
        (name, done) for name, done in steps if name in (TRAINED[0], "control: tuned", "control: tuned-balanced")
    ]
    assert trained[0][0] == stage  # what was done before is not done again
    assert 1 < trained[0][1] <= max(done for name, done in trained if name == stage) / 2
    assert [each.name for each in tmp_path.iterdir()] == ["fair.pth"]
    uninterrupted, network = whole
    assert again.controls() == uninterrupted.controls()
    assert again.audit.comparisons[0].looks == uninterrupted.audit.comparisons[0].looks
    found = state(path)
    assert found.keys() == network.keys()
    assert all(torch.equal(found[name], network[name]) for name in network)


def test_what_batches_change_in_scores_makes_no_other_run(
    cut: ModelSource, others: DataSource, few_arrays: Path, tmp_path: Path
) -> None:
    stopped: list[str] = []

    def progress(now: str) -> Any:
        def step(done: int, total: int) -> None:
            if now == TRAINED[0] and not stopped and done > total / 2:
                stopped.append(now)
                raise KeyboardInterrupt

        return step

    wanted = Mitigation(method=TRAINED[0], training=TRAINING)
    for size in (64, 7):
        with pytest.raises(KeyboardInterrupt) if size == 64 else nullcontext():
            mitigate.run(
                DENSE, cut, tmp_path / "fair.pth", wanted, Settings(batch_size=size),
                source=others, audited=DataSource(path=few_arrays), progress=progress,
            )  # fmt: skip
    assert [each.name for each in tmp_path.iterdir()] == ["fair.pth"]


def test_a_cut_that_is_mended_in_the_same_run_goes_on_as_well(
    others: DataSource, few_arrays: Path, tmp_path: Path
) -> None:
    steps: list[str] = []

    def run(method: str, stop: str | None) -> None:
        def progress(now: str) -> Any:
            def step(done: int, total: int) -> None:
                steps.append(now)
                if now == stop and done == total:
                    raise KeyboardInterrupt

            return step

        mitigate.prune_and_run(
            DENSE, tmp_path / "out.pth", Recipe(method="magnitude", density=0.05, training=replace(TRAINING, epochs=2)),
            Mitigation(method=method), Settings(),
            source=others, audited=DataSource(path=few_arrays), progress=progress,
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run("weighted", "control: tuned")
    done = steps.count("weighted")
    run("weighted", None)
    assert steps.count("weighted") == done > 0
    assert [each.name for each in tmp_path.iterdir()] == ["out.pth"]
    for _ in range(2):
        with pytest.raises(DataError):  # offsets need more samples, which is found out behind the tuning
            run("offsets", None)
        assert steps.count("training") == 2 * 10


def test_many_samples_that_are_judged_are_looked_at_in_part(
    cut: ModelSource, few_arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mitigate, "LOOKED", 30)
    with pytest.raises(UsageError, match=r"30 of the 30 samples of .* that were drawn of 400 are in"):
        mend(
            cut, tmp_path / "out.pth", DataSource(path=arrays.digits()), few_arrays, "recalibrate", training=Training()
        )
    assert list(tmp_path.iterdir()) == []


def test_offsets_undo_a_bias_that_was_planted_in_a_graph_of_onnx(few_arrays: Path, tmp_path: Path) -> None:
    dense = ModelSource(name="dense", path=ROOT / "sample_models" / "dense.onnx")
    model = onnx.load(dense.path)
    bias = next(each for each in model.graph.initializer if list(each.dims) == [10])
    planted = np.array([-9, 0, 0, 6, 0, 0, 0, -7, 0, 0], np.float32)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + planted, bias.name))
    onnx.save(model, tmp_path / "off.onnx")
    off = ModelSource(name="off", path=tmp_path / "off.onnx")
    options = plugins.load("mitigations", "offsets").OPTIONS(fit_on="all")
    done = mend(
        off, tmp_path / "on.onnx", DataSource(path=arrays.digits()), few_arrays, "offsets",
        dense=dense, options=options, same_data=True, training=Training(),
    )  # fmt: skip
    assert done.changed
    accuracy = done.table("networks").column("accuracy")
    assert float(accuracy[0] or 0) > float(accuracy[1] or 0) + 0.1
    added = [node for node in onnx.load(tmp_path / "on.onnx").graph.node if node.op_type == "Add"]
    assert len(added) == sum(node.op_type == "Add" for node in model.graph.node) + 1


def test_offsets_need_a_hundred_samples_of_each_class_that_no_tuning_saw(
    cut: ModelSource, others: DataSource, few_arrays: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"100 samples of every class at least, .* of class \d there are \d+"):
        mend(cut, tmp_path / "out.pth", others, few_arrays, "offsets", training=Training())
    assert list(tmp_path.iterdir()) == []


def manifest(folder: Path, files: list[Path], group: str | None) -> DataSource:
    """A table of ``files`` with a column of their hand, which is ``group`` where one is given."""
    path = folder / "data.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "hand"])
        rows.writerows([each, each.parent.name, group or ("left", "right")[n % 2]] for n, each in enumerate(files))
    return DataSource(path=path)


def test_groups_of_a_column(cut: ModelSource, few_arrays: Path, tmp_path: Path) -> None:
    digits = [sorted(each.iterdir()) for each in sorted(VAL.iterdir()) if each.is_dir()]
    sides = [[file for files in digits for file in files[start:stop]] for start, stop in ((0, 40), (40, 80))]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    judged = manifest(tmp_path / "one", sides[0], None)
    learnt = manifest(tmp_path / "two", sides[1], None)
    wanted = Mitigation(method="equal-loss", by="hand", training=Training(epochs=1))

    def run(learnt: DataSource) -> Mitigated:
        return mitigate.run(DENSE, cut, tmp_path / "out.pth", wanted, Settings(), source=learnt, audited=judged)

    done = run(learnt)
    assert done.table("multipliers").column("group") == ("left", "right")
    assert done.table("networks").column("worst_class")[0] in ("left", "right")
    assert done.audit.comparisons[0].view("hand").strata == ("left", "right")
    (tmp_path / "out.pth").unlink()
    with pytest.raises(UsageError, match=r"all samples of .* are of one group"):
        run(manifest(tmp_path / "two", sides[1], "left"))
    with pytest.raises(UsageError, match="no column 'foot'"):
        mitigate.run(DENSE, cut, tmp_path / "o", replace(wanted, by="foot"), Settings(), source=learnt, audited=judged)


def test_bad_input(cut: ModelSource, others: DataSource, few_arrays: Path, tmp_path: Path) -> None:
    data = DataSource(path=few_arrays)
    out = tmp_path / "out.pth"
    wanted = Mitigation(method="equal-loss", training=TRAINING)

    def refused(error: type[AuditError], match: str, **changed: Any) -> None:
        given = {"dense": DENSE, "pruned": cut, "output": out, "mitigation": wanted, "settings": Settings()}
        with pytest.raises(error, match=match):
            mitigate.run(**{**given, "source": others, "audited": data, **changed})
        assert list(tmp_path.iterdir()) == []

    refused(UsageError, "400 of the 400 samples .* are in", source=data)
    refused(UsageError, "400 of the 400 samples .* are in", source=DataSource(path=arrays.digits()))
    refused(UsageError, "keeps 29,808 weights", dense=cut, pruned=DENSE)
    refused(UsageError, "is the pruned model itself", output=cut.path)
    refused(UsageError, "is the dense model itself", output=DENSE.path)
    refused(UsageError, "no epochs were given", mitigation=replace(wanted, training=Training()))
    refused(UsageError, "trains nothing", mitigation=replace(wanted, method="recalibrate"))
    refused(UsageError, "none are to be held out", mitigation=replace(wanted, training=replace(TRAINING, held_out=0)))
    refused(UsageError, "takes no --step", mitigation=replace(wanted, method="weighted", step=0.1))
    refused(UsageError, "no plugin 'nonsense'", mitigation=replace(wanted, method="nonsense"))
    onnx_file = ModelSource(name="p", path=ROOT / "sample_models" / "pruned-90.onnx")
    refused(ModelError, "cannot be trained in torch", pruned=onnx_file)


def test_another_architecture_is_told_by_its_tensor(others: DataSource, few_arrays: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    torch.save(other.state_dict(), tmp_path / "other.pth")
    source = ModelSource(name="other", path=tmp_path / "other.pth", factory="tests.mitigate.test_mitigate:small")
    with pytest.raises(ModelError, match=r"1\.weight of other is \(10, 64\), of dense none of that name"):
        mend(source, tmp_path / "out.pth", others, few_arrays, "equal-loss")


def small() -> torch.nn.Module:
    """Another network for the same images."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

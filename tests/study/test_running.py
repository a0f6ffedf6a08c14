"""The runs of a study: all of them, once; what is kept of each; shards; long tails; and runs that fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from prune_audit import audit as auditing
from prune_audit import prune
from prune_audit.core import DataSource, ModelSource, Settings, Shard, rows
from prune_audit.errors import AlignmentError, ModelError, OutputError, StudyError, UsageError
from prune_audit.files import packed
from prune_audit.study import plan, results, running
from prune_audit.study.plan import Plan
from tests.conftest import ROOT
from tests.study.studies import IMAGES, PLAN, VAL, planned

SETTINGS = Settings(threads=1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def of(folder: Path, text: str = PLAN) -> Plan:
    return plan.read(planned(folder, text))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "runs")) for path in (folder / "runs").rglob("*.json"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, whose pruned networks were kept."""
    folder = tmp_path_factory.mktemp("whole")
    running.run(of(folder), folder / "out", SETTINGS, keep=True)
    return folder / "out"


def test_every_run_is_there_and_says_what_an_audit_of_it_says(whole: Path) -> None:
    assert names(whole) == [
        f"mlp/{seed}/{method}-{density}.json"
        for seed in (0, 1)
        for method in ("layer", "magnitude")
        for density in ("0.1", "0.5")
    ]
    record = json.loads((whole / "runs" / "mlp" / "1" / "layer-0.1.json").read_text())
    factory = "prune_audit.networks:mlp(10, inputs=64, hidden=[16])"
    dense = ModelSource(name="mlp", path=whole / "dense" / "mlp-1.pth", factory=factory)
    pruned = ModelSource(
        name="pruned", path=whole / "pruned" / "mlp" / "1" / "layer-0.1" / "pruned.pth", factory=factory
    )
    audit = auditing.run(dense, [pruned], DataSource(path=VAL), SETTINGS)
    (overall,) = rows.overall_of(audit.comparisons, audit.outcomes)
    assert record["run"] == json.loads(json.dumps(overall))
    assert record["failed"] is None
    _, by_class = rows.rows_of(audit.comparisons)
    assert [each["pruned_recall"] for each in record["classes"]] == [row["pruned_recall"] for row in by_class]
    kept = torch.load(pruned.path, weights_only=True)
    assert [int(kept[f"layers.{n}.weight"].count_nonzero()) for n in (0, 2)] == [102, 16]
    assert record["achieved"] == pytest.approx(118 / (64 * 16 + 160))
    assert "torch" in record["versions"]
    # Which samples were right, class by class.
    assert audit.samples is not None
    order = np.argsort(audit.samples.strata["class"], kind="stable")
    for side, name in (("dense", "mlp"), ("pruned", "pruned")):
        expected = audit.samples.right[name][order]
        np.testing.assert_array_equal(packed.read_flags(record["right"][side], 1078), expected)


def test_a_finished_study_is_not_run_again(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "run", None)
    monkeypatch.setattr(prune, "train", None)
    seen: list[tuple[int, int]] = []
    said: list[str] = []
    running.run(of(tmp_path), whole, SETTINGS, told=said.append, progress=lambda *at: seen.append(at))
    assert seen == [(4, 8), (8, 8)]
    assert said == []
    # A narrower study finds its runs there as well.
    running.run(of(tmp_path, PLAN.replace("[0.1, 0.5]", "[0.5]").replace("seeds = 2", "seeds = [1]")), whole, SETTINGS)


@pytest.mark.parametrize(
    "changes",
    [("epochs = 1", "epochs = 2"), ("epochs = 3", "epochs = 4"), ('scope = "layer"', 'scope = "global"'),
     ("hidden=[16]", "hidden=[17]"), ("[data]", "[data]\nlong-tail = 2"),
     ("seeds = 2", "seeds = [7]\n#", "epochs = 3", "epochs = 4"),
     ("mlp =", "mlpB =", "[data]", "[data]\nlong-tail = 2")],
)  # fmt: skip
def test_runs_of_another_plan_are_never_taken_for_these(changes: tuple[str, ...], whole: Path, tmp_path: Path) -> None:
    text = PLAN.replace('"Digits"', '"Other"')
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(StudyError, match="made by another plan") as caught:
        running.run(of(tmp_path, text), whole, SETTINGS)
    assert "-o" in caught.value.hint
    assert before == {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}


def test_runs_of_images_prepared_otherwise_are_never_taken_for_these(tmp_path: Path) -> None:
    once = PLAN.replace("seeds = 2", "seeds = 1").replace("[0.1, 0.5]", "[0.5]").replace("epochs = 3", "epochs = 1")
    once = once.replace(str(VAL), str(IMAGES))
    running.run(of(tmp_path, once), tmp_path / "out", SETTINGS)
    other = once.replace("[data]", "[data.preprocess]\nmean = [0.1]\n[data]")
    with pytest.raises(StudyError, match="made by another plan") as caught:
        running.run(of(tmp_path, other), tmp_path / "out", SETTINGS)
    assert "-o" in caught.value.hint


def test_what_a_method_cannot_do_is_said_before_anything_is_trained(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "train", None)
    text = PLAN.replace('scope = "layer"', 'exempt = ["nosuch"]')
    with pytest.raises(StudyError, match=r"mlp by layer: .*nosuch"):
        running.run(of(tmp_path, text), tmp_path / "out", SETTINGS)
    with pytest.raises(UsageError, match="part 3 of 3 has nothing to do: networks and seeds make 2"):
        running.run(of(tmp_path), tmp_path / "out", SETTINGS, shard=Shard(number=3, of=3))
    onnx = ROOT / "sample_models" / "dense.onnx"
    (tmp_path / "0.onnx").write_bytes(onnx.read_bytes())
    text = PLAN.replace("seeds = 2", "seeds = 1")
    given = text.replace('"prune_audit.networks:mlp(10, inputs=64, hidden=[16])"', '"{seed}.onnx"')
    with pytest.raises(StudyError, match=r"mlp by magnitude: .* ONNX, whose network cannot be trained"):
        running.run(of(tmp_path, given), tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()
    untuned = given.replace("epochs = 1", "epochs = 0")
    running.run(of(tmp_path, untuned), tmp_path / "out", SETTINGS)
    assert results.read([tmp_path / "out"])[1]["failed"].tolist() == [None] * 4
    (tmp_path / "0.onnx").write_bytes((ROOT / "sample_models" / "pruned-50.onnx").read_bytes())
    with pytest.raises(StudyError, match="made by another plan"):
        running.run(of(tmp_path, untuned), tmp_path / "out", SETTINGS)


def test_a_study_may_be_called_otherwise_later(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "run", None)
    running.run(of(tmp_path, PLAN.replace('"Digits"', '"Ziffern"')), whole, SETTINGS)
    assert results.read([whole])[0] == "Ziffern"
    running.run(of(tmp_path), whole, SETTINGS)
    assert results.read([whole])[0] == "Digits"


def test_shards_are_the_whole_study_together(whole: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        running.run(of(tmp_path), tmp_path / str(number), SETTINGS, shard=Shard(number=number, of=2))
        assert not [path for path in (tmp_path / str(number) / "pruned").rglob("*") if path.is_file()]
    assert [len(names(tmp_path / n)) for n in "12"] == [4, 4]
    assert sorted(names(tmp_path / "1") + names(tmp_path / "2")) == names(whole)
    _, runs, classes, _ = results.read([whole])
    title, both, both_classes, _ = results.read([tmp_path / "1", tmp_path / "2"])
    assert title == "Digits"
    order = list(results.FACTORS)
    one, other = (frame.sort_values(order, ignore_index=True) for frame in (runs, both))
    pd.testing.assert_frame_equal(one, other)
    order.append("class")
    pd.testing.assert_frame_equal(
        classes.sort_values(order, ignore_index=True), both_classes.sort_values(order, ignore_index=True)
    )


def test_given_checkpoints_are_pruned_and_not_trained(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        (tmp_path / f"mlp-{seed}.pth").write_bytes((whole / "dense" / f"mlp-{seed}.pth").read_bytes())
    text = PLAN.replace('"prune_audit', '"mlp-{seed}.pth@prune_audit', 1)
    monkeypatch.setattr(prune, "train", None)
    running.run(of(tmp_path, text), tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out" / "dense").exists()
    found, expected = (
        json.loads((folder / "runs" / "mlp" / "0" / "magnitude-0.1.json").read_text())
        for folder in (tmp_path / "out", whole)
    )
    assert found["classes"] == expected["classes"]
    with pytest.raises(ModelError, match=r"there is no checkpoint .*mlp-2\.pth of seed 2"):
        running.run(of(tmp_path, text.replace("seeds = 2", "seeds = [2]")), tmp_path / "no", SETTINGS)


def test_a_run_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    text = PLAN.replace("seeds = 2", "seeds = [0]").replace("epochs = 1\nlr = 0.05", "epochs = 1\nlr = 1e9")
    said: list[str] = []
    running.run(of(tmp_path, text), tmp_path / "out", SETTINGS, told=said.append)
    assert len(said) == 4
    assert all("failed: the loss is" in line for line in said)
    _, runs, classes, _ = results.read([tmp_path / "out"])
    assert runs["failed"].str.startswith("the loss is").all()
    assert runs["achieved"].isna().all()
    assert classes.empty
    text = PLAN.replace("seeds = 2", "seeds = [0]").replace("epochs = 3\nlr = 0.1", "epochs = 3\nlr = 1e9")
    running.run(of(tmp_path, text), tmp_path / "untrained", SETTINGS, told=said.append)
    assert all("failed: its dense network was not trained: the loss is" in line for line in said[4:])


def test_what_fits_no_run_ends_the_study_before_it_began(tmp_path: Path) -> None:
    with pytest.raises(AlignmentError, match="has 9 classes, the data have 10"):
        running.run(of(tmp_path, PLAN.replace("mlp(10", "mlp(9")), tmp_path / "out", SETTINGS)
    with pytest.raises(ModelError, match=r"the factory .* raised"):
        running.run(of(tmp_path, PLAN.replace("mlp(10", "mlp(-1")), tmp_path / "out", SETTINGS)
    assert not list((tmp_path / "out").rglob("*.*"))


def test_a_long_tail_has_the_shares_of_the_formula() -> None:
    rng = np.random.default_rng(5)
    labels = rng.permutation(np.repeat(np.arange(10), 500))
    kept = running.long_tailed(labels, 20)
    counts = np.bincount(labels[kept])
    assert counts.tolist() == [round(500 * 20 ** (-c / 9)) for c in range(10)]
    assert counts[0] == 20 * counts[-1]
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(kept, running.long_tailed(labels, 20))
    assert len(running.long_tailed(labels, 1)) == len(labels)
    # A class that has fewer than its share keeps all, and none disappears.
    labels = np.array([0] * 100 + [1] * 3 + [2] * 5)
    assert np.bincount(labels[running.long_tailed(labels, 100)]).tolist() == [100, 3, 1]


def test_a_study_trains_on_the_long_tail_and_audits_all(tmp_path: Path) -> None:
    text = PLAN.replace("seeds = 2", "seeds = [0]").replace("[data]", "[data]\nlong-tail = 20")
    text = text.replace('["magnitude", {', "[{").replace("[0.1, 0.5]", "[0.5]")
    running.run(of(tmp_path, text), tmp_path / "out", SETTINGS)
    _, _, classes, _ = results.read([tmp_path / "out"])
    assert classes["support"].sum() == 1078
    by = classes.set_index("class")["dense_recall"]
    assert by[["0", "1", "2"]].mean() > by[["7", "8", "9"]].mean() + 0.2


def test_methods_of_a_study_prune_as_the_command_does(whole: Path, tmp_path: Path) -> None:
    found = of(tmp_path)
    method = found.methods[0]
    recipe = method.at(0.5, 1)
    factory = "prune_audit.networks:mlp(10, inputs=64, hidden=[16])"
    dense = ModelSource(name="mlp", path=whole / "dense" / "mlp-1.pth", factory=factory)
    prune.run(dense, tmp_path / "own.pth", recipe, SETTINGS, source=DataSource(path=VAL))
    own, kept = (
        torch.load(path, weights_only=True)
        for path in (tmp_path / "own.pth", whole / "pruned" / "mlp" / "1" / "magnitude-0.5" / "pruned.pth")
    )
    assert all(torch.equal(own[key], kept[key]) for key in own)
    again = replace(recipe, training=replace(recipe.training, seed=0))
    assert again == method.at(0.5, 0)


def test_methods_may_be_mended_and_controls_be_methods(tmp_path: Path) -> None:
    names = ("equal-loss", "recalibrate", "tuned", "tuned-balanced", "recalibrated")
    listed = ", ".join(f'{{ name = "{name}", method = "magnitude", mitigate = "{name}" }}' for name in names)
    text = PLAN.replace("seeds = 2", "seeds = 1").replace("[0.1, 0.5]", "[0.1]")
    text = text.replace('["magnitude", {', f'["magnitude", {listed}, {{')
    running.run(of(tmp_path, text), tmp_path / "out", SETTINGS, keep=True)
    found = {}
    for name in names:
        place = tmp_path / "out" / "pruned" / "mlp" / "0" / f"{name}-0.1"
        assert [each.name for each in place.iterdir()] == ["pruned.pth"]
        found[name] = torch.load(place / "pruned.pth", weights_only=True)
        assert sum(int(v.count_nonzero()) for n, v in found[name].items() if n.endswith("weight")) == 118
        record = json.loads((tmp_path / "out" / "runs" / "mlp" / "0" / f"{name}-0.1.json").read_text())
        assert record["failed"] is None
        assert record["achieved"] == pytest.approx(118 / (64 * 16 + 160))
    zeros = [{n: v == 0 for n, v in state.items() if n.endswith("weight")} for state in found.values()]
    assert all(torch.equal(each[n], zeros[0][n]) for each in zeros for n in each)
    biases = {name: state["layers.0.bias"] for name, state in found.items()}
    assert not torch.equal(biases["tuned"], biases["tuned-balanced"])
    assert torch.equal(biases["tuned"], biases["equal-loss"])  # its multipliers are 0 in the first epoch, the only one
    # Without batch normalisation nothing is recalibrated, and both are what tuning gave.
    assert torch.equal(biases["recalibrate"], biases["recalibrated"])
    # Another mitigation is another run.
    other = text.replace('mitigate = "tuned" }', 'mitigate = "weighted" }')
    with pytest.raises(StudyError):
        running.run(of(tmp_path, other), tmp_path / "out", SETTINGS)


def test_a_mitigation_that_there_is_not(tmp_path: Path) -> None:
    text = PLAN.replace('scope = "layer" }', 'mitigate = "hope" }')
    with pytest.raises(StudyError, match="mitigate: expected one of ceag, equal-loss"):
        of(tmp_path, text)


def test_the_plan_of_the_documents_can_be_read() -> None:
    found = plan.read(ROOT / "docs" / "studies" / "mitigations-long-tail.toml", train=VAL, audit=VAL)
    assert len(found.cells()) == 8 * 2 * 5
    assert {method.mitigate for method in found.methods} >= {"tuned", "tuned-balanced"}


@pytest.mark.parametrize("name", ["runs", "dense", "pruned", "predictions", "pruned/mlp", "predictions/predictions"])
def test_no_folder_in_that_of_a_study_leads_elsewhere(name: str, tmp_path: Path) -> None:
    mine, study = tmp_path / "mine", tmp_path / "study"
    kept = mine / "mlp" / "0" / "magnitude-0.5" / "kept.txt"  # where pruned networks are made, and removed
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    (study / name).parent.mkdir(parents=True, exist_ok=True)
    (study / name).symlink_to(mine)
    once = PLAN.replace("seeds = 2", "seeds = 1").replace("[0.1, 0.5]", "[0.5]").replace("epochs = 3", "epochs = 1")
    with pytest.raises(OutputError, match=f"{name} is a link, and none is followed there"):
        running.run(of(tmp_path, once), study, SETTINGS)
    assert [str(path.relative_to(mine)) for path in sorted(mine.rglob("*"))] == [
        "mlp",
        "mlp/0",
        "mlp/0/magnitude-0.5",
        "mlp/0/magnitude-0.5/kept.txt",
    ]


def test_no_network_of_a_study_is_written_through_a_link(tmp_path: Path) -> None:
    mine, study = tmp_path / "mine", tmp_path / "study"
    mine.write_text("mine")
    links = [study / "dense" / "mlp-0.pth", study / "pruned" / "mlp" / "0" / "magnitude-0.5" / "pruned.pth"]
    for link in links:
        link.parent.mkdir(parents=True)
        link.symlink_to(mine)
    once = PLAN.replace("seeds = 2", "seeds = 1").replace("[0.1, 0.5]", "[0.5]").replace("epochs = 3", "epochs = 1")
    running.run(of(tmp_path, once), study, SETTINGS, keep=True)
    assert mine.read_text() == "mine"
    assert not any(link.is_symlink() for link in links)
    assert all(link.is_file() for link in links)

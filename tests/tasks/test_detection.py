"""Detectors compared end to end, as people do it: an audit, a gate, a baseline, and what is wrong with files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit.cli import invoke
from prune_audit.core import Audit
from prune_audit.core.lookup import column
from prune_audit.document import read_audit
from prune_audit.tasks import detection
from tests.tasks.detection import yolo
from tests.tasks.detection.made import Json, changed, detections, truth, written

LABELLED = truth(200)
DENSE = detections(LABELLED)
PRUNED = detections(LABELLED, seed=2, drop={5: 2.5}, shift=1.0)
UNHARMED = detections(LABELLED, seed=3, shift=1.0)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name, content in (("val", LABELLED), ("dense", DENSE), ("pruned", PRUNED), ("unharmed", UNHARMED)):
        written(tmp_path, name, content)
    return tmp_path


def compared(*more: str, pruned: str = "pruned.json") -> Audit:
    assert invoke(["compare", "dense.json", pruned, "--data", "val.json", "-o", "audit.json", "-q", *more]) == 0
    return read_audit(Path("audit.json"))


def test_the_class_that_lost_is_found_and_the_others_are_not(files: Path) -> None:
    audit = compared("--by", "size", "--by", "camera", "--by", "class,size")
    view = audit.comparisons[0].view()
    verdicts = dict(zip(view.strata, column(view, "verdict"), strict=True))
    assert verdicts["bicycle"] == "regressed"
    assert "regressed" not in [verdicts[name] for name in ("car", "person", "dog")]
    assert view.pair.task == detection.TASK
    assert view.pair.clusters is not None
    assert (view.pair.clusters.column, audit.provenance.settings.cluster) == ("image", "image")
    assert audit.comparisons[0].view("size").strata == ("large", "medium", "small")
    assert audit.comparisons[0].view("camera").strata == ("north", "south")
    assert len(audit.comparisons[0].view("class,size").strata) == 12
    unharmed = compared(pruned="unharmed.json").comparisons[0].view()
    assert "regressed" not in column(unharmed, "verdict")


def test_thresholds_false_detections_and_precision_are_in_the_header(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["compare", "dense.json", "pruned.json", "--data", "val.json"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "threshold of dense: 0." in out
    assert "threshold of pruned: 0." in out
    assert out.count("false detections an image, precision ") == 2
    assert "itself, the threshold of dense, pruned would find" in out
    assert "boxes of one image belong together" in out


def test_what_does_not_apply_is_absent_with_a_reason(files: Path) -> None:
    view = compared().comparisons[0].view()
    assert column(view, "dense_calibration_error") == (None,) * 4
    assert set(view.measure("dense_calibration_error").absent.values()) == {detection.TASK.lacks["scores"]}
    assert view.measure("collapsed").overall_absent == detection.TASK.lacks["guessing"]
    assert all(value is not None and value > 0.5 for value in column(view, "dense_precision"))  # type: ignore[operator]
    assert all(value is not None for value in column(view, "pruned_average_precision"))
    assert any(str(value).startswith("missed, ") for value in column(view, "lost_to"))


def test_average_precision_is_no_part_of_a_verdict(files: Path) -> None:
    before = compared("--gate", "-q", pruned="unharmed.json")
    policies = {check.rule for comparison in before.comparisons for check in comparison.checks}
    assert policies
    assert not any("precision" in rule for rule in policies)


def test_a_gate_and_the_counts_again_from_the_saved_audit(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", "dense.json", "pruned.json", "--data", "val.json", "-q", "--gate", "-o", "a.json"]) == 1
    assert invoke(["check", "a.json", "-q"]) == 1
    assert invoke(["check", "a.json", "-q", "--margin", "60", "--assure", "70"]) in (0, 1)
    assert invoke(["compare", "dense.json", "unharmed.json", "--data", "val.json", "-q", "--gate"]) == 0
    assert invoke(["report", "a.json"]) == 0
    assert "bicycle" in capsys.readouterr().out


def test_a_baseline_needs_the_threshold_of_the_dense_model(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compared("-o", "first.json", pruned="unharmed.json")
    compared("-o", "next.json")
    assert invoke(["check", "next.json", "-q", "--baseline", "first.json"]) == 2
    assert "thresholds were chosen for the models of each audit" in " ".join(capsys.readouterr().err.split())
    compared("--score", "0.4", "-o", "first.json", pruned="unharmed.json")
    compared("--score", "0.4", "-o", "next.json")
    assert invoke(["check", "next.json", "-q", "--baseline", "first.json"]) == 1
    assert invoke(["check", "first.json", "-q", "--baseline", "first.json"]) == 0


def test_a_model_against_itself(files: Path) -> None:
    view = compared(pruned="again=dense.json").comparisons[0].view()
    assert not view.pair.lost.any()
    assert not view.pair.gained.any()


def test_fixed_thresholds_take_a_shift_for_harm(files: Path) -> None:
    view = compared("--operating-point", "fixed", "--score", "0.5", pruned="unharmed.json").comparisons[0].view()
    assert column(view, "verdict").count("regressed") == 4


def test_a_wider_cluster_and_one_that_splits_images(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labelled = json.loads((files / "val.json").read_text())
    for image in labelled["images"]:
        image["video"] = f"v{image['id'] % 40}"
    written(files, "val", labelled)
    pair = compared("--cluster", "video").comparisons[0].view().pair
    assert pair.clusters is not None
    assert pair.false is not None
    assert (pair.clusters.total, int(pair.false.number[-1])) == (40, 40)
    assert invoke(["compare", "dense.json", "pruned.json", "--data", "val.json", "--cluster", "size"]) == 2
    assert "puts what lies in one image into several clusters" in capsys.readouterr().err


def one_less(each: Json) -> Json:
    return {"category_id": each["category_id"] - 1}


def corners(each: Json) -> Json:
    x, y, w, h = each["bbox"]
    return {"bbox": [x, y, x + w, y + h]}


def shares(each: Json) -> Json:
    return {"bbox": [value / side for value, side in zip(each["bbox"], (640, 480, 640, 480), strict=True)]}


def other_images(each: Json) -> Json:
    return {"image_id": each["image_id"] + 1000}


def next_image(each: Json) -> Json:
    return {"image_id": each["image_id"] % 200 + 1}


BAD: list[tuple[Any, str, str]] = [
    (changed(DENSE, one_less), "category 0 is none of the 4", "add 1"),
    (changed(DENSE, corners), "two corners", "differences"),
    (changed(DENSE, shares), "shares of the image", "multiply"),
    (changed(DENSE, other_images), "are not among the 200 of the labels", "write image_id"),
    (LABELLED, "holds labelled boxes", "--data"),
    (json.dumps(DENSE)[:-30], "cannot be read", "written to its end"),
    ([{"image_id": 1, "category_id": 1, "score": 0.5, "keypoints": [1, 2, 2]}], "has keypoints and no bbox", "boxes"),
    ([{**DENSE[0], "score": 7}], "expected a score from 0 to 1, found 7", "confidence"),
]
# What a pruned model may well come to.
BAD_DENSE: list[tuple[Any, str, str]] = [
    (changed(DENSE, next_image), "the dense model dense finds", "its image ids are one too high"),
    ([each for each in DENSE if each["image_id"] < 60], "has no detection in", "record all"),
    ([], "the dense model dense finds 0.0%", "these may be other images"),
]


@pytest.mark.parametrize(
    ("place", "content", "said", "hint"),
    [*(("dense", *each) for each in [*BAD, *BAD_DENSE]), *(("pruned", *each) for each in BAD)],
)
def test_bad_detections_end_with_2_and_nothing_is_written(
    files: Path, place: str, content: Any, said: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / f"{place}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    assert invoke(["compare", "dense.json", "pruned.json", "--data", "val.json", "-o", "out.json"]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert said in err
    assert hint in err
    assert "Traceback" not in err
    assert not (files / "out.json").exists()


def test_labels_and_detections_exchanged_are_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", "val.json", "pruned.json", "--data", "dense.json"]) == 2
    assert "holds labelled boxes" in capsys.readouterr().err


def test_options_that_cannot_be_had(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["compare", "dense.json", "pruned.json", "--data", "val.json"]
    for more, said in (
        (["--operating-point", "fixed"], "needs the threshold"),
        (["--limit", "10"], "--limit"),
        (["--task", "classification"], "task"),
        (["--score", "1", "--operating-point", "false-detections"], "has so high a score"),
    ):
        assert invoke([*run, *more]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_a_pruned_model_may_find_nothing(files: Path) -> None:
    written(files, "pruned", [])
    view = compared().comparisons[0].view()
    assert column(view, "pruned_recall") == (0.0,) * 4
    assert column(view, "verdict") == ("regressed",) * 4


def test_the_sample_pair(
    sample_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sample_models / "boxes")
    out = tmp_path / "audit.json"
    assert invoke(["compare", "dense.json", "pruned.json", "--data", "val.json", "-o", str(out)]) == 0
    assert "614 boxes, 10 classes" in capsys.readouterr().out
    view = read_audit(out).comparisons[0].view()
    verdicts = dict(zip(view.strata, column(view, "verdict"), strict=True))
    assert (verdicts["8"], verdicts["9"]) == ("regressed", "regressed")  # the digits that were rare in training
    assert verdicts["0"] != "regressed"


def test_a_dry_run(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", "dense.json", "pruned.json", "--data", "val.json", "--dry-run"]) == 0
    assert f"{len(LABELLED['annotations']):,} of {len(LABELLED['annotations']):,} boxes" in capsys.readouterr().out


def test_another_order_of_the_file_is_the_same_audit(files: Path) -> None:
    first = compared().comparisons[0].view().pair
    rng = np.random.default_rng(0)
    written(files, "dense", [DENSE[i] for i in rng.permutation(len(DENSE))])
    assert compared().comparisons[0].view().pair == first


def test_folders_of_text_give_the_audit_that_coco_does(files: Path) -> None:
    ordered = {**LABELLED, "annotations": sorted(LABELLED["annotations"], key=lambda each: each["image_id"])}
    written(files, "val", ordered)
    coco = compared("--by", "size").comparisons[0]
    yolo.dataset(files / "data", ordered)
    for name, content in (("dense", DENSE), ("pruned", PRUNED)):
        yolo.labels(files / "runs" / name, ordered, content)
    asked = ["--data", "data/data.yaml", "-o", "text.json", "-o", "text.html", "--by", "size"]
    assert invoke(["compare", "runs/dense", "runs/pruned", *asked, "-q"]) == 0
    text = read_audit(Path("text.json")).comparisons[0]
    for ours, theirs in zip(text.views, coco.views, strict=True):
        assert (ours.pair.both == theirs.pair.both).all()
        assert (ours.pair.lost == theirs.pair.lost).all()
        assert (ours.pair.gained == theirs.pair.gained).all()
        assert ours.strata == theirs.strata
        for one, other in zip(ours.measures, theirs.measures, strict=True):
            # Boxes differ in their last digit, so that at one of its overlaps AP may see one more or less.
            if "average_precision" not in one.name:
                assert one.by_stratum == other.by_stratum
    assert "data:image/jpeg;base64," in Path("text.html").read_text()

"""What each detector finds at its threshold, against counting by hand and by pycocotools at that threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit import data, models
from prune_audit.core import DataSource, Expects, Finds, Found, ModelSource, Settings, Things
from prune_audit.tasks import Judged, detection
from tests.tasks.detection.made import CATEGORIES, Json, detections, truth, written
from tests.tasks.detection.scenes import evaluated

LABELLED = truth(80)
DENSE, PRUNED = detections(LABELLED), detections(LABELLED, seed=2, drop={5: 1.5}, shift=0.8)


def judged(folder: Path, *contents: list[Json], settings: Settings | None = None, labelled: Json = LABELLED) -> Judged:
    settings = settings or Settings()
    things = data.load(DataSource(path=written(folder, "val", labelled)), Expects(), settings)
    assert isinstance(things, Things)
    found: list[Found] = []
    for name, content in zip(("dense", "pruned", "another"), contents, strict=False):
        model = models.load(ModelSource(name=name, path=written(folder, name, content)), settings)
        assert isinstance(model, Finds)
        found.append(model.found(things))
    return detection.judge(things, found, settings)


def threshold(made: Judged, name: str) -> float:
    [said] = [each.value for each in made.assumptions if each.subject == name]
    return float(said.partition(":")[0])


@pytest.mark.parametrize("how", ["false-detections", "precision"])
def test_boxes_found_are_those_of_pycocotools_at_each_threshold(tmp_path: Path, how: Any) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    made = judged(tmp_path, DENSE, PRUNED, settings=Settings(operating_point=how))
    p = made.predictions
    for name, content in (("dense", DENSE), ("pruned", PRUNED)):
        at = threshold(made, name)
        # The threshold is told with four digits, so that one between two scores is taken.
        scores = np.array([each["score"] for each in content])
        exact = scores[np.abs(scores - at).argmin()]
        ran = evaluated(COCOeval, COCO, LABELLED, [each for each in content if each["score"] >= exact], 100, [0.5])
        taken, false = set(), 0
        for part in (each for each in ran.evalImgs if each is not None):
            taken |= {box for box, by in zip(part["gtIds"], part["gtMatches"][0], strict=True) if by}
            false += int((part["dtMatches"][0] == 0).sum())
        assert {int(p.ids[i]) for i in np.flatnonzero(p.right[name])} == taken
        assert len(p.false[name].labels) == false


def test_a_shift_of_all_scores_changes_nothing(tmp_path: Path) -> None:
    moved = [
        {**each, "score": float(1 / (1 + np.exp(-(np.log(each["score"] / (1 - each["score"])) - 0.7))))}
        for each in DENSE
    ]
    made = judged(tmp_path, DENSE, moved)
    assert (made.predictions.right["dense"] == made.predictions.right["pruned"]).all()
    assert [len(made.predictions.false[name].labels) for name in ("dense", "pruned")] == 2 * [
        len(made.predictions.false["dense"].labels)
    ]
    [said] = [note for note in made.notes if "itself" in note]
    share = made.predictions.right["dense"].mean()
    assert f"not {share:.1%}: deploy it at {threshold(made, 'pruned'):.2f}" in said
    # At one threshold for both, the shift looks like harm.
    fixed = judged(tmp_path, DENSE, moved, settings=Settings(operating_point="fixed", score=0.5)).predictions.right
    assert fixed["dense"].mean() - fixed["pruned"].mean() > 0.1


def test_a_model_against_itself_flips_nothing(tmp_path: Path) -> None:
    made = judged(tmp_path, DENSE, DENSE)
    assert (made.predictions.right["dense"] == made.predictions.right["pruned"]).all()
    assert (made.predictions.model("dense").predicted == made.predictions.model("pruned").predicted).all()


def test_a_box_is_missed_or_taken_for_what_covers_it(tmp_path: Path) -> None:
    content = [dict(each) for each in DENSE]
    first, second = (LABELLED["annotations"][i] for i in (0, 1))
    own = {each["id"]: i for i, each in enumerate(LABELLED["annotations"])}
    other = next(number for number in (1, 2, 5, 9) if number != first["category_id"])
    content[own[first["id"]]] = {**content[own[first["id"]]], "category_id": other, "score": 0.99}
    content[own[second["id"]]] = {**content[own[second["id"]]], "score": 0.0001}
    predictions = judged(tmp_path, DENSE, content).predictions
    names = detection.TASK.answers(predictions.classes)
    answers = [names[i] for i in predictions.model("pruned").predicted[:2]]
    assert answers == [dict(CATEGORIES)[other], "missed"]
    assert predictions.right["pruned"][:2].tolist() == [False, False]


def test_what_is_said_of_how_detections_were_recorded(tmp_path: Path) -> None:
    cut = [each for each in DENSE if each["score"] >= 0.15 and each["image_id"] != 3]
    notes = judged(tmp_path, DENSE, cut).notes
    silent = 80 - len({each["image_id"] for each in cut})
    assert silent > 1
    assert f"pruned has no detection in {silent} of 80 images" in notes
    assert any("pruned from 0.15" in note and "is known of one model alone" in note for note in notes)
    assert any("below 200 the thresholds themselves are uncertain" in note for note in notes)
    full = [
        {**DENSE[0], "image_id": image["id"], "bbox": [1.0, 1.0, 5.0, 5.0], "score": 0.001}
        for image in LABELLED["images"][:20]
        for _ in range(50 - sum(each["image_id"] == image["id"] for each in DENSE))
    ]
    notes = judged(tmp_path, DENSE, [*DENSE, *full]).notes
    assert "detections seem to have been recorded up to a limit an image, dense of no and pruned of 50" in notes


def test_every_detection_may_count(tmp_path: Path) -> None:
    made = judged(tmp_path, DENSE, PRUNED, settings=Settings(operating_point="all"))
    found = sum(int(right.sum()) for right in made.predictions.right.values())
    false = sum(len(each.labels) for each in made.predictions.false.values())
    assert found + false == len(DENSE) + len(PRUNED)


def test_a_detector_alone_is_judged_and_not_aligned(tmp_path: Path) -> None:
    other = [{**each, "bbox": [0.0, 0.0, 3.0, 3.0]} for each in DENSE]
    assert judged(tmp_path, other).predictions.right["dense"].sum() == 0


def test_what_is_found_by_masks_is_called_so(tmp_path: Path) -> None:
    def outlined(rows: list[Json]) -> list[Json]:
        corner = {"size": [480, 640], "counts": [0, 10, 480 * 640 - 10]}
        return [{**each, "segmentation": corner} for each in rows]

    labelled = {**LABELLED, "annotations": outlined(LABELLED["annotations"])}
    made = judged(tmp_path, outlined(DENSE), labelled=labelled, settings=Settings(overlap="masks"))
    assert made.predictions.task.thing == ("mask", "masks")

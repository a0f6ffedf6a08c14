"""What must be said of the samples, and what is refused before a long run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prune_audit.core import Predictions, Settings
from prune_audit.core.clusters import FEW
from prune_audit.errors import UsageError
from prune_audit.evaluate import sample

LABELS = np.array([0, 0, 1, 1])
PREDICTIONS = Predictions(
    classes=("cat", "dog", "hen"), ids=("a", "b", "c", "d"), labels=LABELS, models=(), groups={"film": np.arange(4)}
)


def copies(*digests: int) -> tuple[str, ...]:
    return sample.notes(replace(PREDICTIONS, digests=np.array(digests, np.uint64)), Settings())


def test_exact_copies_are_counted_and_the_first_is_named() -> None:
    assert copies(1, 2, 3, 4) == ()
    assert copies() == ()
    (said,) = copies(7, 7, 2**64 - 1, 5)
    assert said.startswith("1 sample is an exact copy of others (first: a, b)")
    assert copies(7, 7, 7, 5)[0].startswith("2 samples are exact copies of others (first: a, b)")


def test_copies_with_another_label_are_told_apart() -> None:
    first, second = copies(1, 9, 9, 9)
    assert first.startswith("2 samples are exact copies of others (first: b, c)")
    assert second.startswith("2 samples have the content of a sample with another label (first: b is cat, c is dog)")


def test_few_clusters_are_said_to_be_few() -> None:
    (said,) = sample.notes(PREDICTIONS, Settings(cluster="film"))
    assert "only 4 clusters of film, too few clusters" in said
    (said,) = sample.notes(of_films(29), Settings(cluster="film"))
    assert "only 29 clusters of film: " in said
    assert sample.notes(of_films(30), Settings(cluster="film")) == ()
    for number, too_few in ((FEW - 1, True), (FEW, False)):
        (said,) = sample.notes(of_films(number), Settings(cluster="film"))
        assert ("too few clusters" in said) == too_few
    assert sample.notes(PREDICTIONS, Settings()) == ()


def of_films(number: int) -> Predictions:
    ids, labels = tuple(map(str, range(number))), np.zeros(number, int)
    return replace(PREDICTIONS, ids=ids, labels=labels, groups={"film": np.arange(number)})


def test_a_group_of_one_cluster_tells_of_that_cluster() -> None:
    many = replace(
        PREDICTIONS,
        ids=tuple(map(str, range(60))),
        labels=np.zeros(60, int),
        groups={"film": np.arange(60) // 2, "place": np.array(["sea"] * 2 + ["land"] * 58)},
    )
    (said,) = sample.notes(many, Settings(cluster="film", by=("place", "film")))
    assert said.startswith("one film alone in place sea:")


def test_weights_of_classes_without_samples_are_left_out_and_said() -> None:
    (said,) = sample.notes(PREDICTIONS, Settings(weights={"cat": 1, "dog": 1, "hen": 2}))
    assert said.endswith(": hen")
    assert sample.notes(PREDICTIONS, Settings(weights={"cat": 1, "dog": 1, "hen": 0})) == ()


def check(settings: Settings, *, complete: bool = True) -> None:
    sample.check(settings, PREDICTIONS.classes, LABELS, PREDICTIONS.groups, complete=complete)


def test_what_is_there_passes() -> None:
    check(Settings())
    check(Settings(by=("film", "class,film"), cluster="film", weights={"cat": 1, "dog": 0}))
    check(Settings(weights={"cat": 1, "dog": 0, "owl": 1}), complete=False)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        (Settings(by=("class,sex",)), "--by sex: the data have no column 'sex'", "known: class, film"),
        (Settings(cluster="class"), "--cluster class: the data have no column 'class'", "known: film"),
        (Settings(weights={"cat": 1}), "no weight for 'dog'", "the classes are cat, dog, hen"),
        (Settings(weights={"cat": 1, "dog": 1, "owl": 1}), "weights of what is no class: 'owl'", "the classes are"),
        (Settings(weights={"cat": 0, "dog": 0, "hen": 1}), "every class with samples has the weight 0", "shares"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(settings: Settings, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(settings)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_data_without_columns_say_so() -> None:
    with pytest.raises(UsageError) as caught:
        sample.check(Settings(by=("sex",)), ("a",), LABELS, {})
    assert "no columns" in caught.value.hint

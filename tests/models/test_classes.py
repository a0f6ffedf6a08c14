import json

import pytest

from prune_audit.models._classes import names


@pytest.mark.parametrize(
    "metadata",
    [
        {"classes": ["ant", "bee", "cat"]},
        {"classes": ("ant", "bee", "cat")},
        {"class_names": json.dumps(["ant", "bee", "cat"])},
        {"labels": "['ant', 'bee', 'cat']"},
        {"names": "{0: 'ant', 1: 'bee', 2: 'cat'}"},
        {"names": {2: "cat", 0: "ant", 1: "bee"}},
        {"id2label": '{"0": "ant", "2": "cat", "1": "bee"}'},
        {"class_to_idx": {"cat": 2, "ant": 0, "bee": 1}},
        {"classes": 3, "labels": "free text, not a list", "names": ["ant", "bee", "cat"]},
    ],
)
def test_reads_every_form_in_the_order_of_the_outputs(metadata: dict[str, object]) -> None:
    assert names(metadata, outputs=3) == ("ant", "bee", "cat")


def test_names_that_are_digits_are_not_taken_for_positions() -> None:
    assert names({"class_to_idx": {"0": 0, "10": 1, "2": 2}}) == ("0", "10", "2")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"classes": []},
        {"classes": "ant"},
        {"classes": [0, 1, 2]},
        {"classes": ["ant", "ant", "bee"]},
        {"names": {0: "ant", 1: "bee", 3: "cat"}},
        {"names": {0: "ant", 1: 1, 2: "cat"}},
        {"names": "__import__('os').getcwd()"},
        {"names": "{0: 'ant'"},
        {"names": "[" * 100_000},
    ],
)
def test_leaves_alone_what_is_not_plainly_one_name_per_output(metadata: dict[str, object]) -> None:
    assert names(metadata) is None


def test_passes_over_names_of_another_number_than_the_outputs() -> None:
    assert names({"labels": ["a", "b"], "names": ["x", "y", "z"]}, outputs=3) == ("x", "y", "z")

"""What findings are called, where several rooms ask."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from prune_audit.core import Audit, Comparison, Preprocess
from prune_audit.render import rounded, wording
from tests.reports import audits


@pytest.mark.parametrize(
    ("low", "high", "way"),
    [(1.01, 2, "grew"), (0.5, 0.99, "shrank"), (1, 2, None), (0.5, 1, None), (1.01, None, "grew"), (0.5, None, None)],
)
def test_one_rule_says_which_way_gaps_went(low: float, high: float | None, way: str | None) -> None:
    assert wording.gaps_went(low, high) == way


def looked(audit: Audit, **changes: object) -> list[tuple[str, str]]:
    """The next steps but for samples to collect, with the first comparison changed."""
    first = replace(audit.comparisons[0], **changes)  # type: ignore[arg-type]  # by name
    steps = wording.next_steps(replace(audit, comparisons=(first, *audit.comparisons[1:])), "a.json")
    return [step for step in steps if "plan" not in step[1]]


def test_where_classes_regressed_the_next_step_is_why_and_then_to_mend_them() -> None:
    audit = audits.ten()
    [(said, command)] = looked(audit)
    assert said == "Next: to see why 7, 8 suffered (TRAINING_DATA: what the models were trained on):"
    models = "models/dense.pt models/pruned-90.pt"
    assert command == f"prune-audit explain {models} --data TRAINING_DATA --audit data/val"
    # Where the run was told what they were trained on, the command can be typed as it stands.
    audit = replace(audit, provenance=replace(audit.provenance, trained_on="my data/train"))
    [(said, command)] = looked(audit)
    assert said == "Next: to see why 7, 8 suffered:"
    assert command == f"prune-audit explain {models} --data 'my data/train' --audit data/val"
    explained: dict[str, object] = {"explained": ("Nothing explains it.",), "remedy": ("--method", "offsets")}
    [(said, command)] = looked(audit, **explained)
    assert said == "Next: to mend 7, 8 (`prune-audit list mitigations` has other methods):"
    sides = "--data 'my data/train' --audit data/val"
    assert command == f"prune-audit mitigate {models} --method offsets {sides} -o mended.pt"
    # Nothing is proposed that could not be typed: of audits that were written before, and of what cannot be changed.
    assert looked(audit, explained=("Nothing explains it.",)) == []
    assert looked(audits.ten(), **explained) == []
    assert looked(audits.identical()) == []


def test_models_are_named_as_they_are_typed_and_only_files_can_be_looked_into() -> None:
    audit = audits.ten()
    [comparison] = audit.comparisons
    made = replace(comparison.pruned, path="my models/p.pt", factory="nets:small(10)")
    audit = replace(audit, provenance=replace(audit.provenance, preprocess=Preprocess(name="imagenet")))
    [(_, command)] = looked(audit, pruned=made)
    assert shlex.split(command)[3] == "my models/p.pt@nets:small(10)"
    assert command.endswith(" --preprocess imagenet")
    assert looked(audit, pruned=replace(made, path="")) == []
    assert looked(audit, pruned=replace(made, format="predictions")) == []


@pytest.mark.parametrize(
    ("steps", "typed"),
    [
        (Preprocess(size=(32, 32), channels="rgb", mean=(0.5,), std=(0.25,)), "--mean 0.5 --std 0.25"),
        (
            Preprocess(
                resize=256, crop=(224, 200), mean=(0.485, 0.456, 0.406), std=(1 / 3,) * 3, interpolation="bilinear"
            ),
            "--resize 256 --crop 224x200 --mean 0.485,0.456,0.406 --std 0.333333333333,0.333333333333,0.333333333333",
        ),
        (
            Preprocess(resize=(40, 48), channels="bgr", interpolation="bicubic"),
            "--resize 40x48 --channels bgr --interpolation bicubic",
        ),
        (Preprocess(size=(8, 8)), ""),
    ],
)
def test_a_command_repeats_a_preprocessing_without_a_name_step_by_step(steps: Preprocess, typed: str) -> None:
    audit = audits.ten()
    [(_, command)] = looked(replace(audit, provenance=replace(audit.provenance, preprocess=steps)))
    assert command.partition(" --audit data/val")[2].strip() == typed


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["airplane", "cat"], "airplane, cat"),
        (["a" * 80, "b"], "a" * 80 + ", b"),
        (["a" * 80, "b", "c"], "a" * 80 + " and 2 more"),
        ([f"class {n}" for n in range(12)], ", ".join(f"class {n}" for n in range(8)) + " and 4 more"),
        (["a, b", "c"], "a, b; c"),
    ],
)
def test_as_many_names_as_fit_a_line_and_never_all_but_one(names: list[str], said: str) -> None:
    assert rounded.listed(names) == said


def test_how_variants_stand_is_said_as_it_is() -> None:
    several = audits.several()
    known, unknown = several.comparisons[0], several.comparisons[2]

    def order(*comparisons: Comparison) -> str:
        return wording.order(replace(several, comparisons=comparisons))

    assert order(known, known) == "the densest first"
    assert order(unknown, known) == "the densest first, those of unknown density last"
    assert order(unknown, unknown) == "in the order given, because densities are unknown"


def test_how_strata_stand_names_what_there_is() -> None:
    ten, same = audits.ten().comparisons[0].view(), audits.identical().comparisons[0].view()
    assert wording.ordered(ten).startswith("worst first: harmed (intensified first), then regressed")
    assert wording.ordered(same) == "worst first, by change"
    crossed = audits.crossed().comparisons[0].views[-1]  # of which none is intensified
    assert wording.ordered(crossed).startswith("worst first: harmed, then regressed")

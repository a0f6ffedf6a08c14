"""What an answer is, only a task knows: no label is compared and no largest score is taken outside this room."""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import fields, replace
from pathlib import Path

import pytest

from prune_audit import plugins, stats, tasks
from prune_audit.core import Pair, Settings, Task
from prune_audit.core.requests import UNLESS_DEFAULT
from prune_audit.errors import UsageError
from tests.conftest import ROOT

NAMES = [name.replace("-", "_") for name in plugins.names("tasks")]
# Of a task whose models run here, and of one that is told what was found elsewhere.
RUNS = {
    "keep": ("scores", "labels", "rows", "digests"),
    "broken": ("scores",),
    "decided": ("scores", "split"),
    "right": ("predicted", "labels"),
}
RECORDED = {"judge": ("things", "found", "settings")}
SIGNATURES = {
    "right_of": ("predictions", "model"),
    "pair": ("predictions", "dense", "pruned", "by", "cluster", "top_k"),
    "samples": ("predictions", "by", "cluster"),
    "flips": ("predictions", "dense", "pruned", "most"),
}

TAKEN = ("argmax", "softmax", "log_softmax", "logsumexp", "cross_entropy")
ANSWERS = ("label", "labels", "predicted", "truth")
# Places where such a thing means another, and why.
APART = {
    "prune_audit/core/findings.py self.dense == self.label": "words of a flip, which is told and no longer counted",
    "prune_audit/data/_hf.py np.argmax(at >= len(names))": "the first row that fails, which has no class",
    "prune_audit/evaluate/diagnose.py dataset.labels == label": "the samples of one class; nothing is predicted",
    "prune_audit/evaluate/sample.py labels[copies] != labels[original[copies]]": "two labels of one sample",
    "prune_audit/history/__init__.py np.argmax(evidence)": "the largest e-value",
    "prune_audit/lenses/__init__.py labels == position": "the samples of one class, which a lens looks at",
    "prune_audit/lenses/_membership.py upto.argmax(axis=1)": "the threshold that gains most",
    "prune_audit/lenses/_shift.py functional.cross_entropy(two_or_more(scores), labels, reduction='sum')": "a loss, "
    "with gradients",
    "prune_audit/lenses/_shift.py logits.softmax(1)": "how certain a network is, whatever it answers",
    "prune_audit/models/onnx/interface.py labels != list(range(len(labels)))": "names of classes in a graph's operator",
    **{
        f"prune_audit/mitigations/{name}.py cross_entropy(scores, labels)": "a loss, with gradients"
        for name in ("ceag", "equal_loss", "weighted")
    },
    "prune_audit/mitigations/offsets.py labels == label": "the samples of one class, which are drawn from",
    "prune_audit/mitigations/offsets.py log_softmax(scores + offsets, axis=1)": "a loss, with gradients",
    "prune_audit/nets/examples.py cross_entropy(self.forward(model, inputs), labels, 'sum')": "a loss, with gradients",
    "prune_audit/nets/examples.py functional.cross_entropy(scores, labels, reduction=reduction)": "a loss, with "
    "gradients",
    **{
        f"prune_audit/pruning/deadwooding_style.py {loss}": "a loss, with gradients"
        for loss in ("cross_entropy(scores, labels)", "given.log_softmax(1)", "to.log_softmax(1)")
    },
    "prune_audit/lenses/recalibrated.py labels == at": "the samples of one class, whose loss is averaged",
    "prune_audit/pruning/seqattn.py logits.flatten().softmax(0)": "how much each block of weights is looked at",
    "prune_audit/nets/pattern.py ranked.argmax()": "the best block of a layer",
    "prune_audit/render/gallery.py answer == picture.label": "words of a sample, which is told and no longer counted",
    **{
        f"prune_audit/reports/_page_story.py {each} == label": "words of a flow, which is told and no longer counted"
        for each in ("answer", "self.dense", "self.pruned")
    },
    "prune_audit/stats/_margin_test.py found.argmax()": "the largest p-value",
    "prune_audit/stats/_prediction_counts.py called != label": "counts of kinds of answers, from a pair",
    "prune_audit/stats/group_gap.py drop.argmax()": "the largest drop",
    "prune_audit/stats/lost_to.py np.argmax(lost[first][:, 3])": "the largest count",
    "prune_audit/study/exemplars.py counts.argmax(axis=-1)": "what most of several models said",
    "prune_audit/study/running.py labels == c": "the samples of one class, which are drawn from",
}


def comparisons(root: Path) -> set[str]:
    """Where a label is compared, or a largest score or a softmax taken, in the modules under ``root``."""
    found = set()
    for file in root.rglob("*.py"):
        where = file.relative_to(root.parent).as_posix()
        if where.startswith("prune_audit/tasks/"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in TAKEN:
                found.add(f"{where} {ast.unparse(node)}")
            if isinstance(node, ast.Compare) and any(isinstance(how, ast.Eq | ast.NotEq) for how in node.ops):
                names = [_name(side) for side in (node.left, *node.comparators)]
                if set(names) & set(ANSWERS) and not any(name.isupper() for name in names):  # a word of ours
                    found.add(f"{where} {ast.unparse(node)}")
    return found


def _name(node: ast.expr) -> str:
    """The last name of an expression, whatever it is indexed with."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_what_an_answer_is_stands_in_a_task_and_nowhere_else() -> None:
    found = comparisons(ROOT / "prune_audit")
    assert found - APART.keys() == set()
    assert APART.keys() - found == set()  # what is gone has no reason any more


def test_a_comparison_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "house" / "bath.py"
    module.parent.mkdir()
    module.write_text("def f(o, labels):\n    return o.predicted[3] == labels[2], o.scores.argmax(1), len(o) == 3\n")
    assert comparisons(tmp_path / "house") == {
        "house/bath.py o.predicted[3] == labels[2]",
        "house/bath.py o.scores.argmax(1)",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_what_a_task_has(name: str) -> None:
    task = tasks.of(name.replace("_", "-"))
    for function, parameters in (SIGNATURES | (RUNS if hasattr(task, "keep") else RECORDED)).items():
        assert tuple(inspect.signature(getattr(task, function)).parameters)[: len(parameters)] == parameters
    assert task.TASK.name == name.replace("_", "-")
    assert all(len(why) > 10 for why in task.TASK.lacks.values())
    if hasattr(task, "keep"):
        alignment = importlib.import_module(f"prune_audit.tasks.{name}.alignment")
        assert tuple(inspect.signature(alignment.check).parameters) == ("predictions", "doubts")


def test_what_statistics_need_is_what_tasks_may_lack() -> None:
    needed = {need for _, module in plugins.loaded("stats") for need in getattr(module, "NEEDS", ())}
    assert needed == {"answers", "calls", "scores", "guessing"}
    assert {need for name in NAMES for need in tasks.of(name.replace("_", "-")).TASK.lacks} <= needed


def test_what_only_some_tasks_go_by_is_what_tasks_say_that_they_read() -> None:
    read = {field for name in NAMES for field in getattr(tasks.of(name.replace("_", "-")), "READS", ())}
    assert read | {"task"} == {f.name for f in fields(Settings) if f.metadata == UNLESS_DEFAULT}


def test_a_statistic_without_what_it_needs_is_absent_with_the_reason_of_the_task() -> None:
    pair = Pair.of([(5, 2, 1, 2), (7, 0, 0, 1)])
    bare = replace(pair, task=Task(name="x", lacks={"calls": "nothing is answered by a class"}))
    own, without = (stats.measures(each, Settings()) for each in (pair, bare))
    assert [measure.name for measure in own] == [measure.name for measure in without]
    (precision,) = [measure for measure in without if measure.name == "dense_precision"]
    assert precision.by_stratum == (None, None)
    assert precision.absent == dict.fromkeys((0, 1), "nothing is answered by a class")
    changes = [[m.by_stratum for m in found if m.name == "change"] for found in (own, without)]
    assert changes[0] == changes[1]


def test_an_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no task 'poetry'") as caught:
        tasks.of("poetry")
    assert "classification" in caught.value.hint

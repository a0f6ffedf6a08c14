"""Logs of inspect_ai, as ``inspect log dump`` prints them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prune_audit import audit, plugins
from prune_audit.core import Audit, ModelSource, Settings
from prune_audit.errors import AuditError, ModelError, UsageError


def log(
    values: list[Any], *, epochs: int = 1, status: str = "success", scorers: tuple[str, ...] = ("choice",)
) -> dict[str, Any]:
    """A log with one sample for each of ``values``, a row of them for each of the ``epochs``."""
    samples = [
        {
            "id": i // epochs,
            "epoch": i % epochs + 1,
            "target": ["A", "B"],
            "metadata": {"level": "easy" if i < 4 else "hard"},
            "input": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"Q {i // epochs}?"},
            ],
            "output": {"completion": "ANSWER: A"},
            "scores": {scorer: {"value": value, "answer": "A"} for scorer in scorers},
        }
        for i, value in enumerate(values)
    ]
    return {"version": 2, "status": status, "eval": {"task": "arc", "model": "m"}, "samples": samples}


def compared(tmp_path: Path, dense: dict[str, Any], pruned: dict[str, Any], settings: Settings | None = None) -> Audit:
    sources = []
    for name, each in (("dense", dense), ("pruned", pruned)):
        (tmp_path / f"{name}.json").write_text(json.dumps(each, indent=2), "utf-8")
        sources.append(ModelSource(name=name, path=tmp_path / f"{name}.json"))
    return audit.run(sources[0], sources[1:], None, settings or Settings())


def test_samples_are_questions(tmp_path: Path) -> None:
    done = compared(
        tmp_path, log(["C", "C", 1, "C", "I", "N"]), log(["C", "I", 0, True, "C", "I"]), Settings(by=("level",))
    )
    pair = done.comparisons[0].view().pair
    assert [int(getattr(pair, kind)[0]) for kind in ("both", "lost", "gained", "neither")] == [2, 2, 1, 1]
    assert done.comparisons[0].view("level").strata == ("easy", "hard")
    flip = done.comparisons[0].flips[0]
    assert (flip.id, flip.asked, flip.label, flip.dense) == ("arc/1", "Q 1?", "A, B", "A")
    assert [name for name, module in plugins.loaded("models") if module.recognises(tmp_path / "dense.json")] == [
        "inspect-log"
    ]


def test_epochs_of_one_question_belong_together(tmp_path: Path) -> None:
    done = compared(tmp_path, log(["C"] * 8, epochs=2), log(["C", "I"] * 4, epochs=2))
    clusters = done.comparisons[0].view().pair.clusters
    assert clusters is not None
    assert (clusters.column, clusters.total) == ("question", 4)
    assert done.provenance.settings.cluster == "question"


def test_scorers_are_asked_for_where_there_are_several(tmp_path: Path) -> None:
    two = log(["C", "I"], scorers=("match", "model"))
    with pytest.raises(UsageError, match="of match, model"):
        compared(tmp_path, two, two)
    assert compared(tmp_path, two, two, Settings(metric="model")).comparisons[0].flipped == 0
    with pytest.raises(UsageError, match="no such scorer"):
        compared(tmp_path, two, two, Settings(metric="f1"))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (log(["C"], status="error"), "status is 'error'"),
        (log([]), "holds no samples"),
        (log(["C", "P"]), "0 or 1, found 'P'"),
        (log([0.5]), "0 or 1, found 0.5"),
    ],
)
def test_what_cannot_be_audited_is_refused(tmp_path: Path, broken: dict[str, Any], said: str) -> None:
    with pytest.raises(AuditError, match=said):
        compared(tmp_path, broken, broken)


def test_a_log_that_was_cut_short_is_told(tmp_path: Path) -> None:
    text = json.dumps(log(["C"] * 9))
    (tmp_path / "cut.json").write_text(text[:-40])
    source = ModelSource(name="cut", path=tmp_path / "cut.json")
    with pytest.raises(ModelError, match="expected a log of inspect_ai"):
        audit.run(source, [source], None, Settings())

"""Answers of any harness as lines with id, group and correct."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prune_audit import audit, plugins
from prune_audit.core import Audit, ModelSource, Settings
from prune_audit.errors import AuditError, ModelError

LINES: list[dict[str, Any]] = [
    {"id": n, "group": "ab"[n % 2], "correct": n != 3, "question": f"{n}?", "target": n, "answer": n, "lang": "en"}
    for n in range(6)
]


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def compared(dense: Path, pruned: Path) -> Audit:
    sources = [ModelSource(name=path.stem, path=path) for path in (dense, pruned)]
    return audit.run(sources[0], sources[1:], None, Settings(by=("lang",)))


def test_lines_are_questions(tmp_path: Path) -> None:
    worse = [{**line, "correct": int(line["id"] > 1), "answer": "x"} for line in LINES]
    done = compared(written(tmp_path / "d.jsonl", LINES), written(tmp_path / "p.jsonl", worse[::-1]))
    pair = done.comparisons[0].view().pair
    assert pair.strata == ("a", "b")
    assert [getattr(pair, kind).tolist() for kind in ("both", "lost", "gained", "neither")] == [
        [2, 1], [1, 1], [0, 1], [0, 0],
    ]  # fmt: skip
    assert [(flip.id, flip.asked, flip.label, flip.pruned) for flip in done.comparisons[0].flips[:1]] == [
        ("a/0", "0?", "0", "x")
    ]


def test_another_group_is_another_question(tmp_path: Path) -> None:
    moved = [{**line, "group": "c"} for line in LINES]
    with pytest.raises(AuditError, match="no answer to 6 of 6 questions"):
        compared(written(tmp_path / "d.jsonl", LINES), written(tmp_path / "p.jsonl", moved))


def test_told_by_the_keys_of_the_first_line(tmp_path: Path) -> None:
    path = written(tmp_path / "d.txt", LINES)
    assert [name for name, module in plugins.loaded("models") if module.recognises(path)] == ["question-lines"]
    mapping = tmp_path / "m.json"
    mapping.write_text('{"a.png": "cat", "b.png": "dog"}')
    assert [name for name, module in plugins.loaded("models") if module.recognises(mapping)] == ["recorded"]


def test_a_line_that_lacks_a_key_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "d.jsonl", [*LINES, {"id": 9, "group": "a"}])
    with pytest.raises(ModelError, match="line 7: expected id, group, correct, found no 'correct'"):
        compared(path, path)

"""Answers to questions that any harness recorded, as JSON lines: id, group and correct, one question a line.

``correct`` is true or false, or 1 or 0; ``group`` is the class of the question. What was asked (``question``), what is
right (``target``) and what the model said (``answer``) are shown where they are there, and further short keys are
groups.
"""

from __future__ import annotations

from pathlib import Path

from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError
from prune_audit.files import json_lines
from prune_audit.models import _questions as questions
from prune_audit.models._questions import Answer, Read, RecordedAnswers

_NEEDED = ("id", "group", "correct")
_SHOWN = ("question", "target", "answer")


def recognises(path: Path) -> bool:
    """Whether the first line of the file is an object with these keys."""
    text = json_lines.head(path)
    first = json_lines.first(text) if json_lines.is_lines(text) else None
    return first is not None and all(key in first for key in _NEEDED)


def load(source: ModelSource, settings: Settings) -> RecordedAnswers:
    """The answers at ``source``, which are not read yet.

    Raises:
        UsageError: a factory was given.
    """
    return questions.source_of(source, [source.path], settings, lambda: _read(source.path))


def _read(path: Path) -> Read:
    answers = []
    for where, row in json_lines.rows(path):
        lacking = [key for key in _NEEDED if key not in row]
        if lacking:
            raise ModelError(f"{where}: expected {', '.join(_NEEDED)}, found no {lacking[0]!r}", hint="write all three")
        other = {key: value for key, value in row.items() if key not in (*_NEEDED, *_SHOWN)}
        answers.append(
            Answer(
                task=str(row["group"]),
                key=str(row["id"]),
                value=row["correct"],
                where=where,
                asked=questions.shortened(row.get("question", "")),
                right=questions.shortened(row.get("target", "")),
                gave=questions.shortened(row.get("answer", "")),
                columns=questions.scalars(other),
            )
        )
    return Read(answers=answers)

"""Answers of a language model as lm-eval writes them with --log_samples: a folder of samples_TASK_DATE.jsonl.

Each line is one document with one metric or several. Rows are told by task, filter and document; where a task was run
several times, the latest run counts. The metric is ``acc``, else ``exact_match``, unless ``--metric`` names another;
one that is no 0 or 1 of each document cannot be audited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prune_audit.core import Assumption, ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.files import json_lines
from prune_audit.models import _questions as questions
from prune_audit.models._questions import Answer, Read, RecordedAnswers
from prune_audit.tasks import language_models

_NAME = re.compile(r"samples_(?P<task>.+?)(_(?P<date>\d{4}-\d\d-\d\dT[\d-]+(\.\d+)?))?\.jsonl")
_METRICS = ("acc", "exact_match")
_HASHES = ("doc_hash", "target_hash", "prompt_hash")
_QUESTION = ("question", "query", "problem", "prompt", "input", "text", "ctx", "goal", "sentence")


def recognises(path: Path) -> bool:
    """Whether ``path`` is a folder of such files, or of one folder of them, or one such file."""
    try:
        return bool(_files(path)) if path.is_dir() else _is_one(path)
    except OSError:
        return False


def load(source: ModelSource, settings: Settings) -> RecordedAnswers:
    """The answers at ``source``, which are not read yet.

    Raises:
        ModelError: the folder holds runs of several models.
        UsageError: a factory was given.
    """
    path = source.path
    folders = sorted({file.parent for file in _files(path)})
    if len(folders) > 1:
        raise ModelError(
            f"{path} holds answers of several models: {', '.join(folder.name for folder in folders[:3])}",
            hint=f"give the folder of one: {folders[0]}",
        )
    chosen, notes = _latest(_files(path))

    def read() -> Read:
        return _read(chosen, source.name, settings.metric, notes)

    return questions.source_of(source, list(chosen.values()), settings, read)


def _files(path: Path) -> list[Path]:
    """The files of samples at ``path``; of a folder, else those in its folders."""
    if path.is_file():
        return [path]
    found = [file for file in sorted(path.glob("samples_*.jsonl")) if file.is_file()]
    return found or [file for file in sorted(path.glob("*/samples_*.jsonl")) if file.is_file()]


def _is_one(path: Path) -> bool:
    text = json_lines.head(path)
    if not json_lines.is_lines(text):
        return False
    first = text.lstrip().partition("\n")[0]
    return '"doc_id"' in first and ('"filtered_resps"' in first or '"doc_hash"' in first or '"resps"' in first)


def _latest(files: Sequence[Path]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The file of each task, the latest where there are several, and what must be said of that."""
    runs: dict[str, list[tuple[str, Path]]] = {}
    for file in files:
        named = _NAME.fullmatch(file.name)
        task, date = (named["task"], named["date"] or "") if named else (file.stem, "")
        runs.setdefault(task, []).append((date, file))
    chosen = {task: max(each)[1] for task, each in sorted(runs.items())}
    several = [task for task, each in runs.items() if len(each) > 1]
    if not several:
        return chosen, ()
    return chosen, (
        f"of {len(several):,} tasks that were run several times the latest run is taken, such as "
        f"{chosen[several[0]].name}",
    )


def _read(files: Mapping[str, Path], name: str, metric: str | None, notes: tuple[str, ...]) -> Read:
    answers: list[Answer] = []
    told: dict[str, Assumption] = {}
    for task, path in files.items():
        rows = list(json_lines.rows(path))
        if not rows:
            raise ModelError(f"{path} is empty", hint="the run was interrupted: record the task again")
        called, by = _metric(task, rows, metric)
        for where, row in rows:
            if by is None or row.get("filter") == by:
                answers.append(_answer(task, where, row, called))
        value = called if by is None or by == "none" else f"{called},{by}"
        why = "as told" if metric is not None else "the usual one of those recorded"
        told.setdefault(
            value, Assumption(subject=name, what="right answer", value=value, why=why, option="--metric NAME[,FILTER]")
        )
    return Read(answers=answers, assumptions=tuple(told.values()), notes=notes)


def _metric(task: str, rows: Sequence[tuple[str, Mapping[str, Any]]], asked: str | None) -> tuple[str, str | None]:
    """The metric of ``task``, and the filter of the answers that it is of."""
    where, row = rows[0]
    recorded = row.get("metrics")
    named = [each for each in recorded if isinstance(each, str)] if isinstance(recorded, list) else []
    known = [each for each in named if each in row]
    known = known or [each for each in _METRICS if each in row]
    filters = sorted({str(each.get("filter")) for _, each in rows if each.get("filter") is not None})
    called, comma, by = (asked or "").partition(",")
    if not called:
        found = next((each for each in _METRICS if each in known), known[0] if len(known) == 1 else None)
        if found is None:
            raise UsageError(
                f"{where}: nothing says which metric of {task} is meant, of {', '.join(known) or 'none'}",
                hint=f"name it: --metric {known[0] if known else 'acc'}",
            )
        called = found
    elif called not in row:
        raise UsageError(
            f"--metric {called}: {task} was not judged by it, but by {', '.join(known) or 'none'} ({where})",
            hint="name one of these, or give folders of tasks that have it",
        )
    if comma and by not in filters:
        raise UsageError(
            f"--metric {asked}: {task} has no answers by the filter {by!r}, but by {', '.join(filters) or 'none'}",
            hint=f"--metric {called},{filters[0] if filters else 'none'}",
        )
    if not comma and len(filters) > 1:
        raise UsageError(
            f"{task} has every answer several times, by the filters {', '.join(filters)}",
            hint=f"say which one counts: --metric {called},{filters[0]}",
        )
    return called, by if comma else filters[0] if filters else None


def _answer(task: str, where: str, row: Mapping[str, Any], metric: str) -> Answer:
    if "doc_id" not in row or metric not in row:
        lacking = "doc_id" if "doc_id" not in row else metric
        raise ModelError(
            f"{where}: expected a row of lm-eval, found none of {lacking!r}",
            hint="the file was edited, or is of several tasks: record it again",
        )
    given = row.get("doc")
    document = given if isinstance(given, dict) else {}
    prompts = _prompts(row.get("arguments"))
    question = next((document[key] for key in _QUESTION if isinstance(document.get(key), str)), None)
    hashes = tuple(str(row[key]) if row.get(key) else None for key in _HASHES)
    right, gave = _said(row, [choice for _, choice in prompts], metric)
    return Answer(
        task=task,
        key=str(row["doc_id"]),
        value=row[metric],
        where=where,
        asked=questions.shortened(question if question is not None else prompts[0][0] if prompts else ""),
        right=questions.shortened(right),
        gave=questions.shortened(gave),
        hashes=(hashes[0], hashes[1], hashes[2]),
        columns=questions.scalars(document),
    )


def _prompts(arguments: Any) -> list[tuple[str, str]]:
    """Prompt and continuation of each request of a document, however a version wrote them."""
    if isinstance(arguments, dict):
        requests = [[each.get("arg_0"), each.get("arg_1")] for each in arguments.values() if isinstance(each, dict)]
    else:
        listed = arguments if isinstance(arguments, list) else []
        requests = [each for each in listed if isinstance(each, list) and each]
    return [(str(each[0]), each[1] if len(each) > 1 and isinstance(each[1], str) else "") for each in requests]


def _said(row: Mapping[str, Any], choices: Sequence[str], metric: str) -> tuple[str, str]:
    """The right answer and the one that was given, in words."""
    target, gave = row.get("target"), row.get("filtered_resps")
    scores = [_likelihood(each) for each in gave] if isinstance(gave, list) else []
    known = [each for each in scores if each is not None]
    if len(choices) > 1 and len(known) == len(choices):
        at = language_models.answered(known, choices, by_length=metric == "acc_norm")
        right = _position(target)
        told = choices[right] if right is not None and right < len(choices) else target
        return str(told), choices[at]
    while isinstance(gave, list) and len(gave) == 1:
        gave = gave[0]
    return str(target), str(gave)


def _likelihood(response: Any) -> float | None:
    """The log-likelihood of a choice, of (log-likelihood, whether it is the greedy answer)."""
    while isinstance(response, list) and len(response) == 1:
        response = response[0]
    if not isinstance(response, list) or len(response) != 2:
        return None
    try:
        return float(response[0])
    except (TypeError, ValueError):
        return None


def _position(target: Any) -> int | None:
    text = str(target)
    return int(text) if text.isdecimal() and len(text) < 4 else None

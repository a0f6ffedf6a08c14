"""Answers of a language model in a log of inspect_ai, as ``inspect log dump`` prints it: JSON of a run that succeeded.

A sample is right where the scorer says C, or 1; I, N and 0 are wrong. Where there are several scorers ``--metric``
names one. Samples that were asked in several epochs are several answers to one question.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prune_audit import spelling
from prune_audit.core import Assumption, ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.files import json_lines, parse, regular
from prune_audit.models import _questions as questions
from prune_audit.models._questions import Answer, Read, RecordedAnswers

_WORDS = {"C": 1, "I": 0, "N": 0}
_HINT = "write it with: inspect log dump LOG.eval > answers.json"


def recognises(path: Path) -> bool:
    """Whether the file begins as such a log does."""
    return json_lines.is_log(json_lines.head(path))


def load(source: ModelSource, settings: Settings) -> RecordedAnswers:
    """The answers at ``source``, which are not read yet.

    Raises:
        UsageError: a factory was given.
    """
    return questions.source_of(
        source, [source.path], settings, lambda: _read(source.path, source.name, settings.metric)
    )


def _read(path: Path, name: str, metric: str | None) -> Read:
    try:
        log = parse.json(regular.text(path), finite=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected a log of inspect_ai, found {error}", hint=_HINT) from error
    about = log.get("eval") if isinstance(log, dict) else None
    if not isinstance(about, dict):
        raise ModelError(f"{path}: the log does not say what was evaluated", hint=_HINT)
    if log.get("status") != "success":
        raise ModelError(
            f"{path}: the run did not come to its end, its status is {log.get('status')!r}",
            hint="run it again: inspect eval-retry",
        )
    samples = log.get("samples")
    if not isinstance(samples, list) or not samples or not all(isinstance(each, dict) for each in samples):
        raise ModelError(f"{path}: the log holds no samples, or none that are objects", hint=_HINT)
    scorer = _scorer(path, samples[0], metric)
    task = str(about.get("task", path.stem))
    epochs = {str(sample.get("epoch", 1)) for sample in samples}
    answers = [_answer(f"{path}, sample {i}", each, task, scorer, len(epochs) > 1) for i, each in enumerate(samples, 1)]
    why = "as told" if metric is not None else "the only scorer"
    told = Assumption(subject=name, what="right answer", value=f"by {scorer}", why=why, option="--metric NAME")
    return Read(answers=answers, assumptions=(told,))


def _scorer(path: Path, sample: Mapping[str, Any], metric: str | None) -> str:
    known = list(_object(sample, "scores"))
    if metric is not None and metric not in known:
        raise UsageError(f"--metric {metric}: {path} has no such scorer", hint=spelling.hint(metric, known))
    if metric is None and len(known) != 1:
        raise UsageError(
            f"{path}: nothing says which scorer is meant, of {', '.join(known) or 'none'}",
            hint=f"name it: --metric {known[0] if known else 'match'}",
        )
    return metric or known[0]


def _answer(where: str, sample: Mapping[str, Any], task: str, scorer: str, several: bool) -> Answer:
    score = _object(sample, "scores").get(scorer)
    if "id" not in sample or not isinstance(score, dict) or "value" not in score:
        raise ModelError(f"{where}: expected a sample with an id and a score by {scorer}", hint=_HINT)
    value, target, output = score["value"], sample.get("target", ""), _object(sample, "output")
    said = score.get("answer") if score.get("answer") is not None else output.get("completion", "")
    return Answer(
        task=task,
        key=str(sample["id"]),
        repeat=str(sample.get("epoch", 1)) if several else "",
        value=_WORDS.get(value, value) if isinstance(value, str) else value,
        where=where,
        asked=questions.shortened(_input(sample.get("input", ""))),
        right=questions.shortened(", ".join(map(str, target)) if isinstance(target, list) else target),
        gave=questions.shortened(said),
        columns=questions.scalars(_object(sample, "metadata")),
    )


def _object(sample: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object ``name`` of a ``sample``; an empty one where there is none."""
    found = sample.get(name)
    return found if isinstance(found, dict) else {}


def _input(given: Any) -> str:
    """What was asked: a text, or the last of several messages."""
    if isinstance(given, list) and given and isinstance(given[-1], dict):
        given = given[-1].get("content", "")
    return str(given)

"""Rows of lm-eval as a run logs them, for tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DATE = "2026-01-16T15-23-47.285735"


def row(number: int, right: bool, *, metric: str = "acc", filter_: str = "none", **more: Any) -> dict[str, Any]:
    """A document with two choices, of which the second is right where the number is odd."""
    target = number % 2
    picked = target if right else 1 - target
    document = {"question": f"Is {number} odd?", "subject": ("few", "many")[number > 3], "n": number}
    return {
        "doc_id": number,
        "doc": document,
        "target": str(target),
        "arguments": {
            f"gen_args_{k}": {"arg_0": f"Is {number} odd?", "arg_1": c} for k, c in enumerate((" no", " yes"))
        },
        "resps": [[["-1.0" if k == picked else "-2.0", "False"]] for k in range(2)],
        "filtered_resps": [["-1.0" if k == picked else "-2.0", "False"] for k in range(2)],
        "filter": filter_,
        "metrics": [metric],
        "doc_hash": hashed(document),
        "prompt_hash": hashed(number),
        "target_hash": hashed(target),
        metric: float(right),
        **more,
    }


def hashed(value: object) -> str:
    """As lm-eval hashes it."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def written(folder: Path, tasks: Mapping[str, Iterable[Mapping[str, Any]]], date: str = DATE) -> Path:
    """``folder`` with a file of samples for each of the ``tasks``."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, rows in tasks.items():
        lines = "".join(json.dumps(each) + "\n" for each in rows)
        (folder / f"samples_{task}_{date}.jsonl").write_text(lines, "utf-8")
    return folder

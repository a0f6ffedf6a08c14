"""Recorded tags are told from every other recorded model; what they find stands in tests/tasks/test_spans.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prune_audit import data, models, plugins
from prune_audit.core import DataSource, Expects, Finds, ModelSource, Settings, Things
from prune_audit.errors import AlignmentError, ModelError, UsageError

COLUMNS = "EU B-ORG\nrejects O\n\n"


@pytest.mark.parametrize(
    "text",
    [
        *(COLUMNS, COLUMNS.replace(" ", "\t"), '", O\nid O\n\n'),
        *(number * '{"tokens": ["a"], "tags": ["O"]}\n' for number in (1, 2)),
    ],
)
def test_told_by_content_and_by_no_other_format(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(text)
    assert [name for name, module in plugins.loaded("models") if module.recognises(path)] == ["tags"]
    assert [name for name, module in plugins.loaded("data") if module.recognises(DataSource(path=path))] == ["tags"]


def test_what_tags_cannot_do_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(COLUMNS)
    with pytest.raises(UsageError, match="need no factory"):
        models.load(ModelSource(name="a", path=path, factory="x:y"), Settings())
    model = models.load(ModelSource(name="a", path=path), Settings())
    assert isinstance(model, Finds)
    assert (model.card.recorded, model.expects.runs) == (True, False)
    with pytest.raises(AlignmentError, match="holds tags of words"):
        model.outputs((), np.empty(0, np.int64), ())
    things = data.load(DataSource(path=path), Expects(), Settings())
    assert isinstance(things, Things)
    other = tmp_path / "ends.txt"
    other.write_text(COLUMNS.replace("B-", "S-"))
    strict = models.load(ModelSource(name="a", path=other), Settings(scheme="iob2"))
    assert isinstance(strict, Finds)
    with pytest.raises(ModelError, match="line 1: the tag 'S-ORG', which iob2 does not have"):
        strict.found(things)

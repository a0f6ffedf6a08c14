"""Tagged sentences as things: entities, their sentences and their groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune_audit import data
from prune_audit.core import DataSource, Expects, Settings, Things
from prune_audit.errors import DataError, UsageError


def loaded(path: Path, text: str, settings: Settings | None = None) -> Things:
    path.write_text(text)
    found = data.load(DataSource(path=path), Expects(), settings or Settings())
    assert isinstance(found, Things)
    return found


def test_entities_are_things_and_sentences_their_cluster(tmp_path: Path) -> None:
    text = "-DOCSTART- O\n\na B-X\nb I-X\nc O\nd B-Y\n\n-DOCSTART- O\n\ne B-X\n"
    things = loaded(tmp_path / "gold", text)
    assert (things.task, things.classes, things.cluster) == ("spans", ("X", "Y"), "sentence")
    assert (things.ids, things.labels.tolist()) == (("1:1-2", "1:4-4", "2:1-1"), [0, 1, 0])
    assert {name: values.tolist() for name, values in things.groups.items()} == {
        "sentence": ["1", "1", "2"],
        "document": ["1", "1", "2"],
        "words": ["2", "1", "1"],
    }
    assert things.texts == ("[a b] c d", "a b c [d]", "[e]")
    other = loaded(tmp_path / "gold", text.replace("c O", "C O"))
    assert (other.digests == things.digests).tolist() == [False, False, True]
    assert other.beside != things.beside


def test_what_is_no_labelled_sentence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no word is tagged as an entity"):
        loaded(tmp_path / "gold", "a O\nb O\n")
    with pytest.raises(DataError, match="line 1: the tag 'S-X', which iob2 does not have"):
        loaded(tmp_path / "gold", "a S-X\n", Settings(scheme="iob2"))
    with pytest.raises(UsageError, match="tagged words, to which --classes does not apply"):
        data.load(DataSource(path=tmp_path / "gold", classes=("a",)), Expects(), Settings())

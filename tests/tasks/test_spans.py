"""Entities read out of tags against seqeval, and what counts as found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prune_audit import audit
from prune_audit.choices import Scheme
from prune_audit.core import Audit, DataSource, ModelSource, Settings
from prune_audit.errors import AlignmentError, UsageError
from prune_audit.tasks.spans import entities, scheme_of

Sentence = tuple[Sequence[str], Sequence[str]]
LABELLED: list[Sentence] = [
    (("Ada", "Lovelace", "met", "Babbage", "in", "London"), ("B-PER", "I-PER", "O", "B-PER", "O", "B-LOC")),
    (("He", "left", "Turin"), ("O", "O", "B-LOC")),
]


def tags(kinds: str) -> st.SearchStrategy[list[str]]:
    one = st.builds(
        lambda kind, of: kind if kind == "O" else f"{kind}-{of}", st.sampled_from(kinds), st.sampled_from("XY")
    )
    return st.lists(one, min_size=1, max_size=9)


@given(st.sampled_from(["OBI", "OBIES"]).flatmap(tags))
def test_entities_are_those_of_seqeval(row: list[str]) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    assert entities(row) == get_entities(row)


@pytest.mark.parametrize(("scheme", "kinds"), [("iob2", "OBI"), ("bioes", "OBIES"), ("bilou", "OBILU")])
def test_entities_of_a_scheme_are_those_of_seqeval(scheme: Scheme, kinds: str) -> None:
    from seqeval.scheme import BILOU, IOB2, IOBES, Entities

    theirs = {"iob2": IOB2, "bioes": IOBES, "bilou": BILOU}[scheme]

    @given(tags(kinds))
    def alike(row: list[str]) -> None:
        [found] = Entities([row], theirs).entities
        assert entities(row, scheme) == [(each.tag, each.start, each.end - 1) for each in found]

    alike()
    with pytest.raises(ValueError, match="the tag 'Z-X', which"):
        entities(["Z-X"], scheme)


@given(tags("OBI"))
def test_singles_and_ends_have_two_names(row: list[str]) -> None:
    whole = ["B-X", *row]
    named = [tag.replace("B-", "U-") for tag in whole]
    assert entities(named) == entities([tag.replace("B-", "S-") for tag in whole])


@pytest.mark.parametrize(
    ("row", "scheme"),
    [
        (["B-X", "I-X", "O"], "IOB2"),
        (["I-X", "I-X", "B-X"], "IOB1"),
        (["B-X", "I-Y"], "IOB1"),
        (["S-X", "O"], "BIOES"),
        (["U-X", "B-Y", "L-Y"], "BILOU"),
    ],
)
def test_the_scheme_is_told_by_the_tags(row: list[str], scheme: str) -> None:
    assert scheme_of([row, ["O"]]) == scheme


def written(path: Path, sentences: Sequence[Sentence]) -> Path:
    rows = ["".join(f"{word} NN {tag}\n" for word, tag in zip(*each, strict=True)) for each in sentences]
    path.write_text("-DOCSTART- -X- O\n\n" + "\n".join(rows), "utf-8")
    return path


def compared(
    folder: Path, dense: Sequence[Sentence], pruned: Sequence[Sentence], settings: Settings | None = None
) -> Audit:
    paths = [written(folder / f"{name}.txt", each) for name, each in (("dense", dense), ("pruned", pruned))]
    sources = [ModelSource(name=path.stem, path=path) for path in paths]
    data = DataSource(path=written(folder / "gold.conll", LABELLED))
    return audit.run(sources[0], sources[1:], data, settings or Settings(by=("words", "document")))


def changed(first: str, second: str = "O O B-LOC") -> list[Sentence]:
    return [(LABELLED[0][0], first.split()), (LABELLED[1][0], second.split())]


def test_an_entity_is_found_where_its_words_and_its_type_are(tmp_path: Path) -> None:
    # A person too long, one taken for a place, one place found, one missed; a person where nobody is.
    worse = changed("B-PER I-PER I-PER B-LOC O B-LOC", "B-PER O O")
    done = compared(tmp_path, LABELLED, worse)
    pair = done.comparisons[0].view().pair
    assert pair.strata == ("LOC", "PER")
    assert [getattr(pair, kind).tolist() for kind in ("both", "lost", "gained", "neither")] == [
        [1, 0], [1, 2], [0, 0], [0, 0],
    ]  # fmt: skip
    assert pair.clusters is not None
    assert done.provenance.data_digest
    measures = {measure.name: measure.by_stratum for measure in done.comparisons[0].view().measures}
    assert measures["pruned_precision"] == (0.5, 0.0)  # Babbage and London; two persons who are none
    flips = {flip.id: (flip.label, flip.pruned, flip.asked) for flip in done.comparisons[0].flips}
    assert flips == {
        "1:1-2": ("PER", "missed", "[Ada Lovelace] met Babbage in London"),
        "1:4-4": ("PER", "LOC", "Ada Lovelace met [Babbage] in London"),
        "2:3-3": ("LOC", "missed", "He left [Turin]"),
    }
    assert done.comparisons[0].view("words").pair.strata == ("1", "2")
    said = {each.what: each.value for each in done.provenance.assumptions}
    assert said["scheme of tags"] == "any (IOB2, by its tags)"
    assert said["entities"] == "4 tagged, 3 of them where there are none"


def test_columns_and_lines_say_the_same(tmp_path: Path) -> None:
    worse = changed("B-PER I-PER O O O B-LOC")
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps({"tokens": a, "tags": b, "site": "x"}) + "\n" for a, b in worse))
    gold = tmp_path / "gold.jsonl"
    gold.write_text("".join(json.dumps({"tokens": a, "tags": b, "site": "x"}) + "\n" for a, b in LABELLED))
    columns = compared(tmp_path, LABELLED, worse).comparisons[0].view().pair
    sources = [ModelSource(name=path.stem, path=path) for path in (gold, lines)]
    pair = audit.run(sources[0], sources[1:], DataSource(path=gold), Settings(by=("site",))).comparisons[0].view().pair
    assert (pair.lost.tolist(), pair.both.tolist()) == (columns.lost.tolist(), columns.both.tolist())


def test_a_strict_scheme_takes_no_entity_that_is_not_whole(tmp_path: Path) -> None:
    open_ = changed("I-PER I-PER O B-PER O B-LOC")
    assert compared(tmp_path, LABELLED, open_).comparisons[0].view().pair.lost.tolist() == [0, 0]
    strict = compared(tmp_path, LABELLED, open_, Settings(scheme="iob2"))
    assert strict.comparisons[0].view().pair.lost.tolist() == [0, 1]
    assert {each.value for each in strict.provenance.assumptions if each.what == "scheme of tags"} == {"iob2, strictly"}


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    renamed = [
        (words, [tag.replace("PER", "person").replace("LOC", "place") for tag in row]) for words, row in LABELLED
    ]
    with pytest.raises(AlignmentError, match=r"finds 0.0% of 4 entities.*labelled with, such as 'person'"):
        compared(tmp_path, renamed, LABELLED)
    assert "types that nothing is labelled with" in " ".join(compared(tmp_path, LABELLED, renamed).provenance.notes)
    with pytest.raises(AlignmentError, match=r"line 3: the sentence is another one .* word 2 is 'met', not 'Lovelace'"):
        compared(tmp_path, [(("Ada", "met"), ("B-PER", "O")), LABELLED[1]], LABELLED)
    with pytest.raises(AlignmentError, match="it has 2 words, not 6"):
        compared(tmp_path, [(LABELLED[0][0][:2], ("B-PER", "O")), LABELLED[1]], LABELLED)
    with pytest.raises(AlignmentError, match=r"holds 1 sentences, and .* 2"):
        compared(tmp_path, LABELLED[:1], LABELLED)
    with pytest.raises(AlignmentError, match=r"line \d+: the sentence is another one"):
        compared(tmp_path, [LABELLED[1]], LABELLED)  # which says more than how many there are
    for asked in (Settings(score=0.5), Settings(named=("operating_point",))):
        with pytest.raises(UsageError, match="tags carry none"):
            compared(tmp_path, LABELLED, LABELLED, asked)


def test_a_model_against_itself_flips_nothing(tmp_path: Path) -> None:
    pair = compared(tmp_path, LABELLED, LABELLED).comparisons[0].view().pair
    assert int(np.sum(pair.lost + pair.gained)) == 0

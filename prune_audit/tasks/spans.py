"""Entities in sentences: one is found where a model tags the same words, all of them and no others, as the same type.

What an entity is in a row of tags is read as `seqeval` reads it, and ``conlleval`` of CoNLL-2000 before it: by default
in any scheme, IOB1, IOB2 or with ends and singles, where a tag inside without a beginning begins an entity, too. Where
a scheme is named, what is not whole in it is no entity (``mode="strict"`` of seqeval). Tags carry no scores, so that
models are compared as recorded. The sentence is what entities lie in together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from prune_audit.choices import Scheme
from prune_audit.core import (
    RECALLS,
    Answers,
    Array,
    Assumption,
    Counts,
    FalseFindings,
    Found,
    Outputs,
    Predictions,
    Settings,
    Task,
    Things,
)
from prune_audit.errors import AlignmentError, AuditError, UsageError
from prune_audit.tasks import Judged
from prune_audit.tasks._pairs import flips, right_of, samples
from prune_audit.tasks._precision import pair

SENTENCE = "sentence"
"""The column of what entities lie in together."""
TASK = Task(
    name="spans",
    thing=("entity", "entities"),
    stratum=("type", "types"),
    source=("sentence", "sentences"),
    rates=RECALLS,
    lacks={
        "scores": "tags carry no scores",
        "guessing": "nobody finds entities by guessing among types",
    },
    missed="missed",
)
READS = ("scheme", "operating_point", "score")  # the last two to be refused, with the reason
FEW = 0.05
"""The share of entities below which a dense model is taken for one of other types or another scheme."""
LIKE_SEQEVAL = "as seqeval reads tags where no scheme is named"
_ALLOWED = {"iob2": "BIO", "bioes": "BIOES", "bilou": "BILOU"}
_ENDS = {"L": "E", "U": "S"}

Span: TypeAlias = tuple[str, int, int]
"""Type, first word and last word."""

__all__ = ["SENTENCE", "TASK", "Tagged", "entities", "flips", "judge", "pair", "right_of", "samples", "scheme_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tagged:
    """The labelled sentences (N,): their ``words``, ``spans``, and ``groups`` of what they lie in (N,)."""

    words: Sequence[tuple[str, ...]]
    spans: Sequence[Sequence[Span]]
    groups: dict[str, Array]


def entities(tags: Sequence[str], scheme: Scheme = "any") -> list[Span]:
    """The entities in the ``tags`` of one sentence, in their order.

    Raises:
        ValueError: a tag is not of the ``scheme``.
    """
    if scheme != "any" and (stray := next((tag for tag in tags if tag[0] not in _ALLOWED[scheme]), None)) is not None:
        raise ValueError(f"the tag {stray!r}, which {scheme} does not have")
    parts = [(_ENDS.get(tag[0], tag[0]), tag[2:] or "_") for tag in tags]
    if scheme != "any":
        return _strict(parts, open_end=scheme == "iob2")
    found: list[Span] = []
    begun, before, of_before = 0, "O", ""
    for at, (kind, of) in enumerate([*parts, ("O", "_")]):
        begins = kind in "BS" or (kind in "IE" and (before in "OES" or of != of_before))
        if before != "O" and (begins or kind == "O"):
            found.append((of_before, begun, at - 1))
        begun, before, of_before = at if begins else begun, kind, of
    return found


def read(sentences: Iterable[tuple[str, Sequence[str]]], scheme: Scheme, error: type[AuditError]) -> list[list[Span]]:
    """The entities in ``sentences``, each of where it stands and its tags.

    Raises:
        AuditError: of the kind ``error``: a tag is not of the ``scheme``.
    """
    found = []
    for where, tags in sentences:
        try:
            found.append(entities(tags, scheme))
        except ValueError as fault:
            raise error(f"{where}: {fault}", hint="name another --scheme, or none") from fault
    return found


def _strict(parts: Sequence[tuple[str, str]], *, open_end: bool) -> list[Span]:
    """Entities that begin with B, go on with I of their type and end with E, unless they may be open, or are S."""
    found: list[Span] = []
    at = 0
    while at < len(parts):
        kind, of = parts[at]
        last = at
        if kind == "B":
            while last + 1 < len(parts) and parts[last][0] in "BI" and parts[last + 1] in (("I", of), ("E", of)):
                last += 1
            if open_end or parts[last][0] == "E":
                found.append((of, at, last))
        elif kind == "S":
            found.append((of, at, at))
        at = last + 1
    return found


def scheme_of(tags: Sequence[Sequence[str]]) -> str:
    """The scheme that sentences are tagged in, by the kinds of tags that there are."""
    kinds = {tag[0] for each in tags for tag in each}
    if kinds & {"L", "U"}:
        return "BILOU"
    if kinds & {"E", "S"}:
        return "BIOES"
    inside = any(
        tag[0] == "I" and (before[0] == "O" or before[2:] != tag[2:])
        for each in tags
        for before, tag in zip(["O", *each], each, strict=False)
    )
    return "IOB1" if inside else "IOB2"


def judge(things: Things, found: Sequence[Found], settings: Settings) -> Judged:
    """Which entities each model, the dense one first, finds, and which it finds where there are none.

    Raises:
        AlignmentError: the dense model finds next to nothing.
        UsageError: a threshold of scores was asked for.
    """
    asked = {"score", "operating_point"} & set(settings.named)
    if asked or settings.score is not None or settings.operating_point != "false-detections":
        raise UsageError(
            "--score and --operating-point need scores, and tags carry none",
            hint="leave them out: models are compared as recorded",
        )
    tagged: Tagged = things.detail
    right = {each.name: each.scores > 0 for each in found}
    dense = found[0]
    share = float(right[dense.name].mean())
    if share < FEW and len(found) > 1:
        wrong = Counter(dense.detail).most_common(3)
        told = f"; it names types that nothing is labelled with, such as {wrong[0][0]!r}" if wrong else ""
        raise AlignmentError(
            f"the dense model {dense.name} finds {share:.1%} of {len(things.ids):,} entities, so that nothing could be "
            f"lost{told}",
            hint="most likely its types are called otherwise, or its tags are of another --scheme",
        )
    lies_in = tagged.groups[settings.cluster or SENTENCE]
    none = np.full(len(things.ids), -1)
    outputs = tuple(
        Outputs(
            name=each.name,
            predicted=np.where(right[each.name], things.labels, none if each.answers is None else each.answers),
        )
        for each in found
    )
    return Judged(
        predictions=Predictions(
            classes=things.classes,
            ids=things.ids,
            labels=things.labels,
            models=outputs,
            groups=things.groups,
            digests=things.digests,
            task=TASK,
            right=right,
            false={each.name: FalseFindings(labels=each.false_labels, within=lies_in[each.false_in]) for each in found},
            answers=Answers(asked=things.texts),
        ),
        assumptions=tuple(
            Assumption(
                subject=each.name,
                what="entities",
                value=f"{len(each.false_labels) + int(right[each.name].sum()):,} tagged, "
                f"{len(each.false_labels):,} of them where there are none",
                why="there are no scores, so that no threshold can be chosen",
                option="record the tags of another threshold",
            )
            for each in found
        ),
        notes=tuple(
            f"{each.name} tags {len(each.detail):,} entities of types that nothing is labelled with, such as "
            f"{each.detail[0]!r}: they count for nothing"
            for each in found
            if each.detail
        ),
    )


def matched(things: Things, spans: Sequence[Sequence[Span]]) -> tuple[Counts, Counts, Counts, Counts, list[str]]:
    """What ``spans`` of each sentence (N,) find of ``things``.

    Which things are found (T,), 1 or 0; the types that others are taken for (T,), -1 for none; of what is found where
    there is nothing, the type and the sentence (F,); and the types that nothing is labelled with.
    """
    tagged: Tagged = things.detail
    at = {name: position for position, name in enumerate(things.classes)}
    hit: list[int] = []
    taken: list[int] = []
    false: list[tuple[int, int]] = []
    stray: list[str] = []
    for sentence, (truth, own) in enumerate(zip(tagged.spans, spans, strict=True)):
        said = {(first, last): of for of, first, last in own}
        hit += [said.get((first, last)) == of for of, first, last in truth]
        taken += [at.get(said.get((first, last), ""), -1) for _, first, last in truth]
        known = set(truth)
        wrong = [each for each in own if each not in known]
        false += [(at[of], sentence) for of, _, _ in wrong if of in at]
        stray += [of for of, _, _ in wrong if of not in at]
    pairs = np.array(false, np.int64).reshape(-1, 2)
    return np.array(hit, np.int64), np.array(taken, np.int64), pairs[:, 0], pairs[:, 1], stray

"""Tagged sentences, in CoNLL's columns or as JSON lines: the entities that are to be found in them.

An entity is a thing, the sentence its cluster. Groups are how many words an entity has, the document where the file
marks it, and further short keys of JSON lines.
"""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np

from prune_audit.core import DATA, Array, Assumption, DataSource, Expects, Settings, Things
from prune_audit.data import _unsupported
from prune_audit.errors import DataError
from prune_audit.files import tags
from prune_audit.tasks import spans
from prune_audit.tasks.spans import SENTENCE, Tagged

TASK = spans.TASK.name
MISSING = "(missing)"
_AROUND = 6  # words shown on each side of an entity


def recognises(source: DataSource) -> bool:
    """Whether the file begins with tagged words."""
    return tags.told(source.path)


def load(source: DataSource, expects: Expects, settings: Settings) -> Things:  # noqa: ARG001  # as every format
    """The entities, in the order of the file.

    Raises:
        DataError: the file is damaged, a tag is not of the scheme, or there is no entity.
        UsageError: something was asked for that tags do not have.
    """
    path = source.path
    _unsupported.refuse(source, "tagged words", has=(), but=("classes", "class_map", "label_column"))
    read = tags.read(path, DataError)
    found = spans.read(zip(read.where, read.tags, strict=True), settings.scheme, DataError)
    if not any(found):
        raise DataError(f"{path}: no word is tagged as an entity", hint=f"expected are {tags.EXPECTED}")
    classes = tuple(sorted({of for each in found for of, _, _ in each}))
    lies_in = {SENTENCE: np.array([str(n + 1) for n in range(len(found))], object)}
    for name in {name: None for keys in read.keys for name in keys}:
        lies_in.setdefault(name, np.array([keys.get(name, MISSING) for keys in read.keys], object))
    within = np.array([n for n, each in enumerate(found) for _ in each], np.int64)
    flat = [(n, *span) for n, each in enumerate(found) for span in each]
    groups: dict[str, Array] = {name: values[within] for name, values in lies_in.items()}
    lengths = [last - first + 1 for _, _, first, last in flat]
    groups.setdefault("words", np.array([str(each) if each < 4 else "4 or more" for each in lengths], object))
    return Things(
        task=TASK,
        path=str(path),
        classes=classes,
        ids=tuple(f"{n + 1}:{first + 1}-{last + 1}" for n, _, first, last in flat),
        labels=np.array([classes.index(of) for _, of, _, _ in flat], np.int64),
        groups=groups,
        cluster=SENTENCE,
        digests=np.array([_digest(read.words[n], first, last) for n, _, first, last in flat], np.uint64),
        texts=tuple(_shown(read.words[n], first, last) for n, _, first, last in flat),
        assumptions=(_told(settings, read),),
        detail=Tagged(words=read.words, spans=found, groups=lies_in),
        beside=hashlib.sha256(repr(read.words).encode("utf-8", "surrogatepass")).hexdigest(),
    )


def _told(settings: Settings, read: tags.Sentences) -> Assumption:
    looks = spans.scheme_of(read.tags)
    kinds = Counter(tag[0] for each in read.tags for tag in each)
    return Assumption(
        subject=DATA,
        what="scheme of tags",
        value=f"{settings.scheme}, strictly" if settings.scheme != "any" else f"any ({looks}, by its tags)",
        why="as told"
        if settings.scheme != "any"
        else f"{spans.LIKE_SEQEVAL}; there are "
        + ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items())),
        option="--scheme",
    )


def _shown(words: tuple[str, ...], first: int, last: int) -> str:
    """An entity between brackets, among the words around it."""
    before, behind = words[max(0, first - _AROUND) : first], words[last + 1 : last + 1 + _AROUND]
    return " ".join([*before, f"[{' '.join(words[first : last + 1])}]", *behind])


def _digest(words: tuple[str, ...], first: int, last: int) -> int:
    content = repr((words, first, last)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")

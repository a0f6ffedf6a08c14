"""Texts as tokens, by a tokenizer.json: how long they may be, how they are padded, how many had to be cut.

The tokenizer's own settings decide the padding token and the side; where the file leaves them out, as transformers
often does, ``tokenizer_config.json`` beside it has them. Nothing is guessed: padding with a wrong token changes
predictions of models that take no mask. Tokens are kept end to end as int32, without padding, which for a million
sentences is a hundred megabytes instead of gigabytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from prune_audit.core import Array, Counts
from prune_audit.errors import DataError, MissingExtra, UsageError
from prune_audit.files import parse, regular

PADS = ("[PAD]", "<pad>", "<PAD>")
_BLOCK = 4096
_TRIAL = "A text, to see whether it can be read."
_NONE = type(None)
_FIELDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("pad_token", (str, _NONE), "a token"),
    ("padding_side", (str, _NONE), "left or right"),
    ("model_max_length", (int, float, _NONE), "a number of tokens"),
)
_REPAIR = "repair it, or move the tokenizer elsewhere"
_ENDLESS = 10**6  # what transformers writes as model_max_length where there is none is far above


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokenizer:
    """A tokenizer as its file has it. ``limit`` is in tokens, those that it adds included, None where it has none."""

    path: Path
    digest: str
    pad_id: int | None
    pad_type: int
    left: bool
    limit: int | None
    own: Any  # the library's tokenizer

    def cut_at(self, limit: int | None) -> None:
        """Truncate to ``limit`` tokens from now on. Raises `UsageError` where nothing would be left of a text."""
        added = self.own.num_special_tokens_to_add(False)
        if limit is None:
            self.own.no_truncation()
            return
        if limit <= added:
            raise UsageError(
                f"{limit} tokens are too few: {self.path} adds {added} to every text",
                hint="give --max-length what the model was trained with",
            )
        direction = (self.own.truncation or {}).get("direction", "right")
        self.own.enable_truncation(limit, direction=direction)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """The tokens of N texts, end to end: those of text i are ``[ends[i]:ends[i + 1]]``. ``cut`` counts those cut."""

    ids: Array  # int32 (T,)
    types: Array  # uint8 (T,)
    ends: Counts  # (N + 1,)
    cut: int


def read(path: Path) -> Tokenizer:
    """The tokenizer at ``path``, or of the model's folder that ``path`` is.

    Raises:
        DataError: there is no such file, or it is no tokenizer.
        MissingExtra: the library `tokenizers` is not installed.
    """
    try:
        import tokenizers
    except ImportError as fault:
        raise MissingExtra(
            "texts are tokenised by the library tokenizers, which is not installed",
            hint="pip install 'prune-audit[text]'",
        ) from fault
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        content = regular.content(file)
    except OSError as fault:
        raise DataError(
            f"{file}: the tokenizer cannot be read: {fault.strerror}",
            hint="--tokenizer takes a tokenizer.json of Hugging Face; tokenizer.save_pretrained writes one",
        ) from fault
    try:
        _check_template(parse.json(content, finite=False))
        own = tokenizers.Tokenizer.from_str(content.decode("utf-8"))
        own.encode(_TRIAL)
    # The library raises Exception itself for whatever it cannot read, and worse where its own checks fail.
    except BaseException as fault:
        if not _is_of_the_file(fault):
            raise
        raise DataError(
            f"{file}: no tokenizer: {fault}",
            hint="expected is a tokenizer.json as the library tokenizers writes it; vocab.txt and *.model files can "
            "be converted by transformers (AutoTokenizer, save_pretrained)",
        ) from fault
    beside = _config(file.with_name("tokenizer_config.json"))
    padding, truncation = own.padding or {}, own.truncation or {}
    names = [padding.get("pad_token"), beside.get("pad_token"), *PADS]
    by_name = next((at for name in names if name and (at := own.token_to_id(name)) is not None), None)
    longest = beside.get("model_max_length")
    limit = truncation.get("max_length") or (int(longest) if longest is not None and longest < _ENDLESS else None)
    own.no_padding()
    return Tokenizer(
        path=file,
        digest=hashlib.sha256(content).hexdigest(),
        pad_id=padding.get("pad_id", by_name),
        pad_type=padding.get("pad_type_id", 0),
        left=(padding.get("direction") or beside.get("padding_side")) == "left",
        limit=limit,
        own=own,
    )


def tokenised(tokenizer: Tokenizer, texts: Iterable[str]) -> Tokens:
    """The tokens of ``texts``; an empty text has none."""
    ids, types = [np.empty(0, np.int32)], [np.empty(0, np.uint8)]
    lengths, cut = [0], 0
    for block in _blocks(texts):
        made = [encoding for text, encoding in zip(block, _encoded(tokenizer, block), strict=True) if text]
        try:
            ids.append(np.array([at for encoding in made for at in encoding.ids], np.int32))
            types.append(np.array([at for encoding in made for at in encoding.type_ids], np.uint8))
        except OverflowError as fault:
            raise DataError(
                f"{tokenizer.path}: a token is numbered beyond what models take: {fault}",
                hint="save the tokenizer again as it was trained",
            ) from fault
        found = iter(made)
        lengths += [len(next(found).ids) if text else 0 for text in block]
        cut += sum(bool(encoding.overflowing) for encoding in made)
    return Tokens(ids=np.concatenate(ids), types=np.concatenate(types), ends=np.cumsum(lengths), cut=cut)


def _encoded(tokenizer: Tokenizer, block: list[str]) -> list[Any]:
    try:
        encoded: list[Any] = tokenizer.own.encode_batch(block)
    # As when it is read: whatever it cannot do to a text is an Exception, or a panic.
    except BaseException as fault:
        if not _is_of_the_file(fault):
            raise
        raise DataError(
            f"{tokenizer.path}: a text cannot be tokenised: {fault}",
            hint="save the tokenizer again as it was trained; is the vocabulary whole, and does it have its unknown "
            "token?",
        ) from fault
    return encoded


def _is_of_the_file(fault: BaseException) -> bool:
    """Whether ``fault`` says something of the file. What Rust's libraries raise where they give up is no Exception."""
    panicked = type(fault).__name__ == "PanicException"
    return panicked or (isinstance(fault, Exception) and not isinstance(fault, MemoryError))


def _check_template(content: Any) -> None:
    """That a template knows every token that it adds, which the library finds out with a panic at the first text."""
    parts = [content.get("post_processor") if isinstance(content, dict) else None]
    for part in parts:
        if not isinstance(part, dict):
            continue
        inner = part.get("processors")
        parts += inner if isinstance(inner, list) else []
        known = part.get("special_tokens")
        if part.get("type") != "TemplateProcessing" or not isinstance(known, dict):
            continue
        for way in ("single", "pair"):
            pieces = part.get(way)
            for piece in pieces if isinstance(pieces, list) else []:
                token = piece.get("SpecialToken") if isinstance(piece, dict) else None
                if isinstance(token, dict) and token.get("id") not in known:
                    raise ValueError(f"its template adds a token {token.get('id')!r} that special_tokens does not have")


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while block := list(islice(rest, _BLOCK)):
        yield block


def _config(path: Path) -> dict[str, Any]:
    """The settings beside a tokenizer, none where there are none; a token may be written as an object."""
    if not path.is_file():
        return {}
    try:
        found = parse.json(regular.text(path), finite=False)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: no JSON: {fault}", hint=_REPAIR) from fault
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(found).__name__}", hint=_REPAIR)
    pad = found.get("pad_token")
    found |= {"pad_token": pad.get("content") if isinstance(pad, dict) else pad}
    for name, kinds, expected in _FIELDS:
        if not isinstance(found.get(name), kinds) or isinstance(found.get(name), bool):
            raise DataError(f"{path}: {name}: expected {expected}, found {repr(found[name])[:60]}", hint=_REPAIR)
    return found

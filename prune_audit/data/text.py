"""A CSV or Parquet table of texts and their labels, tokenised by a tokenizer.json (--tokenizer).

All texts are padded to one length, the longest of the whole data set or what the model declares, so that no
prediction depends on which samples share a batch. Texts are cut only where ``--max-length``, the model or the tokenizer
sets a limit, and how many were is said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prune_audit.core import Array, Assumption, Batch, Counts, Dataset, DataSource, Expects, Input, Preprocess, Settings
from prune_audit.data import _arrays, _rows, _tokens, _unsupported
from prune_audit.errors import AlignmentError, DataError
from prune_audit.files import fingerprint, tables

# What models call the three things that are made of a text.
CALLED = {
    "ids": ("input_ids", "ids", "token_ids", "tokens", "input"),
    "mask": ("attention_mask", "mask", "input_mask"),
    "types": ("token_type_ids", "type_ids", "segment_ids"),
}
ALONE = Input(name="input_ids")
HAS = ("id_column", "text_column", "tokenizer", "max_length")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextDataset:
    """A `prune_audit.core.Dataset` of N texts as tokens; ``feeds`` says for each input what it gets, as in `CALLED`."""

    name: str
    path: str
    classes: tuple[str, ...]
    labels: Counts  # (N,)
    ids: tuple[str, ...]
    groups: Mapping[str, Array]
    notes: tuple[str, ...]
    tokens: _tokens.Tokens
    tokenizer: _tokens.Tokenizer
    length: int
    feeds: Mapping[str, tuple[str, str]]  # input name -> (what, dtype)
    empty: str  # why a text without tokens cannot be read
    indexed: bool = False
    preprocess: Preprocess | None = None
    assumptions: tuple[Assumption, ...] = ()

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """The texts at ``rows``, padded: each input (B, L)."""
        at = np.asarray(rows, np.int64)
        starts, lengths = self.tokens.ends[at], self.tokens.ends[at + 1] - self.tokens.ends[at]
        good = lengths > 0
        kept, starts, lengths = at[good], starts[good], lengths[good]  # (B,)
        columns = np.arange(self.length)
        first = self.length - lengths if self.tokenizer.left else np.zeros(len(kept), np.int64)  # (B,)
        within = columns - first[:, None]  # (B, L) positions in the text
        mask = (within >= 0) & (within < lengths[:, None])  # (B, L)
        source = (starts[:, None] + within)[mask]
        made = {"mask": mask.astype(np.int64)}
        for what, flat, pad in (
            ("ids", self.tokens.ids, self.tokenizer.pad_id or 0),
            ("types", self.tokens.types, self.tokenizer.pad_type),
        ):
            made[what] = np.full(mask.shape, pad, np.int64)
            made[what][mask] = flat[source]
        digests = np.empty(len(kept), np.uint64)  # (B,)
        for i, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            content = self.tokens.ids[start : start + length].tobytes()
            digests[i] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
        return Batch(
            rows=kept,
            inputs={name: made[what].astype(dtype) for name, (what, dtype) in self.feeds.items()},
            labels=self.labels[kept],
            digests=digests,
            bad=tuple((self.ids[row], self.empty) for row in at[~good].tolist()),
        )

    def fingerprint(self, verify: bool) -> str:  # noqa: ARG002 - the texts were all read
        """Of the tokens and of what makes inputs of them; see `prune_audit.files.fingerprint`."""
        tokens = fingerprint.of_arrays({"ids": self.tokens.ids, "types": self.tokens.types, "ends": self.tokens.ends})
        made = (tokens, self.tokenizer.digest, self.tokenizer.pad_id, self.tokenizer.left, self.length)
        return hashlib.sha256(repr((*made, sorted(self.feeds.items()))).encode()).hexdigest()


def recognises(source: DataSource) -> bool:
    """Whether the file is a table with a column of texts, and none of paths."""
    return tables.form(source) == "texts"


def load(source: DataSource, expects: Expects, settings: Settings) -> Dataset:  # noqa: ARG001 - every format's signature
    """The texts as tokens for the inputs that ``expects`` speaks of; every other column is a group.

    Without a tokenizer, ``--tokenizer``'s or the models' own, only labels and groups can be had.

    Raises:
        DataError: the table or the tokenizer cannot be read, a label is missing or no class, or a tokenizer that has
            to pad names no padding token.
        AlignmentError: a model has an input that is not made of texts.
        UsageError: something was asked for that texts do not have, or too small a limit.
        MissingExtra: the library `tokenizers` is not installed.
    """
    _unsupported.refuse(source, "texts", has=HAS)
    columns = tables.read(source)
    return dataset(
        source, expects, columns, tables.column(source.path, columns, "text", source.text_column, tables.TEXTS)
    )


def dataset(
    source: DataSource,
    expects: Expects,
    columns: Mapping[str, Any],
    named: str,
    own: tuple[str, ...] | None = None,
) -> Dataset:
    """The texts in the column ``named`` of Arrow's ``columns``, wherever these come from; as `load`.

    ``own`` are the classes in the order that the data themselves name them in.
    """
    rows = _rows.rows(source, expects, columns, inputs=(named,), own=own)
    path = source.tokenizer or expects.tokenizer
    if path is None:
        return _arrays.ArrayDataset(
            name=source.path.resolve().name,
            path=str(source.path),
            classes=rows.classes,
            labels=rows.labels,
            ids=rows.ids,
            groups=rows.groups,
            inputs={},
            notes=rows.notes,
            assumptions=rows.assumptions,
            lacks=(
                f"{source.path} holds texts (column {named!r}), and models take numbers",
                "--tokenizer takes the tokenizer.json that the model was trained with",
            ),
        )
    feeds, fixed = _feeds(source, expects)
    tokenizer = _tokens.read(path)
    limit = _limit(source, tokenizer, fixed)
    tokenizer.cut_at(limit)
    tokens = _tokens.tokenised(tokenizer, tables.texts(columns[named]))
    lengths = np.diff(tokens.ends)
    longest, shortest = int(lengths.max()), int(lengths[lengths > 0].min(initial=lengths.max()))
    length = fixed or max(longest, 1)
    if tokenizer.pad_id is None and shortest < length:
        raise DataError(
            f"{tokenizer.path}: texts of {shortest} to {longest} tokens must be padded, and the tokenizer names no "
            "padding token",
            hint="call tokenizer.enable_padding(pad_id=..., pad_token=...) with what the model was trained with, and "
            "save it again",
        )
    return TextDataset(
        name=source.path.resolve().name,
        path=str(source.path),
        classes=rows.classes,
        labels=rows.labels,
        ids=rows.ids,
        groups=rows.groups,
        notes=(_note(tokenizer, shortest, longest, length, tokens.cut, limit), *rows.notes),
        assumptions=rows.assumptions,
        tokens=tokens,
        tokenizer=tokenizer,
        length=length,
        feeds=feeds,
        empty=f"column {named!r} is empty",
    )


def _feeds(source: DataSource, expects: Expects) -> tuple[dict[str, tuple[str, str]], int | None]:
    """What each input gets, with its type, and the length that the inputs are fixed to, None where it is free."""
    inputs = expects.inputs or (ALONE,)
    feeds: dict[str, tuple[str, str]] = {}
    for each in inputs:
        what = next((what for what, names in CALLED.items() if each.name.lower() in names), None)
        dtype = each.dtype or "int64"
        if len(inputs) == 1 and np.dtype(dtype).kind in "iu":
            what = "ids"
        if what is None or np.dtype(dtype).kind not in "iufb" or (what == "ids" and np.dtype(dtype).kind not in "iu"):
            raise AlignmentError(
                f"{source.path}: the model has an input {each.name!r} of {dtype}, which is not made of texts",
                hint="made are whole numbers: "
                + ", ".join(names[0] for names in CALLED.values())
                + "; feed other inputs from an .npz file, with one array for each",
            )
        feeds[each.name] = (what, dtype)
    lengths = {each.shape[1] for each in inputs if each.shape and len(each.shape) == 2 and each.shape[1]}
    return feeds, min(lengths, default=None)


def _limit(source: DataSource, tokenizer: _tokens.Tokenizer, fixed: int | None) -> int | None:
    """The tokens to which texts are cut: what was asked for, else what the model or the tokenizer sets."""
    asked = source.max_length
    if asked is not None and fixed is not None and asked > fixed:
        raise AlignmentError(
            f"--max-length {asked} is more than the {fixed} tokens that the model takes",
            hint=f"leave --max-length out; texts are cut at {fixed}",
        )
    if asked is not None:
        return asked
    limits = [limit for limit in (fixed, tokenizer.limit) if limit is not None]
    return min(limits, default=None)


def _note(tokenizer: _tokens.Tokenizer, shortest: int, longest: int, length: int, cut: int, limit: int | None) -> str:
    told = f"texts are {shortest} to {longest} tokens long by {tokenizer.path.name}, padded to {length}"
    return told + (f"; {cut:,} were cut at {limit}" if cut else "")

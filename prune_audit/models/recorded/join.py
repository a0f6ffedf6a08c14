"""Recorded predictions tied to the samples and classes of an audit: by id, by name, and never by a guess.

A prediction that lands on the wrong sample or class makes a wrong audit that looks like a right one, so everything
that is missing, doubled or unknown stops the run and is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from prune_audit.core import Array, Counts
from prune_audit.errors import AlignmentError
from prune_audit.files.recorded_tables import kind
from prune_audit.files.tables import indices, without_nulls
from prune_audit.tasks.classification import right

if TYPE_CHECKING:
    import pyarrow as pa

_NAMED = 3  # of ids or classes in a message
_PIECE = 2**16  # ids that are made into text at a time
_LIST = re.compile(r"\s*[\[(].*[\])]\s*", re.DOTALL)  # as CSV writes a list, and a NumPy array
# 1.0, too: pandas makes floats of whole numbers where a cell is empty.
_INTEGER = re.compile(r"([+-]?[0-9]{1,300})(?:\.0*)?")


def rows(path: str, column: str, given: pa.ChunkedArray, ids: Sequence[str]) -> tuple[Counts, bool]:
    """Where the predictions of samples ``ids`` (N,) are among ``given``, the ids in ``column`` of the file (N,).

    Ids that the data do not have are passed over: predictions were made for more than is audited. Also whether they
    only fit as numbers, 17 being 17.0 and 017, or without blanks around them.

    Raises:
        AlignmentError: an id has no prediction or several, or the column holds none.
    """
    import pyarrow as pa
    from pyarrow import compute

    try:
        known = compute.cast(given, pa.string()).combine_chunks()
    except pa.ArrowException as fault:  # a list, a struct, bytes that are no text
        raise AlignmentError(
            f"{path}: the column {column!r} of ids holds {given.type}, which are no ids",
            hint="ids are text or whole numbers; --id-column names another column",
        ) from fault
    if known.null_count:
        at = compute.index(known.is_null(), True).as_py()
        raise AlignmentError(f"{path}: row {at + 1} has no {column}", hint="give every prediction its sample's id")
    if _same(known, ids):  # as is usual, and a table of a million ids need not be made
        return np.arange(len(known)), False
    wanted = pa.array(ids, pa.string())
    if compute.count_distinct(known).as_py() < len(known):
        counted = compute.value_counts(known)
        twice = counted.field("values").filter(compute.greater(counted.field("counts"), 1))
        raise AlignmentError(
            f"{path}: several predictions for {_some(twice)}",
            hint="a sample has one prediction of a model; remove the others",
        )
    at = compute.index_in(wanted, value_set=known)
    if at.null_count and (spelt := _spelt_alike(wanted.to_pylist(), known.to_pylist())) is not None:
        return spelt, True
    if at.null_count == len(wanted):
        raise AlignmentError(
            f"{path} and the data have no id in common: predictions for {_some(known)}; samples {_some(wanted)}",
            hint=f"the ids in {column} must be written as the data have them; --id-column names another column, of the "
            "predictions and of the data",
        )
    if at.null_count:
        missing = wanted.filter(at.is_null())
        raise AlignmentError(
            f"{path}: no prediction for {_some(missing)} ({len(missing):,} of {len(wanted):,} samples)",
            hint="predict the whole of the data, or audit those samples that were predicted: what `prune-audit "
            "predict` wrote holds ids and labels, so that --data may name that file",
        )
    found: Counts = at.to_numpy(zero_copy_only=False).astype(np.int64)
    return found, False


def _spelt_alike(wanted: Sequence[str], known: Sequence[str]) -> Counts | None:
    """Where each of ``wanted`` (N,) is among ``known``, as numbers where they are such; None where it is unclear.

    pandas makes 17.0 of 17 where another row has no id, and spreadsheets make 17 of 017.
    """

    def plain(text: str) -> str:
        number = _integer(text.strip())
        return text.strip() if number is None else str(number)

    position = {plain(text): at for at, text in enumerate(known)}
    asked = [plain(text) for text in wanted]
    if len(position) < len(known) or len(set(asked)) < len(set(wanted)) or not all(each in position for each in asked):
        return None
    return np.array([position[each] for each in asked], np.int64)


def in_order(path: str, length: int, samples: int) -> Counts:
    """The rows of a file that has no ids, which must be as many as there are samples."""
    if length != samples:
        raise AlignmentError(
            f"{path} has {length:,} predictions without ids, the data have {samples:,} samples",
            hint="predictions without ids must be those of all samples, in the order of the data; "
            "or add a column of ids",
        )
    return np.arange(samples)


def check_order(path: str, others: pa.Table, truth: Sequence[str], labels: Counts, classes: tuple[str, ...]) -> None:
    """Check that nothing in the columns ``others``, which were not used, speaks against the order of the data.

    Raises:
        AlignmentError: a column may hold ids, or one of those called ``truth`` holds other labels than the data.
    """
    from pyarrow import compute

    may_be: list[str] = []
    for name, column in zip(others.column_names, others.columns, strict=True):
        coded = without_nulls(compute.cast(column, "string"), "").dictionary_encode().combine_chunks()
        names, codes = coded.dictionary.to_pylist(), indices(coded, -1)
        found = matched(names, classes)[codes] if names else codes  # (N,)
        if (found >= 0).all():  # classes: the labels, or another model's
            if name.strip().lower() in truth and (wrong := int((~right(found, labels)).sum())):
                raise AlignmentError(
                    f"{path}: the column {name!r} holds other labels than the data for {wrong:,} of {len(labels):,} "
                    "samples, so that the predictions are in another order",
                    hint="give predictions and data a column of ids, and name it with --id-column",
                )
        elif 2 * len(names) > len(codes) and not _counts_up(names):
            may_be.append(name)
    if may_be:
        one = len(may_be) == 1
        raise AlignmentError(
            f"{path}: without a known column of ids the predictions would be taken in the order of the data, and "
            f"{'the column' if one else 'the columns'} {', '.join(map(repr, may_be))} may say whose they are",
            hint=f"--id-column {may_be[0] or 'NAME'} joins predictions and data by it; where "
            f"{'it holds' if one else 'they hold'} no ids, leave {'it' if one else 'them'} out of the file",
        )


def _counts_up(names: Sequence[str]) -> bool:
    """Whether ``names`` are whole numbers, each one more than that before, as those of rows."""
    first = _integer(names[0])
    return first is not None and all(_integer(name) == first + at for at, name in enumerate(names))


def positions(
    path: str, values: pa.ChunkedArray, ids: Sequence[str], classes: tuple[str, ...], start: int | None = None
) -> Counts:
    """The classes in ``values`` (N,), those of samples ``ids``, as positions in ``classes`` (N,).

    Text is the name of a class. Whole numbers are positions, unless all classes are named by whole numbers: then
    they are names. Text that is a number is one where no class is called so; 1.0 is the whole number 1, also where a
    class is called so. Where ``start`` is given, all of them are numbers that begin with it.

    Raises:
        AlignmentError: a sample has no class, or one that is unknown.
    """
    names, codes = _coded(path, values, ids)
    found = _positions(names, codes, classes, start)

    def value(sample: int) -> object:
        return names[codes[sample]] if codes[sample] >= 0 else ""

    unknown = np.flatnonzero(found < 0)
    if not len(unknown):
        return found
    one = int(unknown[0])
    if value(one) == "":
        raise AlignmentError(
            f"{path}: sample {ids[one]!r} has no predicted class", hint="give every sample its prediction"
        )
    among = f"none of the {len(classes)} classes" if len(classes) > 1 else "not the only class"
    raise AlignmentError(
        f"{path}: the prediction {value(one)!r} for sample {ids[one]!r} is {among} "
        f"({', '.join(classes[:_NAMED])}{', ...' if len(classes) > _NAMED else ''})",
        hint="scores of every class need a column each in CSV, score_0, score_1, ...; lists are for Parquet and JSON"
        if _LIST.fullmatch(str(value(one)))
        else "name all classes, in the order of the model's outputs, with --classes FILE; numbers are positions "
        "from 0 (from 1: --scores classes-from-1), or names where all classes are named by numbers",
    )


def different(path: str, values: pa.ChunkedArray, ids: Sequence[str]) -> set[str | int]:
    """What different predictions there are among ``values`` (N,), those of samples ``ids``.

    Raises:
        AlignmentError: a prediction is a number and no whole one.
    """
    return set(_coded(path, values, ids)[0])


def numbered(
    path: str, column: pa.ChunkedArray, at: Counts, ids: Sequence[str], classes: tuple[str, ...]
) -> tuple[Counts, Counts] | None:
    """Positions as `positions` has them and as numbers from 1 (N,), -1 where there is none; None of names.

    They are those of ``column`` in rows ``at`` (N,). Where a 0 stands anywhere in it, no number begins at 1.

    Raises:
        AlignmentError: a prediction is a number and no whole one.
    """
    names, codes = _coded(path, taken(column, at), ids)
    usual, from_1, from_0 = (_positions(names, codes, classes, start) for start in (None, 1, 0))
    if not ((from_1 >= 0) | (from_0 >= 0)).all():
        return None
    every = (each for each in column.unique().to_pylist() if each is not None)
    zero = any((_integer(each) if isinstance(each, str) else each) == 0 for each in every)
    return usual, np.full(len(at), -1) if zero else from_1


def _same(known: pa.StringArray, ids: Sequence[str]) -> bool:
    """Whether ``known`` are ``ids``. An array out of these would import pandas."""
    starts = range(0, len(ids), _PIECE)
    return len(known) == len(ids) and all(
        known.slice(start, _PIECE).to_pylist() == list(ids[start : start + _PIECE]) for start in starts
    )


def taken(column: pa.ChunkedArray, at: Counts) -> pa.ChunkedArray:
    """What ``column`` holds in rows ``at`` (N,), which usually are all of them in their order."""
    return column if np.array_equal(at, np.arange(len(column))) else column.take(at)


def _coded(path: str, values: pa.ChunkedArray, ids: Sequence[str]) -> tuple[list[str | int], Counts]:
    """The different ``values`` of samples ``ids``, and where among them each is (N,), -1 where there is none."""
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    whole = kind(values.type) == "integer"
    if pa.types.is_floating(values.type):
        values, whole = _whole(path, values, ids), True
    coded = values.cast(pa.int64() if whole else pa.string()).dictionary_encode().combine_chunks()
    return coded.dictionary.to_pylist(), indices(coded, -1)


def _positions(names: Sequence[str | int], codes: Counts, classes: tuple[str, ...], start: int | None) -> Counts:
    """As `positions` (N,), of what stands at ``codes`` (N,) among ``names``; -1 where there is none."""
    if start is None:
        at = matched(names, classes)
    else:
        numbers = [name if isinstance(name, int) else _integer(name) for name in names]
        valid = [number is not None and start <= number < start + len(classes) for number in numbers]
        at = np.array([n - start if v and n is not None else -1 for n, v in zip(numbers, valid, strict=True)], np.int64)
    found: Counts = np.append(at, -1)[codes]
    return found


def matched(names: Sequence[str | int], classes: tuple[str, ...]) -> Counts:
    """The position of each of ``names`` (K,) in ``classes``, -1 where it is none (K,); see `positions`."""
    position: dict[str | int, int] = {name: i for i, name in enumerate(classes)}
    numbers = [number for name in classes if (number := _integer(name)) is not None]
    if len(numbers) == len(classes) == len(set(numbers)):
        position |= {number: i for i, number in enumerate(numbers)}
    elif len(numbers) < len(classes):
        position |= {i: i for i in range(len(classes))}

    def of(name: str | int) -> int:
        if name in position:
            return position[name]
        if isinstance(name, int):
            return position.get(str(name), -1)
        # Where some classes are named by numbers and some are not, a text that is a number may mean either.
        clear = not numbers or len(numbers) == len(classes)
        number = _integer(name)
        return position.get(number, -1) if clear and number is not None else -1

    return np.array([of(name) for name in names], np.int64)


def _integer(text: str) -> int | None:
    found = _INTEGER.fullmatch(text)
    return None if found is None else int(found[1])


def first_without(holds: Array) -> int | None:
    """The first sample of which ``holds`` (N,) is not true, None where it is true of all."""
    return None if holds.all() else int(holds.argmin())


def _whole(path: str, values: pa.ChunkedArray, ids: Sequence[str]) -> pa.ChunkedArray:
    """Numbers that came as floats, because some table had gaps, as the integers that they must be."""
    from pyarrow import compute

    numbers = values.to_numpy()
    # Infinities are their own floor, and from 2**53 on every float is whole.
    broken = first_without(np.isnan(numbers) | ((numbers == np.floor(numbers)) & (abs(numbers) < 2**53)))
    if broken is not None:
        raise AlignmentError(
            f"{path}: the prediction {numbers[broken]:g} for sample {ids[broken]!r} is no class",
            hint="classes are names or whole numbers; scores need a column for every class, or one of lists",
        )
    return compute.if_else(compute.is_nan(values), None, values)


def _some(ids: pa.Array) -> str:
    more = ", ..." if len(ids) > _NAMED else ""
    return ", ".join(map(repr, ids[:_NAMED].to_pylist())) + more

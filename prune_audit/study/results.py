"""The runs of a study on disk, one file each, and all of them as tables: a row a run, and a row a run and class.

A third table has of each run which samples were right, packed; runs of earlier versions are not in it.

The files are what a study goes on with; the tables are what people read, keep and put together: those of several
shards by concatenation, headers and all.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prune_audit import reports
from prune_audit.core import rows
from prune_audit.errors import StudyError, UsageError
from prune_audit.files import elsewhere, parse, regular
from prune_audit.files import target as targets
from prune_audit.study import samples
from prune_audit.study.analysis import OF_RUNS
from prune_audit.study.contrasts import Contrasts

TITLE = "title.txt"
RUNS = "runs"  # the folder of the files, and the name of the table
CLASSES = "classes"
SAMPLES = "samples"
FACTORS = ("study", "network", "seed", "method", "density")
LEADING = (*FACTORS, "plan", "data", "failed", "achieved")
# Of a run, what an audit measured of the whole model; of a class, what an analysis and a reader need.
LEFT_OUT = ("variant", "by", "outcome", "density")
BY_CLASS = (
    *("support", "lost", "gained", "dense_recall", "pruned_recall"),
    *("dense_balance", "pruned_balance", "balance_change", "verdict", "distortion"),
)
LABELS = (  # all else are numbers
    *("study", "network", "method", "plan", "data", "failed", "class"),
    *("verdict", "distortion", "worst_class", "alpha_state", *samples.SIDES, *samples.PREDICTED),
)
OF_SAMPLES = (*FACTORS, *samples.SIDES)  # and `samples.PREDICTED`, which runs of earlier versions have not
AUDITED = "audited.csv"  # the ids and classes of the samples, in the order in which runs keep what they said of them
ANNOUNCED = "contrasts.csv"
_CONTRASTS = ("outcome", "method", "other", "density")
WRITTEN = (f"{RUNS}.csv", f"{CLASSES}.csv", f"{SAMPLES}.csv", AUDITED, ANNOUNCED)  # what is read of a folder
DIGITS = 12  # of a digest, which tell two plans of one study from each other
_FIELDS = {"plan", "data", "at", "failed", *FACTORS[1:]}
FIELD = 2**27  # characters of a field of a table: the packed samples of a run, of which there may be many
COUNTS = ("seed", *rows.COUNTS, *rows.SIZES, *rows.VERDICTS)
_NUMBERS = {*COUNTS, "density", "achieved", *OF_RUNS, *BY_CLASS, *rows.LEADING} - {*LABELS, "by", "stratum", "variant"}
_NAMES = ("study", "network", "method", "class")  # which every row has


def place(folder: Path, network: str, seed: int, method: str, density: float) -> Path:
    """The file of a run."""
    return folder / RUNS / network / str(seed) / f"{method}-{density:.12g}.json"


def begin(folder: Path, title: str) -> None:
    """Make ``folder``, of the study called ``title``. Raises `OutputError` where that cannot be."""
    _put(folder, folder / TITLE, title)


def is_done(path: Path, key: str) -> bool:
    """Whether ``path`` is there, and is of the run or the network ``key``.

    Raises:
        StudyError: it is of another one.
    """
    if not path.exists():
        return False
    if _read(path).get("key") != key:
        raise _of_another(path)
    return True


def check(folder: Path, data: Collection[str], plans: Mapping[tuple[str, str], str]) -> None:
    """See that all runs in ``folder`` may stand in one table with those that are to come.

    ``data`` are the digests of their data, ``plans`` those of what the runs of a network and method have in common.

    Raises:
        StudyError: a run is of other data, or of a network and method that were trained or pruned otherwise.
    """
    for path in sorted((folder / RUNS).rglob("*.json")):
        record = _run(path)
        planned = plans.get((record["network"], record["method"]), record["plan"])
        if record["data"] not in data or record["plan"] != planned:
            raise _of_another(path)


def _of_another(path: Path) -> StudyError:
    return StudyError(
        f"{path} was made by another plan: with other data, networks or their code, training or pruning",
        hint="write to another folder with -o",
    )


def put_audited(folder: Path, samples: Sequence[tuple[str, str]]) -> None:
    """Write into ``folder`` the id and class of each audited sample, in the order in which runs keep them."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([("id", "class"), *samples])
    _put(folder, folder / AUDITED, text.getvalue())


def audited(folders: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """The ids and classes of the samples of the runs in ``folders``.

    Raises:
        StudyError: a folder does not say them, or one says others than another.
    """
    found: dict[tuple[tuple[str, str], ...], Path] = {}
    for folder in folders:
        path = folder / AUDITED
        try:
            if not path.is_file():  # a device would be read without an end
                raise ValueError("there is no such file")
            header, *listed = csv.reader(io.StringIO(regular.text(path), newline=""), strict=True)
            found.setdefault(tuple((name, of) for name, of in listed), path)
            if header != ["id", "class"] or not listed:
                raise ValueError("expected the columns id and class, and samples")
        except (OSError, ValueError, csv.Error) as fault:
            raise StudyError(
                f"{path} does not say which samples were audited: {fault}",
                hint="runs of earlier versions did not keep it; run the study anew, into another folder",
            ) from fault
    if len(found) > 1:
        one, other = [*found.values()][:2]
        raise StudyError(f"{one} and {other} list different samples", hint="analyse each study by itself")
    return next(iter(found))


def announce(folder: Path, asked: Contrasts) -> None:
    """Write into ``folder`` which contrasts the study announces.

    Raises:
        StudyError: others were announced there before.
    """
    if (folder / ANNOUNCED).exists() and announced([folder]) != asked:
        raise StudyError(
            f"{folder / ANNOUNCED} announces other contrasts than the file of the study",
            hint="what is announced stands before the runs: write to another folder with -o",
        )
    text = io.StringIO(newline="")
    rows = [(asked.outcome, each, asked.against, repr(asked.density)) for each in asked.methods]
    csv.writer(text, lineterminator="\n").writerows([_CONTRASTS, *rows])
    _put(folder, folder / ANNOUNCED, text.getvalue())


def announced(folders: Sequence[Path]) -> Contrasts | None:
    """The contrasts that the study in ``folders`` announced, None where it announced none.

    Raises:
        StudyError: a file of them is none, or one announces others than another.
    """
    found: dict[Contrasts, Path] = {}
    for path in (folder / ANNOUNCED for folder in folders):
        if not path.is_file():
            continue
        try:
            header, *rows = csv.reader(io.StringIO(regular.text(path), newline=""), strict=True)
            ((outcome, against, density),) = {(row[0], row[2], row[3]) for row in rows}
            methods = tuple(row[1] for row in rows)
            asked = Contrasts(outcome=outcome, against=against, methods=methods, density=float(density))
            if tuple(header) != _CONTRASTS:
                raise ValueError(f"expected the columns {', '.join(_CONTRASTS)}")
        except (OSError, ValueError, IndexError, csv.Error, UsageError) as fault:
            raise StudyError(
                f"{path} does not say what was announced: {fault}", hint="take the one that the study wrote"
            ) from fault
        found.setdefault(asked, path)
    if len(found) > 1:
        one, other = [*found.values()][:2]
        raise StudyError(f"{one} and {other} announce different contrasts", hint="analyse each study by itself")
    return next(iter(found), None)


def put(folder: Path, path: Path, record: Mapping[str, Any]) -> None:
    """Write a run of the study in ``folder`` whole or not at all. Raises `OutputError` where it cannot be written."""
    _put(folder, path, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def _put(folder: Path, path: Path, text: str) -> None:
    targets.folder(path.parent, within=folder)
    reports.put(path, text.encode(), named=False)


def read(folders: Sequence[Path]) -> tuple[str, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The title of the study, its runs, their classes and which samples were right, from one or several folders.

    A folder holds the files of runs, or ``runs.csv`` and ``classes.csv``, and ``samples.csv`` where the runs have such.
    A run that is there twice counts once.

    Raises:
        StudyError: a folder holds no results, or those of several studies, or two results of one run.
    """
    parts = [_folder(folder) for folder in folders]
    runs, classes, right = (_joined([part[n] for part in parts]) for n in range(3))
    titles = list(dict.fromkeys(runs["study"]))
    if not titles:
        raise StudyError(f"{folders[0]} holds no runs", hint="run a study first: prune-audit study study.toml")
    if len(titles) > 1:
        raise StudyError(
            f"expected results of one study, found {', '.join(map(repr, titles))}", hint="analyse each by itself"
        )
    twice = runs[runs.duplicated([*FACTORS])]
    if len(twice):
        first = ", ".join(f"{name} {twice.iloc[0][name]}" for name in FACTORS[1:])
        raise StudyError(
            f"there are two different results of one run: {first}",
            hint="leave out the folder that is not meant, or analyse each by itself",
        )
    _check_one(runs, "data", [])
    _check_one(runs, "plan", ["network", "method"])
    finished, told = (
        set(zip(*(frame[name] for name in FACTORS[1:]), strict=True))
        for frame in (runs[runs["failed"].isna()], classes)
    )
    if finished != told:
        lacking = ", ".join(f"{name} {value}" for name, value in zip(FACTORS[1:], min(finished ^ told), strict=True))
        raise StudyError(
            f"runs and classes are not of the same runs: one lacks {lacking}",
            hint="runs.csv and classes.csv must both be whole",
        )
    _check_samples(right, classes)
    return str(titles[0]), runs, classes, right


def _check_samples(right: pd.DataFrame, classes: pd.DataFrame) -> None:
    """Raise `StudyError` where the samples that were right are not those of the runs."""
    hint = "samples.csv must be that of runs.csv and classes.csv; without it, nothing is said of new samples"
    keys = set(zip(*(right[name] for name in FACTORS), strict=True))
    strange = keys - set(zip(*(classes[name] for name in FACTORS), strict=True))
    if strange or len(keys) < len(right):
        found = "no finished run has" if strange else "one run has twice"
        raise StudyError(f"expected the samples of each run once, found some that {found}", hint=hint)
    try:
        samples.read(right, classes)
    except ValueError as fault:
        raise StudyError(f"which samples were right: {fault}", hint=hint) from fault


def _check_one(runs: pd.DataFrame, name: str, of: list[str]) -> None:
    """Raise `StudyError` where the column ``name`` has two values among runs that share the factors ``of``."""
    kinds = runs.drop_duplicates([name, *of])
    two = kinds[kinds.duplicated(of, keep=False)] if of else kinds
    if len(two) > 1:
        one = two.iloc[0]
        other = next(row for _, row in two.iloc[1:].iterrows() if all(row[factor] == one[factor] for factor in of))
        told = [", ".join(f"{factor} {row[factor]}" for factor in FACTORS[1:]) for row in (one, other)]
        raise StudyError(
            f"expected runs of one study, found a different {name}: {told[0]}; and {told[1]}",
            hint="networks, training, pruning and data must be the same in all folders; analyse each by itself",
        )


def within(frame: pd.DataFrame, cells: Collection[tuple[str, int, str, float]]) -> pd.DataFrame:
    """The rows of ``frame`` whose network, seed, method and density are among ``cells``."""
    keys = zip(*(frame[name] for name in FACTORS[1:]), strict=True)
    among = pd.Series([key in cells for key in keys], index=frame.index, dtype=bool)  # also where there is no row
    return frame[among].reset_index(drop=True)


def tables(runs: pd.DataFrame, classes: pd.DataFrame, right: pd.DataFrame) -> dict[str, bytes]:
    """Name of a file -> its content, for all three tables as CSV and Parquet; the third where it has rows."""
    files = {}
    right = right.dropna(axis="columns", how="all")  # of earlier versions, which kept less
    for name, frame in ((RUNS, runs), (CLASSES, classes), *([(SAMPLES, right)] if len(right) else [])):
        frame = _whole(frame)
        files[f"{name}.csv"] = frame.to_csv(index=False, lineterminator="\n").encode()
        files[f"{name}.parquet"] = frame.to_parquet(index=False)
    return files


def _folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    files = sorted((folder / RUNS).rglob("*.json"))
    if files:
        title = folder / TITLE
        try:
            called = regular.text(title) if title.is_file() else folder.name
        except (OSError, UnicodeDecodeError) as fault:
            raise StudyError(f"{title} cannot be read: {fault}", hint="write the title of the study there") from fault
        try:
            return _frames(called, [_run(file) for file in files])
        except ValueError as fault:
            raise StudyError(
                f"{folder / RUNS} holds runs that are none: {fault}", hint="remove them, and they are run again"
            ) from fault
    tables = [folder / f"{name}.csv" for name in (RUNS, CLASSES)]
    if not all(table.is_file() for table in tables):
        raise StudyError(
            f"{folder} holds no results of a study: expected runs.csv and classes.csv, or a folder runs",
            hint=f"{'' if folder.exists() else elsewhere.meant(folder)}name the folder that prune-audit study wrote "
            "to, or a .toml file that plans one",
        )
    kept = folder / f"{SAMPLES}.csv"
    runs, classes = map(_table, tables)
    right = _table(kept) if kept.is_file() else _typed({name: [] for name in (*OF_SAMPLES, *samples.PREDICTED)})
    needs = (LEADING, (*FACTORS, "class", *BY_CLASS), OF_SAMPLES)
    for table, frame, needed in zip((*tables, kept), (runs, classes, right), needs, strict=True):
        missing = [name for name in needed if name not in frame]
        if missing:
            raise StudyError(f"{table} has no column {missing[0]!r}", hint="expected what prune-audit study writes")
    return runs, classes, right.reindex(columns=[*OF_SAMPLES, *samples.PREDICTED])


def _frames(study: str, records: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    runs, classes, right = [], [], []
    # Networks and methods come in the order in which they were run, densities from dense to sparse.
    for record in sorted(records, key=lambda record: (record["at"], -record["density"])):
        factors = {"study": study, **{name: record[name] for name in FACTORS[1:]}}
        whole = {k: v for k, v in record.get("run", {}).items() if k not in LEFT_OUT}
        own = {"plan": record["plan"][:DIGITS], "data": record["data"][:DIGITS], "failed": record["failed"]}
        runs.append({**factors, **own, "achieved": record.get("achieved"), **whole})
        for row in record.get("classes", ()):
            classes.append({**factors, "class": row["stratum"], **{name: row.get(name) for name in BY_CLASS}})
        if "right" in record:
            called = record.get("predicted", {})
            more = {name: called.get(side) for name, side in zip(samples.PREDICTED, samples.SIDES, strict=True)}
            right.append({**factors, **record["right"], **more})
    measured = dict.fromkeys(name for row in runs for name in row if name not in LEADING)
    return (
        _typed({name: [row.get(name) for row in runs] for name in (*LEADING, *measured)}),
        _typed({name: [row[name] for row in classes] for name in (*FACTORS, "class", *BY_CLASS)}),
        _typed({name: [row[name] for row in right] for name in (*OF_SAMPLES, *samples.PREDICTED)}),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        record = parse.json(regular.text(path))
        if isinstance(record, dict) and isinstance(record.get("key"), str):
            return record
    except (OSError, ValueError):
        pass
    raise _no_run(path)


def _run(path: Path) -> dict[str, Any]:
    record = _read(path)
    if record.keys() >= _FIELDS and (what := _wrong(record)) is None:
        return record
    raise _no_run(path, what if record.keys() >= _FIELDS else "")


def _wrong(record: Mapping[str, Any]) -> str | None:
    """What is not as a run has it, where something is not."""
    texts = {name: record[name] for name in ("network", "method", "plan", "data")}
    if other := [name for name, value in texts.items() if not isinstance(value, str)]:
        return f"{other[0]} is no text"
    if not (isinstance(record["failed"], str) or record["failed"] is None):
        return "failed is neither a reason nor nothing"
    if not (_is_whole(record["seed"]) and _is_number(record["density"])):
        return "seed and density are no numbers"
    if not isinstance(record["at"], list) or not all(map(_is_whole, record["at"])):
        return "at holds no places"
    if not (record.get("achieved") is None or _is_number(record["achieved"])):
        return "achieved is no number"
    whole, classes = record.get("run", {}), record.get("classes", [])
    if not isinstance(whole, dict) or not isinstance(classes, list):
        return "run or classes are not what was measured"
    for row in (whole, *classes):
        if not isinstance(row, dict) or not all(_fits(name, value) for name, value in row.items()):
            return "run or classes hold values that were not measured"
    if any(not isinstance(row.get("stratum"), str) for row in classes):
        return "a class has no name"
    for name in ("right", "predicted"):
        kept = record.get(name, dict.fromkeys(samples.SIDES, ""))
        if not isinstance(kept, dict) or kept.keys() != {*samples.SIDES} or not all(map(_is_text, kept.values())):
            return f"{name} is not of the dense and the pruned model"
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= parse.MOST


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _fits(name: str, value: object) -> bool:
    """Whether ``value`` may stand in the column ``name``."""
    if value is None:
        return True
    return _is_number(value) if name in _NUMBERS else isinstance(value, str) or _is_number(value)


def _no_run(path: Path, why: str | None = "") -> StudyError:
    return StudyError(f"{path} is no run of a study{f': {why}' if why else ''}", hint="remove it, and it is run again")


def _table(path: Path) -> pd.DataFrame:
    """A table of one shard, or of several, one behind the other, headers and all; a shard may lack columns."""
    rows: list[dict[str, str]] = []
    header: list[str] = []
    limit = csv.field_size_limit(FIELD)
    try:
        text = regular.text(path)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            if tuple(row[: len(FACTORS)]) == FACTORS:
                header = row
                if len({*header}) < len(header):
                    raise ValueError("two columns have one name")
            elif len(row) != len(header):
                raise ValueError(f"line {reader.line_num} has {len(row)} fields, expected {len(header)}")
            else:
                rows.append(dict(zip(header, row, strict=True)))
        if not header or not text.endswith("\n"):
            raise ValueError(
                "it ends in the middle of a line" if header else f"expected a header, {', '.join(FACTORS)}"
            )
        names = dict.fromkeys([*header, *(name for row in rows for name in row)])
        # A class may be called NA, and is a name even where it is a number.
        return _typed({name: [row.get(name) or None for row in rows] for name in names})
    except (OSError, ValueError, csv.Error) as fault:
        raise StudyError(
            f"{path} is no whole table of a study: {fault}", hint="take the file as it was written"
        ) from fault
    finally:
        csv.field_size_limit(limit)


def _typed(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Each column as text or None, where it is a label, or as numbers, to the last bit."""
    frame = pd.DataFrame(
        {name: _labels(values) if name in LABELS else _numbers(name, values) for name, values in columns.items()}
    )
    for name in ("seed", "density", *_NAMES):
        if name in frame and frame[name].isna().any():
            raise ValueError(f"a row has no {name}")
    return frame.astype({"seed": "int64"}) if "seed" in frame else frame


def _numbers(name: str, values: Sequence[Any]) -> pd.Series[Any]:
    try:
        numbers = [math.nan if value is None else _number(name, value) for value in values]
    except ValueError:
        if name in _NUMBERS:
            raise
        return _labels(values)  # a measure may be a label, too
    return pd.Series(numbers, dtype="float64")


def _number(name: str, value: Any) -> float:
    """``value`` of the column ``name``, a number or what stands in a table. Raises `ValueError` where it is none."""
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or (name in COUNTS and (number != int(number) or abs(number) > 2**53)):
        raise ValueError(f"{name} is {str(value)[:40]!r}, expected a {'whole ' if name in COUNTS else ''}number")
    return number


def _labels(values: Sequence[Any]) -> pd.Series[Any]:
    return pd.Series([None if value is None else str(value) for value in values], dtype="object")


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """``parts`` one behind the other, equal rows once."""
    full = [part for part in parts if len(part)]
    joined = pd.concat(full, ignore_index=True) if full else parts[0]
    return joined.drop_duplicates(ignore_index=True)


def _whole(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with counts as whole numbers, also where one is missing."""
    return frame.astype({name: "Int64" for name in COUNTS if name in frame})

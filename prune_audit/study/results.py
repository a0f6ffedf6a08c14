"""The runs of a study on disk, one file each, and all of them as two tables: a row a run, and a row a run and class.

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

from prune_audit import reports, rows
from prune_audit.errors import OutputError, StudyError

TITLE = "title.txt"
RUNS = "runs"  # the folder of the files, and the name of the table
CLASSES = "classes"
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
    *("verdict", "distortion", "worst_class", "alpha_state"),
)
DIGITS = 12  # of a digest, which tell two plans of one study from each other
_FIELDS = {"plan", "data", "at", "failed", *FACTORS[1:]}
COUNTS = ("seed", *rows.COUNTS, *rows.SIZES, *rows.VERDICTS)


def place(folder: Path, network: str, seed: int, method: str, density: float) -> Path:
    """The file of a run."""
    return folder / RUNS / network / str(seed) / f"{method}-{density:.12g}.json"


def begin(folder: Path, title: str) -> None:
    """Make ``folder``, of the study called ``title``. Raises `OutputError` where that cannot be."""
    _put(folder / TITLE, title)


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


def put(path: Path, record: Mapping[str, Any]) -> None:
    """Write a run whole or not at all. Raises `OutputError` where it cannot be written."""
    _put(path, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def _put(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"{path.parent} cannot be made: {fault.strerror}", hint="write elsewhere with -o") from fault
    reports.put(path, text.encode())


def read(folders: Sequence[Path]) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """The title of the study, its runs and their classes, from one or several folders.

    A folder holds the files of runs, or ``runs.csv`` and ``classes.csv``. A run that is there twice counts once.

    Raises:
        StudyError: a folder holds no results, or those of several studies, or two results of one run.
    """
    parts = [_folder(folder) for folder in folders]
    runs, classes = (_joined([part[n] for part in parts]) for n in (0, 1))
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
    return str(titles[0]), runs, classes


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


def tables(runs: pd.DataFrame, classes: pd.DataFrame) -> dict[str, bytes]:
    """Name of a file -> its content, for both tables as CSV and Parquet."""
    files = {}
    for name, frame in ((RUNS, runs), (CLASSES, classes)):
        frame = _whole(frame)
        files[f"{name}.csv"] = frame.to_csv(index=False, lineterminator="\n").encode()
        files[f"{name}.parquet"] = frame.to_parquet(index=False)
    return files


def _folder(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    files = sorted((folder / RUNS).rglob("*.json"))
    if files:
        title = folder / TITLE
        called = title.read_text(encoding="utf-8") if title.is_file() else folder.name
        return _frames(called, [_run(file) for file in files])
    tables = [folder / f"{name}.csv" for name in (RUNS, CLASSES)]
    if not all(table.is_file() for table in tables):
        raise StudyError(
            f"{folder} holds no results of a study: expected runs.csv and classes.csv, or a folder runs",
            hint="name the folder that prune-audit study wrote to, or a .toml file that plans one",
        )
    runs, classes = map(_table, tables)
    for table, frame, needed in ((tables[0], runs, LEADING), (tables[1], classes, (*FACTORS, "class", *BY_CLASS))):
        missing = [name for name in needed if name not in frame]
        if missing:
            raise StudyError(f"{table} has no column {missing[0]!r}", hint="expected what prune-audit study writes")
    return runs, classes


def _frames(study: str, records: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs, classes = [], []
    # Networks and methods come in the order in which they were run, densities from dense to sparse.
    for record in sorted(records, key=lambda record: (record["at"], -record["density"])):
        factors = {"study": study, **{name: record[name] for name in FACTORS[1:]}}
        whole = {k: v for k, v in record.get("run", {}).items() if k not in LEFT_OUT}
        own = {"plan": record["plan"][:DIGITS], "data": record["data"][:DIGITS], "failed": record["failed"]}
        runs.append({**factors, **own, "achieved": record.get("achieved"), **whole})
        for row in record.get("classes", ()):
            classes.append({**factors, "class": row["stratum"], **{name: row.get(name) for name in BY_CLASS}})
    measured = dict.fromkeys(name for row in runs for name in row if name not in LEADING)
    return (
        _typed({name: [row.get(name) for row in runs] for name in (*LEADING, *measured)}),
        _typed({name: [row[name] for row in classes] for name in (*FACTORS, "class", *BY_CLASS)}),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict) and "key" in record:
            return record
    except (OSError, ValueError):
        pass
    raise _no_run(path)


def _run(path: Path) -> dict[str, Any]:
    record = _read(path)
    if record.keys() >= _FIELDS:
        return record
    raise _no_run(path)


def _no_run(path: Path) -> StudyError:
    return StudyError(f"{path} is no run of a study", hint="remove it, and it is run again")


def _table(path: Path) -> pd.DataFrame:
    """A table of one shard, or of several, one behind the other, headers and all; a shard may lack columns."""
    rows: list[dict[str, str]] = []
    header: list[str] = []
    try:
        text = path.read_text(encoding="utf-8")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            if tuple(row[: len(FACTORS)]) == FACTORS:
                header = row
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


def _typed(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Each column as text or None, where it is a label, or as numbers, to the last bit."""
    frame = pd.DataFrame(
        {name: _labels(values) if name in LABELS else _numbers(values) for name, values in columns.items()}
    )
    return frame.astype({"seed": "int64"}) if "seed" in frame else frame


def _numbers(values: Sequence[Any]) -> pd.Series[Any]:
    try:
        numbers = [math.nan if value is None else float(value) for value in values]
    except ValueError:  # a measure may be a label, too
        return _labels(values)
    return pd.Series(numbers, dtype="float64")


def _labels(values: Sequence[Any]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype="object")


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """``parts`` one behind the other, equal rows once."""
    full = [part for part in parts if len(part)]
    joined = pd.concat(full, ignore_index=True) if full else parts[0]
    return joined.drop_duplicates(ignore_index=True)


def _whole(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with counts as whole numbers, also where one is missing."""
    return frame.astype({name: "Int64" for name in COUNTS if name in frame})

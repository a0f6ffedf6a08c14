"""The runs of a study on disk, one file each, and all of them as two tables: a row a run, and a row a run and class.

The files are what a study goes on with; the tables are what people read, keep and put together: those of several
shards by concatenation, headers and all.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prune_audit import reports, rows
from prune_audit.errors import OutputError, StudyError

TITLE = "title.txt"
RUNS = "runs"  # the folder of the files, and the name of the table
CLASSES = "classes"
FACTORS = ("study", "network", "seed", "method", "density")
LEADING = (*FACTORS, "failed", "achieved")
# Of a run, what an audit measured of the whole model; of a class, what an analysis and a reader need.
LEFT_OUT = ("variant", "by", "outcome", "density")
BY_CLASS = (
    *("support", "lost", "gained", "dense_recall", "pruned_recall"),
    *("dense_balance", "pruned_balance", "balance_change", "verdict", "distortion"),
)
LABELS = (
    "study",
    "network",
    "method",
    "failed",
    "class",
    "verdict",
    "distortion",
    "worst_class",
    "alpha_state",
)  # all else are numbers
COUNTS = ("seed", *rows.COUNTS, *rows.SIZES, *rows.VERDICTS)


def place(folder: Path, network: str, seed: int, method: str, density: float) -> Path:
    """The file of a run."""
    return folder / RUNS / network / str(seed) / f"{method}-{density:g}.json"


def name(folder: Path, title: str) -> None:
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
        raise StudyError(
            f"{path} was made by another plan: with other data, networks, training or pruning",
            hint=f"write to another folder with -o, or start anew: rm -r {path.parent.parent}",
        )
    return True


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
    return str(titles[0]), runs, classes


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
        return _frames(called, [_read(file) for file in files])
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
        runs.append({**factors, "failed": record["failed"], "achieved": record.get("achieved"), **whole})
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
        if isinstance(record, dict):
            return record
    except (OSError, ValueError):
        pass
    raise StudyError(f"{path} is no run of a study", hint="remove it, and it is run again")


def _table(path: Path) -> pd.DataFrame:
    """A table of one shard, or of several, one behind the other, headers and all."""
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
        text = header + "".join(line for line in lines if line.strip() != header.strip())
        # A class may be called NA, and is a name even where it is a number.
        texts = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        return _typed({str(name): [each or None for each in column] for name, column in texts.items()})
    except (OSError, ValueError) as fault:
        raise StudyError(
            f"{path} is no table of a study: {fault}", hint="expected what prune-audit study writes"
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

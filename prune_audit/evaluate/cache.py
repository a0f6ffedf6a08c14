"""Predictions on disk: what was evaluated once is read back, and an interrupted run goes on where it stopped.

An entry belongs to one model on one set of data, and its name is a digest of everything that decides a prediction, so
that nothing has to be invalidated: whoever touches a model, the data or the preprocessing asks for another entry.
Rows are added in parts, with what the run that made them learnt, each written to a temporary file and then renamed, so
a part is whole or absent whenever a run is killed. A part is removed only after a file that holds all of it is in
place, so two runs at once lose nothing: at worst both evaluate the same rows, and a row that is there twice says the
same twice. Every file proves what it holds (`prune_audit.files.sealed`); one that does not is removed, which is said,
and its rows are evaluated again. A store may have come from another machine, so what a part holds is looked at besides.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from prune_audit.core import (
    BY_TIMES,
    DATA,
    Assumption,
    Dataset,
    Expects,
    Input,
    Kept,
    Layer,
    ModelCard,
    Settings,
    chosen,
)
from prune_audit.errors import OutputError
from prune_audit.evaluate import facts as noted
from prune_audit.evaluate import reads
from prune_audit.evaluate.cache_key import source_digest, versions
from prune_audit.evaluate.kept_images import KeptImages
from prune_audit.files import arrow, parse, sealed
from prune_audit.files import target as targets

FORM = 5  # of what is kept; another one makes other entries, and so do other fields
_FIELDS = [each.name for kind in (Kept, ModelCard, Layer, Expects, Input) for each in fields(kind)]
FLUSH_SECONDS = 3.0
PARTS_MOST = 32
IMAGES = "images"
PIN = "pin.json"
"""Beside what a store keeps: by what the run is pinned that it holds shards of (`prune_audit.evaluate.pin`)."""
PINS = "prune-audit pin"
"""What such a file begins with, so that no other one of its name is taken for it."""
ABOUT = b"about"  # in the schema of a part: what the run that made it learnt
AGAIN = "what it held is predicted"  # where a file of an entry is no good
# File names that the cache owns; listing and clearing touch nothing else.
_KEY = re.compile(r"[0-9a-f]{64}")
_OWN = re.compile(r"\.?(part-[0-9a-f]{32}\.parquet|[0-9a-f]{64}\.(json|images))(-[0-9a-f]{32})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry as people see it: ``size`` in bytes, ``rows`` evaluated of ``samples``, ``used`` as seconds of time."""

    folder: Path
    model: str
    data: str
    rows: int
    samples: int
    size: int
    used: float


class Store:
    """A folder of entries. ``told`` is given a line for each file of it that turns out to be damaged.

    Decoded images are kept, too, where ``images`` says in how many bytes.
    """

    def __init__(
        self, root: Path, *, verify: bool = False, images: int = 0, told: Callable[[str], None] | None = None
    ) -> None:
        self.root = root
        self.verify = verify
        self._images = images
        self._told = told or _silent
        self._content: tuple[Dataset, str] | None = None  # of the data set asked for last

    @staticmethod
    def runs_code(card: ModelCard) -> bool:
        """Whether the model is a pickled or a live module, or a function, whose code may change without a trace.

        So may what a factory reads, where it is not known what it did.
        """
        live = card.format in ("torch module", "function") or card.reads is None
        return live or (card.format == "torch.save" and card.factory is None)

    def entry(
        self, card: ModelCard, expects: Expects, dataset: Dataset, settings: Settings, company: str | None = None
    ) -> Entry | None:
        """The entry of one model on ``dataset``, which may hold nothing yet; None where nothing can be kept of it.

        ``company`` says which samples are predicted together, where that decides a prediction.
        """
        identity = self._identity(card, expects, dataset, settings)
        if identity is None:
            return None
        return Entry(
            self.root / "predictions" / _key(identity | ({} if company is None else {"company": company})),
            {"model": card.name, "path": card.path, "data": dataset.path, "samples": len(dataset.labels)},
            self._told,
        )

    def checked(
        self, card: ModelCard, expects: Expects, dataset: Dataset, settings: Settings
    ) -> Mapping[str, Any] | None:
        """What was found of the model on samples of ``dataset``, None where it was not looked at."""
        path = self._checked_path(card, expects, dataset, settings)
        try:
            return None if path is None else dict(json.loads(sealed.read(path, path.stem)))
        except OSError:
            return None
        except sealed.DamagedFile:
            assert path is not None
            _drop(path, "the model is looked at", self._told)
            return None

    def note_checked(
        self, card: ModelCard, expects: Expects, dataset: Dataset, settings: Settings, found: Mapping[str, object]
    ) -> None:
        """Keep what was ``found``. Raises `OutputError` where the folder cannot be written."""
        path = self._checked_path(card, expects, dataset, settings)
        if path is not None:
            sealed.write(path, json.dumps(found).encode(), path.stem, within=self.root)

    def identity(
        self, card: ModelCard, expects: Expects, dataset: Dataset, settings: Settings
    ) -> Mapping[str, object] | None:
        """Everything that decides what a model does on ``dataset``, None where it may change without a trace."""
        return self._identity(card, expects, dataset, settings)

    def remembered(self, identity: Mapping[str, object], make: Callable[[], Any]) -> Any:
        """What ``make()`` gives, in types of JSON, or what it gave when an equal ``identity`` was asked for.

        Raises:
            OutputError: the folder cannot be written.
        """
        path = self.root / "models" / f"{_key({'form': FORM, **identity})}.json"
        try:
            return json.loads(sealed.read(path, path.stem))
        except OSError:
            pass
        except sealed.DamagedFile:
            _drop(path, "what it held is computed", self._told)
        made = json.dumps(make())
        sealed.write(path, made.encode(), path.stem, within=self.root)
        return json.loads(made)

    def unchanged(self, dataset: Dataset) -> bool:
        """Whether ``dataset`` is still what it was when its entries were asked for."""
        return dataset.fingerprint(self.verify) == self.fingerprint(dataset)

    def assumptions(self, dataset: Dataset) -> tuple[Assumption, ...]:
        """What is taken for granted where predictions that are kept of ``dataset`` are used."""
        if not self.fingerprint(dataset).startswith(BY_TIMES):
            return ()
        what, value = "data unchanged since predictions were kept", "by paths, sizes and times of files"
        why = "they are not read to tell where they are large"
        return (Assumption(subject=DATA, what=what, value=value, why=why, option="--verify-data"),)

    def facts(
        self, digest: str, factory: str | None, asked: Sequence[str | None] = ()
    ) -> tuple[ModelCard, Expects] | None:
        """What was learnt of the model file of ``digest`` when it was last loaded, None where it was not.

        Nor is it known where one of the files that its factory read is no longer what it was.
        ``asked`` is what was said of the model by options, since it may be read in several ways.
        """
        path = self._facts_path(digest, factory, asked)
        try:
            known = json.loads(sealed.read(path, path.stem))
        except OSError:
            return None
        except sealed.DamagedFile:
            _drop(path, "the model is loaded", self._told)
            return None
        card = _card(known["card"])
        return (card, _expects(known["expects"])) if reads.current(card.reads or ()) else None

    def learn(self, card: ModelCard, expects: Expects, asked: Sequence[str | None] = ()) -> None:
        """Keep what was learnt of a model file, so that it need not be loaded where its predictions are known."""
        path = self._facts_path(card.digest, card.factory, asked)
        known = {"card": asdict(card), "expects": asdict(expects)}
        sealed.write(path, json.dumps(known).encode(), path.stem, within=self.root)

    def images(self, dataset: Dataset) -> KeptImages | None:
        """The decoded images of ``dataset``, which may be none yet; None where none are to be kept, or it has none."""
        if not self._images or dataset.preprocess is None:
            return None
        made = {"form": FORM, "data": self.fingerprint(dataset), "preprocess": repr(dataset.preprocess)}
        key = _key(made | {"versions": versions()})
        return KeptImages(self.root / IMAGES / f"{key}.images", key, dataset, self._images, self._told)

    def kept_images(self) -> list[int]:
        """The sizes of all sets of decoded images that are kept, in bytes."""
        found: list[int] = []
        for path in _inside(self.root / IMAGES):
            with suppress(OSError):
                found += [path.lstat().st_size] if _OWN.fullmatch(path.name) else []
        return found

    def parts(self) -> list[Path]:
        """The files that hold predictions, entry by entry."""
        return [part for folder in self._folders() for part in _parts(folder) if _OWN.fullmatch(part.name)]

    def entries(self) -> list[Listed]:
        """All entries, those used last first."""
        found = [listed for folder in self._folders() if (listed := _listed(folder)) is not None]
        return sorted(found, key=lambda entry: -entry.used)

    def clear(self) -> None:
        """Remove every entry and everything that was learnt, and nothing else that the folder may hold.

        Raises:
            OutputError: something cannot be removed.
        """
        own = (self.root / "predictions", self.root / "models", self.root / IMAGES)
        folders = [each for each in (*self._folders(), *own) if not each.is_symlink()]
        try:
            if _pins(self.root / PIN):
                targets.remove(self.root / PIN)
            for folder in folders:
                for path in _inside(folder):
                    if _OWN.fullmatch(path.name):
                        path.unlink(missing_ok=True)
                with suppress(OSError):  # not there, or not ours alone
                    folder.rmdir()
        except OSError as fault:
            raise OutputError(
                f"{fault.filename} cannot be removed: {fault.strerror or fault}", hint="check whose folder it is"
            ) from fault

    def fingerprint(self, dataset: Dataset) -> str:
        """That of ``dataset`` when it was asked for first."""
        if self._content is None or self._content[0] is not dataset:
            self._content = dataset, dataset.fingerprint(self.verify)
        return self._content[1]

    def _identity(
        self, card: ModelCard, expects: Expects, dataset: Dataset, settings: Settings
    ) -> dict[str, object] | None:
        """Everything that decides a prediction, None where it may change without a trace."""
        source = source_digest(card.factory)
        if self.runs_code(card) or (card.factory is not None and source is None):
            return None
        return {
            "form": [FORM, *_FIELDS],
            "model": [card.digest, card.format, card.factory, source, card.reads, repr(expects)],
            "data": [self.fingerprint(dataset), dataset.indexed, _digest(dataset.labels.tobytes())],
            "classes": list(dataset.classes),
            "preprocess": repr(dataset.preprocess),
            "settings": [settings.device, settings.runtime, list(settings.drop_class)],
            "asked": asked(settings, card.name),
            "versions": versions(),
        }

    def _checked_path(self, card: ModelCard, expects: Expects, dataset: Dataset, settings: Settings) -> Path | None:
        identity = self._identity(card, expects, dataset, settings)
        return None if identity is None else self.root / "models" / f"{_key(identity | {'checked': True})}.json"

    def _folders(self) -> list[Path]:
        whole = self.root / "predictions"
        found = [] if whole.is_symlink() else _inside(whole)  # nothing is kept where a link leads
        return [each for each in found if _KEY.fullmatch(each.name) and each.is_dir() and not each.is_symlink()]

    def _facts_path(self, digest: str, factory: str | None, asked: Sequence[str | None]) -> Path:
        made = [factory, source_digest(factory), *asked]
        key = _key({"form": [FORM, *_FIELDS], "model": digest, "factory": made, "versions": versions()})
        return self.root / "models" / f"{key}.json"


class Entry:
    """The rows of one model on one set of data that have been evaluated so far."""

    def __init__(self, folder: Path, about: Mapping[str, object], told: Callable[[str], None] | None = None) -> None:
        self._folder = folder
        self._about = dict(about)
        self._facts: Mapping[str, Any] = {}
        self._told = told or _silent
        self._found: list[Path] = []  # parts of earlier runs
        self._mine: list[Path] = []
        self._waiting: list[Kept] = []
        self._forgotten = False
        self._flushed = time.monotonic()

    def read(self) -> Kept | None:
        """All rows that are there, each once and in the order of the data; None where there are none."""
        missing: set[Path] = set()
        while True:
            self._found = _parts(self._folder)
            kept, self._facts, gone = _together(self._found, self._told, self._about)
            if gone <= missing:
                break
            missing |= gone  # another run has just put its parts together
        if kept is not None:
            with suppress(OSError):
                os.utime(self._folder)  # so that the list says when it was used
        return kept

    @property
    def facts(self) -> Mapping[str, Any]:
        """What runs noted beside the rows that were read; empty where there is nothing."""
        return self._facts

    def note(self, **facts: object) -> None:
        """Facts to write beside the rows, before the next of them."""
        self._about |= facts

    def tell(self) -> None:
        """Write the facts that were noted, though no row may follow. Raises `OutputError` as `add` does."""
        self._mine.append(self._write(Kept(rows=np.empty(0, np.int64), digests=np.empty(0, np.uint64)), self._about))

    def add(self, kept: Kept) -> None:
        """Keep further rows. They are on disk some `FLUSH_SECONDS` later, while further rows come, or after `flush`.

        Raises:
            OutputError: the disk is full, or the folder cannot be written; what was there stays as it was.
        """
        if self._forgotten:  # by a model that did not stop when the run was interrupted
            return
        self._waiting.append(kept)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises `OutputError` as `add` does."""
        if self._waiting:
            new, self._waiting = Kept.concat(self._waiting), []
            self._mine.append(self._write(new, self._about))
            if len(self._mine) > PARTS_MOST:
                self._mine = self._joined(self._mine)
        self._flushed = time.monotonic()

    def close(self, *, own: bool = False) -> None:
        """Write what waits, and put all parts into one: the ``own`` ones alone of a run beside many others."""
        self.flush()
        if own:
            self._mine = self._joined(self._mine) if len(self._mine) > 1 else self._mine
        elif (self._mine and len(self._mine) + len(self._found) > 1) or len(self._found) > PARTS_MOST:
            self._found, self._mine = [], self._joined([*self._found, *self._mine])

    def forget(self) -> None:
        """Remove what this run has kept: it is not known what the rows were predicted from."""
        self._forgotten = True
        self._waiting, mine, self._mine = [], self._mine, []
        for path in mine:
            path.unlink(missing_ok=True)

    def _joined(self, paths: list[Path]) -> list[Path]:
        """Put the parts at ``paths`` into one; what another run has put together meanwhile is in a part of its own."""
        kept, facts, _ = _together(paths, self._told, self._about)
        written = [] if kept is None else [self._write(kept, facts)]
        for path in paths:
            with suppress(OSError):  # elsewhere a file that is being read cannot be removed
                path.unlink(missing_ok=True)
        return written

    def _write(self, kept: Kept, facts: Mapping[str, object]) -> Path:
        import pyarrow
        from pyarrow import parquet

        table = pyarrow.table(kept.columns).replace_schema_metadata({ABOUT: json.dumps(facts).encode()})
        buffer = pyarrow.BufferOutputStream()
        parquet.write_table(table, buffer, compression="zstd")
        path = self._folder / f"part-{uuid.uuid4().hex}.parquet"
        sealed.write(path, buffer.getvalue().to_pybytes(), self._folder.name, within=self._folder.parent.parent)
        return path


def asked(settings: Settings, model: str) -> list[str | None]:
    """What ``settings`` say of the ``model`` by name that decides its predictions."""
    return [chosen(values, model) for values in (settings.model_output, settings.state_key)]


def folder() -> Path:
    """Where predictions are kept unless another folder is named: the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("prune-audit"))


def refuses(root: Path) -> str | None:
    """Why nothing can be written into the folder ``root``, None where it can."""
    from tempfile import TemporaryFile

    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=root):
            return None
    except OSError as fault:
        return fault.strerror or str(fault)


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, in order; nothing where it is being removed, which `Path.glob` does not bear."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _parts(folder: Path) -> list[Path]:
    return [path for path in _inside(folder) if path.match("part-*.parquet")]


def _together(
    paths: list[Path], told: Callable[[str], None], wanted: Mapping[str, Any]
) -> tuple[Kept | None, Mapping[str, Any], set[Path]]:
    """The rows of the parts at ``paths``, each once and in the order of the data, what was noted of them all, and those
    of the paths that are gone.

    Of a row that is in several parts, the first counts. A part that is not of the samples and columns that are
    ``wanted``, or that others are of, is none of these.
    """
    parts: list[Kept] = []
    facts: list[Mapping[str, Any]] = []
    gone: set[Path] = set()
    for path in paths:
        try:
            part, about = read_part(path)
            if not noted.alike([wanted, *facts, about]):
                raise sealed.DamagedFile
        except FileNotFoundError:
            gone.add(path)
        except OSError as fault:
            told(f"{path} cannot be read: {fault.strerror or fault}; {AGAIN} again")
        except sealed.DamagedFile:
            _drop(path, AGAIN, told)
        else:
            parts.append(part)
            facts.append(about)
    if not parts:
        return None, {}, gone
    kept = Kept.concat(parts)
    return kept.take(np.unique(kept.rows, return_index=True)[1]), noted.together(facts), gone


def read_part(path: Path) -> tuple[Kept, Mapping[str, Any]]:
    """The rows of the part at ``path``, and what the run that made it noted of them.

    Raises:
        DamagedFile: it is not what was written there, or such as no run writes.
        FileNotFoundError: it is gone.
        OSError: it cannot be read.
    """
    return parsed(sealed.read(path, path.parent.name))


def parsed(content: bytes) -> tuple[Kept, Mapping[str, Any]]:
    """As `read_part`, of the ``content`` of a part. Raises `DamagedFile` where no run writes such."""
    import pyarrow
    from pyarrow import parquet

    try:
        # Not by `read_table`: a thread of its own lets go of Python's buffer, which aborts a process that just ends.
        with parquet.ParquetFile(pyarrow.py_buffer(content), pre_buffer=False) as file:
            facts = noted.checked(parse.json((file.schema_arrow.metadata or {})[ABOUT]))
            if file.metadata.num_rows > facts.get("samples", 0):  # however few bytes it takes
                raise ValueError("it holds more rows than the data")
            return noted.rows(arrow.validated(file.read(use_threads=False)), facts), facts
    except arrow.faults() as fault:
        raise sealed.DamagedFile from fault


def _drop(path: Path, then: str, told: Callable[[str], None]) -> None:
    """Remove a damaged file, and say what is done ``then``."""
    with suppress(OSError):  # a folder that takes no files does not give them up either
        path.unlink(missing_ok=True)
    told(f"{path} is damaged and is not used: {then} again")


def _listed(entry: Path) -> Listed | None:
    """The entry in the folder ``entry``, None where it has just been removed."""
    size, parts, noted_ = 0, [np.empty(0, np.int64)], list[Mapping[str, Any]]()
    for path in _parts(entry):
        with suppress(OSError, sealed.DamagedFile):
            size += path.stat().st_size
            part, facts = read_part(path)
            parts.append(part.rows)
            noted_.append(facts)
    about = noted.together(noted_)
    rows = len(np.unique(np.concatenate(parts)))  # runs at once may each have written the same
    try:
        used = entry.stat().st_mtime
    except OSError:
        return None
    return Listed(
        folder=entry,
        model=about.get("model", "unknown"),
        data=about.get("data", "unknown"),
        rows=rows,
        samples=about.get("samples", rows),
        size=size,
        used=used,
    )


def _pins(path: Path) -> bool:
    """Whether the file at ``path`` is one by which a run is pinned."""
    try:
        if not path.is_file():
            return False
        with path.open(encoding="utf-8") as file:
            return file.read(4 * len(PINS)).lstrip("{ \n").startswith(f'"{PINS}"')
    except (OSError, ValueError):
        return False


def _silent(line: str) -> None:
    """Say nothing."""


def _key(identity: Mapping[str, object]) -> str:
    return _digest(json.dumps(identity, sort_keys=True).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _card(value: dict[str, Any]) -> ModelCard:
    layers = tuple(Layer(**{**layer, "shape": tuple(layer["shape"])}) for layer in value.pop("layers"))
    uncounted, read = tuple(value.pop("uncounted")), tuple((path, digest) for path, digest in value.pop("reads"))
    return ModelCard(**value, layers=layers, uncounted=uncounted, reads=read)


def _expects(value: dict[str, Any]) -> Expects:
    inputs = tuple(
        Input(name=each["name"], dtype=each["dtype"], shape=_tuple(each["shape"])) for each in value.pop("inputs")
    )
    tuples = {name: _tuple(value.pop(name, None)) for name in ("size", "classes", "accuracy")}
    return Expects(**value, inputs=inputs, **tuples)


def _tuple(value: list[Any] | None) -> Any:
    return None if value is None else tuple(value)

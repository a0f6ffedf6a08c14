"""Data sets as the library ``datasets`` 5.2 writes them, made with pyarrow alone."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from prune_audit.core import Array

MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGE: Mapping[str, Any] = {"_type": "Image"}
SOUND: Mapping[str, Any] = {"_type": "Audio"}


def labels(*names: str) -> Mapping[str, Any]:
    return {"names": list(names), "_type": "ClassLabel"}


def png(pixels: Array) -> dict[str, Any]:
    """A cell of an image (H, W, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def table(columns: Mapping[str, Sequence[Any]], features: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """``columns`` with the metadata that ``datasets`` puts into the schema; ``features`` of single values may lack."""
    arrays = {}
    for name, values in columns.items():
        kind = features.get(name, {}).get("_type")
        arrays[name] = pa.array(values, {"Image": MEDIA, "Audio": MEDIA, "ClassLabel": pa.int64()}.get(kind or ""))
    made = pa.table(arrays)
    whole = {n: features.get(n, {"dtype": str(made.schema.field(n).type), "_type": "Value"}) for n in columns}
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": whole}})})


def save(path: Path, whole: pa.Table, shards: int = 2) -> Path:
    """What ``Dataset.save_to_disk(path, num_shards=shards)`` leaves."""
    path.mkdir(parents=True)
    names = [f"data-{at:05d}-of-{shards:05d}.arrow" for at in range(shards)]
    for at, name in enumerate(names):
        rows = np.array_split(np.arange(whole.num_rows), shards)[at]
        with pa.OSFile(str(path / name), "wb") as file, pa.ipc.new_stream(file, whole.schema) as stream:
            stream.write_table(whole.slice(rows[0], len(rows)), max_chunksize=2)
    info = json.loads(whole.schema.metadata[b"huggingface"])["info"]
    (path / "dataset_info.json").write_text(json.dumps({"citation": "", **info}))
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return path


def shards(path: Path, whole: pa.Table, split: str, count: int = 2) -> list[Path]:
    """What the Hub holds of a data set: ``path`` /data/split-00000-of-00002.parquet, in groups of two rows."""
    (path / "data").mkdir(parents=True, exist_ok=True)
    files = [path / "data" / f"{split}-{at:05d}-of-{count:05d}.parquet" for at in range(count)]
    for file, rows in zip(files, np.array_split(np.arange(whole.num_rows), count), strict=True):
        parquet.write_table(whole.slice(rows[0], len(rows)), file, row_group_size=2)
    return files

"""What runs noted of a model is put together whatever their order, and believed where a run may have noted it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from prune_audit.evaluate import facts
from prune_audit.evaluate.cache import ABOUT, Entry, read_part
from prune_audit.files import sealed
from prune_audit.tasks.classification import keep

RNG = np.random.default_rng(3)
SCORES = RNG.normal(size=(6, 4))
ABOUT_IT = {"model": "m", "path": "m.onnx", "data": "d", "samples": 9, "columns": 4}
KEPT = keep(SCORES, SCORES.argmax(1), np.arange(6), np.arange(6, dtype=np.uint64))


def test_of_several_runs_lists_are_kept_in_full_and_notes_bear_one_name() -> None:
    one = {"model": "old", "odd": [1, 5], "notes": ["old is slow", "half"], "doubts": ["dark"], "ms": 2.0}
    two = {"model": "new", "odd": [3, 5], "notes": ["new is slow"], "macs": 7, "ms": 1.0}
    assert facts.together([one, two]) == {
        **{"model": "new", "odd": [1, 5, 3], "notes": ["new is slow", "half"]},
        **{"doubts": ["dark"], "ms": 1.0, "macs": 7},
    }
    assert sorted(facts.together([two, one])["odd"]) == [1, 3, 5]
    assert one["odd"] == [1, 5]
    assert facts.together([]) == {}


def test_what_a_pass_notes_is_believed() -> None:
    assumed = {"what": "scores", "value": "logits", "why": "some lie outside", "option": "--scores"}
    noted = {
        **ABOUT_IT,
        **{"macs": None, "activation": "softmax", "integers": False, "scores": "logits", "ms": 0.5, "batch_size": 8},
        **{"fitted": 8, "notes": ["n"], "assumptions": [assumed], "odd": [1], "turned": [], "doubts": ["d"]},
    }
    assert facts.checked(json.loads(json.dumps(noted))) == noted
    assert facts.LEARNT.keys() <= noted.keys()


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            [],
            "text",
            {"columns": "4"},
            {"columns": -1},
            {"columns": True},
            {"macs": 1.5},
            {"fitted": 0},
            {"odd": [-1]},
        ),
        *({"odd": ["1"]}, {"notes": "n"}, {"assumptions": [{"what": "scores"}]}, {"activation": "relu"}, {"what": 1}),
        *({"scores": ["logits"]}, {"samples": None}, {"ms": -0.1}, {"doubts": [1]}, {"integers": 0}),
    ],
)
def test_what_no_pass_notes_is_not(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"no object|nothing that a run notes"):
        facts.checked(wrong)


def part(folder: Path, columns: dict[str, Any], about: object = ABOUT_IT) -> Path:
    """A part that proves what it holds, whatever that is: whoever made a store may have made up its digests."""
    buffer = pa.BufferOutputStream()
    table = pa.table(columns).replace_schema_metadata({ABOUT: json.dumps(about).encode()})
    parquet.write_table(table, buffer)
    path = folder / f"part-{0:032x}.parquet"
    sealed.write(path, buffer.getvalue().to_pybytes(), folder.name)
    return path


def test_what_a_pass_keeps_comes_back(tmp_path: Path) -> None:
    found, about = read_part(part(tmp_path, KEPT.columns))
    assert found.columns.keys() == KEPT.columns.keys()
    for name, values in found.columns.items():
        np.testing.assert_array_equal(values, KEPT.columns[name])
        assert values.dtype == KEPT.columns[name].dtype
    assert about == ABOUT_IT


def changed(name: str, value: object, at: int = 2) -> dict[str, Any]:
    values = KEPT.columns[name].copy()
    values[at] = value
    return {**KEPT.columns, name: values}


LACKING = {name: values for name, values in KEPT.columns.items() if name != "spread"}


@pytest.mark.parametrize(
    ("columns", "about"),
    [
        (changed("rows", 9), ABOUT_IT),
        (changed("rows", -1), ABOUT_IT),
        (changed("predicted", 4), ABOUT_IT),
        (changed("rank", 4), ABOUT_IT),
        (changed("tied", 0), ABOUT_IT),
        (changed("first", np.inf), ABOUT_IT),
        (changed("own", np.nan), ABOUT_IT),
        (LACKING, ABOUT_IT),
        ({**KEPT.columns, "column": np.zeros(6)}, ABOUT_IT),
        ({**KEPT.columns, "mine": np.zeros(6)}, ABOUT_IT),
        ({**KEPT.columns, "rank": KEPT.columns["rank"].astype(np.int64)}, ABOUT_IT),
        ({**KEPT.columns, "own": pa.array([None, *KEPT.columns["own"][1:]])}, ABOUT_IT),
        (KEPT.columns, {**ABOUT_IT, "samples": 5}),
        (KEPT.columns, {**ABOUT_IT, "columns": 3, "macs": "many"}),
        (KEPT.columns, {**ABOUT_IT, "columns": 1}),
        (KEPT.columns, {**ABOUT_IT, "columns": 0}),
        (KEPT.take(np.arange(0)).columns | {"mine": np.zeros(0)}, ABOUT_IT),
        ({name: KEPT.columns[name] for name in ("rows", "digests")}, ABOUT_IT),
        (KEPT.columns, {}),
        (KEPT.columns, None),
    ],
)
def test_rows_that_no_pass_keeps_are_damage(tmp_path: Path, columns: dict[str, Any], about: object) -> None:
    path = part(tmp_path, columns, about)
    with pytest.raises(sealed.DamagedFile):
        read_part(path)
    told: list[str] = []
    assert Entry(tmp_path, {}, told.append).read() is None
    assert told == [f"{path} is damaged and is not used: what it held is predicted again"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 9])
def test_what_is_no_table_is_damage_though_its_digest_is_right(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"part-{0:032x}.parquet"
    sealed.write(path, content, tmp_path.name)
    with pytest.raises(sealed.DamagedFile):
        read_part(path)


def test_two_runs_at_once_keep_what_both_learnt(tmp_path: Path) -> None:
    one, two = Entry(tmp_path, ABOUT_IT), Entry(tmp_path, ABOUT_IT)
    for entry, rows, odd in ((one, [0, 1], [1]), (two, [2, 3], [2, 3])):
        entry.note(odd=odd)
        entry.add(KEPT.take(np.array(rows)))
        entry.flush()
    for _ in range(2):
        again = Entry(tmp_path, ABOUT_IT)
        kept = again.read()
        assert kept is not None
        assert kept.rows.tolist() == [0, 1, 2, 3]
        assert sorted(again.facts["odd"]) == [1, 2, 3]
        again.tell()  # so that closing puts all of them together
        again.close()
        assert len(list(tmp_path.iterdir())) == 1


def test_a_run_beside_others_leaves_their_parts_alone(tmp_path: Path) -> None:
    before = Entry(tmp_path, ABOUT_IT)
    before.add(KEPT.take(np.arange(2)))
    before.flush()
    [theirs] = tmp_path.iterdir()
    mine = Entry(tmp_path, ABOUT_IT)
    mine.read()
    for row in (2, 3):
        mine.add(KEPT.take(np.array([row])))
        mine.flush()
    mine.close(own=True)
    assert theirs.exists()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("other", [{"samples": 8}, {"columns": 5}])
def test_parts_that_do_not_fit_together_are_not_taken_together(tmp_path: Path, other: dict[str, int]) -> None:
    first = Entry(tmp_path, ABOUT_IT)
    first.add(KEPT.take(np.arange(2)))
    first.flush()
    second = Entry(tmp_path, {**ABOUT_IT, **other})
    second.add(KEPT.take(np.arange(2, 4)))
    second.flush()
    told: list[str] = []
    kept = Entry(tmp_path, ABOUT_IT, told.append).read()
    assert kept is not None
    assert len(kept) == 2
    assert len(told) == 1

"""Shards under one pin are those of one machine, to the last bit; of another pin they are refused, by what differs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit.core import BY_TIMES, WHOLE, Array, Expects, Input, Settings, Shard
from prune_audit.errors import DataError, InputError, UsageError
from prune_audit.evaluate import loop, pin
from prune_audit.evaluate.batch_size import FREE, Plan
from prune_audit.evaluate.cache import PIN, Store
from prune_audit.evaluate.cache_key import versions
from prune_audit.evaluate.loop import Evaluation, evaluate
from prune_audit.evaluate.merging import merge
from prune_audit.evaluate.pin import Pin, Pins
from tests.evaluate._models import ArrayData, FunctionModel

RNG = np.random.default_rng(18)
COUNT = 67
X = RNG.normal(size=(COUNT, 3))
Y = X.argmax(1).tolist()
ALL = np.arange(COUNT)

pytestmark = pytest.mark.usefixtures("unchecked", "few_first")


@pytest.fixture
def few_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many samples go first as fill no whole number of batches."""
    monkeypatch.setattr(loop, "FIRST", 11)


def data(**changes: object) -> ArrayData:
    made = ArrayData({"x": X}, Y, classes=("a", "b", "c"))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def model(name: str = "m", expects: Expects | None = None, *, digest: str | None = None) -> FunctionModel:
    """One whose last bits hang on the company and the place of a sample in its batch."""
    made = FunctionModel(name, lambda x: x + 1e-9 * x.mean() + 1e-10 * np.arange(len(x))[:, None], expects)
    made.card = replace(made.card, digest=digest or name)
    return made


def run(
    *models: FunctionModel,
    store: Path | None = None,
    pins: Pins | None = None,
    shard: Shard = WHOLE,
    samples: ArrayData | None = None,
    settings: Settings | None = None,
    threads: int = 1,
) -> Evaluation:
    kept = None if store is None else Store(store)
    return evaluate(
        models or [model()],
        samples or data(),
        ALL,
        settings or Settings(workers=1),
        store=kept,
        pins=pins if pins is not None or store is None else Pins(store=store),
        shard=shard,
        threads=threads,
    )


def bits(done: Evaluation, name: str = "m") -> tuple[bytes, ...]:
    found = done.predictions.model(name)
    values = (found.predicted, found.confidence, found.true_score, found.rank)
    return tuple(each.tobytes() for each in values if each is not None)


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    """A pin with batches of 8, which was not asked for."""
    path = tmp_path / "the.json"
    run(pins=Pins(file=path))
    found = pin.read(path)
    assert found is not None
    pin.write(path, replace(found, run={**found.run, "batch size": 8}))
    return path


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_shards_in_one_store_are_one_run_to_the_last_bit(tmp_path: Path, pinned: Path, count: int) -> None:
    store, whole = tmp_path / "kept", run(pins=Pins(file=pinned))
    for number in RNG.permutation(count) + 1:
        run(pins=Pins(file=pinned, store=store), store=store, shard=Shard(number=int(number), of=count))
    again, samples = model(), data()
    done = run(again, store=store, samples=samples)
    assert again.shapes == []
    assert samples.reads.sum() == 0
    assert bits(done) == bits(whole)
    assert done.notes == whole.notes
    assert pin.read(store / PIN) == pin.read(pinned)


def test_batches_that_were_cut_otherwise_have_other_bits(tmp_path: Path, pinned: Path) -> None:
    """What the test above would not see of a function that knows nothing of its batch."""
    assert bits(run(pins=Pins(file=pinned))) != bits(run(settings=Settings(workers=1, batch_size=7)))


def test_of_an_incomplete_store_only_what_is_missing_is_predicted(tmp_path: Path, pinned: Path) -> None:
    store = tmp_path / "kept"
    for number in (1, 3):
        run(pins=Pins(file=pinned, store=store), store=store, shard=Shard(number=number, of=3))
    again = model()
    done = run(again, store=store)
    known = done.run["known before, m"]
    assert isinstance(known, int)
    assert 0 < known < COUNT
    assert sum(shape[0] for shape in again.shapes) == COUNT - known
    assert bits(done) == bits(run(pins=Pins(file=pinned)))


def test_several_models_are_one_run_whether_together_or_apart(tmp_path: Path, pinned: Path) -> None:
    """One takes batches of 6 alone, so that what is decoded together must fill both."""
    fixed = Expects(inputs=(Input(name="x"),), batch=6)
    together = run(model("a"), model("b", fixed), pins=Pins(file=pinned))
    apart = [run(each, pins=Pins(file=pinned)) for each in (model("a"), model("b", fixed))]
    assert [bits(together, name) for name in "ab"] == [bits(done, name) for done, name in zip(apart, "ab", strict=True)]
    found = pin.read(pinned)
    assert found is not None
    assert list(found.models) == ["m", "a", "b"]


def test_what_is_unreadable_is_tried_by_whoever_asks_for_all(tmp_path: Path, pinned: Path) -> None:
    store, settings = tmp_path / "kept", Settings(workers=1, skip_bad=2)
    bad = ArrayData({"x": X}, Y, classes=("a", "b", "c"), bad=(7, 40))
    for number in (1, 2):
        run(
            pins=Pins(file=pinned, store=store),
            store=store,
            shard=Shard(number=number, of=2),
            samples=bad,
            settings=settings,
        )
    done = run(store=store, samples=bad, settings=settings)
    assert done.skipped == (("s40", "broken"), ("s7", "broken"))
    assert bits(done) == bits(run(pins=Pins(file=pinned), samples=bad, settings=settings))


def test_what_is_kept_without_a_pin_is_not_taken_for_what_is_pinned(tmp_path: Path, pinned: Path) -> None:
    store = tmp_path / "kept"
    evaluate([model()], data(), ALL, Settings(workers=1), store=Store(store))
    again = model()
    run(again, store=store, pins=Pins(file=pinned))
    assert sum(shape[0] for shape in again.shapes) == COUNT


def test_an_empty_shard_is_refused(tmp_path: Path, pinned: Path) -> None:
    with pytest.raises(UsageError, match="part 12 of 12 has nothing to do: there are 9 batches of 8") as caught:
        run(pins=Pins(file=pinned), shard=Shard(number=12, of=12))
    assert "--shard I/9 is the finest" in caught.value.hint


def otherwise(monkeypatch: pytest.MonkeyPatch, what: str) -> dict[str, Any]:
    """Arguments of a run, or what it stands on, that differ in one thing."""
    if what == "processor":
        monkeypatch.setattr(pin, "processor", lambda: ("Another CPU", "avx"))
    if what == "torch":
        monkeypatch.setattr(pin, "versions", lambda: {**versions(), "torch": "9"})
    changed: dict[str, Callable[[], dict[str, Any]]] = {
        "threads of a model": lambda: {"threads": 7},
        "batch size": lambda: {"settings": Settings(workers=1, batch_size=5)},
        "device": lambda: {"settings": Settings(workers=1, device="cuda")},
        "left out": lambda: {"settings": Settings(workers=1, drop_class=("z",))},
        "data: labels": lambda: {"samples": data(labels=np.array([*Y[1:], Y[0]]))},
        "data: classes": lambda: {"samples": data(classes=("a", "c", "b"))},
        "data: content": lambda: {"samples": data(fingerprint=lambda verify: "other")},
    }
    return changed[what]() if what in changed else {}


@pytest.mark.parametrize(
    "what",
    [
        *("threads of a model", "batch size", "device", "left out", "data: labels", "data: classes", "data: content"),
        *("processor", "torch"),
    ],
)
def test_whatever_is_otherwise_is_refused_by_its_name(
    tmp_path: Path, pinned: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    before, other = pinned.read_bytes(), otherwise(monkeypatch, what)
    with pytest.raises(UsageError, match=f"pins another run than this one: .*{what} is ") as caught:
        run(pins=Pins(file=pinned, store=tmp_path / "kept"), **other)
    assert str(pinned) in caught.value.message
    assert pinned.read_bytes() == before


def test_another_model_of_a_name_is_refused_and_one_of_another_name_comes_to_it(pinned: Path) -> None:
    with pytest.raises(UsageError, match="m: digest is m, and here other"):
        run(model(digest="other"), pins=Pins(file=pinned))
    run(model("n", digest="other"), pins=Pins(file=pinned))
    found = pin.read(pinned)
    assert found is not None
    assert list(found.models) == ["m", "n"]


def test_copies_that_differ_in_times_are_told_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / PIN
    run(pins=Pins(file=path), samples=data(fingerprint=lambda verify: f"{BY_TIMES}one"))
    with pytest.raises(UsageError, match="data: content") as caught:
        run(pins=Pins(file=path), samples=data(fingerprint=lambda verify: f"{BY_TIMES}two"))
    assert "--verify-data" in caught.value.hint


def test_two_pins_of_one_run_must_agree(tmp_path: Path, pinned: Path) -> None:
    store = tmp_path / "kept"
    run(store=store, threads=2)
    with pytest.raises(UsageError, match="are of different runs") as caught:
        Pins(file=pinned, store=store).known()
    assert "threads of a model is 2, and in the other 1" in caught.value.message


def test_what_was_asked_for_is_asked_of_all(tmp_path: Path) -> None:
    path = tmp_path / PIN
    run(pins=Pins(file=path), settings=Settings(workers=1, batch_size=5))
    found = Pins(file=path).known()
    assert found is not None
    assert (found.asked, found.batch) == (5, 5)


def test_rows_that_are_not_all_are_another_run(tmp_path: Path, pinned: Path) -> None:
    with pytest.raises(UsageError, match="rows is"):
        evaluate([model()], data(), ALL[:50], Settings(workers=1), pins=Pins(file=pinned), threads=1)


def test_many_who_begin_at_once_agree(tmp_path: Path) -> None:
    """Each would have chosen another batch size; the first one has chosen for all."""
    found, meeting = list[Pin](), threading.Barrier(8)

    def begin(number: int) -> None:
        mine = replace(a_pin(), models={f"m{number}": {"digest": str(number)}})

        def make(known: Pin | None) -> Pin:
            if known is None:
                meeting.wait(20)
            return replace(mine, run={**mine.run, "batch size": number if known is None else known.batch})

        found.append(Pins(file=tmp_path / PIN).agree(make))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(1, 9)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    last = pin.read(tmp_path / PIN)
    assert last is not None
    assert {each.batch for each in found} == {last.batch}
    assert sorted(last.models) == [f"m{number}" for number in range(1, 9)]


def a_pin() -> Pin:
    run = {"batch size": 4, "threads of a model": 1, "asked for": None, "processor": "P"}
    return Pin(run=run, data={"content": "c"}, versions={"numpy": "2"}, models={"m": {"digest": "d"}})


def test_a_pin_comes_back(tmp_path: Path) -> None:
    pin.write(tmp_path / PIN, a_pin())
    assert pin.read(tmp_path / PIN) == a_pin()
    assert pin.read(tmp_path / "none.json") is None


def changed(**sections: object) -> str:
    whole = {"prune-audit pin": 1, "run": dict(a_pin().run), "data": {}, "versions": {}, "models": {}}
    return json.dumps({**whole, **sections})


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "null", "{}", "\x00", '{"prune-audit pin": 1}', changed(**{"prune-audit pin": 2})),
        *(changed(more={}), changed(run=[]), changed(run={}), changed(models={"m": 1}), changed(models=[])),
        *(changed(run={"batch size": 0, "threads of a model": 1, "asked for": None}), changed(versions={"numpy": 2.5})),
        *(changed(run={"batch size": 4, "threads of a model": True, "asked for": None}), changed(data={"content": {}})),
        *(
            changed(run={"batch size": 4, "threads of a model": 10**9, "asked for": None}),
            "[" * 10_000,
            changed(data={"x": True}),
        ),
        changed(run={"batch size": 4, "threads of a model": 1, "asked for": "4"}),
    ],
)
def test_what_is_no_pin_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / PIN
    path.write_text(text)
    with pytest.raises(InputError, match="is no pin of a run: ") as caught:
        pin.read(path)
    assert "remove it" in caught.value.hint
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        pin.read(path)


def test_a_pin_of_a_store_is_written_nowhere_that_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / PIN).symlink_to(tmp_path / "mine")
    run(store=tmp_path / "kept")
    assert not (tmp_path / "mine").exists()
    assert not (tmp_path / "kept" / PIN).is_symlink()


def test_samples_that_differ_between_models_are_refused(tmp_path: Path, pinned: Path) -> None:
    """Each was predicted where the data have equal names, sizes and times, and not equal content."""

    class Other(ArrayData):
        def read(self, rows: Any) -> Any:
            batch = super().read(rows)
            return replace(batch, digests=batch.digests + (batch.rows == 5).astype(np.uint64))

    run(model("dense"), store=tmp_path / "kept")
    other = Other({"x": X}, Y, classes=("a", "b", "c"))
    run(model("pruned"), store=tmp_path / "kept", samples=other)
    with pytest.raises(DataError, match="1 samples, such as 's5', were others when pruned saw them than when dense"):
        run(model("dense"), model("pruned"), store=tmp_path / "kept")


# --------------------------------------------------------------------------------------------------------- batch size


def slow(call: float, sample: Callable[[int], float]) -> FunctionModel:
    def ask(x: Array) -> Array:
        time.sleep(call + sample(len(x)))
        return x

    return FunctionModel("m", ask)


def test_the_batch_size_is_that_of_least_time_for_all_models() -> None:
    """A call costs 8 ms beside .2 ms a sample, and ten times that from 32 samples on."""
    samples = ArrayData({"x": RNG.normal(size=(256, 3))}, [0] * 256)
    dear = slow(0.008, lambda n: 0.0002 * n if n < 32 else 0.002 * n)
    assert pin.fastest([(dear, FREE)], samples, np.arange(256), 2**20) == 16
    fixed = replace(FREE, batch=1)
    assert pin.fastest([(dear, fixed), (slow(0, lambda n: 0), Plan(batch=3))], samples, ALL, 2**20) == pin.SMALLEST
    assert pin.fastest([(slow(0.004, lambda n: 0), FREE)], samples, np.arange(256), 8 * 12) == 8  # bytes


# ------------------------------------------------------------------------------------------------------------- merging


def stores(tmp_path: Path, pinned: Path, count: int = 3) -> list[Path]:
    folders = [tmp_path / f"node-{number}" for number in range(1, count + 1)]
    for number, folder in enumerate(folders, 1):
        pins = Pins(file=pinned, store=folder)
        run(pins=pins, store=folder, shard=Shard(number=number, of=count))
    return folders


def test_stores_are_put_together(tmp_path: Path, pinned: Path) -> None:
    told: list[str] = []
    merge(Store(tmp_path / "all"), stores(tmp_path, pinned), told.append)
    again = model()
    assert bits(run(again, store=tmp_path / "all")) == bits(run(pins=Pins(file=pinned)))
    assert (again.shapes, told) == ([], [])
    Store(tmp_path / "all").clear()
    assert not list((tmp_path / "all").rglob("*.json*"))


def test_a_file_of_that_name_that_is_no_pin_is_not_cleared(tmp_path: Path) -> None:
    for text in ('{"mine": 1}', "", "prune-audit pin"):
        (tmp_path / PIN).write_text(text)
        Store(tmp_path).clear()
        assert (tmp_path / PIN).read_text() == text
    pin.write(tmp_path / PIN, a_pin())
    Store(tmp_path).clear()
    assert not (tmp_path / PIN).exists()


def test_what_each_shard_noted_is_kept(tmp_path: Path, pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = X.copy()
    values[[3, 30, 60], 0] = np.nan  # of which the scores say nothing
    samples = ArrayData({"x": values}, Y, classes=("a", "b", "c"))

    def asked() -> FunctionModel:
        return FunctionModel("m", np.nan_to_num)

    for number in (1, 2, 3):
        folder = tmp_path / f"node-{number}"
        run(
            asked(),
            pins=Pins(file=pinned, store=folder),
            store=folder,
            shard=Shard(number=number, of=3),
            samples=samples,
        )
    merge(Store(tmp_path / "all"), [tmp_path / f"node-{number}" for number in (3, 1, 2)], print)
    done = run(asked(), store=tmp_path / "all", samples=samples)
    whole = run(asked(), pins=Pins(file=pinned), samples=samples)
    assert done.notes == whole.notes
    assert "3 samples hold" in "".join(done.notes)


def test_stores_of_different_pins_are_refused_by_what_differs_and_nothing_is_written(
    tmp_path: Path, pinned: Path
) -> None:
    folders = stores(tmp_path, pinned, 2)
    run(store=tmp_path / "other", threads=5)
    with pytest.raises(UsageError, match=r"not put together: .*threads of a model is 5, and in the other 1"):
        merge(Store(tmp_path / "all"), [*folders, tmp_path / "other"], print)
    assert not (tmp_path / "all").exists()


def test_a_folder_without_a_pin_and_the_folder_itself_are_refused(tmp_path: Path, pinned: Path) -> None:
    [folder] = stores(tmp_path, pinned, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no shards"):
        merge(Store(tmp_path / "all"), [tmp_path / "empty"], print)
    with pytest.raises(UsageError, match="into itself"):
        merge(Store(folder), [folder], print)


def test_of_a_store_from_elsewhere_only_what_is_sound_is_taken(tmp_path: Path, pinned: Path) -> None:
    [folder] = stores(tmp_path, pinned, 1)
    [part] = folder.rglob("part-*")
    content = bytearray(part.read_bytes())
    content[100] ^= 1
    damaged = part.with_name(f"part-{1:032x}.parquet")
    damaged.write_bytes(content)
    part.with_name("part-.parquet").write_bytes(part.read_bytes())
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / f"{0:064x}.json").write_text("theirs")
    told: list[str] = []
    merge(Store(tmp_path / "all"), [folder], told.append)
    assert told == [f"{damaged} is damaged and is not taken: what it held is predicted again"]
    assert sorted(path.name for path in (tmp_path / "all").rglob("*") if path.is_file()) == sorted([PIN, part.name])

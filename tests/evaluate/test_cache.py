"""What was predicted once is read back, whole, whatever happened while it was written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

from prune_audit.core import BY_TIMES, DATA, Assumption, Expects, Input, Kept, Layer, ModelCard, Preprocess, Settings
from prune_audit.errors import DataError, ModelError, OutputError
from prune_audit.evaluate import cache as module
from prune_audit.evaluate.cache import Entry, Store
from prune_audit.evaluate.loop import Evaluation, evaluate
from prune_audit.tasks.classification.scores import keep
from tests.benchmarks import flips
from tests.evaluate._models import ArrayData, FunctionModel

RNG = np.random.default_rng(8)
X = RNG.normal(size=(50, 3))
Y = X.argmax(1).tolist()
CLASSES = ("a", "b", "c")

pytestmark = pytest.mark.usefixtures("unchecked")


def kept(rows: list[int]) -> Kept:
    at = np.array(rows, np.int64)
    return keep(X[at], np.array(Y)[at], at, at.astype(np.uint64))


def entry(folder: Path, columns: int = 3) -> Entry:
    return Entry(folder, {"model": "m", "data": "d", "samples": 50, "columns": columns})


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def same(a: Kept, b: Kept) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("rows", "predicted", "first", "spread"))


def test_rows_come_back_once_and_in_order(tmp_path: Path) -> None:
    first = entry(tmp_path)
    assert first.read() is None
    for rows in ([4, 2], [0, 7]):
        first.add(kept(rows))
        first.flush()
    second = entry(tmp_path)
    second.add(kept([2, 3]))
    second.flush()
    found = entry(tmp_path).read()
    assert found is not None
    assert same(found, kept([0, 2, 3, 4, 7]))
    assert found.column is None


def test_one_column_and_classes_alone_come_back_too(tmp_path: Path) -> None:
    at = np.arange(4)
    for scores in (X[:4, :1], np.array([2, 0, 1, 1])):
        writer = entry(tmp_path / str(scores.ndim), scores.ndim - 1)
        writer.add(keep(scores, np.array(Y[:4]), at, at.astype(np.uint64)))
        writer.close()
        found = entry(tmp_path / str(scores.ndim), scores.ndim - 1).read()
        assert found is not None
        values = found.column if scores.ndim == 2 else found.predicted
        np.testing.assert_array_equal(values, scores.ravel())
        assert found.first is None


def test_closing_leaves_one_file_however_many_runs_there_were(tmp_path: Path) -> None:
    for start in range(0, 50, 10):
        run = entry(tmp_path)
        run.read()
        run.add(kept(list(range(start, start + 10))))
        run.close()
        assert len(parts(tmp_path)) == 1
    found = entry(tmp_path).read()
    assert found is not None
    assert same(found, kept(list(range(50))))


def test_a_run_that_adds_nothing_writes_nothing(tmp_path: Path) -> None:
    for row in (0, 1):
        first = entry(tmp_path)
        first.add(kept([row]))
        first.flush()
    before = {path: path.stat().st_mtime_ns for path in parts(tmp_path)}
    run = entry(tmp_path)
    run.read()
    run.close()
    assert {path: path.stat().st_mtime_ns for path in parts(tmp_path)} == before
    assert len(before) == 2


def test_a_long_run_never_leaves_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARTS_MOST", 4)
    run = entry(tmp_path)
    for row in range(50):
        run.add(kept([row]))
        run.flush()
        assert len(parts(tmp_path)) <= 4
    found = entry(tmp_path).read()
    assert found is not None
    assert same(found, kept(list(range(50))))


def test_rows_are_written_as_time_goes_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = entry(tmp_path)
    run.add(kept([0]))
    assert not parts(tmp_path)
    now[0] += module.FLUSH_SECONDS
    run.add(kept([1]))
    assert len(parts(tmp_path)) == 1


def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    old = entry(tmp_path)
    old.add(kept([0, 1]))
    old.close()
    a, b = entry(tmp_path), entry(tmp_path)
    a.read()
    b.read()
    a.add(kept([2, 3]))
    b.add(kept([3, 4]))
    a.close()  # removes the part that both have read
    b.close()
    found = entry(tmp_path).read()
    assert found is not None
    assert same(found, kept([0, 1, 2, 3, 4]))


def test_rows_that_two_runs_at_once_wrote_are_counted_once(tmp_path: Path) -> None:
    one, other = (entry(tmp_path / "predictions" / ("0" * 64)) for _ in range(2))
    for at in (one, other):
        at.add(kept([1, 2, 3]))
    other.add(kept([4]))
    for at in (one, other):
        at.flush()
    assert [(e.rows, e.samples) for e in Store(tmp_path).entries()] == [(4, 50)]


def test_a_part_that_goes_while_it_is_read_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = entry(tmp_path)
    run.add(kept([0, 1]))
    run.flush()
    gone = parts(tmp_path)[0]
    original, calls = module.read_part, []

    def read(path: Path) -> tuple[Kept, Mapping[str, Any]]:
        calls.append(path)
        if len(calls) == 1:
            path.rename(path.with_name("part-merged.parquet"))
            raise FileNotFoundError(gone)
        return original(path)

    monkeypatch.setattr(module, "read_part", read)
    found = entry(tmp_path).read()
    assert found is not None
    assert same(found, kept([0, 1]))


@pytest.mark.parametrize("damage", [b"", b"PAR1 and no more", b"x" * 100])
def test_a_damaged_part_is_dropped_and_said_so_once(tmp_path: Path, damage: bytes) -> None:
    run = entry(tmp_path)
    run.add(kept([0, 1]))
    run.close()
    damaged = tmp_path / "part-damaged.parquet"
    damaged.write_bytes(damage)
    told: list[str] = []
    for _ in range(2):
        found = Entry(tmp_path, {}, told.append).read()
        assert found is not None
        assert same(found, kept([0, 1]))
    assert told == [f"{damaged} is damaged and is not used: what it held is predicted again"]
    assert not damaged.exists()


def test_a_part_that_cannot_be_read_is_left_where_it_is(tmp_path: Path) -> None:
    run = entry(tmp_path)
    run.add(kept([0, 1]))
    run.close()
    (tmp_path / "part-0.parquet").mkdir()  # reading a folder fails whoever one is; root reads everything else
    told: list[str] = []
    found = Entry(tmp_path, {}, told.append).read()
    assert found is not None
    assert same(found, kept([0, 1]))
    assert told == [
        f"{tmp_path / 'part-0.parquet'} cannot be read: Is a directory; what it held is predicted again",
    ]
    assert (tmp_path / "part-0.parquet").exists()


def test_damage_is_seen_where_parts_are_listed(tmp_path: Path) -> None:
    run(Store(tmp_path), model())
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1])
    assert [(e.rows, e.samples, e.model) for e in Store(tmp_path).entries()] == [(0, 0, "unknown")]


def test_a_part_that_is_a_broken_link_ends_nothing(tmp_path: Path) -> None:
    run_ = entry(tmp_path)
    run_.add(kept([0, 1]))
    run_.flush()
    (tmp_path / "part-0.parquet").symlink_to(tmp_path / "nowhere")
    found = entry(tmp_path).read()
    assert found is not None
    assert same(found, kept([0, 1]))


def test_nothing_of_the_rows_on_disk_is_held_in_memory(tmp_path: Path) -> None:
    run_ = entry(tmp_path)
    run_.add(kept([0, 1]))
    run_.flush()
    assert not [
        each for value in vars(run_).values() if isinstance(value, list) for each in value if type(each) is Kept
    ]


def test_reading_leaves_no_thread_that_holds_what_was_read(tmp_path: Path) -> None:
    """Arrow's data sets read in threads of their own, and one that lets go of a buffer of Python's as the process ends
    aborts it: one of six, on a busy machine."""
    first = entry(tmp_path)
    first.add(kept([1, 2]))
    first.flush()
    code = (
        "import sys; from pathlib import Path; from prune_audit.evaluate.cache import _parts, read_part; "
        f"[part] = _parts(Path({str(tmp_path)!r})); assert read_part(part)[0].rows.tolist() == [1, 2]; "
        "sys.exit('pyarrow.dataset' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_another_data_set_at_the_same_address_is_another(tmp_path: Path) -> None:
    store, folders = Store(tmp_path), set()
    for number in range(20):  # each is freed before the next is made, which then often takes its place in memory
        samples = data(fingerprint=lambda verify, number=number: f"content {number}")
        made = store.entry(model().card, Expects(), samples, Settings())
        assert made is not None
        folders.add(made._folder)
        del samples
    assert len(folders) == 20


def test_only_what_is_kept_is_listed_and_cleared(tmp_path: Path) -> None:
    run(Store(tmp_path), model())
    Store(tmp_path).learn(model().card, Expects())
    theirs = [tmp_path / name for name in ("models/resnet.pt", "models/card.json", "predictions/mine/part-1.parquet")]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs")
    (next((tmp_path / "predictions").glob("[0-9a-f]*")) / f".part-{'0' * 32}.parquet-{'1' * 32}").write_text("cut")
    assert len(Store(tmp_path).entries()) == 1
    Store(tmp_path).clear()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(theirs)
    for path in theirs:
        path.unlink()


def test_what_cannot_be_cleared_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(Store(tmp_path), model())

    def refuse(path: Path, *, missing_ok: bool) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match="cannot be removed: Permission denied"):
        Store(tmp_path).clear()


KINDS = {  # of scores: several columns, one, and classes alone
    "scores": lambda x: x,
    "column": lambda x: x[:, :1],
    "classes": lambda x: x.argmax(axis=1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_never_believed(tmp_path: Path, kind: str) -> None:
    """A sample of what ``python -m tests.benchmarks.flips`` tries at length."""
    rng = np.random.default_rng(41)
    found = flips.Kept.of(tmp_path, KINDS[kind])
    for path in found.files():
        for _ in range(25):
            assert found.after_a_flip(path, rng) == "dropped"


def test_files_that_changed_places_are_never_believed(tmp_path: Path) -> None:
    first = run(Store(tmp_path), model("a"))
    run(Store(tmp_path), reversing("b"))
    [one], [two] = (sorted(e.folder.glob("part-*")) for e in sorted(Store(tmp_path).entries(), key=lambda e: e.model))
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    told: list[str] = []
    again = run(Store(tmp_path, told=told.append), model("a"))
    np.testing.assert_array_equal(again.predictions.model("a").predicted, first.predictions.model("a").predicted)
    assert len(told) == 1


@pytest.mark.parametrize("remove", [lambda kept: Store(kept).clear(), partial(shutil.rmtree, ignore_errors=True)])
def test_five_runs_at_once_and_whoever_removes_all_meanwhile_disturb_nobody(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    whole = run(Store(tmp_path / "other"), model(), reversing("n"))
    done, failed = list[Evaluation](), list[BaseException]()

    def go() -> None:
        try:
            for _ in range(8):
                done.append(run(Store(tmp_path / "kept"), model(), reversing("n"), settings=Settings(batch_size=5)))
        except BaseException as fault:  # which would end its thread alone
            failed.append(fault)

    threads = [threading.Thread(target=go) for _ in range(5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        remove(tmp_path / "kept")
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(done) == 40
    for each in done:
        for name in ("m", "n"):
            one, two = each.predictions.model(name), whole.predictions.model(name)
            np.testing.assert_array_equal(one.predicted, two.predicted)
    assert not list(tmp_path.rglob(".*"))  # nothing is left half-written


def test_a_folder_that_takes_no_files_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(Store(tmp_path), model())

    def refuse(path: object, *_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    for name in ("write_bytes", "mkdir", "unlink", "replace"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(os, "utime", refuse)
    again = model()
    run(Store(tmp_path), again)
    assert again.shapes == []
    with pytest.raises(OutputError, match="Read-only file system"):
        run(Store(tmp_path), model("other"))


@pytest.mark.parametrize("seconds", [-(10**9), 10**9])
def test_clocks_that_disagree_change_nothing_but_the_order_of_the_list(tmp_path: Path, seconds: int) -> None:
    first = run(Store(tmp_path), model("a"), model("b"))
    for path in tmp_path.rglob("*"):
        then = path.stat().st_mtime + seconds
        os.utime(path, (then, then))
    again = model("a")
    second = run(Store(tmp_path), again)
    assert again.shapes == []
    np.testing.assert_array_equal(first.predictions.model("a").predicted, second.predictions.model("a").predicted)
    assert [e.model for e in Store(tmp_path).entries()] == (["a", "b"] if seconds < 0 else ["b", "a"])


class Changing(ArrayData):
    """Data that are others from some row on."""

    def fingerprint(self, verify: bool) -> str:
        return f"{super().fingerprint(verify)} {self.reads[20:].any()}"


@pytest.mark.parametrize("interrupted", [False, True])
def test_nothing_is_kept_of_data_that_change_while_they_are_read(
    tmp_path: Path, interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0)
    changing, failing = Changing({"x": X}, Y, classes=CLASSES), model()
    if interrupted:
        failing = FunctionModel("m", lambda x: x if not changing.reads[40:].any() else x[:1])
    settings = Settings(workers=1, batch_size=5)
    with pytest.raises(ModelError if interrupted else DataError, match="rows for" if interrupted else "was changed"):
        run(Store(tmp_path), failing, samples=changing, settings=settings)
    assert not list(tmp_path.rglob("part-*"))


def of_data(done: Evaluation) -> list[Assumption]:
    return [each for each in done.assumptions if each.subject == DATA]


def test_data_that_are_not_read_to_be_told_apart_are_said(tmp_path: Path) -> None:
    large = data(fingerprint=lambda verify: "whole" if verify else f"{BY_TIMES}some")
    for _ in range(2):
        (told,) = of_data(run(Store(tmp_path), model(), samples=large))
        assert (told.subject, told.what) == (DATA, "data unchanged since predictions were kept")
        assert (told.value, told.option) == ("by paths, sizes and times of files", "--verify-data")
    assert not of_data(run(Store(tmp_path, verify=True), model(), samples=large))
    assert not of_data(evaluate([model()], large, np.arange(50), Settings(workers=1)))


def full(path: Path, *_: object) -> None:
    os.truncate(path, 10)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = entry(tmp_path)
    run.add(kept([0, 1]))
    run.flush()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run.add(kept([2]))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OutputError, match="No space left") as caught:
            run.flush()
    assert "--no-cache" in caught.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_is_kept_or_cleared_where_a_link_leads(tmp_path: Path) -> None:
    mine, key = tmp_path / "mine", "0" * 64
    (mine / key).mkdir(parents=True)
    part = mine / key / f"part-{key[:32]}.parquet"
    for path in (mine / f"{key}.json", part):
        path.write_text("mine")
    for name in ("predictions", "models"):
        (tmp_path / "store").mkdir(exist_ok=True)
        (tmp_path / "store" / name).symlink_to(mine)
    with pytest.raises(OutputError, match="predictions is a link, and none is followed there"):
        Entry(tmp_path / "store" / "predictions" / key, {}).tell()
    Store(tmp_path / "store").clear()
    assert (mine / f"{key}.json").read_text() == part.read_text() == "mine"


# ---------------------------------------------------------------------------------------------- the pass and the store


def data(**changes: object) -> ArrayData:
    made = ArrayData({"x": X}, Y, classes=CLASSES)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def run(
    store: Store, *models: FunctionModel, samples: ArrayData | None = None, settings: Settings | None = None
) -> Evaluation:
    return evaluate(models, samples or data(), np.arange(50), settings or Settings(workers=1), store=store)


def model(name: str = "m", digest: str | None = None) -> FunctionModel:
    made = FunctionModel(name, lambda x: x)
    made.card = replace(made.card, digest=digest or name)
    return made


def reversing(name: str) -> FunctionModel:
    made = FunctionModel(name, lambda x: -x)
    made.card = replace(made.card, digest=name)
    return made


def test_the_second_pass_reads_nothing_and_says_the_same(tmp_path: Path) -> None:
    first = run(Store(tmp_path), model())
    again, samples = model(), data()
    second = run(Store(tmp_path), again, samples=samples)
    assert again.shapes == []
    assert samples.reads.sum() == 0
    one, two = first.predictions.model("m"), second.predictions.model("m")
    for name in ("predicted", "confidence", "true_score", "rank"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(first.predictions.digests, second.predictions.digests)
    assert first.facts["m"]["macs"] == second.facts["m"]["macs"] == 3
    assert first.notes == second.notes
    assert second.run["known before, m"] == 50


def test_a_new_variant_runs_and_the_dense_model_does_not(tmp_path: Path) -> None:
    run(Store(tmp_path), model("dense"))
    dense, pruned, samples = model("dense"), model("pruned"), data()
    run(Store(tmp_path), dense, pruned, samples=samples)
    assert dense.shapes == []
    assert sum(shape[0] for shape in pruned.shapes) == 50
    assert samples.reads.max() <= 2  # once, and one of them to see how large a sample is


def test_a_limited_run_is_part_of_the_whole_one(tmp_path: Path) -> None:
    evaluate([model()], data(), np.arange(0, 50, 2), Settings(batch_size=5), store=Store(tmp_path))
    again = model()
    run(Store(tmp_path), again, settings=Settings(batch_size=5))
    assert sum(shape[0] for shape in again.shapes) == 25
    assert sum(e.rows for e in Store(tmp_path).entries()) == 50  # and none is there twice
    assert len(run(Store(tmp_path), model()).predictions.labels) == 50


@pytest.mark.parametrize(
    "change",
    [
        lambda: {"model": model(digest="other weights")},
        lambda: {"samples": data(labels=np.array([*Y[1:], Y[0]]))},
        lambda: {"samples": data(classes=("a", "c", "b"))},
        lambda: {"samples": data(fingerprint=lambda verify: "other content")},
        lambda: {"settings": Settings(workers=1, device="meta")},
        lambda: {"settings": Settings(workers=1, runtime="onnxruntime")},
        lambda: {"settings": Settings(workers=1, drop_class=("x",))},
        lambda: {"model": FunctionModel("m", lambda x: x, Expects(inputs=(Input(name="x", dtype="float32"),)))},
    ],
)
def test_whatever_decides_a_prediction_makes_a_new_entry(tmp_path: Path, change: Callable[[], dict[str, Any]]) -> None:
    run(Store(tmp_path), model())
    changed = change()
    again = changed.get("model", model())
    run(Store(tmp_path), again, samples=changed.get("samples"), settings=changed.get("settings"))
    assert sum(shape[0] for shape in again.shapes) == 50
    assert len(Store(tmp_path).entries()) == 2


def test_preprocessing_and_versions_make_new_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    cards = model().card, Expects()

    def key(samples: ArrayData) -> Path:
        made = store.entry(*cards, samples, Settings())
        assert made is not None
        return made._folder

    plain = key(data())
    assert key(data(preprocess=Preprocess(size=(8, 8)))) != plain
    monkeypatch.setattr(module, "versions", lambda: {"torch": "3"})
    assert key(data()) != plain


def test_what_does_not_decide_a_prediction_does_not(tmp_path: Path) -> None:
    run(Store(tmp_path), model())
    again = model()
    settings = Settings(workers=2, threads=1, batch_size=7, margin=0.01, confidence=0.9, seed=9)
    run(Store(tmp_path), again, settings=settings)
    assert again.shapes == []


def test_an_interrupted_pass_goes_on_where_it_stopped(tmp_path: Path) -> None:
    class Interrupted(FunctionModel):
        def predict(self, inputs):  # type: ignore[no-untyped-def]  # as its base
            if len(self.shapes) == 4:
                raise KeyboardInterrupt
            return super().predict(inputs)

    settings = Settings(workers=1, batch_size=5)
    broken = Interrupted("m", lambda x: x)
    with pytest.raises(KeyboardInterrupt):
        run(Store(tmp_path), broken, settings=settings)
    again = model()
    done = run(Store(tmp_path), again, settings=settings)
    assert sum(shape[0] for shape in again.shapes) == 50 - 4 * 5
    whole = evaluate([model()], data(), np.arange(50), settings)
    np.testing.assert_array_equal(done.predictions.model("m").confidence, whole.predictions.model("m").confidence)


def test_unreadable_samples_are_tried_again(tmp_path: Path) -> None:
    settings = Settings(workers=1, batch_size=5, skip_bad=1)
    first = evaluate(
        [model()], ArrayData({"x": X}, Y, classes=CLASSES, bad=(7,)), np.arange(50), settings, store=Store(tmp_path)
    )
    assert first.skipped == (("s7", "broken"),)
    again = model()
    second = run(Store(tmp_path), again, settings=settings)
    assert again.shapes == [(1, 3)]
    assert len(second.predictions.labels) == 50


def test_a_size_that_was_asked_for_or_being_tried_binds_no_later_run(tmp_path: Path) -> None:
    evaluate([model()], data(), np.arange(10), Settings(workers=1, batch_size=1), store=Store(tmp_path))
    [part] = tmp_path.rglob("part-*")
    assert "fitted" not in module.read_part(part)[1]
    fitting = Entry(part.parent, {"fitted": 7})
    fitting.tell()
    again = model()
    run(Store(tmp_path), again)
    assert max(shape[0] for shape in again.shapes) == 7  # as the run began that it goes on with


def test_notes_name_the_model_as_it_is_called_now(tmp_path: Path) -> None:
    first = model("old", digest="same")
    first.notes = ("old runs one by one",)
    run(Store(tmp_path), first)
    assert run(Store(tmp_path), model("new", digest="same")).notes == ("new runs one by one",)


def test_a_pickled_module_is_not_kept_because_its_code_is_elsewhere(tmp_path: Path) -> None:
    pickled = model()
    pickled.card = replace(pickled.card, format="torch.save")
    run(Store(tmp_path), pickled)
    again = model()
    again.card = pickled.card
    run(Store(tmp_path), again)
    assert sum(shape[0] for shape in again.shapes) == 50


def test_nothing_is_kept_of_a_factory_whose_source_is_not_found(tmp_path: Path) -> None:
    card = replace(model().card, factory="nowhere_to_be_found:net")
    assert Store(tmp_path).entry(card, Expects(), data(), Settings()) is None


def test_what_a_factory_read_is_part_of_what_predictions_are_kept_by(tmp_path: Path) -> None:
    folders = set()
    for read in ((), (("net.json", "1"),), (("net.json", "2"),), (("net.json", None),), (("other.json", "1"),)):
        card = replace(model().card, factory="prune_audit.networks:mlp(3)", reads=read)
        made = Store(tmp_path).entry(card, Expects(), data(), Settings())
        assert made is not None
        folders.add(made._folder)
    assert len(folders) == 5
    unseen = replace(model().card, factory="prune_audit.networks:mlp(3)", reads=None)
    assert Store(tmp_path).entry(unseen, Expects(), data(), Settings()) is None


def test_what_is_learnt_of_a_file_comes_back_equal(tmp_path: Path) -> None:
    card = ModelCard(
        name="m", path="p", format="ONNX", digest="d", size=3, parameters=4, compressed=2,
        layers=(Layer(name="l", kind="linear", shape=(2, 3), nonzero=1, total=6),),
    )  # fmt: skip
    expects = Expects(
        inputs=(Input(name="x", dtype="float32", shape=(None, 3)), Input(name="y")), size=(2, 3), classes=("a", "b")
    )
    store = Store(tmp_path)
    assert store.facts("d", None) is None
    store.learn(card, expects)
    assert store.facts("d", None) == (card, expects)
    assert store.facts("d", "nets:net()") is None
    assert store.facts("other", None) is None


def test_lists_and_clears(tmp_path: Path) -> None:
    run(Store(tmp_path), model("dense"), model("pruned"))
    found = Store(tmp_path).entries()
    assert sorted(e.model for e in found) == ["dense", "pruned"]
    assert all((e.rows, e.samples, e.data) == (50, 50, "arrays") for e in found)
    assert sum(e.size for e in found) == sum(p.stat().st_size for p in tmp_path.rglob("part-*"))
    json.dumps([str(e.folder) for e in found])
    Store(tmp_path).clear()
    assert Store(tmp_path).entries() == []


def test_the_time_of_an_earlier_run_is_called_so(tmp_path: Path) -> None:
    first = run(Store(tmp_path), model())
    assert first.run["ms per sample, m"] is not None
    second = run(Store(tmp_path), model())
    assert "ms per sample, m" not in second.run
    assert second.run["ms per sample earlier, m"] == first.run["ms per sample, m"]


def test_the_folder_is_the_users_unless_another_is_named() -> None:
    assert module.folder() == Path(platformdirs.user_cache_dir("prune-audit"))


def test_a_result_is_made_once_for_all_that_decides_it_and_again_where_its_file_is_damaged(tmp_path: Path) -> None:
    told: list[str] = []
    made: list[int] = []
    store = Store(tmp_path, told=told.append)

    def make() -> list[object]:
        made.append(1)
        return [0.1, None, {"n": len(made)}]

    assert store.remembered({"lens": "a", "unit": 1}, make) == [0.1, None, {"n": 1}]
    assert store.remembered({"unit": 1, "lens": "a"}, make) == [0.1, None, {"n": 1}]
    assert store.remembered({"lens": "a", "unit": 2}, make) == [0.1, None, {"n": 2}]
    for path in (tmp_path / "models").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert store.remembered({"lens": "a", "unit": 1}, make) == [0.1, None, {"n": 3}]
    assert len(told) == 1
    assert "is damaged and is not used: what it held is computed again" in told[0]
    store.clear()
    assert not (tmp_path / "models").exists()

"""Whatever a build reads is written down, and nothing else."""

from __future__ import annotations

import builtins
import hashlib
import importlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from prune_audit.core import Batch, Counts
from prune_audit.evaluate import reads
from prune_audit.runners import threads
from tests.evaluate._models import ArrayData

READING = "from pathlib import Path\nCONFIG = Path('net.json').read_text()\n"
NAMES = ("nets_of_test_reads", "blocks_of_test_reads")


def digest(content: str | bytes) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a configuration, and a process in which nothing was built before."""
    (tmp_path / "net.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(reads, "_shared", set())
    monkeypatch.setattr(reads, "_imported", {})
    yield tmp_path
    for name in NAMES:
        sys.modules.pop(name, None)


def build(call: Callable[[], object], module: str | None = None) -> tuple[reads.Read, ...] | None:
    """What is read while ``module`` is imported and ``call`` is made."""
    with reads.recorded() as recording:
        if module is not None:
            importlib.invalidate_caches()
            with recording.importing(module):
                importlib.import_module(module)
        call()
    return recording.found


CONFIG = ("net.json", digest("{}"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: builtins.open("net.json").close(),  # noqa: PTH123
        lambda: Path("net.json").read_text(),
        lambda: Path("net.json").absolute().read_bytes(),
        lambda: os.close(os.open("net.json", os.O_RDONLY)),
        lambda: os.close(os.open(b"./sub/../net.json", os.O_RDONLY)),
        lambda: [Path("net.json").read_text() for _ in range(3)],
    ],
)
def test_however_a_file_is_opened(call: Callable[[], object], here: Path) -> None:
    (here / "sub").mkdir()
    assert build(call) == (CONFIG,)


def test_arrays_and_checkpoints_are_files_too() -> None:
    np.save("prior.npy", np.eye(2))
    torch.save({"w": torch.eye(2)}, "start.pth")
    found = build(lambda: (np.load("prior.npy"), torch.load("start.pth")))
    assert found == tuple((name, digest(Path(name).read_bytes())) for name in ("prior.npy", "start.pth"))


def test_what_was_looked_for_and_not_there_counts_once_it_is(here: Path) -> None:
    def local() -> str:
        try:
            return Path("local.json").read_text()
        except FileNotFoundError:
            return Path("net.json").read_text()

    found = build(local)
    assert found == (("local.json", None), CONFIG)
    assert reads.current(found)
    (here / "local.json").write_text("{}")
    assert not reads.current(found)


def test_a_changed_and_a_removed_file_are_not_what_was_read(here: Path) -> None:
    found = build((here / "net.json").read_text)
    assert found is not None
    assert reads.current(found)
    (here / "net.json").write_text("[]")
    assert not reads.current(found)
    (here / "net.json").unlink()
    assert not reads.current(found)


def test_a_copy_of_the_project_elsewhere_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = build(Path("net.json").read_text)
    other = tmp_path_factory.mktemp("copy")
    (other / "net.json").write_text("{}")
    monkeypatch.chdir(other)
    assert build(Path("net.json").read_text) == found
    assert found is not None
    assert reads.current(found)


def test_what_lies_elsewhere_has_its_whole_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("elsewhere") / "net.json"
    path.write_text("1")
    assert build(path.read_text) == ((str(path), digest("1")),)


def test_what_the_build_makes_itself_does_not_count() -> None:
    def work() -> None:
        Path("log.txt").write_text("began")
        Path("log.txt").read_text()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a").write_text("1")
            (Path(folder) / "a").read_text()
            os.close(os.open(Path(folder) / "by.c", os.O_CREAT))  # of a folder that it made, whoever wrote there
        Path("new.part").write_text("2")
        Path("new.part").rename("new")
        Path("new").read_text()

    assert build(work) == ()


def test_folders_devices_and_the_machine_do_not_count(here: Path) -> None:
    def work() -> None:
        os.close(os.open(here, os.O_RDONLY))
        with Path("/dev/null").open():
            pass
        if Path("/proc/self/status").exists():
            Path("/proc/self/status").read_text()

    assert build(work) == ()


def test_threads_that_it_starts_count_and_others_do_not(here: Path) -> None:
    (here / "data.bin").write_text("x")
    begin, done = threading.Event(), threading.Event()

    def other() -> None:
        begin.wait(30)
        Path("data.bin").read_text()
        done.set()

    thread = threading.Thread(target=other)
    thread.start()

    def work() -> None:
        own = threading.Thread(target=Path("net.json").read_text)
        own.start()
        own.join()
        begin.set()
        assert done.wait(30)

    assert build(work) == (CONFIG,)
    thread.join()


def test_the_threads_that_decode_meanwhile_do_not_count(here: Path) -> None:
    class Read(ArrayData):
        def read(self, rows: Sequence[int] | Counts) -> Batch:
            (here / "net.json").read_text()
            return super().read(rows)

    data = Read({"x": np.eye(2)}, [0, 1])
    assert build(lambda: list(threads.ahead([np.arange(2)], data.read, 2))) == ()
    assert data.reads.all()


def test_nothing_is_written_down_outside_of_a_build(here: Path) -> None:
    with reads.recorded() as recording:
        pass
    (here / "net.json").read_text()
    assert recording.found == ()


def test_what_a_module_read_when_it_was_imported_belongs_to_every_later_build(here: Path) -> None:
    (here / f"{NAMES[0]}.py").write_text(READING)
    (here / "other.json").write_text("1")
    code = (f"{NAMES[0]}.py", digest((here / f"{NAMES[0]}.py").read_bytes()))
    first = build(lambda: None, NAMES[0])
    assert first == (CONFIG, code)
    assert build(Path("other.json").read_text, NAMES[0]) == tuple(sorted([*first, ("other.json", digest("1"))]))
    assert build(lambda: None, NAMES[0]) == first
    (here / "net.json").write_text("[]")  # the module goes by what it read then
    assert build(lambda: None, NAMES[0]) == first
    assert reads.shared() == set(first)


def test_builds_at_once_from_one_module_know_what_they_read(here: Path) -> None:
    (here / f"{NAMES[0]}.py").write_text(f"import time\ntime.sleep(0.3)\n{READING}")
    found = list[tuple[reads.Read, ...] | None]()
    threads = [threading.Thread(target=lambda: found.append(build(lambda: None, NAMES[0]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(CONFIG, (f"{NAMES[0]}.py", digest((here / f"{NAMES[0]}.py").read_bytes())))] * 3


def test_modules_from_anywhere_count_by_their_source(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("lib")
    block = elsewhere / f"{NAMES[1]}.py"
    block.write_text("width = 3\n")
    monkeypatch.syspath_prepend(elsewhere)

    def late() -> None:
        importlib.import_module(NAMES[1])

    for _ in range(2):  # the second time from what was compiled the first time
        monkeypatch.setattr(reads, "_shared", set())
        assert build(late) == ((str(block), digest("width = 3\n")),)
        assert reads.shared() == {(str(block), digest("width = 3\n"))}
        del sys.modules[NAMES[1]]


def test_code_that_is_installed_goes_by_its_version_and_data_there_by_what_they_hold(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = here / "site-packages"
    (installed / NAMES[0]).mkdir(parents=True)
    (installed / NAMES[0] / "__init__.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('net.yaml').read_text()\n"
    )
    (installed / NAMES[0] / "net.yaml").write_text("width: 3")
    monkeypatch.syspath_prepend(installed)
    assert build(lambda: None, NAMES[0]) == ((f"site-packages/{NAMES[0]}/net.yaml", digest("width: 3")),)


def test_of_a_module_that_somebody_imported_or_reloaded_it_is_not_known_what_it_read(here: Path) -> None:
    (here / f"{NAMES[0]}.py").write_text(READING)
    importlib.invalidate_caches()
    module = importlib.import_module(NAMES[0])
    assert build(lambda: None, NAMES[0]) is None
    assert build(lambda: None, NAMES[0]) is None
    del sys.modules[NAMES[0]]
    assert build(lambda: None, NAMES[0]) is not None
    importlib.reload(sys.modules[NAMES[0]])
    assert build(lambda: None, NAMES[0]) is None
    for installed in ("torch.nn", "json", "prune_audit.networks"):
        assert build(lambda: None, installed) is not None
    assert module is not sys.modules[NAMES[0]]


def test_what_cannot_be_opened_fails_as_it_would_without() -> None:
    def odd() -> None:
        with pytest.raises(TypeError):
            open(3.5)  # type: ignore[call-overload]  # noqa: PTH123, SIM115
        with pytest.raises(ValueError, match="null"):
            open("a\0b")  # noqa: PTH123, SIM115

    build(odd)

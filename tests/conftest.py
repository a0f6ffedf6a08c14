"""What all tests share: where the sample models and the shared data lie, and that a skip is never silent.

Models run in the tests' own process, which is the default, unless a test asks for workers or is marked ``workers``: two
workers take a second, and thousands of tests are not about them. With ``PRUNE_AUDIT_ISOLATE=auto``
all of them run with workers.

``PRUNE_AUDIT_NO_SKIP=1`` (set by ``.ci/run``) fails the run where a test was skipped, unless it was for want of the
shared data, which are not part of the repository, or of torchvision, which need not exist for the pinned torch.
"""

from __future__ import annotations

import functools
import gc
import itertools
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from prune_audit.core import Settings
from tests import arrays
from tests.browser import chromium

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
FEW_DRAWS = 100
MAY_BE_ABSENT = ("shared data", "torchvision")

# Every run draws the same examples, and a machine that others use, too, fails none of them for its time.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # tests reach no network
os.environ["WANDB_ERROR_REPORTING"] = "false"
ISOLATE = os.environ.setdefault("PRUNE_AUDIT_ISOLATE", "never")  # of commands, those in processes of their own too

_skipped: list[str] = []


@pytest.fixture(scope="session")
def sample_models() -> Path:
    """The folder of the sample models."""
    return ROOT / "sample_models"


@pytest.fixture(scope="session")
def few_digits(sample_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty of each digit of the sample data, for tests of which nothing hangs on how many there are."""
    folder = tmp_path_factory.mktemp("few")
    for digit in sorted((sample_models / "val").iterdir()):
        if digit.is_dir():
            (folder / digit.name).mkdir()
            for file in sorted(digit.iterdir())[:40]:
                (folder / digit.name / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="session")
def few_arrays(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`few_digits` as arrays in one file (`tests.arrays`)."""
    return arrays.of_images(sorted(few_digits.glob("*/*.png")), tmp_path_factory.mktemp("few") / "few.npz")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small only wait for more threads than one, on a busy machine for seconds."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def in_repository(monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """With the repository as the working directory, so that factories of the samples are found, and in one thread."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws for the intervals of a network beside its controls, which take a second each otherwise.

    What these intervals are is tested in tests/mitigate/test_controls.py, with all draws.
    """
    from prune_audit.mitigate import controls

    monkeypatch.setattr(controls, "DRAWS", FEW_DRAWS)


@pytest.fixture(scope="session", autouse=True)
def _own_code_read_once() -> Iterator[None]:
    """Read the code of a factory of this repository once for all tests, none of which changes it.

    All our files lie beside it, which a run reads ten times: a second. Code that a test writes is read each time.
    """
    from prune_audit.evaluate import cache, cache_key

    own = functools.cache(lambda factory, folder: cache_key.source_digest(factory))  # found from where a test runs

    def digest(factory: str | None) -> str | None:
        ours = factory is not None and factory.startswith(("sample_models.", "tests."))
        return own(factory, Path.cwd()) if ours else cache_key.source_digest(factory)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "source_digest", digest)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the shared data; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("shared data are absent")
    return SHARED


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    """A browser, one for all pages; skips where there is none."""
    if (why := chromium.missing()) is not None:
        pytest.skip(f"no browser, {why}")
    with chromium.browser() as found:
        found.get("about:blank")  # so that what its own first page loads is over
        yield found


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders for caches. (To find the next number, pytest reads all that were made: a minute over 9,000 tests.)"""
    folder = tmp_path_factory.mktemp("caches")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def cache(_caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of predictions of this test's own, so that no test sees what another one, or its owner, kept."""
    folder = next(_caches)
    folder.mkdir()
    monkeypatch.setenv("PRUNE_AUDIT_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def _isolate() -> Iterator[None]:
    """Have `Settings` in this process say what `ISOLATE` does where a test says nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_defaults(), "isolate", ISOLATE)
        yield


def _defaults() -> dict[str, object]:
    found = Settings.__init__.__kwdefaults__
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def _workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a test that is marked ``workers`` workers, whatever the others have."""
    if request.node.get_closest_marker("workers") is not None:
        monkeypatch.setenv("PRUNE_AUDIT_ISOLATE", "auto")
        monkeypatch.setitem(_defaults(), "isolate", "auto")


@pytest.fixture(scope="session", autouse=True)
def _command_line_built_once() -> Iterator[None]:
    """Typer takes a fifth of a second to read all signatures, and tests run hundreds of commands in one process."""
    import typer.main

    from prune_audit.cli import _app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_app, "build", functools.cache(_app.build))
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without collecting garbage: 600,000 objects are made, of which hardly one goes away again.

    To walk through them again and again took a fifth of the time. (To freeze them for good would be quicker still, but
    Hypothesis then no longer sees who holds the random generators that it looks after.)
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember every skip with its reason."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where something was skipped that must not be."""
    unexpected = [skip for skip in _skipped if not any(name in skip for name in MAY_BE_ABSENT)]
    if os.environ.get("PRUNE_AUDIT_NO_SKIP") and unexpected:
        print("\nskipped, and must not be:", *unexpected, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

"""What a folder remembers comes back, is never changed, and is refused where it is not what was written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from prune_audit import history
from prune_audit.errors import InputError, OutputError
from prune_audit.files import sealed
from prune_audit.history import folder, releases
from tests.history.audits import LOST, SAME, at, clustered, judged


def written(tmp_path: Path) -> tuple[releases.Release, Path]:
    release = releases.of(judged(SAME, LOST), at(0), log_e=1.5, budget=0.1)
    folder.add(tmp_path / "deep" / "rel", release)
    [path] = (tmp_path / "deep" / "rel").iterdir()
    return release, path


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    release, path = written(tmp_path)
    assert folder.read(path.parent) == (release,)
    assert path.name == f"20260301T120000.000000Z-{release.identity[:12]}.release"
    assert path.stat().st_size < 4000


def test_names_that_are_no_unicode_come_back(tmp_path: Path) -> None:
    release = replace(releases.of(judged(SAME), at(0), log_e=None, budget=None), data="caf\udce9")
    folder.add(tmp_path, release)
    assert folder.read(tmp_path) == (release,)


def test_the_earliest_comes_first_and_other_files_are_none(tmp_path: Path) -> None:
    days = [3, 1, 2]
    for day in days:
        folder.add(tmp_path, releases.of(judged(SAME, names=[str(day)]), at(day), log_e=None, budget=None))
    (tmp_path / "README.md").write_text("kept by CI")
    assert [each.day for each in folder.read(tmp_path)] == ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert folder.read(tmp_path / "none") == ()


def test_every_damage_is_said_and_left_alone(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    whole = path.read_bytes()
    for position in (0, 64, 65, 100, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is damaged") as caught:
            history.judge(judged(LOST), path.parent, now=at(1))
        assert path.name in str(caught.value)
        assert path.read_bytes() == damaged
        assert [each.name for each in path.parent.iterdir()] == [path.name]
    path.write_bytes(whole[:200])
    with pytest.raises(InputError, match="is damaged"):
        folder.read(path.parent)


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    path.rename(path.with_name("20250101T000000.000000Z-0.release"))
    with pytest.raises(InputError, match="renamed"):
        folder.read(path.parent)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema": "prune-audit-release/2"}', "expected schema"),
        (b"[1]", "found None"),
        (b'{"schema": "prune-audit-release/1"}', "'time' is missing"),
    ],
)
def test_a_release_of_another_version_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    sealed.write(tmp_path / "a.release", content, "a")
    with pytest.raises(InputError, match=said):
        folder.read(tmp_path)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "rel").write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        folder.read(tmp_path / "rel")


def test_what_cannot_be_written_is_said_of_releases(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="releases cannot be kept") as caught:
        folder.add(tmp_path / "file" / "rel", releases.of(judged(SAME), at(0), log_e=None, budget=None))
    assert "--history" in caught.value.hint


def test_clusters_leave_no_evidence(tmp_path: Path) -> None:
    found = clustered(judged(SAME))
    assert releases.evidence(found, set()) is None
    release = releases.of(found, at(0), log_e=None, budget=None)
    assert release.variants[0].classes.log_e == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"verdicts":["fine"',
            '"verdicts":["fine","fine"',
            "verdicts of the view by class: expected 2 values, found 3",
        ),
        ('"by":"class"', '"by":"other"', "expected one view by class"),
        ('"time":"2026-03-01', '"time":"2026-13-01', "time: expected one such as"),
        ('"budget":0.1', '"budget":1.5', "budget: expected a share between 0 and 1, found 1.5"),
        ('"margin":0.02', '"margin":"2"', "margin: expected a finite number"),
    ],
)
def test_a_release_that_cannot_be_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    """Sealed as it should be, by whoever knows how."""
    release = releases.of(judged(SAME), at(0), log_e=1.5, budget=0.1)
    folder.add(tmp_path, release)
    [path] = tmp_path.iterdir()
    content = sealed.read(path, path.stem)
    assert content.count(old.encode()) >= 1
    sealed.write(path, content.replace(old.encode(), new.encode(), 1), path.stem)
    with pytest.raises(InputError, match=said):
        folder.read(tmp_path)


def test_a_release_without_variants_is_refused(tmp_path: Path) -> None:
    document = releases.CODEC.write(releases.of(judged(SAME), at(0), log_e=1.5, budget=0.1))
    content = json.dumps({"schema": folder.SCHEMA, **document, "variants": []}).encode()
    sealed.write(tmp_path / "a.release", content, "a")
    with pytest.raises(InputError, match="expected a variant at least"):
        folder.read(tmp_path)

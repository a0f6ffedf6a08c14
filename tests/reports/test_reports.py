"""Writing reports: the suffix chooses, whole files or none, and unwritable places are told before a long run."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from prune_audit import plugins, reports
from prune_audit.core import Audit
from prune_audit.document import from_document, read_audit, to_document
from prune_audit.errors import InputError, OutputError, UsageError
from tests.reports import audits


def test_suffixes() -> None:
    assert {
        ".csv": "csv",
        ".json": "json",
        ".md": "markdown",
        ".parquet": "parquet",
        ".sarif": "sarif",
        ".txt": "table",
        ".xml": "junit",
    }.items() <= reports.suffixes().items()
    assert "github" not in reports.suffixes().values()


def test_a_dialect_is_used_by_the_report_that_has_it(tmp_path: Path) -> None:
    assert reports.dialects() == {"csv": ("excel",), "sarif": ("whole",)}
    for name in ("a.csv", "A.FLIPS.CSV", "a.json", "a.sarif"):
        reports.write(audits.judged(), tmp_path / name, {"csv": "excel", "sarif": "whole"})
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbfvariant,")
    assert (tmp_path / "A.FLIPS.CSV").read_bytes().startswith(b"\xef\xbb\xbfvariant,")
    assert read_audit(tmp_path / "a.json") == audits.judged()
    assert '"open"' in (tmp_path / "a.sarif").read_text()
    reports.write(audits.judged(), tmp_path / "a.sarif", {"csv": "excel"})
    assert '"open"' not in (tmp_path / "a.sarif").read_text()


@pytest.mark.parametrize(("name", "start"), [("a.csv", b"variant,"), ("A.JSON", b"{\n"), ("a.b.txt", b"model ")])
def test_the_suffix_chooses_the_report(tmp_path: Path, name: str, start: bytes) -> None:
    reports.write(audits.ten(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_is_replaced_and_has_ordinary_permissions(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    reports.write(audits.everything(), file)
    assert read_audit(file) == audits.everything()
    reports.write(audits.ten(), tmp_path / "new.csv")
    (tmp_path / "plain").touch()
    assert (tmp_path / "new.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    reports.write(audits.ten(), tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert read_audit(tmp_path / "real.json") == audits.ten()


def test_a_link_that_leads_to_itself_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.symlink_to(path)
    reports.check_writable(path)
    reports.write(audits.everything(), path)
    assert path.is_file()
    assert not path.is_symlink()


@pytest.mark.parametrize("act", [reports.check_writable, lambda path: reports.write(audits.ten(), path)])
@pytest.mark.parametrize("name", ["a.xyz", "a", ".csv"])
def test_an_unknown_suffix_lists_the_known(tmp_path: Path, act, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError) as caught:
        act(tmp_path / name)
    assert "(csv)" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        reports.check_writable(tmp_path / "gone" / "a.csv")
    with pytest.raises(OutputError, match="No such file"):
        reports.write(audits.ten(), tmp_path / "gone" / "a.csv")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OutputError, match="found a folder"):
        reports.check_writable(tmp_path / "a.csv")
    with pytest.raises(OutputError):
        reports.write(audits.ten(), tmp_path / "a.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for the system's refusal, since root is refused nothing."""

    def refuse(self: Path, *rest: object, **more: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "touch", refuse)
    for act in (reports.check_writable, lambda path: reports.write(audits.ten(), path)):
        with pytest.raises(OutputError, match="Permission denied"):
            act(tmp_path / "a.csv")


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    reports.check_writable(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for the system's answer, since root may write everywhere."""
    (tmp_path / "a.csv").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode == os.W_OK and path.name == "a.csv"))
    with pytest.raises(OutputError, match="read-only"):
        reports.check_writable(tmp_path / "a.csv")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_report_whose_pieces_end_in_a_fault_leaves_the_old_file(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Audit) -> Iterator[str]:
        yield "half"
        raise ValueError("a fault")

    path = tmp_path / f"a.{form}"
    path.write_text("old")
    monkeypatch.setattr(plugins.load("reports", form), "pieces", broken)
    with pytest.raises(ValueError, match="a fault"):
        reports.write(audits.ten(), path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_long_report_is_never_whole_in_memory_twice(form: str, tmp_path: Path) -> None:
    """Twice its size is the bound; to build all of the text and lay it out took 16 times that for JSON, 5 for CSV."""
    counts = ((5, 1, 1, 1), "fine", None)
    audit = audits.audit([(f"class {i}", *counts) for i in range(2_000)])
    path = tmp_path / f"a.{form}"
    reports.write(audit, path)  # what is imported and remembered is there by now
    tracemalloc.start()
    reports.write(audit, path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 300_000
    assert most < 2 * path.stat().st_size


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        reports.write(audits.ten(), file)
    assert file.read_text() == "old"
    assert [f.name for f in tmp_path.iterdir()] == ["a.json"]


def test_a_name_that_is_no_unicode_does_not_stop_a_report(tmp_path: Path) -> None:
    for name in ("a.csv", "a.json", "a.txt"):
        reports.write(audits.everything(), tmp_path / name)
        (tmp_path / name).read_text(encoding="utf-8")
    assert (
        json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["provenance"]["skipped"][0][0] == "7/b\udcff.png"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.json", "a.confirm.json"),
        ("a.b.html", "a.b.confirm.html"),
        ("flips.csv", "confirm.flips.csv"),
        ("night.flips.csv", "night.confirm.flips.csv"),
        ("Recalls.SVG", "confirm.Recalls.SVG"),
    ],
)
def test_a_name_beside_chooses_the_same_report(name: str, expected: str, tmp_path: Path) -> None:
    beside = reports.beside(tmp_path / name, "confirm")
    assert beside == tmp_path / expected
    audit = audits.ten()
    for path in (tmp_path / name, beside):
        reports.write(audit, path)
    assert beside.read_bytes() == (tmp_path / name).read_bytes()


UNSEEN = "X\x1b[2J\x9b1m\r\n::error::hi\u202e\u2066\u200b\u2060\ufeff\xad\U000e0041\u2028 ##[error]"
OURS = {"html": {"\xa0"}, "md": {"\u200b"}}  # blanks that hold a line together; what keeps an @ from calling somebody


def texts(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where in a document there are texts."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from texts(part, (*path, key))
    if isinstance(value, str):
        yield path


def test_whatever_an_audit_says_is_shown_in_every_report() -> None:
    """An audit that somebody edited holds such text wherever it is still understood."""
    document, changed = to_document(audits.judged()), 0
    for path in list(texts(document)):
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        before = place[path[-1]]
        place[path[-1]] = f"{UNSEEN}{before}"
        try:
            from_document(json.loads(json.dumps(document)))
            changed += 1
        except InputError:
            place[path[-1]] = before
    assert changed > 60
    evil = from_document(json.loads(json.dumps(document)))
    for suffix in ("html", "md", "xml", "sarif", "txt"):
        text = reports.content(evil, f"a.{suffix}").decode()
        unseen = {c for c in text if not c.isprintable()} - {"\n"} - OURS.get(suffix, set())
        assert not unseen, suffix
    assert ElementTree.fromstring(reports.content(evil, "a.xml")).tag == "testsuites"

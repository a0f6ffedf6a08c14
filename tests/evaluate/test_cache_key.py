"""The source of a factory counts, with what it may import, and nothing is imported to find it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from prune_audit.evaluate.cache_key import processor, source_digest, versions, working_directory
from tests.conftest import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets_here.py").write_text("from blocks_here import block\n")
    (tmp_path / "blocks_here.py").write_text("block = 1\n")
    (tmp_path / "package_here" / "deep").mkdir(parents=True)
    for name in ("__init__", "a", "deep/b"):
        (tmp_path / "package_here" / f"{name}.py").write_text("x = 1\n")
    for name in ("src_here/models/net", "data_here/train/n01/x", "my-env/lib/y"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "c.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("factory", "file", "counts"),
    [
        ("nets_here:net(3)", "nets_here.py", True),
        ("nets_here:net(3)", "blocks_here.py", True),
        ("nets_here:net(3)", "package_here/a.py", True),
        ("nets_here:net(3)", ".hidden/c.py", False),
        ("package_here.a:net", "package_here/deep/b.py", True),
        ("package_here.a:net", "nets_here.py", True),  # which it can import
        ("package_here.a:net", "src_here/models/net.py", True),
        ("src_here.models.net:net", "src_here/models/net.py", True),  # a namespace: no __init__.py anywhere
        ("nets_here:net", "data_here/train/n01/x.py", False),
        ("nets_here:net", "my-env/lib/y.py", False),
    ],
)
def test_what_counts(project: Path, factory: str, file: str, counts: bool) -> None:
    before = source_digest(factory)
    assert before is not None
    (project / file).write_text("changed = True\n")
    assert (source_digest(factory) != before) is counts
    assert not {"nets_here", "package_here", "blocks_here"} & set(sys.modules)


@pytest.mark.parametrize("first", [[], [""], None])
def test_the_working_directory_is_searched_last_and_only_while_it_must_be(
    first: list[str] | None, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = ["/installed"]
    before = [str(project), *installed] if first is None else [*first, *installed]
    monkeypatch.setattr(sys, "path", before.copy())
    with working_directory():
        assert sys.path == ([*installed, str(project)] if first == [] else before)
    assert sys.path == before


def test_no_factory_and_an_unknown_one_have_no_source(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "by_hand", ModuleType("by_hand"))
    assert source_digest(None) is None
    assert source_digest("nowhere_to_be_found:net") is None
    assert source_digest(":net") is None
    assert source_digest("by_hand:net") is None


def test_a_broken_link_beside_a_factory_is_no_fault(project: Path) -> None:
    (project / "gone_here.py").symlink_to(project / "nowhere.py")
    assert source_digest("nets_here:net") is not None


def test_of_what_is_installed_the_package_alone_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages"
    (installed / "lib_here" / "sub").mkdir(parents=True)
    for name in ("lib_here/__init__", "lib_here/sub/a", "other_here"):
        (installed / f"{name}.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(installed)
    before = source_digest("lib_here:net"), source_digest("other_here:net")
    (installed / "lib_here/sub/a.py").write_text("x = 2\n")
    after = source_digest("lib_here:net"), source_digest("other_here:net")
    assert after[0] != before[0]
    assert after[1] == before[1] is not None


def test_versions_are_those_installed() -> None:
    import numpy

    assert versions()["numpy"] == numpy.__version__


def test_of_the_built_in_networks_their_own_file_counts_alone() -> None:
    own = hashlib.sha256((ROOT / "prune_audit" / "networks.py").read_bytes()).hexdigest()
    assert source_digest("prune_audit.networks:mlp(10)") == own
    assert source_digest("prune_audit.render.rounded:short") not in (own, None)


def test_the_processor_is_called_something_and_its_instructions_are_those_that_decide() -> None:
    name, instructions = processor()
    assert name
    assert instructions.split() == sorted(set(instructions.split()))
    assert not {"fpu", "smep", "nx"} & set(instructions.split())

"""Which format reads what, and what is said where none does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prune_audit import data, plugins
from prune_audit.core import DataSource, Expects, Settings
from prune_audit.errors import DataError
from tests.data.conftest import Draw


def test_each_form_has_one_format(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "val/a/x.png")
    np.savez(tmp_path / "a.npz", x=np.zeros((1, 2)), y=[0])
    (tmp_path / "m.csv").write_text("path,label\nval/a/x.png,a\n")
    forms = {"val": "image-folder", "a.npz": "npz", "m.csv": "manifest"}
    for name, form in forms.items():
        by = [
            plugin for plugin, module in plugins.loaded("data") if module.recognises(DataSource(path=tmp_path / name))
        ]
        assert by == [form]
        found = data.load(DataSource(path=tmp_path / name), Expects(), Settings())
        assert (found.name, len(found.ids)) == (name, 1)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: there is no such file or folder"):
        data.load(DataSource(path=tmp_path / "none"), Expects(), Settings())


def test_an_unknown_form(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.touch()
    with pytest.raises(
        DataError, match=r"(?m)x\.csv is in no form of labelled data .*: it is an empty file$"
    ) as raised:
        data.load(DataSource(path=path), Expects(), Settings())
    assert all(name in raised.value.hint for name in ("image-folder", "manifest", "npz", "list data"))


def test_a_download_that_was_cut_short(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((50, 2)), y=np.zeros(50, int))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.npz is in no form .*: it is a zip archive \(.*\) that is cut short"):
        data.load(DataSource(path=tmp_path / "a.npz"), Expects(), Settings())


def test_naming_the_formats_is_cheap() -> None:
    heavy = "PIL", "pyarrow", "pandas", "torch"
    code = (
        "import sys; from prune_audit import data, plugins; plugins.loaded('data'); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""Records that are shorter than the tensors they are for."""

from __future__ import annotations

import copy
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from prune_audit import models
from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError

# Making TorchScript is deprecated, auditing what there is of it is not.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


class Scale(torch.nn.Module):
    """A matrix of 3 x 40 weights and a buffer of 40."""

    def __init__(self) -> None:
        super().__init__()
        self.l = torch.nn.Linear(40, 3)
        self.register_buffer("by", torch.full((40,), 2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        by: Any = self.by
        scores: torch.Tensor = self.l(x * by)
        return scores


def saved(path: Path) -> Path:
    """The network at ``path``, as TorchScript or, for .pt2, as an exported program."""
    torch.manual_seed(4)
    network = Scale().eval()
    if path.suffix == ".pt2":
        torch.export.save(torch.export.export(network, (torch.zeros(2, 40),)), path)
    else:
        torch.jit.save(torch.jit.trace(network, torch.zeros(2, 40)), path)
    return path


def cut(path: Path, length: int, keep: int) -> Path:
    """A copy of the archive whose only record of ``length`` bytes of weights ends after ``keep``."""
    target = path.with_name(f"cut-{path.name}")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        found = [e.filename for e in archive.infolist() if "/data/" in e.filename and e.file_size == length]
        assert len(found) == 1
        for entry in archive.infolist():
            content = archive.read(entry)
            copy.writestr(entry.filename, content[:keep] if entry.filename in found else content)
    return target


def load(path: Path) -> Any:
    return models.load(ModelSource(name="m", path=path), Settings())


@pytest.mark.parametrize("keep", [0, 1, 240, 476])
@pytest.mark.parametrize("name", ["m.pt", "m.pt2"])
def test_a_cut_record_is_refused(tmp_path: Path, name: str, keep: int) -> None:
    path = saved(tmp_path / name)
    assert load(path).card.parameters == 123
    short = cut(path, 480, keep)
    if name == "m.pt":  # without us other memory is read as weights
        torch.jit.load(short)
    with pytest.raises(
        ModelError, match=rf"(?m){short}: the record data/\S+.* is cut: expected 480 bytes.*found {keep}$"
    ):
        load(short)


@pytest.mark.parametrize("name", ["b.pt", "b.pt2"])
def test_a_cut_buffer_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"(?m)is cut: expected 160 bytes.*found 159$"):
        load(cut(saved(tmp_path / name), 160, 159))


@pytest.mark.parametrize("held", ["1", "[]", '{"config": 1}', '{"config": [{}]}', '{"config": {"l.weight": 1}}'])
def test_a_list_of_tensors_that_is_none(tmp_path: Path, held: str) -> None:
    path, target = saved(tmp_path / "m.pt2"), tmp_path / "n.pt2"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for entry in archive.infolist():
            said = entry.filename.endswith("model_weights_config.json")
            copy.writestr(entry.filename, held if said else archive.read(entry))
    with pytest.raises(ModelError, match=r"model_weights_config\.json does not say by name what tensors there are"):
        load(target)


@pytest.mark.parametrize("name", ["z.pt", "z.pt2"])
def test_an_archive_that_unpacks_to_more_than_its_file_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{folder}/data/9", bytes(8_000_000))
    with zipfile.ZipFile(path) as archive:  # unpacked without us
        assert len(archive.read(f"{folder}/data/9")) == 8_000_000
    with pytest.raises(ModelError, match=r"its records unpack to 8,\d+,\d+ bytes, and expected were"):
        load(path)


def test_an_archive_whose_records_overlap_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "o.pt")
    with zipfile.ZipFile(path, "a") as archive:
        [entry] = [e for e in archive.infolist() if e.file_size == 480]
        for number in range(40):  # the same bytes under other names
            twin = copy.copy(entry)
            twin.filename = f"{entry.filename}{number}"
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True  # type: ignore[attr-defined]  # to write the directory anew
    with pytest.raises(ModelError, match="its records take"):
        load(path)


def test_what_torch_cannot_rebuild_is_no_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "i.pt")

    def lost(*_: object, **__: object) -> None:
        raise IndexError("Argument passed to at() was not in the map.")

    monkeypatch.setattr(torch.jit, "load", lost)
    here = Settings(isolate="never")  # where what torch does is replaced
    with pytest.raises(ModelError, match="cannot load"):
        models.load(ModelSource(name="m", path=path), here)

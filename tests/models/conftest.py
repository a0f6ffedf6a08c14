import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prune_audit.core import Array

Rewrite = Callable[[str, bytes], bytes | None]


@pytest.fixture
def conv_net() -> nn.Sequential:
    """Three classes of gray images of 8 x 8, with a third of the convolution and half of the linear weights zero."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    network(torch.randn(16, 1, 8, 8))  # gives the normalisation statistics of its own
    network.eval()
    with torch.no_grad():
        convolution, linear = network[0].weight, network[6].weight
        assert isinstance(convolution, nn.Parameter)
        assert isinstance(linear, nn.Parameter)
        convolution[:, :, 0, :] = 0
        linear[:, ::2] = 0
    return network


@pytest.fixture
def mlp() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4)).eval()


@pytest.fixture
def images() -> Array:
    return np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that payloads try to make."""
    return tmp_path / "marker"


@contextmanager
def _deprecated() -> Iterator[None]:
    # Making TorchScript is deprecated, auditing what there is of it is not.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        # Tracing batch norm in training mode, which the tests do on purpose, looks at the size of the batch.
        warnings.filterwarnings("ignore", message="Converting a tensor to a Python boolean")
        yield


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Saves a module as TorchScript: ``script(module, "scripted")``, "traced" or "frozen"."""

    def save(
        module: nn.Module, how: str = "scripted", example: Any = None, extra: dict[str, str] | None = None
    ) -> Path:
        path = tmp_path / f"{how}.pt"
        with _deprecated():
            if how == "traced":
                made: Any = torch.jit.trace(module, example)
            else:
                made = module if isinstance(module, torch.jit.ScriptModule) else torch.jit.script(module)
            if how == "frozen":
                made = torch.jit.freeze(made)
            torch.jit.save(made, str(path), _extra_files=extra)
        return path

    return save


@pytest.fixture
def run_script() -> Callable[[Path, torch.Tensor], None]:
    """Loads and runs TorchScript as torch does, to show that a payload works."""

    def run(path: Path, example: torch.Tensor) -> None:
        with _deprecated():
            torch.jit.load(str(path))(example)

    return run


@pytest.fixture
def rewritten() -> Callable[..., Path]:
    """Writes an archive anew, with each record as a function changes it; None leaves a record out."""

    def rewrite(path: Path, change: Rewrite, added: dict[str, bytes] | None = None) -> Path:
        with zipfile.ZipFile(path) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
        changed = path.with_name(f"changed-{path.name}")
        with zipfile.ZipFile(changed, "w") as archive:
            for name, content in records.items():
                result = change(name.partition("/")[2], content)
                if result is not None:
                    archive.writestr(name, result)
            for name, content in (added or {}).items():
                archive.writestr(f"{next(iter(records)).partition('/')[0]}/{name}", content)
        return changed

    return rewrite

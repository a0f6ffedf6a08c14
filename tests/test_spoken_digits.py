"""Sound audited by accent and by speaker, as a user would: recordings to arrays, two networks, the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.io import wavfile
from torch import nn

from prune_audit.cli import invoke
from prune_audit.core import Array
from prune_audit.document import read_audit

WINDOW, HOP, BANDS, FRAMES = 256, 128, 32, 16
KEPT = 0.06  # of the weights
TRAINED_ON = 7  # of 15 takes of every digit by every speaker


def features(path: Path) -> Array:
    """The log spectrogram of a recording in 32 bands, at 16 instants from its start to its end: (512,)."""
    sound = wavfile.read(path)[1].astype(np.float64)
    padded = np.pad(sound / np.abs(sound).max(), (0, max(0, WINDOW - len(sound))))
    power = np.abs(np.fft.rfft(sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW), axis=1)) ** 2
    bands = np.log(power[:, : WINDOW // 2].reshape(len(power), BANDS, -1).mean(axis=2) + 1e-3)  # (T, BANDS)
    at = np.linspace(0, len(bands) - 1, FRAMES).round().astype(int)
    flat: Array = bands[at].ravel().astype(np.float32)
    return flat


@pytest.fixture(scope="module")
def arrays(shared: Path) -> dict[str, Array]:
    """x, y, speaker and accent of all recordings, and whether the network is trained on them."""
    folder = shared / "spoken-digits"
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    take = np.array([int(Path(row["path"]).stem.split("_")[-1]) for row in rows])
    order = np.sort(np.unique(take))
    return {
        "x": np.stack([features(folder / row["path"]) for row in rows]),
        "y": np.array([int(row["label"]) for row in rows]),
        "speaker": np.array([row["speaker"] for row in rows]),
        "accent": np.array([row["accent"] for row in rows]),
        "trained": np.isin(take, order[:TRAINED_ON]),
    }


def train(network: nn.Sequential, x: torch.Tensor, y: torch.Tensor, steps: int, kept: list[torch.Tensor]) -> None:
    """Adam over all samples at once; ``kept`` masks the weights of the linear layers."""
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimiser.step()
        with torch.no_grad():
            for layer, mask in zip((network[0], network[2]), kept, strict=True):
                layer.weight.mul_(mask)  # type: ignore[operator]  # a linear layer's weight is a tensor


@pytest.fixture(scope="module")
def networks(arrays: dict[str, Array]) -> tuple[nn.Module, nn.Module]:
    """A small network, and a copy that keeps its largest weights and was trained a little further."""
    torch.manual_seed(0)
    x, y = (torch.from_numpy(arrays[name][arrays["trained"]]) for name in ("x", "y"))
    mean, std = x.mean(0), x.std(0)
    dense, pruned = (nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 10)) for _ in range(2))
    train(dense, (x - mean) / std, y, 100, [torch.ones(64, x.shape[1]), torch.ones(10, 64)])
    pruned.load_state_dict(dense.state_dict())
    weights = [value.abs() for name, value in dense.state_dict().items() if name.endswith("weight")]
    masks = [w >= w.flatten().sort(descending=True).values[round(KEPT * w.numel()) - 1] for w in weights]
    train(pruned, (x - mean) / std, y, 60, masks)
    with torch.no_grad():  # the scaling moves into the first layer, so that files are fed the features as they are
        for model in (dense, pruned):
            first = model[0]
            assert isinstance(first, nn.Linear)
            first.weight.div_(std)
            first.bias.sub_(first.weight @ mean)
    return dense.eval(), pruned.eval()


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own advice; the format lives on
def test_sound_is_audited_by_accent_and_by_speaker(
    arrays: dict[str, Array], networks: tuple[nn.Module, nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audited = {name: values[~arrays["trained"]] for name, values in arrays.items() if name != "trained"}
    np.savez(tmp_path / "digits.npz", **audited)  # type: ignore[arg-type]  # the stub's allow_pickle is not among them
    x = torch.from_numpy(audited["x"])
    for name, network in zip(("dense", "pruned"), networks, strict=True):
        torch.jit.trace(network, x[:1]).save(str(tmp_path / f"{name}.pt"))
    command = [
        "compare",
        str(tmp_path / "dense.pt"),
        str(tmp_path / "pruned.pt"),
        "--data",
        str(tmp_path / "digits.npz"),
    ]
    views = ["--by", "accent", "--by", "speaker", "--cluster", "speaker"]
    files = ["-o", str(tmp_path / "a.csv"), "-o", str(tmp_path / "a.json")]
    assert invoke([*command, *views, *files]) == 0
    told = " ".join(capsys.readouterr().out.split())

    with torch.inference_mode():
        dense, pruned = (network(x).argmax(1).numpy() == audited["y"] for network in networks)
    assert dense.mean() > 0.85
    assert pruned.mean() < dense.mean() - 0.05
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(dict.fromkeys(row["by"] for row in rows)) == ["class", "accent", "speaker"]
    columns = {"class": audited["y"].astype(str), "accent": audited["accent"], "speaker": audited["speaker"]}
    assert len(rows) == sum(len(np.unique(values)) for values in columns.values())
    for row in rows:
        here = columns[row["by"]] == row["stratum"]
        cells = {
            "both": dense & pruned,
            "lost": dense & ~pruned,
            "gained": ~dense & pruned,
            "neither": ~dense & ~pruned,
        }
        assert {name: int(row[name]) for name in cells} == {name: int((c & here).sum()) for name, c in cells.items()}
        assert float(row["dense_recall"]) == pytest.approx(dense[here].mean())
        assert float(row["change"]) == pytest.approx(pruned[here].mean() - dense[here].mean())

    saved = json.loads((tmp_path / "a.json").read_text())
    assert saved["provenance"]["settings"]["cluster"] == "speaker"
    audit = read_audit(tmp_path / "a.json")
    assert any("only 6 clusters of speaker" in note for note in audit.provenance.notes)
    assert "only 6 clusters of speaker" in told
    assert [view.by for view in audit.comparisons[0].views] == ["class", "accent", "speaker"]
    # Samples of one speaker say no more together than apart: the same counts, and no interval narrower.
    assert invoke([*command, "--by", "accent", "-q", "-o", str(tmp_path / "apart.json")]) == 0
    for view, apart in zip(
        audit.comparisons[0].views, read_audit(tmp_path / "apart.json").comparisons[0].views, strict=False
    ):
        np.testing.assert_array_equal(view.pair.lost, apart.pair.lost)
        together, alone = (
            np.array(v.measure("change").high, float) - np.array(v.measure("change").low, float) for v in (view, apart)
        )
        assert (together >= alone - 1e-12).all()
        assert (together > 1.05 * alone).any()

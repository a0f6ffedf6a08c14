"""Sound audited by accent and by speaker, as a user would: as arrays, and as recordings that networks hear."""

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

from prune_audit import audit as audits
from prune_audit.cli import invoke
from prune_audit.core import Array, Audit, DataSource, ModelSource, Settings
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


# --------------------------------------------------------------------------------------------- recordings themselves

RATE, SECONDS = 8000, 0.8


class Bands(nn.Module):
    """A waveform (B, 1, T) to scores: the power of 24 tones at 16 instants, by a convolution, and a linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        at = torch.arange(WINDOW) * 2 * torch.pi / RATE
        tones = torch.logspace(2, np.log10(RATE / 2.2), 24)[:, None]  # Hz
        filters = torch.cat([torch.cos(tones * at), torch.sin(tones * at)]) * torch.hann_window(WINDOW)
        self.filters = nn.Conv1d(1, 48, WINDOW, stride=HOP, bias=False)
        self.filters.weight = nn.Parameter(filters[:, None])
        self.pool = nn.AdaptiveAvgPool1d(FRAMES)
        self.head = nn.Linear(24 * FRAMES, classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        cosine, sine = (self.filters(x) ** 2).chunk(2, dim=1)
        bands: torch.Tensor = (self.pool(cosine + sine) + 1e-2).log()  # (B, 24, FRAMES)
        return bands.flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.features(x))
        return scores


def heard(path: Path) -> Array:
    """The first 0.8 s of a recording (T,), followed by silence: what the audit is to feed, read by another library."""
    sound = wavfile.read(path)[1].astype(np.float32) / 2**15
    length = round(SECONDS * RATE)
    return np.pad(sound[:length], (0, max(0, length - len(sound))))


def fit(network: Bands, sounds: Array, y: Array) -> None:
    """Ridge regression of the head on what the fixed filters give."""
    with torch.no_grad():
        x = network.features(torch.from_numpy(sounds[:, None])).double()
        mean, targets = x.mean(0), nn.functional.one_hot(torch.from_numpy(y)).double()
        gram = (x - mean).T @ (x - mean) + 30 * torch.eye(x.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(gram, (x - mean).T @ targets)
        network.head.weight.copy_(weight.T)
        network.head.bias.copy_(targets.mean(0) - mean @ weight)


def prune(network: Bands, kept: float) -> None:
    with torch.no_grad():
        for weight in (network.filters.weight, network.head.weight):
            weight[weight.abs() < weight.abs().flatten().quantile(1 - kept)] = 0


def compared(
    network: Bands, folder: Path, source: DataSource, sounds: Array, by: tuple[str, ...] = ()
) -> tuple[Audit, Array]:
    """An audit of ``network`` and its pruned self, and what both predict (2, N) for ``sounds`` by themselves."""
    predicted = []
    for name in ("dense", "pruned"):
        if name == "pruned":
            prune(network, 0.6)
        torch.jit.trace(network, torch.zeros(2, 1, round(SECONDS * RATE))).save(str(folder / f"{name}.pt"))
        with torch.inference_mode():
            predicted.append(network(torch.from_numpy(sounds[:, None])).argmax(1).numpy())
    models = [ModelSource(name=name, path=folder / f"{name}.pt") for name in ("dense", "pruned")]
    return audits.run(models[0], models[1:], source, Settings(by=by)), np.stack(predicted)


def check(made: Audit, by: str, columns: Array, y: Array, predicted: Array) -> None:
    """Counts of the view ``by`` by hand: ``columns`` (N,) are the strata of the samples."""
    dense, pruned = predicted == y
    pair = next(view.pair for view in made.comparisons[0].views if view.by == by)
    assert sorted(pair.strata) == sorted(set(columns.tolist()))
    for at, stratum in enumerate(pair.strata):
        here = columns == stratum
        assert (pair.both[at], pair.lost[at], pair.gained[at], pair.neither[at]) == (
            (dense & pruned & here).sum(),
            (dense & ~pruned & here).sum(),
            (~dense & pruned & here).sum(),
            (~dense & ~pruned & here).sum(),
        )


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # as above
def test_recordings_are_audited_as_they_are(shared: Path, tmp_path: Path) -> None:
    folder = shared / "spoken-digits"
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    take = np.array([int(Path(row["path"]).stem.split("_")[-1]) for row in rows])
    trained = np.isin(take, np.sort(np.unique(take))[:TRAINED_ON])
    sounds = np.stack([heard(folder / row["path"]) for row in rows])
    y = np.array([int(row["label"]) for row in rows])
    network = Bands(10)
    fit(network, sounds[trained], y[trained])

    audited = [row for row, used in zip(rows, trained, strict=True) if not used]
    with (tmp_path / "held-out.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "path": folder / row["path"]} for row in audited)
    source = DataSource(path=tmp_path / "held-out.csv", seconds=SECONDS)
    made, predicted = compared(network, tmp_path, source, sounds[~trained], by=("accent",))

    labels = y[~trained]
    assert (predicted[0] == labels).mean() > 0.65
    assert (predicted[1] == labels).mean() < (predicted[0] == labels).mean() - 0.05
    check(made, "class", labels.astype(str), labels, predicted)
    check(made, "accent", np.array([row["accent"] for row in audited]), labels, predicted)
    assert made.provenance.samples == 480
    longer = sum(len(wavfile.read(folder / row["path"])[1]) > SECONDS * RATE for row in audited)
    assert any(
        f"sounds are 0.8 s long: {longer} of 480 were cut at their end" in note for note in made.provenance.notes
    )


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # as above
def test_tones_in_folders_are_audited(tmp_path: Path) -> None:
    """Three pitches in noise, an octave and more apart, of different lengths; without any data from elsewhere."""
    rng = np.random.default_rng(0)
    pitches = {"high": 2000, "low": 300, "middle": 800}
    paths = []
    for at in range(90):
        name, pitch = list(pitches.items())[at % 3]
        length = rng.integers(RATE // 2, RATE)
        tone = np.sin(2 * np.pi * pitch * rng.uniform(0.95, 1.05) * np.arange(length) / RATE + rng.uniform(0, 6))
        path = tmp_path / "val" / name / f"{at:02d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(
            path, RATE, (2**13 * (tone + rng.normal(0, 0.7, length))).clip(-(2**15), 2**15 - 1).astype(np.int16)
        )
        paths.append(path)
    paths.sort()
    sounds = np.stack([heard(path) for path in paths])
    names = np.array([path.parent.name for path in paths])
    y = np.unique(names, return_inverse=True)[1]
    network = Bands(3)
    fit(network, sounds, y)
    made, predicted = compared(network, tmp_path, DataSource(path=tmp_path / "val", seconds=SECONDS), sounds)
    assert (predicted[0] == y).mean() > 0.9
    check(made, "class", names, y, predicted)

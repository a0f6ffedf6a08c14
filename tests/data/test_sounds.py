"""Recordings in folders and tables: rates, lengths, channels, and what is said of them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from prune_audit import data, plugins
from prune_audit.core import Array, Dataset, DataSource, Expects, Input, Settings
from prune_audit.data import _sound
from prune_audit.errors import AlignmentError, DataError, MissingExtra, UsageError


def wave(frames: int, seed: int = 0, channels: int = 1) -> Array:
    """Noise of 16 bits, as float32 (frames, channels): what every lossless format gives back to the bit."""
    pcm = np.random.default_rng(seed).integers(-(2**15), 2**15, (frames, channels), np.int16)
    return (pcm / np.float32(2**15)).astype(np.float32)


def write(path: Path, values: Array, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, values, rate)
    return path


def load(path: Path, expects: Expects | None = None, settings: Settings | None = None, **asked: Any) -> Dataset:
    return data.load(DataSource(path=path, **asked), expects or Expects(), settings or Settings())


def takes(*shape: int | None) -> Expects:
    return Expects(inputs=(Input(name="waveform", dtype="float32", shape=(None, *shape)),))


@pytest.fixture
def val(tmp_path: Path) -> Path:
    root = tmp_path / "val"
    write(root / "no/b.flac", wave(300, 1))
    write(root / "no/a.WAV", wave(100, 2))
    write(root / "yes/deep/c.wav", wave(200, 3, channels=2))
    (root / "yes/notes.txt").write_text("no sound")
    return root


def test_what_is_found_and_read(val: Path) -> None:
    found = load(val)
    assert (found.name, found.classes, found.ids) == ("val", ("no", "yes"), ("no/a.WAV", "no/b.flac", "yes/deep/c.wav"))
    assert found.labels.tolist() == [0, 0, 1]
    batch = found.read([2, 0, 1])
    sounds = batch.inputs["sound"]
    assert sounds.shape == (3, 300)
    assert sounds.dtype == np.float32
    np.testing.assert_array_equal(sounds[0, :200], wave(200, 3, channels=2).mean(axis=1))
    np.testing.assert_array_equal(sounds[1, :100], wave(100, 2)[:, 0])
    np.testing.assert_array_equal(sounds[2], wave(300, 1)[:, 0])
    assert not sounds[0, 200:].any()
    assert not sounds[1, 100:].any()
    assert batch.rows.tolist() == [2, 0, 1]
    assert batch.labels.tolist() == [1, 0, 0]
    assert len(set(batch.digests.tolist())) == 3
    assert found.preprocess is None
    assert found.notes == (
        "files left out of the folder: 1 .txt",
        "sounds are fed at their own rate, 8000 Hz; give --sample-rate if the model takes another",
        "sounds are 0.0375 s long, as long as the longest: 0 of 3 were cut at their end, 2 are followed by silence",
    )


def test_a_table_of_paths(val: Path) -> None:
    (val / "list.csv").write_text("path,label,speaker\nno/b.flac,no,ann\nyes/deep/c.wav,yes,\n")
    found = load(val / "list.csv")
    assert (found.ids, found.classes) == (("no/b.flac", "yes/deep/c.wav"), ("no", "yes"))
    assert found.groups["speaker"].tolist() == ["ann", "(missing)"]
    np.testing.assert_array_equal(found.read([0]).inputs["sound"][0], wave(300, 1)[:, 0])
    (val / "list.csv").write_text("path,label\nno/b.flac,no\nno/x.wav,no\nno/y.wav,no\n")
    with pytest.raises(DataError, match=r"row 2: there is no file .*x\.wav \(2 of 3 files are missing\)"):
        load(val / "list.csv")
    batch = load(val / "list.csv", settings=Settings(skip_bad=2)).read([0, 1, 2])
    assert batch.rows.tolist() == [0]
    assert [name for name, _ in batch.bad] == ["no/x.wav", "no/y.wav"]


@pytest.mark.parametrize(
    ("expects", "shape"),
    [
        (Expects(), (1, 300)),
        (takes(None), (1, 300)),
        (takes(1, None), (1, 1, 300)),
        (takes(1, 250), (1, 1, 250)),
        (takes(400), (1, 400)),
        (Expects(inputs=(Input(name="x"),), channels=1), (1, 1, 300)),
        (Expects(inputs=(Input(name="x"),), channels=40), (1, 300)),
        (Expects(inputs=(Input(name="speaker"), Input(name="sound", shape=(None, 1, 70)))), (1, 1, 70)),
    ],
)
def test_the_model_declares_rank_and_length(val: Path, expects: Expects, shape: tuple[int, ...]) -> None:
    sounds = load(val, expects).read([1]).inputs["sound"]
    assert sounds.shape == shape
    known = min(300, shape[-1])
    np.testing.assert_array_equal(sounds[..., :known].ravel(), wave(300, 1)[:known, 0])
    assert not sounds[..., known:].any()


def test_long_sounds_lose_their_end_and_it_is_said(val: Path) -> None:
    found = load(val, seconds=0.025)
    np.testing.assert_array_equal(found.read([1]).inputs["sound"][0], wave(300, 1)[:200, 0])
    assert "sounds are 0.025 s long: 1 of 3 were cut at their end, 1 are followed by silence" in found.notes


def test_another_rate_is_reached_by_a_filter(tmp_path: Path) -> None:
    """A tone of 440 Hz stays one, whatever the rate, and mixed rates need one that was asked for."""
    for rate in (8000, 11025):
        tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)
        write(tmp_path / "v" / "a" / f"{rate}.wav", 0.5 * tone[:, None], rate)
    with pytest.raises(AlignmentError, match=r"1 at 8000 Hz, 1 at 11025 Hz") as raised:
        load(tmp_path / "v")
    assert "--sample-rate" in raised.value.hint
    found = load(tmp_path / "v", sample_rate=16000)
    sounds = found.read([0, 1]).inputs["sound"]
    assert sounds.shape == (2, 16000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(sounds[:, 200:-200], np.tile(expected[200:-200], (2, 1)), atol=2e-3)
    assert "sounds are fed at 16000 Hz; resampled: 2 of 2 (1 at 8000 Hz, 1 at 11025 Hz)" in found.notes
    declared = load(tmp_path / "v", Expects(sample_rate=8000))
    assert declared.read([1]).inputs["sound"].shape == (1, 8000)
    assert any("resampled: 1 of 2" in note for note in declared.notes)


@pytest.mark.parametrize(
    ("expects", "asked", "message"),
    [
        (Expects(sample_rate=16000), {"sample_rate": 8000}, "8000 Hz were asked for, the model takes 16000 Hz"),
        (takes(1, 400), {"seconds": 0.1}, r"0\.1 s at 8000 Hz are 800 samples, the model takes 400 \(0\.05 s\)"),
        (takes(1, 64, 101), {}, "'waveform' has 4 axes, sounds are"),
    ],
)
def test_contradictions(val: Path, expects: Expects, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(AlignmentError, match=message):
        load(val, expects, **asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sample_rate": 0}, "--sample-rate: .* found 0"),
        ({"sample_rate": -8000}, "--sample-rate: .* found -8000"),
        ({"seconds": 0.0}, "--seconds: .* found 0"),
        ({"seconds": -1.0}, "--seconds: .* found -1"),
        ({"seconds": float("nan")}, "--seconds: .* found nan"),
        ({"seconds": float("inf")}, "--seconds: .* found inf"),
    ],
)
def test_rates_and_lengths_that_no_sound_has(val: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(val, **asked)


def test_unreadable_recordings_are_named_and_the_rest_is_read(val: Path) -> None:
    found = load(val)
    (val / "no/a.WAV").write_bytes(b"RIFF and no more")
    (val / "yes/deep/c.wav").unlink()
    batch = found.read(range(3))
    assert batch.rows.tolist() == [1]
    assert [name for name, _ in batch.bad] == ["no/a.WAV", "yes/deep/c.wav"]
    assert all(reason for _, reason in batch.bad)
    np.testing.assert_array_equal(batch.inputs["sound"][0], wave(300, 1)[:, 0])
    assert found.read([0]).inputs["sound"].shape == (0, 300)
    with pytest.raises(ValueError, match="the file is empty"):
        _sound.decode(b"", 8000)
    write(val / "no/a.WAV", np.zeros((0, 1)))
    assert "no samples" in found.read([0]).bad[0][1]


def test_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "v/a").mkdir(parents=True)
    (tmp_path / "v/a/x.wav").write_bytes(b"noise")
    with pytest.raises(DataError, match=r"not one of 1 files can be read as a sound \(.*x\.wav\)"):
        load(tmp_path / "v")


def test_the_fingerprint_is_of_sounds_rate_and_shape(val: Path) -> None:
    prints = [
        load(val).fingerprint(False),
        load(val, sample_rate=16000).fingerprint(False),
        load(val, seconds=0.02).fingerprint(False),
        load(val, takes(1, None)).fingerprint(False),
    ]
    write(val / "no/a.WAV", wave(100, 9))
    assert len({*prints, load(val).fingerprint(False)}) == 5
    assert load(val).fingerprint(False) == load(val).fingerprint(True)


def names(path: Path) -> list[str]:
    return [name for name, module in plugins.loaded("data") if module.recognises(DataSource(path=path))]


def test_a_folder_is_claimed_by_one_format(val: Path, tmp_path: Path) -> None:
    assert names(val) == ["sounds"]
    (val / "list.csv").write_text("path,label\nno/b.flac,no\n")
    assert names(val / "list.csv") == ["sounds"]
    write(tmp_path / "flat/a.wav", wave(10))
    assert names(tmp_path / "flat") == ["sounds"]
    with pytest.raises(DataError, match=r"sounds \(1\) but no class folders"):
        load(tmp_path / "flat")
    (val / "no/cover.jpg").touch()
    assert names(val) == ["image-folder"]
    (tmp_path / "empty").mkdir()
    assert names(tmp_path / "empty") == ["image-folder"]


def test_what_sounds_do_not_have(val: Path) -> None:
    with pytest.raises(UsageError, match="a folder of sounds, to which --label-column does not apply"):
        load(val, label_column="x")
    source = DataSource(path=val)
    with pytest.raises(UsageError, match="--preprocess does not apply"):
        data.load(replace(source, preprocess=data.preprocess("imagenet", source.preprocess)), Expects(), Settings())


def test_the_missing_library_is_named(val: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(MissingExtra, match="soundfile") as raised:
        load(val)
    assert raised.value.hint == "pip install 'prune-audit[sound]'"


def test_headers_that_claim_too_much(val: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sound, "_MOST", 250)
    found = load(val)
    assert found.read([0]).inputs["sound"].shape == (1, 100)  # as long as the longest of the others
    bad = dict(found.read([0, 1, 2]).bad)
    assert bad["no/b.flac"] == "the recording claims 300 samples in 1 channels, and more than 250 are not read"
    assert "claims 200 samples in 2 channels" in bad["yes/deep/c.wav"]


@pytest.mark.parametrize("high", [0x0F, 0x00])  # 2**36 samples, and 2**27, which would fit
def test_a_flac_file_that_lies_about_its_length(val: Path, high: int) -> None:
    content = bytearray((val / "no/b.flac").read_bytes())
    # 36 bits of the first block hold how many samples there are, behind 4 of the marker, 4 of the block and 13 others.
    content[21] = content[21] & 0xF0 | high
    content[22] = 0x08
    (val / "no/b.flac").write_bytes(content)
    found = load(val)
    assert found.read([0]).inputs["sound"].shape == (1, 200)
    [(name, why)] = found.read([0, 1, 2]).bad
    assert name == "no/b.flac"
    assert "the recording claims " in why


def test_rates_and_lengths_beyond_reason(val: Path) -> None:
    with pytest.raises(UsageError, match="expected samples per second, 1,000,000 at most, found 1000000000"):
        load(val, sample_rate=10**9)
    with pytest.raises(AlignmentError, match="to be fed with 80,000,000,000 samples a recording"):
        load(val, seconds=10**7)
    with pytest.raises(AlignmentError, match="samples a recording, and more than"):
        load(val, takes(2**62))


def test_a_link_to_a_device_is_no_sound_and_is_not_read(val: Path) -> None:
    (val / "yes/d.wav").symlink_to("/dev/null")
    found = load(val)
    assert found.read([2]).bad == (("yes/d.wav", "neither a file nor a link to one"),)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "ogg"])
def test_a_recording_that_was_cut_is_no_sample(val: Path, suffix: str) -> None:
    """libsndfile would give its beginning, and silence would follow."""
    path = write(val / "no" / f"longest.{suffix}", wave(4000, 9))
    length = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1000])
    assert len(soundfile.read(path)[0]) < 4000
    found = load(val)
    row = found.ids.index(f"no/longest.{suffix}")
    batch = found.read(range(4))
    assert row not in batch.rows
    ((name, reason),) = batch.bad
    assert name == found.ids[row]
    assert f"its samples end at byte {length:,}, the file at byte {length - 1000:,}" in reason
    assert batch.inputs["sound"].shape == (3, 300)  # the longest of those that can be read

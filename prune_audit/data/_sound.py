"""Recordings to waveforms of one rate and one length, and labelled ones as a data set, as the formats of sounds share.

Channels become one by their mean, another rate is reached by a polyphase filter, a short recording ends in silence and
a long one loses its end, as the feature extractors of transformers have it. What happened to how many is noted, since
a model may well hear where a recording was cut. Headers are read when the data are opened, sounds when asked for.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import gcd, inf
from pathlib import Path
from typing import Any

import numpy as np

from prune_audit.core import Array, Assumption, Batch, Counts, DataSource, Expects, Input, Preprocess, Settings
from prune_audit.data import _folders
from prune_audit.data._pixels import suffixes as of_images
from prune_audit.errors import AlignmentError, DataError, MissingExtra, UsageError
from prune_audit.files import fingerprint, sound_chunks
from prune_audit.files.stored import Stored, opened
from prune_audit.files.tables import SOUNDS

NAME = "sound"
_MOST = 2**28  # samples of all channels, 1 GiB as floats: an hour and a half at 48 kHz
_RATIO, _SURELY = 1000, 2**22  # samples for each byte, which even silence does not come to, once there are many
_FASTEST = 10**6  # Hz, above what any recorder takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a recording says of itself: ``rate`` in Hz, and its length in ``frames`` at that rate."""

    rate: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoundDataset:
    """A `prune_audit.core.Dataset` of N recordings, given as ``length`` samples at ``rate`` Hz in ``axes`` axes.

    ``kept_in`` are the files that hold them, in the ``column`` of that name where they are tables.
    """

    name: str
    path: str
    classes: tuple[str, ...]
    labels: Counts  # (N,)
    ids: tuple[str, ...]
    files: Sequence[Stored]
    kept_in: Sequence[Path]
    groups: Mapping[str, Array]
    rate: int
    length: int
    axes: int
    notes: tuple[str, ...]
    indexed: bool = False
    column: str = ""
    preprocess: Preprocess | None = None
    assumptions: tuple[Assumption, ...] = ()

    def read(self, rows: Sequence[int] | Counts) -> Batch:
        """The sounds at ``rows``: ``{"sound": float32 (B, T) or (B, 1, T)}``, full scale being [-1, 1]."""
        sounds = np.zeros((len(rows), self.length), np.float32)  # (B, T)
        digests = np.empty(len(rows), np.uint64)  # (B,)
        kept: list[int] = []
        bad: list[tuple[str, str]] = []
        for row in map(int, rows):
            at = len(kept)
            try:
                with opened(self.files[row]) as file:
                    data = file.read()
                waveform = decode(data, self.rate)[: self.length]
            except OSError as error:
                bad.append((self.ids[row], error.strerror or str(error)))
            except ValueError as error:
                bad.append((self.ids[row], str(error)))
            else:
                sounds[at, : len(waveform)] = waveform
                digests[at] = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
                kept.append(row)
        good = np.array(kept, np.int64)
        sounds = sounds[: len(kept)]
        return Batch(
            rows=good,
            inputs={NAME: sounds if self.axes == 2 else sounds[:, None]},
            labels=self.labels[good],
            digests=digests[: len(kept)],
            bad=tuple(bad),
        )

    def fingerprint(self, verify: bool) -> str:
        """Of the files, the rate and the shape; see `prune_audit.files.fingerprint`."""
        return f"{fingerprint.of_files(self.kept_in, verify)}-{self.column}-{self.rate}-{self.length}-{self.axes}"


def is_folder(root: Path) -> bool:
    """Whether there are sounds and no images below the folder ``root``; of images the first one ends the search."""
    found, images = False, of_images()
    for name in _folders.walk(root, "") if root.is_dir() else ():
        if name.lower().endswith(images):
            return False
        found = found or name.lower().endswith(SOUNDS)
    return found


def header(stored: Stored) -> Header | None:
    """The header of a recording, None where it cannot be read."""
    soundfile = _library()
    try:
        with opened(stored) as file:
            size = file.seek(0, os.SEEK_END)
            sound_chunks.check(file, size)
            file.seek(0)
            with soundfile.SoundFile(file) as sound:
                _check(sound, size)
                return Header(rate=sound.samplerate, frames=sound.frames)
    except Exception:  # a broken file can raise nearly anything from a decoder; reading it will say what
        return None


def _check(opened: Any, size: int) -> None:
    """Raise `ValueError` where the header of what was ``opened``, of ``size`` bytes, claims what nobody recorded."""
    if not 1 <= opened.samplerate <= _FASTEST:
        raise ValueError(f"the recording claims {opened.samplerate:,} samples a second")
    if opened.frames > max(_SURELY, _RATIO * size):
        raise ValueError(f"the recording claims {opened.frames:,} samples in {size:,} bytes")
    if not 0 <= opened.frames * opened.channels <= _MOST:
        raise ValueError(
            f"the recording claims {opened.frames:,} samples in {opened.channels} channels, and more than {_MOST:,} "
            "are not read"
        )


def decode(data: bytes, rate: int) -> Array:
    """The waveform of a recording's bytes at ``rate`` Hz: float32 (T,), the mean of its channels.

    Raises:
        ValueError: the bytes are no recording, or an empty one; the message says why.
    """
    soundfile = _library()
    if not data:
        raise ValueError("the file is empty")
    sound_chunks.check(io.BytesIO(data), len(data))
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            _check(sound, len(data))
            own = sound.samplerate
            frames = sound.read(dtype="float32", always_2d=True)  # (T, channels)
    except MemoryError:  # which says nothing of the file
        raise
    except Exception as error:  # a broken file can raise nearly anything from a decoder
        raise ValueError(str(getattr(error, "error_string", "")) or str(error) or type(error).__name__) from error
    if not len(frames):
        raise ValueError("the recording has no samples")
    waveform: Array = frames.mean(axis=1)
    if own != rate:
        if len(waveform) * rate / own > _MOST:
            raise ValueError(f"the recording is too long at {rate:,} Hz")
        from scipy.signal import resample_poly

        common = gcd(own, rate)
        waveform = resample_poly(waveform, rate // common, own // common).astype(np.float32)
    return waveform


def dataset(
    source: DataSource,
    expects: Expects,
    settings: Settings,
    *,
    classes: tuple[str, ...],
    labels: Counts,
    ids: Sequence[str],
    files: Sequence[Stored],
    groups: Mapping[str, Array],
    notes: tuple[str, ...],
    assumptions: tuple[Assumption, ...],
    kept_in: Sequence[Path] = (),
    column: str = "",
) -> SoundDataset:
    """The data set of ``files``, at the rate and of the length that they, the models and the user agree on.

    ``kept_in`` are the files whose content is theirs, where they are none themselves, in the column called ``column``.

    Raises:
        AlignmentError: they do not agree, or the recordings differ in rate and nobody says which it is to be.
        UsageError: a rate or a length was asked for that no sound has.
        DataError: not one of the files can be read.
        MissingExtra: soundfile is not installed.
    """
    _library()
    if source.sample_rate is not None and not 1 <= source.sample_rate <= _FASTEST:
        raise UsageError(
            f"--sample-rate: expected samples per second, {_FASTEST:,} at most, found {source.sample_rate}",
            hint="for example 16000",
        )
    if source.seconds is not None and not 0 < source.seconds < inf:
        raise UsageError(f"--seconds: expected a length above 0, found {source.seconds:g}", hint="for example 1.5")
    with ThreadPoolExecutor(settings.workers or 4) as pool:  # enough for a slow disk
        heads = [head for head in pool.map(header, files) if head is not None]
    if not heads:
        raise DataError(
            f"not one of {len(files)} files can be read as a sound ({files[0]})",
            hint=f"read are {', '.join(suffix[1:] for suffix in SOUNDS)}",
        )
    wanted = next((each for each in expects.inputs if len(expects.inputs) == 1 or each.name == NAME), None)
    axes = _axes(wanted, expects)
    rate, of_rate = _rate(source, expects, heads)
    length, of_length = _length(source, wanted, heads, rate)
    if length > _MOST:
        raise AlignmentError(
            f"models are to be fed with {length:,} samples a recording, and more than {_MOST:,} are not read",
            hint="give the length with --seconds",
        )
    return SoundDataset(
        name=source.path.resolve().name,
        path=str(source.path),
        classes=classes,
        labels=labels,
        ids=tuple(ids),
        files=files,
        kept_in=kept_in or [file for file in files if isinstance(file, Path)],
        column=column,
        groups=groups,
        rate=rate,
        length=length,
        axes=axes,
        notes=(*notes, of_rate, of_length),
        assumptions=assumptions,
    )


def _axes(wanted: Input | None, expects: Expects) -> int:
    """2 for (B, T), 3 for (B, 1, T): what the model declares, or else 3 where its first layer takes one channel."""
    if wanted is None or wanted.shape is None:
        return 3 if expects.channels == 1 else 2
    if len(wanted.shape) not in (2, 3):
        raise AlignmentError(
            f"the model's input {wanted.name!r} has {len(wanted.shape)} axes, sounds are (batch, samples) or "
            "(batch, 1, samples)",
            hint="sounds are fed as waveforms; feed spectrograms and other features from an .npz file",
        )
    return len(wanted.shape)


def _rate(source: DataSource, expects: Expects, heads: Sequence[Header]) -> tuple[int, str]:
    """The rate that models are fed at, and what to say of it."""
    asked, declared = source.sample_rate, expects.sample_rate
    if asked is not None and declared is not None and asked != declared:
        raise AlignmentError(
            f"{asked} Hz were asked for, the model takes {declared} Hz", hint="leave --sample-rate to the model"
        )
    found = Counter(head.rate for head in heads)
    rate = asked or declared
    told = ", ".join(f"{count:,} at {each} Hz" for each, count in sorted(found.items()))
    if rate is None:
        if len(found) > 1:
            raise AlignmentError(
                f"{source.path}: the recordings differ in their sample rate ({told}), and no model says what it takes",
                hint="give the rate that the model was trained at with --sample-rate, in Hz",
            )
        (rate,) = found
        return rate, f"sounds are fed at their own rate, {rate} Hz; give --sample-rate if the model takes another"
    others = sum(count for each, count in found.items() if each != rate)
    return rate, f"sounds are fed at {rate} Hz" + (
        f"; resampled: {others:,} of {len(heads):,} ({told})" if others else ""
    )


def _length(source: DataSource, wanted: Input | None, heads: Sequence[Header], rate: int) -> tuple[int, str]:
    """How many samples a model is fed, and what to say of it."""
    declared = wanted.shape[-1] if wanted is not None and wanted.shape is not None else None
    asked = None if source.seconds is None else max(1, round(source.seconds * rate))
    if asked is not None and declared is not None and asked != declared:
        raise AlignmentError(
            f"{source.seconds:g} s at {rate} Hz are {asked} samples, the model takes {declared} "
            f"({declared / rate:.4g} s)",
            hint="leave --seconds to the model; is the sample rate right?",
        )
    lengths = [-(-head.frames * rate // head.rate) for head in heads]
    length = asked or declared or max(1, *lengths, 1)
    cut, short = sum(each > length for each in lengths), sum(each < length for each in lengths)
    whose = "" if asked or declared else ", as long as the longest"
    return length, (
        f"sounds are {length / rate:.4g} s long{whose}: {cut:,} of {len(heads):,} were cut at their end, {short:,} are "
        "followed by silence"
    )


def _library() -> Any:
    try:
        import soundfile
    # Without libsndfile the import fails as for a missing file.
    except (ImportError, OSError) as fault:
        raise MissingExtra(
            f"sounds are read by soundfile, which is not there: {fault}", hint="pip install 'prune-audit[sound]'"
        ) from fault
    return soundfile

"""Recordings that were cut short, of every form whose header says where the samples end."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from prune_audit.files import sound_chunks

FORMS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AIFF", "DOUBLE"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("OGG", "VORBIS"),
]


def recording(form: str, subtype: str, frames: int = 6000, **more: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(11).uniform(-0.5, 0.5, frames)
    soundfile.write(file, noise, 16000, subtype, format=form, **more)
    return file.getvalue()


def check(data: bytes) -> None:
    sound_chunks.check(io.BytesIO(data), len(data))


def frames(data: bytes) -> int:
    return len(soundfile.read(io.BytesIO(data))[0])


def at_length(data: bytes, ident: bytes) -> int:
    """Where the length of the chunk ``ident`` of a WAV or AIFF file stands."""
    return data.index(ident) + 4


@pytest.mark.parametrize(("form", "subtype"), FORMS)
def test_a_whole_recording_passes_and_one_that_was_cut_does_not(form: str, subtype: str) -> None:
    data = recording(form, subtype)
    check(data)
    for lost in (2, 700):
        cut = data[:-lost]
        assert frames(cut) < 6000  # libsndfile gives what there is
        with pytest.raises(ValueError, match=rf"cut off: .* byte {len(data):,}, the file at byte {len(cut):,}$"):
            check(cut)


def test_big_endian_waves() -> None:
    data = recording("WAV", "PCM_16", endian="BIG")
    assert data[:4] == b"RIFX"
    check(data)
    with pytest.raises(ValueError, match="cut off"):
        check(data[:-9])


@pytest.mark.parametrize("length", [0, 0xFFFF_FFFF, 0x7FFF_F000, 0x8000_0000])
@pytest.mark.parametrize(("form", "ident"), [("WAV", b"data"), ("AIFF", b"SSND")])
def test_lengths_that_were_not_known_say_nothing(form: str, ident: bytes, length: int) -> None:
    data = bytearray(recording(form, "PCM_16"))
    order = "<I" if form == "WAV" else ">I"
    struct.pack_into(order, data, 4, length)
    struct.pack_into(order, data, at_length(bytes(data), ident), length)
    check(bytes(data))
    check(bytes(data[:-500]))


def test_the_length_of_the_whole_stands_in_for_that_of_the_samples() -> None:
    data = bytearray(recording("WAV", "PCM_16"))
    struct.pack_into("<I", data, at_length(bytes(data), b"data"), 0xFFFF_FFFF)
    check(bytes(data))
    with pytest.raises(ValueError, match="cut off"):
        check(bytes(data[:-500]))


def test_what_follows_the_samples_may_be_missing() -> None:
    data = bytearray(recording("WAV", "PCM_16"))
    data += b"LIST" + struct.pack("<I", 40) + b"INFO" + bytes(36)
    struct.pack_into("<I", data, 4, len(data) - 8)
    check(bytes(data))
    check(bytes(data[:-20]))


@pytest.mark.parametrize("length", [2**62, 2**63, 2**64 - 1])
def test_a_chunk_that_is_longer_than_any_file_says_nothing(length: int) -> None:
    for data in (
        b"riff" + bytes(36) + b"junk" + bytes(12) + struct.pack("<Q", length) + bytes(40),
        b"caff" + bytes(4) + b"free" + struct.pack(">Q", length) + bytes(40),
    ):
        sound_chunks.check(io.BytesIO(data), len(data))


def test_chunks_before_the_samples_are_passed_over() -> None:
    data = recording("WAV", "PCM_16")
    odd = b"note" + struct.pack("<I", 5) + b"hello\0"
    longer = bytearray(data[:12] + odd * 3 + data[12:])
    struct.pack_into("<I", longer, 4, len(longer) - 8)
    check(bytes(longer))
    with pytest.raises(ValueError, match=rf"samples end at byte {len(longer):,}"):
        check(bytes(longer[:-4]))
    empty = b"note" + bytes(4)
    with pytest.raises(ValueError, match="more than 10,000 chunks"):
        check(data[:12] + empty * 10_001 + data[12:])


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"fLaC" + bytes(90), b"FORM\0", b".snd\0"])
def test_what_says_nothing_is_left_to_the_decoder(data: bytes) -> None:
    check(data)


def test_something_else_behind_the_pages_of_ogg_says_nothing() -> None:
    check(recording("OGG", "VORBIS") + b"TAG" + bytes(125))

from pathlib import Path

import numpy as np
import pyarrow
import pytest

from prune_audit.core import ModelSource
from prune_audit.files import on_disk


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_digest_covers_every_file() -> None:
    Path("a").write_bytes(b"model ")
    Path("b").write_bytes(b"weights")
    digest, size, _ = on_disk.measured(Path("a"), Path("b"))
    # printf 'model weights' | sha256sum
    assert digest == "a2d42c4aa884e21216cbb8da4c7ba2fcf9b6033b2331666e666145c24caf7a38"
    assert size == 13
    assert on_disk.measured(Path("a"))[0] != on_disk.measured(Path("b"))[0]


def test_zeros_compress_and_noise_does_not() -> None:
    noise = np.random.default_rng(0).bytes(3_000_000)
    Path("noise").write_bytes(noise)
    Path("zeros").write_bytes(bytes(3_000_000))
    assert on_disk.measured(Path("zeros"))[2] < 1_000
    assert 3_000_000 < on_disk.measured(Path("noise"))[2] < 3_001_000
    # Two files are one stream, so what both hold is written once only where it is near.
    whole = len(pyarrow.compress(noise + bytes(3_000_000), codec="zstd", asbytes=True))
    assert on_disk.measured(Path("noise"), Path("zeros"))[2] == pytest.approx(whole, abs=1_000)


def test_the_card_says_all_of_the_source() -> None:
    Path("a").write_bytes(b"model ")
    Path("b").write_bytes(b"weights")
    source = ModelSource(name="m", path=Path("a"), factory="nets:small")
    card = on_disk.card(source, Path("a"), Path("b"), form="test", layers=(), parameters=3)
    assert (card.name, card.path, card.format, card.factory, card.parameters) == ("m", "a", "test", "nets:small", 3)
    assert (card.digest, card.size, card.compressed) == on_disk.measured(Path("a"), Path("b"))

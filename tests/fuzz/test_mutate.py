"""What changes inputs: formats that are taken apart come together again, and every change is drawn from its number."""

from __future__ import annotations

import random
import zlib

import onnx
import pytest

from tests.fuzz import drawing, mutate
from tests.fuzz.seeds import SEEDS

MODEL = onnx.helper.make_model(
    onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])],
        "net",
        [onnx.helper.make_tensor_value_info("x", 1, ["n", 3])],
        [onnx.helper.make_tensor_value_info("y", 1, ["n", 3])],
    )
).SerializeToString()


def test_a_message_comes_together_again() -> None:
    assert mutate.message(mutate.fields(MODEL)) == MODEL


@pytest.mark.parametrize("name", ["a.onnx", "a.json", "a.csv", "a.toml"])
def test_the_same_number_draws_the_same_change(name: str) -> None:
    content = {
        "a.onnx": MODEL,
        "a.json": b'{"a": [1, 2, {"b": "c"}]}',
        "a.csv": b"id,label\n1,a\n2,b\n",
        "a.toml": b"a = 1\n",
    }
    made = [mutate.change(random.Random(number), content[name], name) for number in [*range(20), *range(20)]]
    assert made[:20] == made[20:]
    assert len(set(made[:20])) > 10


def test_chunks_of_a_changed_picture_have_right_checksums() -> None:
    chunk = b"IHDR" + bytes(13)
    content = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    for number in range(20):
        made = mutate.of_png(random.Random(number), content)
        at = 8
        while at < len(made):
            length = int.from_bytes(made[at : at + 4], "big")
            held = made[at + 4 : at + 8 + length]
            assert int.from_bytes(made[at + 8 + length : at + 12 + length], "big") == zlib.crc32(held)
            at += 12 + length


def test_an_input_is_drawn_from_its_number_alone() -> None:
    one, two = (drawing.draw(SEEDS, 1, number, briefly=True) for number in (5, 5))
    assert one == two
    assert len({drawing.draw(SEEDS, 1, number, briefly=True).seed.kind for number in range(300)}) > 20

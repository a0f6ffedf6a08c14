"""Arrays: inputs by name, labels as columns or names, and files that are refused."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prune_audit import data
from prune_audit.core import Dataset, DataSource, Expects, Input, Preprocess, Settings
from prune_audit.data import npz
from prune_audit.errors import AlignmentError, DataError, UsageError

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
Y = np.array([2, 0, 1, 2])


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def load(path: Path, expects: Expects | None = None, **asked: Any) -> Dataset:
    return data.load(DataSource(path=path, **asked), expects or Expects(), Settings())


def test_what_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=Y, speaker=["a", "b", "a", "b"], take=[1, 2, 3, 4])
    found = load(path)
    assert (found.name, found.path, found.indexed, found.preprocess) == ("data.npz", str(path), True, None)
    assert found.classes == ("0", "1", "2")
    assert found.labels.tolist() == [2, 0, 1, 2]
    assert found.ids == ("0", "1", "2", "3")
    assert {name: values.tolist() for name, values in found.groups.items()} == {
        "speaker": ["a", "b", "a", "b"],
        "take": ["1", "2", "3", "4"],
    }
    batch = found.read([3, 0])
    np.testing.assert_array_equal(batch.inputs["x"], X[[3, 0]])
    assert batch.inputs["x"].dtype == np.float32
    assert batch.labels.tolist() == [2, 2]
    assert batch.rows.tolist() == [3, 0]
    expected = int.from_bytes(hashlib.blake2b(X[3].tobytes(), digest_size=8).digest(), "little")
    assert batch.digests[0] == expected


def test_ids_that_are_called_otherwise(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=Y, clip=["p", "q", "r", "s"])
    assert load(path, id_column="clip").ids == ("p", "q", "r", "s")
    assert list(load(path).groups) == ["clip"]
    with pytest.raises(DataError, match="no array 'take' of ids; found"):
        load(path, id_column="take")
    assert load(path, Expects(id_column="take"), id_column="take").ids == ("0", "1", "2", "3")
    assert load(saved(tmp_path, ids=X, y=Y), Expects(inputs=(Input(name="ids"),))).ids == ("0", "1", "2", "3")


def test_compressed_and_in_any_order_of_axes(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "c.npz", x=np.asfortranarray(X), y=Y.astype(np.uint8))
    batch = load(tmp_path / "c.npz").read(range(4))
    np.testing.assert_array_equal(batch.inputs["x"], X)
    assert batch.labels.dtype == np.int64
    plain = load(saved(tmp_path, x=X, y=Y)).read(range(4))
    np.testing.assert_array_equal(batch.digests, plain.digests)


def test_one_array_for_each_input(tmp_path: Path) -> None:
    mask = np.ones((4, 5), np.int64)
    path = saved(tmp_path, ids_in=mask, mask=mask * 2, y=Y)
    expects = Expects(inputs=(Input(name="ids_in"), Input(name="mask")))
    batch = load(path, expects).read([1])
    assert {name: int(values[0, 0]) for name, values in batch.inputs.items()} == {"ids_in": 1, "mask": 2}
    with pytest.raises(AlignmentError, match="no array tokens to feed the model; found ids_in, mask, y"):
        load(path, Expects(inputs=(Input(name="ids_in"), Input(name="tokens"))))
    with pytest.raises(AlignmentError, match="no array x to feed"):
        load(path)


def test_one_input_goes_by_its_name_or_by_x(tmp_path: Path) -> None:
    expects = Expects(inputs=(Input(name="pixels"),))
    assert list(load(saved(tmp_path, x=X, y=Y), expects).read([0]).inputs) == ["x"]
    both = load(saved(tmp_path, x=X, pixels=X * 2, y=Y), expects)
    assert list(both.read([0]).inputs) == ["pixels"]
    assert both.notes == ("arrays not used: x",)
    raw = load(saved(tmp_path, x=X, y=Y, raw=[b"\xff", b"", b"", b""], extra=X), expects)
    assert (raw.notes, raw.groups) == (("arrays not used: raw, extra",), {})
    with pytest.raises(AlignmentError, match="no array x or pixels"):
        load(saved(tmp_path, z=X, y=Y), expects)


def test_ids_and_names(tmp_path: Path) -> None:
    found = load(saved(tmp_path, x=X, y=Y, ids=["p", "q", "r", "s"], classes=["no", "yes", "maybe"]))
    assert found.ids == ("p", "q", "r", "s")
    assert found.classes == ("no", "yes", "maybe")
    assert found.indexed
    assert found.groups == {}
    assert found.notes == ()


def test_text_labels_are_names(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=["10", "9", "10", "9"])
    found = load(path)
    assert (found.classes, found.labels.tolist(), found.indexed) == (("9", "10"), [1, 0, 1, 0], False)
    assert "sorted as numbers" in found.assumptions[0].value
    assert load(path, Expects(classes=("9", "x", "10"))).labels.tolist() == [2, 0, 2, 0]
    with pytest.raises(DataError, match=r"y\[0\]: '10' is none of"):
        load(path, Expects(classes=("cat", "dog")))
    named = load(saved(tmp_path, x=X, y=["a", "b", "a", "b"], class_names=["b", "a"]))
    assert (named.classes, named.labels.tolist()) == (("b", "a"), [1, 0, 1, 0])


def test_who_names_the_columns(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("a\nb\nc\nd\n")
    path = saved(tmp_path, x=X, y=Y)
    assert load(path, Expects(classes=("u", "v", "w"))).classes == ("u", "v", "w")
    listed = load(path, Expects(classes=("u", "v", "w")), classes=tmp_path / "classes.txt")
    assert (listed.classes, listed.indexed) == (("a", "b", "c", "d"), True)
    with pytest.raises(DataError, match=r"y\[0\]: 2 is no class, expected 0 to 1"):
        load(path, Expects(classes=("u", "v")))


def test_floats_that_are_whole_numbers_are_positions(tmp_path: Path) -> None:
    found = load(saved(tmp_path, x=X, y=Y.astype(np.float32)))
    assert (found.labels.tolist(), found.indexed) == (Y.tolist(), True)
    assert found.assumptions[0].value == "labels are positions of outputs"
    with pytest.raises(DataError, match="found float64"):
        load(saved(tmp_path, x=X, y=np.where(Y[0] == Y, np.nan, Y)))


def test_names_in_the_file_go_to_the_models_columns_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=Y, classes=["no", "yes", "maybe"])
    found = load(path, Expects(classes=("maybe", "no", "unheard", "yes")))
    assert [found.classes[label] for label in found.labels] == ["maybe", "no", "yes", "maybe"]
    assert not found.indexed
    with pytest.raises(DataError, match="'maybe' is none of"):
        load(path, Expects(classes=("no", "yes", "perhaps")))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "no array 'y' of labels; found x"),
        ({"x": X, "y": Y[:3]}, r"x has shape \(4, 5\), y 3 labels"),
        ({"x": X, "y": Y[:, None]}, r"one label per sample, found shape \(4, 1\)"),
        ({"x": X[:0], "y": Y[:0]}, "one label per sample"),
        ({"x": X, "y": Y + 0.5}, "integers or text, found float64"),
        ({"x": X, "y": Y > 0}, "integers or text, found bool"),
        ({"x": X, "y": Y - 1}, r"y\[1\]: -1 is no class"),
        ({"x": X, "y": Y, "classes": ["a", "b"]}, r"y\[0\]: 2 is no class, expected 0 to 1"),
        ({"x": X, "y": Y, "classes": ["a", "b", "a"]}, "class names must be"),
        ({"x": X, "y": Y, "classes": [1, 2, 3]}, "class names must be"),
        ({"x": X, "y": Y, "id": ["a"]}, r"id has shape \(1,\), y 4 labels"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = saved(tmp_path, **arrays)
    with pytest.raises(DataError, match=message) as raised:
        load(path)
    assert str(path) in raised.value.message


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.mkdir, (str(self.path),)


def test_pickles_never_run(tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    path = saved(tmp_path, x=np.array([Payload(harm)] * 4, dtype=object), y=Y)
    with pytest.raises(DataError, match="cannot be read") as raised:
        load(path)
    assert "never loaded" in raised.value.hint
    assert not harm.exists()
    np.load(path, allow_pickle=True)["x"]
    assert harm.exists()  # it would have


def test_a_damaged_file(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "c.npz", x=np.zeros((4, 50_000)) + Y[:, None], y=Y)
    content = bytearray((tmp_path / "c.npz").read_bytes())
    content[100:140] = bytes(40)
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"preprocess": Preprocess(size=(3, 3))}, "--preprocess"),
        ({"path_column": "p"}, "--path-column"),
        ({"label_column": "l"}, "--label-column"),
        ({"features": ("a",)}, "--features"),
        ({"max_length": 3}, "--max-length"),
    ],
)
def test_what_arrays_do_not_have(tmp_path: Path, asked: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match=f"arrays, fed as they are, to which {option} does not apply"):
        load(saved(tmp_path, x=X, y=Y), **asked)


def test_recognition(tmp_path: Path) -> None:
    assert npz.recognises(DataSource(path=saved(tmp_path, x=X)))
    for name, members in {"empty": [], "torch": ["archive/data.pkl", "archive/x.npy"]}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in members:
                archive.writestr(member, b"")
        assert not npz.recognises(DataSource(path=tmp_path / name))
    (tmp_path / "text.npz").write_text("no zip")
    assert not npz.recognises(DataSource(path=tmp_path / "text.npz"))
    assert not npz.recognises(DataSource(path=tmp_path))


def test_labels_alone_are_data_for_recorded_predictions(tmp_path: Path) -> None:
    data = load(saved(tmp_path, y=Y, site=np.arange(len(Y))))
    assert data.labels.tolist() == Y.tolist()
    assert list(data.groups) == ["site"]
    with pytest.raises(AlignmentError, match="labels alone"):
        data.read([0])
    assert isinstance(data.fingerprint(False), str)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.array(list("abcd")), "y": Y}, "x holds <U1, models are fed with numbers"),
        ({"x": np.zeros(4, "M8[s]"), "y": Y}, "x holds datetime64"),
        ({"x": X, "y": np.array(["a", "", "b", "b"])}, r"y\[1\] is an empty text"),
        ({"x": X, "y": np.array([0, 1, 1, 2**62])}, r"y\[3\]: 4611686018427387904 is no class, expected 0 to 999999"),
        ({"x": X, "y": np.array([0, 1, 1, 2**64 - 1], "u8")}, r"y\[3\]: 18446744073709551615 is no class"),
    ],
)
def test_arrays_of_the_wrong_kind(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        load(saved(tmp_path, **arrays))


def test_members_that_are_no_arrays(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=Y)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("site.npy", b"left over")
    with pytest.raises(DataError, match="'site' is no array: expected NumPy's format, found bytes beginning"):
        load(path)

"""What is known of a model file spares loading it, and is never taken for another file's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from prune_audit.core import Classifier, ModelSource, Settings
from prune_audit.errors import ModelError
from prune_audit.evaluate.cache import Store
from prune_audit.models import _deferred
from tests.evaluate._models import FunctionModel

X = {"x": np.eye(3)}


@pytest.fixture
def source(tmp_path: Path) -> ModelSource:
    path = tmp_path / "m.bin"
    path.write_bytes(b"weights")
    return ModelSource(name="called", path=path)


def loading(source: ModelSource, calls: list[ModelSource]) -> Classifier:
    calls.append(source)
    model = FunctionModel("m", lambda x: x)
    object.__setattr__(model.card, "digest", _deferred._digest(source))
    return model


def test_a_known_model_is_loaded_where_it_runs_and_bears_its_present_name(source: ModelSource, tmp_path: Path) -> None:
    store, calls = Store(tmp_path / "kept"), list[ModelSource]()
    assert _deferred.find(source, Settings(), store, lambda: loading(source, calls)) is None
    _deferred.learn(loading(source, []), source, Settings(), store)
    found = _deferred.find(source, Settings(), store, lambda: loading(source, calls))
    assert found is not None
    assert (found.card.name, found.card.path, found.notes, calls) == ("called", str(source.path), (), [])
    np.testing.assert_array_equal(found.predict(X), X["x"])
    assert found.macs(X) == 9
    assert calls == [source]


def test_a_file_that_is_rewritten_before_it_is_loaded_is_not_the_known_one(source: ModelSource, tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    _deferred.learn(loading(source, []), source, Settings(), store)
    found = _deferred.find(source, Settings(), store, lambda: loading(source, []))
    assert found is not None
    source.path.write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"m\.bin was changed while the audit was under way"):
        found.predict(X)


def test_what_is_more_than_its_file_is_not_learnt(source: ModelSource, tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    model = FunctionModel("m", lambda x: x)  # whose digest covers other files too
    _deferred.learn(model, source, Settings(), store)
    assert not list((tmp_path / "kept").rglob("*.json"))


def from_files(source: ModelSource, *read: tuple[str, str | None], known: bool = True) -> Classifier:
    model = loading(source, [])
    object.__setattr__(model.card, "reads", read if known else None)
    return model


def test_a_model_is_known_while_what_its_factory_read_is_the_same(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config, store = tmp_path / "net.json", Store(tmp_path / "kept")
    config.write_text("{}")
    read = ("net.json", hashlib.sha256(b"{}").hexdigest())
    _deferred.learn(from_files(source, read, ("local.json", None)), source, Settings(), store)
    found = _deferred.find(source, Settings(), store, lambda: from_files(source))
    assert found is not None
    assert found.card.reads == (read, ("local.json", None))
    for name, changed in (("net.json", "[]"), ("local.json", "")):
        before = (tmp_path / name).read_text() if (tmp_path / name).exists() else None
        (tmp_path / name).write_text(changed)
        assert _deferred.find(source, Settings(), store, lambda: from_files(source)) is None
        (tmp_path / name).unlink()
        if before is not None:
            (tmp_path / name).write_text(before)
    assert _deferred.find(source, Settings(), store, lambda: from_files(source)) is not None


def test_a_factory_that_reads_other_files_when_it_has_to_run_is_refused(source: ModelSource, tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    _deferred.learn(from_files(source, ("a.json", None)), source, Settings(), store)
    others = [from_files(source, ("b.json", "1")), from_files(source, known=False)]
    for _ in range(2):
        found = _deferred.find(source, Settings(), store, others.pop)
        assert found is not None
        with pytest.raises(ModelError, match="reads other files than it did") as caught:
            found.predict(X)
        assert "--no-cache" in caught.value.hint
    fewer = _deferred.find(source, Settings(), store, lambda: from_files(source))
    assert fewer is not None
    np.testing.assert_array_equal(fewer.predict(X), X["x"])


def test_what_a_factory_read_unseen_is_not_learnt(source: ModelSource, tmp_path: Path) -> None:
    store = Store(tmp_path / "kept")
    _deferred.learn(from_files(source, known=False), source, Settings(), store)
    assert _deferred.find(source, Settings(), store, lambda: from_files(source)) is None

"""The Python API: files, modules, functions and arrays in every combination, and what is wrong with them."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.utils import prune

import prune_audit
from prune_audit import api
from prune_audit import audit as story
from prune_audit.core import Array, Audit, DataSource, ModelSource, Preprocess, Settings
from prune_audit.errors import AlignmentError, AuditError, DataError, ModelError, PolicyError, UsageError
from prune_audit.evaluate.cache import Store
from prune_audit.reports import table as report
from tests.cli._run import here
from tests.conftest import ROOT
from tests.reports import audits

ROWS, FEATURES, CLASSES = 600, 12, 4


@pytest.fixture(scope="module")
def table() -> tuple[Array, Array]:
    x, y = make_classification(ROWS, FEATURES, n_informative=8, n_classes=CLASSES, random_state=0)
    return x, y


@pytest.fixture(scope="module")
def fitted(table: tuple[Array, Array]) -> LogisticRegression:
    return LogisticRegression(max_iter=500).fit(*table)


def as_module(fitted: LogisticRegression) -> nn.Sequential:
    """The same function as a torch module in double precision."""
    linear = nn.Linear(FEATURES, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(fitted.coef_))
        linear.bias.copy_(torch.from_numpy(fitted.intercept_))
    return nn.Sequential(nn.Dropout(), linear).train()


def halved(fitted: LogisticRegression) -> Any:
    return lambda x: fitted.predict_proba(np.where(np.arange(FEATURES) < FEATURES // 2, x, 0))


@pytest.mark.workers
def test_files_give_what_the_command_line_gives(sample_models: Path) -> None:
    dense, pruned = sample_models / "dense.onnx", sample_models / "pruned-90.onnx"
    found = prune_audit.compare(dense, str(pruned), data=sample_models / "val")
    expected = story.run(
        ModelSource(name="dense", path=dense),
        [ModelSource(name="pruned-90", path=pruned)],
        DataSource(path=sample_models / "val"),
        Settings(),
    )
    assert found.comparisons == expected.comparisons
    assert replace(found.provenance, run={}) == replace(expected.provenance, run={})
    assert found.policy is None


def test_names(sample_models: Path, fitted: LogisticRegression, table: tuple[Array, Array]) -> None:
    dense, pruned, data = sample_models / "dense.onnx", sample_models / "pruned-90.onnx", sample_models / "val"

    def names(audit: Audit) -> list[str]:
        return [audit.comparisons[0].dense.name, *(c.pruned.name for c in audit.comparisons)]

    assert names(prune_audit.compare(f"big={dense}", {"small": pruned}, data=data)) == ["big", "small"]
    f = fitted.predict_proba
    assert names(prune_audit.compare(f, f, data=table)) == ["dense", "pruned"]
    assert names(prune_audit.compare(f, [f, as_module(fitted)], data=table)) == ["dense", "pruned-1", "pruned-2"]
    with pytest.raises(UsageError, match="two models are called 'dense'"):
        prune_audit.compare(f, {"dense": f}, data=table)
    with pytest.raises(UsageError, match="expected at least one pruned model, found none"):
        prune_audit.compare(f, [], data=table)


def test_a_module_a_function_and_a_file_of_one_network_agree(
    fitted: LogisticRegression, table: tuple[Array, Array], tmp_path: Path
) -> None:
    module = as_module(fitted)
    pruned = copy.deepcopy(module)
    prune.l1_unstructured(pruned[1], "weight", 0.5)
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.trace(copy.deepcopy(module).eval(), torch.from_numpy(table[0][:2])), tmp_path / "m.pt")
    by_module = prune_audit.compare(module, pruned, data=table)
    by_file = prune_audit.compare(tmp_path / "m.pt", pruned, data=table)
    by_function = prune_audit.compare(fitted.predict_proba, pruned, data=table)
    pairs = [audit.comparisons[0].view().pair for audit in (by_module, by_file, by_function)]
    assert pairs[0].lost.sum() > 0
    for pair in pairs[1:]:
        for name in ("both", "lost", "gained", "neither"):
            np.testing.assert_array_equal(getattr(pair, name), getattr(pairs[0], name))
    x, y = table
    right = pruned.eval()(torch.from_numpy(x)).argmax(1).numpy() == y
    assert pairs[0].both.sum() + pairs[0].gained.sum() == right.sum()
    assert by_module.comparisons[0].pruned.density == 0.5
    assert by_module.comparisons[0].pruned.macs == FEATURES * CLASSES
    assert module.training


def test_an_audit_of_live_models_can_be_read_back(
    fitted: LogisticRegression, table: tuple[Array, Array], tmp_path: Path
) -> None:
    audit = prune_audit.compare(as_module(fitted), {"half": halved(fitted)}, data=table, policy="default")
    prune_audit.write(audit, tmp_path / "a.json")
    assert prune_audit.read_audit(tmp_path / "a.json") == audit
    assert audit.provenance.data == "arrays"
    assert "torch" in audit.provenance.versions
    assert "half against dense" in report.text(audit, Console(width=100), show_all=False)


def test_functions_without_scores(fitted: LogisticRegression, table: tuple[Array, Array]) -> None:
    audit = prune_audit.compare(fitted.predict, halved(fitted), data=table, classes=list("abcd"))
    view = audit.comparisons[0].view()
    assert view.strata == ("a", "b", "c", "d")
    x, y = table
    assert (view.pair.both + view.pair.lost).sum() == (fitted.predict(x) == y).sum()


def test_the_same_module_twice_and_one_with_a_hook(fitted: LogisticRegression, table: tuple[Array, Array]) -> None:
    module = as_module(fitted)
    assert prune_audit.compare(module, module, data=table).comparisons[0].view().pair.same_model
    other = copy.deepcopy(module)
    other.register_forward_hook(lambda module, inputs, scores: scores.flip(1))
    view = prune_audit.compare(module, other, data=table).comparisons[0].view()
    assert not view.pair.same_model  # of equal bytes, and yet another function
    assert view.measure("verdict").by_stratum == ("regressed",) * CLASSES


def test_damage_among_what_is_kept_is_a_warning(cache: Path, sample_models: Path) -> None:
    files = (sample_models / "dense.onnx", sample_models / "pruned-90.onnx")
    before = prune_audit.compare(*files, data=sample_models / "val")
    part = next(cache.rglob("part-*"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=r"part-.* is damaged and is not used"):
        after = prune_audit.compare(*files, data=sample_models / "val")
    assert after.comparisons == before.comparisons


def test_nothing_live_is_kept(
    fitted: LogisticRegression, table: tuple[Array, Array], cache: Path, sample_models: Path, tmp_path: Path
) -> None:
    prune_audit.compare(as_module(fitted), halved(fitted), data=table)
    assert Store(cache).entries() == []
    files = (sample_models / "dense.onnx", sample_models / "pruned-90.onnx")
    prune_audit.compare(*files, data=sample_models / "val", cache=False)
    assert Store(cache).entries() == []
    prune_audit.compare(*files, data=sample_models / "val", cache=tmp_path / "own")
    assert (len(Store(cache).entries()), len(Store(tmp_path / "own").entries())) == (0, 2)
    prune_audit.compare(*files, data=sample_models / "val")
    assert len(Store(cache).entries()) == 2


def test_settings_and_what_is_laid_over_them(fitted: LogisticRegression, table: tuple[Array, Array]) -> None:
    f, g = fitted.predict_proba, halved(fitted)
    groups = {"side": np.where(table[0][:, 0] > 0, "right", "left")}
    data = prune_audit.arrays(*table, groups=groups)
    audit = prune_audit.compare(f, g, data=data, by="side", margin=0.1, settings=Settings(top_k=2, confidence=0.9))
    settings = audit.provenance.settings
    assert (settings.margin, settings.assure, settings.top_k, settings.confidence) == (0.1, 0.1, 2, 0.9)
    assert [view.by for view in audit.comparisons[0].views] == ["class", "side"]
    assert audit.comparisons[0].view("side").strata == ("left", "right")
    asked = prune_audit.compare(f, g, data=table, assure=0.2, limit=400).provenance
    assert (asked.settings.margin, asked.settings.assure, asked.limited) == (0.02, 0.2, True)
    with pytest.raises(UsageError, match="below 100 points, found 200 points"):
        prune_audit.compare(f, g, data=table, margin=2)


def test_policies(fitted: LogisticRegression, table: tuple[Array, Array], tmp_path: Path) -> None:
    f, g = fitted.predict_proba, halved(fitted)
    assert prune_audit.compare(f, g, data=table).outcome == "skipped"
    assert prune_audit.compare(f, g, data=table, policy="screen").outcome == "failed"
    (tmp_path / "p.toml").write_text('[rules.min-support]\nlevel = "error"\nlimit = 10\n')
    judged = prune_audit.compare(f, g, data=table, policy=tmp_path / "p.toml")
    assert (judged.outcome, judged.policy and judged.policy.name) == ("passed", "p.toml")
    assert prune_audit.compare(f, g, data=table, policy=judged.policy).policy == judged.policy
    with pytest.raises(PolicyError, match="cannot be read"):
        prune_audit.compare(f, g, data=table, policy="scren")


def test_images_at_a_path(sample_models: Path) -> None:
    seen: list[Array] = []

    def guess(batch: Array) -> Array:
        seen.append(batch)
        scores: Array = np.multiply.outer(batch.mean(axis=(1, 2, 3)), np.arange(10))
        return scores

    names = [f"digit {i}" for i in range(9, -1, -1)]
    with pytest.raises(DataError, match="'0' is none of the 10 classes"):
        prune_audit.compare(guess, guess, data=sample_models / "val", classes=names)
    with pytest.raises(AlignmentError, match="right"):  # it guesses
        prune_audit.compare(
            guess,
            guess,
            data=sample_models / "val",
            preprocess=Preprocess(mean=(0.5,)),
            settings=Settings(plausibility=False),
        )
    assert seen[0].dtype == np.float32
    assert seen[0].shape[1:] == (1, 8, 8)
    assert min(batch.min() for batch in seen) == -0.5
    order = [str(i) for i in range(9, -1, -1)]
    dense = sample_models / "dense.onnx"
    with pytest.raises(AlignmentError, match="class"):  # the order of the outputs is another one
        prune_audit.compare(dense, dense, data=sample_models / "val", classes=order)


def test_mistakes(fitted: LogisticRegression, table: tuple[Array, Array], sample_models: Path) -> None:
    f = fitted.predict_proba
    wrong: list[tuple[type[AuditError], str, dict[str, Any]]] = [
        (ModelError, "there is no file", {"pruned": "nowhere.onnx"}),
        (UsageError, "pruned: expected a path, .* found int", {"pruned": 3}),
        (UsageError, "pruned-2: expected a path, .* found NoneType", {"pruned": [f, None]}),
        (ModelError, "the function dense raised ValueError", {"data": (table[0][:, :5], table[1])}),
        (UsageError, r"expected a pair \(inputs, labels\), found 3", {"data": (*table, None)}),
        (UsageError, "found ndarray", {"data": table[0]}),
        (UsageError, "dense is no file, and runtime='onnxruntime'", {"settings": Settings(runtime="onnxruntime")}),
        (UsageError, "preprocess is for images", {"preprocess": "imagenet"}),
        (UsageError, "name their classes themselves", {"data": prune_audit.arrays(*table), "classes": list("abcd")}),
        (UsageError, "the data have no column 'sex'", {"by": "sex"}),
        (DataError, "nowhere: there is no such file", {"data": "nowhere"}),
        (UsageError, "preprocess: expected a preset, .* found dict", {"data": "nowhere", "preprocess": {"mean": 0.5}}),
    ]
    for kind, said, given in wrong:
        with pytest.raises(kind, match=said) as caught:
            prune_audit.compare(**{"dense": f, "pruned": f, "data": table, **given})
        assert caught.value.hint


def test_charts() -> None:
    audit = audits.several()
    every = prune_audit.chart(audit, "recalls")
    assert len(every.charts) == 3
    one = prune_audit.chart(audit, "recalls", audit.comparisons[1].pruned.name)
    assert [each.variant for each in one.charts] == [1]
    assert one._repr_svg_().startswith("<svg")
    with pytest.raises(UsageError, match="there is no variant 'x'"):
        prune_audit.chart(audit, "recalls", "x")
    with pytest.raises(UsageError, match=r"is not of .* alone"):
        prune_audit.chart(audit, "densities", audit.comparisons[1].pruned.name)
    with pytest.raises(UsageError, match="no plugin 'pie'"):
        prune_audit.chart(audit, "pie")


def test_charts_and_reports_are_written(tmp_path: Path) -> None:
    audit = audits.ten()
    prune_audit.chart(audit, "recalls").save(tmp_path / "a.svg")
    prune_audit.write(audit, tmp_path / "recalls.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "recalls.svg").read_bytes()
    prune_audit.write(audit, str(tmp_path / "a.json"))
    assert prune_audit.read_audit(tmp_path / "a.json") == audit


@pytest.mark.workers
def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n([\s\S]*?)```", text)
    assert len(blocks) == 10
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
    assert (tmp_path / "recalls.svg").is_file()


def test_an_audit_is_added_to(table: tuple[Array, Array], fitted: LogisticRegression) -> None:
    x, y = table
    half = prune_audit.arrays(x[:300], y[:300], ids=[f"first {i}" for i in range(300)])
    rest = prune_audit.arrays(x[300:], y[300:], ids=[f"then {i}" for i in range(300)])
    models: tuple[Any, Any] = fitted.predict_proba, halved(fitted)
    settings = Settings(until_settled=True)
    first = prune_audit.compare(*models, data=half, settings=settings)
    after = prune_audit.compare(*models, data=rest, settings=settings, append=first)
    assert first.provenance.samples < after.provenance.samples <= ROWS
    with pytest.raises(AlignmentError, match="no sample may count twice"):
        prune_audit.compare(*models, data=half, settings=settings, append=first)


@pytest.mark.workers
def test_explain_says_what_the_command_says(few_digits: Path, tmp_path: Path) -> None:
    models = ("sample_models/dense.onnx", "sample_models/pruned-90.onnx")
    found = api.explain(*models, data=few_digits, audited="sample_models/val", lenses=["weights"], same_data=True)
    report = tmp_path / "why.json"
    sides: list[str | Path] = ["--data", few_digits, "--audit", "sample_models/val", "--same-data"]
    done = here(["explain", *models, *sides, "--lens", "weights", "-q", "-o", report])
    assert done.returncode == 0, done.stderr
    expected = prune_audit.read_audit(report).comparisons[0]
    assert found.comparisons[0].explained == expected.explained
    assert found.comparisons[0].looks == expected.looks
    named = api.explain(
        models[0], {"small": models[1]}, data=few_digits, audited=few_digits, lenses={"weights": {}}, same_data=True
    )
    assert named.comparisons[0].pruned.name == "small"


def test_what_explain_cannot_take_is_refused(table: tuple[Array, Array], fitted: LogisticRegression) -> None:
    both: dict[str, Any] = {"data": "sample_models/val", "audited": "sample_models/val"}
    dense, pruned = "sample_models/dense.onnx", "sample_models/pruned-90.onnx"
    with pytest.raises(UsageError, match="lenses look at files, found Sequential"):
        api.explain(dense, as_module(fitted), **both)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="lenses compute on files"):
        api.explain(dense, pruned, data=table, audited="sample_models/val")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'radius' is no option of the lens robustness"):
        api.explain(dense, pruned, **both, lenses={"robustness": {"radius": 1}})
    with pytest.raises(UsageError, match="--robust-samples: expected 1 or more, found 0"):
        api.explain(dense, pruned, **both, lenses={"robustness": {"robust_samples": 0}})
    with pytest.raises(UsageError, match="are the same samples"):
        api.explain(dense, pruned, **both, lenses=["weights"])

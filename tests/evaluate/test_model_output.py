"""Which of several outputs holds the scores: by the option, by name, by the number of classes, or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, save
from torch import nn

from prune_audit import audit, models
from prune_audit.api import compare
from prune_audit.core import Array, DataSource, ModelSource, Settings
from prune_audit.errors import AlignmentError, ModelError, UsageError
from prune_audit.evaluate.cache import Store
from prune_audit.evaluate.model_output import Output, Outputs, table
from prune_audit.models import torch_export, torchscript

BATCH = 6


def floats(name: str, *shape: int | None) -> Output:
    return Output(name=name, shape=shape, dtype="float32")


def decided(
    *outputs: Output, asked: str | None = None, classes: int | None = None, more: bool = False
) -> tuple[str, str]:
    """The output that is read, and why."""
    chooser = Outputs("m", asked)
    if classes is not None:
        chooser.expect_classes(classes, more=more)
    name = chooser.decide(outputs, BATCH)
    assert chooser.chosen == name
    return name, chooser.assumptions[0].why if chooser.assumptions else ""


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((6, 4), (6, 4)),
        ((6,), (6,)),
        ((6, 1), (6, 1)),
        ((6, 4, 1, 1), (6, 4)),
        ((6, 1, 4), (6, 4)),
        ((1, 6, 4), (6, 4)),
        ((6, 1, 1), (6, 1)),
        ((), None),
        ((5, 4), None),
        ((6, 4, 2), None),
        ((1, 5, 4), None),
        ((2, 6, 4), None),
    ],
)
def test_lengths_of_one_do_not_count(shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> None:
    assert table(shape, 6) == wanted


def test_one_sample_is_a_batch() -> None:
    assert table((1, 4), 1) == table((1, 1, 4), 1) == (1, 4)


def test_one_output_alone_is_read_whatever_it_is_called() -> None:
    assert decided(floats("boxes", BATCH, 4)) == ("boxes", "")
    with pytest.raises(ModelError, match="expected scores of shape"):
        decided(floats("boxes", BATCH, 4), floats("logits", BATCH, 4))


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("features", "logits"), "logits"),
        (("aux_logits", "logits"), "logits"),
        (("logits", "aux1", "aux2"), "logits"),
        (("probabilities", "logits"), "logits"),
        (("output", "scores"), "scores"),
        (("hidden_output", "cls_score"), "cls_score"),
        (("cls_token", "classOutput"), "classOutput"),
        (("pooler_output", "out"), "out"),
        (("embedding", "StatefulPartitionedCall/softmax:0"), "StatefulPartitionedCall/softmax:0"),
    ],
)
def test_a_name_tells_where_shapes_do_not(names: tuple[str, ...], wanted: str) -> None:
    for order in (names, names[::-1]):
        name, why = decided(*(floats(each, 6, 5) for each in order))
        assert name == wanted
        assert why.startswith("by its name; not read: ")


@pytest.mark.parametrize(
    "names", [("0", "1"), ("features", "vector"), ("fine_logits", "coarse_logits"), ("output_0", "output_1")]
)
def test_where_nothing_tells_it_is_asked(names: tuple[str, str]) -> None:
    with pytest.raises(ModelError, match="m has 2 outputs that could be its scores") as caught:
        decided(*(floats(each, 6, 5) for each in names), classes=5)
    assert f"--model-output m={names[0]} or --model-output m={names[1]}" in caught.value.hint
    assert "(batch, 5)" in caught.value.message
    for name in names:
        assert decided(*(floats(each, 6, 5) for each in names), asked=name)[0] == name


def test_the_number_of_classes_tells() -> None:
    wide, right = floats("0", 6, 64), floats("1", 6, 5)
    with pytest.raises(ModelError, match="could be its scores"):
        decided(wide, right)
    assert decided(wide, right, classes=5) == (
        "1",
        "the only one with as many columns as classes, 5; not read: number 0 (batch, 64)",
    )
    assert decided(floats("output", 6, 64), floats("head", 6, 5), classes=5)[0] == "head"
    assert decided(floats("0", 6, 9), floats("1", 6, 1), classes=2)[0] == "1"
    with pytest.raises(ModelError, match="could be its scores"):
        decided(wide, floats("1", 6, 7), classes=5)


def test_labels_alone_say_how_many_classes_there_are_at_least() -> None:
    wide, right = floats("0", 6, 64), floats("1", 6, 5)
    assert decided(wide, right, classes=5, more=True)[1].startswith("the only one with as many columns as labels, 5")
    assert decided(floats("0", 6, 4), right, classes=5, more=True)[0] == "1"
    assert decided(floats("logits", 6, 64), right, classes=5, more=True)[0] == "logits"
    with pytest.raises(ModelError, match="could be its scores"):
        decided(wide, right, classes=4, more=True)
    # Whatever a network returns may be called an output.
    with pytest.raises(ModelError, match="could be its scores"):
        decided(floats("output", 6, 64), floats("y_hat", 6, 5), classes=5, more=True)
    assert decided(floats("output", 6, 64), floats("aux_head", 6, 5), classes=5, more=True)[0] == "output"
    assert decided(floats("output", 6, 5), floats("y_hat", 6, 64), classes=5, more=True)[0] == "output"


def test_classes_and_numbers_beside_the_scores_are_none() -> None:
    label, loss = Output(name="label", shape=(6,), dtype="int64"), floats("loss")
    assert decided(loss, floats("x", 6, 3)) == ("x", "")
    assert decided(label, floats("x", 6, 3)) == (
        "x",
        "the only one with a row of scores per sample; not read: label (batch)",
    )
    maps = Output(name="probability", shape=None, dtype="maps")
    assert decided(label, maps)[0] == "probability"
    assert decided(label, Output(name="text", shape=(6,), dtype="str"))[0] == "label"
    assert decided(floats("x", 6, 3), floats("hidden", 1, 6, 8), classes=3)[0] == "x"
    with pytest.raises(
        ModelError, match=r"expected scores of shape \(6, classes\), found loss \(\), map \(6, 3, 8, 8\)"
    ):
        decided(loss, floats("map", 6, 3, 8, 8))


@pytest.mark.parametrize(
    "outputs",
    [
        (floats("boxes", 6, 100, 4), floats("scores", 6, 100)),
        (floats("0", 6, 100, 4), floats("1", 6, 100), Output(name="2", shape=(6,), dtype="int64")),
        (floats("pred_boxes", 6, 4), floats("pred_logits", 6, 3)),
    ],
)
def test_detectors_are_refused(outputs: tuple[Output, ...]) -> None:
    with pytest.raises(ModelError, match=r"expected scores of shape \(6, classes\), found"):
        decided(*outputs)


def test_what_was_asked_for_is_found_by_name_part_or_position() -> None:
    outputs = floats("head.logits", 6, 3), floats("head.map", 6, 3, 7), floats("1", 6, 4), floats("2.0", 6, 4)
    for asked, wanted in (("head", "head.logits"), ("0", "head.logits"), ("1", "1"), ("-1", "2.0"), ("2.0", "2.0")):
        assert decided(*outputs, asked=asked)[0] == wanted
    for asked, message in (("4", "no such output"), ("Head", "no such output"), ("head.map", "no row of scores")):
        with pytest.raises(UsageError, match=f"--model-output {asked}: .*{message}") as caught:
            decided(*outputs, asked=asked)
        assert "head.logits (batch, 3)" in caught.value.hint


# -------------------------------------------------------------------------------------------------- through models


class Two(nn.Module):
    """Features, and scores of which a weight may be cut."""

    def __init__(self, kept: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(4))
            self.layer.weight[2] *= kept

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tanh(-x), self.layer(x)


def data(count: int = 80) -> tuple[Any, Any]:
    rng = np.random.default_rng(11)
    labels = np.arange(count) % 4
    return (rng.normal(size=(count, 4)) + 3 * np.eye(4)[labels]).astype(np.float32), labels


@pytest.fixture
def files(tmp_path: Path) -> Path:
    x, y = data()
    np.savez(tmp_path / "data.npz", x=x, y=y)
    for name, kept in (("dense", 1.0), ("pruned", 0.0)):
        torch.jit.trace(Two(kept), torch.from_numpy(x[:2])).save(str(tmp_path / f"{name}.pt"))
    return tmp_path


def compared(folder: Path, store: Store | None = None, **settings: Any) -> Any:
    source = DataSource(path=folder / "data.npz")
    pair = [ModelSource(name=name, path=folder / f"{name}.pt") for name in ("dense", "pruned")]
    return audit.run(pair[0], pair[1:], source, Settings(**settings), store=store)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("runtime", ["own", "onnxruntime"])
def test_an_audit_asks_and_reads_what_it_is_told(files: Path, runtime: str) -> None:
    with pytest.raises(ModelError, match=r"2 outputs that could be its scores: number 0 \(batch, 4\), number 1"):
        compared(files, runtime=runtime)
    x, y = data()
    done = compared(files, runtime=runtime, model_output=("1",))
    pair = done.comparisons[0].view().pair
    cut = x.copy()
    cut[:, 2] = 0
    assert pair.both.sum() + pair.lost.sum() == (x.argmax(1) == y).sum()
    assert pair.both.sum() + pair.gained.sum() == (cut.argmax(1) == y).sum()
    told = [(each.subject, each.what, each.value) for each in done.provenance.assumptions if each.what == "output"]
    assert told == [("dense", "output", "number 1 (batch, 4)"), ("pruned", "output", "number 1 (batch, 4)")]
    with pytest.raises(AlignmentError):
        compared(files, runtime=runtime, model_output=("0",))


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_what_was_taken_for_granted_is_kept_with_the_predictions(files: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    runs = [compared(files, store, model_output=("1",)) for _ in range(2)]
    assert runs[0].provenance.assumptions == runs[1].provenance.assumptions
    assert {each.what for each in runs[1].provenance.assumptions} >= {"output"}
    assert runs[1].provenance.run["known before, dense"] == 80
    for learnt in (tmp_path / "store/models").iterdir():  # so that files are loaded, and do not run
        learnt.unlink()
    assert compared(files, store, model_output=("1",)).provenance.assumptions == runs[0].provenance.assumptions


def test_live_modules_and_functions_choose_alike() -> None:
    x, y = data()

    def function(kept: float) -> Callable[[Array], object]:
        return lambda array: Two(kept)(torch.from_numpy(array))

    makers: tuple[Callable[[float], Any], ...] = (Two, function)
    for make in makers:
        with pytest.raises(ModelError, match="dense has 2 outputs that could be its scores"):
            compare(make(1.0), make(0.0), data=(x, y), cache=False)
        done = compare(make(1.0), make(0.0), data=(x, y), settings=Settings(model_output=("1",)), cache=False)
        pair = done.comparisons[0].view().pair
        assert pair.both.sum() + pair.lost.sum() == (x.argmax(1) == y).sum()


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_outputs_of_an_exported_program_are_listed(tmp_path: Path, files: Path) -> None:
    free = {0: torch.export.Dim.AUTO}
    program = torch.export.export(Two().eval(), (torch.ones(2, 4),), dynamic_shapes=(free,))
    torch.export.save(program, tmp_path / "m.pt2")
    source = ModelSource(name="m", path=tmp_path / "m.pt2")
    made = torch_export.load(source, Settings())
    assert [str(each) for each in made.gives] == ["number 0 (batch, 4)", "number 1 (batch, 4)"]
    assert made.expects.outputs is None
    x, _ = data()
    with pytest.raises(ModelError, match="could be its scores"):
        made.predict({"x": x})
    made = torch_export.load(source, Settings(model_output=("1",)))
    assert made.expects.outputs == 4
    np.testing.assert_allclose(made.predict({"x": x}), x, rtol=1e-6)
    assert torchscript.load(ModelSource(name="dense", path=files / "dense.pt"), Settings()).gives == ()


def test_a_head_of_the_right_width_is_found_beside_an_embedding(tmp_path: Path) -> None:
    """As ONNX declares its shapes: what is read is only told by the classes of the data."""
    x, y = data()
    np.savez(tmp_path / "data.npz", x=x, y=np.array(["a", "b", "c", "d"])[y])
    weight = np.random.default_rng(3).normal(size=(4, 7)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["first"]), helper.make_node("Identity", ["x"], ["second"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [
            helper.make_tensor_value_info("first", TensorProto.FLOAT, ["n", 7]),
            helper.make_tensor_value_info("second", TensorProto.FLOAT, ["n", 4]),
        ],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True)],
    )
    for name in ("dense", "pruned"):
        save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string=name),
            tmp_path / f"{name}.onnx",
        )
    pair = [models.parse(str(tmp_path / f"{name}.onnx")) for name in ("dense", "pruned")]
    done = audit.run(pair[0], pair[1:], DataSource(path=tmp_path / "data.npz"), Settings())
    told = {each.value: each.why for each in done.provenance.assumptions if each.what == "output"}
    assert told == {"second (batch, 4)": "the only one with as many columns as classes, 4; not read: first (batch, 7)"}
    right = done.comparisons[0].view().pair
    assert right.both.sum() == (x.argmax(1) == y).sum()

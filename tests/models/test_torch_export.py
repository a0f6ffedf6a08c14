import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim, export
from torch.nn.utils import prune

from prune_audit.core import Array, Input, Layer, ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile, UsageError
from prune_audit.models import torch_export, torchscript
from prune_audit.models.torch_export import program_check
from prune_audit.nets.module import TorchClassifier

Json = dict[str, Any]
Rewritten = Callable[..., Path]

BATCH = Dim("batch")
# torch's own run_decompositions uses what torch deprecates.
LOWERING = pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec:FutureWarning")


def saved(path: Path, program: torch.export.ExportedProgram, **extra: str) -> Path:
    torch.export.save(program, path, extra_files={f"{name}.json": text for name, text in extra.items()})
    return path


def loaded(path: Path, settings: Settings | None = None) -> TorchClassifier:
    return torch_export.load(ModelSource(name="m", path=path), settings or Settings())


@pytest.fixture
def conv_file(tmp_path: Path, conv_net: nn.Module) -> Path:
    return saved(tmp_path / "conv.pt2", export(conv_net, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: BATCH},)))


@pytest.fixture
def linear_file(tmp_path: Path) -> Path:
    return saved(tmp_path / "linear.pt2", export(nn.Linear(3, 2), (torch.zeros(4, 3),), dynamic_shapes=({0: BATCH},)))


@LOWERING
@pytest.mark.parametrize("lowered", [False, True], ids=["as exported", "decomposed"])
def test_predicts_as_the_network_does(tmp_path: Path, lowered: bool, conv_net: nn.Module, images: Array) -> None:
    program = export(conv_net, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: BATCH},))
    path = saved(tmp_path / "m", program.run_decompositions() if lowered else program)
    assert torch_export.recognises(path)
    assert not torchscript.recognises(path)
    classifier = loaded(path)
    scores = classifier.predict({"any": images})
    with torch.no_grad():
        np.testing.assert_allclose(scores, conv_net(torch.from_numpy(images)).numpy(), rtol=1e-5, atol=1e-6)
    # 4 filters of 3 x 3 lost a row of 3; 3 x 16 linear weights lost every other column.
    assert classifier.card.layers == (
        Layer(name="0.weight", kind="convolution", shape=(4, 1, 3, 3), nonzero=24, total=36),
        Layer(name="6.weight", kind="linear", shape=(3, 16), nonzero=24, total=48),
    )
    assert classifier.card.parameters == 36 + 4 + 8 + 48 + 3
    assert (classifier.card.format, classifier.card.size) == ("torch.export", path.stat().st_size)


def test_says_what_it_expects(conv_file: Path, tmp_path: Path, conv_net: nn.Module, images: Array) -> None:
    expects = loaded(conv_file).expects
    assert expects.inputs == (Input(name="input", dtype="float32", shape=(None, 1, 8, 8)),)
    assert (expects.batch, expects.channels, expects.size, expects.outputs) == (None, 1, (8, 8), 3)
    program = export(conv_net.double(), (torch.zeros(5, 1, 8, 8).double(),))
    classifier = loaded(saved(tmp_path / "fixed.pt2", program, classes='["a", "b", "c"]'))
    assert classifier.expects.inputs == (Input(name="input", dtype="float64", shape=(5, 1, 8, 8)),)
    assert (classifier.expects.batch, classifier.expects.classes) == (5, ("a", "b", "c"))
    assert classifier.predict({"input": images.astype(np.float64)}).shape == (5, 3)
    with pytest.raises(ModelError, match=r"m failed on input input \(2, 1, 8, 8\) float64"):
        classifier.predict({"input": images[:2].astype(np.float64)})


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(3, 6, 3, groups=3)
        self.linear = nn.Linear(8, 2)

    def forward(self, image: torch.Tensor, metadata: torch.Tensor) -> dict[str, torch.Tensor]:
        features = torch.cat([self.depthwise(image.permute(0, 3, 1, 2)).mean((2, 3)), metadata], 1)
        return {"features": features, "logits": self.linear(features)[:, :, None]}


@pytest.mark.parametrize("by", ["position", "keyword", "both"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.bfloat16])
def test_several_inputs_types_and_outputs(by: str, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(2)
    module = Named().to(dtype)
    image, other = torch.randn(4, 5, 5, 3), torch.randn(4, 2)
    inputs = {"image": image.to(dtype), "metadata": other.to(dtype)}
    count = {"position": 2, "keyword": 0, "both": 1}[by]
    args, kwargs = tuple(inputs.values())[:count], dict(list(inputs.items())[count:])
    shapes = {name: {0: BATCH} for name in inputs}
    classifier = loaded(saved(tmp_path / "m.pt2", export(module, args, kwargs, dynamic_shapes=shapes)))
    kind = "float16" if dtype is torch.float16 else "float32"
    assert classifier.expects.inputs == (
        Input(name="image", dtype=kind, shape=(None, 5, 5, 3)),
        Input(name="metadata", dtype=kind, shape=(None, 2)),
    )
    assert (classifier.expects.layout, classifier.expects.channels, classifier.expects.outputs) == ("NHWC", 3, 2)
    scores = classifier.predict({"metadata": other.numpy().astype(kind), "image": image.numpy().astype(kind)})
    wanted = module(**inputs)["logits"][:, :, 0].detach().float()
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, wanted.numpy(), rtol=1e-2, atol=1e-2)
    with pytest.raises(ModelError, match="expected inputs image, metadata, found image, b"):
        classifier.predict({"image": image.numpy().astype(kind), "b": other.numpy()})


class Shaped(nn.Module):
    """Sizes that depend on one another, so that the program holds expressions and guards."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.linear = nn.Linear(36, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.interpolate(self.conv(nn.functional.pad(x, (0, 1)))[:, :, ::2], scale_factor=1.5)
        with torch.no_grad():
            pooled = nn.functional.adaptive_avg_pool2d(x, 3).reshape(x.shape[0], -1)
            scores: torch.Tensor = self.linear(pooled) / (x.shape[3] // 2)
        return scores


def test_programs_with_expressions_guards_and_inner_graphs(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = Shaped()
    program = export(module, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: BATCH, 2: Dim.AUTO, 3: Dim.AUTO},))
    path = saved(tmp_path / "m.pt2", program)
    document = path.read_bytes()
    assert all(part in document for part in (b"FloorDiv(", b'"guards_code": ["', b"wrap_with_set_grad_enabled"))
    classifier = loaded(path)
    x = torch.randn(3, 1, 12, 9)
    np.testing.assert_allclose(classifier.predict({"x": x.numpy()}), module(x).detach().numpy(), rtol=1e-4, atol=1e-6)
    assert [layer.name for layer in classifier.card.layers] == ["conv.weight", "linear.weight"]
    assert classifier.expects.inputs[0].shape == (None, 1, None, None)


@LOWERING
@pytest.mark.filterwarnings("ignore:The tensor attribute:UserWarning")  # torch's pruning hooks assign to the module
def test_masks_of_torchs_own_pruning_count(tmp_path: Path, mlp: nn.Sequential) -> None:
    prune.l1_unstructured(mlp[0], "weight", amount=20)
    program = export(mlp, (torch.zeros(2, 6),)).run_decompositions()
    assert loaded(saved(tmp_path / "m.pt2", program)).card.layers == (
        Layer(name="0.weight", kind="linear", shape=(5, 6), nonzero=10, total=30),
        Layer(name="2.weight", kind="linear", shape=(4, 5), nonzero=20, total=20),
    )


@LOWERING
def test_attention_counts_whole(tmp_path: Path) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    program = export(layer, (torch.zeros(2, 3, 8),)).run_decompositions()
    counted = {layer.name: layer.shape for layer in loaded(saved(tmp_path / "m.pt2", program)).card.layers}
    assert counted == {
        "self_attn.in_proj_weight": (24, 8),
        "self_attn.out_proj.weight": (8, 8),
        "linear1.weight": (16, 8),
        "linear2.weight": (8, 16),
    }


@pytest.mark.parametrize("network", [nn.Dropout(0.5), nn.BatchNorm1d(3)], ids=["dropout", "batch norm"])
def test_a_program_exported_for_training_is_refused(network: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pt2", export(network.train(), (torch.zeros(4, 3),)))
    with pytest.raises(ModelError, match="exported in training mode") as caught:
        loaded(path)
    assert "model.eval()" in caught.value.hint


def test_a_wrong_input_size_is_explained(linear_file: Path) -> None:
    with pytest.raises(ModelError, match=r"m failed on input x \(2, 4\) float32: .*equal to 3") as caught:
        loaded(linear_file).predict({"x": np.zeros((2, 4), np.float32)})
    assert "--features" in caught.value.hint


def test_a_factory_makes_no_sense(linear_file: Path) -> None:
    with pytest.raises(UsageError, match="pkg:make"):
        torch_export.load(ModelSource(name="m", path=linear_file, factory="pkg:make"), Settings())


def test_broken_files_are_named(
    linear_file: Path, rewritten: Rewritten, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = linear_file.read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    assert not torch_export.recognises(tmp_path / "cut")
    path = rewritten(linear_file, lambda name, content: b"{" if name.endswith("model.json") else content)
    with pytest.raises(ModelError, match=r"models/model\.json is damaged"):
        loaded(path)
    path = rewritten(linear_file, lambda name, content: b"[" * 100_000 if name.endswith("model.json") else content)
    with pytest.raises(ModelError, match=r"damaged|nested too deeply"):
        loaded(path)
    path = rewritten(linear_file, lambda name, content: None if name.endswith("weight_0") else content)
    with pytest.raises(ModelError, match=r"weight_0 of \S+ is cut") as caught:
        loaded(path)
    assert "export the program again" in caught.value.hint
    assert not caplog.records
    with zipfile.ZipFile(linear_file) as archive:
        weights = next(name for name in archive.namelist() if name.endswith("weight_0"))
        content = archive.read(weights)
    flipped = bytearray(whole)
    flipped[flipped.index(content)] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ModelError, match=f"damaged: Bad CRC-32 for file {weights!r}"):
        loaded(path)
    path = rewritten(linear_file, lambda name, content: None, {"archive_format": b"pt2", "models/b.json": b"{}"})
    with pytest.raises(ModelError, match="none of which is called 'model'"):
        loaded(path)


# ------------------------------------------------------------------------------------------------- what could do harm


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def as_torch(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def in_program(change: Callable[[Json], None]) -> Callable[[str, bytes], bytes]:
    def rewrite(name: str, content: bytes) -> bytes:
        if name != "models/model.json":
            return content
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return rewrite


def in_constants(record: str) -> Callable[[str, bytes], bytes]:
    entry = {"path_name": record, "is_param": False, "use_pickle": True, "tensor_meta": None}
    document = json.dumps({"config": {"k": entry}}).encode()
    return lambda name, content: document if name.endswith("constants_config.json") else content


def a_pickled_weight(name: str, content: bytes) -> bytes:
    if not name.endswith("weights_config.json"):
        return content
    document = json.loads(content)
    document["config"]["weight"] |= {"use_pickle": True, "path_name": "weight_9"}
    return json.dumps(document).encode()


def unchanged(name: str, content: bytes) -> bytes:
    return content


def making(marker: Path) -> str:
    return f"__import__('pathlib').Path('{marker}').mkdir()"


def the_size(code: str) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        document["graph_module"]["graph"]["tensor_values"]["input"]["sizes"][0]["as_expr"]["expr_str"] = code

    return change


def the_output(tree: Json) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        document["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps([1, tree])

    return change


LEAF: Json = {"type": None, "context": None, "children_spec": []}


@pytest.mark.parametrize(
    "case",
    ["sample inputs", "weight", "tensor", "opaque", "legacy weights", "legacy constants", "size", "guard", "enum"],
)
def test_payloads_do_not_run(
    case: str,
    linear_file: Path,
    rewritten: Rewritten,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (marker.parent / "made_by_import.py").write_text(making(marker))
    monkeypatch.syspath_prepend(str(marker.parent))
    pickled = as_torch((Payload(marker),))
    enum = {"__enum__": True, "fqn": "made_by_import:E", "name": "a"}
    changes: dict[str, tuple[Callable[[str, bytes], bytes], dict[str, bytes]]] = {
        "sample inputs": (lambda name, content: pickled if "sample_inputs" in name else content, {}),
        "weight": (a_pickled_weight, {"data/weights/weight_9": pickled}),
        "tensor": (in_constants("tensor_0"), {"data/constants/tensor_0": pickled}),
        "opaque": (
            in_constants("opaque_obj_0"),
            {"data/constants/opaque_obj_0": pickle.dumps(Payload(marker))},
        ),
        "legacy weights": (unchanged, {"data/weights/model.pt": as_torch({"weight": Payload(marker)})}),
        "legacy constants": (unchanged, {"data/constants/model.pt": as_torch({"k": Payload(marker)})}),
        "size": (in_program(the_size(f"{making(marker)} or Symbol('s0')")), {}),
        "guard": (in_program(lambda document: document.update(guards_code=[f"{making(marker)} is None"])), {}),
        "enum": (
            in_program(the_output({"type": "builtins.dict", "context": json.dumps([enum]), "children_spec": [LEAF]})),
            {},
        ),
    }
    path = rewritten(linear_file, *changes[case])
    # Whatever torch says of it in the end: the payload has run by then.
    with contextlib.suppress(Exception):
        torch.export.load(io.BytesIO(path.read_bytes())).module()(torch.zeros(2, 3))
    assert marker.exists(), "the payload does nothing, so that refusing it proves nothing"
    marker.rmdir()
    sys.modules.pop("made_by_import", None)
    caplog.clear()
    with pytest.raises(UnsafeFile, match="it could run code") as caught:
        loaded(path)
    assert not marker.exists()
    assert "--allow-pickle" in caught.value.hint
    assert not caplog.records


def calling(target: str, **texts: str) -> Callable[[str, bytes], bytes]:
    """A change of a program: first it calls the operator ``target`` with ``texts``, and a weight where it takes one."""

    def change(document: Json) -> None:
        given: list[Json] = [{"name": k, "arg": {"as_string": text}, "kind": 1} for k, text in texts.items()]
        if "filename" in texts:
            given.insert(0, {"name": "item", "arg": {"as_tensor": {"name": "p_weight"}}, "kind": 1})
        node = {"target": target, "inputs": given, "outputs": [], "metadata": {}, "name": "u"}
        document["graph_module"]["graph"]["nodes"].insert(0, node | {"is_hop_single_tensor_return": None})

    return in_program(change)


def test_an_operator_that_writes_files_is_refused(linear_file: Path, rewritten: Rewritten, marker: Path) -> None:
    path = rewritten(linear_file, calling("torch.ops.aten.save.default", filename=str(marker)))
    # It is called, and fails only over what it is to save.
    with pytest.raises(RuntimeError, match=r"aten::save\(\) Expected a value"):
        torch.export.load(io.BytesIO(path.read_bytes())).module()(torch.zeros(2, 3))
    with pytest.raises(UnsafeFile, match=r"but compute, found 'torch\.ops\.aten\.save\.default'") as caught:
        loaded(path)
    assert "--allow-pickle" in caught.value.hint


def test_an_operator_that_prints_is_refused(
    linear_file: Path, rewritten: Rewritten, capfd: pytest.CaptureFixture[str]
) -> None:
    path = rewritten(linear_file, calling("torch.ops.aten._print.default", s="::error::heard"))
    code = f"import torch; torch.export.load({str(path)!r}).module()(torch.zeros(2, 3))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"::error::heard" in done.stdout
    with pytest.raises(UnsafeFile, match=r"but compute, found 'torch\.ops\.aten\._print\.default'"):
        loaded(path)
    assert "heard" not in "".join(capfd.readouterr())


def test_legacy_weights_are_read_and_pickled_anew(linear_file: Path, rewritten: Rewritten) -> None:
    weights = {"weight": nn.Parameter(torch.ones(2, 3)), "bias": nn.Parameter(torch.zeros(2))}
    path = rewritten(linear_file, unchanged, {"data/weights/model.pt": as_torch(weights)})
    np.testing.assert_array_equal(loaded(path).predict({"x": np.ones((4, 3), np.float32)}), np.full((4, 2), 3.0))


def test_a_flag_lets_a_file_run(linear_file: Path, rewritten: Rewritten, marker: Path) -> None:
    code = f"{making(marker)} is None"
    path = rewritten(linear_file, in_program(lambda document: document.update(guards_code=[code])))
    loaded(path, Settings(allow_pickle=True)).predict({"x": np.zeros((2, 3), np.float32)})
    assert marker.exists()


def test_records_of_other_kinds_are_refused(linear_file: Path, rewritten: Rewritten) -> None:
    for record in ("data/aotinductor/model/a.so", "data/constants/custom_obj_0", "data/weights/other.pt"):
        with pytest.raises(UnsafeFile, match=record):
            loaded(rewritten(linear_file, unchanged, {record: b"x"}))


def test_a_record_that_is_there_twice_is_refused(linear_file: Path, rewritten: Rewritten) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = rewritten(linear_file, unchanged, {"models/model.json": b"{}"})
    with pytest.raises(ModelError, match="twice"):
        loaded(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target", "torch.serialization.os.system"),
        ("target", "torch.ops.aten.from_file.default"),
        ("target", "torch.ops.aten.save.default"),
        ("target", "torch.ops.aten._print.default"),
        ("target", "torch.ops.aten._sparse_coo_tensor_unsafe.default"),
        ("target", "torch.ops.aten.add.Nothing"),
        ("target", "torch.ops.image.add.Tensor"),
        ("target", "torch.ops.aten.relu.__class__"),
        ("target", "torch.ops.aten.__class__.__init__"),
        ("target", "torch.ops.mylib.evil.default"),
        ("target", "_operator.methodcaller"),
        ("target", "#ext:evil"),
        ("as_operator", "torch.load"),
        ("name", "a = __import__('os')\n    b"),
        ("as_name", "a, b"),
        ("parameter_name", 'x"), evil(), ("'),
        ("parameter_name", "a.__class__.b"),
        ("as_string", "it's"),
        ("in_spec", '[1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}]'),
        ("out_spec", '[1, {"type": "builtins.dict", "context": "[\\"a\'b\\"]", "children_spec": []}]'),
        ("in_spec", '[1, {"type": "builtins.dict", "context": "[\\"a=b\\"]", "children_spec": []}]'),
        ("forward_arg_names", ["x=y"]),
        ("path_name", "../../etc/passwd"),
        ("as_custom_obj", {"name": "a", "class_fqn": "b"}),
        ("expr_str", "Symbol('s0).evil(')"),
        ("expr_str", "Min('evil()', 1)"),
        ("expr_str", "L['x']"),
        ("expr_str", "(lambda: 1)()"),
        ("expr_str", "[s0 for s0 in s1]"),
        ("guards_code", ["L['x'].__class__"]),
        ("guards_code", ["L['x'].resize_(3)[0] == 1"]),
        ("guards_code", ["L[\"x') or evil('\"] == 1"]),
        ("a\nb", 1),
    ],
)
def test_what_is_not_of_the_form_that_its_place_allows_is_refused(key: str, value: object) -> None:
    records = {"models/model.json": json.dumps({key: value}).encode()}
    with pytest.raises(UnsafeFile, match=r"expected|holds"):
        program_check.checked(records, "cpu")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target", "torch.ops.aten.__and__.Tensor"),
        ("target", "torch.sym_max"),
        ("as_string", "bij,bjk->bik"),
        ("expr_str", "Add(Mul(Integer(2), Symbol('s36', integer=True, positive=True)), Integer(-2))"),
        ("expr_str", "TruncToInt(Mul(Float('1.5', precision=53), ToFloat(Symbol('u0', integer=True))))"),
        ("expr_str", "2*s0 // 3 + Max(1, s1)"),
        ("guards_code", ["(1 + L['x'].size()[2]) // 2 != 1", "L['x'].storage_offset() == 0"]),
        ("range_constraints", {"2*s36": {"min_val": 8}}),
        ("torch_version", "2.13.0+cpu"),
        ("tensor_values", {"metadata": {"dtype": 7}, "device": {"dtype": 7}}),
    ],
)
def test_what_harmless_programs_write_is_let_through(key: str, value: object) -> None:
    clean = program_check.checked({"models/model.json": json.dumps({key: value}).encode()}, "cpu")
    found = json.loads(clean["models/model.json"])[key]
    spaced = [str(found).replace(" ", ""), str(value).replace(" ", "")]
    assert spaced[0] == spaced[1]


def test_only_what_computes_is_kept() -> None:
    document = {"a": {"metadata": {"stack_trace": "'\n"}, "device": {"type": "cuda", "index": 1}}}
    records = {"models/model.json": json.dumps(document).encode(), "data/sample_inputs/model.pt": as_torch((1,))}
    clean = program_check.checked(records, "cuda:3")
    assert json.loads(clean["models/model.json"]) == {"a": {"metadata": {}, "device": {"type": "cuda", "index": 3}}}
    assert clean["data/sample_inputs/model.pt"] == b""


class Recurrent(nn.Module):
    """A classifier of sequences; eight tenths of all weights are zero, and a table may be a weight, too."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.rnn = getattr(nn, kind)(4, 6, num_layers=2, batch_first=True)
        self.places = nn.Parameter(torch.randn(1, 8, 4))
        self.head = nn.Linear(6, 3)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if "weight" in name:
                    parameter[torch.rand_like(parameter) > 0.2] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.rnn(x + self.places)[0][:, -1])
        return scores


@pytest.mark.filterwarnings(
    "ignore:The tensor attributes self.rnn._flat_weights:UserWarning", "ignore:`isinstance:FutureWarning"
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("lowered", [False, True])
def test_recurrent_weights_count_and_what_is_added_is_named(kind: str, lowered: bool, tmp_path: Path) -> None:
    network = Recurrent(kind).eval()
    program = export(network, (torch.randn(2, 8, 4),))
    path = tmp_path / "m.pt2"
    torch.export.save(program.run_decompositions() if lowered else program, path)
    card = loaded(path).card
    own = {name: p.detach().numpy() for name, p in network.named_parameters() if "weight" in name}
    assert {layer.name: (layer.nonzero, layer.total) for layer in card.layers} == {
        name: (int(np.count_nonzero(array)), array.size) for name, array in own.items()
    }
    assert card.uncounted == ("places (1 x 8 x 4)",)
    assert card.parameters == sum(p.numel() for p in network.parameters())


def test_dequantised_weights_count_from_their_zero_points(tmp_path: Path) -> None:
    from torch.ao.quantization.fx import _decomposed  # noqa: F401 - defines the operators

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            levels = np.random.default_rng(2).normal(0, 20, (30, 40)).round().clip(-127, 127)
            levels[:, ::2] = 0
            self.register_buffer("stored", torch.from_numpy(levels.astype(np.int8)) + 5)
            self.register_buffer("scales", torch.rand(30) + 0.1)
            self.register_buffer("zeros", torch.full((30,), 5))
            self.bias = nn.Parameter(torch.randn(30))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = torch.ops.quantized_decomposed.dequantize_per_channel(
                self.stored, self.scales, self.zeros, 0, -128, 127, torch.int8
            )
            return nn.functional.linear(x, weight, self.bias)

    path = tmp_path / "m.pt2"
    torch.export.save(export(Small(), (torch.randn(2, 40),)), path)
    card = loaded(path).card
    [found] = card.layers
    assert (found.kind, found.total) == ("linear", 1200)
    assert found.kept == pytest.approx(600, abs=12)
    assert card.parameters == 1200 + 30
    assert card.uncounted == ()

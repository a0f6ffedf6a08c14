import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prune_audit.core import Array, Input, Layer, ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile, UsageError
from prune_audit.models import torch_export, torchscript
from prune_audit.models.torchscript import code_check
from prune_audit.nets.module import TorchClassifier

Script = Callable[..., Path]
HOWS = ["scripted", "traced", "frozen"]


def loaded(path: Path, settings: Settings | None = None) -> TorchClassifier:
    return torchscript.load(ModelSource(name="m", path=path), settings or Settings())


def eager(module: nn.Module, *inputs: Array) -> Array:
    with torch.no_grad():
        scores: Array = module(*map(torch.from_numpy, inputs)).numpy()
    return scores


@pytest.mark.parametrize("how", HOWS)
def test_predicts_as_the_network_does(how: str, script: Script, conv_net: nn.Module, images: Array) -> None:
    path = script(conv_net, how, torch.from_numpy(images))
    assert torchscript.recognises(path)
    assert not torch_export.recognises(path)
    scores = loaded(path).predict({"any": images})
    assert scores.shape == (5, 3)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, eager(conv_net, images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", HOWS)
def test_runs_optimised_and_counts_as_before(
    how: str, script: Script, conv_net: nn.Module, images: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    optimise = torch.jit.optimize_for_inference

    def remembered(module: Any) -> Any:
        made.append(optimise(module))
        return made[-1]

    monkeypatch.setattr(torch.jit, "optimize_for_inference", remembered)
    model = loaded(script(conv_net, how, torch.from_numpy(images)))
    before = model.macs({"x": images})
    assert made == []  # not before the first prediction, so that looking at a file costs nothing
    first = model.predict({"x": images})
    # From now on the module itself may be broken: it is not what runs.
    model.module = nn.Sequential()
    np.testing.assert_array_equal(model.predict({"x": images}), first)
    assert len(made) == 1
    np.testing.assert_allclose(first, eager(conv_net, images), rtol=1e-5, atol=1e-6)
    assert before == 5 * (4 * 36 * 9 + 48)


@pytest.mark.parametrize("how", HOWS)
def test_counts_the_weights_that_are_not_zero(how: str, script: Script, conv_net: nn.Module, images: Array) -> None:
    card = loaded(script(conv_net, how, torch.from_numpy(images))).card
    # 4 filters of 3 x 3 lost a row of 3; 3 x 16 linear weights lost every other column.
    assert [(layer.kind, layer.shape, layer.nonzero, layer.total) for layer in card.layers] == [
        ("convolution", (4, 1, 3, 3), 24, 36),
        ("linear", (3, 16), 24, 48),
    ]
    assert card.density == 48 / 84
    # Freezing folds the normalisation, 4 weights and 4 biases, into the convolution.
    assert card.parameters == 36 + 4 + (0 if how == "frozen" else 8) + 48 + 3
    assert (card.format, card.size) == ("TorchScript", Path(card.path).stat().st_size)


def test_masks_of_torchs_own_pruning_count(script: Script, mlp: nn.Sequential) -> None:
    prune.l1_unstructured(mlp[0], "weight", amount=20)
    path = script(mlp, "traced", torch.randn(2, 6))
    assert loaded(path).card.layers == (
        Layer(name="0.weight", kind="linear", shape=(5, 6), nonzero=10, total=30),
        Layer(name="2.weight", kind="linear", shape=(4, 5), nonzero=20, total=20),
    )


def test_says_what_it_expects(script: Script, conv_net: nn.Module, mlp: nn.Sequential) -> None:
    expects = loaded(script(conv_net)).expects
    assert expects.inputs == (Input(name="input", dtype="float32"),)
    assert (expects.channels, expects.classes) == (1, None)
    expects = loaded(script(mlp.double(), extra={"classes.json": '["a", "b", "c", "d"]'})).expects
    assert expects.inputs == (Input(name="input", dtype="float64"),)
    assert (expects.channels, expects.classes) == (None, ("a", "b", "c", "d"))


class Named(nn.Module):
    classes: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.classes = ["cat", "dog"]
        self.depthwise = nn.Conv2d(3, 6, 3, groups=3)
        self.linear = nn.Linear(8, 2)

    def forward(self, image: torch.Tensor, age: torch.Tensor) -> dict[str, torch.Tensor]:
        features = torch.cat([self.depthwise(image).mean((2, 3)), age], 1)
        return {"features": features, "logits": self.linear(features)[:, :, None]}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_several_inputs_types_and_outputs(dtype: torch.dtype, script: Script) -> None:
    torch.manual_seed(2)
    module = Named().to(dtype)
    classifier = loaded(script(module))
    kind = "float32" if dtype is torch.bfloat16 else str(dtype).removeprefix("torch.")
    assert classifier.expects.inputs == (Input(name="image", dtype=kind), Input(name="age", dtype=kind))
    assert (classifier.expects.channels, classifier.expects.classes) == (3, ("cat", "dog"))
    image, age = torch.randn(4, 3, 5, 5), torch.randn(4, 2)
    scores = classifier.predict({"age": age.numpy().astype(kind), "image": image.numpy().astype(kind)})
    wanted = module(image.to(dtype), age.to(dtype))["logits"][:, :, 0].detach().float()
    assert scores.dtype == (np.float64 if dtype is torch.float64 else np.float32)
    np.testing.assert_allclose(scores, wanted.numpy(), rtol=1e-2, atol=1e-2)


def test_embeddings_take_integers(script: Script) -> None:
    module = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 2))
    classifier = loaded(script(module))
    assert classifier.expects.inputs == (Input(name="input"),)
    assert [layer.kind for layer in classifier.card.layers] == ["embedding", "linear"]
    tokens = np.array([[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(classifier.predict({"tokens": tokens}), eager(module, tokens), rtol=1e-6)


def test_a_model_traced_for_training_is_refused(script: Script, conv_net: nn.Module) -> None:
    path = script(nn.Sequential(nn.BatchNorm2d(1), conv_net).train().requires_grad_(False), "scripted")
    assert loaded(path).predict({"x": np.zeros((2, 1, 8, 8), np.float32)}).shape == (2, 3)  # eval() reaches it
    path = script(nn.BatchNorm1d(3).train(), "traced", torch.randn(4, 3))
    with pytest.raises(ModelError, match="m was exported in training mode: batch_norm") as caught:
        loaded(path)
    assert "model.eval()" in caught.value.hint


def test_what_drops_a_share_of_nothing_does_not_train(script: Script) -> None:
    module = LastStep(nn.LSTM(3, 4, batch_first=True)).train().requires_grad_(False)
    classifier = loaded(script(module, "traced", torch.randn(2, 5, 3)))
    steps = np.random.default_rng(3).normal(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(classifier.predict({"x": steps}), eager(module, steps), rtol=1e-5, atol=1e-6)


class LastStep(nn.Module):
    """What a recurrent layer says at the end."""

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps: torch.Tensor = self.layer(x)[0]
        return steps[:, -1]


def test_batch_norm_without_statistics_was_built_so(script: Script) -> None:
    module = nn.BatchNorm1d(3, track_running_stats=False)
    assert loaded(script(module, "traced", torch.randn(4, 3))).predict({"x": np.eye(3, dtype="f")}).shape == (3, 3)


def test_a_wrong_input_size_is_explained(script: Script, mlp: nn.Sequential) -> None:
    with pytest.raises(ModelError, match=r"m failed on input image \(2, 7\) float32: RuntimeError: .*2x7") as caught:
        loaded(script(mlp)).predict({"image": np.zeros((2, 7), np.float32)})
    assert "--features" in caught.value.hint


class Odd(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum()


def test_what_is_no_table_of_scores_is_explained(script: Script, images: Array) -> None:
    with pytest.raises(ModelError, match=r"expected scores of shape \(5, classes\), found \(\)"):
        loaded(script(Odd())).predict({"x": images})


def test_a_truncated_file_is_no_archive(script: Script, mlp: nn.Sequential, tmp_path: Path) -> None:
    whole = script(mlp).read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(whole[: len(whole) // 2])
    assert not torchscript.recognises(path)


def test_a_damaged_file_is_named(script: Script, mlp: nn.Sequential, rewritten: Callable[..., Path]) -> None:
    path = rewritten(script(mlp), lambda name, content: b"no pickle" if name == "data.pkl" else content)
    with pytest.raises(ModelError, match=r"data\.pkl is damaged"):
        loaded(path)
    path = rewritten(script(mlp), lambda name, content: None if name == "data/0" else content)
    with pytest.raises(ModelError, match="the record data/0 is cut"):
        loaded(path)
    whole = bytearray(script(mlp).read_bytes())
    at = whole.index(next(mlp.parameters()).detach().numpy().tobytes())
    whole[at] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ModelError, match="damaged: Bad CRC"):
        loaded(path)


def test_a_factory_makes_no_sense(script: Script, mlp: nn.Sequential) -> None:
    with pytest.raises(UsageError, match="pkg:make"):
        torchscript.load(ModelSource(name="m", path=script(mlp), factory="pkg:make"), Settings())


# ------------------------------------------------------------------------------------------------- what could do harm

# Each line is put at the head of forward; FILE stands for the marker.
PAYLOADS = {
    "save": 'u = torch.save(x, "FILE")',
    "from_file": 'x = torch.add(x, torch.sum(torch.from_file("FILE", True, 4)))',
    "an alias": 't = torch\n    u = t.save(x, "FILE")',
    "another module": 'u = torch.autograd.save(x, "FILE")',
    "the list of operators": 'u = ops.aten.save(x, "FILE")',
    "an alias of that": 'o = ops.aten\n    u = o.save(x, "FILE")',
    "a computed name": 'u = getattr(torch, "sa" "ve")(x, "FILE")',
    "an escaped name": 'u = getattr(torch, "\\163ave")(x, "FILE")',
    "a name in quotes": 'u = getattr(torch, "save")(x, "FILE")',
}


def poisoned(line: str, marker: Path) -> Callable[[str, bytes], bytes]:
    line = line.replace("FILE", str(marker))

    def change(name: str, content: bytes) -> bytes:
        if "/linear" not in name or not name.endswith(".py"):
            return content
        text = content.decode().replace("input: Tensor", "x: Tensor").replace("(input,", "(x,")
        return text.replace("-> Tensor:\n", f"-> Tensor:\n    {line}\n").encode()

    return change


@pytest.mark.parametrize("line", PAYLOADS.values(), ids=PAYLOADS)
def test_code_that_touches_files_is_refused(
    line: str, script: Script, rewritten: Callable[..., Path], run_script: Callable[..., None], marker: Path
) -> None:
    path = rewritten(script(nn.Linear(3, 2)), poisoned(line, marker))
    run_script(path, torch.zeros(2, 3))
    assert marker.exists(), "the payload does nothing, so that refusing it proves nothing"
    marker.unlink()
    with pytest.raises(UnsafeFile, match=r"code/.*linear.*\.py") as caught:
        loaded(path)
    assert not marker.exists()
    assert "--allow-pickle" in caught.value.hint
    loaded(path, Settings(allow_pickle=True)).predict({"x": np.zeros((2, 3), np.float32)})
    assert marker.exists()


# Each line is put at the head of forward, and does what its name says.
LOUD = {
    "print": 'print("::error::heard")',
    "an alias of print": '_0 = print\n    _0("::error::heard")',
}
WARNING = '_0 = "::error::heard\\033[31m"\n    torch.warn(_0)\n    torch.warn(torch.format("{}", _0), 2)'
OVERRUN = (
    "y = torch._sparse_coo_tensor_unsafe(torch.full([1, 1], 1000000000000, dtype=4), torch.ones([1]), [4])\n"
    "    x = torch.add(x, torch.sum(torch.to_dense(y)))"
)


def ran(path: Path) -> subprocess.CompletedProcess[bytes]:
    """What becomes of a process that loads and runs the TorchScript at ``path``, without us."""
    code = f"import torch; torch.jit.load({str(path)!r})(torch.zeros(2, 3))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)


@pytest.mark.parametrize("line", LOUD.values(), ids=LOUD)
def test_code_that_prints_is_refused(
    line: str, script: Script, rewritten: Callable[..., Path], capfd: pytest.CaptureFixture[str], marker: Path
) -> None:
    path = rewritten(script(nn.Linear(3, 2)), poisoned(line, marker))
    assert b"::error::heard" in ran(path).stdout
    with pytest.raises(UnsafeFile, match=r"linear.*\.py calls (print|_0), ") as caught:
        loaded(path)
    assert "--allow-pickle" in caught.value.hint
    assert "heard" not in "".join(capfd.readouterr())


def test_warnings_of_models_are_not_heard(
    script: Script, rewritten: Callable[..., Path], capfd: pytest.CaptureFixture[str], marker: Path
) -> None:
    plain = script(nn.Linear(3, 2))
    path = rewritten(plain, poisoned(WARNING, marker))
    assert ran(path).stderr.count(b"::error::heard") == 2
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(loaded(path).predict({"x": x}), loaded(plain).predict({"x": x}))
    assert "heard" not in "".join(capfd.readouterr())


def test_code_that_reads_beyond_its_memory_is_refused(
    script: Script, rewritten: Callable[..., Path], marker: Path
) -> None:
    path = rewritten(script(nn.Linear(3, 2)), poisoned(OVERRUN, marker))
    assert ran(path).returncode < 0  # by a signal
    with pytest.raises(UnsafeFile, match="calls aten::_sparse_coo_tensor_unsafe, "):
        loaded(path)


class Restoring(nn.Module):
    weight: torch.Tensor

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.weight = nn.Parameter(torch.zeros(2))

    @torch.jit.export
    def __getstate__(self) -> tuple[str, torch.Tensor, bool]:
        return self.path, self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, torch.Tensor, bool]) -> None:
        torch.save(state[1], state[0])
        self.path = state[0]
        self.weight = state[1]
        self.training = state[2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_code_that_runs_while_loading_is_refused(script: Script, run_script: Callable[..., None], marker: Path) -> None:
    path = script(Restoring(str(marker)))
    run_script(path, torch.zeros(2, 3))
    assert marker.exists()
    marker.unlink()
    with pytest.raises(UnsafeFile, match="calls aten::save, and expected were operators"):
        loaded(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("__torch__.torch.classes.dist_rpc.Rref()", "runtime"),
        ("r = __torch__.torch\n", "__torch__"),
        ("ops.image.write_file(x, y)", "image::write_file"),
        ("ops.image.add(x, y)", "image::add"),
        ("o = ops\n", "a list of operators"),
        ("o = ops.image\n", "a list of operators"),
        ("o = ops . image . add\n", "a list of operators"),
        ("^evil(x)", "Python"),
        ("ops.prim.rpc_async(x)", "prim::rpc_async"),
        ('getattr(torch, "sa" + "ve")(x, "f")', "calls what it computes"),
        ('(torch.save)(x, "f")', "calls what it computes"),
        ('[torch.save][0](x, "f")', "calls what it computes"),
        ('y = torch.neg(x).save("f")', "aten::save"),
        ('torch.save (x, "f")', "aten::save"),
        ('torch.neg(torch.save\n("f"))', "aten::save"),
        ('torch . save(x, "f")', "aten::save"),
        ('print("a")', "calls print"),
        ("fork(f, x)", "calls fork"),
        ('_0 = print\n_0("a")', "calls _0"),
        ('_0 = __torch__.f\n_0 = print\n_0("a")', "calls _0"),
        ('_0 = __torch__.f\nfor _0 in x:\n  _0("a")', "calls _0"),
        ('_0 = __torch__.f\ndef g(x):\n  _0("a")', "calls _0"),
        ('_0 = __torch__.E.a.save\n_0("a")', "calls _0"),
        ('f = __torch__.f\nf("a")', "calls f"),
        ('"""" save("a") """"', "what torch does not write"),
        ('""" " """; print("a")', "what torch does not write"),
        ("x = 'a'", "what torch does not write"),
        ('x = "a\\\n"', "what torch does not write"),
        ("x = y # (\n", "what torch does not write"),
        ("x = é(y)", "what torch does not write"),
        ("x = y)\n(z)", "what torch does not write"),
        # A method of one's own that is called as an operator cannot be told from it.
        ('def save(self, f):\n  pass\nx.save("f")', "aten::save"),
    ],
)
def test_ways_out_of_computing_are_seen(code: str, why: str) -> None:
    records = {"code/a.py": code.encode(), "code/b.py": b"def f(x):\n  return x"}
    found = list(code_check.objections(records))
    assert any(why in objection for objection in found), found


@pytest.mark.parametrize(
    "code",
    [
        '_1 = getattr(getattr(self.features, "0"), "conv")',
        "  ops : __torch__.torch.nn.modules.container.ModuleList",
        "y = (self.ops).forward(x, )",
        "w = ops.quantized.linear(x, self._packed_params, 0.1, 0)",
        "  _packed_params : __torch__.torch.classes.quantized.LinearPackedParamsBase",
        'ops.prim.RaiseException("AssertionError: ")',
        '_0 = __torch__.torch.nn.functional.forward\n_1 = "it\'s # (é \\" print(\\"a\\") "\ny = _0(x, _1)',
        "a = b.save\n(self.c).forward(x, )",
        "x = [1, 2.5e-3, -1]\nassert (x)\nif (y):\n  pass",
    ],
)
def test_what_harmless_models_write_is_let_through(code: str) -> None:
    own = b"def forward(self, x):\n  return x"
    assert list(code_check.objections({"code/a.py": code.encode(), "code/b.py": own})) == []


def test_pickles_may_build_only_what_torchscript_builds() -> None:
    def objections(pickled: bytes) -> list[str]:
        return list(code_check.objections({"data.pkl": pickled}))

    assert objections(b"\x80\x02c__torch__.net\nNet\n)\x81.") == []
    assert objections(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.") == []
    assert "posix.system" in objections(b"\x80\x02cposix\nsystem\n.")[0]
    assert "dist_rpc" in objections(b"\x80\x02c__torch__.torch\nclasses.dist_rpc.Rref\n.")[0]
    assert "dist_rpc" in objections(b"\x80\x02X\x2b\x00\x00\x00List[__torch__.torch.classes.dist_rpc.Rref].")[0]
    assert objections(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.") != []


class Recurrent(nn.Module):
    """A classifier of sequences, and a table that may be a weight; seven tenths of the recurrent weights are zero."""

    def __init__(self, kind: str = "LSTM") -> None:
        super().__init__()
        torch.manual_seed(6)
        self.rnn = getattr(nn, kind)(5, 7, num_layers=2, batch_first=True, bidirectional=True)
        self.places = nn.Parameter(torch.randn(1, 9, 5))
        self.head = nn.Linear(14, 3)
        with torch.no_grad():
            for name, parameter in self.rnn.named_parameters():
                if "weight" in name:
                    parameter *= torch.rand_like(parameter) < 0.3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.rnn(x + self.places)[0][:, -1])
        return scores


def counts_of(network: nn.Module) -> tuple[int, int]:
    own = [p.detach().numpy() for name, p in network.named_parameters() if "weight" in name]
    return sum(int(np.count_nonzero(array)) for array in own), sum(array.size for array in own)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_weights_count_and_what_is_added_is_named(how: str, kind: str, script: Script) -> None:
    network = Recurrent(kind).eval()
    card = loaded(script(network, how, torch.randn(2, 9, 5))).card
    assert (card.nonzero, sum(layer.total for layer in card.layers)) == counts_of(network)
    assert {layer.kind for layer in card.layers} == {"recurrent", "linear"}
    assert card.parameters == sum(p.numel() for p in network.parameters())
    [name] = card.uncounted
    assert name.endswith("(1 x 9 x 5)")
    if how != "frozen":
        assert [layer.name for layer in card.layers][:2] == ["rnn.weight_ih_l0", "rnn.weight_hh_l0"]
        assert name.startswith("places ")


@pytest.mark.parametrize("how", ["scripted", "frozen"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_quantised_recurrent_network_loads_and_counts(how: str, kind: str, script: Script) -> None:
    network = Recurrent(kind).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(network, {nn.GRU, nn.LSTM, nn.Linear})
    samples = np.random.default_rng(1).normal(size=(4, 9, 5)).astype(np.float32)
    model = loaded(script(small, how, torch.from_numpy(samples)))
    np.testing.assert_allclose(model.predict({"x": samples}), eager(small, samples), atol=1e-6)
    nonzero, total = counts_of(network)
    assert sum(layer.total for layer in model.card.layers) == total
    stored = sum(layer.nonzero for layer in model.card.layers)
    assert stored <= nonzero
    # What rounding took is given back, but for chance: of 2,000 numbers a few.
    assert model.card.nonzero == pytest.approx(nonzero, abs=0.005 * total)
    assert model.card.parameters == sum(p.numel() for p in network.parameters())


def test_a_quantised_network_without_pruning_is_not_called_sparse(script: Script) -> None:
    torch.manual_seed(8)
    network = nn.Sequential(nn.Linear(200, 100), nn.ReLU(), nn.Linear(100, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    card = loaded(script(small, "traced", torch.randn(2, 200))).card
    assert sum(layer.nonzero for layer in card.layers) < 20_300
    assert card.density == 1
    assert card.parameters == 20_300 + 103

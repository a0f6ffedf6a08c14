"""The zoo of failures: what people really bring, dense and compressed, audited from the file to the counts.

Each case is one thing that goes wrong without a word in hand-written scripts. The audit of the odd files must count
exactly what the plain networks do, which are run here by torch alone.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils import prune

from prune_audit import audit, models
from prune_audit.core import Array, Audit, DataSource, Settings
from prune_audit.errors import ModelError
from tests import zoo

N = 240
FACTORY = "tests.zoo:net"
Save = Callable[[nn.Sequential, Path], str]


def trained(seed: int = 0) -> nn.Sequential:
    """A network with statistics of its own, whose four classes are all in use."""
    torch.manual_seed(seed)
    network = zoo.net()
    network.train()
    for _ in range(20):
        network(torch.randn(64, 1, 8, 8) * 2 + 1)
    network.eval()
    with torch.no_grad():
        head = network[-1]
        assert isinstance(head, nn.Linear)
        head.bias.sub_(network(inputs()).mean(dim=0))
        head.weight *= 4
    return network


def inputs() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(1, 2, (N, 1, 8, 8)).astype(np.float32))


def pruned(network: nn.Sequential, amount: float = 0.4) -> nn.Sequential:
    """A copy with the smallest weights of both layers at zero."""
    smaller = copy.deepcopy(network)
    for layer in (smaller[0], smaller[-1]):
        prune.l1_unstructured(layer, "weight", amount)
        prune.remove(layer, "weight")
    return smaller


DENSE = trained()
PRUNED = pruned(DENSE)


def logits(network: nn.Module, x: torch.Tensor | None = None) -> Array:
    with torch.inference_mode():
        scores: Array = network(inputs() if x is None else x).float().numpy()
    return scores


LABELS = logits(DENSE).argmax(axis=1)
LABELS[::9] = (LABELS[::9] + 1) % zoo.CLASSES  # so that nobody is always right


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        # Making TorchScript is deprecated, auditing what there is of it is not.
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Converting a tensor to a Python boolean")
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", x=inputs().numpy(), y=LABELS)
    return tmp_path / "data.npz"


def compared(dense: str, other: str, data: Path, **settings: Any) -> Audit:
    return audit.run(models.parse(dense), [models.parse(other)], DataSource(path=data), Settings(**settings))


def counts(found: Audit) -> Array:
    pair = found.comparisons[0].views[0].pair
    return np.stack([pair.both, pair.lost, pair.gained, pair.neither], axis=1)  # (C, 4)


def expected(dense: Array, other: Array, labels: Array = LABELS) -> Array:
    """Both right, lost, gained and neither for each class, from scores (N, C)."""
    a, b = dense.argmax(axis=1) == labels, other.argmax(axis=1) == labels
    kinds = np.stack([a & b, a & ~b, ~a & b, ~a & ~b], axis=1)  # (N, 4)
    return np.stack([kinds[labels == c].sum(axis=0) for c in range(labels.max() + 1)])


def saved(save: Save, tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "d").mkdir()
    (tmp_path / "p").mkdir()
    return save(DENSE, tmp_path / "d" / "dense.pt"), save(PRUNED, tmp_path / "p" / "pruned.pt")


def check(save: Save, data: Path, tmp_path: Path, of: Callable[[nn.Sequential], Array] = logits, **s: Any) -> Audit:
    """That the audit of both networks as ``save`` leaves them counts what ``of`` says that they predict."""
    found = compared(*saved(save, tmp_path), data, **s)
    wanted = expected(of(DENSE), of(PRUNED))
    np.testing.assert_array_equal(counts(found), wanted)
    assert wanted[:, 1].sum() > 3  # something was lost, or nothing would be tested
    density = found.comparisons[0].pruned.density
    assert density is not None
    assert density == pytest.approx(0.6, abs=0.01)
    assert found.comparisons[0].dense.density == 1
    return found


# ------------------------------------------------------------------------------------------ masks, modes, prefixes


def state_dict(change: Callable[[nn.Sequential], object], factory: str = FACTORY) -> Save:
    def save(network: nn.Sequential, path: Path) -> str:
        torch.save(change(network), path)
        return f"{path}@{factory}"

    return save


def masked(network: nn.Sequential) -> nn.Sequential:
    """``network`` as torch's pruning leaves it; a mask of ones where nothing is pruned."""
    network = copy.deepcopy(network)
    for layer in (network[0], network[-1]):
        weight: Any = layer.weight
        prune.custom_from_mask(layer, "weight", (weight != 0).float())
        # What the mask hides is not zero, so that whoever forgets the mask sees another network.
        with torch.no_grad():
            original, mask = layer.weight_orig, layer.weight_mask
            assert isinstance(original, torch.Tensor)
            assert isinstance(mask, torch.Tensor)
            original.add_((1 - mask) * 5)
    return network


def test_masks_that_were_never_removed_from_a_state_dict(data: Path, tmp_path: Path) -> None:
    check(state_dict(lambda n: masked(n).state_dict()), data, tmp_path)


def test_masks_that_were_never_removed_from_a_module(data: Path, tmp_path: Path) -> None:
    def save(network: nn.Sequential, path: Path) -> str:
        torch.save(masked(network), path)
        return str(path)

    check(save, data, tmp_path, allow_pickle=True)


@pytest.mark.parametrize("training", [False, True])
def test_scripts_that_were_left_in_training_mode(data: Path, tmp_path: Path, training: bool) -> None:
    def save(network: nn.Sequential, path: Path) -> str:
        torch.jit.save(torch.jit.script(copy.deepcopy(network).train(training)), str(path))
        return str(path)

    check(save, data, tmp_path)


def test_modules_that_were_left_in_training_mode(data: Path, tmp_path: Path) -> None:
    def save(network: nn.Sequential, path: Path) -> str:
        torch.save(copy.deepcopy(network).train(), path)
        return str(path)

    check(save, data, tmp_path, allow_pickle=True)


@pytest.mark.parametrize("how", ["traced", "exported"])
def test_what_was_recorded_in_training_mode_is_refused(data: Path, tmp_path: Path, how: str) -> None:
    """Dropout is in the graph there, for good."""

    def save(network: nn.Sequential, path: Path) -> str:
        network = copy.deepcopy(network).train()
        if how == "traced":
            torch.jit.save(torch.jit.trace(network, inputs()[:2], check_trace=False), str(path))
            return str(path)
        batch = torch.export.Dim("batch", min=2, max=4096)
        path = path.with_suffix(".pt2")
        torch.export.save(torch.export.export(network, (inputs()[:3],), dynamic_shapes=({0: batch},)), path)
        return str(path)

    with pytest.raises(ModelError, match="training mode"):
        compared(*saved(save, tmp_path), data)


def behind(prefix: str) -> Callable[[nn.Sequential], dict[str, object]]:
    return lambda network: {f"{prefix}{name}": value for name, value in network.state_dict().items()}


PREFIXES = ("module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.", "model._orig_mod.", "net.")


@pytest.mark.parametrize(
    ("prefix", "under"), [*((prefix, None) for prefix in PREFIXES), ("module.", "state_dict"), ("model.", "model")]
)
def test_prefixes_of_wrappers(data: Path, tmp_path: Path, prefix: str, under: str | None) -> None:
    def change(network: nn.Sequential) -> object:
        weights = behind(prefix)(network)
        return weights if under is None else {under: weights, "epoch": 3, "optimizer": {"state": {}}}

    check(state_dict(change), data, tmp_path)


def test_masks_below_prefixes(data: Path, tmp_path: Path) -> None:
    check(state_dict(lambda n: {"state_dict": behind("model.")(masked(n))}), data, tmp_path)


def sparse(layout: torch.layout) -> Callable[[nn.Sequential], dict[str, torch.Tensor]]:
    def change(network: nn.Sequential) -> dict[str, torch.Tensor]:
        weights = network.state_dict()
        weights["6.weight"] = weights["6.weight"].to_sparse(layout=layout)
        return weights

    return change


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")  # torch says that CSR is in beta
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr], ids=["coo", "csr"])
def test_sparse_tensors_in_a_state_dict(data: Path, tmp_path: Path, layout: torch.layout) -> None:
    check(state_dict(sparse(layout)), data, tmp_path)


def test_a_network_whose_channels_were_pruned_away(data: Path, tmp_path: Path) -> None:
    """It has another shape, so another factory; every weight that is left counts."""
    small = zoo.net(channels=5).eval()
    kept = slice(0, 5)
    with torch.no_grad():
        for mine, theirs in zip(small[:2].parameters(), DENSE[:2].parameters(), strict=True):
            mine.copy_(theirs[kept])
        for name in ("running_mean", "running_var"):
            getattr(small[1], name).copy_(getattr(DENSE[1], name)[kept])
        head, whole = small[-1], DENSE[-1]
        assert isinstance(head, nn.Linear)
        assert isinstance(whole, nn.Linear)
        head.weight.copy_(whole.weight.reshape(4, 8, 4)[:, kept].reshape(4, 20))
        head.bias.copy_(whole.bias)
    dense = state_dict(lambda n: n.state_dict())(DENSE, tmp_path / "dense.pt")
    other = state_dict(lambda n: n.state_dict(), "tests.zoo:net(channels=5)")(small, tmp_path / "small.pt")
    found = compared(dense, other, data)
    np.testing.assert_array_equal(counts(found), expected(logits(DENSE), logits(small)))
    card = found.comparisons[0].pruned
    assert (card.density, card.nonzero) == (1, 5 * 9 + 20 * 4)


# ------------------------------------------------------------------------------------------ types and outputs


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_weights_run_in_the_types_of_the_factory(data: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    def rounded(network: nn.Sequential) -> Array:
        return logits(copy.deepcopy(network).to(dtype).float())

    check(state_dict(lambda n: copy.deepcopy(n).to(dtype).state_dict()), data, tmp_path, rounded)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("how", ["module", "script"])
def test_narrow_networks_run_as_they_are(data: Path, tmp_path: Path, dtype: torch.dtype, how: str) -> None:
    def save(network: nn.Sequential, path: Path) -> str:
        narrow = copy.deepcopy(network).to(dtype)
        if how == "module":
            torch.save(narrow, path)
        else:
            torch.jit.save(torch.jit.script(narrow), str(path))
        return str(path)

    def of(network: nn.Sequential) -> Array:
        return logits(copy.deepcopy(network).to(dtype), inputs().to(dtype))

    # Batches of one size, because sums in so few bits depend on it.
    check(save, data, tmp_path, of, allow_pickle=True, batch_size=N)


@pytest.mark.parametrize("how", ["tuple", "list", "dict", "named", "dataclass", "hub", "map"])
def test_scores_within_something_else(data: Path, tmp_path: Path, how: str) -> None:
    # Beside features that are as many, a name tells, or somebody must.
    asked = {"tuple": "0", "list": "0", "hub": "answer"}.get(how)
    save = state_dict(behind("body."), f"tests.zoo:wrapped({how!r})")
    if asked is not None:
        (tmp_path / "asking").mkdir()
        with pytest.raises(ModelError, match="2 outputs that could be its scores"):
            check(save, data, tmp_path / "asking")
    check(save, data, tmp_path, model_output=(asked,) if asked else ())


@pytest.mark.parametrize("how", ["softmax", "log"])
def test_a_softmax_at_the_end_is_not_made_twice(data: Path, tmp_path: Path, how: str) -> None:
    path = state_dict(behind("body."), f"tests.zoo:wrapped({how!r})")(DENSE, tmp_path / "dense.pt")
    found = audit.predict(models.parse(path), DataSource(path=data), Settings())[0].models[0]
    scores = logits(DENSE).astype(np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert found.confidence is not None
    np.testing.assert_allclose(found.confidence, chances.max(axis=1), rtol=1e-4)
    check(state_dict(behind("body."), f"tests.zoo:wrapped({how!r})"), data, tmp_path)


def with_background(network: nn.Sequential) -> nn.Sequential:
    """The network with one output more, in front, that is the highest on most samples."""
    more = zoo.net(classes=zoo.CLASSES + 1).eval()
    weights = network.state_dict()
    weights["6.weight"] = torch.cat([torch.zeros(1, 32), weights["6.weight"]])
    weights["6.bias"] = torch.cat([torch.full((1,), 9.0), weights["6.bias"]])
    more.load_state_dict(weights)
    return more


@pytest.mark.parametrize("which", ["0", "-5"])
def test_a_background_class_is_left_out(data: Path, tmp_path: Path, which: str) -> None:
    save = state_dict(lambda n: with_background(n).state_dict(), "tests.zoo:net(classes=5)")
    assert (logits(with_background(DENSE)).argmax(axis=1) == 0).mean() > 0.5
    found = compared(*saved(save, tmp_path), data, drop_class=(which,))
    np.testing.assert_array_equal(counts(found), expected(logits(DENSE), logits(PRUNED)))
    assert len(found.comparisons[0].views[0].pair.strata) == zoo.CLASSES


# ------------------------------------------------------------------------------------------ batches of one, and ONNX


def test_a_trace_that_takes_one_sample_at_a_time(data: Path, tmp_path: Path) -> None:
    def save(network: nn.Sequential, path: Path) -> str:
        torch.jit.save(torch.jit.trace(zoo.OneByOne(network).eval(), inputs()[:1]), str(path))
        return str(path)

    found = check(save, data, tmp_path)
    assert any("one sample at a time" in note for note in found.provenance.notes)


def graph(network: nn.Sequential, batch: str | int | None, *, before: str | None = None) -> onnx.ModelProto:
    """``network`` as ONNX, whose input is called x and has a first dimension ``batch``.

    ``before`` is what comes first: "NHWC" takes channels last, "uint8" raw bytes.
    """
    held = {name.replace(".", "_"): value.numpy() for name, value in network.state_dict().items() if value.ndim}
    shape: list[str | int | None] = [batch, 8, 8, 1] if before == "NHWC" else [batch, 1, 8, 8]
    nodes = []
    first = "x"
    if before == "NHWC":
        nodes.append(helper.make_node("Transpose", ["x"], ["nchw"], perm=[0, 3, 1, 2]))
        first = "nchw"
    elif before == "uint8":
        held["full"] = np.array(255, np.float32)
        nodes += [
            helper.make_node("Cast", ["x"], ["raw"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["raw", "full"], ["scaled"]),
        ]
        first = "scaled"
    normal = [f"1_{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    nodes += [
        helper.make_node("Conv", [first, "0_weight", "0_bias"], ["c"]),
        helper.make_node("BatchNormalization", ["c", *normal], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("AveragePool", ["r"], ["p"], kernel_shape=[3, 3], strides=[3, 3]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "6_weight", "6_bias"], ["scores"], transB=1),
    ]
    made = helper.make_graph(
        nodes,
        "zoo",
        [helper.make_tensor_value_info("x", TensorProto.UINT8 if before == "uint8" else TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, held["6_bias"].size])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def as_onnx(batch: str | int | None, before: str | None = None) -> Save:
    def save(network: nn.Sequential, path: Path) -> str:
        path = path.with_suffix(".onnx")
        onnx.save(graph(network, batch, before=before), path)
        return str(path)

    return save


@pytest.mark.parametrize("batch", [1, 7, "batch", "N", "unk__13", "8", None], ids=repr)
def test_a_batch_that_is_fixed_or_called_anything(data: Path, tmp_path: Path, batch: str | int | None) -> None:
    check(as_onnx(batch), data, tmp_path)


def run_onnx(path: str) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # One sample at a time: a dynamically quantised model takes its scales from the batch.
    each = [session.run(None, {"x": x[None]})[0] for x in inputs().numpy()]
    scores: Array = np.concatenate(each)
    return scores


@pytest.mark.parametrize("how", ["dynamic", "static"])
def test_quantised_networks(data: Path, tmp_path: Path, how: str) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.left = [{"x": inputs().numpy()}]

        def get_next(self) -> Mapping[str, Array] | None:
            return self.left.pop() if self.left else None

    def save(network: nn.Sequential, path: Path) -> str:
        whole = Path(as_onnx("N")(network, path.with_name("float.onnx")))
        path = path.with_suffix(".onnx")
        logging.disable(logging.WARNING)  # it recommends to preprocess
        try:
            if how == "dynamic":
                quantization.quantize_dynamic(whole, path, weight_type=quantization.QuantType.QInt8)
            else:
                quantization.quantize_static(
                    whole,
                    path,
                    Reader(),
                    quant_format=quantization.QuantFormat.QDQ,
                    per_channel=True,
                    weight_type=quantization.QuantType.QInt8,
                    activation_type=quantization.QuantType.QUInt8,
                )
        finally:
            logging.disable(logging.NOTSET)
        return str(path)

    dense, other = saved(save, tmp_path)
    found = compared(dense, other, data, batch_size=1)
    np.testing.assert_array_equal(counts(found), expected(run_onnx(dense), run_onnx(other)))
    # Small weights become the integer that stands for zero. Of a cut that leaves no gap beside zero, and most of the
    # weights, the file does not tell whether it was one, so that these zeros are told and the density counts them.
    for card, share in ((found.comparisons[0].dense, 1.0), (found.comparisons[0].pruned, 0.6)):
        assert [layer.shape for layer in card.layers] == [(8, 1, 3, 3), (4, 32)] or how == "dynamic"
        assert [layer.kind for layer in card.layers] == ["convolution", "linear"]
        total, stored, rounded = (
            sum(getattr(each, what) for each in card.layers) for what in ("total", "nonzero", "rounded")
        )
        assert share - 0.05 < stored / total <= share + 0.01
        assert rounded == total - stored
        assert card.density == 1


@pytest.mark.parametrize("before", ["NHWC", "uint8"])
def test_images_channels_last_and_as_raw_bytes(data: Path, tmp_path: Path, before: str) -> None:
    """Images are laid out and scaled for each model: the same pixels reach both."""
    from PIL import Image

    pixels = np.random.default_rng(2).integers(0, 256, (N, 8, 8), dtype=np.uint8)
    x = torch.from_numpy(pixels[:, None].astype(np.float32)) / 255
    # Statistics of these images, or the network would see nothing in them.
    torch.manual_seed(1)
    dense = copy.deepcopy(DENSE).train()
    dense[3] = nn.Identity()
    for _ in range(50):
        dense(x)
    dense.eval()
    with torch.no_grad():
        head: Any = dense[-1]
        head.bias -= dense(x).mean(dim=0)
    other = pruned(dense)
    labels = logits(dense, x).argmax(axis=1)
    folder = tmp_path / "val"
    for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{i:03d}.png")
    save = as_onnx("N", before)
    paths = save(dense, tmp_path / "dense"), save(other, tmp_path / "pruned")
    found = compared(*paths, folder)
    wanted = expected(logits(dense, x), logits(other, x), labels)
    np.testing.assert_array_equal(counts(found), wanted)
    assert wanted[:, 1].sum() > 3


# ------------------------------------------------------------------------------------------ and what ran elsewhere


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json", "npz"])
def test_predictions_that_were_recorded_make_the_same_audit(data: Path, tmp_path: Path, suffix: str) -> None:
    """Whichever side ran elsewhere: counts, calibration and ranks are those of the models that ran here."""
    paths = saved(state_dict(lambda n: n.state_dict()), tmp_path)
    whole = compared(*paths, data)
    recorded = []
    for path in paths:
        predictions, _ = audit.predict(models.parse(path), DataSource(path=data), Settings())
        recorded.append(Path(path.partition("@")[0]).with_suffix(f".{suffix}"))
        models.write_predictions(
            recorded[-1], predictions.models[0], predictions.ids, predictions.labels, predictions.classes
        )
    for dense, other in ((recorded[0], recorded[1]), (paths[0], recorded[1]), (recorded[0], paths[1])):
        assert compared(str(dense), str(other), data).comparisons[0].views == whole.comparisons[0].views

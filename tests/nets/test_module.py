from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prune_audit.core import Array, Expects, Input, ModelCard
from prune_audit.errors import ModelError, UsageError
from prune_audit.nets.module import TorchClassifier, expects_of, layer, layers, parameters

CARD = ModelCard(name="m", path="m.pt", format="test", digest="", size=0)


def classifier(module: nn.Module, device: str = "cpu") -> TorchClassifier:
    return TorchClassifier(module, CARD, Expects(), device)


class Returning(nn.Module):
    """Gives back what a function makes of its one input."""

    def __init__(self, make: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: torch.Tensor) -> object:
        return self.make(x)


X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda x: x, X),
        (lambda x: (x.sum(), x, x.argmax(1)), X),
        (lambda x: [None, x + 1, x.sum()], X + 1),
        (lambda x: (x.sum(), {"scores": x, "states": (x + 1, x + 2)}), X),
        (lambda x: {"aux": x + 1, "logits": x}, X),
        (lambda x: {"out": x, "aux": x + 1}, X),
        (lambda x: x[:, :, None, None], X),
        (lambda x: x[:, 0], X[:, :1]),
        (lambda x: x[None], X),
        (lambda x: x[:, None], X),
        (lambda x: (x.argmax(1), None), X.argmax(1)),
        (lambda x: x[:, :1, None], X[:, :1]),
        (lambda x: x.half(), X),
        (lambda x: x.bfloat16(), X),
        (lambda x: x.double(), X.astype(np.float64)),
        (lambda x: x.long(), X.astype(np.int64)),
        (lambda x: x[:, 1].long(), X[:, 1].astype(np.int64)),  # classes
        (lambda x: x[:, 1:2].long(), X[:, 1].astype(np.int64)),
    ],
)
def test_outputs_of_every_form_become_scores(make: Callable[[torch.Tensor], object], wanted: Array) -> None:
    scores = classifier(Returning(make)).predict({"x": X})
    assert scores.dtype == wanted.dtype
    np.testing.assert_array_equal(scores, wanted)


def test_one_sample_and_one_class_keep_their_axes() -> None:
    assert classifier(Returning(lambda x: x[:, 0])).predict({"x": X[:1]}).shape == (1, 1)
    assert classifier(Returning(lambda x: x[:, :, None])).predict({"x": X[:1]}).shape == (1, 3)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda x: x.sum(), r"\(\)"),
        (lambda x: x[:1], r"\(1, 3\)"),
        (lambda x: x[:, :, None].expand(2, 3, 4), r"\(2, 3, 4\)"),
        (lambda x: "a text", "str"),
        (lambda x: {"boxes": 3}, "dict"),
    ],
)
def test_what_is_no_table_of_scores_is_refused(make: Callable[[torch.Tensor], object], found: str) -> None:
    with pytest.raises(ModelError, match=f"m: expected .*scores.*, found {found}"):
        classifier(Returning(make)).predict({"x": X})


def test_arrays_that_may_not_be_written_are_copied() -> None:
    fixed = X.copy()
    fixed.flags.writeable = False
    np.testing.assert_array_equal(classifier(Returning(lambda x: x.add_(1))).predict({"x": fixed}), X + 1)
    np.testing.assert_array_equal(fixed, X)


def test_the_module_evaluates_and_needs_no_gradients() -> None:
    module = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 2)).train()
    made = classifier(module)
    assert made.module is module
    np.testing.assert_array_equal(made.predict({"x": X}), made.predict({"x": X}))


class Two(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return (left - right) * scale


def test_several_inputs_go_by_name() -> None:
    np.testing.assert_array_equal(classifier(Two()).predict({"right": X, "left": 3 * X}), 2 * X)
    assert [i.name for i in expects_of(Two()).inputs] == ["left", "right"]
    with pytest.raises(ModelError, match=r"m failed on input left \(2, 3\) float32, wrong \(2, 3\) float32: .*wrong"):
        classifier(Two()).predict({"left": X, "wrong": X})


def test_a_wrong_size_is_explained() -> None:
    with pytest.raises(ModelError, match=r"m failed on input x \(2, 3\) float32: mat1 and mat2") as caught:
        classifier(nn.Linear(4, 2)).predict({"x": X})
    assert "--features" in caught.value.hint
    assert "flatten" not in caught.value.hint


def test_planes_for_a_network_of_vectors_are_explained() -> None:
    with pytest.raises(ModelError, match="mat1 and mat2") as caught:
        classifier(nn.Linear(30, 2)).predict({"x": np.zeros((4, 1, 5, 6), np.float32)})
    assert "(batch, 30) or rows (batch, 5, 6), put x.flatten(1) or x.squeeze(1)" in caught.value.hint


@pytest.mark.parametrize(
    ("network", "values", "option"),
    [
        (nn.Conv2d(3, 2, 3), np.zeros((2, 1, 8, 8), np.float32), "--size, --channels"),
        (nn.Embedding(4, 2), np.full((2, 3), 7), "--tokenizer"),  # as of another tokenizer with more words
        (nn.Conv1d(2, 2, 3), np.zeros((2, 1, 8), np.float32), "--seconds"),
    ],
)
def test_the_hint_is_of_what_was_fed(network: nn.Module, values: Array, option: str) -> None:
    with pytest.raises(ModelError, match="m failed on input x") as caught:
        classifier(network).predict({"x": values})
    assert option in caught.value.hint


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match=f"the device '{device}' cannot be used"):
        classifier(nn.Linear(3, 2), device)


class Doubling(nn.Module):
    """Doubles, with a fault of so many parts in its scores, and says how often it ran."""

    def __init__(self, fault: float = 0.0, broken: int = -1) -> None:
        super().__init__()
        self.fault, self.broken, self.runs = fault, broken, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        if self.runs == self.broken:
            raise RuntimeError("view size is not compatible")
        return 2 * x * (1 + self.fault)


@pytest.mark.parametrize(
    ("faster", "runs"),
    [
        (Doubling(), (1, 3)),
        (Doubling(1e-5), (1, 3)),
        (Doubling(1e-3), (3, 1)),
        (Doubling(float("nan")), (3, 1)),
        (Doubling(broken=1), (3, 1)),
        (Doubling(broken=2), (3, 2)),
    ],
)
def test_a_faster_module_runs_where_it_agrees(faster: Doubling, runs: tuple[int, int]) -> None:
    own = Doubling()
    made = TorchClassifier(own, CARD, Expects(), faster=lambda: faster)
    for _ in range(3):
        np.testing.assert_allclose(made.predict({"x": X}), 2 * X, rtol=1e-4)
    assert (own.runs, faster.runs) == runs


def test_a_faster_module_that_cannot_be_made_is_done_without() -> None:
    made = TorchClassifier(Doubling(), CARD, Expects(), faster=lambda: torch.jit.load("none"))
    for _ in range(2):
        np.testing.assert_array_equal(made.predict({"x": X}), 2 * X)


OUT_OF_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("The following operation failed in the TorchScript interpreter.\nRuntimeError: CUDA out of memory."),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    MemoryError(),
)


class Tight(nn.Module):
    """Has memory for so many samples at once, and remembers how many it was given."""

    def __init__(self, most: int, fault: Exception = OUT_OF_MEMORY[0]) -> None:
        super().__init__()
        self.fault = fault
        self.most = most
        self.given: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.given.append(len(x))
        if len(x) > self.most:
            raise self.fault
        return 2 * x


@pytest.mark.parametrize("fault", OUT_OF_MEMORY, ids=lambda fault: str(fault)[:20])
def test_out_of_memory_halves_the_batch_and_goes_on(fault: Exception) -> None:
    module = Tight(3, fault)
    made = classifier(module)
    assert list(made.notes) == []
    x = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    np.testing.assert_array_equal(made.predict({"x": x}), 2 * x)
    assert [n for n in module.given if n > 3] == [11, 5]
    # The size that worked is remembered.
    module.given.clear()
    np.testing.assert_array_equal(made.predict({"x": x}), 2 * x)
    assert max(module.given) <= 3
    np.testing.assert_array_equal(made.predict({"x": x[:2]}), 2 * x[:2])
    assert list(made.notes) == ["m ran out of memory with 5 samples at once, so it ran 2"]


def test_one_sample_that_is_too_large_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"m failed on input x \(1, 3\) float32: CUDA out of memory") as caught:
        classifier(Tight(0)).predict({"x": np.zeros((4, 3), np.float32)})
    assert caught.value.hint.startswith("give a smaller --batch-size")


def test_a_fixed_batch_cannot_be_halved() -> None:
    made = TorchClassifier(Tight(3), CARD, Expects(batch=4))
    with pytest.raises(ModelError, match=r"m failed on input x \(4, 3\)"):
        made.predict({"x": np.zeros((4, 3), np.float32)})


def test_layers_are_counted_by_hand() -> None:
    network = nn.ModuleDict(
        {
            "conv": nn.Conv1d(4, 6, 3, groups=2, bias=False),
            "up": nn.ConvTranspose2d(2, 3, 2),
            "norm": nn.BatchNorm2d(3),
            "words": nn.Embedding(5, 2),
            "attention": nn.MultiheadAttention(4, 2),
            "both": nn.Bilinear(2, 3, 4),
        }
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1)
            parameter.flatten()[0] = 0
    assert [(layer.name, layer.kind, layer.shape, layer.nonzero, layer.total) for layer in layers(network)] == [
        ("conv.weight", "convolution", (6, 2, 3), 35, 36),
        ("up.weight", "convolution", (2, 3, 2, 2), 23, 24),
        ("words.weight", "embedding", (5, 2), 9, 10),
        ("attention.in_proj_weight", "linear", (12, 4), 47, 48),
        ("attention.out_proj.weight", "linear", (4, 4), 15, 16),
        ("both.weight", "linear", (4, 2, 3), 23, 24),
    ]
    # The counted weights, then the biases and the normalisation.
    assert parameters(network) == (36 + 24 + 10 + 48 + 16 + 24) + (3 + 6 + 12 + 4 + 4)


def test_shared_weights_count_once() -> None:
    network = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    network[1].weight = network[0].weight
    assert [layer.name for layer in layers(network)] == ["0.weight"]
    assert parameters(network) == 20


def test_masks_count_before_any_forward_pass() -> None:
    linear = nn.Linear(4, 2)
    prune.random_unstructured(linear, "weight", amount=3)
    # As after loading a state dict into it: the product that the last forward pass left is stale.
    mask: Any = linear.weight_mask
    mask[:] = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    [layer] = layers(linear)
    assert (layer.name, layer.nonzero, layer.total) == ("weight", 2, 8)


@pytest.mark.parametrize(
    ("network", "dtype", "channels"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.Conv1d(6, 2, 1, groups=2)), "float32", 6),
        (nn.Sequential(nn.ConvTranspose2d(2, 3, 1)).half(), "float16", 2),
        (nn.Linear(3, 2).bfloat16(), "float32", None),
        (nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2)), None, None),
        (nn.ReLU(), None, None),
    ],
)
def test_expectations_of_a_module(network: nn.Module, dtype: str | None, channels: int | None) -> None:
    expects = expects_of(network)
    assert expects == Expects(inputs=(Input(name="input", dtype=dtype),), channels=channels)


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
        *(torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.float16, torch.bfloat16),
    ],
)
def test_zeros_of_types_that_torch_does_not_count(dtype: torch.dtype) -> None:
    values = torch.tensor([[0, 1, 2], [0, 0, 3]]).to(dtype)
    found = layer("w", "linear", values)
    assert (found.nonzero, found.total) == (3, 6)


def test_a_negative_zero_is_a_zero() -> None:
    assert layer("w", "linear", torch.tensor([[-0.0, 1.0]]).to(torch.float8_e5m2)).nonzero == 1


def test_numbers_of_less_than_a_byte_are_refused() -> None:
    packed = torch.zeros(4, 2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    with pytest.raises(ModelError, match="w: the zeros of float4_e2m1fn_x2 cannot be counted") as caught:
        layer("w", "linear", packed)
    assert "float32" in caught.value.hint

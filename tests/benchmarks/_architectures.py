"""Networks as people bring them, to be exported: of torchvision, timm and transformers, and small ones of every layer.

All are initialised at random, and those of transformers have few layers. torchvision and timm are optional: without
them their architectures are left out, which is said.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prune_audit.models.transformers import known_architectures

Made = tuple[nn.Module, tuple[torch.Tensor, ...]]
_LIBRARY: list[Any] = []


@dataclass(frozen=True)
class Architecture:
    """A network that can be made: its ``name``, and what makes it together with an example of its inputs."""

    name: str
    make: Callable[[], Made]


def architectures() -> Iterator[Architecture]:
    """Every architecture that the libraries which are installed here have, in a fixed order."""
    yield from (Architecture(f"torch/{name}", make) for name, make in sorted(_own().items()))
    if importlib.util.find_spec("torchvision"):
        yield from _of_torchvision()
    if importlib.util.find_spec("timm"):
        yield from _of_timm()
    yield from _of_transformers()


# --------------------------------------------------------------------------------------------------------- libraries


def _without_the_compiled_part() -> None:
    """Let torchvision be imported without its compiled operators, which no classifier needs."""
    if not _LIBRARY:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARY.append(library)


def _of_torchvision() -> Iterator[Architecture]:
    _without_the_compiled_part()
    from torchvision import models

    families: dict[str, str] = {}
    sizes = re.compile(r"(_?\d\w*|_(tiny|small|base|large|b|s|t|l|m|x|y))+$")
    for name in sorted(models.list_models(models), key=lambda name: ("x" in name.split("_"), len(name), name)):
        families.setdefault(sizes.sub("", name) + ("_bn" if name.endswith("_bn") else ""), name)
    for name in sorted(families.values()):
        yield Architecture(f"torchvision/{name}", functools.partial(_torchvision, name))


def _torchvision(name: str) -> Made:
    from torchvision import models

    size = 299 if name.startswith("inception") else 224
    extra: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, **extra).eval(), (torch.randn(2, 3, size, size),)


def _of_timm() -> Iterator[Architecture]:
    _without_the_compiled_part()
    import timm

    small = re.compile(r"test|atto|femto|pico|nano|xxs|xxt|tiny|xs|_t$|_t_|_s$|small|_0|b0|18|26|050")
    for module in timm.list_modules():
        names = timm.list_models(module=module)
        if names:
            taken = sorted(names, key=lambda n: (not small.search(n), "gluon" in n, len(n), n))[0]
            yield Architecture(f"timm/{module}/{taken}", functools.partial(_timm, taken))


def _timm(name: str) -> Made:
    import timm

    network = timm.create_model(name, pretrained=False).eval()
    return network, (torch.randn(2, *network.pretrained_cfg["input_size"]),)


_FEWER = {
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"], 2),
    **dict.fromkeys(("num_decoder_layers",), 2),
    "vocab_size": 300,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": 1,
    "num_labels": 5,
}
_NARROWER = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "head_dim": 64}


def _of_transformers() -> Iterator[Architecture]:
    for name in sorted(known_architectures.ARCHITECTURES):
        yield Architecture(f"transformers/{name}", functools.partial(_transformers, name))


class Logits(nn.Module):
    """A network of transformers that gives its scores alone, and takes its ``inputs`` by position."""

    def __init__(self, network: nn.Module, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.inputs = inputs

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.network(**dict(zip(self.inputs, values, strict=True))).logits
        return scores


def _transformers(name: str) -> Made:
    import transformers

    maker: Any = getattr(transformers, name)
    config = maker.config_class()
    narrow = getattr(config, "hidden_size", 0) or 0
    for field, value in {**_FEWER, **(_NARROWER if isinstance(narrow, int) and narrow > 1100 else {})}.items():
        if isinstance(getattr(config, field, None), int) or (field.endswith("_id") and hasattr(config, field)):
            with contextlib.suppress(Exception):
                setattr(config, field, value)
    if narrow and isinstance(narrow, int) and narrow > 1100 and hasattr(config, "num_key_value_heads"):
        config.num_key_value_heads = 2
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:2]
    network = maker(config).eval()
    taken = inspect.signature(network.forward).parameters
    if "pixel_values" in taken:
        size = getattr(config, "image_size", None) or 224
        height, width = size if isinstance(size, list | tuple) else (size, size)
        images = torch.randn(2, getattr(config, "num_channels", 3), height, width)
        if name.startswith("Siglip2"):
            patches, mask = torch.randn(2, 64, 768), torch.ones(2, 64, dtype=torch.int64)
            shapes = torch.full((2, 2), 8)
            return Logits(network, ("pixel_values", "pixel_attention_mask", "spatial_shapes")), (patches, mask, shapes)
        return Logits(network, ("pixel_values",)), (images,)
    if "input_features" in taken:
        features = (2, 3000, 160) if name.startswith("Wav2Vec2Bert") else (2, config.num_mel_bins, 3000)
        return Logits(network, ("input_features",)), (torch.randn(features),)
    if "input_values" in taken:
        shape = (2, 1024, 128) if name.startswith("AST") else (2, 8000)
        return Logits(network, ("input_values",)), (torch.randn(shape),)
    tokens = torch.randint(3, 299, (2, 16))
    tokens[:, -1] = 2
    if name.startswith("ImageGPT"):
        return Logits(network, ("input_ids",)), (tokens,)
    if "attention_mask" not in taken:
        return Logits(network, ("input_ids",)), (tokens,)
    return Logits(network, ("input_ids", "attention_mask")), (tokens, torch.ones_like(tokens))


# --------------------------------------------------------------------------------------------------------- own layers


class Last(nn.Module):
    """A recurrent layer, and scores of its last step."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer
        wide = layer.hidden_size * (2 if layer.bidirectional else 1)
        self.head = nn.Linear(wide, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.layer(x)[0][:, -1])
        return scores


class Cell(nn.Module):
    """A recurrent cell in a loop of our own."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(x.size(0), 6)
        for step in range(x.size(1)):
            state = self.cell(x[:, step], state)
        return state


class Long(nn.Module):
    """A cell with a memory in a loop of our own."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, memory = torch.zeros(x.size(0), 6), torch.zeros(x.size(0), 6)
        for step in range(x.size(1)):
            state, memory = self.cell(x[:, step], (state, memory))
        return state


class Packed(nn.Module):
    """Sequences of different lengths through an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 6, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = self.layer(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
        scores: torch.Tensor = self.head(padded.mean(1))
        return scores


class Attention(nn.Module):
    """Attention of its own to itself, with a mask where asked."""

    def __init__(self, masked: bool = False, weights: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.masked = masked
        self.weights = weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(x.size(0), x.size(1), dtype=torch.bool) if self.masked else None
        y: torch.Tensor = self.attention(x, x, x, key_padding_mask=mask, need_weights=self.weights)[0]
        return y.mean(1)


class Causal(nn.Module):
    """A decoder's block by torch's own attention, with positions by rotation."""

    angles: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 16, padding_idx=0)
        self.qkv = nn.Linear(16, 48)
        self.register_buffer("angles", torch.outer(torch.arange(32.0), 1 / 100 ** (torch.arange(0, 4, 2) / 4)))
        self.head = nn.Linear(16, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(self.embed(tokens)).chunk(3, dim=-1)
        q, k, v = (t.view(t.size(0), t.size(1), 4, 4).transpose(1, 2) for t in (q, k, v))
        angles = torch.cat([self.angles, self.angles], -1)[: tokens.size(1)]
        q, k = (t * angles.cos() + torch.cat([-t[..., 2:], t[..., :2]], -1) * angles.sin() for t in (q, k))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(tokens.size(0), tokens.size(1), 16)
        last = (tokens != 0).sum(1) - 1
        scores: torch.Tensor = self.head(y[torch.arange(tokens.size(0)), last])
        return scores


class Bags(nn.Module):
    """Texts as bags of words, their tokens one after the other."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(20, 6, mode=mode)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.bags(tokens))
        return scores


class Offsets(nn.Module):
    """Bags of words told by where each begins."""

    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(20, 6)

    def forward(self, tokens: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        bags: torch.Tensor = self.bags(tokens, offsets)
        return bags


class Words(nn.Module):
    """A convolution over words, the longest of each filter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.convolutions = nn.ModuleList(nn.Conv1d(8, 5, width, padding="same") for width in (1, 3, 5))
        self.head = nn.Linear(15, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens).transpose(1, 2)
        parts = [torch.relu(c(x)).max(dim=2)[0] for c in self.convolutions]
        scores: torch.Tensor = self.head(torch.cat(parts, 1))
        return scores


class Spectrum(nn.Module):
    """A sound by its spectrum, in decibels."""

    window: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(x, 64, 32, window=self.window, return_complex=True).abs().pow(2)
        decibels = 10 * torch.log10(torch.clamp(spectrum, min=1e-10))
        scores: torch.Tensor = self.net(decibels.unsqueeze(1))
        return scores


class Fourier(nn.Module):
    """A global filter in frequencies."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 16, 9, dtype=torch.cfloat))
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.fft.irfft2(torch.fft.rfft2(x, norm="ortho") * self.weight, s=(16, 16), norm="ortho")
        scores: torch.Tensor = self.head(y.mean((2, 3)))
        return scores


class Graph(nn.Module):
    """Two rounds of messages along edges."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x))
        y = y + torch.zeros_like(y).index_add_(0, edges[1], y[edges[0]])
        y = y + torch.zeros_like(y).scatter_add(0, edges[1].unsqueeze(1).expand(-1, 8), y[edges[0]])
        scores: torch.Tensor = self.second(y)
        return scores


class Points(nn.Module):
    """Points by their neighbours' distances."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv1d(3, 8, 1), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        distances = torch.cdist(x, x)
        near = distances.topk(4, dim=-1, largest=False)[1]
        group = torch.gather(x.unsqueeze(1).expand(-1, x.size(1), -1, -1), 2, near.unsqueeze(-1).expand(-1, -1, -1, 3))
        y = self.layer((group - x.unsqueeze(2)).max(2)[0].transpose(1, 2))
        scores: torch.Tensor = self.head(torch.amax(y, dim=-1))
        return scores


class Normed(nn.Module):
    """Scores by the angle to each class, as faces and few shots are told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 4)
        self.classes = nn.Parameter(torch.randn(5, 4))
        self.scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.normalize(self.body(x), dim=-1)
        return self.scale.exp().clamp(max=100) * y @ nn.functional.normalize(self.classes, dim=-1).t()


class Functions(nn.Module):
    """What people write between layers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.split([2, 4], dim=1)
        a = torch.where(a > 0, a, 0.1 * a) + a.abs().sqrt() - a.sign() * torch.log1p(a.abs())
        b = b.masked_fill(b < 0, 0.0).cumsum(1).flip(1).roll(1, 1) / (b.std(1, keepdim=True) + 1e-6)
        c = torch.einsum("bi,bj->bij", a, b).flatten(1)
        d = torch.stack([c.amin(1), c.amax(1), c.mean(1), c.prod(1), c.norm(dim=1), c.var(1)], 1)
        e = torch.nn.functional.one_hot(c.argmax(1), 8).float().tril() + torch.eye(8)[: x.size(0)]
        f = torch.nan_to_num(torch.logsumexp(c, 1, keepdim=True)) * torch.atan2(a, a + 1).sum(1, keepdim=True)
        g = torch.bmm(a.unsqueeze(2), b.unsqueeze(1)).reshape(x.size(0), -1).sort(1)[0][:, ::2]
        h = torch.cat([torch.erf(g), torch.sin(g), torch.rsqrt(g.abs() + 1), g.clamp(-1, 1), g.round(), g.floor()], 1)
        i = torch.meshgrid(torch.arange(3.0), torch.linspace(0, 1, 2), indexing="ij")[0].flatten().repeat(x.size(0), 1)
        return torch.cat([d, e, f, h, i, c.to(torch.float64).float(), torch.full_like(a, 2), a.new_zeros(a.shape)], 1)


class Choosing(nn.Module):
    """Loops, lists, dicts and conditions, as scripted code has them."""

    names: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.names = ["low", "high"]
        self.layers = nn.ModuleDict({"low": nn.Linear(6, 3), "high": nn.Linear(6, 3)})

    def forward(self, x: torch.Tensor, times: int = 2, extra: torch.Tensor | None = None) -> torch.Tensor:
        found: dict[str, torch.Tensor] = {}
        for name, layer in self.layers.items():
            found[name] = layer(x)
        total = torch.zeros_like(found["low"])
        parts: list[torch.Tensor] = []
        for k in range(times):
            if k % 2 == 0 and "low" in found:
                parts.append(found["low"])
            elif len(parts) > 1:
                parts.insert(0, found["high"])
            else:
                parts += [found["high"]]
        if extra is not None:
            parts.append(extra)
        assert len(parts) > 0, f"nothing of {self.names}"
        for part in parts:
            total += part
        size = [int(s) for s in x.shape]
        if min(size) == 0 or float(total.sum()) != float(total.sum()):
            raise ValueError(f"bad scores {size}")
        return total.view(size[0], -1) / max(len(parts), 1)


class Sampled(nn.Module):
    """Images turned by a network of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 6))
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = nn.functional.affine_grid(self.where(x).view(-1, 2, 3), [x.size(0), 3, 16, 16], align_corners=False)
        y = nn.functional.grid_sample(x, grid, align_corners=False)
        scores: torch.Tensor = self.head(y.mean((2, 3)))
        return scores


class Resized(nn.Module):
    """Images in another size by ``mode``, by a factor and to a size."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        smooth = {} if self.mode.startswith(("nearest", "area")) else {"align_corners": False}
        y = nn.functional.interpolate(x, size=(20, 12), mode=self.mode, **smooth)
        y = y if self.mode == "area" else nn.functional.interpolate(y, scale_factor=2.0, mode=self.mode, **smooth)
        return y.mean((2, 3))


class Smooth(nn.Module):
    """Images shrunk without jagged edges."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.interpolate(x, size=[7, 9], mode="bilinear", align_corners=False, antialias=True)
        y = nn.functional.interpolate(y, size=[5, 4], mode="bicubic", align_corners=False, antialias=True)
        return y.mean((2, 3))


class Patches(nn.Module):
    """Patches cut out, mixed and put together again."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.unfold(x, 4, stride=4)
        y = nn.functional.fold(y.softmax(1), (16, 16), 4, stride=4)
        y = y.unfold(2, 4, 4).unfold(3, 4, 4).contiguous()
        return y.mean((2, 3)).flatten(1)


class Mixture(nn.Module):
    """The two best of four experts for each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 4)
        self.experts = nn.ModuleList(nn.Linear(6, 3) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, chosen = self.gate(x).softmax(-1).topk(2, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        every = torch.stack([e(x) for e in self.experts], 1)
        picked = every.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 3))
        scores: torch.Tensor = (picked * weights.unsqueeze(-1)).sum(1)
        return scores


def _images(*layers: nn.Module, channels: int = 3, size: int = 16) -> Callable[[], Made]:
    return lambda: (nn.Sequential(*layers).eval(), (torch.randn(2, channels, size, size),))


def _rows(*layers: nn.Module, shape: tuple[int, ...] = (6,)) -> Callable[[], Made]:
    return lambda: (nn.Sequential(*layers).eval(), (torch.randn(2, *shape),))


def _made(make: Callable[[], nn.Module], *shape: int) -> Made:
    return make().eval(), (torch.randn(shape),)


def _last(recurrent: Callable[..., nn.RNNBase], **settings: Any) -> nn.Module:
    return Last(recurrent(4, 6, batch_first=True, **settings))


def _quantised_last(recurrent: Callable[..., nn.RNNBase]) -> nn.Module:
    return _dynamic(_last(recurrent))


def _looped(loop: Callable[[Any], nn.Module], cell: nn.Module) -> nn.Module:
    return _dynamic(loop(cell))


def _bags(mode: str, tokens: torch.Tensor) -> Made:
    return Bags(mode).eval(), (tokens,)


def _activations() -> dict[str, Callable[[], Made]]:
    plain = """ReLU ReLU6 LeakyReLU ELU CELU SELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh Sigmoid Tanh Softplus
        Softsign LogSigmoid Softshrink Hardshrink Tanhshrink PReLU RReLU"""
    inplace = "ReLU ReLU6 LeakyReLU ELU CELU SELU SiLU Mish Hardswish Hardsigmoid Hardtanh RReLU"
    other = (nn.Softmax(1), nn.LogSoftmax(1), nn.Softmin(1), nn.GELU("tanh"), nn.Threshold(0.1, 0.0), nn.GLU())
    return {
        "activations": _rows(*(getattr(nn, name)() for name in plain.split())),
        "activations in place": _rows(*(getattr(nn, name)(inplace=True) for name in inplace.split())),
        "activations with settings": _rows(*other),
    }


def _own() -> dict[str, Callable[[], Made]]:
    tokens = torch.randint(1, 19, (2, 7))
    edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
    made: dict[str, Callable[[], Made]] = {
        **_activations(),
        "mlp": _rows(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)),
        "convolution 1d": _rows(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.MaxPool1d(2), shape=(4, 20)),
        "convolution 3d": _rows(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.AvgPool3d(2), shape=(1, 8, 8, 8)),
        "convolution same": _images(nn.Conv2d(3, 6, 3, padding="same", dilation=2, groups=3), nn.PixelShuffle(1)),
        "convolution valid": _images(nn.Conv2d(3, 6, 3, padding="valid", padding_mode="zeros")),
        "transposed 1d": _rows(nn.ConvTranspose1d(4, 6, 3, stride=2), shape=(4, 20)),
        "transposed 2d": _images(nn.ConvTranspose2d(3, 6, 3, stride=2, output_padding=1)),
        "transposed 3d": _rows(nn.ConvTranspose3d(1, 4, 3), shape=(1, 8, 8, 8)),
        **{
            f"padding {m}": _images(nn.Conv2d(3, 4, 3, padding=2, padding_mode=m))
            for m in ("reflect", "replicate", "circular")
        },
        "padding layers": _images(
            nn.ZeroPad2d(1),
            nn.ReflectionPad2d(2),
            nn.ReplicationPad2d(1),
            nn.ConstantPad2d(1, 2.0),
            nn.CircularPad2d(1),
        ),
        "pooling": _images(
            nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2, count_include_pad=False), nn.LPPool2d(2, 2)
        ),
        "adaptive": _images(nn.AdaptiveAvgPool2d((4, None)), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(12, 3)),
        "adaptive 1d": _rows(nn.AdaptiveAvgPool1d(4), nn.AdaptiveMaxPool1d(2), nn.LPPool1d(2, 2), shape=(4, 20)),
        "adaptive 3d": _rows(nn.MaxPool3d(2), nn.AdaptiveMaxPool3d(2), nn.AdaptiveAvgPool3d(1), shape=(1, 8, 8, 8)),
        "norms": _images(
            nn.GroupNorm(3, 3), nn.InstanceNorm2d(3, affine=True), nn.LocalResponseNorm(2), nn.LayerNorm([3, 16, 16])
        ),
        "norms of batches": _images(
            nn.BatchNorm2d(3, affine=False), nn.InstanceNorm2d(3), nn.BatchNorm2d(3, track_running_stats=False)
        ),
        "root mean squares": _rows(nn.RMSNorm(6), nn.Linear(6, 3)),
        "weight norm": lambda: (
            nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3))).eval(),
            (torch.randn(2, 6),),
        ),
        "spectral norm": lambda: (
            nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3))).eval(),
            (torch.randn(2, 6),),
        ),
        "orthogonal": lambda: (
            nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(6, 3))).eval(),
            (torch.randn(2, 6),),
        ),
        "bilinear": lambda: (nn.Bilinear(4, 5, 3).eval(), (torch.randn(2, 4), torch.randn(2, 5))),
        "distance": lambda: (nn.PairwiseDistance().eval(), (torch.randn(2, 4), torch.randn(2, 4))),
        "cosine": lambda: (nn.CosineSimilarity().eval(), (torch.randn(2, 4), torch.randn(2, 4))),
        "shuffles": _images(
            nn.PixelUnshuffle(2), nn.ChannelShuffle(3), nn.PixelShuffle(2), nn.Unflatten(1, (1, 3)), nn.Flatten()
        ),
        "dropouts": _images(nn.Dropout2d(), nn.AlphaDropout(), nn.FeatureAlphaDropout(), nn.Identity()),
        **{
            f"resized {m}": functools.partial(_made, functools.partial(Resized, m), 2, 3, 16, 16)
            for m in ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
        },
        "resized smooth": lambda: (Smooth().eval(), (torch.randn(2, 3, 16, 16),)),
        "upsampling": _images(
            nn.Upsample(scale_factor=2), nn.UpsamplingBilinear2d(scale_factor=2), nn.UpsamplingNearest2d(size=8)
        ),
        "upsampling 1d": _rows(nn.Upsample(scale_factor=2, mode="linear"), nn.Upsample(size=9), shape=(3, 8)),
        "upsampling 3d": _rows(nn.Upsample(scale_factor=2, mode="trilinear"), nn.Upsample(size=5), shape=(1, 4, 4, 4)),
        **{
            f"recurrent {k.__name__}": functools.partial(_made, functools.partial(_last, k), 2, 7, 4)
            for k in (nn.RNN, nn.LSTM, nn.GRU)
        },
        **{
            f"recurrent deep {k.__name__}": functools.partial(
                _made, functools.partial(_last, k, num_layers=2, bidirectional=True, dropout=0.1), 2, 7, 4
            )
            for k in (nn.RNN, nn.LSTM, nn.GRU)
        },
        "recurrent projected": lambda: (Projected().eval(), (torch.randn(2, 7, 4),)),
        "recurrent packed": lambda: (Packed().eval(), (torch.randn(2, 7, 4), torch.tensor([7, 4]))),
        "cell rnn": lambda: (Cell(nn.RNNCell(4, 6)).eval(), (torch.randn(2, 7, 4),)),
        "cell gru": lambda: (Cell(nn.GRUCell(4, 6)).eval(), (torch.randn(2, 7, 4),)),
        "cell lstm": lambda: (Long(nn.LSTMCell(4, 6)).eval(), (torch.randn(2, 7, 4),)),
        "attention": lambda: (Attention().eval(), (torch.randn(2, 5, 8),)),
        "attention masked": lambda: (Attention(masked=True, weights=True).eval(), (torch.randn(2, 5, 8),)),
        "attention causal": lambda: (Causal().eval(), (tokens,)),
        "encoder": lambda: (
            nn.Sequential(
                nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), nn.Flatten()
            ).eval(),
            (torch.randn(2, 5, 8),),
        ),
        "encoder gelu": lambda: (
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", norm_first=True), 1).eval(),
            (torch.randn(5, 2, 8),),
        ),
        "transformer": lambda: (
            nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval(),
            (torch.randn(2, 5, 8), torch.randn(2, 3, 8)),
        ),
        **{f"bags {m}": functools.partial(_bags, m, tokens) for m in ("sum", "mean", "max")},
        "bags by offsets": lambda: (Offsets().eval(), (tokens.flatten(), torch.tensor([0, 5]))),
        "words": lambda: (Words().eval(), (tokens,)),
        "spectrum": lambda: (Spectrum().eval(), (torch.randn(2, 400),)),
        "fourier": lambda: (Fourier().eval(), (torch.randn(2, 3, 16, 16),)),
        "graph": lambda: (Graph().eval(), (torch.randn(4, 5), edges)),
        "points": lambda: (Points().eval(), (torch.randn(2, 9, 3),)),
        "angles": lambda: (Normed().eval(), (torch.randn(2, 6),)),
        "functions": lambda: (Functions().eval(), (torch.randn(2, 6),)),
        "choices": lambda: (Choosing().eval(), (torch.randn(2, 6),)),
        "sampled": lambda: (Sampled().eval(), (torch.randn(2, 3, 16, 16),)),
        "patches": lambda: (Patches().eval(), (torch.randn(2, 3, 16, 16),)),
        "mixture": lambda: (Mixture().eval(), (torch.randn(2, 6),)),
        "half": lambda: (nn.Sequential(nn.Linear(6, 3)).half().eval(), (torch.randn(2, 6).half(),)),
        "quantised linear": lambda: (
            _dynamic(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))),
            (torch.randn(2, 6),),
        ),
        "quantised half": lambda: (_dynamic(nn.Sequential(nn.Linear(6, 3)), torch.float16), (torch.randn(2, 6),)),
        **{
            f"quantised {k.__name__}": functools.partial(_made, functools.partial(_quantised_last, k), 2, 7, 4)
            for k in (nn.LSTM, nn.GRU)
        },
        **{
            f"quantised {type(c).__name__}": functools.partial(_made, functools.partial(_looped, loop, c), 2, 7, 4)
            for c, loop in ((nn.LSTMCell(4, 6), Long), (nn.GRUCell(4, 6), Cell), (nn.RNNCell(4, 6), Cell))
        },
        "quantised images": lambda: (_static(Small()), (torch.randn(2, 3, 16, 16),)),
        "quantised sounds": lambda: (
            _static(
                nn.Sequential(
                    nn.Conv1d(3, 4, 3),
                    nn.BatchNorm1d(4),
                    nn.ReLU(),
                    nn.AdaptiveAvgPool1d(1),
                    nn.Flatten(),
                    nn.Linear(4, 3),
                ),
                (2, 3, 20),
            ),
            (torch.randn(2, 3, 20),),
        ),
    }
    return made


class Projected(nn.Module):
    """An LSTM with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 6, proj_size=3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, (state, _) = self.layer(x)
        scores: torch.Tensor = out[:, -1] + state[0]
        return scores


class Small(nn.Module):
    """What is usually quantised: convolutions, a skip, activations, pooling and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.Hardswish(), nn.Conv2d(8, 8, 1))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.head = nn.Sequential(nn.Linear(16, 12), nn.ReLU6(), nn.Dropout(0.2), nn.Linear(12, 3), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        y = torch.relu(y + self.second(y))
        y = nn.functional.max_pool2d(y * self.gate(y), 2)
        z = nn.functional.interpolate(y, scale_factor=2.0).mean((2, 3))
        scores: torch.Tensor = self.head(torch.cat([z, nn.functional.elu(y).mean([2, 3])], 1))
        return scores


def _dynamic(network: nn.Module, dtype: torch.dtype = torch.qint8) -> nn.Module:
    kinds = {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
    quantised: nn.Module = torch.ao.quantization.quantize_dynamic(network.eval(), kinds, dtype=dtype)
    return quantised


def _static(network: nn.Module, shape: tuple[int, ...] = (2, 3, 16, 16)) -> nn.Module:
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    example = torch.randn(shape)
    prepared = prepare_fx(network.eval(), get_default_qconfig_mapping("x86"), (example,))
    prepared(example)
    converted: nn.Module = convert_fx(prepared)
    return converted

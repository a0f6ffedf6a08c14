"""Which weights of a checkpoint are used, which masks are applied, and what is said of it."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.ao.pruning.sparsifier.weight_norm_sparsifier import WeightNormSparsifier
from torch.nn.utils import prune

from prune_audit.core import Assumption, ModelSource, Settings
from prune_audit.errors import ModelError, UsageError
from prune_audit.models import _unpickle, _weights, torch_save
from prune_audit.models._unpickle import Unused

SOURCE = ModelSource(name="m", path=Path("m.pth"), factory="nets:net")
State = dict[str, torch.Tensor]


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))


def state(seed: int = 0) -> State:
    torch.manual_seed(seed)
    network = net()
    network(torch.randn(8, 1, 4, 4))
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def mask(seed: int = 5) -> State:
    generator = torch.Generator().manual_seed(seed)
    return {n: (torch.rand(state()[n].shape, generator=generator) < 0.4).float() for n in ("0.weight", "3.weight")}


def prefixed(prefix: str, weights: State) -> State:
    return {prefix + name: value for name, value in weights.items()}


def fitted(content: object, key: str | None = None) -> tuple[State, tuple[Assumption, ...]]:
    module = net()
    said = _weights.fit(module, content, SOURCE, key)
    assert not module.training
    return dict(module.state_dict()), said


def assert_holds(content: object, wanted: State, key: str | None = None) -> Assumption | None:
    found, said = fitted(content, key)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, msg=name)
    return said[0] if said else None


# ------------------------------------------------------------------------------------------------ which entry


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "wrapped.net."])
def test_weights_alone_need_no_word(prefix: str) -> None:
    assert assert_holds(prefixed(prefix, state()), state()) is None


@pytest.mark.parametrize("path", ["model_state", "student", "my weights", "run.best", "fold.[0]"])
def test_the_entry_that_fits_is_taken_whatever_it_is_called(path: str) -> None:
    content: Any = state()
    for part in reversed(path.split(".")):
        content = [content] if part == "[0]" else {part: content, "epoch": 3, "log": [1.0, 2.0]}
    said = assert_holds({**content, "optimizer": {"state": {0: {"exp_avg": torch.ones(3, 1, 3, 3)}}}}, state())
    assert said is not None
    assert (said.subject, said.what, said.value, said.option) == ("m", "weights", path, "--state-key KEY")
    assert said.why == "the only weights that fit nets:net; not used: optimizer.state.[0].exp_avg"


def test_parts_of_a_network_in_entries_of_their_own_are_put_together() -> None:
    weights = state()
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = value
    assert assert_holds({**parts, "epoch": 1}, weights) is None


@pytest.mark.parametrize(
    "beside", ["criterion.weight", "train_acc.tp", "val_metrics.confmat", "ema_loss", "loss_fn.pos_weight", "head2.w"]
)
def test_what_stands_beside_the_network_does_not_stop_its_prefix(beside: str) -> None:
    content = {"state_dict": {**prefixed("model.", state()), beside: torch.ones(4)}, "global_step": 7}
    said = assert_holds(content, state())
    assert said is not None
    assert said.value == "state_dict behind 'model.'"
    assert said.why.endswith(f"not used: state_dict.{beside}")


def test_losses_stand_beside_a_network_without_a_prefix_too() -> None:
    said = assert_holds({**state(), "criterion.weight": torch.ones(4)}, state())
    assert said is not None
    assert said.why.endswith("not used: criterion.weight")
    with pytest.raises(ModelError, match=r"1 extra: 4\.weight"):
        fitted({**state(), "4.weight": torch.ones(4)})
    with pytest.raises(ModelError, match=r"in its entry state_dict: 1 extra: 4\.weight"):
        fitted({"state_dict": {**prefixed("model.", state()), "model.4.weight": torch.ones(4)}})


def test_a_weight_that_is_nan_is_the_same_as_itself() -> None:
    broken = state()
    next(iter(broken.values()))[0] = math.nan
    assert fitted(broken)
    assert fitted({"model": broken, "model_ema": {name: value.clone() for name, value in broken.items()}})
    with pytest.raises(ModelError, match="2 sets of weights that fit nets:net and differ"):
        fitted({"model": broken, "model_ema": state()})


@pytest.mark.parametrize(
    ("first", "second"),
    [("model", "model_ema"), ("state_dict", "state_dict_ema"), ("net", "teacher"), ("net", "best.ema")],
)
def test_of_two_sets_that_differ_none_is_chosen_silently(first: str, second: str) -> None:
    outer, _, inner = second.rpartition(".")
    averaged: Any = {inner: {**prefixed("module.", state(1)), "n_averaged": torch.tensor(3)}}
    content = {first: state(), **({outer: averaged} if outer else averaged)}
    with pytest.raises(
        ModelError, match=f"2 sets of weights that fit nets:net and differ: {first}, {second}"
    ) as caught:
        fitted(content)
    assert f"--state-key m={first} or --state-key m={second}" in caught.value.hint
    assert_holds(content, state(), key=first)
    said = assert_holds(content, state(1), key=second)
    assert said is not None
    assert said.why == f"as asked; not used: {first} (8 tensors)"
    assert_holds(content, state(1), key=second.rpartition(".")[2])


def test_two_sets_in_one_dict_are_told_apart_by_their_prefixes() -> None:
    content = {"state_dict": {**prefixed("model.", state()), **prefixed("ema_model.", state(1))}}
    with pytest.raises(ModelError, match=r"state_dict\.model, state_dict\.ema_model"):
        fitted(content)
    for key in ("ema_model", "state_dict.ema_model"):
        assert_holds(content, state(1), key=key)
    flat = {**state(), **prefixed("ema.", state(1))}
    with pytest.raises(ModelError, match=r"(?m)differ: \., ema$"):
        fitted(flat)
    assert_holds(flat, state(), key=".")
    assert_holds(flat, state(1), key="ema")


def test_equal_sets_are_one() -> None:
    said = assert_holds({"model": state(), "ema": {"module": state()}}, state())
    assert said is not None
    assert (said.value, said.why) == ("model", "equal to ema.module")
    counted = state() | {"1.num_batches_tracked": torch.tensor(99)}
    assert_holds({"model": state(), "ema": counted}, state())


def test_a_key_that_is_not_there_or_does_not_fit_is_refused() -> None:
    content = {"model": state(), "teacher": {"0.weight": torch.ones(2)}, "epoch": 2}
    with pytest.raises(UsageError, match="no entry 'best'") as caught:
        fitted(content, key="best")
    assert "model" in caught.value.hint
    with pytest.raises(ModelError, match=r"in its entry teacher: 8 missing.* 1 of another shape: 0\.weight"):
        fitted(content, key="teacher")


def test_what_means_nothing_in_a_format_is_refused(tmp_path: Path) -> None:
    from prune_audit import models

    (tmp_path / "p.csv").write_text("id,label,prediction\n1,a,a\n")
    with pytest.raises(UsageError, match="--state-key"):
        models.load(models.parse(str(tmp_path / "p.csv")), Settings(state_key=("p=ema",)))
    with pytest.raises(UsageError, match="--model-output"):
        models.load(models.parse(str(tmp_path / "p.csv")), Settings(model_output=("p=logits",)))


# ----------------------------------------------------------------------------------------------------- masks


def as_pruned(weights: State, masks: State) -> object:
    network = net()
    network.load_state_dict(weights)
    for name, each in masks.items():
        prune.custom_from_mask(network[int(name[0])], "weight", each)
    return network.state_dict()


def original(weights: State, masks: State) -> State:
    return {
        name.replace("weight", "parametrizations.weight.original") if name in masks else name: value
        for name, value in weights.items()
    }


def as_sparsified(weights: State, masks: State) -> object:
    """torch.ao keeps its masks in the sparsifier alone."""
    network = net()
    network.load_state_dict(weights)
    sparsifier = WeightNormSparsifier()
    sparsifier.prepare(network, [{"tensor_fqn": name} for name in masks])
    assert network.state_dict().keys() == original(weights, masks).keys()
    for name, each in masks.items():
        sparsifier.state[name]["mask"] = each
    return {"model": network.state_dict(), "sparsifier": sparsifier.state_dict()}


FORMS: dict[str, Callable[[State, State], object]] = {
    "torch.nn.utils.prune": as_pruned,
    "torch.ao": as_sparsified,
    "parametrizations": lambda w, m: {
        **original(w, m),
        **{f"{name[0]}.parametrizations.weight.0.mask": each for name, each in m.items()},
    },
    "a mask per weight": lambda w, m: {**w, **{f"{name}_mask": each for name, each in m.items()}},
    "a mask per layer": lambda w, m: {**w, **{f"{name[0]}.mask": each.bool() for name, each in m.items()}},
    "masks by parameter": lambda w, m: {"state_dict": w, "mask": m},
    "masks by layer": lambda w, m: {"state_dict": w, "masks": {name[0]: each for name, each in m.items()}},
    "masks without dots": lambda w, m: {"net": w, "masks": {n.replace(".", "_"): each for n, each in m.items()}},
    "masks that say so twice": lambda w, m: {"net": w, "masks": {f"{name}_mask": each for name, each in m.items()}},
    "masks of a wrapped network": lambda w, m: {"net": prefixed("module.", w), "mask": prefixed("module.", m)},
    "masks elsewhere": lambda w, m: {"net": w, "pruner": {"weight_masks": m, "rate": 0.6}},
    "masks in whole numbers": lambda w, m: {"net": w, "mask_dict": {n: each.to(torch.uint8) for n, each in m.items()}},
    "masks beside a half": lambda w, m: {
        "net": {f"{name}_orig" if name in m else name: value for name, value in w.items()},
        "mask": m,
    },
    "flat masks behind a prefix": lambda w, m: {**w, **prefixed("masks.", m)},
}


@pytest.mark.parametrize("form", FORMS)
def test_masks_beside_weights_are_applied(form: str) -> None:
    masks = mask()
    wanted = {name: value * masks.get(name, 1) for name, value in state().items()}
    said = assert_holds(FORMS[form](state(), masks), wanted)
    assert said is not None
    kept = int(sum(each.sum() for each in masks.values()))
    assert f"times 2 masks that keep {kept} of 75" in said.value


def test_masks_belong_to_the_weights_that_they_stand_beside() -> None:
    masks = mask()
    content = {"a": {"net": state(), "mask": masks}, "b": {"net": state(1), "mask": {"0.weight": torch.ones(3)}}}
    assert_holds(content, {name: value * masks.get(name, 1) for name, value in state().items()}, key="a")


def test_masks_of_channels_stretch_over_their_weights() -> None:
    channels = torch.tensor([1.0, 0, 1]).view(3, 1, 1, 1)
    wanted = state() | {"0.weight": state()["0.weight"] * channels}
    said = assert_holds({"model": state(), "mask": {"0.weight": channels}}, wanted)
    assert said is not None
    assert "times a mask that keeps 18 of 27 weights" in said.value


def test_a_network_with_masks_of_its_own_keeps_them() -> None:
    network, filled = net(), net()
    prune.random_unstructured(network[0], "weight", 0.5)
    prune.identity(filled[0], "weight")
    assert _weights.fit(filled, network.state_dict(), SOURCE, None) == ()
    torch.testing.assert_close(filled.state_dict()["0.weight_mask"], network.state_dict()["0.weight_mask"])


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"0.weight": torch.ones(3, 1, 3, 2)}, r"the mask mask\.0\.weight \(3, 1, 3, 2\) does not fit 0\.weight"),
        ({"0.weight": torch.ones(3)}, r"does not fit 0\.weight \(3, 1, 3, 3\)"),
        ({"0.weight": torch.full((3, 1, 3, 3), 0.5)}, "other values than 0 and 1"),
        ({"first": torch.ones(3, 1, 3, 3)}, "has the shape of a weight"),
        ({"0.weight": Unused()}, "no tensors"),
        ([torch.ones(3, 1, 3, 3)], "has the shape of a weight"),
        ({"0.weight": torch.ones(3, 1, 3, 3), "0": torch.zeros(3, 1, 3, 3)}, "differ"),
    ],
)
def test_a_mask_that_does_not_fit_is_an_error(masks: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fitted({"state_dict": state(), "mask": masks})


def test_a_mask_that_means_the_reverse_is_an_error() -> None:
    weights, masks = state(), mask()
    weights["3.weight"] *= masks["3.weight"]
    with pytest.raises(ModelError, match=r"leaves nothing of 3\.weight"):
        fitted({"state_dict": weights, "mask": {"3.weight": 1 - masks["3.weight"]}})


def test_half_a_weight_is_an_error() -> None:
    weights = state()
    weights["0.weight_orig"] = weights.pop("0.weight")
    with pytest.raises(ModelError, match=r"0\.weight_orig is the unmasked half of 0\.weight"):
        fitted(weights)
    with pytest.raises(ModelError, match=r"0\.parametrizations\.weight\.original is the unmasked half"):
        fitted(original(state(), mask()))


def test_quantised_weights_are_read(tmp_path: Path) -> None:
    weights: Any = state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to do without such tensors
        weights["3.weight"] = torch.quantize_per_channel(
            weights["3.weight"], torch.full((4,), 0.02), torch.zeros(4, dtype=torch.long), 0, torch.qint8
        )
        torch.save(weights, tmp_path / "q.pth")
    said = assert_holds(
        _unpickle.checkpoint(ModelSource(name="q", path=tmp_path / "q.pth")),
        {"3.weight": weights["3.weight"].dequantize()},
    )
    assert said is not None
    assert "1 of its tensors dequantised" in said.value


# ------------------------------------------------------------------------------------------------ whole networks


def test_of_two_pickled_networks_none_is_chosen_silently(tmp_path: Path) -> None:
    networks = [net(), net()]
    networks[1].load_state_dict(state(3))
    path = tmp_path / "m.pt"
    torch.save({"model": networks[0], "ema": networks[1], "criterion": nn.CrossEntropyLoss()}, path)
    source = ModelSource(name="m", path=path)
    with pytest.raises(ModelError, match="2 networks: model, ema") as caught:
        torch_save.load(source, Settings(allow_pickle=True))
    assert "--state-key m=model or --state-key m=ema" in caught.value.hint
    made = torch_save.load(source, Settings(allow_pickle=True, state_key=("m=ema",)))
    assert [each.value for each in made.assumptions] == ["ema"]
    x = np.ones((2, 1, 4, 4), np.float32)
    with torch.no_grad():
        wanted = networks[1].eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(made.predict({"x": x}), wanted, rtol=1e-5, atol=1e-6)  # another order of sums


def test_weights_of_a_network_that_is_not_known_are_told_from_what_wraps_them() -> None:
    masked: Any = as_pruned(state(), mask())
    found = _weights.alone({"state_dict": prefixed("module.", masked), "step": 3}, SOURCE)
    wanted = {name: value * mask().get(name, 1) for name, value in state().items()}
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())  # type: ignore[arg-type]
    kept = {"embeddings.mask_token": torch.ones(1, 1, 4), "w": torch.ones(2)}
    assert _weights.alone(kept, SOURCE).keys() == kept.keys()
    with pytest.raises(ModelError, match="several sets of weights: a, b"):
        _weights.alone({"a": state(), "b": state()}, SOURCE)


class Tiny(nn.Module):
    """A linear layer that torch quantises."""

    def __init__(self) -> None:
        super().__init__()
        self.quant = torch.ao.quantization.QuantStub()
        self.head = nn.Linear(6, 4)
        self.dequant = torch.ao.quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.dequant(self.head(self.quant(x)))
        return y


def quantised(seed: int, scale: float = 1.0) -> nn.Module:
    torch.manual_seed(seed)
    network = Tiny().eval()
    network.qconfig = torch.ao.quantization.get_default_qconfig("qnnpack")
    torch.ao.quantization.prepare(network, inplace=True)
    network(scale * torch.rand(20, 6))
    torch.ao.quantization.convert(network, inplace=True)
    return network


@pytest.mark.filterwarnings("ignore")  # torch means to do without such networks
def test_a_quantised_network_takes_in_what_quantised_networks_save(tmp_path: Path) -> None:
    saved, module = quantised(1), quantised(2, scale=7)
    torch.save({"net": saved.state_dict(), "epoch": 3}, tmp_path / "q.pth")
    said = _weights.fit(module, _unpickle.checkpoint(ModelSource(name="q", path=tmp_path / "q.pth")), SOURCE, None)
    inputs = torch.rand(9, 6)
    torch.testing.assert_close(module(inputs), saved(inputs), rtol=0, atol=0)
    assert [each.value for each in said] == ["net"]  # nothing was dequantised


@pytest.mark.filterwarnings("ignore")
def test_weights_that_a_quantised_network_cannot_read_are_an_error() -> None:
    with pytest.raises(ModelError, match=r"does not fit nets:net: .* missing: .*head\.scale"):
        _weights.fit(quantised(1), Tiny().state_dict(), SOURCE, None)


@pytest.mark.filterwarnings("ignore")
def test_sets_that_differ_in_what_quantised_layers_keep_together_differ() -> None:
    one = quantised(1).state_dict()
    other = dict(one)
    other["head._packed_params._packed_params"] = quantised(2).state_dict()["head._packed_params._packed_params"]
    with pytest.raises(ModelError, match="2 sets of weights that fit"):
        _weights.fit(quantised(3), {"model": one, "ema": other}, SOURCE, None)

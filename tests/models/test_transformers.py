"""Folders of transformers: what they declare, what does not fit, and that nothing in them runs."""

from __future__ import annotations

import json
import os
import pickle
import runpy
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prune_audit import models, plugins
from prune_audit.core import Input, ModelSource, Settings
from prune_audit.errors import MissingExtra, ModelError, UnsafeFile, UsageError
from prune_audit.nets.module import TorchClassifier
from tests.hugging_face import bert, resnet, save, vit


def load(path: Path, settings: Settings | None = None, factory: str | None = None) -> TorchClassifier:
    found = models.load(
        ModelSource(name="m", path=path, factory=factory),
        replace(settings or Settings(), isolate="never", runtime="own"),
    )
    assert isinstance(found, TorchClassifier)
    return found


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return save(vit(("cat", "dog", "eel")), tmp_path / "vit", size=16)


def change(path: Path, **fields: Any) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | fields))


def test_images(images: Path) -> None:
    found = load(images)
    assert [n for n, module in plugins.loaded("models") if module.recognises(images)] == ["transformers"]
    assert found.expects.inputs == (Input(name="pixel_values", dtype="float32", shape=(None, 3, None, None)),)
    assert (found.expects.channels, found.expects.outputs, found.expects.classes) == (3, 3, ("cat", "dog", "eel"))
    assert found.expects.preprocess == images / "preprocessor_config.json"
    assert found.expects.size is None  # which the preprocessing decides
    pixels = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)
    with torch.no_grad():
        expected = vit(("cat", "dog", "eel"))(torch.from_numpy(pixels)).logits
    np.testing.assert_allclose(found.predict({"x": pixels}), expected, atol=1e-6)
    assert found.card.format == "transformers"
    assert found.card.parameters == sum(p.numel() for p in vit().parameters())
    weights = load_file(images / "model.safetensors")
    counted = [name for name in weights if name.endswith("weight") and weights[name].ndim > 1]
    assert len(found.card.layers) == len(counted)
    assert sum(layer.total for layer in found.card.layers) == sum(weights[name].numel() for name in counted)
    assert found.notes == ()


def test_without_preprocessing_and_names(tmp_path: Path) -> None:
    found = load(save(vit(), tmp_path / "vit"))
    assert (found.expects.size, found.expects.preprocess, found.expects.classes) == ((16, 16), None, None)
    assert load(save(resnet(), tmp_path / "resnet")).expects.size is None


def test_texts(tmp_path: Path) -> None:
    path = save(bert(("neg", "pos")), tmp_path / "bert")
    found = load(path)
    assert [each.name for each in found.expects.inputs] == ["input_ids", "attention_mask", "token_type_ids"]
    assert {(each.dtype, each.shape) for each in found.expects.inputs} == {("int64", (None, None))}
    assert (found.expects.classes, found.expects.tokenizer, found.expects.preprocess) == (("neg", "pos"), None, None)
    (path / "tokenizer.json").write_text("{}")
    (path / "tokenizer_config.json").write_text('{"model_input_names": ["input_ids", "attention_mask", "other"]}')
    found = load(path)
    assert [each.name for each in found.expects.inputs] == ["input_ids", "attention_mask"]
    assert found.expects.tokenizer == path / "tokenizer.json"
    ids = np.array([[1, 2, 3], [4, 5, 0]])
    mask = np.array([[1, 1, 1], [1, 1, 0]])
    with torch.no_grad():
        expected = bert()(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
    np.testing.assert_allclose(found.predict({"input_ids": ids, "attention_mask": mask}), expected, atol=1e-6)


def test_shards_are_one_model(images: Path, tmp_path: Path) -> None:
    whole = load(images)
    weights = load_file(images / "model.safetensors")
    parts = [dict(list(weights.items())[at::2]) for at in range(2)]
    (images / "model.safetensors").unlink()
    names = [f"model-{at + 1:05d}-of-00002.safetensors" for at in range(2)]
    for name, part in zip(names, parts, strict=True):
        save_file(part, images / name)
    index = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    (images / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    found = load(images)
    assert found.card.layers == whole.card.layers
    before = found.card.digest
    save_file({**parts[1], "classifier.bias": torch.ones(3)}, images / names[1])
    assert load(images).card.digest != before
    (images / names[0]).unlink()
    with pytest.raises(ModelError, match=rf"lacks 1 of 2 files of weights, for one {names[0]}"):
        load(images)


def test_the_digest_is_of_configuration_and_weights(images: Path) -> None:
    before = load(images).card.digest
    change(images, layer_norm_eps=1e-3)
    assert load(images).card.digest != before


def test_masks_of_pruning_are_applied(images: Path) -> None:
    weights = load_file(images / "model.safetensors")
    weight = weights.pop("classifier.weight")
    mask = (torch.arange(weight.numel()).view_as(weight) % 4 == 0).float()
    save_file(
        {**weights, "classifier.weight_orig": weight, "classifier.weight_mask": mask}, images / "model.safetensors"
    )
    (layer,) = [each for each in load(images).card.layers if each.name == "classifier.weight"]
    assert (layer.nonzero, layer.total) == (12, 48)


def test_a_network_far_larger_than_its_weights_is_not_made(images: Path) -> None:
    change(images, hidden_size=16_000)  # more than 8 GB
    with pytest.raises(
        ModelError, match=r"(?m)describes a network of 2,05\d,\d\d\d,\d\d\d numbers, and its files hold \d,\d\d\d$"
    ):
        load(images)


def test_layers_without_end_are_not_made(images: Path) -> None:
    change(images, num_hidden_layers=2**31 - 1)  # which would take days
    with pytest.raises(ModelError, match=r"describes a network of more than \d,\d\d\d modules, and its files hold \d"):
        load(images)
    change(images, num_hidden_layers=1)
    assert load(images).card.layers


def test_weights_that_do_not_fit_are_never_made_up(images: Path) -> None:
    weights = load_file(images / "model.safetensors")
    save_file({**weights, "lora_A.weight": torch.zeros(2)}, images / "model.safetensors")
    assert load(images).notes == (f"weights in {images} that the network does not use: lora_A.weight",)
    save_file({**weights, "classifier.bias": torch.zeros(7)}, images / "model.safetensors")
    with pytest.raises(
        ModelError, match=r"do not fit ViTFor.*: 1 of another shape: classifier\.bias \(7,\) for \(3,\)"
    ):
        load(images)
    del weights["classifier.weight"]
    save_file(weights, images / "model.safetensors")
    with pytest.raises(ModelError, match=r"do not fit ViTForImageClassification: 1 missing: classifier\.weight"):
        load(images)
    whole = (images / "model.safetensors").read_bytes()
    (images / "model.safetensors").write_bytes(whole[:-50])
    with pytest.raises(ModelError, match="damaged or truncated safetensors"):
        load(images)
    (images / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights: expected model\.safetensors or pytorch_model\.bin, found conf"):
        load(images)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architectures": ["ViTModel"]}, "no classifier of images or texts: its architecture is ViTModel"),
        ({"architectures": None}, "its architecture is not named"),
        ({"problem_type": "multi_label_classification"}, "one class per sample, found multi_label_classification"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "is quantised"),
        ({"hidden_size": "wide"}, "cannot build ViTForImageClassification"),
    ],
)
def test_what_is_no_such_classifier(images: Path, fields: dict[str, Any], message: str) -> None:
    change(images, **fields)
    with pytest.raises(ModelError, match=message):
        load(images)


def test_what_the_library_does_not_have(images: Path) -> None:
    change(images, architectures=["NoSuchForImageClassification"])
    with pytest.raises(UnsafeFile, match="the architecture NoSuchForImageClassification is not among those"):
        load(images)
    with pytest.raises(ModelError, match="has no NoSuchForImageClassification"):
        load(images, Settings(allow_pickle=True))


def test_a_folder_of_timm_is_told_its_factory(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "resnet10t", "num_classes": 7}')
    with pytest.raises(ModelError, match="a folder of timm's") as caught:
        load(tmp_path)
    assert f'{tmp_path}/model.safetensors@timm:create_model("resnet10t", num_classes=7)' in caught.value.hint


def test_other_folders_and_factories(tmp_path: Path, images: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"name": "other"}')
    with pytest.raises(ModelError, match="is a folder, a model is a file or a folder of transformers"):
        load(tmp_path / "other")
    with pytest.raises(UsageError, match="holds its own network"):
        load(images, factory="nets:make")


# ------------------------------------------------------------------------------------------ nothing in it runs


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._marker),)


def test_pickled_weights_are_read_without_running_them(images: Path, marker: Path) -> None:
    expected = load(images).card.layers
    weights = load_file(images / "model.safetensors")
    (images / "model.safetensors").unlink()
    torch.save(weights, images / "pytorch_model.bin")
    assert load(images).card.layers == expected
    torch.save({**weights, "payload": Payload(marker)}, images / "pytorch_model.bin")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(images / "pytorch_model.bin", weights_only=True)
    with pytest.raises(UnsafeFile, match="would run code when it is loaded"):
        load(images)
    assert not marker.exists()
    load(images, Settings(allow_pickle=True))  # the payload works, where it may
    assert marker.exists()


def test_code_in_the_folder_never_runs(images: Path, marker: Path) -> None:
    code = f"import os\nos.mkdir({str(marker)!r})\n"
    code += "from transformers import ViTConfig, ViTForImageClassification\n"
    code += "class OwnConfig(ViTConfig): model_type = 'own'\n"
    code += "class Own(ViTForImageClassification): config_class = OwnConfig\n"
    (images / "modeling_own.py").write_text(code)
    change(
        images,
        model_type="own",
        auto_map={"AutoConfig": "modeling_own.OwnConfig", "AutoModelForImageClassification": "modeling_own.Own"},
    )
    for allowed in (False, True):
        with pytest.raises(UnsafeFile, match=r"needs code of its own \(modeling_own.OwnConfig, modeling_own.Own\)"):
            load(images, Settings(allow_pickle=allowed))
    assert not marker.exists()
    runpy.run_path(str(images / "modeling_own.py"))  # which is all it takes
    assert marker.exists()


def test_kernels_and_other_files_are_not_fetched_for_a_trusted_folder_either(images: Path) -> None:
    expected = load(images).card.layers
    change(
        images,
        attn_implementation="someone/kernels",
        transformers_weights="../elsewhere.safetensors",
        kernel_config={"kernel_mapping": {"Linear": "someone/kernels:Linear"}},
        _name_or_path="someone/else",
    )
    found = load(images, Settings(allow_pickle=True))
    assert found.card.layers == expected
    assert isinstance(found.module.config._attn_implementation, str)  # type: ignore[union-attr]  # a transformers model
    assert "someone" not in str(found.module.config.to_dict())  # type: ignore[union-attr, operator]  # as above


def test_loading_is_silent_and_offline(
    images: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants
    from transformers.utils import logging

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    before = logging.get_verbosity(), logging.is_progress_bar_enabled(), constants.HF_HUB_OFFLINE
    weights = load_file(images / "model.safetensors")
    save_file({**weights, "junk": torch.zeros(2)}, images / "model.safetensors")
    load(images)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled(), constants.HF_HUB_OFFLINE) == before


def test_the_missing_library_is_named(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match="transformers") as caught:
        load(images)
    assert caught.value.hint == "pip install 'prune-audit[transformers]'"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"architectures": 1e-12}, "architectures: expected a list of names, found 1e-12"),
        ({"architectures": [["ViTForImageClassification"]]}, "architectures: expected a list of names, found"),
        (["architectures"], "config.json: expected a JSON object, found list"),
        ('{"architectures": ' + "[" * 90_000, "cannot be read: values nested too deeply"),
        ('{"architectures": [], "architectures": []}', "'architectures' is there more than once"),
        ('{"architectures": ', "config.json cannot be read"),
    ],
)
def test_configurations_that_are_none(images: Path, content: Any, message: str) -> None:
    (images / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ModelError, match=message):
        load(images)


@pytest.mark.parametrize("names", [["input_ids", {"a": 1}], 3.5, {"input_ids": 0}])
def test_names_of_inputs_that_are_none(tmp_path: Path, names: object) -> None:
    path = save(bert(("neg", "pos")), tmp_path / "bert")
    (path / "tokenizer_config.json").write_text(json.dumps({"model_input_names": names}))
    with pytest.raises(ModelError, match="model_input_names: expected names of inputs, found"):
        load(path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "README.md"])
def test_links_to_devices_are_no_files_of_the_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(bert(("neg", "pos")), tmp_path / "bert")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/dev/null")
    opened: list[Path] = []
    whole = Path.open

    def noted(path: Path, *args: Any, **asked: Any) -> Any:
        opened.append(path)
        return whole(path, *args, **asked)

    monkeypatch.setattr(Path, "open", noted)
    if name == "config.json":
        assert plugins.choose("models", folder) is None
    else:
        models.load(ModelSource(name="m", path=folder), Settings())
    assert folder / name not in opened

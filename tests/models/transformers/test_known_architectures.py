"""Which architectures of transformers are built from a folder, and that no other one runs."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prune_audit import models
from prune_audit.core import ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile
from prune_audit.models.transformers import known_architectures
from tests.hugging_face import save, vit

# What makes a network lead elsewhere, looked for in the source of every architecture that is built.
_LEADING = re.compile(
    r"from_pretrained\(|\btorch\.(load|hub)\b|\bimportlib\b|\bhf_hub|load_backbone|\bAuto(Model|Config)\b[.(]|\btimm\b"
    r"|get_kernel|cpp_extension|subprocess|\bopen\(|\beval\([^)]|\bexec\(|pickle"
)
# ... and where it stands all the same: the adapters of speech in many languages, which are only loaded when asked for.
_ADAPTERS = "def load_adapter"


def folder(path: Path, **fields: Any) -> Path:
    """A folder of a vision transformer with ``fields`` in its configuration."""
    save(vit(("ash", "elm", "fir")), path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | fields))
    return path


def load(path: Path, *, trusted: bool = False) -> Any:
    return models.load(ModelSource(name="m", path=path), Settings(allow_pickle=trusted, isolate="never", runtime="own"))


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._marker),)


@pytest.fixture
def wrapper(monkeypatch: pytest.MonkeyPatch) -> str:
    """An architecture of the library's that asks another library for a checkpoint, as its wrapper of timm does."""
    import transformers

    library: Any = transformers

    class WrapperForImageClassification(library.ViTForImageClassification):  # type: ignore[misc]  # it annotates little
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if (arguments := getattr(config, "model_args", None)) and "checkpoint_path" in arguments:
                torch.load(arguments["checkpoint_path"], weights_only=False)

    # The library puts another module in its own place while it is imported.
    module = sys.modules["transformers"]
    monkeypatch.setattr(module, "WrapperForImageClassification", WrapperForImageClassification, raising=False)
    return "WrapperForImageClassification"


def test_an_architecture_that_unpickles_a_checkpoint_is_not_built(tmp_path: Path, marker: Path, wrapper: str) -> None:
    extra = tmp_path / "extra.bin"
    torch.save({"state_dict": {}, "x": Payload(marker)}, extra)
    path = folder(tmp_path / "m", architectures=[wrapper], model_args={"checkpoint_path": str(extra)})
    with pytest.raises(UnsafeFile, match=rf"the architecture {wrapper} is not among those that were read") as caught:
        load(path)
    assert "--allow-pickle" in caught.value.hint
    assert not marker.exists()
    load(path, trusted=True)  # the payload works, where it may
    assert marker.exists()


def test_the_wrapper_of_timm_is_refused_before_it_is_imported(tmp_path: Path) -> None:
    path = folder(
        tmp_path / "m",
        architectures=["TimmWrapperForImageClassification"],
        model_type="timm_wrapper",
        architecture="resnet10t",
        model_args={"checkpoint_path": "extra.bin"},
    )
    with pytest.raises(UnsafeFile, match="the architecture TimmWrapperForImageClassification is not among"):
        load(path)
    assert "transformers.models.timm_wrapper.modeling_timm_wrapper" not in sys.modules


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attn_implementation", "someone/kernels"),
        ("attn_implementation", {"": "someone/kernels"}),
        ("experts_implementation", "someone/kernels"),
        ("kernel_config", {"kernel_mapping": {"Linear": "someone/kernels:Linear"}}),
        ("transformers_weights", "../elsewhere.safetensors"),
        ("backbone", "resnet50"),
        ("use_timm_backbone", True),
        ("use_pretrained_backbone", True),
        ("checkpoint_path", "extra.bin"),
        ("fusion_config", {"patch_embeddings": True}),
    ],
)
def test_fields_that_lead_elsewhere_are_refused(tmp_path: Path, field: str, value: Any) -> None:
    with pytest.raises(UnsafeFile, match=f"the field {field} leads elsewhere"):
        load(folder(tmp_path / "m", **{field: value}))
    load(folder(tmp_path / "empty", **{field: type(value)()}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": "save"}, "expected a type of floats as dtype, found 'save'"),
        ({"torch_dtype": "hub"}, "expected a type of floats as torch_dtype, found 'hub'"),
        ({"hidden_act": {"name": "gelu"}}, "expected numbers, texts or lists of them as hidden_act"),
        ({"id2label": {"0": {"a": [{}]}}}, None),
        ({"per_layer_config": {"0": {"hidden_size": 8}}}, "reads per_layer_config"),
        ({"sub_configs_defaults": {"a": "b"}}, "reads sub_configs_defaults"),
    ],
)
def test_values_of_another_kind_are_refused(tmp_path: Path, fields: dict[str, Any], message: str | None) -> None:
    with pytest.raises(UnsafeFile if message else ModelError, match=message):
        load(folder(tmp_path / "m", **fields))


def test_what_nobody_reads_does_not_reach_the_library(tmp_path: Path) -> None:
    plain = load(folder(tmp_path / "plain"))
    found = load(
        folder(
            tmp_path / "m",
            attn_implementation="sdpa",
            torch_dtype="float32",
            finetuning_task="trees",
            adapters={"adapters": {}, "config_map": {}},
            _name_or_path="someone/else",
        )
    )
    config = found.module.config.to_dict()
    assert not {"finetuning_task", "adapters", "attn_implementation"} & set(config)
    assert "someone" not in str(config)
    assert found.card.layers == plain.card.layers
    pixels = np.random.default_rng(3).normal(size=(2, 3, 16, 16)).astype(np.float32)
    np.testing.assert_array_equal(found.predict({"x": pixels}), plain.predict({"x": pixels}))


def test_an_adapter_is_not_left_out_silently(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    (path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ModelError, match=r"holds an adapter \(adapter_config.json\)") as caught:
        load(path)
    assert "merge_and_unload" in caught.value.hint


@pytest.mark.parametrize("name", sorted(known_architectures.ARCHITECTURES))
def test_each_architecture_reads_known_fields_and_leads_nowhere(name: str) -> None:
    import transformers

    maker: Any = getattr(transformers, name)
    kinds, known = [maker.config_class], set(known_architectures.FIELDS)
    source = inspect.getsource(sys.modules[maker.__module__])
    for kind in kinds:
        kinds += [spec.config_class for spec in kind.sub_configs_defaults.values()]
        assert all(issubclass(kind, transformers.PreTrainedConfig) for kind in kinds)
        names = {field.name for field in dataclasses.fields(kind)} | set(kind.attribute_map)
        # What a configuration is given as its library writes it, and ESM's folding of proteins.
        assert {each for each in names if not each.startswith("_")} <= known
        source += inspect.getsource(sys.modules[kind.__module__])
    source = re.sub(r'r?"""[\s\S]*?"""', "", source)
    source = re.sub(rf"    {_ADAPTERS}[\s\S]*?\n    def ", "", source)
    lines = [line.strip() for line in source.splitlines() if not re.match(r'\s*(f?"|#|raise |logger)', line)]
    assert [line for line in lines if _LEADING.search(line.partition("#")[0])] == []

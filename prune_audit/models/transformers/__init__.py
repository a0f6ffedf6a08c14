"""A folder of Hugging Face's transformers that classifies images or texts: config.json and model.safetensors.

Both models and data of the field come in such folders, which say by themselves what is else asked of people: the names
of the classes, in the order of the outputs, and how images and texts become inputs.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from prune_audit.core import Expects, Input, ModelSource, Settings
from prune_audit.errors import ModelError, UnsafeFile
from prune_audit.evaluate.model_output import of
from prune_audit.files import on_disk, parse, regular
from prune_audit.models import _classes
from prune_audit.models._factory import refuse_factory
from prune_audit.models.transformers import pretrained
from prune_audit.nets.editable import Editable, of_torch
from prune_audit.nets.module import TorchClassifier, dtype_of, layers, parameters, uncounted

RUNTIME = ("torch", "transformers")
"""What runs such a file, which holds a program: it is loaded in a worker, which imports this."""

_CONFIG = "config.json"
_IMAGES, _TEXTS = "ForImageClassification", "ForSequenceClassification"
_SHOWN = 3


def recognises(path: Path) -> bool:
    """Whether ``path`` is a folder whose config.json names an architecture; runs nothing."""
    try:
        text = regular.text(path / _CONFIG)
    except (OSError, ValueError):
        return False
    return any(f'"{key}"' in text for key in ("architectures", "architecture", "model_type"))


def load(source: ModelSource, settings: Settings) -> TorchClassifier:
    """The network in the folder at ``source``, with the names of its classes and the files that make its inputs.

    Raises:
        UnsafeFile: it needs code of its own, which never runs; or its architecture or a field of its configuration
            may do more than compute, or its weights are a pickle that would run code, and ``settings.allow_pickle``
            is off.
        ModelError: it is no classifier of images or texts, is quantised, has an adapter, or its weights are broken or
            do not fit.
        MissingExtra: transformers is not installed.
    """
    refuse_factory(source)
    path = source.path
    config = _config(path / _CONFIG)
    name = _architecture(path, config)
    if own := _own_code(config):
        raise UnsafeFile(
            f"{path} needs code of its own ({own}), which is not run",
            hint="export the model to ONNX, or save its state dict and name a function that builds it: "
            "WEIGHTS@package.module:factory",
        )
    pretrained.refuse_adapter(path)
    files = pretrained.files_of(path)
    weights = pretrained.read(files, source, settings)
    network, unused = pretrained.built(name, config, weights, path, trusted=settings.allow_pickle)
    card = on_disk.card(
        source,
        path / _CONFIG,
        *files,
        form="transformers",
        layers=layers(network),
        parameters=parameters(network),
        uncounted=uncounted(network),
    )
    expects = _expects(path, network, images=_IMAGES in name)
    classifier = TorchClassifier(
        network, card, expects, settings.device, threads=settings.threads, outputs=of(source, settings)
    )
    if unused:
        more = ", ..." if len(unused) > _SHOWN else ""
        classifier.notes = (f"weights in {path} that the network does not use: {', '.join(unused[:_SHOWN])}{more}",)
    return classifier


def editable(source: ModelSource, settings: Settings) -> Editable:
    """The network at ``source``, to be written as another folder. Raises as `load`."""
    classifier = load(source, settings)
    return of_torch(classifier, partial(_write, classifier, source.path))


def _write(classifier: TorchClassifier, source: Path, path: Path) -> None:
    """Configuration and weights by the library, and what else lies in the folder at ``source``: it makes the inputs."""
    weights = {file.name for file in pretrained.files_of(source)}
    pretrained.save(classifier.module, path)
    for file in source.iterdir():
        if file.is_file() and file.name not in weights and not (path / file.name).exists():
            shutil.copyfile(file, path / file.name)


def _config(file: Path) -> dict[str, Any]:
    """The configuration in ``file``, as far as it is read here; the library says what is wrong with the rest."""
    hint = "copy or save the model again"
    try:
        config = parse.json(regular.text(file), finite=False)
    except (OSError, ValueError) as fault:
        raise ModelError(f"{file} cannot be read: {fault}", hint=hint) from fault
    if not isinstance(config, dict):
        raise ModelError(f"{file}: expected a JSON object, found {type(config).__name__}", hint=hint)
    names = config.get("architectures")
    if not (names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names))):
        raise ModelError(f"{file}: architectures: expected a list of names, found {repr(names)[:60]}", hint=hint)
    return config


def _architecture(path: Path, config: Mapping[str, Any]) -> str:
    """The class of the network, by the names that the configuration gives."""
    names: list[str] = config.get("architectures") or []
    found = next((name for name in names if _IMAGES in name or _TEXTS in name), None)
    if found is None and "architecture" in config:
        count = config.get("num_classes", 1000)
        raise ModelError(
            f"{path} is a folder of timm's, not of transformers'",
            hint=f'name its factory: \'{path / "model.safetensors"}@timm:create_model("{config["architecture"]}", '
            f"num_classes={count})'",
        )
    if found is None:
        raise ModelError(
            f"{path} is no classifier of images or texts: its architecture is {', '.join(names) or 'not named'}",
            hint=f"expected is an architecture called ...{_IMAGES} or ...{_TEXTS} in {_CONFIG}; export others to ONNX",
        )
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise ModelError(
            f"{path}: expected a classifier with one class per sample, found {config['problem_type']}",
            hint="audited are models that choose one class of several",
        )
    if "quantization_config" in config:
        raise ModelError(
            f"{path} is quantised, which needs libraries beside transformers", hint="export the model to ONNX"
        )
    return found


def _own_code(config: Mapping[str, Any]) -> str | None:
    """What the configuration would load from code in the folder or elsewhere; None where there is nothing."""
    for key, value in config.items():
        if key == "auto_map":
            return ", ".join(map(str, value.values())) if isinstance(value, dict) else str(value)
        if isinstance(value, dict) and (found := _own_code(value)):
            return found
    return None


def _expects(path: Path, network: Any, *, images: bool) -> Expects:
    config = network.config
    named = _classes.names({"id2label": config.id2label}, config.num_labels)
    # What the library fills in where nobody named the classes.
    classes = None if named == tuple(f"LABEL_{at}" for at in range(config.num_labels)) else named
    if not images:
        return Expects(
            inputs=tuple(Input(name=name, dtype="int64", shape=(None, None)) for name in _text_inputs(path, network)),
            outputs=config.num_labels,
            classes=classes,
            tokenizer=_there(path / "tokenizer.json"),
        )
    channels, size = getattr(config, "num_channels", None), getattr(config, "image_size", None)
    if not (channels is None or (type(channels) is int and channels > 0)):
        raise ModelError(
            f"{path / _CONFIG}: num_channels: expected a number of channels, found {repr(channels)[:60]}",
            hint="copy or save the model again",
        )
    preprocess = _there(path / "preprocessor_config.json")
    return Expects(
        inputs=(Input(name=network.main_input_name, dtype=dtype_of(network), shape=(None, channels, None, None)),),
        channels=channels,
        # Of two sizes, that of the preprocessing is the one that the model is used with.
        size=None if preprocess or not isinstance(size, int) else (size, size),
        outputs=config.num_labels,
        classes=classes,
        preprocess=preprocess,
    )


def _text_inputs(path: Path, network: Any) -> list[str]:
    """The inputs that the tokenizer is to make: those it says, else the usual ones, of those that the network takes."""
    told_in = path / "tokenizer_config.json"
    try:
        found = parse.json(regular.text(told_in), finite=False) if told_in.is_file() else None
    except (OSError, ValueError):
        found = None  # which the tokenizer says, where it is one
    told = found.get("model_input_names") if isinstance(found, dict) else None
    if not (told is None or (isinstance(told, list) and all(isinstance(name, str) for name in told))):
        raise ModelError(
            f"{path / 'tokenizer_config.json'}: model_input_names: expected names of inputs, found {repr(told)[:60]}",
            hint="copy or save the tokenizer again",
        )
    types = ["token_type_ids"] if (getattr(network.config, "type_vocab_size", None) or 0) > 1 else []
    taken = inspect.signature(network.forward).parameters
    return [name for name in told or ["input_ids", "attention_mask", *types] if name in taken]


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None

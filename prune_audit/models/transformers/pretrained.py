"""The network of a transformers folder, built by that library from what is read here.

The library knows hundreds of architectures, and the older names of their weights. Left to itself it would also
unpickle, look for what is missing elsewhere, and run code that a folder names. So only architectures that were read are
built (`prune_audit.models.transformers.known_architectures`), from the fields that these read, and with the weights as
tensors. The library makes up at random what a file lacks, and only logs that; here it is an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prune_audit.core import ModelSource, Settings
from prune_audit.errors import MissingExtra, ModelError, UnsafeFile
from prune_audit.files import parse, regular
from prune_audit.models import _unpickle, _weights
from prune_audit.models.transformers import known_architectures

if TYPE_CHECKING:
    import torch

_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_ADAPTER = "adapter_config.json"
# Fields that name kernels to download, code to put in, or other files: not read even where a folder is trusted.
_ELSEWHERE = ("attn_implementation", "experts_implementation", "fusion_config", "kernel_config", "transformers_weights")
_VERSION = "install the version of transformers that saved the model (transformers_version in config.json)"
_SHOWN = 3
_BOTH = "save both with save_pretrained; a pruned network whose layers became smaller is exported to ONNX"
_MODULES = 20  # for each weight, and for a hundred more, where the library's networks have two or three
_TABLES = 50_000_000  # numbers that an architecture may work out for itself, such as those of positions


def files_of(path: Path) -> list[Path]:
    """The files of weights: safetensors before pickles, as transformers has it."""
    for name in (_SAFE, _PICKLED):
        if (path / name).is_file():
            return [path / name]
        index = path / f"{name}.index.json"
        if index.is_file():
            try:
                parts = sorted(set(parse.json(regular.text(index))["weight_map"].values()))
                files = [path / Path(part).name for part in parts]
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
                raise ModelError(f"{index} is damaged: {fault!r}", hint="copy or save the model again") from fault
            if gone := [file for file in files if not file.is_file()]:
                raise ModelError(
                    f"{path} lacks {len(gone)} of {len(files)} files of weights, for one {gone[0].name}",
                    hint="copy or download the others",
                )
            return files
    found = ", ".join(sorted(each.name for each in path.iterdir())[:6])
    raise ModelError(
        f"{path} holds no weights: expected {_SAFE} or {_PICKLED}, found {found}",
        hint="save the model with save_pretrained; files of TensorFlow and Flax are not read",
    )


def read(files: Sequence[Path], source: ModelSource, settings: Settings) -> dict[str, object]:
    """The tensors of all ``files``, without what training wrapped them in."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights: dict[str, object] = {}
    for file in files:
        try:
            weights |= load_file(file) if file.suffix == ".safetensors" else _unpickled(file, source, settings)
        except SafetensorError as fault:
            raise ModelError(
                f"{file} is a damaged or truncated safetensors file: {fault}", hint="copy or save the file again"
            ) from fault
    return _weights.alone(weights, source)


def _unpickled(file: Path, source: ModelSource, settings: Settings) -> dict[str, object]:
    import torch

    try:
        content = _unpickle.checkpoint(ModelSource(name=source.name, path=file))
    except UnsafeFile:
        if not settings.allow_pickle:
            raise
        content = torch.load(file, map_location="cpu", weights_only=False)
    return _weights.alone(content, ModelSource(name=source.name, path=file))


def built(
    name: str, config: Mapping[str, Any], weights: Mapping[str, object], path: Path, *, trusted: bool
) -> tuple[torch.nn.Module, list[str]]:
    """The network called ``name`` with its weights, and the names of those that it has no use for.

    Raises:
        UnsafeFile: nobody read what ``name`` or a field of ``config`` does, and the folder is not ``trusted``.
        ModelError: the library has no such network or cannot build it, or the weights do not fit.
    """
    with _quiet() as library:
        # First of all, since to look a name up imports what it is made of.
        if not trusted and (what := known_architectures.objection(name, config)):
            raise _unsafe(path, what)
        maker: Any = getattr(library, name, None)
        known = inspect.isclass(maker) and issubclass(maker, library.PreTrainedModel)
        if not known:
            raise ModelError(f"{path}: transformers {library.__version__} has no {name}", hint=_VERSION)
        if not trusted and (key := known_architectures.unread(config, maker.config_class)):
            raise _unsafe(path, f"{maker.config_class.__name__} of transformers {library.__version__} reads {key}")
        try:
            made = maker.config_class.from_dict(_trusted(config) if trusted else known_architectures.plain(config))
            if not trusted:  # else nobody knows what building does, and it is done once
                _refuse_excess(maker, made, weights, path)
            network, report = maker.from_pretrained(
                None, config=made, state_dict=dict(weights), output_loading_info=True, ignore_mismatched_sizes=True
            )
        except ModelError:
            raise
        # The library builds hundreds of architectures from what a file says.
        except Exception as fault:
            lines = str(fault).strip().splitlines() or [type(fault).__name__]
            raise ModelError(
                f"{path}: transformers {library.__version__} cannot build {name}: {lines[0]}",
                hint=_VERSION,
            ) from fault
    shapes = [f"{key} {tuple(saved)} for {tuple(built)}" for key, saved, built in sorted(report["mismatched_keys"])]
    problems = [("missing", sorted(report["missing_keys"])), ("of another shape", shapes)]
    told = [f"{len(found)} {what}: {', '.join(found[:_SHOWN])}" for what, found in problems if found]
    if told:
        raise ModelError(
            f"{path}: the weights do not fit {name}: {'; '.join(told)}",
            hint="transformers would make them up at random; save the model with save_pretrained, and where channels "
            "were pruned away so that config.json does not describe it any more, export it to ONNX",
        )
    return network, sorted(report["unexpected_keys"])


def _refuse_excess(maker: Any, config: Any, weights: Mapping[str, object], path: Path) -> None:
    """Raise `ModelError` where a network is far larger than its ``weights``: memory would be full of what is made up.

    What is only somewhat larger lacks single weights, and the library says which.
    """
    import torch
    from torch.nn.modules import module

    held = sum(each.numel() for each in weights.values() if isinstance(each, torch.Tensor))
    layers = 0

    def count(*_: object) -> None:
        """Modules come one by one, so that this ends where there are two billion."""
        nonlocal layers
        layers += 1
        if layers > _MODULES * (len(weights) + 100):
            raise ModelError(
                f"{path}: config.json describes a network of more than {layers:,} modules, and its files hold "
                f"{len(weights):,} weights",
                hint=_BOTH,
            )

    counting = module.register_module_module_registration_hook(count)
    try:
        with torch.device("meta"):  # where tensors have shapes and no memory
            outline = maker(config)
    finally:
        counting.remove()
    needed = sum(each.numel() for each in (*outline.parameters(), *outline.buffers()))
    if needed > 2 * held + _TABLES:
        raise ModelError(
            f"{path}: config.json describes a network of {needed:,} numbers, and its files hold {held:,}", hint=_BOTH
        )


def save(network: Any, path: Path) -> None:
    """Write ``network`` as a folder, by the library's own means.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors import SafetensorError

    with _quiet():
        try:
            network.save_pretrained(path)
        except SafetensorError as fault:
            raise OSError(str(fault)) from fault


def refuse_adapter(path: Path) -> None:
    """Raise `ModelError` where the folder holds an adapter, which the library would add to the weights."""
    if (path / _ADAPTER).is_file():
        raise ModelError(
            f"{path} holds an adapter ({_ADAPTER}), which is not added to the weights here",
            hint="add it with peft's merge_and_unload and save the result, or remove its files to audit the model "
            "without it",
        )


def _unsafe(path: Path, what: str) -> UnsafeFile:
    return UnsafeFile(
        f"{path} was not loaded because it could do more than compute: {what}",
        hint="export the model to ONNX, or give --allow-pickle if you trust the folder",
    )


def _trusted(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` without the fields that would bring in code or files from elsewhere."""
    return {
        key: _trusted(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if not key.startswith("_") and key not in _ELSEWHERE
    }


@contextmanager
def _quiet() -> Iterator[Any]:
    """The library, which neither logs, nor shows its progress, nor asks the network meanwhile."""
    try:
        import transformers
        from huggingface_hub import constants
    except ImportError as fault:
        raise MissingExtra(
            f"a folder of transformers is loaded by that library, which is not there: {fault}",
            hint="pip install 'prune-audit[transformers]'",
        ) from fault
    library: Any = transformers  # annotates only a part of itself
    logging = library.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled(), constants.HF_HUB_OFFLINE
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    constants.HF_HUB_OFFLINE = True
    try:
        yield library
    finally:
        logging.set_verbosity(before[0])
        if before[1]:
            logging.enable_progress_bar()
        constants.HF_HUB_OFFLINE = before[2]

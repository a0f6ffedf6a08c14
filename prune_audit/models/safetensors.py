"""safetensors: weights and nothing else, so an architecture must be named beside them.

The format holds no code by design (huggingface/safetensors). The network runs in the types that its factory gives
it: bfloat16 and float16 weights are cast as they are copied, as ``load_state_dict`` does.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prune_audit.core import ModelCard, ModelSource, Settings, chosen
from prune_audit.errors import ModelError
from prune_audit.models import _bare, _checkpoint, _factory, _weights
from prune_audit.nets.editable import Editable, of_torch, state
from prune_audit.nets.module import TorchClassifier

if TYPE_CHECKING:
    import torch

# The safetensors library reads no longer headers.
_LONGEST_HEADER = 100_000_000

STATE_KEYS = True
"""Files of this format may hold several sets of weights."""


def recognises(path: Path) -> bool:
    """Whether ``path`` begins with the length of a header, as 8 bytes, little-endian, and the header's ``{``."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= _LONGEST_HEADER


def load(source: ModelSource, settings: Settings) -> TorchClassifier:
    """The weights at ``source`` within the network of its factory.

    Raises:
        ModelError: there is no factory, the file is damaged, or the weights do not fit.
        UsageError: the factory is none.
    """
    if source.factory is None:
        raise ModelError(
            f"{source.path} holds weights without the network they belong to",
            hint=f"name a function that builds it: {source.path}@package.module:factory, "
            f"or with arguments '{source.path}@package.module:factory(num_classes=10)'",
        )
    weights, metadata = _read(source)
    module, reads = _factory.watched(source.factory)
    assumed = _weights.fit(module, weights, source, chosen(settings.state_key, source.name)) + _factory.assumed(source)
    return _checkpoint.classifier(
        module, source, settings, form="safetensors", metadata=metadata, reads=reads, assumed=assumed
    )


def bare(source: ModelSource, settings: Settings) -> ModelCard | None:
    """The card of weights that came without a factory; None where there is one.

    Raises:
        ModelError: the file is damaged, or holds no weights of layers.
        UsageError: it has not the entry that was asked for.
    """
    if source.factory is not None:
        return None
    weights, _ = _read(source)
    return _bare.card(weights, source, form="safetensors", key=chosen(settings.state_key, source.name))


def _read(source: ModelSource) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(source.path, framework="pt", device="cpu") as file:
            metadata: dict[str, object] = dict(file.metadata() or {})
            return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118 - the file is no mapping
    except SafetensorError as fault:
        raise ModelError(
            f"{source.path} is a damaged or truncated safetensors file: {fault}", hint="copy or save the file again"
        ) from fault


def editable(source: ModelSource, settings: Settings) -> Editable:
    """The network at ``source``, to be written again with the metadata that the file has. Raises as `load`."""
    from safetensors import safe_open

    classifier = load(source, settings)
    with safe_open(source.path, framework="pt", device="cpu") as file:
        metadata = dict(file.metadata() or {})
    return of_torch(classifier, partial(_write, classifier, metadata))


def _write(classifier: TorchClassifier, metadata: dict[str, str], path: Path) -> None:
    from safetensors.torch import save

    path.write_bytes(save(state(classifier), metadata))  # the library's own errors of a full disk are no OSError

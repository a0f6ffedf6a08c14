"""Files of torch.save: state dicts, which need an architecture, and whole pickled modules, which need permission.

A state dict is read by torch's restricted unpickler, so nothing in it runs. A whole module is a program: it is
refused before anything is loaded, unless the audit was allowed to run it. Both containers are read, the zip archive
and the plain pickles that torch wrote before version 1.6.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prune_audit.core import Assumption, ModelCard, ModelSource, Settings, chosen
from prune_audit.errors import ModelError, UnsafeFile, UsageError
from prune_audit.models import _bare, _checkpoint, _container, _factory, _tree, _unpickle, _weights
from prune_audit.nets import serialised
from prune_audit.nets.editable import Editable, of_torch, state
from prune_audit.nets.module import TorchClassifier

if TYPE_CHECKING:
    import torch

# Before the pickle of the object, the plain format has one each of a magic number, a version and the byte order.
_PICKLES_BEFORE = 3

STATE_KEYS = True
"""Files of this format may hold several sets of weights."""


def recognises(path: Path) -> bool:
    """Whether ``path`` is a zip archive with a lone ``data.pkl``, as torch.save writes it, or begins as a pickle."""
    if not path.is_file():
        return False
    records = _container.names(path)
    if records:
        return "data.pkl" in records and not any(_of_a_program(record) for record in records)
    with path.open("rb") as file:
        return _is_pickle(file.read(2))


def load(source: ModelSource, settings: Settings) -> TorchClassifier:
    """The network at ``source``: a state dict within its factory's network, or a whole module where pickle is allowed.

    The network runs in the types that its factory gives it, whatever the checkpoint's own are.

    Raises:
        UnsafeFile: the file would run code, and ``settings.allow_pickle`` is off.
        ModelError: the file is damaged, holds no weights, or does not fit; or a state dict came without a factory.
        UsageError: the factory is none.
    """
    content = _content(source, settings.allow_pickle)
    key = chosen(settings.state_key, source.name)
    if source.factory is not None:
        if not _weights.holds(content, source):
            raise ModelError(
                f"{source.path}: expected the weights of a network, found {_found(content)}",
                hint="save the network with torch.save(model.state_dict(), path)",
            )
        module, reads = _factory.watched(source.factory)
        assumed = _weights.fit(module, content, source, key) + _factory.assumed(source)
    else:
        module, assumed = _module(content, source, key)
        reads = ()
    metadata = {str(k): v for k, v in content.items()} if isinstance(content, Mapping) else {}
    return _checkpoint.classifier(
        module, source, settings, form="torch.save", metadata=metadata, reads=reads, assumed=assumed
    )


def bare(source: ModelSource, settings: Settings) -> ModelCard | None:
    """The card of a state dict that came without a factory; None where there is a network, or nothing of the kind.

    Raises:
        UnsafeFile, ModelError: as `load`; or it holds several sets of weights that differ.
        UsageError: it has not the entry that was asked for.
    """
    if source.factory is not None:
        return None
    content = _content(source, settings.allow_pickle)
    if next(_modules(content, ""), None) is not None or not _weights.holds(content, source):
        return None
    return _bare.card(content, source, form="torch.save", key=chosen(settings.state_key, source.name))


def editable(source: ModelSource, settings: Settings) -> Editable:
    """The network at ``source``, to be written again: as a state dict where it has a factory, else as a whole module.

    The masks of torch's own pruning become zeros. Class names stay beside the weights, as ``classes``.

    Raises:
        ModelError, UnsafeFile, UsageError: as `load`.
    """
    classifier = load(source, settings)
    _settle(classifier.module)
    return of_torch(classifier, partial(_write, classifier, whole=source.factory is None))


def _write(classifier: TorchClassifier, path: Path, *, whole: bool) -> None:
    names = classifier.expects.classes
    content = classifier.module.cpu() if whole else state(classifier)
    named = content if names is None else {"model" if whole else "state_dict": content, "classes": [*names]}
    path.write_bytes(serialised.content(named))


def _settle(module: torch.nn.Module) -> None:
    from torch.nn.utils import prune

    for child in module.modules():
        for name, _ in list(child.named_buffers(recurse=False)):
            if name.endswith("_mask") and f"{name.removesuffix('_mask')}_orig" in dict(child.named_parameters()):
                prune.remove(child, name.removesuffix("_mask"))


def _of_a_program(record: str) -> bool:
    """Whether a record belongs to TorchScript or torch.export, which have a ``data.pkl`` or the like as well."""
    return record in ("constants.pkl", "archive_format") or record.startswith(("code/", "models/"))


def _is_pickle(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def _content(source: ModelSource, allow_pickle: bool) -> object:
    refused = _unpickle.refused(_imports(source))
    if refused and not allow_pickle:
        raise _unpickle.unsafe(source, _why(refused))
    try:
        return _trusted(source) if refused else _unpickle.checkpoint(source)
    except UnsafeFile:
        # torch's own list is shorter than ours, and it does not know every pickle protocol.
        if not allow_pickle:
            raise
        return _trusted(source)


def _imports(source: ModelSource) -> tuple[str, ...]:
    try:
        if zipfile.is_zipfile(source.path):
            _container.verify(source.path)
            records = _container.read(source.path, lambda record: record == "data.pkl")
            return _unpickle.imports(io.BytesIO(records["data.pkl"]))
        with source.path.open("rb") as file:
            if _unpickle.MAGIC not in file.read(32):
                raise ModelError(
                    f"{source.path} is a pickle that torch.save did not write",
                    hint="save the network with torch.save(model.state_dict(), path), or export it to ONNX; of what a "
                    "detector found, write COCO's JSON (in mmdetection: format_only)",
                )
            file.seek(0)
            return tuple({name: None for _ in range(_PICKLES_BEFORE + 1) for name in _unpickle.imports(file)})
    except ValueError as fault:
        raise _unpickle.damaged(source, fault) from fault


def _why(refused: tuple[str, ...]) -> str:
    whole = "it holds a whole pickled module, " if any(n.startswith("torch.nn.modules.") for n in refused) else ""
    # The classes of the network's author say more than torch's own.
    named = sorted(refused, key=lambda name: name.startswith("torch."))
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return f"{whole}it asks for {', '.join(named[:3])}{more}"


def _trusted(source: ModelSource) -> object:
    """What the file holds, with whatever code that takes."""
    import torch

    try:
        return torch.load(source.path, map_location="cpu", weights_only=False)
    except (ImportError, AttributeError) as fault:
        raise ModelError(
            f"{source.path} needs a class that cannot be imported: {fault}",
            hint="run where the code of the network is installed, or put its folder on PYTHONPATH",
        ) from fault
    # A pickle is a program, so anything may be raised.
    except Exception as fault:
        raise _unpickle.damaged(source, fault) from fault


def _module(content: object, source: ModelSource, key: str | None) -> tuple[torch.nn.Module, tuple[Assumption, ...]]:
    """The one network in ``content``, or the one under ``key``, and what was taken for granted of it."""
    import torch

    found = dict(_modules(content, ""))
    if not found:
        if _weights.holds(content, source):
            raise ModelError(
                f"{source.path} is a state dict: it holds weights without the network they belong to",
                hint=f"name a function that builds it: {source.path}@package.module:factory, "
                f"or with arguments '{source.path}@package.module:factory(num_classes=10)'",
            )
        raise ModelError(
            f"{source.path}: expected a network or its weights, found {_found(content)}",
            hint="save the network with torch.save(model.state_dict(), path)",
        )
    if key is not None and key not in found:
        raise UsageError(f"{source.path} has no network {key!r}", hint=f"--state-key {' or '.join(found)}")
    taken = key if key is not None else next(iter(found))
    others = [name for name in found if key is None and name != taken and not _weights.same(found[name], found[taken])]
    if others:
        shown = " or ".join(f"--state-key {source.name}={name}" for name in (taken, *others))
        raise ModelError(f"{source.path} holds {len(found)} networks: {', '.join(found)}", hint=f"say which: {shown}")
    module = found[taken]
    parallel = isinstance(module, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel)
    assumed = _weights.taken(source, taken, [name for name in found if name != taken], asked=key is not None)
    return next(module.children()) if parallel else module, assumed


def _modules(content: object, name: str) -> Iterator[tuple[str, torch.nn.Module]]:
    """Every network with parameters in ``content``, by its dotted name; a loss has none."""
    import torch

    if isinstance(content, torch.nn.Module):
        if not name or next(content.parameters(), None) is not None:
            yield name or _tree.ROOT, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if value is not content:
                yield from _modules(value, f"{name}.{key}".removeprefix("."))


def _found(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a dict of {', '.join(map(str, list(content)[:4]))}" if content else "an empty dict"
    return type(content).__name__

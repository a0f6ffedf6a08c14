"""Say what a TorchScript archive could do when loaded, before it is loaded.

Loading runs every ``__setstate__`` of the archive and predicting runs ``forward``. Their language cannot call Python,
but it has operators that write and map files, and classes of torch's own that talk to networks. The code is text, so
it is searched as text, by words and not by grammar: a parser of ours that read it otherwise than torch's would be a
hole. Words that a harmless model has no use for are refused wherever they stand, and ways to reach a name without
writing it are allowed only in the plain form in which torch itself writes them.

A tensor takes as many bytes as its pickle says from a record of any length: beyond its end is other memory. So records
are measured, too.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from prune_audit.errors import ModelError

# aten::save and aten::from_file are all the operators of torch that take a file's name; tests/models look for others.
_WORDS = re.compile(r"\b(save|from_file|rpc_async|rpc_sync|rpc_remote|\w*PythonOp)\b", re.ASCII)
_NAMESPACES = "aten|prim|prims|quantized|_quantized|quantized_decomposed|sparse|prepacked|mkldnn_prepacked"
_CLASSES = "quantized|sparse|xnnpack|mkldnn|rnn"
_OPS = re.compile(rf"(?<![\w.])ops\b(?!\.(?:{_NAMESPACES})\.\w| : )(.{{0,40}})", re.ASCII)
_CLASS = re.compile(rf"\btorch\s*\.\s*classes\b(?!\.(?:{_CLASSES})\.\w)(.{{0,40}})", re.ASCII)
_ROOT = re.compile(r"__torch__\b(?!\.\w)|__torch__\.torch\b(?!\.)", re.ASCII)
_GETATTR = re.compile(r"""\bgetattr\((?!getattr)(?:\w+|\(\w+(?:\.\w+)*\))(?:\.\w+)*, "[\w.\-]*"\)""", re.ASCII)
_PYTHON_OP = re.compile(r"\^\s*\w")

_BUILT = re.compile(
    r"__torch__\.|torch\.jit\._pickle\.\w+$|torch\._utils\._rebuild_\w+$|torch\.\w+$|collections\.OrderedDict$"
)
_ITEM_SIZES: Mapping[str, int] = {  # bytes
    **dict.fromkeys(("BoolStorage", "ByteStorage", "CharStorage", "QInt8Storage", "QUInt8Storage"), 1),
    **dict.fromkeys(("ShortStorage", "HalfStorage", "BFloat16Storage"), 2),
    **dict.fromkeys(("IntStorage", "FloatStorage", "QInt32Storage"), 4),
    **dict.fromkeys(("LongStorage", "DoubleStorage", "ComplexFloatStorage"), 8),
    "ComplexDoubleStorage": 16,
}
_EXPORT_AGAIN = "copy or export the file again"


def measure(records: Mapping[str, bytes]) -> None:
    """Compare the length of each record of an archive with the tensors that it is for.

    Call it after `objections`: what these let through builds nothing here.

    Raises:
        ModelError: a record is missing or shorter than its tensors, or of a type of which the size is not known.
    """
    for name, content in records.items():
        if not name.endswith(".pkl"):
            continue
        folder = name.removesuffix(".pkl")
        try:
            reader = _Storages(io.BytesIO(content))
            reader.load()
        # A damaged pickle fails in whatever way its bytes have it.
        except Exception as fault:
            raise ModelError(f"the record {name} is damaged: {fault!r}", hint=_EXPORT_AGAIN) from fault
        for kind, key, count in reader.found:
            record = f"{folder}/{key}"
            size = _ITEM_SIZES.get(kind)
            if size is None or count < 0:
                raise ModelError(f"{name} holds {count} numbers of an unknown type, {kind}", hint=_EXPORT_AGAIN)
            if len(records.get(record, b"")) < size * count:
                raise ModelError(
                    f"the record {record} is cut: expected {size * count} bytes for {count} numbers, "
                    f"found {len(records.get(record, b''))}",
                    hint=_EXPORT_AGAIN,
                )


class _Inert:
    """Stands for whatever a pickle names: it can be made and given a state, and does nothing."""

    def __init__(self, *_: object) -> None:
        """Take anything."""

    def __setstate__(self, state: object) -> None:
        """Forget the ``state``."""

    def __setitem__(self, key: object, value: object) -> None:
        """Forget the ``value``."""

    def append(self, value: object) -> None:
        """Forget the ``value``."""

    def extend(self, values: object) -> None:
        """Forget the ``values``."""


class _Storages(pickle.Unpickler):
    """Collects the storages that a pickle of torch's refers to: (type, key, number of elements)."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.found: list[tuple[str, str, int]] = []

    def find_class(self, module_name: str, global_name: str) -> Any:  # noqa: ARG002 - the module is the same for all
        """A class that is called so and does nothing."""
        return type(global_name, (_Inert,), {})

    def persistent_load(self, pid: Any) -> _Inert:
        """Note the storage that ``pid`` refers to."""
        _, kind, key, _, count = pid
        self.found.append((kind.__name__, str(key), int(count)))
        return _Inert()


def objections(records: Mapping[str, bytes]) -> Iterator[str]:
    """What speaks against loading an archive of ``records``, one line each; nothing where all is harmless.

    Raises:
        ModelError: a pickle cannot be read.
    """
    for name, content in records.items():
        if name.startswith("code/"):
            # One character per byte, and only ASCII makes words: torch's own lexer reads it so.
            yield from (f"{name} {what}" for what in _in_code(content.decode("latin-1")))
        elif name.endswith(".pkl"):
            yield from (f"{name} {what}" for what in _in_pickle(name, content))


def _in_code(text: str) -> Iterator[str]:
    if word := _WORDS.search(text):
        yield f"uses {word[1]}"
    if found := _OPS.search(text):
        yield f"reaches operators outside the known ones: ops{found[1]}"
    if found := _CLASS.search(text):
        yield f"uses a class of the runtime: torch.classes{found[1]}"
    if _ROOT.search(text):
        yield "handles the root of all names, __torch__"
    if _PYTHON_OP.search(text):
        yield "calls Python"
    # Inner calls first, so that a chain of them folds up.
    plain = text
    while (folded := _GETATTR.sub("self", plain)) != plain:
        plain = folded
    if "getattr" in plain:
        yield "computes the name of an attribute"


def _in_pickle(name: str, content: bytes) -> Iterator[str]:
    try:
        for operation, argument, _ in pickletools.genops(content):
            if operation.name in ("INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
                yield f"names what it builds with {operation.name}, which torch never writes"
            if not isinstance(argument, str):
                continue
            text = re.sub(r"\s+", "" if operation.name != "GLOBAL" else ".", argument)
            if found := _CLASS.search(text):
                yield f"builds a class of the runtime: torch.classes{found[1]}"
            elif operation.name == "GLOBAL" and not _BUILT.match(text):
                yield f"calls {text}"
    except ValueError as fault:
        raise ModelError(f"the record {name} is damaged: {fault}", hint="copy or export the file again") from fault

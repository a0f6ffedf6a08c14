"""Say what a TorchScript archive could do when loaded, before it is loaded.

Loading runs every ``__setstate__`` of the archive, and predicting runs ``forward``. Their language cannot call Python,
but it has operators that write and map files, that print, and that take memory for what it is not. So the code, which
is text, may call only the operators on our list and what the archive itself defines. It is read token by token and not
by grammar: whatever stands before a parenthesis must be a name, as it is in all that torch itself writes, and a name
must be known. So nothing has to be told of what a name stands for: an alias of an operator is a name that is not.

A tensor takes as many bytes as its pickle says from a record of any length: beyond its end is other memory. So records
are measured, too.
"""

from __future__ import annotations

import functools
import io
import itertools
import pickle
import pickletools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prune_audit.errors import ModelError
from prune_audit.models import _operators

# As torch's own lexer has them. What torch does not write into archives (comments, strings in other quotes) is none.
_TOKEN = re.compile(
    r"""(?P<space>[ \t]+)|(?P<string>"(?:[^"\\\n]|\\[^\n])*")|(?P<word>[A-Za-z_]\w*)"""
    r"""|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?j?)|(?P<mark>[\n()\[\]{}.,:=+\-*/%<>!?&|^~@])""",
    re.ASCII,
)
_KEYWORDS = frozenset(
    [
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "elif",
        "else",
        "while",
        "for",
        "return",
        "assert",
        "raise",
        "del",
        "with",
        "as",
    ]
)
# What the language itself has; aten has the rest.
_LANGUAGE = frozenset(
    [
        "annotate",
        "unchecked_cast",
        "uninitialized",
        "isinstance",
        "hasattr",
        "getattr",
        "range",
        "int",
        "float",
        "bool",
        "complex",
        "str",
        "Dict",
    ]
)
_METHODS = frozenset(("__new__", "unpack"))  # of classes, and of packed weights
_QUANTIZED = "LinearPackedParamsBase Conv2dPackedParamsBase Conv3dPackedParamsBase EmbeddingPackedParamsBase"
_CLASSES = "|".join(
    (
        *(f"quantized\\.{name}" for name in _QUANTIZED.split()),
        r"sparse\.LinearPackedParamsBase",
        r"rnn\.CellParamsBase",
        r"xnnpack\.(?:Linear|Conv2d|TransposeConv2d)OpContext",
        r"mkldnn\.ConvOpContext",
    )
)
_CLASS = re.compile(rf"\btorch\s*\.\s*classes\b(?!\.(?:{_CLASSES})\b)(.{{0,40}})", re.ASCII)
_OPS = re.compile(r"(?<![\w.])ops\b(?!\.\w+\.\w+\(| : )(.{0,40})", re.ASCII)
_ROOT = re.compile(r"__torch__\b(?!\.\w)|__torch__\.torch\b(?!\.)", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_VALUE = re.compile(r'[)\]}]|\d.*|".*', re.DOTALL)
_ALIAS = re.compile(r"_\d+", re.ASCII)
_LONGEST = 6  # ". ops . aten . name"
_WARN = re.compile(rb"\btorch\.warn\(")
_DEFINED = re.compile(r"\b(?:def|class)\s+(\w+)", re.ASCII)

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


def silenced(records: Mapping[str, bytes]) -> dict[str, bytes]:
    """The ``records`` of an archive whose code warns of nothing.

    Honest code of torch's own warns, of deprecated arguments for one, and a warning says whatever its author likes.
    What stands in its place takes the same arguments, a text and a number, and makes a text that nobody reads.
    """
    quiet = {name: _WARN.sub(b"torch.expandtabs(", content) for name, content in records.items() if _is_code(name)}
    return {**records, **quiet}


def objections(records: Mapping[str, bytes]) -> Iterator[str]:
    """What speaks against loading an archive of ``records``, one line each; nothing where all is harmless.

    Call it after `silenced`.

    Raises:
        ModelError: a pickle cannot be read.
    """
    # One character per byte, and only ASCII makes words: torch's own lexer reads it so.
    code = {name: content.decode("latin-1") for name, content in records.items() if _is_code(name)}
    own = frozenset(name for text in code.values() for name in _DEFINED.findall(text)) - _of_torch()
    for name, text in code.items():
        yield from (f"{name} {what}" for what in _in_code(text, own))
    for name, content in records.items():
        if name.endswith(".pkl"):
            yield from (f"{name} {what}" for what in _in_pickle(name, content))


def _is_code(name: str) -> bool:
    return name.startswith("code/")


@functools.cache
def _of_torch() -> frozenset[str]:
    """The names of all operators of the torch that is here, which an archive must not call its own functions by."""
    import torch

    return frozenset(schema.name.partition("::")[2] for schema in torch._C._jit_get_all_schemas())


def _in_code(text: str, own: frozenset[str]) -> Iterator[str]:
    """What speaks against the code ``text`` of an archive that defines the functions and classes ``own``."""
    if found := _CLASS.search(text):
        yield f"uses a class of the runtime: torch.classes{found[1]}"
    if found := _OPS.search(text):
        yield f"handles a list of operators: ops{found[1]}"
    if _ROOT.search(text):
        yield "handles the root of all names, __torch__"
    lines: list[list[str]] = []
    for line in _lines(text):
        if line is None:
            yield "holds what torch does not write: comments, other quotes or other letters"
            return
        if line[:1] == ["def"]:
            yield from _in_function(lines, own)
            lines = []
        lines.append(line)
    yield from _in_function(lines, own)


def _lines(text: str) -> Iterator[list[str] | None]:
    """The tokens of each line of ``text``, which goes on within brackets; None, and no more, where torch wrote none."""
    line: list[str] = []
    depth = at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        # Three quotes open a string that ends elsewhere.
        if found is None or depth < 0 or (found[0][0] == text[found.end() : found.end() + 1] == '"'):
            yield None
            return
        at = found.end()
        if found[0] == "\n" and depth == 0:
            yield line
            line = []
        elif not found[0].isspace():
            depth += (found[0] in "([{") - (found[0] in ")]}")
            line.append(found[0])
    yield line


def _in_function(lines: Sequence[list[str]], own: frozenset[str]) -> Iterator[str]:
    """What speaks against the ``lines`` of one function, from its ``def`` to the next one."""
    named = _aliases(lines, own)
    for line in lines:
        for at, token in enumerate(line):
            if token == "(" and (why := _called(line[max(0, at - _LONGEST) : at], own, named)):
                yield why
            if token == "^" and _NAME.fullmatch((*line[at + 1 : at + 2], "")[0]):
                yield "calls Python"


def _aliases(lines: Sequence[list[str]], own: frozenset[str]) -> frozenset[str]:
    """The names that stand for functions of the archive in all ``lines``: bound to one alone, and then only called.

    They are of the form that torch gives them, which nothing of the language's has.
    """
    bound: set[str] = set()
    others: set[str] = set()
    for line in lines:
        if line[1:3] == ["=", "__torch__"] and set(line[3::2]) == {"."} and _known(line[-1], own):
            bound.add(line[0])
        else:
            pairs = itertools.pairwise([*line, ""])
            others.update(token for token, after in pairs if after != "(" and _ALIAS.fullmatch(token))
    return frozenset(name for name in bound - others if _ALIAS.fullmatch(name))


def _known(name: str, own: frozenset[str]) -> bool:
    return name in own or f"aten::{name}" in _operators.names()


def _called(line: Sequence[str], own: frozenset[str], aliases: frozenset[str]) -> str | None:
    """Why what stands at the end of a ``line``, before a parenthesis, must not be called; None where nothing is."""
    last, before = (*line[-1:], "")[0], (*line[-2:-1], "")[0]
    if not _NAME.fullmatch(last):
        return "calls what it computes" if _VALUE.fullmatch(last) else None
    if before != ".":
        plain = before in ("def", "class") or last in _KEYWORDS or last in _LANGUAGE or last in aliases
        return None if plain else f"calls {last}, which is no part of the language that torch writes"
    if list(line[-5:-3]) == ["ops", "."] and list(line[-6:-5]) != ["."]:
        operator = f"{line[-3]}::{last}"
        known = operator in _operators.names()
    else:
        operator = f"aten::{last}"
        known = _known(last, own) or last in _METHODS
    return None if known else f"calls {operator}, and expected were operators that are known to do nothing but compute"


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

"""Say what a TorchScript archive could do when loaded, before it is loaded.

Loading runs every ``__setstate__`` of the archive and predicting runs ``forward``. Their language cannot call Python,
but it has operators that write and map files, and classes of torch's own that talk to networks. The code is text, so
it is searched as text, by words and not by grammar: a parser of ours that read it otherwise than torch's would be a
hole. Words that a harmless model has no use for are refused wherever they stand, and ways to reach a name without
writing it are allowed only in the plain form in which torch itself writes them.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator, Mapping

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

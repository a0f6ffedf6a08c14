"""Read a checkpoint without running what is in it.

A pickle is a program. Two things stand before it: a list of the names that it would import, read from its opcodes, so
that a refusal can say what it refuses; and torch's restricted unpickler, which is what actually keeps code from
running, whatever the list missed. The harmless types that checkpoints carry beside their weights (a training
script's arguments, numpy numbers, paths) come out as `Unused` objects: not even numpy's own constructors run.
"""

from __future__ import annotations

import pickletools
import re
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator
from typing import IO

from prune_audit.core import ModelSource
from prune_audit.errors import ModelError, UnsafeFile

# The first pickle of a file that torch.save wrote before version 1.6 holds this number alone (serialization.py).
MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")

# torch's restricted unpickler allows these, and judges for itself; here they only keep refusals short.
_TORCHS = re.compile(
    r"collections\.(OrderedDict|Counter)|_codecs\.encode|builtins\.(set|bytearray|complex)|torch\.\w*Storage"
    r"|torch\.cuda\.\w*Storage|torch\.storage\.\w*Storage|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_\w+"
    r"|torch\.(Tensor|Size|device|nn\.parameter\.Parameter|serialization\._get_layout)"
    r"|torch\.(b?float|u?int|q?u?int|complex|bool|half|double|short|long|bfloat|per_\w+)[\w.]*"
)
_PATHS = ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
_UNUSED = (
    "argparse.Namespace",
    *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in _PATHS),
    *(f"numpy.{name}" for name in ("dtype", "ndarray", "bool_", "bool", "str_", "longdouble")),
    *(f"numpy.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(f"numpy.float{bits}" for bits in (16, 32, 64)),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
    *(f"datetime.{name}" for name in ("datetime", "date", "timedelta", "timezone")),
    *(f"builtins.{name}" for name in ("int", "float", "str", "list", "dict", "bool")),  # defaultdict(list)
)


class Unused:
    """What stands for a harmless object of which an audit has no need. It keeps nothing of what it is given."""

    def __new__(cls, *_: object) -> Unused:
        """Take what the pickle passes, and drop it."""
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def imports(stream: IO[bytes]) -> tuple[str, ...]:
    """The dotted names that the pickle at ``stream`` would import, sorted, each once; nothing is imported.

    The stream is left behind the pickle's end. Raises `ValueError` where it is no pickle or is cut off.
    """
    found: set[str] = set()
    strings: list[str] = []
    memo: dict[object, str] = {}
    for opcode, argument, _ in _opcodes(stream):
        if opcode in ("GLOBAL", "INST"):
            found.add(_today(str(argument)))
        elif opcode == "STACK_GLOBAL":
            # Module and name are on the stack; where they were not put there as text, nobody can tell without running.
            found.add(".".join(strings[-2:]) if len(strings) > 1 else "a name computed while loading")
        elif opcode == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else ""
        elif "PUT" in opcode:
            memo[argument] = strings[-1] if strings else ""
        elif "GET" in opcode and argument in memo:
            strings.append(memo[argument])
        elif "UNICODE" in opcode or "STRING" in opcode:
            strings.append(str(argument))
    return tuple(sorted(found))


def refused(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``names`` that no weights need and that are not known to be harmless."""
    return tuple(n for n in names if n not in (*_UNUSED, "collections.defaultdict") and not _TORCHS.fullmatch(n))


def checkpoint(source: ModelSource) -> object:
    """What the file at ``source``, written by ``torch.save``, holds, on the CPU. Nothing in it is run.

    Raises:
        UnsafeFile: torch's restricted unpickler met something that is neither weights nor known to be harmless.
        ModelError: the file is damaged.
    """
    import pickle

    import torch

    safe = [(Unused, name) for name in _UNUSED]
    # A defaultdict is filled like a dict, which the restricted unpickler does for real dicts only.
    allowed = torch.serialization.safe_globals([*safe, (_plain_dict, "collections.defaultdict")])
    try:
        with allowed, warnings.catch_warnings():
            for message in ("Detected pickle protocol", "TypedStorage is deprecated", r"torch\.quantize_per_"):
                warnings.filterwarnings("ignore", message, UserWarning)
            return torch.load(source.path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        reason = str(fault).partition("WeightsUnpickler error: ")[2] or str(fault)
        if "Unsupported operand" in reason:
            raise UnsafeFile(
                f"{source.path} is written in a newer pickle protocol than can be read without running code",
                hint="save it again with torch.save(...), leaving pickle_protocol out; --allow-pickle loads files "
                "that you trust",
            ) from fault
        raise unsafe(source, reason.strip().splitlines()[0].partition(". ")[0]) from fault
    # A damaged pickle raises whatever its reader happens upon.
    except Exception as fault:
        raise damaged(source, fault) from fault


def unsafe(source: ModelSource, what: str) -> UnsafeFile:
    """The refusal of a file that would run code, with the supported ways round it."""
    return UnsafeFile(
        f"{source.path} would run code when it is loaded: {what}",
        hint="export the model to ONNX, or to TorchScript or torch.export, or save its state_dict() and give the "
        f"architecture as {source.path}@package.module:factory; --allow-pickle loads files that you trust",
    )


def damaged(source: ModelSource, fault: Exception) -> ModelError:
    """The refusal of a file that cannot be read to its end."""
    lines = str(fault).strip().splitlines() or [type(fault).__name__]
    return ModelError(
        f"{source.path} is a damaged or truncated checkpoint: {lines[0]}", hint="copy or save the file again"
    )


def _today(argument: str) -> str:
    """The dotted name behind ``module name``, which older protocols write as Python 2 had it."""
    module, _, name = argument.partition(" ")
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"


def _plain_dict(*_: object) -> dict[object, object]:
    return {}


def _opcodes(stream: IO[bytes]) -> Iterator[tuple[str, object, int | None]]:
    try:
        for opcode, argument, position in pickletools.genops(stream):
            yield opcode.name, argument, position
    # A length in a damaged pickle may be larger than memory or than a machine word.
    except (OverflowError, MemoryError, AttributeError) as fault:
        raise ValueError(str(fault)) from fault

"""Which operators PyTorch's exporters write for real networks: what `models/_operators.txt` is made from.

    python -m tests.benchmarks.operators FOLDER              export what FOLDER lacks, and say what is refused
    python -m tests.benchmarks.operators FOLDER --part 1/2   the first of two halves, to run side by side
    python -m tests.benchmarks.operators FOLDER --held-out   only those that the list was not made from
    python -m tests.benchmarks.operators FOLDER --write      write the list anew, from what was not held out

Each architecture is traced, scripted, frozen and exported (in training's operators, strictly, and decomposed), in a
process of its own; the programs are kept in FOLDER. Forty architectures of libraries are held out, by a digest of
their names, before anything is looked at: the list is not made from them, and how many of their programs are refused
is what a user may expect. Seen are all kinds of exports that PyTorch can make of an architecture; what it cannot, it
says itself, and is counted as such.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn

from prune_audit.errors import UnsafeFile
from prune_audit.models import _operators
from prune_audit.models.torch_export import program_check
from prune_audit.models.torchscript import code_check
from tests.benchmarks._architectures import Architecture, architectures

HELD_OUT = 40
SECONDS = 600  # of one architecture, on a busy machine
_PROGRAM = "models/model.json"
Example = tuple[torch.Tensor, ...]


def _traced(network: nn.Module, example: Example) -> Any:
    return torch.jit.trace(network, example, strict=False, check_trace=False)


def _scripted(network: nn.Module, example: Example) -> Any:
    return torch.jit.script(network)


@functools.lru_cache(maxsize=1)
def _exported(network: nn.Module, example: Example) -> Any:
    batch = torch.export.Dim("batch", min=1, max=64)
    try:
        return torch.export.export(network, example, dynamic_shapes=[{0: batch} for _ in example], strict=False)
    except Exception:  # some work for one batch alone, and some for none
        return torch.export.export(network, example, strict=False)


SCRIPTS: Mapping[str, Callable[[nn.Module, Example], Any]] = {
    "traced": _traced,
    "traced, frozen": lambda network, example: torch.jit.freeze(_traced(network, example)),
    "scripted": _scripted,
    "scripted, frozen": lambda network, example: torch.jit.freeze(_scripted(network, example)),
}
PROGRAMS: Mapping[str, Callable[[nn.Module, Example], Any]] = {
    "exported": _exported,
    "decomposed": lambda network, example: _exported(network, example).run_decompositions(),
    "strict": lambda network, example: torch.export.export(network, example, strict=True),
}

MOST = ("traced", "exported", "scripted")


def records(way: str, network: nn.Module, example: Example) -> dict[str, str]:
    """The text of the program that ``network`` becomes by ``way``, record by record."""
    buffer = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way in SCRIPTS:
            torch.jit.save(SCRIPTS[way](network, example), buffer)
        else:
            torch.export.save(PROGRAMS[way](network, example), buffer)
    with zipfile.ZipFile(buffer) as archive:
        found = {name.partition("/")[2]: name for name in archive.namelist()}
        texts = {
            n: f for n, f in found.items() if (n.startswith("code/") and n.endswith(".py")) or n == "models/model.json"
        }
        return {name: archive.read(full).decode("latin-1") for name, full in texts.items()}


def _keep(folder: Path, architecture: Architecture) -> None:
    """Write each program of ``architecture`` that is not yet in ``folder``, or why there is none."""
    # What PyTorch tells of its exports is of no interest here.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        torch.manual_seed(0)
        network, example = architecture.make()
        for way in _ways(architecture):
            path = _path(folder, architecture.name, way)
            if path.exists():
                continue
            try:
                found: dict[str, Any] = {"records": records(way, network, example)}
            except Exception as fault:
                found = {"fault": f"{type(fault).__name__}: {str(fault)[:300]}"}
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".part")
            partial.write_bytes(gzip.compress(json.dumps(found).encode(), 1))
            partial.rename(path)


def _ways(architecture: Architecture) -> tuple[str, ...]:
    """What is made of ``architecture``: of each what differs most, of some everything."""
    every = _digest(architecture.name)[0] in ("048c" if architecture.name.startswith("torch/") else "0")
    return (*MOST, *(way for way in (*SCRIPTS, *PROGRAMS) if way not in MOST)) if every else MOST


def _path(folder: Path, name: str, way: str) -> Path:
    return folder / name.replace("/", "__") / f"{way}.json.gz"


def _digest(name: str) -> str:
    return hashlib.sha256(f"operators of {name}".encode()).hexdigest()


# ------------------------------------------------------------------------------------------------------------ the list

_TENSORS = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d addbmm addmv addr affine_grid_generator allclose aminmax arange argmax argmin argsort argwhere
    atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm bartlett_window bernoulli bincount
    blackman_window block_diag broadcast_tensors broadcast_to bucketize cartesian_prod cdist celu chain_matmul
    channel_shuffle chunk clamp column_stack combinations complex concat concatenate conj constant_pad_nd contiguous
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d corrcoef cosine_similarity count_nonzero cov
    cross cummax cummin cumprod cumsum cumulative_trapezoid detach diag diag_embed diagflat diagonal diagonal_scatter
    diff dist dot dropout dsplit dstack einsum elu embedding expand expand_as eye feature_dropout fill flatten flip
    fliplr flipud floor_divide full full_like gather ger glu grid_sampler grid_sampler_2d grid_sampler_3d group_norm
    gru_cell gumbel_softmax hamming_window hann_window hardshrink hsplit hstack imag index_add index_copy index_fill
    index_put index_reduce index_select inner instance_norm is_complex is_contiguous is_floating_point is_nonzero
    is_same_size is_signed isclose isin isreal istft item kaiser_window kron kthvalue layer_norm linspace log_softmax
    logcumsumexp logspace logsumexp lstm_cell masked_fill masked_scatter masked_select matmul matrix_exp matrix_power
    max max_pool1d max_pool2d max_pool3d maximum mean median meshgrid min minimum mode moveaxis movedim msort
    multinomial nan_to_num nanmean nanmedian nanquantile nansum narrow new_empty new_full new_ones new_zeros nonzero
    nonzero_numpy norm normal normalize_ nuclear_norm numel one_hot ones ones_like outer pad pad_sequence
    pairwise_distance pdist permute pinverse pixel_shuffle pixel_unshuffle prod quantile rand rand_like randint
    randint_like randn randn_like randperm ravel real reflection_pad1d reflection_pad2d reflection_pad3d renorm repeat
    repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape reshape_as resolve_conj resolve_neg
    rms_norm rnn_relu rnn_relu_cell rnn_tanh_cell roll rot90 rrelu scalar_tensor scaled_dot_product_attention scatter
    scatter_add scatter_reduce searchsorted select select_scatter slice_scatter softmax split split_with_sizes squeeze
    stack std std_mean stft storage_offset stride sum swapaxes swapdims take take_along_dim tensor_split tensordot tile
    topk trace transpose trapezoid trapz tril tril_indices triu triu_indices type_as unbind unflatten uniform_
    unique_consecutive unique_dim unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
    upsample_nearest2d upsample_nearest3d upsample_trilinear3d vander var var_mean vdot view_as view_as_complex
    view_as_real vsplit vstack zero zeros zeros_like
"""
# What hand-written TorchScript computes with beside tensors: texts, lists, dicts, numbers, and what a tensor is.
LANGUAGE = frozenset(
    f"aten::{name}"
    for name in [
        "Bool",
        "Complex",
        "Delete",
        "Float",
        "Int",
        "Size",
        "__and__",
        "__contains__",
        "__derive_index",
        "__getitem__",
        "__is__",
        "__isnot__",
        "__lshift__",
        "__not__",
        "__or__",
        "__range_length",
        "__round_to_zero_floordiv",
        "__rshift__",
        "__xor__",
        "_get_tracing_state",
        "_set_item",
        "_unwrap_optional",
        "append",
        "bin",
        "broadcast_shapes",
        "can_cast",
        "capitalize",
        "center",
        "chr",
        "clear",
        "copy",
        "count",
        "degrees",
        "device",
        "dict",
        "divmod",
        "endswith",
        "expandtabs",
        "extend",
        "fabs",
        "find",
        "floordiv",
        "fmod",
        "format",
        "frexp",
        "gamma",
        "gcd",
        "get",
        "get_autocast_dtype",
        "has_torch_function",
        "hash",
        "hex",
        "index",
        "insert",
        "is_autocast_cpu_enabled",
        "is_autocast_enabled",
        "is_grad_enabled",
        "is_scripting",
        "isalnum",
        "isalpha",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "islower",
        "isnumeric",
        "isprintable",
        "isspace",
        "istitle",
        "isupper",
        "items",
        "join",
        "keys",
        "len",
        "list",
        "ljust",
        "lower",
        "lstrip",
        "mathremainder",
        "modf",
        "oct",
        "ord",
        "partition",
        "percentFormat",
        "pop",
        "popitem",
        "promote_types",
        "radians",
        "remove",
        "replace",
        "result_type",
        "reverse",
        "rfind",
        "rindex",
        "rjust",
        "round",
        "rpartition",
        "rsplit",
        "rstrip",
        "setdefault",
        "sort",
        "sorted",
        "split",
        "splitlines",
        "startswith",
        "str",
        "strip",
        "swapcase",
        "title",
        "update",
        "upper",
        "values",
        "zfill",
    ]
) | frozenset(
    f"prim::{name}"
    for name in [
        "EnumName",
        "EnumValue",
        "NumToTensor",
        "RaiseException",
        "StringIndex",
        "abs",
        "data",
        "device",
        "dtype",
        "grad",
        "index",
        "is_cpu",
        "is_cuda",
        "is_meta",
        "is_mkldnn",
        "is_mps",
        "is_nested",
        "is_quantized",
        "is_sparse",
        "is_xla",
        "is_xpu",
        "itemsize",
        "layout",
        "max",
        "min",
        "name",
        "nbytes",
        "rangelist",
        "requires_grad",
        "tolist",
        "type",
        "unchecked_cast",
        "unchecked_unwrap_optional",
    ]
)
# Functions of tensors as PyTorch's documentation has them: from their shapes and numbers they make other tensors.
# What exports make of these. Those called unsafe check sizes and indices as the others do; they only share no memory.
_INSIDE = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_scalar _cdist_forward _conj _fft_c2c
    _fused_rms_norm _local_scalar_dense _log_softmax _native_batch_norm_legit _pdist_forward
    _scaled_dot_product_flash_attention_for_cpu _softmax _to_copy _unsafe_index _unsafe_view _upsample_bicubic2d_aa
    _upsample_bilinear2d_aa _weight_norm_interface detach_copy lift_fresh lift_fresh_copy
    sym_constrain_range sym_constrain_range_for_size unsafe_chunk unsafe_split unsafe_split_with_sizes
"""
TENSORS = frozenset(f"aten::{name}" for name in f"{_TENSORS} {_INSIDE}".split())
# Whole families of functions of tensors alone, by how their names begin.
FAMILIES = ("aten::fft_", "aten::linalg_", "aten::special_", "quantized_decomposed::")
# What torch builds with XNNPACK lay out for phones; the others have not even their schemas.
PHONES = [
    f"prepacked::{layer}_clamp_{step}.default"
    for layer in ("conv2d", "conv2d_transpose", "linear")
    for step in ("prepack", "run")
]
# What a rule would list that shows what memory held before, and that no exporter writes.
NEVER = frozenset(("aten::empty_strided", "aten::resize_"))


def listed(programs: Mapping[str, Mapping[str, Mapping[str, str]]]) -> dict[str, str]:
    """The operators that ``programs``, by architecture and way, need, and their like; and why each is there."""
    exported, scripted = set(), set()
    for ways in programs.values():
        for found in ways.values():
            exported |= _in_export(found)
            scripted |= _in_script(found)
    named = scripted | {operator.partition(".")[0] for operator in exported}
    from torch.ao.quantization.fx import _decomposed  # noqa: F401 - defines operators

    made = dict.fromkeys(PHONES, "phones")
    schemas: list[Any] = torch._C._jit_get_all_schemas()
    for schema in schemas:
        operator = f"{schema.name}.{schema.overload_name or 'default'}"
        if operator in exported:
            made[operator] = "exported"
        elif schema.name in scripted:
            made[operator] = "scripted"
        elif schema.name not in NEVER and (why := _kin(schema.name, operator, named)):
            made[operator] = why
    if lost := exported - set(made):
        raise SystemExit(f"torch has no schema of {lost}")
    # TorchScript names no overloads, so each name is there with all of them.
    whole = {operator.partition(".")[0] for operator in made}
    for schema in schemas:
        if schema.name in whole:
            made.setdefault(f"{schema.name}.{schema.overload_name or 'default'}", "overload")
    return dict(sorted(made.items()))


def _kin(name: str, operator: str, named: set[str]) -> str | None:
    """Why an operator is listed that no exporter wrote; None where nothing speaks for it."""
    if name in named:
        return "overload"
    if name.endswith("_") and name.removesuffix("_") in named:
        return "in-place"
    if name in LANGUAGE:
        return "language"
    if name in TENSORS or name.removesuffix("_") in TENSORS:
        return "tensor"
    if name.startswith(FAMILIES):
        return "family"
    if name.startswith("aten::") and not name.startswith("aten::_") and "backward" not in name:
        packet = getattr(torch.ops.aten, name.removeprefix("aten::"), None)
        overload = getattr(packet, operator.partition(".")[2], None)
        tags = getattr(overload, "tags", ())
        if torch.Tag.core in tags:
            return "core"
        if torch.Tag.pointwise in tags:
            return "pointwise"
    return None


def _in_export(found: Mapping[str, str]) -> set[str]:
    targets = re.findall(r'"(?:target|as_operator)": "torch\.ops\.(\w+)\.(\w+)\.(\w+)"', found.get(_PROGRAM, ""))
    return {f"{space}::{name}.{overload}" for space, name, overload in targets if space != "higher_order"}


def _in_script(found: Mapping[str, str]) -> set[str]:
    """What the check of scripts objects to where no operator is allowed."""
    with mock.patch.object(_operators, "names", frozenset):
        said = "\n".join(code_check.objections(_silenced(found)))
    return set(re.findall(r"calls (\w+::\w+),", said))


def _silenced(found: Mapping[str, str]) -> dict[str, bytes]:
    return code_check.silenced({name: text.encode("latin-1") for name, text in found.items()})


def _refused(found: Mapping[str, str]) -> str | None:
    """Why a program would be refused, None where it would not."""
    if _PROGRAM not in found:
        return next(code_check.objections(_silenced(found)), None)
    try:
        program_check.checked({_PROGRAM: found[_PROGRAM].encode("latin-1")}, "cpu")
    except UnsafeFile as fault:
        return fault.message
    return None


def _held_out(names: Iterable[str]) -> frozenset[str]:
    """The architectures of libraries whose names have the smallest digests."""
    return frozenset(sorted((n for n in names if not n.startswith("torch/")), key=_digest)[:HELD_OUT])


def _read(folder: Path) -> tuple[dict[str, dict[str, dict[str, str]]], dict[str, Counter[str]]]:
    """The programs in ``folder``, and how many there are not, by way and kind of fault."""
    programs: dict[str, dict[str, dict[str, str]]] = {}
    faults: dict[str, Counter[str]] = {}
    for path in sorted(folder.glob("*/*.json.gz")):
        name, way = path.parent.name.replace("__", "/"), path.name.removesuffix(".json.gz")
        content = json.loads(gzip.decompress(path.read_bytes()))
        if "records" in content:
            programs.setdefault(name, {})[way] = content["records"]
        else:
            faults.setdefault(way, Counter())[content["fault"].partition(":")[0]] += 1
    return programs, faults


def _say(folder: Path, write: bool) -> None:
    programs, faults = _read(folder)
    held = _held_out(each.name for each in architectures()) & set(programs)
    if write:
        found = listed({name: ways for name, ways in programs.items() if name not in held})
        width = max(map(len, found))
        lines = [f"{operator:{width}}  {why}" for operator, why in found.items()]
        _operators.FILE.write_text("\n".join([*HEAD.strip().splitlines(), *lines, ""]), encoding="ascii")
        for cache in (_operators.overloads, _operators.names):
            cache.cache_clear()
    for title, chosen in (("seen", set(programs) - held), ("held out", held)):
        count = sum(len(programs[name]) for name in chosen)
        refused = {(n, way): why for n in chosen for way, found in programs[n].items() if (why := _refused(found))}
        print(f"{title}: {len(chosen)} architectures, {count} programs, {len(refused)} refused")
        for (name, way), why in sorted(refused.items()):
            print(f"    {name}, {way}: {why}")
        print("   ", ", ".join(sorted(chosen)))
    for way, counts in faults.items():
        print(f"{way}: PyTorch itself cannot make {counts.total()}: {dict(counts)}")


HEAD = """
# Operators of PyTorch that a program from a file may use: they compute, and nothing else. Each says why it is here:
#   exported   torch.export wrote it for one of the architectures of tests/benchmarks/_architectures.py
#   scripted   an overload of a name that torch.jit wrote for one of them: TorchScript names no overloads
#   overload   another overload of a name that is here for another reason
#   in-place   the form of one of these that writes into its own input
#   language   texts, lists, dicts and numbers in TorchScript; what a tensor is
#   tensor     a function of tensors as PyTorch's documentation has it
#   core       PyTorch counts it among the operators that all others can be made of
#   pointwise  PyTorch says that it computes element by element
#   family     Fourier transforms, linear algebra, special functions, steps of quantisation
#   phones     layers as torch lays them out for phones
# Made by: python -m tests.benchmarks.operators FOLDER --write
"""


def _part(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    return int(number) - 1, int(of)


def main() -> None:
    """Export what is not yet there, and say what is refused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", type=_part, default=(0, 1))
    parser.add_argument("--held-out", action="store_true", help="export only what is held out")
    parser.add_argument("--say", action="store_true", help="export nothing, and say what FOLDER holds")
    parser.add_argument("--write", action="store_true", help="write the list from what FOLDER holds, and say so")
    arguments = parser.parse_args()
    if arguments.say or arguments.write:
        _say(arguments.folder, arguments.write)
        return
    # Once, and not again in each process: what exports takes seconds to import, and to begin with.
    for export in PROGRAMS.values():
        export(nn.Linear(2, 2), (torch.zeros(2, 2),))
    number, of = arguments.part
    every = {each.name: each for each in architectures()}
    held = _held_out(every)
    # Small ones first, then one that is held out after every two that are not.
    ranks: Counter[bool] = Counter()
    places: dict[str, tuple[bool, float]] = {}
    for name in sorted(every, key=_digest):
        ranks[name in held] += 1
        places[name] = (not name.startswith("torch/"), ranks[name in held] * (2.0 if name in held else 1.0))
    for architecture in sorted(every.values(), key=lambda each: places[each.name])[number::of]:
        if arguments.held_out and architecture.name not in held:
            continue
        if all(_path(arguments.folder, architecture.name, way).exists() for way in _ways(architecture)):
            continue
        worker = multiprocessing.get_context("fork").Process(target=_keep, args=(arguments.folder, architecture))
        worker.start()
        worker.join(SECONDS)
        if worker.is_alive():
            worker.kill()
            worker.join()
        print(architecture.name, worker.exitcode, flush=True)

    _say(arguments.folder, write=False)


if __name__ == "__main__":
    main()

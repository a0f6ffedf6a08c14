"""Copy a torch.export archive, letting through only what is known to be harmless.

``torch.export.load`` unpickles sample inputs and some weights, evaluates expressions, imports modules that the tree
specifications name, resolves operators by walking attributes of ``torch``, and writes names from the file into Python
source that it executes. So nothing is looked for that might be bad: every string of the program must be of a form that
its place allows, what is not needed to compute (sample inputs, metadata, extra files) is left out, and expressions are
written anew from their syntax tree. Devices are replaced by the one asked for, so that a program that was exported on
a GPU runs on any machine.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from prune_audit.errors import ModelError, UnsafeFile
from prune_audit.models import _operators

_HINT = "export the model to ONNX or save its state dict, or give --allow-pickle if you trust the file"

_AGAIN = "copy or export the program again"

_PROGRAM = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_LEGACY = ("data/weights/model.pt", "data/constants/model.pt")
_AS_THEY_ARE = frozenset({"archive_format", "archive_version", "byteorder", "version", ".data/version"})
_SAMPLES = "data/sample_inputs/model.pt"
_PAYLOAD = re.compile(r"(?:data/weights/|data/constants/)?((?:weight|tensor)_\d+)", re.ASCII)

# The fields whose keys are the model's own names, which may be those of a field.
_MAPS = re.compile(
    "config|(tensor|sym_int|sym_float|sym_bool|custom_obj)_values|range_constraints|opset_version"
    "|treespec_namedtuple_fields|as_string_to_argument"
)

# Names end up in Python source: node names as identifiers, names of parameters as strings between double quotes.
_NAME = re.compile(r"(?!__\w*__$)\w*", re.ASCII)
_PLAIN = re.compile(r"(?!.*\b__\w+__\b)[\w .:@/+\-<>=]*", re.ASCII)
_RANGE = re.compile(r"[\w .,+\-*/%()<>=]*", re.ASCII)
_TEXT = re.compile(r"[^\"'\\{}\x00-\x1f\x7f-\xff]*", re.ASCII)

_OPERATOR = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)", re.ASCII)
_PLAIN_OPERATOR = re.compile(
    r"_operator\.(eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|truediv|mod|pow|and_|or_|lshift|rshift|getitem)"
    r"|torch\.sym_(not|int|float|ite|max|min|sqrt)|math\.(trunc|floor|ceil)"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
)

_FUNCTION = re.compile(
    "Add|Mul|Pow|Mod|PythonMod|Min|Max|Abs|FloorDiv|CeilDiv|CleanDiv|ModularIndexing|IntTrueDiv|FloatTrueDiv"
    "|PowByNatural|FloatPow|CeilToInt|FloorToInt|TruncToInt|TruncToFloat|RoundToInt|RoundDecimal|ToFloat|Identity"
    "|Where|LShift|RShift|IsNonOverlappingAndDenseIndicator|Integer|Float|Rational|And|Or|Not|Equality|Unequality"
    "|Eq|Ne|Gt|Ge|Lt|Le|StrictGreaterThan|StrictLessThan|GreaterThan|LessThan|floor|ceiling|sqrt|max|min|abs"
)
_CONSTANTS = frozenset({"oo", "int_oo", "inf", "nan", "true", "false"})
_SYMBOL = re.compile(r"[a-z]{1,4}\d+", re.ASCII)
_NUMBER = re.compile(r"-?[\d.]+(e[+-]?\d+)?", re.ASCII)
_ASSUMPTION = re.compile("integer|positive|negative|nonnegative|nonzero|real|precision")
_TREES = frozenset({"None", "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})


def needed(name: str) -> bool:
    """Whether the record ``name`` has to be read for `checked`, be it only to look at it."""
    known = name in _AS_THEY_ARE or name in (_PROGRAM, _SAMPLES, *_CONFIGS, *_LEGACY)
    return known or name.startswith(("data/weights/", "data/constants/", "data/aotinductor/"))


def checked(records: Mapping[str, bytes], device: str) -> dict[str, bytes]:
    """The records of a clean archive of the same program, with its tensors on ``device``.

    Raises:
        UnsafeFile: something is not of the form that its place allows; the message says what, but not in which file.
        ModelError: a record is damaged.
    """
    try:
        found = {name: _checked(name, content, device) for name, content in records.items()}
    except RecursionError as fault:
        raise ModelError("the program is nested too deeply to be read", hint="export the program again") from fault
    _measure(found)
    return found


def _measure(records: Mapping[str, bytes]) -> None:
    """Raise `ModelError` where a record is missing or shorter than its tensor: beyond its end is other memory."""
    from torch._export.serde.serialize import _SERIALIZE_TO_TORCH_DTYPE

    for name in _CONFIGS:
        config = _json(name, records[name]) if name in records else {}
        entries = (config.get("config") or {}) if isinstance(config, dict) else None
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise ModelError(f"{name} does not say by name what tensors there are", hint=_AGAIN)
        for called, entry in entries.items():
            record = f"{name.rpartition('/')[0]}/{entry.get('path_name')}"
            try:
                meta = entry["tensor_meta"]
                sizes, strides = ([side["as_int"] for side in meta[key]] for key in ("sizes", "strides"))
                offset = meta["storage_offset"]["as_int"]
                item = _SERIALIZE_TO_TORCH_DTYPE[meta["dtype"]].itemsize
                last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
                plain = min([offset, *sizes, *strides]) >= 0
            except (KeyError, TypeError, ValueError, AttributeError) as fault:
                raise ModelError(f"{name} does not say what {called} is: {fault!r}", hint=_AGAIN) from fault
            expected = item * (last + 1) if all(sizes) else 0
            held = len(records.get(record, b""))
            if not plain or held < expected:
                raise ModelError(
                    f"the record {record} of {called} is cut: expected {expected} bytes, found {held}", hint=_AGAIN
                )


def _checked(name: str, content: bytes, device: str) -> bytes:
    if name in (_PROGRAM, *_CONFIGS):
        return json.dumps(_clean(_json(name, content), "", device)).encode()
    if name in (*_LEGACY, _SAMPLES):
        anew = _pickled_anew(name, content, device)
        # Nothing is computed from samples.
        return b"" if name == _SAMPLES else anew
    _must(name in _AS_THEY_ARE or _PAYLOAD.fullmatch(name), "tensors and the program alone", name)
    return content


def _json(name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as fault:
        raise ModelError(f"the record {name} is damaged: {fault}", hint="export the program again") from fault


def _clean(value: Any, key: str, device: str) -> Any:
    """A copy of ``value``, which stands under ``key``, with every string checked."""
    if key == "metadata":
        return {}
    if key in ("device", "as_device") and isinstance(value, dict) and value.get("type") != "meta":
        kind, _, index = device.partition(":")
        return {"type": kind, "index": int(index) if index else None}
    if key in ("custom_obj", "as_custom_obj") or (key == "custom_obj_values" and value):
        raise _refused("it holds a custom object")
    if key == "use_pickle" and value is not False:
        raise _refused("it holds a pickled weight")
    if isinstance(value, dict):
        form = _RANGE if key == "range_constraints" else _PLAIN
        for name in value:
            _must(form.fullmatch(name), "a name", name)
        named = _MAPS.fullmatch(key)
        return {name: _clean(item, "" if named else name, device) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, key, device) for item in value]
    return _string(value, key) if isinstance(value, str) else value


def _string(text: str, key: str) -> str:
    if key in ("expr_str", "guards_code"):
        return _expression(text, guard=key == "guards_code")
    if key in ("in_spec", "out_spec"):
        protocol, *tree = _json(key, text.encode())
        _must(isinstance(protocol, int) and len(tree) == 1, "a tree of inputs or outputs", text)
        # The keys of inputs become parameters of the function that is made; those of outputs stay strings.
        return json.dumps([protocol, _tree(tree[0], _NAME if key == "in_spec" else _PLAIN)])
    if key in ("target", "as_operator"):
        _must(_is_operator(text), "an operator that is known to do nothing but compute", text)
    elif key in ("name", "as_name", "forward_arg_names"):
        _must(_NAME.fullmatch(text), "a name", text)
    elif key in ("as_string", "as_strings"):
        _must(_TEXT.fullmatch(text), "plain text", text)
    elif key == "path_name":
        _must(_PAYLOAD.fullmatch(text), "the name of a tensor's record", text)
    else:
        _must(_PLAIN.fullmatch(text), "a name", text)
    return text


def _is_operator(target: str) -> bool:
    if _PLAIN_OPERATOR.fullmatch(target):
        return True
    found = _OPERATOR.fullmatch(target)
    return found is not None and "{}::{}.{}".format(*found.groups()) in _operators.overloads()


def _tree(spec: Any, form: re.Pattern[str]) -> dict[str, Any]:
    """A copy of a tree specification: tuples, lists and dicts, whose keys are of a ``form``."""
    _must(isinstance(spec, dict) and str(spec.get("type")) in _TREES, "tuples, lists and dicts", spec)
    context, children = spec.get("context"), spec.get("children_spec")
    keys = _json("context", context.encode()) if isinstance(context, str) else None
    plain = keys is None or (
        isinstance(keys, list)
        and all(isinstance(key, int) or (isinstance(key, str) and form.fullmatch(key)) for key in keys)
    )
    _must(plain and isinstance(children, list), "plain keys of a dict", context)
    return {
        "type": spec["type"],
        "context": None if context is None else json.dumps(keys),
        "children_spec": [_tree(child, form) for child in children],
    }


def _expression(text: str, guard: bool) -> str:
    """``text`` written anew from its syntax tree, if that is arithmetic on sizes and nothing else."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError) as fault:
        raise _refused(f"expected an expression, found {text[:80]!r}") from fault
    _must(_is_arithmetic(tree.body, guard), "arithmetic on sizes", text)
    return ast.unparse(tree)


def _is_arithmetic(node: ast.AST, guard: bool) -> bool:
    """Whether ``node`` only computes with numbers and symbols and, in a ``guard``, with the sizes of inputs."""

    def all_are(nodes: Iterable[ast.AST]) -> bool:
        return all(_is_arithmetic(inner, guard) for inner in nodes)

    match node:
        case ast.Constant(value=bool() | int() | float()):
            return True
        case ast.Name(id=name):
            return name in _CONSTANTS or _SYMBOL.fullmatch(name) is not None or (guard and name == "L")
        case ast.UnaryOp(operand=inner):
            return _is_arithmetic(inner, guard)
        case ast.BinOp(left=left, right=right):
            return not isinstance(node.op, ast.MatMult) and all_are((left, right))
        case ast.BoolOp(values=values):
            return all_are(values)
        case ast.Compare(left=left, comparators=others):
            return all_are((left, *others))
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))], keywords=flags):
            return _SYMBOL.fullmatch(name) is not None and _are_assumptions(flags)
        case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str(number))], keywords=flags):
            return _NUMBER.fullmatch(number) is not None and _are_assumptions(flags)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _FUNCTION.fullmatch(name) is not None and all_are(arguments)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name), args=arguments, keywords=[]) if guard:
            return name in ("floor", "ceil", "trunc", "sqrt", "isnan") and all_are(arguments)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr=name), args=arguments, keywords=[]) if guard:
            return _PLAIN_OPERATOR.fullmatch(f"torch.{name}") is not None and all_are(arguments)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=arguments, keywords=[]) if guard:
            return name in ("size", "stride", "storage_offset", "dim") and all_are((inner, *arguments))
        case ast.Attribute(value=ast.Name(id="math"), attr="inf") if guard:
            return True
        case ast.Subscript(value=inner, slice=ast.Constant(value=int() | str() as place)) if guard:
            return (isinstance(place, int) or _NAME.fullmatch(place) is not None) and _is_arithmetic(inner, guard)
    return False


def _are_assumptions(flags: list[ast.keyword]) -> bool:
    return all(_ASSUMPTION.fullmatch(flag.arg or "") and isinstance(flag.value, ast.Constant) for flag in flags)


def _pickled_anew(name: str, content: bytes, device: str) -> bytes:
    """``content`` unpickled with restrictions and pickled again.

    torch falls back to unpickle without restrictions where its first attempt fails, which may also happen for lack of
    a device; so what it gets is pickled here.
    """
    import torch

    if not content:
        return content
    try:
        value = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    # Whatever is wrong with it, torch would try again without restrictions.
    except Exception as fault:
        found = re.search(r"GLOBAL (\S+)", str(fault))
        what = f"calls {found[1]}" if found else "cannot be read without running it"
        raise _refused(f"{name} {what}") from fault
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _must(holds: object, what: str, found: object) -> None:
    if not holds:
        raise _refused(f"expected {what}, found {str(found)[:80]!r}")


def _refused(what: str) -> UnsafeFile:
    return UnsafeFile(what, hint=_HINT)

"""The list of operators that programs from files may use."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from prune_audit.models import _operators


def schemas() -> dict[str, str]:
    """The operators of this torch, with their whole schemas."""
    from torch.ao.quantization.fx import _decomposed  # noqa: F401 - defines operators

    every: list[Any] = torch._C._jit_get_all_schemas()
    return {f"{schema.name}.{schema.overload_name or 'default'}": str(schema) for schema in every}


def lines() -> list[list[str]]:
    return [line.split() for line in _operators.FILE.read_text().splitlines() if not line.startswith("#")]


def test_a_line_is_an_operator_and_why_it_is_there() -> None:
    text = _operators.FILE.read_text()
    said = {line.split()[1] for line in text.splitlines() if line.startswith("#   ")}
    found = lines()
    assert {len(line) for line in found} == {2}
    assert {why for _, why in found} == said
    assert found == sorted(found)
    assert len({operator for operator, _ in found}) == len(found) == len(_operators.overloads())


def test_each_operator_is_one_of_torchs() -> None:
    known = schemas()
    # Those for phones are there only where torch was built with XNNPACK.
    assert [operator for operator, why in lines() if operator not in known and why != "phones"] == []


def test_each_name_is_there_with_all_its_overloads() -> None:
    # TorchScript names no overload, so a name may run only where all of them were read. An upgrade of torch that adds
    # one fails here: read it, and add its line.
    names = _operators.names()
    missing = [o for o in schemas() if o.partition(".")[0] in names and o not in _operators.overloads()]
    assert missing == []


def test_nothing_on_the_list_reaches_out() -> None:
    listed = {operator: schema for operator, schema in schemas().items() if operator in _operators.overloads()}
    # Files, addresses and memory of others come as these.
    for word in ("filename", "Storage", "Stream", "RRef", "Future", "__torch__", "Capsule", "str path", "url"):
        odd = [schema for schema in listed.values() if word in schema]
        assert all(word == "__torch__" and "torch.classes" in schema for schema in odd), odd
    unsafe = {operator.partition(".")[0] for operator in listed if "unsafe" in operator}
    # Read: these check their sizes and indices, as the test below shows of two.
    kinds = ("chunk", "split", "split_with_sizes")
    assert unsafe <= {"aten::_unsafe_index", "aten::_unsafe_view", *(f"aten::unsafe_{kind}" for kind in kinds)}
    for name in ("save", "from_file", "_print", "warn", "set_", "set_data", "resize_", "_reshape_alias"):
        assert f"aten::{name}" not in _operators.names()


def test_what_takes_sizes_and_indices_checks_them() -> None:
    three = torch.zeros(3)
    with pytest.raises(IndexError, match="out of bounds"):
        torch.ops.aten._unsafe_index(three, [torch.tensor([10**9])])
    with pytest.raises(RuntimeError, match="invalid for input of size 3"):
        torch.ops.aten._unsafe_view(three, [10**6])
    with pytest.raises(RuntimeError, match="out of bounds for storage"):
        torch.ops.aten.as_strided(three, [10**6], [1])

"""The operators of PyTorch's that a program from a file may use: those that were read, by name and overload.

What is not on the list may do anything: ``aten::save`` writes files, ``aten::_print`` prints, and
``aten::_sparse_coo_tensor_unsafe`` reads beyond its memory. The list is a file of its own, one operator a line with the
reason why it is there; `python -m tests.benchmarks.operators` makes it from what PyTorch's exporters write.
"""

from __future__ import annotations

import functools
from pathlib import Path

FILE = Path(__file__).with_suffix(".txt")


@functools.cache
def overloads() -> frozenset[str]:
    """Every operator that may run, as ``aten::add.Tensor``; the overload without a name is called ``default``."""
    lines = FILE.read_text(encoding="ascii").splitlines()
    return frozenset(line.split()[0] for line in lines if line and not line.startswith("#"))


@functools.cache
def names() -> frozenset[str]:
    """The same without their overloads, as ``aten::add``: all overloads of each were read."""
    return frozenset(operator.partition(".")[0] for operator in overloads())

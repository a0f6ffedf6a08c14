"""Whether an error says that memory ran out, and what to do then: that is neither a fault of ours nor of the input.

Every library has an error of its own for it, some only a text; TorchScript puts others' into the text of its own.
"""

from __future__ import annotations

import errno
import re

_TOLD = re.compile(
    r"out of memory|bad[ _]alloc|(?:can't|cannot|can not|failed to|unable to) (?:allocate|map)|not enough memory"
    r"|malloc of size \d+ failed|cannot allocate memory|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
HINT = "give a smaller --batch-size, fewer --workers or fewer samples (--limit), or run where there is more memory"


def exhausted(fault: BaseException | None) -> bool:
    """Whether ``fault``, or what it came from, is that memory ran out."""
    seen = set[int]()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        if isinstance(fault, MemoryError) or (isinstance(fault, OSError) and fault.errno == errno.ENOMEM):
            return True
        if isinstance(fault, Exception) and not isinstance(fault, OSError) and _TOLD.search(str(fault)):
            return True
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    return False

"""What `torch.save` writes, as bytes, which then go to disk as those of any file.

Writing by itself torch tells of a full disk as of a fault in its own archive, from which nobody sees what to do.
"""

from __future__ import annotations

import io
from typing import Any


def content(value: Any) -> memoryview:
    """``value`` as `torch.save` writes it."""
    import torch

    held = io.BytesIO()
    torch.save(value, held)
    return held.getbuffer()

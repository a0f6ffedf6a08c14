"""The state of a training on disk, so that one that was killed goes on where it stopped.

Written under another name and renamed, so that what is there is always whole, behind a digest of it, since torch reads
files whose bits have changed. It lies beside the output, where others may have put it, so that its contents are looked
at as those of any file.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prune_audit.errors import UsageError
from prune_audit.files import sealed
from prune_audit.files import target as targets
from prune_audit.nets import serialised

OF = "training"
"""What a state belongs to, in its digest."""
SECONDS = 60.0  # between two states; a state is also written after every epoch


@dataclass(slots=True)
class Resume:
    """The file at ``path``; ``key`` says which run its state belongs to."""

    path: Path
    key: str
    _written: float = field(default_factory=time.monotonic)

    def read(self) -> dict[str, Any] | None:
        """The state of this run, None where there is none.

        Raises:
            UsageError: the file is of another run, or no state.
        """
        import torch

        if not self.path.exists():
            return None
        try:
            held = io.BytesIO(sealed.read(self.path, OF))
            content = torch.load(held, map_location="cpu", weights_only=True)
            key, state = content["key"], dict(content["state"])
        # Whatever torch makes of bytes that somebody else has put there.
        except Exception as fault:
            raise self.refused() from fault
        if key != self.key:
            raise UsageError(
                f"{self.path} is the state of another run: of another model, other data or other options",
                hint=f"give the same ones to go on with it, or start anew: rm {self.path}",
            )
        return state

    def refused(self) -> UsageError:
        """The error for a file that nothing can go on with."""
        return UsageError(f"{self.path} is no state of a training that could go on", hint=f"remove it: rm {self.path}")

    def due(self) -> bool:
        """Whether so much time has passed that a state is worth writing."""
        return time.monotonic() - self._written >= SECONDS

    def write(self, state: dict[str, Any]) -> None:
        """Put ``state`` in the place of the one before.

        Raises:
            OutputError: it cannot be written.
        """
        content = bytes(serialised.content({"key": self.key, "state": state}))
        sealed.write(self.path, content, OF, what="states of a training", hint="make room, or write elsewhere")
        self._written = time.monotonic()

    def remove(self) -> None:
        """The run is over."""
        targets.remove(self.path)

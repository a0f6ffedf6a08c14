"""The state of a training on disk, so that one that was killed goes on where it stopped.

Written under another name and renamed, so that what is there is always whole.
"""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prune_audit.errors import OutputError, UsageError

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
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            key, state = content["key"], content["state"]
        except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as fault:
            raise UsageError(
                f"{self.path} is no state of a training that could go on", hint=f"remove it: rm {self.path}"
            ) from fault
        if key != self.key:
            raise UsageError(
                f"{self.path} is the state of another run: of another model, other data or other options",
                hint=f"give the same ones to go on with it, or start anew: rm {self.path}",
            )
        return dict(state)

    def due(self) -> bool:
        """Whether so much time has passed that a state is worth writing."""
        return time.monotonic() - self._written >= SECONDS

    def write(self, state: dict[str, Any]) -> None:
        """Put ``state`` in the place of the one before.

        Raises:
            OutputError: it cannot be written.
        """
        import torch

        part = self.path.with_name(f"{self.path.name}.part")
        try:
            torch.save({"key": self.key, "state": state}, part)
            part.replace(self.path)
        except (OSError, RuntimeError) as fault:
            raise OutputError(
                f"{self.path} cannot be written: {fault}", hint="make room, or write elsewhere"
            ) from fault
        self._written = time.monotonic()

    def remove(self) -> None:
        """The run is over."""
        self.path.unlink(missing_ok=True)

"""What ran elsewhere and was recorded: no function builds it, and much of it is no prediction of one label a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from prune_audit.core import Counts, ModelCard, ModelSource, Outputs, Scores
from prune_audit.core.things import refuse
from prune_audit.errors import UsageError


def no_factory(source: ModelSource, holds: str) -> None:
    """Raises `UsageError` where a function is to build what was recorded, of which the file ``holds`` some."""
    if source.factory is not None:
        raise UsageError(
            f"{source.path} holds {holds}, which need no factory {source.factory}",
            hint=f"give the path alone: {source.path}",
        )


class OfThings:
    """A recorded model that was asked for something else than one label a sample; ``HOLDS`` says for what."""

    __slots__ = ()
    HOLDS: ClassVar[str]
    card: ModelCard

    def outputs(
        self, ids: Sequence[str], labels: Counts, classes: tuple[str, ...], like: Scores | None = None
    ) -> Outputs:
        """Raises `AlignmentError`: these are no predictions of samples with one label."""
        del ids, labels, classes, like  # every recorded model's signature
        raise refuse(self.card, self.HOLDS)

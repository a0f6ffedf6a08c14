"""The story of a smaller network: dead channels taken out, written as ONNX, and proven to answer as the zeros do.

What is written is loaded again and asked, so that what is proven is the file and not the network that it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prune_audit import models
from prune_audit.core import Array, ModelCard, ModelSource, Recorded, Settings
from prune_audit.errors import ModelError
from prune_audit.evaluate.predict import ask
from prune_audit.nets import shrinking
from prune_audit.nets.editable import Editable
from prune_audit.nets.module import ROUNDING
from prune_audit.nets.shrinking import Shrinking

if TYPE_CHECKING:
    from prune_audit.nets.masking import Masks

PROVED, TOGETHER = 256, 32  # samples that both networks must answer alike, and how many of them are shown at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The network without filters that were cut, as an ONNX file. ``removed`` of the ``cut`` filters are taken out, and
    ``stay`` says why the others are not. ``macs`` are the multiply-accumulates of a sample before and after, and
    ``parameters`` how many there were and are, None where that cannot be told. On so many ``samples`` no score is
    further than ``apart``, a share of the largest of its sample, from that of the network with zeros."""

    source: ModelSource
    card: ModelCard
    cut: int
    removed: int
    stay: tuple[str, ...]
    macs: tuple[int | None, int | None]
    parameters: tuple[int | None, int | None]
    samples: int
    apart: float

    def told(self, name: str) -> tuple[str, ...]:
        """What is to be said of it beside the network ``name`` with zeros."""
        less = [
            f"{after:,} of {before:,} {what}"
            for what, (before, after) in (("parameters", self.parameters), ("multiply-accumulates a sample", self.macs))
            if before is not None and after is not None
        ]
        said = [
            f"{self.source.name} is {name} without {self.removed:,} of the {self.cut:,} filters that were cut: "
            f"{', '.join(less)}",
            f"on {self.samples:,} samples its scores differ from those of {name} by at most {self.apart:.1e} of the "
            f"largest; up to {ROUNDING:g} is taken for rounding",
        ]
        if self.stay:
            said.append(f"filters that stay as zeros: {'; '.join(self.stay)} (--exempt leaves such layers whole)")
        return tuple(said)


def proven(
    opened: Editable,
    channels: Shrinking,
    masks: Masks,
    samples: Mapping[str, Array],
    name: str,
    path: Path,
    settings: Settings,
) -> Shrunk:
    """Write the network ``opened``, whose filters ``masks`` cut, without its dead ``channels`` to the file ``path``.

    It is called ``name`` before. ``samples`` are those that it is proven on.

    Raises:
        ModelError: it does not answer as ``opened`` does, or cannot be exported.
        MissingExtra: a library that it takes is not installed.
        OutputError: it cannot be written.
    """
    module = channels.smaller(opened, masks)
    count = len(next(iter(samples.values())))
    parts = [{key: array[at : at + TOGETHER] for key, array in samples.items()} for at in range(0, count, TOGETHER)]
    expected = np.concatenate([shrinking.scores(opened, opened.module, part) for part in parts])
    with shrinking.running(opened, module):
        opened.export({key: array[: shrinking.TRACED] for key, array in samples.items()}, path)
    source = ModelSource(name=f"{name}.shrunk", path=path)
    written = models.load(source, Settings(threads=settings.threads, isolate=settings.isolate))
    assert not isinstance(written, Recorded)  # it is a network
    found = np.concatenate([ask(written, part) for part in parts])
    apart = shrinking.apart(found.astype(np.float64), expected)
    if apart > ROUNDING:
        raise ModelError(
            f"without the filters that were cut {name} answers otherwise: on {count:,} samples scores differ by up to "
            f"{apart:.1e} of the largest, and up to {ROUNDING:g} is taken for rounding",
            hint="leave out --shrink; nothing was written",
        )
    one = {key: array[:1] for key, array in samples.items()}
    cut, removed = channels.cut(masks), channels.removed(masks)
    return Shrunk(
        source=source,
        card=written.card,
        cut=sum(int(each.sum()) for each in cut.values()),
        removed=sum(int(each.sum()) for each in removed.values()),
        stay=channels.told(masks),
        macs=(opened.source.macs(one), written.macs(one)),
        parameters=(opened.card.parameters, written.card.parameters),
        samples=count,
        apart=apart,
    )

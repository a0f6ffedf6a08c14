"""A network whose weights came from a file, as a `Classifier`: what every format of weights ends with."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from prune_audit.core import Assumption, ModelSource, Settings
from prune_audit.evaluate.model_output import of
from prune_audit.files import on_disk
from prune_audit.models import _accuracy, _classes
from prune_audit.nets.module import TorchClassifier, expects_of, layers, parameters, uncounted

if TYPE_CHECKING:
    import torch


def classifier(
    module: torch.nn.Module,
    source: ModelSource,
    settings: Settings,
    *,
    form: str,
    metadata: Mapping[str, object],
    reads: tuple[tuple[str, str | None], ...] | None,
    assumed: tuple[Assumption, ...],
) -> TorchClassifier:
    """The eager ``module`` of the file at ``source``, a file of a ``form`` whose ``metadata`` may name its classes.

    ``reads`` are the files that its factory read, as `ModelCard` has them, and ``assumed`` is what was taken for
    granted of its weights.
    """
    card = on_disk.card(
        source,
        source.path,
        form=form,
        layers=layers(module),
        parameters=parameters(module),
        uncounted=uncounted(module),
    )
    card = dataclasses.replace(card, reads=reads)
    expects = dataclasses.replace(
        expects_of(module), classes=_classes.names(metadata), accuracy=_accuracy.recorded(metadata, source.path)
    )
    return TorchClassifier(
        module,
        card,
        expects,
        settings.device,
        threads=settings.threads,
        faster=(lambda: _laid_out(module)) if settings.device == "cpu" and _convolves(module) else None,
        outputs=of(source, settings),
        assumed=assumed,
    )


def _convolves(module: torch.nn.Module) -> bool:
    import torch

    return any(isinstance(part, torch.nn.Conv2d) for part in module.modules())


def _laid_out(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of ``module`` that computes all channels of a pixel together, as processors do convolutions faster.

    A pass of MobileNetV2 takes half the time.
    """
    import torch

    laid_out: torch.nn.Module = copy.deepcopy(module)
    return laid_out.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]  # torch's own

"""A data set's batch, made into what one model's inputs expect.

Images travel as bytes and become floats here, per batch and only once for all models that want the same type and
layout: decoded samples wait in memory at a quarter of the size, and a model with a uint8 input gets the raw bytes.
The arithmetic is float32 in the order divide by 255, subtract mean, divide by std, which is torchvision's
``ToTensor`` and ``Normalize`` to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from prune_audit.core import Array, Expects, Input, Preprocess
from prune_audit.errors import AlignmentError

UNKNOWN = Input(name="input")


class Feeder:
    """Fits one batch to one model after another, and keeps what it made for the next that wants the same."""

    def __init__(self, inputs: Mapping[str, Array], preprocess: Preprocess | None) -> None:
        self._inputs = inputs
        self._preprocess = preprocess
        self._made: dict[tuple[str, str, int], Array] = {}

    def feed(self, name: str, expects: Expects) -> Mapping[str, Array]:
        """The arrays for the model called ``name``, under its own input names.

        Raises:
            AlignmentError: the data lack an input of the model, or hold values that its type cannot.
        """
        if self._preprocess is not None:
            return self._image(name, expects, self._preprocess)
        return self._arrays(name, expects)

    def _image(self, name: str, expects: Expects, preprocess: Preprocess) -> Mapping[str, Array]:
        if len(expects.inputs) > 1:
            raise AlignmentError(
                f"model {name} has {len(expects.inputs)} inputs ({_names(expects)}), the data are images alone",
                hint="feed a model of several inputs from an .npz file with one array per input name",
            )
        wanted = expects.inputs[0] if expects.inputs else UNKNOWN
        dtype = wanted.dtype or "float32"
        axes = len(wanted.shape) if wanted.shape is not None else 4
        key = (dtype, expects.layout, axes)
        if key not in self._made:
            pixels = self._inputs["image"]  # uint8 (B, C, H, W)
            values = pixels if dtype == "uint8" else _normalise(pixels, preprocess).astype(dtype, copy=False)
            if axes in (2, 3):
                values = _fewer_axes(name, wanted, values, axes)
            elif expects.layout == "NHWC":
                values = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
            self._made[key] = values
        return {wanted.name: self._made[key]}

    def _arrays(self, name: str, expects: Expects) -> Mapping[str, Array]:
        if len(expects.inputs) <= 1 and len(self._inputs) == 1:
            wanted = expects.inputs[0] if expects.inputs else UNKNOWN
            return {wanted.name: _cast(name, wanted, *self._inputs.values())}
        if not expects.inputs:
            return self._inputs
        missing = [i.name for i in expects.inputs if i.name not in self._inputs]
        if missing:
            raise AlignmentError(
                f"model {name} has an input {missing[0]!r}, the data hold {', '.join(self._inputs)}",
                hint=f"name the arrays of the data after the model's inputs: {_names(expects)}",
            )
        return {i.name: _cast(name, i, self._inputs[i.name]) for i in expects.inputs}


def _fewer_axes(name: str, wanted: Input, values: Array, axes: int) -> Array:
    """Images (B, 1, H, W) as (B, H, W) or, row by row, as (B, H W).

    Raises:
        AlignmentError: they have several channels, of whose order nothing tells.
    """
    if values.shape[1] != 1:
        raise AlignmentError(
            f"model {name}: input {wanted.name!r} has {axes} axes, the images have {values.shape[1]} channels",
            hint="say --channels gray; or feed such inputs from an .npz file, as the model takes them",
        )
    return values.reshape(len(values), -1) if axes == 2 else values[:, 0]


def _normalise(pixels: Array, preprocess: Preprocess) -> Array:
    """Bytes (B, C, H, W) to float32, scaled to [0, 1], less mean, over std."""
    values = pixels.astype(np.float32)
    values /= np.float32(255)
    if preprocess.mean is not None:
        values -= np.asarray(preprocess.mean, np.float32)[:, None, None]
    if preprocess.std is not None:
        values /= np.asarray(preprocess.std, np.float32)[:, None, None]
    return values


def _cast(name: str, wanted: Input, values: Array) -> Array:
    """``values`` in the type that the model declares; none is cut to an integer or made infinite in silence."""
    if wanted.dtype is None or values.dtype == wanted.dtype:
        return values
    # Casting NaN to an integer changes it, which the comparison below detects; one of complex numbers drops a part.
    with suppress(FloatingPointError), np.errstate(over="raise", invalid="ignore"):
        cast = values.astype(wanted.dtype) if values.dtype.kind != "c" or np.dtype(wanted.dtype).kind == "c" else None
        if cast is not None and (np.dtype(wanted.dtype).kind not in "iub" or np.array_equal(cast, values)):
            return cast
    raise AlignmentError(
        f"model {name}: input {wanted.name!r} takes {wanted.dtype}, "
        f"the data hold {values.dtype} values that it cannot hold",
        hint=f"save the array as {wanted.dtype}, with the values that the model was made for",
    )


def _names(expects: Expects) -> str:
    return ", ".join(i.name for i in expects.inputs)

"""Colour conversion of a decoded picture to 8-bit RGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import output
from ..device import HOST, Tensor
from ..pixel_formats import layout_of, matrix_weights
from ..scalars import flag
from ..twins import twin

__all__ = ("to_rgb",)


def to_rgb(
    planes: Sequence[Tensor],
    format: str,
    *,
    matrix: str,
    full_range: bool,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Convert the planes of a picture to RGB.

    Chroma is interpolated bilinearly: a sample sits on the left pixel of its pair (4:2:0, 4:2:2) and,
    in 4:2:0, half-way between its two rows; at the borders the outermost sample holds. Values are
    computed in float32, clamped to 0..255 and rounded to the nearest, halves up.

    Args:
        planes: the planes of ``format`` (see ``PIXEL_FORMATS``); rows may be padded, sizes odd.
        format: a name of ``PIXEL_FORMATS``.
        matrix: ``bt601``, ``bt709`` or ``bt2020``; for ``gray`` and ``rgb24`` also ``rgb``, and unused.
        full_range: samples use 0..255 (or 0..1023) rather than 16..235; unused for ``rgb24``.
        out: C-contiguous uint8 ``[H, W, 3]`` to write to instead of a new array.

    Returns:
        uint8 ``[H, W, 3]``: ``out``, or a new array.

    Raises:
        ValueError: unknown format or matrix; planes or ``out`` that do not fit, or share memory.

    Source: ITU-R BT.601-7, BT.709-6, BT.2020-2; ranges and siting as in ITU-T H.273.
    """
    owner = "to_rgb"
    layout, held, device = layout_of(owner, format, planes)
    weights = matrix_weights(owner, layout, matrix)
    full_range = flag(owner, "full_range", full_range)
    height, width = held[0].shape[:2]
    rgb: NDArray[np.uint8] = output(owner, out, np.uint8, (height, width, 3), held, device)
    if device is not HOST:
        return twin(to_rgb, device)(held, format, matrix=matrix, full_range=full_range, out=rgb)
    _native.to_rgb(held, layout.native, weights, full_range, rgb)
    return rgb

"""Turning a picture's planes by quarters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..device import HOST, Tensor
from ..pixel_formats import layout_of
from ..scalars import shown
from ..twins import twin

__all__ = ("rotate",)


def rotate(planes: Sequence[Tensor], format: str, degrees: int) -> tuple[NDArray[Any], ...]:
    """Turn a picture clockwise.

    Samples are moved, not mixed, so chroma sites move by at most one luma pixel. Only 4:2:2 turned by
    90 or 270 degrees is sampled anew, since its halved rows become columns: doubled bilinearly one way,
    halved with weights 1/4, 1/2, 1/4 the other, rounded to the nearest, halves up.

    Args:
        planes: the planes of ``format`` (see ``PIXEL_FORMATS``); rows may be padded, sizes odd.
        format: a name of ``PIXEL_FORMATS``.
        degrees: 90, 180 or 270.

    Returns:
        New C-contiguous planes of the same format; width and height are exchanged at 90 and 270.

    Raises:
        ValueError: unknown format, planes that do not fit it, or another angle.

    Source: definition.
    """
    layout, held, device = layout_of("rotate", format, planes)
    if not isinstance(degrees, (int, np.integer)) or degrees not in (90, 180, 270):
        raise ValueError(f"rotate: degrees must be 90, 180 or 270, got {shown(degrees)}")
    degrees = int(degrees)
    if device is not HOST:
        return twin(rotate, device)(held, format, degrees)
    height, width = held[0].shape[:2]
    if degrees != 180:
        height, width = width, height
    turned = []
    for index, (plane, shape) in enumerate(zip(held, layout.shapes(height, width), strict=True)):
        out = np.empty(shape, plane.dtype)
        if index > 0 and layout.chroma_shift == (1, 0) and degrees != 180:
            _native.rotate_chroma_422(plane, degrees, height, width, out)
        else:
            _native.rotate_plane(plane, plane.itemsize * (shape[2] if len(shape) == 3 else 1), degrees, out)
        turned.append(out)
    return tuple(turned)

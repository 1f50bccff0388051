"""How bright the blocks of a picture are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import output
from ..device import HOST, Tensor
from ..pixel_formats import layout_of
from ..scalars import whole
from ..twins import twin

__all__ = ("luma_means",)


def luma_means(
    planes: Sequence[Tensor], format: str, *, block: int, out: NDArray[np.uint16] | None = None
) -> NDArray[np.uint16]:
    """The mean luma of each block of a picture, from some of its rows.

    Of blocks of 8 rows and more, every ``block // 4``-th row is read, from the first on. Blocks at the right and the
    bottom may be cut off by the edge. The luma of ``rgb24`` is (red + 2 green + blue) / 4.

    Args:
        planes: the planes of ``format`` (see ``PIXEL_FORMATS``); rows may be padded. Chroma is not read.
        format: a name of ``PIXEL_FORMATS``.
        block: side of a block in pixels, 1 to 256.
        out: C-contiguous uint16 of the result's shape to write to instead of a new array.

    Returns:
        uint16 ``[ceil(H / block), ceil(W / block)]`` in 1/256 of a step of 8 bits, cut to a whole number: ``out``, or a
        new array.

    Raises:
        ValueError: unknown format; planes, ``block`` or ``out`` that do not fit.
    """
    owner = "luma_means"
    layout, held, device = layout_of(owner, format, planes)
    block = whole(owner, "block", block, "must be at least 1", low=1, high=256)
    height, width = held[0].shape[:2]
    shape = (-(-height // block), -(-width // block))
    means: NDArray[np.uint16] = output(owner, out, np.uint16, shape, held, device)
    if device is not HOST:
        return twin(luma_means, device)(held, format, block=block, out=means)
    _native.luma_means(held, layout.native, block, means)
    return means

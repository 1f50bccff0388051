"""Tinting a picture's own planes by a map of segments. This kernel changes its input.

Planes on a device are tinted there. The map and the colours may each lie in host memory, or there as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST
from ..draw import canvas_of, place_beside, share_of_255
from ..twins import twin

__all__ = ("draw_segments",)


def draw_segments(
    planes: Sequence[NDArray[np.uint8]],
    format: str,
    segment_ids: NDArray[np.int32],
    colors: NDArray[np.uint8],
    alpha: float = 0.5,
    *,
    matrix: str,
    full_range: bool,
) -> None:
    """Tint every pixel by the colour of its segment IN PLACE.

    A chroma sample becomes the mean of what it would become under each of the pixels it stands for, so
    that it takes a share of each segment at their border. A pixel beyond the picture's odd edge is as
    the one beside it.

    Args:
        planes: writable planes of ``format``.
        format: ``yuv420p``, ``nv12``, ``yuv422p``, ``yuv444p`` or ``rgb24``.
        segment_ids: int32 ``[H, W]`` of the picture's size. Pixels with an id that is not in 1..S - 1 stay
            as they are.
        colors: uint8 ``[S, 3]``, RGB by id; row 0 is not used.
        alpha: share of the colour, 0..1, rounded to a 255th.
        matrix: ``bt601``, ``bt709`` or ``bt2020``; unused for ``rgb24``.
        full_range: as in :func:`vidgraph.kernels.to_rgb`.

    Raises:
        ValueError: the format cannot be drawn on, planes are read-only, or an array does not fit.

    Source: definition.
    """
    owner = "draw_segments"
    canvas, device = canvas_of(owner, planes, format, matrix, full_range)
    size = canvas[0][0].shape[:2]
    require(segment_ids, f"{owner}: segment_ids", np.int32, size, place_beside(segment_ids, device))
    require(colors, f"{owner}: colors", np.uint8, (None, 3), place_beside(colors, device))
    share = share_of_255(owner, "alpha", alpha)
    if device is HOST:
        _native.draw_segments(*canvas, segment_ids, colors, share)
    else:
        draw = twin(draw_segments, device)
        draw(canvas[0], format, segment_ids, colors, alpha, matrix=matrix, full_range=canvas[3])

"""Tinting a picture's own planes by a map of segments. This kernel changes its input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..draw import canvas_of, share_of_255

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
    canvas = canvas_of(owner, planes, format, matrix, full_range)
    require(segment_ids, f"{owner}: segment_ids", np.int32, canvas[0][0].shape[:2])
    require(colors, f"{owner}: colors", np.uint8, (None, 3))
    _native.draw_segments(*canvas, segment_ids, colors, share_of_255(owner, "alpha", alpha))

"""Launches the CUDA twin of ``draw_segments``."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int, c_uint8

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty, placed
from ..device import DeviceArray, Tensor
from ..draw import share_of_255
from ..draw.cuda import THREADS, colours_of, launch_tiles
from ..pixel_formats import PIXEL_FORMATS


def draw_segments(
    planes: Sequence[DeviceArray],
    format: str,
    segment_ids: Tensor,
    colors: Tensor,
    alpha: float,
    *,
    matrix: str,
    full_range: bool,
) -> None:
    """See :func:`vidgraph.kernels.draw_segments`."""
    owner, device, count = "draw_segments", planes[0].device, len(colors)
    ids, rgb = placed((segment_ids, colors), device)
    tints = empty((count,), np.dtype(np.uint32), device)
    launch(
        "segment_tints", device, THREADS, blocks_for(count, THREADS),
        c_int(PIXEL_FORMATS[format].native[0]), colours_of(owner, format, matrix, full_range), rgb, c_int(count),
        c_uint8(share_of_255(owner, "alpha", alpha)), tints,
    )  # fmt: skip
    launch_tiles(owner, planes, format, ids, tints, c_int(count))

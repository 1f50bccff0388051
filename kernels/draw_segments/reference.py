"""What the drawing of segments means, in plain NumPy: a colour and an alpha for every pixel, blended plane by plane.

Unlike the kernel this returns new planes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..draw.reference import CHROMA_STEP, Planes, components_reference


def draw_segments_reference(
    planes: Planes,
    format: str,
    segment_ids: NDArray[np.int32],
    colors: NDArray[np.uint8],
    alpha: float,
    matrix: str,
    full_range: bool,
) -> Planes:
    """See :func:`vidgraph.kernels.draw_segments`."""
    share = int(np.floor(alpha * 255 + 0.5))
    known = (segment_ids > 0) & (segment_ids < len(colors))
    palette = np.array([components_reference(color, format, matrix, full_range) for color in colors], np.int64)
    alphas = np.where(known, share, 0)
    over = np.zeros((*segment_ids.shape, 3), np.int64)
    over[known] = palette[segment_ids[known]]

    def mixed(under: NDArray[np.uint8], component: int, step: tuple[int, int]) -> NDArray[np.uint8]:
        """The mean over the pixels of a sample of what each would make of it, halves up."""
        below, right = (-length % size for length, size in zip(segment_ids.shape, step, strict=True))
        whole = np.repeat(np.repeat(under.astype(np.int64), step[0], axis=0), step[1], axis=1)
        edges = ((0, below), (0, right))
        a, o = np.pad(alphas, edges, mode="edge"), np.pad(over[:, :, component], edges, mode="edge")
        sums = (whole * (255 - a) + a * o).reshape(under.shape[0], step[0], under.shape[1], step[1]).sum(axis=(1, 3))
        parts = 255 * step[0] * step[1]
        mean: NDArray[np.uint8] = ((2 * sums + parts) // (2 * parts)).astype(np.uint8)
        return mean

    if format == "rgb24":
        return (np.stack([mixed(planes[0][:, :, c], c, (1, 1)) for c in range(3)], axis=-1),)
    luma, step = mixed(planes[0], 0, (1, 1)), CHROMA_STEP[format]
    if format == "nv12":
        return luma, np.stack([mixed(planes[1][:, :, c], c + 1, step) for c in range(2)], axis=-1)
    return luma, mixed(planes[1], 1, step), mixed(planes[2], 2, step)

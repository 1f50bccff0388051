"""What the drawing kernels mean, in plain NumPy: a map of alpha over the whole picture, blended plane by plane.

Unlike the kernels these return new planes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..to_rgb.reference import WEIGHTS

Planes = tuple[NDArray[np.uint8], ...]
CHROMA_STEP = {"yuv420p": (2, 2), "nv12": (2, 2), "yuv422p": (1, 2), "yuv444p": (1, 1)}  # pixels per sample, (y, x)


def components_reference(rgb: NDArray[np.uint8], format: str, matrix: str, full_range: bool) -> list[int]:
    """A colour in the picture's components, 8 bits."""
    red, green, blue = (float(value) / 255 for value in rgb)
    if format == "rgb24":
        return [int(value) for value in rgb]
    kr, kg, kb = WEIGHTS[matrix]
    luma = kr * red + kg * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    values = (255 * luma, 128 + 255 * cb, 128 + 255 * cr)
    if not full_range:
        values = (16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr)
    return [int(np.clip(np.floor(value + 0.5), 0, 255)) for value in values]


def mix_reference(under: NDArray[np.uint8], over: int, alpha: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """The weighted mean of two values, rounded to the nearest (255 is odd: there are no halves)."""
    a = alpha.astype(np.int64)
    return ((2 * (under.astype(np.int64) * (255 - a) + over * a) + 255) // 510).astype(np.uint8)


def blend_reference(
    planes: Planes, format: str, alpha: NDArray[np.uint8], rgb: NDArray[np.uint8], matrix: str, full_range: bool
) -> Planes:
    """Blend one colour by a map of alpha, uint8 ``[H, W]``; chroma takes the mean of its pixels."""
    over = components_reference(rgb, format, matrix, full_range)
    if format == "rgb24":
        return (np.stack([mix_reference(planes[0][:, :, c], over[c], alpha) for c in range(3)], axis=-1),)
    step_y, step_x = CHROMA_STEP[format]
    height, width = alpha.shape
    padded = np.pad(alpha.astype(np.int64), ((0, -height % step_y), (0, -width % step_x)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step_y, step_y, padded.shape[1] // step_x, step_x)
    count = step_y * step_x
    mean = (blocks.sum(axis=(1, 3)) + count // 2) // count
    luma = mix_reference(planes[0], over[0], alpha)
    if format == "nv12":
        return luma, np.stack([mix_reference(planes[1][:, :, c], over[c + 1], mean) for c in range(2)], axis=-1)
    return luma, mix_reference(planes[1], over[1], mean), mix_reference(planes[2], over[2], mean)


def rectangle_reference(shape: tuple[int, int], x1: int, y1: int, x2: int, y2: int, alpha: int) -> NDArray[np.uint8]:
    """A map of alpha that is not zero in a rectangle of whole pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.where((x >= x1) & (x < x2) & (y >= y1) & (y < y2), alpha, 0).astype(np.uint8)


def draw_boxes_reference(
    planes: Planes,
    format: str,
    boxes: NDArray[np.float32],
    colors: NDArray[np.uint8],
    thickness: int,
    matrix: str,
    full_range: bool,
) -> Planes:
    """Four bars inside each box, one after the other: top, bottom, left, right."""
    shape = planes[0].shape[0], planes[0].shape[1]
    for box, color in zip(boxes, colors, strict=True):
        if np.isnan(box).any():
            continue
        x1, y1, x2, y2 = (int(np.clip(np.floor(np.float64(edge) + 0.5), -1e6, 1e6)) for edge in box)
        if x2 <= x1 or y2 <= y1:
            continue
        across, down = min(thickness, (x2 - x1 + 1) // 2), min(thickness, (y2 - y1 + 1) // 2)
        top, bottom = y1 + down, max(y2 - down, y1 + down)
        bars = [(x1, y1, x2, top), (x1, bottom, x2, y2), (x1, top, x1 + across, bottom)]
        bars.append((max(x2 - across, x1 + across), top, x2, bottom))
        for bar in bars:
            planes = blend_reference(planes, format, rectangle_reference(shape, *bar, 255), color, matrix, full_range)
    return planes


def draw_points_reference(
    planes: Planes,
    format: str,
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    radius: float,
    matrix: str,
    full_range: bool,
) -> Planes:
    """Discs whose rims fade over one pixel."""
    y, x = np.mgrid[: planes[0].shape[0], : planes[0].shape[1]] + 0.5
    for point, color in zip(points.astype(np.float64), colors, strict=True):
        if not np.isfinite(point).all():
            continue
        share = np.clip(radius + 0.5 - np.hypot(x - point[0], y - point[1]), 0, 1)
        alpha = np.floor(share * 255 + 0.5).astype(np.uint8)
        planes = blend_reference(planes, format, alpha, color, matrix, full_range)
    return planes


def draw_labels_reference(
    planes: Planes,
    format: str,
    masks: Sequence[NDArray[np.uint8]],
    origins: NDArray[np.int32],
    colors: NDArray[np.uint8],
    text_colors: NDArray[np.uint8],
    opacity: float,
    matrix: str,
    full_range: bool,
) -> Planes:
    """A rectangle, then the text over it."""
    shape = planes[0].shape[0], planes[0].shape[1]
    for mask, (left, top), color, text in zip(masks, origins, colors, text_colors, strict=True):
        height, width = mask.shape
        alpha = int(np.floor(opacity * 255 + 0.5))
        box = rectangle_reference(shape, left, top, left + width, top + height, alpha)
        planes = blend_reference(planes, format, box, color, matrix, full_range)
        planes = blend_reference(planes, format, placed_reference(shape, mask, left, top), text, matrix, full_range)
    return planes


def draw_masks_reference(
    planes: Planes,
    format: str,
    boxes: NDArray[np.int32],
    masks: Sequence[NDArray[np.bool_]],
    colors: NDArray[np.uint8],
    alpha: float,
    matrix: str,
    full_range: bool,
) -> Planes:
    """Tint where the mask of each box, bool ``[h, w]``, is true."""
    shape = planes[0].shape[0], planes[0].shape[1]
    for box, mask, color in zip(boxes, masks, colors, strict=True):
        tint = mask.astype(np.uint8) * np.uint8(np.floor(alpha * 255 + 0.5))
        placed = placed_reference(shape, tint, int(box[0]), int(box[1]))
        planes = blend_reference(planes, format, placed, color, matrix, full_range)
    return planes


def placed_reference(shape: tuple[int, int], tile: NDArray[np.uint8], left: int, top: int) -> NDArray[np.uint8]:
    """A tile in a map of zeros, cut at the borders."""
    placed = np.zeros(shape, np.uint8)
    for y in range(max(top, 0), min(top + tile.shape[0], shape[0])):
        for x in range(max(left, 0), min(left + tile.shape[1], shape[1])):
            placed[y, x] = tile[y - top, x - left]
    return placed

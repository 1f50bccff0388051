"""What ``to_rgb`` means, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WEIGHTS = {"bt601": (0.299, 0.587, 0.114), "bt709": (0.2126, 0.7152, 0.0722), "bt2020": (0.2627, 0.678, 0.0593)}


def samples_reference(planes: Sequence[NDArray[Any]], format: str) -> list[NDArray[np.float64]]:
    """The planes as numbers: one array per component, 10-bit values in 0..1023."""
    if format == "rgb24":
        return [planes[0][:, :, c].astype(np.float64) for c in range(3)]
    if format == "nv12":
        planes = [planes[0], planes[1][:, :, 0], planes[1][:, :, 1]]
    elif format == "p010le":
        planes = [planes[0] >> 6, planes[1][:, :, 0] >> 6, planes[1][:, :, 1] >> 6]
    return [plane.astype(np.float64) for plane in planes]


def yuv_to_rgb_reference(
    y: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64], bits: int, matrix: str, full_range: bool
) -> NDArray[np.float64]:
    """RGB in 0..255, clamped, from samples of ``bits`` bits, by the formulas of ITU-R BT.601, 709 and 2020."""
    unit = 2 ** (bits - 8)
    if full_range:
        luma, cb, cr = (y / (256 * unit - 1), (u - 128 * unit) / (256 * unit - 1), (v - 128 * unit) / (256 * unit - 1))
    else:
        luma, cb, cr = ((y / unit - 16) / 219, (u / unit - 128) / 224, (v / unit - 128) / 224)
    kr, kg, kb = WEIGHTS[matrix]
    red = luma + 2 * (1 - kr) * cr
    blue = luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / kg
    rgb: NDArray[np.float64] = np.clip(255 * np.stack([red, green, blue], axis=-1), 0, 255)
    return rgb


def lerp_reference(plane: NDArray[np.float64], positions: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Values between the samples along ``axis``; positions are sample indices, held at the edges."""
    positions = np.clip(positions, 0, plane.shape[axis] - 1)
    low = np.floor(positions).astype(np.int64)
    high = np.minimum(low + 1, plane.shape[axis] - 1)
    weight = np.expand_dims(positions - low, 1 - axis)
    blended: NDArray[np.float64] = plane.take(low, axis) * (1 - weight) + plane.take(high, axis) * weight
    return blended


def to_rgb_reference(planes: Sequence[NDArray[Any]], format: str, matrix: str, full_range: bool) -> NDArray[np.uint8]:
    """Convert with bilinear chroma: sited left horizontally, centred vertically in 4:2:0."""
    if format == "rgb24":
        return planes[0].copy()
    samples, bits = samples_reference(planes, format), 10 if "10" in format else 8
    luma = samples[0]
    x, y = np.arange(luma.shape[1], dtype=np.float64), np.arange(luma.shape[0], dtype=np.float64)
    if format == "gray":
        chroma = [np.full_like(luma, 128.0)] * 2
        matrix = "bt601"
    elif "444" in format:
        chroma = samples[1:]
    elif "422" in format:
        chroma = [lerp_reference(plane, x / 2, 1) for plane in samples[1:]]
    else:
        chroma = [lerp_reference(lerp_reference(plane, x / 2, 1), y / 2 - 0.25, 0) for plane in samples[1:]]
    return np.floor(yuv_to_rgb_reference(luma, chroma[0], chroma[1], bits, matrix, full_range) + 0.5).astype(np.uint8)

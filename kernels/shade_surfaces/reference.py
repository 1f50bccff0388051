"""What ``shade_surfaces`` means, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import SurfaceTable

_F = np.float32


def shade_surfaces_reference(
    surfaces: NDArray[np.uint16],
    shadow: NDArray[np.uint8],
    table: SurfaceTable,
    textures: NDArray[np.uint8],
    noise: int = 0,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Shade, blur along rows, soften, add noise; float32 step by step as the definition has it."""
    height, width = surfaces.shape
    x, y = np.meshgrid(np.arange(width, dtype=_F) + _F(0.5), np.arange(height, dtype=_F) + _F(0.5))
    m = table.inverse[surfaces]
    u, v, w = (m[..., row, 0] * x + (m[..., row, 1] * y + m[..., row, 2]) for row in range(3))
    fade = table.fade[surfaces]
    with np.errstate(divide="ignore", invalid="ignore"):
        once = np.where(fade > 0, _F(1) / w, _F(1))
        size = np.abs(w)
        weaker = np.where(fade > 0, np.clip(size * np.sqrt(size) * fade, _F(0), _F(1)), _F(1))
        texel_u, texel_v = (np.floor(np.clip(each * once, _F(-1e6), _F(1e6))).astype(np.int64) % 256 for each in (u, v))
    values = textures[table.texture[surfaces], texel_v, texel_u].astype(np.int32) - 128
    light = _F(1) + table.amplitude[surfaces] * _F(1 / 128) * weaker * values.astype(_F)
    light = np.where(table.shaded[surfaces] != 0, light * (shadow.astype(_F) * _F(1 / 255)), light)
    row = (np.clip(table.colours[surfaces] * light[..., None], _F(0), _F(255)) + _F(0.5)).astype(np.uint8)
    soft = _softened(_softened(_blurred(row, table.blur[surfaces]), 1), 0)
    grain = _grain(height, width, seed) * noise
    grain = np.sign(grain) * (np.abs(grain) // 128)
    return np.asarray(np.clip(((soft + 8) >> 4) + grain, 0, 255), np.uint8)


def _blurred(image: NDArray[np.uint8], radius: NDArray[np.int32]) -> NDArray[np.int64]:
    out = image.astype(np.int64)
    for y, x in np.argwhere(radius > 0):
        window = image[y, max(0, x - radius[y, x]) : x + radius[y, x] + 1].astype(np.int64)
        out[y, x] = (window.sum(axis=0) + len(window) // 2) // len(window)
    return out


def _softened(image: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    ahead, behind = (np.take(image, np.clip(np.arange(image.shape[axis]) + d, 0, image.shape[axis] - 1), axis)
                     for d in (1, -1))  # fmt: skip
    return np.asarray(behind + 2 * image + ahead)


def _grain(height: int, width: int, seed: int) -> NDArray[np.int64]:
    h = (np.arange(height * width, dtype=np.uint64) + np.uint64(seed)) & np.uint64(0xFFFFFFFF)
    for factor, shift in ((2654435761, 15), (2246822519, 13), (3266489917, 16)):
        h = (h * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
        h ^= h >> np.uint64(shift)
    bits = h.astype(np.int64).reshape(height, width, 1)
    return np.asarray(((bits >> np.array([0, 8, 16])) & 255) - 128)

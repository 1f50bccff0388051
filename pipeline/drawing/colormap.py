"""Colours for numbers: a map in which equal steps look equally large."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

STEPS = 256
_LIGHTNESS = (6.0, 94.0)
_HUES = (305.0, 455.0)  # degrees in CIE L*a*b*: violet, through red and orange, to yellow
_MOST_CHROMA = 90.0
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65
_RGB_OF_XYZ = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


@cache
def warm_colors() -> NDArray[np.uint8]:
    """RGB of 256 steps, uint8 [256, 3], read-only: dark violet to light yellow.

    Lightness L* grows by the same amount at each step; chroma is as large as sRGB has it at that lightness and hue.
    Source: CIE 15, Colorimetry (L*a*b*); IEC 61966-2-1 (sRGB).
    """
    share = np.linspace(0, 1, STEPS)
    lightness = _LIGHTNESS[0] + share * (_LIGHTNESS[1] - _LIGHTNESS[0])
    hue = np.deg2rad(_HUES[0] + share * (_HUES[1] - _HUES[0]))
    chroma = np.linspace(0, _MOST_CHROMA, 181)
    linear = _linear_rgb(lightness[:, None], chroma[None], hue[:, None])
    displayable = ((linear >= 0) & (linear <= 1)).all(axis=-1)
    most = displayable.cumprod(axis=1).sum(axis=1) - 1
    most = np.minimum(most, np.convolve(np.pad(most, 8, "edge"), np.ones(17) / 17, "valid"))  # without corners
    step = chroma[1]
    colors = _linear_rgb(lightness, most * step, hue)
    curved = np.where(colors <= 0.0031308, 12.92 * colors, 1.055 * np.maximum(colors, 0) ** (1 / 2.4) - 0.055)
    table: NDArray[np.uint8] = np.rint(np.clip(curved, 0, 1) * 255).astype(np.uint8)
    table.flags.writeable = False
    return table


def _linear_rgb(
    lightness: NDArray[np.float64], chroma: NDArray[np.float64], hue: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear sRGB, [..., 3], of L*, C* and h in radians."""
    fy = (lightness + 16) / 116
    both = np.stack(np.broadcast_arrays(fy + chroma * np.cos(hue) / 500, fy, fy - chroma * np.sin(hue) / 200), axis=-1)
    delta = 6 / 29
    relative = np.where(both > delta, both**3, 3 * delta**2 * (both - 4 / 29))
    linear: NDArray[np.float64] = relative * _WHITE @ _RGB_OF_XYZ.T
    return linear

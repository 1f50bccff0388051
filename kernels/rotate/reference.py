"""What ``rotate`` means, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..to_rgb.reference import lerp_reference


def rotate_reference(planes: Sequence[NDArray[Any]], format: str, degrees: int) -> tuple[NDArray[Any], ...]:
    """Turn each plane clockwise; 4:2:2 chroma is sampled anew where rows become columns."""
    turned = [np.ascontiguousarray(np.rot90(plane, -degrees // 90)) for plane in planes]
    if "422" in format and degrees in (90, 270):
        height, width = turned[0].shape
        for index in (1, 2):
            chroma = lerp_reference(turned[index].astype(np.float64), _tall(height, degrees), 0)
            samples = np.clip(np.arange(-1, 2)[:, None] + 2 * np.arange(-(-width // 2)), 0, width - 1)
            left, middle, right = (chroma[:, columns] for columns in samples)
            turned[index] = np.floor((left + 2 * middle + right) / 4 + 0.5).astype(planes[index].dtype)
    return tuple(turned)


def _tall(height: int, degrees: int) -> NDArray[np.float64]:
    """Position in the turned chroma rows of each luma row: a sample sits on its first luma pixel before turning."""
    rows = np.arange(height, dtype=np.float64)
    if degrees == 90:
        return rows / 2
    return (-(-height // 2) - 1) - (height - 1 - rows) / 2

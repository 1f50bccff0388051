"""What ``luma_means`` means, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def luma_means_reference(planes: Sequence[NDArray[Any]], format: str, block: int) -> NDArray[np.uint16]:
    """Block by block: the rows that are read, their sum, and its mean in 1/256 of an 8-bit step."""
    luma = planes[0].astype(np.int64)
    if format == "rgb24":
        luma = luma @ np.array((1, 2, 1))
    elif format == "p010le":
        luma >>= 6
    unit = 64 if format == "rgb24" or "10" in format else 256
    height, width = luma.shape
    step = block // 4 if block >= 8 else 1
    means = [
        [int(part.sum()) * unit // part.size for left in range(0, width, block)
         for part in [luma[top : top + block : step, left : left + block]]]
        for top in range(0, height, block)
    ]  # fmt: skip
    return np.array(means, np.uint16)

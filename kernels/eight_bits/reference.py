"""What ``eight_bits`` means, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pixel_formats import PIXEL_FORMATS


def eight_bits_reference(planes: Sequence[NDArray[Any]], format: str) -> tuple[NDArray[np.uint8], ...]:
    """Each sample over the value of the least of the 8 bits, rounded."""
    layout = PIXEL_FORMATS[format]
    unit = 2.0 ** (layout.bits + layout.low_bits - 8)
    return tuple(np.clip(np.floor(plane / unit + 0.5), 0, 255).astype(np.uint8) for plane in planes)

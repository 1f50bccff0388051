"""One field of a picture that is woven of two, which were taken at different times."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def one_field(plane: NDArray[Any]) -> NDArray[Any]:
    """The lines of the top field, and between any two of them their mean, rounded down.

    Args:
        plane: uint8 or uint16 [h, w] or [h, w, samples].

    Returns:
        A new plane of the same size.
    """
    field = plane[::2]
    out = np.empty(plane.shape, plane.dtype)
    out[::2] = field
    between, pairs = out[1::2], len(field) - 1
    above, below = field[:-1], field[1:]
    np.bitwise_xor(above, below, out=between[:pairs])
    between[:pairs] >>= 1
    between[:pairs] += above & below
    between[pairs:] = field[pairs : len(between)]
    return out

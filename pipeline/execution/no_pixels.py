"""A frame that was dropped, without its pixels: what is left of it takes no memory."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..packet import Frame


def without_pixels(frame: Frame) -> Frame:
    """The frame with a picture of the same size and format that is all zeros and takes no memory."""
    planes = tuple(_zeros(plane.dtype.str, plane.shape) for plane in frame.picture.planes)
    return replace(frame, picture=replace(frame.picture, planes=planes))


@lru_cache(maxsize=64)
def _zeros(dtype: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """A read-only plane whose rows are all the same row of zeros."""
    return np.broadcast_to(np.zeros(shape[1:], dtype), shape)

"""Instance masks from prototypes and coefficients, as packed bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require

_LARGEST_PX = 1 << 20


def assemble_masks(
    proto: NDArray[np.float32],
    coeff: NDArray[np.float32],
    boxes: NDArray[np.float32],
    *,
    size: tuple[int, int],
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    """Prototypes x coefficients, sigmoid, crop, bilinear resize to the frame and threshold, in one pass.

    Probabilities are cut to the box, with one prototype pixel more on each side, before they are resized:
    a mask may reach up to two prototype pixels beyond its box. Nothing of the size of N frames is ever
    made, nor a frame of floats.

    Args:
        proto: float32 ``[Hp, Wp, K]``, the prototypes, at least one pixel.
        coeff: float32 ``[N, K]``, each detection's coefficients.
        boxes: float32 ``[N, 4]``, (x1, y1, x2, y2) relative to the frame, not clipped; in any order of
            the corners. A box with a NaN has an empty mask.
        size: (H, W) of the frame, pixels.

    Returns:
        boxes: int32 ``[N, 4]``, (x1, y1, x2, y2), frame pixels, the tightest around each mask; all 0
            around an empty one.
        bits: uint8 ``[B]``, the rows of each box, packed as ``numpy.packbits`` does, each padded to a byte.
        offsets: int64 ``[N + 1]``, where the bits of each mask begin and end.
        All owned. A pixel whose probability is within 1e-5 of 0.5 may fall on either side, on the same
        one for every instruction set.

    Raises:
        ValueError: a dtype, shape or device does not fit the above.

    Source: Bolya et al., YOLACT, ICCV 2019, and its code; bilinear as torch's ``interpolate`` with
        ``align_corners=False``.
    """
    owner = "assemble_masks"
    require(proto, f"{owner}: proto", np.float32, (None, None, None))
    require(boxes, f"{owner}: boxes", np.float32, (None, 4))
    require(coeff, f"{owner}: coeff", np.float32, (len(boxes), proto.shape[2]))
    height, width = size
    for what, pair in (("size", size), ("proto", proto.shape[:2])):
        if not all(1 <= side <= _LARGEST_PX for side in pair):
            raise ValueError(f"{owner}: {what} must have 1 to {_LARGEST_PX} pixels along each side, got {tuple(pair)}")
    tight, offsets = np.empty((len(boxes), 4), np.int32), np.empty(len(boxes) + 1, np.int64)
    bits = _native.assemble_masks(proto, coeff, boxes, (height, width), tight, offsets)
    return tight, bits.copy(), offsets

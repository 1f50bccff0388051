"""A mask's packed bits as COCO's compressed run lengths, and as outlines.

They have no twin on a device: they make text and lists, which are the host's, of one mask at a time, and the bits of
all masks are copied sooner than a result of each is waited for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..scalars import FARTHEST_PX, picture_size, shown, wholes

__all__ = ("encode_runs", "mask_outlines", "rle_counts")

Box = tuple[int, int, int, int]


def rle_counts(bits: NDArray[np.uint8], box: Box, *, size: tuple[int, int]) -> str:
    """The ``counts`` of COCO's compressed RLE.

    Runs alternate between 0 and 1, start with 0, and go down the columns of the frame. From the fourth
    run on the difference to the run before the last is stored; each number is written in groups of 5
    bits, the lowest first, bit 6 says that more follow, and 48 is added to make it printable.

    Args:
        bits: uint8 ``[B]``, the rows of the box, packed as ``numpy.packbits`` does, each padded to a
            byte; what the padding holds does not matter.
        box: (x1, y1, x2, y2), whole pixels within the frame; may be empty, and larger than the mask.
        size: (H, W) of the frame, pixels.

    Raises:
        ValueError: a dtype, shape or device does not fit the above, or the box does not lie in the frame.

    Source: the COCO data format (Lin et al., ECCV 2014), as its public tools write it.
    """
    height, width = picture_size("rle_counts", "size", size, "must be (h, w), not negative", low=0)
    x1, y1, x2, y2 = _checked("rle_counts", bits, box)
    if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
        raise ValueError(f"rle_counts: box must lie within {width}x{height}, got {[x1, y1, x2, y2]}")
    return str(_native.rle_counts(bits, (x1, y1), x2 - x1, y2 - y1, (height, width)))


def encode_runs(runs: NDArray[np.int64]) -> str:
    """The compressed text of run lengths.

    Args:
        runs: int64 ``[R]``, none negative; nothing gives an empty text.

    Raises:
        ValueError: a dtype, shape or device does not fit the above, or the runs are no lengths of one mask.

    Source: as :func:`rle_counts`.
    """
    require(runs, "encode_runs: runs", np.int64, (None,))
    return str(_native.encode_runs(runs))


def mask_outlines(bits: NDArray[np.uint8], box: Box) -> list[list[float]]:
    """Exterior outlines of the 4-connected parts of a mask, exactly along the pixel edges.

    Args:
        bits, box: as for :func:`rle_counts`; the box may lie anywhere within 2^24 pixels of the picture.

    Returns:
        One flat list [x1, y1, x2, y2, …] of corner points for each part, clockwise on the screen,
        from its topmost (then leftmost) corner; parts in the order of that corner. Holes are not
        listed: filled with the even-odd rule an outline is its part with the holes closed. Where two
        pixels touch at a corner only, each outline stays with its own.

    Raises:
        ValueError: a dtype, shape or device does not fit the above.

    Source: definition.
    """
    x1, y1, x2, y2 = _checked("mask_outlines", bits, box)
    outlines: list[list[float]] = _native.mask_outlines(bits, (x1, y1), x2 - x1, y2 - y1)
    return outlines


def _checked(owner: str, bits: NDArray[np.uint8], box: Box) -> Box:
    corners: Box = wholes(owner, "box", box, "must be (x1, y1, x2, y2)", 4)
    x1, y1, x2, y2 = corners
    if x1 > x2 or y1 > y2:
        raise ValueError(f"{owner}: box must be (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2, got {shown(box)}")
    if x1 < -FARTHEST_PX or y1 < -FARTHEST_PX or x2 > FARTHEST_PX or y2 > FARTHEST_PX:
        raise ValueError(f"{owner}: box must lie within {FARTHEST_PX} pixels of the picture, got {shown(box)}")
    require(bits, f"{owner}: bits", np.uint8, ((x2 - x1 + 7) // 8 * (y2 - y1),))
    return corners

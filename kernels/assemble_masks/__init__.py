"""Instance masks from prototypes and coefficients, as packed bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require, require_strided
from ..device import HOST, Device
from ..scalars import LARGEST_SIDE_PX, numbers, picture_size, shown
from ..twins import twin

__all__ = ("assemble_masks", "expected_mask_iou")

_RULE = f"must have 1 to {LARGEST_SIDE_PX} pixels along each side"


def assemble_masks(
    proto: NDArray[np.float32],
    coeff: NDArray[np.float32],
    boxes: NDArray[np.float32],
    *,
    size: tuple[int, int],
    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    limits: NDArray[np.int32] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]:
    """Prototypes x coefficients, sigmoid, crop, bilinear resize to the frame and threshold, in one pass.

    Probabilities are cut to the box, with one prototype pixel more on each side, before they are resized:
    a mask may reach up to two prototype pixels beyond its box, unless ``limits`` cut it there. Nothing of the
    size of N frames is ever made, nor a frame of floats.

    The prototypes may be the whole of a letterboxed input, of which the frame covers only ``window``. Those
    beyond it are like any others: cut to the box, they are mixed into the pixels along the frame's border
    (within half a prototype pixel of it), as if the masks of the whole input were made and the frame cut out
    of them. At the edges of the prototypes themselves the outermost ones hold.

    Beside ``process_mask`` of Ultralytics with ``upsample=True``, whose frame is the network's input (a default
    ``window``, ``size`` the input's): the products and the places that are sampled are the same. It cuts to the
    box without the pixel more, and mixes logits and asks whether they exceed 0 (its first versions:
    probabilities and 0.5, as here). So a pixel is the same in both if the four prototypes that it mixes lie in
    the box and have it on one side; outlines move by less than a prototype pixel, and masks that are cut by
    their box reach up to one (left, top) or two (right, bottom) prototype pixels beyond it here, half a pixel
    less or more there.

    Args:
        proto: float32 ``[Hp, Wp, K]`` of any strides, the prototypes, at least one pixel. With the K numbers of
            a pixel adjacent, or the pixels of a row (a transposed view of ``[K, Hp, Wp]``), it is as fast as it
            can be. Every layout gives the same bits.
        coeff: float32 ``[N, K]``, each detection's coefficients.
        boxes: float32 ``[N, 4]``, (x1, y1, x2, y2) relative to the frame, not clipped; in any order of
            the corners. A box with a NaN has an empty mask.
        size: (H, W) of the frame, pixels.
        window: (x1, y1, x2, y2) relative to the prototypes, in 0..1: what the frame covers of them.
        limits: int32 ``[N, 4]``, (x1, y1, x2, y2), frame pixels: no pixel outside of its own is in a mask, those
            inside are as without. They may reach beyond the frame; one without an area leaves an empty mask.

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
    device = _check(owner, proto, coeff, boxes)
    height, width = picture_size(owner, "size", size, _RULE)
    x1, y1, x2, y2 = numbers(owner, "window", window, 4)
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        rule = "must be (x1, y1, x2, y2) with 0 <= x1 < x2 <= 1, y likewise"
        raise ValueError(f"{owner}: window {rule}, got {shown(window)}")
    if limits is not None:
        require(limits, f"{owner}: limits", np.int32, (len(boxes), 4), device)
    if device is not HOST:
        found = twin(assemble_masks, device)
        return found(proto, coeff, boxes, size=(height, width), window=(x1, y1, x2, y2), limits=limits)
    tight, offsets = np.empty((len(boxes), 4), np.int32), np.empty(len(boxes) + 1, np.int64)
    bits = _native.assemble_masks(proto, coeff, boxes, (height, width), (x1, y1, x2, y2), limits, tight, offsets)
    return tight, bits.copy(), offsets


def expected_mask_iou(
    proto: NDArray[np.float32], coeff: NDArray[np.float32], boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How well masks may be expected to overlap the true ones, from the probabilities of their pixels alone.

    If every prototype pixel belongs to the object with its probability p, the mask (p above 0.5, cut to the box with
    one pixel more on each side, as :func:`assemble_masks` does) shares ``sum of p in the mask`` pixels with it on
    average, and they cover ``pixels of the mask + sum of p beside it`` together: the quotient says how sure the
    network is of the outline. A score times this ranks detections by the quality of their masks too, without a
    network for it.

    Args:
        proto, coeff, boxes: as for :func:`assemble_masks`, the frame being all of the prototypes.

    Returns:
        float32 ``[N]``, in [0, 1]; 0 for a mask without a pixel. Owned. Every layout of ``proto`` and every
        instruction set gives the same bits.

    Raises:
        ValueError: a dtype, shape or device does not fit the above.

    Source: after the maskness of Wang et al., SOLO: A Simple Framework for Instance Segmentation, arXiv:2106.15947
        (the mean probability within the mask), which does not count what the mask may have missed.
    """
    device = _check("expected_mask_iou", proto, coeff, boxes)
    if device is not HOST:
        return twin(expected_mask_iou, device)(proto, coeff, boxes)
    found = np.empty(len(boxes), np.float32)
    _native.expected_mask_iou(proto, coeff, boxes, found)
    return found


def _check(owner: str, proto: NDArray[np.float32], coeff: NDArray[np.float32], boxes: NDArray[np.float32]) -> Device:
    device = require_strided(proto, f"{owner}: proto", np.float32, 3, "[N, N, N]")
    require(boxes, f"{owner}: boxes", np.float32, (None, 4), device)
    require(coeff, f"{owner}: coeff", np.float32, (len(boxes), proto.shape[2]), device)
    picture_size(owner, "proto", proto.shape[:2], _RULE)
    return device

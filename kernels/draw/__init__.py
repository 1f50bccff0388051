"""Drawing on a picture's own planes. These are the only kernels that change their input.

Coordinates are continuous pixels, pixel i covering [i, i + 1). Everything is cut at the borders. A
chroma sample takes the mean coverage of the pixels it stands for, so odd edges do not bleed.

Planes on a device are drawn on there. Each array of what is drawn may lie in host memory, or there as well. Then its
numbers cannot be checked: a row that does not fit is not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST, Device, Tensor, device_of
from ..pixel_formats import layout_of, matrix_weights
from ..scalars import FARTHEST_PX, LARGEST_SIDE_PX, flag, number, shown, whole
from ..twins import twin

__all__ = ("draw_boxes", "draw_labels", "draw_masks", "draw_points")

DRAWABLE = ("yuv420p", "nv12", "yuv422p", "yuv444p", "rgb24")

_SMALLEST_RADIUS_PX = 2.0**-149  # above 0 as a float32

Canvas = tuple[tuple[Any, ...], tuple[int, int, int, int, int], tuple[float, float], bool]


def draw_boxes(
    planes: Sequence[NDArray[np.uint8]],
    format: str,
    boxes: NDArray[np.float32],
    colors: NDArray[np.uint8],
    *,
    matrix: str,
    full_range: bool,
    thickness: int = 2,
) -> None:
    """Draw outlines of boxes IN PLACE, in order, opaque.

    A corner goes to the nearest pixel border, halves up; the line lies inside the box. A box with a
    NaN coordinate, and one without area, is not drawn.

    Args:
        planes: writable planes of ``format``.
        format: ``yuv420p``, ``nv12``, ``yuv422p``, ``yuv444p`` or ``rgb24``.
        boxes: float32 ``[N, 4]``, (x1, y1, x2, y2), frame pixels.
        colors: uint8 ``[N, 3]``, RGB.
        matrix: ``bt601``, ``bt709`` or ``bt2020``; unused for ``rgb24``.
        full_range: as in :func:`vidgraph.kernels.to_rgb`.
        thickness: whole pixels, at least 1.

    Raises:
        ValueError: the format cannot be drawn on, planes are read-only, or an array does not fit.

    Source: definition.
    """
    owner = "draw_boxes"
    canvas, device = canvas_of(owner, planes, format, matrix, full_range)
    require(boxes, f"{owner}: boxes", np.float32, (None, 4), place_beside(boxes, device))
    require(colors, f"{owner}: colors", np.uint8, (len(boxes), 3), place_beside(colors, device))
    thickness = whole(owner, "thickness", thickness, "must be at least 1 pixel", low=1, high=FARTHEST_PX)
    if device is HOST:
        _native.draw_boxes(*canvas, boxes, colors, thickness)
    else:
        draw = twin(draw_boxes, device)
        draw(canvas[0], format, boxes, colors, matrix=matrix, full_range=canvas[3], thickness=thickness)


def draw_points(
    planes: Sequence[NDArray[np.uint8]],
    format: str,
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    *,
    matrix: str,
    full_range: bool,
    radius: float = 2.0,
) -> None:
    """Draw filled discs IN PLACE, in order, with smooth rims.

    A pixel is covered by radius + 0.5 - (distance of its centre to the point), held in 0..1. A point
    with a coordinate that is not finite is not drawn.

    Args:
        planes: writable planes of ``format``.
        format: ``yuv420p``, ``nv12``, ``yuv422p``, ``yuv444p`` or ``rgb24``.
        points: float32 ``[N, 2]``, (x, y), frame pixels.
        colors: uint8 ``[N, 3]``, RGB.
        matrix: ``bt601``, ``bt709`` or ``bt2020``; unused for ``rgb24``.
        full_range: as in :func:`vidgraph.kernels.to_rgb`.
        radius: pixels, positive.

    Raises:
        ValueError: the format cannot be drawn on, planes are read-only, or an array does not fit.

    Source: definition.
    """
    owner = "draw_points"
    canvas, device = canvas_of(owner, planes, format, matrix, full_range)
    require(points, f"{owner}: points", np.float32, (None, 2), place_beside(points, device))
    require(colors, f"{owner}: colors", np.uint8, (len(points), 3), place_beside(colors, device))
    rule = f"must be positive and at most {FARTHEST_PX} pixels"
    radius = number(owner, "radius", radius, rule, low=_SMALLEST_RADIUS_PX, high=FARTHEST_PX)
    if device is HOST:
        _native.draw_points(*canvas, points, colors, radius)
    else:
        draw = twin(draw_points, device)
        draw(canvas[0], format, points, colors, matrix=matrix, full_range=canvas[3], radius=radius)


def draw_labels(
    planes: Sequence[NDArray[np.uint8]],
    format: str,
    masks: Sequence[NDArray[np.uint8]],
    origins: NDArray[np.int32],
    *,
    colors: NDArray[np.uint8],
    text_colors: NDArray[np.uint8],
    matrix: str,
    full_range: bool,
    opacity: float = 1.0,
) -> None:
    """Draw filled rectangles with text in them IN PLACE, in order.

    A rectangle is as large as its mask, which holds the text with whatever margin is wanted; text
    where the mask is 255, background where it is 0, a mixture in between.

    Args:
        planes: writable planes of ``format``.
        format: ``yuv420p``, ``nv12``, ``yuv422p``, ``yuv444p`` or ``rgb24``.
        masks: N arrays, uint8 ``[h, w]``, C-contiguous, of any sizes; one array may serve many labels.
        origins: int32 ``[N, 2]``, (x, y) of each rectangle's top left pixel; may lie outside.
        colors: uint8 ``[N, 3]``, RGB of the rectangles.
        text_colors: uint8 ``[N, 3]``, RGB of the text.
        matrix: ``bt601``, ``bt709`` or ``bt2020``; unused for ``rgb24``.
        full_range: as in :func:`vidgraph.kernels.to_rgb`.
        opacity: of the rectangle, 0..1, rounded to a 255th; text is opaque.

    Raises:
        ValueError: the format cannot be drawn on, planes are read-only, or an array does not fit.

    Source: definition.
    """
    owner = "draw_labels"
    canvas, device = canvas_of(owner, planes, format, matrix, full_range)
    try:
        masks = tuple(masks)
    except TypeError:
        raise ValueError(f"{owner}: masks must be a sequence of arrays, got {shown(masks)}") from None
    require(origins, f"{owner}: origins", np.int32, (len(masks), 2), place_beside(origins, device))
    require(colors, f"{owner}: colors", np.uint8, (len(masks), 3), place_beside(colors, device))
    require(text_colors, f"{owner}: text_colors", np.uint8, (len(masks), 3), place_beside(text_colors, device))
    _check_reach(f"{owner}: origins", origins)
    alpha = share_of_255(owner, "opacity", opacity)
    for row, mask in enumerate(masks):
        require(mask, f"{owner}: masks[{row}]", np.uint8, (None, None), place_beside(mask, device))
        if max(mask.shape) > LARGEST_SIDE_PX:
            raise ValueError(
                f"{owner}: masks[{row}] must have at most {LARGEST_SIDE_PX} pixels along each side, got "
                f"{list(mask.shape)}"
            )
    if device is HOST:
        _native.draw_labels(*canvas, masks, origins, colors, text_colors, alpha)
    else:
        draw = twin(draw_labels, device)
        draw(
            canvas[0], format, masks, origins, colors=colors, text_colors=text_colors, matrix=matrix,
            full_range=canvas[3], opacity=opacity,
        )  # fmt: skip


def draw_masks(
    planes: Sequence[NDArray[np.uint8]],
    format: str,
    boxes: NDArray[np.int32],
    bits: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    colors: NDArray[np.uint8],
    alpha: float = 0.5,
    *,
    matrix: str,
    full_range: bool,
) -> None:
    """Tint the pixels of instance masks IN PLACE, in order.

    Args:
        planes: writable planes of ``format``.
        format: ``yuv420p``, ``nv12``, ``yuv422p``, ``yuv444p`` or ``rgb24``.
        boxes: int32 ``[N, 4]``, (x1, y1, x2, y2), whole frame pixels; may lie partly outside.
        bits: uint8 ``[B]``, rows of each box packed as ``numpy.packbits`` does, each padded to a byte.
        offsets: int64 ``[N + 1]``, where the rows of each box start in ``bits``, and the end.
        colors: uint8 ``[N, 3]``, RGB.
        alpha: share of the colour, 0..1, rounded to a 255th.
        matrix: ``bt601``, ``bt709`` or ``bt2020``; unused for ``rgb24``.
        full_range: as in :func:`vidgraph.kernels.to_rgb`.

    Raises:
        ValueError: the format cannot be drawn on, planes are read-only, an array does not fit, or the
            offsets do not match the boxes.

    Source: definition.
    """
    owner = "draw_masks"
    canvas, device = canvas_of(owner, planes, format, matrix, full_range)
    require(boxes, f"{owner}: boxes", np.int32, (None, 4), place_beside(boxes, device))
    require(bits, f"{owner}: bits", np.uint8, (None,), place_beside(bits, device))
    require(offsets, f"{owner}: offsets", np.int64, (len(boxes) + 1,), place_beside(offsets, device))
    require(colors, f"{owner}: colors", np.uint8, (len(boxes), 3), place_beside(colors, device))
    _check_reach(f"{owner}: boxes", boxes)
    if device_of(boxes) is HOST and device_of(offsets) is HOST:
        _check_offsets(owner, boxes, offsets, len(bits))
    share = share_of_255(owner, "alpha", alpha)
    if device is HOST:
        _native.draw_masks(*canvas, boxes, bits, offsets, colors, share)
    else:
        draw = twin(draw_masks, device)
        draw(canvas[0], format, boxes, bits, offsets, colors, alpha, matrix=matrix, full_range=canvas[3])


def canvas_of(
    owner: str, planes: Sequence[NDArray[Any]], format: str, matrix: str, full_range: bool
) -> tuple[Canvas, Device]:
    """What the compiled module is told about a picture that is drawn on (planes, layout, matrix and range), and where
    the picture lies.

    Raises:
        ValueError: the format cannot be drawn on, or what came does not fit it or is read-only.
    """
    if not isinstance(format, str) or format not in DRAWABLE:
        raise ValueError(f"{owner}: can draw on {', '.join(DRAWABLE)}, got {shown(format)}; convert the picture first")
    layout, held, device = layout_of(owner, format, planes)
    for plane in held:
        if not plane.flags.writeable:
            raise ValueError(f"{owner}: the planes must be writable; draw on a copy")
    weights = matrix_weights(owner, layout, matrix)
    return (held, layout.native, weights, flag(owner, "full_range", full_range)), device


def place_beside(array: Tensor, device: Device) -> Device:
    """Where an array has to lie that is drawn on planes on ``device``: in host memory, or there."""
    return HOST if device_of(array) is HOST else device


def share_of_255(owner: str, what: str, share: float) -> int:
    """A share of 0..1, rounded to a 255th.

    Raises:
        ValueError: it is no number, or out of range.
    """
    return int(number(owner, what, share, "must be in [0, 1]", low=0.0, high=1.0) * 255 + 0.5)


def _check_reach(what: str, pixels: NDArray[np.int32]) -> None:
    if device_of(pixels) is HOST and pixels.size and not (pixels.min() >= -FARTHEST_PX and pixels.max() <= FARTHEST_PX):
        raise ValueError(f"{what} must lie within {FARTHEST_PX} pixels of the picture")


def _check_offsets(owner: str, boxes: NDArray[np.int32], offsets: NDArray[np.int64], length: int) -> None:
    sizes = boxes[:, 2:].astype(np.int64) - boxes[:, :2]
    if (sizes < 0).any():
        raise ValueError(f"{owner}: boxes must be (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2")
    lengths = sizes[:, 1] * ((sizes[:, 0] + 7) // 8)
    # Of offsets within the bits no difference overflows.
    if offsets[0] < 0 or offsets.max() > length or (np.diff(offsets) != lengths).any():
        raise ValueError(f"{owner}: offsets must grow by the rows of each box, each padded to a byte, within bits")

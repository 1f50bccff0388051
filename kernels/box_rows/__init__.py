"""Rows of boxes, as many detectors give them: which are usable, what their numbers mean, where they lie in a frame.

In host memory this is NumPy's arithmetic; on a card one launch each, which gives the same bits.
:mod:`vidgraph.kernels.queued` calls either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pair = tuple[float, float]

ORDERS = ("xyxy", "xywh", "cxcywh")
"""Of the four numbers of a box."""
MOST_CLASSES = 2**30
"""A number from here on is no class."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Which part of a frame a network's input shows, and how its pixels lie in the frame.

    Attributes:
        scale, offset: ``frame = scale * input + offset``, (x, y).
        frame: (height, width), pixels.
        part: (x1, y1, x2, y2), the whole pixels of the frame that the input shows.
    """

    scale: Pair
    offset: Pair
    frame: tuple[int, int]
    part: tuple[int, int, int, int]


def corner_boxes(boxes: Floats, order: str, extent: Pair | None) -> Floats:
    """Boxes float32 ``[N, 4]`` in the ``order`` of one of :data:`ORDERS` as (x1, y1, x2, y2), times (width, height)."""
    corners = boxes
    with np.errstate(over="ignore", invalid="ignore"):
        if order != "xyxy":
            first, size = boxes[:, :2], boxes[:, 2:]
            if order == "cxcywh":
                first = first - size * np.float32(0.5)
            corners = np.concatenate([first, first + size], axis=1)
        return corners if extent is None else corners * np.array(extent * 2, np.float32)


def usable_scores(
    scores: Floats, class_ids: NDArray[np.int32], tables: Sequence[Floats], classes: NDArray[np.int32] | None
) -> Floats:
    """``scores``, NaN in rows of a class that is not among ``classes`` (None: all are), or with a number not finite."""
    usable = np.isfinite(scores)
    for table in tables:
        usable &= np.isfinite(table).all(axis=1)
    if classes is not None:
        usable &= np.isin(class_ids, classes)
    return np.where(usable, scores, np.float32(np.nan))


def class_numbers(numbers: Floats) -> NDArray[np.int32]:
    """Classes of the numbers that a network gives, float32 ``[N]``: the nearest whole one, -1 where it is none."""
    return np.where(np.abs(numbers) < MOST_CLASSES, np.rint(numbers), -1).astype(np.int32)


def placed_boxes(boxes: Floats, shown: Shown) -> tuple[Floats, NDArray[np.int32]]:
    """Where boxes lie, float32 ``[N, 4]`` in pixels of the input: what the masks of their objects are cut to.

    Returns:
        relative: float32 ``[N, 4]``, clipped to the frame, relative to ``shown.part``.
        limits: int32 ``[N, 4]``, the pixels of that part whose centres lie in them.
        Both are 0 where a box has no area in the frame.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        places = boxes * np.array(shown.scale * 2, np.float32) + np.array(shown.offset * 2, np.float32)
    inside = np.clip(places, 0, np.array((shown.frame[1], shown.frame[0]) * 2, np.float32))
    seen = (inside[:, 2:] > inside[:, :2]).all(axis=1, keepdims=True)
    x1, y1, x2, y2 = shown.part
    own: Floats = np.where(seen, inside - np.array((x1, y1) * 2, np.float32), np.float32(0))
    limits = np.where(seen, np.ceil(own - np.float32(0.5)), np.float32(0)).astype(np.int32)
    lengths: Floats = np.array((x2 - x1, y2 - y1) * 2, np.float32)
    return own / lengths, limits

"""How segments of a panoptic map look: a colour for each id, and where their names stand."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from ..types.panoptic import PanopticMap, Segment
from .style import colors_of

LARGEST_ID = 4095
"""Ids up to this one are looked up as they are; maps with larger ones are numbered anew."""
NAMED_SHARE = 0.01
"""Of the frame: smaller segments go without their name."""
_GRID = 160
"""Places are looked for among so many points along the longer side."""
_SHADES = (1.0, 0.78, 0.6)


def colored_ids(panoptic: PanopticMap) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """What :func:`vidgraph.kernels.draw_segments` takes.

    Stuff has the colour of its class, the same in every frame and run; things of one class are told apart by
    shades of it, by their track where they have one.

    Returns:
        ids int32 [H, W] and colours uint8 [S, 3] by id; those without a segment have none.
    """
    ids, numbers = panoptic.segment_ids, [segment.id for segment in panoptic.segments]
    if max(numbers, default=0) > LARGEST_ID or ids.max(initial=0) > max(numbers, default=0):
        known = np.array(sorted(numbers), np.int32)
        at = np.searchsorted(known, ids).clip(0, max(len(known) - 1, 0))
        ids = np.where(known[at] == ids, at + 1, 0).astype(np.int32) if len(known) else np.zeros_like(ids)
        numbers = [int(np.searchsorted(known, number)) + 1 for number in numbers]
    colors = np.zeros((max(numbers, default=0) + 1, 3), np.uint8)
    colors[numbers] = segment_colors(panoptic.segments)
    return np.ascontiguousarray(ids), colors


def segment_colors(segments: tuple[Segment, ...]) -> NDArray[np.uint8]:
    """RGB of each segment, uint8 [N, 3]."""
    seen: Counter[int] = Counter()
    shades = []
    for segment in segments:
        number = seen[segment.class_id] if segment.track_id is None else segment.track_id
        seen[segment.class_id] += 1
        shades.append(_SHADES[number % len(_SHADES)] if segment.is_thing else 1.0)
    colors = colors_of(np.array([segment.class_id for segment in segments], np.int64))
    shaded: NDArray[np.uint8] = np.rint(colors * np.array(shades, np.float64).reshape(-1, 1)).astype(np.uint8)
    return shaded


def name_places(panoptic: PanopticMap) -> list[tuple[int, int, int]]:
    """Where the names of large segments are centred: (row in ``segments``, x, y) in frame pixels.

    The place is the point of a coarse grid in the segment that is nearest to the segment's middle.
    """
    height, width = panoptic.segment_ids.shape
    step = max(1, max(height, width) // _GRID)
    coarse = panoptic.segment_ids[step // 2 :: step, step // 2 :: step]
    places = []
    for row, segment in enumerate(panoptic.segments):
        ys, xs = np.nonzero(coarse == segment.id)
        if len(ys) and segment.area_px >= NAMED_SHARE * height * width:
            nearest = int(np.argmin((ys - ys.mean()) ** 2 + (xs - xs.mean()) ** 2))
            places.append((row, int(xs[nearest]) * step + step // 2, int(ys[nearest]) * step + step // 2))
    return places
